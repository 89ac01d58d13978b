from __future__ import annotations

import math

import numpy as np
import pytest
from helpers.masks import IGNORE, made, seeds
from hypothesis import given
from sklearn.calibration import calibration_curve
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import brier_score_loss

from landslide_scale.metrics import Reliability, fit_logistic


def kept(seed: int) -> tuple[Reliability, np.ndarray, np.ndarray]:
    probability, label = made(seed)
    counted = label != IGNORE
    return Reliability.of(probability, label), probability[counted].astype(np.float64), label[counted] == 1


@given(seeds)
def test_the_diagram_and_its_error_equal_scikit_learns_curve(seed: int):
    reliability, chance, truth = kept(seed)
    observed, mean = calibration_curve(truth, chance, n_bins=20)
    bins = [each for each in reliability.bins if each.pixels]
    assert [each.observed for each in bins] == pytest.approx(observed, abs=1e-6)
    assert [each.probability for each in bins] == pytest.approx(mean, abs=1e-6)
    counts = np.histogram(chance, bins=np.arange(21) / 20)[0]
    assert [each.pixels for each in reliability.bins] == counts.tolist()
    error = np.average(np.abs(observed - mean), weights=counts[counts > 0])
    assert reliability.calibration_error() == pytest.approx(error, abs=1e-6)
    upper = chance >= 0.05
    observed, mean = calibration_curve(truth[upper], chance[upper], n_bins=20)
    counts = np.histogram(chance[upper], bins=np.arange(21) / 20)[0]
    error = np.average(np.abs(observed - mean), weights=counts[counts > 0])
    assert reliability.calibration_error(0.05) == pytest.approx(error, abs=1e-6)


@given(seeds)
def test_brier_score_and_skill_equal_scikit_learn(seed: int):
    reliability, chance, truth = kept(seed)
    brier = brier_score_loss(truth, chance)
    assert reliability.brier == pytest.approx(brier, abs=1e-6)
    reference = brier_score_loss(truth, np.full(len(truth), truth.mean()))
    assert reliability.prevalence == pytest.approx(truth.mean(), abs=1e-6)
    assert reliability.brier_skill == pytest.approx(1 - brier / reference, abs=1e-6)


def unpenalised(logit: np.ndarray, truth: np.ndarray) -> tuple[float, float]:
    fitted = LogisticRegression(C=np.inf, solver="newton-cholesky", tol=1e-9, max_iter=1000).fit(logit[:, None], truth)
    return float(fitted.coef_[0, 0]), float(fitted.intercept_[0])


@given(seeds)
def test_slope_and_intercept_equal_scikit_learns_regression(seed: int):
    reliability, chance, truth = kept(seed)
    found = reliability.recalibration
    logit = np.log(chance / (1 - chance)).astype(np.float32)
    centres = (np.floor(logit * 32).astype(np.float64) + 0.5) / 32
    assert (found.slope, found.intercept) == pytest.approx(unpenalised(centres, truth), abs=1e-6)
    assert (found.slope, found.intercept) == pytest.approx(unpenalised(logit.astype(np.float64), truth), abs=0.02)


def test_calibrated_probabilities_have_slope_1_and_intercept_0_and_others_tell_how_they_are_off():
    rng = np.random.default_rng(0)
    logit = rng.normal(-2, 1.5, 400_000)
    label = (rng.random(400_000) < 1 / (1 + np.exp(-logit))).astype(np.uint8)
    for slope, intercept in ((1, 0), (0.5, 0), (1, -1)):
        said = 1 / (1 + np.exp(-(logit - intercept) / slope))
        found = Reliability.of(said.astype(np.float32), label).recalibration
        assert (found.slope, found.intercept) == pytest.approx((slope, intercept), abs=0.03)


def test_at_one_percent_an_empty_map_has_a_small_error_and_no_skill():
    label = (np.arange(10_000) % 100 == 0).astype(np.uint8)
    empty = Reliability.of(np.zeros(10_000, np.float32), label)
    assert empty.calibration_error() == pytest.approx(0.01, abs=1e-9)
    assert math.isnan(empty.calibration_error(0.05))
    assert empty.brier_skill == pytest.approx(-0.01 / 0.99, abs=1e-9)
    constant = Reliability.of(np.full(10_000, 0.01, np.float32), label)
    assert constant.brier_skill == pytest.approx(0, abs=1e-6)


def test_bins_hold_their_lower_edge_and_the_last_one_both():
    edges = np.array([0, 0.05, 0.5, 0.75, 1], np.float32)
    found = Reliability.of(edges, np.zeros(5, np.uint8))
    assert [number for number, pixels in enumerate(found.pixels) for _ in range(pixels)] == [0, 1, 10, 15, 19]


def test_certain_probabilities_are_counted():
    found = Reliability.of(np.array([0, 1, 0, 1], np.float32), np.array([0, 1, 1, 0], np.uint8))
    assert found.brier == 0.5
    assert found.logits.counts.sum() == 4


def test_what_is_undefined_is_nan():
    for label in (np.zeros(0, np.uint8), np.full(3, IGNORE, np.uint8), np.zeros(3, np.uint8)):
        found = Reliability.of(np.full(len(label), 0.3, np.float32), label)
        assert math.isnan(found.brier_skill)
        assert math.isnan(found.recalibration.slope)
    parted = Reliability.of(np.array([0.2, 0.8], np.float32), np.array([0, 1], np.uint8))
    assert math.isnan(parted.recalibration.slope)


@pytest.mark.parametrize(
    "counts",
    [
        [[3, 0, 0], [0, 0, 0]],  # one class
        [[1, 2, 0], [0, 0, 3]],  # parted
        [[0, 2, 0], [0, 3, 0]],  # one value
        [[1, 2, 0], [0, 1, 3]],  # parted but for one shared value
    ],
)
def test_where_no_one_line_is_best_there_is_none(counts: list[list[int]]):
    assert fit_logistic(np.array([-1.0, 0.0, 1.0]), np.array(counts)) is None


def test_a_line_is_found_from_afar():
    values = np.linspace(-16, 16, 1024)
    chance = 1 / (1 + np.exp(-(0.05 * values - 7)))
    ones = np.rint(1e9 * chance).astype(np.int64)
    assert fit_logistic(values, np.stack((10**9 - ones, ones))) == pytest.approx((0.05, -7), abs=1e-4)
