"""What is stored of a probability, and the threshold that holds on it."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from landslide_scale.cube.arrays import PROBABILITY_FILL, PROBABILITY_SCALE, VARIABLES, on_stored, quantised, step_from
from landslide_scale.products.outlines.wanted import Wanted

EVERY_STEP = np.arange(251, dtype=np.uint8)


def decoded(steps: np.ndarray) -> np.ndarray:
    """As xarray gives them to whoever opens a cube."""
    attributes = {"scale_factor": PROBABILITY_SCALE, "_FillValue": PROBABILITY_FILL}
    return xr.decode_cf(xr.Dataset({"p": ("x", steps, attributes)})).p.to_numpy()


@given(st.floats(0.0001, 0.9999))
def test_the_threshold_of_a_cube_parts_stored_numbers_as_products_do(threshold: float):
    wanted = Wanted(threshold=threshold).step <= EVERY_STEP
    for values in (decoded(EVERY_STEP), EVERY_STEP * np.float32(PROBABILITY_SCALE), EVERY_STEP * PROBABILITY_SCALE):
        np.testing.assert_array_equal(values >= on_stored(threshold), wanted)
        np.testing.assert_array_equal(values >= np.float32(on_stored(threshold)), wanted)
    assert step_from(on_stored(threshold)) == step_from(threshold)  # products of a cube that says it


@given(st.floats(0.002, 0.998), st.floats(0, 1, width=32))
def test_a_pixel_is_landslide_as_before_it_was_stored_but_within_half_a_step(threshold: float, probability: float):
    stored = decoded(quantised(np.array([probability], np.float32)))[0] >= on_stored(threshold)
    if abs(probability - threshold) > PROBABILITY_SCALE / 2 + 1e-6:
        assert stored == (probability >= threshold)
    if abs(probability - on_stored(threshold)) > 1e-6:
        assert stored == (probability >= on_stored(threshold))


def test_what_is_stored_as_nothing_is_said_with_the_cube():
    comment = next(variable for variable in VARIABLES if variable.name == "probability").attributes["comment"]
    assert "steps of 0.004, rounded to the nearest: below 0.002 it is 0" in comment
    assert quantised(np.array([0.0019, 0.0021], np.float32)).tolist() == [0, 1]
    assert "Sums over the cube are of what is stored" in comment


def test_low_thresholds_are_those_of_the_first_step():
    assert on_stored(0.0001) == on_stored(0.004) == pytest.approx(0.002)
    assert on_stored(0.9999) == pytest.approx(0.998)
