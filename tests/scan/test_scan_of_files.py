"""A scan of Items in files: no API is asked, and the cube is the one that a scan through an API makes."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from helpers.borderland import BORDER, COLLECTION, assert_same_cubes, border_tiles, configured, untrained, write_item
from helpers.plainrun import plain_scan

from landslide_scale.demo.satellite.stac_server import serve
from landslide_scale.errors import RunConflictError
from landslide_scale.reports.scans import plan_lines
from landslide_scale.scan.driver import prepare
from landslide_scale.scan.settings import ScanConfig
from landslide_scale.scan.verify import as_listed
from landslide_scale.strictyaml import parse

SMALL = {"region": {"bbox": [BORDER - 0.01, 46.010, BORDER + 0.02, 46.013]}}
"""Ground in both zones."""


def without_api(settings: dict[str, Any], items: Path) -> dict[str, Any]:
    catalog = {key: value for key, value in settings["catalog"].items() if key != "url"}
    return settings | {"catalog": catalog | {"items": str(items)}}


@pytest.mark.slow
def test_a_scan_of_a_runs_scenes_or_of_a_folder_is_the_scan_of_the_api_and_resumes_as_it(tmp_path: Path):
    folder = tmp_path / "scenes"
    folder.mkdir()
    made = [write_item(folder, tile) for tile in border_tiles().values()]
    checkpoint = untrained(tmp_path / "model.safetensors")
    runs = {name: tmp_path / name for name in ("api", "parquet", "folder")}
    with serve(made, [COLLECTION]) as url:
        settings = {name: configured((url, folder), checkpoint, run, **SMALL) for name, run in runs.items()}
        assert plain_scan(settings["api"]).complete
    for one in made:
        for asset in one["assets"].values():
            asset["href"] = asset["href"].removeprefix(f"{folder}/")
        (folder / f"{one['id']}.json").write_text(json.dumps(one))
    assert plain_scan(without_api(settings["parquet"], runs["api"] / "scenes.parquet")).complete
    assert plain_scan(without_api(settings["folder"], folder)).complete
    assert_same_cubes(runs["api"], runs["parquet"])
    assert_same_cubes(runs["api"], runs["folder"])
    recorded = {name: json.loads((run / "run.json").read_text())["settings"] for name, run in runs.items()}
    assert recorded["api"] == recorded["parquet"] == recorded["folder"]
    shutil.rmtree(runs["api"] / "cube.zarr" / "EPSG_32634")
    assert plain_scan(without_api(settings["api"], folder), standing=as_listed).complete
    assert_same_cubes(runs["api"], runs["folder"])


def test_a_filter_is_recorded_and_a_run_without_one_is_not_gone_on_with_under_it(tmp_path: Path):
    folder = tmp_path / "scenes"
    folder.mkdir()
    items = tmp_path / "items.ndjson"
    items.write_text("\n".join(json.dumps(write_item(folder, tile)) for tile in border_tiles().values()))
    checkpoint = untrained(tmp_path / "m.safetensors")
    settings = without_api(configured(("", folder), checkpoint, tmp_path / "run", **SMALL), items)
    west = settings | {"catalog": settings["catalog"] | {"filter": {"tiles": ["33TWM"]}}}
    west["output"] = {"run": str(tmp_path / "west")}
    assert plain_scan(settings).complete
    assert plain_scan(west).complete
    recorded = json.loads((tmp_path / "west" / "run.json").read_text())["settings"]["catalog"]
    assert recorded["filter"] == {"tiles": ["33TWM"]}
    assert "filter" not in json.loads((tmp_path / "run" / "run.json").read_text())["settings"]["catalog"]
    with pytest.raises(RunConflictError, match=r"catalog\.filter"):
        plain_scan(west | {"output": settings["output"]})


def test_a_plan_says_what_a_filter_leaves_out_and_where_the_catalogue_holds_suspiciously_few(tmp_path: Path):
    made = [write_item(tmp_path, tile) for tile in border_tiles().values()]
    for one in made[:2]:
        one["properties"] |= {"view:sun_elevation": 50.0, "eo:cloud_cover": 80.0 if one["id"] == "a" else 1.0}
    (tmp_path / "items.json").write_text(json.dumps({"type": "FeatureCollection", "features": made}))
    settings = without_api(
        configured(("", tmp_path), untrained(tmp_path / "m.safetensors"), tmp_path / "run"), tmp_path / "items.json"
    )
    settings["catalog"] |= {"filter": {"min_sun_elevation": 40}, "max_cloud_cover": 60}
    lines = plan_lines(prepare(parse(ScanConfig, settings)))
    (window,) = [line for line in lines if line.startswith("2023-08-01 to 2023-09-01: ")]
    assert window.startswith("2023-08-01 to 2023-09-01: 1 scenes")
    assert "left out: 1 of 4 scenes found, by catalog.max_cloud_cover" in lines
    assert "left out: 2 of 4 scenes found, by catalog.filter.min_sun_elevation, which it does not state" in lines
    (few,) = [line for line in lines if line.startswith("suspiciously few scenes in made")]
    assert "of tile 34TWM 1 of at least 6 datatakes" in few
    assert "(other tiles with too few: 1)" in few
    assert not (tmp_path / "run").exists()
