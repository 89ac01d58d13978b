"""TIFFs and GeoTIFFs of any number of bands, integers or floats, as stored.

Read with tifffile, so that data sets need no GDAL. What it cannot decode without further libraries, and what would
have to be interpreted, is refused by what the header says, before anything is allocated.
"""

from __future__ import annotations

import io
import zlib
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image
from tifffile import COMPRESSION, EXTRASAMPLE, PHOTOMETRIC, PREDICTOR, TiffFile, TiffPage

from landslide_scale.datasets.headers import BROKEN, declared_nodata, name_of, only_image
from landslide_scale.datasets.pictures import MOST_PIXELS, without_nodata
from landslide_scale.errors import InvalidDatasetError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

_TYPES = ("uint8", "uint16", "int16", "float32")
"""float32 holds every value of these."""

_MOST_VALUES = 3 * MOST_PIXELS
"""Of one image: as many as the largest one in colours has."""

_DEFLATE = (COMPRESSION.ADOBE_DEFLATE, COMPRESSION.DEFLATE)
_DECODED = (COMPRESSION.NONE, *_DEFLATE)
_UNDONE = (PREDICTOR.NONE, PREDICTOR.HORIZONTAL)
_AS_STORED = (PHOTOMETRIC.MINISBLACK, PHOTOMETRIC.RGB)
_REWRITE = "Write it again: gdal_translate -co COMPRESS=DEFLATE -co PREDICTOR=2 IN OUT."


def stored_bands(content: bytes, count: int, chosen: tuple[int, ...], where: str) -> NDArray[np.float32]:
    """Bands of a TIFF as stored, float32 (C, H, W), interleaved by pixel or by band.

    A pixel has no data, and is NaN, where a band is NaN or has the value of the file's GDAL_NODATA tag (in that band),
    or where a further band, declared as transparency, is 0 (in all).

    Args:
        content: The file.
        count: Bands it must have.
        chosen: Their numbers, from 0, in the order wanted.
        where: The file's name, for messages.

    Raises:
        InvalidDatasetError: It has another number of bands, or is of a type, size, compression or layout that is not
            read, or not whole.
    """
    try:
        with TiffFile(io.BytesIO(content)) as file:
            page = only_image(file, where)
            _check_declared(page, count, where)
            _check_segments(page, content, where)
            array = _bands_first(page)
            nodata = declared_nodata(page, where)
    except BROKEN as error:
        raise InvalidDatasetError(f"cannot be decoded ({error})", expected="a TIFF, whole", file=where) from error
    image = np.stack([without_nodata(array[number], nodata) for number in chosen])
    if len(array) > count:
        image[:, array[count] == 0] = np.nan
    if np.isinf(image).any():
        raise InvalidDatasetError("infinite values", expected="numbers, or NaN for no data", file=where)
    return image


def _check_declared(page: TiffPage, count: int, where: str) -> None:
    """Refuse by what the header says."""
    for problem, expected, cure in _problems(page, count):
        raise InvalidDatasetError(problem, expected=expected, cure=cure, file=where)


def _problems(page: TiffPage, count: int) -> Iterator[tuple[str, str, str]]:
    """What stands against reading an image: found, expected, cure."""
    size = f"{page.imagewidth} x {page.imagelength} px"
    samples, depth = page.samplesperpixel, page.imagedepth
    if samples != count and not (samples == count + 1 and page.extrasamples[-1:] == (EXTRASAMPLE.UNASSALPHA,)):
        yield f"{samples} bands", f"{count}, one for each name of dataset.channels", ""
    if depth != 1 or min(page.imagewidth, page.imagelength) < 1:
        yield f"{size} in {depth} layers", "one layer of pixels", ""
    if max(page.imagewidth * page.imagelength * samples, _values_of_segment(page)) > _MOST_VALUES:
        yield f"{size} of {samples} bands", f"at most {_MOST_VALUES:,} values", "Cut it into smaller images."
    bits = 8 * page.dtype.itemsize if page.dtype is not None else 0
    if str(page.dtype) not in _TYPES or page.bitspersample != bits:
        found = f"{page.bitspersample} bits per value, read as {page.dtype}"
        yield found, " or ".join(_TYPES), "Convert it on purpose, for example with gdal_translate -ot Float32."
    if page.compression not in _DECODED:
        yield f"compression {name_of(COMPRESSION, page.compression)}", "none or DEFLATE", _REWRITE
    if page.predictor not in _UNDONE:
        yield f"predictor {name_of(PREDICTOR, page.predictor)}", "none or horizontal", _REWRITE
    if page.photometric not in _AS_STORED:
        yield f"photometric {name_of(PHOTOMETRIC, page.photometric)}", "MINISBLACK or RGB: values as they are", ""


def _values_of_segment(page: TiffPage) -> int:
    """Values of one strip or tile: a tile may be larger than its image."""
    if not page.is_tiled:
        return 0
    apart = page.samplesperpixel if page.planarconfig == 1 else 1
    return page.tilewidth * page.tilelength * page.tiledepth * apart


def _check_segments(page: TiffPage, content: bytes, where: str) -> None:
    """Every strip and tile lies in the file, and none inflates to more than it should: tifffile asks for neither."""
    if page.dtype is None:
        raise InvalidDatasetError("values of no type", expected=" or ".join(_TYPES), file=where)
    limit = int(np.prod(page.chunks)) * page.dtype.itemsize
    for offset, size in zip(page.dataoffsets, page.databytecounts, strict=True):
        if not offset or not size or offset + size > len(content):
            raise InvalidDatasetError(
                "strips or tiles that are not in the file", expected="a TIFF, whole and not sparse", file=where
            )
        if page.compression in _DEFLATE and _inflated(content[offset : offset + size], limit) > limit:
            raise InvalidDatasetError("strips or tiles larger than declared", expected=f"{limit:,} bytes", file=where)


def _inflated(segment: bytes, limit: int) -> int:
    """Bytes that a segment inflates to, up to one above the limit."""
    return len(zlib.decompressobj().decompress(segment, limit + 1))


def _bands_first(page: TiffPage) -> NDArray[np.generic]:
    """(C, H, W) in the file's type."""
    array = page.asarray(maxworkers=1)
    array = array.reshape(page.shaped[0], *page.shaped[2:])  # planes, height, width, interleaved samples
    array = np.moveaxis(array, -1, 1)
    return array.reshape(-1, *array.shape[2:])


def resized(image: NDArray[np.float32], side: int) -> NDArray[np.float32]:
    """Bands (C, H, W) as (C, side, side): bilinear over the whole footprint of a pixel, from the data there is.

    A pixel has no data where the nearest one has none.
    """
    return np.stack([_resized_band(band, side) for band in image])


def _resized_band(band: NDArray[np.float32], side: int) -> NDArray[np.float32]:
    known = ~np.isnan(band)
    total = _smooth(np.where(known, band, np.float32(0)), side)
    weight = _smooth(known.astype(np.float32), side)
    nearest = np.asarray(Image.fromarray(known).resize((side, side), Image.Resampling.NEAREST))
    return np.divide(total, weight, out=np.full((side, side), np.nan, np.float32), where=nearest)


def _smooth(band: NDArray[np.float32], side: int) -> NDArray[np.float32]:
    return np.asarray(Image.fromarray(band).resize((side, side), Image.Resampling.BILINEAR))
