"""One image from the observations of a box of pixels, taken one at a time, newest first, in bounded memory.

Every decision is taken pixel by pixel, so any split of the ground into boxes gives the same image.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import IO

import numpy as np
from numpy.typing import NDArray

from landslide_scale.bands import NEVER, Reason
from landslide_scale.imagery import medoid
from landslide_scale.imagery.settings import CompositeConfig
from landslide_scale.storage.files import storing

OBSERVATIONS_FOR_MEDIAN = 3
HELD_BYTES = 256 * 2**20
"""Observations held in memory for a median or medoid; more of them wait in a temporary file."""

STRIP_BYTES = 16 * 2**20
"""Of one band of all observations: as many pixels at a time as fit are sorted."""

RUN_PIXELS = 2**15
"""At most so many, which stay in a processor's cache."""

COMPARED = 24
"""Observations at most that are ordered row by row: 12 of them in a third of NumPy's time, 24 in as much (AVX-512)."""

SORTING_BYTES = 3 * STRIP_BYTES
"""Of what is sorted at a time: a strip as it was read, picked and sorted; or what a medoid takes of as many pixels."""

_FLOAT = 4


@dataclass(frozen=True, kw_only=True)
class Image:
    """The composite of a box of pixels.

    Attributes:
        values: (C, H, W) float32 surface reflectance; NaN where the pixel is not observed.
        clear_count: (H, W) uint8 clear observations, one per datatake; 255 means 255 or more.
        observed_on: (H, W) uint16 days since 1970-01-01 of the newest clear observation used; 65535 where none.
        reason: (H, W) uint8 :class:`Reason`.
        resampled: Ids of scenes of another coordinate system, or off the lattice, whose pixels were used.
        filled: Ids of older processings whose pixels were used, because a newer one has no data there.
    """

    values: NDArray[np.float32]
    clear_count: NDArray[np.uint8]
    observed_on: NDArray[np.uint16]
    reason: NDArray[np.uint8]
    resampled: tuple[str, ...]
    filled: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Observation:
    """One datatake over a box of pixels.

    Attributes:
        values: (C, H, W) float32 surface reflectance; NaN where not `clear`.
        clear: (H, W) bool, where it is to be used.
        reason: (H, W) uint8 :class:`Reason`.
        cloud_cover: (H, W) float32 percent of the scene that each clear pixel is from.
        day: Days since 1970-01-01.
        resampled: Ids of scenes of another coordinate system, or off the lattice, whose pixels are used.
        filled: Ids of older processings whose pixels are used.
    """

    values: NDArray[np.float32]
    clear: NDArray[np.bool_]
    reason: NDArray[np.uint8]
    cloud_cover: NDArray[np.float32]
    day: int
    resampled: tuple[str, ...]
    filled: tuple[str, ...] = ()


class Composite:
    """Observations on their way to one image; made by :func:`compositing`."""

    def __init__(self, shape: tuple[int, int], channels: int, config: CompositeConfig, spool: IO[bytes]) -> None:
        self._config = config
        self._reason = np.full(shape, Reason.NO_DATA, np.uint8)
        self._count = np.zeros(shape, np.uint16)
        self._resampled: set[str] = set()
        self._filled: set[str] = set()
        self._chosen: _Latest
        if config.method in _WAITING:
            self._chosen = _WAITING[config.method](shape, channels, spool)
        else:
            self._chosen = (_LeastCloudy if config.method == "least_cloudy" else _Latest)(shape, channels)

    @property
    def wanted(self) -> NDArray[np.bool_]:
        """(H, W) where one more clear observation would be used."""
        most = self._config.max_clear
        return np.ones(self._count.shape, bool) if most is None else self._count < most

    def add(self, seen: Observation) -> None:
        """Take in the next older observation."""
        np.minimum(self._reason, seen.reason, out=self._reason)
        self._count += seen.clear
        self._resampled.update(seen.resampled)
        self._filled.update(seen.filled)
        self._chosen.add(seen)

    def finish(self) -> Image:
        """The image of all observations."""
        values, day, reason = self._chosen.finish(self._count), self._chosen.day, self._reason
        lacking = (reason == Reason.OBSERVED) & (self._count < self._config.min_clear)
        reason[lacking] = Reason.TOO_FEW_CLEAR
        values[:, lacking], day[lacking] = np.nan, NEVER
        return Image(
            values=values,
            clear_count=np.minimum(self._count, 255).astype(np.uint8),
            observed_on=day,
            reason=reason,
            resampled=tuple(sorted(self._resampled)),
            filled=tuple(sorted(self._filled)),
        )


@contextmanager
def compositing(shape: tuple[int, int], channels: int, config: CompositeConfig) -> Iterator[Composite]:
    """An empty composite of (H, W) pixels; what it holds is given up with the block.

    Raises:
        BrokenRunError: There is no room for the temporary file.
    """
    folder = tempfile.gettempdir()
    # On the disk from the first byte on: what has room in memory is held as it is, and is not written.
    with storing(folder), tempfile.SpooledTemporaryFile(max_size=1, dir=folder) as spool:
        yield Composite(shape, channels, config, spool)


class _Latest:
    """The newest clear observation of each pixel."""

    def __init__(self, shape: tuple[int, int], channels: int) -> None:
        self.values = np.full((channels, *shape), np.nan, np.float32)
        self.day = np.full(shape, NEVER, np.uint16)

    def add(self, seen: Observation) -> None:
        first = seen.clear & (self.day == NEVER)
        if first.any():
            np.copyto(self.values, seen.values, where=first)
            self.day[first] = seen.day

    def finish(self, count: NDArray[np.uint16]) -> NDArray[np.float32]:
        del count
        return self.values


class _LeastCloudy(_Latest):
    """The clear observation from the scene with the least cloud; of equals the newest."""

    def __init__(self, shape: tuple[int, int], channels: int) -> None:
        super().__init__(shape, channels)
        self.least = np.full(shape, np.inf, np.float32)

    def add(self, seen: Observation) -> None:
        better = seen.clear & (seen.cloud_cover < self.least)
        np.copyto(self.values, seen.values, where=better)
        self.day[better], self.least[better] = seen.day, seen.cloud_cover[better]


class _Waiting(_Latest):
    """The newest clear observation of each pixel, while all of them wait until there is no further one.

    Args:
        spool: Empty; takes the reflectance of those that find no room in memory.
    """

    def __init__(self, shape: tuple[int, int], channels: int, spool: IO[bytes]) -> None:
        super().__init__(shape, channels)
        self.spool, self.days, self._here = spool, list[int](), list[NDArray[np.float32]]()

    @property
    def held(self) -> int:
        """How many observations wait."""
        return len(self.days)

    def add(self, seen: Observation) -> None:
        super().add(seen)
        if seen.clear.any():
            values = np.ascontiguousarray(seen.values, np.float32)
            if (self.held + 1) * values.nbytes <= HELD_BYTES:
                self._here.append(values)
            else:
                self.spool.write(values.data.cast("B"))
            self.days.append(seen.day)

    def waiting(self, number: int, band: int, pixels: slice) -> NDArray[np.float32]:
        """Some pixels, counted along the rows, of one band of an observation; NaN where it is not clear."""
        if number < len(self._here):
            here: NDArray[np.float32] = self._here[number][band].reshape(-1)[pixels]
            return here
        number -= len(self._here)
        self.spool.seek(_FLOAT * ((number * len(self.values) + band) * self.day.size + pixels.start))
        return np.frombuffer(self.spool.read(_FLOAT * (pixels.stop - pixels.start)), np.float32)


class _Median(_Waiting):
    """Median of each band over the clear observations; the newest one where there are fewer than three."""

    def finish(self, count: NDArray[np.uint16]) -> NDArray[np.float32]:
        counts, values = count.reshape(-1).astype(np.intp), self.values.reshape(len(self.values), -1)
        step = max(1, min(RUN_PIXELS, STRIP_BYTES // (_FLOAT * max(self.held, 1))))
        for first in range(0, counts.size, step):
            pixels = slice(first, min(first + step, counts.size))
            enough = counts[pixels] >= OBSERVATIONS_FOR_MEDIAN
            if enough.any():
                for band in range(len(values)):
                    np.copyto(values[band, pixels], _middle(self._seen(band, pixels), counts[pixels]), where=enough)
        return self.values

    def _seen(self, band: int, pixels: slice) -> NDArray[np.float32]:
        """Some pixels of one band of every observation (N, P)."""
        out = np.empty((self.held, pixels.stop - pixels.start), np.float32)
        for number in range(self.held):
            out[number] = self.waiting(number, band, pixels)
        return out


class _Medoid(_Waiting):
    """The clear observation that is nearest to all others of its pixel; the newest where there are fewer than three."""

    def finish(self, count: NDArray[np.uint16]) -> NDArray[np.float32]:
        counts, days = count.reshape(-1), np.array(self.days, np.uint16)
        values, day = self.values.reshape(len(self.values), -1), self.day.reshape(-1)
        step = max(1, SORTING_BYTES // medoid.pixel_bytes(self.held, len(values)))
        for first in range(0, counts.size, step):
            pixels = slice(first, min(first + step, counts.size))
            enough = np.flatnonzero(counts[pixels] >= OBSERVATIONS_FOR_MEDIAN)
            if enough.size:
                chosen, spectra = medoid.medoids(self._seen(pixels, enough))
                values[:, pixels.start + enough], day[pixels.start + enough] = spectra, days[chosen]
        return self.values

    def _seen(self, pixels: slice, chosen: NDArray[np.intp]) -> NDArray[np.float32]:
        """Some of a run of pixels in all bands of every observation (N, C, P)."""
        out = np.empty((self.held, len(self.values), len(chosen)), np.float32)
        for number, band in np.ndindex(*out.shape[:2]):
            out[number, band] = self.waiting(number, band, pixels)[chosen]
        return out


_WAITING = {"median": _Median, "medoid": _Medoid}


def _middle(seen: NDArray[np.float32], count: NDArray[np.intp]) -> NDArray[np.float32]:
    """Median over the first axis (N, P), of `count` (P,) numbers each, the others are NaN; of no number, NaN."""
    ranked = _ranked(seen)
    lower, upper = _picked(ranked, np.maximum(count - 1, 0) // 2), _picked(ranked, count // 2)
    return np.asarray((lower + upper) / np.float32(2))


def _picked(ranked: Sequence[NDArray[np.float32]], rank: NDArray[np.intp]) -> NDArray[np.float32]:
    out = np.empty(rank.shape, np.float32)
    for one in range(int(rank.min()), int(rank.max()) + 1):
        np.copyto(out, ranked[min(one, len(ranked) - 1)], where=rank == one)
    return out


def _ranked(seen: NDArray[np.float32]) -> Sequence[NDArray[np.float32]]:
    """Each pixel's numbers (N, P) in order, NaN last; `seen` is used up.

    Few are ordered by comparing whole rows, each the same two for all pixels; for more, NumPy's own order is as fast.
    """
    if len(seen) > COMPARED:
        seen.sort(axis=0)
        return list(seen)
    rows, spare = list(seen), np.empty(seen.shape[1:], np.float32)
    for one, other in _comparisons(len(seen)):
        np.fmin(rows[one], rows[other], out=spare)  # of a number and NaN the number
        np.maximum(rows[one], rows[other], out=rows[other])  # NaN
        rows[one], spare = spare, rows[one]
    return rows


@cache
def _comparisons(count: int) -> tuple[tuple[int, int], ...]:
    """Pairs of places to be put in order, one after the other, until `count` numbers are.

    Batcher, K. E. (1968): Sorting networks and their applications. AFIPS Spring Joint Computer Conference 32, 307-314;
    the odd-even merge sort as Knuth, The Art of Computer Programming 3, 5.2.2, algorithm M, has it for any count.
    """
    pairs: list[tuple[int, int]] = []
    part = 1
    while part < count:
        apart = part
        while apart >= 1:
            pairs += [
                (place, place + apart)
                for first in range(apart % part, count - apart, 2 * apart)
                for place in range(first, min(first + apart, count - apart))
                if place // (2 * part) == (place + apart) // (2 * part)
            ]
            apart //= 2
        part *= 2
    return tuple(pairs)
