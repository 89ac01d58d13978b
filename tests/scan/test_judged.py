"""A scan passes over the ground as validation did, by which threshold and calibration are; else every output says."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import xarray as xr
import zarr
from helpers.borderland import configured, untrained
from helpers.plainrun import plain_scan

from landslide_scale.cards.card import BaseWeights, ModelCard
from landslide_scale.cards.file import read_card
from landslide_scale.cube.arrays import STORED_AS
from landslide_scale.errors import InvalidCheckpointError
from landslide_scale.grid import PatchLattice
from landslide_scale.model.checkpoint import restore, save
from landslide_scale.provenance import Judged
from landslide_scale.reports.scans import plan_lines, scan_report
from landslide_scale.scan.driver import prepare
from landslide_scale.scan.model import ScanModel, fitting_model, observed_as
from landslide_scale.scan.pipeline.predictor import Predictor
from landslide_scale.scan.settings import PredictConfig, ScanConfig
from landslide_scale.storage.rundir import RunDirectory
from landslide_scale.strictyaml import load, parse
from landslide_scale.training.settings import FinetuneConfig, finetune_job

CONFIGS = Path(__file__).parents[2] / "configs"
JUDGED = Judged(patch=48, halo=0, precision="float32")
UNSAID = "patch, overlap, precision at which threshold and calibration were found"


@pytest.fixture(scope="module")
def old(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Its card does not say how it was judged, as none did."""
    return untrained(tmp_path_factory.mktemp("old") / "old.safetensors")


@pytest.fixture(scope="module")
def knowing(tmp_path_factory: pytest.TempPathFactory, old: str) -> str:
    net, card = restore(old)
    url = str(tmp_path_factory.mktemp("new") / "new.safetensors")
    save(url, net, replace(card, judged=JUDGED))
    return url


def fitted(checkpoint: str, model: dict[str, str] | None = None, **predict: object) -> ScanModel:
    content = {
        "region": {"bbox": [14.0, 46.0, 15.0, 47.0]},
        "windows": [{"start": "2023-08-01", "end": "2023-09-01"}],
        "model": {"checkpoint": checkpoint, **(model or {})},
        "predict": predict,
        "output": {"run": "runs/x"},
    }
    config = parse(ScanConfig, content)
    return fitting_model(config.model, config.predict, observed_as(config.grid, config.composite, config.dem))


def test_a_scan_passes_over_the_ground_as_the_card_says_it_was_judged(knowing: str):
    found = fitted(knowing)
    assert found.patches == PatchLattice(patch=48, halo=0)
    assert (found.precision, found.caveat) == ("float32", "")
    assert UNSAID not in found.unknown
    assert found.noted["judged"] == {"patch": 48, "halo": 0, "precision": "float32"}
    assert (
        Predictor(
            lambda: restore(knowing), patches=found.patches, settings=PredictConfig(), device="cpu", threads=1
        ).predictor.precision
        == "float32"
    )


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"patch": 448}, "predict.patch 48 (here 448)"),
        ({"halo": 16}, "predict.halo 0 (here 16)"),
        ({"precision": "bf16"}, "predict.precision float32 (here bf16)"),
        ({"precision": "auto"}, "predict.precision float32 (here auto)"),
        ({"patch": 96, "halo": 4}, "predict.patch 48 (here 96), predict.halo 0 (here 4)"),
    ],
)
def test_another_way_is_taken_and_said(knowing: str, asked: dict[str, Any], said: str):
    found = fitted(knowing, **asked)
    assert found.caveat == f"Threshold and calibration were found otherwise: {said}."
    assert (found.patches.patch, found.patches.halo) == (asked.get("patch", 48), asked.get("halo", 0))
    assert found.precision == asked.get("precision", "float32")
    same = fitted(knowing, patch=48, halo=0, precision="float32")
    assert same.caveat == ""


def test_every_output_says_how_it_was_passed_over(catalogue: tuple[str, Path], knowing: str, tmp_path: Path):
    settings = configured(catalogue, knowing, tmp_path / "run", predict={"patch": 32, "halo": 4, "batch": 4})
    said = "predict.patch 48 (here 32), predict.halo 0 (here 4)"
    plan = plan_lines(prepare(parse(ScanConfig, settings)))
    assert "patches of 32 px, overlap 4 px, precision float32" in plan
    summary = plain_scan(settings)
    run = RunDirectory(str(tmp_path / "run"))
    attributes = dict(zarr.open_group(run.at("cube.zarr"), mode="r").attrs)
    for output in ("\n".join(plan), scan_report(summary), run.read_json("run.json")["caveat"], attributes["caveat"]):
        assert said in str(output)
    assert run.read_json("run.json")["network"]["patch"] == 32
    left_open = configured(catalogue, knowing, tmp_path / "open") | {"predict": {"batch": 4}}
    assert plain_scan(left_open).caveat == ""
    recorded = RunDirectory(str(tmp_path / "open")).read_json("run.json")["settings"]["predict"]
    assert recorded == {"patch": 48, "halo": 0, "batch": 4, "precision": "float32"}


def test_of_an_old_card_it_is_unknown_and_what_was_done_before_is_done(
    catalogue: tuple[str, Path], old: str, tmp_path: Path
):
    found = fitted(old)
    assert found.patches == PatchLattice(patch=448, halo=16)
    assert (found.precision, found.caveat, found.noted["judged"]) == ("auto", "", {})
    assert found.unknown.endswith(UNSAID)
    settings = configured(catalogue, old, tmp_path / "run", predict={})
    del settings["predict"]
    prepared = prepare(parse(ScanConfig, settings))
    # As runs of before have it recorded, which therefore go on.
    assert prepared.settings["predict"] == {"patch": None, "halo": 16, "batch": 8, "precision": "auto"}
    settings["predict"] = {"patch": 32, "halo": 4}
    summary = plain_scan(settings)
    assert UNSAID in summary.unknown
    assert UNSAID in RunDirectory(str(tmp_path / "run")).read_json("run.json")["unknown"]


@pytest.mark.parametrize(
    ("key", "change"),
    [
        ("judged.patch", {"patch": 0}),
        ("judged.patch", {"patch": 48.0}),
        ("judged.halo", {"halo": -1}),
        ("judged.precision", {"precision": "auto"}),
        ("judged", {"stride": 3}),
    ],
)
def test_a_card_that_cannot_have_been_judged_so_is_refused_by_key(
    knowing: str, tmp_path: Path, key: str, change: dict[str, object]
):
    def edit(stored: dict[str, Any]) -> None:
        stored["judged"].update(change)

    with pytest.raises(InvalidCheckpointError) as refusal:
        read_card(edited(knowing, tmp_path / "edited.safetensors", edit))
    assert refusal.value.where["key"] == f"card.{key}"


def edited(url: str, to: Path, change: Callable[[dict[str, Any]], None]) -> str:
    with safetensors.safe_open(url, "pt") as file:
        stored = json.loads(file.metadata()["landslide_scale"])
    change(stored)
    safetensors.torch.save_file(safetensors.torch.load_file(url), to, metadata={"landslide_scale": json.dumps(stored)})
    return str(to)


@pytest.mark.parametrize("name", ["finetune_paper", "finetune", "cluster/finetune"])
def test_a_configuration_scans_at_the_patch_that_it_trains_at(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("LANDSLIDE_SCALE_RUNS", str(tmp_path))
    job = finetune_job(load(FinetuneConfig, str(CONFIGS / f"{name}.yaml")))
    card = ModelCard(
        model=job.model,
        inputs=job.inputs,
        judged=Judged(patch=job.train.patch, halo=0, precision="bf16"),
        base=BaseWeights(source="x", sha256="0"),
    )
    url = str(tmp_path / "card.safetensors")
    monkeypatch.setattr("landslide_scale.scan.model._identified", lambda _: _Found(card))
    Path(url).touch()
    accepted = {} if job.inputs.radiometry == "boa" else {"accept_radiometry": job.inputs.radiometry}
    accepted["base_weights"] = str(tmp_path / "sam.pth")  # which the card alone does not make anybody fetch
    assert fitted(url, accepted).patches.patch == job.train.patch


class _Found:
    """A checkpoint of which the card alone matters."""

    sha256 = "0"

    def __init__(self, card: ModelCard) -> None:
        self.card = card


def test_a_cube_says_what_is_stored_and_the_threshold_that_holds_on_it(
    catalogue: tuple[str, Path], knowing: str, tmp_path: Path
):
    net, card = restore(knowing)
    url = str(tmp_path / "odd.safetensors")
    save(url, net, replace(card, threshold=0.3001))
    summary = plain_scan(configured(catalogue, url, tmp_path / "run"))
    root = zarr.open_group(tmp_path / "run" / "cube.zarr", mode="r")
    said = dict(root.attrs)
    assert (said["threshold"], said["checkpoint_threshold"]) == (0.302, 0.3001)
    assert said["probability"] == STORED_AS
    tree = xr.open_datatree(tmp_path / "run" / "cube.zarr", engine="zarr")
    for name, group in tree.children.items():
        steps = zarr.open_array(tmp_path / "run" / "cube.zarr", path=f"{name}/probability", mode="r")[...]
        wanted = (steps >= 76) & (steps < 255)
        assert wanted.any()
        np.testing.assert_array_equal(group.probability.to_numpy() >= said["threshold"], wanted)
        assert group.probability.attrs["comment"] == STORED_AS
    assert summary.landslide_km2 > 0
