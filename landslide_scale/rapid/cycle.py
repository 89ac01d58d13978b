"""One event, one cycle: what is known by now, what the satellites have seen by now, and the version that comes of it.

Whatever goes wrong with an event becomes its state, in words, and is tried again by the next cycle; none of it is in
the way of the other events. A cycle that is killed is finished by the next: what it had begun is recorded first.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from typing import Any

from landslide_scale.errors import (
    AwayError,
    CatalogAwayError,
    ClusterAwayError,
    EventGoneError,
    FeedAwayError,
    InvalidCatalogError,
    InvalidCheckpointError,
    InvalidConfigError,
    InvalidFeedError,
    LandslideScaleError,
)
from landslide_scale.events.feed import NO_LOCATION
from landslide_scale.events.land import Land
from landslide_scale.events.settings import EventsConfig
from landslide_scale.products.passes import passes_of
from landslide_scale.rapid.acquisitions import Acquisitions, found_for
from landslide_scale.rapid.known import OUTSIDE, UNREADABLE, Followed, State, keep, load
from landslide_scale.rapid.looking import Sight, failure_model, looked_up
from landslide_scale.rapid.mapping import Seen, Workers, asked_for, carry_out, keep_ground, seen
from landslide_scale.rapid.publication.history import renew_history
from landslide_scale.rapid.publication.pace import CATALOGUE, DETAIL, GROUND, SCAN, SEEN, Pace, keep_pace
from landslide_scale.rapid.publication.publishing import restate, unfinished
from landslide_scale.rapid.publication.verdicts import newest
from landslide_scale.rapid.publication.version import Latest, read_latest, read_version
from landslide_scale.rapid.releasing import Publisher, failure_told, release, release_first
from landslide_scale.rapid.settings import RapidConfig
from landslide_scale.rapid.telling import standing
from landslide_scale.scan.driver import Rank
from landslide_scale.stac.frozen import load_items
from landslide_scale.stac.revisit import REPEAT_DAYS
from landslide_scale.storage.rundir import RunDirectory

log = logging.getLogger(__name__)

Look = Callable[[Followed], Sight | None]
"""What was published of an event by now; None of one that a person gave."""


@dataclass(frozen=True, kw_only=True)
class Cycle:
    """What all events of one cycle share.

    Attributes:
        config: How events are mapped.
        now: UTC; nothing counts that was published or sensed later.
        look: What was published of an event.
        land: What says what is land.
        workers: What does the heavy work.
        rank: The order of units, by what is published of an event.
        sensed_until: Scenes that were sensed later are not in the catalogue yet; None: all that it has.
        pace: Of what is done for one event.
    """

    config: RapidConfig
    now: datetime
    look: Look
    land: Land
    workers: Workers
    rank: Callable[[Mapping[str, Any] | None], Rank]
    sensed_until: datetime | None = None
    pace: Pace = field(default_factory=Pace)


def attend(cycle: Cycle, folder: RunDirectory, known: Followed) -> Followed:
    """Do for an event what there is to do by now, and keep what it has come to.

    Args:
        cycle: The cycle.
        folder: The event's; nobody else works there.
        known: What is known of it.

    Raises:
        BrokenRunError: The folder itself cannot be written.
    """
    folder.remove_partial_files()  # of records that a killed one was writing
    before, was_over = read_latest(folder), known.over
    try:
        known = _done_with(cycle, folder, known) if known.over else _attended(cycle, folder, known)
    except LandslideScaleError as error:
        state = _state_of(error)
        log.warning("%s: %s: %s", known.event.id, state, error)
        known = _without(cycle, _last(folder, known), state, str(error))
    latest = read_latest(folder)
    if not (was_over and latest == before and _is_said(latest, known)):
        restate(folder, standing(folder, known))
    renew_history(folder, known.event.title)
    keep(folder, known)
    if latest is not None and (before is None or latest.number > before.number):
        keep_pace(folder, cycle.pace.took(latest.number, cycle.now, latest.figures.asked_km2))
    return known


def _is_said(latest: Latest | None, known: Followed) -> bool:
    """Whether it is told where the newest version is named: of what is over, nothing else changes but who was told."""
    return latest is not None and (latest.event.state, latest.event.why) == (known.state, known.why)


def _without(cycle: Cycle, known: Followed, state: State, why: str) -> Followed:
    """The event after a cycle that has failed: what ended stays so, and what is gone ends with its days."""
    if known.state == "ended":
        return known.at("ended", why)
    return _not_now(cycle, known.at(state, why)) if state == "gone" else known.at(state, why)


def _not_now(cycle: Cycle, known: Followed) -> Followed:
    """An event of which there is nothing to be done now; it ends with its days."""
    return known.at("ended", f"{known.state}: {known.why}") if _is_late(cycle, known) else known


def _is_late(cycle: Cycle, known: Followed) -> bool:
    """Whether an event is looked at no longer, however much is hidden still."""
    return cycle.now - known.event.origin >= timedelta(days=cycle.config.ends.days)


def _done_with(cycle: Cycle, folder: RunDirectory, known: Followed) -> Followed:
    """An event that is looked at no longer: what analysts say of it later is published still."""
    latest = read_latest(folder) if known.state == "ended" and known.asked is not None else None
    if known.asked is None or latest is None:
        return known
    said = newest(folder) > read_version(folder, latest.number).made_of.verdicts
    if said or unfinished(folder) is not None:
        run = RunDirectory(folder.at(known.asked.folder))
        by = Publisher(
            folder=folder,
            config=cycle.config,
            known=known,
            failure=failure_told(folder),
            items=load_items(run),
            pace=cycle.pace,
        )
        how_much = seen(run, cycle.config.ends.looks)
        release(by, cycle.workers.export, how_much, now=cycle.now, state="ended")
        return known.at("ended")
    return known


def _last(folder: RunDirectory, known: Followed) -> Followed:
    """What was kept of an event by the cycle that failed, which may be more than it began with."""
    return load(folder) or known


def _state_of(error: LandslideScaleError) -> State:
    """What an event is at whose cycle has ended so."""
    states: tuple[tuple[type[LandslideScaleError], State], ...] = (
        (FeedAwayError, "feed away"),
        (EventGoneError, "gone"),
        (InvalidFeedError, "no location" if error.found == NO_LOCATION else "feed malformed"),
        (CatalogAwayError, "catalogue away"),
        (InvalidCheckpointError, "checkpoint missing"),
        (ClusterAwayError, "failed"),
        (AwayError, "failed"),
    )
    if isinstance(error, InvalidConfigError) and error.where.get("key", "").startswith("model.checkpoint"):
        return "checkpoint missing"
    return next((state for kind, state in states if isinstance(error, kind)), "failed")


def _attended(cycle: Cycle, folder: RunDirectory, known: Followed) -> Followed:
    config, pace = cycle.config, cycle.pace
    if known.state == UNREADABLE:
        return _not_now(cycle, known)
    pace.begin(DETAIL)
    sight = cycle.look(known)
    pace.begin(GROUND)
    keep(folder, _looked_up(cycle, known, sight))
    known = _last(folder, known)  # as one that is gone on with after a kill reads it
    if known.state in OUTSIDE or known.area is None:
        return _not_now(cycle, known)
    pace.begin(CATALOGUE)
    found = _found_or_told(cycle, folder, known, failure_model(sight))
    known = replace(known, next_pass=_next_pass(found, known, cycle.now.date()))
    by = Publisher(
        folder=folder, config=config, known=known, failure=failure_model(sight), items=found.items, pace=pace
    )
    release_first(by, cycle.now)
    if found.after is None and known.asked is None:
        return _not_now(cycle, known.at("no scene", "none was sensed since the event"))
    asked = asked_for(known, found)
    if asked != known.asked:
        assert known.area is not None  # noqa: S101 see above
        keep_ground(folder, asked, known.area)
        known = replace(known, asked=asked)
        keep(folder, known)  # before it is begun: a cycle that is killed is gone on with by it
    pace.begin(SCAN)
    scanning = carry_out(cycle.workers, config, folder, asked, cycle.rank(by.failure))
    summary, pace.scanned_km2 = scanning.summary, scanning.anew_km2
    pace.begin(SEEN)
    how_much = seen(RunDirectory(folder.at(asked.folder)), config.ends.looks)
    ended = _has_ended(cycle, known, how_much)
    state: State = "ended" if ended else "mapped" if summary.complete else "incomplete"
    release(replace(by, known=known), cycle.workers.export, how_much, now=cycle.now, state=state)
    why = "" if summary.complete else f"{summary.failed} of {summary.units} units have failed; they are tried again"
    return known.at(state, why)


def _looked_up(cycle: Cycle, known: Followed, sight: Sight | None) -> Followed:
    config = cycle.config.events or EventsConfig()
    return looked_up(known, sight, config, cycle.land, cycle.now)


def _found_or_told(
    cycle: Cycle, folder: RunDirectory, known: Followed, failure: Mapping[str, Any] | None
) -> Acquisitions:
    """What the catalogue has; where it does not answer, the first version says what is known without it."""
    try:
        return found_for(cycle.config, known, cycle.sensed_until or cycle.now)
    except (CatalogAwayError, InvalidCatalogError):
        by = Publisher(folder=folder, config=cycle.config, known=known, failure=failure, pace=cycle.pace)
        release_first(by, cycle.now)
        raise


def _has_ended(cycle: Cycle, known: Followed, how_much: Seen) -> bool:
    enough = how_much.often_km2 >= cycle.config.ends.share * how_much.asked_km2
    return (enough and not how_much.units_missing) or _is_late(cycle, known)


def _next_pass(found: Acquisitions, known: Followed, today: date) -> date | None:
    """The day that a satellite is next over some of the ground; by what has passed over it, in steps of ten days."""
    assert known.area is not None  # noqa: S101 who calls has looked
    coming = []
    for one in passes_of(map(dict, found.items), known.area.ground):
        missed = max(0, -(-(today - one.due).days // REPEAT_DAYS))
        coming.append(one.due + timedelta(days=missed * REPEAT_DAYS))
    return min(coming, default=None)
