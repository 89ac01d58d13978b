"""What the clear frames after an event come to: one image with its label, as a chip holds it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from landslide_scale.bands import CLEAR_CLASSES, QUANTIFICATION
from landslide_scale.importing.patch import BANDS, Pixels
from landslide_scale.label_values import IGNORE
from landslide_scale.stac.radiometry import Evidence, witness

METHOD = "median, of fewer than three the first"
"""How frames become one image: a scan takes the latest of fewer than three, here the one nearest to the event is."""

_OBSERVATIONS_FOR_MEDIAN = 3
_WITNESSES = [list(BANDS).index(band) for band in ("blue", "red")]


@dataclass(frozen=True, kw_only=True, eq=False)
class Chip:
    """One image and its label.

    Attributes:
        image: float32 (C, H, W), surface reflectance; NaN where no frame is clear.
        label: uint8 (H, W); 0 background, 1 landslide, 255 where no frame is clear.
    """

    image: NDArray[np.float32]
    label: NDArray[np.uint8]


def chip_of(pixels: Pixels, frames: tuple[int, ...]) -> Chip:
    """The median of three or more clear frames, band by band, else the first clear one.

    Args:
        pixels: Of the patch.
        frames: Those to take, in the order of their days.
    """
    clear = np.isin(pixels.classes[list(frames)], CLEAR_CLASSES)
    values = pixels.numbers[:, list(frames)].astype(np.float32) / np.float32(QUANTIFICATION)
    values[:, ~clear] = np.nan
    count = clear.sum(axis=0)
    image = np.take_along_axis(values, np.argmax(clear, axis=0)[np.newaxis, np.newaxis], axis=1)[:, 0]
    enough = count >= _OBSERVATIONS_FOR_MEDIAN
    if enough.any():
        image[:, enough] = np.nanmedian(values[:, :, enough], axis=1)
    label = np.where(count > 0, pixels.mask, np.uint8(IGNORE)).astype(np.uint8)
    return Chip(image=image, label=label)


def asked(pixels: Pixels, frames: tuple[int, ...]) -> Evidence:
    """What the frames' pixels say of the offset that the publishers took off."""
    blue, red = (pixels.numbers[band, list(frames)].astype(np.uint16) for band in _WITNESSES)
    return witness(blue, red, pixels.classes[list(frames)])
