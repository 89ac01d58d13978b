"""The medoid: of several spectra of one pixel, the one that is nearest to all the others together.

Flood, N. (2013): Seasonal composite Landsat TM/ETM+ images using the medoid (a multi-dimensional median). Remote
Sensing 5(12), 6481-6500; equation 1. Of x_1 to x_n it is the x_j of the least sum over i of |x_i - x_j|, Euclidean over
all bands; of squared distances it would be the one nearest the mean, which one undetected cloud draws to itself.

Distances and sums are of doubles, one band and one pair after the other in the order of the observations, so that
neither the number of pixels that are worked on at a time nor the processor changes a byte.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

SAME = 1e-9
"""Sums that differ by less than this part are equal: what is equal on paper may differ in the last bits."""


def pixel_bytes(observations: int, bands: int) -> int:
    """Memory of one pixel while its medoid is looked for: spectra as they came and in order, ranks, sums, distances."""
    return observations * (2 * 4 * bands + 40) + 8 * (bands + 4)


def medoids(seen: NDArray[np.float32]) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
    """Which observation (P,) is the medoid of each pixel's clear ones, and its spectrum (C, P).

    Args:
        seen: Spectra (N, C, P) of observations, the newest first: of equals it is taken. NaN where one is not clear;
            of every pixel one or more are.
    """
    clear = ~np.isnan(seen[:, 0])
    order = np.argsort(~clear, axis=0, kind="stable")  # the clear ones of each pixel first, still from the newest on
    spectra = np.take_along_axis(seen, order[:, None], axis=0)
    total = _sums(spectra, clear.sum(axis=0))
    chosen = (total <= total.min(axis=0) * (1 + SAME)).argmax(axis=0)[None]  # the first that is true
    return np.take_along_axis(order, chosen, axis=0)[0], np.take_along_axis(spectra, chosen[:, None], axis=0)[0]


def _sums(spectra: NDArray[np.float32], count: NDArray[np.intp]) -> NDArray[np.float64]:
    """Of every observation (N, P) its summed distance to the first `count` (P,); infinite where it is not of these."""
    total = np.zeros((len(spectra), len(count)))
    for number in range(int(count.max(initial=0))):
        held = count > number
        for other in range(number):
            apart = _distance(spectra[number], spectra[other])
            np.add(total[number], apart, out=total[number], where=held)
            np.add(total[other], apart, out=total[other], where=held)
    total[np.arange(len(total))[:, None] >= count] = np.inf
    return total


def _distance(one: NDArray[np.float32], other: NDArray[np.float32]) -> NDArray[np.float64]:
    """Euclidean (P,) between spectra (C, P)."""
    total = np.zeros(one.shape[1])
    for band, against in zip(one, other, strict=True):
        apart = band.astype(np.float64)
        apart -= against
        apart *= apart
        total += apart
    return np.sqrt(total, out=total)
