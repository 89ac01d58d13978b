"""A scan as its driver sees it: take the folder, lay out, have every unit worked on, account for each.

What carries units to readers, predictors and writers is passed in, and is no concern of this file.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from functools import partial

from landslide_scale.costs.took import TOOK, Tally, is_scanned, noted
from landslide_scale.cube import manifest
from landslide_scale.cube.computed import computed_in, computed_on
from landslide_scale.cube.inputs import Files, replaced, taken_away
from landslide_scale.cube.laying import lay_out
from landslide_scale.cube.lean import LeanRecords
from landslide_scale.cube.ledger import LEDGER, Ledger
from landslide_scale.cube.record import Record
from landslide_scale.scan import layout
from landslide_scale.scan.append import grow, growing
from landslide_scale.scan.layout import CUBE
from landslide_scale.scan.plan import Place, WorkUnit
from landslide_scale.scan.prepared import Prepared, asked, check_base, fitting, prepare, result_settings
from landslide_scale.scan.rounds import Belt, Report, Reporter, differing, in_turn, shortage, unreadable, worked_on
from landslide_scale.scan.settings import ScanConfig
from landslide_scale.scan.summary import ScanSummary, summary_noted, summary_of
from landslide_scale.scan.survey import kept, without
from landslide_scale.scan.verify import Standing, as_recorded
from landslide_scale.scan.work import Task
from landslide_scale.stac.aside import load_aside
from landslide_scale.storage.absence import PATIENCE_S, patient
from landslide_scale.storage.lease import Lease, held
from landslide_scale.storage.rundir import RUN, RunDirectory

log = logging.getLogger(__name__)

COMPACT_EVERY = 500

Engine = Callable[[Task], AbstractContextManager[Belt]]
"""What carries a run's units to its workers, for as long as the block takes."""

Join = Callable[[Task], AbstractContextManager[object]]
"""What connects to the workers of a run, before anything is written, for as long as the block takes."""


Rank = Callable[[Place], float]
"""How soon a unit is to be worked on: the lowest first, equal ones as planned. No result depends on it."""


def as_planned(_: Place) -> float:
    """The rank of units in the order of the plan."""
    return 0.0


def _nothing_to_join(_: Task) -> AbstractContextManager[object]:
    return nullcontext()


def begin(
    config: ScanConfig,
    engine: Engine,
    *,
    resume: bool,
    progress: Report,
    join: Join = _nothing_to_join,
    rank: Rank = as_planned,
    standing: Standing = as_recorded,
) -> ScanSummary:
    """Run a scan, or what is left of it.

    Args:
        config: What to scan, with what, and where to put it.
        engine: What carries the units.
        resume: Go on with the run that the folder holds.
        progress: Called whenever units have ended.
        join: What connects to the workers.
        rank: The order of units.
        standing: What of a run that is gone on with is taken for done.

    Raises:
        InvalidInputError: The configuration or something it names does not fit; nothing was written.
        AwayError: The catalogue, or the cluster, cannot be reached now; nothing was written.
        BrokenRunError: The run cannot go on; ``resume`` continues it.
    """
    run = RunDirectory(config.output.run)
    if not run.exists(RUN):
        prepared = prepare(config)
        _say_noticed(prepared)
        files = kept(run, prepared.survey)  # Items that do not fit a file are refused before there is a run
        # A cluster that is away leaves nothing behind.
        with join(prepared.task), held(run) as lease:
            if not run.exists(RUN):
                run.claim("scan", prepared.settings, resume=resume)
                return _finish(prepared, lease, engine, progress, files=files, rank=rank, standing=standing)
    # What another driver may change is read once it cannot any more. A run that is complete needs no cluster.
    with held(run) as lease:
        with patient(PATIENCE_S, guard=lease.check):
            prepared = prepare(config)
        run.claim("scan", prepared.settings, resume=resume)
        files = kept(run, prepared.survey)
        return _finish(prepared, lease, engine, progress, files=files, rank=rank, standing=standing)


def ended(config: ScanConfig) -> ScanSummary | None:
    """How a run of this configuration has ended; None where it is not there, or something of it is still to be done.

    Nothing is planned, nothing listed: it takes no longer for a million units than for one.

    Raises:
        InvalidInputError: The configuration or something it names does not fit the run.
    """
    run = RunDirectory(config.output.run)
    if not run.exists(RUN):
        return None
    claimed = run.claimed()
    if claimed["kind"] != "scan" or claimed["state"] != "complete":
        return None
    if {*config.catalog.exclude} - {scene.id for scene in load_aside(run).excluded}:  # it is to do without more scenes
        return None
    config = config.as_begun(claimed["settings"])
    model = fitting(config)
    request, _ = asked(config, model.bands, model.patches)
    run.match("scan", result_settings(config, model, request))
    return summary_noted(run, model)


def append(config: ScanConfig, engine: Engine, *, progress: Report, rank: Rank = as_planned) -> ScanSummary:
    """Add the configuration's further windows to a complete run, and scan them; arguments are those of :func:`begin`.

    Raises:
        InvalidInputError: There is no complete run of the same settings, or no later window; nothing was written.
        BrokenRunError: The run cannot go on; :func:`begin` continues it by ``resume``.
    """
    run = RunDirectory(config.output.run)
    with held(run) as lease:
        grown = growing(run, config.windows)
        config = config.as_begun(grown.settings)
        model = fitting(config)
        request, sources = asked(config, model.bands, model.patches)
        settings = result_settings(config, model, request)
        if config.output.base is not None:
            check_base(RunDirectory(config.output.base), run, settings)
        survey = grow(run, grown, request, sources, settings, session=lease.token)
        prepared = Prepared(config=config, run=run, model=model, survey=survey)
        _say_noticed(prepared)
        files = kept(run, survey)
        return _finish(prepared, lease, engine, progress, files=files, rank=rank, standing=as_recorded)


def _say_noticed(prepared: Prepared) -> None:
    for line in prepared.survey.noticed:
        log.warning("%s", line)


def _finish(
    prepared: Prepared,
    lease: Lease,
    engine: Engine,
    progress: Report,
    *,
    files: dict[str, bytes | None],
    rank: Rank,
    standing: Standing,
) -> ScanSummary:
    run, stamp = prepared.run, prepared.run.enter(lease.token)
    ledger = Ledger(run, stamp)
    run.remove_partial_files(LEDGER, CUBE)
    _lay_out(prepared, files)
    seen = Files()
    records = _current(prepared, ledger, standing, seen)
    left = [unit for unit in prepared.survey.plan.units if not _is_done(unit, records)]
    lacking = ""
    if left:
        run.note(state="running")
        task = replace(prepared.task, lease=lease.name, stamp=stamp, precision=computed_in(records.values()))
        mine, tally, asked_at = left, Tally(), time.monotonic()
        with engine(task) as belt:
            while left:
                report = Reporter(len(prepared.survey.plan.units), records, progress)
                loose: list[Record] = []
                again = partial(_before_again, report, lease, tally, loose)
                attempts = prepared.config.compute.attempts
                for record in worked_on(in_turn(left, rank), records, belt, attempts, again=again):
                    lease.check()
                    if (found := seen.other(record)) is not None:
                        _take_back(run, [taken_away(record, found)], records, ledger)
                        raise replaced(found, run)
                    records[record.unit] = record
                    tally.add(record)
                    report(record)
                    loose.append(record)
                    if len(loose) >= COMPACT_EVERY:
                        ledger.gather(loose)
                        loose.clear()
                lease.check()
                prepared, left, lacking = _without_unreadable(prepared, records, ledger)
                mine = _with(mine, left)
            scanned = (unit for unit in mine if unit.id in records and is_scanned(records[unit.id]))
            _note_took(prepared, scanned, tally, time.monotonic() - asked_at)
    ledger.compact()
    lease.check()
    run.remove_partial_files(LEDGER, CUBE)  # of writers that died and whose work another one did
    if manifest.wrong(run, {}):
        _laid_out_again(prepared)
    summary = summary_of(prepared, prepared.layout, records, lacking, lease.check)
    run.note(
        state="complete" if summary.complete else "incomplete",
        summary=summary.facts,
        **({"computed": machines} if (machines := computed_on(records.values())) else {}),
    )
    return summary


def _note_took(prepared: Prepared, scanned: Iterable[WorkUnit], tally: Tally, wall_s: float) -> None:
    """Add what units took to what those took that other drivers have scanned."""
    least, most = prepared.config.compute.pool
    work = prepared.survey.work(predicted=prepared.predicted, some=scanned)
    took = tally.took(work, wall_s=wall_s, predictors=most if prepared.predicted and least == most else 0)
    before = noted(prepared.run.facts())
    prepared.run.note(**{TOOK: (took if before is None else before + took).as_json})


def _before_again(report: Reporter, lease: Lease, tally: Tally, loose: list[Record], record: Record) -> None:
    report.again(record)
    tally.failed(record)
    loose.append(record)
    lease.check()


def _with(units: list[WorkUnit], others: list[WorkUnit]) -> list[WorkUnit]:
    """Each unit once."""
    if not others:
        return units
    known = {unit.id for unit in units}
    return units + [unit for unit in others if unit.id not in known]


def _is_done(unit: WorkUnit, records: Mapping[str, Record]) -> bool:
    return unit.id in records and records[unit.id].done


def _without_unreadable(
    prepared: Prepared, records: LeanRecords, ledger: Ledger
) -> tuple[Prepared, list[WorkUnit], str]:
    """The scan without the scenes that failed units for good, as long as enough others are left.

    This is decided when no unit is at work, from what all of them met, and kept before anything is made by it: a run
    that is killed and gone on with comes to the same decisions, each after the same units. Where too few would be left,
    as while a host answers that it has nothing, no further one is set aside; those that were before stay so.

    Returns:
        The scan, what of it is to be done anew or still to be done for that, and why scenes are not set aside where
        they are too many.
    """
    before = prepared.survey
    found = unreadable(records.values(), before.plan)
    if not found:
        return prepared, [], ""
    survey = without(before, found)
    layers = [layer for layer in range(len(before.plan.windows)) if layer not in before.plan.unseen]
    lacking = shortage(survey.plan, survey.aside.bad, prepared.config.catalog.max_bad, layers)
    if lacking:
        return prepared, [], lacking
    prepared = replace(prepared, survey=survey)
    _laid_out_again(prepared)
    used = {unit.id: unit.scenes for unit in before.plan.units}
    others = [unit for unit in survey.plan.units if unit.scenes != used[unit.id]]
    _take_back(prepared.run, differing(records, others), records, ledger)
    return prepared, [unit for unit in others if not _is_done(unit, records)], ""


def _take_back(run: RunDirectory, broken: Sequence[Record], records: LeanRecords, ledger: Ledger) -> None:
    """Keep records that take away what was said of their units; a run with one of them is no longer complete."""
    if broken:
        run.note(state="running")
    for record in broken:
        ledger.add(record)
        records[record.unit] = record


def _lay_out(prepared: Prepared, files: dict[str, bytes | None]) -> None:
    """Everything the driver writes before any worker does; repeated on a resumed run, to the same result.

    What is damaged or missing of it is made anew, and all is noted by its hash.

    Args:
        prepared: The scan.
        files: As of :func:`kept`; nothing is left in it, for those of a large region take hundreds of megabytes.
    """
    survey = prepared.survey
    planned = {
        layout.REGION: layout.region(survey.request.ground),
        layout.UNITS: layout.units(survey.plan.units),
    }
    lay_out(prepared.run, CUBE, prepared.template, files | planned)
    files.clear()
    prepared.run.note(**prepared.noted)


def _laid_out_again(prepared: Prepared) -> None:
    _lay_out(prepared, kept(prepared.run, prepared.survey))


def _current(prepared: Prepared, ledger: Ledger, standing: Standing, files: Files) -> LeanRecords:
    """What the ledger says of every unit, once it speaks of what is stored, of planned scenes and the same files."""
    ledger.compact()
    records, broken = standing(ledger, prepared.layout)
    if ledger.damaged:
        prepared.run.note(state="running")
        ledger.mend()
    _take_back(prepared.run, broken, records, ledger)
    _take_back(prepared.run, differing(records, prepared.survey.plan.units), records, ledger)
    _take_back(prepared.run, files.others(records.values()), records, ledger)
    return records
