"""A region-wide scan on a Ray cluster: its pipeline is begun, fed, listened to, and ended. Wiring, and nothing else."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import ray
from ray.exceptions import RayError

from landslide_scale.cube.record import Record
from landslide_scale.errors import BrokenRunError
from landslide_scale.paths import for_workers
from landslide_scale.registry.located import Located
from landslide_scale.runtime import heartbeat
from landslide_scale.runtime.nodes import check_on_every_node
from landslide_scale.runtime.session import check_machine, last_line, of_ours, session
from landslide_scale.scan import driver
from landslide_scale.scan.driver import Engine, Rank
from landslide_scale.scan.model import checkpoint_of
from landslide_scale.scan.pipeline.feed import Flight, in_flight
from landslide_scale.scan.pipeline.inflight import Look
from landslide_scale.scan.pipeline.loading import Load, restored
from landslide_scale.scan.pipeline.stages import Prediction, started
from landslide_scale.scan.pipeline.taking import taking
from landslide_scale.scan.rounds import Belt, Report
from landslide_scale.scan.settings import NONE, CheckpointConfig, ScanCompute, ScanConfig
from landslide_scale.scan.summary import ScanSummary
from landslide_scale.scan.verify import as_listed, as_recorded
from landslide_scale.scan.work import Row, Task

log = logging.getLogger(__name__)

PATIENCE_S = 10.0
"""For the end of a pipeline that was told that no unit follows."""

LOOK_S = 5.0
"""Between two looks at what is in flight while nothing ends."""

ANSWER_S = 300.0
"""For an answer of the actor beside this process, its start included; a busy machine takes a minute for that."""

Restore = Callable[..., tuple[Any, Any]]
"""From a checkpoint's URL, its base weights' and the checkpoint's SHA-256 to a network and its card."""


def scan(
    config: ScanConfig,
    *,
    resume: bool = False,
    check: bool = False,
    progress: Report = lambda _: None,
    load: Restore = restored,
    rank: Rank = driver.as_planned,
) -> ScanSummary:
    """Run a scan on the cluster, or what is left of it; see :func:`driver.begin`.

    Args:
        config: What to scan, with what, and where to put it.
        resume: Go on with the run that the folder holds.
        check: List its cube first, to find what got lost of what is done.
        progress: Called whenever units have ended.
        load: How the checkpoint becomes a network and its card; it crosses processes.
        rank: The order of units.
    """
    if resume and not check and (summary := driver.ended(config)) is not None:
        return summary
    join = partial(_joined, compute=config.compute, output=config.output.run)
    standing = as_listed if check else as_recorded
    return driver.begin(
        config, _engine(config, load), resume=resume, progress=progress, join=join, rank=rank, standing=standing
    )


def append(
    config: ScanConfig,
    *,
    progress: Report = lambda _: None,
    load: Restore = restored,
    rank: Rank = driver.as_planned,
) -> ScanSummary:
    """Add the configuration's further windows to a complete scan; see :func:`driver.append`."""
    with session(config.compute.address):  # joined before the run is made a longer one
        check_machine(*config.compute.needs(0, predicted=config.model != NONE))
        return driver.append(config, _engine(config, load), progress=progress, rank=rank)


def _engine(config: ScanConfig, load: Restore) -> Engine:
    loading = _loading(config.model, load) if isinstance(config.model, CheckpointConfig) else None
    how = Prediction(load=loading, settings=config.predict, compute=config.compute)
    return taking(config.output.base, config.catalog, partial(_on_ray, how=how, output=config.output.run))


def _loading(model: CheckpointConfig, load: Restore) -> Load:
    base = None if model.base_weights is None else for_workers(model.base_weights)
    checkpoint = checkpoint_of(model)
    return partial(_loaded, load, replace(checkpoint, url=for_workers(checkpoint.url)), base)


def _loaded(load: Restore, checkpoint: Located, base_url: str | None, *, sha256: str | None = None) -> tuple[Any, Any]:
    """The network and its card, where they are to predict: a checkpoint with a name is fetched once by each node.

    Its address may hold another file by then than its driver saw, whose `sha256` goes with the task.
    """
    return load(checkpoint.here(), base_url=base_url, sha256=sha256)


@contextmanager
def _joined(task: Task, compute: ScanCompute, output: str) -> Iterator[None]:
    """Connected to the cluster, all of which sees the output, and which has what a scan takes where it never grows."""
    with session(compute.address):
        check_machine(*compute.needs(task.reader_bytes, predicted=task.predicted))
        check_on_every_node(output, key="output.run")
        yield


@contextmanager
def _on_ray(task: Task, how: Prediction, output: str) -> Iterator[Belt]:
    """One pipeline on the cluster for as long as the block takes."""
    with _joined(task, how.compute, output):
        flight = in_flight()
        load = None if how.load is None else partial(how.load, sha256=task.checkpoint_sha256 or None)
        pump, records = started(flight, task, replace(how, load=load))
        try:
            yield _RayBelt(flight=flight, records=records, task=task, compute=how.compute)
            flight.close.remote()
            ray.wait([records.completed()], timeout=PATIENCE_S)
        finally:
            ray.kill(pump)
            ray.kill(flight)


@dataclass(frozen=True, kw_only=True)
class _RayBelt(Belt):
    """The driver's end of a pipeline."""

    flight: Flight
    records: ray.ObjectRefGenerator
    task: Task
    compute: ScanCompute

    def put(self, rows: Sequence[Row]) -> None:
        """Have units worked on; whoever holds them drops each when it has ended."""
        self._asked(self.flight.put.remote(list(rows)))

    def next(self) -> Record:
        """The record of the next unit that ends.

        Raises:
            BrokenRunError: A step failed in a way that is no unit's own, or nothing has ended for too long.
        """
        self._wait()
        try:
            record = Record.from_json(ray.get(next(self.records)))
        except StopIteration:
            raise self._broken("the pipeline ended before its units") from None
        except RayError as error:
            raise of_ours(error) or self._broken(last_line(error)) from error
        self.flight.end.remote(record.unit)
        return record

    def _wait(self) -> None:
        """Until a unit has ended. Time counts while a predictor is ready: without one, that is what is missing."""
        limits = self.compute
        said = heard = had = time.monotonic()
        while not ray.wait([self.records], timeout=min(LOOK_S, limits.no_progress_s / 4))[0]:
            look, now = self._asked(self.flight.look.remote()), time.monotonic()
            if look.ready or not self.task.predicted:
                had = now
                what = f"no unit has ended for {now - heard:.0f} s; {standing(look, self.compute, self.task)}"
            else:
                heard = now
                what = f"no predictor is ready since {now - had:.0f} s; {missing(look, self.compute)}"
            if now - heard >= limits.no_progress_s or now - had >= limits.predictors_within_s:
                raise self._broken(what)
            if now - said >= heartbeat.EVERY_S:
                said = now
                log.warning("%s", what)

    def _asked(self, answer: ray.ObjectRef[Any]) -> Any:  # noqa: ANN401 what the actor's methods give
        try:
            return ray.get(answer, timeout=ANSWER_S)
        except RayError as error:
            raise self._broken(f"the cluster does not answer: {type(error).__name__}") from error

    def _broken(self, found: str) -> BrokenRunError:
        return BrokenRunError(
            found, cure="Units that had ended are kept; --resume goes on from here.", run=self.task.run
        )


def missing(look: Look, compute: ScanCompute) -> str:
    """What a scan without predictors waits for, and what the cluster has of it."""
    gpus = {"GPU": compute.gpus_per_predictor} if compute.gpus_per_predictor else {}
    asked = gpus | {"CPU": compute.cpus_per_predictor}
    said = f"one asks for {_amounts(asked)}; the cluster has {_had(asked)}"
    if look.loading is not None:
        seconds, process = look.loading
        said += f"; {process} has been loading the model for {seconds:.0f} s"
    return said


def standing(look: Look, compute: ScanCompute, task: Task) -> str:
    """How far a pipeline is in which nothing ends: what each step is at, and what the units wait for that none has."""
    said = [f"{look.ended} of {look.rows} have, the last was {look.last or 'none yet'}"]
    for stage, (count, unit, seconds, process) in look.at_work.items():
        said.append(f"{count} at '{stage}', {unit} for {seconds:.0f} s ({process})")
    if "predict" in look.at_work:
        asked = {"CPU": compute.cpus_per_reader}
        said.append(
            f"one that is predicted waits for a writer, which asks for {_amounts(asked)}; there is {_had(asked)}"
        )
    if waiting := look.rows - look.ended - sum(count for count, *_ in look.at_work.values()):
        asked = {"CPU": compute.cpus_per_reader, "memory": float(task.reader_bytes)}
        said.append(f"{waiting} wait for a reader; one asks for {_amounts(asked)}; the cluster has {_had(asked)}")
    return "; ".join(said)


def _had(asked: dict[str, float]) -> str:
    """What there is of each kind that is asked for, and how much of it is free."""
    have, free = ray.cluster_resources(), ray.available_resources()  # type: ignore[no-untyped-call]
    there, unused = ({kind: of.get(kind, 0) for kind in asked} for of in (have, free))
    return f"{_amounts(there)}, {_amounts(unused)} of it free"


def _amounts(amounts: dict[str, float]) -> str:
    return " and ".join(
        f"{amount / 1e9:.1f} GB of memory" if kind == "memory" else f"{amount:g} {kind}"
        for kind, amount in amounts.items()
    )
