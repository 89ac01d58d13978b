"""Whether there are Items at all in the windows that are asked for."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress

from shapely.geometry.base import BaseGeometry

from landslide_scale.errors import InvalidCatalogError
from landslide_scale.scene import Window
from landslide_scale.stac.items import Item, footprint, readable, sensed_if_said
from landslide_scale.stac.search import collection
from landslide_scale.stac.settings import CatalogConfig


def check_windows(
    config: CatalogConfig, ground: BaseGeometry, windows: Sequence[Window], items: Iterable[Item]
) -> None:
    """Make sure that there are Items on the ground: of some window, or of each where the configuration requires all.

    Raises:
        InvalidCatalogError: There are none.
    """
    over = [sensed_if_said(item) for item in items if _may_see(item, ground)]
    bare = [window for window in windows if not any(one is None or window.holds(one) for one in over)]
    if bare and (config.require == "all" or len(bare) == len(windows)):
        raise no_scene(config, bare[0])


def _may_see(item: Item, ground: BaseGeometry) -> bool:
    """Whether an Item has data on the ground, as far as it says where it has any."""
    with suppress(InvalidCatalogError), readable(item):
        return bool(footprint(item).intersects(ground))
    return True


def no_scene(config: CatalogConfig, window: Window) -> InvalidCatalogError:
    """What is said where a window has none and may not."""
    return InvalidCatalogError(
        f"no scene of {collection(config)} meets the region from {window.instants}",
        expected="at least one",
        cure="Check region, windows, catalog.collection and catalog.max_cloud_cover.",
    )
