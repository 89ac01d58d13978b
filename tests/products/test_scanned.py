"""A scan as products are made of it: what it holds, what it lacks, and what is no scan."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import shapely
from helpers.cubes import AFTER, BEFORE, Made, layer_of, made
from hypothesis import given
from hypothesis import strategies as st

from landslide_scale.cube import arrays
from landslide_scale.cube.arrays import BY_NAME, Layer
from landslide_scale.cube.ledger import Ledger
from landslide_scale.cube.record import content_hash
from landslide_scale.errors import BrokenRunError, InvalidInputError
from landslide_scale.grid import PixelBox
from landslide_scale.products.scanned import Scanned, scanned
from landslide_scale.scan.layout import REGION
from landslide_scale.scan.plan import Place
from landslide_scale.storage.rundir import RunDirectory

HOW = Made(windows=(BEFORE, AFTER), region=shapely.box(14.9, 46.0, 15.1, 46.1), threshold=0.37)
LATTICE = HOW.lattice(33)
ROW, COL, SIDE = -31_876, 3125, 16
EXTENT = PixelBox(
    row_start=ROW * SIDE, row_stop=(ROW + 3) * SIDE, col_start=COL * SIDE, col_stop=(COL + 4) * SIDE
)  # fmt: skip
FAILED = f"EPSG_32633-t1-r{ROW + 1}-c{COL + 2}"


def painted(place: Place) -> Layer | None:
    generator = np.random.default_rng([place.block.row - ROW, place.block.col - COL, place.layer])
    return None if place.id == FAILED else layer_of(generator.random((SIDE, SIDE)))


@pytest.fixture(scope="module")
def cube(tmp_path_factory: pytest.TempPathFactory) -> Scanned:
    return scanned(made(tmp_path_factory.mktemp("made") / "run", HOW.places({LATTICE: EXTENT}), painted, HOW))


@pytest.fixture(scope="module")
def whole() -> np.ndarray[tuple[int, int], np.dtype[np.uint8]]:
    """All of the second window's probability, in steps of 0.004."""
    values = np.full(EXTENT.shape, 255, np.uint8)
    for place in HOW.places({LATTICE: EXTENT}):
        if place.layer == 1 and (layer := painted(place)) is not None:
            values[place.box.within(EXTENT)] = layer.probability
    return values


@given(st.data())
def test_any_box_is_read_whatever_blocks_it_crosses(
    cube: Scanned, whole: np.ndarray[tuple[int, int], np.dtype[np.uint8]], data: st.DataObject
):
    top, left = data.draw(st.integers(0, 47)), data.draw(st.integers(0, 63))
    rows, cols = data.draw(st.integers(1, 48 - top)), data.draw(st.integers(1, 64 - left))
    row, col = EXTENT.row_start + top, EXTENT.col_start + left
    box = PixelBox(row_start=row, row_stop=row + rows, col_start=col, col_stop=col + cols)
    np.testing.assert_array_equal(
        cube.read_one(LATTICE, box, 1, "probability"), whole[top : top + rows, left : left + cols]
    )


def test_all_variables_of_a_box_are_read_at_once(cube: Scanned):
    read = cube.read(LATTICE, EXTENT, 1)
    for name, variable in BY_NAME.items():
        values = getattr(read, name)
        assert values.dtype == variable.dtype
        np.testing.assert_array_equal(values, cube.read_one(LATTICE, EXTENT, 1, name))


def test_it_says_what_is_missing_and_of_what_it_is(cube: Scanned):
    assert cube.missing == (FAILED,)
    assert len(cube.done) == 23
    assert cube.windows == (BEFORE, AFTER)
    assert cube.threshold == 0.37
    assert cube.region.equals(HOW.region)


def test_what_a_unit_left_that_is_not_done_is_not_read(tmp_path: Path):
    run = made(tmp_path / "run", HOW.places({LATTICE: EXTENT}), painted, HOW)
    before = scanned(run)
    place = next(place for place in before.laid.places if place.id == FAILED)
    arrays.write(before.laid.slot(place), layer_of(np.full((SIDE, SIDE), 0.9)))  # and was killed before its record
    read = scanned(run).read(LATTICE, place.box, 1)
    assert {name: set(getattr(read, name).flat) for name in BY_NAME} == {
        name: {variable.fill} for name, variable in BY_NAME.items()
    }


@pytest.mark.parametrize("damage", [slice(0, 40), slice(-20, None)])  # a chunk, and the shard's index of them
def test_a_damaged_cube_is_told_in_one_line(tmp_path: Path, damage: slice):
    run = made(tmp_path / "run", HOW.places({LATTICE: EXTENT}), painted, HOW)
    of = scanned(run)
    shard = next(path for path in (tmp_path / "run/cube.zarr/EPSG_32633/probability/c/1").rglob("*") if path.is_file())
    content = bytearray(shard.read_bytes())
    content[damage] = bytes(255 - value for value in content[damage])
    shard.write_bytes(content)
    with pytest.raises(BrokenRunError, match="cannot be decoded") as caught:
        of.read(LATTICE, EXTENT, 1)
    assert "\n" not in str(caught.value)
    assert "verify" in str(caught.value)


def test_its_hash_is_another_once_a_unit_is_done_again(tmp_path: Path):
    run = made(tmp_path / "run", HOW.places({LATTICE: EXTENT}), painted, HOW)
    before = scanned(run)
    assert scanned(run).cube_sha256 == before.cube_sha256
    again = content_hash(layer_of(np.full((SIDE, SIDE), 0.9)))
    Ledger(run).add(replace(before.records[before.done[0].id], attempts=2, sha256=again))
    assert scanned(run).cube_sha256 != before.cube_sha256


def test_a_run_that_kept_no_region_asked_for_its_blocks(tmp_path: Path):
    run = made(tmp_path / "run", HOW.places({LATTICE: EXTENT}), painted, HOW)
    run.delete(REGION)
    expected = shapely.union_all([LATTICE.outline(LATTICE.box(block)) for block in HOW.blocks(EXTENT)])
    assert scanned(run).region.symmetric_difference(expected).area < 1e-9 * expected.area


@pytest.mark.parametrize(
    ("gone", "found"), [("units.parquet", "no units.parquet"), ("cube.zarr", "no cube"), ("ledger", "ledger|no unit")]
)
def test_what_is_no_scan_is_refused_in_one_line(tmp_path: Path, gone: str, found: str):
    run = made(tmp_path / "run", HOW.places({LATTICE: EXTENT}), painted, HOW)
    path = tmp_path / "run" / gone
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    with pytest.raises(InvalidInputError, match=found) as caught:
        scanned(RunDirectory(run.url))
    assert "\n" not in str(caught.value)
    assert str(tmp_path / "run") in str(caught.value)


def test_a_scan_of_which_nothing_is_done_is_refused(tmp_path: Path):
    run = made(tmp_path / "run", HOW.places({LATTICE: EXTENT}), lambda _: None, HOW)
    with pytest.raises(InvalidInputError, match="no unit is done"):
        scanned(run)
