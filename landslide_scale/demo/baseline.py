"""The best classifier that sees one pixel at a time: what a network has to beat."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.discriminant_analysis import QuadraticDiscriminantAnalysis
from sklearn.ensemble import ExtraTreesClassifier, HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from landslide_scale.errors import InvalidDatasetError
from landslide_scale.metrics import Scores

Values = NDArray[np.float32]
LARGEST_SAMPLE = 24_000
"""Training pixels at most, half of them landslide where there are so many: more gained nothing and cost minutes."""
LARGEST_VALIDATION = 120_000
"""Validation pixels at most, drawn at random, so that landslides are as frequent among them as on the ground."""
_VALIDATION = 0.3
_THRESHOLDS = np.linspace(0.02, 0.99, 98)
_TINY = np.float32(1e-3)


@dataclass(frozen=True, kw_only=True)
class PixelClassifier:
    """The classifier that did best on held-out ground.

    Attributes:
        name: Of the method.
        threshold: Probability from which a pixel is landslide, best for F1 on the held-out ground.
        validation: Its scores there.
        others: F1 there of every method tried, by name.
        predict: (N, C) float32 reflectances to (N,) float32 probabilities.
    """

    name: str
    threshold: float
    validation: Scores
    others: Mapping[str, float]
    predict: Callable[[Values], Values]


def best_pixel_classifier(
    images: Values, labels: NDArray[np.uint8], groups: NDArray[np.integer[Any]], *, seed: int = 0
) -> PixelClassifier:
    """Train four classifiers on single pixels and keep the one with the best landslide F1 on ground not trained on.

    Each sees the bands, every normalised difference and every ratio of two bands, and the brightness; classes are
    balanced in training and the threshold is chosen on the held-out groups, where classes are as frequent as they are.

    Args:
        images: (N, C) float32 reflectances of observed pixels.
        labels: (N,) uint8, 1 landslide, 0 background.
        groups: (N,) integers, one per chip or block of ground; whole groups are held out, as neighbours are alike.
        seed: Of the split, the sample and the methods.

    Raises:
        InvalidDatasetError: The arrays do not match, or either part lacks a class.
    """
    if not len(images) == len(labels) == len(groups):
        raise InvalidDatasetError(
            f"{len(images)} pixels, {len(labels)} labels, {len(groups)} groups", expected="as many"
        )
    rng = np.random.default_rng(seed)
    names = rng.permutation(np.unique(groups))
    held = np.isin(groups, names[: max(1, round(_VALIDATION * len(names)))])
    for part, chosen in (("training", ~held), ("validation", held)):
        if np.unique(labels[chosen]).size < 2:  # noqa: PLR2004  (two classes)
            raise InvalidDatasetError("one class only", expected="pixels of both classes", part=part)
    sample = _balanced(rng, labels, np.flatnonzero(~held))
    train, truth = features(images[sample]), labels[sample]
    checked = rng.permutation(np.flatnonzero(held))[:LARGEST_VALIDATION]
    valid, valid_truth = features(images[checked]), labels[checked] == 1
    tried = {}
    for name, method in _methods(seed).items():
        method.fit(train, truth)
        tried[name] = (method, *_best_threshold(method.predict_proba(valid)[:, 1], valid_truth))
    name = max(tried, key=lambda key: tried[key][2].f1)
    method, threshold, scores = tried[name]
    return PixelClassifier(
        name=name,
        threshold=threshold,
        validation=scores,
        others={key: each[2].f1 for key, each in tried.items()},
        predict=lambda values: method.predict_proba(features(values))[:, 1].astype(np.float32),
    )


def features(images: Values) -> Values:
    """Bands, brightness, and normalised difference and ratio of every two bands: (N, C) to (N, C + 1 + C (C - 1))."""
    columns = [images, images.mean(axis=1, keepdims=True)]
    for i in range(images.shape[1]):
        for j in range(i):
            a, b = images[:, i : i + 1], np.maximum(images[:, j : j + 1], _TINY)
            columns += [(a - b) / np.maximum(a + b, _TINY), a / b]
    return np.hstack(columns).astype(np.float32)


def _methods(seed: int) -> dict[str, Any]:
    return {
        "gradient boosting": HistGradientBoostingClassifier(max_iter=150, learning_rate=0.1, random_state=seed),
        "extremely randomised trees": ExtraTreesClassifier(
            n_estimators=80, min_samples_leaf=5, n_jobs=2, random_state=seed
        ),
        "logistic regression": make_pipeline(StandardScaler(), LogisticRegression(max_iter=300)),
        "quadratic discriminant": make_pipeline(StandardScaler(), QuadraticDiscriminantAnalysis(reg_param=0.05)),
    }


def _balanced(rng: np.random.Generator, labels: NDArray[np.uint8], rows: NDArray[np.intp]) -> NDArray[np.intp]:
    """As many pixels of the one class as of the other, at most `LARGEST_SAMPLE` together."""
    classes = [rows[labels[rows] == value] for value in (0, 1)]
    size = min(LARGEST_SAMPLE // 2, *(len(each) for each in classes))
    return np.concatenate([rng.choice(each, size, replace=False) for each in classes])


def _best_threshold(probability: NDArray[np.floating[Any]], truth: NDArray[np.bool_]) -> tuple[float, Scores]:
    """The threshold with the best F1, and the scores it gives."""
    ranked = []
    for threshold in _THRESHOLDS:
        predicted = probability >= threshold
        tp = int((predicted & truth).sum())
        scores = Scores.of(tp=tp, fp=int(predicted.sum()) - tp, fn=int(truth.sum()) - tp)
        ranked.append((float(threshold), scores))
    return max(ranked, key=lambda each: each[1].f1)
