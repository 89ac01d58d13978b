"""Further time windows for a cube that is complete."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from landslide_scale.cube import manifest
from landslide_scale.errors import RunConflictError
from landslide_scale.scan.searching import Found, Request, Sources, check_kept, find, kept_or_searched_dem
from landslide_scale.scan.survey import Survey, kept, settled
from landslide_scale.scene import Window
from landslide_scale.stac.aside import load_aside
from landslide_scale.stac.frozen import load_items, with_addresses
from landslide_scale.stac.items import Item, sensed_if_said
from landslide_scale.stac.revisit import check_windows
from landslide_scale.storage.rundir import RunDirectory


@dataclass(frozen=True, kw_only=True)
class Growing:
    """A complete run, and what it is to be given.

    Attributes:
        settings: Its own.
        windows: Those it has.
        added: Those that are further.
    """

    settings: dict[str, Any]
    windows: tuple[Window, ...]
    added: tuple[Window, ...]


def growing(run: RunDirectory, wanted: Sequence[Window]) -> Growing:
    """What is to be added to the run of a folder so that it has the windows that are wanted.

    Raises:
        RunConflictError: There is no complete scan, or no later window.
    """
    known = run.claimed()
    if known["kind"] != "scan" or known["state"] != "complete" or not isinstance(known["settings"], dict):
        raise RunConflictError(
            f"a {known['kind']} run that is {known['state']}",
            expected="a complete scan",
            cure="Finish it with --resume and the windows it was begun with (or was being given) first.",
            run=run,
        )
    there = known["settings"]["windows"]
    windows = tuple(map(Window.recorded, there))
    return Growing(settings=known["settings"], windows=windows, added=_later(windows, wanted, run))


def grow(
    run: RunDirectory, grown: Growing, request: Request, sources: Sources, settings: dict[str, Any], *, session: str
) -> Survey:
    """Make a complete run one of more windows, which then is to be gone on with.

    The scenes of the windows it has stay those it was made from; those of the further ones are looked for. They are
    frozen before the settings change, so whoever comes after a crash finds either the run as it was or one that has
    all it needs.

    Args:
        run: Its folder.
        grown: What it has and is given.
        request: Of all windows, those it has first.
        sources: Where Items are from.
        settings: Of the longer run.
        session: Of its driver.

    Raises:
        InvalidInputError: The run has other settings, or the catalogue has not what is asked for; nothing was written.
    """
    windows, added = grown.windows, grown.added
    run.match("scan", settings | {"windows": grown.settings["windows"]})
    check_kept(run)
    before = load_aside(run)
    found = Found(
        frozen=_in(windows, with_addresses(load_items(run), sources.catalog)),
        new=_in(added, find(sources.catalog, request.ground, added)),
        dem=kept_or_searched_dem(run, request, sources),
        aside=replace(before, rejected=tuple(one for one in before.rejected if _may_be_in(windows, one.sensed))),
        searched=added,
    )
    check_windows(sources.catalog, request.ground, request.windows, (*found.frozen, *found.new))
    survey = settled(request, sources, found)
    run.enter(session)
    manifest.put(run, kept(run, survey, grown=True))
    run.note(settings=settings, state="running")
    return survey


def _in(windows: Sequence[Window], items: Sequence[Item]) -> tuple[Item, ...]:
    return tuple(item for item in items if _may_be_in(windows, sensed_if_said(item)))


def _may_be_in(windows: Sequence[Window], instant: datetime | None) -> bool:
    return instant is None or any(window.holds(instant) for window in windows)


def _later(known: Sequence[Window], wanted: Sequence[Window], run: RunDirectory) -> tuple[Window, ...]:
    """The windows that are not there yet.

    Raises:
        RunConflictError: The known ones are not the first ones wanted, or a further one begins before one ends.
    """
    added = tuple(wanted[len(known) :])
    if tuple(wanted[: len(known)]) != tuple(known) or not added:
        raise RunConflictError(
            f"windows {_said(wanted)}",
            expected=f"{_said(known)}, the windows there, and further ones after them",
            key="windows",
            run=run,
        )
    for number, window in enumerate(added, start=len(known)):
        end = max(one.until for one in wanted[:number])
        if window.start < end:
            raise RunConflictError(
                f"a further window {_said([window])}",
                expected=f"one that begins at {end.isoformat()} or later, when those before it have ended",
                key="windows",
                run=run,
            )
    return added


def _said(windows: Sequence[Window]) -> str:
    return "; ".join(window.instants for window in windows)
