"""Small rasters of probabilities in degrees: GeoTIFFs, and the grids of GMT (NetCDF 3) that came before them."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.io import netcdf_file

from landslide_scale.errors import PermanentReadError
from landslide_scale.reading.geotiff import opened_as, reading, storage_problem
from landslide_scale.redaction import redacted
from landslide_scale.scene import Access

MOST_CELLS = 64_000_000
"""Of one raster; one of the USGS has some hundred thousand to ten million."""

_KINDS = frozenset({"float32", "float64"})
_EVEN = 1e-3
"""Of the spacing, by which places of a grid may differ from even ones."""

_TURN = 360.0


@dataclass(frozen=True, kw_only=True, eq=False)
class Geographic:
    """Probabilities on a raster in degrees.

    Attributes:
        values: (H, W) float32, 0 to 1, north first; NaN where there is none.
        west, north: Outer corner of the first cell.
        dx, dy: Of a cell.
    """

    values: NDArray[np.float32]
    west: float
    north: float
    dx: float
    dy: float

    def __post_init__(self) -> None:
        if not np.isfinite([self.west, self.north, self.dx, self.dy]).all() or min(self.dx, self.dy) <= 0:
            raise PermanentReadError(f"cells of {self.dx} x {self.dy} degrees", expected="a raster in degrees")
        if not (self.south >= -90 - self.dy and self.north <= 90 + self.dy and self.dx * self.values.shape[1] <= _TURN):
            raise PermanentReadError(f"a raster from {self.west}, {self.north} on", expected="one in degrees")
        low, high = np.nanmin(self.values, initial=0.0), np.nanmax(self.values, initial=0.0)
        if low < 0 or high > 1:
            raise PermanentReadError(f"values from {low:g} to {high:g}", expected="probabilities, 0 to 1")

    @property
    def south(self) -> float:
        """Outer edge of the last row."""
        return float(self.north - self.dy * self.values.shape[0])

    @property
    def east(self) -> float:
        """Outer edge of the last column."""
        return float(self.west + self.dx * self.values.shape[1])


def read_geographic(href: str, access: Access) -> Geographic:
    """The probabilities of a GeoTIFF in degrees, whole.

    Raises:
        ReadError: It cannot be read, or is something else.
    """

    def whole() -> Geographic:
        with opened_as(_checked, href, access) as (dataset, (west, north, dx, dy)):
            values = dataset.read(1).astype(np.float32)
            if dataset.nodata is not None:
                values[values == np.float32(dataset.nodata)] = np.nan
            return Geographic(values=values, west=west, north=north, dx=dx, dy=dy)

    return reading(href, access, whole)


def _checked(dataset: Any, href: str) -> tuple[float, float, float, float]:  # noqa: ANN401 rasterio ships no types
    a, b, west, d, e, north = tuple(dataset.transform)[:6]
    problem = storage_problem(dataset, _KINDS)
    if not problem and dataset.shape[0] * dataset.shape[1] > MOST_CELLS:
        problem = f"{dataset.shape[0]} x {dataset.shape[1]} cells"
    if not problem and (b or d or a <= 0 or e >= 0 or dataset.crs is None or dataset.crs.to_epsg() != 4326):  # noqa: PLR2004
        problem = f"transform {tuple(dataset.transform)[:6]} and CRS {dataset.crs}"
    if problem:
        raise PermanentReadError(
            problem,
            expected="one north-up band of probabilities in EPSG:4326, losslessly compressed",
            file=redacted(href),
        )
    return west, north, a, -e


def parse_grd(content: bytes) -> Geographic:
    """The probabilities of a grid of GMT, in NetCDF 3: variables x, y and z, whose nodes are the middles of cells.

    Raises:
        PermanentReadError: It is none.
    """
    try:
        with netcdf_file(io.BytesIO(content), "r", mmap=False) as grid:
            x, y = (np.array(grid.variables[name][:], np.float64) for name in ("x", "y"))
            values = np.array(grid.variables["z"][:], np.float32).reshape(y.size, x.size)
    except (OSError, ValueError, TypeError, LookupError, AttributeError, OverflowError, MemoryError) as error:
        raise PermanentReadError(
            f"no grid ({type(error).__name__}: {str(error)[:200]})", expected="x, y and z in NetCDF 3"
        ) from None
    dx, dy = _spacing(x), _spacing(y)
    if dy > 0:
        y, values, dy = y[::-1], values[::-1], -dy
    values = np.where(np.abs(values) > 1e30, np.nan, values)  # noqa: PLR2004 NetCDF's own filling
    return Geographic(
        values=values.astype(np.float32), west=float(x[0]) - dx / 2, north=float(y[0]) - dy / 2, dx=dx, dy=-dy
    )


def _spacing(places: NDArray[np.float64]) -> float:
    """Between even places, negative where they fall."""
    if places.ndim != 1 or places.size < 2 or not np.isfinite(places).all():  # noqa: PLR2004
        raise PermanentReadError(f"{places.shape} places", expected="two or more along each axis")
    step = float(places[-1] - places[0]) / (places.size - 1)
    if not np.allclose(np.diff(places), step, rtol=_EVEN, atol=0):
        raise PermanentReadError("places that are not even", expected="a grid of one spacing")
    return step
