"""The pipeline of a scan on Ray Data: units -> read -> predict -> write -> records, fed for as long as the run lasts.

Ray Data reads its input before it runs, so the input here is a source that has one task: it yields units, one a block,
as they are put in. So a unit that failed goes through the same pipeline again, and each predictor loads its model once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import ray
from ray.data import ActorPoolStrategy
from ray.exceptions import RayError

from landslide_scale.bands import Reason
from landslide_scale.runtime.nodes import beside_the_driver
from landslide_scale.runtime.session import of_ours, settle_data
from landslide_scale.scan import work
from landslide_scale.scan.pipeline.feed import Feed, Flight, this_process
from landslide_scale.scan.pipeline.guard import guarded, sharing, undone, unwritten
from landslide_scale.scan.pipeline.loading import Load, predictor
from landslide_scale.scan.settings import PredictConfig, ScanCompute
from landslide_scale.scan.work import Row, Task

Pump = Any
"""The actor that runs a pipeline."""


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """How the middle step of a scan is done, and what of the cluster all its steps take.

    Attributes:
        load: Gives the network; None of a scan without one, whose readers hand to its writers.
    """

    load: Load | None
    settings: PredictConfig
    compute: ScanCompute


@dataclass(frozen=True, kw_only=True)
class Steps:
    """What a unit goes through; see :mod:`landslide_scale.scan.work`.

    Attributes:
        unread: What is made of a unit that cannot be read, and why.
        predictor: Makes what predicts, where it holds its model.
    """

    read: Callable[[Row], Row]
    unread: Callable[[Row, str], Row]
    predictor: Callable[..., Callable[[Row], Row]]
    write: Callable[[Row], Row]


def started(flight: Flight, task: Task, how: Prediction) -> tuple[Pump, ray.ObjectRefGenerator]:
    """A process of the cluster that runs the pipeline, and the records it gives, as JSON, in the order units end.

    It is not the driver's: a process can be ended at once and from outside, whatever Ray Data is at in it, and what
    Ray itself says of Ray Data's workers stays among Ray's own logs. It is an actor, which is ended by `ray.kill`: to
    cancel a task that is just ending makes Ray 2.60 abort the process that cancels.
    """
    steps = Steps(
        read=partial(sharing, compute=how.compute, step=partial(work.read, task=task)),
        unread=partial(work.unread, task=task),
        predictor=predictor,
        write=partial(work.write, task=task),
    )
    pump: Pump = ray.remote(_Pump).options(num_cpus=0, scheduling_strategy=beside_the_driver()).remote()
    return pump, pump.records.options(num_returns="streaming").remote(flight, task, how, steps)


class _Pump:
    def records(self, flight: Flight, task: Task, how: Prediction, steps: Steps) -> Iterator[str]:
        try:
            for batch in _dataset(flight, task, how, steps).iter_batches(batch_size=None, prefetch_batches=0):
                for record in batch["record"]:
                    yield str(record)
        except (RayError, RuntimeError, OSError) as error:
            # An error that crosses processes leaves behind what it was raised from: ours, where a step raised one.
            raise of_ours(error) or error from None


def _dataset(flight: Flight, task: Task, how: Prediction, steps: Steps) -> ray.data.Dataset:
    settle_data()
    compute = how.compute
    units = ray.data.read_datasource(
        Feed(flight), concurrency=1, override_num_blocks=1, num_cpus=0, scheduling_strategy=beside_the_driver()
    )
    # A block is handed on when it exceeds this: one unit a block, or the feed would collect them.
    units.context.target_max_block_size = 1
    units.context.execution_no_progress_timeout_s = (
        -1
    )  # the driver knows what is waited for; Ray ends it after 30 minutes
    guard = partial(guarded, flight=flight)
    seen = units.map(
        partial(guard, stage="read", step=steps.read, failed=steps.unread),
        num_cpus=compute.cpus_per_reader,
        memory=task.reader_bytes,
    )
    if how.load is not None:
        seen = seen.map_batches(
            _bound_predictor(flight, task, how, partial(steps.predictor, how.load)),
            batch_size=1,
            batch_format="numpy",
            compute=_pool(compute),
            num_gpus=compute.gpus_per_predictor or None,
            num_cpus=compute.cpus_per_predictor,
        )
    scan: ray.data.Dataset = seen.map(
        partial(guard, stage="write", step=steps.write, failed=partial(undone, step=steps.write), ended=unwritten),
        num_cpus=compute.cpus_per_reader,
    )
    return scan


def _pool(compute: ScanCompute) -> ActorPoolStrategy:
    least, most = compute.pool
    return ActorPoolStrategy(min_size=least, max_size=most)


def _bound_predictor(flight: Flight, task: Task, how: Prediction, made: Callable[..., Callable[[Row], Row]]) -> type:
    """The predictor of one run: constructor arguments of an actor could be lost before it is restarted."""
    compute, decided = how.compute, task.precision
    device, threads = "cuda" if compute.gpus_per_predictor else "cpu", max(1, round(compute.cpus_per_predictor))

    class BoundPredictor:
        def __init__(self) -> None:
            ray.get(flight.loading.remote(this_process()))
            self._predict = made(
                patches=task.patches,
                settings=how.settings,
                device=device,
                threads=threads,
                agreed=lambda own: decided or ray.get(flight.agreed.remote(own)),
            )
            ray.get(flight.ready.remote(this_process()))

        def __call__(self, rows: Mapping[str, Any]) -> Row:
            row = {name: column[0] for name, column in rows.items()}
            step = self._predict
            done = guarded(row, flight=flight, stage="predict", step=step, failed=partial(_unpredicted, step=step))
            return {name: _column(value) for name, value in done.items()}

    return BoundPredictor


def _unpredicted(row: Row, error: str, *, step: Callable[[Row], Row]) -> Row:
    """A unit whose prediction failed: nothing of it is predicted, and nothing will be written but the failure."""
    nothing = np.full_like(row["reason"], Reason.NOT_SCANNED)
    return step(row | {"reason": nothing, "error": error, "retry": True})


def _column(value: object) -> np.ndarray[Any, Any]:
    """A batch's column of one row."""
    return value[None] if isinstance(value, np.ndarray) else np.array([value])
