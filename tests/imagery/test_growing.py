"""What lies near to something masked, against distances between all pixels."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt

from landslide_scale.imagery import mask
from landslide_scale.imagery.mask import near


def by_distances(seeds: NDArray[np.bool_], radius: float) -> NDArray[np.bool_]:
    if not seeds.any():
        return np.zeros(seeds.shape, bool)
    return np.asarray(distance_transform_edt(~seeds) <= radius)


@given(
    shape=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    radius=st.one_of(st.floats(0, 60), st.sampled_from([1.0, 2.0**0.5, 2.0, 5.0**0.5, 5.0, 10.0, 13.0])),
    share=st.sampled_from([0.0, 0.01, 0.2, 1.0]),
    strip=st.integers(1, 50),
    seed=st.integers(0, 99),
)
def test_it_is_what_lies_within_the_radius_of_a_seed_however_the_rows_are_taken(
    shape: tuple[int, int], radius: float, share: float, strip: int, seed: int
):
    seeds = np.random.default_rng(seed).random(shape) < share
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mask, "DILATED_ROWS", strip)
        assert np.array_equal(near(seeds, radius), by_distances(seeds, radius))


def test_the_seeds_are_left_as_they_are():
    seeds = np.zeros((9, 9), bool)
    seeds[4, 4] = True
    near(seeds, 3)
    assert seeds.sum() == 1
