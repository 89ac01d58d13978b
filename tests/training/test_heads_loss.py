from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from landslide_scale.training.losses import segmentation_loss


def brute_force(logits: np.ndarray, label: np.ndarray) -> float:
    """One image, pixel by pixel in Python floats."""
    pixels = [(float(z), int(y)) for z, y in zip(logits.ravel(), label.ravel(), strict=True) if y != 255]
    if not pixels:
        return 0.0
    p = [1 / (1 + math.exp(-z)) for z, _ in pixels]
    y = [y for _, y in pixels]
    bce = -sum(math.log(a if b else 1 - a) for a, b in zip(p, y, strict=True)) / len(y)
    overlap = sum(a * b for a, b in zip(p, y, strict=True))
    smooth = max(1.0, len(y) / 100)
    return bce + 1 - (2 * overlap + smooth) / (sum(p) + sum(y) + smooth)


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 2**32 - 1), st.integers(1, 4), st.integers(1, 20), st.integers(1, 20))
def test_equals_brute_force_per_image(seed: int, batch: int, height: int, width: int):
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 3, (batch, 1, height, width))
    label = rng.choice(np.array([0, 1, 255], np.uint8), (batch, height, width))
    got = segmentation_loss(torch.from_numpy(logits), torch.from_numpy(label))
    np.testing.assert_allclose(got, [brute_force(z, y) for z, y in zip(logits, label, strict=True)], rtol=1e-9)


def test_an_image_wholly_ignored_costs_nothing_and_moves_nothing():
    logits = torch.randn(2, 1, 4, 4, requires_grad=True)
    label = torch.full((2, 4, 4), 255, dtype=torch.uint8)
    label[1, 0, 0] = 1
    loss = segmentation_loss(logits, label)
    loss.sum().backward()
    assert loss[0] == 0
    assert loss[1] > 0
    assert logits.grad is not None
    assert not logits.grad[0].any()
    assert logits.grad[1].nonzero().tolist() == [[0, 0, 0]]


def test_where_a_network_says_nothing_anywhere_empty_images_do_not_outweigh_landslides():
    logits = torch.full((2, 1, 56, 56), -8.0, requires_grad=True)  # one pixel of landslide in all
    label = torch.zeros(2, 56, 56, dtype=torch.uint8)
    label[1, 20:26, 20:30] = 1
    segmentation_loss(logits, label).sum().backward()
    assert logits.grad is not None
    down = logits.grad[0].sum()
    up = -logits.grad[1, 0][label[1] == 1].sum()
    assert 0 < down < 3 * up  # twelve times with a smoothing of one pixel


def test_ignored_pixels_do_not_change_the_loss():
    logits, label = torch.randn(1, 1, 8, 8), torch.randint(0, 2, (1, 8, 8), dtype=torch.uint8)
    label[:, 5:] = 255
    other = logits.clone()
    other[:, :, 5:] = 40.0
    assert torch.equal(segmentation_loss(logits, label), segmentation_loss(other, label))


@pytest.mark.parametrize("extreme", [-1e4, 1e4])
def test_extreme_logits_stay_finite(extreme: float):
    logits = torch.full((1, 1, 3, 3), extreme, requires_grad=True)
    loss = segmentation_loss(logits, torch.ones(1, 3, 3, dtype=torch.uint8))
    loss.sum().backward()
    assert torch.isfinite(loss).all()
    assert logits.grad is not None
    assert torch.isfinite(logits.grad).all()


def test_half_precision_logits_give_a_float32_loss():
    loss = segmentation_loss(torch.zeros(1, 1, 2, 2, dtype=torch.bfloat16), torch.zeros(1, 2, 2, dtype=torch.uint8))
    assert loss.dtype == torch.float32
    assert loss.shape == (1,)
