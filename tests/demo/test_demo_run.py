from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import get_args
from urllib.parse import urlsplit
from urllib.request import url2pathname

import pytest
from helpers.borderland import configured, served, untrained
from helpers.plainrun import plain_scan
from typer.testing import CliRunner

from landslide_scale.cli import app
from landslide_scale.demo import run as run_module
from landslide_scale.demo.recipe import (
    BANDS,
    CHIP,
    PATCH,
    RECIPES,
    ModelName,
    chips_settings,
    finetune_settings,
    scan_settings,
)
from landslide_scale.demo.run import made_world, next_commands
from landslide_scale.demo.world import World, WorldSpec
from landslide_scale.exporting.run import export
from landslide_scale.exporting.settings import ExportSettings
from landslide_scale.labels.settings import ChipsConfig
from landslide_scale.scan.settings import ScanConfig
from landslide_scale.storage.rundir import RunDirectory
from landslide_scale.strictyaml import parse
from landslide_scale.training.settings import FinetuneConfig, finetune_job


@pytest.mark.slow
def test_the_next_commands_work_on_what_a_demo_leaves(world: World, tmp_path: Path):
    run = tmp_path / "a demo" / "scan-unet"
    with served(tmp_path) as url:
        checkpoint = untrained(tmp_path / "checkpoint.safetensors")
        assert plain_scan(configured((url, tmp_path), checkpoint, run)).complete
    export(RunDirectory(str(run)), ExportSettings(only=("vector", "report")), progress=lambda _: None)
    report, status, init = map(shlex.split, next_commands(run.parent, run))

    assert report[:-1] == ["python", "-m", "webbrowser"]
    assert Path(url2pathname(urlsplit(report[-1]).path)).read_text().startswith("<!doctype html>")

    said = CliRunner().invoke(app, status[1:])
    assert (status[0], said.exit_code) == ("landslide-scale", 0), said.output
    assert (run.parent / "coverage.html").exists()

    places = {"YOUR_GROUND.geojson": str(world.region("east")), "scan.yaml": str(tmp_path / "scan.yaml")}
    begun = CliRunner().invoke(app, [places.get(word, word) for word in init[1:]])
    assert (init[0], begun.exit_code) == ("landslide-scale", 0), begun.output
    assert (tmp_path / "scan.yaml").exists()


@pytest.mark.parametrize("model", get_args(ModelName))
def test_every_recipe_is_a_configuration_and_is_scanned_as_it_was_validated(model: ModelName, world: World):
    chips = parse(ChipsConfig, chips_settings(world, "http://127.0.0.1:1", "/demo/chips"))
    job = finetune_job(parse(FinetuneConfig, finetune_settings(RECIPES[model], chips.directory, "/demo/run")))
    scan = parse(ScanConfig, scan_settings(world, "http://127.0.0.1:1", "/demo/run/checkpoint", "/demo/scan"))
    assert job.model.name == model
    assert job.model.bands == chips.bands == BANDS
    assert job.train.patch == scan.predict.patch == PATCH
    assert chips.size == CHIP
    assert (scan.windows, scan.composite, scan.catalog) == (chips.windows, chips.composite, chips.catalog)
    assert json.loads(json.dumps(job.settings)) == job.settings


def test_the_world_of_the_demo_has_no_scenes_from_before_the_event(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    asked: list[WorldSpec] = []

    def make(directory: Path, spec: WorldSpec, **_: object) -> World:
        asked.append(spec)
        return World(directory=directory)

    monkeypatch.setattr(run_module, "make_world", make)
    world = made_world(tmp_path, seed=9, progress=lambda _: None)
    (spec,) = asked
    assert spec.seed == 9
    assert len(spec.passes) == 4
    assert all(world.after.holds(each.sensed) for each in spec.passes)
