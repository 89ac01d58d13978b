"""One event, one cycle: what is known by now, what the satellites have seen by now, and the version that comes of it.

Whatever goes wrong with an event becomes its state, in words, and is tried again by the next cycle; none of it is in
the way of the other events. A cycle that is killed is finished by the next: what it had begun is recorded first.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Any

from landslide_scale.errors import (
    AwayError,
    CatalogAwayError,
    ClusterAwayError,
    FeedAwayError,
    InvalidCatalogError,
    InvalidCheckpointError,
    InvalidConfigError,
    LandslideScaleError,
)
from landslide_scale.events.land import Land
from landslide_scale.events.settings import EventsConfig
from landslide_scale.products.passes import passes_of
from landslide_scale.rapid.acquisitions import Acquisitions, looked_for
from landslide_scale.rapid.known import Asked, Followed, State, keep, load
from landslide_scale.rapid.looking import Sight, failure_model, looked_up
from landslide_scale.rapid.mapping import Seen, Workers, area_sha256, carry_out, keep_ground, seen
from landslide_scale.rapid.publication.history import renew_history
from landslide_scale.rapid.publication.publishing import restate, unfinished
from landslide_scale.rapid.publication.verdicts import newest
from landslide_scale.rapid.publication.version import read_latest, read_version
from landslide_scale.rapid.releasing import Publisher, failure_told, release, release_first
from landslide_scale.rapid.settings import RapidConfig
from landslide_scale.rapid.windows import last_before, season_before
from landslide_scale.scan.driver import Rank
from landslide_scale.scene import Window
from landslide_scale.stac.frozen import load_items
from landslide_scale.stac.revisit import REPEAT_DAYS
from landslide_scale.storage.files import PARTIAL
from landslide_scale.storage.rundir import RunDirectory

log = logging.getLogger(__name__)

LAST_DAY = 1
"""Days before an event, of which the catalogue has nothing: a layer in which all is hidden."""

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
    """

    config: RapidConfig
    now: datetime
    look: Look
    land: Land
    workers: Workers
    rank: Callable[[Mapping[str, Any] | None], Rank]
    sensed_until: datetime | None = None


def attend(cycle: Cycle, folder: RunDirectory, known: Followed) -> Followed:
    """Do for an event what there is to do by now, and keep what it has come to.

    Args:
        cycle: The cycle.
        folder: The event's; nobody else works there.
        known: What is known of it.

    Raises:
        BrokenRunError: The folder itself cannot be written.
    """
    folder.delete_all(folder.names("", PARTIAL))  # of records that a killed one was writing
    try:
        known = _done_with(cycle, folder, known) if known.over else _attended(cycle, folder, known)
    except LandslideScaleError as error:
        state = _state_of(error)
        log.warning("%s: %s: %s", known.event.id, state, error)
        known = _last(folder, known).at("ended" if known.state == "ended" else state, str(error))
    restate(folder, known.state)
    renew_history(folder, known.event.title)
    keep(folder, known)
    return known


def _done_with(cycle: Cycle, folder: RunDirectory, known: Followed) -> Followed:
    """An event that is looked at no longer: what analysts say of it later is published still."""
    latest = read_latest(folder) if known.state == "ended" and known.asked is not None else None
    if known.asked is None or latest is None:
        return known
    said = newest(folder) > read_version(folder, latest.number).made_of.verdicts
    if said or unfinished(folder) is not None:
        run = RunDirectory(folder.at(known.asked.folder))
        by = Publisher(
            folder=folder, config=cycle.config, known=known, failure=failure_told(folder), items=load_items(run)
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
        (CatalogAwayError, "catalogue away"),
        (InvalidCheckpointError, "checkpoint missing"),
        (ClusterAwayError, "failed"),
        (AwayError, "failed"),
    )
    if isinstance(error, InvalidConfigError) and error.where.get("key", "").startswith("model.checkpoint"):
        return "checkpoint missing"
    return next((state for kind, state in states if isinstance(error, kind)), "failed")


def _attended(cycle: Cycle, folder: RunDirectory, known: Followed) -> Followed:
    config = cycle.config
    sight = cycle.look(known)
    keep(folder, _looked_up(cycle, known, sight))
    known = _last(folder, known)  # as one that is gone on with after a kill reads it
    late = cycle.now - known.event.origin >= timedelta(days=config.ends.days)
    if known.state in {"waiting", "refused"} or known.area is None:
        return known.at("ended", f"{known.state}: {known.why}") if late else known
    found = _found_or_told(cycle, folder, known, failure_model(sight))
    known = replace(known, next_pass=_next_pass(found, known, cycle.now.date()))
    by = Publisher(folder=folder, config=config, known=known, failure=failure_model(sight), items=found.items)
    release_first(by, cycle.now)
    if found.after is None and known.asked is None:
        why = "none was sensed since the event"
        return known.at("ended", f"no scene: {why}") if late else known.at("no scene", why)
    asked = _asked(known, found)
    if asked != known.asked:
        assert known.area is not None  # noqa: S101 see above
        keep_ground(folder, asked, known.area)
        known = replace(known, asked=asked)
        keep(folder, known)  # before it is begun: a cycle that is killed is gone on with by it
    summary = carry_out(cycle.workers, config, folder, asked, cycle.rank(by.failure))
    how_much = seen(RunDirectory(folder.at(asked.folder)), config.ends.looks)
    ended = _has_ended(config, known, how_much, cycle.now)
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
        return _found(cycle, known)
    except (CatalogAwayError, InvalidCatalogError):
        release_first(Publisher(folder=folder, config=cycle.config, known=known, failure=failure), cycle.now)
        raise


def _found(cycle: Cycle, known: Followed) -> Acquisitions:
    assert known.area is not None  # noqa: S101 who calls has looked
    config = cycle.config
    return looked_for(
        config.catalog,
        known.area.ground,
        known.event.origin,
        until=min(cycle.sensed_until or cycle.now, known.event.origin + timedelta(days=config.ends.days)),
        before=[known.asked.windows[0]] if known.asked else _candidates(config, known.event.origin),
    )


def _candidates(config: RapidConfig, origin: datetime) -> list[Window]:
    """What to compare with: the season of the year before, else the last days before the event."""
    return [season_before(origin, config.before.season_days), last_before(origin, config.before.last_days)]


def _asked(known: Followed, found: Acquisitions) -> Asked:
    """The scan of what is known now: the newest one, where that is of the same scenes and ground."""
    assert known.area is not None  # noqa: S101 who calls has looked
    sha256, before = area_sha256(known.area), known.asked
    if found.after is None or (before and (before.scenes, before.area_sha256) == (found.scenes, sha256)):
        assert before is not None  # noqa: S101 there is one where nothing was found
        return before
    return Asked(
        number=1 if before is None else before.number + 1,
        windows=(found.before or last_before(known.event.origin, LAST_DAY), found.after),
        scenes=found.scenes,
        area_sha256=sha256,
    )


def _has_ended(config: RapidConfig, known: Followed, how_much: Seen, now: datetime) -> bool:
    enough = not how_much.units_missing and how_much.often_km2 >= config.ends.share * how_much.asked_km2
    return enough or now - known.event.origin >= timedelta(days=config.ends.days)


def _next_pass(found: Acquisitions, known: Followed, today: date) -> date | None:
    """The day that a satellite is next over some of the ground; by what has passed over it, in steps of ten days."""
    assert known.area is not None  # noqa: S101 who calls has looked
    coming = []
    for one in passes_of(map(dict, found.items), known.area.ground):
        missed = max(0, -(-(today - one.due).days // REPEAT_DAYS))
        coming.append(one.due + timedelta(days=missed * REPEAT_DAYS))
    return min(coming, default=None)
