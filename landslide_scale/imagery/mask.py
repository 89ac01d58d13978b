"""Which pixels of one datatake count, and why the others do not: scene classes, clouds and their shadows grown."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt

from landslide_scale.bands import DILATED_CLASSES, Reason, Scl, reasons
from landslide_scale.grid import Lattice
from landslide_scale.imagery.settings import CompositeConfig

DILATED_ROWS = 512
"""Rows of a mask that are dilated at a time: the distances of one pixel take some fifty bytes."""


def masked(classes: NDArray[np.uint8], config: CompositeConfig, lattice: Lattice) -> NDArray[np.uint8]:
    """The :class:`Reason` of each pixel (H, W), observed where its class is clear and no cloud or shadow is near."""
    return _dilated(classes, reasons(classes, config.clear), config.dilate_m / lattice.resolution)


def dilation_pixels(config: CompositeConfig, lattice: Lattice) -> int:
    """Pixels around a box that can cast cloud or shadow into it."""
    return math.ceil(config.dilate_m / lattice.resolution)


def _dilated(classes: NDArray[np.uint8], reason: NDArray[np.uint8], radius: float) -> NDArray[np.uint8]:
    """`reason` with clear pixels within `radius` pixels (closed, centre to centre) of cloud or shadow taken out."""
    out = reason.copy()
    clear = reason == Reason.OBSERVED
    shadows = (Scl.CLOUD_SHADOW,)
    clouds = tuple(scene_class for scene_class in DILATED_CLASSES if scene_class not in shadows)
    for members, why in ((shadows, Reason.CLOUD_SHADOW), (clouds, Reason.CLOUD)):
        out[clear & _near(np.isin(classes, members), radius)] = why
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
