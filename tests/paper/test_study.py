"""A whole benchmark on a real local Ray cluster, stopped and resumed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml

from landslide_scale.errors import InvalidDatasetError, RunConflictError
from landslide_scale.paper import study
from landslide_scale.paper.settings import BenchmarkConfig
from landslide_scale.paper.sheets import Table
from landslide_scale.paper.study import BenchmarkSummary, run_benchmark
from landslide_scale.paper.trials import Trial, trials
from landslide_scale.runtime.session import session
from landslide_scale.storage.lease import held
from landslide_scale.storage.rundir import RunDirectory
from landslide_scale.strictyaml import parse

TINY = {"sam": "vit_t", "upsample": 1}


def settings(data: Path, run: Path, **changes: Any) -> dict[str, Any]:  # noqa: ANN401 YAML
    return {
        "datasets": {"bijie": {"kind": "bijie", "path": str(data), "resize": 32}},
        "models": {"frozen": TINY, "trained": TINY | {"train_encoder": True}},
        "seeds": [0],
        "train": {"epochs": 1, "batch": 4, "patch": 32, "precision": "float32"},
        "output": {"run": str(run)},
        "examples": 2,
    } | changes


def benchmark(wanted: dict[str, Any], *, resume: bool = False, stop_at: str = "never") -> BenchmarkSummary:
    def progress(line: str) -> None:
        if stop_at in line:
            raise KeyboardInterrupt

    config = parse(BenchmarkConfig, wanted)
    return run_benchmark(config, resume=resume, progress=progress)


def files(run: Path) -> dict[str, bytes]:
    found = [path for folder in ("tables", "pictures") for path in (run / folder).iterdir()]
    return {str(path.relative_to(run)): path.read_bytes() for path in found}


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_TRAIN_HEALTH_CHECK_INTERVAL_S", "0.1")  # of the reports; every 2 s by default
        with session(None):
            yield


@pytest.fixture(scope="module")
def whole(cluster: None, bijie: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:  # noqa: ARG001
    run = tmp_path_factory.mktemp("whole") / "run"
    benchmark(settings(bijie, run))
    return run


@pytest.mark.ray
@pytest.mark.usefixtures("cluster")
@pytest.mark.slow
def test_a_benchmark_writes_every_table_and_picture(bijie: Path, tmp_path: Path):
    run = tmp_path / "run"
    benchmark(settings(bijie, run, models={"frozen": TINY}))
    names = {f"bijie-{name}" for name in ("paper", "strict", "strict-all", "strict-beyond", "strict-all-beyond")}
    names |= {"sizes", *(f"bijie-{name}-differences" for name in ("paper", "strict", "strict-all"))}
    tables = {f"tables/{name}.{ending}" for name in names for ending in ("md", "csv", "json")}
    assert set(files(run)) == tables | {"pictures/bijie.png", "pictures/sizes.png"}
    text = (run / "tables" / "bijie-paper.md").read_text()
    assert "| frozen |" in text
    assert "93.91" in text


@pytest.mark.slow
@pytest.mark.ray
def test_stopped_and_resumed_it_gives_the_same_tables(whole: Path, bijie: Path, tmp_path: Path):
    run = tmp_path / "run"
    wanted = settings(bijie, run)
    with pytest.raises(KeyboardInterrupt):
        benchmark(wanted, stop_at="[2/2]")
    with pytest.raises(RunConflictError, match="--resume"):
        benchmark(wanted)
    benchmark(wanted, resume=True)
    assert files(run) == files(whole)
    faster = wanted | {"train": wanted["train"] | {"learning_rate": 1.0}}
    with pytest.raises(RunConflictError, match="learning_rate"):
        benchmark(faster, resume=True)


@pytest.mark.slow
@pytest.mark.ray
@pytest.mark.usefixtures("cluster")
def test_a_model_may_be_added_later(bijie: Path, tmp_path: Path):
    run = tmp_path / "run"
    models = settings(bijie, run)["models"]
    benchmark(settings(bijie, run, models={"frozen": models["frozen"]}))
    summary = benchmark(settings(bijie, run, models=models), resume=True)
    assert [row[0] for row in summary.tables[0].rows][:2] == ["frozen", "trained"]  # then maps that learn nothing


@pytest.mark.slow
@pytest.mark.ray
@pytest.mark.usefixtures("cluster")
def test_a_benchmark_that_is_at_work_is_not_begun_again(bijie: Path, tmp_path: Path):
    run = tmp_path / "run"
    with held(RunDirectory(str(run))), pytest.raises(RunConflictError, match="another run is at work here"):
        benchmark(settings(bijie, run), resume=True)
    assert list(run.iterdir()) == []


def test_data_that_cannot_be_used_are_found_before_anything_is_written(bijie: Path, tmp_path: Path):
    run = tmp_path / "run"
    broken = {"kind": "bijie", "path": str(tmp_path / "nowhere"), "resize": 32}
    wanted = settings(bijie, run)
    with pytest.raises(InvalidDatasetError, match="nowhere"):
        benchmark(wanted | {"datasets": wanted["datasets"] | {"other": broken}})
    assert not run.exists()


@dataclass(frozen=True, kw_only=True)
class Study:
    """A benchmark whose trainings are made up: each gives its seed as the text of a table."""

    folder: RunDirectory
    trained: list[int]
    states: list[str]

    def run(self, *seeds: int, stop_at: str = "") -> None:
        def stopped(line: str) -> None:
            if stop_at and stop_at in line:
                raise KeyboardInterrupt

        run_benchmark(parse(BenchmarkConfig, self.settings(*seeds)), resume=True, progress=stopped)

    def settings(self, *seeds: int) -> dict[str, Any]:
        models = {"frozen": TINY}
        return settings(Path("data"), Path(self.folder.url), seeds=list(seeds), models=models)


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Study:
    made = Study(folder=RunDirectory(str(tmp_path / "run")), trained=[], states=[])

    def result(trial: Trial, *_: object) -> int:
        folder = RunDirectory(trial.job.output)
        if not folder.exists("result.json"):
            made.trained.append(trial.seed)
            made.states.append(made.folder.facts()["state"])
            folder.write_json("result.json", trial.seed)
        return trial.seed

    def table(name: str, title: str = "") -> Table:
        return Table(name=name, title=title, columns=("seed",), rows=(), notes=())

    def pictures(*_: object) -> list[str]:
        made.states.append(made.folder.facts()["state"])
        return []

    for name, instead in {
        "_result": result,
        "score_tables": lambda results: [table("scores", str(results))],
        "size_table": lambda _: table("sizes"),
        "_pictures": pictures,
        "_check": lambda _: None,
        "check_machine": lambda *_: None,
        "check_on_every_node": lambda *_, **__: None,
        "session": lambda _: nullcontext(),
    }.items():
        monkeypatch.setattr(study, name, instead)
    return made


def test_a_benchmark_is_not_complete_from_the_training_of_a_further_seed_on_until_its_tables_are_written(made: Study):
    made.run(0, 1)
    assert made.folder.facts()["state"] == "complete"
    with pytest.raises(KeyboardInterrupt):
        made.run(0, 1, 2, 3, stop_at="[4/4]")
    assert (made.trained, set(made.states)) == ([0, 1, 2], {"running"})
    assert made.folder.facts()["state"] == "running"
    made.run(0, 1, 2, 3)
    assert made.trained == [0, 1, 2, 3]
    assert made.folder.facts()["state"] == "complete"


def test_a_benchmark_of_which_nothing_is_made_anew_stays_complete_and_fewer_seeds_make_its_tables_anew(made: Study):
    made.run(0, 1)
    ages = {path: path.stat().st_mtime_ns for path in Path(made.folder.url).rglob("*.*") if path.name != "run.json"}
    made.states.clear()
    made.run(0, 1)
    assert made.states == ["complete"]
    assert {path: path.stat().st_mtime_ns for path in ages} == ages
    made.run(0)
    assert made.states == ["complete", "running"]
    assert made.folder.facts()["state"] == "complete"


@pytest.mark.parametrize("file", ["result.json", "examples.npz"])
def test_a_training_whose_judgement_is_damaged_is_named_with_a_cure(
    file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (trial,) = trials(parse(BenchmarkConfig, settings(tmp_path, tmp_path, models={"frozen": TINY})))
    RunDirectory(trial.job.output).write(file, b"{")
    monkeypatch.setattr(study, "finetune", lambda *_, **__: None)
    read: Callable[[], object] = partial(study._result, trial, 1, print, lambda: None)
    with pytest.raises(RunConflictError, match=rf"{file} is damaged.*Remove result\.json.*judges it again"):
        (read if file == "result.json" else partial(study._kept, trial))()


@pytest.mark.slow
@pytest.mark.ray
def test_killed_half_way_and_resumed_it_gives_the_same_tables(whole: Path, bijie: Path, tmp_path: Path):
    run, file = tmp_path / "run", tmp_path / "benchmark.yaml"
    file.write_text(yaml.safe_dump(settings(bijie, run)))
    command = [sys.executable, "-m", "landslide_scale", "benchmark", "--config", str(file), "--resume"]
    first = subprocess.Popen(command, start_new_session=True)
    while not (run / "trials" / "bijie-frozen-0" / "result.json").exists():
        assert first.poll() is None
        time.sleep(0.2)
    os.killpg(first.pid, signal.SIGKILL)
    first.wait()
    assert not (run / "tables").exists()
    subprocess.run(command, check=True)
    assert files(run) == files(whole)
