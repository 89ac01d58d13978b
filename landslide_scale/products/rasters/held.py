"""A raster of an earlier export, read where another lattice of the same zone lies."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.errors import RasterioError
from rasterio.windows import Window as Piece

from landslide_scale.errors import BrokenRunError, InvalidInputError
from landslide_scale.grid import Lattice, PixelBox

_TRANSFORM = 6


def read_held(path: Path, lattice: Lattice, box: PixelBox, fill: int) -> NDArray[Any]:
    """Pixels (H, W) of a box of a lattice; `fill` where the raster does not reach.

    Args:
        path: A GeoTIFF of the same zone and resolution, on the same lattice; it may cover more or less.
        lattice: Of the zone.
        box: The pixels.
        fill: No data.

    Raises:
        InvalidInputError: It is of another lattice.
        BrokenRunError: It cannot be read.
    """
    try:
        with rasterio.open(path) as source:
            held = _held(source, path, lattice)
            found = np.full(box.shape, fill, source.dtypes[0])
            if (common := box.intersection(held)) is not None:
                rows, cols = common.within(held)
                piece = Piece.from_slices(rows, cols)
                found[common.within(box)] = source.read(1, window=piece)
            return found
    except RasterioError as error:
        raise BrokenRunError(
            f"cannot be read ({error})", expected="a raster of an earlier export", cure="Export that again.", file=path
        ) from error


def _held(source: Any, path: Path, lattice: Lattice) -> PixelBox:  # noqa: ANN401 rasterio ships no types
    x0, y0 = lattice.zone.origin
    col, row = (source.transform.c - x0) / lattice.resolution, (y0 - source.transform.f) / lattice.resolution
    held = PixelBox(
        row_start=round(row),
        row_stop=round(row) + source.height,
        col_start=round(col),
        col_stop=round(col) + source.width,
    )
    same = source.crs is not None and source.crs.to_epsg() == lattice.zone.epsg
    if not same or tuple(source.transform)[:_TRANSFORM] != lattice.transform(held):
        raise InvalidInputError(
            f"a raster of {source.crs} and {tuple(source.transform)[:_TRANSFORM]}",
            expected=f"EPSG:{lattice.zone.epsg}, pixels of {lattice.resolution} m on the lattice of the cube",
            cure="Name the products of a version of the same run, grid and all.",
            file=path,
        )
    return held
