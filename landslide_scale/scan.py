"""A region-wide scan on Ray Data: units -> read -> predict -> write -> statuses. Wiring, and nothing else."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import ray
from ray.data import ActorPoolStrategy
from ray.exceptions import RayError

from landslide_scale import cube, work
from landslide_scale.checkpoint import restore
from landslide_scale.config import ScanConfig
from landslide_scale.errors import BrokenRunError
from landslide_scale.frozen import SCENES, freeze
from landslide_scale.ledger import Ledger, Record
from landslide_scale.plan import WorkUnit
from landslide_scale.predictor import Load, Predictor
from landslide_scale.rundir import RunDirectory
from landslide_scale.session import session, settle_data
from landslide_scale.survey import Survey, survey
from landslide_scale.work import CUBE, Task

UNITS_PER_CALL = 2
"""Units that one call of the predictor takes: patches fill its batches across them."""

COMPACT_EVERY = 500
TRIES_OF_A_PERMANENT_FAILURE = 2
"""A failure that should not pass is tried once more, in another process, because GDAL remembers failures."""


@dataclass(frozen=True, kw_only=True)
class Progress:
    """How far a scan is: units done of all, km2 done, seconds since it began, units done before it began."""

    done: int
    total: int
    km2: float
    seconds: float
    before: int


@dataclass(frozen=True, kw_only=True)
class ScanSummary:
    """How a scan ended: units by state; ground inside region and zones, what of it was observed; scenes not trusted."""

    run: str
    units: int
    written: int
    empty: int
    failed: int
    km2: float
    observed_km2: float
    landslide_km2: float
    errors: tuple[str, ...]
    caveat: str
    quarantined: tuple[str, ...] = ()

    @property
    def complete(self) -> bool:
        """Whether every planned unit is accounted for."""
        return self.written + self.empty == self.units


def scan(
    config: ScanConfig,
    *,
    resume: bool = False,
    progress: Callable[[Progress], None] = lambda _: None,
    load: Load = restore,
) -> ScanSummary:
    """Run a scan, or what is left of it.

    Args:
        config: What to scan, with what, and where to put it.
        resume: Go on with the run that the folder holds.
        progress: Called whenever units have ended.
        load: How the checkpoint becomes a network and its card; it crosses processes.

    Raises:
        InvalidInputError: The configuration or something it names does not fit; nothing was written.
        BrokenRunError: The run cannot go on; ``resume`` continues it.
    """
    found = survey(config)
    run = RunDirectory(config.output.run)
    settings = config.settings() | {"checkpoint_sha256": found.checkpoint_sha256, "region_sha256": found.region_sha256}
    run.claim("scan", settings, resume=resume)
    _lay_out(config, found, run)
    ledger = Ledger(run)
    records = {name: record for name, record in ledger.records().items() if record.done}
    task = Task(
        config=config,
        run=run,
        region=found.plan.region.wkt,
        bands=found.card.model.bands,
        patches=found.plan.patches,
        extents=tuple(found.plan.extents.items()),
    )
    report = _Reporter(len(found.plan.units), records, progress)
    left = [unit for unit in found.plan.units if unit.id not in records]
    if left:
        with session(config.compute.address):
            for record in _passes(left, task, load):
                records[record.unit] = record
                report(record)
                if len(records) % COMPACT_EVERY == 0:
                    ledger.compact()
    ledger.compact()
    summary = _summary(run, found, records)
    run.note(state="complete" if summary.complete else "incomplete", summary=_facts(summary))
    return summary


def _lay_out(config: ScanConfig, found: Survey, run: RunDirectory) -> None:
    """Everything the driver writes before any worker does; repeated on a resumed run, to the same result."""
    if not run.exists(SCENES):
        freeze(run, found.items)
    run.remove_partial_files(CUBE)
    cube.create(
        run.at(CUBE),
        found.plan.extents,
        found.plan.windows,
        config.grid,
        sharded=config.output.sharded,
        attributes={
            "title": "Landslide probability",
            "source": "Sentinel-2 L2A",
            "checkpoint_sha256": found.checkpoint_sha256,
            "threshold": found.card.threshold,
            "caveat": found.caveat,
            "training": found.card.provenance,
        },
    )
    run.note(
        caveat=found.caveat,
        units=len(found.plan.units),
        scenes=len(found.plan.scenes),
        quarantined={scene.id: scene.quarantine for scene in found.plan.quarantined},
        region_km2=found.km2,
    )


def _passes(units: Sequence[WorkUnit], task: Task, load: Load) -> Iterator[Record]:
    """Records of the units; failed ones are tried again in a later pass."""
    attempts = task.config.compute.attempts
    left = {unit.id: unit for unit in units}
    for attempt in range(1, attempts + 1):
        for record in _stream(list(left.values()), replace(task, attempt=attempt), load):
            tries = attempts if record.retry else min(attempts, TRIES_OF_A_PERMANENT_FAILURE)
            if record.done or attempt >= tries:
                del left[record.unit]
                yield record
        if not left:
            return


def _stream(units: Sequence[WorkUnit], task: Task, load: Load) -> Iterator[Record]:
    """One pass over units on the cluster, in the order they end.

    Raises:
        BrokenRunError: A step failed in a way that is no unit's own, or nothing has ended for too long.
    """
    ended: queue.Queue[Record | Exception | None] = queue.Queue()
    threading.Thread(target=_pump, args=(units, task, load, ended), daemon=True).start()
    while True:
        try:
            item = ended.get(timeout=task.config.compute.no_progress_s)
        except queue.Empty:
            raise BrokenRunError(
                f"no unit has ended for {task.config.compute.no_progress_s:.0f} s",
                expected="progress",
                cure="Look at the cluster's logs; --resume goes on from here.",
                run=task.run,
            ) from None
        if item is None:
            return
        if isinstance(item, Exception):
            raise BrokenRunError(
                str(item), cure="Units that had ended are kept; --resume goes on from here.", run=task.run
            ) from item
        yield item


def _pump(units: Sequence[WorkUnit], task: Task, load: Load, ended: queue.Queue[Record | Exception | None]) -> None:
    """Run the pipeline in a thread of its own, so that the driver can tell silence from work."""
    try:
        for row in _dataset(units, task, load).iter_rows():
            ended.put(Record.from_json(row["record"]))
        ended.put(None)
    except (RayError, RuntimeError, OSError) as error:
        ended.put(error)


def _dataset(units: Sequence[WorkUnit], task: Task, load: Load) -> ray.data.Dataset:
    settle_data()
    compute = task.config.compute
    rows = [{"unit": unit.to_json()} for unit in units]
    return (
        ray.data.from_items(rows, override_num_blocks=min(len(rows), 10_000))
        .map(partial(work.read, task=task), num_cpus=compute.cpus_per_reader)
        .map_batches(
            _bound_predictor(task, load),
            batch_size=UNITS_PER_CALL,
            batch_format="numpy",
            compute=ActorPoolStrategy(size=compute.predictors),
            num_gpus=compute.gpus_per_predictor or None,
            num_cpus=compute.cpus_per_predictor,
        )
        .map(partial(work.write, task=task), num_cpus=compute.cpus_per_reader)
    )


def _bound_predictor(task: Task, load: Load) -> type[Predictor]:
    """The predictor of one run: constructor arguments of an actor could be lost before it is restarted."""
    compute = task.config.compute
    device, threads = "cuda" if compute.gpus_per_predictor else "cpu", max(1, round(compute.cpus_per_predictor))

    class BoundPredictor(Predictor):
        def __init__(self) -> None:
            super().__init__(task, load, device, threads)

    return BoundPredictor


class _Reporter:
    """Turns ended units into progress."""

    def __init__(self, total: int, before: dict[str, Record], progress: Callable[[Progress], None]) -> None:
        self._total, self._before, self._progress = total, len(before), progress
        self._done, self._km2 = len(before), sum(record.km2 for record in before.values())
        self._begun = time.monotonic()

    def __call__(self, record: Record) -> None:
        self._done += 1
        self._km2 += record.km2
        self._progress(
            Progress(
                done=self._done,
                total=self._total,
                km2=self._km2,
                seconds=time.monotonic() - self._begun,
                before=self._before,
            )
        )


def _summary(run: RunDirectory, found: Survey, records: dict[str, Record]) -> ScanSummary:
    states = [record.state for record in records.values()]
    held = list(records.values())
    return ScanSummary(
        run=str(run),
        units=len(found.plan.units),
        written=states.count("written"),
        empty=states.count("empty"),
        failed=len(found.plan.units) - states.count("written") - states.count("empty"),
        km2=sum(record.km2 for record in held),
        observed_km2=sum(record.km2 * record.clear_fraction for record in held),
        landslide_km2=sum(record.landslide_km2 for record in held),
        errors=tuple(f"{record.unit}: {record.error}" for record in held if not record.done),
        caveat=found.caveat,
        quarantined=tuple(f"{scene.id}: {scene.quarantine}" for scene in found.plan.quarantined),
    )


def _facts(summary: ScanSummary) -> dict[str, Any]:
    return {
        key: getattr(summary, key) for key in ("written", "empty", "failed", "km2", "observed_km2", "landslide_km2")
    }
