from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from landslide_scale.datasets import Sample, measured
from landslide_scale.errors import InvalidDatasetError
from landslide_scale.model.core.stem import Normalise
from landslide_scale.spec import InputSpec, Radiometry

INPUTS = InputSpec.for_bands("boa", ("nir", "red"))


@dataclass(frozen=True)
class Made:
    """Images held in memory."""

    samples: dict[str, Sample]
    bands: tuple[str, ...] = ("nir", "red")
    radiometry: Radiometry = "boa"
    asked: list[str] = field(default_factory=list)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(sorted(self.samples))

    def read(self, name: str) -> Sample:
        self.asked.append(name)
        return self.samples[name]


def scenes(seed: int = 0, **sizes: tuple[int, int]) -> Made:
    """Reflectances around those of forest, some unobserved and some ignored."""
    rng, samples = np.random.default_rng(seed), {}
    for name, size in sizes.items():
        image = rng.normal([[[0.3]], [[0.05]]], [[[0.08]], [[0.03]]], (2, *size)).astype(np.float32)
        image[:, rng.random(size) < 0.1] = np.nan
        samples[name] = Sample(image=image, label=rng.choice([0, 1, 255], size).astype(np.uint8))
    return Made(samples)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 1000))
def test_a_network_sees_the_training_part_with_mean_0_and_deviation_1(seed: int):
    dataset = scenes(seed, a=(40, 30), b=(8, 50))
    found = measured(dataset, dataset.names, INPUTS)
    shown = []
    for sample in dataset.samples.values():
        counted = (sample.label != 255) & ~np.isnan(sample.image).any(axis=0)
        shown.append(Normalise(found)(torch.from_numpy(sample.image[None]))[0].numpy()[:, counted])
    values = np.concatenate(shown, axis=1)
    np.testing.assert_allclose(values.mean(axis=1), 0, atol=1e-4)
    np.testing.assert_allclose(values.std(axis=1), 1, rtol=1e-4)
    assert (found.gain, found.low, found.high) == (INPUTS.gain, INPUTS.low, INPUTS.high)


def test_only_the_named_images_are_read_and_neither_threads_nor_copies_change_the_result():
    dataset = scenes(a=(40, 30), b=(8, 50), c=(20, 20))
    found = measured(dataset, ("a", "c"), INPUTS)
    assert sorted(dataset.asked) == ["a", "c"]
    assert measured(dataset, ("a", "c"), INPUTS, threads=1) == found
    assert measured(dataset, dataset.names, INPUTS) != found


def test_pixels_beyond_the_clamp_count_as_the_network_is_shown_them():
    dataset = scenes(a=(30, 30))
    one = dataset.samples["a"]
    above = np.where(one.image > 0.3, np.float32(9), one.image)
    clamped = np.where(one.image > 0.3, np.float32(1), one.image)
    assert measured(Made({"a": replace(one, image=above)}), ("a",), INPUTS) == measured(
        Made({"a": replace(one, image=clamped)}), ("a",), INPUTS
    )


def test_a_band_of_one_value_and_a_part_without_labels_are_refused():
    flat = Sample(image=np.full((2, 4, 4), 0.2, np.float32), label=np.zeros((4, 4), np.uint8))
    flat.image[0] = np.arange(16).reshape(4, 4) / 16
    with pytest.raises(InvalidDatasetError, match="band red has one value"):
        measured(Made({"a": flat}), ("a",), INPUTS)
    nothing = Sample(image=flat.image, label=np.full((4, 4), 255, np.uint8))
    with pytest.raises(InvalidDatasetError, match="no labelled pixel"):
        measured(Made({"a": nothing}), ("a",), INPUTS)
