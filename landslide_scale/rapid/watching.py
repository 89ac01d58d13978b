"""Cycles over all events: once, until stopped, or as an old event would have unfolded."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from landslide_scale.errors import EventGoneError, FeedAwayError, InvalidFeedError, InvalidInputError
from landslide_scale.events.detail import read_detail
from landslide_scale.events.feed import read_feed
from landslide_scale.events.land import Land, chosen_land
from landslide_scale.rapid.acquisitions import passes_in
from landslide_scale.rapid.cycle import Cycle, attend
from landslide_scale.rapid.following import not_heard, take_up, take_up_given
from landslide_scale.rapid.known import Followed, every, folder_of, keep, load
from landslide_scale.rapid.looking import Sight
from landslide_scale.rapid.mapping import Workers
from landslide_scale.rapid.publication.hooks import Herald, hooks
from landslide_scale.rapid.publication.pace import Pace
from landslide_scale.rapid.publication.publishing import restate, unfinished
from landslide_scale.rapid.publication.version import read_latest, read_version
from landslide_scale.rapid.ranking import Ranking
from landslide_scale.rapid.settings import RapidConfig
from landslide_scale.rapid.telling import standing
from landslide_scale.rapid.windows import INSTANT
from landslide_scale.scene import Window
from landslide_scale.storage.lease import Lease, held
from landslide_scale.storage.rundir import RunDirectory

log = logging.getLogger(__name__)

KIND = "rapid"
HERALD_S = 30.0
"""For those who are told of versions, at the end of a cycle; what is not done is tried by the next."""

Clock = Callable[[], datetime]


def now_utc() -> datetime:
    """The time."""
    return datetime.now(UTC)


@dataclass(frozen=True, kw_only=True)
class Attended:
    """What a cycle has come to.

    Attributes:
        events: All that are followed, as they are known now.
        feed: What went wrong with the feed, in words; empty where it answered.
        declined: How many events of it are not followed.
    """

    events: tuple[Followed, ...]
    feed: str = ""
    declined: int = 0


def once(config: RapidConfig, workers: Workers, *, clock: Clock = now_utc) -> Attended:
    """One cycle over the feed and all events that are followed.

    Raises:
        RunConflictError: Another one is at work in the same folder, or it holds something else.
        BrokenRunError: The folder cannot be written.
    """
    root = RunDirectory(config.output.run)
    with held(root) as lease:
        _claim(root)
        return _cycle(config, root, workers, clock, lease)


def watch(config: RapidConfig, workers: Workers, *, report: Callable[[Attended], None], clock: Clock = now_utc) -> None:
    """Cycles until it is stopped, one every so often; arguments and errors are those of :func:`once`."""
    root = RunDirectory(config.output.run)
    with held(root) as lease:
        _claim(root)
        while True:
            begun = time.monotonic()
            report(_cycle(config, root, workers, clock, lease))
            left = config.every_s - (time.monotonic() - begun)
            while left > 0:  # a lease that is lost is not slept over
                time.sleep(min(left, 5.0))
                lease.check()
                left = config.every_s - (time.monotonic() - begun)


def one_event(config: RapidConfig, workers: Workers, name: str, *, clock: Clock = now_utc) -> Attended:
    """One cycle for one event, whatever the feed says of others.

    Raises:
        InvalidInputError: There is no such event.
    """
    root = RunDirectory(config.output.run)
    with held(root) as lease:
        _claim(root)
        now, pace = clock(), Pace()
        known = _known_as(config, root, name, now) or _asked_for(config, root, name, now)
        folder = folder_of(root, known[0])
        told = _Telling(config)
        found = attend(_cycle_at(config, workers, now, pace), folder, known[1])
        lease.check()
        told.begin(folder, found)
        told.end(lease)
        return Attended(events=(found,))


class _Telling:
    """Those who are told of versions, and what became of it, said where versions are named."""

    def __init__(self, config: RapidConfig) -> None:
        some = hooks(config.publish.webhook, config.publish.command)
        self._herald, self._told = Herald(some), bool(some)
        self._events: list[tuple[RunDirectory, Followed]] = []

    def begin(self, folder: RunDirectory, known: Followed) -> None:
        """Have them told of an event's versions, while the cycle goes on."""
        self._herald.tell(folder)
        if self._told:
            self._events.append((folder, known))

    def end(self, lease: Lease) -> None:
        """Wait a while for all of it, and say of each event what did not come through."""
        self._herald.rest(HERALD_S)
        self._herald.close()  # a watch has many cycles
        lease.check()
        for folder, known in self._events:
            restate(folder, standing(folder, known))


def _known_as(config: RapidConfig, root: RunDirectory, name: str, now: datetime) -> tuple[str, Followed] | None:
    _take_up_all_given(config, root, now, name)
    for folder, known in every(root):
        if name in known.event.ids and known.state != "merged":
            return folder.url.rsplit("/", 1)[-1], known
    return None


def _asked_for(config: RapidConfig, root: RunDirectory, name: str, now: datetime) -> tuple[str, Followed]:
    """An event that a person asks for by an id that its service knows."""
    detail = None if config.events is None else read_detail(config.events, name)
    if detail is None:
        raise InvalidInputError(f"no event {name}", expected="the id of one, of the service or of given", key="--event")
    for folder, one in every(root):  # under another of its ids
        if one.state != "merged" and one.event.is_same(detail.event):
            return folder.url.rsplit("/", 1)[-1], replace(one, event=one.event.told(detail.event))
    known = Followed(event=detail.event, heard=now)
    keep(folder_of(root, detail.event.id), known)
    return detail.event.id, known


def _take_up_all_given(config: RapidConfig, root: RunDirectory, now: datetime, name: str = "") -> None:
    """Have those followed that a person gives; that of one name alone, where it is given."""
    for given in config.given:
        if name in {"", given.id}:
            take_up_given(root, given, _land(config), now)


def _claim(root: RunDirectory) -> None:
    root.claim(KIND, {}, resume=True)


def _cycle(config: RapidConfig, root: RunDirectory, workers: Workers, clock: Clock, lease: Lease) -> Attended:
    now, problem, declined, began = clock(), "", 0, time.monotonic()
    if config.events is not None:
        try:
            feed = read_feed(config.events, now)
        except (FeedAwayError, InvalidFeedError) as error:
            log.warning("the feed is left for the next cycle: %s", error)
            problem = str(error)
            not_heard(root, problem, now)
        else:
            declined = len(take_up(root, feed, config.events.gates, now).declined)
    _take_up_all_given(config, root, now)
    told, events = _Telling(config), []
    for folder, known in every(root):
        lease.check()
        events.append(attend(_cycle_at(config, workers, clock(), Pace(began)), folder, known))
        told.begin(folder, events[-1])
    told.end(lease)
    return Attended(events=tuple(events), feed=problem, declined=declined)


def _cycle_at(config: RapidConfig, workers: Workers, now: datetime, pace: Pace) -> Cycle:
    def look(known: Followed) -> Sight | None:
        if known.event.given_by_hand or config.events is None:
            return None
        others = (read_detail(config.events, name) for name in known.event.ids if name != known.event.id)
        asked = read_detail(config.events, known.event.id, known.event.url)
        detail = asked or next((one for one in others if one is not None), None)
        if detail is None:
            raise EventGoneError(
                f"no event {known.event.id} any more, by any of its ids",
                expected="its detail",
                cure="What was published stays. Give it by hand to go on with it.",
            )
        return Sight(detail=detail, now=now)

    ranking = Ranking(config.events)
    return Cycle(config=config, now=now, look=look, land=_land(config), workers=workers, rank=ranking.of, pace=pace)


def _land(config: RapidConfig) -> Land:
    return chosen_land(None if config.events is None else config.events.land)


def replay(
    config: RapidConfig, workers: Workers, name: str, until: datetime, *, latency: timedelta
) -> Iterator[tuple[datetime, Followed]]:
    """An old event as it would have unfolded: a cycle at every instant at which something of it was published.

    The scenes of one pass are one such instant. Scenes count from `latency` after they were sensed on, ShakeMaps from
    when they were published.

    Args:
        config: As for any event; its folder is to be one of the exercise's own.
        workers: What does the heavy work.
        name: Of the event.
        until: The last instant, UTC.
        latency: Between a scene's sensing and its Item in the catalogue.

    Yields:
        The instant of each cycle, and what is known of the event then.

    Raises:
        InvalidInputError: There is no such event.
    """
    root = RunDirectory(config.output.run)
    with held(root) as lease:
        _claim(root)
        now = now_utc()
        began = _known_as(config, root, name, now) or _asked_for(config, root, name, now)
        folder, known = folder_of(root, began[0]), began[1]
        instant: datetime | None = _begun_until(folder, known, latency)
        while instant is not None and instant <= until:
            lease.check()
            at = instant
            cycle = _cycle_at(config, workers, at, Pace())
            known = attend(replace(cycle, sensed_until=at - latency + INSTANT), folder, load(folder) or known)
            yield at, known
            instant = None if known.over else _next_instant(config, cycle, known, at, latency)


def _begun_until(folder: RunDirectory, known: Followed, latency: timedelta) -> datetime:
    """The instant that an exercise had come to: one that is gone on with does not go back in time."""
    come_to = [known.event.origin]
    if known.asked is not None:
        come_to.append(known.asked.windows[1].end - INSTANT + latency)
    if (begun := unfinished(folder)) is not None:
        come_to.append(begun.published)
    if (latest := read_latest(folder)) is not None:
        come_to.append(read_version(folder, latest.number).published)
    return max(come_to)


def _next_instant(
    config: RapidConfig, cycle: Cycle, known: Followed, after: datetime, latency: timedelta
) -> datetime | None:
    """The next instant at which something of an event was published."""
    sight = cycle.look(known)
    coming = [] if sight is None else [one.updated for one in sight.detail.products]
    if known.area is not None:
        window = Window(start=known.event.origin, end=known.event.origin + timedelta(days=config.ends.days))
        coming += [instant + latency for instant in passes_in(config.catalog, known.area.ground, window)]
    if config.events is not None:
        coming.append(known.event.origin + timedelta(hours=config.events.gates.wait_for_shakemap_h))
    coming.append(known.event.origin + timedelta(days=config.ends.days))
    return min((instant for instant in coming if instant > after), default=None)
