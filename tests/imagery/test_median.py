"""The median of a pixel's clear observations, by comparing whole rows and by NumPy's own order."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from landslide_scale.imagery import composite
from landslide_scale.imagery.composite import COMPARED, _comparisons, _middle, _ranked


@pytest.mark.parametrize("count", range(1, COMPARED + 2))
def test_the_comparisons_order_every_row_of_zeros_and_ones_and_so_any_numbers(count: int):
    # Knuth, The Art of Computer Programming 3, 5.3.4, theorem Z; all rows of up to 12, of more some.
    every = np.arange(2 ** min(count, 12), dtype=np.int64)
    rows = (every[:, None] >> np.arange(count)) & 1
    if count > 12:
        rows = np.random.default_rng(count).integers(0, 2, (20_000, count))
    found = rows.T.copy()
    for one, other in _comparisons(count):
        found[[one, other]] = np.minimum(found[one], found[other]), np.maximum(found[one], found[other])
    assert np.array_equal(found, np.sort(rows.T, axis=0))


@pytest.mark.parametrize("compared", [0, COMPARED])
@given(observations=st.integers(1, COMPARED + 3), cloudy=st.sampled_from([0.0, 0.3, 0.9, 1.0]), seed=st.integers(0, 99))
def test_it_is_the_median_of_those_there_are(compared: int, observations: int, cloudy: float, seed: int):
    random = np.random.default_rng(seed)
    seen = random.integers(0, 9, (observations, 50)).astype(np.float32) / np.float32(10)
    seen[random.random(seen.shape) < cloudy] = np.nan
    count = (~np.isnan(seen)).sum(axis=0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(composite, "COMPARED", compared)
        ranked = np.stack(_ranked(seen.copy()))
        middle = _middle(seen.copy(), count)
    assert np.array_equal(ranked, np.sort(seen, axis=0), equal_nan=True)
    there = count > 0
    assert np.isnan(middle[~there]).all()
    if there.any():
        assert np.array_equal(middle[there], np.nanmedian(seen[:, there], axis=0))
