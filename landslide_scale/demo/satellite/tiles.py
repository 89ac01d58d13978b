"""The tiles the made scenes are cut into, and where each tile's pixels lie on the ground."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from shapely import Polygon, box

from landslide_scale.demo.ground.frame import Frame, lattice_in_frame

TILE_M = 12_000


@dataclass(frozen=True, kw_only=True)
class Tile:
    """A square of `TILE_M` metres in a zone's CRS; real tiles are 109.8 km wide and laid out alike.

    Attributes:
        name: Like an MGRS tile; the letters are made.
        epsg: CRS of its rasters.
        left, top: North-west corner, multiples of 20 m.
    """

    name: str
    epsg: int
    left: int
    top: int

    @property
    def bounds(self) -> tuple[float, float, float, float]:
        """(west, south, east, north), metres."""
        return float(self.left), float(self.top - TILE_M), float(self.left + TILE_M), float(self.top)

    @property
    def outline(self) -> Polygon:
        """The whole square, in its own CRS."""
        return box(*self.bounds)

    def side(self, cell: int) -> int:
        """Rows, and columns, of a raster of `cell` metres."""
        return TILE_M // cell

    def transform(self, cell: int) -> tuple[float, float, float, float, float, float]:
        """Affine (a, b, c, d, e, f) of a raster of `cell` metres."""
        return (float(cell), 0.0, float(self.left), 0.0, -float(cell), float(self.top))

    def centres(self, frame: Frame, cell: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Coordinates x and y in the frame's CRS of every cell centre, (rows, columns) each."""
        steps = (np.arange(round(TILE_M / cell), dtype=np.float64) + 0.5) * cell
        return lattice_in_frame(frame, self.epsg, self.left + steps, self.top - steps)


TILES = (
    Tile(name="33TYM", epsg=32633, left=713_120, top=5_110_080),
    Tile(name="33TZM", epsg=32633, left=723_720, top=5_110_080),
    Tile(name="34TBS", epsg=32634, left=270_100, top=5_110_080),
)
"""Two tiles that overlap by 1.4 km in the western zone, the second reaching 3.6 km over the border; the tile of the
eastern zone starts 1.8 to 2.4 km east of it. The strip between lies in the eastern zone and on the western zone's tiles
alone, as real strips do."""
