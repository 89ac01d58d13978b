"""A made cube of two windows whose blocks have odd sides, so that coarser pixels reach over its edges."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.cubes import AFTER, BEFORE, Made, layer_of, made

from landslide_scale.cube.arrays import Layer
from landslide_scale.grid import Lattice, PixelBox
from landslide_scale.products.scanned import Scanned, scanned
from landslide_scale.scan.plan import Place

SIDE = 521
HOW = Made(windows=(BEFORE, AFTER), block=SIDE, chunk=SIDE)
LATTICE = HOW.lattice(33)
ROW, COL = -998, 96
EXTENT = PixelBox(
    row_start=ROW * SIDE, row_stop=(ROW + 2) * SIDE, col_start=COL * SIDE, col_stop=(COL + 3) * SIDE
)  # fmt: skip
MISSING = "EPSG_32633-t1-r-997-c98"


def painted(place: Place) -> Layer | None:
    """A third is not observed, for any reason; the rest any number; a unit failed, and all of the first window."""
    if place.id == MISSING or place.layer == 0:
        return None
    generator = np.random.default_rng([place.block.row - ROW, place.block.col, place.layer])
    probability = generator.random(place.box.shape) ** 8
    probability[generator.random(place.box.shape) < 0.3] = np.nan
    held = layer_of(probability, looks=generator.integers(1, 256, place.box.shape).astype(np.uint8))
    seen = held.reason == 0
    codes = generator.choice([1, 2, 3, 4, 5, 6, 7, 9, 10, 11], place.box.shape)
    days = generator.integers(19_000, 19_700, place.box.shape)
    return Layer(
        probability=held.probability,
        clear_count=held.clear_count,
        observed_on=np.where(seen, days, held.observed_on).astype(np.uint16),
        reason=np.where(seen, 0, codes).astype(np.uint8),
    )


@pytest.fixture(scope="session")
def cube(tmp_path_factory: pytest.TempPathFactory) -> Scanned:
    return scanned(made(tmp_path_factory.mktemp("made") / "run", HOW.places({LATTICE: EXTENT}), painted, HOW))


@pytest.fixture
def lattice() -> Lattice:
    return LATTICE
