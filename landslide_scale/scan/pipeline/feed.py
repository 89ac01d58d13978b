"""What a scan's pipeline is fed by, on Ray: an actor that holds what is in flight, and a source that yields its units.

Both are processes that live as long as a run, so nothing heavy is imported here: neither GDAL nor torch.
"""

from __future__ import annotations

import platform
import time
from collections.abc import Iterator
from functools import cache, partial
from os import getpid
from typing import Any

import pyarrow as pa
import ray
from ray.data import Datasource, ReadTask
from ray.data.block import BlockMetadata

from landslide_scale.runtime.nodes import beside_the_driver
from landslide_scale.scan.pipeline.held import Held
from landslide_scale.scan.pipeline.inflight import Answer, Process, Step

ENDED = {"id": "", "unit": "", "attempt": 0, "left": 0}
"""In the place of a row whose unit has ended: a source that is begun anew yields as many blocks, in the same order."""

POLL_S = 0.2
"""Between two questions for more units, and between two whether a step may begin."""

Flight = Any
"""The actor that holds an `InFlight`; its methods are called by ``remote``."""


def in_flight() -> Flight:
    """What is in flight of a run, in an actor that every worker can ask."""
    return ray.remote(Held).options(num_cpus=0, scheduling_strategy=beside_the_driver()).remote()


class Feed(Datasource):
    """Units as they are put in, one a block, until no more can come."""

    def __init__(self, flight: Flight) -> None:
        self._flight = flight

    def estimate_inmemory_data_size(self) -> int | None:
        """Not known beforehand."""
        return None

    def get_read_tasks(self, parallelism: int, *_: object, **__: object) -> list[ReadTask]:  # noqa: ARG002 Ray's
        """The one task. Begun anew on a worker that was lost, it yields in the same order the units that are left."""
        nothing = BlockMetadata(num_rows=None, size_bytes=None, exec_stats=None, input_files=None)
        return [ReadTask(partial(_fed, self._flight), nothing)]


def _fed(flight: Flight) -> Iterator[pa.Table]:
    first = 0
    while (rows := ray.get(flight.rows.remote(first))) is not None:
        for row in rows:
            yield pa.table({name: [value] for name, value in (row or ENDED).items()})
        first += len(rows)
        if not rows:
            time.sleep(POLL_S)


@cache
def this_process() -> Process:
    """The worker that this is."""
    context = ray.get_runtime_context()
    node, worker = context.get_node_id(), context.get_worker_id()
    return Process(host=platform.node(), node=node, worker=worker, pid=getpid())


def begun(step: Step, flight: Flight) -> Answer:
    """What this process is to do about a step, once it is known."""
    while True:
        answer: Answer = ray.get(flight.begin.remote(step, this_process()))
        if not answer.wait:
            return answer
        time.sleep(POLL_S)
