from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from landslide_scale.demo.baseline import best_pixel_classifier, features
from landslide_scale.demo.quicklook import LARGEST_BYTES, save_quicklook
from landslide_scale.demo.score import MapScore, score_map
from landslide_scale.errors import InvalidDatasetError, InvalidInputError


def _pixels(rng: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    labels = (rng.random(count) < 0.05).astype(np.uint8)
    images = rng.normal(0.1, 0.02, (count, 4)).astype(np.float32) + 0.05 * labels[:, None].astype(np.float32)
    return images, labels, np.repeat(np.arange(count // 100), 100)


def test_the_best_classifier_of_pixels_finds_what_single_pixels_can_tell():
    images, labels, groups = _pixels(np.random.default_rng(0), 6000)
    best = best_pixel_classifier(images, labels, groups)
    assert best.validation.f1 == max(best.others.values()) > 0.6
    assert len(best.others) == 4
    fresh, truth, _ = _pixels(np.random.default_rng(1), 4000)
    predicted = best.predict(fresh) >= best.threshold
    assert best.predict(fresh).dtype == np.float32
    assert 2 * (predicted & (truth == 1)).sum() / (predicted.sum() + truth.sum()) > 0.6


def test_pixels_of_one_class_or_of_no_label_are_refused():
    images, labels, groups = _pixels(np.random.default_rng(0), 1000)
    with pytest.raises(InvalidDatasetError, match="one class"):
        best_pixel_classifier(images, np.zeros_like(labels), groups)
    with pytest.raises(InvalidDatasetError, match="999 labels"):
        best_pixel_classifier(images, labels[:-1], groups)


def test_features_are_finite_even_for_black_pixels():
    assert features(np.zeros((3, 4), dtype=np.float32)).shape == (3, 4 + 1 + 12)
    assert np.isfinite(features(np.zeros((3, 4), dtype=np.float32))).all()


def test_a_map_is_scored_on_observed_pixels_inside_the_region_only():
    probability = np.array([[0.9, 0.9, 0.1, np.nan, 0.9]], dtype=np.float32)
    percent = np.array([[100, 49, 50, 80, 255]], dtype=np.uint8)
    inside = np.array([[True, True, True, True, False]])
    score = score_map(probability, percent, inside, threshold=0.5)
    assert (score.confusion.tp, score.confusion.fp, score.confusion.fn, score.confusion.tn) == (1, 1, 1, 0)
    assert (score.unobserved, score.unobserved_landslide) == (1, 1)
    assert score.confusion.landslide.f1 == pytest.approx(0.5)
    assert (score + MapScore()) == score
    assert (score + score).unobserved == 2


def test_a_map_without_truth_or_of_another_shape_is_refused():
    probability = np.zeros((1, 1), dtype=np.float32)
    with pytest.raises(InvalidInputError, match="no truth"):
        score_map(probability, np.full((1, 1), 255, np.uint8), np.ones((1, 1), bool), threshold=0.5)
    with pytest.raises(InvalidInputError, match="one shape"):
        score_map(probability, np.zeros((2, 1), np.uint8), np.ones((1, 1), bool), threshold=0.5)


@pytest.mark.parametrize("with_truth", [True, False])
def test_a_picture_of_noise_still_stays_small(tmp_path: Path, *, with_truth: bool):
    rng = np.random.default_rng(0)
    rgb = rng.uniform(0, 0.3, (700, 700, 3)).astype(np.float32)
    probability = rng.random((700, 700), dtype=np.float32)
    rgb[:200, :300], probability[:200, :300] = np.nan, np.nan
    truth = rng.random((700, 700)) > 0.98 if with_truth else None
    path = tmp_path / "map.png"
    save_quicklook(path, rgb, probability, threshold=0.5, truth=truth)
    assert path.stat().st_size < LARGEST_BYTES
    with Image.open(path) as picture:
        assert picture.width > picture.height


def test_a_map_that_is_observed_everywhere_needs_no_hatching(tmp_path: Path):
    save_quicklook(
        tmp_path / "m.png", np.full((64, 64, 3), 0.1, np.float32), np.zeros((64, 64), np.float32), threshold=0.5,
        truth=np.eye(64, dtype=bool),
    )  # fmt: skip
    assert (tmp_path / "m.png").exists()
