from __future__ import annotations

import itertools
import math
from collections import deque

import numpy as np
import pytest
from helpers.masks import IGNORE, made, seeds
from hypothesis import given
from sklearn.metrics import precision_recall_fscore_support, precision_score, recall_score

from landslide_scale.metrics import Components, Matches, ObjectMatches, SizeClass, by_size, match_pixels

EDGES = (0, 1e3, 1e4, 1e5, float("inf"))


def flooded(mask: np.ndarray) -> list[np.ndarray]:
    """Objects as masks, by walking from pixel to pixel."""
    left, found = mask.copy(), []
    for start in np.argwhere(mask):
        if not left[tuple(start)]:
            continue
        one, queue = np.zeros_like(mask), deque([tuple(start)])
        left[tuple(start)] = False
        while queue:
            y, x = queue.popleft()
            one[y, x] = True
            for v in range(max(y - 1, 0), min(y + 2, mask.shape[0])):
                for u in range(max(x - 1, 0), min(x + 2, mask.shape[1])):
                    if left[v, u]:
                        left[v, u] = False
                        queue.append((v, u))
        found.append(one)
    return found


def covered(one: np.ndarray, by: np.ndarray) -> bool:
    return 10 * np.count_nonzero(one & by) >= 3 * np.count_nonzero(one)


@given(seeds)
def test_objects_equal_walking_from_pixel_to_pixel(seed: int):
    probability, label = made(seed)
    predicted = (probability >= 0.5) & (label != IGNORE)
    landslides, guesses = flooded(label == 1), flooded(predicted)
    found = ObjectMatches.of(Components.of(probability >= 0.5, label))
    assert found.matches == Matches(
        truth=len(landslides),
        found=sum(covered(one, predicted) for one in landslides),
        predicted=len(guesses),
        correct=sum(covered(one, label == 1) for one in guesses),
    )
    assert found.merges == sum(sum(covered(one, guess) for one in landslides) > 1 for guess in guesses)
    assert found.splits == sum(sum(covered(guess, one) for guess in guesses) > 1 for one in landslides)
    hits, right = [covered(one, predicted) for one in landslides], [covered(one, label == 1) for one in guesses]
    recall, precision = recall_score(np.ones(len(hits)), hits), precision_score(right, np.ones(len(right)))
    scores = found.matches.scores
    assert (scores.recall, scores.precision) == pytest.approx((recall, precision), abs=1e-6)
    if recall + precision:
        assert scores.f1 == pytest.approx(2 * precision * recall / (precision + recall), abs=1e-6)


@given(seeds)
def test_size_classes_equal_scikit_learn_on_the_pixels_of_their_objects(seed: int):
    probability, label = made(seed)
    counted = label != IGNORE
    predicted, truth, pixel_m2 = (probability >= 0.5) & counted, label == 1, 60.0
    classes = by_size(Components.of(predicted, label), pixel_m2)
    assert [(each.low_m2, each.high_m2) for each in classes] == list(itertools.pairwise(EDGES))
    for each in classes:
        own = [
            sum(
                (one for one in flooded(mask) if each.low_m2 <= one.sum() * pixel_m2 < each.high_m2),
                np.zeros_like(mask),
            )
            for mask in (truth, predicted)
        ]
        assert (each.objects.truth, each.objects.predicted) == tuple(len(flooded(mask)) for mask in own)
        if not own[0].any() or not own[1].any():
            continue
        recall = precision_recall_fscore_support(own[0][counted], predicted[counted], average="binary")[1]
        precision = precision_recall_fscore_support(truth[counted], own[1][counted], average="binary")[0]
        scores = each.pixels.scores
        assert (scores.precision, scores.recall) == pytest.approx((precision, recall), abs=1e-6)
        if precision + recall:
            f1 = 2 * precision * recall / (precision + recall)
            assert (scores.f1, scores.iou) == pytest.approx((f1, f1 / (2 - f1)), abs=1e-6)


@given(seeds)
def test_size_classes_add_up_to_all_pixels_and_all_objects(seed: int):
    probability, label = made(seed)
    components = Components.of(probability >= 0.5, label)
    classes = by_size(components, 60.0)
    assert sum((each.pixels for each in classes), Matches()) == match_pixels(probability >= 0.5, label, 0)
    assert sum((each.objects for each in classes), Matches()) == ObjectMatches.of(components).matches


@given(seeds)
def test_sides_are_alike_and_objects_do_not_know_up_from_down(seed: int):
    probability, label = made(seed)
    predicted, counted = probability >= 0.5, label != IGNORE
    found = ObjectMatches.of(Components.of(predicted, label))
    assert ObjectMatches.of(Components.of(predicted[::-1], label[::-1])) == found
    assert ObjectMatches.of(Components.of(np.rot90(predicted), np.rot90(label))) == found
    assert ObjectMatches.of(Components.of(predicted | ~counted, label)) == found
    swapped = ObjectMatches.of(Components.of(label == 1, np.where(counted, predicted, IGNORE).astype(np.uint8)))
    assert (swapped.merges, swapped.splits) == (found.splits, found.merges)
    assert swapped.matches.found == found.matches.correct


def squares(*boxes: tuple[int, int, int, int]) -> np.ndarray:
    mask = np.zeros((12, 40), bool)
    for top, bottom, left, right in boxes:
        mask[top:bottom, left:right] = True
    return mask


@pytest.mark.parametrize(("width", "found"), [(2, 0), (3, 1)])
def test_thirty_percent_of_its_area_is_enough_and_less_is_not(width: int, found: int):
    label = squares((0, 1, 0, 10)).astype(np.uint8)
    matches = ObjectMatches.of(Components.of(squares((0, 1, 0, width)), label)).matches
    assert matches == Matches(truth=1, found=found, predicted=1, correct=1)


def test_only_the_observed_area_counts():
    label = squares((0, 1, 0, 10)).astype(np.uint8)
    label[0, 6:] = IGNORE
    assert ObjectMatches.of(Components.of(squares((0, 1, 0, 2)), label)).matches.found == 1


def test_one_prediction_over_two_landslides_is_a_merge_and_two_in_one_a_split():
    two, one = squares((2, 6, 2, 8), (2, 6, 10, 16)), squares((2, 6, 2, 16))
    merged = ObjectMatches.of(Components.of(one, two.astype(np.uint8)))
    assert merged == ObjectMatches(matches=Matches(truth=2, found=2, predicted=1, correct=1), merges=1, splits=0)
    split = ObjectMatches.of(Components.of(two, one.astype(np.uint8)))
    assert split == ObjectMatches(matches=Matches(truth=1, found=1, predicted=2, correct=2), merges=0, splits=1)
    assert merged + split == ObjectMatches(
        matches=Matches(truth=3, found=3, predicted=3, correct=3), merges=1, splits=1
    )


def test_two_that_together_find_a_landslide_find_it():
    label = squares((0, 1, 0, 10)).astype(np.uint8)
    found = ObjectMatches.of(Components.of(squares((0, 1, 0, 2), (0, 1, 8, 10)), label))
    assert found.matches.found == 1
    assert found.merges == 0


def test_corners_connect():
    label = np.eye(4, dtype=np.uint8)
    assert ObjectMatches.of(Components.of(label == 1, label)).matches.truth == 1


@pytest.mark.parametrize(("pixels", "number"), [(9, 0), (10, 1), (99, 1), (100, 2), (999, 2), (1000, 3)])
def test_a_class_begins_at_its_lower_edge(pixels: int, number: int):
    label = (np.arange(1200) < pixels).astype(np.uint8).reshape(1, -1)
    classes = by_size(Components.of(label == 1, label), 100.0)
    everything = Matches(truth=pixels, found=pixels, predicted=pixels, correct=pixels)
    assert classes[number].pixels == everything
    assert classes[number].objects == Matches(truth=1, found=1, predicted=1, correct=1)
    assert sum((each.pixels for each in classes), Matches()) == everything


def test_a_class_that_only_objects_of_other_classes_found_has_recall_and_no_f1():
    label = (np.arange(1200) < 500).astype(np.uint8).reshape(1, -1)
    small = by_size(Components.of((np.arange(1200) < 50).reshape(1, -1), label), 100.0)[2].pixels.scores
    assert small.recall == pytest.approx(0.1)
    assert all(math.isnan(value) for value in (small.precision, small.f1, small.iou))
    assert Matches(truth=5, found=2, predicted=3).scores.f1 == 0
    assert Matches(truth=5, predicted=3).scores.iou == 0


def test_classes_of_other_bounds_are_not_added():
    small, large = (SizeClass(low_m2=low, high_m2=9, pixels=Matches(), objects=Matches()) for low in (0, 1))
    with pytest.raises(AssertionError):
        small + large
