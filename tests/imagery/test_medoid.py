"""The medoid of a pixel's observations: the spectrum of one date, the nearest to all others."""

from __future__ import annotations

import itertools
import math
import tracemalloc

import numpy as np
import pytest
from numpy.typing import NDArray

from landslide_scale.imagery.medoid import medoids, pixel_bytes


def of(*spectra: tuple[float, ...]) -> int:
    """The number of the medoid of one pixel's observations."""
    seen = np.array(spectra, np.float32)[:, :, None]
    chosen, spectrum = medoids(seen)
    assert np.array_equal(spectrum[:, 0], seen[chosen[0], :, 0])
    return int(chosen[0])


def random_spectra(observations: int, bands: int, pixels: int, *, seed: int = 0) -> NDArray[np.float32]:
    """Spectra (N, C, P); each pixel is clear at one date or more."""
    generator = np.random.default_rng(seed)
    seen = (generator.integers(0, 9000, (observations, bands, pixels)) / 10_000).astype(np.float32)
    cloudy = generator.random((observations, pixels)) < 0.4
    cloudy[generator.integers(0, observations, pixels), np.arange(pixels)] = False
    seen[np.broadcast_to(cloudy[:, None], seen.shape)] = np.nan
    return seen


def test_it_is_a_whole_spectrum_where_the_median_of_each_band_is_none_that_was_seen():
    assert of((0.1, 0.2, 0.3), (0.2, 0.3, 0.1), (0.3, 0.1, 0.2), (0.19, 0.21, 0.2)) == 3


def test_distances_are_euclidean_and_not_squared_so_that_one_missed_cloud_does_not_decide():
    # Of squares it would be the 0.5, which is nearest to the mean.
    assert of((0.1,), (0.11,), (0.12,), (0.5,), (9.0,)) == 2
    # So are they not of sums over bands (Manhattan), by which, as by squares, it would be the third.
    assert of((0.0, 0.05), (0.25, 0.4), (0.0, 0.3), (0.35, 0.35)) == 1


def brute(spectra: list[tuple[float, ...]]) -> int:
    sums = [sum(math.dist(one, other) for other in spectra) for one in spectra]
    return sums.index(min(sums))


@pytest.mark.parametrize("values", list(itertools.permutations([1000, 2000, 3000, 4000])))
@pytest.mark.parametrize("bands", [1, 3, 7])
def test_of_equals_the_newest_is_taken_whatever_the_last_bits_say(values: tuple[int, ...], bands: int):
    # The sums of 2000 and 3000 are equal on paper.
    seen = of(*((value / 10_000,) * bands for value in values))
    assert seen == min(values.index(2000), values.index(3000))


def test_it_is_what_plain_arithmetic_finds_among_the_clear_ones_alone():
    seen = random_spectra(9, 4, 500)
    chosen, spectra = medoids(seen)
    for pixel in range(seen.shape[2]):
        clear = [number for number in range(len(seen)) if not np.isnan(seen[number, 0, pixel])]
        assert chosen[pixel] == clear[brute([tuple(seen[number, :, pixel].tolist()) for number in clear])]
        assert np.array_equal(spectra[:, pixel], seen[chosen[pixel], :, pixel])


@pytest.mark.parametrize("step", [1, 7, 64, 333])
def test_any_number_of_pixels_at_a_time_gives_the_same_bytes(step: int):
    seen = random_spectra(8, 5, 1000, seed=1)
    whole = medoids(seen)
    parts = [medoids(seen[:, :, first : first + step]) for first in range(0, 1000, step)]
    assert np.concatenate([chosen for chosen, _ in parts]).tobytes() == whole[0].tobytes()
    assert np.concatenate([spectra for _, spectra in parts], axis=1).tobytes() == whole[1].tobytes()


@pytest.mark.parametrize(("observations", "bands"), [(4, 1), (12, 3), (60, 13)])
def test_it_takes_no_more_memory_than_is_said_of_a_pixel(observations: int, bands: int):
    seen = random_spectra(observations, bands, 5000)
    medoids(seen)
    tracemalloc.start()
    medoids(seen)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak + seen.nbytes <= 5000 * pixel_bytes(observations, bands)
