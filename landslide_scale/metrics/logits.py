"""Pixels by logit, from which threshold, temperature, bias and epoch are chosen.

Logits are counted per class in bins of 1/32, and beyond 16 in bins of a 128th of each power of two, as far as float32
goes. Bin edges are exact in float32 and bf16, so the counts at any of them are those of thresholding the logits
themselves; it is 64 Ki integers however large the set, and adds up over workers.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.special import expit

from landslide_scale.label_values import IGNORE, LANDSLIDE
from landslide_scale.metrics.confusion import Confusion
from landslide_scale.metrics.logistic import fit_logistic

if TYPE_CHECKING:
    from numpy.typing import NDArray

_PER_UNIT = 32
_FINE = 16
_PER_OCTAVE = 128
_OCTAVES = 124  # from 16 to 2^128, where float32 ends
_GOLDEN = (math.sqrt(5) - 1) / 2
_LEAST_TEMPERATURE = 0.1
_MOST_TEMPERATURE = 10.0


def _bounds() -> NDArray[np.float64]:
    """Edges of all bins, ascending; the first and last stand for what has no end."""
    octaves = _FINE * 2.0 ** np.arange(_OCTAVES)[:, None] * (1 + np.arange(_PER_OCTAVE) / _PER_OCTAVE)
    far = np.append(octaves.ravel(), 2.0**128)
    near = np.arange(1 - _FINE * _PER_UNIT, _FINE * _PER_UNIT) / _PER_UNIT
    return np.concatenate((-far[::-1], near, far))


_BOUNDS = _bounds()
EDGES = np.append(-np.inf, _BOUNDS[1:-1])
"""The lower ones of all bins, ascending, float64 and exact in float32."""
CENTRES = (_BOUNDS[1:] + _BOUNDS[:-1]) / 2
BINS = len(CENTRES)


@dataclass(frozen=True, kw_only=True, eq=False)
class LogitHistogram:
    """Pixels per class and logit bin.

    Attributes:
        counts: int64 (2, 32768); row 0 background, row 1 landslide. Bins are half-open, [low, high), and begin at minus
            infinity; the 1024 in the middle are of 1/32, from -16 to 16.
    """

    counts: NDArray[np.int64]

    @classmethod
    def empty(cls) -> LogitHistogram:
        """No pixel yet."""
        return cls(counts=np.zeros((2, BINS), np.int64))

    @classmethod
    def of(cls, logits: NDArray[np.floating[Any]], label: NDArray[np.uint8]) -> LogitHistogram:
        """Count one batch: floating logits, none NaN, and uint8 labels (255 ignored) of the same number of elements.

        Tensors are counted where they are by `training/counting.py`.
        """
        label, logits = label.ravel(), logits.ravel().astype(np.float32)
        counted = label != IGNORE
        index = np.searchsorted(EDGES.astype(np.float32), logits[counted], side="right") - 1
        index += BINS * (label[counted] == LANDSLIDE)
        return cls(counts=np.bincount(index, minlength=2 * BINS).reshape(2, BINS))

    def __add__(self, other: LogitHistogram) -> LogitHistogram:
        return LogitHistogram(counts=self.counts + other.counts)

    def confusion(self, logit: float) -> Confusion:
        """Count as if ``logit >= edge`` were landslide; `logit` is taken to the nearest bin edge."""
        above = int(np.searchsorted(EDGES, logit))
        nearest = (edge for edge in (above - 1, above) if 0 < edge < BINS)
        edge = min(nearest, key=lambda edge: abs(EDGES[edge] - logit), default=0)
        (fp, tp), (tn, fn) = self.counts[:, edge:].sum(1), self.counts[:, :edge].sum(1)
        return Confusion(tp=int(tp), fp=int(fp), fn=int(fn), tn=int(tn))

    @property
    def prevalence(self) -> float:
        """Share of landslide among the counted pixels; nan if empty."""
        total = int(self.counts.sum())
        return int(self.counts[1].sum()) / total if total else math.nan

    def best_logit(self, temperature: float, bias: float = 0.0) -> float:
        """Find the bin edge of highest landslide F1 expected of these logits, were their calibrated probabilities true.

        Expected, not counted: which edge counts best hangs on the few landslides at hand and jumps by chance from one
        handful of images to another, while the temperature rests on every pixel. For calibrated probabilities the
        answer is the edge at half the F1 that is reached (Lipton et al. 2014, "Optimal Thresholding of Classifiers to
        Maximize F1 Measure").

        Args:
            temperature: Of ``sigmoid((logit + bias) / temperature)``, as fitted to the same pixels.
            bias: Likewise.

        Returns:
            The edge nearest 0 among equals; 0 where no landslide was counted, so that nothing can be learnt.
        """
        if not self.counts[1].any():
            return 0.0
        pixels = self.counts.sum(0)
        landslides = pixels * expit((CENTRES + bias) / temperature)
        found, predicted = landslides[::-1].cumsum()[::-1], pixels[::-1].cumsum()[::-1]
        f1 = 2 * found / (predicted + landslides.sum())
        best = np.flatnonzero(f1 == f1.max())
        return float(EDGES[best[np.abs(EDGES[best]).argmin()]])

    def negative_log_likelihood(self, temperature: float, bias: float = 0.0) -> float:
        """Mean BCE per pixel of ``sigmoid((logit + bias) / temperature)``, logits at bin centres; nan if empty."""
        total = int(self.counts.sum())
        if not total:
            return math.nan
        centre = (CENTRES + bias) / temperature
        cost = np.stack((np.logaddexp(0, centre), np.logaddexp(0, -centre)))
        return float((self.counts * cost).sum() / total)

    def fit_temperature(self) -> float:
        """Fit the temperature of least BCE (Guo et al. 2017, "On Calibration of Modern Neural Networks").

        BCE is convex in 1 / T, hence has one minimum in log T, found by golden section to 1e-4, between 0.1 and the
        largest logit there is, at least 10. 1 where nothing was counted.
        """
        if not self.counts.any():
            return 1.0
        low, high = (math.log(t) for t in self._temperatures)
        while high - low > 1e-4:  # noqa: PLR2004 (relative precision of the temperature)
            left, right = high - _GOLDEN * (high - low), low + _GOLDEN * (high - low)
            if self.negative_log_likelihood(math.exp(left)) <= self.negative_log_likelihood(math.exp(right)):
                high = right
            else:
                low = left
        return math.exp((low + high) / 2)

    def fit_platt(self) -> tuple[float, float]:
        """Fit temperature and bias of least BCE (Platt 1999, "Probabilistic Outputs for SVMs").

        Platt's smoothed targets are left out: they matter for hundreds of samples, and here are millions of pixels.
        The bias makes the mean probability of these pixels their `prevalence`, so the probabilities are true where
        landslides are as frequent as here; where their share is q and was p, ``logit(q) - logit(p)`` is added to the
        logit of the probability (Saerens et al. 2002).

        Returns:
            Temperature and bias; the temperature alone, and bias 0, where one of the classes was not counted, where
            they can be told apart entirely, or where the best temperature lies outside the interval of
            :meth:`fit_temperature`.
        """
        fitted = self.recalibration()
        low, high = self._temperatures
        if fitted is None or not 1 / high <= fitted[0] <= 1 / low:
            return self.fit_temperature(), 0.0
        slope, intercept = fitted
        return 1 / slope, intercept / slope

    def recalibration(self) -> tuple[float, float] | None:
        """Slope and intercept of ``logit P(landslide) = slope * logit + intercept``, as :func:`fit_logistic` gives."""
        used = self.counts.any(0)
        return fit_logistic(CENTRES[used], self.counts[:, used])

    @property
    def _temperatures(self) -> tuple[float, float]:
        """The interval they are looked for in: at the largest logit, all probabilities are near a half."""
        largest = float(np.abs(CENTRES[self.counts.any(0)]).max(initial=0))
        return _LEAST_TEMPERATURE, max(_MOST_TEMPERATURE, largest)
