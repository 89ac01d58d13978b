"""Clouds, the shadows they cast, and the ways a scene classification gets them wrong."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from landslide_scale.bands import Scl
from landslide_scale.demo.ground.cover import BARE, Classes, Cover
from landslide_scale.demo.ground.frame import CELL_M
from landslide_scale.demo.ground.noise import Field, fractal, rank

_CLOUD_HEIGHT_M = 1300.0
_BEYOND = 120  # cells of sky past each edge of the ground: more than a shadow is thrown
_EDGE = 0.035  # of rank: how much ground lies under the thinning rim of the clouds
_SEEN = 0.30  # opacity from which the classification calls a cloud a cloud; thinner rims are missed
_THICK = 0.75


@dataclass(frozen=True, kw_only=True)
class Sky:
    """What stands between ground and sensor; rasters of 10 m cells.

    Attributes:
        cloud: float32 opacity, 0 clear to 1 opaque.
        shadow: float32, 0 lit to 1 in cloud shadow.
        haze: Reflectance added to the blue band; less in longer waves.
    """

    cloud: Field
    shadow: Field
    haze: float


def make_sky(
    rng: np.random.Generator, shape: tuple[int, int], *, cover: float, azimuth: float, elevation: float, haze: float
) -> Sky:
    """Clouds over a share `cover` of the ground, with soft rims, and their shadows away from the sun."""
    # Clouds beyond the ground's edge cast shadows onto it.
    wide = (shape[0] + 2 * _BEYOND, shape[1] + 2 * _BEYOND)
    height = rank(fractal(rng, wide, longest=220, power=3.2))
    cloud = np.clip((height - (1.0 - cover)) / _EDGE, 0, 1).astype(np.float32)
    throw = _CLOUD_HEIGHT_M / math.tan(math.radians(elevation)) / CELL_M
    north = throw * math.cos(math.radians(azimuth))  # the shadow falls away from the sun: rows grow southwards
    east = throw * math.sin(math.radians(azimuth))
    shadow = np.roll(cloud, (round(north), round(-east)), axis=(0, 1))
    ground = (slice(_BEYOND, -_BEYOND), slice(_BEYOND, -_BEYOND))
    return Sky(cloud=cloud[ground], shadow=np.clip(shadow - cloud, 0, 1)[ground], haze=haze)


_HAZE = {"blue": 1.0, "green": 0.6, "red": 0.4, "nir": 0.15, "swir16": 0.05}
_CLOUD = {"blue": 0.62, "green": 0.60, "red": 0.60, "nir": 0.64, "swir16": 0.42}


def through_sky(values: Field, band: str, sky: Sky) -> Field:
    """Reflectance as seen through the sky; all rasters of one shape."""
    lit = values * (1.0 - 0.62 * sky.shadow) + np.float32(sky.haze * _HAZE[band])
    return np.asarray(lit + sky.cloud * (_CLOUD[band] - lit), dtype=np.float32)


def classify(
    cover: Classes, scar: Field, sky: Sky, terrain_shadow: Field, mistaken: NDArray[np.bool_]
) -> NDArray[np.uint8]:
    """The scene classification an L2A processor might make of the ground, its mistakes included.

    Cloud rims thinner than `_SEEN` keep the class of the ground under them, and bright scars in `mistaken` are
    called cloud.

    Args:
        cover: uint8 `Cover`.
        scar: float32 share under scars.
        sky: Clouds and shadows.
        terrain_shadow: float32, 1 in the shadow of a mountain.
        mistaken: True on the scars called cloud.

    Returns:
        uint8 :class:`landslide_scale.bands.Scl`; all rasters have one shape, whatever their cells.
    """
    bare = np.isin(cover, BARE) | (scar > 0.5)  # noqa: PLR2004  (more scar than not)
    scl = np.where(bare, Scl.BARE, Scl.VEGETATION).astype(np.uint8)
    scl[cover == Cover.WATER] = Scl.WATER
    scl[terrain_shadow > 0.5] = Scl.TERRAIN_SHADOW  # noqa: PLR2004
    scl[sky.shadow > 0.4] = Scl.CLOUD_SHADOW  # noqa: PLR2004
    scl[(sky.cloud >= _SEEN) | mistaken] = Scl.CLOUD_MEDIUM
    scl[sky.cloud >= _THICK] = Scl.CLOUD_HIGH
    rim = ndimage.binary_dilation(sky.cloud >= _SEEN) & (sky.cloud < _SEEN) & (sky.cloud > _SEEN / 2)
    scl[rim] = Scl.UNCLASSIFIED
    return scl
