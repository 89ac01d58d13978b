"""Runs begun when the rules of the ground were others go on under those; new ones are not begun under them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import shapely
from helpers.borderland import assert_same_cubes, configured
from helpers.plainrun import plain_append, plain_scan

from landslide_scale.errors import InvalidConfigError, RunConflictError
from landslide_scale.grid import Lattice, Zone
from landslide_scale.labels.foreseen import foresee
from landslide_scale.labels.settings import ChipsConfig
from landslide_scale.scan import layout, prepared
from landslide_scale.scan.plan import Place, lattices
from landslide_scale.scan.settings import ScanConfig
from landslide_scale.storage.rundir import RunDirectory
from landslide_scale.strictyaml import parse

BERGEN = [5.2, 60.3, 5.5, 60.5]
GRID = {"resolution": 10, "block": 96, "chunk": 32}
MERCATOR = {"region": {"bbox": [17.995, 46.010, 18.003, 46.013]}, "grid": GRID | {"crs": 3857}}


def begun(settings: dict[str, Any]) -> RunDirectory:
    """The folder of a run that was stopped as soon as it had claimed it, when no rule was checked."""
    config = parse(ScanConfig, settings)
    model = prepared.fitting(config)
    request, _ = prepared.asked(config, model.bands, model.patches)
    recorded = prepared.result_settings(config, model, request)
    recorded["grid"].pop("zones", None)
    run = RunDirectory(config.output.run)
    run.claim("scan", recorded, resume=False)
    return run


def test_a_run_begun_in_metres_that_are_not_the_grounds_goes_on_and_grows_and_a_new_one_is_not_begun(
    catalogue: tuple[str, Path], checkpoint: str, tmp_path: Path
):
    settings = configured(catalogue, checkpoint, tmp_path / "new", **MERCATOR)
    for resume in (False, True):
        with pytest.raises(InvalidConfigError, match="EPSG:3857") as caught:
            plain_scan(settings, resume=resume)
        assert caught.value.where["key"] == "grid.crs"
    assert not (tmp_path / "new").exists()
    early, late = {"start": "2023-08-01", "end": "2023-08-05"}, {"start": "2023-08-05", "end": "2023-08-20"}
    old = configured(catalogue, checkpoint, tmp_path / "old", **MERCATOR, windows=[early])
    run = begun(old)
    with pytest.raises(RunConflictError, match="--resume"):
        plain_scan(old, resume=False)
    summary = plain_scan(old, resume=True)
    assert summary.complete
    assert summary.observed_km2 > 0
    assert plain_append(old | {"windows": [early, late]}).complete
    assert {place.lattice.zone for place in layout.load(run).places} == {Zone.whole(3857)}


def test_chips_are_not_made_in_metres_that_are_not_the_grounds(catalogue: tuple[str, Path], tmp_path: Path):
    settings = configured(catalogue, "x", tmp_path, **MERCATOR)
    content = {key: settings[key] for key in ("region", "windows", "composite", "grid")}
    drawn = tmp_path / "drawn.geojson"
    drawn.write_text(shapely.to_geojson(shapely.box(*settings["region"]["bbox"])))
    content |= {"labels": {"file": str(drawn)}, "bands": ["red"], "directory": str(tmp_path / "chips"), "size": 32}
    asked = parse(ChipsConfig, content | {"catalog": settings["catalog"] | {"url": "http://127.0.0.1:9"}})
    with pytest.raises(InvalidConfigError, match="EPSG:3857"):
        foresee(asked)


@pytest.mark.parametrize(("key", "owner"), [({}, 32631), ({"zones": "published"}, 32632)])
def test_a_run_keeps_the_zones_it_was_begun_with_and_its_folder_tells_them(
    key: dict[str, str], owner: int, checkpoint: str, tmp_path: Path
):
    settings = configured(("http://127.0.0.1:9", tmp_path), checkpoint, tmp_path / "run", grid=GRID | key)
    asked = parse(ScanConfig, settings | {"region": {"bbox": BERGEN}, "grid": GRID})
    assert [one.zone.epsg for one in lattices(shapely.box(*BERGEN), asked.grid)] == [32632]
    run = RunDirectory(str(tmp_path / "run"))
    recorded = asked.settings()
    recorded["grid"] = {name: value for name, value in recorded["grid"].items() if name != "zones"} | key
    run.claim("scan", recorded, resume=False)
    config = asked.as_begun(run.claimed()["settings"])
    (known,) = lattices(shapely.box(*BERGEN), config.grid)
    assert known.zone.epsg == owner
    block = next(known.blocks_meeting(shapely.box(*BERGEN)))
    run.write(layout.UNITS, layout.units([Place(lattice=known, block=block, layer=0)]))
    assert list(layout.load(run).extents) == [known]


def test_a_whole_run_under_plain_zones_is_resumed_to_the_same_bytes(
    catalogue: tuple[str, Path], checkpoint: str, tmp_path: Path
):
    few = {"region": {"bbox": [17.995, 46.010, 18.003, 46.013]}}
    stated = configured(catalogue, checkpoint, tmp_path / "one", **few, grid=GRID | {"zones": "plain"})
    assert plain_scan(stated).complete
    run = begun(configured(catalogue, checkpoint, tmp_path / "two", **few))
    assert plain_scan(configured(catalogue, checkpoint, tmp_path / "two", **few)).complete
    assert_same_cubes(tmp_path / "one", tmp_path / "two")
    settings = [RunDirectory(str(tmp_path / name)).read_json("run.json")["settings"] for name in ("one", "two")]
    assert settings[0] == settings[1]
    plain = Lattice(zone=Zone.utm(33, southern=False, rule="plain"), resolution=10, block=96)
    assert plain in layout.load(run).extents


def test_one_lattice_has_no_zones_and_a_choice_of_them_beside_it_is_refused(
    catalogue: tuple[str, Path], tmp_path: Path
):
    with pytest.raises(InvalidConfigError, match=r"grid.zones"):
        parse(ScanConfig, configured(catalogue, "x", tmp_path, grid=GRID | {"crs": 3035, "zones": "plain"}))
