"""Images that are cut out of one picture, found by what they share to the last bit."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from landslide_scale.datasets.elsewhere import shared
from landslide_scale.parting.overlaps import LEAST_SHARED, Overlap, overlapping, runs_of


def picture(seed: int = 0, side: int = 120) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.integers(0, 255, (3, side, side)).astype(np.float32)


def found(images: dict[str, np.ndarray]) -> tuple[Overlap, ...]:
    return overlapping({name: runs_of(image) for name, image in images.items()}, images.__getitem__)


@given(st.integers(-60, 60), st.integers(-60, 60))
def test_two_cuts_of_one_picture_are_found_with_the_pixels_they_share(rows: int, cols: int):
    whole = picture(side=200)
    images = {"a": whole[:, 60:140, 60:140], "b": whole[:, 60 + rows : 140 + rows, 60 + cols : 140 + cols]}
    pixels = (80 - abs(rows)) * (80 - abs(cols))
    if pixels >= 40 * 64:  # else no run of it may be remembered
        assert found(images) == (Overlap(first="a", second="b", rows=rows, cols=cols, pixels=pixels),)


def test_what_is_alike_but_not_the_same_is_not_found():
    whole = picture()
    assert found({"a": whole, "b": whole + 1, "c": picture(1)}) == ()
    brighter = whole.copy()
    brighter[2] += 1  # one band
    assert found({"a": whole, "b": brighter}) == ()


def test_padding_cloud_and_no_data_of_one_value_say_nothing():
    blank = np.zeros((3, 90, 90), np.float32)
    blank[:, :, 45:] = 255
    one, other = picture(1, 90), picture(2, 90)
    one[:, :60], other[:, :60] = 0, 0
    none = np.full((3, 90, 90), np.nan, np.float32)
    assert found({"a": blank, "b": blank.copy(), "c": one, "d": other, "e": none, "f": none.copy()}) == ()


def test_a_logo_in_every_image_is_too_little():
    logo = picture(9)[:, :15, :16]
    images = {str(seed): picture(seed, 64) for seed in range(20)}
    for image in images.values():
        image[:, :15, :16] = logo
    assert LEAST_SHARED > 15 * 16
    assert found(images) == ()


def test_an_image_smaller_than_a_run_has_none():
    assert len(runs_of(picture(side=15)).hashes) == 0


@pytest.mark.parametrize(("rows", "cols"), [(0, 0), (3, -2), (-4, 5)])
def test_the_shared_rectangle_is_the_same_ground_in_both(rows: int, cols: int):
    whole = np.arange(400).reshape(20, 20)
    first, second = whole[5:15, 5:16], whole[5 + rows : 12 + rows, 5 + cols : 14 + cols]
    there, here = shared(first.shape, second.shape, rows, cols)
    np.testing.assert_array_equal(first[there], second[here])
    assert first[there].size == min(10, 7 + rows, 10 - rows, 7) * min(11, 9 + cols, 11 - cols, 9)


def test_images_that_only_would_meet_share_nothing():
    there, here = shared((10, 10), (10, 10), 12, 0)
    whole = np.zeros((10, 10))
    assert whole[there].size == whole[here].size == 0
