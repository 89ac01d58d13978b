"""Fields: rectangles in districts that each have their own direction and size."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from landslide_scale.demo.ground.frame import FINE_M, Frame
from landslide_scale.demo.ground.noise import Field, stream

_DISTRICTS_PER_KM2 = 0.34
_DISTRICT_CELL_M = 20


@dataclass(frozen=True, kw_only=True)
class Parcels:
    """Rasters of 5 m cells.

    Attributes:
        draw: float32, 0 to 1, one random number per parcel: what is grown there follows from it.
        edge: bool, True on the grass strips between some parcels.
    """

    draw: Field
    edge: NDArray[np.bool_]


def make_parcels(frame: Frame, seed: int) -> Parcels:
    """Divide the whole ground into parcels; cover takes those on level ground."""
    rng = stream(seed, "parcels")
    count = max(1, round(_DISTRICTS_PER_KM2 * frame.area_km2))
    district = _districts(rng, frame, count)
    angle = rng.uniform(0, np.pi, count).astype(np.float32)
    wide = rng.uniform(45, 130, count).astype(np.float32)
    long = rng.uniform(140, 420, count).astype(np.float32)
    rows, columns = frame.shape(FINE_M)
    y = (np.arange(rows, dtype=np.float32) * FINE_M)[:, None]
    x = (np.arange(columns, dtype=np.float32) * FINE_M)[None, :]
    cos, sin = np.cos(angle)[district], np.sin(angle)[district]
    across = (x * cos + y * sin) / wide[district]
    along = (y * cos - x * sin) / long[district]
    # Every second strip is shifted by half a parcel, so that corners do not line up over a whole district.
    strip = np.floor(across)
    along += 0.5 * (strip % 2)
    plot = np.floor(along)
    edge = (across - strip) * wide[district] < FINE_M
    return Parcels(draw=_hashed(district, strip, plot), edge=edge)


def redrawn(draw: Field) -> Field:
    """Another number in [0, 1) for each parcel: of another year. It follows from the first, and tells nothing of it."""
    key = draw.view(np.uint32) * np.uint32(2654435761)
    key ^= key >> np.uint32(16)
    key *= np.uint32(2246822519)
    key ^= key >> np.uint32(13)
    return np.asarray((key >> np.uint32(8)) / np.float32(1 << 24), dtype=np.float32)


def _districts(rng: np.random.Generator, frame: Frame, count: int) -> NDArray[np.intp]:
    rows, columns = frame.shape(_DISTRICT_CELL_M)
    centres = rng.random((count, 2)) * (rows, columns)
    row, column = np.indices((rows, columns))
    nearest = cKDTree(centres).query(np.column_stack((row.ravel(), column.ravel())), workers=2)[1]
    factor = _DISTRICT_CELL_M // FINE_M
    coarse = np.asarray(nearest, dtype=np.intp).reshape(rows, columns)
    return coarse.repeat(factor, axis=0).repeat(factor, axis=1)


def _hashed(district: NDArray[np.intp], strip: Field, plot: Field) -> Field:
    """One number in [0, 1) per (district, strip, plot); products of odd constants spread neighbours apart."""
    key = (
        district.astype(np.uint32) * np.uint32(2654435761)
        + strip.astype(np.int32).astype(np.uint32) * np.uint32(2246822519)
        + plot.astype(np.int32).astype(np.uint32) * np.uint32(3266489917)
    )
    key ^= key >> np.uint32(15)
    key *= np.uint32(2246822519)
    key ^= key >> np.uint32(13)
    return np.asarray(key / np.float32(2**32), dtype=np.float32)
