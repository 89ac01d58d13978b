"""Relative change of NDVI between two composites: what vegetation says of a slope, without any network.

Scheip, C. M. and Wegmann, K. W. (2021): HazMapper: a global open-source natural hazard mapping application in Google
Earth Engine. Natural Hazards and Earth System Sciences 21, 1495-1511, doi 10.5194/nhess-21-1495-2021:
``rdNDVI = (NDVI_post - NDVI_pre) / sqrt(NDVI_pre + NDVI_post) * 100``. It says nothing where there was no vegetation to
lose: in deserts, on snow, on water.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

SCALE = 0.01
"""Of a stored step: hundredths of rdNDVI's hundredths."""

FILL = -32_768
"""Stored where nothing is known."""

MOST = 32_767
"""Stored for all that is as much or more, and its negative for all that is as little or less: 327.67 is beyond what two
NDVI of ground with plants on it give (100), and is come to where both are about 0."""

_ROUNDING = 1e-9

Reals = NDArray[np.float32]


def ndvi(red: Reals, nir: Reals) -> Reals:
    """Normalised difference vegetation index.

    Args:
        red: Surface reflectance (H, W), NaN where not observed.
        nir: The same in the near infrared.

    Returns:
        (H, W) float32, -1 to 1; NaN where either is not observed or is negative, as dark ground can be by the
        correction for the atmosphere, or where both are 0.
    """
    total = nir + red
    known = (red >= 0) & (nir >= 0) & (total > 0)
    found: Reals = np.full(red.shape, np.nan, np.float32)
    np.divide(nir - red, total, out=found, where=known)
    return found


def rdndvi(before: Reals, after: Reals) -> Reals:
    """The relative change, in hundredths; below 0 where vegetation was lost.

    Args:
        before: NDVI (H, W), NaN where unknown.
        after: The same, later.

    Returns:
        (H, W) float32; NaN where either is unknown, or their sum, under the root, is not positive.
    """
    total = before + after
    known = total > 0
    root = np.sqrt(total, out=np.ones(total.shape, np.float32), where=known)
    return np.where(known, (after - before) / root * np.float32(100), np.float32(np.nan))


def packed(values: Reals) -> NDArray[np.int16]:
    """As it is stored: steps of `SCALE`, to the nearest; NaN to `FILL`, what lies beyond `MOST` as that."""
    known = np.isfinite(values)
    steps = np.clip(np.rint(np.where(known, values, 0) / np.float32(SCALE)), -MOST, MOST)
    return np.where(known, steps, FILL).astype(np.int16)


def lost(stored: NDArray[np.int16], loss: float) -> NDArray[np.bool_]:
    """(H, W) where it is known, and at least `loss` was lost, closed, by the stored steps: as a reader of them sees it.

    Args:
        stored: As :func:`packed` gives it.
        loss: Hundredths, above 0.
    """
    return np.asarray((stored != FILL) & (stored <= -math.ceil(loss / SCALE - _ROUNDING)))
