"""Which events are followed: what a feed says, set against what was followed before, each event once.

No event is lost or followed twice: it is known by all its ids, and whatever a feed says of one of them is of it.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import shapely

from landslide_scale.errors import InvalidInputError, RunConflictError, StorageAwayError
from landslide_scale.events.area import area_of
from landslide_scale.events.event import Event
from landslide_scale.events.feed import Feed
from landslide_scale.events.gate import decide
from landslide_scale.events.land import Land
from landslide_scale.events.settings import GateConfig
from landslide_scale.rapid.known import UNREADABLE, Followed, every, folder_of, keep, load
from landslide_scale.rapid.settings import GivenConfig
from landslide_scale.region.polygons import load as load_region
from landslide_scale.storage.owned import read_own_json
from landslide_scale.storage.rundir import RunDirectory

log = logging.getLogger(__name__)

HEARD = "heard.json"
"""In the folder of the run: what the last cycle heard of and does not follow, and why."""


@dataclass(frozen=True, kw_only=True)
class Heard:
    """What became of what a feed said.

    Attributes:
        followed: Events to be looked at, with their folders' names.
        declined: Of events that are not followed: id and place, and why.
        unread: Of what is no event: its id, and what is wrong.
    """

    followed: tuple[str, ...]
    declined: tuple[tuple[str, str], ...]
    unread: tuple[tuple[str, str], ...]


def take_up(root: RunDirectory, feed: Feed, gates: GateConfig, now: datetime) -> Heard:
    """Have events followed that a feed tells of, and those told of anew that are followed.

    Args:
        root: Folder of the run.
        feed: What it says.
        gates: Which events matter: one that is refused by what is known of it at once is not begun with.
        now: UTC.
    """
    known = {folder.url: one for folder, one in every(root)}
    declined = []
    for seen in feed.events:
        mine = [(url, known[url]) for url in known if known[url].event.is_same(seen)]
        if mine:
            known |= _told(mine, seen)
            continue
        decision = decide(seen, gates, now=now)
        if decision.verdict == "refused":
            declined.append((f"{seen.id} ({seen.place})", str(decision)))
            continue
        folder = folder_of(root, seen.id)
        log.info("%s (%s, %s) is followed", seen.id, seen.place, seen.origin)
        known[folder.url] = Followed(event=seen, heard=now).decided(now, str(decision), "feed: ")
    known |= _settled(known)
    gone = set(feed.deleted)
    for url, one in known.items():
        told = any(one.event.is_same(seen) for seen in feed.events)  # by another id than one that was taken back
        if not (one.over or told) and gone & set(one.event.ids):
            known[url] = one.at("deleted", "its feed says that there was no such event")
    for url, one in known.items():
        keep(RunDirectory(url), one)
    heard = Heard(
        followed=tuple(url for url, one in known.items() if not one.over),
        declined=tuple(declined),
        unread=tuple((one.id, one.problem) for one in feed.unread),
    )
    root.write_json(HEARD, {"at": now.isoformat(), "declined": heard.declined, "unread": heard.unread})
    return heard


def _told(mine: Sequence[tuple[str, Followed]], seen: Event) -> dict[str, Followed]:
    """What is known after an event was told of anew; where it is several that were followed, one of them goes on.

    That is the one of which most is made, or the one first heard of.
    """
    active = [(url, one) for url, one in mine if one.state != "merged"] or list(mine)
    first = min(active, key=lambda pair: (-(pair[1].asked.number if pair[1].asked else 0), pair[1].heard, pair[0]))
    event = first[1].event
    for other in (*(one.event for _, one in mine), seen):
        event = event.told(other)
    goes_on = replace(first[1], event=event)
    if goes_on.state == "deleted":
        goes_on = goes_on.at("waiting", "its feed tells of it again")
    found = {first[0]: goes_on}
    for url, one in active:
        if url != first[0]:
            found[url] = one.at("merged", f"it is {event.id}, which is followed in {first[0].rsplit('/', 1)[-1]}")
    return found


def _settled(known: Mapping[str, Followed]) -> dict[str, Followed]:
    """Events that turned out to be one, by what the detail of one of them says; no feed need tell of them again."""
    found = dict(known)
    for url in known:
        one = found[url]
        same = [(other, found[other]) for other in found if found[other].event.is_same(one.event)]
        if one.state != "merged" and sum(other.state != "merged" for _, other in same) > 1:
            found |= _told(same, one.event)
    return found


def take_up_given(root: RunDirectory, given: GivenConfig, land: Land, now: datetime) -> Followed:
    """Have an event followed that a person gives; one that is followed already stays as it is known.

    Where its region cannot be read that is what it is at, until it can: no other event waits for it.

    Args:
        root: Folder of the run.
        given: The event.
        land: What says what is land.
        now: UTC.
    """
    folder = folder_of(root, given.id)
    before = load(folder)
    if before is not None and (before.over or before.state != UNREADABLE):
        return before
    known = as_given(given, land, now)
    if known.state == UNREADABLE:
        log.warning("%s: %s", given.id, known.why)
    keep(folder, known if before is None else replace(known, heard=before.heard))
    return known


def as_given(given: GivenConfig, land: Land, now: datetime) -> Followed:
    """An event that a person gives, with its ground; it is nowhere on the globe where that cannot be read.

    Args:
        given: The event.
        land: What says what is land.
        now: UTC.
    """
    ground, problem = None, ""
    try:
        ground = load_region(given.region)
    except (InvalidInputError, StorageAwayError) as error:
        problem = str(error)
    middle = shapely.Point(0, 0) if ground is None else shapely.Point(ground.representative_point())
    event = Event(
        id=given.id,
        ids=(given.id,),
        origin=given.origin,
        place=given.place,
        lon=middle.x,
        lat=middle.y,
        depth_km=0.0,
        magnitude=None,
        kind=given.kind,
        updated=now,
        url="",
    )
    if ground is None:
        return Followed(event=event, heard=now).at(UNREADABLE, problem)
    return Followed(event=event, heard=now, area=area_of(ground, source="given", land=land))


def not_heard(root: RunDirectory, problem: str, now: datetime) -> None:
    """Note that a feed could not be read; what was heard last stays noted.

    Args:
        root: Folder of the run.
        problem: In words.
        now: UTC.
    """
    try:
        before = read_heard(root)
    except RunConflictError as error:
        log.warning("%s", error)
        before = None
    nothing: dict[str, Any] = {"at": None, "declined": [], "unread": []}
    root.write_json(HEARD, (before or nothing) | {"away": [now.isoformat(), problem]})


def read_heard(root: RunDirectory) -> dict[str, Any] | None:
    """What the last cycle heard of and does not follow; None before the first.

    Raises:
        RunConflictError: The file that says so is damaged.
    """
    return read_own_json(root, HEARD, _heard, cure="The next cycle writes it anew.") if root.exists(HEARD) else None


def _heard(said: Mapping[str, Any]) -> dict[str, Any]:
    return {**said, **{name: said[name] for name in ("at", "declined", "unread")}}
