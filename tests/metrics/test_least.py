from __future__ import annotations

from functools import reduce

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray
from scipy import ndimage

from landslide_scale.metrics import Components, LabelledMap, MapScores, ObjectMatches, by_least_area, judge
from landslide_scale.metrics.least import LEAST_M2
from landslide_scale.reports.scores import map_lines

SHAPE = st.shared(st.tuples(st.integers(1, 12), st.integers(1, 12)))
MASKS = hnp.arrays(bool, SHAPE)
LABELS = hnp.arrays(np.uint8, SHAPE, elements=st.sampled_from([0, 1, 255]))


@given(predicted=MASKS, label=LABELS)
def test_it_is_what_scoring_gives_once_small_objects_are_erased(predicted: NDArray[np.bool_], label: NDArray[np.uint8]):
    observed = predicted & (label != 255)
    numbers, count = ndimage.label(observed, np.ones((3, 3)))
    area = ndimage.sum_labels(observed, numbers, range(count + 1)) * 100
    for found in by_least_area(Components.of(predicted, label), 100):
        left = observed & (area >= found.least_m2)[numbers]
        assert found.objects == ObjectMatches.of(Components.of(left, label)).matches
        both = int((left & (label == 1)).sum())
        assert (found.pixels.found, found.pixels.correct) == (both, both)
        assert (found.pixels.truth, found.pixels.predicted) == ((label == 1).sum(), left.sum())


def maps(pixel_m2: float | None = 100.0) -> list[LabelledMap]:
    """A landslide of ten pixels found, one of two found by an object of two, and three specks on bare ground."""
    label, probability = np.zeros((12, 12), np.uint8), np.full((12, 12), 0.1, np.float32)
    label[0, :10] = label[4, :2] = 1
    probability[0, :10] = probability[4, :2] = 0.9
    probability[8, [0, 4, 8]] = 0.9
    return [LabelledMap(probability=probability, label=label, pixel_m2=pixel_m2)] * 2


def test_a_least_area_buys_precision_with_recall():
    found = judge(maps(), threshold=0.5).least_areas
    assert found is not None
    assert [one.least_m2 for one in found] == list(LEAST_M2)
    assert [one.objects.scores.precision for one in found] == pytest.approx([0.4, 1, 1, 1, np.nan], nan_ok=True)
    assert [one.objects.scores.recall for one in found] == [1, 1, 0.5, 0.5, 0]
    assert [one.pixels.scores.f1 for one in found] == pytest.approx([24 / 27, 1, 20 / 22, 20 / 22, 0])


def test_a_table_says_it_and_is_left_out_where_the_area_of_a_pixel_is_not_known():
    whole = judge(maps(), threshold=0.5)
    (line,) = [line for line in map_lines(whole).splitlines() if "400 m2 and more kept" in line]
    assert "P 1.0000  R 0.5000" in line
    assert line.endswith("pixel F1 0.9091")
    unknown = judge(maps(None), threshold=0.5)
    assert unknown.least_areas is None
    assert "kept" not in map_lines(unknown)
    assert unknown.plain()["least_areas"] is None
    assert whole.plain()["least_areas"][2]["objects"]["recall"] == 0.5
    assert reduce(MapScores.__add__, [whole, unknown]).least_areas is None
