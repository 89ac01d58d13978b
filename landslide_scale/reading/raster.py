"""Pixels of one asset on a zone's lattice.

An asset of the zone's own coordinate system is read natively: its pixels are repeated where they are coarser and
averaged where they are finer than the lattice, never interpolated. An asset of another system, or off the lattice, is
averaged as far as whole pixels go and sampled at the exact position of every pixel centre, so that the value does not
depend on which block asked for it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.features import rasterize
from rasterio.windows import Window as RasterWindow
from shapely.geometry.base import BaseGeometry

from landslide_scale.grid import Lattice, PixelBox, transformer
from landslide_scale.reading.claims import Stored
from landslide_scale.reading.geotiff import Source, opened, opened_overview, reading
from landslide_scale.reading.resampling import AVERAGED, NEAREST, Resampling, cached_rows, mean_above_0
from landslide_scale.scene import Access

SAMPLE_SIDE = 512
LARGEST_SAMPLED = 4 * SAMPLE_SIDE
"""Pixels; the side of an overview, or of a small file, that is read whole for a sample."""

SAMPLED_ROWS = 256
"""Rows of a box that are sampled at a time: the positions of one pixel take some hundred bytes."""

ANYWHERE = Access()
"""For an address that does not come from a catalogue: its own host may be read, wherever that is."""


@dataclass(frozen=True, kw_only=True)
class Pixels:
    """What was read of an asset.

    Attributes:
        values: (H, W); scene classes int16, or digital numbers float32.
        source: Where the asset's own pixels lie.
    """

    values: NDArray[Any]
    source: Source


def source(href: str, access: Access = ANYWHERE) -> Source:
    """Where an asset's own pixels lie.

    Raises:
        ReadError: As for :func:`read_classes`.
    """

    def look() -> Source:
        with opened(href, access) as (_, found):
            return found

    return reading(href, access, look)


def read_classes(
    href: str, lattice: Lattice, box: PixelBox, access: Access = ANYWHERE, method: Resampling = NEAREST
) -> Pixels:
    """Scene classes (H, W) int16 of `box`, nearest neighbour, 0 for no data and -1 outside the asset.

    Raises:
        ReadError: The asset cannot be read (:class:`TryAgainError` after the attempts are used up), or says of its
            numbers what cannot be honoured.
    """
    return reading(href, access, lambda: _read(href, access, lattice, box, method))


def read_numbers(
    href: str, lattice: Lattice, box: PixelBox, access: Access = ANYWHERE, method: Resampling = AVERAGED
) -> Pixels:
    """Digital numbers (H, W) float32 of `box`, NaN where the asset has none.

    Where the asset is finer than the lattice, the mean of its pixels; where it has another coordinate system, or edges
    that do not agree, the same as far as whole pixels go (`AVERAGED`, by default), then bilinear. Pixels without data
    are left out of both.

    Raises:
        ReadError: As for :func:`read_classes`.
    """
    return reading(href, access, lambda: _read(href, access, lattice, box, method))


def read_sample(href: str, access: Access = ANYWHERE) -> NDArray[Any] | None:
    """Every so many pixels of a whole asset, (512, 512), from one overview; None where it has none small enough.

    Two assets of one scene give the same ground, whatever their resolutions.

    Raises:
        ReadError: The asset cannot be read (:class:`TryAgainError` after the attempts are used up).
    """

    def sample() -> NDArray[Any] | None:
        with opened(href, access) as (dataset, source):
            factors = dataset.overviews(1)
            factor = max((f for f in factors if f > 1 and max(source.box.shape) / f >= SAMPLE_SIDE), default=1)
            if max(source.box.shape) / factor > LARGEST_SAMPLED:
                return None
            if factor == 1:
                return _every_so_many(dataset.read(1))
        whole = opened_overview(href, access, factor, factors, source)
        return None if whole is None else _every_so_many(whole)

    return reading(href, access, sample)


def _every_so_many(whole: NDArray[Any]) -> NDArray[Any]:
    """The pixels (512, 512) of (H, W) nearest to even places; GDAL is not asked, for it would look for overviews."""
    rows, cols = ((np.arange(SAMPLE_SIDE) + 0.5) * side / SAMPLE_SIDE for side in whole.shape)
    return np.asarray(whole[rows.astype(int)[:, None], cols.astype(int)])


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


def _read(href: str, access: Access, lattice: Lattice, box: PixelBox, method: Resampling) -> Pixels:
    with opened(href, access) as (dataset, source):
        method.stored.check(dataset, href)
        window = partial(_window, dataset, source, method.stored)
        if fits(source, lattice):
            values = _read_native(window, source, lattice, box, method.place)
        else:
            values = _read_elsewhere(window, source, lattice, box, method)
        return Pixels(values=values, source=source)


def is_native(epsg: int, lattice: Lattice) -> bool:
    """Whether an asset of this coordinate system is read without resampling on `lattice`."""
    return epsg == lattice.zone.epsg


def fits(source: Source, lattice: Lattice) -> bool:
    """Whether every pixel edge of the coarser of the two is one of the finer."""
    x0, y0 = lattice.zone.origin
    fine, coarse = sorted((source.resolution, float(lattice.resolution)))
    steps = (coarse / fine, (source.west - x0) / fine, (y0 - source.north) / fine)
    return source.epsg == lattice.zone.epsg and all(abs(step - round(step)) < 1e-6 for step in steps)  # noqa: PLR2004


def _read_native(
    window: Callable[[PixelBox], NDArray[Any]],
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
    values = window(wanted)
    if repeat > 1:
        values = values.repeat(repeat, axis=0).repeat(repeat, axis=1)
    top = box.row_start * merge - row0 - wanted.row_start * repeat
    left = box.col_start * merge - col0 - wanted.col_start * repeat
    rows, cols = box.shape
    return place(values[top : top + rows * merge, left : left + cols * merge], merge, rows)


def _read_elsewhere(
    window: Callable[[PixelBox], NDArray[Any]], source: Source, lattice: Lattice, box: PixelBox, method: Resampling
) -> NDArray[Any]:
    """Sample at the position of every pixel centre, found point by point; read once, sampled by strips of rows."""
    out = method.stored.outside(box.shape)
    merge = method.merge(lattice.resolution / source.resolution)
    merged = _merged(source, merge)
    common = _around(box, merged, lattice).intersection(merged.box)
    if common is None:
        return out
    values = window(_times(common, merge))
    if merge > 1:
        values = mean_above_0(values, merge, common.shape[0])
    for top in range(box.row_start, box.row_stop, SAMPLED_ROWS):
        strip = replace(box, row_start=top, row_stop=min(top + SAMPLED_ROWS, box.row_stop))
        rows, cols = _positions(strip, merged, lattice)
        # Integer shifts of doubles are exact, so the fraction within a pixel is the same from every block.
        out[strip.within(box)] = method.sample(values, rows - common.row_start, cols - common.col_start)
    return out


def _merged(source: Source, merge: int) -> Source:
    """The same raster in pixels of `merge` x `merge` of its own, counted from its upper left corner."""
    rows, cols = -(-source.rows // merge), -(-source.cols // merge)
    return replace(source, resolution=source.resolution * merge, rows=rows, cols=cols)


def _times(box: PixelBox, factor: int) -> PixelBox:
    return PixelBox(
        row_start=box.row_start * factor,
        row_stop=box.row_stop * factor,
        col_start=box.col_start * factor,
        col_stop=box.col_stop * factor,
    )


def _around(box: PixelBox, source: Source, lattice: Lattice) -> PixelBox:
    """The source's pixels that those of `box` are sampled from: where its rim goes, for no fold lies within."""
    rim = [
        replace(box, row_stop=box.row_start + 1),
        replace(box, row_start=box.row_stop - 1),
        replace(box, col_stop=box.col_start + 1),
        replace(box, col_start=box.col_stop - 1),
    ]
    rows, cols = (np.concatenate(axis) for axis in zip(*(_rimmed(side, source, lattice) for side in rim), strict=True))
    return PixelBox(
        row_start=int(np.floor(rows.min())) - 1,
        row_stop=int(np.ceil(rows.max())) + 2,
        col_start=int(np.floor(cols.min())) - 1,
        col_stop=int(np.ceil(cols.max())) + 2,
    )


def _rimmed(side: PixelBox, source: Source, lattice: Lattice) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    rows, cols = _positions(side, source, lattice)
    return rows.ravel(), cols.ravel()


def _positions(box: PixelBox, source: Source, lattice: Lattice) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Row and column (H, W) in the source of every pixel centre of `box`, in pixels from its first centre."""
    x, y = transformer(lattice.zone.epsg, source.epsg).transform(*np.meshgrid(*lattice.centres(box)))
    return (source.north - y) / source.resolution - 0.5, (x - source.west) / source.resolution - 0.5


def _window(dataset: Any, source: Source, stored: Stored, wanted: PixelBox) -> NDArray[Any]:  # noqa: ANN401 rasterio's
    """Pixels of `wanted` (source rows and columns) as they are `stored`."""
    common = wanted.intersection(source.box)
    if common is None:
        return stored.outside(wanted.shape)
    height, width = common.shape
    numbers = dataset.read(1, window=RasterWindow(common.col_start, common.row_start, width, height))
    out = np.empty(wanted.shape, stored.kind) if common == wanted else stored.outside(wanted.shape)
    inner = out[common.within(wanted)]
    for rows in cached_rows(numbers.shape):
        inner[rows] = stored.taken(numbers[rows], dataset.nodata)
    return out
