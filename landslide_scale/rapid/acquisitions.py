"""What the satellites have seen of an event's ground, as the catalogue has it at an instant."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

from shapely.geometry.base import BaseGeometry

from landslide_scale.rapid.known import Followed
from landslide_scale.rapid.settings import RapidConfig
from landslide_scale.rapid.windows import last_before, season_before, since
from landslide_scale.scan.searching import find
from landslide_scale.scene import Window
from landslide_scale.stac.items import sensed_if_said
from landslide_scale.stac.settings import CatalogConfig

Item = Mapping[str, Any]

BETWEEN_TILES = timedelta(minutes=5)
"""Tiles of one pass are sensed at most so far apart, 2,000 km along its track; the next comes over an hour later."""


@dataclass(frozen=True, kw_only=True)
class Acquisitions:
    """Items on both sides of an event.

    Attributes:
        before: The window before it that is compared with; None where the catalogue has nothing of either.
        after: From the event to the last acquisition; None before there is one.
        scenes: Ids of the Items after it, sorted.
        items: Of both sides.
    """

    before: Window | None
    after: Window | None
    scenes: tuple[str, ...]
    items: tuple[Item, ...]


def looked_for(
    catalog: CatalogConfig,
    ground: BaseGeometry,
    origin: datetime,
    *,
    until: datetime,
    before: Sequence[Window],
) -> Acquisitions:
    """What the catalogue has around an event, sensed before `until`.

    Args:
        catalog: Where it is asked for.
        ground: Degrees.
        origin: Of the event, UTC.
        until: UTC.
        before: Windows to compare with, in the order they are asked for; one alone is settled.

    Raises:
        CatalogAwayError, InvalidCatalogError: The catalogue does not answer.
    """
    settled, earlier = _before(catalog, ground, before)
    new: list[Item] = []
    first = origin + timedelta(microseconds=1)
    if until > first:
        wanted = Window(start=first, end=until)
        new = [item for item in find(catalog, ground, [wanted]) if _is_in(item, wanted)]
    instants = [instant for item in new if (instant := sensed_if_said(dict(item))) is not None]
    return Acquisitions(
        before=settled,
        after=since(origin, instants),
        scenes=tuple(sorted(str(item["id"]) for item in new)),
        items=(*earlier, *new),
    )


def found_for(config: RapidConfig, known: Followed, until: datetime) -> Acquisitions:
    """What the catalogue has around an event, for as long as it is looked at.

    Before it, that is what was settled with its first scan, the season of the year before, or the last days before.

    Args:
        config: Where it is asked for, and how far.
        known: The event; its area is known.
        until: Scenes that were sensed later do not count yet, UTC.

    Raises:
        CatalogAwayError, InvalidCatalogError: The catalogue does not answer.
    """
    assert known.area is not None  # noqa: S101 who calls has looked
    origin, before = known.event.origin, config.before
    either = [season_before(origin, before.season_days), last_before(origin, before.last_days)]
    return looked_for(
        config.catalog,
        known.area.ground,
        origin,
        until=min(until, origin + timedelta(days=config.ends.days)),
        before=[known.asked.windows[0]] if known.asked else either,
    )


def passes_in(catalog: CatalogConfig, ground: BaseGeometry, window: Window) -> list[datetime]:
    """Instants at which passes over some ground had sensed all of it that they came to, in a window, ascending.

    The tiles of one pass are sensed seconds apart; each is the instant of the last of them.

    Raises:
        CatalogAwayError, InvalidCatalogError: The catalogue does not answer.
    """
    instants = (sensed_if_said(dict(item)) for item in find(catalog, ground, [window]))
    sensed = sorted({instant for instant in instants if instant is not None and window.holds(instant)})
    return [one for one, later in pairwise(sensed) if later - one > BETWEEN_TILES] + sensed[-1:]


def _before(
    catalog: CatalogConfig, ground: BaseGeometry, windows: Sequence[Window]
) -> tuple[Window | None, Sequence[Item]]:
    """The first window of which the catalogue has anything, and its Items."""
    for window in windows:
        items = [item for item in find(catalog, ground, [window]) if _is_in(item, window)]
        if items:
            return window, items
    return (windows[0] if len(windows) == 1 else None), ()


def _is_in(item: Item, window: Window) -> bool:
    instant = sensed_if_said(dict(item))
    return instant is not None and window.holds(instant)
