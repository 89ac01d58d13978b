from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from landslide_scale.metrics import AreaRatio, area_line, assumption


def test_the_range_is_that_of_every_way_to_draw_places():
    """Five places can be drawn in 3125 ways, all as likely: quantiles over all of them, against 1000 draws."""
    expected, true = np.array([4.0, 1.0, 9.0, 2.5, 6.0]), np.array([2.0, 1.0, 3.0, 4.0, 5.0])
    ways = [list(way) for way in itertools.product(range(5), repeat=5)]
    ratios = sorted(true[way].sum() / expected[way].sum() for way in ways)
    found = AreaRatio.resampled(expected, true)
    assert found is not None
    for share, value in ((0.05, found.low), (0.5, found.mid), (0.95, found.high)):
        around = [ratios[math.floor((share + off) * len(ratios))] for off in (-0.025, 0.025)]
        assert around[0] <= value <= around[1]
    assert found.places == 5


def test_the_numbers_are_always_the_same_and_of_no_unit():
    rng = np.random.default_rng(7)
    expected = rng.gamma(2, 1, 31)
    true = expected * rng.lognormal(-0.3, 0.5, 31)
    draws = np.random.default_rng(0)
    ratios = []
    for _ in range(1000):
        which = draws.integers(31, size=31)
        ratios.append(sum(true[i] for i in which) / sum(expected[i] for i in which))
    found = AreaRatio.resampled(expected, true)
    assert found is not None
    assert (found.low, found.mid, found.high) == pytest.approx(np.percentile(ratios, [5, 50, 95]), rel=1e-12)
    assert found == AreaRatio.resampled(expected, true)
    hectares = AreaRatio.resampled(expected / 1e4, true / 1e4)
    assert hectares is not None
    assert (hectares.low, hectares.high) == pytest.approx((found.low, found.high))


def test_places_are_resampled_and_not_their_pixels():
    """Ten places of a hundred pixels that are right or wrong together: by pixel one would seem ten times as sure."""
    expected, true = np.full(10, 50.0), np.array([0.0, 100.0] * 5)
    by_place = AreaRatio.resampled(expected, true)
    by_pixel = AreaRatio.resampled(np.repeat(expected / 100, 100), np.repeat(true / 100, 100))
    assert by_place is not None
    assert by_pixel is not None
    assert (by_place.high - by_place.low) / (by_pixel.high - by_pixel.low) == pytest.approx(10, rel=0.2)


def test_the_range_holds_the_ratio_of_all_ground_in_nine_of_ten_validations():
    """Places of any size whose true area is 0.8 of the expected on the mean, scattered by half of it."""
    held = 0
    for seed in range(100):
        rng = np.random.default_rng(seed)
        expected = rng.gamma(2, 1, 31)
        ratio = AreaRatio.resampled(expected, expected * 0.8 * rng.lognormal(-0.125, 0.5, 31))
        assert ratio is not None
        held += ratio.low < 0.8 < ratio.high
    assert 80 <= held <= 96


def test_what_cannot_be_said_is_not():
    four, nothing = np.ones(4), np.array([1.0, 0, 0, 0, 0])
    assert AreaRatio.resampled(four, four) is None
    assert AreaRatio.resampled(nothing, np.ones(5)) is None  # some draws expect nothing
    assert AreaRatio.resampled(np.ones(5), np.zeros(5)) == AreaRatio(low=0, mid=0, high=0, places=5)


def test_a_stated_area_has_a_range_and_says_what_it_assumes():
    ratio = AreaRatio(low=0.5, mid=0.75, high=0.9, places=31)
    like = "if this ground is like the validation's 31 places"
    assert area_line(2.9, ratio, fair_share=True) == f"expected landslides 2.90 km2 (1.45 to 2.61 {like})"
    assert assumption(ratio, fair_share=None) == f"{like}, which may be no fair share of any ground"
    assert assumption(ratio, fair_share=False) == f"{like}, which were picked and are no fair share of any ground"
    assert area_line(1234.5, None, fair_share=True).startswith("expected landslides 1,234.50 km2 (how far")
