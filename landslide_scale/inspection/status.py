"""The ledger of a run as one table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from landslide_scale.costs.foreseen import took_lines
from landslide_scale.costs.took import Took, noted
from landslide_scale.cube.areas import Areas, least_seen_km2, scanned_km2
from landslide_scale.cube.ledger import Ledger
from landslide_scale.cube.record import Record, State
from landslide_scale.metrics import AreaRatio, assumption
from landslide_scale.runtime.capacity import counted
from landslide_scale.scan import layout
from landslide_scale.scan.layout import Layout
from landslide_scale.scan.settings import NONE
from landslide_scale.scan.summary import seen_noted
from landslide_scale.storage.holder import Holder
from landslide_scale.storage.rundir import RunDirectory
from landslide_scale.storage.signs import holder

NAMED_SCENES = 20
_STAGES = {"wait": "read, waiting between tries", "take": "take over from an earlier run"}
"""Of what a record calls otherwise."""

STATES: tuple[State, ...] = ("written", "empty", "failed", "broken")


@dataclass(frozen=True, kw_only=True)
class Row:
    """The units of one window, or of all.

    Attributes:
        name: Of the window.
        units: Planned ones.
        states: How many are in each of `STATES`; those without a record are left to do.
        km2: Ground of the units that are done, in however many windows.
        observed_km2: What of it was observed, of all windows in at least one.
        landslide_km2: Expected area of landslides; None of a scan without a network, and of several windows.
        persistent_km2: Ground that is not observed and more likely bright than cloudy; 0 of several windows.
        at_least: Whether as much was observed, or more: pixels of several windows are counted when a scan ends.
    """

    name: str
    units: int
    states: tuple[int, ...]
    km2: float
    observed_km2: float
    landslide_km2: float | None
    persistent_km2: float = 0.0
    at_least: bool = False

    @property
    def left(self) -> int:
        """Units without a record."""
        return self.units - sum(self.states)


@dataclass(frozen=True, kw_only=True)
class Status:
    """How far a run is.

    Attributes:
        run: Its folder.
        state: As the driver left it.
        worker: Who is at work on it.
        area, fair_share: Of its checkpoint: how far expected areas of landslides can be trusted; None where not known.
        rows: By window, then all.
        errors: Units by class of their error.
        seconds: By stage that took any: sum, median and largest over the units.
        retried: Units done at a later attempt than the first.
        resampled: Units with scenes of a neighbouring zone.
        doubted: Units that lack a scene that is not used.
        bytes: Stored.
        not_used: Scenes that the run is done without, each with the reason.
        taken: Units done that were taken over from an earlier run.
        damaged: Files of the ledger that cannot be read.
        took: What its units took; None where it was begun before that was kept, or no driver has come to its end.
    """

    run: str
    state: str
    worker: Holder | None
    area: AreaRatio | None
    fair_share: bool | None
    rows: tuple[Row, ...]
    errors: tuple[tuple[str, int], ...]
    seconds: tuple[tuple[str, float, float, float], ...]
    retried: int
    resampled: int
    doubted: int
    bytes: int
    not_used: tuple[str, ...] = ()
    taken: int = 0
    damaged: tuple[str, ...] = ()
    took: Took | None = None

    @property
    def learned(self) -> bool:
        """Whether a network looked at it."""
        return any(row.landslide_km2 is not None for row in self.rows)


def status(run: RunDirectory) -> tuple[Status, Layout, dict[str, Record]]:
    """What the folder of a run tells, of one at work too.

    Raises:
        InvalidInputError: It holds no scan.
    """
    laid, ledger = layout.load(run), Ledger(run)
    records, facts = ledger.records(), run.facts()
    held = list(records.values())
    done = [record for record in held if record.done]
    predicted = facts["settings"].get("model") != NONE
    rows = tuple(
        _row(window.days, ids, records, predicted=predicted)
        for window, ids in zip(laid.windows, _by_layer(laid), strict=True)
    )
    found = Status(
        run=str(run),
        state=facts["state"],
        worker=holder(run),
        area=AreaRatio(**facts["area"]) if facts.get("area") else None,
        fair_share=facts.get("trained_on", {}).get("fair_share"),
        rows=(*rows, _over_windows(rows, laid, records, facts)),
        errors=tuple(Counter(record.error.partition(":")[0] for record in held if not record.done).most_common()),
        seconds=tuple(
            stage for name in ("read", "wait", "predict", "write", "take") if (stage := _stage(name, done))[1] > 0
        ),
        retried=sum(record.attempts > 1 for record in done),
        resampled=sum(any(scene.get("resampled") for scene in record.scenes) for record in done),
        doubted=sum(any("quarantined" in scene for scene in record.scenes) for record in done),
        bytes=sum(int(one["bytes"]) for record in done for one in record.stored.values()),
        taken=sum(bool(record.taken_from) for record in done),
        damaged=tuple(sorted(ledger.damaged)),
        not_used=tuple(f"{name}: {reason}" for name, reason in facts.get("quarantined", {}).items()),
        took=noted(facts),
    )
    return found, laid, records


def _by_layer(laid: Layout) -> list[list[str]]:
    found: list[list[str]] = [[] for _ in laid.windows]
    for place in laid.places:
        found[place.layer].append(place.id)
    return found


def _row(name: str, ids: Sequence[str], records: dict[str, Record], *, predicted: bool) -> Row:
    held = [records[one] for one in ids if one in records]
    states = Counter(record.state for record in held)
    return Row(
        name=name,
        units=len(ids),
        states=tuple(states[state] for state in STATES),
        **vars(Areas.of(held, predicted=predicted)),
    )


def _over_windows(rows: Sequence[Row], laid: Layout, records: Mapping[str, Record], facts: Mapping[str, Any]) -> Row:
    """All units; of areas what can be said over windows: ground scanned, and ground seen at least once."""
    if len(rows) == 1:
        return replace(rows[0], name="all")
    noted = seen_noted(facts, laid, records)
    return Row(
        name="seen at least once",
        units=sum(row.units for row in rows),
        states=tuple(map(sum, zip(*(row.states for row in rows), strict=True))),
        km2=scanned_km2(laid.looks(records)),
        observed_km2=least_seen_km2(laid.looks(records)) if noted is None else noted,
        landslide_km2=None,
        at_least=noted is None,
    )


def _stage(name: str, records: Iterable[Record]) -> tuple[str, float, float, float]:
    seconds = np.array([record.seconds.get(name, 0.0) for record in records] or [0.0])
    return name, float(seconds.sum()), float(np.median(seconds)), float(seconds.max())


def lines(found: Status) -> list[str]:
    """The table, as text."""
    head = ("window", "units", *STATES, "left", "km2", "clear", "landslide km2", "range")
    rows = [head, *(_cells(row, found.area) for row in found.rows)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(head))]
    table = ["  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in rows]
    errors = ["units by error: " + ", ".join(f"{name} {count}" for name, count in found.errors)] if found.errors else []
    stages = [
        f"{_STAGES.get(name, name)}: {total:,.1f} s in all, {median:.2f} s a unit (median), {most:.2f} s at most"
        for name, total, median, most in found.seconds
    ]
    at_work = f", at work: {found.worker}" if found.worker else ""
    return [
        f"run: {found.run}",
        f"state: {found.state}{at_work}",
        *table,
        *_assumed(found),
        *errors,
        *([] if found.took is None else took_lines(found.took)),
        *stages,
        (
            f"{found.retried} units took more than one attempt, {found.resampled} used resampled scenes, "
            f"{found.doubted} lack a quarantined one"
        ),
        *([f"taken over from an earlier run: {counted(found.taken, 'unit')}"] if found.taken else []),
        *(persistent_lines({row.name: row.persistent_km2 for row in found.rows[:-1]})),
        *(f"not used: scene {one}" for one in found.not_used[:NAMED_SCENES]),
        *([f"not used: {len(found.not_used)} scenes in all"] if len(found.not_used) > NAMED_SCENES else []),
        *(f"damaged: {name}; scan --resume does its units again" for name in found.damaged[:NAMED_SCENES]),
        f"{found.bytes / 1e6:,.1f} MB stored",
    ]


def _assumed(found: Status) -> list[str]:
    if not found.learned:
        return ["no network was used: no landslides are mapped"]
    return [f"landslide km2 is expected, its range {assumption(found.area, fair_share=found.fair_share)}"]


def persistent_lines(windows: Mapping[str, float]) -> list[str]:
    """What is said of ground with the reason ``persistent``, of each window that has some: km2 by its days."""
    return [
        (f"{days}: " if len(windows) > 1 else "")
        + f"{km2:,.3f} km2 are masked as cloud on every date with clear surroundings (reason persistent): bright "
        "ground, or cloud that stays; composite.persistence.observe observes it"
        for days, km2 in windows.items()
        if km2
    ]


def _cells(row: Row, area: AreaRatio | None) -> tuple[str, ...]:
    clear = f"{'>= ' * row.at_least}{row.observed_km2 / row.km2:.1%}" if row.km2 else "-"
    counts = (row.units, *row.states, row.left)
    expected = row.landslide_km2
    known = "-" if area is None or expected is None else "{:,.2f} to {:,.2f}".format(*area.around(expected))
    said = "-" if expected is None else f"{expected:,.2f}"
    return (row.name, *map(str, counts), f"{row.km2:,.1f}", clear, said, known)
