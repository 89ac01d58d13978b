"""Results as tables: scores by protocol, their differences, what the paper has no scores for, and sizes."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property

import numpy as np

from landslide_scale.metrics import ByPlace, Estimate
from landslide_scale.paper.published import SIZES, SIZES_TITLE, TABLES
from landslide_scale.paper.sheets import Percent, Spread, Table
from landslide_scale.paper.trials import Judged, TrialResult

PAPER = "paper"
"""The protocol that the paper's own figures fit; the others are strict ones."""
STRICT, AGREED, STRICT_ALL = "strict", "strict-agreed", "strict-all"

_SCORES = {"precision": "P", "recall": "R", "f1": "F1", "iou": "IoU"}


def score_tables(results: Sequence[TrialResult]) -> list[Table]:
    """A table for each data set and protocol: the paper's Tables 1 and 2, and the strict ones beside them.

    With each a table of the differences between its rows, and of what the paper has no scores for.
    """
    found = []
    for dataset in dict.fromkeys(result.dataset for result in results):
        of_data = [result for result in results if result.dataset == dataset]
        protocols = [name for name in of_data[0].judged if all(name in result.judged for result in of_data)]
        found += [_score_table(dataset, protocol, of_data) for protocol in protocols]
        found += [
            _differences(dataset, protocol, of_data)
            for protocol in protocols
            if len(_rows(of_data, protocol)) > 1 and all(row.known for row in _rows(of_data, protocol))
        ]
        beyond = [name for name in protocols if of_data[0].judged[name].beyond]
        found += [_beyond_table(dataset, name, of_data) for name in beyond]
    return found


@dataclass(frozen=True, kw_only=True, eq=False)
class _Row:
    """What one model, or one map that looks at no image, came to under a protocol: of each seed, in order."""

    name: str
    weights: str
    result: TrialResult | None
    judged: tuple[Judged, ...]

    @property
    def known(self) -> bool:
        """Whether its pixels are known by place."""
        return all(one.places for one in self.judged)

    @cached_property
    def places(self) -> ByPlace:
        """Its pixels by place; of one place, as far as nobody knows them."""
        return ByPlace.of([one.places or {"": one.confusion} for one in self.judged])

    def seeds(self, score: Callable[[Judged], float]) -> Spread:
        """A score of every seed."""
        return Spread.of([score(one) for one in self.judged])


def _rows(results: Sequence[TrialResult], protocol: str) -> list[_Row]:
    """Of all models, then of the maps that look at no image: they are of the first model's parts, which all share."""
    models = _by_model(results)
    found = [
        _Row(
            name=group[0].model,
            weights=_weights(group),
            result=group[0],
            judged=tuple(one.judged[protocol] for one in group),
        )
        for group in models
    ]
    for rival in models[0][0].rivals:
        judged = [one.rivals[rival][protocol] for one in models[0] if rival in one.rivals]
        if len(judged) == len(models[0]):
            found.append(_Row(name=rival, weights="no network", result=None, judged=tuple(judged)))
    return found


def _score_table(dataset: str, protocol: str, results: Sequence[TrialResult]) -> Table:
    published = TABLES.get(results[0].kind) if protocol == PAPER else None  # type: ignore[call-overload]
    title = published.title if published else f"Data set {dataset}"
    columns = ["Model", "Encoder starts from", "Seeds"]
    columns += [f"macro {short}" for short in ("P", "R", "F1", "mIoU")]
    columns += [f"landslide {short}" for short in _SCORES.values()]
    columns += ["landslide F1 of seeds"]
    if published:
        columns += [f"paper {short}" for short in ("P", "R", "F1", "mIoU")]
    rows = []
    for each in _rows(results, protocol):
        row: list[object] = [each.name, each.weights, len(each.judged)]
        row += [
            Percent.of(each.places.score(of_class, score)) for of_class in ("macro", "landslide") for score in _SCORES
        ]
        row.append(each.seeds(lambda one: one.confusion.landslide.f1))
        if published:
            printed = published.rows.get(each.result.architecture) if each.result else None
            row += asdict(printed).values() if printed else [None] * 4
        rows.append(tuple(row))
    return Table(
        name=_name(dataset, protocol),
        title=f"{title}: protocol `{protocol}`, percent, mean over seeds (95 % interval over places)",
        columns=tuple(columns),
        rows=tuple(rows),
        notes=(
            PROTOCOLS[protocol],
            INTERVALS,
            *_notes(results),
            *((published.note,) if published and published.note else ()),
        ),
    )


def _name(dataset: str, protocol: str, *more: str) -> str:
    return "-".join((dataset, protocol, *more)).replace(" ", "-").lower()


def _differences(dataset: str, protocol: str, results: Sequence[TrialResult]) -> Table:
    """Landslide F1 of each row over that of every other, on the same places."""
    rows = _rows(results, protocol)
    cells = [
        (each.name, *(None if each is other else Percent.of(_over(each, other)) for other in rows)) for each in rows
    ]
    return Table(
        name=_name(dataset, protocol, "differences"),
        title=f"Data set {dataset}: by how many points the landslide F1 of a row is above that of a column, protocol "
        f"`{protocol}` (95 % interval)",
        columns=("Model", *(f"over {each.name}" for each in rows)),
        rows=tuple(cells),
        notes=(PROTOCOLS[protocol], DIFFERENCES, *_notes(results)),
    )


def _over(one: _Row, other: _Row) -> Estimate:
    if one.places.places != other.places.places or len(one.judged) != len(other.judged):
        return Estimate(value=math.nan, low=math.nan, high=math.nan)
    return one.places.over(other.places, "landslide", "f1")


def _beyond_table(dataset: str, protocol: str, results: Sequence[TrialResult]) -> Table:
    """Scores that the paper has none of: borders, landslides as objects, sizes, calibration."""
    heads = tuple(results[0].judged[protocol].beyond)
    rows = [
        (each.name, *(Spread.of([one.beyond.get(head, math.nan) for one in each.judged]) for head in heads))
        for each in _rows(results, protocol)
    ]
    return Table(
        name=_name(dataset, protocol, "beyond"),
        title=f"Data set {dataset}: borders, landslides and calibration under protocol `{protocol}`, percent, mean "
        "[least, most of the seeds]",
        columns=("Model", *heads),
        rows=tuple(rows),
        notes=(PROTOCOLS[protocol], BEYOND, *_notes(results)),
    )


INTERVALS = (
    "Intervals hold 95 % of 1000 draws of the places that were scored, with replacement: windows of a place, chips "
    "with one landslide and images that share pixels are one. Seeds' own spread stands apart: [least, most]."
)
DIFFERENCES = (
    "Both are scored on the same draws of places: where the interval holds 0, which is better hangs on the places. It "
    "says nothing of other seeds."
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
    STRICT: (
        "Protocol `strict`: the held-out images that show a landslide, at their original size (the network sees "
        "them as it was trained, and its probability is brought back to the size of the label)."
    ),
    AGREED: (
        "Protocol `strict-agreed`: as `strict`, with pixels ignored that are background in an image and landslide in "
        "another that shows the same pixels."
    ),
    STRICT_ALL: (
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
    for rival in dict.fromkeys(name for result in results for name in result.rivals):
        of_rival = [
            replace(result, judged=result.rivals[rival], model=rival)
            for result in results
            if result.model == results[0].model and rival in result.rivals
        ]
        rows.append((rival, None, None, _mean_f1(of_rival), None, None, None))
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
                "and Landslide4Sense. [least, most] are of the seeds: it has no interval over places."
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


def _weights(group: Sequence[TrialResult]) -> str:
    return ", ".join(dict.fromkeys(result.weights for result in group))


def _notes(results: Sequence[TrialResult]) -> tuple[str, ...]:
    """What the encoders started from, where it matters most, and what of the labels cannot be right."""
    notes = []
    if all(result.weights.startswith("random") for result in results):
        notes.append(
            "No pretrained weights: every network started from random ones, and a frozen random encoder is none to "
            "build on."
        )
    for dataset, contested in {result.dataset: result.contested for result in results}.items():
        if contested is None:
            notes.append(f"Whether images of {dataset} share pixels was not looked at; its parts may show one ground.")
        elif contested.pixels:
            notes.append(f"{dataset}: {contested.line}; a network that finds both is punished.")
    return tuple(notes)
