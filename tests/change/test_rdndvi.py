"""rdNDVI against the formula, one pixel at a time."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from numpy.typing import NDArray

from landslide_scale.change.rdndvi import FILL, MOST, lost, ndvi, packed, rdndvi

SHAPE = (3, 4)
REFLECTANCE = npst.arrays(
    np.float32, SHAPE, elements=st.one_of(st.floats(-0.125, 1, width=32), st.just(0.0), st.just(math.nan))
)
NDVI = npst.arrays(np.float32, SHAPE, elements=st.one_of(st.floats(-1, 1, width=32), st.just(math.nan)))


@given(REFLECTANCE, REFLECTANCE)
def test_ndvi_of_each_pixel(red: NDArray[np.float32], nir: NDArray[np.float32]):
    found = ndvi(red, nir)
    assert found.dtype == np.float32
    for place in np.ndindex(*SHAPE):
        one, other = float(red[place]), float(nir[place])
        if math.isnan(one) or math.isnan(other) or min(one, other) < 0 or one + other <= 0:
            assert math.isnan(found[place])
        else:
            assert found[place] == pytest.approx((other - one) / (other + one), abs=1e-5)
            assert -1 <= found[place] <= 1


@given(NDVI, NDVI)
def test_the_relative_change_of_each_pixel(before: NDArray[np.float32], after: NDArray[np.float32]):
    found = rdndvi(before, after)
    for place in np.ndindex(*SHAPE):
        one, other = before[place], after[place]
        total = one + other  # in 32 bits, as there
        if not total > 0:
            assert math.isnan(found[place])
        else:
            wanted = (float(other) - float(one)) / math.sqrt(float(total)) * 100
            assert found[place] == pytest.approx(wanted, rel=1e-4, abs=1e-4)


def test_a_forest_that_became_bare_lost_and_one_that_grew_did_not():
    found = rdndvi(np.array([0.8, 0.2, -0.3, 0.5], np.float32), np.array([0.1, 0.7, 0.1, -0.5], np.float32))
    assert found[0] == pytest.approx(-70 / math.sqrt(0.9), rel=1e-5)
    assert found[1] > 0
    assert np.isnan(found[2:]).all()  # a denominator that is negative, and one that is 0


def test_it_is_stored_to_the_nearest_step_and_what_lies_beyond_as_the_end():
    values = np.array([0, -12.344, -12.346, 327.67, 5000, -5000, np.nan], np.float32)
    assert packed(values).tolist() == [0, -1234, -1235, MOST, MOST, -MOST, FILL]


@given(NDVI, st.floats(0.01, 300))
def test_a_loss_is_what_a_reader_of_the_stored_number_calls_one(values: NDArray[np.float32], loss: float):
    stored = packed(values * np.float32(100))
    for place in np.ndindex(*SHAPE):
        means = stored[place] * 0.01
        if abs(means + loss) > 1e-6:
            assert lost(stored, loss)[place] == (stored[place] != FILL and means <= -loss)


def test_the_threshold_itself_is_a_loss():
    stored = np.array([-3000, -2999, FILL], np.int16)
    assert lost(stored, 30.0).tolist() == [True, False, False]
    assert lost(stored, 29.995).tolist() == [True, False, False]
    assert lost(stored, 29.99).tolist() == [True, True, False]
