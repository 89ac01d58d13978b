"""Elevation on a zone's lattice, from tiles in degrees or metres that abut, overlap or leave gaps.

Every pixel is interpolated at the exact position of its centre, between the nearest pixels of whichever tiles these lie
in: tiles of Copernicus GLO-30 abut without a common pixel, and have other widths in the next latitude band, but their
rows go on. So a value depends neither on the block that asks nor on where a tile ends. ``surface.py`` has the weights.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from landslide_scale.errors import PermanentReadError, ReadError
from landslide_scale.grid import Lattice, PixelBox, transformer
from landslide_scale.imagery.surface import SURFACES, Field, Pixels
from landslide_scale.reading.geotiff import MAX_SIDE, opened_as, reading, storage_problem
from landslide_scale.redaction import redacted
from landslide_scale.stac.dem import COARSEST_M, DemTile
from landslide_scale.stac.settings import Interpolation

FINEST_M = 5.0
METRES_PER_DEGREE = 111_320.0
GROUND_M = (-1000.0, 9000.0)
"""Elevations of ground, closed: beyond them is what some files hold for no data without saying so."""

_KINDS = frozenset({"float32", "int16"})
_METRES = {None, "", "m", "metre", "metres", "meter", "meters"}
_HALF_TURN = 180.0
_WHOLE_TURN = 360.0


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


def read_elevation(
    tiles: Iterable[DemTile], lattice: Lattice, box: PixelBox, interpolation: Interpolation = "cubic"
) -> Field:
    """Elevation (H, W) float64, metres, at the pixel centres of `box`; NaN where no tile has data.

    Where tiles overlap, the first by id decides.

    Raises:
        ReadError: A tile cannot be read, or is no elevation model; the error names it.
    """
    known: dict[int, tuple[Field, Field]] = {}
    surface = SURFACES[interpolation](box.shape)
    for tile in sorted(tiles, key=lambda tile: tile.id):
        if surface.full:
            break
        surface.add(*_placed(tile, lattice, box, known, surface.reach))
    return surface.finish()


def _placed(
    tile: DemTile, lattice: Lattice, box: PixelBox, known: dict[int, tuple[Field, Field]], reach: int
) -> tuple[Field, Field, Pixels]:
    """Where the centres of `box` lie in the tile, in rows and columns, and its pixels around them.

    `known` keeps the centres in each coordinate system: moving them there costs more than reading.
    """

    def place() -> tuple[Field, Field, Pixels]:
        with opened_as(partial(_checked, resolution=lattice.resolution), tile.href, tile.access) as (dataset, grid):
            if grid.epsg not in known:
                x, y = np.meshgrid(*lattice.centres(box))
                known[grid.epsg] = transformer(lattice.zone.epsg, grid.epsg).transform(x, y)
                del x, y
            rows, cols = grid.place(*known[grid.epsg])
            return rows, cols, _around(dataset, grid, rows, cols, reach)

    try:
        return reading(tile.href, tile.access, place)
    except ReadError as error:
        raise error.at(dem=tile.id) from error


def _around(dataset: Any, grid: DemGrid, rows: Field, cols: Field, reach: int) -> Pixels:  # noqa: ANN401 rasterio's
    """The tile's pixels around the points that any of them is less than `reach` pixels from; beyond it, no data."""
    near = (rows > -reach) & (rows < grid.rows - 1 + reach) & (cols > -reach) & (cols < grid.cols - 1 + reach)
    if not near.any():
        return Pixels(row=0, col=0, values=np.zeros((0, 0), np.float32), held=np.zeros((0, 0), bool))
    rows, cols = np.floor(rows[near]), np.floor(cols[near])
    outer = PixelBox(
        row_start=int(rows.min()) + 1 - reach,
        row_stop=int(rows.max()) + 1 + reach,
        col_start=int(cols.min()) + 1 - reach,
        col_stop=int(cols.max()) + 1 + reach,
    )
    del rows, cols, near
    values, held = np.zeros(outer.shape, np.float32), np.zeros(outer.shape, bool)
    window = outer.intersection(grid.box)
    if window is not None:
        inner = window.within(outer)
        _read(dataset, window, values[inner], held[inner])
    return Pixels(row=outer.row_start, col=outer.col_start, values=values, held=held)


def _read(dataset: Any, window: PixelBox, values: NDArray[np.float32], held: NDArray[np.bool_]) -> None:  # noqa: ANN401
    """Fill in the pixels of `window` where they hold data: their elevations, and that they do."""
    rows, cols = (window.row_start, window.row_stop), (window.col_start, window.col_stop)
    found = dataset.read(1, window=(rows, cols))
    low, high = GROUND_M
    np.copyto(held, (found >= low) & (found <= high))  # false for NaN
    if dataset.nodata is not None:
        held &= found != dataset.nodata
    np.copyto(values, found, where=held)  # of int16, exact


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
