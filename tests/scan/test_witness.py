"""A scene whose pixels contradict its catalogue is not used, and says so everywhere; a resumed run decides alike."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import shapely
from helpers.scenes import cog, item
from shapely.geometry.base import BaseGeometry

from landslide_scale.cube import template
from landslide_scale.cube.ledger import Ledger
from landslide_scale.cube.settings import GridConfig
from landslide_scale.grid import PatchLattice
from landslide_scale.imagery.observe import observe
from landslide_scale.imagery.raster import read_sample
from landslide_scale.imagery.settings import CompositeConfig
from landslide_scale.scan import work
from landslide_scale.scan.plan import Plan
from landslide_scale.scan.settings import ScanConfig
from landslide_scale.scan.survey import Found, Request, Sources, Survey, settled
from landslide_scale.scan.work import CUBE, Task
from landslide_scale.scene import Window, utc
from landslide_scale.stac.frozen import freeze, load_items
from landslide_scale.stac.items import scenes, with_evidence
from landslide_scale.stac.radiometry import Evidence
from landslide_scale.stac.settings import CatalogConfig
from landslide_scale.storage.rundir import RunDirectory
from landslide_scale.strictyaml import parse

Truth = Literal[True, False]
FLAG = "earthsearch:boa_offset_applied"
AUGUST = Window(start=utc("2023-08-01"), end=utc("2023-09-01"))
WEST, NORTH, SIDE = 500_040, 5_100_000, 100
GROUND = shapely.box(15.0031, 46.0505, 15.0057, 46.0523)
PATCHES = PatchLattice(patch=32, halo=0)


def config(folder: Path) -> CatalogConfig:
    return CatalogConfig(profile="earth-search-v1", allowed_roots=(str(folder),))


def settle(
    chosen: CatalogConfig,
    new: Sequence[dict[str, Any]] = (),
    *,
    frozen: Sequence[dict[str, Any]] = (),
    ground: BaseGeometry = GROUND,
    grid: GridConfig | None = None,
) -> Survey:
    request = Request(
        ground=ground,
        windows=(AUGUST,),
        bands=("red",),
        patches=PATCHES,
        grid=grid or GridConfig(resolution=10, block=32, chunk=32),
        composite=CompositeConfig(method="latest", dilate_m=0),
    )
    return settled(request, Sources(catalog=chosen), Found(new=tuple(new), frozen=tuple(frozen)))


def made(folder: Path, name: str, *, carried: bool, flag: bool, classes: int = 4, **changes: object) -> dict[str, Any]:
    """A scene of dark vegetation of which the catalogue says `flag`."""
    numbers = np.random.default_rng(3).integers(150, 900, (SIDE, SIDE)).astype(np.uint16) + 1000 * carried
    where = {"west": WEST, "north": NORTH}
    hrefs = {band: cog(folder / f"{name}-{band}.tif", numbers.astype(np.uint16), **where) for band in ("blue", "red")}
    hrefs["scl"] = cog(folder / f"{name}-scl.tif", np.full((SIDE, SIDE), classes, np.uint8), **where)
    bounds = (WEST, NORTH - 10 * SIDE, WEST + 10 * SIDE, NORTH)
    return item(name, assets=hrefs, bounds=bounds, earthsearch__boa_offset_applied=flag, **changes)


@pytest.mark.parametrize(
    ("carried", "flag", "offset", "used"),
    [(False, True, 0, True), (True, False, -1000, True), (True, True, 0, False), (False, False, -1000, False)],
)
def test_a_scene_is_used_where_its_pixels_bear_its_catalogue_out(
    tmp_path: Path, carried: Truth, flag: Truth, offset: int, used: Truth
):
    chosen = config(tmp_path)
    found = settle(chosen, [made(tmp_path, "s", carried=carried, flag=flag)])
    (scene,) = scenes(found.items, chosen, ("red",))
    result = found.plan
    assert scene.offset == offset
    assert [one.id for one in result.scenes] == (["s"] if used else [])
    assert [one.id for one in result.quarantined] == ([] if used else ["s"])
    assert "pixels agree" in scene.offset_rule if used else "its pixels say" in scene.quarantine
    assert ("applied already" if offset else "never applied") in (scene.quarantine or "applied already never applied")


def test_a_scene_in_quarantine_gives_way_to_an_older_processing_which_is_asked_too(tmp_path: Path):
    chosen = config(tmp_path)
    new = made(tmp_path, "new", carried=True, flag=True)
    old = made(tmp_path, "old", carried=True, flag=False, s2__processing_baseline="04.00")
    result = settle(chosen, [new, old]).plan
    assert [one.id for one in result.scenes] == ["old"]
    assert "pixels agree" in result.scenes[0].offset_rule
    assert [one.id for one in result.quarantined] == ["new"]


def test_where_the_pixels_cannot_tell_the_rule_stands_and_says_so(tmp_path: Path):
    chosen = config(tmp_path)
    desert = made(tmp_path, "desert", carried=True, flag=True, classes=5)
    bandless = made(tmp_path, "bandless", carried=True, flag=True, grid__code="MGRS-33TWL")
    del bandless["assets"]["blue"]
    broken = made(tmp_path, "broken", carried=True, flag=True, grid__code="MGRS-33TVM")
    Path(broken["assets"]["blue"]["href"]).write_bytes(b"torn")
    rules = {one.id: one.offset_rule for one in settle(chosen, [desert, bandless, broken]).plan.scenes}
    assert set(rules) == {"desert", "bandless", "broken"}
    assert "0 pixels of vegetation and water" in rules["desert"]
    assert "no assets of blue and red" in rules["bandless"]
    assert "not readable: PermanentReadError" in rules["broken"]


def test_only_what_is_planned_and_in_doubt_is_read(tmp_path: Path):
    chosen = config(tmp_path)
    gone = {"blue": f"{tmp_path}/blue.tif", "red": f"{tmp_path}/red.tif", "scl": f"{tmp_path}/scl.tif"}
    away = item("away", assets=gone, bounds=(609_780.0, 5_090_220.0, 719_580.0, 5_200_020.0))
    old = item("old", assets=gone, s2__processing_baseline="03.01")
    assert settle(chosen, [away, old]).items == (away, old)
    plain = CatalogConfig(profile="earth-search-c1", allowed_roots=(str(tmp_path),))
    new = item("new", assets=gone)
    assert [one.doubtful for config in (plain, chosen) for one in scenes([new], config, ("red",))] == [False, True]


def test_what_the_pixels_said_is_frozen_and_a_resumed_run_decides_alike_without_them(tmp_path: Path):
    chosen = config(tmp_path / "files")
    made_items = [
        made(tmp_path / "files", "good", carried=False, flag=True),
        made(tmp_path / "files", "bad", carried=True, flag=True, grid__code="MGRS-33TWL"),
    ]
    found = settle(chosen, made_items)
    run = RunDirectory(str(tmp_path / "run"))
    freeze(run, found.items)
    shutil.rmtree(tmp_path / "files")
    again = load_items(run)
    assert not any(one.doubtful for one in scenes(again, chosen, ("red",)))
    before, after = found.plan, settle(chosen, frozen=again).plan
    assert [replace(one, assets=()) for one in after.scenes] == [replace(one, assets=()) for one in before.scenes]
    assert [one.quarantine for one in after.quarantined] == [one.quarantine for one in before.quarantined]
    assert [one.id for one in after.quarantined] == ["bad"]


def test_the_record_of_a_unit_names_the_scene_that_it_did_not_use(tmp_path: Path):
    chosen = config(tmp_path)
    bad = made(tmp_path, "bad", carried=True, flag=True)
    result = settle(chosen, [bad]).plan
    run = RunDirectory(str(tmp_path / "run"))
    settings = {
        "region": {"bbox": list(GROUND.bounds)},
        "windows": [{"start": "2023-08-01", "end": "2023-09-01"}],
        "grid": {"block": 32, "chunk": 32},
        "model": {"checkpoint": "none"},
        "output": {"run": str(run)},
    }
    asked = parse(ScanConfig, settings)
    template.create(run.at(CUBE), result.extents, result.windows, asked.grid, sharded=True, attributes={})
    task = Task(
        run=run,
        region=result.region.wkt,
        bands=("red",),
        composite=asked.composite,
        patches=PATCHES,
        extents=tuple(result.extents.items()),
    )
    unit = result.units[0]
    row = work.read({"unit": unit.to_json(), "attempt": 1}, task)
    work.write(row | {"probability": np.zeros((32, 32), np.float32), "predict_seconds": 0.0}, task)
    (record,) = Ledger(run).records().values()
    assert record.state == "empty"
    (named,) = record.scenes
    assert named["id"] == "bad"
    assert "its pixels say it was never applied" in named["quarantined"]


def test_a_sample_of_a_file_without_small_overviews_is_not_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = cog(tmp_path / "red.tif", np.ones((600, 600), np.uint16), west=WEST, north=NORTH)
    found = read_sample(path)
    assert found is not None
    assert found.shape == (512, 512)
    monkeypatch.setattr("landslide_scale.imagery.raster.LARGEST_SAMPLED", 599)
    assert read_sample(path) is None


# Real scenes


def real_items(folder: Path) -> list[dict[str, Any]]:
    found = []
    for path in sorted(folder.glob("S2*/item.json")):
        one = json.loads(path.read_text(encoding="utf-8"))
        for asset in one["assets"].values():
            asset["href"] = str(path.parent / asset["href"])
        found.append(one)
    return found


def settle_real(chosen: CatalogConfig, items: Sequence[dict[str, Any]]) -> Plan:
    grid = GridConfig(resolution=60, block=128, chunk=128)
    return settle(chosen, items, ground=shapely.box(15.2, 46.0, 15.6, 46.3), grid=grid).plan


def test_real_scenes_come_out_with_the_offset_applied_once(shared_data: Path):
    folder = shared_data / "sentinel2" / "earthsearch-33T-2023-08"
    chosen = config(folder)
    result = settle_real(chosen, real_items(folder))
    assert len(result.scenes) == 7
    assert result.quarantined == ()
    assert all(one.offset == 0 and "pixels agree" in one.offset_rule for one in result.scenes)
    unit = max(result.units, key=lambda unit: len(unit.scenes))
    coloured = {one.id: one for one in scenes(real_items(folder), chosen, ("blue",))}
    chosen_scenes = [coloured[one.id] for one in unit.scenes]
    composite = CompositeConfig(method="median")
    blue = observe(chosen_scenes, unit.lattice, unit.box, ("blue",), composite).values
    darkest = np.nanpercentile(blue, 1)
    assert 0.01 < darkest < 0.04  # taken off twice it would lie below -0.06, never taken off above 0.11
    assert np.nanmin(blue) >= 0


def test_real_scenes_are_not_used_where_the_flag_is_turned_round(shared_data: Path):
    folder = shared_data / "sentinel2" / "earthsearch-33T-2023-08"
    chosen = config(folder)
    items = real_items(folder)
    for one in items:
        one["properties"][FLAG] = False
    result = settle_real(chosen, items)
    assert result.scenes == ()
    assert len(result.quarantined) == 7
    assert all("applied already" in one.quarantine for one in result.quarantined)


def test_evidence_stays_with_its_item_and_changes_nothing_else():
    one = item("s", assets={})
    told = with_evidence(one, Evidence(verdict="removed", figures="7"))
    assert {key: value for key, value in told.items() if key != "properties"} == {
        key: value for key, value in one.items() if key != "properties"
    }
    assert one["properties"].items() < told["properties"].items()
