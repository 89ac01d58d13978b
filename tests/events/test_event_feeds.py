"""Feeds as they are served, real and made, whole and broken: every event once, and every failure by its name."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs

import pytest
from helpers.quakes import ORIGIN, collection, event, feature
from helpers.webserver import Answer, Asked, site
from hypothesis import given
from hypothesis import strategies as st

from landslide_scale.errors import FeedAwayError, InvalidFeedError, LandslideScaleError
from landslide_scale.events import feed
from landslide_scale.events.detail import parse_detail, read_detail
from landslide_scale.events.event import Event
from landslide_scale.events.feed import as_object, parse_event, parse_feed, read_feed
from landslide_scale.events.settings import EventsConfig
from landslide_scale.reading.asking import ATTEMPTS

pytestmark = pytest.mark.usefixtures("at_once")

NOW = ORIGIN + timedelta(hours=1)

REAL = {
    "feed/2.5_week.json": 247,
    "feed/fdsn_query_2017-01-01_2017-01-11.json": 109,
    "feed/fdsn_query_2019-07-06.json": 123,
}
"""How many events each has."""


def config(address: str, **changes: Any) -> EventsConfig:  # noqa: ANN401 keys
    known = {"url": f"{address}/feed", "detail": f"{address}/detail?eventid={{id}}"}
    return EventsConfig(**known | changes)


@pytest.mark.parametrize("name", REAL)
def test_every_event_of_a_real_feed_is_read(name: str, real: Callable[[str], dict[str, Any]]):
    content = real(name)
    found = parse_feed(content)
    assert (len(found.events), found.unread, found.deleted) == (REAL[name], (), ())
    by_id = {one["id"]: one for one in content["features"]}
    for one in found.events:
        said = by_id[one.id]
        assert [one.lon, one.lat, one.depth_km] == said["geometry"]["coordinates"]
        assert round(one.origin.timestamp() * 1000) == said["properties"]["time"]
        assert set(one.ids) == set(said["properties"]["ids"].strip(",").split(","))
        assert (one.magnitude, one.url) == (said["properties"]["mag"], said["properties"]["detail"])


def test_events_older_than_asked_for_are_left_out():
    old = feature("old", time=int((ORIGIN - timedelta(days=9)).timestamp() * 1000))
    with site(lambda _: Answer.of_json(collection(old, feature()))) as server:
        assert [one.id for one in read_feed(config(server.address), NOW).events] == ["us1"]


def test_one_feature_that_makes_no_sense_costs_none_of_the_others():
    nowhere, timeless, nameless = feature("a"), feature("b", time=None), feature("c")
    nowhere["geometry"] = None
    nameless["id"] = None
    found = parse_feed(collection(nowhere, feature("d"), timeless, nameless, "text", feature("../e")))
    assert [one.id for one in found.events] == ["d"]
    assert [one.id for one in found.unread] == ["a", "b", "feature 3", "feature 4", "../e"]
    assert found.unread[0].problem == "no location"


def test_texts_of_a_feed_are_fit_to_be_shown_and_written():
    made = feature(place="a\nb\ud800", type="x\x1b[0m", detail="https://example.com/\nnext")
    one = parse_event(made, detail="https://example.com/{id}")
    assert (one.place, one.kind, one.url) == (r"a\nb\ud800", r"x\x1b[0m", "https://example.com/us1")
    found = parse_feed(collection(feature("a\nb")))
    assert [one.id for one in found.unread] == [r"a\nb"]


def test_deleted_events_are_told():
    found = parse_feed(collection(feature("a", status="deleted"), feature("b", status="reviewed")))
    assert (found.deleted, [one.id for one in found.events]) == (("a",), ["b"])


def test_an_event_that_is_named_twice_is_one_as_it_was_said_last():
    later = int(ORIGIN.timestamp() * 1000) + 1000
    twice = [feature(mag=7.0, updated=later, ids=",us1,at1,"), feature(mag=6.0, ids=",us1,gb1,")]
    (found,) = parse_feed(collection(*twice)).events
    assert (found.magnitude, found.ids) == (7.0, ("at1", "gb1", "us1"))


def test_an_event_is_followed_by_all_its_ids():
    known = [event("us1"), event("ci1"), event("nc9")]
    merged = event("us2", ids=("ci1", "us1", "us2"), updated=ORIGIN + timedelta(1), magnitude=6.8)
    assert [one.id for one in known if one.is_same(merged)] == ["us1", "ci1"]
    told = known[0].told(merged)
    assert (told.id, told.ids, told.magnitude) == ("us2", ("ci1", "us1", "us2"), 6.8)
    assert merged.told(known[0]) == told  # in whatever order it was heard
    assert not any(one.is_same(event("new")) for one in known)


@pytest.mark.parametrize(("lon", "there"), [(190.0, -170.0), (-185.5, 174.5), (180.0, 180.0), (-180.0, -180.0)])
def test_longitudes_beyond_the_antimeridian_are_brought_back(lon: float, there: float):
    made = feature()
    made["geometry"]["coordinates"][0] = lon
    assert parse_event(made).lon == there


@pytest.mark.parametrize("place", [[14.5, 91.0, 1.0], [400.0, 0.0, 1.0], [14.5], ["a", "b"], [True, 1.0], {}])
def test_a_place_that_is_none_is_refused(place: object):
    made = feature()
    made["geometry"]["coordinates"] = place
    with pytest.raises(InvalidFeedError):
        parse_event(made)


def pages(count: int) -> Callable[[Asked], Answer]:
    """An FDSN service of so many events."""
    whole = [feature(f"us{number}") for number in range(count)]

    def answer(asked: Asked) -> Answer:
        query = {key: values[0] for key, values in parse_qs(asked.query).items()}
        first, most = int(query["offset"]) - 1, int(query["limit"])
        part = whole[first : first + most]
        return Answer.of_json(collection(*part)) if part else Answer(status=204)

    return answer


@pytest.mark.parametrize("count", [0, 3, 4, 5, 8, 11])
def test_a_query_is_read_page_by_page_to_its_end(count: int, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(feed, "PER_PAGE", 4)
    with site(pages(count)) as server:
        found = read_feed(config(server.address, service="fdsn", url=f"{server.address}/query?minlatitude=10"), NOW)
        assert {one.id for one in found.events} == {f"us{number}" for number in range(count)}
        asked = parse_qs(server.asked[0].query)
    assert (asked["minlatitude"], asked["starttime"], asked["minmagnitude"]) == (
        ["10"],
        ["2026-02-22T07:00:00"],
        ["5.5"],
    )


def test_a_service_that_knows_no_pages_is_not_asked_for_ever(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(feed, "PER_PAGE", 2)
    same = Answer.of_json(collection(feature("a"), feature("b")))
    with site(lambda _: same) as server:
        assert len(read_feed(config(server.address, service="fdsn"), NOW).events) == 2
        assert len(server.asked) == 2


def test_a_service_that_has_no_end_is_refused(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(feed, "PER_PAGE", 2)
    monkeypatch.setattr(feed, "MOST_EVENTS", 8)
    with site(pages(100)) as server, pytest.raises(InvalidFeedError, match="more than 8 events"):
        read_feed(config(server.address, service="fdsn"), NOW)


@pytest.mark.parametrize("status", [429, 500, 502, 503])
def test_a_feed_that_is_busy_for_a_moment_is_asked_again(status: int, at_once: list[float]):
    left = [Answer(status=status), Answer(status=status)]
    with site(lambda _: left.pop() if left else Answer.of_json(collection(feature()))) as server:
        assert len(read_feed(config(server.address), NOW).events) == 1
        assert len(server.asked) == 3
    assert len(at_once) == 2


def test_a_feed_that_stays_away_is_said_to_be_and_may_come_back():
    with site(lambda _: Answer(status=503)) as server:
        with pytest.raises(FeedAwayError, match=f"HTTP status 503, {ATTEMPTS} times") as caught:
            read_feed(config(server.address), NOW)
        assert len(server.asked) == ATTEMPTS
    assert caught.value.exit_code == 1
    with pytest.raises(FeedAwayError):  # nobody listens there any more
        read_feed(config(server.address), NOW)


BROKEN = {
    "a page": b"<html>moved</html>",
    "cut off": json.dumps(collection(feature()))[:-20].encode(),
    "a list": b"[]",
    "no features": b'{"type": "FeatureCollection"}',
    "NaN": b'{"features": [NaN]}',
    "no text": b"\xff\xfe\x00",
    "deep": b"[" * 100_000,
}


@pytest.mark.parametrize("said", BROKEN)
def test_what_is_no_feed_is_refused(said: str):
    with site(lambda _: Answer(content=BROKEN[said])) as server, pytest.raises(InvalidFeedError) as caught:
        read_feed(config(server.address), NOW)
    assert caught.value.exit_code == 2


def test_an_empty_feed_has_no_events():
    with site(lambda _: Answer.of_json(collection())) as server:
        assert read_feed(config(server.address), NOW).events == ()


def test_a_feed_without_end_is_not_read_to_it(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(feed, "MOST_BYTES", 1000)
    with site(lambda _: Answer(content=b" " * 100_000)) as server, pytest.raises(InvalidFeedError, match="1,000 bytes"):
        read_feed(config(server.address), NOW)


def test_nothing_is_asked_of_a_host_that_nobody_named():
    with (
        site(lambda _: Answer.of_json(feature()), host="127.0.0.2") as other,
        site(lambda _: Answer.redirect(f"{other.address}/detail")) as server,
    ):
        for address in ("", f"{other.address}/detail", "file:///etc/passwd"):
            with pytest.raises(InvalidFeedError, match="allowed_hosts"):
                read_detail(config(server.address), "us1", address)
        assert other.asked == []
        named = config(server.address, allowed_hosts=("127.0.0.2",))
        assert read_detail(named, "us1").event.id == "us1"


@pytest.mark.parametrize("status", [404, 409, 410])
def test_an_event_that_is_gone_has_no_detail(status: int):
    with site(lambda _: Answer(status=status)) as server:
        assert read_detail(config(server.address), "us1") is None
        assert len(server.asked) == 1


def test_an_event_that_was_deleted_has_no_detail_and_others_have():
    answers = {"us1": feature(status="deleted"), "us2": collection(feature("us2")), "us3": collection()}
    with site(lambda asked: Answer.of_json(answers[asked.query.removeprefix("eventid=")])) as server:
        made = config(server.address)
        assert read_detail(made, "us1") is None
        assert read_detail(made, "us2").event.id == "us2"
        assert read_detail(made, "us3") is None


def test_a_service_that_refuses_is_no_event_that_is_gone():
    with site(lambda _: Answer(status=403)) as server, pytest.raises(InvalidFeedError, match="HTTP status 403"):
        read_detail(config(server.address), "us1")


def test_no_secret_of_an_address_comes_out():
    with site(lambda _: Answer(status=403)) as server:
        made = config(server.address, url=f"{server.address}/feed?key=xSECRETx".replace("//", "//user:xSECRETx@"))
        with pytest.raises(InvalidFeedError) as caught:
            read_feed(made, NOW)
    assert "xSECRETx" not in f"{caught.value} {caught.value!r} {caught.value.where}"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.just("us1"),
    lambda inner: st.lists(inner, max_size=4)
    | st.dictionaries(
        st.sampled_from(
            ["id", "ids", "properties", "geometry", "coordinates", "time", "updated", "mag", "products", "shakemap",
             "contents", "features", "status", "updateTime", "preferredWeight", "code", "url", "detail"]
        ),
        inner,
        max_size=6,
    ),
    max_leaves=25,
)  # fmt: skip


@given(JSON)
def test_whatever_a_feed_says_is_an_event_or_is_refused_by_name(content: object):
    for parse in (parse_event, parse_detail):
        try:
            parse(content)
        except LandslideScaleError:
            continue


KEYS = st.sampled_from(["time", "updated", "mag", "ids", "place", "type", "status", "detail", "products"])


@given(st.dictionaries(KEYS, JSON), st.none() | st.dictionaries(st.just("coordinates"), JSON))
def test_one_broken_feature_leaves_the_other(properties: dict[str, Any], geometry: object):
    made = feature("broken", **properties)
    made["geometry"] = geometry
    found = parse_feed(collection(made, feature("whole")))
    assert "whole" in [one.id for one in found.events]
    assert len(found.events) + len(found.unread) + len(found.deleted) == 2
    assert all(isinstance(one, Event) and one.origin.tzinfo is UTC for one in found.events)


@given(st.binary(max_size=200))
def test_any_bytes_are_an_object_or_are_refused(content: bytes):
    with suppress(InvalidFeedError):
        assert isinstance(as_object(content, "somewhere"), dict)


def test_an_event_without_its_time_zone_is_refused():
    with pytest.raises(InvalidFeedError, match="time zone"):
        event(origin=datetime(2026, 3, 1))  # noqa: DTZ001 what is refused
