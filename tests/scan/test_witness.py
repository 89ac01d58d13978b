"""A scene whose pixels contradict its catalogue is not used, and says so everywhere; a resumed run decides alike."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import shapely
from helpers.cubes import created
from helpers.scenes import cog, item
from shapely.geometry.base import BaseGeometry

from landslide_scale.cube import template
from landslide_scale.cube.ledger import Ledger
from landslide_scale.cube.settings import GridConfig
from landslide_scale.errors import InvalidCatalogError
from landslide_scale.grid import PatchLattice
from landslide_scale.imagery.observe import observe
from landslide_scale.imagery.settings import CompositeConfig
from landslide_scale.reading.raster import read_sample
from landslide_scale.scan import work
from landslide_scale.scan.layout import CUBE
from landslide_scale.scan.plan import Plan
from landslide_scale.scan.searching import Found, Request, Sources
from landslide_scale.scan.settings import ScanConfig
from landslide_scale.scan.survey import Survey, settled
from landslide_scale.scan.work import Task
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


def hrefs_of(folder: Path) -> dict[str, str]:
    return {band: f"{folder}/{band}.tif" for band in ("blue", "red", "scl")}


def config(folder: Path) -> CatalogConfig:
    return CatalogConfig(profile="earth-search-v1", allowed_roots=(str(folder),))


def settle(
    chosen: CatalogConfig,
    new: Sequence[dict[str, Any]] = (),
    *,
    frozen: Sequence[dict[str, Any]] = (),
    ground: BaseGeometry = GROUND,
    grid: GridConfig | None = None,
    searched: Sequence[Window] = (),
) -> Survey:
    request = Request(
        ground=ground,
        windows=(AUGUST,),
        bands=("red",),
        patches=PATCHES,
        grid=grid or GridConfig(resolution=10, block=32, chunk=32),
        composite=CompositeConfig(method="latest", dilate_m=0),
    )
    found = Found(new=tuple(new), frozen=tuple(frozen), searched=tuple(searched))
    return settled(request, Sources(catalog=chosen), found)


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
    gone = {"blue": "/nowhere/blue.tif", "red": f"{tmp_path}/red.tif", "scl": f"{tmp_path}/scl.tif"}
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
    assert after.scenes == before.scenes
    assert after.quarantined == before.quarantined
    assert [one.id for one in after.quarantined] == ["bad"]


def test_scenes_that_a_run_froze_before_any_were_asked_are_not_asked_when_it_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    chosen = config(tmp_path)
    bad = made(tmp_path, "bad", carried=True, flag=True)
    assert [one.id for one in settle(chosen, [bad]).plan.quarantined] == ["bad"]
    monkeypatch.setattr("landslide_scale.imagery.witness._ask", lambda _: pytest.fail("a frozen scene was asked"))
    assert [one.id for one in settle(chosen, frozen=[bad]).plan.scenes] == ["bad"]


def test_a_scene_whose_witnesses_lie_elsewhere_is_used_as_its_catalogue_says(tmp_path: Path):
    chosen = config(tmp_path)
    one = made(tmp_path, "s", carried=False, flag=True)
    one["assets"]["blue"]["href"] = "https://elsewhere.example/blue.tif"
    (scene,) = settle(chosen, [one]).plan.scenes
    assert "not readable: asset blue at https://elsewhere.example" in scene.offset_rule


def test_an_item_of_one_id_in_two_windows_is_a_scene_of_both(tmp_path: Path):
    chosen = config(tmp_path)
    early, late = (item("s", assets=hrefs_of(tmp_path), sensed=f"2023-08-{day}T10:00:00Z") for day in ("05", "25"))
    found = settle(chosen, [late], frozen=[with_evidence(early, Evidence(verdict="removed", figures="7"))])
    assert sorted(one.sensed.day for one in found.scenes) == [5, 25]


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
    what = template.Template(extents=result.extents, windows=result.windows, grid=asked.grid, sharded=True)
    created(run.at(CUBE), what)
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
    monkeypatch.setattr("landslide_scale.reading.raster.LARGEST_SAMPLED", 599)
    assert read_sample(path) is None


# Where the rule was not established, or is told


TOLD = {
    # catalog.offset, what the numbers are: whether the scene is used, whether its pixels are asked
    (None, "carried"): (True, True),
    (None, "removed"): (False, True),
    ("in_numbers", "carried"): (True, False),
    ("removed", "removed"): (True, False),
    ("removed", "carried"): (True, False),  # told is told: it is the way to overrule pixels that mislead
    ("flag:mine:taken_off", "removed"): (True, True),
    ("flag:mine:taken_off", "carried"): (False, True),
    ("profile", "removed"): (True, False),
}


@pytest.mark.parametrize("case", TOLD)
def test_the_pixels_of_a_plain_catalogue_are_asked_unless_it_is_told(tmp_path: Path, case: tuple[str | None, str]):
    told, truth = case
    used, asked = TOLD[case]
    one = made(tmp_path, "s", carried=truth == "carried", flag=True, mine__taken_off=True)
    del one["properties"][FLAG]
    found = settle(CatalogConfig(profile="plain", offset=told, allowed_roots=(str(tmp_path),)), [one])
    assert [scene.id for scene in found.plan.scenes] == (["s"] if used else [])
    assert [scene.id for scene in found.plan.quarantined] == ([] if used else ["s"])
    assert any("offset_verdict" in key for key in found.items[0]["properties"]) is asked


def test_the_rule_of_a_profile_holds_for_its_own_collection_alone(tmp_path: Path):
    home = {"profile": "earth-search-c1", "allowed_roots": (str(tmp_path),)}
    one = item("s", assets={"red": f"{tmp_path}/red.tif", "scl": f"{tmp_path}/scl.tif"})
    for changes, doubtful in (
        ({}, False),
        ({"url": "https://earth-search.aws.element84.com/v1/"}, False),
        ({"collection": "sentinel-2-c1-l2a"}, False),
        ({"url": "https://mirror.example/v1"}, True),
        ({"collection": "sentinel-2-l2a"}, True),
        ({"collection": "sentinel-2-l2a", "offset": "removed"}, False),
        ({"url": "https://mirror.example/v1", "offset": "profile"}, False),
    ):
        (scene,) = scenes([one], CatalogConfig.model_validate(home | changes), ("red",))
        assert scene.doubtful is doubtful, changes
    old = {**one, "properties": one["properties"] | {"s2:processing_baseline": "03.01"}}
    (scene,) = scenes([old], CatalogConfig(profile="plain", allowed_roots=(str(tmp_path),)), ("red",))
    assert not scene.doubtful


def test_a_scan_of_which_no_scene_can_be_believed_is_refused_and_not_an_empty_map(tmp_path: Path):
    bad = [made(tmp_path, name, carried=True, flag=True) for name in ("one", "two")]
    with pytest.raises(InvalidCatalogError, match="no scene is left from 2023-08-01 to 2023-09-01: 2 cannot") as caught:
        settle(config(tmp_path), bad, searched=[AUGUST])
    assert "the first of them scene one: baseline 05.09" in str(caught.value)
    assert "catalog.offset" in str(caught.value)
    found = settle(config(tmp_path), [*bad, made(tmp_path, "good", carried=True, flag=False)], searched=[AUGUST])
    assert [scene.id for scene in found.plan.scenes] == ["good"]


@pytest.mark.parametrize(
    "name", [FLAG, "sentinel:boa_offset_applied", "boa_offset_applied", "of-mine:boa_offset_applied"]
)
def test_any_property_that_contradicts_the_rule_takes_the_scene_out_by_its_name(tmp_path: Path, name: str):
    hrefs = {"red": f"{tmp_path}/red.tif", "scl": f"{tmp_path}/scl.tif"}
    for told, said, used in (("in_numbers", True, False), ("in_numbers", False, True), ("removed", False, False),
                             ("removed", True, True), (None, True, False), (None, False, True)):  # fmt: skip
        one = item("s", assets=hrefs, **{name.replace(":", "__"): said})
        (scene,) = scenes([one], CatalogConfig(profile="plain", offset=told, allowed_roots=(str(tmp_path),)), ("red",))
        assert bool(scene.quarantine) is not used
        assert used or name in scene.quarantine
        assert used or "catalog.offset" in scene.quarantine
    old = item("s", assets=hrefs, s2__processing_baseline="03.01", **{name.replace(":", "__"): True})
    (scene,) = scenes([old], CatalogConfig(profile="plain", allowed_roots=(str(tmp_path),)), ("red",))
    assert (scene.offset, scene.quarantine) == (0, "")


def test_a_scene_without_the_property_that_is_to_be_followed_is_not_used(tmp_path: Path):
    hrefs = {"red": f"{tmp_path}/red.tif", "scl": f"{tmp_path}/scl.tif"}
    config = CatalogConfig(profile="plain", offset="flag:mine:taken_off", allowed_roots=(str(tmp_path),))
    (scene,) = scenes([item("s", assets=hrefs)], config, ("red",))
    assert "no property mine:taken_off" in scene.quarantine
    with pytest.raises(InvalidCatalogError, match="true or false"):
        scenes([item("s", assets=hrefs, mine__taken_off="yes")], config, ("red",))


def test_a_plain_catalogue_that_is_not_told_and_whose_pixels_cannot_tell_stands_by_the_baseline_and_says_so(
    tmp_path: Path,
):
    desert = made(tmp_path, "desert", carried=True, flag=False, classes=5)
    found = settle(CatalogConfig(profile="plain", allowed_roots=(str(tmp_path),)), [desert])
    (scene,) = found.plan.scenes
    assert scene.offset == -1000
    assert "catalog.offset is not told" in scene.offset_rule
    assert "pixels inconclusive" in scene.offset_rule


def test_a_plain_run_begun_before_there_was_a_choice_goes_on_with_its_offset_and_asks_nobody(tmp_path: Path):
    run = RunDirectory(str(tmp_path / "run"))
    one = made(tmp_path, "s", carried=False, flag=True)
    freeze(run, [one])
    settings = {
        "region": {"bbox": list(GROUND.bounds)},
        "windows": [{"start": "2023-08-01", "end": "2023-09-01"}],
        "catalog": {"profile": "plain", "allowed_roots": [str(tmp_path)]},
        "model": {"checkpoint": "none"},
        "output": {"run": str(run)},
    }
    known = {"catalog": {"profile": "plain", "max_cloud_cover": 100.0, "collection": None}, "composite": {}}
    begun = parse(ScanConfig, settings).as_begun(known)
    for path in tmp_path.glob("*.tif"):
        path.unlink()
    for found in (settle(begun.catalog, frozen=load_items(run)), settle(begun.catalog, [one])):
        (scene,) = found.plan.scenes
        assert (scene.offset, scene.offset_rule) == (-1000, "baseline 05.09 has an offset of -1000")
    assert "offset" not in begun.settings()["catalog"]


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


@pytest.mark.parametrize("told", ["removed", f"flag:{FLAG}"])
def test_real_scenes_of_a_plain_catalogue_come_out_with_the_offset_applied_once_where_it_is_told(
    shared_data: Path, told: str
):
    folder = shared_data / "sentinel2" / "earthsearch-33T-2023-08"
    config = CatalogConfig(profile="plain", offset=told, allowed_roots=(str(folder),))
    result = settle_real(config, real_items(folder))
    assert (len(result.scenes), result.quarantined) == (7, ())
    unit = max(result.units, key=lambda unit: len(unit.scenes))
    blue_too = {one.id: one for one in scenes(real_items(folder), config, ("blue",))}
    blue = observe(
        [blue_too[one.id] for one in unit.scenes], unit.lattice, unit.box, ("blue",), CompositeConfig()
    ).values
    assert np.isfinite(blue).any()
    assert np.nanmin(blue) >= 0


@pytest.mark.parametrize("told", [None, "in_numbers", "untold, without the flag"])
def test_no_real_scene_of_a_plain_catalogue_comes_out_with_negative_blue(shared_data: Path, told: str | None):
    folder = shared_data / "sentinel2" / "earthsearch-33T-2023-08"
    items, told_offset = real_items(folder), told if told == "in_numbers" else None
    if told not in {None, "in_numbers"}:
        for one in items:
            del one["properties"][FLAG]
    config = CatalogConfig(profile="plain", offset=told_offset, allowed_roots=(str(folder),))
    result = settle_real(config, items)
    assert result.scenes == ()
    assert len(result.quarantined) == 7
    said = "its pixels say" if told not in {None, "in_numbers"} else f"{FLAG} says"
    assert all(f"{said} it was applied already" in one.quarantine for one in result.quarantined)


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
