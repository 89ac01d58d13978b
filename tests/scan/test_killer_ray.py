"""As test_killer.py, through Ray: whichever process dies, and whichever node, every unit is accounted for.

Of single processes the slow tests choose any step; that Ray goes on without one is shown at once by
test_units_that_crash_that_find_no_memory_and_that_fail_for_now_hold_up_no_others_of_their_pipeline.
"""

from __future__ import annotations

import math
import os
import random
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import pytest
from helpers.borderland import assert_same_cubes, configured, served, untrained
from helpers.doomed import Plan
from helpers.plainrun import FORKS, assert_exactly_once, in_a_process, plain_scan
from helpers.raykill import carried_out, drive, driven, driven_elsewhere, in_flight, placed_steps
from helpers.watching import Step
from ray.cluster_utils import Cluster

from landslide_scale.cube.ledger import Ledger
from landslide_scale.scan import driver
from landslide_scale.scan.verify import verify
from landslide_scale.storage.lease import held
from landslide_scale.storage.rundir import RunDirectory

pytestmark = pytest.mark.ray

ROLES = ("writer", "driver", "predictor", "reader")

CPUS = 2
"""Of each node; a predictor takes one, a reader or a writer half of one."""

REDONE = {"writer": 1, "driver": 2, "predictor": 0, "reader": 0}
"""Units at most whose shards are written again when one of this role is killed.

Ray ends all workers of a driver that is gone, and with one CPU the predictor's, two writers are at work at a time.
"""

REDONE_OF_A_NODE = 4
"""As many writers as find room on a node without the predictor."""

LONG_S = 240

HELD_S = 140
"""Less than Ray's own 180, and more than 30 and what a busy machine takes for a small scan."""

KILLS, STOPS = (range(int(os.environ.get(f"SCAN_{what}", usual))) for what, usual in (("KILLS", 20), ("STOPS", 8)))
"""Seeds; more than usual where the environment says so."""

STOPPED_S = 3.0
"""A worker; Ray looks at nodes, and not at a worker that is at work."""

LIFE_S = 3.0
"""Of the leases of a driver that is stopped, and of the one that takes over."""


@dataclass(frozen=True, kw_only=True)
class Ground:
    """What is scanned, and the same scan in one plain process that nobody kills."""

    folder: Path
    settings: dict[str, Any]
    whole: Path
    taken: tuple[Step, ...]

    def plan(self, name: str, role: str, step: int) -> Plan:
        return Plan(run=str(self.folder / "runs" / name), log=str(self.folder / f"{name}.log"), role=role, step=step)


def on(settings: dict[str, Any], run: str | Path, **changes: object) -> dict[str, Any]:
    return settings | changes | {"output": {"run": str(run)}}


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    folder = tmp_path_factory.mktemp("ground")
    checkpoint = untrained(folder / "checkpoint.safetensors")
    (folder / "scenes").mkdir()
    whole = folder / "whole"
    with served(folder / "scenes") as url:
        small = {"region": {"bbox": [17.992, 46.010, 18.008, 46.015]}}
        settings = configured((url, folder / "scenes"), checkpoint, whole, **small)
        taken = in_a_process(settings, folder / "whole.log", None)
        yield Ground(folder=folder, settings=settings, whole=whole, taken=tuple(taken))


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        head = {
            "num_cpus": CPUS,
            "object_store_memory": 200_000_000,
            "include_dashboard": False,
            # A node that is gone is missed after 5 s; a worker that only waits for a busy machine is not.
            "_system_config": {"health_check_period_ms": 1000, "worker_register_timeout_seconds": 240},
        }
        made = Cluster(initialize_head=True, head_node_args=head)
        yield made
        made.shutdown()


def doomed(ground: Ground, role: str, generator: random.Random) -> int:
    """A step of this role, of a driver's while units are on their way: what comes before knows nothing of Ray."""
    of_role = [number for number, step in enumerate(ground.taken) if step.role == role]
    begun = next(number for number, step in enumerate(ground.taken) if step.role == "reader")
    return generator.choice([step for step, number in enumerate(of_role) if number >= begun])


def exit_code(settings: dict[str, Any], address: str, plan: Plan) -> int | None:
    """Of a driver in a process of its own."""
    process = FORKS.Process(target=driven, args=(settings, address, plan), daemon=True)
    process.start()
    process.join(LONG_S)
    return process.exitcode


@pytest.mark.slow
@pytest.mark.parametrize("seed", KILLS)
def test_a_scan_one_of_whose_processes_is_killed_is_the_same_to_the_last_byte(
    ground: Ground, cluster: Cluster, seed: int
):
    role = ROLES[seed % len(ROLES)]
    plan = ground.plan(f"seed{seed}", role, doomed(ground, role, random.Random(seed)))  # noqa: S311 a choice of tests
    settings = on(ground.settings, plan.run)
    if role == "driver":
        assert exit_code(settings, cluster.address, plan) == -signal.SIGKILL
        assert drive(settings, cluster.address, replace(plan, role="nobody")).complete
    else:
        assert drive(settings, cluster.address, plan).complete
    assert plan.killed.exists()
    assert_same_cubes(Path(plan.run), ground.whole)
    assert_exactly_once(plan.run, carried_out(placed_steps(plan.log)), REDONE[role])


@pytest.mark.slow
@pytest.mark.parametrize("seed", STOPS)
def test_a_scan_one_of_whose_processes_is_stopped_for_a_while_is_the_same_to_the_last_byte(
    ground: Ground, cluster: Cluster, seed: int, monkeypatch: pytest.MonkeyPatch
):
    """A worker goes on after a while; a driver once another has taken its run, and has brought it to its end."""
    role = ROLES[seed % len(ROLES)]
    step = doomed(ground, role, random.Random(seed))  # noqa: S311 a choice of tests
    stopped_s = math.inf if role == "driver" else STOPPED_S
    plan = replace(ground.plan(f"stop{seed}", role, step), stopped_s=stopped_s)
    settings = on(ground.settings, plan.run)
    if role == "driver":
        monkeypatch.setattr(driver, "held", partial(held, life=LIFE_S))
        taken_over(settings, cluster.address, plan)
    else:
        assert drive(settings, cluster.address, plan).complete
        assert_exactly_once(plan.run, carried_out(placed_steps(plan.log)), 0)
    assert plan.killed.exists()
    assert_same_cubes(Path(plan.run), ground.whole)
    records = Ledger(RunDirectory(plan.run)).records()
    assert records.keys() == Ledger(RunDirectory(str(ground.whole))).records().keys()
    assert all(record.done for record in records.values())
    assert verify(RunDirectory(plan.run), lambda *_: None).whole


def taken_over(settings: dict[str, Any], address: str, plan: Plan) -> None:
    """Stop a driver, end its run by another one, have it go on, and wait for its end."""
    process = FORKS.Process(target=driven_elsewhere, args=(settings, address, plan, LIFE_S), daemon=True)
    process.start()
    end = time.monotonic() + LONG_S
    while not (plan.killed.exists() and psutil.Process(process.pid).status() == psutil.STATUS_STOPPED):
        assert time.monotonic() < end
        assert process.is_alive()
        time.sleep(0.05)
    was_complete = RunDirectory(plan.run).facts().get("state") == "complete"
    assert plain_scan(settings).complete
    os.kill(int(plan.killed.read_text()), signal.SIGCONT)
    process.join(LONG_S)
    assert process.exitcode == (0 if was_complete else 1)


@pytest.mark.slow
def test_a_scan_is_not_kept_waiting_by_one_on_its_cluster_whose_driver_was_killed(ground: Ground, cluster: Cluster):
    """Ray Data goes on holding what a pipeline had that is dead, by itself for 180 s from its last request on."""
    at_work = next(number for number, step in enumerate(ground.taken) if step.role == "writer")
    of_driver = [number for number, step in enumerate(ground.taken) if step.role == "driver"]
    plan = ground.plan("held", "driver", next(step for step, number in enumerate(of_driver) if number > at_work))
    settings = on(ground.settings, plan.run)
    assert exit_code(settings, cluster.address, plan) == -signal.SIGKILL
    begun = time.monotonic()
    assert drive(settings, cluster.address, replace(plan, role="nobody")).complete
    assert time.monotonic() - begun < HELD_S


@pytest.mark.slow
@pytest.mark.parametrize("lost", [1, 2])
def test_a_cluster_that_loses_all_its_nodes_but_one_finishes_with_every_unit_accounted_for(
    ground: Ground, cluster: Cluster, monkeypatch: pytest.MonkeyPatch, lost: int
):
    monkeypatch.setattr(driver, "COMPACT_EVERY", 2)
    many = {"grid": {"resolution": 10, "block": 32, "chunk": 32}, "compute": {"attempts": 1}}  # a node costs none
    others = [cluster.add_node(num_cpus=CPUS, object_store_memory=200_000_000) for _ in range(lost)]
    raylet, *with_it = [node.all_processes["raylet"][0].process.pid for node in others]
    plan = replace(ground.plan(f"nodes{lost}", "writer", 20), raylet=raylet, with_it=tuple(with_it))
    try:
        assert drive(on(ground.settings, plan.run, **many), cluster.address, plan).complete
    finally:
        for node in others:
            cluster.remove_node(node, allow_graceful=False)
    taken = placed_steps(plan.log)
    assert plan.killed.exists()
    assert in_flight([step for step in taken if step.raylet == raylet])["writer"]
    assert_exactly_once(plan.run, carried_out(taken), lost * REDONE_OF_A_NODE)
    other = ground.folder / f"nodes{lost}-whole"
    assert plain_scan(on(ground.settings, other, **many)).complete
    assert_same_cubes(Path(plan.run), other)
