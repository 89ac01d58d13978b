"""What scans took: of how much work, in which time, on what; kept in run.json when a driver has ended."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any

from landslide_scale.errors import InvalidInputError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from landslide_scale.cube.record import Record
    from landslide_scale.storage.rundir import RunDirectory

TOOK = "took"
"""What run.json calls it."""


@dataclass(frozen=True, kw_only=True)
class Work:
    """How much there is to do, or was done.

    Attributes:
        units: Work units.
        read_bytes: Of pixels to read, uncompressed.
        patches: That a network is shown at most.
        pixels: Of all these, each counted in every patch that it is in.
    """

    units: int = 0
    read_bytes: int = 0
    patches: int = 0
    pixels: int = 0

    def __add__(self, other: Work) -> Work:
        return Work(
            units=self.units + other.units,
            read_bytes=self.read_bytes + other.read_bytes,
            patches=self.patches + other.patches,
            pixels=self.pixels + other.pixels,
        )


@dataclass(frozen=True, kw_only=True)
class Took:
    """What units took that were scanned and are done, over all drivers of a run that came to their end.

    Attributes:
        work: Those units.
        read_s: Seconds of readers over all units, of which ``wait_s`` between tries of a request.
        wait_s: As above.
        predict_s: Of predictors at work.
        write_s: Of writers.
        wall_s: From when workers were asked for until the last unit had ended.
        ready_s: ``wall_s`` times the predictors there were; 0 where their number was left to the cluster.
    """

    work: Work
    read_s: float = 0.0
    wait_s: float = 0.0
    predict_s: float = 0.0
    write_s: float = 0.0
    wall_s: float = 0.0
    ready_s: float = 0.0

    def __add__(self, other: Took) -> Took:
        summed = {name: getattr(self, name) + getattr(other, name) for name in _SECONDS}
        return Took(work=self.work + other.work, **summed)

    @property
    def busy(self) -> float | None:
        """Share of the time that there were predictors in which they were at work; None where not known."""
        return min(self.predict_s / self.ready_s, 1.0) if self.ready_s else None

    @property
    def as_json(self) -> dict[str, Any]:
        """As run.json has it."""
        said = asdict(self)
        return {**said.pop("work"), **{name: round(seconds, 3) for name, seconds in said.items()}}


_SECONDS = tuple(one.name for one in fields(Took) if one.name != "work")
_WORK = tuple(one.name for one in fields(Work))


def noted(facts: Mapping[str, Any]) -> Took | None:
    """What run.json says; None where it says nothing of it that can be read.

    Before pixels were counted, bytes were those of whole blocks, however little of them was ground: not taken either.
    """
    said = facts.get(TOOK)
    if not isinstance(said, dict) or not all(isinstance(said.get(name), int | float) for name in (*_WORK, *_SECONDS)):
        return None
    try:
        work = Work(**{name: int(said[name]) for name in _WORK})
        return Took(work=work, **{name: float(said[name]) for name in _SECONDS})
    except (OverflowError, ValueError):  # of a number without an end, or of none
        return None


def of_run(run: RunDirectory) -> Took:
    """What a scan took that others are to be like.

    Raises:
        InvalidInputError: There is none, or it does not say.
    """
    facts = run.facts() if run.exists("run.json") else {}
    found = noted(facts)
    if found is None or not found.work.units:
        raise InvalidInputError(
            f"no word of what it {TOOK}" if facts else "no run",
            expected="the folder of a scan of which units were scanned by a driver that came to its end",
            key="--like",
            run=run,
        )
    return found


def is_scanned(record: Record) -> bool:
    """Whether a unit is done, and was not taken over."""
    return record.done and not record.taken_from


class Tally:
    """Adds up what units took as they end."""

    def __init__(self) -> None:
        self._seconds = dict.fromkeys(("read", "wait", "predict", "write"), 0.0)
        self._failed: dict[str, list[dict[str, float]]] = {}

    def add(self, record: Record) -> None:
        """A unit has ended; where it is done, what its tries before took counts too."""
        tries = [*self._failed.pop(record.unit, ()), record.seconds]
        if is_scanned(record):
            for name in self._seconds:
                self._seconds[name] += sum(one.get(name, 0.0) for one in tries)

    def failed(self, record: Record) -> None:
        """A try of a unit has failed, and is made again."""
        self._failed.setdefault(record.unit, []).append(record.seconds)

    def took(self, work: Work, *, wall_s: float, predictors: int) -> Took:
        """All of it.

        Args:
            work: What the scanned units were.
            wall_s: Since workers were asked for.
            predictors: How many there were; 0 where nobody knows.
        """
        return Took(
            work=work,
            **{f"{name}_s": seconds for name, seconds in self._seconds.items()},
            wall_s=wall_s,
            ready_s=wall_s * predictors,
        )
