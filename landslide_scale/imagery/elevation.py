"""Elevation on a zone's lattice, from tiles in degrees or metres that abut, overlap or leave gaps.

Every pixel is interpolated bilinearly at the exact position of its centre, between the four nearest pixels of whichever
tiles these lie in: tiles of Copernicus GLO-30 abut without a common pixel, and have other widths in the next latitude
band, but their rows go on. So a value depends neither on the block that asks nor on where a tile ends.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import map_coordinates

from landslide_scale.errors import PermanentReadError, ReadError
from landslide_scale.grid import Lattice, PixelBox, transformer
from landslide_scale.imagery.geotiff import MAX_SIDE, opened_as, reading, storage_problem
from landslide_scale.redaction import redacted
from landslide_scale.stac.dem import COARSEST_M, DemTile

FINEST_M = 5.0
METRES_PER_DEGREE = 111_320.0
GROUND_M = (-1000.0, 9000.0)
"""Elevations of ground, closed: beyond them is what some files hold for no data without saying so."""

LEAST_WEIGHT = 0.5
"""A pixel has an elevation where pixels with data hold at least this much of the bilinear weight; so at the edge of all
data it has one up to half a pixel beyond the last centre."""

_KINDS = frozenset({"float32", "int16"})
_FULL = 1 - 1e-6
_METRES = {None, "", "m", "metre", "metres", "meter", "meters"}
_HALF_TURN = 180.0
_WHOLE_TURN = 360.0

Field = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class DemGrid:
    """Where the pixels of an open elevation model lie.

    Attributes:
        epsg: Its coordinate reference system.
        geographic: Whether that is in degrees; else in metres.
        west, north: Upper left corner, in degrees or metres.
        width, height: Sides of a pixel, likewise.
        rows, cols: Its size.
    """

    epsg: int
    geographic: bool
    west: float
    north: float
    width: float
    height: float
    rows: int
    cols: int

    @property
    def box(self) -> PixelBox:
        """All its pixels."""
        return PixelBox(row_start=0, row_stop=self.rows, col_start=0, col_stop=self.cols)

    @property
    def height_m(self) -> float:
        """Side of a pixel from north to south, metres."""
        return self.height * (METRES_PER_DEGREE if self.geographic else 1)

    @property
    def width_m(self) -> float:
        """Side of a pixel from west to east in the middle of the raster, metres."""
        middle = self.north - self.height * self.rows / 2
        return self.width * (METRES_PER_DEGREE * math.cos(math.radians(middle)) if self.geographic else 1)

    def place(self, x: Field, y: Field) -> tuple[Field, Field]:
        """Rows and columns of points, 0 at the centre of the first pixel; longitudes a turn away are the same."""
        if self.geographic:
            middle = self.west + self.width * self.cols / 2
            x = x + _WHOLE_TURN * np.round((middle - x) / _WHOLE_TURN)
        return (self.north - y) / self.height - 0.5, (x - self.west) / self.width - 0.5


def read_elevation(tiles: Iterable[DemTile], lattice: Lattice, box: PixelBox) -> Field:
    """Elevation (H, W) float64, metres, at the pixel centres of `box`; NaN where no tile has data.

    Where tiles overlap, the first by id decides.

    Raises:
        ReadError: A tile cannot be read, or is no elevation model; the error names it.
    """
    centres = np.meshgrid(*lattice.centres(box))
    known: dict[int, tuple[Field, Field]] = {}
    total, weight = np.zeros(box.shape), np.zeros(box.shape)
    for tile in sorted(tiles, key=lambda tile: tile.id):
        if (weight >= _FULL).all():
            break
        part, share = _sampled(tile, lattice, centres, known)
        # What is full is left alone: else the last bits of a value would depend on the tiles that a block knows.
        taken = np.where(weight < _FULL, np.minimum(share, 1 - weight), 0.0)
        total += part * np.divide(taken, share, out=np.zeros(box.shape), where=share > 0)
        weight += taken
    held = weight >= LEAST_WEIGHT
    return np.where(held, total / np.where(held, weight, 1), np.nan)


def _sampled(
    tile: DemTile, lattice: Lattice, centres: Sequence[Field], known: dict[int, tuple[Field, Field]]
) -> tuple[Field, Field]:
    """Of each centre, the weighted sum of the tile's pixels with data, and their weight, 0 to 1.

    `known` keeps the centres in each coordinate system: moving them there costs more than reading.
    """

    def sample() -> tuple[Field, Field]:
        with opened_as(partial(_checked, resolution=lattice.resolution), tile.href, tile.access) as (dataset, grid):
            if grid.epsg not in known:
                known[grid.epsg] = transformer(lattice.zone.epsg, grid.epsg).transform(centres[0], centres[1])
            return _between(dataset, grid, *grid.place(*known[grid.epsg]))

    try:
        return reading(tile.href, tile.access, sample)
    except ReadError as error:
        raise error.at(dem=tile.id) from error


def _between(dataset: Any, grid: DemGrid, rows: Field, cols: Field) -> tuple[Field, Field]:  # noqa: ANN401 rasterio's
    part, share = np.zeros(rows.shape), np.zeros(rows.shape)
    near = (rows > -1) & (rows < grid.rows) & (cols > -1) & (cols < grid.cols)
    if near.any():
        rows, cols = rows[near], cols[near]
        window = _around(rows, cols, grid)
        values, held = _pixels(dataset, window)
        # Integer shifts of doubles are exact, so the fraction within a pixel is the same from every block.
        at = (rows - window.row_start, cols - window.col_start)
        part[near] = map_coordinates(values, at, order=1, mode="grid-constant", cval=0.0)
        share[near] = map_coordinates(held, at, order=1, mode="grid-constant", cval=0.0)
    return part, share


def _around(rows: Field, cols: Field, grid: DemGrid) -> PixelBox:
    """The tile's pixels around some points, each less than a pixel outside it at most."""
    return PixelBox(
        row_start=max(0, math.floor(rows.min())),
        row_stop=min(grid.rows, math.floor(rows.max()) + 2),
        col_start=max(0, math.floor(cols.min())),
        col_stop=min(grid.cols, math.floor(cols.max()) + 2),
    )


def _pixels(dataset: Any, window: PixelBox) -> tuple[Field, Field]:  # noqa: ANN401 rasterio ships no types
    """Elevations, 0 where there are none, and 1 where there are."""
    rows, cols = (window.row_start, window.row_stop), (window.col_start, window.col_stop)
    values = dataset.read(1, window=(rows, cols)).astype(np.float64)
    low, high = GROUND_M
    held = (values >= low) & (values <= high)  # false for NaN
    if dataset.nodata is not None:
        held &= values != dataset.nodata
    return np.where(held, values, 0.0), held.astype(np.float64)


def _checked(dataset: Any, href: str, *, resolution: int) -> DemGrid:  # noqa: ANN401 rasterio ships no types
    """What an open file claims, where an elevation model may claim it; scenes are checked by other rules."""
    problem = storage_problem(dataset, _KINDS) or _band_problem(dataset) or _place_problem(dataset)
    if problem:
        raise _refused(problem, href)
    width, _, west, _, height, north = tuple(dataset.transform)[:6]
    rows, cols = dataset.shape
    grid = DemGrid(
        epsg=dataset.crs.to_epsg(),
        geographic=dataset.crs.is_geographic,
        west=west,
        north=north,
        width=width,
        height=-height,
        rows=rows,
        cols=cols,
    )
    sides = (grid.width_m, grid.height_m)
    on_earth = not grid.geographic or (abs(north) <= _HALF_TURN / 2 + 1 and abs(west) <= _WHOLE_TURN)
    if not (FINEST_M <= min(sides) <= max(sides) <= COARSEST_M and on_earth):
        raise _refused(f"pixels of {sides[0]:.3g} x {sides[1]:.3g} m at {west}, {north}", href)
    if 2 * grid.height_m < resolution:
        raise PermanentReadError(
            f"pixels of {grid.height_m:.3g} m under a lattice of {resolution} m",
            expected="at least half as large: the centres of larger ones would be a chance sample",
            cure="Choose a coarser dem.collection (cop-dem-glo-90), or a finer grid.resolution.",
            file=redacted(href),
        )
    return grid


def _band_problem(dataset: Any) -> str:  # noqa: ANN401 rasterio ships no types
    if (dataset.scales[0], dataset.offsets[0]) != (1.0, 0.0):
        return f"scale {dataset.scales[0]} and offset {dataset.offsets[0]}"
    if dataset.units[0] not in _METRES:
        return f"unit {dataset.units[0]!r}"
    if "per_dataset" in {flag.name for flag in dataset.mask_flag_enums[0]}:
        return "a mask beside the band"
    return ""


def _place_problem(dataset: Any) -> str:  # noqa: ANN401 rasterio ships no types
    a, b, west, d, e, north = tuple(dataset.transform)[:6]
    crs = dataset.crs
    north_up = a > 0 and e < 0 and not b and not d and math.isfinite(a + e + west + north)
    if not north_up or crs is None or crs.to_epsg() is None:
        return f"transform {tuple(dataset.transform)[:6]} and CRS {crs}"
    if crs.units_factor[0] not in {"degree", "metre"}:
        return f"a CRS in units of {crs.units_factor[0]}"
    return ""


def _refused(problem: str, href: str) -> PermanentReadError:
    return PermanentReadError(
        problem,
        expected="one north-up band of elevations in metres, float32 or int16, without scale or mask, at most "
        f"{MAX_SIDE} px of 5 to 1000 m, in blocks, losslessly compressed, with an EPSG code in degrees or metres",
        file=redacted(href),
    )
