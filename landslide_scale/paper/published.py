"""The figures of the LandslideNet paper (Yu et al. 2024), as printed; percent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from landslide_scale.datasets.spec import DataKind


@dataclass(frozen=True, kw_only=True)
class PublishedScores:
    """A row of Table 1 or 2: precision, recall, F1 and mIoU, the mean of both classes, in percent."""

    precision: float
    recall: float
    f1: float
    miou: float


@dataclass(frozen=True, kw_only=True)
class PublishedSize:
    """A row of Table 3: parameters in millions, and the mean of the F1 of Tables 1 and 2 in percent."""

    trainable: float
    total: float
    mf1: float


@dataclass(frozen=True, kw_only=True)
class PublishedTable:
    """One of the paper's tables of scores.

    Attributes:
        title: As the paper has it.
        rows: By ``model.name``.
        note: What a reader should know of its figures.
    """

    title: str
    rows: Mapping[str, PublishedScores]
    note: str = ""


TABLES: Mapping[DataKind, PublishedTable] = {
    "bijie": PublishedTable(
        title="Table 1. Quantitative comparison results on the Bijie dataset",
        rows={
            "ccnet": PublishedScores(precision=85.24, recall=83.64, f1=84.41, miou=75.09),
            "deeplabv3plus": PublishedScores(precision=89.19, recall=87.40, f1=88.27, miou=80.28),
            "unet": PublishedScores(precision=85.81, recall=84.77, f1=85.28, miou=76.20),
            "pspnet": PublishedScores(precision=90.77, recall=86.39, f1=88.42, miou=80.52),
            "landslidenet": PublishedScores(precision=93.91, recall=92.24, f1=92.18, miou=87.75),
        },
        note=(
            "The published row of LandslideNet fits no confusion matrix (the nearest is off by 0.7 points). "
            "Each of the other rows fits one pooled 2 x 2 matrix to 0.01 points, at a landslide fraction of 10 %."
        ),
    ),
    "landslide4sense": PublishedTable(
        title="Table 2. Quantitative comparison results on the Landslide4Sense dataset",
        rows={
            "ccnet": PublishedScores(precision=81.55, recall=70.75, f1=74.97, miou=66.11),
            "deeplabv3plus": PublishedScores(precision=71.72, recall=74.98, f1=73.23, miou=64.37),
            "unet": PublishedScores(precision=75.22, recall=78.55, f1=76.77, miou=67.67),
            "pspnet": PublishedScores(precision=75.18, recall=79.94, f1=77.34, miou=68.21),
            "landslidenet": PublishedScores(precision=83.40, recall=84.48, f1=83.93, miou=75.36),
        },
    ),
}
"""Tables 1 and 2, by the kind of data set."""

SIZES: Mapping[str, PublishedSize] = {
    "ccnet": PublishedSize(trainable=71.27, total=71.27, mf1=79.69),
    "deeplabv3plus": PublishedSize(trainable=40.35, total=40.35, mf1=80.75),
    "unet": PublishedSize(trainable=75.36, total=75.36, mf1=81.03),
    "pspnet": PublishedSize(trainable=46.58, total=46.58, mf1=82.88),
    "landslidenet": PublishedSize(trainable=4.20, total=312.48, mf1=88.94),
}
"""Table 3, by ``model.name``."""

SIZES_TITLE = "Table 3. Trainable parameters and model performance"
