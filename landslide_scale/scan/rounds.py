"""Rounds of work: units are tried until each is done or failed, and what is decided before the next round.

Which scenes are set aside is decided when no unit is at work, from what all of them met: so a run that is killed and
gone on with comes to the same decisions.
"""

from __future__ import annotations

import logging
import math
import re
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Protocol

from landslide_scale.cube.record import Record
from landslide_scale.scan.plan import Place, Plan, UnitTexts, WorkUnit
from landslide_scale.scan.work import Row
from landslide_scale.scene import Unused, by_processing

log = logging.getLogger(__name__)

SAY_S = 60.0
"""Between two lines about tries that failed."""

AHEAD = 2000
"""Units that are on a belt at once, at most: each is there with all that is read for it, tens of kilobytes of text, and
a run may have a million."""

_PIECE = 100
"""Units that are put onto it together."""

TAIL = 1000
"""Units at the end of a run that are ordered by what they cost: a large one that came last would run alone."""

_TILE_M = 100_000
"""Side of a Sentinel-2 tile but for its overlap; tiles begin at multiples of it in their zone."""

_LAYER = re.compile(r"-t\d+-")
"""What the names of units of one block differ in."""

TRIES_OF_A_PERMANENT_FAILURE = 2
"""A failure that should not pass is tried once more, in another process, because GDAL remembers failures."""


class Belt(Protocol):
    """Carries units to their workers, and their records back.

    A row says of a unit: ``id``; ``unit``: all of it, as JSON; ``attempt``: which try this is, from 1; ``left``: how
    many it has left, this one among them.
    """

    def put(self, rows: Sequence[Row]) -> None:
        """Have units worked on, after those that were put in before."""

    def next(self) -> Record:
        """The record of the next unit that ends, whichever it is."""


Stream = Callable[[Sequence[Row]], Iterator[Record]]
"""Has units worked on, and gives their records in the order they end."""


class Passes(Belt):
    """A belt that goes over what lies on it in passes: what is put onto it meanwhile waits for the next one."""

    def __init__(self, stream: Stream) -> None:
        self._stream, self._waiting = stream, list[Row]()
        self._ended: Iterator[Record] = iter(())

    def put(self, rows: Sequence[Row]) -> None:
        """Have units worked on."""
        self._waiting += rows

    def next(self) -> Record:
        """The record of the next unit that ends."""
        while (record := next(self._ended, None)) is None:
            assert self._waiting, "every unit has a record"  # noqa: S101 who asks has put units in
            rows, self._waiting = self._waiting, []
            self._ended = self._stream(rows)
        return record


@dataclass(frozen=True, kw_only=True)
class Progress:
    """How far a scan is.

    Attributes:
        done, total: Units, and of how many.
        km2: Ground of those that are done, in however many windows.
        seconds: Since it began.
        before: Units that were done before.
        again: Tries that failed and are made again.
        waited: Seconds that readers waited between tries of a request.
        taken: Units of those that are done since it began that were taken over from an earlier run.
    """

    done: int
    total: int
    km2: float
    seconds: float
    before: int
    again: int = 0
    waited: float = 0.0
    taken: int = 0


Report = Callable[[Progress], None]


class Reporter:
    """Turns ended units into progress.

    Args:
        total: Units of the run.
        records: What is known of them when a round begins.
        progress: Called whenever one has ended.
    """

    def __init__(self, total: int, records: Mapping[str, Record], progress: Report) -> None:
        self._total, self._progress = total, progress
        self._done, self._km2, self._ground = 0, 0.0, dict[str, float]()
        for record in records.values():
            if record.done:
                self._done += 1
                self._take(record)
        self._before = self._done
        self._begun, self._again, self._waited = time.monotonic(), 0, 0.0
        self._taken = 0
        self._said = -math.inf

    def again(self, record: Record) -> None:
        """Say, if that was not said of another one just now, that a try of a unit has failed and is made again."""
        self._again += 1
        self._waited += record.seconds.get("wait", 0.0)
        if time.monotonic() - self._said >= SAY_S:
            self._said = time.monotonic()
            tries = "1 try has failed and is" if self._again == 1 else f"{self._again} tries have failed and are"
            log.warning("%s made again; the last was of unit %s: %s", tries, record.unit, record.error)

    def _take(self, record: Record) -> None:
        """Add the ground of a unit, less what of it another window has added."""
        ground = _LAYER.sub("-", record.unit, count=1)
        known = self._ground.get(ground, 0.0)
        self._km2 += max(record.km2 - known, 0.0)
        self._ground[ground] = max(record.km2, known)

    def __call__(self, record: Record) -> None:
        """Say that a unit has ended."""
        self._done += 1
        self._taken += bool(record.taken_from)
        self._take(record)
        self._waited += record.seconds.get("wait", 0.0)
        self._progress(
            Progress(
                done=self._done,
                total=self._total,
                km2=self._km2,
                seconds=time.monotonic() - self._begun,
                before=self._before,
                again=self._again,
                waited=self._waited,
                taken=self._taken,
            )
        )


def in_turn(units: Iterable[WorkUnit], rank: Callable[[Place], float]) -> list[WorkUnit]:
    """Units in the order they are begun: by rank, those of a tile together, and of the last the costliest first.

    What was learned of a tile's files serves the units that follow, and no worker is left with a large one in the end.
    """
    ordered = sorted(sorted(units, key=_tile), key=rank)
    return ordered[:-TAIL] + sorted(sorted(ordered[-TAIL:], key=_cost, reverse=True), key=rank)


def _tile(unit: WorkUnit) -> tuple[int, int, int, int]:
    """A square of its zone that is about a tile's, and its window: what its scenes have in common with others."""
    side = max(1, _TILE_M // (unit.lattice.resolution * unit.lattice.block))
    return unit.lattice.zone.epsg, unit.block.row // side, unit.block.col // side, unit.layer


def _cost(unit: WorkUnit) -> int:
    return len(unit.scenes)


def worked_on(
    units: Sequence[WorkUnit],
    known: Mapping[str, Record],
    belt: Belt,
    attempts: int,
    *,
    again: Callable[[Record], None] = lambda _: None,
    ahead: int | None = AHEAD,
) -> Iterator[Record]:
    """Records of the units; one that failed goes onto the belt again, until `attempts` tries of it were made.

    Args:
        units: What is to be done.
        known: What is known of them, by id, when each is put onto the belt.
        belt: What carries them.
        attempts: Tries of each, at most.
        again: Called with what a try came to, before the unit is tried again; may wait, so that tries are not used up
            while all storage is away.
        ahead: How many are on the belt at once, at most; None: all of them.
    """
    coming, there, texts = iter(units), dict[str, tuple[WorkUnit, int]](), UnitTexts()
    while True:
        while (ahead is None or len(there) + _PIECE <= ahead) and (piece := list(islice(coming, _PIECE))):
            laid = {unit.id: (unit, known[unit.id].attempts if unit.id in known else 0) for unit in piece}
            belt.put([_row(unit, before, attempts, texts) for unit, before in laid.values()])
            there |= laid
        if not there:
            return
        record = belt.next()
        unit, before = there[record.unit]
        made = record.attempts - before
        tries = attempts if record.retry else min(attempts, TRIES_OF_A_PERMANENT_FAILURE)
        if record.done or made >= tries:
            del there[record.unit]
            yield record
        else:
            again(record)
            belt.put([_row(unit, record.attempts, attempts - made, texts)])


def _row(unit: WorkUnit, made: int, left: int, texts: UnitTexts) -> Row:
    return {"id": unit.id, "unit": texts.of(unit), "attempt": made + 1, "left": left}


def unreadable(records: Iterable[Record], plan: Plan) -> dict[str, str]:
    """Why, by the id of each planned scene that has failed some unit for good, as its last record says."""
    used = {scene.id for scene in plan.scenes}
    found: dict[str, str] = {}
    for record in records:
        for name, reason in (record.unreadable if record.state == "failed" else {}).items():
            if name in used:
                found[name] = min(reason, found.get(name, reason))
    return found


def shortage(plan: Plan, bad: Collection[str], most: float, layers: Collection[int]) -> str:
    """What is wrong where the scenes of some layers that are set aside for what they are like are too many.

    Args:
        plan: What is left to be done, and without which scenes.
        bad: Ids of those scenes.
        most: Share of them among all that would be used, 0 to 1, that is not too many.
        layers: Indexes of windows.

    Returns:
        A clause; nothing where enough are left.
    """
    used, lost = _of_layers(plan, layers)
    reasons = {scene.id: scene.quarantine for scenes in lost.values() for scene in scenes if scene.id in bad}
    for layer in layers:
        gone = sorted({scene.id for scene in lost[layer] if scene.sensed is not None} & reasons.keys())
        if gone and not used[layer]:
            window = plan.windows[layer]
            span = window.days
            return f"no scene is left from {span}: {len(gone)} cannot be used, {_first(gone, reasons)}"
    count = len(reasons) + len(set().union(*used.values()))
    if len(reasons) > most * count:
        return f"{len(reasons)} of {count} scenes cannot be used, {_first(sorted(reasons), reasons)}"
    return ""


def _of_layers(plan: Plan, layers: Collection[int]) -> tuple[dict[int, set[str]], dict[int, set[Unused]]]:
    """Ids of the scenes that units of each layer read, and the scenes that they are done without."""
    used: dict[int, set[str]] = {layer: set() for layer in layers}
    lost: dict[int, set[Unused]] = {layer: set() for layer in layers}
    for unit in plan.units:
        if unit.layer in used:
            used[unit.layer].update(scene.id for scene in unit.scenes)
            lost[unit.layer].update(unit.quarantined)
    return used, lost


def _first(names: list[str], reasons: Mapping[str, str]) -> str:
    return f"the first of them scene {names[0]}: {reasons[names[0]]}"


def differing(records: Mapping[str, Record], units: Iterable[WorkUnit]) -> list[Record]:
    """Records that tell which units that are done were made of other scenes than they are planned of now.

    An older processing is said of a unit only where it filled something, so it may be lacking.
    """
    compared: dict[tuple[int, int], tuple[list[str], list[str]]] = {}
    found = []
    for unit in units:
        record = records.get(unit.id)
        if record is None or not record.done:
            continue
        alike = (id(record.scenes), id(unit.scenes))  # many units share both, and both outlive this
        if alike not in compared:
            compared[alike] = _compared(record, unit)
        if any(compared[alike]):
            found.append(_broken(record, *compared[alike]))
    return found


def _compared(record: Record, unit: WorkUnit) -> tuple[list[str], list[str]]:
    """Ids of the scenes that a unit was made with, and without, unlike what is planned of it now."""
    made = {scene["id"] for scene in record.scenes if "quarantined" not in scene}
    planned = {scene.id for scene in unit.scenes}
    needed = {scene.id for place, scene in by_processing(unit.scenes) if not place}
    return sorted(made - planned), sorted(needed - made)


def _broken(record: Record, with_others: Sequence[str], lacking: Sequence[str]) -> Record:
    what = ", ".join([*(f"with {name}" for name in with_others[:3]), *(f"without {name}" for name in lacking[:3])])
    return Record(unit=record.unit, state="broken", attempts=record.attempts, error=f"OtherScenes: made {what}")
