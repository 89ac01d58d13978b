"""One layer of one season of several years: its scenes are those of all its years, and of nothing in between."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from helpers.borderland import assert_same_cubes, border_tiles, configured, snapshot, untrained, write_item
from helpers.plainrun import plain_append, plain_scan

from landslide_scale.errors import RunConflictError
from landslide_scale.inspection.coverage import as_png
from landslide_scale.inspection.status import lines, status
from landslide_scale.reports.scans import plan_lines
from landslide_scale.scan.driver import prepare
from landslide_scale.scan.settings import ScanConfig
from landslide_scale.storage.rundir import RunDirectory
from landslide_scale.strictyaml import parse

SUMMERS = {"start": "2021-08-01", "end": "2021-08-20", "years": 3}
AUTUMN = {"start": "2023-09-01", "end": "2023-10-01"}
DAYS = ("2021-08-03", "2022-08-03", "2022-12-03", "2023-08-03", "2023-09-05")

Settings = dict[str, Any]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Items of one tile: of three summers, a winter between them, and an autumn after."""
    folder = tmp_path_factory.mktemp("scenes")
    made = write_item(folder, border_tiles()["a"])
    for day in DAYS:
        stamp = day.replace("-", "")
        said = {"datetime": f"{day}T10:00:07Z", "s2:datatake_id": f"GS2A_{stamp}T100000_040000_N05.09"}
        one = made | {"id": day, "properties": made["properties"] | said}
        (folder / f"{day}.json").write_text(json.dumps(one))
    untrained(folder / "model.safetensors")
    return folder


def of(folder: Path, run: Path, *windows: dict[str, Any], **catalog: object) -> Settings:
    settings = configured(("", folder), str(folder / "model.safetensors"), run, windows=list(windows))
    del settings["catalog"]["url"]
    settings["region"] = {"bbox": [17.978, 46.008, 17.99, 46.015]}
    settings["catalog"] |= {"items": f"{folder}/*.json", "offset": "in_numbers"} | catalog
    return settings


def layer(run: Path, number: int = 0) -> xr.Dataset:
    return xr.open_datatree(run / "cube.zarr", engine="zarr", chunks=None)["EPSG_32633"].to_dataset().isel(time=number)


def test_a_layer_is_of_the_scenes_of_all_its_years_and_of_none_between(folder: Path, tmp_path: Path):
    assert plain_scan(of(folder, tmp_path / "run", SUMMERS)).complete
    found = layer(tmp_path / "run")
    assert set(np.unique(found.clear_count)) == {0, 3}
    assert set(np.unique(found.observed_on.to_numpy()[found.clear_count.to_numpy() > 0])) == {
        np.datetime64("2023-08-03")
    }
    assert int(found.years) == 3
    # The same scenes of one long window are the same pixels.
    long = {"start": "2021-08-01", "end": "2023-08-20"}
    assert plain_scan(of(folder, tmp_path / "long", long, exclude=["2022-12-03"])).complete
    for name in ("probability", "clear_count", "observed_on", "reason"):
        assert layer(tmp_path / "long")[name].to_numpy().tobytes() == found[name].to_numpy().tobytes()


def test_plan_status_and_map_say_which_years(folder: Path, tmp_path: Path):
    settings = of(folder, tmp_path / "run", SUMMERS, {"start": "2016-08-01", "end": "2016-08-20", "years": 2})
    planned = plan_lines(prepare(parse(ScanConfig, settings)))
    assert "2021-08-01 to 2021-08-20, each year to 2023: 3 scenes (1 + 1 + 1)" in planned
    assert "2016-08-01 to 2016-08-20, each year to 2017: 0 scenes (0 + 0), its layer stays empty" in planned
    summary = plain_scan(settings)
    assert summary.unseen == ("2016-08-01 to 2016-08-20, each year to 2017",)
    found, laid, records = status(RunDirectory(str(tmp_path / "run")))
    assert any("2021-08-01 to 2021-08-20, each year to 2023" in line for line in lines(found))
    assert as_png(laid, records, []).startswith(b"\x89PNG")


def test_a_season_is_gone_on_with_as_itself_alone(folder: Path, tmp_path: Path):
    settings = of(folder, tmp_path / "run", SUMMERS)
    assert plain_scan(settings).complete
    assert plain_scan(settings).complete
    before = snapshot(tmp_path / "run")
    for other in (SUMMERS | {"years": 2}, {key: value for key, value in SUMMERS.items() if key != "years"}):
        with pytest.raises(RunConflictError, match="windows"):
            plain_scan(settings | {"windows": [other]})
    assert snapshot(tmp_path / "run") == before


def test_what_is_added_to_a_season_begins_when_its_last_year_has_ended(folder: Path, tmp_path: Path):
    assert plain_scan(of(folder, tmp_path / "run", SUMMERS)).complete
    before = snapshot(tmp_path / "run")
    for between in ({"start": "2022-12-01", "end": "2022-12-20"}, AUTUMN | {"start": "2023-08-19"}):
        with pytest.raises(RunConflictError, match="2023-08-20T00:00:00"):
            plain_append(of(folder, tmp_path / "run", SUMMERS, between))
    assert snapshot(tmp_path / "run") == before
    assert plain_append(of(folder, tmp_path / "run", SUMMERS, AUTUMN)).complete
    assert plain_scan(of(folder, tmp_path / "both", SUMMERS, AUTUMN)).complete
    assert_same_cubes(tmp_path / "run", tmp_path / "both")
    assert set(np.unique(layer(tmp_path / "run", 1).clear_count)) == {0, 1}


def test_a_season_may_be_added_to_a_run_without_one(folder: Path, tmp_path: Path):
    assert plain_scan(of(folder, tmp_path / "run", SUMMERS | {"years": 1})).complete
    assert "years" not in layer(tmp_path / "run")
    later = SUMMERS | {"start": "2022-08-01", "end": "2022-08-20", "years": 2}
    wanted = of(folder, tmp_path / "run", SUMMERS | {"years": 1}, later)
    assert plain_append(wanted).complete
    assert plain_scan(wanted | {"output": {"run": str(tmp_path / "both")}}).complete
    assert_same_cubes(tmp_path / "run", tmp_path / "both")
    assert int(layer(tmp_path / "run", 1).years) == 2
