"""Which landslides a report draws and which it lists: all are counted, but a page holds only so many."""

from __future__ import annotations

import heapq
import math
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from landslide_scale.errors import InvalidInputError

MOST_DRAWN = 2000
"""Outlines on the map: one half the largest, the other those of the highest priority."""

MOST_LISTED = 50
"""Rows of the table, as many of each."""

Row = Mapping[str, Any]
"""A landslide's columns, by name."""


@dataclass
class Totals:
    """Of all landslides of a window, drawn or not."""

    count: int = 0
    area_m2: float = 0.0
    smallest_m2: float = math.inf


@dataclass(frozen=True, kw_only=True)
class Picked:
    """The landslides of a report.

    Attributes:
        totals: By days of the window.
        drawn: For the map, the largest first.
        listed: For the table, the highest priority first.
    """

    totals: Mapping[str, Totals]
    drawn: tuple[Row, ...]
    listed: tuple[Row, ...]

    @property
    def count(self) -> int:
        """How many there are, drawn or not."""
        return sum(one.count for one in self.totals.values())


@dataclass
class _Best:
    """The best rows so far: a heap of them with their places, the worst first."""

    most: int
    heap: list[tuple[float, str, int, Row]] = field(default_factory=list)
    seen: int = 0

    def see(self, merit: float, row: Row) -> None:
        self.seen += 1
        one = (merit, f"{row['window']} {row['id']}", self.seen, row)
        if len(self.heap) < self.most:
            heapq.heappush(self.heap, one)
        elif one[:3] > self.heap[0][:3]:
            heapq.heapreplace(self.heap, one)

    def first(self, most: int) -> dict[str, Row]:
        """The best of them by window and id."""
        return {name: row for _, name, _, row in sorted(self.heap, key=_place, reverse=True)[:most]}


def picked(rows: Iterable[Row], windows: Collection[str]) -> Picked:
    """The landslides to draw and to list; of all others none is kept in memory.

    Args:
        rows: All of them, in any order.
        windows: Days of each of the scan's windows.

    Raises:
        InvalidInputError: A landslide is of no window of the scan.
    """
    totals = {window: Totals() for window in windows}
    large, urgent = _Best(MOST_DRAWN // 2), _Best(MOST_DRAWN // 2)
    for row in rows:
        if row["window"] not in totals:
            raise InvalidInputError(
                f"a landslide of {row['window']}",
                expected=f"one of the scan's windows ({', '.join(windows)})",
                cure="Export the polygons of this scan anew.",
                landslide=row["id"],
            )
        area, total = float(row["area_m2"]), totals[row["window"]]
        total.count += 1
        total.area_m2 += area
        total.smallest_m2 = min(total.smallest_m2, area)
        large.see(area, row)
        if math.isfinite(rank(row)):
            urgent.see(-rank(row), row)
    drawn = large.first(MOST_DRAWN) | urgent.first(MOST_DRAWN)
    listed = large.first(MOST_LISTED // 2) | urgent.first(MOST_LISTED // 2)
    return Picked(
        totals=totals,
        drawn=tuple(sorted(drawn.values(), key=lambda row: (-float(row["area_m2"]), row["window"], row["id"]))),
        listed=tuple(sorted(listed.values(), key=lambda row: (rank(row), -float(row["area_m2"]), row["id"]))),
    )


def rank(row: Row) -> float:
    """A landslide's priority, 1 the highest; of one that has none, beyond all others."""
    stated: Any = row.get("priority")
    return float(stated) if known(stated) else math.inf


def known(value: object) -> bool:
    """Whether a column says anything: tables have NaN where rows have None."""
    return value is not None and value == value  # noqa: PLR0124 what is not equal to itself is NaN, or a table's NaT


def _place(one: tuple[float, str, int, Row]) -> tuple[float, str, int]:
    return one[:3]
