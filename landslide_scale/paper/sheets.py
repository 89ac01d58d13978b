"""Tables as they are written: Markdown for readers, CSV and JSON for programs, all of the same cells."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from landslide_scale.metrics import Estimate


@dataclass(frozen=True, kw_only=True)
class Spread:
    """A score in percent: its mean over seeds, and the least and the largest of them.

    It says how far trainings differ, and nothing of other places.

    Attributes:
        mean, least, most: nan where a seed's is undefined.
        seeds: How many there are.
    """

    mean: float
    least: float
    most: float
    seeds: int

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Of values from 0 to 1."""
        mean, least, most = (100 * float(of(values)) for of in (np.mean, np.min, np.max))
        return cls(mean=mean, least=least, most=most, seeds=len(values))

    def __str__(self) -> str:
        if math.isnan(self.mean):
            return "undefined"
        return f"{self.mean:.2f}" if self.seeds == 1 else f"{self.mean:.2f} [{self.least:.2f}, {self.most:.2f}]"

    @property
    def cells(self) -> dict[str, float]:
        """For programs, by what is added to the column's name."""
        return {"": self.mean, " least seed": self.least, " most seed": self.most}


@dataclass(frozen=True, kw_only=True)
class Percent:
    """A score in percent with its 95 % interval over places; nan where that is not known."""

    value: float
    low: float
    high: float

    @classmethod
    def of(cls, estimate: Estimate) -> Percent:
        """Of an estimate from 0 to 1."""
        return cls(value=100 * estimate.value, low=100 * estimate.low, high=100 * estimate.high)

    def __str__(self) -> str:
        if math.isnan(self.value):
            return "undefined"
        return f"{self.value:.2f}" if math.isnan(self.low) else f"{self.value:.2f} ({self.low:.1f} to {self.high:.1f})"

    @property
    def cells(self) -> dict[str, float]:
        """For programs, by what is added to the column's name."""
        return {"": self.value, " low": self.low, " high": self.high}


@dataclass(frozen=True, kw_only=True)
class Table:
    """One table.

    Attributes:
        name: Of its files.
        title: Above it.
        columns: Their headings.
        rows: Their cells; a :class:`Spread` and a :class:`Percent` become three columns for programs.
        notes: Below it.
    """

    name: str
    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[object, ...], ...]
    notes: tuple[str, ...]

    def markdown(self) -> str:
        """For readers."""
        lines = [f"**{self.title}**", "", _line(self.columns), _line(["---"] * len(self.columns))]
        lines += [_line([_cell(cell) for cell in row]) for row in self.rows]
        return "\n".join([*lines, "", *(f"- {note}" for note in self.notes)]) + "\n"

    def records(self) -> list[dict[str, object]]:
        """One flat record per row; what is undefined is None."""
        return [
            {key: value for head, cell in zip(self.columns, row, strict=True) for key, value in _flat(head, cell)}
            for row in self.rows
        ]

    def json(self) -> str:
        """Title, records and notes."""
        plain = {"title": self.title, "rows": self.records(), "notes": self.notes}
        return json.dumps(plain, indent=1, allow_nan=False) + "\n"

    def csv(self) -> str:
        """The records."""
        # A column may be three in some rows and one in others: a network over itself has no interval.
        cells = [_flat(head, row[place]) for place, head in enumerate(self.columns) for row in self.rows]
        heads = dict.fromkeys(key for cell in cells for key, _ in cell)
        text = io.StringIO()
        writer = csv.DictWriter(text, list(heads), lineterminator="\n")
        writer.writeheader()
        writer.writerows(self.records())
        return text.getvalue()


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _cell(cell: object) -> str:
    return "" if cell is None else str(cell)


def _flat(head: str, cell: object) -> list[tuple[str, object]]:
    if not isinstance(cell, Spread | Percent):
        return [(head, cell)]
    return [(head + end, None if math.isnan(value) else round(value, 4)) for end, value in cell.cells.items()]


Writer = Callable[[str, bytes], None]


def write_tables(tables: Sequence[Table], write: Writer) -> list[str]:
    """Write each table as ``NAME.md``, ``.csv`` and ``.json``; gives the names of the files."""
    names = []
    for table in tables:
        for ending, text in (("md", table.markdown()), ("csv", table.csv()), ("json", table.json())):
            names.append(f"tables/{table.name}.{ending}")
            write(names[-1], text.encode())
    return names
