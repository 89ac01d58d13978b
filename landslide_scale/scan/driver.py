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
from landslide_scale.errors import InvalidConfigError
from landslide_scale.metrics import AreaRatio, area_line, assumption
from landslide_scale.region.metres import check_metres
from landslide_scale.scan import layout
from landslide_scale.scan.append import grow
from landslide_scale.scan.layout import CUBE, Layout
from landslide_scale.scan.model import ScanModel, fitting_model, observed_as
from landslide_scale.scan.plan import WorkUnit
from landslide_scale.scan.settings import ScanConfig
from landslide_scale.scan.survey import Request, Sources, Survey, kept_or_searched, requested, settled
from landslide_scale.scan.verify import changed
from landslide_scale.scan.work import Row, Task
from landslide_scale.stac.frozen import DEM, SCENES, freeze
from landslide_scale.stac.settings import DemConfig, check_terrain
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
    """How a scan ended: units by state; ground inside region and zones, what of it was observed; scenes not trusted.

    `area` and `fair_share` are the checkpoint's, and say what the expected `landslide_km2` can be trusted for.
    """

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
    area: AreaRatio | None = None
    fair_share: bool | None = None
    unknown: str = ""

    @property
    def complete(self) -> bool:
        """Whether every planned unit is accounted for."""
        return self.written + self.empty == self.units

    @property
    def area_line(self) -> str:
        """The expected area of landslides with its range, and what that assumes."""
        return area_line(self.landslide_km2, self.area, fair_share=self.fair_share)


Report = Callable[[Progress], None]


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """A scan that can be begun, or gone on with.

    Attributes:
        config: As asked for, under the rules that its run was begun under.
        run: Where it goes.
        model: With what.
        survey: Over what.
    """

    config: ScanConfig
    run: RunDirectory
    model: ScanModel
    survey: Survey

    @property
    def settings(self) -> dict[str, Any]:
        """What the result depends on, files by their content."""
        return _settings(self.config, self.model, self.survey.request)


def prepare(config: ScanConfig) -> Prepared:
    """Settle a scan; an earlier run in the same folder has frozen its scenes, and they are used again.

    Raises:
        InvalidInputError: Anything the user gave that does not fit; nothing has been written.
    """
    run = RunDirectory(config.output.run)
    begun = run.exists("run.json")
    if begun:
        config = config.as_begun(run.claimed()["settings"])
    model = _fitting(config)
    request, sources = _asked(config, model)
    if not begun:  # a run that counts in other metres goes on in them
        check_metres(config.grid.crs, request.ground)
    survey = settled(request, sources, kept_or_searched(run, request, sources))
    return Prepared(config=config, run=run, model=model, survey=survey)


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
    prepared = prepare(config)
    with held(prepared.run) as lease:
        prepared.run.claim("scan", prepared.settings, resume=resume)
        return _finish(prepared, lease, engine, progress)


def append(config: ScanConfig, engine: Engine, *, progress: Report) -> ScanSummary:
    """Add the configuration's further windows to a complete run, and scan them; arguments are those of :func:`begin`.

    Raises:
        InvalidInputError: There is no complete run of the same settings, or no later window; nothing was written.
        BrokenRunError: The run cannot go on; :func:`begin` continues it by ``resume``.
    """
    run = RunDirectory(config.output.run)
    config = config.as_begun(run.claimed()["settings"])
    model = _fitting(config)
    request, sources = _asked(config, model)
    settings = _settings(config, model, request)
    with held(run) as lease:
        survey = grow(run, request, sources, settings)
        prepared = Prepared(config=config, run=run, model=model, survey=survey)
        return _finish(prepared, lease, engine, progress)


def _fitting(config: ScanConfig) -> ScanModel:
    """The checkpoint, which fits what it will be shown."""
    return fitting_model(config.model, config.predict, observed_as(config.grid, config.composite, config.dem))


def _asked(config: ScanConfig, model: ScanModel) -> tuple[Request, Sources]:
    """What is to be observed for a model, and where it is looked for."""
    try:
        check_terrain(model.bands, config.dem)
    except InvalidConfigError as error:
        raise error.at(file=config.model.checkpoint) from error
    request = requested(
        config.region,
        windows=config.windows,
        bands=model.bands,
        patches=model.patches,
        grid=config.grid,
        composite=config.composite,
    )
    return request, Sources(catalog=config.catalog, dem=config.dem)


def _settings(config: ScanConfig, model: ScanModel, request: Request) -> dict[str, Any]:
    return config.settings() | {"checkpoint_sha256": model.sha256, "region_sha256": request.ground_sha256}


def _finish(prepared: Prepared, lease: Lease, engine: Engine, progress: Report) -> ScanSummary:
    run, units, ledger = prepared.run, prepared.survey.plan.units, Ledger(prepared.run)
    _lay_out(prepared)
    known = _current(prepared, ledger)
    records = {name: record for name, record in known.items() if record.done}
    left = [unit for unit in units if unit.id not in records]
    report = _Reporter(len(units), records, progress)
    loose: list[Record] = []
    if left:
        with engine(_task(prepared)) as stream:
            for record in _passes(left, known, stream, prepared.config.compute.attempts):
                lease.check()
                records[record.unit] = record
                report(record)
                loose.append(record)
                if len(loose) == COMPACT_EVERY:
                    ledger.gather(loose)
                    loose = []
    ledger.compact()
    run.remove_partial_files()  # of writers that died and whose work another one did
    summary = _summary(prepared, records)
    run.note(state="complete" if summary.complete else "incomplete", summary=_facts(summary))
    return summary


def _lay_out(prepared: Prepared) -> None:
    """Everything the driver writes before any worker does; repeated on a resumed run, to the same result."""
    run, model, survey, plan = prepared.run, prepared.model, prepared.survey, prepared.survey.plan
    if prepared.config.dem is not None and not run.exists(DEM):
        freeze(run, survey.dem, DEM)
    if not run.exists(SCENES):
        freeze(run, survey.items)
    layout.keep(run, plan.units)
    run.remove_partial_files()
    template.create(
        run.at(CUBE),
        plan.extents,
        plan.windows,
        survey.request.grid,
        sharded=prepared.config.output.sharded,
        attributes={"title": "Landslide probability", "source": "Sentinel-2 L2A", **model.attributes},
    )
    run.note(
        **model.noted,
        units=len(plan.units),
        scenes=len(plan.scenes),
        quarantined={scene.id: scene.quarantine for scene in plan.quarantined},
        region_km2=survey.request.km2,
        **({"dem": [tile.id for tile in plan.dem]} if prepared.config.dem is not None else {}),
    )


def _current(prepared: Prepared, ledger: Ledger) -> dict[str, Record]:
    """What the ledger says of every unit, once it speaks of what is stored."""
    ledger.compact()
    side = prepared.config.output.side(prepared.config.grid)
    records, plan = ledger.records(), prepared.survey.plan
    laid = Layout(run=prepared.run, places=plan.units, windows=plan.windows, side=side)
    broken = changed(laid, records)
    for record in broken:
        ledger.add(record)
    return records | {record.unit: record for record in broken}


def _task(prepared: Prepared) -> Task:
    request, plan = prepared.survey.request, prepared.survey.plan
    return Task(
        run=prepared.run,
        region=plan.region.wkt,
        bands=request.bands,
        composite=request.composite,
        patches=plan.patches,
        extents=tuple(plan.extents.items()),
        interpolation=(prepared.config.dem or DemConfig()).interpolation,
    )


def _passes(units: Sequence[WorkUnit], known: Mapping[str, Record], stream: Stream, attempts: int) -> Iterator[Record]:
    """Records of the units; failed ones are tried again in a later pass, `attempts` passes at most."""
    left = {unit.id: unit for unit in units}
    before = {name: known[name].attempts for name in left if name in known}
    for number in range(1, attempts + 1):
        rows = [{"unit": unit.to_json(), "attempt": before.get(name, 0) + number} for name, unit in left.items()]
        for record in stream(rows):
            tries = attempts if record.retry else min(attempts, TRIES_OF_A_PERMANENT_FAILURE)
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


def _summary(prepared: Prepared, records: dict[str, Record]) -> ScanSummary:
    plan = prepared.survey.plan
    states = [record.state for record in records.values()]
    of_units = list(records.values())
    return ScanSummary(
        run=str(prepared.run),
        units=len(plan.units),
        written=states.count("written"),
        empty=states.count("empty"),
        failed=len(plan.units) - states.count("written") - states.count("empty"),
        km2=sum(record.km2 for record in of_units),
        observed_km2=sum(record.km2 * record.clear_fraction for record in of_units),
        landslide_km2=sum(record.landslide_km2 for record in of_units),
        errors=tuple(f"{record.unit}: {record.error}" for record in of_units if not record.done),
        caveat=prepared.model.caveat,
        quarantined=tuple(f"{scene.id}: {scene.quarantine}" for scene in plan.quarantined),
        area=prepared.model.card.area,
        fair_share=prepared.model.card.trained_on.fair_share,
        unknown=prepared.model.unknown,
    )


def _facts(summary: ScanSummary) -> dict[str, Any]:
    keys = ("written", "empty", "failed", "km2", "observed_km2", "landslide_km2")
    return {key: getattr(summary, key) for key in keys} | {
        "landslide_km2_range": None if summary.area is None else summary.area.around(summary.landslide_km2),
        "landslide_km2_assumes": assumption(summary.area, fair_share=summary.fair_share),
    }
