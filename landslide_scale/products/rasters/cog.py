"""One variable of a zone and window as a cloud-optimised GeoTIFF, whatever its size, in the memory of a few pieces."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from itertools import pairwise
from pathlib import Path
from typing import Any

import rasterio
import rasterio.shutil
from numpy.typing import NDArray
from rasterio._err import CPLE_BaseError  # what GDAL says of a copy; rasterio has no other name for it
from rasterio.errors import RasterioError
from rasterio.windows import Window as Piece

from landslide_scale.cube.arrays import BY_NAME, Variable
from landslide_scale.errors import BrokenRunError
from landslide_scale.grid import Lattice, PixelBox
from landslide_scale.products.classes import REASONS, Shown
from landslide_scale.products.plane import Plane, Read
from landslide_scale.products.rasters.levels import joined, settle, write_coarser, write_level
from landslide_scale.products.rasters.pyramid import Halving, largest, mean, most_frequent, shapes, smallest
from landslide_scale.products.scanned import Scanned
from landslide_scale.redaction import keep_log_clean
from landslide_scale.runtime.progress import gone_over

keep_log_clean("rasterio._env", "rasterio._io", "rasterio._base", "rasterio._err")

CAUTION = "preliminary, not field-validated"

_GDAL = {"GDAL_CACHEMAX": 32, "GDAL_PAM_ENABLED": "NO"}
"""Megabytes of tiles kept in memory, where GDAL takes a share of the machine's; and one file, not two."""

_COG = {
    "driver": "COG",
    "compress": "DEFLATE",
    "bigtiff": "IF_SAFER",
    "overviews": "FORCE_USE_EXISTING",
    "statistics": "YES",
}
_HALVED: dict[str, Halving] = dict.fromkeys(BY_NAME, largest) | {"reason": most_frequent}
"""Of a cube's variables; of kept bands, which are there to be looked at, the mean."""

_COARSER: dict[str, Halving] = {"largest": largest, "smallest": smallest}


def write_raster(of: Scanned, lattice: Lattice, layer: int, variable: str, path: Path) -> None:
    """Write a raster of all that a zone's group covers: its stored numbers, what they mean, statistics and overviews.

    No data is the cube's fill. Overviews keep the largest of their pixels, of reasons the most frequent. Until it is
    finished it lies in a folder beside `path`, with its pixels a second time.

    Args:
        of: The scan.
        lattice: Of the zone.
        layer: Index of the window.
        variable: Of the cube.
        path: Where it goes, on a local disk; an existing one is replaced once this one is whole.

    Raises:
        BrokenRunError: There is no room for it, the cube's storage refuses, or what it holds is damaged.
        StorageAwayError: The cube's storage was away for longer than one is patient.
    """
    drawn = _Drawn(
        lattice=lattice,
        variable=of.variables[variable],
        read=lambda zone, box: of.read_one(zone, box, layer, variable),
        halved=_HALVED.get(variable, mean),
        classes=REASONS if variable == "reason" else {},
    )
    _write(of, layer, drawn, {}, path)


def write_plane(of: Scanned, lattice: Lattice, plane: Plane, path: Path) -> None:
    """The same of a number that is made of the cube.

    Args:
        of: The scan.
        lattice: Of the zone.
        plane: What is written.
        path: Where it goes, as for :func:`write_raster`.

    Raises:
        BrokenRunError: As for that.
        StorageAwayError: As for that.
    """
    drawn = _Drawn(
        lattice=lattice,
        variable=plane.variable,
        read=plane.read,
        halved=_COARSER[plane.coarser],
        classes=plane.classes,
    )
    _write(of, plane.layer, drawn, plane.said, path)


@dataclass(frozen=True, kw_only=True)
class _Drawn:
    """What one raster shows."""

    lattice: Lattice
    variable: Variable
    read: Read
    halved: Halving
    classes: Mapping[int, Shown]


def _write(of: Scanned, layer: int, drawn: _Drawn, said: Mapping[str, str], path: Path) -> None:
    extent = of.extents[drawn.lattice]
    with _writing(path), rasterio.Env(**_GDAL):
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}.") as scratch:
            levels = _levels(drawn, extent, Path(scratch))
            _describe(levels[0], of, layer, drawn, said)
            whole, finished = Path(scratch, "whole.vrt"), Path(scratch, "finished.tif")
            joined(whole, levels)
            rasterio.shutil.copy(whole, finished, **_COG, blocksize=_tile(extent.shape))
            settle(finished)
            finished.replace(path)


def _levels(drawn: _Drawn, extent: PixelBox, folder: Path) -> list[Path]:
    lattice, known = drawn.lattice, drawn.variable
    rows, cols = extent.shape
    profile = {
        "height": rows,
        "width": cols,
        "dtype": known.dtype,
        "nodata": known.fill,
        "crs": f"EPSG:{lattice.zone.epsg}",
        "transform": rasterio.Affine(*lattice.transform(extent)),
    }
    levels = [folder / f"{number}.tif" for number, _ in enumerate(shapes(extent.shape))]
    write_level(levels[0], profile, partial(_stored, drawn, extent))
    for finer, coarser in pairwise(levels):
        write_coarser(coarser, finer, drawn.halved)
    return levels


def _stored(drawn: _Drawn, extent: PixelBox, piece: Piece) -> NDArray[Any]:
    row, col = extent.row_start + piece.row_off, extent.col_start + piece.col_off
    box = PixelBox(row_start=row, row_stop=row + piece.height, col_start=col, col_stop=col + piece.width)
    found = drawn.read(drawn.lattice, box)
    gone_over(found.size)
    return found


def _describe(path: Path, of: Scanned, layer: int, drawn: _Drawn, more: Mapping[str, str]) -> None:
    said, window = drawn.variable.attributes, of.windows[layer]
    network: dict[str, Any] = {"MODEL": "none"}
    if of.learned:
        network = {"THRESHOLD": of.threshold, "MODEL_SHA256": of.said["checkpoint_sha256"]}
    with rasterio.open(path, "r+") as target:
        target.set_band_description(1, said["long_name"])
        target.scales = (said.get("scale_factor", 1.0),)
        target.offsets = (said.get("add_offset", 0.0),)
        target.units = (said.get("units", ""),)
        target.update_tags(
            TIFFTAG_SOFTWARE=f"landslide-scale {version('landslide-scale')}",
            TIFFTAG_IMAGEDESCRIPTION=f"{said['long_name']}, {window.days}: {CAUTION}",
            VARIABLE=drawn.variable.name,
            WINDOW=window.instants,
            **network,
            CUBE_SHA256=of.cube_sha256,
            **more,
        )
        if drawn.classes:
            target.write_colormap(1, {int(code): (*shown.colour, 255) for code, shown in drawn.classes.items()})
    settle(path)


def _tile(shape: tuple[int, int]) -> int:
    """Side of the tiles: other than the width of any resolution, for one as wide is taken for one of strips.

    Of widths that are halved time and again, no two are 512 and 384.
    """
    return 384 if 512 in {cols for _, cols in shapes(shape)} else 512  # noqa: PLR2004


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, RasterioError, CPLE_BaseError) as error:
        raise BrokenRunError(
            f"the raster cannot be written ({error.__cause__ or error})",
            expected="a disk that may be written to, with room for the raster and for what it is made from",
            cure="Make room and export again: what was finished is kept.",
            file=path,
        ) from error
