"""Scans on Ray that lose a process or a node, see ``doomed.py``, and what is known of them afterwards."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import ray
from helpers.doomed import PlacedStep, Plan, followed, read, write
from helpers.followedmodel import load
from helpers.plainrun import silent

from landslide_scale.scan import driver, work
from landslide_scale.scan.pipeline.engine import scan
from landslide_scale.scan.settings import ScanConfig
from landslide_scale.scan.summary import ScanSummary
from landslide_scale.storage import holder, lease
from landslide_scale.strictyaml import parse


def drive(settings: dict[str, Any], address: str, plan: Plan) -> ScanSummary:
    """Begin a scan on a cluster, or go on with it; its workers are followed."""
    ray.init(address=address, log_to_driver=False, logging_level="ERROR")
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(work, "read", partial(read, plan=plan))
            patch.setattr(work, "write", partial(write, plan=plan))
            return scan(parse(ScanConfig, settings), resume=True, progress=silent, load=partial(load, plan=plan))
    finally:
        ray.shutdown()


def driven(settings: dict[str, Any], address: str, plan: Plan) -> None:
    """What a driver runs that is a process of its own, followed as its workers are."""
    driver.COMPACT_EVERY = 2  # so that there is something to be killed in
    followed(plan, "driver")
    assert drive(settings, address, plan).complete


def driven_elsewhere(settings: dict[str, Any], address: str, plan: Plan, life: float) -> None:
    """As :func:`driven`, by a process that is taken for one of another machine, whose lease lasts `life` seconds."""
    holder.this_machine = lambda: "another machine"
    driver.held = partial(lease.held, life=life)
    driven(settings, address, plan)


def placed_steps(log: str) -> list[PlacedStep]:
    parts = [line.split("\t") for line in Path(log).read_text().splitlines()]
    return [
        PlacedStep(role=role, event=event, path=path, process=int(process), raylet=int(raylet))
        for role, event, path, process, raylet in parts
    ]


def in_flight(taken: Sequence[PlacedStep]) -> Counter[str]:
    """By role, pieces of work that were begun and not ended by processes that all have ended."""
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
