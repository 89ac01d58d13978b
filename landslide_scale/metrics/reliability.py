"""Whether probabilities mean what they say."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import logit

from landslide_scale.label_values import IGNORE, LANDSLIDE
from landslide_scale.metrics.confusion import ratio
from landslide_scale.metrics.logits import LogitHistogram

if TYPE_CHECKING:
    from numpy.typing import NDArray

BINS = 20
_SURE = 16.0
"""Logit from which float32 probabilities of 1 are not told apart any more; those of 0 are cut there likewise."""

_UNIT = 2**32
"""Probabilities are added up in whole numbers of 2^-32, so that no order of images or workers changes a sum."""


@dataclass(frozen=True, kw_only=True)
class Recalibration:
    """``logit P(landslide) = slope * logit(p) + intercept`` (Cox 1958, "Two further applications of a model ...").

    Slope 1 and intercept 0 are calibrated; a slope below 1 is over-confident, an intercept below 0 predicts too much.
    Both are ``nan`` where there is no one best line: a class was not counted, or the probabilities part the classes.
    """

    slope: float
    intercept: float


@dataclass(frozen=True, kw_only=True)
class ReliabilityBin:
    """One column of a reliability diagram.

    Attributes:
        low, high: Probability, half-open [low, high); the last one is closed.
        pixels: Counted pixels of such a probability.
        landslides: Of these, landslide.
        probability: Their mean probability; nan without any.
    """

    low: float
    high: float
    pixels: int
    landslides: int
    probability: float

    @property
    def observed(self) -> float:
        """Share of landslide; nan without any pixel."""
        return ratio(self.landslides, self.pixels)


@dataclass(frozen=True, kw_only=True, eq=False)
class Reliability:
    """Pixels by probability, in 20 bins of 0.05, and what else calibration is measured by.

    Attributes:
        pixels, landslides: Of each bin: counted pixels, and those of them that are landslide.
        probabilities: Of each bin: the sum of p in 2^-32.
        squares: Sum of p^2 over all counted pixels, in 2^-32.
        landslide_probabilities: Sum of p over the landslide pixels, in 2^-32.
        logits: The same pixels by logit(p).
    """

    pixels: tuple[int, ...]
    landslides: tuple[int, ...]
    probabilities: tuple[int, ...]
    squares: int
    landslide_probabilities: int
    logits: LogitHistogram

    @classmethod
    def empty(cls) -> Reliability:
        """No pixel yet."""
        return cls.of(np.zeros(0, np.float32), np.zeros(0, np.uint8))

    @classmethod
    def of(cls, probability: NDArray[np.float32], label: NDArray[np.uint8]) -> Reliability:
        """Count one image.

        Args:
            probability: float32 in [0, 1], any shape; a number wherever the label is not 255.
            label: uint8 of the same shape; 0 background, 1 landslide, 255 ignored.
        """
        counted = label != IGNORE
        chance, landslide = probability[counted].astype(np.float64), label[counted] == LANDSLIDE
        which = np.searchsorted(np.arange(1, BINS) / BINS, chance, side="right")
        units = np.rint(chance * _UNIT).astype(np.int64)
        summed = np.zeros(BINS, np.int64)
        np.add.at(summed, which, units)
        return cls(
            pixels=tuple(np.bincount(which, minlength=BINS).tolist()),
            landslides=tuple(np.bincount(which[landslide], minlength=BINS).tolist()),
            probabilities=tuple(summed.tolist()),
            squares=int(np.rint(chance**2 * _UNIT).astype(np.int64).sum()),
            landslide_probabilities=int(units[landslide].sum()),
            logits=LogitHistogram.of(
                np.clip(logit(chance), -_SURE, math.nextafter(_SURE, 0)),
                label[counted],
            ),
        )

    def __add__(self, other: Reliability) -> Reliability:
        return Reliability(
            pixels=_sums(self.pixels, other.pixels),
            landslides=_sums(self.landslides, other.landslides),
            probabilities=_sums(self.probabilities, other.probabilities),
            squares=self.squares + other.squares,
            landslide_probabilities=self.landslide_probabilities + other.landslide_probabilities,
            logits=self.logits + other.logits,
        )

    @property
    def bins(self) -> tuple[ReliabilityBin, ...]:
        """The reliability diagram, from probability 0 to 1."""
        return tuple(
            ReliabilityBin(
                low=number / BINS,
                high=(number + 1) / BINS,
                pixels=pixels,
                landslides=landslides,
                probability=ratio(probabilities, pixels * _UNIT),
            )
            for number, (pixels, landslides, probabilities) in enumerate(
                zip(self.pixels, self.landslides, self.probabilities, strict=True)
            )
        )

    @property
    def prevalence(self) -> float:
        """Share of landslide among the counted pixels."""
        return ratio(sum(self.landslides), sum(self.pixels))

    def calibration_error(self, lowest: float = 0.0) -> float:
        """Expected calibration error (Naeini et al. 2015; Guo et al. 2017) over the bins from `lowest` up.

        The mean over their pixels of how far a bin's mean probability is from its share of landslide. Where 1 % of the
        ground is landslide, an empty map has an error of 0.01 over all bins: from 0.05 on it has none, and no pixel.

        Args:
            lowest: Lower edge of a bin.
        """
        bins = [each for each in self.bins if each.low >= lowest and each.pixels]
        off = [each.pixels * abs(each.probability - each.observed) for each in bins]
        return math.fsum(off) / sum(each.pixels for each in bins) if bins else math.nan

    @property
    def brier(self) -> float:
        """Brier score: the mean of (p - y)^2 over all pixels, y being 1 for landslide and 0 for background."""
        units = self.squares - 2 * self.landslide_probabilities + sum(self.landslides) * _UNIT
        return ratio(units, sum(self.pixels) * _UNIT)

    @property
    def brier_skill(self) -> float:
        """``1 - brier / reference``, where the reference says the prevalence of these pixels everywhere.

        At most 1; 0 is no better than the reference; nan where all pixels are of one class.
        """
        reference = self.prevalence * (1 - self.prevalence)
        return 1 - self.brier / reference if reference else math.nan

    @property
    def recalibration(self) -> Recalibration:
        """Slope and intercept, fitted to logit(p) from -16 to 16 in bins of 1/32, taken at their centres."""
        slope, intercept = self.logits.recalibration() or (math.nan, math.nan)
        return Recalibration(slope=slope, intercept=intercept)


def _sums(a: tuple[int, ...], b: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(x + y for x, y in zip(a, b, strict=True))
