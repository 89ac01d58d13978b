"""What landslides say of the ground they lie on, by a made elevation model."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from helpers.cubes import Made, from_arrays, layer_of, made
from helpers.dems import RECORDED, Field, kept, raster
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from landslide_scale.grid import PixelBox
from landslide_scale.products.bits import FLAT_DEG, Exclusion
from landslide_scale.products.landslide import Landslide
from landslide_scale.products.outlines import relief
from landslide_scale.products.outlines.landslides import landslides
from landslide_scale.products.outlines.relief import OnRelief, flat
from landslide_scale.products.outlines.wanted import Wanted
from landslide_scale.products.scanned import Scanned, scanned
from landslide_scale.products.terrain import Elevations, Terrain
from landslide_scale.stac.settings import DemConfig

SIDE = 96
HOW = Made(block=48, settings=RECORDED)
LATTICE = HOW.lattice(33)
BOX = PixelBox(row_start=-510_000, row_stop=-510_000 + SIDE, col_start=43_200, col_stop=43_200 + SIDE)
X0, Y0 = 432_000.0, 5_100_000.0
STEEP = math.tan(math.radians(20))


def valley(x: Field, y: Field) -> Field:
    """A plain that rises by 1 degree to the south, and from 400 m on by 20 degrees to the east too."""
    return 500 + math.tan(math.radians(1)) * (Y0 - y) + STEEP * np.maximum(x - X0 - 400, 0)


def mapped(*places: tuple[int, int]) -> NDArray[np.float32]:
    found = np.full(BOX.shape, 0.1, np.float32)
    for row, col in places:
        found[row : row + 6, col : col + 12] = 0.9
    return found


def cube(folder: Path, probability: NDArray[np.float32], how: Made = HOW, *, short: int = 0) -> Scanned:
    """Over the valley, whose model ends `short` pixels of 10 m west of the box's eastern rim."""
    rows, cols = SIDE + 40, SIDE + (20 - short if short else 40)
    corner = {"west": X0 - 200, "north": Y0 + 200, "width": 10, "height": 10, "epsg": 32633}
    tile = raster(folder / "dem", "valley", valley, (rows, cols), **corner)
    lattice = how.lattice(33)
    west, south, east, north = (14.0, 45.9, 14.3, 46.2)
    places = how.places({lattice: BOX})
    run = made(folder / "run", places, from_arrays({lattice: (BOX, layer_of(probability))}), how)
    kept(run, [replace(tile, bounds=(west, south, east, north))])
    return scanned(run)


def found_in(of: Scanned, folder: Path) -> list[Landslide]:
    elevations = Elevations(of, DemConfig(allowed_roots=(str(folder / "dem"),)))
    found = list(landslides(of, 0, Wanted(threshold=0.5, least_area_m2=0), elevations=elevations))
    assert elevations.lacking == ""
    return found


def test_a_landslide_says_how_high_and_steep_its_ground_is_and_which_way_it_faces(tmp_path: Path):
    (one,) = found_in(cube(tmp_path, mapped((70, 60))), tmp_path)
    x, y = X0 + (60 + 6) * 10, Y0 - (70 + 3) * 10
    assert one.elevation_m == pytest.approx(float(valley(np.array(x), np.array(y))), abs=0.01)
    south = math.tan(math.radians(1))
    assert one.slope_deg == pytest.approx(math.degrees(math.atan(math.hypot(STEEP, south))), abs=0.01)
    assert one.aspect_deg == pytest.approx(360 - math.degrees(math.atan2(STEEP, south)), abs=0.05)
    assert one.exclusion == 0


def test_flat_is_where_half_of_the_pixels_have_level_surroundings(tmp_path: Path):
    places = [(10, 4), (40, 20), (70, 45)]  # all flat; within 100 m of the slope, a little of it; on the slope
    found = found_in(cube(tmp_path, mapped(*places)), tmp_path)
    assert [bool(one.exclusion & Exclusion.FLAT) for one in found] == [True, True, False]
    assert found[0].slope_deg == pytest.approx(1, abs=0.01)
    assert found[0].aspect_deg is not None
    assert (found[0].aspect_deg + 180) % 360 == pytest.approx(180, abs=0.5)


def test_level_ground_beside_a_slope_is_not_flat(tmp_path: Path):
    (one,) = found_in(cube(tmp_path, mapped((40, 29))), tmp_path)
    assert one.slope_deg is not None
    assert one.slope_deg < FLAT_DEG
    assert one.exclusion == 0


@pytest.mark.parametrize(("block", "side"), [(16, 512), (48, 7)])
def test_blocks_and_squares_of_any_size_say_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, block: int, side: int
):
    rng = np.random.default_rng(4)
    probability = (rng.uniform(0, 1, BOX.shape) > 0.62).astype(np.float32) * 0.9
    whole = found_in(cube(tmp_path / "whole", probability, replace(HOW, block=96)), tmp_path / "whole")
    monkeypatch.setattr(relief, "SIDE", side)
    tiled = found_in(cube(tmp_path / "tiled", probability, replace(HOW, block=block)), tmp_path / "tiled")
    assert [replace(one, run_id="") for one in tiled] == [replace(one, run_id="") for one in whole]
    assert len(whole) > 20
    assert {bool(one.exclusion & Exclusion.FLAT) for one in whole} == {True, False}


def test_where_the_model_ends_means_are_of_what_is_known_and_beyond_nothing_is(tmp_path: Path):
    probability = mapped((70, 60))
    probability[20:26, 80:92] = 0.9
    of = cube(tmp_path, probability, short=30)
    beyond, half = found_in(of, tmp_path)
    assert (beyond.elevation_m, beyond.slope_deg, beyond.aspect_deg, beyond.exclusion) == (None, None, None, 0)
    assert half.elevation_m is not None
    assert half.elevation_m < valley(np.array(X0 + 660), np.array(Y0 - 730))


def test_of_a_model_that_cannot_be_read_nothing_is_said(tmp_path: Path):
    of = cube(tmp_path, mapped((10, 4), (70, 60)))
    elevations = Elevations(of, DemConfig(allowed_roots=(str(tmp_path / "dem"),)))
    (tmp_path / "dem" / "valley.tif").write_bytes(b"no longer")
    found = list(landslides(of, 0, Wanted(threshold=0.5), elevations=elevations))
    assert len(found) == 2
    assert {(one.elevation_m, one.slope_deg, one.aspect_deg, one.exclusion) for one in found} == {(None, None, None, 0)}
    assert "dem valley" in elevations.lacking


def test_a_part_that_could_not_be_read_leaves_the_whole_landslide_unknown():
    read = OnRelief(known=4, millimetres=4000, sloping=4, millidegrees=8000, north=4, flat=4)
    assert (read.elevation_m, read.slope_deg, read.aspect_deg, read.is_flat(4)) == (1.0, 2.0, 0.0, True)
    both = read + OnRelief(unread=1)
    assert (both.elevation_m, both.slope_deg, both.aspect_deg, both.is_flat(5)) == (None, None, None, False)
    assert [OnRelief(flat=one).is_flat(9) for one in (4, 5)] == [False, True]


@given(st.lists(st.floats(0, 360, exclude_max=True), min_size=1, max_size=9))
def test_a_mean_of_directions_goes_around_north(degrees: list[float]):
    east = round(sum(math.sin(math.radians(one)) for one in degrees) * 1e6)
    north = round(sum(math.cos(math.radians(one)) for one in degrees) * 1e6)
    found = OnRelief(east=east, north=north).aspect_deg
    if found is None:
        assert (east, north) == (0, 0)
    else:
        assert 0 <= found < 360
        assert math.sin(math.radians(found)) * math.hypot(east, north) == pytest.approx(east, abs=1e-3)
    assert OnRelief(east=-1, north=10**18).aspect_deg == 0


SLOPES = st.sampled_from([0, 4.9, 6, np.nan])


@given(hnp.arrays(np.float32, st.tuples(st.integers(1, 9), st.integers(1, 9)), elements=SLOPES))
def test_flat_is_by_the_mean_of_the_slopes_that_are_known(slope: NDArray[np.float32]):
    found = flat(Terrain(elevation=slope, slope=slope, aspect=slope), 1)
    for row, col in np.ndindex(*slope.shape):
        around = slope[max(row - 1, 0) : row + 2, max(col - 1, 0) : col + 2].astype(float)
        if np.isnan(slope[row, col]):
            assert not found[row, col]
        else:
            assert found[row, col] == (np.nanmean(np.round(around, 3)) < FLAT_DEG)
