"""The committed configurations: accepted as they stand, and about the paper's own models."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from landslide_scale.model.presets import PAPER, TABLE_3
from landslide_scale.paper.settings import BenchmarkConfig
from landslide_scale.paper.trials import trials
from landslide_scale.spec import LandslideNetSpec
from landslide_scale.strictyaml import load

CONFIGS = Path(__file__).parents[2] / "configs" / "benchmark"
DATA = "/data"


def committed(name: str) -> BenchmarkConfig:
    return load(BenchmarkConfig, CONFIGS / f"{name}.yaml")


@pytest.mark.parametrize("name", ["bijie", "paper", "tuning"])
def test_a_committed_benchmark_is_accepted_whole(name: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("LANDSLIDE_SCALE_DATA", DATA)
    config = committed(name)
    found = trials(config)
    assert len(found) == len(config.datasets) * len(config.models) * len(config.seeds)
    assert all(trial.job.data.path.startswith(DATA) for trial in found)


def test_the_papers_models_have_the_papers_sizes():
    models = committed("paper").models
    assert {model.name: model for model in models.values()} == TABLE_3


def test_the_five_networks_are_compared_on_bijie_and_landslidenet_twice():
    models = committed("bijie").models.values()
    assert {model.name for model in models} == set(TABLE_3)
    assert sorted(model.train_encoder for model in models if isinstance(model, LandslideNetSpec)) == [False, True]


def test_the_tuning_study_begins_with_the_papers_layer_and_varies_every_setting_of_it():
    first, *others = [model.tuning for model in committed("tuning").models.values() if model.name == "landslidenet"]
    assert first == PAPER.tuning
    for key in ("structure", "place", "skip", "sharing", "width", "blocks"):
        assert any(replace(other, **{key: getattr(first, key)}) != other for other in others), key
