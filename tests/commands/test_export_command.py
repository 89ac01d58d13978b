"""What is typed, and what bad input gets: one clear line, and nothing written."""

from __future__ import annotations

import re
import runpy
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers.exporting import plan, scan_in
from typer.testing import CliRunner

from landslide_scale.cli import app
from landslide_scale.errors import InvalidConfigError
from landslide_scale.exporting import run as exporting_run
from landslide_scale.exporting.product import Product
from landslide_scale.exporting.run import target_of
from landslide_scale.exporting.settings import ExportSettings, layers_told
from landslide_scale.paths import JOB_MARK
from landslide_scale.products import names
from landslide_scale.products.scanned import Scanned
from landslide_scale.scan.layout import CUBE
from landslide_scale.storage.lease import held
from landslide_scale.storage.rundir import RunDirectory

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture
def run(tmp_path: Path) -> RunDirectory:
    return scan_in(tmp_path / "run", failed=1)


@pytest.fixture(autouse=True)
def made_products(monkeypatch: pytest.MonkeyPatch) -> None:
    """Instead of the real ones, which are slower."""
    monkeypatch.setattr(
        exporting_run, "steps", lambda of, settings, target: plan(of, target, settings.threshold or of.threshold)
    )


def typed(*words: str) -> tuple[int, str]:
    told = CliRunner().invoke(app, ["export", *words])
    return told.exit_code, told.output


def test_products_are_made_and_a_run_with_a_failed_unit_says_what_is_missing(run: RunDirectory):
    code, said = typed(run.url)
    assert code == 3
    assert "6 products made, 0 kept" in said
    assert "missing: 1 of 4 units" in said
    assert f"products: {run.url}/products" in said
    assert RunDirectory(run.at(names.FOLDER)).exists(names.REPORT)
    assert "0 products made, 6 kept" in typed(run.url)[1]


def test_the_scans_configuration_says_where_its_elevations_may_be_read_from(
    run: RunDirectory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    told: list[ExportSettings] = []

    def noted(of: Scanned, settings: ExportSettings, target: RunDirectory) -> list[Product]:
        told.append(settings)
        return plan(of, target)

    monkeypatch.setattr(exporting_run, "steps", noted)
    windows = "windows: [{start: 2023-07-01, end: 2023-08-01}]"
    for dem in ("", "dem: {allowed_hosts: [elevations.example]}"):
        lines = ["region: {bbox: [18, 46, 18.1, 46.1]}", windows, "output: {run: elsewhere}", dem]
        (tmp_path / "scan.yaml").write_text("\n".join(lines))
        typed(run.url, "--config", str(tmp_path / "scan.yaml"))
    assert [one.dem and one.dem.allowed_hosts for one in told] == [None, ("elevations.example",)]
    assert typed(run.url, "--config", str(tmp_path / "nothing.yaml"))[0] == 2


def test_options_arrive(run: RunDirectory, tmp_path: Path):
    there = tmp_path / "there"
    code, said = typed(run.url, "--to", str(there), "--only", "cog, vector", "--threshold", "0.25")
    assert code == 3, said
    settings = RunDirectory(str(there)).read_json(names.MANIFEST)["products"][names.POLYGONS]["origin"]["settings"]
    assert settings == {"threshold": 0.25}
    assert not (there / names.REPORT).exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--only", "cogs"], "key --only: cogs; expected kinds of cog,vector,stac,report"),
        (["--only", ","], "key --only"),
        (["--threshold", "1.5"], "key --threshold: 1.5; expected a probability in (0, 1)"),
        (["--threshold", "nan"], "key --threshold"),
        (["--min-area", "-1"], "key --min-area: -1; expected square metres"),
        (["--layer", "roads"], "key --layer: roads; expected NAME=FILE"),
        (["--to", "s3://"], "key --to"),
    ],
)
def test_what_cannot_be_meant_is_refused_by_option(run: RunDirectory, words: list[str], said: str):
    code, told = typed(run.url, *words)
    assert code == 2
    assert said in told
    assert "\n" not in told.strip()
    assert not Path(run.at(names.FOLDER)).exists()


def without_cube(run: RunDirectory) -> None:
    shutil.rmtree(run.at(CUBE))


def without_ledger(run: RunDirectory) -> None:
    shutil.rmtree(run.at("ledger"))


def without_all(run: RunDirectory) -> None:
    shutil.rmtree(run.url)


@pytest.mark.parametrize(
    ("damage", "said"),
    [(without_cube, "no cube"), (without_ledger, "without a ledger"), (without_all, "no units.parquet")],
)
def test_a_folder_that_is_no_scan_with_its_ledger_is_refused(
    run: RunDirectory, damage: Callable[[RunDirectory], None], said: str
):
    damage(run)
    code, told = typed(run.url)
    assert code == 2
    assert said in told
    assert "\n" not in told.strip()
    assert not Path(run.at(names.FOLDER)).exists()


def test_a_scan_at_work_is_not_exported(run: RunDirectory):
    with held(run):
        code, told = typed(run.url)
    assert code == 2
    assert "a scan is at work here" in told


@pytest.mark.parametrize("inside", ["", "/cube.zarr", "/ledger/products"])
def test_products_do_not_go_where_a_scan_writes(run: RunDirectory, inside: str):
    with pytest.raises(InvalidConfigError, match="key --to"):
        target_of(run, f"{run.url}{inside}")


@pytest.mark.parametrize("below", ["", "below", "below/it"])
def test_a_file_is_no_place_for_products(run: RunDirectory, tmp_path: Path, below: str):
    (tmp_path / "file").write_text("mine")
    code, said = typed(run.url, "--to", str(tmp_path / "file" / below))
    assert code == 2
    assert f"{tmp_path}/file is no folder" in " ".join(said.split())
    assert said.startswith("error: key --to: ")
    assert (tmp_path / "file").read_text() == "mine"


def test_a_relative_place_is_refused_in_a_submitted_job(run: RunDirectory, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv(JOB_MARK, "{}")
    code, told = typed(run.url, "--to", "products")
    assert code == 2
    assert "key --to" in told
    assert "s3://BUCKET/FOLDER" in told
    code, told = typed("runs/scan")
    assert code == 2
    assert "key RUN_DIR" in told


@pytest.mark.parametrize("told", [["roads"], ["=a"], ["roads="], ["roads=a", "roads=b"]])
def test_layers_are_named_once_each(told: list[str]):
    with pytest.raises(InvalidConfigError, match="key --layer"):
        layers_told(told)


def test_a_layers_file_may_hold_the_sign():
    assert layers_told(["roads=a=b.gpkg"]) == {"roads": "a=b.gpkg"}


def test_settings_are_checked_when_they_are_made():
    for wrong in ({"threshold": 0.0}, {"threshold": 1.0}, {"min_area_m2": float("inf")}, {"only": ()}):
        with pytest.raises(InvalidConfigError):
            ExportSettings(**wrong)  # type: ignore[arg-type]


def test_the_job_says_what_the_command_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setattr(sys, "argv", ["export.py", str(tmp_path / "nothing"), "--only", "cog"])
    with pytest.raises(SystemExit) as caught:
        runpy.run_path(str(REPOSITORY / "jobs" / "export.py"), run_name="__main__")
    assert caught.value.code == 2
    assert re.fullmatch(r"error: run .*nothing: no units\.parquet; expected [^\n]*\n", capsys.readouterr().err)
    assert list(tmp_path.iterdir()) == []
