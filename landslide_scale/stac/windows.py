"""Whether there are Items at all in the windows that are asked for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import suppress

from shapely.geometry.base import BaseGeometry

from landslide_scale.errors import InvalidCatalogError
from landslide_scale.scene import Window
from landslide_scale.stac.items import Item, footprint, left_out, readable, sensed_if_said
from landslide_scale.stac.search import collection
from landslide_scale.stac.settings import CatalogConfig


def check_windows(
    config: CatalogConfig, ground: BaseGeometry, windows: Sequence[Window], items: Iterable[Item]
) -> None:
    """Make sure that there are Items on the ground: of some window, or of each where the configuration requires all.

    Raises:
        InvalidCatalogError: There are none.
    """
    items = tuple(items)
    over = [sensed_if_said(item) for item in items if _may_see(item, ground)]
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
