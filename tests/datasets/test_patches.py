from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from landslide_scale.datasets import EvaluationPatches, Sample, TrainingPatches, inspect
from landslide_scale.datasets.patches import augment, cut, windows
from landslide_scale.errors import InvalidConfigError
from landslide_scale.label_values import counting
from landslide_scale.spec import InputSpec, Radiometry
from landslide_scale.training.spec import TrainSpec

INPUTS = InputSpec.for_bands("boa", ("red", "green"))


@dataclass(frozen=True)
class Made:
    """Images whose value says where a pixel was, labelled by position."""

    sizes: dict[str, tuple[int, int]]
    bands: tuple[str, ...] = ("red", "green")
    radiometry: Radiometry = "boa"

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self.sizes)

    def read(self, name: str) -> Sample:
        height, width = self.sizes[name]
        place = np.arange(height * width, dtype=np.float32).reshape(height, width)
        return Sample(image=np.stack((place, -place)), label=(place.astype(int) % 2).astype(np.uint8))


@given(st.integers(1, 70), st.integers(1, 70), st.integers(1, 32))
def test_windows_count_every_pixel_once(height: int, width: int, patch: int):
    counted = np.zeros((height, width), int)
    for window in windows(height, width, patch):
        assert 0 <= window.y <= window.new_y
        assert window.y + patch <= max(height, patch)
        assert window.x + patch <= max(width, patch)
        counted[window.new_y : window.y + patch, window.new_x : window.x + patch] += 1
    assert (counted == 1).all()


def test_evaluation_patches_count_every_pixel_once():
    dataset = Made({"a": (50, 33), "b": (7, 16)})
    patches = EvaluationPatches.of(dataset, inspect(dataset), dataset.names, 16)
    read = [patches.read(0, index) for index in range(len(patches))]
    assert all(sample.image.shape == (2, 16, 16) for sample in read)
    assert sum(int((sample.label != 255).sum()) for sample in read) == 50 * 33 + 7 * 16
    assert len(patches) == 4 * 3 + 1


def test_padding_is_no_data_and_ignored():
    sample = cut(Made({"a": (5, 7)}).read("a"), 0, 0, 8)
    assert np.isnan(sample.image[:, 5:]).all()
    assert np.isnan(sample.image[:, :, 7:]).all()
    assert (sample.label[5:] == 255).all()
    assert (sample.label[:, 7:] == 255).all()
    assert (sample.label[:5, :7] < 2).all()


def test_a_pixel_without_data_is_ignored_whatever_its_label():
    image = np.ones((2, 4, 4), np.float32)
    image[1, 2, 3] = np.nan
    sample = cut(Sample(image=image, label=np.ones((4, 4), np.uint8)), 0, 0, 4)
    assert sample.label[2, 3] == 255
    assert (sample.label == 1).sum() == 15


def test_training_patches_depend_on_seed_epoch_and_index_alone():
    dataset = Made({"a": (40, 40), "b": (16, 16)})
    found = inspect(dataset)
    first, second = (
        TrainingPatches.of(dataset, found, ("a", "b"), **TrainSpec(patch=16).squares, inputs=INPUTS) for _ in range(2)
    )
    assert first.items == ("a",) * 9 + ("b",)
    np.testing.assert_array_equal(first.read(3, 4).image, second.read(3, 4).image)
    other = TrainingPatches.of(dataset, found, ("a", "b"), **TrainSpec(patch=16, seed=1).squares, inputs=INPUTS)
    for differs in (first.read(4, 4), first.read(3, 5), other.read(3, 4)):
        assert not np.array_equal(first.read(3, 4).image, differs.image)


@settings(max_examples=50)
@given(st.integers(0, 2**32 - 1))
def test_augmentation_moves_labels_with_their_pixels_and_mixes_none(seed: int):
    sample = Made({"a": (16, 16)}).read("a")
    changed = augment(sample, np.random.default_rng(seed), white=0.0)
    order = np.argsort(changed.image[0], axis=None)  # a gain keeps the order of places
    np.testing.assert_array_equal(changed.label.ravel()[order], sample.label.ravel())
    ratio = (
        changed.image[:, changed.image[0] != 0]
        / np.sort(sample.image[0], axis=None)[np.argsort(order)[changed.image[0].ravel() != 0]]
    )
    assert (np.abs(np.abs(ratio) - 1) < 0.1001).all()


def test_colour_shifts_stay_within_their_share_of_white():
    sample = Sample(image=np.zeros((2, 4, 4), np.float32), label=np.zeros((4, 4), np.uint8))
    shifts = [augment(sample, np.random.default_rng(seed), white=0.4).image for seed in range(50)]
    assert 0 < np.abs(shifts).max() <= 0.03 * 0.4 + 1e-6
    assert augment(sample, np.random.default_rng(0), white=0.4).image.dtype == np.float32


@pytest.mark.parametrize("recolour", [0.0, 0.5, 2.0])
def test_colours_are_moved_as_far_as_asked_for(recolour: float):
    sample = Made({"a": (8, 8)}).read("a")
    once, changed = (
        augment(sample, np.random.default_rng(3), white=0.4, recolour=factor).image for factor in (1.0, recolour)
    )
    plain = augment(sample, np.random.default_rng(3), white=0.4, recolour=0.0).image
    assert (np.sort(plain, axis=None) == np.sort(sample.image, axis=None)).all()
    np.testing.assert_allclose(changed - plain, recolour * (once - plain), atol=1e-4)


def test_all_eight_orientations_occur():
    sample = Made({"a": (2, 2)}).read("a")
    seen = {augment(sample, np.random.default_rng(s), white=0).image[0].argsort(axis=None).tobytes() for s in range(99)}
    assert len(seen) == 8


@dataclass(frozen=True)
class OneScar(Made):
    """A single landslide pixel in the far corner of a large image."""

    def read(self, name: str) -> Sample:
        sample = super().read(name)
        label = np.zeros_like(sample.label)
        label[-1, -1] = 1
        return Sample(image=sample.image, label=label)


def test_focused_squares_lie_over_landslides_and_others_anywhere():
    dataset = OneScar({"a": (160, 160)})
    found = inspect(dataset)
    seen = {}
    for focus in (0.0, 1.0):
        spec = TrainSpec(patch=16, landslide_focus=focus)
        patches = TrainingPatches.of(dataset, found, ("a",), **spec.squares, inputs=INPUTS)
        seen[focus] = np.mean([(patches.read(0, index).label == 1).any() for index in range(len(patches))])
    assert seen[1.0] == 1
    assert seen[0.0] < 0.1


def test_validation_patches_hold_landslide_as_often_as_their_images_do_whatever_training_is_focused_on():
    """So a temperature and a bias fitted to them are fitted to ground that nobody enriched."""
    dataset = Rare({"a": (50, 33), "b": (40, 40), "c": (7, 9)})
    found = inspect(dataset)
    patches = EvaluationPatches.of(dataset, found, dataset.names, 16)
    labels = np.stack([patches.read(0, index).label for index in range(len(patches))])
    counts = {value: int((labels == value).sum()) for value in (0, 1)}
    assert counts[1] == sum(image.landslide for image in found.values())
    assert sum(counts.values()) == sum(image.counted for image in found.values())
    focused = TrainingPatches.of(
        dataset, found, dataset.names, **TrainSpec(patch=16, landslide_focus=1.0).squares, inputs=INPUTS
    )
    squares = np.stack([focused.read(0, index).label for index in range(len(focused))])
    assert np.mean(squares[squares < 2]) > 1.2 * counts[1] / sum(counts.values())


@dataclass(frozen=True)
class Rare(Made):
    """The same with landslides in one corner only, and the next column ignored."""

    def read(self, name: str) -> Sample:
        sample = super().read(name)
        label = np.zeros_like(sample.label)
        label[:5, :5], label[:5, 5] = 1, 255
        return Sample(image=sample.image, label=label)


def test_what_counts_is_labelled_and_has_data_in_every_band():
    image = np.zeros((2, 3, 3), np.float32)
    image[0, 0, 0] = image[1, 2, 2] = np.nan
    label = np.array([[1, 0, 255], [1, 0, 1], [0, 0, 1]], np.uint8)
    np.testing.assert_array_equal(counting(label, image), [[255, 0, 255], [1, 0, 1], [0, 0, 255]])
    sample = Sample(image=image, label=label)
    np.testing.assert_array_equal(sample.truth, counting(label, image))
    assert label[0, 0] == 1  # it is a copy


def test_an_image_whose_landslide_nobody_saw_shows_none():
    @dataclass(frozen=True)
    class Half:
        names: tuple[str, ...] = ("a",)

        def read(self, _name: str) -> Sample:
            image = np.ones((1, 16, 16), np.float32)
            image[:, :, 8:] = np.nan
            label = np.zeros((16, 16), np.uint8)
            label[:, 10:] = 1
            return Sample(image=image, label=label)

    found = inspect(Half())["a"]  # type: ignore[arg-type]
    assert (found.landslide, found.counted) == (0, 128)


def test_hidden_squares_lack_what_lies_beyond_an_edge_and_nothing_else():
    """Coasts, clouds and swaths hide ground from a scan's patches, so that a network is shown such squares too."""
    dataset = Made({"a": (160, 160)})
    found, squares = inspect(dataset), TrainSpec(patch=32).squares
    plain = TrainingPatches.of(dataset, found, ("a",), **squares, inputs=INPUTS)
    parted = TrainingPatches.of(dataset, found, ("a",), **squares | {"hidden": 1.0}, inputs=INPUTS)
    shares = []
    for index in range(len(plain)):
        whole, left = plain.read(1, index), parted.read(1, index)
        hidden = np.isnan(left.image).any(axis=0) & ~np.isnan(whole.image).any(axis=0)
        shares.append(hidden.mean())
        assert np.isnan(left.image[:, hidden]).all()
        assert (left.label[hidden] == 255).all()
        np.testing.assert_array_equal(left.image[:, ~hidden], whole.image[:, ~hidden])
        np.testing.assert_array_equal(left.label[~hidden], whole.label[~hidden])
    assert 0.04 < min(shares) < 0.2
    assert 0.4 < max(shares) < 0.62
    half = TrainingPatches.of(dataset, found, ("a",), **squares | {"hidden": 0.5}, inputs=INPUTS)
    drawn = [np.isnan(half.read(epoch, 0).image).any() for epoch in range(200)]
    assert 0.35 < np.mean(drawn) < 0.65


@pytest.mark.parametrize("share", [-0.1, 1.1])
def test_a_share_of_hidden_squares_that_cannot_be_is_refused(share: float):
    with pytest.raises(InvalidConfigError, match=r"train\.hidden"):
        TrainSpec(hidden=share)
