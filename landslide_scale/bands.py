"""What a Sentinel-2 L2A product holds: bands, scene classes, and why a pixel is not observed."""

from __future__ import annotations

from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

BAND_NAMES = (
    "coastal", "blue", "green", "red", "rededge1", "rededge2", "rededge3", "nir", "nir08", "nir09", "swir16", "swir22",
)  # fmt: skip
"""Names of the L2A bands in the order B01 to B12 (B10 has no surface reflectance), as Earth Search names its assets."""

TERRAIN_BANDS = ("elevation", "slope")
"""Bands of an elevation model: metres above its datum, and degrees, 0 to 90. They are beside reflectance as they are;
in the radiometry ``l4s`` bands of the same names are normalised like its others."""


def scene_bands(bands: tuple[str, ...]) -> tuple[str, ...]:
    """Those of `bands` that are read from scenes, in their order."""
    return tuple(band for band in bands if band not in TERRAIN_BANDS)


QUANTIFICATION = 10_000
"""Digital numbers per unit of surface reflectance (Sentinel-2 Products Specification Document)."""

NEWER_OFFSET = -1000
"""Added to digital numbers from processing baseline 04.00 on (25 January 2022)."""


class Scl(IntEnum):
    """Scene classification of Sen2Cor; resampled copies hold traces of values above 11."""

    NO_DATA = 0
    DEFECTIVE = 1
    TERRAIN_SHADOW = 2
    CLOUD_SHADOW = 3
    VEGETATION = 4
    BARE = 5
    WATER = 6
    UNCLASSIFIED = 7
    CLOUD_MEDIUM = 8
    CLOUD_HIGH = 9
    CIRRUS = 10
    SNOW = 11


CLOUDY_CLASSES = (Scl.UNCLASSIFIED, Scl.CLOUD_MEDIUM, Scl.CLOUD_HIGH, Scl.CIRRUS)
"""What bright ground is taken for: clouds of any probability, 7 being the lowest."""

PROBABILITIES = ("cloud", "snow")
"""Assets of Sen2Cor's cloud and snow probability, percent."""

CLEAR_CLASSES = (Scl.VEGETATION, Scl.BARE, Scl.WATER)
"""Observed by default. Class 7 lies at the rim of clouds: 92 to 95 % of it within a pixel of cloud or shadow."""

DILATED_CLASSES = (Scl.CLOUD_SHADOW, Scl.CLOUD_MEDIUM, Scl.CLOUD_HIGH)
"""Grown by ``composite.dilate_m`` by default, because masks miss the rims of clouds and shadows."""


class Reason(IntEnum):
    """Why a pixel of the cube holds no probability; where several scenes differ, the smallest code above 0 wins.

    ``TOO_FEW_CLEAR``: seen clear, but by fewer scenes than ``composite.min_clear`` asks for. ``NO_SCENE``: of the whole
    layer, for the catalogue has no scene of its window on this region; cubes begun before it was there lack it, as they
    lack ``PERSISTENT``: masked as cloud on every date on which its surroundings are clear (``composite.persistence``),
    so that it is bright ground more often than cloud, and told before every other reason.
    """

    OBSERVED = 0
    CLOUD = 1
    CLOUD_SHADOW = 2
    TERRAIN_SHADOW = 3
    SNOW = 4
    UNCLASSIFIED = 5
    DEFECTIVE = 6
    NO_DATA = 7
    NOT_SCANNED = 8
    TOO_FEW_CLEAR = 9
    NO_SCENE = 10
    PERSISTENT = 11


NEVER = 65_535
"""Day of the newest clear observation of a pixel that no scene saw clear."""

_REASON_OF_CLASS = {
    Scl.NO_DATA: Reason.NO_DATA,
    Scl.DEFECTIVE: Reason.DEFECTIVE,
    Scl.TERRAIN_SHADOW: Reason.TERRAIN_SHADOW,
    Scl.CLOUD_SHADOW: Reason.CLOUD_SHADOW,
    Scl.CLOUD_MEDIUM: Reason.CLOUD,
    Scl.CLOUD_HIGH: Reason.CLOUD,
    Scl.CIRRUS: Reason.CLOUD,
    Scl.SNOW: Reason.SNOW,
}


def reasons(scl: NDArray[np.uint8], clear: tuple[int, ...]) -> NDArray[np.uint8]:
    """The :class:`Reason` of each pixel (H, W) uint8 of one scene, from its classes and those counted as clear."""
    table = np.full(256, Reason.UNCLASSIFIED, np.uint8)
    for scene_class, reason in _REASON_OF_CLASS.items():
        table[scene_class] = reason
    table[list(clear)] = Reason.OBSERVED
    return table[scl]
