"""The ground the made world stands on: one rectangle of one UTM zone, reaching over the zone's border."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyproj
from numpy.typing import NDArray
from scipy.interpolate import RectBivariateSpline
from shapely import Polygon, box, segmentize, transform

CELL_M = 10
"""Side of a terrain and cover cell, and of a Sentinel-2 pixel."""
FINE_M = 5
"""Side of the cells reflectance is computed on: half a pixel, so that a half-pixel shift is exact."""
TRUTH_M = 2.5
"""Side of the cells outlines are drawn on."""


@dataclass(frozen=True, kw_only=True)
class Frame:
    """A north-up rectangle in one CRS; row 0 is the north edge and column 0 the west edge, of any cell size.

    Attributes:
        epsg: CRS of the coordinates, metres.
        left, top: North-west corner; multiples of 20 m, so that 10 m and 20 m pixels align.
        width_m, height_m: Size, multiples of 120 m (the coarsest raster drawn).
    """

    epsg: int = 32633
    left: int = 714720
    top: int = 5109840
    width_m: int = 23040
    height_m: int = 11520

    @property
    def area_km2(self) -> float:
        """Area in square kilometres."""
        return self.width_m * self.height_m / 1e6

    def shape(self, cell: float) -> tuple[int, int]:
        """(rows, columns) of a raster of `cell` metres."""
        return round(self.height_m / cell), round(self.width_m / cell)

    def transform(self, cell: float) -> tuple[float, float, float, float, float, float]:
        """Affine (a, b, c, d, e, f) from (column, row) to (x, y) of a raster of `cell` metres."""
        return (cell, 0.0, float(self.left), 0.0, -cell, float(self.top))

    def rows_columns(
        self, x: NDArray[np.float64], y: NDArray[np.float64], cell: float
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Fractional (row, column) indices of points, integers at cell centres."""
        return (self.top - y) / cell - 0.5, (x - self.left) / cell - 0.5

    def rectangle(self, west_m: float, east_m: float, inset_m: float) -> Polygon:
        """The part between two distances from the west edge, in the frame's CRS, drawn in by `inset_m` all round."""
        return box(
            self.left + west_m + inset_m,
            self.top - self.height_m + inset_m,
            self.left + east_m - inset_m,
            self.top - inset_m,
        )


def to_lonlat(polygon: Polygon, epsg: int, *, step_m: float | None = None) -> Polygon:
    """A polygon in longitude and latitude; with `step_m`, its long edges keep to their ground to within centimetres."""
    change = pyproj.Transformer.from_crs(epsg, 4326, always_xy=True).transform
    dense = polygon if step_m is None else segmentize(polygon, step_m)
    return transform(dense, lambda points: np.column_stack(change(points[:, 0], points[:, 1])))


_NODES = 33


def lattice_in_frame(
    frame: Frame, epsg: int, x: NDArray[np.float64], y: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Coordinates x and y in the frame's CRS of the points of a lattice in another, (rows, columns) each.

    The projection is computed exactly at 33 x 33 nodes and by cubic spline between; over a tile the two differ by
    less than a millimetre.

    Args:
        frame: Whose CRS the answer is in.
        epsg: CRS of the lattice.
        x: (columns,) ascending metres.
        y: (rows,) descending metres.
    """
    if epsg == frame.epsg:
        there_x, there_y = np.meshgrid(x, y)
        return there_x, there_y
    node_x, node_y = np.linspace(x[0], x[-1], _NODES), np.linspace(y[-1], y[0], _NODES)
    change = pyproj.Transformer.from_crs(epsg, frame.epsg, always_xy=True)
    exact = change.transform(*np.meshgrid(node_x, node_y))
    splined = [RectBivariateSpline(node_y, node_x, values)(y[::-1], x)[::-1] for values in exact]
    return splined[0], splined[1]
