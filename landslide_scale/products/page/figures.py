"""The figures of the report: how much was asked for, seen and found, window by window."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from landslide_scale.bands import Reason
from landslide_scale.inspection.status import Row, Status, status
from landslide_scale.metrics import assumption
from landslide_scale.products.page.colours import REASONS
from landslide_scale.products.page.pick import Picked
from landslide_scale.products.scanned import Scanned
from landslide_scale.region.polygons import area_km2

UNKNOWN = "not known"
M2_PER_KM2 = 1e6

SEEN_ONCE = "area observed in at least one window, km²"
_EXPECTED = ("landslides expected on observed ground, km²", "range of that (5 to 95 %), km²")


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One line of figures: what it is, and a value for each window."""

    name: str
    values: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Figures:
    """What is said in numbers.

    Attributes:
        windows: Days of each.
        lines: A value for each window.
        assumes: What the range of the expected area takes for granted.
        hidden: What is not observed, km2 by window, for each reason that there is.
    """

    windows: tuple[str, ...]
    lines: tuple[Figure, ...]
    assumes: str
    hidden: tuple[Figure, ...]


def figures(of: Scanned, picked: Picked, km2: Sequence[Mapping[Reason, float]]) -> Figures:
    """The figures of a scan.

    Args:
        of: The scan; areas are the sums of its ledger.
        picked: Its landslides.
        km2: Ground by reason, for each window.
    """
    found, _, _ = status(of.run)
    return Figures(
        windows=tuple(window.days for window in of.windows),
        lines=(*_areas(of, found), *_landslides(of, picked)),
        assumes=assumption(found.area, fair_share=found.fair_share),
        hidden=tuple(
            Figure(name=shown.words, values=tuple(f"{one[shown.reason]:,.2f}" for one in km2))
            for shown in reversed(REASONS)
            if shown.reason != Reason.OBSERVED and any(one[shown.reason] for one in km2)
        ),
    )


def _areas(of: Scanned, found: Status) -> list[Figure]:
    asked = of.facts["region_km2"] if "region_km2" in of.facts else area_km2(of.region)
    rows = found.rows[:-1]  # the last is of all windows
    expected = [row.landslide_km2 for row in rows]
    ranges = [
        UNKNOWN if found.area is None or one is None else "{:,.2f} to {:,.2f}".format(*found.area.around(one))
        for one in expected
    ]
    lines = {
        "area asked for, km²": [f"{asked:,.1f}" for _ in rows],
        "area scanned, km²": [f"{row.km2:,.1f}" for row in rows],
        "area observed, km²": [f"{row.observed_km2:,.1f} ({_share(row.observed_km2, row.km2)})" for row in rows],
        **({SEEN_ONCE: [_seen_once(found.rows[-1])] * len(rows)} if len(rows) > 1 else {}),
        _EXPECTED[0]: [UNKNOWN if one is None else f"{one:,.2f}" for one in expected],
        _EXPECTED[1]: ranges,
    }
    if not of.learned:  # nothing is expected of what no network looked at
        lines = {name: values for name, values in lines.items() if name not in _EXPECTED}
    return [Figure(name=name, values=tuple(values)) for name, values in lines.items()]


def _landslides(of: Scanned, picked: Picked) -> list[Figure]:
    totals = [picked.totals[window.days] for window in of.windows]
    mapped = "landslides mapped" if of.learned else "candidates of vegetation loss"
    lines = {
        mapped: [f"{one.count:,}" for one in totals],
        "their area, km²": [f"{one.area_m2 / M2_PER_KM2:,.3f}" for one in totals],
        "smallest of them, m²": [f"{one.smallest_m2:,.0f}" if one.count else "none" for one in totals],
        "log10 of their number": [f"{math.log10(one.count):.2f}" if one.count else "none" for one in totals],
    }
    return [Figure(name=name, values=tuple(values)) for name, values in lines.items()]


def _seen_once(row: Row) -> str:
    least = "at least " if row.at_least else ""
    return f"{least}{row.observed_km2:,.1f} ({_share(row.observed_km2, row.km2)})"


def _share(part: float, whole: float) -> str:
    return f"{part / whole:.1%}" if whole else "none"
