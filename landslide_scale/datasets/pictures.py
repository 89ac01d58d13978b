"""8-bit pictures as Pillow reads them, and nothing that it would change by itself."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image
from PIL.TiffImagePlugin import TiffImageFile

from landslide_scale.errors import InvalidDatasetError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

MOST_PIXELS = 100_000_000
"""Of one image, as its header declares them."""

_FORMATS = ("PNG", "TIFF", "JPEG")

_BITS, _PHOTOMETRIC, _SAMPLES, _EXTRA, _NUMBERS = 258, 262, 277, 338, 339
_WHITE_IS_ZERO, _ALPHA, _SIGNED = 0, 2, 2
"""Tags of TIFF 6.0 and values of theirs."""


def decoded(content: bytes, *, modes: tuple[str, ...], kind: str, where: str, cure: str) -> Image.Image:
    """Decode a picture whose header says what is expected.

    Args:
        content: The file.
        modes: Pillow's names for what is expected.
        kind: The same in words.
        where: The file's name, for messages.
        cure: What to do about another kind.

    Raises:
        InvalidDatasetError: It is of another kind, too large, would be converted, or is not whole.
    """
    try:
        picture = Image.open(io.BytesIO(content), formats=_FORMATS)
        _check_declared(picture, content, modes=modes, expected=kind, file=where, cure=cure)
        picture.load()
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise InvalidDatasetError(f"cannot be decoded ({error})", expected=f"{kind}, whole", file=where) from error
    return picture


def _check_declared(picture: Image.Image, content: bytes, *, modes: tuple[str, ...], **place: str) -> None:
    """Refuse by what the header says, before a pixel is allocated, also what Pillow would change without a word."""
    if picture.mode not in modes:
        raise InvalidDatasetError(f"mode {picture.mode}", **place)
    if picture.width * picture.height > MOST_PIXELS:
        raise InvalidDatasetError(
            f"{picture.width} x {picture.height} px", expected=f"at most {MOST_PIXELS:,} pixels", file=place["file"]
        )
    if problem := _conversion(picture, _tags(picture, content)):
        raise InvalidDatasetError(problem, **place)


def _tags(picture: Image.Image, content: bytes) -> Mapping[int, Any]:
    """Tags of a TIFF, and what a PNG says in their place."""
    if picture.format == "PNG" and picture.mode in {"L", "RGB", "RGBA"}:
        # The depth of a PNG is byte 24, in its first chunk (ISO/IEC 15948).
        return {_BITS: (content[24],)}
    return picture.tag_v2 if isinstance(picture, TiffImageFile) else {}


def _conversion(picture: Image.Image, tags: Mapping[int, Any]) -> str:
    """What Pillow would make of an image by itself, if anything; `tags` are TIFF's."""
    bands, stored = len(picture.getbands()), tags.get(_SAMPLES, len(picture.getbands()))
    if stored != bands:
        return f"{stored} bands, of which {bands} would be read"
    if bands > 1 and max(tags.get(_BITS, (8,))) > 8:  # noqa: PLR2004 (bits)
        return f"{max(tags[_BITS])} bits per band, of which 8 would be read"
    if bands == 4 and picture.format == "TIFF" and tags.get(_EXTRA) != (_ALPHA,):  # noqa: PLR2004 (red, green, blue, alpha)
        return "a fourth band that is not declared as transparency"
    if picture.mode == "L" and _SIGNED in tags.get(_NUMBERS, ()):
        return "signed bytes, which would be read as unsigned"
    if tags.get(_PHOTOMETRIC) == _WHITE_IS_ZERO:
        return "values counted down from white, which would be read turned round"
    return ""


def resized(picture: Image.Image, side: int) -> Image.Image:
    """Bilinear over the whole footprint of a pixel (Pillow's resize antialiases); transparency by nearest."""
    colour = picture.convert("L" if picture.mode == "L" else "RGB").resize((side, side), Image.Resampling.BILINEAR)
    if picture.mode == "RGBA":
        colour.putalpha(picture.getchannel("A").resize((side, side), Image.Resampling.NEAREST))
    return colour


def values(picture: Image.Image) -> NDArray[np.float32]:
    """Stored values of a grey picture or one in colour, float32 (C, H, W); NaN where it is transparent."""
    array = np.atleast_3d(np.asarray(picture))
    image = np.ascontiguousarray(array[..., :3].transpose(2, 0, 1), np.float32)
    if picture.mode == "RGBA":
        image[:, array[..., 3] == 0] = np.nan
    return image
