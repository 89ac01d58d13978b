"""Units at which a process of a scan on Ray ends itself, or fails, and what is noted of it."""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from landslide_scale.errors import TryAgainError
from landslide_scale.labels import making
from landslide_scale.scan import work
from landslide_scale.scan.plan import WorkUnit
from landslide_scale.scan.work import Row, Task

if TYPE_CHECKING:
    from landslide_scale.scan.pipeline.predictor import Predictor

NO_MEMORY, NOT_NOW = 0, -1
"""In the place of a signal."""


@dataclass(frozen=True, kw_only=True)
class Fate:
    """What happens at a step of some units.

    Attributes:
        log: File with a line for each time it happened; a model that was loaded leaves a line too.
        units: Ids.
        times: How often.
        signal: What the process is sent; `NO_MEMORY` where it has none, `NOT_NOW` where a read may be tried again.
    """

    log: str
    units: tuple[str, ...] = ()
    times: int = 1000
    signal: int = signal.SIGKILL

    def meet(self, row: Row) -> None:
        unit = WorkUnit.from_json(str(row["unit"])).id
        if unit in self.units and self.happened(unit) < self.times:
            self.note(unit)
            if self.signal == NO_MEMORY:
                raise MemoryError("Unable to allocate 3.20 TiB")
            if self.signal == NOT_NOW:
                raise TryAgainError("503")
            os.kill(os.getpid(), self.signal)

    def note(self, what: str) -> None:
        with Path(self.log).open("a", encoding="utf-8") as file:
            file.write(f"{what}\n")

    def happened(self, what: str) -> int:
        path = Path(self.log)
        return path.read_text(encoding="utf-8").splitlines().count(what) if path.exists() else 0


@dataclass(frozen=True, kw_only=True)
class Fates:
    """Several, each of its own units."""

    each: tuple[Fate, ...]

    def meet(self, row: Row) -> None:
        for fate in self.each:
            fate.meet(row)

    def note(self, what: str) -> None:
        self.each[0].note(what)


def read(row: Row, *, task: Task, fate: Fate | Fates) -> Row:
    try:
        fate.meet(row)
    except TryAgainError as error:
        return work.unread(row, f"TryAgainError: {error}", task)
    return work.read(row, task)


def write(row: Row, *, task: Task, fate: Fate) -> Row:
    if not row["error"]:
        fate.meet(row)
    return work.write(row, task)


def chip(row: Row, task: making.Task, *, fate: Fate) -> Row:
    fate.meet(row)
    return making.make(row, task)


def predictor(fate: Fate) -> type[Predictor]:
    from landslide_scale.scan.pipeline.predictor import Predictor  # noqa: PLC0415 readers and writers import this without torch

    class Fatal(Predictor):
        def __call__(self, row: Row) -> Row:
            if not row["error"]:
                fate.meet(row)
            return super().__call__(row)

    return Fatal


def load(url: str, *, fate: Fate | Fates, **named: object) -> Any:  # noqa: ANN401 a network and its card
    from helpers.borderland import one_band_model  # noqa: PLC0415 as above

    fate.note("loaded")
    return one_band_model()(url, **named)
