from __future__ import annotations

import torch
from torch import nn

from landslide_scale.model.core.stem import Normalise, stem
from landslide_scale.spec import InputSpec

SCALING = InputSpec(radiometry="boa", low=0.0, high=1.0, gain=10.0, mean=(2.0, 4.0), std=(2.0, 1.0))


def test_values_are_clipped_scaled_and_centred_per_band():
    images = torch.tensor([[-1.0, 0.5, 7.0], [-1.0, 0.5, 7.0]])[None, :, None]
    expected = torch.tensor([[-1.0, 1.5, 4.0], [-4.0, 1.0, 6.0]])[None, :, None]
    torch.testing.assert_close(Normalise(SCALING)(images), expected)


def test_no_data_is_exactly_the_band_mean():
    images = torch.tensor([[float("nan"), 0.5], [0.5, float("nan")]])[None, :, None]
    assert Normalise(SCALING)(images).isfinite().all()
    assert Normalise(SCALING)(images)[0, [0, 1], 0, [0, 1]].tolist() == [0.0, 0.0]


def test_three_bands_need_no_stem():
    assert isinstance(stem(("nir", "swir", "red")), nn.Identity)


def test_stem_starts_by_passing_colours_through_wherever_they_stand():
    images = torch.randn(2, 5, 4, 4)
    passed = stem(("nir", "blue", "red", "swir", "green"))(images)
    assert torch.equal(passed, images[:, [2, 4, 1]])


def test_missing_colour_starts_as_the_mean_of_the_bands():
    images = torch.randn(1, 2, 4, 4)
    passed = stem(("red", "nir"))(images)
    assert torch.equal(passed[:, 0], images[:, 0])
    torch.testing.assert_close(passed[:, 1], images.mean(1))
