"""Pixels by predicted and true class, and the four scores taken from them.

Precision, recall, F1 and IoU are ratios of pooled pixel counts, for the landslide class and as the plain mean of both
classes (macro); both are always given, because the literature calls either one "F1". A macro score is ``nan`` when
either class's is.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from landslide_scale.label_values import IGNORE, LANDSLIDE

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

Pixels = TypeVar("Pixels", "NDArray[Any]", "Tensor")


def ratio(part: int, whole: int) -> float:
    """``part / whole``, or ``nan`` of nothing."""
    return part / whole if whole else math.nan


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
            precision=ratio(tp, tp + fp),
            recall=ratio(tp, tp + fn),
            f1=ratio(2 * tp, 2 * tp + fp + fn),
            iou=ratio(tp, tp + fp + fn),
        )


@dataclass(frozen=True, kw_only=True)
class Confusion:
    """Pixels by predicted and true class; landslide is positive, ignored pixels are in none of the four."""

    tp: int = 0
    fp: int = 0
    fn: int = 0
    tn: int = 0

    @classmethod
    def of(cls, predicted: Pixels, label: Pixels) -> Confusion:
        """Count one batch.

        Args:
            predicted: bool, any shape; True is landslide. A tensor is counted where it is.
            label: uint8 of the same shape; 0 background, 1 landslide, 255 ignored.
        """
        truth, counted = label == LANDSLIDE, label != IGNORE
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
