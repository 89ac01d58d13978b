"""A scene is evidence, not a precondition: what is wrong with one Item takes that scene out, named, and nothing else.

A window without any scene is a result too: an empty layer.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from helpers.borderland import (
    COLLECTION,
    assert_same_cubes,
    border_tiles,
    configured,
    snapshot,
    write_cog,
    write_item,
)
from helpers.cubes import created
from helpers.plainrun import plain_append, plain_scan

from landslide_scale.bands import Reason
from landslide_scale.cube import template
from landslide_scale.cube.ledger import Ledger
from landslide_scale.cube.settings import GridConfig
from landslide_scale.demo.satellite.stac_server import serve
from landslide_scale.errors import InvalidCatalogError
from landslide_scale.grid import Lattice, PixelBox, Zone
from landslide_scale.inspection.status import lines, status
from landslide_scale.labels.foreseen import foresee
from landslide_scale.labels.settings import ChipsConfig
from landslide_scale.reports.scans import plan_lines, scan_report
from landslide_scale.scan import driver, work
from landslide_scale.scan import verify as checking
from landslide_scale.scan.driver import prepare
from landslide_scale.scan.prepared import Prepared
from landslide_scale.scan.settings import ScanConfig
from landslide_scale.scan.survey import without
from landslide_scale.scene import Window, utc
from landslide_scale.stac.aside import SetAside, keep_aside, load_aside
from landslide_scale.stac.frozen import load_items
from landslide_scale.storage.rundir import RunDirectory
from landslide_scale.strictyaml import parse

AUGUST = {"start": "2023-08-01", "end": "2023-09-01"}
MAY = {"start": "2023-05-01", "end": "2023-06-01"}
Item = dict[str, Any]
Settings = dict[str, Any]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("scenes")


@pytest.fixture(scope="module")
def written(folder: Path) -> dict[str, Item]:
    return {name: write_item(folder, tile) for name, tile in border_tiles().items()}


@pytest.fixture
def items(written: dict[str, Item]) -> dict[str, Item]:
    return copy.deepcopy(written)


@contextmanager
def asked_of(items: dict[str, Item], folder: Path, checkpoint: str, run: Path, **changes: object) -> Iterator[Settings]:
    """The settings of a small scan of a catalogue of these Items."""
    with serve(list(items.values()), [COLLECTION]) as url:
        small = {"region": {"bbox": [17.992, 46.010, 18.008, 46.015]}}
        yield configured((url, folder), checkpoint, run, **(small | changes))


def without_red(item: Item) -> None:
    del item["assets"]["red"]


def without_baseline(item: Item) -> None:
    del item["properties"]["s2:processing_baseline"]
    item["properties"]["s2:datatake_id"] = item["properties"]["s2:datatake_id"].removesuffix("_N05.09")


def of_a_foreign_host(item: Item) -> None:
    item["assets"]["red"]["href"] = "https://elsewhere.example/red.tif"


def of_no_system(item: Item) -> None:
    item["properties"]["proj:epsg"] = None


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (without_red, "no asset 'red'"),
        (without_baseline, "processing baseline None"),
        (of_a_foreign_host, "asset red at https://elsewhere.example"),
        (of_no_system, "no coordinate reference system"),
    ],
)
def test_an_item_that_lacks_something_is_set_aside_and_named_and_the_others_are_scanned(  # noqa: PLR0917
    items: dict[str, Item], folder: Path, checkpoint: str, tmp_path: Path, spoil: Callable[[Item], None], said: str
):
    run, sound = tmp_path / "run", copy.deepcopy(items)
    spoil(items["d"])
    with asked_of(items, folder, checkpoint, run) as settings:
        (planned,) = [line for line in plan_lines(prepare(parse(ScanConfig, settings))) if "not used" in line]
        summary = plain_scan(settings)
    assert planned.startswith(f"not used: scene d: {said}")
    assert summary.complete
    assert planned in scan_report(summary).splitlines()
    assert planned in lines(status(RunDirectory(str(run)))[0])
    reason = planned.removeprefix("not used: scene d: ")
    assert json.loads((run / "run.json").read_text())["quarantined"] == {"d": reason}
    records = Ledger(RunDirectory(str(run))).records().values()
    named = [record for record in records if {"id": "d", "quarantined": reason} in record.scenes]
    assert named
    del sound["d"]
    with asked_of(sound, folder, checkpoint, tmp_path / "without") as settings:
        assert plain_scan(settings).complete
    assert_same_cubes(run, tmp_path / "without")


def test_what_was_set_aside_is_frozen_with_the_run_whatever_the_catalogue_says_later(
    items: dict[str, Item], folder: Path, checkpoint: str, tmp_path: Path
):
    run, sound = tmp_path / "run", copy.deepcopy(items)
    without_red(items["d"])
    with asked_of(items, folder, checkpoint, run) as settings:
        first = plain_scan(settings)
    before = snapshot(run / "cube.zarr")
    later = {"start": "2023-09-01", "end": "2023-10-01"}
    with asked_of(sound, folder, checkpoint, run) as settings:
        assert plain_scan(settings).quarantined == first.quarantined != ()
        assert plain_append(settings | {"windows": [AUGUST, later]}).quarantined == first.quarantined
    layers = {name: content for name, content in snapshot(run / "cube.zarr").items() if "/c/0/" in name}
    assert all(layers[name] == before[name] for name in layers if "time" not in name)
    assert {item["id"] for item in load_items(RunDirectory(str(run)))} == {"a", "b", "c"}


def test_a_bad_item_that_reaches_no_block_is_not_worth_a_word(
    items: dict[str, Item], folder: Path, checkpoint: str, tmp_path: Path
):
    far = copy.deepcopy(items["a"]) | {"id": "far"}
    far["properties"]["proj:bbox"] = [600_000, 5_090_000, 700_000, 5_101_200]
    for asset in far["assets"].values():
        del asset["proj:shape"], asset["proj:transform"]
    without_red(far)
    with asked_of(items | {"far": far}, folder, checkpoint, tmp_path / "run") as settings:
        summary = plain_scan(settings | {"catalog": settings["catalog"] | {"max_bad": 0.0}})
    assert summary.complete
    assert summary.quarantined == ()
    records = Ledger(RunDirectory(str(tmp_path / "run"))).records().values()
    assert not any(scene["id"] == "far" for record in records for scene in record.scenes)


def test_an_item_that_does_not_say_where_or_when_may_be_of_every_unit(
    items: dict[str, Item], folder: Path, checkpoint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    with asked_of(items, folder, checkpoint, tmp_path / "run", windows=[AUGUST, MAY]) as settings:
        nowhere = items["d"] | {"id": "nowhere", "geometry": None, "properties": {}}
        search = prepare.__globals__["kept_or_searched"].__globals__["search"].search
        monkeypatch.setattr("landslide_scale.stac.search.search", lambda *given: [*search(*given), nowhere])
        made = prepare(parse(ScanConfig, settings)).survey.plan
    assert made.units
    assert all([scene.id for scene in unit.quarantined] == ["nowhere"] for unit in made.units)


def test_a_window_that_has_no_scene_left_and_more_bad_items_than_stated_are_refused_before_anything_is_written(
    items: dict[str, Item], folder: Path, checkpoint: str, tmp_path: Path
):
    for name in ("a", "b", "c"):
        without_red(items[name])
    early, late = ({"start": f"2023-08-{a}", "end": f"2023-08-{b}"} for a, b in (("01", "05"), ("05", "20")))
    with asked_of(items, folder, checkpoint, tmp_path / "run") as settings:
        with pytest.raises(InvalidCatalogError, match=r"3 of 4 scenes cannot be used, .* scene a: no asset 'red'"):
            plain_scan(settings)
        loose = settings | {"catalog": settings["catalog"] | {"max_bad": 1.0}}
        with pytest.raises(InvalidCatalogError, match="no scene is left from 2023-08-01 to 2023-08-05"):
            plain_scan(loose | {"windows": [early, late]})
        assert not (tmp_path / "run").exists()
        assert plain_scan(loose).complete
        on_purpose = loose | {"windows": [early, late], "output": {"run": str(tmp_path / "other")}}
        on_purpose["catalog"] = loose["catalog"] | {"exclude": ["a", "b", "c"]}
        summary = plain_scan(on_purpose)
    assert summary.complete
    assert summary.unseen == ("2023-08-01 to 2023-08-05",)


def test_excluded_scenes_are_left_out_and_a_run_gone_on_with_is_done_anew_without_further_ones(
    items: dict[str, Item], folder: Path, checkpoint: str, tmp_path: Path
):
    run = tmp_path / "run"
    with asked_of(items, folder, checkpoint, run) as settings:
        assert plain_scan(settings).complete
        with_all = Ledger(RunDirectory(str(run))).records()
        excluding = copy.deepcopy(settings)
        excluding["catalog"]["exclude"] = ["d", "of another region"]
        summary = plain_scan(excluding)
        assert summary.complete
        assert summary.quarantined == ("d: left out by catalog.exclude",)
        gone_on = snapshot(run / "cube.zarr")
        assert plain_scan(settings).quarantined == summary.quarantined  # once left out, it stays out
        assert snapshot(run / "cube.zarr") == gone_on
        excluding["output"]["run"] = str(tmp_path / "at once")
        assert plain_scan(excluding).complete
    assert_same_cubes(run, tmp_path / "at once")
    now = Ledger(RunDirectory(str(run))).records()
    anew = {name for name in now if now[name].attempts > with_all[name].attempts}
    assert anew == {name for name, one in with_all.items() if any(scene["id"] == "d" for scene in one.scenes)}
    assert anew


@pytest.mark.parametrize(("processings", "planned"), [("newest", "a b c d"), ("ordered", "a b b_older c d")])
def test_an_older_processing_takes_the_place_of_an_unreadable_scene(  # noqa: PLR0917
    items: dict[str, Item], folder: Path, checkpoint: str, tmp_path: Path, processings: str, planned: str
):
    composite = {"processings": processings}
    older = copy.deepcopy(items["b"]) | {"id": "b_older"}
    older["properties"]["s2:processing_baseline"] = "04.00"
    items["b"]["assets"]["red"]["href"] = str(folder / "gone.tif")
    run = tmp_path / "run"
    with asked_of(items | {"older": older}, folder, checkpoint, run, composite=composite) as settings:
        survey = prepare(parse(ScanConfig, settings)).survey
        summary = plain_scan(settings)
    assert [scene.id for scene in survey.plan.scenes] == planned.split()
    after = without(survey, {"b": "gone"}).plan
    assert [scene.id for scene in after.scenes] == ["a", "b_older", "c", "d"]
    assert summary.complete
    assert [one.partition(":")[0] for one in summary.quarantined] == ["b"]
    del items["b"]
    with asked_of(items | {"older": older}, folder, checkpoint, tmp_path / "older", composite=composite) as settings:
        assert plain_scan(settings).complete
    assert_same_cubes(run, tmp_path / "older")


def torn(folder: Path, item: Item) -> None:
    """A file whose header is whole, so that it opens, and whose pixels are not all there."""
    path = Path(item["assets"]["red"]["href"])
    content = path.read_bytes()
    path = folder / f"torn-{path.name}"
    path.write_bytes(content[: len(content) * 6 // 10])
    item["assets"]["red"]["href"] = str(path)


def test_scenes_that_turn_out_unreadable_one_after_the_other_are_all_set_aside(
    items: dict[str, Item], folder: Path, checkpoint: str, tmp_path: Path
):
    for name in ("b", "d"):
        torn(folder, items[name])
    with asked_of(items, folder, checkpoint, tmp_path / "run") as settings:
        summary = plain_scan(settings)
        assert summary.complete, summary.errors
        assert [one.partition(": band red")[0] for one in summary.quarantined] == ["b", "d"]
        attempts = {record.attempts for record in Ledger(RunDirectory(str(tmp_path / "run"))).records().values()}
        assert max(attempts) > 3  # two tries for the one, two for the other, and then it was done
        settings["catalog"]["exclude"] = ["b", "d"]
        assert plain_scan(settings | {"output": {"run": str(tmp_path / "whole")}}).complete
    assert_same_cubes(tmp_path / "run", tmp_path / "whole")


def test_a_run_that_is_stopped_between_rounds_comes_to_what_one_does_that_is_not(
    items: dict[str, Item], folder: Path, checkpoint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """One scene turns out unreadable and is within max_bad; with the next one there are too many."""
    for name in ("b", "d"):
        torn(folder, items[name])
    with asked_of(items, folder, checkpoint, tmp_path / "whole", catalog={"max_bad": 0.3}) as settings:
        settings["region"] = {"bbox": [17.975, 46.010, 18.008, 46.015]}
        whole = plain_scan(settings)
        again = settings | {"output": {"run": str(tmp_path / "stopped")}}
        with monkeypatch.context() as patched:
            patched.setattr(driver, "_laid_out_again", _stopped_after(driver._laid_out_again))
            with pytest.raises(KeyboardInterrupt):
                plain_scan(again)
        assert load_aside(RunDirectory(str(tmp_path / "stopped"))).unreadable.keys() == {"d"}
        stopped = plain_scan(again)
        assert sorted(stopped.errors) == sorted(whole.errors)
        assert replace(stopped, run=whole.run, errors=whole.errors) == whole
        assert plain_scan(again) == stopped
    assert whole.shortage.startswith("2 of 4 scenes cannot be used")
    assert whole.failed
    assert whole.written
    assert_same_cubes(tmp_path / "stopped", tmp_path / "whole")


def test_units_that_an_unreadable_older_processing_was_not_needed_for_are_not_done_again(
    checkpoint: str, tmp_path: Path
):
    """It is read where the newest has no data: in the tile's west."""
    tile = border_tiles()["a"]
    newest = write_item(tmp_path, tile)
    older = copy.deepcopy(newest) | {"id": "a_older"}
    older["properties"]["s2:processing_baseline"] = "04.00"
    place = (10.0, 0.0, float(tile.west), 0.0, -10.0, float(tile.north))
    for band, values in (("red", tile.numbers + 1000), ("scl", tile.scl(None))):
        gap = values.copy()
        gap[:, :80] = 0
        for name, written in (("newest", gap), ("older", values)):
            path = tmp_path / f"{name}-{band}.tif"
            write_cog(path, written, epsg=tile.epsg, transform=place, nodata=0)
            (newest if name == "newest" else older)["assets"][band]["href"] = str(path)
    torn(tmp_path, older)
    changes = {"composite": {"processings": "ordered"}, "catalog": {"max_bad": 0.9}}
    with serve([newest, older], [COLLECTION]) as url:
        settings = configured((url, tmp_path), checkpoint, tmp_path / "run", **changes)
        settings["region"] = {"bbox": [17.975, 46.010, 17.998, 46.018]}
        summary = plain_scan(settings)
    assert summary.complete, summary.errors
    assert [one.partition(":")[0] for one in summary.quarantined] == ["a_older"]
    attempts = [record.attempts for record in Ledger(RunDirectory(str(tmp_path / "run"))).records().values()]
    assert sorted(set(attempts)) == [1, 3], "two tries with it and one without, or one alone"


def _stopped_after(decide: Callable[[Prepared], None]) -> Callable[[Prepared], None]:
    def decided(prepared: Prepared) -> None:
        decide(prepared)
        raise KeyboardInterrupt

    return decided


def test_an_older_processing_that_comes_in_is_asked_where_its_catalogue_is_in_doubt_and_what_it_said_is_kept(
    items: dict[str, Item], folder: Path, checkpoint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """All tiles carry the offset; of the older processing the catalogue says that it was taken off."""
    older = copy.deepcopy(items["b"]) | {"id": "b_older"}
    older["properties"]["s2:processing_baseline"] = "04.00"
    for one in (*items.values(), older):
        one["properties"]["earthsearch:boa_offset_applied"] = one is older
        one["assets"]["blue"] = dict(one["assets"]["red"])
    torn(folder, items["b"])
    run, profile = tmp_path / "run", {"profile": "earth-search-v1"}
    with asked_of(items | {"older": older}, folder, checkpoint, run, catalog=profile) as settings:
        summary = plain_scan(settings)
        assert summary.complete, summary.errors
        assert [one.partition(":")[0] for one in summary.quarantined] == ["b", "b_older"]
        assert "its pixels say it was never applied" in summary.quarantined[1]
        monkeypatch.setattr("landslide_scale.scan.survey.ask_pixels", None)  # nobody is asked again
        assert plain_scan(settings).quarantined == summary.quarantined


def test_chips_are_made_without_bad_items_too(items: dict[str, Item], folder: Path, checkpoint: str, tmp_path: Path):
    without_red(items["d"])
    labels = tmp_path / "labels.geojson"
    ring = [[18, 46], [18.001, 46], [18.001, 46.001], [18, 46]]
    labels.write_text(json.dumps({"type": "Polygon", "coordinates": [ring]}))
    with asked_of(items, folder, checkpoint, tmp_path / "run") as settings:
        asked = {key: settings[key] for key in ("region", "windows", "catalog")}
        asked |= {"labels": {"file": str(labels)}, "directory": str(tmp_path / "x")}
        config = asked | {"bands": ["red"], "size": 96}
        plan = foresee(parse(ChipsConfig, config)).survey.plan
    assert [scene.id for scene in plan.scenes] == ["a", "b", "c"]
    assert [scene.id for scene in plan.quarantined] == ["d"]


def test_a_cube_of_before_keeps_the_reasons_it_had(tmp_path: Path):
    grid, windows = GridConfig(block=32, chunk=32), (Window(start=utc("2023-08-01"), end=utc("2023-09-01")),)
    lattice = Lattice(zone=Zone.utm(33, southern=False), resolution=10, block=32)
    extents = {lattice: PixelBox(row_start=-32, row_stop=0, col_start=0, col_stop=32)}
    url = str(tmp_path / "cube.zarr")
    created(url, template.Template(extents=extents, windows=windows, grid=grid, sharded=True))
    reason = zarr.open_group(url, mode="r+")["EPSG_32633/reason"]
    said = {"flag_values": list(range(10)), "flag_meanings": " ".join(one.name.lower() for one in list(Reason)[:10])}
    reason.update_attributes(said)
    further = (*windows, Window(start=utc("2023-09-01"), end=utc("2023-10-01")))
    created(url, template.Template(extents=extents, windows=further, grid=grid, sharded=True))
    attributes = zarr.open_group(url, mode="r")["EPSG_32633/reason"].attrs
    assert {name: attributes[name] for name in said} == said


def test_what_is_set_aside_is_kept_as_it_is(items: dict[str, Item], folder: Path, checkpoint: str, tmp_path: Path):
    without_red(items["d"])
    with asked_of(items, folder, checkpoint, tmp_path / "run", catalog={"exclude": ["a"]}) as settings:
        aside = prepare(parse(ScanConfig, settings)).survey.aside
    run = RunDirectory(str(tmp_path / "kept"))
    keep_aside(run, SetAside())
    assert not (tmp_path / "kept").exists()
    aside = SetAside(rejected=aside.rejected, excluded=aside.excluded, unreadable={"b": "band red: gone"})
    keep_aside(run, aside)
    assert load_aside(run) == aside
    assert [scene.id for scene in (*aside.rejected, *aside.excluded)] == ["d", "a"]


def test_a_window_without_scenes_is_an_empty_layer_that_says_so_and_costs_no_read(
    items: dict[str, Item], folder: Path, checkpoint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    read: list[int] = []
    observe = work.observe
    monkeypatch.setattr(work, "observe", lambda scenes, *given: read.append(len(scenes)) or observe(scenes, *given))
    with asked_of(items, folder, checkpoint, tmp_path / "run", windows=[MAY, AUGUST]) as settings:
        planned = plan_lines(prepare(parse(ScanConfig, settings)))
        summary = plain_scan(settings)
    assert "2023-05-01 to 2023-06-01: 0 scenes, its layer stays empty" in planned
    assert summary.complete
    assert "no scene from 2023-05-01 to 2023-06-01: its layer is empty" in scan_report(summary)
    assert json.loads((tmp_path / "run" / "run.json").read_text())["windows_without_scenes"] == [
        "2023-05-01 to 2023-06-01"
    ]
    records = Ledger(RunDirectory(str(tmp_path / "run"))).records()
    assert {record.state for name, record in records.items() if "-t0-" in name} == {"empty"}
    assert read.count(0) == sum("-t0-" in name for name in records)
    for _, group in zarr.open_group(str(tmp_path / "run" / "cube.zarr"), mode="r").groups():
        reason = np.asarray(group["reason"])
        inside = reason[1] != Reason.NOT_SCANNED
        assert inside.any()
        assert (reason[0][inside] == 10).all()
        assert (reason[0][~inside] == Reason.NOT_SCANNED).all()
        assert not (reason[1] == 10).any()
        assert (np.asarray(group["probability"])[0] == 255).all()
        assert group["reason"].attrs["flag_meanings"].split()[10] == "no_scene"


def test_windows_of_which_none_or_not_all_that_are_required_have_scenes_are_refused(
    items: dict[str, Item], folder: Path, checkpoint: str, tmp_path: Path
):
    with asked_of(items, folder, checkpoint, tmp_path / "run", windows=[MAY]) as settings:
        with pytest.raises(InvalidCatalogError, match=r"around 18\.00 E 46\.01 N, from 2023-05-01.* \(0 found\)"):
            plain_scan(settings)
        required = settings | {"windows": [AUGUST, MAY], "catalog": settings["catalog"] | {"require": "all"}}
        with pytest.raises(InvalidCatalogError, match="2023-05-01"):
            plain_scan(required)
        cloudy = settings | {"windows": [AUGUST], "catalog": settings["catalog"] | {"max_cloud_cover": 0.5}}
        with pytest.raises(InvalidCatalogError, match=r"catalog\.max_cloud_cover"):
            plain_scan(cloudy)
    assert not (tmp_path / "run").exists()


def test_a_run_begun_before_there_were_empty_layers_says_no_data_as_it_did(
    items: dict[str, Item], folder: Path, checkpoint: str, tmp_path: Path
):
    """It may have a window whose scenes are all above its cloud limit."""
    run = RunDirectory(str(tmp_path / "run"))
    items["d"]["properties"]["eo:cloud_cover"] = 90.0
    early, late = ({"start": f"2023-08-{a}", "end": f"2023-08-{b}"} for a, b in (("01", "05"), ("05", "20")))
    changes = {"windows": [early, late], "catalog": {"max_cloud_cover": 50}}
    with asked_of(items, folder, checkpoint, tmp_path / "run", **changes) as settings:
        assert plain_scan(settings).complete
        before = run.read_json("run.json")
        del before["settings"]["catalog"]["require"]
        run.write_json("run.json", before)
        victims = sorted(unit for unit in Ledger(run).records() if "-t1-" in unit)
        for path in (tmp_path / "run" / "cube.zarr").glob("*/reason/c/1/*/*"):
            path.unlink()
        assert plain_scan(settings, standing=checking.as_listed).complete
    records = Ledger(run).records()
    assert {records[unit].attempts for unit in victims} == {2}
    for _, group in zarr.open_group(str(tmp_path / "run" / "cube.zarr"), mode="r").groups():
        assert set(np.unique(np.asarray(group["reason"])[1])) <= {Reason.NO_DATA, Reason.NOT_SCANNED}
