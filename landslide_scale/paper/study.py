"""A benchmark from its configuration to its tables and pictures: every training through Ray Train, one by one."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import ray

from landslide_scale.errors import LandslideScaleError
from landslide_scale.model import parameter_counts
from landslide_scale.paper.figures import Example, comparison, sizes_figure
from landslide_scale.paper.protocols import EXAMPLES, judge
from landslide_scale.paper.settings import BenchmarkConfig
from landslide_scale.paper.sheets import Table, Writer, write_tables
from landslide_scale.paper.tables import score_tables, size_table
from landslide_scale.paper.trials import Judgement, Trial, TrialResult, trials
from landslide_scale.redaction import redacted
from landslide_scale.runtime.nodes import check_on_every_node
from landslide_scale.runtime.session import check_machine, session
from landslide_scale.storage.absence import WRITER_S, patient
from landslide_scale.storage.lease import check_lease, held
from landslide_scale.storage.owned import read_own, read_own_json
from landslide_scale.storage.rundir import RUN, RunDirectory
from landslide_scale.training.begun import begun_calibration, begun_decay, begun_groups, begun_loss
from landslide_scale.training.engine import finetune
from landslide_scale.training.job import FinetuneJob, Prepared

_RESULT = "result.json"
_JUDGED_AGAIN = f"Remove {_RESULT} of that training: --resume judges it again."
Say = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class BenchmarkSummary:
    """What a benchmark came to: its tables, and the names of all files below its folder."""

    tables: tuple[Table, ...]
    files: tuple[str, ...]
    run: str


def run_benchmark(config: BenchmarkConfig, *, resume: bool, progress: Say) -> BenchmarkSummary:
    """Train and judge what is not there yet, then write all tables and pictures.

    Trainings are taken one after the other, each on all the workers of `config.compute`. More models or seeds may be
    added to a benchmark later: `resume` then runs the new ones.

    Args:
        config: What to do.
        resume: Go on with the benchmark in the output, if there is one.
        progress: Given lines of text as it goes.

    Raises:
        InvalidInputError: Data, weights or settings cannot be used, said before the first training; or the output
            holds another benchmark.
        BrokenRunError: Workers failed too often.
    """
    folder = RunDirectory(config.output.run)
    config = _as_begun(config, folder)
    wanted = trials(config)
    _check(wanted)
    results = []
    with session(config.compute.address):
        check_machine(*wanted[0].job.needs)
        check_on_every_node(config.output.run, key="output.run")
        with held(folder) as lease:
            folder.claim("benchmark", _as_recorded(_settings(config), folder), resume=resume)
            folder.enter(lease.token)
            output, ours = _Output(folder), partial(check_lease, folder, lease.name)
            for number, trial in enumerate(wanted, 1):
                progress(f"[{number}/{len(wanted)}] {trial.dataset}, {trial.model}, seed {trial.seed}")
                if not RunDirectory(trial.job.output).exists(_RESULT):
                    output.changes()
                results.append(_result(trial, config.examples, progress, ours))
                lease.check()
            tables = [*score_tables(results), size_table(results)]
            files = [*write_tables(tables, output.write), *_pictures(output.write, wanted, tables[-1])]
            folder.note(state="complete", files=files)
    return BenchmarkSummary(tables=tuple(tables), files=tuple(files), run=str(folder))


class _Output:
    """What a benchmark puts into its folder: from the first thing that is another than there, it is not complete.

    Args:
        folder: The benchmark's.
    """

    def __init__(self, folder: RunDirectory) -> None:
        self._folder, self._changing = folder, False

    def changes(self) -> None:
        """Say that something of it is made now."""
        if not self._changing:
            self._folder.note(state="running")
        self._changing = True

    def write(self, name: str, content: bytes) -> None:
        """Write a file, where it is not there as it is."""
        if not (self._folder.exists(name) and self._folder.read(name) == content):
            self.changes()
            self._folder.write(name, content)


def _as_begun(config: BenchmarkConfig, folder: RunDirectory) -> BenchmarkConfig:
    """The benchmark as the one in the folder was begun: its decay; of calibration and parts what is left open."""
    if not folder.exists(RUN):
        return config
    train, settings = config.train, folder.claimed()["settings"]
    if train.calibration is None:
        train = replace(train, calibration=begun_calibration(folder))
    if begun_decay(folder) == "all":
        train = replace(train, decay="all")
    if train.loss_over is None:
        recorded = settings.get("train", {}) if isinstance(settings, dict) else {}
        train = replace(train, loss_over=begun_loss(recorded))
    begun = settings.get("datasets", {}) if isinstance(settings, dict) else {}
    datasets = {
        name: replace(data, groups=begun_groups(begun[name])) if data.groups is None and name in begun else data
        for name, data in config.datasets.items()
    }
    return config.model_copy(update={"train": train, "datasets": datasets})


def _settings(config: BenchmarkConfig) -> dict[str, Any]:
    """What all trainings share. Models and seeds are not in it: each training's own folder knows its own."""
    train = {key: value for key, value in config.train.recorded.items() if key != "seed"}
    datasets: dict[str, object] = json.loads(
        json.dumps({name: data.settings for name, data in config.datasets.items()})
    )
    return config.model_dump(mode="json", include={"base_weights"}) | {"train": train, "datasets": datasets}


def _as_recorded(settings: dict[str, Any], folder: RunDirectory) -> dict[str, Any]:
    """The settings; with the paths of data sets as written, where the benchmark in the folder was begun so."""
    known = folder.claimed()["settings"] if folder.exists(RUN) else {}
    written = known.get("datasets", {}) if isinstance(known, dict) else {}
    datasets = {name: data | _written(data["path"], written.get(name)) for name, data in settings["datasets"].items()}
    return settings | {"datasets": datasets}


def _written(path: str, known: Any) -> dict[str, str]:  # noqa: ANN401 JSON
    before = known.get("path") if isinstance(known, dict) else None
    return {"path": before} if isinstance(before, str) and os.path.expandvars(before) == path else {}


def _check(wanted: Sequence[Trial]) -> None:
    """Open all data and all weights once, so that nothing is found to be broken hours into a benchmark."""
    first = [trial for trial in wanted if trial.seed == wanted[0].seed]
    for trial in {(trial.dataset, trial.job.model.bands): trial for trial in first}.values():
        Prepared.of(trial.job)
    for trial in {trial.model: trial for trial in first}.values():
        trial.job.build()


def _result(trial: Trial, examples: int, progress: Say, ours: Callable[[], None]) -> TrialResult:
    """What the trial came to, trained and judged now if it was not before, as long as the folder is `ours`."""
    # A finished training is found by this too, and refused where its settings were others.
    done = finetune(trial.job, resume=True, progress=lambda line: progress(f"  {line}"))
    folder = RunDirectory(trial.job.output)
    if folder.exists(_RESULT):
        return read_own_json(folder, _RESULT, TrialResult.from_plain, cure=_JUDGED_AGAIN)
    trainable, total = parameter_counts(trial.job.build())
    judged = _judged(trial.job, examples, ours)
    result = TrialResult(
        dataset=trial.dataset,
        model=trial.model,
        seed=trial.seed,
        architecture=trial.job.model.name,
        kind=trial.job.data.kind,
        weights=_weights(trial.job),
        trainable=trainable,
        total=total,
        best=done.best,
        judged=judged.protocols,
        rivals=judged.rivals,
        contested=judged.contested,
    )
    folder.write_json(_RESULT, result.to_plain())
    return result


def _weights(job: FinetuneJob) -> str:
    return "random weights" if job.base_url is None else redacted(job.base_url).rsplit("/", 1)[-1]


def _judged(job: FinetuneJob, examples: int, ours: Callable[[], None]) -> Judgement:
    """Judged where a worker would train: the driver may have no accelerator."""
    task = ray.remote(num_cpus=job.cpus_per_worker, num_gpus=1 if job.gpu else 0)(_judge)
    try:
        found: Judgement = ray.get(task.remote(job, examples, ours))
    except ray.exceptions.RayTaskError as error:
        if isinstance(error.cause, LandslideScaleError):
            raise error.cause from error
        raise
    return found


def _judge(job: FinetuneJob, examples: int, ours: Callable[[], None]) -> Judgement:
    """As :func:`judge`, in a process of its own, which may hang, and come back to a folder that is `ours` no more."""
    with patient(WRITER_S, guard=ours):
        return judge(job, examples)


def _pictures(write: Writer, wanted: Sequence[Trial], sizes: Table) -> list[str]:
    """A comparison picture for each data set, of its first seed, and F1 over parameters."""
    pictures = {"pictures/sizes.png": sizes_figure(sizes)}
    for dataset in dict.fromkeys(trial.dataset for trial in wanted):
        group = [trial for trial in wanted if trial.dataset == dataset and trial.seed == wanted[0].seed]
        title = f"{dataset}: held-out images, seed {group[0].seed}"
        pictures[f"pictures/{dataset}.png"] = comparison(_examples(group), title)
    for name, content in pictures.items():
        write(name, content)
    return list(pictures)


def _examples(group: Sequence[Trial]) -> list[Example]:
    kept = {trial.model: _kept(trial) for trial in group}
    first = next(iter(kept.values()))
    return [
        Example(
            name=str(name),
            image=first[f"image{number}"],
            label=first[f"label{number}"],
            masks={model: content[f"mask{number}"] for model, content in kept.items()},
        )
        for number, name in enumerate(first["names"])
    ]


def _kept(trial: Trial) -> dict[str, np.ndarray]:
    return read_own(RunDirectory(trial.job.output), EXAMPLES, _unpacked, cure=_JUDGED_AGAIN)


def _unpacked(packed: bytes) -> dict[str, np.ndarray]:
    with np.load(io.BytesIO(packed), allow_pickle=False) as content:
        return {name: content[name] for name in content.files}
