"""Further time windows for a cube that is complete."""

from __future__ import annotations

from collections.abc import Sequence

from landslide_scale.errors import RunConflictError
from landslide_scale.scan.settings import ScanConfig
from landslide_scale.scan.survey import Survey, dem_items, ground_of, search, settle
from landslide_scale.scene import Window, utc
from landslide_scale.stac import items
from landslide_scale.stac.frozen import freeze, load_items, with_addresses
from landslide_scale.storage.rundir import RunDirectory


def grow(config: ScanConfig, run: RunDirectory) -> Survey:
    """Make a complete run one of more windows, which then is to be gone on with.

    The scenes of the windows it has stay those it was made from; those of the further ones are looked for. They are
    frozen before the settings change, so whoever comes after a crash finds either the run as it was or one that has
    all it needs.

    Raises:
        InvalidInputError: There is no complete run of the same settings, or no later window; nothing was written.
    """
    known = run.claimed()
    if known["kind"] != "scan" or known["state"] != "complete":
        raise RunConflictError(
            f"a {known['kind']} run that is {known['state']}",
            expected="a complete scan",
            cure="Finish it with --resume and the windows it was begun with (or was being given) first.",
            run=run,
        )
    windows = tuple(Window(start=utc(one["start"]), end=utc(one["end"])) for one in known["settings"]["windows"])
    added = _later(windows, config.windows, run)
    ground = ground_of(config)
    kept = [item for item in with_addresses(load_items(run), config.catalog) if _in(windows, item)]
    chosen = kept + [item for item in search(config, ground, added) if _in(added, item)]
    found = settle(config, ground, chosen, dem_items(config, ground, run))
    settings = found.settings(config)
    run.match("scan", settings | {"windows": known["settings"]["windows"]})
    freeze(run, chosen)
    run.note(settings=settings, state="running")
    return found


def _in(windows: Sequence[Window], item: dict[str, object]) -> bool:
    sensed = items.sensed(item)
    return any(window.holds(sensed) for window in windows)


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
        end = max(one.end for one in wanted[:number])
        if window.start < end:
            raise RunConflictError(
                f"a further window {_said([window])}",
                expected=f"one that begins at {end.isoformat()} or later, when those before it have ended",
                key="windows",
                run=run,
            )
    return added


def _said(windows: Sequence[Window]) -> str:
    return ", ".join(f"{window.start.isoformat()} to {window.end.isoformat()}" for window in windows)
