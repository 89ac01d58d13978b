"""Pairs of an image and a mask of declared values: 8-bit pictures, or TIFFs of any bands whose channels are named."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from landslide_scale.datasets import multiband, pictures
from landslide_scale.datasets.elsewhere import Elsewhere, shared
from landslide_scale.datasets.headers import is_tiff
from landslide_scale.datasets.sample import Sample
from landslide_scale.errors import InvalidDatasetError
from landslide_scale.label_values import IGNORE, LANDSLIDE
from landslide_scale.provenance import ImageFacts
from landslide_scale.spec import REFLECTANCE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from landslide_scale.datasets.files import Files
    from landslide_scale.spec import Radiometry

IMAGE_SUFFIXES = (".png", ".tif", ".tiff", ".jpg", ".jpeg")
MASK_SUFFIXES = (".png", ".tif", ".tiff")
"""Without JPEG: a lossy mask has no values one could declare."""

_NAMED = "A GeoTIFF of other bands or types is read where dataset.channels names its bands."
_ONE_BAND = "gdal_translate -b 1 takes one band out of several."

RGB = ("red", "green", "blue")
_SHOWN = 3

_MASK = pictures.Expected(
    modes=("1", "L", "P", "I;16", "I"), kind="a mask of one channel", formats=pictures.LOSSLESS, cure=_ONE_BAND
)
_PICTURES = {
    1: pictures.Expected(modes=("L", "LA"), kind="an 8-bit grey image", formats=pictures.ANY, cure=_NAMED),
    3: pictures.Expected(modes=("RGB", "RGBA"), kind="an 8-bit RGB image", formats=pictures.ANY, cure=_NAMED),
}
"""What a picture has to be, by the number of channels."""

_NO_PICTURE = pictures.Expected(
    modes=(), kind="a TIFF of the bands in dataset.channels", formats=pictures.ANY, cure=_NAMED
)

_MASK_BESIDE, _FACTS_BESIDE = ".msk", ".aux.xml"
"""How GDAL ends the names of files beside an image: a mask, and what the image could not hold itself."""

_DARKEST, _BRIGHTEST = 0.001, 2.0
"""Of an image in surface reflectance: it is brighter than the one somewhere, and its median is below the other. Between
digital numbers and reflectance lie a factor of 10 000, between dark water and sunlit snow one of 100."""


@dataclass(frozen=True, kw_only=True)
class Pair:
    """Paths of one image and its mask; without a mask the image is all background."""

    image: str
    mask: str | None


@dataclass(frozen=True, kw_only=True)
class Channels:
    """What the channels of image files are, as somebody who knows them says.

    Attributes:
        names: Of the channels, in the files' order.
        radiometry: What values are once scaled.
        scale, offset: From stored values to these: ``stored * scale + offset``, as in GDAL and STAC.
    """

    names: tuple[str, ...]
    radiometry: Radiometry
    scale: float
    offset: float

    def scaled(self, stored: NDArray[np.float32], where: str) -> NDArray[np.float32]:
        """Values (C, H, W) in units of the radiometry.

        Raises:
            InvalidDatasetError: They cannot be reflectance and should be.
        """
        image = stored * np.float32(self.scale) + np.float32(self.offset)
        known = image[~np.isnan(image)]
        plausible = known.size == 0 or (known.max() > _DARKEST and np.median(known) < _BRIGHTEST)
        if self.radiometry in REFLECTANCE and not plausible:
            raise InvalidDatasetError(
                f"values up to {known.max():g}, half of them below {np.median(known):g}, once scaled by {self.scale:g}",
                expected="reflectance, mostly 0 to 1",
                cure="Correct dataset.scale and dataset.offset: values are stored * scale + offset.",
                file=where,
            )
        return image


@dataclass(frozen=True, kw_only=True)
class ImagePairs:
    """A data set of images with masks.

    Attributes:
        files: Where they lie.
        pairs: By name.
        meaning: From mask value to label (0, 1, 255).
        bands: The bands to give, in order; each one of the channels.
        channels: What the files hold; None for 8-bit red, green and blue.
        resolution: Metres per pixel as stored, or None where nobody knows.
        resize: Side all are resized to, or None.
        fair_share: Whether they are a fair sample of some ground; None where nobody knows.
        elsewhere: By name, other images of the same pixels: what is background in the one and landslide in one of
            these is ignored.
    """

    files: Files
    pairs: Mapping[str, Pair]
    meaning: Mapping[int, int]
    bands: tuple[str, ...] = RGB
    channels: Channels | None = None
    resolution: float | None = None
    resize: int | None = None
    fair_share: bool | None = None
    elsewhere: Mapping[str, tuple[Elsewhere, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        missing = [band for band in self.bands if band not in self._stored]
        if missing:
            raise InvalidDatasetError(
                f"no band {missing[0]}", expected=", ".join(self._stored), cure=_NAMED, file=self.files.where("")
            )

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the pairs, sorted."""
        return tuple(sorted(self.pairs))

    @property
    def radiometry(self) -> Radiometry:
        """As the channels say; else display values, 0 to 255."""
        return self.channels.radiometry if self.channels else "rgb8"

    @property
    def facts(self) -> ImageFacts:
        """Of the files; how their pixels were made, nobody says."""
        return ImageFacts(resolution=self.resolution, fair_share=self.fair_share)

    def place(self, name: str) -> str:
        """Each image is taken for a place of its own."""
        return name

    @property
    def _stored(self) -> tuple[str, ...]:
        return self.channels.names if self.channels else RGB

    def read(self, name: str) -> Sample:
        """Open one image and its mask; what the image's file declares as no data is NaN."""
        pair = self.pairs[name]
        image, stored = self._image(pair.image)
        height, width = stored.shape[1:]
        label = self._label(pair, (width, height))
        for place in self.elsewhere.get(name, ()):
            self._ignore_landslides(label, place)
        if self.resize is None:
            return Sample(image=image, label=label, pixel_m2=self._pixel_m2)
        small = np.asarray(Image.fromarray(label).resize((self.resize, self.resize), Image.Resampling.NEAREST))
        # A resized image shows the same ground, so its pixels are larger or smaller, and every image's differently.
        pixel_m2 = None if self._pixel_m2 is None else self._pixel_m2 * label.size / small.size
        before = Sample(image=stored, label=label, pixel_m2=self._pixel_m2)
        return Sample(image=image, label=small, pixel_m2=pixel_m2, stored=before)

    @property
    def _pixel_m2(self) -> float | None:
        return None if self.resolution is None else self.resolution**2

    def _image(self, path: str) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """The chosen bands of an image, resized, and before that."""
        self._check_beside(path, _MASK_BESIDE, _FACTS_BESIDE)
        where, content = self.files.where(path), self.files.read(path)
        chosen = tuple(self._stored.index(band) for band in self.bands)
        if self.channels is None:
            return self._picture(content, chosen, where)
        if not is_tiff(content):
            image, stored = self._picture(content, chosen, where)
            if self.resize is None:
                image = stored = self.channels.scaled(stored, where)
                return image, stored
            return self.channels.scaled(image, where), self.channels.scaled(stored, where)
        image = self.channels.scaled(multiband.stored_bands(content, len(self._stored), chosen, where), where)
        return (image if self.resize is None else multiband.resized(image, self.resize)), image

    def _picture(
        self, content: bytes, chosen: tuple[int, ...], where: str
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        picture = pictures.decoded(content, _PICTURES.get(len(self._stored), _NO_PICTURE), where)
        image = pictures.values(picture)[list(chosen)]
        if self.resize is None:
            return image, image
        if np.isnan(image).any():
            return multiband.resized(image, self.resize), image
        return pictures.values(pictures.resized(picture, self.resize))[list(chosen)], image

    def _label(self, pair: Pair, size: tuple[int, int]) -> NDArray[np.uint8]:
        """Of a mask's values alone: what its file takes for no data, the configuration says."""
        width, height = size
        if pair.mask is None:
            return np.zeros((height, width), np.uint8)
        label = self._mask(pair.mask)
        if label.shape != (height, width):
            raise InvalidDatasetError(
                f"the mask is {label.shape[1]} x {label.shape[0]} px",
                expected=f"{width} x {height} px, the size of its image {pair.image}",
                file=self.files.where(pair.mask),
            )
        return label

    def _mask(self, path: str) -> NDArray[np.uint8]:
        where = self.files.where(path)
        self._check_beside(path, _MASK_BESIDE)
        mask = pictures.decoded(self.files.read(path), _MASK, where).image
        return self._mapped(np.asarray(mask).astype(np.int64), where)

    def _ignore_landslides(self, label: NDArray[np.uint8], place: Elsewhere) -> None:
        """Ignore of a label, in place, the background that another image calls landslide."""
        path = self.pairs[place.name].mask
        if path is None:
            return
        other = self._mask(path)
        there, here = shared(other.shape, label.shape, place.rows, place.cols)
        label[here][(label[here] == 0) & (other[there] == LANDSLIDE)] = IGNORE

    def _check_beside(self, path: str, *endings: str) -> None:
        """Refuse no data that is declared in another file, as GDAL does it where the image cannot hold it."""
        for beside in (f"{path}{ending}" for ending in endings):
            if beside not in self._beside:
                continue
            if beside.endswith(_MASK_BESIDE) or b"<NoDataValue" in self.files.read(beside):
                raise InvalidDatasetError(
                    f"no data that is declared beside it, in {PurePosixPath(beside).name}",
                    expected="no data declared in the file itself",
                    cure="Write a GeoTIFF, for example with gdalwarp -dstnodata, or delete that file.",
                    file=self.files.where(path),
                )

    @cached_property
    def _beside(self) -> frozenset[str]:
        """Paths of what GDAL put beside images and masks."""
        paths = [path for pair in self.pairs.values() for path in (pair.image, pair.mask) if path is not None]
        folders = {str(PurePosixPath(path).parent) for path in paths}
        ends = (_MASK_BESIDE, _FACTS_BESIDE)
        return frozenset(f"{at}/{name}" for at in folders for name in self.files.names(at) if name.endswith(ends))

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
