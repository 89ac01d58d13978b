from __future__ import annotations

import json
import math
import time
from pathlib import Path

import pytest
import torch

from landslide_scale.datasets.spec import DataSpec
from landslide_scale.metrics import Confusion, LogitHistogram
from landslide_scale.model.checkpoint import restore
from landslide_scale.spec import InputSpec, LandslideNetSpec
from landslide_scale.training.epochs import Calibration, Evaluation
from landslide_scale.training.fitting import Epoch, TrainState
from landslide_scale.training.job import FinetuneJob
from landslide_scale.training.run import TrainRun, scores
from landslide_scale.training.spec import TrainSpec

MODEL = LandslideNetSpec(sam="vit_t", upsample=1)


def job_at(output: str, **changes: object) -> FinetuneJob:
    return FinetuneJob(
        data=DataSpec(kind="chips", path="chips"),
        model=MODEL,
        inputs=InputSpec.for_bands("boa", MODEL.bands),
        train=TrainSpec(epochs=2),
        output=output,
        **changes,  # type: ignore[arg-type]
    )


def epoch(number: int, f1: float) -> Epoch:
    calibration = Calibration(threshold=0.25, temperature=2.0, bias=-0.5, prevalence=0.125)
    return Epoch(
        epoch=number, loss=1.5, validation_loss=math.nan, validation_f1=f1, calibration=calibration, seconds=3.0
    )


def state_of(*f1: float, best: int = 1) -> TrainState:
    epochs = tuple(epoch(number, value) for number, value in enumerate(f1, 1))
    return TrainState(epochs=epochs, trained={}, optimizer={}, best=best, best_trained={})


def test_paths_are_absolute_because_workers_run_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    job = job_at("runs/one")
    assert (job.output, job.data.path) == (str(tmp_path / "runs/one"), str(tmp_path / "chips"))
    assert job_at("s3://bucket/run").output == "s3://bucket/run"


def test_settings_hold_no_secrets_and_no_machines():
    signed = "https://host/sam.pth?X-Signature=secret"
    job = job_at("run", base_url=signed, base_sha256="0" * 64)
    assert "secret" not in json.dumps(job.settings)
    assert job.settings == job_at("elsewhere", base_url=signed, base_sha256="0" * 64, workers=2, gpu=True).settings
    assert job.settings != job_at("run").settings
    assert json.loads(json.dumps(job.settings)) == job.settings


def test_undefined_scores_are_null_in_json():
    found = scores(Confusion(tn=4))
    assert found["landslide"]["f1"] is None
    assert found["macro"]["iou"] is None
    assert found["pixels"] == {"tp": 0, "fp": 0, "fn": 0, "tn": 4}
    json.dumps(found, allow_nan=False)


def test_the_best_epoch_is_what_is_kept(tmp_path: Path):
    job = job_at(str(tmp_path))
    run, net = TrainRun(job), job.build()
    run.folder.claim("finetune", job.settings, resume=False)
    run.after_epoch(net, state_of(0.5))
    first = next(iter(net.trained_state().values())).clone()
    with torch.no_grad():
        next(iter(net.trained_state().values())).add_(1)
    run.after_epoch(net, state_of(0.5, math.nan))
    kept, card = restore(f"{tmp_path}/checkpoint.safetensors")
    assert torch.equal(next(iter(kept.trained_state().values())), first)
    assert (card.threshold, card.temperature, card.provenance["epoch"]) == (0.25, 2.0, "1")
    assert (card.bias, card.prevalence) == (-0.5, 0.125)
    assert run.result() is None
    json.dumps(run.folder.read_json("run.json"), allow_nan=False)

    judged = Evaluation(confusion=Confusion(tp=1, tn=2), histogram=LogitHistogram.empty(), loss=1.0)
    run.complete(kept, state_of(0.5, math.nan), judged)
    result = run.result()
    assert result is not None
    assert result.holdout == Confusion(tp=1, tn=2)
    assert result.best == 1
    assert math.isnan(result.epochs[1].validation_f1)
    assert result.epochs[0].calibration == epoch(1, 0.5).calibration


def test_each_recorded_epoch_is_said_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("landslide_scale.training.run._POLL_S", 0.02)
    job = job_at(str(tmp_path))
    run, net, lines = TrainRun(job), job.build(), list[str]()
    run.folder.claim("finetune", job.settings, resume=False)
    run.folder.note(epochs=[])
    with run.followed(lines.append):
        for count in (1, 2, 1, 2):  # as after a restart
            run.after_epoch(net, state_of(*[0.5] * count, best=9))
            time.sleep(0.2)
        run.after_epoch(net, state_of(0.5, 0.5, 0.625, best=9))
    assert [line[:7] for line in lines] == ["epoch 1", "epoch 2", "epoch 3"]
    assert lines[2] == "epoch 3: loss 1.5000, validation loss nan, validation F1 0.625, 3.0 s"
