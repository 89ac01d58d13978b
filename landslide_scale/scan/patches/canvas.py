"""A block's core as it is filled: which patches lie over it, with which weights, and what they come to. NumPy alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from landslide_scale.errors import BrokenRunError, InvalidInputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from landslide_scale.grid import PatchLattice


@dataclass(frozen=True, kw_only=True)
class Tile:
    """Pixels read around a core, with all that the patches over the core need (``PatchLattice.covering``).

    Attributes:
        values: Float32 (C, H, W) in the units of the checkpoint's radiometry, NaN where there is no data.
        row, col: Position of its upper left pixel on the zone's lattice.
        core: What to predict, on the same lattice: half-open (row_start, row_stop, col_start, col_stop).
    """

    values: NDArray[np.float32]
    row: int
    col: int
    core: tuple[int, int, int, int]

    def cut(self, box: tuple[int, int, int, int]) -> NDArray[np.float32]:
        """The values (C, rows, columns) of a half-open box on the lattice."""
        row_start, row_stop, col_start, col_stop = box
        rows = slice(row_start - self.row, row_stop - self.row)
        return self.values[:, rows, col_start - self.col : col_stop - self.col]


class Strip(NamedTuple):
    """A patch along one axis, and where it has weight."""

    start: int
    """Its first pixel on the lattice."""
    core: slice
    """Its weighted pixels within the core."""
    patch: slice
    """The same pixels within the patch."""
    weights: NDArray[np.float64]
    """Their weights."""
    whole: bool
    """Whether it has no weight beyond the core."""


class Patch(NamedTuple):
    """A patch over a core that is to be predicted."""

    canvas: Canvas
    row: Strip
    col: Strip


class Canvas:
    """One core being filled: the weighted sum of its patches until the last one is in, then the result.

    Args:
        tile: Its pixels.
        lattice: Where patches lie and how neighbours are blended.

    Attributes:
        result: Probabilities, float32 (rows, columns) in [0, 1]; NaN where a band has no data, and before the last one.

    Raises:
        InvalidInputError: The tile does not reach as far as the patches over its core.
    """

    def __init__(self, tile: Tile, lattice: PatchLattice) -> None:
        self.tile = tile
        row_start, row_stop, col_start, col_stop = tile.core
        self.rows, self.cols = _strips(lattice, row_start, row_stop), _strips(lattice, col_start, col_stop)
        _check_reach(tile, self.rows, self.cols, lattice.patch)
        self.observed = np.asarray(~np.isnan(tile.cut(tile.core)).any(axis=0))
        self.result = np.full(self.observed.shape, np.nan, np.float32)
        self.sums = np.zeros(0)
        self.awaited = 0

    def open(self) -> list[Patch]:
        """The patches to predict, by row and column; those with weight over no observed pixel change nothing."""
        patches = [
            Patch(self, row, col) for row in self.rows for col in self.cols if self.observed[row.core, col.core].any()
        ]
        self.awaited = len(patches)
        self.sums = np.zeros(self.observed.shape)
        return patches

    def add(self, row: Strip, col: Strip, probabilities: NDArray[np.float32]) -> None:
        """Blend in one patch (P, P); the last one makes the result."""
        weights = row.weights[:, None] * col.weights[None, :]
        self.sums[row.core, col.core] += weights * probabilities[row.patch, col.patch]
        self.awaited -= 1
        if not self.awaited:
            self._finish()

    def _finish(self) -> None:
        totals = [
            _total_weight(strips, size) for strips, size in zip((self.rows, self.cols), self.sums.shape, strict=True)
        ]
        mean = self.sums / (totals[0][:, None] * totals[1][None, :])
        self.sums = np.zeros(0)
        self.result[self.observed] = mean[self.observed]
        if lost := np.count_nonzero(np.isnan(self.result) & self.observed):
            raise BrokenRunError(
                f"the network gave no number for {lost} pixels with data, or an infinite one",
                expected="a probability for each",
                cure="The checkpoint is broken, or its values overflow: try precision float32",
                core=self.tile.core,
            )


def _strips(lattice: PatchLattice, first: int, stop: int) -> list[Strip]:
    """All patches with weight in ``[first, stop)``, ascending."""
    weights = lattice.weights().astype(np.float64)
    weighted = np.flatnonzero(weights)
    strips = []
    for start in lattice.starts(first, stop):
        low, high = max(start + weighted[0], first), min(start + weighted[-1] + 1, stop)
        patch = slice(int(low - start), int(high - start))
        whole = high - low == weighted[-1] + 1 - weighted[0]
        strips.append(Strip(start, slice(int(low - first), int(high - first)), patch, weights[patch], bool(whole)))
    return strips


def _total_weight(strips: Sequence[Strip], size: int) -> NDArray[np.float64]:
    """Sum of all patches' weights at each pixel along an axis: one, but for rounding."""
    total = np.zeros(size)
    for strip in strips:
        total[strip.core] += strip.weights
    return total


def _check_reach(tile: Tile, rows: Sequence[Strip], cols: Sequence[Strip], side: int) -> None:
    _, height, width = tile.values.shape
    given = tile.row, tile.row + height, tile.col, tile.col + width
    needed = rows[0].start, rows[-1].start + side, cols[0].start, cols[-1].start + side
    if given[0] > needed[0] or given[1] < needed[1] or given[2] > needed[2] or given[3] < needed[3]:
        raise InvalidInputError(
            f"a tile of rows {given[0]} to {given[1]} and columns {given[2]} to {given[3]}",
            expected=f"at least rows {needed[0]} to {needed[1]} and columns {needed[2]} to {needed[3]}",
            cure="Read all pixels of PatchLattice.covering",
            core=tile.core,
        )
