"""Landslide4Sense (Ghorbanzadeh et al. 2022): ``img/image_N.h5`` and ``mask/mask_N.h5``, 128 x 128 px of 10 m.

It is published in three parts, ``TrainData``, ``ValidData`` and ``TestData``, each a folder with ``img`` and ``mask``.

Each band was divided by a published constant, so that values are around 1. The division can be undone exactly: values
times constants are whole numbers in every channel, the digital numbers of Level-1C (slope in degrees, elevation in
metres). That they are of the top of the atmosphere is not stated but shows: there is a cirrus band, which surface
reflectance has not, blue is brighter than red over forest, and band 9 is dimmed by water vapour. A network trained here
cannot scan surface reflectance.
"""

from __future__ import annotations

import io
import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import h5py
import numpy as np

from landslide_scale.bands import QUANTIFICATION, TERRAIN_BANDS
from landslide_scale.datasets.sample import Sample, need_names
from landslide_scale.errors import InvalidDatasetError
from landslide_scale.provenance import ImageFacts

if TYPE_CHECKING:
    from landslide_scale.datasets.files import Files
    from landslide_scale.spec import Radiometry

BANDS = (
    "coastal", "blue", "green", "red", "rededge1", "rededge2", "rededge3", "nir", "nir09", "cirrus", "swir16", "swir22",
    "slope", "elevation",
)  # fmt: skip
"""Its channels in order: Sentinel-2 bands 1 to 8 and 9 to 12, then slope and elevation."""

UNITS = (
    1111.81236406, 824.63171476, 663.41636217, 445.17289745, 645.8582926, 1547.73508126, 1960.44401001, 1941.32229668,
    674.07572865, 9.04787384, 1113.98338755, 519.90397929, 20.29228266, 772.83144788,
)  # fmt: skip
"""What each channel was divided by, as the publishers say (iarai/Landslide4Sense-2022, issue 4). Of two published
images every value times its constant is whole within 1e-8."""

_OFF = 0.02
"""How far from whole a number may be: values stored as float32 are off by 0.002 at most."""

PARTS = ("TrainData", "ValidData", "TestData")
"""To learn from, to choose by, to score."""

_LATER_MASKS = (
    "The competition's release had no masks here, a later one has: download that, or take TrainData alone, "
    "by its own dataset.path and dataset.split: seeded"
)
_METRES = 10.0
_PIXEL_M2 = _METRES**2
_MOST_PIXELS = 100_000_000
_NAME = re.compile(r"(image|mask)_(\d+)\.h5")
_SHOWN = 3


@dataclass(frozen=True, kw_only=True)
class Landslide4Sense:
    """One of its parts, or all of them, restricted to some of its bands.

    Attributes:
        files: The folder that holds ``img`` and ``mask``, or the parts.
        names: ``image_N``, or ``PART/image_N``; sorted.
        bands: Chosen, in order.
        as_stored: Give the values as they are, for networks that were trained on them.
    """

    files: Files
    names: tuple[str, ...]
    bands: tuple[str, ...]
    as_stored: bool = False

    @property
    def radiometry(self) -> Radiometry:
        """Reflectance at the top of the atmosphere, or values over the constant of their band."""
        return "l4s" if self.as_stored else "toa"

    @property
    def facts(self) -> ImageFacts:
        """How its squares were picked out of four regions is not published, so neither is whose share they are."""
        return ImageFacts(resolution=_METRES)

    def place(self, name: str) -> str:
        """Where its squares lie was not published: each is taken for a place of its own."""
        return name

    def read(self, name: str) -> Sample:
        """Open one image with the chosen bands, and its mask."""
        image_path, mask_path = _paths(name)
        image = _array(self.files, image_path, "img")
        mask = _array(self.files, mask_path, "mask")
        where = self.files.where(image_path)
        if image.ndim != 3 or image.shape[2] != len(BANDS):  # noqa: PLR2004 (rows, columns, bands)
            raise InvalidDatasetError(f"img {image.shape}", expected=f"(rows, columns, {len(BANDS)})", file=where)
        if not np.isfinite(image).all():
            raise InvalidDatasetError("img holds values that are no numbers", expected="finite numbers", file=where)
        where = self.files.where(mask_path)
        if mask.shape != image.shape[:2]:
            raise InvalidDatasetError(
                f"mask {mask.shape}", expected=f"{image.shape[:2]}, as its image {name}", file=where
            )
        if not np.isin(mask, (0, 1)).all():
            raise InvalidDatasetError(f"mask values {np.unique(mask)[:5].tolist()}", expected="0 and 1", file=where)
        chosen = [BANDS.index(band) for band in self.bands]
        values = image[..., chosen].transpose(2, 0, 1)
        if not self.as_stored:
            values = _restored(values, self.bands, self.files.where(image_path))
        return Sample(image=np.ascontiguousarray(values, np.float32), label=mask.astype(np.uint8), pixel_m2=_PIXEL_M2)


def _restored(values: np.ndarray, bands: tuple[str, ...], where: str) -> np.ndarray:
    """Reflectance, metres and degrees (C, H, W) of stored values."""
    units = np.array([UNITS[BANDS.index(band)] for band in bands]).reshape(-1, 1, 1)
    numbers = values.astype(np.float64) * units
    whole = np.round(numbers)
    off = np.abs(numbers - whole).max(axis=(1, 2))
    if off.max() > _OFF:
        band = bands[int(off.argmax())]
        raise InvalidDatasetError(
            f"band {band} is up to {off.max():.2f} off from whole numbers of 1/{UNITS[BANDS.index(band)]}",
            expected="values as published, which are digital numbers over that",
            cure="Normalised anew, they cannot be taken back: take the published files.",
            file=where,
        )
    scale = np.array([1.0 if band in TERRAIN_BANDS else 1.0 / QUANTIFICATION for band in bands]).reshape(-1, 1, 1)
    restored: np.ndarray = whole * scale
    return restored


def open_landslide4sense(files: Files, *, bands: tuple[str, ...], as_stored: bool = False) -> Landslide4Sense:
    """Open one folder of the data set, as ``TrainData``.

    Args:
        files: The folder that holds ``img`` and ``mask``.
        bands: Of `BANDS`, in the order wanted.
        as_stored: Give the values as they are.

    Raises:
        InvalidDatasetError: A folder, image or mask is missing, or there is no such band.
    """
    _check_bands(files, bands)
    return Landslide4Sense(files=files, names=_names(files, ""), bands=bands, as_stored=as_stored)


def open_official(files: Files, *, bands: tuple[str, ...], as_stored: bool = False) -> Landslide4Sense:
    """Open all three parts of the data set.

    Args:
        files: The folder that holds ``TrainData``, ``ValidData`` and ``TestData``.
        bands: Of `BANDS`, in the order wanted.
        as_stored: Give the values as they are.

    Raises:
        InvalidDatasetError: A part, or the masks of one, are missing, or there is no such band.
    """
    _check_bands(files, bands)
    names = tuple(sorted(name for part in PARTS for name in _of_part(files, part)))
    return Landslide4Sense(files=files, names=names, bands=bands, as_stored=as_stored)


def _of_part(files: Files, part: str) -> tuple[str, ...]:
    try:
        return _names(files, f"{part}/")
    except InvalidDatasetError as error:
        raise InvalidDatasetError(
            error.found, expected=error.expected, cure="" if part == PARTS[0] else _LATER_MASKS, **error.where
        ) from error


def _check_bands(files: Files, bands: tuple[str, ...]) -> None:
    unknown = [band for band in bands if band not in BANDS]
    if unknown:
        raise InvalidDatasetError(f"no band {unknown[0]}", expected=", ".join(BANDS), file=files.where(""))


def _paths(name: str) -> tuple[str, str]:
    """Of an image and its mask, by the image's name."""
    part, number = name.split("image_")
    return f"{part}img/image_{number}.h5", f"{part}mask/mask_{number}.h5"


def _names(files: Files, part: str) -> tuple[str, ...]:
    """Names of the images of a part, each of which has a mask; `part` ends in a slash, or is empty."""
    found = {kind: _numbers(files, f"{part}{folder}", kind) for kind, folder in (("image", "img"), ("mask", "mask"))}
    for have, lack, folder in (("image", "mask", "mask"), ("mask", "image", "img")):
        missing = sorted(found[have] - found[lack])
        if missing:
            shown = ", ".join(f"{lack}_{number}.h5" for number in missing[:_SHOWN])
            raise InvalidDatasetError(
                f"{len(missing)} of {len(found[have])} files missing ({shown})",
                expected=f"one for each {have}",
                file=files.where(f"{part}{folder}"),
            )
    names = tuple(sorted(f"{part}image_{number}" for number in found["image"]))
    return need_names(names, expected="image_N.h5 in the folder img", file=files.where(f"{part}img"))


def _numbers(files: Files, folder: str, kind: str) -> set[str]:
    matches = (_NAME.fullmatch(name) for name in files.names(folder))
    return {match[2] for match in matches if match and match[1] == kind}


def _array(files: Files, path: str, key: str) -> np.ndarray:
    """One array of numbers out of an HDF5 file that holds it itself: no links to other files are followed."""
    where, content = files.where(path), files.read(path)
    try:
        with h5py.File(io.BytesIO(content), "r") as file:
            if not isinstance(file.get(key, getlink=True), h5py.HardLink) or not isinstance(file[key], h5py.Dataset):
                raise InvalidDatasetError(f"keys {sorted(file)[:5]}", expected=f"an array {key}", file=where)
            dataset = file[key]
            if dataset.external or dataset.is_virtual:
                raise InvalidDatasetError(f"{key} lies in another file", expected="values in this one", file=where)
            # A piece of a compressed array is unpacked whole, however little of it the array is.
            if dataset.dtype.kind not in "fiu" or max(dataset.size, math.prod(dataset.chunks or (0,))) > _MOST_PIXELS:
                raise InvalidDatasetError(
                    f"{key} {dataset.dtype} {dataset.shape}, in pieces of {dataset.chunks}",
                    expected=f"at most {_MOST_PIXELS:,} numbers",
                    file=where,
                )
            values: np.ndarray = dataset[()]
            return values
    except (OSError, RuntimeError) as error:
        raise InvalidDatasetError(
            f"cannot be read ({error})", expected=f"an HDF5 file with {key}", file=where
        ) from error
