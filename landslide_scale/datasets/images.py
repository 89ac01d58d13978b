"""Pairs of an 8-bit RGB image and a mask of declared values, in common image formats."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image
from PIL.TiffImagePlugin import TiffImageFile

from landslide_scale.datasets.sample import Sample
from landslide_scale.errors import InvalidDatasetError
from landslide_scale.losses import IGNORE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from landslide_scale.datasets.files import Files
    from landslide_scale.spec import Radiometry

IMAGE_SUFFIXES = (".png", ".tif", ".tiff", ".jpg", ".jpeg")
MASK_SUFFIXES = (".png", ".tif", ".tiff")
"""Without JPEG: a lossy mask has no values one could declare."""

_FORMATS = ("PNG", "TIFF", "JPEG")
_MOST_PIXELS = 100_000_000
_SHOWN = 3

_BITS, _PHOTOMETRIC, _SAMPLES, _EXTRA, _NUMBERS = 258, 262, 277, 338, 339
_WHITE_IS_ZERO, _ALPHA, _SIGNED = 0, 2, 2
"""Tags of TIFF 6.0 and values of theirs."""


@dataclass(frozen=True, kw_only=True)
class Pair:
    """Paths of one image and its mask; without a mask the image is all background."""

    image: str
    mask: str | None


@dataclass(frozen=True, kw_only=True)
class ImagePairs:
    """A data set of RGB images with masks.

    Attributes:
        files: Where they lie.
        pairs: By name.
        meaning: From mask value to label (0, 1, 255).
        resolution: Metres per pixel as stored, or None where nobody knows.
        resize: Side all are resized to, or None.
    """

    files: Files
    pairs: Mapping[str, Pair]
    meaning: Mapping[int, int]
    resolution: float | None = None
    resize: int | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the pairs, sorted."""
        return tuple(sorted(self.pairs))

    @property
    def bands(self) -> tuple[str, ...]:
        """Red, green, blue."""
        return ("red", "green", "blue")

    @property
    def radiometry(self) -> Radiometry:
        """Display values, 0 to 255."""
        return "rgb8"

    def read(self, name: str) -> Sample:
        """Open one image and its mask; transparent pixels are no data."""
        pair = self.pairs[name]
        picture = self._open(pair.image, modes=("RGB", "RGBA"), kind="an 8-bit RGB image")
        label = self._label(pair, picture.size)
        pixels = label.size
        if self.resize is not None:
            picture = _resized(picture, self.resize)
            label = np.asarray(Image.fromarray(label).resize((self.resize, self.resize), Image.Resampling.NEAREST))
        # A resized image shows the same ground, so its pixels are larger or smaller, and every image's differently.
        pixel_m2 = None if self.resolution is None else self.resolution**2 * pixels / label.size
        return Sample(image=_values(picture), label=label, pixel_m2=pixel_m2)

    def _open(self, path: str, *, modes: tuple[str, ...], kind: str) -> Image.Image:
        where = self.files.where(path)
        content = self.files.read(path)
        try:
            picture = Image.open(io.BytesIO(content), formats=_FORMATS)
            _check_declared(picture, modes=modes, kind=kind, where=where)
            _check_unconverted(picture, content, kind=kind, where=where)
            picture.load()
        except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
            raise InvalidDatasetError(f"cannot be decoded ({error})", expected=f"{kind}, whole", file=where) from error
        return picture

    def _label(self, pair: Pair, size: tuple[int, int]) -> NDArray[np.uint8]:
        width, height = size
        if pair.mask is None:
            return np.zeros((height, width), np.uint8)
        mask = self._open(pair.mask, modes=("1", "L", "P", "I;16", "I"), kind="a mask of one channel")
        where = self.files.where(pair.mask)
        if mask.size != size:
            raise InvalidDatasetError(
                f"the mask is {mask.width} x {mask.height} px",
                expected=f"{width} x {height} px, the size of its image {pair.image}",
                file=where,
            )
        return self._mapped(np.asarray(mask).astype(np.int64), where)

    def _mapped(self, values: NDArray[np.int64], where: str) -> NDArray[np.uint8]:
        unknown = sorted(set(np.unique(values).tolist()) - set(self.meaning))
        if unknown:
            raise InvalidDatasetError(
                f"mask values {unknown[: 2 * _SHOWN]}", expected=f"only {sorted(self.meaning)}", file=where
            )
        label = np.full(values.shape, IGNORE, np.uint8)
        for value, meaning in self.meaning.items():
            label[values == value] = meaning
        return label


def _check_declared(picture: Image.Image, *, modes: tuple[str, ...], kind: str, where: str) -> None:
    """Refuse by what the header says, before a pixel is allocated."""
    if picture.mode not in modes:
        raise InvalidDatasetError(f"mode {picture.mode}", expected=f"{kind} ({', '.join(modes)})", file=where)
    if picture.width * picture.height > _MOST_PIXELS:
        raise InvalidDatasetError(
            f"{picture.width} x {picture.height} px", expected=f"at most {_MOST_PIXELS:,} pixels", file=where
        )


def _check_unconverted(picture: Image.Image, content: bytes, *, kind: str, where: str) -> None:
    """Refuse what Pillow would change without a word, by what the header says."""
    tags = picture.tag_v2 if isinstance(picture, TiffImageFile) else {}
    if picture.format == "PNG" and picture.mode in {"RGB", "RGBA"}:
        # The depth of a PNG is byte 24, in its first chunk (ISO/IEC 15948).
        tags = {_BITS: (content[24],)}
    if problem := _conversion(picture, tags):
        raise InvalidDatasetError(
            problem,
            expected=kind,
            cure="Convert it on purpose, or write chips, which hold any bands as float32.",
            file=where,
        )


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


def _resized(picture: Image.Image, side: int) -> Image.Image:
    """Bilinear over the whole footprint of a pixel (Pillow's resize antialiases); transparency by nearest."""
    colour = picture.convert("RGB").resize((side, side), Image.Resampling.BILINEAR)
    if picture.mode == "RGBA":
        colour.putalpha(picture.getchannel("A").resize((side, side), Image.Resampling.NEAREST))
    return colour


def _values(picture: Image.Image) -> NDArray[np.float32]:
    array = np.asarray(picture)
    image = np.ascontiguousarray(array[..., :3].transpose(2, 0, 1), np.float32)
    if picture.mode == "RGBA":
        image[:, array[..., 3] == 0] = np.nan
    return image


def match_pairs(files: Files, *, images: str, masks: str, prefix: str = "") -> dict[str, Pair]:
    """Pair the files of two folders by their names without suffix.

    Raises:
        InvalidDatasetError: An image without mask, a mask without image, or two files of one name.
    """
    image = list_images(files, images, IMAGE_SUFFIXES)
    mask = list_images(files, masks, MASK_SUFFIXES)
    for have, lack, folder in ((image, mask, masks), (mask, image, images)):
        missing = sorted(set(have) - set(lack))
        if missing:
            shown = ", ".join(missing[:_SHOWN]) + (", ..." if len(missing) > _SHOWN else "")
            raise InvalidDatasetError(
                f"nothing for {len(missing)} of {len(have)} names ({shown})",
                expected=f"one file per name, as in {files.where(have[missing[0]])}",
                file=files.where(folder),
            )
    return {prefix + name: Pair(image=image[name], mask=mask[name]) for name in image}


def list_images(files: Files, folder: str, suffixes: tuple[str, ...]) -> dict[str, str]:
    """Paths of a folder's images, by name without suffix; other files are passed over.

    Raises:
        InvalidDatasetError: Two files of one name.
    """
    found: dict[str, str] = {}
    for file in files.names(folder):
        path = PurePosixPath(folder, file)
        if path.suffix.lower() not in suffixes:
            continue
        if path.stem in found:
            raise InvalidDatasetError(
                f"the same name as {files.where(found[path.stem])}",
                expected="one file per name",
                file=files.where(str(path)),
            )
        found[path.stem] = str(path)
    return found
