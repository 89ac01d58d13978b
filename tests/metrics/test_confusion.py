from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score, jaccard_score, precision_score, recall_score

from landslide_scale.metrics import Confusion, LogitHistogram, Scores
from landslide_scale.training.evaluating import histogram_of

SKLEARN = {"precision": precision_score, "recall": recall_score, "f1": f1_score, "iou": jaccard_score}


def masks(seed: int, fraction: float, shape: tuple[int, ...] = (2, 13, 11)) -> tuple[torch.Tensor, torch.Tensor]:
    rng = np.random.default_rng(seed)
    predicted = torch.from_numpy(rng.random(shape) < fraction)
    label = rng.choice(np.array([0, 1, 255], np.uint8), shape, p=[0.9 * (1 - fraction), 0.9 * fraction, 0.1])
    return predicted, torch.from_numpy(label)


def counted(logits: torch.Tensor, label: torch.Tensor) -> LogitHistogram:
    """Counted as arrays and, as a training does, as tensors: to the same numbers."""
    found = LogitHistogram.of(logits.float().numpy(), label.numpy())
    np.testing.assert_array_equal(found.counts, histogram_of(logits, label).counts)
    return found


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 2**32 - 1), st.floats(0.05, 0.95))
def test_scores_equal_scikit_learn(seed: int, fraction: float):
    predicted, label = masks(seed, fraction)
    confusion = Confusion.of(predicted, label)
    kept = label != 255
    truth, guess = (label[kept] == 1).numpy(), predicted[kept].numpy()
    for name, score in SKLEARN.items():
        for scores, average in ((confusion.landslide, "binary"), (confusion.macro, "macro")):
            assert getattr(scores, name) == pytest.approx(score(truth, guess, average=average), abs=1e-6)
        expected = score(truth, guess, pos_label=0)
        assert getattr(confusion.background, name) == pytest.approx(expected, abs=1e-6)


@given(st.integers(0, 2**32 - 1), st.integers(1, 10))
def test_counts_add_up_over_any_split(seed: int, cut: int):
    predicted, label = masks(seed, 0.3)
    parts = [Confusion.of(predicted[:, rows], label[:, rows]) for rows in (slice(0, cut), slice(cut, None))]
    assert parts[0] + parts[1] == Confusion.of(predicted, label)
    whole = parts[0] + parts[1]
    assert whole.tp + whole.fp + whole.fn + whole.tn == int((label != 255).sum())


def test_undefined_scores_are_nan():
    nothing = Confusion(tn=5)
    assert all(math.isnan(value) for value in vars(nothing.landslide).values())
    assert nothing.background == Scores(precision=1, recall=1, f1=1, iou=1)
    assert math.isnan(nothing.macro.f1)
    missed = Confusion(fn=3, tn=1).landslide
    assert math.isnan(missed.precision)
    assert (missed.recall, missed.f1, missed.iou) == (0, 0, 0)


def test_published_rows_come_from_macro_scores():
    """LandslideNet on Landslide4Sense: P 83.40, R 84.48 as class means give the published F1 and mIoU."""
    confusion = Confusion(tp=1634, fp=742, fn=716, tn=96908)
    assert confusion.macro.f1 == pytest.approx(0.8393, abs=0.008)
    assert confusion.macro.iou == pytest.approx(0.7536, abs=0.008)
    assert confusion.landslide.f1 == pytest.approx(0.69, abs=0.01)


def test_histogram_counts_equal_thresholding_the_logits():
    torch.manual_seed(0)
    logits = torch.randn(2, 1, 40, 40) * 4
    logits[0, 0, 0] = torch.arange(40) / 32  # exactly on the edges
    logits[1, 0, 0] = 100.0
    label = masks(3, 0.4, (2, 40, 40))[1]
    histogram = counted(logits[:1], label[:1]) + counted(logits[1:], label[1:])
    for edge in (-17, -2.25, 0, 1 / 32, 0.5, 15.96875, 16, 18.125, 96.5, 100, 100.5, 3e38):
        assert histogram.confusion(edge) == Confusion.of(logits[:, 0] >= edge, label)
    assert histogram.confusion(-math.inf).tn == histogram.confusion(-math.inf).fn == 0


@given(st.floats(8, 2.0**127, width=32), st.sampled_from([-1, 1]))
def test_numbers_of_bf16_are_told_apart_however_large(number: float, sign: int):
    """From 8 on: below 4 its numbers are closer than a 32nd."""
    logit = (sign * torch.tensor([number])).bfloat16()
    histogram = counted(logit, torch.zeros(1, dtype=torch.uint8))
    above = torch.nextafter(logit, torch.tensor([math.inf], dtype=torch.bfloat16))
    assert [histogram.confusion(edge.item()).fp for edge in (logit, above)] == [1, 0]


@pytest.mark.parametrize("temperature", [8.0, 40.0])
def test_logits_beyond_16_count_as_what_they_are(temperature: float):
    """A temperature of 8 was found as 5.4."""
    histogram = calibrated(200_000, 1, temperature=temperature)
    assert histogram.fit_temperature() == pytest.approx(temperature, rel=0.03)
    assert histogram.fit_platt() == pytest.approx((temperature, 0), rel=0.03, abs=0.05 * temperature)
    edge = histogram.best_logit(temperature)
    assert histogram.confusion(edge).landslide.f1 == pytest.approx(counted_f1(histogram, temperature).max(), abs=0.002)


def calibrated(count: int, seed: int, *, temperature: float = 1.0):
    """Logits that say the chance of landslide once divided by the temperature."""
    generator = torch.Generator().manual_seed(seed)
    logit = torch.randn(count, generator=generator) * 2 - 2
    label = (torch.rand(count, generator=generator) < torch.sigmoid(logit)).to(torch.uint8)
    return counted(logit * temperature, label)


def counted_f1(histogram: LogitHistogram, temperature: float = 1.0):
    return np.array([histogram.confusion(temperature * edge / 32).landslide.f1 for edge in range(-512, 512)])


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_best_logit_of_much_ground_counts_best_and_is_at_half_its_f1(temperature: float):
    histogram = calibrated(400_000, 1, temperature=temperature)
    edge = histogram.best_logit(temperature)
    f1 = histogram.confusion(edge).landslide.f1
    assert f1 == pytest.approx(counted_f1(histogram).max(), abs=0.002)
    assert 1 / (1 + math.exp(-edge / temperature)) == pytest.approx(f1 / 2, abs=0.02)


def test_best_logit_of_little_ground_serves_other_ground_better_than_the_edge_that_counted_best():
    other = counted_f1(calibrated(400_000, 99))
    expected, counted = [], []
    for seed in range(40):
        little = calibrated(600, seed)
        expected.append(other[round(32 * little.best_logit(little.fit_temperature())) + 512])
        counted.append(other[np.nanargmax(counted_f1(little))])
    assert np.mean(expected) > np.mean(counted)
    assert other.max() - np.mean(expected) < 0.5 * (other.max() - np.mean(counted))


def test_without_a_landslide_no_edge_is_better_than_even_odds():
    assert counted(torch.tensor([-3.0, 2.0]), torch.zeros(2, dtype=torch.uint8)).best_logit(1.0) == 0


def test_nothing_counted_changes_nothing():
    empty = counted(torch.zeros(4), torch.full((4,), 255, dtype=torch.uint8))
    assert not empty.counts.any()
    assert empty.best_logit(1.0) == 0
    assert empty.fit_temperature() == 1
    assert math.isnan(empty.negative_log_likelihood(1))


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.5])
def test_temperature_is_recovered_and_least(temperature: float):
    generator = torch.Generator().manual_seed(1)
    true_logit = torch.randn(200_000, generator=generator) * 2
    label = (torch.rand(200_000, generator=generator) < torch.sigmoid(true_logit)).to(torch.uint8)
    histogram = counted(true_logit * temperature, label)
    fitted = histogram.fit_temperature()
    assert fitted == pytest.approx(temperature, rel=0.03)
    least = histogram.negative_log_likelihood(fitted)
    assert all(least <= histogram.negative_log_likelihood(fitted * f) for f in (0.8, 0.95, 1.05, 1.25))


def test_temperature_of_separable_logits_stays_in_its_interval():
    label = torch.tensor([0, 1], dtype=torch.uint8)
    assert counted(torch.tensor([-1.0, 1.0]), label).fit_temperature() == pytest.approx(0.1, rel=0.01)
    assert counted(torch.tensor([1.0, -1.0]), label).fit_temperature() == pytest.approx(10, rel=0.01)


@pytest.mark.parametrize(("temperature", "bias"), [(0.5, 0.0), (1.0, -2.0), (2.5, 3.0)])
def test_temperature_and_bias_are_recovered_and_equal_scikit_learn(temperature: float, bias: float):
    generator = torch.Generator().manual_seed(1)
    true_logit = torch.randn(200_000, generator=generator) * 2 - 1
    label = (torch.rand(200_000, generator=generator) < torch.sigmoid(true_logit)).to(torch.uint8)
    logit = true_logit * temperature - bias
    histogram = counted(logit, label)
    found = histogram.fit_platt()
    assert found == pytest.approx((temperature, bias), rel=0.03, abs=0.03)
    centres = ((logit * 32).floor().double() + 0.5) / 32
    fitted = LogisticRegression(C=math.inf, solver="newton-cholesky", tol=1e-9).fit(centres[:, None], label)
    slope, intercept = fitted.coef_[0, 0], fitted.intercept_[0]
    assert found == pytest.approx((1 / slope, intercept / slope), abs=1e-6 if logit.abs().max() < 16 else 1e-4)
    least = histogram.negative_log_likelihood(*found)
    assert least <= histogram.negative_log_likelihood(histogram.fit_temperature())
    mean = torch.sigmoid((centres + found[1]) / found[0]).mean().item()
    assert mean == pytest.approx(histogram.prevalence, abs=1e-5)
    assert histogram.prevalence == pytest.approx(label.float().mean().item())


@pytest.mark.parametrize(
    ("logits", "label"),
    [
        ([-2.0, 0.5, 1.0], [0, 0, 0]),  # no landslide
        ([-1.0, 1.0], [0, 1]),  # told apart entirely
        ([1.0, -1.0, 1.0, -1.0, -1.0], [0, 1, 0, 1, 0]),  # the wrong way round
        ([], []),
    ],
)
def test_where_a_bias_cannot_be_fitted_the_temperature_is_alone(logits: list[float], label: list[int]):
    histogram = counted(torch.tensor(logits), torch.tensor(label, dtype=torch.uint8))
    assert histogram.fit_platt() == (histogram.fit_temperature(), 0.0)


def test_best_logit_under_a_bias_is_that_of_the_shifted_logits():
    histogram = calibrated(200_000, 5)
    generator = torch.Generator().manual_seed(5)
    logit = torch.randn(200_000, generator=generator) * 2 - 2
    label = (torch.rand(200_000, generator=generator) < torch.sigmoid(logit)).to(torch.uint8)
    shifted = counted(logit - 1.5, label)
    assert shifted.best_logit(1.0, 1.5) == pytest.approx(histogram.best_logit(1.0) - 1.5, abs=1 / 32)
