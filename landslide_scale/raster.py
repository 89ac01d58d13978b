"""Pixels of one asset on a zone's lattice: rasterio lives here.

An asset of the zone's own coordinate system is read natively: its pixels are repeated where they are coarser and
averaged where they are finer than the lattice, never interpolated. An asset of another system is sampled at the
exact position of every pixel centre, so that the value does not depend on which block asked for it.
"""

from __future__ import annotations

import logging
import math
import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.errors import RasterioError
from rasterio.features import rasterize
from rasterio.windows import Window as RasterWindow
from scipy.ndimage import map_coordinates
from shapely.geometry.base import BaseGeometry

from landslide_scale.errors import PermanentReadError, ReadError, TryAgainError
from landslide_scale.grid import Lattice, PixelBox, transformer
from landslide_scale.storage import redacted

log = logging.getLogger(__name__)
T = TypeVar("T")

ATTEMPTS = 3
FIRST_WAIT_S = 0.5
MAX_SIDE = 40_000
"""Pixels; a Sentinel-2 tile has 10 980. Larger claims are refused before anything is allocated."""

MAX_BLOCK = 4096 * 4096
"""Pixels of one compressed block, which is decoded as a whole however little of it is asked for."""


class _UnclearReadError(TryAgainError):
    """A remote file that could not be decoded: broken, or a request in between failed, which GDAL does not say."""


GDAL_OPTIONS = {
    "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR",
    "CPL_VSIL_CURL_ALLOWED_EXTENSIONS": ".tif,.tiff",
    "GDAL_INGESTED_BYTES_AT_OPEN": 32_768,
    "GDAL_HTTP_MERGE_CONSECUTIVE_RANGES": "YES",
    "GDAL_HTTP_MULTIPLEX": "YES",
    "GDAL_NUM_THREADS": 2,
    "GDAL_HTTP_CONNECTTIMEOUT": 10,
    "GDAL_HTTP_TIMEOUT": 30,
    "GDAL_HTTP_LOW_SPEED_LIMIT": 1000,
    "GDAL_HTTP_LOW_SPEED_TIME": 10,
    "GDAL_HTTP_MAX_RETRY": 0,  # GDAL does not retry resets or stalls; the retry around the read does
    "VSI_CACHE": True,
    # Setting this anew for every read also makes GDAL forget the addresses that failed before (a test holds it).
    "AWS_NO_SIGN_REQUEST": "YES",
}

_HTTP_STATUS = re.compile(r"HTTP response code: (\d{3})")
_SERVER_ERROR = 500
_STATUS_THAT_MAY_PASS = (408, 425, 429)


@dataclass(frozen=True, kw_only=True)
class Source:
    """Where the pixels of an open asset lie.

    Attributes:
        epsg: Its coordinate reference system.
        resolution: Side of a pixel in metres.
        west, north: Upper left corner in metres.
        rows, cols: Its size.
    """

    epsg: int
    resolution: float
    west: float
    north: float
    rows: int
    cols: int

    @property
    def box(self) -> PixelBox:
        """All its pixels."""
        return PixelBox(row_start=0, row_stop=self.rows, col_start=0, col_stop=self.cols)


def read_classes(href: str, lattice: Lattice, box: PixelBox) -> NDArray[np.uint8]:
    """Scene classes (H, W) uint8 of `box`, nearest neighbour, 0 outside the asset.

    Raises:
        ReadError: The asset cannot be read (:class:`TryAgainError` after the attempts are used up).
    """
    return _retrying(lambda: _read(href, lattice, box, _place_nearest, _sample_nearest)).astype(np.uint8)


def read_numbers(href: str, lattice: Lattice, box: PixelBox) -> NDArray[np.float32]:
    """Digital numbers (H, W) float32 of `box`, 0 where the asset has none.

    Where the asset is finer than the lattice, the mean of its pixels; where it has another coordinate system,
    bilinear; no-data (0) is left out of both.

    Raises:
        ReadError: The asset cannot be read (:class:`TryAgainError` after the attempts are used up).
    """
    return _retrying(lambda: _read(href, lattice, box, _place_mean, _sample_bilinear)).astype(np.float32)


def burn(shapes: Sequence[BaseGeometry], lattice: Lattice, box: PixelBox) -> NDArray[np.bool_]:
    """True (H, W) where a pixel's centre lies in any of the shapes, given in the zone's coordinates."""
    if not shapes:
        return np.zeros(box.shape, bool)
    transform = rasterio.Affine(*lattice.transform(box))
    return np.asarray(rasterize(shapes, box.shape, transform=transform, dtype="uint8"), bool)


def write_cog(
    path: Path,
    values: NDArray[np.uint8] | NDArray[np.uint16] | NDArray[np.float32],
    *,
    epsg: int,
    transform: tuple[float, float, float, float, float, float],
    nodata: float | None,
) -> None:
    """Write (H, W) `values` as a cloud optimised GeoTIFF with overviews; `transform` maps pixel corners to metres."""
    path.parent.mkdir(parents=True, exist_ok=True)
    profile = {"driver": "COG", "height": values.shape[0], "width": values.shape[1], "count": 1, "nodata": nodata}
    with rasterio.open(
        path,
        "w",
        **profile,
        dtype=values.dtype,
        crs=f"EPSG:{epsg}",
        transform=rasterio.Affine(*transform),
        compress="DEFLATE",
        blocksize=512,
        overview_resampling="NEAREST",
    ) as target:
        target.write(values, 1)


def _read(
    href: str,
    lattice: Lattice,
    box: PixelBox,
    place: Callable[[NDArray[Any], int, int], NDArray[Any]],
    sample: Callable[[NDArray[Any], NDArray[np.float64], NDArray[np.float64]], NDArray[Any]],
) -> NDArray[Any]:
    with _opened(href) as (dataset, source):
        if _aligned(source, lattice):
            return _read_native(dataset, source, lattice, box, place)
        return _read_elsewhere(dataset, source, lattice, box, sample)


def is_native(epsg: int, lattice: Lattice) -> bool:
    """Whether an asset of this coordinate system is read without resampling on `lattice`."""
    return epsg == lattice.zone.epsg


def _aligned(source: Source, lattice: Lattice) -> bool:
    """Whether every pixel edge of the coarser of the two is one of the finer."""
    x0, y0 = lattice.zone.origin
    fine, coarse = sorted((source.resolution, float(lattice.resolution)))
    steps = (coarse / fine, (source.west - x0) / fine, (y0 - source.north) / fine)
    return source.epsg == lattice.zone.epsg and all(abs(step - round(step)) < 1e-6 for step in steps)  # noqa: PLR2004


def _read_native(
    dataset: Any,  # noqa: ANN401 rasterio ships no types
    source: Source,
    lattice: Lattice,
    box: PixelBox,
    place: Callable[[NDArray[Any], int, int], NDArray[Any]],
) -> NDArray[Any]:
    """The fine grid of the two is the common unit: read, bring to it, cut to whole lattice pixels."""
    x0, y0 = lattice.zone.origin
    fine = min(source.resolution, float(lattice.resolution))
    repeat, merge = round(source.resolution / fine), round(lattice.resolution / fine)
    row0, col0 = round((y0 - source.north) / fine), round((source.west - x0) / fine)
    wanted = PixelBox(
        row_start=(box.row_start * merge - row0) // repeat,
        row_stop=-(-(box.row_stop * merge - row0) // repeat),
        col_start=(box.col_start * merge - col0) // repeat,
        col_stop=-(-(box.col_stop * merge - col0) // repeat),
    )
    values = _window(dataset, wanted, source)
    values = values.repeat(repeat, axis=0).repeat(repeat, axis=1)
    top = box.row_start * merge - row0 - wanted.row_start * repeat
    left = box.col_start * merge - col0 - wanted.col_start * repeat
    rows, cols = box.shape
    return place(values[top : top + rows * merge, left : left + cols * merge], merge, rows)


def _place_nearest(values: NDArray[Any], merge: int, rows: int) -> NDArray[Any]:
    """Of each `merge` x `merge` cell the pixel whose upper left corner is nearest the cell's centre."""
    del rows
    return values[merge // 2 :: merge, merge // 2 :: merge]


def _place_mean(values: NDArray[Any], merge: int, rows: int) -> NDArray[Any]:
    """Mean of the pixels with data of each `merge` x `merge` cell; 0 where there is none."""
    if merge == 1:
        return values
    cells = values.reshape(rows, merge, -1, merge).astype(np.float64)
    count = (cells > 0).sum(axis=(1, 3))
    return np.asarray(cells.sum(axis=(1, 3)) / np.maximum(count, 1))


def _read_elsewhere(
    dataset: Any,  # noqa: ANN401 rasterio ships no types
    source: Source,
    lattice: Lattice,
    box: PixelBox,
    sample: Callable[[NDArray[Any], NDArray[np.float64], NDArray[np.float64]], NDArray[Any]],
) -> NDArray[Any]:
    """Sample at the position of every pixel centre, found point by point."""
    x, y = np.meshgrid(*lattice.centres(box))
    x, y = transformer(lattice.zone.epsg, source.epsg).transform(x, y)
    rows = (source.north - y) / source.resolution - 0.5
    cols = (x - source.west) / source.resolution - 0.5
    wanted = PixelBox(
        row_start=int(np.floor(rows.min())) - 1,
        row_stop=int(np.ceil(rows.max())) + 2,
        col_start=int(np.floor(cols.min())) - 1,
        col_stop=int(np.ceil(cols.max())) + 2,
    )
    common = wanted.intersection(source.box)
    if common is None:
        return np.zeros(box.shape)
    # Integer shifts of doubles are exact, so the fraction within a pixel is the same from every block.
    return sample(_window(dataset, common, source), rows - common.row_start, cols - common.col_start)


def _sample_nearest(values: NDArray[Any], rows: NDArray[np.float64], cols: NDArray[np.float64]) -> NDArray[Any]:
    return np.asarray(map_coordinates(values, (np.floor(rows + 0.5), np.floor(cols + 0.5)), order=0, cval=0))


def _sample_bilinear(values: NDArray[Any], rows: NDArray[np.float64], cols: NDArray[np.float64]) -> NDArray[Any]:
    """Bilinear over the pixels with data; a centre whose own pixel has none stays 0."""
    numbers = values.astype(np.float64)
    held = (numbers > 0).astype(np.float64)
    total = map_coordinates(numbers, (rows, cols), order=1, mode="grid-constant", cval=0.0)
    weight = map_coordinates(held, (rows, cols), order=1, mode="grid-constant", cval=0.0)
    own = _sample_nearest(held, rows, cols) > 0
    return np.where(own & (weight > 0), total / np.maximum(weight, 1e-12), 0.0)


def _window(dataset: Any, wanted: PixelBox, source: Source) -> NDArray[Any]:  # noqa: ANN401 rasterio ships no types
    """Pixels of `wanted` (source rows and columns), 0 outside the asset."""
    out = np.zeros(wanted.shape, dataset.dtypes[0])
    common = wanted.intersection(source.box)
    if common is not None:
        height, width = common.shape
        window = RasterWindow(common.col_start, common.row_start, width, height)
        out[common.within(wanted)] = dataset.read(1, window=window)
    return out


@contextmanager
def _opened(href: str) -> Iterator[tuple[Any, Source]]:
    """An asset opened as a GeoTIFF and nothing else, its claims checked."""
    with rasterio.Env(**GDAL_OPTIONS):
        try:
            with rasterio.open(href, driver="GTiff") as dataset:
                yield dataset, _checked(dataset, href)
        except (RasterioError, OSError) as error:
            raise _classified(error, href) from error


def _checked(dataset: Any, href: str) -> Source:  # noqa: ANN401 rasterio ships no types
    a, b, west, d, e, north = tuple(dataset.transform)[:6]
    problem = ""
    if max(dataset.shape) > MAX_SIDE:
        problem = f"{dataset.shape[0]} x {dataset.shape[1]} pixels"
    elif math.prod(dataset.block_shapes[0]) > MAX_BLOCK:
        problem = f"blocks of {dataset.block_shapes[0][0]} x {dataset.block_shapes[0][1]} pixels"
    elif dataset.count != 1 or dataset.dtypes[0] not in {"uint8", "uint16", "int16"}:
        problem = f"{dataset.count} band(s) of {dataset.dtypes[0]}"
    elif b or d or a <= 0 or a != -e or dataset.crs is None or dataset.crs.to_epsg() is None:
        problem = f"transform {tuple(dataset.transform)[:6]} and CRS {dataset.crs}"
    if problem:
        raise PermanentReadError(
            problem,
            expected=f"one north-up band of 8 or 16 bits, at most {MAX_SIDE} px, in blocks, with an EPSG code",
            file=redacted(href),
        )
    rows, cols = dataset.shape
    return Source(epsg=dataset.crs.to_epsg(), resolution=a, west=west, north=north, rows=rows, cols=cols)


def _classified(error: Exception, href: str) -> ReadError:
    text = " ".join(str(part) for part in (error, error.__cause__) if part).replace(href, "the asset")
    if "?" in href:
        text = text.replace(href[href.index("?") :], "")  # GDAL says the end of a name, where signatures are
    return _kind(text, href)(text, expected="a readable GeoTIFF", file=redacted(href))


def _kind(text: str, href: str) -> type[ReadError]:
    if "://" not in href:
        return PermanentReadError
    if status := _HTTP_STATUS.search(text):
        code = int(status[1])
        return TryAgainError if code >= _SERVER_ERROR or code in _STATUS_THAT_MAY_PASS else PermanentReadError
    return TryAgainError if "CURL error" in text else _UnclearReadError


def _retrying(read: Callable[[], T]) -> T:
    """Run `read`; a failure that may pass is tried again after a wait that doubles."""
    for attempt in range(1, ATTEMPTS):
        try:
            return read()
        except TryAgainError as error:
            log.warning("attempt %d of %d: %s", attempt, ATTEMPTS, error)
            time.sleep(FIRST_WAIT_S * 2 ** (attempt - 1))
    try:
        return read()
    except _UnclearReadError as error:
        raise PermanentReadError(error.found, expected=error.expected, cure=error.cure, **error.where) from error
