"""Sunlight on the ground: hillshade and cast shadow."""

from __future__ import annotations

import math

import numpy as np

from landslide_scale.demo.ground.frame import CELL_M
from landslide_scale.demo.ground.noise import Field

_SKY = 0.22  # share of light that comes from the sky and reaches ground turned away from the sun
_SHADOW_STEP = 2  # cells: shadows are cast on a 20 m raster
_SHADOW_REACH_M = 2400


def illumination(height: Field, *, azimuth: float, elevation: float) -> tuple[Field, Field]:
    """Light on each cell relative to flat open ground, and where a mountain stands before the sun.

    Args:
        height: (rows, columns) float32 metres, 10 m cells, row 0 in the north.
        azimuth: Of the sun, degrees clockwise from north.
        elevation: Of the sun, degrees above the horizon.

    Returns:
        (factor, shadow): factor (rows, columns) float32, 1 on flat ground; shadow is 1 in cast shadow, 0 in light,
        between at its edge.
    """
    sun_row, sun_column = -math.cos(math.radians(azimuth)), math.sin(math.radians(azimuth))
    rise_row, rise_column = np.gradient(height, CELL_M)
    up = math.sin(math.radians(elevation))
    across = math.cos(math.radians(elevation))
    facing = up - across * (rise_row * sun_row + rise_column * sun_column)
    facing /= np.sqrt(1.0 + rise_row**2 + rise_column**2)
    shadow = _cast_shadow(height, sun_row, sun_column, math.tan(math.radians(elevation)))
    direct = np.clip(facing / up, 0.0, None) * (1.0 - shadow)
    return (_SKY + (1.0 - _SKY) * direct).astype(np.float32), shadow


def _cast_shadow(height: Field, sun_row: float, sun_column: float, tangent: float) -> Field:
    """March towards the sun; a cell is in shadow where the ground on the way stands higher than the ray."""
    low = height[::_SHADOW_STEP, ::_SHADOW_STEP]
    cell = CELL_M * _SHADOW_STEP
    horizon = np.full(low.shape, -np.inf, dtype=np.float32)
    for step in range(1, int(min(_SHADOW_REACH_M, float(low.max() - low.min()) / tangent) / cell) + 1):
        row, column = round(step * sun_row), round(step * sun_column)
        seen = np.roll(low, (-row, -column), axis=(0, 1)) - np.float32(math.hypot(row, column) * cell * tangent)
        _forget_wrapped(seen, row, column)
        np.maximum(horizon, seen, out=horizon)
    dark = np.clip((horizon - low) / 4.0, 0.0, 1.0).astype(np.float32)
    fine = dark.repeat(_SHADOW_STEP, axis=0).repeat(_SHADOW_STEP, axis=1)
    return np.asarray(fine[: height.shape[0], : height.shape[1]])


def _forget_wrapped(rolled: Field, row: int, column: int) -> None:
    """Cells that came round the raster's edge know nothing of what stands there."""
    if row:
        rolled[slice(-row, None) if row > 0 else slice(None, -row)] = -np.inf
    if column:
        rolled[:, slice(-column, None) if column > 0 else slice(None, -column)] = -np.inf
