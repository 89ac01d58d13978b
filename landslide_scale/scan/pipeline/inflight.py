"""What is in flight: rows on their way into the pipeline, who is at work on which, and which predictors are ready.

Ray begins a step again whenever its process has died, without end and without a word of why. Here it is known who
began it before, and how that process ended: one that crashed costs its unit a try, one that went with its node does
not. Plain Python; on a cluster one actor beside the driver holds it, see `feed.py`.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from landslide_scale.provenance import NumberFormat
    from landslide_scale.scan.work import Row  # whose module imports GDAL

Stage = Literal["read", "predict", "write"]

AT_ONCE = 100
"""Rows that are handed on together; a row says of every scene where its bands lie, tens of kilobytes."""

GRACE_S = 5.0
"""For the news of a process's end. A node that is there to tell it does so within a fraction of a second."""


@dataclass(frozen=True, kw_only=True)
class Process:
    """One of the cluster: name of its host, ids of its node and of itself as a worker, and its number there."""

    host: str
    node: str
    worker: str
    pid: int

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}"


@dataclass(frozen=True, kw_only=True)
class Ending:
    """How a process ended: in words, and whether it crashed at its work rather than being ended with its node."""

    how: str
    crashed: bool


Inquiry = Callable[[Process], Ending | None]
"""Tells how a process has ended; None while it has not, as far as is known."""


@dataclass(frozen=True, kw_only=True)
class Step:
    """One step of a unit that is about to begin.

    Attributes:
        unit: Its id.
        stage: Which step.
        attempt: The number that the unit's try has when it comes to this step.
        left: Tries that it has left then, this one among them.
    """

    unit: str
    stage: Stage
    attempt: int
    left: int


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What is to be done about a step.

    Attributes:
        wait: Ask again in a moment.
        ended: What came of this try has been taken already; nobody takes what is made of it again.
        crashes: Processes that this step cost before.
        error: Why it is not to be tried again; empty where it is.
    """

    wait: bool = False
    ended: bool = False
    crashes: int = 0
    error: str = ""


@dataclass(frozen=True, kw_only=True)
class Look:
    """How things stand.

    Attributes:
        rows, ended: Rows that were put in, and those of them that are through.
        last: The unit that was through last; empty before the first.
        at_work: By stage, how many are at it, and the one that has been longest: unit, seconds, process.
        ready: Predictors that hold their model.
        loading: The one that has been loading it longest: seconds, process; None if there is none.
    """

    rows: int
    ended: int
    last: str
    at_work: dict[Stage, tuple[int, str, float, Process]]
    ready: int
    loading: tuple[float, Process] | None


@dataclass(frozen=True, kw_only=True)
class _Work:
    """A step that was begun; by nobody any more where its process is known to have ended."""

    step: Step
    process: Process | None
    since: float
    crashes: int = 0
    how: str = ""
    asked: float | None = None

    @property
    def place(self) -> tuple[Stage, int]:
        return self.step.stage, self.step.attempt


@dataclass(repr=False)
class InFlight:
    """The state of a pipeline in progress.

    Args:
        inquire: How a process ended.
        clock: Seconds.
    """

    inquire: Inquiry
    clock: Callable[[], float] = time.monotonic
    _rows: list[Row | None] = field(default_factory=list)
    _numbers: dict[str, int] = field(default_factory=dict)
    _closed: bool = False
    _ended: int = 0
    _last: str = ""
    _works: dict[str, _Work] = field(default_factory=dict)
    _alone: dict[str, str] = field(default_factory=dict)
    _predictors: dict[str, tuple[Process, float, bool]] = field(default_factory=dict)
    _agreed: NumberFormat | None = None

    def put(self, rows: Sequence[Row]) -> None:
        """Have rows worked on, after those that were put in before; each is held until its unit has ended."""
        for row in rows:
            self._numbers[row["id"]] = len(self._rows)
            self._rows.append(row)

    def close(self) -> None:
        """No row will follow."""
        self._closed = True

    def rows(self, first: int) -> list[Row | None] | None:
        """The next rows from number `first` on, `AT_ONCE` at most; None after the last one.

        Whoever asks again for the same number is given the same row, for what feeds the pipeline may be begun anew; or
        None for it, where its unit has ended, and nobody needs it any more.
        """
        if self._closed and first >= len(self._rows):
            return None
        return self._rows[first : first + AT_ONCE]

    def end(self, unit: str) -> None:
        """A row of this unit is through."""
        number = self._numbers.pop(unit, None)
        if number is not None:
            self._rows[number] = None
        self._ended += 1
        self._last = unit
        self._works.pop(unit, None)

    def begin(self, step: Step, process: Process) -> Answer:
        """What a process is to do that is about to begin a step.

        A step that is begun again, though no later one of its unit was, has lost its process or what that one made. A
        unit that has cost a process is tried again while no other such unit is at work on the node: where memory is
        short, it is not always the one to blame whose process is ended.

        Ray also begins steps again whose unit has ended: their node was lost before it had told that they were done,
        and after what came of them had been taken.
        """
        if self._has_ended(step):
            return Answer(ended=True)
        known = self._works.get(step.unit)
        crashes, how = 0, ""
        if known is not None and known.place == (step.stage, step.attempt):
            known = self._works[step.unit] = self._judged(known, process)
            if known.process is not None:
                return Answer(wait=True)
            crashes, how = known.crashes, known.how
        if crashes >= step.left:
            return Answer(crashes=crashes, error=_error(step.stage, crashes, how))
        if crashes:
            if self._is_taken(process.node, step.unit):
                return Answer(wait=True)
            self._alone[process.node] = step.unit
        self._works[step.unit] = _Work(step=step, process=process, since=self.clock(), crashes=crashes, how=how)
        return Answer(crashes=crashes)

    def leave(self, unit: str) -> None:
        """A unit that was to be alone with its like has done its step."""
        self._alone = {node: one for node, one in self._alone.items() if one != unit}

    def loading(self, process: Process) -> None:
        """A predictor begins to load its model."""
        self._predictors[process.worker] = process, self.clock(), False

    def ready(self, process: Process) -> None:
        """It holds it."""
        self._predictors[process.worker] = process, self.clock(), True

    def agreed(self, own: NumberFormat) -> NumberFormat:
        """The format that all compute in: that of the first predictor's machine, whatever this one would choose."""
        self._agreed = self._agreed or own
        return self._agreed

    def look(self) -> Look:
        """How things stand now."""
        self._predictors = {name: one for name, one in self._predictors.items() if self.inquire(one[0]) is None}
        now = self.clock()
        loading = [(now - since, process) for process, since, ready in self._predictors.values() if not ready]
        return Look(
            rows=len(self._rows),
            ended=self._ended,
            last=self._last,
            at_work=self._at_work(now),
            ready=len(self._predictors) - len(loading),
            loading=max(loading, key=lambda one: one[0], default=None),
        )

    def _has_ended(self, step: Step) -> bool:
        """Whether a row that was put in is through, or a later try of its unit is on its way."""
        if not self._rows:
            return False
        number = self._numbers.get(step.unit)
        row = None if number is None else self._rows[number]
        return row is None or step.attempt < row["attempt"]

    def _judged(self, known: _Work, process: Process) -> _Work:
        """A step that is begun again: by nobody, once it is known what became of who began it."""
        if known.process is None:
            return known
        ending = self.inquire(known.process)
        if ending is not None:
            crash = int(ending.crashed)
            how = f"{known.process} {ending.how}" if crash else known.how
            return replace(known, process=None, crashes=known.crashes + crash, how=how)
        asked = known.asked if known.asked is not None else self.clock()
        if known.process == process or self.clock() - asked >= GRACE_S:
            return replace(known, process=None, asked=None)  # Ray has its own reasons; or a node that tells nothing
        return replace(known, asked=asked)

    def _is_taken(self, node: str, unit: str) -> bool:
        """Whether another unit that has cost a process is at work on this node."""
        other = self._works.get(self._alone.get(node, unit))
        if other is None or other.step.unit == unit or other.process is None or other.process.node != node:
            return False
        return self.inquire(other.process) is None

    def _at_work(self, now: float) -> dict[Stage, tuple[int, str, float, Process]]:
        works = [work for work in self._works.values() if work.process is not None]
        counts = Counter(work.step.stage for work in works)
        first: dict[Stage, tuple[int, str, float, Process]] = {}
        for work in sorted(works, key=lambda one: one.since):
            stage = work.step.stage
            if work.process is not None and stage not in first:
                first[stage] = counts[stage], work.step.unit, now - work.since, work.process
        return first


def _error(stage: Stage, crashes: int, how: str) -> str:
    """What a record says of a unit that has cost too many processes."""
    doing = {"read": "reading", "predict": "predicting", "write": "writing"}[stage]
    times = {1: "once", 2: "twice"}.get(crashes, f"{crashes} times")
    return f"CrashedProcess: {doing} it ended its process {times}; the last was {how}"
