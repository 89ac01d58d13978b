"""Landslide4Sense (Ghorbanzadeh et al. 2022): ``img/image_N.h5`` and ``mask/mask_N.h5``, 128 x 128 px of 10 m.

Each band was divided by its mean over the data set, so values are around 1 and no reflectances; band 10 (cirrus) has no
counterpart in a surface reflectance product. A network trained here cannot scan Sentinel-2 scenes as they are.
"""

from __future__ import annotations

import io
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import h5py
import numpy as np

from landslide_scale.datasets.sample import Sample, need_names
from landslide_scale.errors import InvalidDatasetError

if TYPE_CHECKING:
    from landslide_scale.datasets.files import Files
    from landslide_scale.spec import Radiometry

BANDS = (
    "coastal", "blue", "green", "red", "rededge1", "rededge2", "rededge3", "nir", "nir09", "cirrus", "swir16", "swir22",
    "slope", "elevation",
)  # fmt: skip
"""Its channels in order: Sentinel-2 bands 1 to 8 and 9 to 12, then slope and elevation."""

_MOST_PIXELS = 100_000_000
_NAME = re.compile(r"(image|mask)_(\d+)\.h5")
_SHOWN = 3


@dataclass(frozen=True, kw_only=True)
class Landslide4Sense:
    """One of its folders, restricted to some of its bands.

    Attributes:
        files: The folder that holds ``img`` and ``mask``.
        names: ``image_N``, sorted.
        bands: Chosen, in order.
    """

    files: Files
    names: tuple[str, ...]
    bands: tuple[str, ...]

    @property
    def radiometry(self) -> Radiometry:
        """Values over the mean of their band."""
        return "l4s"

    def read(self, name: str) -> Sample:
        """Open one image with the chosen bands, and its mask."""
        number = name.removeprefix("image_")
        image = _array(self.files, f"img/{name}.h5", "img")
        mask = _array(self.files, f"mask/mask_{number}.h5", "mask")
        where = self.files.where(f"img/{name}.h5")
        if image.ndim != 3 or image.shape[2] != len(BANDS):  # noqa: PLR2004 (rows, columns, bands)
            raise InvalidDatasetError(f"img {image.shape}", expected=f"(rows, columns, {len(BANDS)})", file=where)
        if not np.isfinite(image).all():
            raise InvalidDatasetError("img holds values that are no numbers", expected="finite numbers", file=where)
        where = self.files.where(f"mask/mask_{number}.h5")
        if mask.shape != image.shape[:2]:
            raise InvalidDatasetError(
                f"mask {mask.shape}", expected=f"{image.shape[:2]}, as its image {name}", file=where
            )
        if not np.isin(mask, (0, 1)).all():
            raise InvalidDatasetError(f"mask values {np.unique(mask)[:5].tolist()}", expected="0 and 1", file=where)
        chosen = [BANDS.index(band) for band in self.bands]
        values = np.ascontiguousarray(image[..., chosen].transpose(2, 0, 1), np.float32)
        return Sample(image=values, label=mask.astype(np.uint8))


def open_landslide4sense(files: Files, *, bands: tuple[str, ...]) -> Landslide4Sense:
    """Open one folder of the data set, as ``TrainData``.

    Args:
        files: The folder that holds ``img`` and ``mask``.
        bands: Of `BANDS`, in the order wanted.

    Raises:
        InvalidDatasetError: A folder, image or mask is missing, or there is no such band.
    """
    unknown = [band for band in bands if band not in BANDS]
    if unknown:
        raise InvalidDatasetError(f"no band {unknown[0]}", expected=", ".join(BANDS), file=files.where(""))
    found = {kind: _numbers(files, folder, kind) for kind, folder in (("image", "img"), ("mask", "mask"))}
    for have, lack, folder in (("image", "mask", "mask"), ("mask", "image", "img")):
        missing = sorted(found[have] - found[lack])
        if missing:
            shown = ", ".join(f"{lack}_{number}.h5" for number in missing[:_SHOWN])
            raise InvalidDatasetError(
                f"{len(missing)} of {len(found[have])} files missing ({shown})",
                expected=f"one for each {have}",
                file=files.where(folder),
            )
    names = tuple(sorted(f"image_{number}" for number in found["image"]))
    need_names(names, expected="image_N.h5 in the folder img", file=files.where("img"))
    return Landslide4Sense(files=files, names=names, bands=bands)


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
            if dataset.dtype.kind not in "fiu" or dataset.size > _MOST_PIXELS:
                raise InvalidDatasetError(
                    f"{key} {dataset.dtype} {dataset.shape}",
                    expected=f"at most {_MOST_PIXELS:,} numbers",
                    file=where,
                )
            values: np.ndarray = dataset[()]
            return values
    except (OSError, RuntimeError) as error:
        raise InvalidDatasetError(
            f"cannot be read ({error})", expected=f"an HDF5 file with {key}", file=where
        ) from error
