"""What takes down the steps of a process, and ends it before a chosen one; it imports as good as nothing."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

CHANGES = {"open": 0, "os.rename": 1, "os.remove": 0, "os.mkdir": 0, "os.link": 1}
"""What Python tells of before it changes a file system, and which argument is the path."""


@dataclass
class Roles:
    """Who is at work in this process, told at each change."""

    now: str = "driver"
    at: Callable[[], None] = lambda: None

    @contextmanager
    def of(self, role: str) -> Iterator[None]:
        before, self.now = self.now, role
        self.at()
        yield
        self.at()
        self.now = before


@dataclass(frozen=True, kw_only=True)
class Step:
    """One change below the folder of a run, or the beginning or end of somebody's work on a unit."""

    role: str
    event: str
    path: str


def _there(event: str, path: str | os.PathLike[str]) -> bool:
    return event == "os.mkdir" and os.path.isdir(path)  # noqa: PTH112 a path costs time at every step


@dataclass
class Watch:
    """Notes every step of this process in a file, and ends it, like a lost machine, before step `kill_at`."""

    folder: str
    log: str
    kill_at: int | None
    roles: Roles = field(default_factory=Roles)
    count: int = 0

    def __post_init__(self) -> None:
        self.one_by_one = threading.RLock()  # a lease is renewed beside the work
        self.file = os.open(self.log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        self.roles.at = lambda: self.step("at work", "")
        sys.addaudithook(self.hook)

    def hook(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event not in CHANGES:
            return
        path = arguments[CHANGES[event]]
        if not isinstance(path, (str, os.PathLike)) or not os.fspath(path).startswith(self.folder):
            return
        # Threads that write side by side ask for the same folders, how often hangs on the machine.
        changes = set(arguments[1] or "") & set("wxa+") if event == "open" else not _there(event, path)
        if changes:
            self.step(event, os.fspath(path)[len(self.folder) :].lstrip("/"))

    def step(self, event: str, path: str) -> None:
        with self.one_by_one:
            if self.count == self.kill_at:
                os.kill(os.getpid(), signal.SIGKILL)
            self.count += 1
            os.write(self.file, f"{self.roles.now}\t{event}\t{path}\n".encode())


def steps(log: Path) -> list[Step]:
    if not log.exists():
        return []
    parts = [line.split("\t") for line in log.read_text().splitlines()]
    return [Step(role=role, event=event, path=path) for role, event, path in parts]
