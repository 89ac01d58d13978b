"""Coarser pixels, beside what NumPy says of each four of them one by one."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from numpy.typing import NDArray

from landslide_scale.products.rasters.pyramid import largest, most_frequent, shapes, smallest

NODATA = 8
SMALL = npst.arrays(np.uint8, st.tuples(st.integers(1, 7), st.integers(1, 7)), elements=st.integers(5, 9))


def fours(values: NDArray[Any]) -> dict[tuple[int, int], list[int]]:
    """What lies under each coarser pixel and has data."""
    rows, cols = (-(-side // 2) for side in values.shape)
    under = {
        (row, col): values[2 * row : 2 * row + 2, 2 * col : 2 * col + 2] for row in range(rows) for col in range(cols)
    }
    return {place: [int(value) for value in four.ravel() if value != NODATA] for place, four in under.items()}


@given(SMALL)
def test_the_largest_of_what_there_is_is_kept(values: NDArray[np.uint8]):
    found = largest(values, NODATA)
    assert found.dtype == values.dtype
    assert {place: int(found[place]) for place in np.ndindex(*found.shape)} == {
        place: max(four, default=NODATA) for place, four in fours(values).items()
    }


@given(SMALL.map(lambda values: values.astype(np.int16) - NODATA - 1))
def test_the_smallest_of_what_there_is_is_kept_of_signed_numbers_too(values: NDArray[np.int16]):
    found = smallest(values, -1)
    assert found.dtype == values.dtype
    four = fours(values + NODATA + 1)
    assert {place: int(found[place]) + NODATA + 1 for place in np.ndindex(*found.shape)} == {
        place: min(known, default=NODATA) for place, known in four.items()
    }


@given(SMALL)
def test_the_most_frequent_of_what_there_is_is_kept_and_of_several_the_smallest(values: NDArray[np.uint8]):
    found = most_frequent(values, NODATA)
    assert found.dtype == values.dtype
    assert {place: int(found[place]) for place in np.ndindex(*found.shape)} == {
        place: min(four, key=lambda value: (-Counter(four)[value], value), default=NODATA)
        for place, four in fours(values).items()
    }


def test_no_data_of_sixteen_bits_stands_back_behind_any_number():
    values = np.array([[65_535, 0], [65_535, 65_535]], np.uint16)
    assert largest(values, 65_535).tolist() == [[0]]
    assert largest(values[:, :1], 65_535).tolist() == [[65_535]]


@pytest.mark.parametrize(
    ("shape", "coarsest"), [((512, 16), 1), ((513, 16), 2), ((1024, 1024), 2), ((1025, 3), 3), ((3, 2049), 4)]
)
def test_resolutions_go_down_to_one_that_fits_a_screen(shape: tuple[int, int], coarsest: int):
    found = shapes(shape)
    assert len(found) == coarsest
    assert found[0] == shape
    assert max(found[-1]) <= 512
