"""Elevation and slope as bands beside those of the scenes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from landslide_scale.bands import NEVER, TERRAIN_BANDS, Reason, scene_bands
from landslide_scale.grid import Lattice, PixelBox
from landslide_scale.imagery.composite import Image
from landslide_scale.imagery.elevation import read_elevation
from landslide_scale.stac.dem import DemTile
from landslide_scale.stac.settings import Interpolation


def with_terrain(
    image: Image,
    bands: tuple[str, ...],
    tiles: Sequence[DemTile],
    lattice: Lattice,
    box: PixelBox,
    *,
    interpolation: Interpolation = "cubic",
) -> Image:
    """An image of the scenes' bands as one of all of `bands`.

    A pixel without elevation or slope, where `bands` has them, counts as not observed for want of data. Under clouds
    they are there all the same. Nothing is read where no pixel was observed.

    Args:
        image: What :func:`landslide_scale.imagery.observe.observe` gave of ``scene_bands(bands)`` over `box`.
        bands: All bands, in order.
        tiles: Of the elevation model, all that reach `box` and a pixel around it.
        lattice: Of `box`.
        box: The pixels.
        interpolation: Of elevations, of which a slope is made too.

    Raises:
        ReadError: A tile cannot be read; the error names it.
    """
    wanted = [band for band in bands if band in TERRAIN_BANDS]
    if not wanted:
        return image
    seen = image.reason == Reason.OBSERVED
    of_band = dict(zip(scene_bands(bands), image.values, strict=True))
    of_band |= terrain(wanted, tiles, lattice, box, interpolation) if seen.any() else {}
    nothing = np.full(box.shape, np.nan, np.float32)
    values = np.stack([of_band.get(band, nothing) for band in bands])
    lacking = seen & np.isnan([of_band.get(band, nothing) for band in wanted]).any(axis=0)
    return replace(
        image,
        values=values,
        clear_count=np.where(lacking, np.uint8(0), image.clear_count),
        observed_on=np.where(lacking, np.uint16(NEVER), image.observed_on),
        reason=np.where(lacking, np.uint8(Reason.NO_DATA), image.reason),
    )


def terrain(
    bands: Sequence[str],
    tiles: Sequence[DemTile],
    lattice: Lattice,
    box: PixelBox,
    interpolation: Interpolation = "cubic",
) -> dict[str, NDArray[np.float32]]:
    """``elevation`` (metres), ``slope`` and ``aspect`` (degrees) of `box`, those asked for.

    Returns:
        By name, (H, W), NaN where there is no data.

    Raises:
        ReadError: A tile cannot be read; the error names it.
    """
    if not {"slope", "aspect"} & set(bands):
        return {"elevation": read_elevation(tiles, lattice, box, interpolation).astype(np.float32)}
    around = read_elevation(tiles, lattice, box.pad(1), interpolation)
    made: dict[str, Callable[[], NDArray[np.float64]]] = {
        "elevation": lambda: around[1:-1, 1:-1],
        "slope": lambda: slope(around, lattice.resolution),
        "aspect": lambda: aspect(around),
    }
    return {band: made[band]().astype(np.float32) for band in bands}


def slope(elevation: NDArray[np.float64], resolution: float) -> NDArray[np.float64]:
    """Steepness by Horn's weights over 3 x 3 pixels.

    Horn, B. K. P. (1981): Hill shading and the reflectance map. Proceedings of the IEEE 69(1), 14-47; as in Burrough
    and McDonnell (1998): Principles of Geographical Information Systems, p. 190.

    Args:
        elevation: (H + 2, W + 2) metres, NaN where there is none.
        resolution: Side of a pixel in metres.

    Returns:
        (H, W) degrees, 0 to 90, of the inner pixels; NaN where one of the nine has no elevation.
    """
    down, right = _rises(elevation)
    steepness = np.degrees(np.arctan(np.hypot(down, right) / (8 * resolution)))
    return np.where(np.isnan(elevation[1:-1, 1:-1]), np.nan, steepness)


def aspect(elevation: NDArray[np.float64]) -> NDArray[np.float64]:
    """Which way ground falls, by the weights of :func:`slope`.

    Args:
        elevation: (H + 2, W + 2) metres, NaN where there is none.

    Returns:
        (H, W) degrees clockwise from the north of the grid, 0 to 360, of the inner pixels; NaN where one of the nine
        has no elevation, or where the ground is level.
    """
    down, right = _rises(elevation)
    faces = np.degrees(np.arctan2(-right, down)) % 360.0
    unknown = np.isnan(elevation[1:-1, 1:-1]) | ((down == 0) & (right == 0))
    return np.where(unknown, np.nan, faces)


def _rises(z: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """By how much elevation rises down the rows and along them, over eight pixels' sides."""
    down = z[2:, :-2] + 2 * z[2:, 1:-1] + z[2:, 2:] - z[:-2, :-2] - 2 * z[:-2, 1:-1] - z[:-2, 2:]
    right = z[:-2, 2:] + 2 * z[1:-1, 2:] + z[2:, 2:] - z[:-2, :-2] - 2 * z[1:-1, :-2] - z[2:, :-2]
    return down, right
