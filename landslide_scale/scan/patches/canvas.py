"""A block's core as it is filled: which patches lie over it, with which weights, and what they come to. NumPy alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from landslide_scale.errors import BrokenRunError, InvalidInputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

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

    row: Strip
    col: Strip


class Canvas:
    """One core: the patches over it, and what they come to together.

    Args:
        tile: Its pixels.
        lattice: Where patches lie and how neighbours are blended.

    Attributes:
        patches: Those to predict, by row and column; one with weight over no observed pixel changes nothing.

    Raises:
        InvalidInputError: The tile does not reach as far as the patches over its core.
    """

    def __init__(self, tile: Tile, lattice: PatchLattice) -> None:
        row_start, row_stop, col_start, col_stop = self._core = tile.core
        self._rows, self._cols = _strips(lattice, row_start, row_stop), _strips(lattice, col_start, col_stop)
        _check_reach(tile, self._rows, self._cols, lattice.patch)
        self._observed = np.asarray(~np.isnan(tile.cut(tile.core)).any(axis=0))
        self.patches = [
            Patch(row, col) for row in self._rows for col in self._cols if self._observed[row.core, col.core].any()
        ]

    def blended(self, probabilities: Iterable[NDArray[np.float32]]) -> NDArray[np.float32]:
        """The mean of the patches' probabilities (P, P), each by its weight.

        Returns:
            Float32 (rows, columns) in [0, 1]; NaN where a band has no data.

        Raises:
            BrokenRunError: One is no finite number where there is data.
        """
        shape = self._observed.shape
        sums = np.zeros(shape)
        for (row, col), found in zip(self.patches, probabilities, strict=True):
            weights = row.weights[:, None] * col.weights[None, :]
            sums[row.core, col.core] += weights * found[row.patch, col.patch]
        mean = sums / (_total_weight(self._rows, shape[0])[:, None] * _total_weight(self._cols, shape[1])[None, :])
        result = np.where(self._observed, mean, np.nan).astype(np.float32)
        if lost := np.count_nonzero(np.isnan(result) & self._observed):
            raise BrokenRunError(
                f"the network gave no number for {lost} pixels with data, or an infinite one",
                expected="a probability for each",
                cure="The checkpoint is broken, or its values overflow: try precision float32",
                core=self._core,
            )
        return result


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
