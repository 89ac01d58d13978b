"""Which pixels of one datatake count, and why the others do not: scene classes, some of them grown."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt

from landslide_scale.bands import Reason, reasons
from landslide_scale.grid import Lattice
from landslide_scale.imagery.settings import CompositeConfig

DILATED_ROWS = 512
"""Rows of a mask that are dilated at a time: the distances of one pixel take some fifty bytes."""


def masked(classes: NDArray[np.uint8], config: CompositeConfig, lattice: Lattice) -> NDArray[np.uint8]:
    """The :class:`Reason` of each pixel (H, W), observed where its class is clear and none that is grown is near."""
    return _dilated(classes, reasons(classes, config.clear), config.grown, config.dilate_m / lattice.resolution)


def dilation_pixels(config: CompositeConfig, lattice: Lattice) -> int:
    """Pixels around a box whose classes reach into it."""
    return math.ceil(config.dilate_m / lattice.resolution)


def _dilated(
    classes: NDArray[np.uint8], reason: NDArray[np.uint8], grown: tuple[int, ...], radius: float
) -> NDArray[np.uint8]:
    """`reason` with clear pixels within `radius` pixels (closed, centre to centre) of a grown class taken out.

    They get the reason of that class; of several the smallest.
    """
    out = reason.copy()
    clear = reason == Reason.OBSERVED
    why = {code: int(reasons(np.array([code], np.uint8), ())[0]) for code in grown}
    for one in sorted(set(why.values()), reverse=True):
        members = [code for code in grown if why[code] == one]
        out[clear & _near(np.isin(classes, members), radius)] = one
    return out


def _near(seeds: NDArray[np.bool_], radius: float) -> NDArray[np.bool_]:
    """Where (H, W) a seed lies within `radius` pixels, closed, centre to centre; by strips of rows."""
    out, reach = np.zeros(seeds.shape, bool), math.ceil(radius)
    for top in range(0, len(seeds), DILATED_ROWS):
        low, stop = max(0, top - reach), min(top + DILATED_ROWS, len(seeds))
        around = seeds[low : stop + reach]
        if around.any():
            out[top:stop] = distance_transform_edt(~around)[top - low : stop - low] <= radius
    return out
