"""Fine-tuning on a real local Ray cluster, stopped, killed and resumed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import psutil
import pytest
import ray.train
import torch
from torchvision.models import resnet18

from landslide_scale.datasets.spec import DataSpec
from landslide_scale.errors import (
    BrokenRunError,
    InvalidCheckpointError,
    InvalidConfigError,
    InvalidDatasetError,
    RunConflictError,
)
from landslide_scale.judging.assess import evaluate_checkpoint
from landslide_scale.metrics import Confusion
from landslide_scale.model import counts_line
from landslide_scale.model.checkpoint import restore
from landslide_scale.runtime.session import session
from landslide_scale.spec import ConvNetSpec, InputSpec, LandslideNetSpec
from landslide_scale.storage.files import file_sha256
from landslide_scale.storage.lease import held
from landslide_scale.storage.rundir import RunDirectory
from landslide_scale.training.engine import _cause, finetune
from landslide_scale.training.fitting import TrainState, fit, score
from landslide_scale.training.job import FinetuneJob, Prepared
from landslide_scale.training.run import FinetuneResult, TrainRun
from landslide_scale.training.spec import TrainSpec

MODEL = LandslideNetSpec(sam="vit_t", upsample=1)


def make_chips(folder: Path) -> str:
    folder.mkdir()
    index = {"version": 1, "bands": ["red", "green", "blue"], "radiometry": "boa", "resolution": 10.0, "size": 32}
    (folder / "chips.json").write_text(json.dumps(index))
    rng = np.random.default_rng(0)
    for number in range(10):
        label = np.zeros((32, 32), np.uint8)
        y, x = rng.integers(0, 20, 2)
        label[y : y + 12, x : x + 12] = 1
        image = (rng.random((3, 32, 32)) * 0.05 + 0.2 * label).astype(np.float32)
        np.savez_compressed(folder / f"chip{number}.npz", image=image, label=label)
    return str(folder)


def job_for(data: str, output: Path | str, **changes: object) -> FinetuneJob:
    job = FinetuneJob(
        data=DataSpec(kind="chips", path=data),
        model=MODEL,
        inputs=InputSpec.for_bands("boa", MODEL.bands),
        # 6 training chips in batches of 4.
        train=TrainSpec(epochs=5, batch=4, patch=32, precision="float32", statistics="data"),
        output=str(output),
    )
    return replace(job, **changes)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> str:
    return make_chips(tmp_path_factory.mktemp("chips") / "chips")


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_TRAIN_HEALTH_CHECK_INTERVAL_S", "0.1")  # of the reports; every 2 s by default
        with session(None):
            yield


class Killer:
    """Notes progress, and kills one of this test's own workers at the first word of some epochs."""

    def __init__(self, *epochs: int) -> None:
        self.epochs = set(epochs)
        self.lines: list[str] = []
        self.said: list[str] = []

    def __call__(self, line: str) -> None:
        if not line.startswith("epoch"):
            self.said.append(line)
            return
        self.lines.append(line)
        if len(self.lines) in self.epochs:
            self.epochs.remove(len(self.lines))
            workers = (
                p for p in psutil.Process().children(recursive=True) if "RayTrainWorker" in " ".join(p.cmdline())
            )
            next(workers).kill()


def state_of(output: Path) -> dict:
    return json.loads((output / "run.json").read_text())


def undisturbed(job: FinetuneJob) -> tuple[TrainState, Confusion]:
    """The same training in this process, without Ray."""
    prepared = Prepared.of(job)
    job = prepared.settled(job)
    net, parts = job.build(), prepared.parts(job)
    state = fit(net, parts, job.train)
    return state, score(net, state, parts, job.train).confusion


@pytest.mark.ray
@pytest.mark.timeout(240)
@pytest.mark.usefixtures("cluster")
@pytest.mark.slow
def test_killed_workers_and_a_resume_change_nothing(data: str, tmp_path: Path):
    output = tmp_path / "run"
    job = job_for(data, f"file://{output}", workers=2, max_failures=0)
    lines = Killer(1, 3)
    # Ray may hear of the broken connection in the other worker before it misses the killed one.
    with pytest.raises(BrokenRunError, match=r"after 0 restarts of its workers: worker \d .*Go on by --resume"):
        finetune(job, progress=lines)
    assert state_of(output)["state"] == "running"
    assert len(lines.lines) < 3

    with pytest.raises(RunConflictError, match=r"Go on with it by --resume, or choose another output\.run"):
        finetune(job)
    with pytest.raises(RunConflictError, match=r"train\.learning_rate: 0\.0002 there, 0\.1 now"):
        finetune(replace(job, train=replace(job.train, learning_rate=0.1)), resume=True)

    result = finetune(replace(job, workers=1, max_failures=1), resume=True, progress=lines)
    assert [line.partition(":")[0] for line in lines.lines] == [f"epoch {n}" for n in range(1, 6)]
    assert set(lines.said) == {counts_line(job.build())}
    assert not lines.epochs
    assert finetune(job, resume=True, progress=pytest.fail) == result
    check_result(result, job)
    check_record(state_of(output), job, result)


@pytest.mark.slow
@pytest.mark.ray
@pytest.mark.timeout(240)
@pytest.mark.usefixtures("cluster")
def test_two_workers_train_a_convolutional_network_as_one_does_from_published_weights(data: str, tmp_path: Path):
    torch.save(resnet18(weights=None).state_dict(), tmp_path / "resnet18.pth")
    model = ConvNetSpec(name="unet", encoder="resnet18", depth=3)
    job = job_for(data, tmp_path / "run", model=model, workers=2)
    base = tmp_path / "resnet18.pth"
    job = replace(job, base_url=str(base), base_sha256=file_sha256(base), train=replace(job.train, epochs=2))
    lines: list[str] = []
    result = finetune(job, progress=lines.append)
    expected, _ = undisturbed(job)
    # Adam makes whole steps of gradients that are only rounding.
    assert [epoch.loss for epoch in result.epochs] == pytest.approx([e.loss for e in expected.epochs], abs=1e-3)
    assert lines[0] == "unet: 0.88 M of 0.88 M parameters are trained"
    base.unlink()
    scored = evaluate_checkpoint(result.checkpoint, job.data, job.train)
    assert scored.confusion == result.holdout
    assert (scored.card.model, scored.card.base.sha256) == (model, job.base_sha256)


def check_result(result: FinetuneResult, job: FinetuneJob) -> None:
    expected, holdout = undisturbed(job)
    assert result.best == expected.best
    assert [e.loss for e in result.epochs] == pytest.approx([e.loss for e in expected.epochs], abs=1e-4)
    net, card = restore(result.checkpoint)
    settled = Prepared.of(job).settled(job)
    start = settled.build().trained_state()
    moved, apart = torch.zeros(()), torch.zeros(())
    for name, tensor in net.trained_state().items():
        moved += (expected.best_trained[name] - start[name]).abs().sum()
        apart += (expected.best_trained[name] - tensor).abs().sum()
    # Adam makes whole steps of gradients that are only rounding, so single weights may part; all together must not.
    assert apart < 1e-4 * moved
    assert card.model == MODEL
    assert card.inputs == settled.inputs != job.inputs
    assert card.provenance["epoch"] == str(result.best)
    assert vars(result.holdout) == pytest.approx(vars(holdout), abs=30)


def check_record(facts: dict, job: FinetuneJob, result: FinetuneResult) -> None:
    assert facts["state"] == "complete"
    assert facts["images"] == {"train": 6, "validation": 1, "holdout": 3}
    assert facts["parameters"]["trainable"] < facts["parameters"]["total"]
    assert facts["settings"]["train"]["epochs"] == 5
    assert sum(facts["holdout"]["pixels"].values()) == 3 * 32 * 32
    assert {"landslide", "macro"} <= facts["holdout"].keys()
    scored = evaluate_checkpoint(result.checkpoint, job.data, job.train)
    assert scored.confusion == result.holdout
    assert scored.images == 3


def test_a_workers_own_error_comes_back_as_it_was(data: str, tmp_path: Path):
    job = job_for(data, tmp_path)
    ours = InvalidDatasetError("gone", file="x.npz")
    assert _cause(ray.train.WorkerGroupError("", {0: ours}), job) is ours
    strange = _cause(ray.train.WorkerGroupError("", {1: RuntimeError("Traceback\n  x\nRuntimeError: boom")}), job)
    assert isinstance(strange, BrokenRunError)
    assert "after 3 restarts of its workers: worker 1 RuntimeError: boom" in str(strange)
    assert "boom" in str(_cause(ray.train.ControllerError(RuntimeError("boom")), job))


def test_a_worker_that_died_is_named_before_those_that_only_lost_it(data: str, tmp_path: Path):
    lost, died = RuntimeError("gloo: connection reset by peer"), RuntimeError("not healthy")
    died.health_check_failure = RuntimeError("actor died")  # type: ignore[attr-defined]
    said = str(_cause(ray.train.WorkerGroupError("", {0: lost, 1: died}), job_for(data, tmp_path)))
    assert "its workers: worker 1 died (killed, out of memory, or its machine was lost); worker 0 gloo" in said


def test_a_changed_data_set_is_no_resume(tmp_path: Path):
    folder = Path(make_chips(tmp_path / "chips"))
    job = job_for(str(folder), tmp_path / "run")
    TrainRun(job).begin(Prepared.of(job), job.build(), resume=False)
    split = tmp_path / "run" / "split.json"
    kept = split.read_text()
    parts = json.loads(kept)
    parts["train"], parts["holdout"] = parts["holdout"], parts["train"]
    split.write_text(json.dumps(parts))
    with pytest.raises(RunConflictError, match="the data set has other labels than when the run began"):
        TrainRun(job).begin(Prepared.of(job), job.build(), resume=True)
    split.write_text(kept)
    (folder / "chip0.npz").unlink()
    with pytest.raises(RunConflictError, match="the data set has other images than when the run began"):
        finetune(job, resume=True)


def test_bad_data_writes_nothing(tmp_path: Path):
    broken = Path(make_chips(tmp_path / "chips"))
    (broken / "chip3.npz").write_bytes(b"")
    with pytest.raises(InvalidDatasetError, match=r"chip3\.npz: image cannot be read"):
        finetune(job_for(str(broken), tmp_path / "run"))
    assert not (tmp_path / "run").exists()


def test_a_folder_that_another_driver_is_at_work_in_is_refused(data: str, tmp_path: Path):
    job = job_for(data, tmp_path / "run")
    folder = RunDirectory(job.output)
    with held(folder), pytest.raises(RunConflictError, match="another run is at work here"):
        finetune(job, progress=lambda _: None)
    assert folder.names("", "") == []


def test_wrong_base_weights_write_nothing(data: str, tmp_path: Path):
    (tmp_path / "sam.pth").write_bytes(b"not weights")
    job = job_for(data, tmp_path / "run", base_url=str(tmp_path / "sam.pth"), base_sha256="0" * 64)
    with pytest.raises(InvalidCheckpointError, match=r"sam\.pth: SHA-256"):
        finetune(job)
    assert not (tmp_path / "run").exists()


def test_too_few_landslides_are_named_with_their_folder(tmp_path: Path):
    folder = Path(make_chips(tmp_path / "chips"))
    for path in sorted(folder.glob("*.npz"))[2:]:
        path.unlink()
    with pytest.raises(InvalidDatasetError, match=r"chips: 2 of 2 images show a landslide; expected at least 3"):
        finetune(job_for(str(folder), tmp_path / "run"))


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"workers": 5}, "compute.workers"),
        ({"base_url": "x"}, "base_weights"),
        ({"train": TrainSpec(patch=30)}, "train.patch"),
        (
            {"model": ConvNetSpec(name="unet"), "train": TrainSpec(patch=16)},
            "16 once enlarged; expected a multiple of 32",
        ),
        ({"model": ConvNetSpec(name="unet"), "train": TrainSpec(patch=32, batch=1)}, "train.batch: 1 with unet"),
    ],
)
def test_impossible_jobs_are_refused(tmp_path: Path, changes: dict[str, object], key: str):
    with pytest.raises(InvalidConfigError, match=key):
        job_for("data", tmp_path, **changes)
