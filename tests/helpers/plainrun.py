"""Scans without Ray: the driver's, reader's, predictor's and writer's own code in one plain process, to be killed."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from helpers.borderland import one_band_model
from helpers.watching import Roles, Step, Watch, steps

from landslide_scale.cube.ledger import Ledger
from landslide_scale.cube.record import Record
from landslide_scale.scan import driver, layout, work
from landslide_scale.scan import verify as checking
from landslide_scale.scan.layout import CUBE
from landslide_scale.scan.model import checkpoint_of
from landslide_scale.scan.pipeline.predictor import Predictor
from landslide_scale.scan.pipeline.taking import taking
from landslide_scale.scan.rounds import Belt
from landslide_scale.scan.settings import NONE, ScanConfig
from landslide_scale.scan.summary import ScanSummary
from landslide_scale.scan.verify import verify
from landslide_scale.scan.work import Row, Task
from landslide_scale.storage.rundir import RunDirectory
from landslide_scale.strictyaml import parse

FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(["helpers.plainrun"])
# The fork server finds what it imports beforehand by this alone; else every process would import torch anew.
os.environ["PYTHONPATH"] = os.pathsep.join([str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")])


Restore = Callable[..., tuple[Any, Any]]
"""As the engine on Ray takes it; that module would import Ray."""


def itself(row: Row) -> Row:
    """What readers hand to writers where there is no network."""
    return row


def silent(_: object) -> None:
    """No progress."""


def engine(config: ScanConfig, roles: Roles, *, at_once: int = 2, load: Restore | None = None) -> driver.Engine:
    """One unit after the other in this process, a few at a time."""

    @contextmanager
    def carry(task: Task) -> Iterator[Belt]:
        predictor: Callable[[Row], Row] = itself
        if config.model != NONE:
            place = checkpoint_of(config.model).here()
            sha256 = task.checkpoint_sha256
            loaded = partial(load or one_band_model(), place, base_url=config.model.base_weights, sha256=sha256)
            predictor = Predictor(
                loaded,
                patches=task.patches,
                settings=config.predict,
                device="cpu",
                threads=1,
                agreed=lambda own: task.precision or own,
            )
        yield PlainBelt(task=task, predictor=predictor, roles=roles, at_once=at_once)

    return taking(config.output.base, config.catalog, carry)


@dataclass
class PlainBelt:
    """Carries a few units at a time from step to step."""

    task: Task
    predictor: Callable[[Row], Row]
    roles: Roles
    at_once: int
    rows: deque[Row] = field(default_factory=deque)
    read: deque[Row] = field(default_factory=deque)

    def put(self, rows: Sequence[Row]) -> None:
        self.rows.extend(rows)

    def next(self) -> Record:
        if not self.read:
            while self.rows and len(self.read) < self.at_once:
                with self.roles.of("reader"):
                    self.read.append(work.read(self.rows.popleft(), self.task))
            with self.roles.of("predictor"):
                self.read = deque(map(self.predictor, self.read))
        with self.roles.of("writer"):
            row = work.write(self.read.popleft(), self.task)
        return Record.from_json(row["record"])


def plain_scan(
    settings: dict[str, Any],
    *,
    resume: bool = True,
    roles: Roles | None = None,
    load: Restore | None = None,
    standing: checking.Standing = checking.as_recorded,
) -> ScanSummary:
    config = parse(ScanConfig, settings)
    carry = engine(config, roles or Roles(), load=load)
    return driver.begin(config, carry, resume=resume, progress=silent, standing=standing)


def plain_append(settings: dict[str, Any], roles: Roles | None = None, load: Restore | None = None) -> ScanSummary:
    config = parse(ScanConfig, settings)
    return driver.append(config, engine(config, roles or Roles(), load=load), progress=silent)


def watched(settings: dict[str, Any], log: str, kill_at: int | None, action: str = "scan") -> None:
    """What a process that may be killed runs."""
    driver.COMPACT_EVERY = 2  # so that there is something to be killed in
    watch = Watch(folder=settings["output"]["run"], log=log, kill_at=kill_at)
    summary = (plain_append if action == "append" else plain_scan)(settings, roles=watch.roles)
    assert summary.complete, summary


def watched_in(environment: Mapping[str, str], settings: dict[str, Any], log: str) -> None:
    """As :func:`watched` without an end; the fork server may be older than what a test put in its environment."""
    os.environ.update(environment)
    watched(settings, log, None)


def in_a_process(settings: dict[str, Any], log: Path, kill_at: int | None, action: str = "scan") -> list[Step]:
    """Run or go on with a scan in a process of its own; the steps it took."""
    before = len(steps(log))
    process = FORKS.Process(target=watched, args=(settings, str(log), kill_at, action))
    process.start()
    process.join(120)
    assert process.exitcode in ({0} if kill_at is None else {0, -signal.SIGKILL}), process.exitcode
    return steps(log)[before:]


def assert_exactly_once(run: str, taken: Sequence[Step], kills: int):
    """Every unit is done and stored as recorded; of what was taken, no shard came after its unit's record."""
    folder = RunDirectory(run)
    laid, records = layout.load(folder), Ledger(folder).records()
    assert records.keys() == {place.id for place in laid.places}
    assert all(record.done for record in records.values())
    verdict = verify(folder, lambda *_: None)
    assert verdict.whole, verdict
    owners = {
        f"{CUBE}/{key}": place.id for place in laid.places for keys in laid.objects(place).values() for key in keys
    }
    written: Counter[str] = Counter()
    recorded: set[str] = set()
    for step in (step for step in taken if step.event == "os.rename"):
        if step.path in owners:
            assert owners[step.path] not in recorded, f"{step.path} was written again"
            written[step.path] += 1
        elif step.path.startswith("ledger/units/"):
            unit = step.path.rpartition("/")[2].rpartition("-a")[0]
            assert unit not in recorded
            recorded.add(unit)
    assert recorded == records.keys()
    assert len({owners[path] for path, times in written.items() if times > 1}) <= kills
    assert set(written) == {f"{CUBE}/{key}" for key in folder.sizes(CUBE) if f"{CUBE}/{key}" in owners}
