from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest

from landslide_scale.errors import InvalidConfigError, RunConflictError
from landslide_scale.paper.settings import BenchmarkConfig
from landslide_scale.paper.study import _as_begun, _as_recorded, _settings
from landslide_scale.paper.trials import trials
from landslide_scale.storage.rundir import RunDirectory
from landslide_scale.strictyaml import parse
from landslide_scale.training.spec import TrainSpec

TINY = {"sam": "vit_t", "upsample": 1}


def settings(**changes: Any) -> dict[str, Any]:  # noqa: ANN401 YAML
    return {
        "datasets": {"Bijie": {"kind": "bijie", "path": "data", "resize": 32}},
        "models": {"LandslideNet (frozen)": TINY, "LandslideNet, trained": TINY | {"train_encoder": True}},
        "train": {"patch": 32},
        "output": {"run": "/runs/b"},
    } | changes


def test_every_model_is_trained_with_every_seed_and_the_same_settings():
    found = trials(parse(BenchmarkConfig, settings(seeds=[3, 4])))
    assert [trial.name for trial in found] == [
        "bijie-landslidenet-frozen-3",
        "bijie-landslidenet-trained-3",
        "bijie-landslidenet-frozen-4",
        "bijie-landslidenet-trained-4",
    ]
    assert [trial.job.train.seed for trial in found] == [3, 3, 4, 4]
    assert len({trial.job.output for trial in found}) == 4
    assert {trial.job.train.learning_rate for trial in found} == {2e-4}


@pytest.mark.parametrize(
    ("changes", "names"),
    [
        ({"seeds": [1, 1]}, "seeds"),
        ({"seeds": [-1]}, "seeds"),
        ({"seeds": []}, "seeds"),
        ({"models": {}}, "models"),
        ({"models": {"../UNet": TINY}}, "models"),
        ({"models": {"U Net": TINY, "u-net": TINY}}, "models"),
        ({"base_weights": {"nobody": {"url": "x", "sha256": "0" * 64}}}, "base_weights"),
        ({"modles": {}}, "modles"),
        ({"train": {"patch": 33}}, "train.patch"),
    ],
)
def test_bad_settings_are_refused_by_key(changes: dict[str, Any], names: str):
    with pytest.raises(InvalidConfigError, match=names):
        trials(parse(BenchmarkConfig, settings(**changes)))


def test_a_benchmark_begun_before_there_was_a_key_that_it_does_not_use_goes_on(tmp_path: Path):
    config, folder = parse(BenchmarkConfig, settings()), RunDirectory(str(tmp_path))
    later = {"average", "recolour", "split_seed", "hidden"}
    before = _settings(config)
    assert before["train"].keys() == {one.name for one in fields(TrainSpec)} - later - {"seed"}
    folder.claim("benchmark", before, resume=False)
    used = config.model_copy(update={"train": replace(config.train, hidden=0.2)})
    with pytest.raises(RunConflictError, match=r"train\.hidden"):
        folder.claim("benchmark", _settings(used), resume=True)


def test_a_path_may_name_an_environment_variable(monkeypatch: pytest.MonkeyPatch):
    wanted = settings(datasets={"bijie": {"kind": "bijie", "path": "$LANDSLIDES/bijie"}})
    monkeypatch.setenv("LANDSLIDES", "/data/of")
    assert trials(parse(BenchmarkConfig, wanted))[0].job.data.path == "/data/of/bijie"
    monkeypatch.delenv("LANDSLIDES")
    with pytest.raises(InvalidConfigError, match=r"dataset.path: \$LANDSLIDES/bijie"):
        parse(BenchmarkConfig, wanted)


def test_a_benchmark_begun_when_paths_were_recorded_as_written_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("LANDSLIDES", "/data/of")
    data = {"kind": "bijie", "path": "$LANDSLIDES/bijie"}
    config = parse(BenchmarkConfig, settings(datasets={"bijie": data}, output={"run": str(tmp_path)}))
    folder, recorded = RunDirectory(str(tmp_path)), _settings(config)
    before = {name: known | {"path": "$LANDSLIDES/bijie"} for name, known in recorded["datasets"].items()}
    folder.claim("benchmark", recorded | {"datasets": before}, resume=False)
    folder.claim("benchmark", _as_recorded(recorded, folder), resume=True)
    monkeypatch.setenv("LANDSLIDES", "/other")
    with pytest.raises(RunConflictError, match="datasets"):
        folder.claim("benchmark", _as_recorded(recorded, folder), resume=True)


def test_a_benchmark_begun_before_goes_on_with_the_calibration_it_was_begun_with(tmp_path: Path):
    config = parse(BenchmarkConfig, settings(output={"run": str(tmp_path)}))
    folder = RunDirectory(str(tmp_path))
    assert _as_begun(config, folder) == config
    folder.claim("benchmark", _settings(config), resume=False)
    assert _settings(_as_begun(config, folder)) == _settings(config)
    facts = folder.read_json("run.json")
    facts["settings"]["train"]["calibration"] = "temperature"
    folder.write_json("run.json", facts)
    begun = _as_begun(config, folder)
    folder.claim("benchmark", _settings(begun), resume=True)
    assert {trial.job.train.calibration for trial in trials(begun)} == {"temperature"}
    stated = config.model_copy(update={"train": replace(config.train, calibration="platt")})
    assert _settings(_as_begun(stated, folder)) == _settings(stated)
