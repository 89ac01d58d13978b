from __future__ import annotations

import math

import numpy as np
import pytest
from helpers.masks import IGNORE, made, seeds
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage
from scipy.spatial import cKDTree

from landslide_scale.metrics import Confusion, Matches, Scores, boundary, match_boundaries, match_pixels

tolerances = st.sampled_from([0.0, 1.0, 1.5, 2.0, 3.0])


def halves(matches: Matches) -> tuple[float, float, float]:
    return matches.scores.precision, matches.scores.recall, matches.scores.f1


def harmonic(precision: float, recall: float) -> float:
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def nearest_neighbours(truth: np.ndarray, predicted: np.ndarray, tolerance: float) -> tuple[float, float, float]:
    """Precision, recall and F1 from the coordinates of pixels, without any image of distances."""
    a, b = np.argwhere(predicted), np.argwhere(truth)
    precision = float(np.mean(cKDTree(b).query(a)[0] <= tolerance + 1e-9))
    recall = float(np.mean(cKDTree(a).query(b)[0] <= tolerance + 1e-9))
    return precision, recall, harmonic(precision, recall)


def border_by_hand(mask: np.ndarray, counted: np.ndarray) -> np.ndarray:
    found = np.zeros_like(mask)
    for y, x in np.argwhere(mask):
        for v, u in ((y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)):
            inside = 0 <= v < mask.shape[0] and 0 <= u < mask.shape[1]
            found[y, x] |= inside and counted[v, u] and not mask[v, u]
    return found


@given(seeds, tolerances)
def test_matches_equal_nearest_neighbours_among_coordinates(seed: int, tolerance: float):
    probability, label = made(seed)
    counted = label != IGNORE
    truth, predicted = label == 1, (probability >= 0.5) & counted
    expected = nearest_neighbours(truth, predicted, tolerance)
    assert halves(match_pixels(probability >= 0.5, label, tolerance)) == pytest.approx(expected, abs=1e-6)
    borders = [border_by_hand(mask, counted) for mask in (truth, predicted)]
    np.testing.assert_array_equal(boundary(truth, counted), borders[0])
    expected = nearest_neighbours(*borders, tolerance)
    assert halves(match_boundaries(probability >= 0.5, label, tolerance)) == pytest.approx(expected, abs=1e-6)


@given(seeds)
def test_one_pixel_of_tolerance_equals_growing_the_other_side_by_one(seed: int):
    probability, label = made(seed)
    truth, predicted = label == 1, (probability >= 0.5) & (label != IGNORE)
    matches = match_pixels(predicted, label, 1)
    assert matches.found == np.count_nonzero(truth & ndimage.binary_dilation(predicted))
    assert matches.correct == np.count_nonzero(predicted & ndimage.binary_dilation(truth))


@given(seeds)
def test_no_tolerance_is_the_strict_count(seed: int):
    probability, label = made(seed)
    predicted, counted = probability >= 0.5, label != IGNORE
    tp = int((predicted & (label == 1)).sum())
    fp, fn = int((predicted & (label == 0)).sum()), int((~predicted & (label == 1)).sum())
    matches = match_pixels(predicted, label, 0)
    assert matches == Matches(truth=tp + fn, found=tp, predicted=tp + fp, correct=tp)
    assert matches.scores == Confusion(tp=tp, fp=fp, fn=fn, tn=int(counted.sum()) - tp - fp - fn).landslide


@given(seeds, tolerances, st.sampled_from([match_pixels, match_boundaries]))
def test_sides_are_alike_and_pixels_do_not_know_up_from_down(seed: int, tolerance: float, match):  # noqa: ANN001
    probability, label = made(seed)
    counted = label != IGNORE
    predicted = (probability >= 0.5) & counted
    matches = match(predicted, label, tolerance)
    assert match(np.rot90(predicted), np.rot90(label), tolerance) == matches
    assert match(predicted[:, ::-1], label[:, ::-1], tolerance) == matches
    swapped = match(label == 1, np.where(counted, predicted, IGNORE).astype(np.uint8), tolerance)
    assert (swapped.truth, swapped.found) == (matches.predicted, matches.correct)
    assert (swapped.predicted, swapped.correct) == (matches.truth, matches.found)
    assert match(predicted | ~counted, label, tolerance) == matches
    wider = match(predicted, label, tolerance + 1)
    assert wider.found >= matches.found
    assert wider.correct >= matches.correct


def test_a_landslide_five_pixels_wide_one_pixel_off_scores_080_strictly_and_1_with_tolerance():
    label = np.zeros((20, 20), np.uint8)
    label[5:10, 5:10] = 1
    shifted = np.roll(label == 1, 1, axis=1)
    assert match_pixels(shifted, label, 0).scores.f1 == pytest.approx(0.80, abs=1e-9)
    assert match_pixels(shifted, label, 1).scores == Scores(precision=1, recall=1, f1=1, iou=1)
    assert match_boundaries(shifted, label, 1).scores.f1 == 1
    assert match_boundaries(shifted, label, 0).scores.f1 < 0.6
    assert match_pixels(np.roll(label == 1, 3, axis=1), label, 1).scores.f1 < 1


def test_neither_ignored_pixels_nor_the_edge_of_the_image_make_a_border():
    label = np.ones((8, 8), np.uint8)
    label[:, 5:] = IGNORE
    assert not boundary(label == 1, label != IGNORE).any()
    label[:, 0] = 0
    border = boundary(label == 1, label != IGNORE)
    assert border[:, 1].all()
    assert border.sum() == 8


def test_where_one_side_has_nothing_nothing_is_near():
    label = np.zeros((9, 9), np.uint8)
    label[3:6, 3:6] = 1
    nothing = np.zeros((9, 9), bool)
    for match in (match_pixels, match_boundaries):
        missed = match(nothing, label, 2).scores
        assert math.isnan(missed.precision)
        assert (missed.recall, missed.f1, missed.iou) == (0, 0, 0)
        false = match(label == 1, np.zeros_like(label), 2).scores
        assert math.isnan(false.recall)
        assert (false.precision, false.f1, false.iou) == (0, 0, 0)
        assert all(math.isnan(value) for value in vars(match(nothing, np.zeros_like(label), 2).scores).values())
