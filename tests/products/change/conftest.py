"""A made pair of layers: old scars, new landslides, clouds on either side, vegetation lost and not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from helpers.changes import TWO, Ground, two_layers, without_network

from landslide_scale.grid import PixelBox
from landslide_scale.products.scanned import Scanned

LATTICE = TWO.lattice(33)
BOX = PixelBox(row_start=-510_000, row_stop=-509_952, col_start=48_000, col_stop=48_048)


def pair(seed: int = 0) -> tuple[Ground, Ground]:
    """Noise of all kinds on both sides."""
    rng = np.random.default_rng(seed)
    sides = []
    for _ in range(2):
        probability = rng.uniform(0, 1, BOX.shape) ** 2
        probability[rng.random(BOX.shape) < 0.2] = np.nan
        looks = rng.integers(1, 6, BOX.shape).astype(np.uint8)
        sides.append(Ground(probability=probability, ndvi=rng.uniform(-0.2, 0.9, BOX.shape), looks=looks))
    return sides[0], sides[1]


@pytest.fixture(scope="package")
def learned(tmp_path_factory: pytest.TempPathFactory) -> Scanned:
    before, after = pair()
    return two_layers(tmp_path_factory.mktemp("learned") / "run", (LATTICE, BOX), (before.layer(), after.layer()))


@pytest.fixture(scope="package")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Scanned:
    """The same without a network."""
    before, after = (without_network(one.layer()) for one in pair())
    how = replace(TWO, learned=False)
    return two_layers(tmp_path_factory.mktemp("alone") / "run", (LATTICE, BOX), (before, after), how)
