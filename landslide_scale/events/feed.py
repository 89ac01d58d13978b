"""What a feed says has happened: GeoJSON summaries of the USGS, and FDSN queries page by page.

A feed is believed about events and nothing else: addresses in it lead only to hosts that the user named, and one
feature that makes no sense is told and left out, so that it costs none of the others.
"""

from __future__ import annotations

import json
import logging
import math
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from landslide_scale.errors import FeedAwayError, InvalidFeedError, ReadError, TryAgainError
from landslide_scale.events.event import EARTHQUAKE, Event, from_milliseconds
from landslide_scale.events.settings import USGS_DETAIL, EventsConfig
from landslide_scale.reading.asking import ATTEMPTS, fetched
from landslide_scale.redaction import redacted, sayable
from landslide_scale.scene import Access

log = logging.getLogger(__name__)

MOST_BYTES = 64 * 2**20
"""Of one feed, or one event's detail; a month of all earthquakes has 8 MB, a detail with all old products 1."""

PER_PAGE = 1000
MOST_EVENTS = 20_000
"""Of one query; as many as the USGS gives in a page at most."""

LONGEST_ADDRESS = 2000
"""Characters."""

DELETED = "deleted"
NO_LOCATION = "no location"
"""What is wrong with an event that lacks that alone."""
_NOTHING: dict[str, Any] = {"type": "FeatureCollection", "features": []}
_ID = re.compile(r"[A-Za-z0-9._-]{1,200}")
_TURN, _HALF_TURN = 360.0, 180.0
_LARGEST = 1e12
"""Of a magnitude, a depth or a degree: what is beyond is no number of one."""


@dataclass(frozen=True, kw_only=True)
class Unread:
    """A feature that makes no event now.

    Attributes:
        id: Its own, or what can be said of it.
        problem: What is wrong, as a clause; :data:`NO_LOCATION` where that alone is missing.
    """

    id: str
    problem: str


@dataclass(frozen=True, kw_only=True)
class Feed:
    """What a feed said.

    Attributes:
        events: By id, each once.
        deleted: Ids of events that it says are none.
        unread: What could not be read of it.
    """

    events: tuple[Event, ...] = ()
    deleted: tuple[str, ...] = ()
    unread: tuple[Unread, ...] = ()


def read_feed(config: EventsConfig, now: datetime) -> Feed:
    """The events of the last days, as the feed has them now.

    Args:
        config: Which feed, and how far back.
        now: UTC, by which the last days are counted.

    Raises:
        FeedAwayError: It does not answer, as often as it is asked.
        InvalidFeedError: It answers with something that is no feed.
    """
    since = now - timedelta(days=config.days_back)
    if config.service == "feed":
        return parse_feed(ask(config.url, config.access), since=since, detail=config.detail)
    pages = [parse_feed(page, since=since, detail=config.detail) for page in _pages(config, since)]
    events: dict[str, Event] = {}
    for event in (one for page in pages for one in page.events):
        events[event.id] = events.get(event.id, event).told(event)
    return Feed(
        events=tuple(events[name] for name in sorted(events)),
        deleted=tuple(sorted({name for page in pages for name in page.deleted})),
        unread=tuple(one for page in pages for one in page.unread),
    )


def _pages(config: EventsConfig, since: datetime) -> Iterator[dict[str, Any]]:
    """The pages of an FDSN query, until one is not full or brings nothing new."""
    seen: set[str] = set()
    for first in range(1, MOST_EVENTS + 1, PER_PAGE):
        page = ask(
            with_query(
                config.url,
                format="geojson",
                starttime=f"{since:%Y-%m-%dT%H:%M:%S}",
                minmagnitude=f"{config.gates.least_magnitude:g}",
                orderby="time-asc",
                limit=str(PER_PAGE),
                offset=str(first),
            ),
            config.access,
        )
        names = {str(feature.get("id")) for feature in _features(page) if isinstance(feature, dict)}
        if first > 1 and names <= seen:
            return
        seen |= names
        yield page
        if len(_features(page)) < PER_PAGE:
            return
    raise InvalidFeedError(
        f"more than {MOST_EVENTS:,} events of one query",
        expected="fewer",
        cure="Ask for fewer days or greater magnitudes.",
        feed=redacted(config.url),
    )


def with_query(url: str, **keys: str) -> str:
    """An address with keys in its query; those that it has already are left as they are."""
    parts = urlsplit(url)
    query = {**keys, **dict(parse_qsl(parts.query, keep_blank_values=True))}
    # What is asked for page by page is not the user's to fix.
    query |= {key: keys[key] for key in ("format", "limit", "offset") if key in keys}
    return urlunsplit(parts._replace(query=urlencode(query)))


def ask(address: str, access: Access) -> dict[str, Any]:
    """The JSON object at an address; a collection of nothing where the server says that there is nothing.

    Raises:
        FeedAwayError: It does not answer, as often as it is asked.
        InvalidFeedError: It answers with something else, or may not be asked; ``where["status"]`` is what it said.
    """
    with failures_named(address):
        body = fetched(address, access, most_bytes=MOST_BYTES)
    return dict(_NOTHING) if not body else as_object(body, address)


@contextmanager
def failures_named(address: str) -> Iterator[None]:
    """Around what is fetched for an event: failures become those of a feed.

    Raises:
        FeedAwayError: It may pass.
        InvalidFeedError: It will not.
    """
    try:
        yield
    except TryAgainError as error:
        raise FeedAwayError(
            f"{error.found}, {ATTEMPTS} times",
            expected="an answer",
            cure="The next cycle asks again; correct the address if it stays so.",
            feed=redacted(address),
        ) from None
    except ReadError as error:
        raise InvalidFeedError(error.found, expected=error.expected, cure=error.cure, **error.where).at(
            feed=redacted(address)
        ) from None


def as_object(body: bytes, address: str) -> dict[str, Any]:
    """JSON that is an object.

    Raises:
        InvalidFeedError: It is none.
    """
    try:
        content = json.loads(body.decode("utf-8-sig"), parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise InvalidFeedError(
            f"no JSON ({str(error)[:200]})", expected="a JSON object, whole", feed=redacted(address)
        ) from None
    if not isinstance(content, dict):
        raise InvalidFeedError(f"a {type(content).__name__}", expected="a JSON object", feed=redacted(address))
    return content


def _refuse(word: str) -> float:
    raise ValueError(f"{word} is no JSON")


def _features(content: Mapping[str, Any]) -> list[Any]:
    features = content.get("features")
    if not isinstance(features, list):
        raise InvalidFeedError(
            f"{content.get('type', 'an object')!s} without features",
            expected="a FeatureCollection of events",
            cure="Correct events.url, which is a GeoJSON feed or an FDSN event query.",
        )
    return features


def parse_feed(content: Mapping[str, Any], *, since: datetime | None = None, detail: str = USGS_DETAIL) -> Feed:
    """The events of a summary.

    Args:
        content: A FeatureCollection.
        since: Earlier events are left out; all are taken where it is None.
        detail: Where an event's products are, with ``{id}``, of events that do not say so.

    Raises:
        InvalidFeedError: It is none.
    """
    events: dict[str, Event] = {}
    deleted: set[str] = set()
    unread: list[Unread] = []
    for number, feature in enumerate(_features(content)):
        try:
            if (gone := _deleted(feature)) is not None:
                deleted.add(gone)
                continue
            event = parse_event(feature, detail=detail)
        except InvalidFeedError as error:
            unread.append(Unread(id=_name(feature, number), problem=error.found))
            log.warning("a feature of the feed is left out, %s: %s", unread[-1].id, error.found)
            continue
        if since is None or event.origin >= since:
            known = events.get(event.id, event)
            events[event.id] = known.told(event)
    return Feed(
        events=tuple(events[name] for name in sorted(events)), deleted=tuple(sorted(deleted)), unread=tuple(unread)
    )


def _deleted(feature: object) -> str | None:
    """The id of an event that the feed says is none."""
    if not isinstance(feature, dict) or not isinstance(feature.get("properties"), dict):
        return None
    status = str(feature["properties"].get("status") or "").lower()
    return str(feature.get("id")) if status in {DELETED, "delete"} else None


def _name(feature: object, number: int) -> str:
    name = feature.get("id") if isinstance(feature, dict) else None
    return sayable(name[:80]) if isinstance(name, str) and name else f"feature {number}"


def parse_event(feature: object, *, detail: str = USGS_DETAIL) -> Event:
    """The event of one feature, of a summary or a detail.

    Args:
        feature: As JSON has it.
        detail: Where its products are, with ``{id}``, if it does not say so itself.

    Raises:
        InvalidFeedError: It has no id, no location, or no origin time, or what it has is none.
    """
    if not isinstance(feature, dict) or not isinstance(feature.get("properties"), dict):
        raise InvalidFeedError("a feature without properties", expected="an event")
    properties, name = feature["properties"], feature.get("id")
    if not isinstance(name, str):
        raise InvalidFeedError("no id", expected="an event's id")
    lon, lat, depth = _location(feature.get("geometry"), name)
    try:
        origin = from_milliseconds(properties.get("time"))
        updated = from_milliseconds(properties.get("updated", properties.get("time")))
    except ValueError as error:
        raise InvalidFeedError(str(error), expected="the time of an event", event=name) from None
    return Event(
        id=name,
        ids=_ids(properties.get("ids"), name),
        origin=origin,
        place=text_of(properties.get("place")),
        lon=lon,
        lat=lat,
        depth_km=depth,
        magnitude=_number(properties.get("mag")),
        kind=text_of(properties.get("type")) or EARTHQUAKE,
        updated=updated,
        url=address_of(properties.get("detail")) or detail.replace("{id}", name),
    )


def _location(geometry: object, name: str) -> tuple[float, float, float]:
    """Longitude from -180 to 180, latitude, and depth in km: 0 where it is not said."""
    at = geometry.get("coordinates") if isinstance(geometry, dict) else None
    values = [_number(value) for value in at[:3]] if isinstance(at, list) else []
    lon, lat, depth = (*values, None, None, None)[:3]
    if lon is None or lat is None:
        raise InvalidFeedError(NO_LOCATION, expected="longitude, latitude and depth", event=name)
    if _HALF_TURN < abs(lon) <= _TURN:  # beyond the antimeridian, as some agencies write it
        lon -= math.copysign(_TURN, lon)
    return lon, lat, depth or 0.0


def _ids(text: object, name: str) -> tuple[str, ...]:
    """All ids of ``,one,other,``, sorted; those that can be none are left out."""
    said = text.split(",") if isinstance(text, str) else []
    return tuple(sorted({one for one in said if _ID.fullmatch(one) and one.strip(".")} | {name}))


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if abs(value) < _LARGEST else None


def text_of(value: object) -> str:
    """A text of a feed, fit for one line; empty where it is none."""
    return sayable(value) if isinstance(value, str) else ""


def address_of(value: object) -> str:
    """An address of a feed; empty where it is none."""
    fits = isinstance(value, str) and value.isascii() and value.isprintable() and len(value) <= LONGEST_ADDRESS
    return str(value) if fits else ""
