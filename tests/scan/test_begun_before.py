"""A run begun by an older release goes on under its own rules, to the pixels that release would have given.

``begun_before.zip`` holds such a run, half of its units done, and what the whole cube held in the end: made at ca06fb2
from the borderland of ``helpers/borderland.py``, with a checkpoint that is a card alone. Addresses in its frozen Items
begin with ``/scenes``.
"""

from __future__ import annotations

import hashlib
import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
import rioxarray  # noqa: F401 registers .rio
import shapely
import xarray as xr
import zarr
from helpers.borderland import border_tiles, configured, write_item
from helpers.plainrun import Roles, engine, silent

from landslide_scale.cube.arrays import VARIABLES
from landslide_scale.cube.ledger import Ledger
from landslide_scale.errors import RunConflictError
from landslide_scale.products.scanned import scanned
from landslide_scale.scan import driver
from landslide_scale.scan.settings import ScanConfig
from landslide_scale.scan.verify import verify
from landslide_scale.stac.frozen import freeze, load_items
from landslide_scale.storage.rundir import RunDirectory
from landslide_scale.strictyaml import parse

RECORDED = Path(__file__).parent / "begun_before.zip"


@pytest.fixture
def begun(tmp_path: Path) -> Path:
    """The recorded run, its scenes made anew beside it."""
    with zipfile.ZipFile(RECORDED) as archive:
        archive.extractall(tmp_path)
    scenes = tmp_path / "scenes"
    scenes.mkdir()
    for name, tile in border_tiles().items():
        write_item(scenes, tile, slice(0, 100) if name == "d" else None)
    run = RunDirectory(str(tmp_path / "run"))
    items = [dict(item) for item in load_items(run)]
    for item in items:
        for asset in item["assets"].values():
            asset["href"] = asset["href"].replace("/scenes", str(scenes), 1)
    freeze(run, items)
    return tmp_path


def config(folder: Path, **changes: object) -> ScanConfig:
    composite = {"method": "median", "dilate_m": 30} | changes
    gone = "http://127.0.0.1:9", folder / "scenes"
    return parse(ScanConfig, configured(gone, str(folder / "model.safetensors"), folder / "run", composite=composite))


def pixels(cube: Path) -> dict[str, str]:
    """SHA-256 of the values of every array."""
    return {
        f"{group.name}/{variable.name}": hashlib.sha256(
            np.ascontiguousarray(
                zarr.open_array(str(cube), mode="r", path=f"{group.name}/{variable.name}")[...]
            ).tobytes()
        ).hexdigest()
        for group in sorted(cube.glob("EPSG_*"))
        for variable in VARIABLES
    }


def test_a_run_begun_by_an_older_release_is_finished_to_the_same_pixels(begun: Path):
    done = len(list((begun / "run" / "ledger" / "units").iterdir()))
    settings = RunDirectory(str(begun / "run")).read_json("run.json")["settings"]
    wanted = config(begun)
    summary = driver.begin(wanted, engine(wanted, Roles()), resume=True, progress=silent)
    assert (done, summary.units, summary.complete) == (10, 21, True)
    records = Ledger(RunDirectory(str(begun / "run"))).records()
    assert sum(record.attempts for record in records.values()) == 21  # what was done is not done again
    expected = json.loads((begun / "whole.json").read_text())
    assert pixels(begun / "run" / "cube.zarr").items() >= expected.items()
    assert verify(RunDirectory(str(begun / "run")), lambda *_: None).whole
    assert RunDirectory(str(begun / "run")).read_json("run.json")["settings"] == settings
    # What it lacked it has gained: its region, and a coordinate system for whoever opens its cube.
    assert scanned(RunDirectory(str(begun / "run"))).region.equals(shapely.box(*wanted.region.bbox))
    opened = xr.open_datatree(begun / "run" / "cube.zarr", engine="zarr")
    assert {name: group.probability.rio.crs.to_epsg() for name, group in opened.children.items()} == {
        "EPSG_32633": 32633,
        "EPSG_32634": 32634,
    }


def test_what_it_was_begun_with_is_not_changed_on_the_way(begun: Path):
    wanted = config(begun, dilate_m=40)
    with pytest.raises(RunConflictError, match=r"composite\.dilate_m: 30.0 there, 40.0 now"):
        driver.begin(wanted, engine(wanted, Roles()), resume=True, progress=silent)
