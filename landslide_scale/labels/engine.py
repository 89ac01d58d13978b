"""Chips on Ray Data: rows -> chips -> records. Wiring, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from typing import TYPE_CHECKING

import ray
from ray.exceptions import RayError

from landslide_scale.cube.record import Record
from landslide_scale.errors import BrokenRunError
from landslide_scale.labels.making import Task, make, unmade
from landslide_scale.runtime.nodes import check_on_every_node
from landslide_scale.runtime.session import check_machine, last_line, of_ours, session, settle_data
from landslide_scale.scan.pipeline.feed import Flight, in_flight
from landslide_scale.scan.pipeline.guard import guarded, sharing

if TYPE_CHECKING:
    from landslide_scale.labels.chips import Engine
    from landslide_scale.scan.rounds import Stream
    from landslide_scale.scan.settings import ScanCompute
    from landslide_scale.scan.work import Row


def on_ray(compute: ScanCompute, directory: str) -> Engine:
    """What has chips made by the readers of a cluster, and is connected to it for as long as its block takes.

    Args:
        compute: What is taken of it.
        directory: Where the chips go, as the configuration has it; every node must see it.
    """

    @contextmanager
    def connected(task: Task) -> Iterator[Stream]:
        with session(compute.address):
            check_machine(*compute.reader_needs(task.reader_bytes))
            check_on_every_node(directory, key="directory")
            flight = in_flight()
            try:
                yield partial(_stream, task=task, compute=compute, flight=flight)
            finally:
                ray.kill(flight)

    def engine(task: Task) -> AbstractContextManager[Stream]:
        return connected(task)

    return engine


def _stream(rows: Sequence[Row], task: Task, compute: ScanCompute, flight: Flight) -> Iterator[Record]:
    """One pass over chips, in the order they end; one that ends its process is tried as often as any that fails.

    Raises:
        BrokenRunError: A step failed in a way that is no chip's own.
    """
    settle_data()
    made_here = partial(sharing, compute=compute, step=partial(make, task=task))
    step = partial(guarded, flight=flight, stage="read", step=made_here, failed=partial(unmade, task=task))
    made = ray.data.from_items(list(rows), override_num_blocks=min(len(rows), 1000)).map(
        step, num_cpus=compute.cpus_per_reader, memory=task.reader_bytes
    )
    try:
        for row in made.iter_rows():
            record = Record.from_json(row["record"])
            flight.end.remote(record.unit)
            yield record
    except (RayError, RuntimeError, OSError) as error:
        raise of_ours(error) or BrokenRunError(
            last_line(error),
            cure="Chips that had ended are kept; --resume goes on from here.",
            directory=task.directory,
        ) from error
