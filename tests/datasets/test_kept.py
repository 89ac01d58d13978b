from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np
import pytest

from landslide_scale.datasets import EvaluationPatches, Kept, Sample, TrainingPatches, inspect
from landslide_scale.spec import InputSpec, Radiometry
from landslide_scale.training.spec import TrainSpec


@dataclass(frozen=True)
class Counting:
    """Images of 100 bytes each that count how often they are read."""

    names: tuple[str, ...] = tuple("abcdef")
    bands: tuple[str, ...] = ("red",)
    radiometry: Radiometry = "boa"
    read_so_far: list[str] = field(default_factory=list)

    def read(self, name: str) -> Sample:
        self.read_so_far.append(name)
        number = np.float32(ord(name))
        label = np.arange(20, dtype=np.uint8).reshape(4, 5) % 2
        return Sample(image=np.full((1, 4, 5), number, np.float32), label=label)


def test_images_are_read_once_from_any_number_of_threads():
    dataset = Counting()
    kept = Kept(dataset)
    first = {name: kept.read(name) for name in dataset.names}
    with ThreadPoolExecutor(4) as pool:
        again = list(pool.map(kept.read, dataset.names * 20))
    assert dataset.read_so_far == list(dataset.names)
    assert all(sample is first[name] for name, sample in zip(dataset.names * 20, again, strict=True))


def test_beyond_the_budget_images_are_read_anew_and_the_same():
    dataset = Counting()
    kept = Kept(dataset, budget=250)
    for _ in range(3):
        values = [kept.read(name).image[0, 0, 0] for name in dataset.names]
        assert values == [ord(name) for name in dataset.names]
    assert dataset.read_so_far == [*"abcdef", *"cdef", *"cdef"]


def test_what_is_kept_cannot_be_changed():
    sample = Kept(Counting()).read("a")
    with pytest.raises(ValueError, match="read-only"):
        sample.image[0] = 1


def test_patches_of_kept_images_are_those_of_the_data_set():
    dataset = Counting()
    kept, found = Kept(dataset), inspect(dataset)
    spec, inputs = TrainSpec(patch=4, landslide_focus=0.5), InputSpec.for_bands("boa", dataset.bands)
    one, two = (TrainingPatches.of(each, found, each.names, **spec.squares, inputs=inputs) for each in (dataset, kept))
    for epoch in (0, 1):
        for index in range(len(one)):
            np.testing.assert_array_equal(one.read(epoch, index).image, two.read(epoch, index).image)
            np.testing.assert_array_equal(one.read(epoch, index).label, two.read(epoch, index).label)
    scored = EvaluationPatches.of(kept, found, kept.names, 4)
    assert sum(int((scored.read(0, index).label != 255).sum()) for index in range(len(scored))) == 6 * 20
