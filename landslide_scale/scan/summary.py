"""How a scan ended, in figures: for whoever began it, and for its run.json."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from landslide_scale.cube.ledger import Record, expected_km2
from landslide_scale.metrics import AreaRatio, area_line, assumption
from landslide_scale.scan.model import NoModel
from landslide_scale.scan.prepared import Prepared


@dataclass(frozen=True, kw_only=True)
class ScanSummary:
    """How a scan ended: units by state; ground inside region and zones, what of it was observed; and what was lacking.

    Attributes:
        landslide_km2: Expected on observed ground; None of a scan without a network.
        quarantined: Scenes that were not used, and why.
        unseen: Windows without a scene.
        persistent_km2: Ground that is not observed and more likely bright than cloudy.
        shortage: Why scenes that cannot be read were not set aside; empty where none is left in the way.
        area, fair_share: The checkpoint's: what the expected `landslide_km2` can be trusted for.
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
    landslide_km2: float | None
    errors: tuple[str, ...]
    caveat: str
    quarantined: tuple[str, ...] = ()
    area: AreaRatio | None = None
    fair_share: bool | None = None
    unknown: str = ""
    unseen: tuple[str, ...] = ()
    shortage: str = ""
    persistent_km2: float = 0.0
    taken: int = 0

    @property
    def complete(self) -> bool:
        """Whether every planned unit is accounted for."""
        return self.written + self.empty == self.units

    @property
    def area_line(self) -> str:
        """The expected area of landslides with its range, and what that assumes."""
        if self.landslide_km2 is None:
            return "no network was used, and no landslides are mapped"
        return area_line(self.landslide_km2, self.area, fair_share=self.fair_share)

    @property
    def facts(self) -> dict[str, Any]:
        """What a run keeps of it, as JSON has it."""
        keys = ("written", "empty", "failed", "km2", "observed_km2", "landslide_km2")
        found = {key: getattr(self, key) for key in keys} | ({"taken": self.taken} if self.taken else {})
        if self.landslide_km2 is None:
            return found
        return found | {
            "landslide_km2_range": None if self.area is None else self.area.around(self.landslide_km2),
            "landslide_km2_assumes": assumption(self.area, fair_share=self.fair_share),
        }


def summary_of(prepared: Prepared, records: Mapping[str, Record], lacking: str) -> ScanSummary:
    """What became of a scan.

    Args:
        prepared: The scan.
        records: What became of its units, by id.
        lacking: Why scenes that cannot be read were not set aside; empty where none is left in the way.
    """
    plan = prepared.survey.plan
    states = [record.state for record in records.values()]
    of_units = list(records.values())
    return ScanSummary(
        run=str(prepared.run),
        units=len(plan.units),
        written=states.count("written"),
        empty=states.count("empty"),
        failed=len(plan.units) - states.count("written") - states.count("empty"),
        km2=sum(record.km2 for record in of_units),
        observed_km2=sum(record.km2 * record.clear_fraction for record in of_units),
        landslide_km2=None if isinstance(prepared.model, NoModel) else expected_km2(of_units),
        errors=tuple(f"{record.unit}: {record.error}" for record in of_units if not record.done),
        caveat=prepared.model.caveat,
        quarantined=tuple(f"{scene.id}: {scene.quarantine}" for scene in plan.quarantined),
        area=prepared.model.area,
        fair_share=prepared.model.fair_share,
        unknown=prepared.model.unknown,
        unseen=tuple(plan.windows[layer].days for layer in plan.unseen),
        shortage=lacking,
        persistent_km2=sum(record.persistent_km2 for record in of_units),
        taken=sum(record.done and bool(record.taken_from) for record in of_units),
    )
