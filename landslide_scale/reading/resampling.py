"""How pixels of an asset become pixels of a lattice: placed where edges agree, sampled anywhere else."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import map_coordinates

from landslide_scale.reading.claims import OUTSIDE, Classes, Reflectance, Stored

MERGED_PIXELS = 2**21
"""Of a raster that are averaged at a time."""


CACHED_PIXELS = 2**16
"""Of a raster that are worked on at a time where several steps follow each other: they stay in a processor's cache."""


def cached_rows(shape: tuple[int, int]) -> Iterator[slice]:
    """The rows of a raster (H, W), some at a time."""
    step = max(1, CACHED_PIXELS // max(shape[1], 1))
    return (slice(top, min(top + step, shape[0])) for top in range(0, shape[0], step))


@dataclass(frozen=True, kw_only=True)
class Resampling:
    """How pixels of an asset become a lattice's.

    Attributes:
        stored: How its numbers are to be understood.
        place: Where edges agree, how a cell is made of the pixels in it.
        merge: Anywhere else, along how many pixels they are averaged first, from how many fit into a cell.
        sample: How those are sampled then, at rows and columns.
    """

    stored: Stored
    merge: Callable[[float], int]
    place: Callable[[NDArray[Any], int, int], NDArray[Any]]
    sample: Callable[[NDArray[Any], NDArray[np.float64], NDArray[np.float64]], NDArray[Any]]

    def of(self, stored: Stored) -> Resampling:
        """The same for an asset whose numbers are to be understood so."""
        return replace(self, stored=stored)


def _place_nearest(values: NDArray[Any], merge: int, rows: int) -> NDArray[Any]:
    """Of each `merge` x `merge` cell the pixel whose upper left corner is nearest the cell's centre."""
    del rows
    return values[merge // 2 :: merge, merge // 2 :: merge]


def _place_mean(values: NDArray[Any], merge: int, rows: int) -> NDArray[Any]:
    """Mean of the pixels with data of each `merge` x `merge` cell; NaN where there is none."""
    if merge == 1:
        return values
    out = np.empty((rows, values.shape[1] // merge), np.float32)
    step = max(1, MERGED_PIXELS // (merge * values.shape[1]))
    for top in range(0, rows, step):
        cells = values[top * merge : (top + step) * merge].astype(np.float64).reshape(-1, merge, out.shape[1], merge)
        held = np.isfinite(cells)
        count = held.sum(axis=(1, 3))
        total = np.where(held, cells, 0.0).sum(axis=(1, 3))  # of whole numbers: exact in any order
        out[top : top + step] = np.where(count > 0, total / np.maximum(count, 1), np.nan)
    return out


def mean_above_0(values: NDArray[Any], merge: int, rows: int) -> NDArray[Any]:
    """The same of the pixels above 0 alone, see :func:`_sample_bilinear`; 0 where only such have data."""
    mean = _place_mean(np.where(values > 0, values, np.float32(np.nan)), merge, rows)
    return np.where(np.isnan(mean), _place_mean(values, merge, rows), mean)


def _sample_nearest(values: NDArray[Any], rows: NDArray[np.float64], cols: NDArray[np.float64]) -> NDArray[Any]:
    at = (np.floor(rows + 0.5), np.floor(cols + 0.5))
    return np.asarray(map_coordinates(values, at, order=0, cval=OUTSIDE))


def _sample_bilinear(values: NDArray[Any], rows: NDArray[np.float64], cols: NDArray[np.float64]) -> NDArray[Any]:
    """Bilinear over the pixels above 0; NaN where a centre's own pixel has no data, and 0 where that is 0.

    Where 0 may be dark ground it is what stands beyond the edge of a swath too, so it has no weight.
    """
    positive = values > 0  # false for NaN
    total = map_coordinates(
        np.where(positive, values, 0).astype(np.float64), (rows, cols), order=1, mode="grid-constant", cval=0.0
    )
    weight = map_coordinates(positive.astype(np.float64), (rows, cols), order=1, mode="grid-constant", cval=0.0)
    own = map_coordinates(values, (np.floor(rows + 0.5), np.floor(cols + 0.5)), order=0, cval=np.nan)
    between = np.where((own > 0) & (weight > 0), total / np.maximum(weight, 1e-12), 0.0)
    return np.where(np.isnan(own), np.nan, between).astype(np.float32)


def _never(ratio: float) -> int:
    del ratio
    return 1


def _whole(ratio: float) -> int:
    """The largest whole factor that is not above `ratio`."""
    return max(1, math.floor(ratio + 1e-9))


NEAREST = Resampling(stored=Classes(), merge=_never, place=_place_nearest, sample=_sample_nearest)
"""Of classes: one pixel for each."""

POINTS = Resampling(stored=Reflectance(), merge=_never, place=_place_mean, sample=_sample_bilinear)
"""Of numbers, as runs did before: another system is sampled as it is, however coarse the lattice."""

AVERAGED = replace(POINTS, merge=_whole)
"""Of numbers: the mean as far as whole pixels go, then between them."""
