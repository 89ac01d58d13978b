"""Results as tables: Markdown for readers, CSV and JSON for programs, all of the same cells."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np

from landslide_scale.paper.published import SIZES, SIZES_TITLE, TABLES
from landslide_scale.paper.trials import TrialResult

PAPER = "paper"
"""The protocol that the paper's own figures fit; the others are strict ones."""

_SCORES = {"precision": "P", "recall": "R", "f1": "F1", "iou": "IoU"}


@dataclass(frozen=True, kw_only=True)
class Spread:
    """A mean over seeds in percent, and the sample standard deviation; nan where there is but one."""

    mean: float
    deviation: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Of values from 0 to 1."""
        deviation = float(np.std(values, ddof=1)) if len(values) > 1 else math.nan
        return cls(mean=100 * float(np.mean(values)), deviation=100 * deviation)

    def __str__(self) -> str:
        if math.isnan(self.mean):
            return "undefined"
        return f"{self.mean:.2f}" if math.isnan(self.deviation) else f"{self.mean:.2f} ± {self.deviation:.2f}"


@dataclass(frozen=True, kw_only=True)
class Table:
    """One table.

    Attributes:
        name: Of its files.
        title: Above it.
        columns: Their headings.
        rows: Their cells; a :class:`Spread` becomes two columns for programs.
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
        records = self.records()
        text = io.StringIO()
        writer = csv.DictWriter(text, list(records[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(records)
        return text.getvalue()


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _cell(cell: object) -> str:
    return "" if cell is None else str(cell)


def _flat(head: str, cell: object) -> list[tuple[str, object]]:
    if not isinstance(cell, Spread):
        return [(head, cell)]
    values = (None if math.isnan(value) else round(value, 4) for value in asdict(cell).values())
    return list(zip((head, f"{head} deviation"), values, strict=True))


def score_tables(results: Sequence[TrialResult]) -> list[Table]:
    """A table for each data set and protocol: the paper's Tables 1 and 2, and the strict ones beside them."""
    found = []
    for dataset in dict.fromkeys(result.dataset for result in results):
        of_data = [result for result in results if result.dataset == dataset]
        found += [_score_table(dataset, protocol, of_data) for protocol in of_data[0].judged]
        found += [_beyond_table(dataset, name, of_data) for name, one in of_data[0].judged.items() if one.beyond]
    return found


def _score_table(dataset: str, protocol: str, results: Sequence[TrialResult]) -> Table:
    published = TABLES.get(results[0].kind) if protocol == PAPER else None  # type: ignore[call-overload]
    title = published.title if published else f"Data set {dataset}"
    columns = ["Model", "Encoder starts from", "Seeds"]
    columns += [f"macro {short}" for short in ("P", "R", "F1", "mIoU")]
    columns += [f"landslide {short}" for short in _SCORES.values()]
    if published:
        columns += [f"paper {short}" for short in ("P", "R", "F1", "mIoU")]
    rows = []
    for group in _by_model(results):
        row: list[object] = [group[0].model, _weights(group), len(group)]
        for of_class in ("macro", "landslide"):
            row += [_spread(group, protocol, of_class, score) for score in _SCORES]
        if published:
            printed = published.rows.get(group[0].architecture)
            row += asdict(printed).values() if printed else [None] * 4
        rows.append(tuple(row))
    return Table(
        name=f"{dataset}-{protocol}".replace(" ", "-").lower(),
        title=f"{title}: protocol `{protocol}`, percent, mean ± deviation over seeds",
        columns=tuple(columns),
        rows=tuple(rows),
        notes=(PROTOCOLS[protocol], *_notes(results), *((published.note,) if published and published.note else ())),
    )


def _beyond_table(dataset: str, protocol: str, results: Sequence[TrialResult]) -> Table:
    """Scores that the paper has none of: borders, landslides as objects, sizes, calibration."""
    heads = tuple(results[0].judged[protocol].beyond)
    rows = [
        (group[0].model, *(Spread.of([result.judged[protocol].beyond[head] for result in group]) for head in heads))
        for group in _by_model(results)
    ]
    return Table(
        name=f"{dataset}-{protocol}-beyond".lower(),
        title=f"Data set {dataset}: borders, landslides and calibration under protocol `{protocol}`, percent",
        columns=("Model", *heads),
        rows=tuple(rows),
        notes=(PROTOCOLS[protocol], BEYOND, *_notes(results)),
    )


BEYOND = (
    "All of the landslide class. A landslide is found when 30 % of its observed area is predicted, a prediction right "
    "when 30 % of its own is landslide; sizes are of whole landslides; an empty map at a landslide fraction of 1 % has "
    "a calibration error of 1 % and no Brier skill."
)
"""What the scores beyond the paper's mean."""


PROTOCOLS: Mapping[str, str] = {
    PAPER: (
        "Protocol `paper`: the held-out images of the set, of Bijie the landslide images only, resized to equal "
        "squares where the configuration says so; pixels pooled over all images; macro is the mean of both classes."
    ),
    "strict": (
        "Protocol `strict`: the held-out images that show a landslide, at their original size (the network sees "
        "them as it was trained, and its probability is brought back to the size of the label)."
    ),
    "strict-all": (
        "Protocol `strict-all`: as `strict`, with the images without landslides too: those held out and, of Bijie, all "
        "non-landslide images that no training saw."
    ),
}
"""What each protocol judges."""


def size_table(results: Sequence[TrialResult]) -> Table:
    """The paper's Table 3: parameters, and the mean macro F1 over the data sets under protocol `paper`."""
    rows = []
    for group in _by_model(results):
        printed = SIZES.get(group[0].architecture)
        rows.append(
            (
                group[0].model,
                f"{group[0].trainable / 1e6:.2f}",
                f"{group[0].total / 1e6:.2f}",
                _mean_f1(group),
                *((printed.trainable, printed.total, printed.mf1) if printed else (None, None, None)),
            )
        )
    datasets = ", ".join(dict.fromkeys(result.dataset for result in results))
    return Table(
        name="sizes",
        title=SIZES_TITLE,
        columns=(
            "Model",
            "trainable M",
            "total M",
            "mF1 %",
            "paper trainable M",
            "paper total M",
            "paper mF1 %",
        ),
        rows=tuple(rows),
        notes=(
            (
                f"mF1 here is the mean macro F1 over {datasets} under protocol `{PAPER}`; the paper's is over Bijie "
                "and Landslide4Sense."
            ),
            *_notes(results),
        ),
    )


def _mean_f1(group: Sequence[TrialResult]) -> Spread:
    """Of each seed the mean over data sets; then over seeds."""
    seeds = dict.fromkeys(result.seed for result in group)
    means = ([r.judged[PAPER].confusion.macro.f1 for r in group if r.seed == seed] for seed in seeds)
    return Spread.of([float(np.mean(of_seed)) for of_seed in means])


def _by_model(results: Sequence[TrialResult]) -> list[list[TrialResult]]:
    labels = dict.fromkeys(result.model for result in results)
    return [[result for result in results if result.model == label] for label in labels]


def _spread(group: Sequence[TrialResult], protocol: str, of_class: str, score: str) -> Spread:
    return Spread.of([getattr(getattr(r.judged[protocol].confusion, of_class), score) for r in group])


def _weights(group: Sequence[TrialResult]) -> str:
    return ", ".join(dict.fromkeys(result.weights for result in group))


def _notes(results: Sequence[TrialResult]) -> tuple[str, ...]:
    """What the encoders started from, where it matters most."""
    if all(result.weights.startswith("random") for result in results):
        return (
            (
                "No pretrained weights: every network started from random ones, and a frozen random encoder is none to "
                "build on."
            ),
        )
    return ()


Writer = Callable[[str, bytes], None]


def write_tables(tables: Sequence[Table], write: Writer) -> list[str]:
    """Write each table as ``NAME.md``, ``.csv`` and ``.json``; gives the names of the files."""
    names = []
    for table in tables:
        for ending, text in (("md", table.markdown()), ("csv", table.csv()), ("json", table.json())):
            names.append(f"tables/{table.name}.{ending}")
            write(names[-1], text.encode())
    return names
