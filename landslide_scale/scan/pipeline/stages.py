"""The pipeline of a scan on Ray Data: units -> read -> predict -> write -> records, fed for as long as the run lasts.

Ray Data reads its input before it runs, so the input here is a source that has one task: it yields units, one a block,
as they are put in. So a unit that failed goes through the same pipeline again, and each predictor loads its model once.
"""

from __future__ import annotations

import platform
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache, partial
from os import getpid
from typing import Any

import numpy as np
import pyarrow as pa
import ray
from ray._raylet import GcsClientOptions, GlobalStateAccessor  # type: ignore[attr-defined]
from ray.core.generated.common_pb2 import WorkerExitType  # type: ignore[attr-defined]
from ray.core.generated.gcs_pb2 import WorkerTableData  # type: ignore[attr-defined]
from ray.data import ActorPoolStrategy, Datasource, ReadTask
from ray.data.block import BlockMetadata
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from landslide_scale.bands import Reason
from landslide_scale.redaction import sayable
from landslide_scale.runtime.session import settle_data
from landslide_scale.scan import work
from landslide_scale.scan.pipeline.inflight import Answer, Ending, InFlight, Process, Stage, Step
from landslide_scale.scan.plan import WorkUnit
from landslide_scale.scan.predictor import Load, Predictor
from landslide_scale.scan.settings import PredictConfig, ScanCompute
from landslide_scale.scan.work import Row, Task

POLL_S = 0.2
"""Between two questions for more units, and between two whether a step may begin."""

ENDINGS = {
    "SYSTEM_ERROR": "killed by a signal, by a fault in a library or because memory ran out",
    "NODE_OUT_OF_MEMORY": "ended by Ray, because its node ran out of memory",
    "USER_ERROR": "ended by an error",
    "INTENDED_USER_EXIT": "ended by itself",
}
"""What Ray calls a process's end at its work, and what it is. The one that is left out is Ray's ending it in order."""

Flight = Any
"""The actor that holds an `InFlight`; its methods are called by ``remote``."""


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """How the middle step of a scan is done, and what of the cluster all its steps take."""

    load: Load
    settings: PredictConfig
    compute: ScanCompute


class Endings:
    """How processes of a cluster ended, as its head keeps it. Ray shows this nowhere but where it keeps it itself."""

    def __init__(self) -> None:
        address = ray.get_runtime_context().gcs_address
        options = GcsClientOptions.create(
            address, None, allow_cluster_id_nil=True, fetch_cluster_id_if_nil=False
        )  # as Ray's own state API does
        self._state = GlobalStateAccessor(options)
        self._state.connect()

    def __call__(self, process: Process) -> Ending | None:
        """None while the process has not ended, as far as the head knows."""
        if process.node not in {node["NodeID"] for node in ray.nodes() if node["Alive"]}:  # type: ignore[no-untyped-call]
            return Ending(how="lost with its node", crashed=False)
        kept = self._state.get_worker_info(ray.WorkerID(bytes.fromhex(process.worker)))
        worker = WorkerTableData.FromString(kept) if kept is not None else None
        if worker is None or worker.is_alive:
            return None
        name = WorkerExitType.Name(worker.exit_type)
        going = process.node in self._state.get_draining_nodes() or "SIGTERM" in worker.exit_detail
        return Ending(how=ENDINGS.get(name, name), crashed=name in ENDINGS and not going)


def beside_the_driver() -> NodeAffinitySchedulingStrategy:
    """Where what a run cannot do without is kept: a node whose loss is the driver's."""
    return NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)


class _Held(InFlight):
    def __init__(self) -> None:
        super().__init__(Endings())


def in_flight() -> Flight:
    """What is in flight of a run, in an actor that every worker can ask."""
    return ray.remote(_Held).options(num_cpus=0, scheduling_strategy=beside_the_driver()).remote()


class Feed(Datasource):
    """Units as they are put in, one a block, until no more can come."""

    def __init__(self, flight: Flight) -> None:
        self._flight = flight

    def estimate_inmemory_data_size(self) -> int | None:
        """Not known beforehand."""
        return None

    def get_read_tasks(self, parallelism: int, *_: object, **__: object) -> list[ReadTask]:  # noqa: ARG002 Ray's
        """The one task. Begun anew on a worker that was lost, it yields the same units again, in the same order."""
        nothing = BlockMetadata(num_rows=None, size_bytes=None, exec_stats=None, input_files=None)
        return [ReadTask(partial(_fed, self._flight), nothing)]


def _fed(flight: Flight) -> Iterator[pa.Table]:
    first = 0
    while (rows := ray.get(flight.rows.remote(first))) is not None:
        for row in rows:
            yield pa.table({name: [value] for name, value in row.items()})
        first += len(rows)
        if not rows:
            time.sleep(POLL_S)


def dataset(flight: Flight, task: Task, how: Prediction) -> ray.data.Dataset:
    """The pipeline, whose rows are records as JSON, in the order their units end."""
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
    read, write = partial(work.read, task=task), partial(work.write, task=task)
    unread = partial(work.unread, task=task)
    scan: ray.data.Dataset = (
        units.map(
            partial(guard, stage="read", step=read, failed=unread),
            num_cpus=compute.cpus_per_reader,
            memory=task.reader_bytes,
        )
        .map_batches(
            _bound_predictor(flight, task, how),
            batch_size=1,
            batch_format="numpy",
            compute=_pool(compute),
            num_gpus=compute.gpus_per_predictor or None,
            num_cpus=compute.cpus_per_predictor,
        )
        .map(
            partial(guard, stage="write", step=write, failed=partial(_failed, step=write)),
            num_cpus=compute.cpus_per_reader,
        )
    )
    return scan


def _pool(compute: ScanCompute) -> ActorPoolStrategy:
    least, most = compute.pool
    return ActorPoolStrategy(min_size=least, max_size=most)


def _failed(row: Row, error: str, *, step: Callable[[Row], Row]) -> Row:
    return step(row | {"error": error, "retry": True})


def guarded(
    row: Row, *, flight: Flight, stage: Stage, step: Callable[[Row], Row], failed: Callable[[Row, str], Row]
) -> Row:
    """A step of a unit, unless that has cost too many processes; memory that cannot be had fails the unit too.

    Args:
        row: ``unit`` and ``attempt`` as :func:`work.read` takes them; ``left``: tries it has left, this one among them.
        flight: What is in flight.
        stage: Which step.
        step: Does it.
        failed: Makes of a row and an error what `step` would make of the row.
    """
    unit = WorkUnit.from_json(row["unit"]).id
    answer = _begun(Step(unit=unit, stage=stage, attempt=row["attempt"], left=row["left"]), flight)
    row |= _counted(row, answer)
    if answer.error:
        return failed(row, answer.error)
    try:
        return step(row)
    except MemoryError as error:
        return failed(row, _out_of_memory(error))
    finally:
        if answer.crashes:
            flight.leave.remote(unit)


def _begun(step: Step, flight: Flight) -> Answer:
    """What is to be done about a step, once it is known."""
    while True:
        answer: Answer = ray.get(flight.begin.remote(step, this_process()))
        if not answer.wait:
            return answer
        time.sleep(POLL_S)


def _counted(row: Row, answer: Answer) -> Row:
    """The number of the try that this is, or of the last there was; how many are left; how many this step cost."""
    made = answer.crashes - 1 if answer.error else answer.crashes
    return {"attempt": row["attempt"] + made, "left": max(1, row["left"] - made), "crashes": answer.crashes}


def _out_of_memory(error: MemoryError) -> str:
    return f"MemoryError: {sayable(str(error))} ({this_process()})"


@cache
def this_process() -> Process:
    """The worker that this is."""
    context = ray.get_runtime_context()
    node, worker = context.get_node_id(), context.get_worker_id()
    return Process(host=platform.node(), node=node, worker=worker, pid=getpid())


def _bound_predictor(flight: Flight, task: Task, how: Prediction) -> type[Predictor]:
    """The predictor of one run: constructor arguments of an actor could be lost before it is restarted."""
    compute = how.compute
    device, threads = "cuda" if compute.gpus_per_predictor else "cpu", max(1, round(compute.cpus_per_predictor))

    class BoundPredictor(Predictor):
        def __init__(self) -> None:
            ray.get(flight.loading.remote(this_process()))
            super().__init__(how.load, patches=task.patches, settings=how.settings, device=device, threads=threads)
            ray.get(flight.ready.remote(this_process()))

        def __call__(self, rows: Mapping[str, Any]) -> Row:
            row = {name: column[0] for name, column in rows.items()}
            step = super().__call__
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
