from __future__ import annotations

import json
from functools import reduce
from operator import add

import numpy as np
import pytest
from helpers.masks import IGNORE, made, seeds
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import f1_score, jaccard_score

from landslide_scale.metrics import LabelledMap, MapScores, judge


def image(seed: int, **changes: object) -> LabelledMap:
    probability, label = made(seed, (23, 31))
    return LabelledMap(**{"probability": probability, "label": label, "pixel_m2": 100.0} | changes)  # type: ignore[arg-type]


@settings(max_examples=25)
@given(st.lists(seeds, min_size=2, max_size=4), st.floats(0.05, 0.95), st.randoms(use_true_random=False))
def test_scores_of_images_add_up_in_any_order(of: list[int], threshold: float, random) -> None:  # noqa: ANN001
    each = [MapScores.of(image(seed), threshold=threshold) for seed in of]
    whole = judge(map(image, of), threshold=threshold).plain()
    random.shuffle(each)
    assert reduce(add, each).plain() == whole
    assert whole["images"] == len(of)
    assert whole["tolerant"]["truth"] == whole["pixels"]["tp"] + whole["pixels"]["fn"]
    json.dumps(whole, allow_nan=False)


@given(seeds)
def test_pooled_pixels_equal_scikit_learn_on_all_images_at_once(seed: int):
    images = [image(seed), image(seed + 1)]
    found = judge(images, threshold=0.4)
    truth, guess = (
        np.concatenate([array[each.label != IGNORE] for each, array in zip(images, arrays, strict=True)])
        for arrays in ([each.label == 1 for each in images], [each.probability >= 0.4 for each in images])
    )
    assert found.confusion.landslide.f1 == pytest.approx(f1_score(truth, guess), abs=1e-6)
    assert found.confusion.macro.iou == pytest.approx(jaccard_score(truth, guess, average="macro"), abs=1e-6)


@given(seeds)
def test_a_turned_image_scores_the_same(seed: int):
    whole = image(seed)
    turned = image(seed, probability=np.rot90(whole.probability), label=np.rot90(whole.label))
    flipped = image(seed, probability=whole.probability[::-1], label=whole.label[::-1])
    plain = MapScores.of(whole, threshold=0.5).plain()
    assert MapScores.of(turned, threshold=0.5).plain() == MapScores.of(flipped, threshold=0.5).plain() == plain


@given(seeds)
def test_what_is_predicted_where_nothing_is_labelled_changes_nothing(seed: int):
    whole = image(seed)
    plain = MapScores.of(whole, threshold=0.5).plain()
    for other in (0.0, 1.0, np.nan):
        probability = np.where(whole.label == IGNORE, np.float32(other), whole.probability)
        assert MapScores.of(image(seed, probability=probability), threshold=0.5).plain() == plain


def test_pixels_without_probability_are_ignored_whatever_their_label():
    whole = image(3)
    hidden = np.zeros(whole.label.shape, bool)
    hidden[5:12, 5:20] = True
    unseen = image(3, probability=np.where(hidden, np.float32(np.nan), whole.probability))
    unlabelled = image(3, label=np.where(hidden, np.uint8(IGNORE), whole.label))
    assert MapScores.of(unseen, threshold=0.5).plain() == MapScores.of(unlabelled, threshold=0.5).plain()


def test_a_perfect_map_is_perfect_and_json():
    label = np.zeros((60, 60), np.uint8)
    label[5:10, 5:10], label[20:50, 20:50] = 1, 1
    found = MapScores.of(LabelledMap(probability=label.astype(np.float32), label=label, pixel_m2=100.0), threshold=0.5)
    plain = json.loads(json.dumps(found.plain(), allow_nan=False))
    for key in ("landslide", "macro", "tolerant", "boundary", "objects"):
        assert {plain[key][score] for score in ("precision", "recall", "f1", "iou")} == {1}
    assert [each["objects"]["truth"] for each in plain["sizes"]] == [0, 1, 1, 0]
    assert plain["sizes"][0]["pixels"]["f1"] is None
    assert plain["sizes"][-1]["high_m2"] is None
    assert plain["calibration"]["brier_skill"] == 1
    assert plain["calibration"]["slope"] is None
    assert len(plain["calibration"]["bins"]) == 20


def test_without_the_area_of_a_pixel_there_are_no_sizes():
    assert judge([image(1), image(2, pixel_m2=None)], threshold=0.5).plain()["sizes"] is None


def test_scores_at_other_thresholds_are_not_added():
    with pytest.raises(AssertionError):
        MapScores.of(image(1), threshold=0.5) + MapScores.of(image(1), threshold=0.6)
