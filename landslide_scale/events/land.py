"""What is land: a coarse mask that comes with the package, or polygons of the user's.

The mask, ``resources/land.png``, is the share of land of every cell of 0.05 degrees (5.6 km along a meridian), in
sixteenths rounded up, so that an island of one sample still counts. It was made from the 30 arc-second mask of the
package global-land-mask 1.0.0 (MIT, Todd Karin; ``resources/LICENSE.txt``), which is where GLOBE has elevations (NOAA
National Geophysical Data Center, 1999, in the public domain). Lakes are land in it.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from typing import Protocol

import numpy as np
import shapely
from numpy.typing import NDArray
from PIL import Image
from shapely.geometry.base import BaseGeometry

from landslide_scale.region.polygons import area_km2, load
from landslide_scale.region.settings import RegionConfig

CELL = 0.05
"""Degrees."""

LEAST_ACROSS, MOST_ACROSS = 32, 4000
"""Points in either direction of a part whose land is counted."""

_TURN = 360.0


class Land(Protocol):
    """Says what is land."""

    @property
    def source(self) -> str:
        """In words."""

    def share(self, lon: NDArray[np.float64], lat: NDArray[np.float64]) -> NDArray[np.float32]:
        """Share of land, 0 to 1, around points (N,) in degrees; longitudes of any turn."""


@dataclass(frozen=True, kw_only=True, eq=False)
class CoarseLand:
    """The mask that comes with the package.

    Attributes:
        cells: (3600, 7200) uint8, 255 where all is land; from 90 north and 180 west on.
    """

    cells: NDArray[np.uint8]

    @property
    def source(self) -> str:
        """In words."""
        return f"land in cells of {CELL} degrees (GLOBE, 30 arc-seconds)"

    def share(self, lon: NDArray[np.float64], lat: NDArray[np.float64]) -> NDArray[np.float32]:
        """Share of land of the cells that points (N,) lie in."""
        rows, cols = self.cells.shape
        row = np.clip(np.floor((90.0 - lat) / CELL).astype(np.int64), 0, rows - 1)
        col = np.floor((lon + 180.0) / CELL).astype(np.int64) % cols
        found: NDArray[np.float32] = self.cells[row, col] / np.float32(255)
        return found


@dataclass(frozen=True, kw_only=True, eq=False)
class DrawnLand:
    """Polygons of the user's, degrees."""

    ground: BaseGeometry

    @property
    def source(self) -> str:
        """In words."""
        return "land as events.land has it"

    def share(self, lon: NDArray[np.float64], lat: NDArray[np.float64]) -> NDArray[np.float32]:
        """1 at points (N,) in the polygons, 0 elsewhere."""
        shapely.prepare(self.ground)
        east = (np.asarray(lon) + 180.0) % _TURN - 180.0
        return shapely.contains_xy(self.ground, east, lat).astype(np.float32)


def chosen_land(file: str | None) -> Land:
    """What says what is land: the polygons of a file where one is named, else the mask of the package.

    Raises:
        InvalidRegionError: The file cannot be read, or is none of polygons.
    """
    return coarse_land() if file is None else DrawnLand(ground=load(RegionConfig(file=file)))


@lru_cache(maxsize=1)
def coarse_land() -> CoarseLand:
    """The mask that comes with the package, read once."""
    content = resources.files("landslide_scale.events").joinpath("resources/land.png").read_bytes()
    with Image.open(io.BytesIO(content)) as image:
        return CoarseLand(cells=np.asarray(image, np.uint8))


def land_km2(ground: BaseGeometry, land: Land) -> float:
    """Land of some ground (degrees) in km2, by points spread evenly over each of its parts."""
    parts = [part for part in getattr(ground, "geoms", [ground]) if not part.is_empty]
    return float(sum(area_km2(part) * _share(part, land) for part in parts))


def _share(part: BaseGeometry, land: Land) -> float:
    """Share of one part that is land, 0 to 1."""
    west, south, east, north = part.bounds
    across, along = (
        int(np.clip(np.ceil(extent / (CELL / 2)), LEAST_ACROSS, MOST_ACROSS)) for extent in (east - west, north - south)
    )
    lon = west + (np.arange(across) + 0.5) * (east - west) / across
    shapely.prepare(part)
    inside = over_land = 0.0
    for latitude in south + (np.arange(along) + 0.5) * (north - south) / along:
        row = lon[shapely.contains_xy(part, lon, np.full_like(lon, latitude))]
        weight = float(np.cos(np.radians(latitude)))
        inside += weight * row.size
        over_land += weight * float(land.share(row, np.full_like(row, latitude)).sum())
    return over_land / inside if inside else 0.0
