"""Steps of a scan on Ray that are noted; at a chosen one a process, or its whole node, is ended, or it is stopped."""

from __future__ import annotations

import functools
import math
import os
import signal
import subprocess
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil
from helpers.watching import Roles, Step, Watch

from landslide_scale.scan import work
from landslide_scale.scan.work import Row, Task


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Who of a run is killed or stopped, and when; goes with what workers are given, for they may be older than a test.

    Attributes:
        run: Its folder.
        log: File that takes down the steps of all its processes.
        role: Whose step is the last; a role nobody has lets all live.
        step: Which of all steps of that role, from 0, whichever process takes it.
        raylet: Process that stands for a node. Where given, steps on that node alone count, and all of it is lost.
        with_it: Processes that stand for nodes that are lost with that one.
        stopped_s: Seconds after which a process that is stopped, and not killed, goes on; infinite: somebody else has
            it go on.
    """

    run: str
    log: str
    role: str = "nobody"
    step: int = 0
    raylet: int | None = None
    with_it: tuple[int, ...] = ()
    stopped_s: float | None = None

    @property
    def killed(self) -> Path:
        """There once the step was reached; says which process reached it."""
        return Path(f"{self.log}.killed")

    def is_due(self, role: str, raylet: int) -> bool:
        """Count a step that is about to be taken, and tell whether it is the one."""
        if role != self.role or self.raylet not in {None, raylet}:
            return False
        with open(f"{self.log}.count", "ab", buffering=0) as file:  # noqa: PTH123 its own end of what all append to
            file.write(b".")
            return file.tell() - 1 == self.step


@dataclass(frozen=True, kw_only=True)
class PlacedStep(Step):
    """A step, its process, and the process that started this one: on Ray, the raylet of its node."""

    process: int
    raylet: int


@dataclass
class Doomed(Watch):
    """Notes the steps of one process of a scan, and ends it or its node where the plan says so."""

    plan: Plan = field(kw_only=True)

    def step(self, event: str, path: str) -> None:
        process, raylet = os.getpid(), os.getppid()
        if self.plan.is_due(self.roles.now, raylet):
            self.plan.killed.write_text(str(process))
            if self.plan.raylet is not None:
                for node in (*self.plan.with_it, raylet):
                    kill_the_others(node)
            if self.plan.stopped_s is None:
                os.kill(process, signal.SIGKILL)
            stop(process, self.plan.stopped_s)
        os.write(self.file, f"{self.roles.now}\t{event}\t{path}\t{process}\t{raylet}\n".encode())


def kill_the_others(raylet: int) -> None:
    """SIGKILL to a node and to all that it started but this process, as when its power is cut."""
    node = psutil.Process(raylet)
    for process in (node, *node.children(recursive=True)):
        if process.pid != os.getpid():
            with suppress(psutil.NoSuchProcess):
                process.kill()


def stop(process: int, seconds: float) -> None:
    """SIGSTOP to this process, as of a machine that sleeps; SIGCONT after so many seconds, if they ever pass."""
    if math.isfinite(seconds):
        subprocess.Popen(["sh", "-c", f"sleep {seconds}; kill -CONT {process}"], start_new_session=True)
    os.kill(process, signal.SIGSTOP)


@functools.cache
def followed(plan: Plan, role: str) -> Roles:
    """The roles of this process, from now on noted; one that has none of them at the time is of `role`."""
    return Doomed(folder=plan.run, log=plan.log, kill_at=None, roles=Roles(now=role), plan=plan).roles


def read(row: Row, *, task: Task, plan: Plan) -> Row:
    with followed(plan, "worker").of("reader"):
        return work.read(row, task)


def write(row: Row, *, task: Task, plan: Plan) -> Row:
    with followed(plan, "worker").of("writer"):
        return work.write(row, task)
