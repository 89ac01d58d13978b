"""The tiles of an elevation model: what their Items say, and which of them reach a box of pixels.

They are no scenes: they have no clouds, no classes, and a date long past or none.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray

from landslide_scale.errors import InvalidCatalogError
from landslide_scale.grid import Lattice, PixelBox
from landslide_scale.scene import Access
from landslide_scale.stac.form import check_form
from landslide_scale.stac.hrefs import access, asset_href
from landslide_scale.stac.items import Item, checked_name, readable
from landslide_scale.stac.settings import DemConfig

COARSEST_M = 1000.0
"""Side of the largest pixel of an elevation model that is read."""

REACH_M = 4 * COARSEST_M
"""How far beyond its footprint a tile may have a say: three pixels on either side are heard, and footprints rounded."""

_POLE = 90.0
_TURN = 360.0


@dataclass(frozen=True, kw_only=True)
class DemTile:
    """What a worker needs to know of one raster of an elevation model.

    Attributes:
        id: The catalogue's id.
        bounds: (west, south, east, north) of its footprint, degrees.
        href: Address of its elevations.
        access: What their reading may touch.
    """

    id: str
    bounds: tuple[float, float, float, float]
    href: str
    access: Access


def tiles(found: Iterable[Item], config: DemConfig) -> list[DemTile]:
    """The Items as tiles, by id.

    Raises:
        InvalidCatalogError: An Item lacks the asset or a footprint, or points to an address that is not allowed.
    """
    return sorted((_tile(item, config) for item in found), key=lambda tile: tile.id)


def _tile(item: Item, config: DemConfig) -> DemTile:
    with readable(item, kind=config.item):
        check_form(item, kind=config.item)
        return DemTile(
            id=checked_name(item, "id", item["id"], kind=config.item),
            bounds=_bounds(item, config),
            href=asset_href(item, config.asset or config.provider.asset, config),
            access=access(config),
        )


def _bounds(item: Item, config: DemConfig) -> tuple[float, float, float, float]:
    west, south, east, north = shapely.geometry.shape(item["geometry"]).bounds
    if not (-_TURN <= west < east <= _TURN and -_POLE - 1 <= south < north <= _POLE + 1):  # nor for NaN
        raise InvalidCatalogError(
            f"a footprint of {(west, south, east, north)}",
            expected="degrees, west < east and south < north",
            **{config.item: item["id"]},
        )
    return west, south, east, north


class DemIndex:
    """Finds the tiles that have a say in a box of pixels."""

    def __init__(self, tiles: Sequence[DemTile]) -> None:
        self._tiles = tiles
        self._tree = shapely.STRtree([shapely.box(*tile.bounds) for tile in tiles])

    def reaching(self, lattice: Lattice, box: PixelBox) -> tuple[DemTile, ...]:
        """Tiles that meet the ground within :data:`REACH_M` of `box`, by id; on both sides of the antimeridian."""
        if not self._tiles:
            return ()
        around = lattice.outline(box.pad(math.ceil(REACH_M / lattice.resolution)))
        west, south, east, north = _extent(shapely.get_coordinates(around))
        wanted = [shapely.box(west + turn, south, east + turn, north) for turn in (-_TURN, 0.0, _TURN)]
        found = {int(index) for index in self._tree.query(wanted, predicate="intersects")[1]}
        return tuple(sorted((self._tiles[index] for index in found), key=lambda tile: tile.id))


def _extent(points: NDArray[np.float64]) -> tuple[float, float, float, float]:
    """(west, south, east, north) of points (N, 2) in degrees; longitudes go on over the antimeridian."""
    known = points[np.isfinite(points).all(axis=1)]
    if not len(known):
        return math.nan, math.nan, math.nan, math.nan
    first = known[0, 0]
    longitude = first + (known[:, 0] - first + _TURN / 2) % _TURN - _TURN / 2
    south, north = known[:, 1].min(), known[:, 1].max()
    return float(longitude.min()), float(south), float(longitude.max()), float(north)
