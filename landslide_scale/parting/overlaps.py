"""Images that show the same pixels: cut out of one picture, they overlap, and their labels may say different things.

Found by exact runs of pixels and by nothing that resembles: a run is 16 pixels of a row, every band of each as it is
stored. One in 64 of an image's runs is remembered, chosen by the run's own content, so that the same run is remembered
wherever it lies in another image. What two images have in common is then compared pixel by pixel.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from itertools import combinations, pairwise
from typing import TYPE_CHECKING

import numpy as np

from landslide_scale.datasets.elsewhere import shared

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from numpy.typing import NDArray

RUN = 16
LEAST_SHARED = RUN * RUN
"""Pixels that two images have in common at least: fewer are a logo, or chance."""

_ONE_IN = 64
_LEAST_CHANGES = RUN // 2
"""From pixel to pixel within a run: padding, cloud and snow of one value are alike in images of any place."""

_MOST_AT_ONCE = 12
"""Images with one run in common of which all pairs are looked at; of more, each with the next."""

_MULTIPLIER = 0x9E3779B97F4A7C15
_MIXERS = ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB))
"""Of splitmix64 (Steele et al. 2014)."""


@dataclass(frozen=True, kw_only=True)
class Overlap:
    """Two images with pixels in common.

    Attributes:
        first, second: Their names, ascending.
        rows, cols: Pixel (y, x) of the second is pixel (y + rows, x + cols) of the first.
        pixels: How many they share.
    """

    first: str
    second: str
    rows: int
    cols: int
    pixels: int


@dataclass(frozen=True, kw_only=True, eq=False)
class Runs:
    """The runs of one image that are remembered.

    Attributes:
        hashes: uint64 (N,), of their content.
        rows, cols: int32 (N,), of their first pixels.
    """

    hashes: NDArray[np.uint64]
    rows: NDArray[np.int32]
    cols: NDArray[np.int32]


def runs_of(image: NDArray[np.float32]) -> Runs:
    """The runs that are remembered of an image (C, H, W) as it is stored; none over pixels without data."""
    height, width = image.shape[1:]
    if width < RUN:
        return Runs(hashes=np.empty(0, np.uint64), rows=np.empty(0, np.int32), cols=np.empty(0, np.int32))
    pixels = _pixels(image)
    hashes, length, factor = pixels, 1, _MULTIPLIER
    while length < RUN:  # of runs of twice the length
        hashes = hashes[:, :-length] * np.uint64(factor) + hashes[:, length:]
        length, factor = 2 * length, factor * factor % 2**64
    changes = np.zeros((height, width), np.int32)
    changes[:, 1:] = (pixels[:, 1:] != pixels[:, :-1]).cumsum(axis=1)
    whole = ~_any_within(np.any(np.isnan(image), axis=0))
    varied = changes[:, RUN - 1 :] - changes[:, : width - RUN + 1] >= _LEAST_CHANGES
    mixed = _mixed(hashes)
    rows, cols = np.nonzero((mixed % np.uint64(_ONE_IN) == 0) & whole & varied)
    return Runs(hashes=mixed[rows, cols], rows=rows.astype(np.int32), cols=cols.astype(np.int32))


def _pixels(image: NDArray[np.float32]) -> NDArray[np.uint64]:
    """(H, W): one number for all bands of a pixel."""
    found = np.zeros(image.shape[1:], np.uint64)
    for band in np.ascontiguousarray(image).view(np.uint32):
        found = _mixed(found * np.uint64(_MULTIPLIER) + band)
    return found


def _mixed(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    for shift, factor in _MIXERS:
        values = (values ^ (values >> np.uint64(shift))) * np.uint64(factor)
    return values ^ (values >> np.uint64(31))


def _any_within(marked: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """(H, W - RUN + 1): whether a run holds a marked pixel."""
    before = np.zeros((marked.shape[0], marked.shape[1] + 1), np.int32)
    before[:, 1:] = marked.cumsum(axis=1)
    return before[:, RUN:] > before[:, :-RUN]


def overlapping(
    runs: Mapping[str, Runs], image: Callable[[str], NDArray[np.float32]], *, least: int = LEAST_SHARED
) -> tuple[Overlap, ...]:
    """All images with pixels in common, in order of their names.

    Args:
        runs: Of every image, by name.
        image: Reads one again as it is stored, (C, H, W); asked for those alone that have runs in common.
        least: Pixels that they share at least.
    """
    found = []
    for (first, second), places in sorted(_candidates(runs).items()):
        (rows, cols), _ = max(places.items(), key=lambda place: (place[1], place[0]))
        shared = int(_alike(image(first), image(second), rows, cols).sum())
        if shared >= least:
            found.append(Overlap(first=first, second=second, rows=rows, cols=cols, pixels=shared))
    return tuple(found)


def _candidates(runs: Mapping[str, Runs]) -> Mapping[tuple[str, str], Counter[tuple[int, int]]]:
    """Pairs of images with a run in common, and how often each shift of the one against the other."""
    names = sorted(runs)
    hashes = np.concatenate([runs[name].hashes for name in names] or [np.empty(0, np.uint64)])
    owners = np.repeat(np.arange(len(names)), [len(runs[name].hashes) for name in names])
    places = np.concatenate(
        [np.stack((runs[name].rows, runs[name].cols), 1) for name in names] or [np.empty((0, 2), np.int32)]
    )
    order = np.argsort(hashes, kind="stable")
    starts = np.flatnonzero(np.diff(hashes[order], prepend=np.uint64(0)) != 0)
    found: dict[tuple[str, str], Counter[tuple[int, int]]] = defaultdict(Counter)
    for start, stop in pairwise([*starts.tolist(), len(order)]):
        if stop - start < 2 or len(set(owners[order[start:stop]].tolist())) < 2:  # noqa: PLR2004 (a pair)
            continue
        for a, b in _pairs(order[start:stop].tolist()):
            if owners[a] != owners[b]:
                rows, cols = (places[a] - places[b]).tolist()
                found[names[owners[a]], names[owners[b]]][rows, cols] += 1
    return found


def _pairs(alike: list[int]) -> Iterator[tuple[int, int]]:
    return combinations(alike, 2) if len(alike) <= _MOST_AT_ONCE else pairwise(alike)


def _alike(first: NDArray[np.float32], second: NDArray[np.float32], rows: int, cols: int) -> NDArray[np.bool_]:
    """Where both have the same pixels, on the rectangle that they share under a shift."""
    there, here = shared(first.shape[1:], second.shape[1:], rows, cols)
    same: NDArray[np.bool_] = (first[:, *there] == second[:, *here]).all(axis=0)
    return same
