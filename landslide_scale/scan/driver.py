"""A scan as its driver sees it: take the folder, lay out, have every unit worked on, account for each.

What carries units to readers, predictors and writers is passed in, and is no concern of this file.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

from landslide_scale.cube import template
from landslide_scale.cube.ledger import Ledger, Record
from landslide_scale.scan import layout
from landslide_scale.scan.append import grow
from landslide_scale.scan.layout import CUBE, Layout
from landslide_scale.scan.plan import WorkUnit
from landslide_scale.scan.settings import ScanCompute, ScanConfig
from landslide_scale.scan.survey import Survey, survey
from landslide_scale.scan.verify import changed
from landslide_scale.scan.work import Row, Task
from landslide_scale.stac.frozen import DEM, SCENES, freeze
from landslide_scale.storage.lease import Lease, held
from landslide_scale.storage.rundir import RunDirectory

COMPACT_EVERY = 500
TRIES_OF_A_PERMANENT_FAILURE = 2
"""A failure that should not pass is tried once more, in another process, because GDAL remembers failures."""

Stream = Callable[[Sequence[Row]], Iterator[Record]]
"""Has units, each with the number of its attempt, worked on; gives their records in the order they end."""

Engine = Callable[[Task], AbstractContextManager[Stream]]
"""What carries a run's units to its workers, for as long as the block takes."""


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


Report = Callable[[Progress], None]


def begin(config: ScanConfig, engine: Engine, *, resume: bool, progress: Report) -> ScanSummary:
    """Run a scan, or what is left of it.

    Args:
        config: What to scan, with what, and where to put it.
        engine: What carries the units.
        resume: Go on with the run that the folder holds.
        progress: Called whenever units have ended.

    Raises:
        InvalidInputError: The configuration or something it names does not fit; nothing was written.
        BrokenRunError: The run cannot go on; ``resume`` continues it.
    """
    found = survey(config)
    run = RunDirectory(config.output.run)
    with held(run) as lease:
        run.claim("scan", found.settings(config), resume=resume)
        return _finish(config, found, lease, engine, progress)


def append(config: ScanConfig, engine: Engine, *, progress: Report) -> ScanSummary:
    """Add the configuration's further windows to a complete run, and scan them; arguments are those of :func:`begin`.

    Raises:
        InvalidInputError: There is no complete run of the same settings, or no later window; nothing was written.
        BrokenRunError: The run cannot go on; :func:`begin` continues it by ``resume``.
    """
    run = RunDirectory(config.output.run)
    with held(run) as lease:
        found = grow(config, run)
        return _finish(config, found, lease, engine, progress)


def _finish(config: ScanConfig, found: Survey, lease: Lease, engine: Engine, progress: Report) -> ScanSummary:
    run, ledger = lease.run, Ledger(lease.run)
    _lay_out(config, found, run)
    known = _current(found, config, ledger, run)
    records = {name: record for name, record in known.items() if record.done}
    left = [unit for unit in found.plan.units if unit.id not in records]
    report = _Reporter(len(found.plan.units), records, progress)
    loose: list[Record] = []
    if left:
        with engine(_task(config, found, run)) as stream:
            for record in _passes(left, known, stream, config.compute):
                lease.check()
                records[record.unit] = record
                report(record)
                loose.append(record)
                if len(loose) == COMPACT_EVERY:
                    ledger.gather(loose)
                    loose = []
    ledger.compact()
    run.remove_partial_files()  # of writers that died and whose work another one did
    summary = _summary(run, found, records)
    run.note(state="complete" if summary.complete else "incomplete", summary=_facts(summary))
    return summary


def _lay_out(config: ScanConfig, found: Survey, run: RunDirectory) -> None:
    """Everything the driver writes before any worker does; repeated on a resumed run, to the same result."""
    if config.dem is not None and not run.exists(DEM):
        freeze(run, found.dem, DEM)
    if not run.exists(SCENES):
        freeze(run, found.items)
    layout.keep(run, found.plan.units)
    run.remove_partial_files()
    template.create(
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
        **({"dem": [tile.id for tile in found.plan.dem]} if config.dem is not None else {}),
    )


def _current(found: Survey, config: ScanConfig, ledger: Ledger, run: RunDirectory) -> dict[str, Record]:
    """What the ledger says of every unit, once it speaks of what is stored."""
    ledger.compact()
    records = ledger.records()
    laid = Layout(
        run=run,
        places=found.plan.units,
        windows=found.plan.windows,
        side=config.grid.block if config.output.sharded else config.grid.chunk,
    )
    broken = changed(laid, records)
    for record in broken:
        ledger.add(record)
    return records | {record.unit: record for record in broken}


def _task(config: ScanConfig, found: Survey, run: RunDirectory) -> Task:
    return Task(
        config=config,
        run=run,
        region=found.plan.region.wkt,
        bands=found.card.model.bands,
        patches=found.plan.patches,
        extents=tuple(found.plan.extents.items()),
    )


def _passes(
    units: Sequence[WorkUnit], known: Mapping[str, Record], stream: Stream, compute: ScanCompute
) -> Iterator[Record]:
    """Records of the units; failed ones are tried again in a later pass."""
    left = {unit.id: unit for unit in units}
    before = {name: known[name].attempts for name in left if name in known}
    for number in range(1, compute.attempts + 1):
        rows = [{"unit": unit.to_json(), "attempt": before.get(name, 0) + number} for name, unit in left.items()]
        for record in stream(rows):
            tries = compute.attempts if record.retry else min(compute.attempts, TRIES_OF_A_PERMANENT_FAILURE)
            if record.done or number >= tries:
                del left[record.unit]
                yield record
        if not left:
            return


class _Reporter:
    """Turns ended units into progress."""

    def __init__(self, total: int, before: dict[str, Record], progress: Report) -> None:
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
    of_units = list(records.values())
    return ScanSummary(
        run=str(run),
        units=len(found.plan.units),
        written=states.count("written"),
        empty=states.count("empty"),
        failed=len(found.plan.units) - states.count("written") - states.count("empty"),
        km2=sum(record.km2 for record in of_units),
        observed_km2=sum(record.km2 * record.clear_fraction for record in of_units),
        landslide_km2=sum(record.landslide_km2 for record in of_units),
        errors=tuple(f"{record.unit}: {record.error}" for record in of_units if not record.done),
        caveat=found.caveat,
        quarantined=tuple(f"{scene.id}: {scene.quarantine}" for scene in found.plan.quarantined),
    )


def _facts(summary: ScanSummary) -> dict[str, Any]:
    return {
        key: getattr(summary, key) for key in ("written", "empty", "failed", "km2", "observed_km2", "landslide_km2")
    }
