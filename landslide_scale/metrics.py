"""Scores as whole-number counts that add up over images and workers, and what is chosen from them.

Precision, recall, F1 and IoU are ratios of pooled pixel counts, for the landslide class and as the plain mean of both
classes (macro); both are always given, because the literature calls either one "F1". A score whose denominator is 0
is undefined and is ``nan``, never 0 or 1; a macro score is ``nan`` when either class's is.

``LogitHistogram`` counts logits per class in bins of 1/32. That is exact in float32 and bf16, so the counts at any bin
edge are those of thresholding the logits themselves; it holds a few thousand integers however large the set, and
adds up over workers. Threshold, temperature and epoch are chosen from it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from landslide_scale.losses import IGNORE

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

_PER_UNIT = 32
_LIMIT = 16
_BINS = 2 * _LIMIT * _PER_UNIT
_EDGES = (np.arange(_BINS) - _BINS // 2) / _PER_UNIT  # the lower ones
_CENTRES = _EDGES + 0.5 / _PER_UNIT
_TEMPERATURES = (0.1, 10.0)
_GOLDEN = (math.sqrt(5) - 1) / 2


@dataclass(frozen=True, kw_only=True)
class Scores:
    """Each in [0, 1], or ``nan`` where undefined."""

    precision: float
    recall: float
    f1: float
    iou: float

    @classmethod
    def of(cls, *, tp: int, fp: int, fn: int) -> Scores:
        """F1 = 2 TP / (2 TP + FP + FN) and IoU = TP / (TP + FP + FN), from pooled counts."""
        return cls(
            precision=_ratio(tp, tp + fp),
            recall=_ratio(tp, tp + fn),
            f1=_ratio(2 * tp, 2 * tp + fp + fn),
            iou=_ratio(tp, tp + fp + fn),
        )


def _ratio(part: int, whole: int) -> float:
    return part / whole if whole else math.nan


@dataclass(frozen=True, kw_only=True)
class Confusion:
    """Pixels by predicted and true class; landslide is positive, ignored pixels are in none of the four."""

    tp: int = 0
    fp: int = 0
    fn: int = 0
    tn: int = 0

    @classmethod
    def of(cls, predicted: Tensor, label: Tensor) -> Confusion:
        """Count one batch.

        Args:
            predicted: bool, any shape; True is landslide.
            label: uint8 of the same shape; 0 background, 1 landslide, 255 ignored.
        """
        truth, counted = label == 1, label != IGNORE
        tp = int((predicted & truth).sum())
        fp = int((predicted & ~truth & counted).sum())
        fn = int((~predicted & truth).sum())
        return cls(tp=tp, fp=fp, fn=fn, tn=int(counted.sum()) - tp - fp - fn)

    def __add__(self, other: Confusion) -> Confusion:
        return Confusion(tp=self.tp + other.tp, fp=self.fp + other.fp, fn=self.fn + other.fn, tn=self.tn + other.tn)

    @property
    def landslide(self) -> Scores:
        """Scores of the landslide class."""
        return Scores.of(tp=self.tp, fp=self.fp, fn=self.fn)

    @property
    def background(self) -> Scores:
        """Scores of the background class: the same counts seen from the other side."""
        return Scores.of(tp=self.tn, fp=self.fn, fn=self.fp)

    @property
    def macro(self) -> Scores:
        """The mean of the two classes, score by score; its F1 is the mean of F1s, its IoU the paper's mIoU."""
        a, b = self.landslide, self.background
        return Scores(
            precision=(a.precision + b.precision) / 2,
            recall=(a.recall + b.recall) / 2,
            f1=(a.f1 + b.f1) / 2,
            iou=(a.iou + b.iou) / 2,
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class LogitHistogram:
    """Pixels per class and logit bin.

    Attributes:
        counts: int64 (2, 1024); row 0 background, row 1 landslide; bin ``i`` is the half-open interval
            [(i - 512) / 32, (i - 511) / 32), the first and last taking in everything beyond.
    """

    counts: NDArray[np.int64]

    @classmethod
    def empty(cls) -> LogitHistogram:
        """No pixel yet."""
        return cls(counts=np.zeros((2, _BINS), np.int64))

    @classmethod
    def of(cls, logits: Tensor, label: Tensor) -> LogitHistogram:
        """Count one batch: floating logits and uint8 labels (255 ignored) of the same number of elements."""
        label, logits = label.reshape(-1), logits.reshape(-1).float()
        counted = label != IGNORE
        index = (logits[counted] * _PER_UNIT).floor().clamp(-_BINS // 2, _BINS // 2 - 1).long() + _BINS // 2
        index += _BINS * (label[counted] == 1).long()
        return cls(counts=torch.bincount(index, minlength=2 * _BINS).reshape(2, _BINS).cpu().numpy())

    def __add__(self, other: LogitHistogram) -> LogitHistogram:
        return LogitHistogram(counts=self.counts + other.counts)

    def confusion(self, logit: float) -> Confusion:
        """Count as if ``logit >= edge`` were landslide; `logit` is taken to the nearest bin edge."""
        edge = min(max(round(logit * _PER_UNIT) + _BINS // 2, 0), _BINS)
        (fp, tp), (tn, fn) = self.counts[:, edge:].sum(1), self.counts[:, :edge].sum(1)
        return Confusion(tp=int(tp), fp=int(fp), fn=int(fn), tn=int(tn))

    def best_logit(self, temperature: float) -> float:
        """Find the bin edge of highest landslide F1 expected of these logits, were their calibrated probabilities true.

        Expected, not counted: which edge counts best hangs on the few landslides at hand and jumps by chance from one
        handful of images to another, while the temperature rests on every pixel. For calibrated probabilities the
        answer is the edge at half the F1 that is reached (Lipton et al. 2014, "Optimal Thresholding of Classifiers to
        Maximize F1 Measure").

        Args:
            temperature: Of ``sigmoid(logit / temperature)``, as fitted to the same pixels.

        Returns:
            The edge nearest 0 among equals; 0 where no landslide was counted, so that nothing can be learnt.
        """
        if not self.counts[1].any():
            return 0.0
        pixels = self.counts.sum(0)
        landslides = pixels / (1 + np.exp(-_CENTRES / temperature))
        found, predicted = landslides[::-1].cumsum()[::-1], pixels[::-1].cumsum()[::-1]
        f1 = 2 * found / (predicted + landslides.sum())
        best = np.flatnonzero(f1 == f1.max())
        return float(_EDGES[best[np.abs(_EDGES[best]).argmin()]])

    def negative_log_likelihood(self, temperature: float) -> float:
        """Average BCE per pixel of ``sigmoid(logit / temperature)``, logits taken at bin centres; nan if empty."""
        total = int(self.counts.sum())
        if not total:
            return math.nan
        centre = _CENTRES / temperature
        cost = np.stack((np.logaddexp(0, centre), np.logaddexp(0, -centre)))
        return float((self.counts * cost).sum() / total)

    def fit_temperature(self) -> float:
        """Fit the temperature in [0.1, 10] of least BCE (Guo et al. 2017, "On Calibration of Modern Neural Networks").

        BCE is convex in 1 / T, hence has one minimum in log T, found by golden section to 1e-4. 1 where nothing was
        counted.
        """
        if not self.counts.any():
            return 1.0
        low, high = (math.log(t) for t in _TEMPERATURES)
        while high - low > 1e-4:  # noqa: PLR2004 (relative precision of the temperature)
            left, right = high - _GOLDEN * (high - low), low + _GOLDEN * (high - low)
            if self.negative_log_likelihood(math.exp(left)) <= self.negative_log_likelihood(math.exp(right)):
                high = right
            else:
                low = left
        return math.exp((low + high) / 2)
