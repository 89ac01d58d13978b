"""Elevations between the pixels of tiles: cubic, so that a slope can be made of them, or bilinear, as it was before.

A surface is met tile by tile. What a tile says of a point depends on the tile and the point alone, and sums are made in
the order of the tiles, so neither the block that asks nor how many tiles it knows matters.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import map_coordinates

from landslide_scale.stac.settings import Interpolation

LEAST_WEIGHT = 0.5
"""A point has an elevation where pixels with data hold at least this much of the bilinear weight; so at the edge of all
data it has one up to half a pixel beyond the last centre."""

_FULL = 1 - 1e-6
_REACH = 3
_ROUNDING = 1e-6
_STRIP = 2**14
"""Points that are worked on at a time, so that the memory of their weights is small."""

Field = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Pixels:
    """Part of a tile.

    Attributes:
        row, col: Its first pixel, in rows and columns of the tile.
        values: Elevations (H, W), metres, 0 where there are none.
        held: Where there are (H, W); beyond the tile there are none.
    """

    row: int
    col: int
    values: NDArray[np.float32]
    held: NDArray[np.bool_]


class Surface(ABC):
    """Elevations at points that tiles are added to, ascending by id.

    Attributes:
        reach: How many pixels of a tile on either side of a point have a say, at most.
    """

    reach: int

    @property
    @abstractmethod
    def full(self) -> bool:
        """Whether no further tile can change anything."""

    @abstractmethod
    def add(self, rows: Field, cols: Field, pixels: Pixels) -> None:
        """Hear a tile: where the points lie in it, 0 at the centre of its first pixel, and its pixels around them."""

    @abstractmethod
    def finish(self) -> Field:
        """Elevation of the points, metres; NaN where there is none."""


class Bilinear(Surface):
    """Between the four nearest pixels, those without data left out. Its slope jumps at every row of pixels."""

    reach = 1

    def __init__(self, shape: tuple[int, ...]) -> None:
        self._total, self._weight = np.zeros(shape), np.zeros(shape)

    @property
    def full(self) -> bool:
        """Whether no further tile can change anything."""
        return bool((self._weight >= _FULL).all())

    def add(self, rows: Field, cols: Field, pixels: Pixels) -> None:
        """Hear a tile."""
        part, share = np.zeros(rows.shape), np.zeros(rows.shape)
        near = _near(rows, cols, pixels, self.reach)
        if near.any():
            # Integer shifts of doubles are exact, so the fraction within a pixel is the same from every block.
            at = (rows[near] - pixels.row, cols[near] - pixels.col)
            for into, values in ((part, pixels.values), (share, pixels.held)):
                into[near] = map_coordinates(values.astype(np.float64), at, order=1, mode="grid-constant", cval=0.0)
        _hear(self._total, self._weight, part, share)

    def finish(self) -> Field:
        """Elevation of the points."""
        held = self._weight >= LEAST_WEIGHT
        return np.where(held, self._total / np.where(held, self._weight, 1), np.nan)


class Cubic(Surface):
    """By cubic convolution over 4 x 4 pixels, whose slope is continuous, where these and a ring around them hold data.

    Keys, R. G. (1981): Cubic convolution interpolation for digital image processing. IEEE Transactions on Acoustics,
    Speech, and Signal Processing 29(6), 1153-1160; a = -1/2, which meets every parabola.

    Where data ends, a kernel with negative weights cannot do without some of its pixels: it would draw the surface
    towards the rest. There the surface is bilinear, and has data where that has. So that it does not break off in
    between, the share of the cubic one falls from 1 to 0 on the last pixel before one of the 4 x 4 lacks. Weights of
    tiles that abut are summed, as their rows go on. Where tiles overlap the first one by id decides, and the surface is
    bilinear along the rims of their overlap.
    """

    reach = _REACH

    def __init__(self, shape: tuple[int, ...]) -> None:
        self._shape, points = shape, int(np.prod(shape))
        self._value, self._rest, self._sums = np.zeros(points), np.ones(points), _Sums(points)

    @property
    def full(self) -> bool:
        """Whether no further tile can change anything."""
        return not self._rest.any()

    def add(self, rows: Field, cols: Field, pixels: Pixels) -> None:
        """Hear a tile."""
        rows, cols, whole = rows.reshape(-1), cols.reshape(-1), _whole(pixels.held)
        for strip in _strips(rows.size):
            near = _near(rows[strip], cols[strip], pixels, self.reach)
            wanted = np.flatnonzero(near & (self._rest[strip] > 0)) + strip.start
            if wanted.size:
                at = _At.of(rows[wanted], cols[wanted], pixels)
                alone = whole[at.row, at.col] & (self._sums.weight[wanted] == 0)
                self._add_alone(wanted[alone], at.where(alone), pixels)
                self._add_beside(wanted[~alone], at.where(~alone), pixels)

    def _add_alone(self, points: NDArray[np.intp], at: _At, pixels: Pixels) -> None:
        """Hear a tile of points that need no other."""
        self._value[points] = _convolved(pixels.values, at, keys)
        self._rest[points] = 0

    def _add_beside(self, points: NDArray[np.intp], at: _At, pixels: Pixels) -> None:
        """Hear a tile of points where it lacks pixels, or another one was heard before."""
        cubic, lack = _convolved(pixels.values, at, keys), _lack(pixels.held, at)
        alone = self._rest[points] * _trust(lack) * np.maximum(1 - self._sums.weight[points], 0)
        self._value[points] += alone * cubic
        self._rest[points] -= alone
        self._sums.cubic[points] += cubic
        self._sums.cubic_weight[points] += _convolved(pixels.held, at, keys)
        self._sums.hear(points, lack, _fade(at.down))
        total, weight = self._sums.total[points], self._sums.weight[points]
        _hear(total, weight, _convolved(pixels.values, at, _linear), _convolved(pixels.held, at, _linear))
        self._sums.total[points], self._sums.weight[points] = total, weight

    def finish(self) -> Field:
        """Elevation of the points."""
        for strip in _strips(self._value.size):
            left = np.flatnonzero(self._rest[strip] > 0) + strip.start
            self._value[left] += self._rest[left] * self._sums.surface(left)
        return self._value.reshape(self._shape)


class _Sums:
    """What all tiles together say of each of `points`.

    Attributes:
        total, weight: Bilinear sums of elevations and weights.
        cubic, cubic_weight: Cubic ones.
        lack: As of :func:`_lack`, (6, N).
        heard: Whether any tile was.
    """

    def __init__(self, points: int) -> None:
        self.total, self.weight = np.zeros(points), np.zeros(points)
        self.cubic, self.cubic_weight = np.zeros(points), np.zeros(points)
        self.lack, self.heard = np.zeros((2 * _REACH, points), np.float32), np.zeros(points, bool)

    def hear(self, points: NDArray[np.intp], lack: NDArray[np.float32], fade: tuple[Field, ...]) -> None:
        """What one more tile has, of rows that go on: it lacks no longer."""
        again = self.heard[points]
        for known, of_tile, most in zip(self.lack, lack, fade, strict=True):
            known[points] = np.where(again, known[points] - (most - of_tile), of_tile)
        self.heard[points] = True

    def surface(self, points: NDArray[np.intp]) -> Field:
        """Bilinear, and cubic as far as the tiles together lack nothing; NaN where too little has data."""
        weight = self.weight[points]
        held = weight >= LEAST_WEIGHT
        level = np.where(held, self.total[points] / np.where(held, weight, 1), np.nan)
        bend = self.cubic[points] - level * self.cubic_weight[points]
        return level + _trust(self.lack[:, points]) * bend


SURFACES: Mapping[Interpolation, type[Bilinear | Cubic]] = {"cubic": Cubic, "bilinear": Bilinear}


def keys(fraction: Field) -> tuple[Field, ...]:
    """Keys' weights of the pixels at -1, 0, 1 and 2 for points `fraction` beyond the one at 0; their sum is 1."""
    t = fraction
    return (
        t * (t * (1 - 0.5 * t) - 0.5),
        t * t * (1.5 * t - 2.5) + 1,
        t * (t * (2 - 1.5 * t) + 0.5),
        t * t * (0.5 * t - 0.5),
    )


def _linear(fraction: Field) -> tuple[Field, ...]:
    return 1 - fraction, fraction


def _hat(fraction: Field) -> tuple[Field, ...]:
    """Weights of the pixels at -2 to 3 that fall off evenly to 0 at three pixels; their sum is 1."""
    return tuple((1 - np.abs(pixel - fraction) / _REACH) / _REACH for pixel in range(1 - _REACH, 1 + _REACH))


def _fade(fraction: Field) -> tuple[Field, ...]:
    """How far the pixels at -2 to 3 matter: 1 where they are among the four of a cubic, less up to three pixels."""
    return tuple(np.clip(_REACH - np.abs(pixel - fraction), 0, 1) for pixel in range(1 - _REACH, 1 + _REACH))


def _lack(held: NDArray[np.bool_], at: _At) -> NDArray[np.float32]:
    """Of each of six rows of pixels around points (N,), the weight under a hat that holds no data; (6, N).

    A pixel two columns away has a ninth; one that is nearer, more. A row fades out as pixels do.
    """
    found = np.empty((2 * _REACH, at.row.size), np.float32)
    flat, hat, first = held.reshape(-1), _hat(at.right), at.row * held.shape[1] + at.col
    for row, fade in enumerate(_fade(at.down)):
        there = np.zeros(first.shape)
        for col, weight in enumerate(hat):
            there += weight * flat.take(first + (row * held.shape[1] + col))
        found[row] = fade * (1 - there)
    return found


def _trust(lack: NDArray[np.float32]) -> Field:
    """The share of a cubic surface (N,): 0 where one of its pixels lacks, or is there twice; 1 where none nearby."""
    most = np.abs(lack).max(axis=0).astype(np.float64)
    return np.asarray(np.clip(1 - (most - _ROUNDING) * _REACH**2, 0, 1))


@dataclass(frozen=True, kw_only=True)
class _At:
    """Where points (N,) lie: the first of 6 x 6 pixels around each, and how far beyond the third of them."""

    row: NDArray[np.intp]
    col: NDArray[np.intp]
    down: Field
    right: Field

    @classmethod
    def of(cls, rows: Field, cols: Field, pixels: Pixels) -> _At:
        """Of points of a tile that are near to its `pixels`."""
        above, left = np.floor(rows), np.floor(cols)
        row = (above - (pixels.row + _REACH - 1)).astype(np.intp)
        col = (left - (pixels.col + _REACH - 1)).astype(np.intp)
        return cls(row=row, col=col, down=rows - above, right=cols - left)

    def where(self, chosen: NDArray[np.bool_]) -> _At:
        """Of the chosen points."""
        return _At(row=self.row[chosen], col=self.col[chosen], down=self.down[chosen], right=self.right[chosen])


def _convolved(values: NDArray[np.generic], at: _At, kernel: Callable[[Field], tuple[Field, ...]]) -> Field:
    """The weighted sum of the pixels around each point (N,)."""
    down, right = kernel(at.down), kernel(at.right)
    aside = _REACH - len(down) // 2
    flat, across = values.reshape(-1), values.shape[1]
    first = (at.row + aside) * across + at.col + aside
    total = np.zeros(first.shape)
    for row, weight in enumerate(down):
        of_row = np.zeros(first.shape)
        for col, along in enumerate(right):
            of_row += along * flat.take(first + (row * across + col))
        total += weight * of_row
    return total


def _whole(held: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Where a square of 6 x 6 pixels begins that all hold data: (H - 5, W - 5)."""
    rows, cols = held.shape[0] - 2 * _REACH + 1, held.shape[1] - 2 * _REACH + 1
    down = np.logical_and.reduce([held[row : row + rows] for row in range(2 * _REACH)])
    return np.asarray(np.logical_and.reduce([down[:, col : col + cols] for col in range(2 * _REACH)]))


def _near(rows: Field, cols: Field, pixels: Pixels, reach: int) -> NDArray[np.bool_]:
    """The points around which `pixels` go on for `reach`; a tile has no say in any other."""
    height, width = pixels.held.shape
    down = (rows >= pixels.row + reach - 1) & (rows < pixels.row + height - reach)
    return np.asarray(down & (cols >= pixels.col + reach - 1) & (cols < pixels.col + width - reach))


def _hear(total: Field, weight: Field, part: Field, share: Field) -> None:
    """Add a tile's weighted sum and weight, bilinear, to those of the tiles before it, in place."""
    # What is full is left alone: else the last bits of a value would depend on the tiles that a block knows.
    taken = np.where(weight < _FULL, np.minimum(share, 1 - weight), 0.0)
    total += part * np.divide(taken, share, out=np.zeros(share.shape), where=share > 0)
    weight += taken


def _strips(points: int) -> Iterator[slice]:
    return (slice(first, min(first + _STRIP, points)) for first in range(0, points, _STRIP))
