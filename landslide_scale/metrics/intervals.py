"""How far a score hangs on the places that were scored: 95 % intervals, resampled by place.

Pixels of one place are right or wrong together, so places are drawn and not pixels. What was scored with several seeds
is a mean over seeds, of which all see the same draw; so do two networks that are compared. How far seeds differ is
another question, and is never mixed with this one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING

import numpy as np

from landslide_scale.metrics.areas import DRAWS, FEWEST_PLACES
from landslide_scale.metrics.confusion import Confusion

if TYPE_CHECKING:
    from numpy.typing import NDArray

_QUANTILES = (0.025, 0.975)
_TP, _FP, _FN, _TN = range(4)

Count = Mapping[str, Confusion]
"""Pixels by place."""


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A score and its 95 % interval over places; nan where undefined, or where there are too few places to say.

    Attributes:
        value: 0 to 1; of a difference, -1 to 1.
        low, high: Quantiles at 2.5 and 97.5 %.
    """

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        if math.isnan(self.value):
            return "undefined"
        known = not math.isnan(self.low)
        return f"{self.value:.3f} ({self.low:.3f} to {self.high:.3f})" if known else f"{self.value:.3f}"


def _ratio(part: NDArray[np.float64], whole: NDArray[np.float64]) -> NDArray[np.float64]:
    found: NDArray[np.float64] = np.divide(part, whole, out=np.full(part.shape, math.nan), where=whole > 0)
    return found


def _of_class(tp: int, fp: int, fn: int, score: str) -> Callable[[NDArray[np.float64]], NDArray[np.float64]]:
    """A score of the class whose hits, false alarms and misses are in these columns."""

    def found(counts: NDArray[np.float64]) -> NDArray[np.float64]:
        hits, false, missed = counts[..., tp], counts[..., fp], counts[..., fn]
        whole = {
            "precision": hits + false,
            "recall": hits + missed,
            "f1": 2 * hits + false + missed,
            "iou": hits + false + missed,
        }[score]
        return _ratio(2 * hits if score == "f1" else hits, whole)

    return found


def _macro(score: str) -> Callable[[NDArray[np.float64]], NDArray[np.float64]]:
    landslide, background = _of_class(_TP, _FP, _FN, score), _of_class(_TN, _FN, _FP, score)
    return lambda counts: (landslide(counts) + background(counts)) / 2


SCORES = ("precision", "recall", "f1", "iou")
_SCORES: Mapping[tuple[str, str], Callable[[NDArray[np.float64]], NDArray[np.float64]]] = {
    **{("landslide", score): _of_class(_TP, _FP, _FN, score) for score in SCORES},
    **{("macro", score): _macro(score) for score in SCORES},
}


@lru_cache(maxsize=2)
def _draws(places: int) -> NDArray[np.int64]:
    """(DRAWS, places): how often each place is in each draw with replacement, from a fixed seed."""
    rng = np.random.default_rng(0)
    return rng.multinomial(places, [1 / places] * places, size=DRAWS)


@dataclass(frozen=True, kw_only=True, eq=False)
class ByPlace:
    """Pixels of one network by seed and place, from which any score has an interval.

    Attributes:
        places: Names of all places, sorted.
        counts: float64 (S, P, 4), by seed and place: tp, fp, fn, tn; 0 where a seed did not score a place.
    """

    places: tuple[str, ...]
    counts: NDArray[np.float64]

    @classmethod
    def of(cls, seeds: Sequence[Count]) -> ByPlace:
        """From the pixels that each seed scored, by place."""
        places = tuple(sorted({place for of_seed in seeds for place in of_seed}))
        counts = np.zeros((len(seeds), len(places), 4))
        for seed, of_seed in enumerate(seeds):
            for number, place in enumerate(places):
                if place in of_seed:
                    one = of_seed[place]
                    counts[seed, number] = one.tp, one.fp, one.fn, one.tn
        return cls(places=places, counts=counts)

    @cached_property
    def _drawn(self) -> NDArray[np.float64]:
        """(S, DRAWS, 4): pixels of every draw."""
        drawn: NDArray[np.float64] = _draws(len(self.places)) @ self.counts
        return drawn

    def score(self, of_class: str, score: str) -> Estimate:
        """The mean over seeds of a score, with its interval.

        Args:
            of_class: ``landslide`` or ``macro``.
            score: Of `SCORES`.
        """
        of = _SCORES[of_class, score]
        value = float(of(self.counts.sum(axis=1)).mean()) if len(self.places) else math.nan
        return _estimate(value, lambda: of(self._drawn).mean(axis=0), len(self.places))

    def over(self, other: ByPlace, of_class: str, score: str) -> Estimate:
        """By how much this network's score is above another's on the same places, with the interval of the difference.

        Raises:
            ValueError: They were not scored on the same places.
        """
        if self.places != other.places or len(self.counts) != len(other.counts):
            raise ValueError(f"{len(self.places)} and {len(other.places)} places, of which not all are the same")
        of = _SCORES[of_class, score]
        values = [float(of(one.counts.sum(axis=1)).mean()) if len(one.places) else math.nan for one in (self, other)]

        def drawn() -> NDArray[np.float64]:
            found: NDArray[np.float64] = of(self._drawn).mean(axis=0) - of(other._drawn).mean(axis=0)
            return found

        return _estimate(values[0] - values[1], drawn, len(self.places))


def _estimate(value: float, drawn: Callable[[], NDArray[np.float64]], places: int) -> Estimate:
    """With the quantiles of what was drawn; none with fewer than five places, or where a draw has no score."""
    if places < FEWEST_PLACES or math.isnan(value):
        return Estimate(value=value, low=math.nan, high=math.nan)
    found = drawn()
    if np.isnan(found).any():
        return Estimate(value=value, low=math.nan, high=math.nan)
    low, high = np.quantile(found, _QUANTILES).tolist()
    return Estimate(value=value, low=low, high=high)


@dataclass(frozen=True, kw_only=True)
class HeldOut:
    """How a network did on what was kept from it, as its card says it: landslide scores with 95 % intervals by place.

    Attributes:
        images, places: How many.
        precision, recall, f1, iou: Of the landslide class; None where undefined.
    """

    images: int
    places: int
    precision: Bounds | None = None
    recall: Bounds | None = None
    f1: Bounds | None = None
    iou: Bounds | None = None

    @classmethod
    def of(cls, found: ByPlace, images: int) -> HeldOut:
        """From pixels by place."""
        scores = {score: Bounds.of(found.score("landslide", score)) for score in SCORES}
        return cls(images=images, places=len(found.places), **scores)


@dataclass(frozen=True, kw_only=True)
class Bounds:
    """An :class:`Estimate` as JSON has it: without an interval where there is none."""

    value: float
    low: float | None = None
    high: float | None = None

    @classmethod
    def of(cls, estimate: Estimate) -> Bounds | None:
        """None of a score that is undefined."""
        if math.isnan(estimate.value):
            return None
        if math.isnan(estimate.low):
            return cls(value=estimate.value)
        return cls(value=estimate.value, low=estimate.low, high=estimate.high)

    def __str__(self) -> str:
        known = self.low is not None and self.high is not None
        return f"{self.value:.3f} ({self.low:.3f} to {self.high:.3f})" if known else f"{self.value:.3f}"
