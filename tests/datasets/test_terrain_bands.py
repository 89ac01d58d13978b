"""Elevation and slope on their way into a network: metres and degrees, neither clamped, nor scaled, nor recoloured."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import torch

from landslide_scale.cards.card import ModelCard
from landslide_scale.datasets import Sample, measured, measured_terrain
from landslide_scale.datasets.patches import TrainingPatches, augment
from landslide_scale.datasets.sample import inspect
from landslide_scale.datasets.spec import DataSpec
from landslide_scale.errors import InvalidDatasetError
from landslide_scale.model import build
from landslide_scale.model.checkpoint import random_weights, restore, save
from landslide_scale.model.core.stem import Normalise
from landslide_scale.spec import InputSpec, LandslideNetSpec, Radiometry
from landslide_scale.training.job import FinetuneJob, Prepared
from landslide_scale.training.spec import TrainSpec

BANDS = ("elevation", "red", "slope", "nir")
INPUTS = InputSpec.for_bands("boa", BANDS)


@dataclass(frozen=True)
class Made:
    """Two images of mountains."""

    bands: tuple[str, ...] = BANDS
    radiometry: Radiometry = "boa"
    names: tuple[str, ...] = ("a", "b")

    def read(self, name: str) -> Sample:
        rng = np.random.default_rng(len(name) + ord(name[0]))
        image = rng.normal([[[2500]], [[0.1]], [[28]], [[0.3]]], [[[400]], [[0.02]], [[9]], [[0.05]]], (4, 30, 30))
        image[0, :3] = np.nan
        return Sample(image=image.astype(np.float32), label=rng.integers(0, 2, (30, 30)).astype(np.uint8))


def test_reflectance_is_clamped_and_scaled_and_metres_and_degrees_are_not():
    image = np.array([4000.0, 1.5, 60.0, -0.2], np.float32).reshape(1, 4, 1, 1)
    inputs = replace(INPUTS, mean=(1000.0, 100.0, 20.0, 100.0), std=(500.0, 50.0, 10.0, 50.0))
    found = Normalise(inputs)(torch.from_numpy(image))[0, :, 0, 0]
    assert found.tolist() == [6.0, (255 / 0.4 - 100) / 50, 4.0, -2.0]
    without = Normalise(inputs)(torch.full((1, 4, 1, 1), torch.nan))
    assert without.tolist() == torch.zeros(1, 4, 1, 1).tolist()


def test_bands_of_scenes_come_out_of_a_network_to_the_bit_as_they_did():
    inputs = InputSpec.for_bands("l4s", ("red", "nir"))
    images = torch.from_numpy(np.random.default_rng(0).normal(1, 3, (2, 2, 8, 8)).astype(np.float32))
    mean, std = (torch.tensor(values).reshape(-1, 1, 1) for values in (inputs.mean, inputs.std))
    assert torch.equal(Normalise(inputs)(images), (images.clamp(inputs.low, inputs.high) * inputs.gain - mean) / std)


def test_landslide4sense_calls_normalised_bands_by_the_same_names_and_they_stay_as_they_were():
    assert InputSpec.for_bands("boa", BANDS).terrain == (0, 2)
    normalised = InputSpec.for_bands("l4s", BANDS)
    assert normalised.terrain == ()
    assert len({normalised.mean[0], normalised.mean[2], normalised.mean[3]}) == 1


@pytest.mark.parametrize("statistics", ["sam", "data"])
def test_a_training_measures_elevation_and_slope_whatever_the_other_bands_take(statistics: str):
    measure = measured_terrain if statistics == "sam" else measured
    found = measure(Made(), ("a", "b"), INPUTS)
    pixels = np.concatenate([Made().read(name).image[:, 3:].reshape(4, -1) for name in "ab"], axis=1).astype(float)
    for band in (0, 2):
        assert found.mean[band] == pytest.approx(pixels[band].mean(), rel=1e-9)
        assert found.std[band] == pytest.approx(pixels[band].std(), rel=1e-6)
    kept = [found.mean[band] == INPUTS.mean[band] for band in (1, 3)]
    assert all(kept) == (statistics == "sam")
    assert (found.low, found.high, found.gain, found.terrain) == (0.0, 1.0, INPUTS.gain, (0, 2))
    colours = InputSpec.for_bands("boa", ("red", "nir"))
    assert measured_terrain(Made(), ("a", "b"), colours) is colours


def test_flat_ground_everywhere_is_said_by_its_band():
    class Flat(Made):
        def read(self, name: str) -> Sample:
            sample = super().read(name)
            sample.image[0] = 12.5
            return sample

    with pytest.raises(InvalidDatasetError, match="band elevation"):
        measured_terrain(Flat(), ("a",), INPUTS)


def test_colours_change_in_training_and_elevation_and_slope_keep_their_values():
    sample = Made().read("a")
    changed = augment(sample, np.random.default_rng(1), white=0.4, terrain=(0, 2))
    as_before = augment(sample, np.random.default_rng(1), white=0.4)
    for band in (0, 2):
        assert np.array_equal(
            np.sort(changed.image[band], axis=None), np.sort(sample.image[band], axis=None), equal_nan=True
        )
        assert not np.array_equal(np.sort(as_before.image[band], axis=None), np.sort(sample.image[band], axis=None))
    for band in (1, 3):  # the same colours are drawn, whatever bands stand beside them
        assert np.array_equal(changed.image[band], as_before.image[band])
    patches = TrainingPatches.of(Made(), inspect(Made()), ("a", "b"), **TrainSpec(patch=16).squares, inputs=INPUTS)
    known = {float(value) for name in "ab" for value in Made().read(name).image[0].ravel()}
    shown = patches.read(0, 0).image[0]
    assert {float(value) for value in shown[~np.isnan(shown)]} <= known


def job_of(data: str, bands: tuple[str, ...], **changes: object) -> FinetuneJob:
    model = LandslideNetSpec(sam="vit_t", bands=bands, upsample=1)
    train = TrainSpec(epochs=1, batch=2, patch=16, precision="float32", **changes)  # type: ignore[arg-type]
    inputs = InputSpec.for_bands("boa", bands)
    return FinetuneJob(
        data=DataSpec(kind="chips", path=data, groups="images"), model=model, inputs=inputs, train=train, output="run"
    )


def test_a_run_measures_its_chips_and_names_terrain_in_its_settings_only_where_there_is_some(tmp_path: Path):
    index = {"version": 1, "bands": list(BANDS), "radiometry": "boa", "resolution": 10.0, "size": 30, "dem": ["x"]}
    (tmp_path / "chips.json").write_text(json.dumps(index))
    for number in range(10):
        sample = Made().read("ab"[number % 2])
        np.savez(tmp_path / f"{number}.npz", image=sample.image, label=sample.label)
    job = job_of(str(tmp_path), ("red", "slope", "nir", "elevation"))
    settled = Prepared.of(job).settled(job)
    assert settled.inputs.mean[1] == pytest.approx(28, abs=1)
    assert settled.inputs.mean[3] == pytest.approx(2500, abs=40)
    assert settled.inputs.mean[0] == job.inputs.mean[0]
    assert settled.settings["inputs"]["terrain"] == [1, 3]
    colours = job_of(str(tmp_path), ("red", "nir"))
    assert Prepared.of(colours).settled(colours).inputs == colours.inputs
    # As a run of before there were bands of terrain has them, which therefore goes on.
    assert set(colours.settings["inputs"]) == {"radiometry", "low", "high", "gain", "mean", "std"}


def test_a_checkpoint_keeps_which_bands_are_of_terrain_and_one_without_them_is_still_read(tmp_path: Path):
    model = LandslideNetSpec(sam="vit_t", bands=BANDS, upsample=1)
    inputs = measured_terrain(Made(), ("a", "b"), INPUTS)
    card = ModelCard(model=model, inputs=inputs, base=random_weights(model, 0))
    net = build(model, inputs, base=None, seed=0)
    save(str(tmp_path / "c.safetensors"), net, card)
    again, read = restore(str(tmp_path / "c.safetensors"))
    assert read.inputs == inputs
    images = torch.from_numpy(Made().read("a").image[None, :, :16, :16])
    assert torch.equal(again(images), net(images))
    content = (tmp_path / "c.safetensors").read_bytes()
    old = asdict(card)["inputs"]
    del old["terrain"]
    assert InputSpec(**old).terrain == ()
    assert b"terrain" in content
