"""What the header of a file says before a pixel is decoded: what it is, and of a TIFF what it declares as no data."""

from __future__ import annotations

import io
import logging
import struct
import zlib
from dataclasses import dataclass

from tifffile import COMPRESSION, PHOTOMETRIC, PREDICTOR, TiffFile, TiffPage

from landslide_scale.errors import InvalidDatasetError

BROKEN = (OSError, ValueError, LookupError, TypeError, ArithmeticError, RuntimeError, struct.error, zlib.error)
"""What tifffile raises over damaged files; it checks little of its own."""

_GDAL_NODATA = 42113
_REDUCED, _MASK = 1, 4
"""Bits of NewSubfileType (TIFF 6.0)."""

_BEGINNINGS = {
    b"version https://git-lfs": "a Git LFS pointer in place of the file (git lfs pull fetches it)",
    b"GIF8": "a GIF",
    b"\x89PNG": "a PNG",
    b"\xff\xd8\xff": "a JPEG",
    b"\0\0\0\x0cjP  ": "a JPEG 2000",
    b"\xff\x4f\xff\x51": "a JPEG 2000",
    b"\x89HDF": "an HDF5",
    b"BM": "a BMP",
    b"PK": "an archive",
    b"%PDF": "a PDF",
}

logging.getLogger("tifffile").setLevel(logging.CRITICAL)  # what it complains of is refused here, or does not matter


@dataclass(frozen=True, kw_only=True)
class TiffHeader:
    """What a TIFF of one image says of itself.

    Attributes:
        text: Bands, type and colours in words.
        nodata: The value that it declares as no data, in every band.
        plain: Whether that is 8-bit red, green and blue.
    """

    text: str
    nodata: float | None
    plain: bool


def is_tiff(content: bytes) -> bool:
    """Whether a file begins as TIFF or BigTIFF does."""
    return content[:4] in {b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"}


def what_it_is(content: bytes) -> str:
    """What a file seems to be that is no picture one expects."""
    if not content:
        return "an empty file"
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return "a WebP"
    if content.lstrip()[:1] == b"<":
        return "a web page or XML in place of the file"
    return next((said for start, said in _BEGINNINGS.items() if content.startswith(start)), "no picture that is known")


def tiff_header(content: bytes, where: str) -> TiffHeader:
    """What a TIFF says of itself.

    Raises:
        InvalidDatasetError: It holds several images or a mask, declares no data by no number, or is damaged.
    """
    try:
        with TiffFile(io.BytesIO(content)) as file:
            page = only_image(file, where)
            colours = page.photometric == PHOTOMETRIC.RGB and page.samplesperpixel == 3  # noqa: PLR2004
            return TiffHeader(
                text=described(page),
                nodata=declared_nodata(page, where),
                plain=colours and str(page.dtype) == "uint8",
            )
    except BROKEN as error:
        raise InvalidDatasetError(f"cannot be decoded ({error})", expected="a TIFF, whole", file=where) from error


def described(page: TiffPage) -> str:
    """Bands, type and colours of an image."""
    bands = f"{page.samplesperpixel} band{'s' if page.samplesperpixel > 1 else ''}"
    kind = page.dtype if page.dtype is not None else f"{page.bitspersample} bits"
    return f"a TIFF of {bands} of {kind} ({name_of(PHOTOMETRIC, page.photometric)})"


def name_of(known: type[COMPRESSION | PREDICTOR | PHOTOMETRIC], code: int) -> str:
    """TIFF's name for a code, or the code."""
    return known(code).name if code in set(known) else str(code)


def only_image(file: TiffFile, where: str) -> TiffPage:
    """The image of a file; beside it there may be overviews alone.

    Raises:
        InvalidDatasetError: There are further images, or a mask.
    """
    first, *others = (page for page in file.pages if isinstance(page, TiffPage))
    own = [page for page in others if not page.subfiletype & _REDUCED]
    if any(page.subfiletype & _MASK for page in own):
        raise _masked(where)
    if own:
        raise InvalidDatasetError(
            f"{1 + len(own)} images in one file",
            expected="one image of all bands",
            cure="With tifffile, write it with photometric='minisblack' and planarconfig='separate'.",
            file=where,
        )
    return first


def check_no_mask_behind(content: bytes, where: str) -> None:
    """Refuse a mask behind the end of a JPEG, where GDAL puts it, with the JPEG's length as its last four bytes.

    Raises:
        InvalidDatasetError: There is one.
    """
    end = int.from_bytes(content[-4:], "little")
    if content[:2] == b"\xff\xd8" and 4 < end < len(content) - 4 and content[end - 2 : end] == b"\xff\xd9":  # noqa: PLR2004
        raise _masked(where)


def _masked(where: str) -> InvalidDatasetError:
    return InvalidDatasetError(
        "a mask inside the file",
        expected="no data as NaN, or as the value of its GDAL_NODATA tag",
        cure="Burn it in, for example with gdalwarp -dstnodata.",
        file=where,
    )


def declared_nodata(page: TiffPage, where: str) -> float | None:
    """Value of GDAL's tag for no data; None without one.

    Raises:
        InvalidDatasetError: It is no number.
    """
    tag = page.tags.get(_GDAL_NODATA)
    if tag is None:
        return None
    try:
        return float(str(tag.value).strip(" \0"))
    except ValueError as error:
        raise InvalidDatasetError(
            f"GDAL_NODATA {tag.value!r}",
            expected="a number",
            cure="Set it anew, for example with gdal_edit.py -a_nodata.",
            file=where,
        ) from error
