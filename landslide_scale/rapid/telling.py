"""Events and their versions in words, one line each, for a person at a terminal."""

from __future__ import annotations

from collections.abc import Iterator

from landslide_scale.rapid.following import HEARD
from landslide_scale.rapid.known import Followed, every
from landslide_scale.rapid.publication.hooks import DELIVERED, told
from landslide_scale.rapid.publication.version import Latest, read_latest
from landslide_scale.storage.rundir import RunDirectory


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
    if root.exists(HEARD):
        heard = root.read_json(HEARD)
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
    if known.withdrawn:
        yield "  its ShakeMap was withdrawn; what was to be looked at stays so"
    yield f"  {_version(latest)}"
    if known.next_pass is not None:
        yield f"  next pass of a satellite: {known.next_pass}"
    for number in range(0 if latest is None else latest.number + 1):
        for name, outcome in told(folder, number).items():
            if outcome.state != DELIVERED:
                yield f"  version {number}: {name} {outcome.state}: {outcome.why}"
    if known.decisions:
        instant, decision = known.decisions[-1]
        yield f"  last decision: {instant}: {decision}"


def _version(latest: Latest | None) -> str:
    if latest is None:
        return "no version yet"
    figures = latest.figures
    share = figures.observed_km2 / figures.asked_km2 if figures.asked_km2 else 0.0
    mapped = f"; {figures.counted}" if figures.counted else ""
    seen = f"{share:.0%} observed ({figures.observed_km2:,.1f} of {figures.asked_km2:,.1f} km2)"
    return f"version {latest.number} ({latest.folder}): {seen}{mapped}; {latest.state}"
