"""What the pixels of a landslide say, added up over blocks: whole numbers, so the order of blocks does not matter."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from operator import add

import numpy as np
from numpy.typing import NDArray

from landslide_scale.bands import NEVER, Reason
from landslide_scale.change.rdndvi import FILL
from landslide_scale.cube.arrays import Layer
from landslide_scale.products.marks import Marked
from landslide_scale.products.outlines.relief import OnRelief

NOT_ALL = -1
"""Instead of a day: not every pixel was seen."""


@dataclass(frozen=True, kw_only=True)
class ChangeTally:
    """What pixels say of the time before.

    Attributes:
        both: How many were seen before too.
        lost: How many lost vegetation.
        rdndvi: Pixels by the stored step of rdNDVI, where it is known.
    """

    both: int
    lost: int
    rdndvi: Counter[int]

    def __add__(self, other: ChangeTally) -> ChangeTally:
        return ChangeTally(both=self.both + other.both, lost=self.lost + other.lost, rdndvi=self.rdndvi + other.rdndvi)


@dataclass(frozen=True, kw_only=True)
class Tally:
    """Figures of some pixels.

    Attributes:
        pixels: How many.
        steps, highest: Of their stored probabilities, sum and largest.
        newest: Newest day that one was seen clear, days since 1970; `NOT_ALL` where none says.
        looks: Pixels by number of clear observations.
        snow_near: Whether snow lies near one.
        water: How many look like water.
        before: Of each earlier window, the oldest of the days on which its pixels were seen clear, days since 1970;
            `NOT_ALL` unless every pixel was observed there, and none was landslide.
        after: Of each later window, how many of its pixels were observed there and no landslide.
        relief: What the elevation model says of them.
        units: Ids of the units they are of.
        change: What they say of the time before, where that was asked.
    """

    pixels: int
    steps: int
    highest: int
    newest: int
    looks: Counter[int]
    snow_near: bool
    water: int
    before: tuple[int, ...]
    after: tuple[int, ...]
    relief: OnRelief
    units: frozenset[str]
    change: ChangeTally | None = None

    def __add__(self, other: Tally) -> Tally:
        return Tally(
            pixels=self.pixels + other.pixels,
            steps=self.steps + other.steps,
            highest=max(self.highest, other.highest),
            newest=max(self.newest, other.newest),
            looks=self.looks + other.looks,
            snow_near=self.snow_near or other.snow_near,
            water=self.water + other.water,
            before=tuple(map(min, self.before, other.before)),
            after=tuple(map(add, self.after, other.after)),
            relief=self.relief + other.relief,
            units=self.units | other.units,
            change=None if self.change is None or other.change is None else self.change + other.change,
        )

    @property
    def median_looks(self) -> int:
        """Median of the clear observations; of two in the middle, the smaller."""
        return median(self.looks)


def median(values: Counter[int]) -> int:
    """Of pixels by value, at least one; of two in the middle, the smaller."""
    below, half = 0, values.total() / 2
    for value, pixels in sorted(values.items()):
        below += pixels
        if below >= half:
            return value
    raise AssertionError("a landslide has pixels")


@dataclass(frozen=True, kw_only=True)
class Seen:
    """Blocks of the layer in question, side by side, and what is told of their pixels besides.

    Attributes:
        layer: Their arrays (H, W).
        snow_near: (H, W) where snow lies near; None where there is none.
        water: (H, W) what looks like water; None where nothing is known of it.
        before: (H, W) of each earlier window, the day on which a pixel was seen clear and no landslide, days since
            1970; `NOT_ALL` elsewhere.
        after: (H, W) of each later window, where a pixel was observed and is no landslide.
        units: Ids of their units from west to east, all as wide.
        marked: What their pixels say of the time before, where that was asked.
        relief: Of each part, by number, what the elevation model says of it.
    """

    layer: Layer
    snow_near: NDArray[np.bool_] | None
    water: NDArray[np.bool_] | None
    before: Sequence[NDArray[np.int64]]
    after: Sequence[NDArray[np.bool_]]
    units: Sequence[str]
    marked: Marked | None = None
    relief: Sequence[OnRelief]


def landslide(layer: Layer, step: int) -> NDArray[np.bool_]:
    """(H, W) where pixels are observed, and their stored probability is `step` or more."""
    return np.asarray((layer.reason == Reason.OBSERVED) & (layer.probability >= step))


def tallies(seen: Seen, numbers: NDArray[np.int32], count: int) -> list[Tally]:
    """The figures of each part of some blocks.

    Args:
        seen: The blocks.
        numbers: (H, W) number of the part that a pixel is of, from 1 to `count`; 0 elsewhere.
        count: How many parts.
    """
    inside = numbers > 0
    order = np.argsort(numbers[inside], kind="stable")
    pixels = np.bincount(numbers[inside], minlength=count + 1)[1:]
    starts = np.cumsum(pixels) - pixels

    def sorted_by_part(values: NDArray[np.generic]) -> NDArray[np.int64]:
        return values[inside][order].astype(np.int64)

    probability = sorted_by_part(seen.layer.probability)
    newest = sorted_by_part(seen.layer.observed_on)
    newest[newest == NEVER] = NOT_ALL
    looks = np.split(sorted_by_part(seen.layer.clear_count), starts[1:])
    snow = np.zeros(count, bool)
    if seen.snow_near is not None:
        snow = np.maximum.reduceat(sorted_by_part(seen.snow_near), starts) > 0
    water = np.zeros(count, np.int64)
    if seen.water is not None:
        water = np.add.reduceat(sorted_by_part(seen.water), starts)
    before = [np.minimum.reduceat(sorted_by_part(days), starts) for days in seen.before]
    after = [np.add.reduceat(sorted_by_part(gone), starts) for gone in seen.after]
    columns = np.nonzero(inside)[1][order] // (numbers.shape[1] // len(seen.units))
    units = [frozenset(seen.units[place] for place in np.unique(some)) for some in np.split(columns, starts[1:])]
    changes: list[ChangeTally | None] = [None] * count
    if seen.marked is not None:
        both, lost = (np.add.reduceat(sorted_by_part(one), starts) for one in (seen.marked.both, seen.marked.lost))
        rdndvi = np.split(sorted_by_part(seen.marked.rdndvi), starts[1:])
        changes = [
            ChangeTally(both=int(both[number]), lost=int(lost[number]), rdndvi=Counter(some[some != FILL].tolist()))
            for number, some in enumerate(rdndvi)
        ]
    steps, highest = np.add.reduceat(probability, starts), np.maximum.reduceat(probability, starts)
    latest = np.maximum.reduceat(newest, starts)
    return [
        Tally(
            pixels=int(pixels[number]),
            steps=int(steps[number]),
            highest=int(highest[number]),
            newest=int(latest[number]),
            looks=Counter(looks[number].tolist()),
            snow_near=bool(snow[number]),
            water=int(water[number]),
            before=tuple(int(days[number]) for days in before),
            after=tuple(int(gone[number]) for gone in after),
            relief=seen.relief[number],
            units=units[number],
            change=changes[number],
        )
        for number in range(count)
    ]


def stable_days(layer: Layer, step: int) -> NDArray[np.int64]:
    """(H, W) day on which a pixel was seen clear and no landslide, days since 1970; `NOT_ALL` elsewhere."""
    stable = (layer.reason == Reason.OBSERVED) & (layer.probability < step) & (layer.observed_on != NEVER)
    return np.where(stable, layer.observed_on.astype(np.int64), NOT_ALL)
