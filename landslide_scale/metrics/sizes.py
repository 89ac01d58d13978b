"""Scores of small and large landslides apart: pooled pixels tell of the largest only."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING

from landslide_scale.metrics.matches import Matches
from landslide_scale.metrics.objects import met

if TYPE_CHECKING:
    from landslide_scale.metrics.components import Components

_EDGES_M2 = (0.0, 1e3, 1e4, 1e5, math.inf)


@dataclass(frozen=True, kw_only=True)
class SizeClass:
    """Landslides, and predicted objects, of one class of observed area: half-open [low_m2, high_m2).

    Each side is classed by its own area, because nothing says which landslide a false object was meant to be. So recall
    of a class is over the pixels of its landslides, whatever the size of what found them; precision is over the pixels
    of predicted objects of that size, whatever the size of the landslides they lie on; F1 is the harmonic mean of the
    two and IoU is F1 / (2 - F1). Added up over all classes, `pixels` is the strict count of all pixels. COCO's scores
    by area (Lin et al. 2014) class truth and unmatched detections by their own areas likewise, but match whole objects.

    Attributes:
        low_m2, high_m2: Area in m2; the last class has no upper end.
        pixels: Of landslides and of predicted objects of the class.
        objects: The same counted as objects, which are found or correct as :class:`ObjectMatches` says.
    """

    low_m2: float
    high_m2: float
    pixels: Matches
    objects: Matches

    def __add__(self, other: SizeClass) -> SizeClass:
        assert (self.low_m2, self.high_m2) == (other.low_m2, other.high_m2)  # noqa: S101 (by_size makes all of them)
        return replace(self, pixels=self.pixels + other.pixels, objects=self.objects + other.objects)


def by_size(components: Components, pixel_m2: float) -> tuple[SizeClass, ...]:
    """Class the objects of one image: below 1e3 m2, to 1e4, to 1e5, and from there on.

    Args:
        components: The objects.
        pixel_m2: Area of a pixel in m2, above 0.
    """
    return tuple(_size_class(components, pixel_m2, low, high) for low, high in pairwise(_EDGES_M2))


def _size_class(components: Components, pixel_m2: float, low: float, high: float) -> SizeClass:
    truth, predicted = (
        (low <= area * pixel_m2) & (area * pixel_m2 < high) for area in (components.truth, components.predicted)
    )
    landslides, found = components.truth[truth], components.found[truth]
    objects, correct = components.predicted[predicted], components.correct[predicted]
    return SizeClass(
        low_m2=low,
        high_m2=high,
        pixels=Matches(
            truth=int(landslides.sum()),
            found=int(found.sum()),
            predicted=int(objects.sum()),
            correct=int(correct.sum()),
        ),
        objects=Matches(
            truth=len(landslides),
            found=int(met(found, landslides).sum()),
            predicted=len(objects),
            correct=int(met(correct, objects).sum()),
        ),
    )
