"""8-bit pictures as Pillow reads them, and nothing that it would change by itself."""

from __future__ import annotations

import io
import struct
import warnings
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image, UnidentifiedImageError
from PIL.TiffImagePlugin import TiffImageFile

from landslide_scale.datasets.headers import TiffHeader, check_no_mask_behind, is_tiff, tiff_header, what_it_is
from landslide_scale.errors import InvalidDatasetError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from numpy.typing import NDArray

MOST_PIXELS = 100_000_000
"""Of one image, as its header declares them."""

ANY = ("PNG", "TIFF", "JPEG")
LOSSLESS = ("PNG", "TIFF")

_BITS, _PHOTOMETRIC, _SAMPLES, _EXTRA, _NUMBERS = 258, 262, 277, 338, 339
_WHITE_IS_ZERO, _ALPHA, _SIGNED = 0, 2, 2
"""Tags of TIFF 6.0 and values of theirs."""

_COLOURS = {"L": "L", "LA": "L", "RGB": "RGB", "RGBA": "RGB"}
_TRANSPARENT = ("LA", "RGBA")
_WORDS = {
    "1": "one bit", "L": "grey", "LA": "grey with transparency", "P": "a palette", "I;16": "16-bit grey",
    "I": "32-bit grey", "F": "floats", "RGB": "colours", "RGBA": "colours with transparency", "CMYK": "inks",
}  # fmt: skip
"""Pillow's modes."""

_BROKEN = (
    OSError, SyntaxError, ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RuntimeError, EOFError,
    struct.error, zlib.error, Image.DecompressionBombError,
)  # fmt: skip
"""What Pillow raises over damaged files."""


warnings.filterwarnings("ignore", module=r"PIL\.")  # of tags and of sizes: what matters of them is refused here


@dataclass(frozen=True, kw_only=True)
class Expected:
    """What a picture has to be.

    Attributes:
        modes: Pillow's names for it.
        kind: The same in words.
        formats: Pillow's names of those that are read.
        cure: What to do about a file of another kind.
    """

    modes: tuple[str, ...]
    kind: str
    formats: tuple[str, ...]
    cure: str


@dataclass(frozen=True, kw_only=True, eq=False)
class Picture:
    """A decoded picture, and the value that its file declares as no data in each band, None where none."""

    image: Image.Image
    nodata: float | None


def decoded(content: bytes, expected: Expected, where: str) -> Picture:
    """Decode a picture whose header says what is expected; `where` is the file's name, for messages.

    Raises:
        InvalidDatasetError: It is of another kind, too large, would be converted, or is not whole.
    """
    header = tiff_header(content, where) if is_tiff(content) else None
    check_no_mask_behind(content, where)
    try:
        picture = Image.open(io.BytesIO(content), formats=expected.formats)
        _check_declared(picture, content, header, expected, where)
        picture.load()
    except UnidentifiedImageError:
        raise _unidentified(content, header, expected, where) from None
    except _BROKEN as error:
        raise InvalidDatasetError(
            f"cannot be decoded ({error})", expected=f"{expected.kind}, whole", file=where
        ) from error
    return Picture(image=picture, nodata=header.nodata if header else None)


def _unidentified(content: bytes, header: TiffHeader | None, expected: Expected, where: str) -> InvalidDatasetError:
    """Why Pillow does not know a file, as far as its beginning says."""
    if header is None:
        formats = " or ".join(expected.formats)
        return InvalidDatasetError(
            what_it_is(content), expected=f"{expected.kind}, as {formats}", cure=expected.cure, file=where
        )
    if header.plain:
        return InvalidDatasetError(
            f"cannot be decoded, though it calls itself {header.text}", expected=f"{expected.kind}, whole", file=where
        )
    return InvalidDatasetError(header.text, expected=expected.kind, cure=expected.cure, file=where)


def _check_declared(
    picture: Image.Image, content: bytes, header: TiffHeader | None, expected: Expected, where: str
) -> None:
    """Refuse by what the header says, before a pixel is allocated, also what Pillow would change without a word."""
    if picture.mode not in expected.modes:
        if header is not None:
            raise InvalidDatasetError(header.text, expected=expected.kind, cure=expected.cure, file=where)
        raise InvalidDatasetError(
            f"mode {picture.mode} ({_WORDS.get(picture.mode, picture.format)})",
            expected=expected.kind,
            cure=f"Convert it to {expected.kind}.",
            file=where,
        )
    if picture.width * picture.height > MOST_PIXELS:
        raise InvalidDatasetError(
            f"{picture.width} x {picture.height} px", expected=f"at most {MOST_PIXELS:,} pixels", file=where
        )
    for problem in _conversions(picture, _tags(picture, content)):
        raise InvalidDatasetError(problem, expected=expected.kind, cure=expected.cure, file=where)


def _tags(picture: Image.Image, content: bytes) -> Mapping[int, Any]:
    """Tags of a TIFF, and what a PNG says in their place."""
    if picture.format == "PNG" and picture.mode in {"L", "LA", "RGB", "RGBA"}:
        # The depth of a PNG is byte 24, in its first chunk (ISO/IEC 15948).
        return {_BITS: (content[24],)}
    return picture.tag_v2 if isinstance(picture, TiffImageFile) else {}


def _conversions(picture: Image.Image, tags: Mapping[int, Any]) -> Iterator[str]:
    """What Pillow would make of an image by itself; `tags` are TIFF's."""
    bands, bits = len(picture.getbands()), tags.get(_BITS, (8,))
    stored = tags.get(_SAMPLES, bands)
    if picture.format == "PNG" and getattr(picture, "is_animated", False):
        yield "an animation, of which the first picture would be read"
    if stored != bands:
        yield f"{stored} bands, of which {bands} would be read"
    if bands > 1 and max(bits) > 8:  # noqa: PLR2004 (bits)
        yield f"{max(bits)} bits per band, of which 8 would be read"
    if picture.mode == "L" and min(bits) < 8:  # noqa: PLR2004 (bits)
        yield f"{min(bits)} bits per value, which would be stretched to 8"
    if bands == 4 and picture.format == "TIFF" and tags.get(_EXTRA) != (_ALPHA,):  # noqa: PLR2004 (red, green, blue, alpha)
        yield "a fourth band that is not declared as transparency"
    if picture.mode == "L" and _SIGNED in tags.get(_NUMBERS, ()):
        yield "signed bytes, which would be read as unsigned"
    if tags.get(_PHOTOMETRIC) == _WHITE_IS_ZERO:
        yield "values counted down from white, which would be read turned round"


def resized(picture: Picture, side: int) -> Picture:
    """The colours of a picture without no data, bilinear over the whole footprint of a pixel (Pillow antialiases)."""
    colours = picture.image.convert(_COLOURS[picture.image.mode])
    return Picture(image=colours.resize((side, side), Image.Resampling.BILINEAR), nodata=None)


def values(picture: Picture) -> NDArray[np.float32]:
    """Stored values of a grey picture or one in colour, float32 (C, H, W); NaN for what the file declares no data.

    In all bands where it is transparent, by a band of its own or by a colour (tRNS of a PNG); in a band where that
    has the value of the file's GDAL_NODATA tag.
    """
    array = np.asarray(picture.image)
    array = array.reshape(*array.shape[:2], -1)
    bands = len(_COLOURS[picture.image.mode])
    stored = array[..., :bands]
    image = without_nodata(np.ascontiguousarray(stored.transpose(2, 0, 1)), picture.nodata)
    if picture.image.mode in _TRANSPARENT:
        image[:, array[..., bands] == 0] = np.nan
    elif (colour := picture.image.info.get("transparency")) is not None:
        image[:, (stored == np.asarray(colour)).all(axis=-1)] = np.nan
    return image


def without_nodata(stored: NDArray[np.generic], nodata: float | None) -> NDArray[np.float32]:
    """Values with NaN for no data; in float32 the tag's decimal number is the stored one again."""
    values = stored.astype(np.float32)
    if nodata is not None:
        with np.errstate(over="ignore"):  # a double's largest is no number of a float32 file
            values[values == np.float32(nodata)] = np.nan
    return values
