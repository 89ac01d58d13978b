"""Blocks of the cube as pieces of landslides, read a few at a time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import cached_property
from itertools import groupby

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from landslide_scale.grid import Block, Lattice, PixelBox
from landslide_scale.products.bits import DISAGREE_DAYS
from landslide_scale.products.ground import snow_near, water
from landslide_scale.products.marks import Marks
from landslide_scale.products.outlines.relief import on_relief
from landslide_scale.products.outlines.runs import runs_by_number
from landslide_scale.products.outlines.sweep import BlockRows, Component, Piece
from landslide_scale.products.outlines.tally import NOT_ALL, Seen, landslide, stable_days, tallies
from landslide_scale.products.scanned import Scanned
from landslide_scale.products.terrain import Elevations
from landslide_scale.runtime.progress import gone_over
from landslide_scale.scan.plan import Place

PIXELS_AT_ONCE = 2048 * 2048
"""Blocks side by side are read together up to so many: a large block alone, of small ones a row."""

_EIGHT_NEIGHBOURS = np.ones((3, 3), bool)


@dataclass(frozen=True, kw_only=True)
class ZoneLayer:
    """One layer of one zone of a scan.

    Attributes:
        of: The scan.
        lattice: The zone.
        layer: Index of the window.
        step: From which stored probability on a pixel is landslide.
        marks: What says instead of `step` which pixels are of polygons.
        elevations: Of the run; None of one without.
    """

    of: Scanned
    lattice: Lattice
    layer: int
    step: int
    marks: Marks | None = None
    elevations: Elevations | None = None

    @cached_property
    def earlier(self) -> tuple[int, ...]:
        """Indexes of the windows that end before this one begins, the latest first."""
        windows = self.of.windows
        before = [index for index, one in enumerate(windows) if one.until <= windows[self.layer].start]
        return tuple(sorted(before, key=lambda index: (windows[index].until, index), reverse=True))

    @cached_property
    def later(self) -> tuple[int, ...]:
        """Indexes of the windows in which a landslide of this one is still to be seen, the first first."""
        windows, until = self.of.windows, self.of.windows[self.layer].until
        last = until + timedelta(days=DISAGREE_DAYS)
        after = [index for index, one in enumerate(windows) if until <= one.start <= last]
        return tuple(sorted(after, key=lambda index: (windows[index].start, index)))

    @cached_property
    def _done(self) -> Mapping[tuple[int, Block], Place]:
        return {(place.layer, place.block): place for place in self.of.done if place.lattice == self.lattice}

    def rows(self) -> BlockRows:
        """Its blocks that have landslides; units that are not done have none."""
        blocks = sorted(block for layer, block in self._done if layer == self.layer)
        for row, some in groupby(blocks, key=lambda block: block.row):
            yield row, (piece for strip in self._strips(list(some)) if (piece := self._told(strip)) is not None)

    def _told(self, strip: Sequence[Block]) -> Piece | None:
        piece = self._piece(strip)
        gone_over(len(strip) * self.lattice.block**2)
        return piece

    def _strips(self, blocks: Sequence[Block]) -> Iterator[tuple[Block, ...]]:
        """Blocks of a row, side by side, as many as are read at once."""
        most, strip = max(1, PIXELS_AT_ONCE // self.lattice.block**2), list[Block]()
        for block in blocks:
            if strip and (len(strip) == most or block.col != strip[-1].col + 1):
                yield tuple(strip)
                strip = []
            strip.append(block)
        yield tuple(strip)

    def _piece(self, strip: Sequence[Block]) -> Piece | None:
        units = [self._done[self.layer, block].id for block in strip]
        if all(self.of.records[unit].state == "empty" for unit in units):
            return None
        box = replace(self.lattice.box(strip[0]), col_stop=self.lattice.box(strip[-1]).col_stop)
        layer = self.of.read(self.lattice, box, self.layer)
        marked = None if self.marks is None else self.marks.marked(self.lattice, box)
        mask = landslide(layer, self.step) if marked is None else marked.mask
        found, count = ndimage.label(mask, structure=_EIGHT_NEIGHBOURS)
        if not count:
            return None
        numbers = found.astype(np.int32, copy=False)
        before = [self._stable(index, strip, box) for index in self.earlier]
        seen = Seen(
            layer=layer,
            snow_near=snow_near(self.of, self.lattice, box, self.layer),
            water=water(self.of, self.lattice, box, self.layer),
            before=before,
            units=units,
            marked=marked,
            relief=on_relief(self.elevations, self.lattice, box, numbers, count),
            after=[self._stable(index, strip, box) != NOT_ALL for index in self.later],
        )
        runs, said = runs_by_number(numbers, count, box), tallies(seen, numbers, count)
        parts = [Component(runs=(where,), tally=tally) for where, tally in zip(runs, said, strict=True)]
        return Piece(box=box, numbers=numbers, parts=tuple(parts))

    def _stable(self, layer: int, strip: Sequence[Block], box: PixelBox) -> NDArray[np.int64]:
        """(H, W) day on which a pixel was seen clear and no landslide in another window, as :class:`Seen` says."""
        days = stable_days(self.of.read(self.lattice, box, layer), self.step)
        known = np.repeat([(layer, block) in self._done for block in strip], self.lattice.block)
        return np.where(known, days, NOT_ALL)
