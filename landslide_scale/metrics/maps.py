"""All scores of labelled maps, whole images at a time: what patches cut apart has neither objects nor borders."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import reduce
from operator import add
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from landslide_scale.label_values import counting
from landslide_scale.metrics.boundary import match_boundaries, match_pixels
from landslide_scale.metrics.components import Components
from landslide_scale.metrics.confusion import Confusion
from landslide_scale.metrics.least import LeastArea, by_least_area
from landslide_scale.metrics.objects import ObjectMatches
from landslide_scale.metrics.plain import nan_as_null
from landslide_scale.metrics.reliability import Reliability
from landslide_scale.metrics.sizes import SizeClass, by_size

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from landslide_scale.metrics.matches import Matches

T = TypeVar("T", SizeClass, LeastArea)

LEAST = 0.05
"""The probability from which on calibration is also judged: below it lies nearly all ground, and it says nothing."""


@dataclass(frozen=True, kw_only=True, eq=False)
class LabelledMap:
    """A predicted image and its truth.

    Attributes:
        probability: float32 (H, W) in [0, 1]; NaN where nothing was observed, which is ignored as label 255 is.
        label: uint8 (H, W); 0 background, 1 landslide, 255 ignored.
        pixel_m2: Area of a pixel in m2; None where it is not known.
    """

    probability: NDArray[np.float32]
    label: NDArray[np.uint8]
    pixel_m2: float | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class MapScores:
    """Scores of one image or of several, as counts that add up.

    Attributes:
        threshold: Probability from which a pixel counts as landslide.
        tolerance: Of `tolerant` and `boundary`, in pixels.
        images: How many.
        confusion: Pixels, strictly.
        tolerant: Pixels, with tolerance (see :func:`match_pixels`).
        boundary: Border pixels, with tolerance (see :func:`match_boundaries`).
        objects: Landslides, merges and splits.
        sizes: The same pixels and objects by size class; None where the area of a pixel is not known of every image.
        least_areas: Both once small objects are left out; None likewise.
        reliability: Pixels by probability.
    """

    threshold: float
    tolerance: float
    images: int
    confusion: Confusion
    tolerant: Matches
    boundary: Matches
    objects: ObjectMatches
    sizes: tuple[SizeClass, ...] | None
    least_areas: tuple[LeastArea, ...] | None
    reliability: Reliability

    @classmethod
    def of(cls, image: LabelledMap, *, threshold: float, tolerance: float = 1.0) -> MapScores:
        """Score one image."""
        label = counting(image.label, image.probability[None])
        predicted = image.probability >= threshold
        components = Components.of(predicted, label)
        return cls(
            threshold=threshold,
            tolerance=tolerance,
            images=1,
            confusion=Confusion.of(predicted, label),
            tolerant=match_pixels(predicted, label, tolerance),
            boundary=match_boundaries(predicted, label, tolerance),
            objects=ObjectMatches.of(components),
            sizes=None if image.pixel_m2 is None else by_size(components, image.pixel_m2),
            least_areas=None if image.pixel_m2 is None else by_least_area(components, image.pixel_m2),
            reliability=Reliability.of(image.probability, label),
        )

    def __add__(self, other: MapScores) -> MapScores:
        assert (self.threshold, self.tolerance) == (other.threshold, other.tolerance)  # noqa: S101 (as judge makes them)
        return MapScores(
            threshold=self.threshold,
            tolerance=self.tolerance,
            images=self.images + other.images,
            confusion=self.confusion + other.confusion,
            tolerant=self.tolerant + other.tolerant,
            boundary=self.boundary + other.boundary,
            objects=self.objects + other.objects,
            sizes=_added(self.sizes, other.sizes),
            least_areas=_added(self.least_areas, other.least_areas),
            reliability=self.reliability + other.reliability,
        )

    def plain(self) -> dict[str, Any]:
        """Counts and scores as JSON: areas in m2, tolerance in pixels, null for what is undefined or unbounded."""
        objects = _matches(self.objects.matches) | {"merges": self.objects.merges, "splits": self.objects.splits}
        plain: dict[str, Any] = nan_as_null(
            {
                "images": self.images,
                "threshold": self.threshold,
                "tolerance": self.tolerance,
                "pixels": asdict(self.confusion),
                "landslide": asdict(self.confusion.landslide),
                "macro": asdict(self.confusion.macro),
                "tolerant": _matches(self.tolerant),
                "boundary": _matches(self.boundary),
                "objects": objects,
                "sizes": None if self.sizes is None else [_size(each) for each in self.sizes],
                "least_areas": None if self.least_areas is None else [_least(each) for each in self.least_areas],
                "calibration": _calibration(self.reliability),
            }
        )
        return plain


def judge(images: Iterable[LabelledMap], *, threshold: float, tolerance: float = 1.0) -> MapScores:
    """Score images together.

    Args:
        images: At least one; each is let go before the next is taken.
        threshold: Probability from which a pixel counts as landslide.
        tolerance: Along borders, in pixels.
    """
    return reduce(add, (MapScores.of(image, threshold=threshold, tolerance=tolerance) for image in images))


def _added(a: tuple[T, ...] | None, b: tuple[T, ...] | None) -> tuple[T, ...] | None:
    return None if a is None or b is None else tuple(x + y for x, y in zip(a, b, strict=True))


def _matches(matches: Matches) -> dict[str, Any]:
    return asdict(matches) | asdict(matches.scores)


def _size(each: SizeClass) -> dict[str, Any]:
    return {
        "low_m2": each.low_m2,
        "high_m2": None if np.isinf(each.high_m2) else each.high_m2,
        "pixels": _matches(each.pixels),
        "objects": _matches(each.objects),
    }


def _least(each: LeastArea) -> dict[str, Any]:
    return {"least_m2": each.least_m2, "pixels": _matches(each.pixels), "objects": _matches(each.objects)}


def _calibration(reliability: Reliability) -> dict[str, Any]:
    return {
        "bins": [asdict(each) | {"observed": each.observed} for each in reliability.bins],
        **asdict(reliability.recalibration),
        "error": reliability.calibration_error(),
        f"error_from_{LEAST}": reliability.calibration_error(LEAST),
        "brier": reliability.brier,
        "brier_skill": reliability.brier_skill,
        "prevalence": reliability.prevalence,
    }
