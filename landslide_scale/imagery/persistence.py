"""Which pixels are masked as cloud on every date on which their surroundings are clear, and so are ground more likely.

Cloud moves on, and ground does not. What is said of a pixel depends on the datatakes that reach its surroundings and on
nothing else, so any split of the ground says the same; counts are of whole numbers. Masks alone are read for it, before
the composite is made of one datatake after the other.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from landslide_scale.bands import Reason
from landslide_scale.grid import Lattice, PixelBox
from landslide_scale.imagery.mask import STRIP_BYTES, dilation_pixels, looked_around
from landslide_scale.imagery.mask_settings import PersistenceConfig
from landslide_scale.imagery.rules import Look
from landslide_scale.imagery.settings import CompositeConfig

COUNTED_BYTES = 48
"""Of one pixel of a strip: its look, counts of its surroundings, and what was found so far."""

LEAST_ROWS = 256
"""Of a strip, so that surroundings are not read many times over."""


@dataclass(frozen=True, kw_only=True)
class Persistent:
    """Where a box of pixels is persistent.

    Attributes:
        box: On the lattice of the squares that are decided on.
        bits: (H, W / 8) uint8, eight pixels of a row in each.
        observed: Whether they are observed.
    """

    box: PixelBox
    bits: NDArray[np.uint8]
    observed: bool

    def over(self, part: PixelBox) -> NDArray[np.bool_]:
        """(H, W) of a part of the box."""
        rows, cols = part.within(self.box)
        return np.unpackbits(self.bits[rows], axis=1)[:, cols].astype(bool)


class Votes:
    """What the dates of a window say of a box of pixels."""

    def __init__(self, shape: tuple[int, int]) -> None:
        self._dates = np.zeros(shape, np.uint8)
        self._against = np.zeros(shape, bool)

    def add(self, look: Look, config: CompositeConfig, lattice: Lattice) -> None:
        """Take in one datatake's look at the box and its surroundings."""
        inner = _without_rim(look.classes.shape, looked_around(config, lattice))
        cloudy, clear, surroundings = _seen(look, config, lattice)
        cloudy = cloudy[inner]
        self._against |= clear[inner] | (surroundings & ~cloudy)
        self._dates += (surroundings & cloudy) & (self._dates < np.iinfo(np.uint8).max)

    def persistent(self, rule: PersistenceConfig) -> NDArray[np.bool_]:
        """(H, W) where the pixels are."""
        return (self._dates >= rule.dates) & ~self._against


def suspected(look: Look, config: CompositeConfig, lattice: Lattice) -> NDArray[np.bool_]:
    """Where a look at a box and its surroundings finds pixels (H, W) of the box cloudy with clear ones around."""
    cloudy, _, surroundings = _seen(look, config, lattice)
    return np.asarray(cloudy[_without_rim(look.classes.shape, looked_around(config, lattice))] & surroundings)


def judged_box(box: PixelBox, config: CompositeConfig, lattice: Lattice) -> PixelBox:
    """The pixels of which it matters for those of `box` whether they are persistent: what grows from them does."""
    return box.pad(dilation_pixels(config, lattice))


def strips(box: PixelBox) -> Iterator[PixelBox]:
    """`box` by whole rows, as many at a time as fit what is set aside."""
    rows = max(LEAST_ROWS, STRIP_BYTES // (COUNTED_BYTES * box.shape[1]))
    for top in range(box.row_start, box.row_stop, rows):
        yield replace(box, row_start=top, row_stop=min(top + rows, box.row_stop))


def _seen(
    look: Look, config: CompositeConfig, lattice: Lattice
) -> tuple[NDArray[np.bool_], NDArray[np.bool_], NDArray[np.bool_]]:
    """Of a look: what is cloudy and what is clear of itself (H, W), and around which pixels of the box all is clear."""
    rule = config.persistence
    assert rule is not None  # noqa: S101 nobody asks without one
    taken = {number: look.taken(one) for number, one in enumerate(config.mask) if one.asset != "scl"}
    cloudy, clear = np.isin(look.classes, config.cloudy), np.isin(look.classes, config.clear) & ~look.unsaid
    for number, found in taken.items():
        clear &= ~found
        if config.mask[number].why == Reason.CLOUD:
            cloudy |= found
    side = 2 * looked_around(config, lattice) + 1
    return cloudy, clear, _count(clear, side) >= rule.clear_share * side * side - 1e-9


def _without_rim(shape: tuple[int, ...], rim: int) -> tuple[slice, slice]:
    return slice(rim, shape[0] - rim), slice(rim, shape[1] - rim)


def _count(clear: NDArray[np.bool_], side: int) -> NDArray[np.int32]:
    """How many pixels are clear in the square of `side` around each that has a whole one: (H - side + 1, ...)."""
    return _sums(_sums(clear, side, 0), side, 1)


def _sums(values: NDArray[np.bool_] | NDArray[np.int32], side: int, axis: int) -> NDArray[np.int32]:
    """Of `side` neighbours each, exactly."""
    total = np.moveaxis(np.cumsum(values, axis=axis, dtype=np.int32), axis, 0)
    out = total[side - 1 :].copy()
    out[1:] -= total[:-side]
    return np.moveaxis(out, 0, axis)
