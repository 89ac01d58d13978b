"""Parts of blocks become whole landslides, in one sweep over a zone from north to south.

Two pixels are of one landslide where they touch by a side or a corner. What is held is one row of blocks, the numbers
of the pixels just above it, and the landslides that reach it: those it does not go on with are finished and given out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from landslide_scale.grid import PixelBox
from landslide_scale.products.outlines.runs import Runs, last_pixel
from landslide_scale.products.outlines.tally import Tally


@dataclass(frozen=True, kw_only=True, eq=False)
class Component:
    """Connected pixels of one zone.

    Attributes:
        runs: Where they are, in pieces.
        tally: What they say.
    """

    runs: tuple[Runs, ...]
    tally: Tally

    def __add__(self, other: Component) -> Component:
        return Component(runs=self.runs + other.runs, tally=self.tally + other.tally)


@dataclass(frozen=True, kw_only=True, eq=False)
class Piece:
    """What a block has of landslides.

    Attributes:
        box: The block.
        numbers: int32 (H, W) number of the part that a pixel is of, from 1; 0 elsewhere.
        parts: Its parts, connected within the block.
    """

    box: PixelBox
    numbers: NDArray[np.int32]
    parts: tuple[Component, ...]


BlockRows = Iterable[tuple[int, Iterable[Piece]]]
"""Rows of blocks from north to south, by number; the blocks of one from west to east."""


def connected(rows: BlockRows, extent: PixelBox) -> Iterator[Component]:
    """Whole landslides, by the last of their pixels in reading order: so blocks of any size give the same order.

    Args:
        rows: Blocks that have landslides.
        extent: What the zone's blocks lie in.
    """
    front, before = _Front(extent), None
    for row, pieces in rows:
        if before is not None and row != before + 1:
            yield from front.rest()
        yield from front.passing(pieces)
        before = row
    yield from front.rest()


class _Front:
    """The numbers of the pixels above the row of blocks to come, and the landslides that they are of."""

    def __init__(self, extent: PixelBox) -> None:
        self._extent = extent
        self._above = self._line()
        self._open = _Forest()

    def _line(self) -> NDArray[np.int64]:
        """A number for each column of the zone, and for one more on either side."""
        return np.zeros(self._extent.shape[1] + 2, np.int64)

    def rest(self) -> list[Component]:
        """What nothing is left to go on with."""
        found = list(self._open.components.values())
        self._above, self._open = self._line(), _Forest()
        return _in_order(found)

    def passing(self, pieces: Iterable[Piece]) -> list[Component]:
        """Go over a row of blocks; what it ends."""
        below, beside, reached = self._line(), np.zeros(0, np.int64), -1
        for piece in pieces:
            ids = self._open.add(piece.parts)
            first = piece.box.col_start - self._extent.col_start
            stop = piece.box.col_stop - self._extent.col_start
            self._open.join_lines(self._above[first : stop + 2], ids[piece.numbers[0]])
            if reached == first:
                self._open.join_lines(np.pad(beside, 1), ids[piece.numbers[:, 0]])
            below[first + 1 : stop + 1] = ids[piece.numbers[-1]]
            beside, reached = ids[piece.numbers[:, -1]], stop
        finished, self._above, self._open = self._open.split(below)
        return _in_order(finished)


class _Forest:
    """Landslides by number, of which some turn out to be one. Number 0 is none."""

    def __init__(self) -> None:
        self.components: dict[int, Component] = {}
        self._joined: list[int] = [0]

    def add(self, parts: Iterable[Component]) -> NDArray[np.int64]:
        """Take parts in; their numbers, behind a 0 for pixels that are of none."""
        numbers = [0]
        for part in parts:
            number = len(self._joined)
            self._joined.append(number)
            self.components[number] = part
            numbers.append(number)
        return np.array(numbers, np.int64)

    def join_lines(self, padded: NDArray[np.int64], line: NDArray[np.int64]) -> None:
        """Join what touches across two neighbouring lines of pixels, the first a pixel longer at both ends."""
        beside = [np.column_stack([padded[shift : shift + len(line)], line]) for shift in range(3)]
        pairs = np.unique(np.concatenate(beside), axis=0)
        for one, other in pairs[(pairs > 0).all(axis=1)].tolist():
            self._join(one, other)

    def split(self, line: NDArray[np.int64]) -> tuple[list[Component], NDArray[np.int64], _Forest]:
        """Those that `line` does not have; and of the others, numbered anew, the line and themselves."""
        known, places = np.unique(line, return_inverse=True)
        roots = np.array([self._root(number) for number in known.tolist()])
        kept = [int(root) for root in np.unique(roots) if root]
        left = _Forest()
        numbers = dict(zip(kept, left.add(self.components[root] for root in kept)[1:].tolist(), strict=True)) | {0: 0}
        finished = [one for root, one in self.components.items() if root not in numbers]
        return finished, np.array([numbers[int(root)] for root in roots], np.int64)[places], left

    def _root(self, number: int) -> int:
        while self._joined[number] != number:
            self._joined[number] = self._joined[self._joined[number]]
            number = self._joined[number]
        return number

    def _join(self, one: int, other: int) -> None:
        low, high = sorted((self._root(one), self._root(other)))
        if low != high:
            self._joined[high] = low
            self.components[low] += self.components.pop(high)


def _in_order(found: Iterable[Component]) -> list[Component]:
    return sorted(found, key=lambda one: last_pixel(one.runs))
