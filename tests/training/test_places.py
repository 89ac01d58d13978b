from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pytest
import torch
from torch import nn

from landslide_scale.datasets import EvaluationPatches, Sample, inspect
from landslide_scale.metrics import AreaRatio
from landslide_scale.training.evaluating import Calibration, evaluate, histogram_of
from landslide_scale.training.places import PlaceAreas

CALIBRATION = Calibration(threshold=0.4, temperature=1.7, bias=-0.6)
SIZES = {"EPSG_32633-t0-r1-c1": (33, 50), "EPSG_32633-t0-r1-c2": (5, 70), "EPSG_32633-t1-r1-c1": (16, 16)}


@dataclass(frozen=True)
class Made:
    """Images of noise, two of them of one place, some pixels without data, some unlabelled."""

    areas: dict[str, float | None]
    names: tuple[str, ...] = field(default=tuple(SIZES))

    def place(self, name: str) -> str:
        return name.replace("-t0-", "-").replace("-t1-", "-")

    def read(self, name: str) -> Sample:
        rng = np.random.default_rng(sum(name.encode()))
        image = rng.normal(0, 1, (1, *SIZES[name])).astype(np.float32)
        label = (image[0] + rng.normal(0, 1, image[0].shape) > 0.5).astype(np.uint8)
        label[rng.random(label.shape) < 0.1] = 255
        image[0, rng.random(label.shape) < 0.05] = np.nan
        return Sample(image=image, label=label, pixel_m2=self.areas[name])


class Pointwise(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.slope = nn.Parameter(torch.tensor(2.0))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return torch.nan_to_num(images[:, :1]) * self.slope


def summed(dataset: Made, batch: int) -> tuple[np.ndarray, np.ndarray]:
    found = inspect(dataset)  # type: ignore[arg-type]
    patches = EvaluationPatches.of(dataset, found, dataset.names, 16)  # type: ignore[arg-type]
    areas = PlaceAreas(patches, CALIBRATION, torch.device("cpu"))
    evaluate(Pointwise(), patches, batch=batch, precision="float32", seen=areas)
    return areas.by_place(found, {name: dataset.place(name) for name in found})


@pytest.mark.parametrize("metres", [100.0, None])
def test_each_place_has_the_areas_of_its_counted_pixels(metres: float | None):
    areas = dict.fromkeys(SIZES, 100.0) | {"EPSG_32633-t1-r1-c1": None if metres is None else 25.0}
    dataset = Made(areas)
    truth = {"EPSG_32633-r1-c1": np.zeros(2), "EPSG_32633-r1-c2": np.zeros(2)}
    for name in SIZES:
        sample = dataset.read(name)
        counted = (sample.label != 255) & ~np.isnan(sample.image[0])
        chance = 1 / (1 + np.exp(-(sample.image[0][counted].astype(np.float64) * 2 - 0.6) / 1.7))
        size = areas[name] if metres is not None else 1.0
        truth[dataset.place(name)] += np.array([chance.sum(), (sample.label[counted] == 1).sum()]) * size
    expected, true = summed(dataset, 3)
    np.testing.assert_allclose(expected, [place[0] for place in truth.values()], rtol=1e-6)
    np.testing.assert_array_equal(true, [place[1] for place in truth.values()])


def test_sums_do_not_hang_on_how_windows_are_batched():
    first, *others = (summed(Made(dict.fromkeys(SIZES, 100.0)), batch) for batch in (1, 4, 100))
    for other in others:
        np.testing.assert_array_equal(first, other)


def test_a_bias_states_as_much_area_as_there_is_where_a_temperature_alone_states_too_much():
    """Places kept aside, under a network that promises too much: what row 15 of the made world showed."""

    def place(seed: int) -> tuple[torch.Tensor, torch.Tensor]:
        generator = torch.Generator().manual_seed(seed)
        true = torch.randn(20_000, generator=generator) * 2 - 4 + 0.2 * torch.randn(1, generator=generator)
        return true * 1.5 + 1, (torch.rand(20_000, generator=generator) < torch.sigmoid(true)).to(torch.uint8)

    validation, aside = [place(seed) for seed in range(40)], [place(seed) for seed in range(100, 400)]
    histogram = histogram_of(*(torch.cat(part) for part in zip(*validation, strict=True)))
    stated = {}
    for method in ("temperature", "platt"):
        calibration = Calibration.fitted(histogram, method)  # type: ignore[arg-type]
        sums = [
            [(float(calibration.probability(logits).double().sum()), float(label.sum())) for logits, label in part]
            for part in (validation, aside)
        ]
        ratio = AreaRatio.resampled(*np.array(sums[0]).T)
        assert ratio is not None
        expected, true = np.array(sums[1]).sum(0)
        low, high = ratio.around(expected)
        assert low < true < high
        stated[method] = expected / true
    assert stated["temperature"] > 1.2
    assert stated["platt"] == pytest.approx(1, abs=0.1)
