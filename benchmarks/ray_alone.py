"""What of a scan's start is Ray's: seconds to the first row of a pipeline of the same shape whose steps do nothing.

A cluster of the process's own, an actor that holds what is in flight, a process that runs a pipeline of Ray Data, in it
a source of one task, a step in tasks, one in an actor, and one in tasks again: what `start.py` times, with nothing
imported that Ray does not import, nothing planned, read, predicted or written.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import psutil
import pyarrow as pa
import ray
from ray.data import ActorPoolStrategy, DataContext, Datasource, ReadTask
from ray.data.block import BlockMetadata

from landslide_scale.runtime.session import session

ROWS = 50


class Held:
    """What is in flight."""

    def rows(self, first: int) -> list[int] | None:
        """Ten rows, or None after the last."""
        return None if first >= ROWS else list(range(first, first + 10))


class Feed(Datasource):
    """Rows as they are held, one a block."""

    def __init__(self, held: Any) -> None:  # noqa: ANN401 a handle
        self._held = held

    def estimate_inmemory_data_size(self) -> int | None:
        """Not known."""
        return None

    def get_read_tasks(self, parallelism: int, *_: object, **__: object) -> list[ReadTask]:  # noqa: ARG002 Ray's
        """One."""
        held = self._held
        nothing = BlockMetadata(num_rows=None, size_bytes=None, exec_stats=None, input_files=None)
        return [ReadTask(lambda: fed(held), nothing)]


def fed(held: Any) -> Iterator[pa.Table]:  # noqa: ANN401 a handle
    """The rows."""
    first = 0
    while (rows := ray.get(held.rows.remote(first))) is not None:
        for row in rows:
            yield pa.table({"id": [row]})
        first += len(rows)


class Predictor:
    """Hands on what it is given."""

    def __call__(self, rows: dict[str, Any]) -> dict[str, Any]:
        """The same."""
        return rows


class Pump:
    """Runs the pipeline."""

    def records(self, held: Any) -> Iterator[int]:  # noqa: ANN401 a handle
        """What comes out of it."""
        DataContext.get_current().enable_progress_bars = False
        rows = ray.data.read_datasource(Feed(held), concurrency=1, override_num_blocks=1, num_cpus=0)
        rows.context.target_max_block_size = 1
        seen = rows.map(same, num_cpus=0.5)
        pool = ActorPoolStrategy(min_size=1, max_size=1)
        predicted = seen.map_batches(Predictor, batch_size=1, batch_format="numpy", compute=pool, num_cpus=1)
        for batch in predicted.map(same, num_cpus=0.5).iter_batches(batch_size=None, prefetch_batches=0):
            yield from batch["id"]


def same(row: dict[str, Any]) -> dict[str, Any]:
    """A step that does nothing."""
    return row


def begun(at: float) -> dict[str, float]:
    """Seconds since the process began, when Ray's processes are there and when the first row came; and CPU seconds."""
    with session(None):
        there = time.time() - at
        pump = remote(Pump)
        rows = pump.records.options(num_returns="streaming").remote(remote(Held))
        ray.get(next(rows))
        first = time.time() - at
        me = psutil.Process()
        spent = [one.cpu_times() for one in (me, *me.children(recursive=True))]
        ray.kill(pump)
    return {"there": there, "first": first, "cpu": sum(one.user + one.system for one in spent)}


def remote(of: Callable[[], object]) -> Any:  # noqa: ANN401 a handle
    """An actor that takes no CPU of the cluster's."""
    return ray.remote(of).options(num_cpus=0).remote()


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--once", action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.once:
        print(json.dumps(begun(psutil.Process().create_time())))
        return
    command = [sys.executable, __file__, "--once"]
    found = [json.loads(subprocess.check_output(command)) for _ in range(asked.rounds)]  # noqa: S603 this file
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, Ray {ray.__version__}, ", end="")
    print(f"median of {asked.rounds} rounds\n\n| Ray alone | seconds |\n|---|---|")
    for name, what in (("there", "its processes are there"), ("first", "first row"), ("cpu", "of CPU until then")):
        print(f"| {what} | {np.median([one[name] for one in found]):.1f} |")


if __name__ == "__main__":
    main()
