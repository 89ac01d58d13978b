"""Scans on Ray that lose a process or a node: driver, reader, predictor or writer, at a chosen step of its own."""

from __future__ import annotations

import functools
import json
import os
import signal
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import psutil
import ray
import torch
from borderland import one_band_model
from plainrun import Roles, Step, Watch, silent

from landslide_scale import driver, work
from landslide_scale.config import ScanConfig, parse
from landslide_scale.driver import ScanSummary
from landslide_scale.scan import scan

PLAN = "KILLER_PLAN"
"""Environment variable of the workers of one scan, given to Ray with it: nobody is older than what it says."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Who of a run is killed, and when.

    Attributes:
        run: Its folder.
        log: File that takes down the steps of all its processes.
        role: Whose step is the last; a role nobody has lets all live.
        step: Which of all steps of that role, from 0, whichever process takes it.
        raylet: Process that stands for a node. Where given, steps on that node alone count, and all of it is lost.
    """

    run: str
    log: str
    role: str = "nobody"
    step: int = 0
    raylet: int | None = None

    @property
    def killed(self) -> Path:
        """There once the step was reached."""
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
            self.plan.killed.touch()
            if self.plan.raylet is not None:
                kill_the_others(raylet)
            os.kill(process, signal.SIGKILL)
        os.write(self.file, f"{self.roles.now}\t{event}\t{path}\t{process}\t{raylet}\n".encode())


def kill_the_others(raylet: int) -> None:
    """SIGKILL to a node and to all that it started but this process, as when its power is cut."""
    node = psutil.Process(raylet)
    for process in (node, *node.children(recursive=True)):
        if process.pid != os.getpid():
            with suppress(psutil.NoSuchProcess):
                process.kill()


def follow(plan: Plan, role: str) -> Doomed:
    return Doomed(folder=plan.run, log=plan.log, kill_at=None, roles=Roles(now=role), plan=plan)


@functools.cache
def worker() -> Doomed:
    """What follows the steps of this worker process."""
    return follow(Plan(**json.loads(os.environ[PLAN])), "worker")


def in_worker() -> None:
    """What every worker process of a scan begins with."""

    def as_role(role: str, step: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(step)
        def followed(*arguments: Any, **named: Any) -> Any:  # noqa: ANN401 passed on
            with worker().roles.of(role):
                return step(*arguments, **named)

        return followed

    work.read, work.write = as_role("reader", work.read), as_role("writer", work.write)


def load(url: str, **named: object) -> tuple[torch.nn.Module, Any]:
    """A network of one band whose every pass is the beginning and the end of a predictor's work."""
    net, card = one_band_model()(url, **named)

    class Followed(torch.nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            with worker().roles.of("predictor"):
                return net(images)

    return Followed(), card


def drive(settings: dict[str, Any], address: str, plan: Plan) -> ScanSummary:
    """Begin a scan on a cluster, or go on with it; its workers are followed."""
    environment = {"worker_process_setup_hook": "raykill.in_worker", "env_vars": {PLAN: json.dumps(asdict(plan))}}
    ray.init(address=address, log_to_driver=False, logging_level="ERROR", runtime_env=environment)
    try:
        return scan(parse(ScanConfig, settings), resume=True, progress=silent, load=load)
    finally:
        ray.shutdown()


def driven(settings: dict[str, Any], address: str, plan: Plan) -> None:
    """What a driver runs that is a process of its own, followed as its workers are."""
    driver.COMPACT_EVERY = 2  # so that there is something to be killed in
    follow(plan, "driver")
    assert drive(settings, address, plan).complete


def placed_steps(log: str) -> list[PlacedStep]:
    parts = [line.split("\t") for line in Path(log).read_text().splitlines()]
    return [
        PlacedStep(role=role, event=event, path=path, process=int(process), raylet=int(raylet))
        for role, event, path, process, raylet in parts
    ]


def in_flight(taken: Sequence[PlacedStep]) -> Counter[str]:
    """By role, units whose work was begun and not ended in processes that all have ended."""
    times = Counter((step.process, step.role) for step in taken if step.event == "at work")
    return Counter(role for (_, role), number in times.items() if number % 2)


def carried_out(taken: Sequence[PlacedStep]) -> list[PlacedStep]:
    """Steps but those that a process had noted and not taken yet when another's end was its own.

    They are the last of their process, and were taken later by another. A process that ends itself leaves none.
    """
    last = {step.process: number for number, step in enumerate(taken)}
    final = {(step.event, step.path): number for number, step in enumerate(taken)}
    return [
        step
        for number, step in enumerate(taken)
        if number != last[step.process] or number == final[step.event, step.path]
    ]
