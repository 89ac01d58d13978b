"""Scores of a network, as a person reads them."""

from __future__ import annotations

import math
from collections.abc import Mapping

from landslide_scale.metrics import (
    LEAST,
    ByPlace,
    Confusion,
    LeastArea,
    MapScores,
    Matches,
    ObjectMatches,
    Reliability,
    Scores,
    SizeClass,
)
from landslide_scale.runtime.capacity import counted


def score_lines(confusion: Confusion) -> str:
    """Precision, recall, F1 and IoU of the landslide class, and the mean of both classes."""
    return "\n".join(
        _scores_line(name, scores) for name, scores in (("landslide", confusion.landslide), ("macro", confusion.macro))
    )


_SHORT = {"precision": "P", "recall": "R", "f1": "F1", "iou": "IoU"}


def _scores_line(name: str, scores: Scores) -> str:
    return f"  {name:<9}  P {scores.precision:.4f}  R {scores.recall:.4f}  F1 {scores.f1:.4f}  IoU {scores.iou:.4f}"


def interval_line(found: ByPlace, of_class: str = "landslide") -> str:
    """How far the scores of a class hang on the places that were scored."""
    places = counted(len(found.places), "place")
    scores = [(short, found.score(of_class, score)) for score, short in _SHORT.items()]
    known = ", ".join(f"{short} {one.low:.3f} to {one.high:.3f}" for short, one in scores if not math.isnan(one.low))
    return f"  {of_class}, 95 % over {places}: {known or 'not known, of so few'}"


def rival_lines(rivals: Mapping[str, Confusion]) -> str:
    """What maps score that look at no image."""
    return "\n".join(_scores_line(name, found.landslide) for name, found in rivals.items())


def map_lines(maps: MapScores) -> str:
    """Whole images: borders with tolerance, landslides as objects, by size, and calibration."""
    within = f"within {maps.tolerance:g} px"
    return "\n".join(
        (
            _match_line(f"pixels {within}", maps.tolerant),
            _match_line(f"borders {within}", maps.boundary),
            f"{_match_line('objects', maps.objects.matches)}; {_objects(maps.objects)}",
            *_size_lines(maps.sizes),
            *(_least_line(each) for each in maps.least_areas or ()),
            *_calibration_lines(maps.reliability),
        )
    )


def _match_line(name: str, matches: Matches) -> str:
    scores = matches.scores
    return f"  {name:<22}  P {scores.precision:.4f}  R {scores.recall:.4f}  F1 {scores.f1:.4f}  IoU {scores.iou:.4f}"


def _objects(objects: ObjectMatches) -> str:
    found = objects.matches
    return (
        f"{found.found} of {found.truth} landslides found, {found.correct} of {found.predicted} predictions correct, "
        f"{objects.merges} merges, {objects.splits} splits"
    )


def _size_lines(sizes: tuple[SizeClass, ...] | None) -> list[str]:
    if sizes is None:
        return ["  no scores by size: the area of a pixel is not known (dataset.resolution)"]
    return [
        f"{_match_line(_area(each), each.pixels)}; {each.objects.found} of {each.objects.truth} found, "
        f"{each.objects.correct} of {each.objects.predicted} correct"
        for each in sizes
    ]


def _least_line(each: LeastArea) -> str:
    """Objects, once those smaller than what an export may be told by ``--min-area`` are left out."""
    kept = _match_line(f"{each.least_m2:g} m2 and more kept", each.objects)
    return f"{kept}; {each.objects.found} of {each.objects.truth} found, pixel F1 {each.pixels.scores.f1:.4f}"


def _area(each: SizeClass) -> str:
    return f"{each.low_m2:g} to {each.high_m2:g} m2" if each.high_m2 < math.inf else f"{each.low_m2:g} m2 and more"


def _calibration_lines(reliability: Reliability) -> list[str]:
    line = reliability.recalibration
    error, where_it_counts = reliability.calibration_error(), reliability.calibration_error(LEAST)
    return [
        (
            f"  calibration: slope {line.slope:.3f}, intercept {line.intercept:+.3f}, "
            f"error {error:.4f} ({where_it_counts:.4f} where p >= {LEAST})"
        ),
        (
            f"  Brier score {reliability.brier:.4f}, skill {reliability.brier_skill:.3f} against the prevalence "
            f"{reliability.prevalence:.4f} everywhere"
        ),
        *(
            f"  p {each.low:.2f} to {each.high:.2f}: {each.pixels:>12,} px, mean p {each.probability:.3f}, "
            f"observed {each.observed:.3f}"
            for each in reliability.bins
            if each.pixels
        ),
    ]
