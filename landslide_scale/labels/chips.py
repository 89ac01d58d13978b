"""Label polygons and a catalogue to training chips, as their driver sees it: the network trains on what a scan reads.

As a scan: Items are frozen, every chip has a record, what failed is tried again, scenes that stay unreadable are set
aside, and a set that was stopped is gone on with to the same bytes. The index is written once all chips are there.
What carries chips to those who make them is passed in.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from landslide_scale.cube.ledger import LEDGER, Ledger
from landslide_scale.cube.record import Record
from landslide_scale.datasets.chips import INDEX, LEAST_OBSERVED
from landslide_scale.errors import IncompleteRunError, InvalidDatasetError
from landslide_scale.labels.foreseen import Foreseen, foresee
from landslide_scale.labels.index import index
from landslide_scale.labels.making import Task, Whole, changed, counted, dropped, hashes, lost
from landslide_scale.labels.settings import ChipsConfig
from landslide_scale.redaction import redacted_values
from landslide_scale.scan.plan import WorkUnit
from landslide_scale.scan.rounds import Passes, Stream, differing, shortage, unreadable, worked_on
from landslide_scale.scan.survey import without
from landslide_scale.stac.aside import keep_aside
from landslide_scale.stac.frozen import DEM, SCENES, check_freezable, freeze
from landslide_scale.stac.settings import DemConfig
from landslide_scale.storage.absence import PATIENCE_S, patient
from landslide_scale.storage.lease import Lease, held
from landslide_scale.storage.rundir import RUN, RunDirectory

Engine = Callable[[Task], AbstractContextManager[Stream]]
"""What has chips made, for as long as the block takes."""

Say = Callable[[str], None]
log = logging.getLogger(__name__)

_NAMED = 5


@dataclass(frozen=True, kw_only=True)
class ChipsSummary:
    """What was made: chips kept of those planned; labelled pixels, and landslides among them.

    Attributes:
        ignored_pixels: Observed pixels that are ignored for lying around a landslide.
        lost: Pixels of landslides inside the region that no label shows, by the file of their chip: they were not
            observed, or it is not kept.
        outside: Chips that are not kept because they lie outside the region.
        unobserved: Those of which less than half of what lies inside was observed.
        quarantined: Scenes that were not used, and why.
    """

    directory: str
    planned: int
    kept: int
    pixels: int
    landslide_pixels: int
    ignored_pixels: int = 0
    lost: Mapping[str, int] = field(default_factory=dict)
    outside: int = 0
    unobserved: int = 0
    quarantined: tuple[str, ...] = ()


class _Set(Foreseen):
    """A set of chips at work."""

    @property
    def settings(self) -> dict[str, Any]:
        """What its bytes depend on, files by their content."""
        addresses = {"url", "items", "allowed_hosts", "allowed_roots", "buckets", "signer"}
        places: Any = {
            "compute": True,
            "directory": True,
            "catalog": addresses | {"exclude", "max_bad"},
            "dem": addresses,
            "labels": True,
            "region": {"around_labels"},  # which is in its ground
        }
        content: dict[str, Any] = redacted_values(self.config.model_dump(mode="json", exclude=places))
        bare = {"labels_bare": list(self.bare)} if self.bare else {}
        told = {"half_of": self.half_of} if self.half_of != "chip" else {}  # as sets of before recorded it
        return content | {"region_sha256": self.survey.request.ground_sha256} | self.labelled.settings | bare | told

    @property
    def half_of(self) -> Whole:
        """What half of is observed of every chip that is kept: in a set that was begun before, the whole chip."""
        if not self.directory.exists("run.json"):
            return "inside"
        settings = self.directory.claimed()["settings"]
        return "inside" if not isinstance(settings, dict) or "half_of" in settings else "chip"

    @property
    def task(self) -> Task:
        """What every worker is told."""
        plan = self.survey.plan
        return Task(
            directory=self.directory,
            region=plan.region.wkt,
            labels=self.labelled.landslides.wkt,
            bands=self.config.bands,
            composite=self.config.composite,
            patches=plan.patches,
            lattices=tuple(plan.extents),
            interpolation=(self.config.dem or DemConfig()).interpolation,
            ignore_ring_m=self.config.labels.ignore_ring_m,
            bare=self.bare,
            half_of=self.half_of,
        )


def make_chips(config: ChipsConfig, engine: Engine, *, resume: bool, progress: Say = lambda _: None) -> ChipsSummary:
    """Observe every block of the labelled region and write it with its labels.

    Args:
        config: What to make, and where.
        engine: What carries the chips.
        resume: Go on with the set that the folder holds.
        progress: Given lines of text.

    Raises:
        InvalidInputError: Region, labels, catalogue or folder do not fit; nothing was written. Or no chip shows enough
            ground to be kept, which only reading can tell: there is no index.
        AwayError: The catalogue, or the cluster, cannot be reached now; nothing was written.
        IncompleteRunError: Some chips failed; the others are kept, but there is no index. `resume` retries those.
        BrokenRunError: It cannot go on; `resume` continues it.
    """
    directory = RunDirectory(config.directory)
    if not directory.exists(RUN):
        made = _foreseen(config, progress)
        for items in filter(None, (made.survey.items, made.survey.dem)):
            check_freezable(items)
        # Workers are there before the folder is taken: a cluster that is away leaves nothing behind.
        with engine(made.task), held(directory) as lease:
            if not directory.exists(RUN):
                directory.claim("chips", made.settings, resume=resume)
                return _finish(made, lease, engine)
    # As of a scan: what another driver may change is read once it cannot any more.
    with held(directory) as lease:
        with patient(PATIENCE_S, guard=lease.check):
            made = _foreseen(config, progress)
        directory.claim("chips", made.settings, resume=resume)
        return _finish(made, lease, engine)


def _foreseen(config: ChipsConfig, progress: Say) -> _Set:
    made = _Set(**vars(foresee(config)))
    for line in made.notices:
        progress(line)
    return made


def _finish(made: _Set, lease: Lease, engine: Engine) -> ChipsSummary:
    """Make what is not there; the index last, and none as long as anything is lacking."""
    directory, stamp = made.directory, made.directory.enter(lease.token)
    ledger = Ledger(directory, stamp)
    _keep_scenes(made)
    directory.remove_partial_files(LEDGER)
    ledger.compact()
    records = ledger.records()
    if ledger.damaged:
        directory.note(state="running")
        ledger.mend()
    _take_back(directory, changed(records, directory.sizes("")), records, ledger)
    _take_back(directory, differing(records, made.survey.plan.units), records, ledger)
    left, lacking = _left(made, records), ""
    if left:
        directory.note(state="running")
        directory.delete_all([INDEX])
        with engine(replace(made.task, lease=lease.name, stamp=stamp)) as stream:
            belt, again = Passes(stream), partial(_before_again, lease)
            while left and not lacking:
                attempts = made.config.compute.attempts
                for record in worked_on(left, dict(records), belt, attempts, again=again, ahead=None):
                    lease.check()
                    records[record.unit] = record
                lease.check()
                made, left, lacking = _without_unreadable(made, records, ledger)
    ledger.compact()
    _check_complete(made, records, lacking)
    return _completed(made, records)


def _keep_scenes(made: _Set) -> None:
    """Freeze the Items, and what is decided of them; the Items last where there are none: they say it is done."""
    directory, survey = made.directory, made.survey
    if made.config.dem is not None and not directory.exists(DEM):
        freeze(directory, survey.dem, DEM)
    known = directory.exists(SCENES)
    if known and survey.asked:
        freeze(directory, survey.items)
    keep_aside(directory, survey.aside)
    if not known:
        freeze(directory, survey.items)


def _take_back(directory: RunDirectory, broken: Sequence[Record], records: dict[str, Record], ledger: Ledger) -> None:
    """Keep records that take away what was said of their chips; a set with one of them is no longer complete."""
    if broken:
        directory.note(state="running")
    for record in broken:
        ledger.add(record)
        records[record.unit] = record


def _left(made: _Set, records: Mapping[str, Record]) -> list[WorkUnit]:
    return [unit for unit in made.survey.plan.units if unit.id not in records or not records[unit.id].done]


def _before_again(lease: Lease, record: Record) -> None:
    log.warning("chip %s failed and is made again: %s", record.unit, record.error)
    lease.check()


def _without_unreadable(made: _Set, records: dict[str, Record], ledger: Ledger) -> tuple[_Set, list[WorkUnit], str]:
    """The set without the scenes that failed chips for good, as long as enough others are left; as in a scan.

    Returns:
        The set, what of it is to be made anew for that, and why scenes are not set aside where they are too many.
    """
    plan = made.survey.plan
    found = unreadable(records.values(), plan)
    if not found:
        return made, [], ""
    survey = without(made.survey, found)
    layers = [layer for layer in range(len(plan.windows)) if layer not in plan.unseen]
    lacking = shortage(survey.plan, survey.aside.bad, made.config.catalog.max_bad, layers)
    if lacking:
        return made, [], lacking
    now = replace(made, survey=survey)
    _keep_scenes(now)
    used = {unit.id: unit.scenes for unit in plan.units}
    others = [unit for unit in now.survey.plan.units if unit.scenes != used[unit.id]]
    _take_back(made.directory, differing(records, others), records, ledger)
    return now, [unit for unit in others if unit.id not in records or not records[unit.id].done], ""


def _check_complete(made: _Set, records: Mapping[str, Record], lacking: str) -> None:
    """Make sure that every chip is there.

    Raises:
        IncompleteRunError: Naming those that are not, and why.
    """
    left = _left(made, records)
    if not left:
        return
    made.directory.note(state="incomplete")
    said = [f"{unit.id}: {records[unit.id].error}" for unit in left[:_NAMED] if unit.id in records]
    more = [f"and {len(left) - _NAMED} more"] if len(left) > _NAMED else []
    raise IncompleteRunError(
        f"{len(left)} of {len(made.survey.plan.units)} chips failed ({'; '.join([*said, *more])})"
        + (f"; {lacking}" if lacking else ""),
        cure=f"The others are kept, without {INDEX}: nothing can be trained on them before --resume has made the rest.",
        directory=made.directory,
    )


def _completed(made: _Set, records: Mapping[str, Record]) -> ChipsSummary:
    config, plan = made.config, made.survey.plan
    of_plan = [records[unit.id] for unit in plan.units]
    outside, unobserved = dropped(of_plan, plan.units, made.half_of)
    if outside + unobserved == len(of_plan):
        raise InvalidDatasetError(
            f"none of {len(of_plan)} chips is kept: {outside} lie outside the region, of {unobserved} "
            f"too little was observed; {sum(lost(of_plan).values()):,} landslide pixels are lost",
            expected=f"chips in which at least {LEAST_OBSERVED:.0%} of the region's ground is observed",
            cure="Look at windows, composite.clear and composite.mask, at region and size, and take another directory.",
            directory=made.directory,
        )
    content = index(
        config.bands,
        config.size,
        len(config.windows),
        grid=config.grid,
        composite=config.composite,
        dem=config.dem,
        tiles=[tile.id for tile in plan.dem],
        labels=made.labelled.said(counted(of_plan, "ignored_pixels")) | made.dated,
        fair_share=made.labelled.fair_share and not made.bare,
        chips=hashes(of_plan),
    )
    made.directory.write_json(INDEX, content)
    summary = ChipsSummary(
        directory=str(made.directory),
        planned=len(of_plan),
        kept=sum(record.state == "written" for record in of_plan),
        pixels=counted(of_plan, "pixels"),
        landslide_pixels=counted(of_plan, "landslide_pixels"),
        ignored_pixels=counted(of_plan, "ignored_pixels"),
        lost=lost(of_plan),
        outside=outside,
        unobserved=unobserved,
        quarantined=tuple(f"{scene.id}: {scene.quarantine}" for scene in plan.quarantined),
    )
    made.directory.note(state="complete", kept=summary.kept, planned=summary.planned, lost=dict(summary.lost))
    return summary
