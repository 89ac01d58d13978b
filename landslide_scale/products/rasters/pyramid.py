"""Pixels of half the resolution, two by two, so that what matters at a distance is not lost.

The levels lie on the raster's own upper left corner; where a side is odd, the last pixel stands for what there is of
its four. Pixels without data have no say, and there is no data only where none of the four has some.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Halving = Callable[[NDArray[Any], int], NDArray[Any]]
"""Makes (ceil(H / 2), ceil(W / 2)) of (H, W), given what stands for no data."""

COARSEST = 512
"""Side in pixels of a raster that needs no coarser one."""


def largest(values: NDArray[Any], nodata: int) -> NDArray[Any]:
    """The largest of each four: a mean would hide small landslides."""
    four = _fours(values, nodata)
    seen = four != nodata
    most = np.where(seen, four, 0).max(axis=0)
    return np.where(seen.any(axis=0), most, nodata).astype(values.dtype)


def smallest(values: NDArray[Any], nodata: int) -> NDArray[Any]:
    """The smallest of each four: of a change, the greatest loss."""
    four = _fours(values, nodata)
    seen = four != nodata
    least = np.where(seen, four, np.iinfo(values.dtype).max).min(axis=0)
    return np.where(seen.any(axis=0), least, nodata).astype(values.dtype)


def mean(values: NDArray[Any], nodata: int) -> NDArray[Any]:
    """The mean of each four, to the nearest whole number."""
    four = _fours(values, nodata)
    seen = four != nodata
    total, count = np.where(seen, four, 0).sum(axis=0, dtype=np.float64), seen.sum(axis=0)
    return np.where(count > 0, np.rint(total / np.maximum(count, 1)), nodata).astype(values.dtype)


def most_frequent(values: NDArray[Any], nodata: int) -> NDArray[Any]:
    """The most frequent of each four; of several, the smallest."""
    four = np.sort(_fours(values, nodata), axis=0)
    alike = np.stack([(four == one).sum(axis=0, dtype=np.uint8) for one in four])
    chosen = np.where(four == nodata, 0, alike).argmax(axis=0)
    return np.asarray(np.take_along_axis(four, chosen[None], axis=0)[0])


def shapes(shape: tuple[int, int]) -> list[tuple[int, int]]:
    """(H, W) of every resolution, the finest first, down to one of at most `COARSEST` pixels a side."""
    found = [shape]
    while max(found[-1]) > COARSEST:
        rows, cols = found[-1]
        found.append((-(-rows // 2), -(-cols // 2)))
    return found


def _fours(values: NDArray[Any], nodata: int) -> NDArray[Any]:
    """(4, ceil(H / 2), ceil(W / 2)): what lies under each coarser pixel, `nodata` beyond the edge."""
    rows, cols = values.shape
    even = np.pad(values, ((0, rows % 2), (0, cols % 2)), constant_values=nodata)
    return np.stack([even[row::2, col::2] for row in (0, 1) for col in (0, 1)])
