from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from landslide_scale.datasets import EvaluationPatches, Sample, inspect
from landslide_scale.judging.mosaic import Mosaic
from landslide_scale.metrics import LabelledMap, judge
from landslide_scale.spec import Radiometry
from landslide_scale.training.evaluating import Calibration, evaluate

CALIBRATION = Calibration(threshold=0.4, temperature=1.7, bias=0.3)


@dataclass(frozen=True)
class Made:
    """Images of noise whose bright pixels are landslide, some without data, some unlabelled."""

    sizes: dict[str, tuple[int, int]]
    bands: tuple[str, ...] = ("red",)
    radiometry: Radiometry = "boa"

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self.sizes)

    def read(self, name: str) -> Sample:
        rng = np.random.default_rng(sum(name.encode()))
        image = rng.normal(0, 1, (1, *self.sizes[name])).astype(np.float32)
        label = (image[0] + rng.normal(0, 1, image[0].shape) > 0.5).astype(np.uint8)
        label[rng.random(label.shape) < 0.1] = 255
        image[0, rng.random(label.shape) < 0.05] = np.nan
        return Sample(image=image, label=label, pixel_m2=100.0)


class Pointwise(nn.Module):
    """A logit from each pixel alone, so that how an image is cut makes no difference."""

    def __init__(self) -> None:
        super().__init__()
        self.slope = nn.Parameter(torch.tensor(2.0))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return torch.nan_to_num(images[:, :1]) * self.slope


def assembled(dataset: Made, patch: int, batch: int) -> tuple[dict[str, LabelledMap], object]:
    found, images = inspect(dataset), dict[str, LabelledMap]()
    patches = EvaluationPatches.of(dataset, found, dataset.names, patch)
    judged = evaluate(
        Pointwise(),
        patches,
        batch=batch,
        precision="float32",
        calibration=CALIBRATION,
        seen=Mosaic(patches, found, CALIBRATION, images.__setitem__),
    )
    return images, judged.confusion


@settings(max_examples=20)
@given(st.lists(st.tuples(st.integers(1, 40), st.integers(1, 40)), min_size=1, max_size=3), st.integers(6, 24))
def test_images_of_any_size_are_put_together_pixel_by_pixel(sizes: list[tuple[int, int]], patch: int):
    dataset = Made({f"image{number}": size for number, size in enumerate(sizes)})
    images, counted = assembled(dataset, patch, batch=3)
    assert tuple(images) == dataset.names
    for name, image in images.items():
        sample = dataset.read(name)
        unseen = np.isnan(sample.image[0]) | (sample.label == 255)
        np.testing.assert_array_equal(image.label, np.where(unseen, 255, sample.label))
        expected = CALIBRATION.probability(torch.from_numpy(sample.image[0] * 2)).numpy()
        np.testing.assert_allclose(image.probability, np.where(unseen, np.nan, expected), rtol=1e-5)
        assert image.pixel_m2 == 100.0
    assert judge(images.values(), threshold=CALIBRATION.threshold).confusion == counted


@pytest.mark.parametrize("batch", [1, 7, 100])
def test_an_image_over_several_batches_comes_once(batch: int):
    images, counted = assembled(Made({"a": (33, 50), "b": (5, 70)}), 16, batch)
    assert [image.label.shape for image in images.values()] == [(33, 50), (5, 70)]
    assert judge(images.values(), threshold=CALIBRATION.threshold).confusion == counted
