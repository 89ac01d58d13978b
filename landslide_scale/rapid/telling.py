"""Events and their versions in words, one line each, for a person at a terminal."""

from __future__ import annotations

from collections.abc import Iterator

from landslide_scale.events.area import Area
from landslide_scale.rapid.following import read_heard
from landslide_scale.rapid.known import Followed, every
from landslide_scale.rapid.publication.hooks import DELIVERED, told
from landslide_scale.rapid.publication.pace import pace_lines, read_pace
from landslide_scale.rapid.publication.version import Latest, Standing, read_latest
from landslide_scale.storage.rundir import RunDirectory

_HALF_TURN = 180
"""Degrees of longitude; no ground that is looked at is so wide, but for one that the antimeridian splits."""


def status_lines(root: RunDirectory) -> Iterator[str]:
    """Every event: what it is at, its ground, what of it was observed, its newest version, when it is seen next.

    Args:
        root: Folder of the run.
    """
    any_event = False
    for folder, known in every(root):
        any_event = True
        yield from event_lines(folder, known)
    if not any_event:
        yield "no event is followed"
    if (heard := read_heard(root)) is not None:
        yield f"feed: last heard {heard['at'] or 'never'}"
        if "away" in heard:
            yield f"  not read since: {heard['away'][0]}: {heard['away'][1]}"
        yield from (f"  not followed: {name}: {why}" for name, why in heard["declined"])
        yield from (f"  not understood: {name}: {problem}" for name, problem in heard["unread"])


def event_lines(folder: RunDirectory, known: Followed) -> Iterator[str]:
    """One event.

    Args:
        folder: Its own.
        known: What is known of it.
    """
    event, latest = known.event, read_latest(folder)
    yield f"{event.id}: {event.title}"
    yield f"  state: {known.state}{f' ({known.why})' if known.why else ''}"
    if known.area is not None:
        ground = f"{known.area.km2:,.0f} km2, of it {known.area.land_km2:,.0f} km2 land, by {known.area.source}"
        yield f"  ground: {ground}{f', ShakeMap {known.shakemap[0]}' if known.shakemap[0] else ''}"
    yield f"  {_version(latest)}"
    if known.next_pass is not None:
        yield f"  next pass of a satellite: {known.next_pass}"
    yield from (f"  {remark}" for remark in remarks(folder, known))
    took = read_pace(folder)
    yield from (f"  {line}" for line in ([] if took is None else pace_lines(took)))
    if known.decisions:
        instant, decision = known.decisions[-1]
        yield f"  last decision: {instant}: {decision}"


def remarks(folder: RunDirectory, known: Followed) -> Iterator[str]:
    """What is to be known of an event beside what it is at, whatever that is.

    Args:
        folder: Its own.
        known: What is known of it.
    """
    if known.withdrawn:
        yield "its ShakeMap was withdrawn; what was to be looked at stays so"
    if known.area is not None and _reaches_around(known.area):
        yield "its ground lies on both sides of the antimeridian"
    latest = read_latest(folder)
    for number in range(0 if latest is None else latest.number + 1):
        for name, outcome in told(folder, number).items():
            if outcome.state != DELIVERED:
                yield f"version {number}: {name} {outcome.state}: {outcome.why}"


def standing(folder: RunDirectory, known: Followed) -> Standing:
    """What an event is at, as it is told where its newest version is named."""
    return Standing(state=known.state, why=known.why, remarks=tuple(remarks(folder, known)))


def _reaches_around(area: Area) -> bool:
    west, _, east, _ = (0, 0, 0, 0) if area.ground.is_empty else area.ground.bounds
    return east - west > _HALF_TURN


def _version(latest: Latest | None) -> str:
    if latest is None:
        return "no version yet"
    figures = latest.figures
    share = figures.observed_km2 / figures.asked_km2 if figures.asked_km2 else 0.0
    mapped = f"; {figures.counted}" if figures.counted else ""
    seen = f"{share:.0%} observed ({figures.observed_km2:,.1f} of {figures.asked_km2:,.1f} km2)"
    return f"version {latest.number} ({latest.folder}): {seen}{mapped}; {latest.state}"
