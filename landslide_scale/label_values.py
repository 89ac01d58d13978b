"""What the values of a label mean, in every data set once it is read, and in chips; and which pixels count."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

LANDSLIDE = 1
IGNORE = 255
"""A pixel that takes no part: unobserved, uncertain, or padding."""


def counting(label: NDArray[np.uint8], image: NDArray[np.float32]) -> NDArray[np.uint8]:
    """The label of the pixels that count, in training, in what is chosen and in every score: 255 on all others.

    A pixel counts where its label says something and every band of its image has data.

    Args:
        label: uint8 (H, W); 0 background, 1 landslide, 255 ignored.
        image: float32 (C, H, W); NaN is no data.

    Returns:
        uint8 (H, W), a copy.
    """
    return np.where(np.isnan(image).any(axis=0), np.uint8(IGNORE), label)
