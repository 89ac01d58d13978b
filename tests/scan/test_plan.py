from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st
from shapely.geometry.base import BaseGeometry

from landslide_scale.cube.settings import GridConfig
from landslide_scale.errors import InvalidConfigError
from landslide_scale.grid import Lattice, PatchLattice, Zone
from landslide_scale.imagery.mask import dilation_pixels
from landslide_scale.imagery.settings import CompositeConfig
from landslide_scale.scan.plan import Plan, UnitTexts, WorkUnit, make
from landslide_scale.scene import Scene, Unused, Window, utc

GRID = GridConfig(resolution=100, block=64, chunk=32)
COMPOSITE = CompositeConfig(dilate_m=200)
PATCHES = PatchLattice(patch=48, halo=16)
AUGUST = Window(start=utc("2023-08-01"), end=utc("2023-09-01"))
SEPTEMBER = Window(start=utc("2023-09-01"), end=utc("2023-10-01"))
REGION = shapely.box(17.8, 46.0, 18.2, 46.2)


def scene(
    name: str, epsg: int, west: float, north: float, *, sensed: str = "2023-08-10T10:00:00Z", side: float = 109_800
) -> Scene:
    instant = utc(sensed)
    return Scene(
        id=name,
        tile=name,
        epsg=epsg,
        bounds=(west, north - side, west + side, north),
        sensed=instant,
        datatake=f"GS2A_{instant:%Y%m%dT%H%M%S}_042590",
        datastrip="",
        baseline=(5, 9),
        generated=instant,
        cloud_cover=0.0,
        offset=0,
        offset_rule="made",
        assets=(("red", f"{name}/red.tif"), ("scl", f"{name}/scl.tif")),
    )


SCENES = [
    scene("33TYM", 32633, 699_960, 5_200_020),
    scene("33TYM-later", 32633, 699_960, 5_200_020, sensed="2023-08-31T23:59:59.999Z"),
    scene("33TYM-september", 32633, 699_960, 5_200_020, sensed="2023-09-01T00:00:00Z"),
    scene("34TBS", 32634, 199_980, 5_200_020),
    scene("far", 32631, 199_980, 5_200_020),
]


def planned(
    region: BaseGeometry = REGION,
    scenes: list[Scene] = SCENES,
    grid: GridConfig = GRID,
    composite: CompositeConfig = COMPOSITE,
) -> Plan:
    return make(
        region=region, windows=(AUGUST, SEPTEMBER), scenes=scenes, grid=grid, composite=composite, patches=PATCHES
    )


def test_every_block_of_every_zone_is_a_unit_of_every_window_once():
    plan = planned()
    zones = {unit.lattice.zone.epsg for unit in plan.units}
    assert zones == {32633, 32634}
    for zone in zones:
        units = [unit for unit in plan.units if unit.lattice.zone.epsg == zone]
        blocks = set(units[0].lattice.blocks_meeting(REGION))
        assert {(unit.block, unit.layer) for unit in units} == {(block, layer) for block in blocks for layer in (0, 1)}
        assert len(units) == 2 * len(blocks)


def test_ids_are_unique_and_file_names():
    ids = [unit.id for unit in planned(shapely.union_all([REGION, shapely.box(17.9, -0.1, 18.1, 0.1)])).units]
    assert len(ids) == len(set(ids))
    assert all(set(name) <= set("abcdefghijklmnopqrstuvwxyzEPSG_-0123456789") for name in ids)


def test_units_that_the_same_scenes_reach_share_them():
    units = planned(grid=GridConfig(resolution=100, block=32, chunk=32)).units
    assert len({id(unit.scenes) for unit in units}) == len({unit.scenes for unit in units})
    assert len({unit.scenes for unit in units}) < len(units) / 4


@given(st.permutations(planned(grid=GridConfig(resolution=100, block=32, chunk=32)).units[:90]))
def test_a_unit_is_spelled_alike_whatever_was_spelled_before_it(units: list[WorkUnit]):
    texts = UnitTexts()
    doubted = (Unused.of(replace(SCENES[0], quarantine='"scenes":[],"quarantined":[]')),)
    for number, unit in enumerate(units):
        one = replace(unit, quarantined=doubted if number % 3 else unit.quarantined, scenes=(*unit.scenes,))
        assert texts.of(one) == one.to_json()
        assert WorkUnit.from_json(texts.of(one)) == one


def test_windows_are_half_open():
    found = {unit.layer: {one.id for one in unit.scenes} for unit in planned().units if unit.scenes}
    assert found[0] >= {"33TYM", "33TYM-later"}
    assert "33TYM-september" not in found[0]
    assert found[1] == {"33TYM-september"}


def test_extents_are_the_smallest_whole_blocks_around_a_zones_units():
    plan = planned()
    for lattice, extent in plan.extents.items():
        boxes = [unit.box for unit in plan.units if unit.lattice == lattice]
        assert extent.row_start == min(box.row_start for box in boxes)
        assert extent.row_stop == max(box.row_stop for box in boxes)
        assert extent.col_start == min(box.col_start for box in boxes)
        assert extent.col_stop == max(box.col_stop for box in boxes)
        assert not any(value % 64 for value in (extent.row_start, extent.col_start, *extent.shape))


def test_scenes_of_the_neighbouring_zone_serve_the_border_and_far_ones_do_not():
    plan = planned()
    assert {one.id for one in plan.scenes} == {one.id for one in SCENES} - {"far"}
    border = [unit for unit in plan.units if unit.layer == 0 and {"33TYM", "34TBS"} <= {one.id for one in unit.scenes}]
    assert {unit.lattice.zone.epsg for unit in border} == {32633, 32634}


def test_ground_without_a_tile_of_its_own_zone_gets_its_neighbours():
    # Near 12.2 E 46.4 N, zone 33 has no Sentinel-2 tile; 32TQS of zone 32 reaches over.
    neighbour = scene("32TQS", 32632, 699_960, 5_200_020)
    plan = planned(shapely.box(12.15, 46.35, 12.25, 46.45), [neighbour])
    assert {unit.lattice.zone.epsg for unit in plan.units} == {32633}
    assert all([one.id for one in unit.scenes] == ["32TQS"] for unit in plan.units if unit.layer == 0)


def test_a_unit_has_every_scene_that_reaches_what_its_patches_see_and_what_casts_cloud_into_it():
    lattice = Lattice(zone=Zone.utm(33, southern=False), resolution=100, block=64)
    region = shapely.box(15.0, 46.0, 15.01, 46.01)
    plan = planned(region, [])
    unit = plan.units[0]
    seen = PATCHES.covering(unit.box).pad(dilation_pixels(COMPOSITE, lattice))
    west, _, east, north = lattice.bounds(seen)
    touching = scene("touching", 32633, east - 100, north, side=20_000)
    beyond = scene("beyond", 32633, east + 100, north, side=20_000)
    before = scene("before", 32633, west - 20_100, north, side=20_000)
    assert [one.id for one in planned(region, [touching, beyond, before]).units[0].scenes] == ["touching"]


@given(keep=st.sets(st.integers(0, 200)))
def test_a_plan_after_any_part_is_done_is_exactly_the_rest(keep: set[int]):
    first, again = PLAN, planned(scenes=SCENES[::-1])
    done = {unit.id for number, unit in enumerate(first.units) if number in keep}
    rest = [unit for unit in again.units if unit.id not in done]
    assert rest == [unit for number, unit in enumerate(first.units) if number not in keep]


PLAN = planned()


def test_a_larger_region_keeps_the_units_of_a_smaller_one():
    small = {unit.id: unit for unit in planned(shapely.box(17.9, 46.05, 18.0, 46.1)).units}
    large = {unit.id: unit for unit in PLAN.units}
    assert all(large[name] == unit for name, unit in small.items())


def test_a_unit_round_trips_as_text():
    for unit in PLAN.units:
        back = WorkUnit.from_json(unit.to_json())
        assert back == unit
        assert hash(back.lattice) == hash(unit.lattice)
        assert back.scenes == unit.scenes
        assert back.box == unit.box


def test_older_processings_are_planned_beside_the_newest_and_do_not_double_what_is_read():
    again = scene("33TYM", 32633, 699_960, 5_200_020)
    newer = replace(again, id="33TYM_1", generated=datetime(2024, 1, 1, tzinfo=UTC))
    both = planned(scenes=[again, newer])
    assert {one.id for one in both.scenes} == {"33TYM", "33TYM_1"}
    assert both.bytes_to_read(3) == planned(scenes=[newer]).bytes_to_read(3) > 0


def test_a_run_begun_with_the_newest_processing_alone_goes_on_with_it():
    again = scene("33TYM", 32633, 699_960, 5_200_020)
    newer = replace(again, id="33TYM_1", generated=datetime(2024, 1, 1, tzinfo=UTC))
    alone = planned(scenes=[again, newer], composite=CompositeConfig(processings="newest"))
    assert {one.id for one in alone.scenes} == {"33TYM_1"}


def test_one_lattice_for_all_ground_when_asked_for():
    plan = planned(grid=GRID.model_copy(update={"crs": 3035}))
    assert list(plan.extents) == [Lattice(zone=Zone.whole(3035), resolution=100, block=64)]
    assert {one.id for unit in plan.units for one in unit.scenes if unit.layer == 0} >= {"33TYM", "34TBS"}


def test_a_lattice_in_degrees_is_refused():
    with pytest.raises(InvalidConfigError, match="metres"):
        planned(grid=GRID.model_copy(update={"crs": 4326}))


def test_costs_count_every_scene_of_every_unit_and_patches_only_where_there_are_scenes():
    plan = planned()
    total = sum(np.prod(PATCHES.covering(unit.box).shape) * (2 * 3 + 1) * len(unit.scenes) for unit in plan.units)
    boxes = {unit.id: unit.box.around(unit.lattice.inside(unit.box, REGION)) or unit.box for unit in plan.units}
    least = sum(np.prod(PATCHES.covering(boxes[unit.id]).shape) * 7 * len(unit.scenes) for unit in plan.units)
    assert 0 < least <= plan.bytes_to_read(3) < 1.1 * least < total
    patches = sum(PATCHES.count(boxes[unit.id]) for unit in plan.units if unit.scenes)
    assert patches <= plan.patch_count < 1.1 * patches < sum(PATCHES.count(unit.box) for unit in plan.units)
    assert planned(scenes=[]).patch_count == 0
    assert plan.work(3, 1, predicted=True).pixels == plan.patch_count * 48**2
    assert plan.work(3, 1, predicted=False).pixels == 0


def test_a_small_place_costs_what_is_read_of_its_block_and_not_the_block():
    """Most of a kilometre in a block of 20 km: what a reader asks for."""
    region = shapely.box(17.80, 46.10, 17.805, 46.105)
    grid = GridConfig(resolution=10, block=2048, chunk=512)
    plan = planned(region=region, grid=grid)
    units = [unit for unit in plan.units if unit.scenes]
    inside = units[0].box.around(units[0].lattice.inside(units[0].box, region))
    assert inside is not None
    assert plan.bytes_to_read(3) < 1.3 * sum(np.prod(PATCHES.covering(inside).shape) * 7 * len(u.scenes) for u in units)
    assert plan.patch_count < 0.01 * sum(PATCHES.count(unit.box) for unit in units)
