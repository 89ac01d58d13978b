"""A scan that is planned before there is a checkpoint."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from helpers.borderland import configured, untrained
from typer.testing import CliRunner

from landslide_scale.cli import app
from landslide_scale.errors import InvalidConfigError
from landslide_scale.scan.prepared import foresee, prepare
from landslide_scale.scan.settings import ScanConfig
from landslide_scale.strictyaml import parse


@pytest.fixture
def settings(catalogue: tuple[str, Path], tmp_path: Path) -> dict[str, Any]:
    return configured(catalogue, "not/yet.safetensors", tmp_path / "run")


def without_checkpoint(settings: dict[str, Any]) -> ScanConfig:
    return parse(ScanConfig, {key: value for key, value in settings.items() if key != "model"})


def typed(settings: dict[str, Any], folder: Path, *words: str) -> tuple[int, str]:
    path = folder / "scan.yaml"
    path.write_text(yaml.safe_dump(settings), encoding="utf-8")
    done = CliRunner().invoke(app, [*words, "--config", str(path)])
    return done.exit_code, done.output


def test_the_plan_is_the_one_a_checkpoint_of_these_bands_and_patches_gets(settings: dict[str, Any], tmp_path: Path):
    planned = foresee(without_checkpoint(settings), ("red",)).survey.plan
    settings["model"] = {"checkpoint": untrained(tmp_path / "checkpoint.safetensors")}
    assert planned == prepare(parse(ScanConfig, settings)).survey.plan


def test_bands_and_patch_are_landslidenets_where_nothing_says_otherwise(settings: dict[str, Any]):
    del settings["predict"]
    settings["catalog"]["assets"] = {"green": "red", "blue": "red"}  # the made scenes have one band
    found = foresee(without_checkpoint(settings))
    assert found.bands == ("red", "green", "blue")
    assert found.survey.plan.patches.patch == 112


def test_with_an_elevation_model_its_bands_are_planned_too(settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch):
    config = without_checkpoint(settings | {"dem": {"profile": "plain", "items": "nowhere/*.json"}})
    asked: list[tuple[str, ...]] = []

    def noted(bands: tuple[str, ...], _: object) -> None:
        asked.append(bands)
        raise InvalidConfigError("enough")

    monkeypatch.setattr("landslide_scale.scan.prepared.check_terrain", noted)
    with pytest.raises(InvalidConfigError, match="enough"):
        foresee(config)
    assert asked == [("red", "green", "blue", "elevation", "slope")]


def test_a_plan_says_that_it_is_without_a_checkpoint_and_for_what(settings: dict[str, Any], tmp_path: Path):
    for named in ({}, {"checkpoint": None}, {"checkpoint": "not/yet.safetensors"}):
        code, said = typed(settings | {"model": named}, tmp_path, "plan", "--bands", "red")
        assert code == 0, said
        assert "no checkpoint: planned for one with bands red and patches of 32 px" in said
    assert not (tmp_path / "run").exists()


def test_a_checkpoint_that_is_named_and_not_there_is_said_with_the_way_round_it(
    settings: dict[str, Any], tmp_path: Path
):
    code, said = typed(settings, tmp_path, "plan")
    assert code == 2
    assert "not/yet.safetensors" in said
    assert "`plan --bands red,green,blue` of a scan does without" in said


def test_a_scan_without_a_checkpoint_is_refused_before_anything_is_written(settings: dict[str, Any], tmp_path: Path):
    code, said = typed(settings | {"model": {}}, tmp_path, "scan")
    assert code == 2
    assert "key model.checkpoint: no checkpoint" in said
    assert "finetune" in said
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("bands", ["red,infrared", "red,red", "red, slope"])
def test_bands_that_cannot_be_planned_for_are_refused(bands: str, settings: dict[str, Any], tmp_path: Path):
    code, said = typed(settings, tmp_path, "plan", "--bands", bands)
    assert code == 2
    assert ("key --bands" in said) == ("slope" not in bands)
    assert ("Add `dem: {profile: earth-search}`" in said) == ("slope" in bands)


def test_what_a_run_records_does_not_know_of_a_missing_checkpoint(settings: dict[str, Any]):
    assert without_checkpoint(settings).settings() == parse(ScanConfig, settings).settings()
