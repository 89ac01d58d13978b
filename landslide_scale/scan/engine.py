"""A region-wide scan on Ray Data: units -> read -> predict -> write -> records. Wiring, and nothing else."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import ray
from ray.data import ActorPoolStrategy
from ray.exceptions import RayError, RayTaskError

from landslide_scale.cube.ledger import Record
from landslide_scale.errors import BrokenRunError, LandslideScaleError
from landslide_scale.model.checkpoint import restore
from landslide_scale.paths import for_workers
from landslide_scale.runtime.heartbeat import patiently
from landslide_scale.runtime.nodes import check_on_every_node
from landslide_scale.runtime.session import session, settle_data
from landslide_scale.runtime.stopping import AbandonedError, abandon
from landslide_scale.scan import driver, work
from landslide_scale.scan.driver import Engine, ScanSummary
from landslide_scale.scan.predictor import Load, Predictor
from landslide_scale.scan.rounds import Report, Stream
from landslide_scale.scan.settings import PredictConfig, ScanCompute, ScanConfig
from landslide_scale.scan.work import Row, Task

log = logging.getLogger(__name__)

PATIENCE_S = 10.0
"""For the end of a pipeline that is abandoned; its executor waits 2 s for its own thread."""

UNITS_PER_CALL = 2
"""Units that one call of the predictor takes: patches fill its batches across them."""


Restore = Callable[..., tuple[Any, Any]]
"""From a checkpoint's URL and its base weights' to a network and its card."""


@dataclass(frozen=True, kw_only=True)
class _Prediction:
    """How the middle step of a scan is done, and what of the cluster all its steps take."""

    load: Load
    settings: PredictConfig
    compute: ScanCompute


def scan(
    config: ScanConfig, *, resume: bool = False, progress: Report = lambda _: None, load: Restore = restore
) -> ScanSummary:
    """Run a scan on the cluster, or what is left of it; see :func:`driver.begin`.

    Args:
        config: What to scan, with what, and where to put it.
        resume: Go on with the run that the folder holds.
        progress: Called whenever units have ended.
        load: How the checkpoint becomes a network and its card; it crosses processes.
    """
    return driver.begin(config, _engine(config, load), resume=resume, progress=progress)


def append(config: ScanConfig, *, progress: Report = lambda _: None, load: Restore = restore) -> ScanSummary:
    """Add the configuration's further windows to a complete scan; see :func:`driver.append`."""
    return driver.append(config, _engine(config, load), progress=progress)


def _engine(config: ScanConfig, load: Restore) -> Engine:
    base = None if config.model.base_weights is None else for_workers(config.model.base_weights)
    loaded = partial(load, for_workers(config.model.checkpoint), base_url=base)
    how = _Prediction(load=loaded, settings=config.predict, compute=config.compute)
    return partial(_on_ray, how=how, output=config.output.run)


@contextmanager
def _on_ray(task: Task, how: _Prediction, output: str) -> Iterator[Stream]:
    with session(how.compute.address):
        check_on_every_node(output, key="output.run")
        yield partial(_stream, task=task, how=how)


def _stream(rows: Sequence[Row], task: Task, how: _Prediction) -> Iterator[Record]:
    """One pass over units on the cluster, in the order they end.

    Raises:
        BrokenRunError: A step failed in a way that is no unit's own, or nothing has ended for too long.
    """
    ended: queue.Queue[Record | Exception | None] = queue.Queue()
    pump = threading.Thread(target=_pump, args=(rows, task, how, ended), daemon=True)
    pump.start()
    try:
        yield from _records(ended, len(rows), task, limit=how.compute.no_progress_s)
    finally:
        # Left before its end, Ray Data would go on after Ray's, and start or join another cluster to do so.
        abandon(pump, patience_s=PATIENCE_S)


def _records(
    ended: queue.Queue[Record | Exception | None], total: int, task: Task, *, limit: float
) -> Iterator[Record]:
    """What the pump puts into `ended`, up to None; an exception is raised as the driver's."""
    count, last = 0, "none yet"
    while True:
        try:
            item = patiently(ended, limit_s=limit, silent=partial(_say_silence, f"{count} of {total}", last))
        except TimeoutError:
            raise BrokenRunError(
                f"no unit has ended for {limit:g} s",
                expected="progress",
                cure="Look at the cluster's logs: a reader asks for "
                f"{task.reader_bytes / 1e9:.1f} GB of memory; --resume goes on from here.",
                run=task.run,
            ) from None
        if item is None:
            return
        if isinstance(item, Exception):
            raise _of_ours(item) or BrokenRunError(
                str(item), cure="Units that had ended are kept; --resume goes on from here.", run=task.run
            ) from item
        count, last = count + 1, item.unit
        yield item


def _say_silence(ended: str, last: str, seconds: float) -> None:
    log.warning("no unit has ended for %.0f s; %s of this pass have, the last was %s", seconds, ended, last)


def _of_ours(error: BaseException | None) -> LandslideScaleError | None:
    """The error that a step raised on purpose, among those that Ray wrapped around it."""
    while error is not None and not isinstance(error, LandslideScaleError):
        error = error.cause if isinstance(error, RayTaskError) else error.__cause__
    return error


def _pump(rows: Sequence[Row], task: Task, how: _Prediction, ended: queue.Queue[Record | Exception | None]) -> None:
    """Run the pipeline in a thread of its own, so that the driver can tell silence from work."""
    try:
        for row in _dataset(rows, task, how).iter_rows():
            ended.put(Record.from_json(row["record"]))
        ended.put(None)
    except (RayError, RuntimeError, OSError) as error:
        ended.put(error)
    except AbandonedError:
        return  # Ray Data has shut its executor down on the way here


def _dataset(rows: Sequence[Row], task: Task, how: _Prediction) -> ray.data.Dataset:
    settle_data()
    compute = how.compute
    return (
        ray.data.from_items(list(rows), override_num_blocks=min(len(rows), 10_000))
        .map(partial(work.read, task=task), num_cpus=compute.cpus_per_reader, memory=task.reader_bytes)
        .map_batches(
            _bound_predictor(task, how),
            batch_size=UNITS_PER_CALL,
            batch_format="numpy",
            compute=ActorPoolStrategy(size=compute.predictors),
            num_gpus=compute.gpus_per_predictor or None,
            num_cpus=compute.cpus_per_predictor,
        )
        .map(partial(work.write, task=task), num_cpus=compute.cpus_per_reader)
    )


def _bound_predictor(task: Task, how: _Prediction) -> type[Predictor]:
    """The predictor of one run: constructor arguments of an actor could be lost before it is restarted."""
    compute = how.compute
    device, threads = "cuda" if compute.gpus_per_predictor else "cpu", max(1, round(compute.cpus_per_predictor))

    class BoundPredictor(Predictor):
        def __init__(self) -> None:
            super().__init__(how.load, patches=task.patches, settings=how.settings, device=device, threads=threads)

    return BoundPredictor
