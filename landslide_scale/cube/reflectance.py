"""The composite's bands in a cube that keeps them: surface reflectance as the network was shown it, in 16 bits.

It is in steps of a Sentinel-2 product's digital numbers, from -0.1 on: with the offset of newer processings,
reflectance goes below 0 over dark water and shadow, and -0.0999 is the least that they can say.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from landslide_scale.bands import QUANTIFICATION
from landslide_scale.cube.arrays import Variable

LEAST = -0.1
STEP = 1 / QUANTIFICATION
FILL = 65_535
_MOST = FILL - 1


def variables(bands: Sequence[str]) -> tuple[Variable, ...]:
    """The arrays of these bands."""
    return tuple(_variable(band) for band in bands)


def _variable(band: str) -> Variable:
    return Variable(
        name=band,
        dtype="uint16",
        fill=FILL,
        attributes={
            "long_name": f"surface reflectance in {band} of the composite that the probability was predicted from",
            "scale_factor": STEP,
            "add_offset": LEAST,
            "_FillValue": FILL,
            "units": "1",
            "valid_range": [0, _MOST],
            "comment": f"0 is {LEAST} or less, {_MOST} is {LEAST + _MOST * STEP:.4f} or more; none where not observed",
        },
    )


def packed(reflectance: NDArray[np.float32]) -> NDArray[np.uint16]:
    """Reflectance as it is stored: to the nearest step, NaN to fill; what lies outside as the end it lies beyond."""
    steps = (reflectance - np.float32(LEAST)) * np.float32(QUANTIFICATION)
    np.clip(np.rint(steps, out=steps), 0, _MOST, out=steps)
    steps[np.isnan(steps)] = FILL
    return steps.astype(np.uint16)


def unpacked(stored: Mapping[str, NDArray[np.uint16]]) -> dict[str, NDArray[np.float32]]:
    """Reflectance of stored bands (H, W), NaN where there is none."""
    return {
        band: np.where(values == FILL, np.float32(np.nan), (values * STEP + LEAST).astype(np.float32))
        for band, values in stored.items()
    }


def nothing(bands: Sequence[str], shape: tuple[int, int]) -> dict[str, NDArray[np.uint16]]:
    """Bands (H, W) of which nothing was observed."""
    return {band: np.full(shape, FILL, np.uint16) for band in bands}
