"""Random predictions and labels for the tests of metrics."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st
from scipy import ndimage

IGNORE = 255


def blobs(rng: np.random.Generator, shape: tuple[int, int], fraction: float) -> np.ndarray:
    """A mask of connected patches of many sizes."""
    smooth = ndimage.gaussian_filter(rng.standard_normal(shape), rng.choice([0.5, 1.0, 2.0]))
    mask: np.ndarray = smooth > np.quantile(smooth, 1 - fraction)
    return mask


def made(seed: int, shape: tuple[int, int] = (41, 53)) -> tuple[np.ndarray, np.ndarray]:
    """A probability float32 and a label uint8 that have something to do with each other; some of it is ignored."""
    rng = np.random.default_rng(seed)
    truth = blobs(rng, shape, rng.uniform(0.02, 0.4))
    probability = 1 / (1 + np.exp(-(rng.normal(0, 1.5, shape) + ndimage.gaussian_filter(6.0 * truth, 1) - 3)))
    label = np.where(blobs(rng, shape, 0.1), IGNORE, truth).astype(np.uint8)
    return probability.astype(np.float32), label


seeds = st.integers(0, 2**32 - 1)
