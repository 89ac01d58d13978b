"""Whether there are Items at all in a window, and suspiciously few, against how often Sentinel-2 passes.

Each satellite sees the same ground from the same orbit every 10 days, two of them every 5 days (Drusch et al. 2012),
and ground that several orbits see more often; so of every tile a collection should hold at least one datatake in so
many days. Holes in a collection are silent otherwise: fewer clear observations, or layers with nothing in them.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from shapely.geometry.base import BaseGeometry

from landslide_scale.errors import InvalidCatalogError
from landslide_scale.scene import Window
from landslide_scale.stac import identity
from landslide_scale.stac.holding.packed import spelled_out
from landslide_scale.stac.items import Item, footprint, left_out, readable, sensed, sensed_if_said
from landslide_scale.stac.search import collection
from landslide_scale.stac.settings import CatalogConfig

ROUTINE = (datetime(2015, 12, 1, tzinfo=UTC), datetime(2018, 3, 1, tzinfo=UTC))
"""From when on one satellite, and two, are counted: after their first months, so that none is expected too early."""

REPEAT_DAYS = 10
"""Of one satellite."""

LOWEST_NOON_SUN = 20.0
"""Degrees; days of a lower sun are not counted, because ground is not taken in the dark."""

SOUTHERNMOST = -56.0
"""Degrees of latitude; Antarctica is not taken at every pass."""

LEAST_EXPECTED = 4
"""Passes; of a window that should have fewer, nothing can be said."""

SUSPICIOUS = 0.5
"""Share of the passes that are to be expected; below it a tile is named."""

_DAYS_A_YEAR = 365.24
_TILT = 23.44
_SOLSTICE = 10
"""Days from the winter solstice to the new year."""


@dataclass(frozen=True, kw_only=True)
class Thin:
    """A tile of which a collection holds few datatakes in a window, of several years in one of them.

    Attributes:
        window: That year's.
        tile: Its name.
        found: How many there are.
        expected: How many there should be at least.
    """

    window: Window
    tile: str
    found: int
    expected: float


def few_scenes(
    items: Iterable[Item], ground: BaseGeometry, windows: Sequence[Window], config: CatalogConfig, *, until: datetime
) -> list[str]:
    """What is to be said of windows of which a collection holds suspiciously few scenes, one line each.

    Args:
        items: Its answer, cloudy scenes and all.
        ground: The region, degrees.
        windows: The layers.
        config: Where the Items are from.
        until: Now; later passes are not expected yet.
    """
    lines = []
    thin = thin_tiles(items, ground, windows, until)
    for window in dict.fromkeys(one.window for one in thin):
        here = sorted((one for one in thin if one.window == window), key=lambda one: (one.found, one.tile))
        more = f" (other tiles with too few: {len(here) - 1})" if len(here) > 1 else ""
        lines.append(
            f"suspiciously few scenes in {collection(config)} from {window.days}: "
            f"of tile {here[0].tile} {here[0].found} of at least {here[0].expected:.0f} datatakes that Sentinel-2's "
            f"revisit gives{more}{_known_hole(window, config)}"
        )
    return lines


def thin_tiles(
    items: Iterable[Item], ground: BaseGeometry, windows: Sequence[Window], until: datetime
) -> tuple[Thin, ...]:
    """The tiles over `ground` with fewer than half of the datatakes that are to be expected, by window and year."""
    known = _by_tile(items, ground)
    latitude = max(ground.bounds[1], ground.bounds[3], key=abs)
    thin = []
    for span in (span for window in windows for span in window.spans):
        expected = expected_passes(span, latitude, until)
        for tile in known if expected >= LEAST_EXPECTED else ():
            found = len({take for take, instant in known[tile] if span.holds(instant)})
            if found < SUSPICIOUS * expected:
                thin.append(Thin(window=span, tile=tile, found=found, expected=expected))
    return tuple(thin)


def expected_passes(window: Window, latitude: float, until: datetime) -> float:
    """How often ground of a latitude (degrees) is seen at least in a window, up to an instant."""
    if latitude < SOUTHERNMOST:
        return 0.0
    count, day = 0.0, window.start
    while day < min(window.end, until):
        share = min((min(window.end, until) - day) / timedelta(days=1), 1.0)
        if noon_sun(day, latitude) >= LOWEST_NOON_SUN:
            count += share * sum(day >= begun for begun in ROUTINE) / REPEAT_DAYS
        day += timedelta(days=1)
    return count


def noon_sun(day: datetime, latitude: float) -> float:
    """Elevation of the sun at noon, degrees, to a degree (Cooper 1969)."""
    since = day.timetuple().tm_yday + _SOLSTICE
    declination = -_TILT * math.cos(2 * math.pi * since / _DAYS_A_YEAR)
    return 90 - abs(latitude - declination)


def _by_tile(items: Iterable[Item], ground: BaseGeometry) -> dict[str, list[tuple[str, datetime]]]:
    """Datatake and instant of every Item of each tile over `ground`; an Item that does not say is named elsewhere."""
    known: dict[str, list[tuple[str, datetime]]] = {}
    over = set()
    for item in map(spelled_out, items):
        try:
            with readable(item):
                tile, instant = identity.tile(item), sensed(item)
                known.setdefault(tile, []).append((identity.datatake(item), instant))
                over |= {tile} if footprint(item).intersects(ground) else set()
        except InvalidCatalogError:
            continue
    return {tile: known[tile] for tile in sorted(over)}


def _known_hole(window: Window, config: CatalogConfig) -> str:
    """Of the profile's own collection, in years that it is known to lack."""
    profile = config.provider
    own = config.items is None and config.url in {None, profile.url} and collection(config) == profile.collection
    last = window.end - timedelta(microseconds=1)
    if not own or not any(window.start.year <= year <= last.year for year in profile.lacks):
        return ""
    years = ", ".join(map(str, profile.lacks))
    return f"; {config.profile} lacks most of {years} ({profile.lacks_source}): try another profile"


# None at all


def check_windows(
    config: CatalogConfig, ground: BaseGeometry, windows: Sequence[Window], items: Iterable[Item]
) -> None:
    """Make sure that there are Items on the ground: of some window, or of each where the configuration requires all.

    Raises:
        InvalidCatalogError: There are none.
    """
    items = tuple(items)
    over = [sensed_if_said(item) for item in map(spelled_out, items) if _may_see(item, ground)]
    bare = [window for window in windows if not any(one is None or window.holds(one) for one in over)]
    if bare and (config.require == "all" or len(bare) == len(windows)):
        raise no_scene(config, bare[0], ground, items)


def _may_see(item: Item, ground: BaseGeometry) -> bool:
    """Whether an Item has data on the ground, as far as it says where it has any."""
    with suppress(InvalidCatalogError), readable(item):
        return bool(footprint(item).intersects(ground))
    return True


def keys_against(items: Iterable[Item], config: CatalogConfig) -> Counter[str]:
    """How many Items each key of the configuration leaves out."""
    found: Counter[str] = Counter()
    for item in items:
        with suppress(InvalidCatalogError):  # which is said where scenes are made of Items
            if key := left_out(item, config):
                found[key] += 1
    return found


def no_scene(config: CatalogConfig, window: Window, ground: BaseGeometry, items: Sequence[Item]) -> InvalidCatalogError:
    """What is said where a window has none and may not: of all `items` that were found, and where the region lies."""
    lon, lat = ground.centroid.x, ground.centroid.y
    place = f"{abs(lon):.2f} {'E' if lon >= 0 else 'W'} {abs(lat):.2f} {'N' if lat >= 0 else 'S'}"
    out = ", ".join(f"{count} left out by {key}" for key, count in sorted(keys_against(items, config).items()))
    return InvalidCatalogError(
        f"no scene of {collection(config)} meets the region, around {place}, from {window.instants} "
        f"({len(items)} found{', ' if out else ''}{out})",
        expected="at least one",
        cure="Check region (region.bbox is west, south, east, north: longitude first), windows, catalog.collection and "
        "catalog.max_cloud_cover.",
    )
