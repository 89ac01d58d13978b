"""The public data sets themselves, where a copy is at hand."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from landslide_scale.datasets import LocalFiles, TrainingPatches, inspect, open_dataset
from landslide_scale.datasets.images import ImagePairs, match_pairs
from landslide_scale.datasets.spec import DataSpec
from landslide_scale.errors import InvalidDatasetError
from landslide_scale.parting import split
from landslide_scale.spec import InputSpec, LandslideNetSpec
from landslide_scale.training.spec import TrainSpec

MODEL = LandslideNetSpec()
INPUTS = InputSpec.for_bands("rgb8", MODEL.bands)


@pytest.fixture
def real(shared_data: Path) -> Callable[[str], str]:
    def folder(name: str) -> str:
        if not (shared_data / name).is_dir():
            pytest.skip(f"no {name} in {shared_data}")
        return str(shared_data / name)

    return folder


def test_bijie_is_usable_as_published(real: Callable[[str], str]):
    dataset = open_dataset(DataSpec(kind="bijie", path=real("bijie"), non_landslide=True), MODEL, INPUTS)
    found = inspect(dataset)
    landslides = [image for name, image in found.items() if name.startswith("landslide/")]
    assert len(landslides) == 370
    assert all(image.landslide for image in landslides)
    fraction = sum(image.landslide / image.counted for image in landslides) / len(landslides)
    assert 0.05 < fraction < 0.2
    sizes = [side for image in landslides for side in (image.height, image.width)]
    assert (min(sizes), max(sizes)) == (61, 1239)
    parts = split(found, **TrainSpec().shares)
    assert (len(parts.train), len(parts.validation), len(parts.holdout)) == (256, 45, 129)
    patches = TrainingPatches.of(dataset, found, parts.train, **TrainSpec(patch=224).squares, inputs=INPUTS)
    assert patches.read(0, 0).image.shape == (3, 224, 224)


def test_resized_bijie_is_all_of_one_size(real: Callable[[str], str]):
    dataset = open_dataset(DataSpec(kind="bijie", path=real("bijie"), resize=64), MODEL, INPUTS)
    sample = dataset.read(dataset.names[0])
    assert sample.image.shape == (3, 64, 64)
    assert set(np.unique(sample.label)) <= {0, 1}


def test_hokkaido_is_refused_until_its_padding_is_declared(real: Callable[[str], str]):
    path = real("coseismic_hokkaido")
    with pytest.raises(InvalidDatasetError, match=r"mask values \[1\]; expected only \[0, 255\]"):
        inspect(open_dataset(DataSpec(kind="pairs", path=path), MODEL, INPUTS))
    declared = DataSpec(kind="pairs", path=path, landslide=(1,), ignore=(255,))
    dataset = open_dataset(declared, MODEL, INPUTS)
    found = inspect(dataset)
    assert len(found) == 32
    padded = [name for name, image in found.items() if image.counted < image.height * image.width]
    assert len(padded) == 12
    sample = dataset.read(padded[0])
    assert not sample.image[:, sample.label == 255].any()


def test_landslide4sense_samples_pair_up(real: Callable[[str], str]):
    root = f"{real('landslide4sense')}/rgb_samples"
    pairs = match_pairs(LocalFiles(root=root), images="image", masks="label")
    assert len(pairs) == 20
    found = inspect(ImagePairs(files=LocalFiles(root=root), pairs=pairs, meaning={0: 0, 255: 1, 1: 1}))
    assert sum(image.landslide for image in found.values())
