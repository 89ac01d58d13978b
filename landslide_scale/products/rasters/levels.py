"""A raster's resolutions, each a tiled GeoTIFF of its own, written and read a piece at a time, and joined as one."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import rasterio
import rasterio.shutil
from numpy.typing import NDArray
from rasterio.windows import Window as Piece

from landslide_scale.products.rasters.pyramid import Halving

SIDE = 2048
"""Of a piece, in pixels: whole tiles."""

_TILES = {
    "driver": "GTiff",
    "count": 1,
    "tiled": True,
    "blockxsize": 512,
    "blockysize": 512,
    "compress": "DEFLATE",
    "zlevel": 1,
    "bigtiff": "IF_SAFER",
}

_SOME = 8
"""Bytes."""

Read = Callable[[Piece], NDArray[Any]]
"""Gives the pixels (H, W) of a piece."""


def write_level(path: Path, profile: Mapping[str, Any], read: Read) -> None:
    """Write one resolution.

    Args:
        path: Where it goes.
        profile: ``height``, ``width``, ``dtype``, ``nodata``, ``crs`` and ``transform``.
        read: Where its pixels come from.
    """
    with rasterio.open(path, "w", **profile, **_TILES) as target:
        for piece in pieces(target.shape):
            target.write(read(piece), 1, window=piece)
    settle(path)


def write_coarser(path: Path, finer: Path, halved: Halving) -> None:
    """Write the next coarser resolution of what is in `finer`."""
    with rasterio.open(finer) as source:
        a, b, west, d, e, north = source.transform[:6]
        profile = {
            "height": -(-source.height // 2),
            "width": -(-source.width // 2),
            "dtype": source.dtypes[0],
            "nodata": source.nodata,
            "crs": source.crs,
            "transform": rasterio.Affine(2 * a, 2 * b, west, 2 * d, 2 * e, north),
        }
        write_level(path, profile, partial(_halved, source, halved))


def joined(path: Path, levels: Sequence[Path]) -> None:
    """Write a virtual raster of which the first file is the pixels, and the others in their order the overviews.

    Args:
        path: Where it goes, beside them.
        levels: The files, the finest first.
    """
    rasterio.shutil.copy(levels[0], path, driver="VRT")
    ending = "</VRTRasterBand>"
    overviews = "".join(
        f'<Overview><SourceFilename relativeToVRT="1">{level.name}</SourceFilename>'
        "<SourceBand>1</SourceBand></Overview>"
        for level in levels[1:]
    )
    path.write_text(path.read_text(encoding="utf-8").replace(ending, overviews + ending), encoding="utf-8")


def settle(path: Path) -> None:
    """Make sure that all of a file is on the disk: GDAL says nothing where the last it wrote found no room.

    Where a disk had no room for the last bytes of a file, it has none for some more.

    Raises:
        OSError: There was none.
    """
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(size)
        file.write(bytes(_SOME))
        file.flush()
        file.truncate(size)
        os.fsync(file.fileno())


def pieces(shape: tuple[int, int]) -> Iterator[Piece]:
    """What to read and write at a time of (H, W) pixels, row by row."""
    rows, cols = shape
    for row in range(0, rows, SIDE):
        for col in range(0, cols, SIDE):
            yield Piece(col, row, min(SIDE, cols - col), min(SIDE, rows - row))


def _halved(source: Any, halved: Halving, piece: Piece) -> NDArray[Any]:  # noqa: ANN401 rasterio ships no types
    row, col = 2 * piece.row_off, 2 * piece.col_off
    under = Piece(col, row, min(2 * piece.width, source.width - col), min(2 * piece.height, source.height - row))
    return halved(source.read(1, window=under), int(source.nodata))
