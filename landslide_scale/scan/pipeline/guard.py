"""One step of a unit in a worker, which it may cost its process, or find no memory.

Workers that read and write import this and nothing of the network: torch would cost each of them seconds and memory.
"""

from __future__ import annotations

from collections.abc import Callable

from landslide_scale.cube.record import Record
from landslide_scale.reading.connections import connections
from landslide_scale.redaction import sayable
from landslide_scale.runtime.nodes import at_once_here
from landslide_scale.scan.pipeline.feed import Flight, begun, this_process
from landslide_scale.scan.pipeline.inflight import Answer, Stage, Step
from landslide_scale.scan.plan import WorkUnit
from landslide_scale.scan.settings import ScanCompute
from landslide_scale.scan.work import Row

HAD_ENDED = "this try of the unit had ended before, and what came of it was taken"


def guarded(
    row: Row,
    *,
    flight: Flight,
    stage: Stage,
    step: Callable[[Row], Row],
    failed: Callable[[Row, str], Row],
    ended: Callable[[Row, str], Row] | None = None,
) -> Row:
    """A step of a unit, unless that has cost too many processes; memory that cannot be had fails the unit too.

    Args:
        row: ``unit`` and ``attempt`` as :func:`work.read` takes them; ``left``: tries it has left, this one among them.
        flight: What is in flight.
        stage: Which step.
        step: Does it.
        failed: Makes of a row and an error what `step` would make of the row.
        ended: The same of a row that nobody waits for any more, and of which nothing must be kept; `failed` where
            that keeps nothing.
    """
    unit = WorkUnit.from_json(row["unit"]).id
    answer = begun(Step(unit=unit, stage=stage, attempt=row["attempt"], left=row["left"]), flight)
    if answer.ended:
        return (ended or failed)(row, HAD_ENDED)
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


def sharing(row: Row, *, compute: ScanCompute, step: Callable[[Row], Row]) -> Row:
    """A step that reads scenes, with this process's share of the connections that a node may have."""
    connections.let(max(1, compute.connections // at_once_here(compute.cpus_per_reader)))
    return step(row)


def undone(row: Row, error: str, *, step: Callable[[Row], Row]) -> Row:
    """What `step` makes of a unit that failed before it, and may be tried again."""
    return step(row | {"error": error, "retry": True})


def unwritten(row: Row, error: str) -> Row:
    """A record as the row's only column, as :func:`work.write` gives one; it is not kept, and neither is the unit."""
    unit, attempt = WorkUnit.from_json(row["unit"]).id, int(row["attempt"])
    return {"record": Record(unit=unit, state="failed", attempts=attempt, error=error).to_json()}


def _counted(row: Row, answer: Answer) -> Row:
    """The number of the try that this is, or of the last there was; how many are left; how many this step cost."""
    made = answer.crashes - 1 if answer.error else answer.crashes
    return {"attempt": row["attempt"] + made, "left": max(1, row["left"] - made), "crashes": answer.crashes}


def _out_of_memory(error: MemoryError) -> str:
    return f"MemoryError: {sayable(str(error))} ({this_process()})"
