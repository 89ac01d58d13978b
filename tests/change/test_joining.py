"""Two witnesses joined, beside what is found one pixel and one step at a time."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from numpy.typing import NDArray

from landslide_scale.change import joining
from landslide_scale.change.classes import Side
from landslide_scale.change.joining import BARE_NDVI, GROWTH, SURE, could_lose, grown, new, sure

SHAPE = (9, 11)
MASKS = npst.arrays(bool, SHAPE)
Mask = NDArray[np.bool_]


def reached(seeds: Mask, over: Mask, steps: int) -> Mask:
    """By a breadth-first walk."""
    found, edge = {*zip(*np.nonzero(seeds), strict=True)}, [*zip(*np.nonzero(seeds), strict=True)]
    for _ in range(steps):
        around = {(row + down, col + right) for row, col in edge for down in (-1, 0, 1) for right in (-1, 0, 1)}
        inside = {(row, col) for row, col in around if 0 <= row < SHAPE[0] and 0 <= col < SHAPE[1]}
        edge = [place for place in inside - found if over[place]]
        found |= set(edge)
    mask = np.zeros(SHAPE, bool)
    for place in found:
        mask[place] = True
    return mask


@given(MASKS, MASKS, st.integers(0, 12))
def test_growth_walks_step_by_step_over_what_it_may(seeds: Mask, over: Mask, steps: int):
    np.testing.assert_array_equal(grown(seeds, over, steps), reached(seeds, over, steps))


@given(npst.arrays(bool, (7, *SHAPE)))
def test_new_is_what_both_say_what_it_goes_on_over_and_a_sure_network_where_plants_are_silent(drawn: Mask):
    seen_before, was, seen, now, certain, judged, lost = drawn
    before, after = Side(seen=seen_before, landslide=seen_before & was), Side(seen=seen, landslide=seen & now)
    lost = lost & seen_before & seen  # it is known of ground that was seen twice
    found = new(before, after, certain=certain, judged=judged, lost=lost)
    likely = seen_before & seen & now & ~was
    beside = reached(likely & lost, lost, GROWTH)
    for place in np.ndindex(*SHAPE):
        alone = likely[place] and not judged[place] and not lost[place] and certain[place]
        assert found[place] == (beside[place] or alone)


def test_a_landslide_goes_on_over_lost_plants_so_far_and_no_farther():
    lost = np.ones((1, 3 * GROWTH), bool)
    now = np.zeros(lost.shape, bool)
    now[0, 0] = True
    everywhere, nowhere = np.ones(lost.shape, bool), np.zeros(lost.shape, bool)
    found = new(
        Side(seen=everywhere, landslide=nowhere),
        Side(seen=everywhere, landslide=now),
        certain=nowhere,
        judged=everywhere,
        lost=lost,
    )
    assert found.sum() == GROWTH + 1


def test_plants_tell_where_bare_soil_in_their_stead_would_be_a_loss():
    values = np.array([[-0.2, 0.1, BARE_NDVI, 0.35, 0.42, 0.45, 0.6, 0.9, math.nan]], np.float32)
    for loss in (10.0, 30.0, 50.0):
        wanted = [
            not math.isnan(one) and one > -BARE_NDVI and (one - BARE_NDVI) / math.sqrt(one + BARE_NDVI) * 100 >= loss
            for one in values[0].tolist()
        ]
        assert could_lose(values, loss)[0].tolist() == wanted
    assert could_lose(values, 30.0)[0].tolist() == [False] * 5 + [True] * 3 + [False]


def test_a_network_is_sure_by_what_it_says_of_both_sides():
    before = np.array([[0.0, 0.0, 0.1, 0.3]], np.float32)
    after = np.array([[SURE, 0.79, 0.9, 0.99]], np.float32)
    assert sure(before, after).tolist() == [[True, False, True, False]]


def test_the_rule_says_the_numbers():
    assert f"{GROWTH} pixels" in joining.RULE
    assert f"{SURE:g}" in joining.RULE
