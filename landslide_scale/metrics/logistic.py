"""Logistic regression on one variable, whose values are binned."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.special import expit

if TYPE_CHECKING:
    from numpy.typing import NDArray

_STEPS = 100
_HALVINGS = 40
_CONVERGED = 1e-9
_ROUNDING = 1e-12
_SINGULAR = 1e-24


def fit_logistic(values: NDArray[np.float64], counts: NDArray[np.int64]) -> tuple[float, float] | None:
    """Fit ``P(1) = sigmoid(slope * value + intercept)`` of greatest likelihood, by Newton's method.

    The likelihood is concave; a step that would lower it is halved until it does not.

    Args:
        values: float64 (N), one for each bin.
        counts: int64 (2, N), cases of class 0 and of class 1 in each bin.

    Returns:
        Slope and intercept; None where there is no one best: a class has no case, all cases have one value, or a value
        parts the classes entirely, so that the steeper always fits better.
    """
    cases, ones = counts.sum(0).astype(np.float64), counts[1].astype(np.float64)
    if not 0 < ones.sum() < cases.sum():
        return None
    cases, ones = cases / cases.sum(), ones / cases.sum()
    terms = np.stack((values, np.ones_like(values)))
    fitted = np.array((1.0, 0.0))
    for _ in range(_STEPS):
        chance = expit(fitted @ terms)
        hessian = (terms * (cases * chance * (1 - chance))) @ terms.T
        if not np.linalg.det(hessian) > _SINGULAR:
            return None
        step = np.linalg.solve(hessian, terms @ (ones - cases * chance))
        fitted = _improved(fitted, step, terms, cases, ones)
        if np.abs(step).max() < _CONVERGED * (1 + np.abs(fitted).max()):
            return float(fitted[0]), float(fitted[1])
    return None


def _improved(
    fitted: NDArray[np.float64],
    step: NDArray[np.float64],
    terms: NDArray[np.float64],
    cases: NDArray[np.float64],
    ones: NDArray[np.float64],
) -> NDArray[np.float64]:
    """The fit one step on, or a part of the step."""

    def cost(fit: NDArray[np.float64]) -> float:
        score = fit @ terms
        return float((cases * np.logaddexp(0, score) - ones * score).sum())

    before = cost(fitted)
    for _ in range(_HALVINGS):
        if cost(fitted + step) <= before + _ROUNDING:
            break
        step = step / 2
    return fitted + step
