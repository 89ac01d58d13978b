from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image


@pytest.fixture(scope="session")
def bijie(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A made data set in Bijie's layout: bright discs on dark ground, images of several sizes, four without any."""
    root = tmp_path_factory.mktemp("bijie")
    for folder in ("landslide/image", "landslide/mask", "non-landslide/image"):
        (root / folder).mkdir(parents=True)
    rng = np.random.default_rng(3)
    for number in range(16):
        height, width = rng.integers(40, 70, 2)
        y, x = np.mgrid[:height, :width]
        mask = (y - height / 2) ** 2 + (x - width / 2) ** 2 < rng.integers(6, 15) ** 2
        image = rng.integers(20, 90, (height, width, 3)) + 120 * mask[..., None] * (number < 12)
        folder = "landslide" if number < 12 else "non-landslide"
        Image.fromarray(image.astype(np.uint8)).save(root / folder / "image" / f"i{number}.png")
        if number < 12:
            Image.fromarray(255 * mask.astype(np.uint8)).save(root / folder / "mask" / f"i{number}.png")
    return root
