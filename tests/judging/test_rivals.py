"""Maps that look at no image."""

from __future__ import annotations

import numpy as np
import pytest

from landslide_scale.judging.rivals import CONSTANT, EVERYWHERE, constant, rivals


def discs(sizes: list[tuple[int, int]]) -> list[np.ndarray]:
    """A disc in the middle of each, a third as wide as the image."""
    found = []
    for height, width in sizes:
        y, x = np.mgrid[:height, :width]
        found.append((np.hypot((y + 0.5) / height - 0.5, (x + 0.5) / width - 0.5) < 1 / 6).astype(np.uint8))
    return found


def test_a_habit_of_the_labels_is_found_whatever_the_images_sizes():
    found = constant(discs([(60, 90), (128, 128), (200, 70), (64, 300)]))
    assert found is not None
    (held,) = discs([(150, 111)])
    guess = found.probability((150, 111)) >= found.threshold
    assert 2 * (guess & (held == 1)).sum() / (guess.sum() + held.sum()) > 0.9


def test_the_threshold_is_of_highest_f1_on_what_was_learnt_from():
    rng = np.random.default_rng(0)
    chance = np.linspace(0, 0.8, 64)[:, None] * np.ones(64)
    labels = [(rng.random((64, 64)) < chance).astype(np.uint8) for _ in range(40)]
    found = constant(labels)
    assert found is not None
    truth = np.mean(labels, axis=0)

    def f1(threshold: float) -> float:
        guess = found.cells >= threshold
        return 2 * truth[guess].sum() / (guess.sum() + truth.sum())

    assert f1(found.threshold) == pytest.approx(max(f1(value) for value in np.unique(found.cells)))


def test_ignored_pixels_are_neither_landslide_nor_background():
    label = np.zeros((64, 64), np.uint8)
    label[:32] = 255
    label[40:50] = 1
    found = constant([label, label])
    assert found is not None
    assert not found.cells[:32].any()
    assert (found.cells[40:50] == 1).all()


def test_without_landslides_there_is_only_the_map_that_is_landslide_everywhere():
    assert constant([np.zeros((5, 5), np.uint8)]) is None
    assert list(rivals([])) == [EVERYWHERE]
    both = rivals(discs([(30, 30)]))
    assert list(both) == [CONSTANT, EVERYWHERE]
    every = both[EVERYWHERE]
    assert (every.probability((7, 200)) >= every.threshold).all()
