"""Between a scan and what carries its units: those that an earlier run has are copied, the others are carried on.

A copy is trusted once what lies in this run's own store has the hash that the earlier run's ledger says; its record is
written after it, as of any unit. So a run that is killed while it copies is gone on with like every other.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from contextvars import copy_context
from dataclasses import dataclass, field, replace
from functools import cached_property, partial

from landslide_scale.cube import arrays
from landslide_scale.cube.ledger import Ledger
from landslide_scale.cube.record import Record
from landslide_scale.cube.stores import settle_at
from landslide_scale.errors import InvalidInputError, StorageAwayError
from landslide_scale.scan.driver import Engine
from landslide_scale.scan.layout import CUBE
from landslide_scale.scan.pipeline.known import Base, Done, opened
from landslide_scale.scan.plan import WorkUnit
from landslide_scale.scan.rounds import Belt
from landslide_scale.scan.work import Row, Task, check_driver, made_of
from landslide_scale.stac.settings import CatalogConfig
from landslide_scale.storage.absence import WRITER_S, patient
from landslide_scale.storage.copies import copied
from landslide_scale.storage.lease import END_S
from landslide_scale.storage.rundir import RunDirectory

log = logging.getLogger(__name__)

THREADS = 16
"""Units copied at a time: most of it is waiting for the store. Each has the objects of one variable in memory."""

Refusal = str
"""Why a unit is scanned anew, as a clause that is counted."""

GROUND, STORED, AWAY = "on other ground", "not stored there as recorded", "whose storage is away"
UNLIKE = "of other scenes or not done there"


def taking(base: str | None, catalog: CatalogConfig, engine: Engine) -> Engine:
    """What carries units, once those that an earlier run has are taken over; it is begun when there is one to carry.

    Args:
        base: Folder of the earlier run; none: all units are carried.
        catalog: Where the scenes of this one are from.
        engine: What carries them.
    """
    return engine if base is None else partial(_taking, RunDirectory(base), catalog, engine)


@contextmanager
def _taking(base: RunDirectory, catalog: CatalogConfig, engine: Engine, task: Task) -> Iterator[Belt]:
    with ExitStack() as stack:
        try:
            known = opened(base, task, catalog)
        except InvalidInputError as error:  # a run that is gone on with needs it no more
            log.warning("nothing is taken over, all is scanned: %s", error)
            yield stack.enter_context(engine(task))
            return
        task = replace(task, precision=task.precision or known.precision)
        threads = ThreadPoolExecutor(THREADS, thread_name_prefix="taking")
        stack.callback(_ended, threads)
        belt = TakingBelt(base=known, task=task, threads=threads, begin=lambda: stack.enter_context(engine(task)))
        yield belt
        belt.say()


def _ended(threads: ThreadPoolExecutor) -> None:
    """End what copies; where its storage does not answer, leave it: it writes and removes while the folder is ours."""
    threads.shutdown(wait=False, cancel_futures=True)
    running = threading.Thread(target=threads.shutdown, daemon=True)
    running.start()
    running.join(END_S)


@dataclass(kw_only=True)
class TakingBelt(Belt):
    """Takes over what it can, and has another belt carry the rest.

    Args:
        base: The earlier run.
        task: The run.
        threads: What copies.
        begin: Gives the other belt; called once there is something for it.
    """

    base: Base
    task: Task
    threads: ThreadPoolExecutor
    begin: Callable[[], Belt]
    _copying: deque[tuple[Row, Future[Record | Refusal]]] = field(default_factory=deque)
    _taken: int = 0
    _refused: Counter[Refusal] = field(default_factory=Counter)

    @cached_property
    def _other(self) -> Belt:
        return self.begin()

    def put(self, rows: Sequence[Row]) -> None:
        """Have units worked on; the other belt is at its own while some are copied."""
        others: list[Row] = []
        for row in rows:
            unit = WorkUnit.from_json(row["unit"])
            done = self.base.like(unit, self.task)
            if done is None:
                others.append(row)
                continue
            take = partial(_took, self.base, self.task, unit, done, int(row["attempt"]))
            self._copying.append((row, self.threads.submit(copy_context().run, take)))
        if others:
            self._refused[UNLIKE] += len(others)
            self._other.put(others)

    def next(self) -> Record:
        """The record of the next unit that is taken over; once all that were put in are, of the next that has ended.

        Raises:
            BrokenRunError: The storage takes no more, or another driver has the folder; or as of the other belt.
        """
        while self._copying:
            row, future = self._copying.popleft()
            came = future.result()
            if isinstance(came, Record):
                self._taken += 1
            else:
                self._refused[came] += 1
                self._other.put([row])
            if isinstance(came, Record):
                return came
        return self._other.next()

    def say(self) -> None:
        """Say how many were taken over, and why the others were not."""
        left = ", ".join(f"{count} {why}" for why, count in self._refused.items())
        log.info("%d units taken over from %s%s", self._taken, self.base.laid.run, f"; scanned: {left}" if left else "")


def _took(base: Base, task: Task, unit: WorkUnit, done: Done, attempt: int) -> Record | Refusal:
    """Copy a unit and write its record; or say why not, and leave nothing of it.

    Raises:
        BrokenRunError: The storage takes no more, or another driver has the folder: nothing is removed there then.
    """
    begun = time.perf_counter()
    if not base.has_ground(unit, task.ground):
        return GROUND
    try:
        with patient(WRITER_S, guard=partial(check_driver, task)):
            stored = _copied(base, task, unit, done)
            if stored is None:
                log.warning("unit %s is scanned anew: %s is not stored as its ledger says", unit.id, _named(base, done))
                return STORED
            record = _record(base, unit, done, attempt)
            record = replace(record, stored=stored, seconds={"take": time.perf_counter() - begun})
            Ledger(task.run, task.stamp).add(record)
    except StorageAwayError as error:
        log.warning("unit %s is scanned anew: %s", unit.id, error)
        return AWAY
    return record


def _copied(base: Base, task: Task, unit: WorkUnit, done: Done) -> dict[str, arrays.Stored] | None:
    """Copy a unit's objects, whose names tell the place of its block in this run's cube.

    Returns:
        What is stored then, by variable; None where that is not what the other ledger says, and nothing is left of it.
    """
    there = base.laid.objects(done.place)
    names = arrays.objects(task.slot(unit), base.laid.side)
    found: dict[str, arrays.Stored] = {}
    absent: list[str] = []
    sound = True
    for variable, own in names.items():
        pairs = dict(zip(there[variable], own, strict=True)) if variable in done.record.stored else {}
        contents = {source: content for source, key in pairs.items() if (content := _copy(base, task, source, key))}
        absent += [key for key in own if key not in {pairs[source] for source in contents}]
        if not contents:
            sound = sound and not pairs
            continue
        sound = sound and arrays.stored(contents) == done.record.stored[variable]
        found[variable] = arrays.stored({pairs[source]: content for source, content in contents.items()})
    # What an earlier try of this unit left, if it was of other scenes; and all of a copy that is not what it should be.
    gone = absent if sound else [key for keys in names.values() for key in keys]
    task.run.delete_all([f"{CUBE}/{key}" for key in gone])
    settle_at(task.run.at(CUBE), gone)  # what is copied is kept by then
    return found if sound else None


def _copy(base: Base, task: Task, source: str, key: str) -> bytes:
    """Copy an object of the cube; what lies in this run's own then. Nothing where there is none to copy."""
    name = f"{CUBE}/{key}"
    return task.run.read(name) if copied(base.laid.run.at(f"{CUBE}/{source}"), task.run.at(name)) else b""


def _record(base: Base, unit: WorkUnit, done: Done, attempt: int) -> Record:
    """What a scan of the unit would have said, and where it was taken from."""
    known = done.record.scenes
    resampled = [scene["id"] for scene in known if scene.get("resampled")]
    filled = [scene["id"] for scene in known if scene.get("filled")]
    return replace(
        done.record,
        unit=unit.id,
        attempts=attempt,
        scenes=made_of(unit, resampled, filled),
        taken_from=_named(base, done),
    )


def _named(base: Base, done: Done) -> str:
    return f"{base.laid.run}#{done.place.id}"
