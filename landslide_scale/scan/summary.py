"""How a scan ended, in figures: for whoever began it, and for its run.json."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from landslide_scale.cube.areas import Areas, scanned_km2, seen_km2
from landslide_scale.cube.record import Record
from landslide_scale.metrics import AreaRatio, area_line, assumption
from landslide_scale.scan.layout import Layout
from landslide_scale.scan.model import NoModel, ScanModel
from landslide_scale.scan.plan import Place
from landslide_scale.scan.prepared import Prepared
from landslide_scale.scene import Window
from landslide_scale.storage.rundir import RunDirectory

SEEN = "seen"
"""What run.json calls the ground that was seen at least once, and the state of the ledger that it is of."""


@dataclass(frozen=True, kw_only=True)
class ScanSummary:
    """How a scan ended: units by state; ground inside region and zones, what of it was observed; and what was lacking.

    Attributes:
        km2: Ground that was scanned, however many windows there are.
        observed_km2: What of it was seen in at least one of them.
        windows: The areas of each window, by its days, or its instants where another one has the same: nothing else of
            theirs is added up over windows.
        quarantined: Scenes that were not used, and why.
        unseen: Windows without a scene.
        shortage: Why scenes that cannot be read were not set aside; empty where none is left in the way.
        area, fair_share: The checkpoint's: what an expected area of landslides can be trusted for.
        unknown: What the checkpoint does not say of itself.
        taken: Units that were taken over from an earlier run.
    """

    run: str
    units: int
    written: int
    empty: int
    failed: int
    km2: float
    observed_km2: float
    windows: Mapping[str, Areas]
    errors: tuple[str, ...]
    caveat: str
    quarantined: tuple[str, ...] = ()
    area: AreaRatio | None = None
    fair_share: bool | None = None
    unknown: str = ""
    unseen: tuple[str, ...] = ()
    shortage: str = ""
    taken: int = 0

    @property
    def complete(self) -> bool:
        """Whether every planned unit is accounted for."""
        return self.written + self.empty == self.units

    @property
    def landslide_km2(self) -> float | None:
        """Expected on observed ground of the one window; None of several, and of a scan without a network."""
        return self._only.landslide_km2 if self._only else None

    @property
    def persistent_km2(self) -> float:
        """Ground of the one window that is not observed and more likely bright than cloudy; 0 of several."""
        return self._only.persistent_km2 if self._only else 0.0

    @property
    def learned(self) -> bool:
        """Whether a network looked at it."""
        return any(one.landslide_km2 is not None for one in self.windows.values())

    @property
    def _only(self) -> Areas | None:
        return next(iter(self.windows.values())) if len(self.windows) == 1 else None

    @property
    def area_line(self) -> str:
        """The expected area of landslides of the one window with its range, and what that assumes."""
        if not self.learned:
            return "no network was used, and no landslides are mapped"
        if self.landslide_km2 is None:
            return "landslides are expected window by window"
        return area_line(self.landslide_km2, self.area, fair_share=self.fair_share)

    @property
    def facts(self) -> dict[str, Any]:
        """What a run keeps of it, as JSON has it."""
        keys = ("written", "empty", "failed", "km2", "observed_km2", "landslide_km2")
        found = {key: getattr(self, key) for key in keys} | ({"taken": self.taken} if self.taken else {})
        windows = [{"window": days, **vars(one)} | self._range(one) for days, one in self.windows.items()]
        found["windows"] = windows
        if not self.learned:
            return found
        only = {} if self._only is None else self._range(self._only)
        return found | only | {"landslide_km2_assumes": assumption(self.area, fair_share=self.fair_share)}

    def _range(self, one: Areas) -> dict[str, Any]:
        if one.landslide_km2 is None:
            return {}
        return {"landslide_km2_range": None if self.area is None else self.area.around(one.landslide_km2)}


def summary_of(
    prepared: Prepared, laid: Layout, records: Mapping[str, Record], lacking: str, each: Callable[[], None]
) -> ScanSummary:
    """What became of a scan.

    Args:
        prepared: The scan.
        laid: Where its units are stored.
        records: What became of them, by id.
        lacking: Why scenes that cannot be read were not set aside; empty where none is left in the way.
        each: Called before each block whose pixels are read.

    Raises:
        BrokenRunError: What is stored cannot be read.
    """
    plan = prepared.survey.plan
    states, errors, taken = _told(records)
    predicted = not isinstance(prepared.model, NoModel)
    of_layer: list[list[Place]] = [[] for _ in plan.windows]
    for place in laid.places:
        of_layer[place.layer].append(place)
    return ScanSummary(
        run=str(prepared.run),
        units=len(plan.units),
        written=states["written"],
        empty=states["empty"],
        failed=len(plan.units) - states["written"] - states["empty"],
        km2=scanned_km2(laid.looks(records)),
        observed_km2=_seen_km2(laid, records, each),
        windows={
            name: Areas.of(_ended(of_window, records), predicted=predicted)
            for name, of_window in zip(_names(plan.windows), of_layer, strict=True)
        },
        errors=errors,
        caveat=prepared.model.caveat,
        quarantined=tuple(f"{scene.id}: {scene.quarantine}" for scene in plan.quarantined),
        area=prepared.model.area,
        fair_share=prepared.model.fair_share,
        unknown=prepared.model.unknown,
        unseen=tuple(plan.windows[layer].days for layer in plan.unseen),
        shortage=lacking,
        taken=taken,
    )


def summary_noted(run: RunDirectory, model: ScanModel | NoModel) -> ScanSummary | None:
    """What run.json says of a complete run; None where it was written before it said all of it."""
    facts = run.facts()
    try:
        said, units = facts["summary"], int(facts["units"])
        windows = {
            one["window"]: Areas(**{each.name: one[each.name] for each in fields(Areas)}) for one in said["windows"]
        }
        found = ScanSummary(
            run=str(run),
            units=units,
            written=int(said["written"]),
            empty=int(said["empty"]),
            failed=int(said["failed"]),
            km2=float(said["km2"]),
            observed_km2=float(said["observed_km2"]),
            windows=windows,
            errors=(),
            caveat=model.caveat,
            quarantined=tuple(f"{name}: {why}" for name, why in sorted(facts["quarantined"].items())),
            area=model.area,
            fair_share=model.fair_share,
            unknown=model.unknown,
            unseen=tuple(facts["windows_without_scenes"]),
            taken=int(said.get("taken", 0)),
        )
    except (KeyError, TypeError):
        return None
    # Where windows of the same days were not told apart, one stands for all.
    return found if found.complete and len(windows) == len(facts["settings"]["windows"]) else None


def _names(windows: Sequence[Window]) -> list[str]:
    """What tells windows apart, whose spans all differ."""
    alike = Counter(window.days for window in windows)
    return [window.days if alike[window.days] == 1 else window.instants for window in windows]


def _told(records: Mapping[str, Record]) -> tuple[Counter[str], tuple[str, ...], int]:
    """Units by state, why those that are not done are not, and how many were taken over; each is looked at once."""
    states, errors, taken = Counter[str](), list[str](), 0
    for record in records.values():
        states[record.state] += 1
        if not record.done:
            errors.append(f"{record.unit}: {record.error}")
        elif record.taken_from:
            taken += 1
    return states, tuple(errors), taken


def _ended(places: Iterable[Place], records: Mapping[str, Record]) -> Iterator[Record]:
    return (record for place in places if (record := records.get(place.id)) is not None)


def _seen_km2(laid: Layout, records: Mapping[str, Record], each: Callable[[], None]) -> float:
    """Ground that was seen at least once, counted anew only where the ledger has changed since."""
    state, noted = _state(laid, records), laid.run.facts().get(SEEN, {})
    if noted.get("of") == state:
        return float(noted["km2"])
    found = seen_km2(laid.looks(records), laid.slot, each)
    laid.run.note(**{SEEN: {"km2": found, "of": state}})
    return found


def seen_noted(facts: Mapping[str, Any], laid: Layout, records: Mapping[str, Record]) -> float | None:
    """Ground that was seen at least once, as run.json has it; None where that is of another state of the ledger."""
    noted = facts.get(SEEN, {})
    return float(noted["km2"]) if noted.get("of") == _state(laid, records) else None


def _state(laid: Layout, records: Mapping[str, Record]) -> str:
    """Of the ledger, as far as it says anything of planned units."""
    digest, mark = hashlib.sha256(), "["
    for unit in sorted(place.id for place in laid.places if place.id in records):
        record = records[unit]
        digest.update(f"{mark}{json.dumps((record.unit, record.state, record.sha256))}".encode())
        mark = ", "
    digest.update(b"[]" if mark == "[" else b"]")
    return digest.hexdigest()
