"""What elevation and slope say of the pixels of landslides, added up in whole numbers."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import astuple, dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from landslide_scale.grid import Lattice, PixelBox
from landslide_scale.products.bits import FLAT_DEG, FLAT_WITHIN_M
from landslide_scale.products.terrain import Elevations, Terrain

SIDE = 512
"""Pixels of a square that is read at once, where it has landslides: so memory is that of a square."""

_PER_UNIT = 1000
_OF_ONE = 1_000_000
"""Steps of the sine and cosine of an aspect."""


@dataclass(frozen=True, kw_only=True)
class OnRelief:
    """Figures of some pixels.

    Attributes:
        unread: Pixels where the model could not be read.
        known: Pixels of known elevation.
        millimetres: Sum of their elevations.
        sloping: Pixels of known slope.
        millidegrees: Sum of their slopes.
        east, north: Sums of the sine and the cosine of their aspects, in millionths.
        flat: Pixels on flat ground.
    """

    unread: int = 0
    known: int = 0
    millimetres: int = 0
    sloping: int = 0
    millidegrees: int = 0
    east: int = 0
    north: int = 0
    flat: int = 0

    def __add__(self, other: OnRelief) -> OnRelief:
        return OnRelief.of(*(one + another for one, another in zip(astuple(self), astuple(other), strict=True)))

    @classmethod
    def of(cls, *numbers: int) -> OnRelief:
        """By the order of its attributes."""
        return cls(**dict(zip(cls.__dataclass_fields__, numbers, strict=True)))

    @property
    def elevation_m(self) -> float | None:
        """Mean of the pixels of which it is known; None where the model could not be read."""
        return None if self.unread or not self.known else self.millimetres / self.known / _PER_UNIT

    @property
    def slope_deg(self) -> float | None:
        """Mean, likewise."""
        return None if self.unread or not self.sloping else self.millidegrees / self.sloping / _PER_UNIT

    @property
    def aspect_deg(self) -> float | None:
        """Circular mean, 0 to 360, open above; likewise, and None where the ground falls to no side in sum."""
        if self.unread or not (self.east or self.north):
            return None
        return math.degrees(math.atan2(self.east, self.north)) % 360.0 % 360.0  # once for sign, once for rounding

    def is_flat(self, pixels: int) -> bool:
        """Whether at least half of its pixels lie on flat ground."""
        return not self.unread and 0 < pixels <= 2 * self.flat


def on_relief(
    elevations: Elevations | None, lattice: Lattice, box: PixelBox, numbers: NDArray[np.int32], count: int
) -> list[OnRelief]:
    """What the model says of each part of a box.

    Args:
        elevations: The model; None of a run without.
        lattice: Of the zone.
        box: The pixels.
        numbers: (H, W) number of the part that a pixel is of, from 1 to `count`; 0 elsewhere.
        count: How many parts.
    """
    if elevations is None:
        return [OnRelief()] * count
    sums = np.zeros((len(OnRelief.__dataclass_fields__), count + 1), np.int64)
    for square in _squares(box):
        of_square = numbers[square.within(box)]
        inside = of_square > 0
        if inside.any():
            for number, plane in enumerate(_planes(elevations, lattice, square)):
                # Sums of whole numbers below 2**53 are exact in doubles.
                sums[number] += np.bincount(of_square[inside], plane[inside], count + 1).astype(np.int64)
    return [OnRelief.of(*one) for one in sums.T[1:].tolist()]


def _squares(box: PixelBox) -> Iterator[PixelBox]:
    rows, cols = range(box.row_start, box.row_stop, SIDE), range(box.col_start, box.col_stop, SIDE)
    for row, col in product(rows, cols):
        yield PixelBox(
            row_start=row,
            row_stop=min(row + SIDE, box.row_stop),
            col_start=col,
            col_stop=min(col + SIDE, box.col_stop),
        )


def _planes(elevations: Elevations, lattice: Lattice, square: PixelBox) -> Iterator[NDArray[np.float64]]:
    """(H, W) whole numbers, one for each figure of `OnRelief`."""
    reach = FLAT_WITHIN_M // lattice.resolution
    around = square.pad(reach)
    found = elevations.over(lattice, around)
    if found is None:
        yield np.ones(square.shape)
        yield from [np.zeros(square.shape)] * (len(OnRelief.__dataclass_fields__) - 1)
        return
    inner = square.within(around)
    yield np.zeros(square.shape)
    for values in (found.elevation[inner], found.slope[inner]):
        yield np.isfinite(values).astype(np.float64)
        yield _whole(values, _PER_UNIT)
    faces = np.radians(found.aspect[inner].astype(np.float64))
    yield _whole(np.sin(faces), _OF_ONE)
    yield _whole(np.cos(faces), _OF_ONE)
    yield flat(found, reach)[inner].astype(np.float64)


def flat(over: Terrain, reach: int) -> NDArray[np.bool_]:
    """(H, W) where the slope is known, and its mean up to `reach` pixels to every side is less than `FLAT_DEG`.

    It is exact, so that it does not depend on the box; but for the outermost `reach` pixels, whose surroundings lie
    outside it.
    """
    known = np.isfinite(over.slope)
    total = _around(_whole(over.slope, _PER_UNIT), reach)
    return np.asarray(known & (total < FLAT_DEG * _PER_UNIT * _around(known.astype(np.float64), reach)))


def _around(values: NDArray[np.float64], reach: int) -> NDArray[np.float64]:
    """Sums over squares; no running ones, so that whole numbers stay whole."""
    ones = np.ones(2 * reach + 1)
    for axis in (0, 1):
        values = ndimage.correlate1d(values, ones, axis=axis, mode="constant")
    return values


def _whole(values: NDArray[np.floating], steps: int) -> NDArray[np.float64]:
    """In steps, rounded to the nearest; 0 where unknown."""
    return np.nan_to_num(np.rint(values.astype(np.float64) * steps), nan=0.0)
