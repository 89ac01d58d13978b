"""A scan without a network: what was seen is as with one, and no probability is said anywhere."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import xarray as xr
from helpers.borderland import assert_same_cubes, configured, served, snapshot, untrained
from helpers.plainrun import plain_append, plain_scan

from landslide_scale.cube.ledger import Ledger
from landslide_scale.cube.record import Record
from landslide_scale.errors import InvalidConfigError, RunConflictError
from landslide_scale.exporting.run import export
from landslide_scale.exporting.settings import ExportSettings
from landslide_scale.exporting.summary import export_report
from landslide_scale.inspection.status import lines, status
from landslide_scale.reports.scans import plan_lines, scan_report
from landslide_scale.scan.prepared import prepare
from landslide_scale.scan.settings import ScanConfig
from landslide_scale.scan.verify import verify
from landslide_scale.storage.rundir import RunDirectory
from landslide_scale.strictyaml import parse, read

Settings = dict[str, Any]

FIRST = {"start": "2023-08-01", "end": "2023-08-05"}
LATER = {"start": "2023-08-05", "end": "2023-08-20"}
SEEN = ("clear_count", "observed_on", "reason", "red")


@pytest.fixture(scope="module")
def with_network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    folder = tmp_path_factory.mktemp("ground")
    (folder / "scenes").mkdir()
    checkpoint = untrained(folder / "checkpoint.safetensors")
    with served(folder / "scenes") as url:
        settings = configured((url, folder / "scenes"), checkpoint, folder / "with", output={"keep": ["red"]})
        yield settings | {"windows": [FIRST], "region": {"bbox": [17.992, 46.010, 18.008, 46.015]}}


def of(settings: Settings, run: Path, **changes: object) -> Settings:
    """Without a checkpoint, and with whatever else a configuration says of a network's work."""
    output = settings["output"] | {"run": str(run)}
    return settings | {"model": "none", "output": output, "predict": {"precision": "bf16"}} | changes


@pytest.fixture(scope="module")
def run(with_network: Settings, tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("none") / "run"
    assert plain_scan(of(with_network, place)).complete
    return place


def test_what_was_seen_is_as_with_a_network_and_nothing_is_predicted(with_network: Settings, run: Path):
    assert plain_scan(with_network).complete
    found, known = (
        xr.open_datatree(folder / "cube.zarr", engine="zarr", mask_and_scale=False)
        for folder in (run, Path(with_network["output"]["run"]))
    )
    for name, group in known.children.items():
        for variable in SEEN:
            assert np.array_equal(found[name][variable], group[variable])
        assert (group.probability != 255).any()
        assert (found[name].probability == 255).all()
    assert not [path for path in snapshot(run / "cube.zarr") if "/probability/c/" in path]
    assert found.attrs["model"] == "none"
    assert not {"threshold", "checkpoint_sha256", "training"} & found.attrs.keys()


def test_no_area_of_landslides_is_said(with_network: Settings, run: Path):
    summary = plain_scan(of(with_network, run))  # complete: nothing is left to do
    folder = RunDirectory(str(run))
    assert summary.landslide_km2 is None
    assert {record.landslide_km2 for record in Ledger(folder).records().values()} == {None}
    assert {record.histogram for record in Ledger(folder).records().values()} == {()}
    assert not any("predict" in record.seconds for record in Ledger(folder).records().values())
    facts = folder.read_json("run.json")
    assert facts["summary"]["landslide_km2"] is None
    assert (facts["model"], facts["settings"]["model"]) == ("none", "none")
    assert not {"predict", "checkpoint_sha256"} & facts["settings"].keys()
    found, _, _ = status(folder)
    assert {row.landslide_km2 for row in found.rows} == {None}
    said = [*lines(found), scan_report(summary)]
    assert "no network was used: no landslides are mapped" in said
    assert not any("expected" in line for line in said)
    assert verify(folder, lambda *_: None).whole


def test_a_plan_says_so_and_counts_no_patches(with_network: Settings, tmp_path: Path):
    said = plan_lines(prepare(parse(ScanConfig, of(with_network, tmp_path / "run"))))
    assert "model: none; no probability will be made" in said
    assert not any("patches" in line for line in said)
    assert any("kept of the composite: red" in line for line in said)


def test_without_a_band_to_keep_there_is_nothing_to_make(with_network: Settings, tmp_path: Path):
    with pytest.raises(InvalidConfigError, match=r"output\.keep: no bands, .* Keep what is to be looked at"):
        plain_scan(of(with_network, tmp_path / "run", output={"run": str(tmp_path / "run")}))
    assert not (tmp_path / "run").exists()


def test_another_word_is_refused_and_none_is_read_from_a_file():
    text = "region: {bbox: [1, 2, 3, 4]}\nwindows: [{start: 2023-01-01, end: 2023-02-01}]\noutput: {run: x}\n"
    assert read(ScanConfig, f"{text}model: none\n", source="x").model == "none"
    with pytest.raises(InvalidConfigError, match="expected: none"):
        read(ScanConfig, f"{text}model: nothing\n", source="x")
    with pytest.raises(InvalidConfigError, match="did you mean checkpoint"):
        read(ScanConfig, f"{text}model: {{checkpont: x}}\n", source="x")


def test_it_is_gone_on_with_and_given_further_windows_and_taken_over(with_network: Settings, run: Path, tmp_path: Path):
    whole = tmp_path / "whole"
    assert plain_scan(of(with_network, whole, windows=[FIRST, LATER])).complete
    part = tmp_path / "part"
    assert plain_scan(of(with_network, part)).complete
    lost = min(Ledger(RunDirectory(str(part))).records())
    Ledger(RunDirectory(str(part))).add(Record(unit=lost, state="broken", attempts=1, error="BrokenUnit: made"))
    assert plain_scan(of(with_network, part)).complete
    summary = plain_append(of(with_network, part, windows=[FIRST, LATER]))
    assert summary.complete
    assert_same_cubes(part, whole)
    output = {"run": str(tmp_path / "next"), "keep": ["red"], "base": str(run)}
    summary = plain_scan(of(with_network, tmp_path / "next", windows=[FIRST, LATER], output=output))
    assert summary.taken == summary.units / 2
    assert_same_cubes(tmp_path / "next", whole)


def test_what_is_noticed_of_a_window_is_not_said_again_by_a_scan_that_takes_over_from_one_that_said_it(
    with_network: Settings, tmp_path: Path
):
    wide = {"start": "2023-06-01", "end": "2023-08-05"}  # its scenes are of few days
    first = of(with_network, tmp_path / "first", windows=[wide])
    assert ["suspiciously few" in line for line in prepare(parse(ScanConfig, first)).survey.noticed] == [True]
    assert plain_scan(first).complete
    output = {"run": str(tmp_path / "next"), "keep": ["red"], "base": str(tmp_path / "first")}
    following = of(with_network, tmp_path / "next", windows=[wide, LATER], output=output)
    assert prepare(parse(ScanConfig, following)).survey.noticed == ()
    wider = of(with_network, tmp_path / "next", windows=[wide | {"start": "2023-05-31"}, LATER], output=output)
    assert ["2023-05-31" in line for line in prepare(parse(ScanConfig, wider)).survey.noticed] == [True]


def test_a_run_with_a_network_is_none_without_and_the_other_way_round(with_network: Settings, run: Path):
    assert plain_scan(with_network).complete
    with pytest.raises(RunConflictError, match="model"):
        plain_scan(of(with_network, Path(with_network["output"]["run"])))
    with pytest.raises(RunConflictError, match="model"):
        plain_scan(with_network | {"output": with_network["output"] | {"run": str(run)}})
    base = {"run": str(run.with_name("other")), "base": with_network["output"]["run"]}
    with pytest.raises(RunConflictError, match="model"):
        plain_scan(of(with_network, run, output=with_network["output"] | base))


def test_an_export_leaves_out_what_is_made_of_probabilities_and_says_so(run: Path, tmp_path: Path):
    folder = RunDirectory(str(run))
    summary = export(folder, ExportSettings(to=str(tmp_path / "products")), progress=lambda _: None)
    said = export_report(summary)
    made = {str(path.relative_to(tmp_path / "products")) for path in (tmp_path / "products").rglob("*.tif")}
    assert {Path(name).stem for name in made} == {*SEEN, "exclusion", "advisory"}
    for name in ("landslides.parquet", "landslides.gpkg", "landslides.geojson", "report.html"):
        assert f"not made: {name}: it is made of probabilities" in said
    with rasterio.open(tmp_path / "products" / min(made)) as raster:
        assert raster.tags()["MODEL"] == "none"
        assert "THRESHOLD" not in raster.tags()
    texts = [path.read_text() for path in (tmp_path / "products").rglob("*.json")]
    assert texts
    assert not any("landslide_scale:threshold" in text or "trained network" in text for text in texts)
    again = export(folder, ExportSettings(to=str(tmp_path / "products")), progress=lambda _: None)
    assert again.outcome.made == ()
    for asked in (ExportSettings(threshold=0.5), ExportSettings(layers={"roads": "roads.gpkg"})):
        with pytest.raises(InvalidConfigError, match="without a network"):
            export(folder, asked, progress=lambda _: None)
