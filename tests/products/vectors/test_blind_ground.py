"""Where the map is blind, and what is near snow: on coarse cells, block row by block row."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import shapely
from helpers import cubes
from hypothesis import given, settings
from hypothesis import strategies as st
from products.vectors.conftest import BLOCK, REGION

from landslide_scale.bands import Reason
from landslide_scale.grid import Block, PixelBox, project
from landslide_scale.products.scanned import Scanned, scanned
from landslide_scale.products.vectors.coarse import cell_side, near_snow, not_observed
from landslide_scale.scan.plan import Place


def area(patches: list[shapely.MultiPolygon]) -> float:
    return float(shapely.area(shapely.union_all([project(one, 4326, 32633) for one in patches])))


def test_a_cell_is_about_100_m_and_a_block_whole_cells():
    sides = {(block, metres): cell_side(cubes.Made(block=block, resolution=metres).lattice(33))
             for block, metres in ((2048, 10), (500, 10), (64, 10), (512, 20), (16, 1000), (17, 10))}  # fmt: skip
    assert sides == {(2048, 10): 8, (500, 10): 10, (64, 10): 8, (512, 20): 4, (16, 1000): 1, (17, 10): 17}


def test_blind_ground_is_told_with_its_reason_and_stays_in_the_region(scan: Scanned):
    patches = list(not_observed(scan))
    assert {patch.what for patch in patches} == {"cloud", "snow"}
    assert all(patch.geometry.is_valid and patch.geometry.within(REGION.buffer(1e-9)) for patch in patches)
    lattice, extent = next(iter(scan.extents.items()))
    reason = scan.read(lattice, extent, 0).reason
    for what, code in (("cloud", Reason.CLOUD), ("snow", Reason.SNOW)):
        # Cells are 8 pixels, and so is what was painted: areas differ by cells that the region's rim cuts.
        seen = area([patch.geometry for patch in patches if patch.what == what])
        assert seen == pytest.approx(float((reason == code).sum()) * 100, rel=0.05)
    assert sum(patch.area_m2 for patch in patches) == pytest.approx(area([p.geometry for p in patches]), rel=2e-3)


def test_near_snow_is_what_a_buffer_of_all_snow_at_once_is(scan: Scanned):
    snow = [patch.geometry for patch in not_observed(scan) if patch.what == "snow"]
    patches = [patch.geometry for patch in near_snow(scan)]
    assert all(patch.is_valid for patch in patches)
    grown = [shapely.intersection(project(shapely.buffer(project(one, 4326, 32633), 200), 32633, 4326), REGION)
             for one in snow]  # fmt: skip
    assert area(patches) == pytest.approx(area(grown), rel=0.06)  # cells with any snow, also outside the region
    assert area(patches) <= area([REGION])


def painted_of(reasons: np.ndarray) -> cubes.Paint:
    def paint(_: Place) -> object:
        layer = cubes.layer_of(np.full(reasons.shape, 0.5, np.float32))
        layer.reason[:] = reasons
        return layer

    return paint  # type: ignore[return-value]


@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 1000), share=st.floats(0, 1))
def test_of_any_pixels_the_cells_are_those_of_which_more_than_half_is_unseen(
    seed: int, share: float, tmp_path_factory: pytest.TempPathFactory
):
    random = np.random.default_rng(seed)
    reasons = np.where(random.random((16, 16)) < share, random.integers(1, 8, (16, 16)), 0).astype(np.uint8)
    reasons[0, 0] = 0  # a unit of which nothing was seen would be no scan that is done
    how = cubes.Made(block=16, chunk=16)
    places = (Place(lattice=how.lattice(33), block=Block(row=-31875, col=2000), layer=0),)
    scan = scanned(cubes.made(tmp_path_factory.mktemp("cells") / "run", places, painted_of(reasons), how))
    patches = list(not_observed(scan))
    west, _, _, north = places[0].lattice.bounds(places[0].box)
    for row in range(2):
        for col in range(2):
            cell = reasons[row * 8 : row * 8 + 8, col * 8 : col * 8 + 8]
            middle = shapely.Point(west + col * 80 + 40, north - row * 80 - 40)
            said = [patch.what for patch in patches if patch.geometry.contains(project(middle, 32633, 4326))]
            counts = np.bincount(cell[cell > 0], minlength=8)
            name = Reason(int(counts.argmax())).name.lower().replace("_", " ")
            assert said == ([name] if 2 * (cell > 0).sum() > cell.size else [])


def test_a_unit_that_failed_is_not_observed(tmp_path: Path):
    how = cubes.Made(block=BLOCK, chunk=32)
    places = how.places(
        {how.lattice(33): PixelBox(row_start=-510_016, row_stop=-509_952, col_start=32000, col_stop=32128)}
    )
    paint = painted_of(np.zeros((BLOCK, BLOCK), np.uint8))
    scan = scanned(cubes.made(tmp_path / "run", places, lambda one: paint(one) if one.block.col == 500 else None, how))
    [patch] = not_observed(scan)
    assert patch.what == "not scanned"
    assert patch.area_m2 == pytest.approx((BLOCK * 10) ** 2, rel=2e-3)


def test_blind_ground_beside_the_antimeridian_is_no_band_around_the_globe(tmp_path: Path):
    how = cubes.Made(block=BLOCK, chunk=32)
    lattice = how.lattice(60)
    edge, y = 833_000, 100_000  # 180 E on zone 60, near the equator, is x 833,978
    box = PixelBox(row_start=-y // 10, row_stop=-y // 10 + 64, col_start=edge // 10, col_stop=edge // 10 + 192)
    cloud = painted_of(np.full((BLOCK, BLOCK), int(Reason.CLOUD), np.uint8))
    clear = painted_of(np.zeros((BLOCK, BLOCK), np.uint8))
    places = how.places({lattice: box})
    first = min(place.block.col for place in places)
    scan = scanned(
        cubes.made(tmp_path / "run", places, lambda one: (clear if one.block.col == first else cloud)(one), how)
    )
    bounds = shapely.total_bounds([patch.geometry for patch in not_observed(scan)])
    assert bounds[0] > 179.9
    assert bounds[2] == 180
