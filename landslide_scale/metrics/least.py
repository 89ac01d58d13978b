"""What it does to a map to leave its small objects out."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from landslide_scale.metrics.matches import Matches
from landslide_scale.metrics.objects import met

if TYPE_CHECKING:
    from landslide_scale.metrics.components import Components

LEAST_M2 = (0.0, 200.0, 400.0, 1000.0, 2000.0)
"""Least areas that are compared; the third is what an export leaves out by default."""


@dataclass(frozen=True, kw_only=True)
class LeastArea:
    """Scores once predicted objects smaller than a least area are left out.

    The truth stays whole: a landslide that only what was left out had met is not found, so recall says what a least
    area costs. An object of just the least area is kept.

    Attributes:
        least_m2: Square metres.
        pixels: Strictly, of all landslides and of the objects that are left.
        objects: The same as objects, found or correct as :class:`ObjectMatches` says.
    """

    least_m2: float
    pixels: Matches
    objects: Matches

    def __add__(self, other: LeastArea) -> LeastArea:
        assert self.least_m2 == other.least_m2  # noqa: S101 (by_least_area makes all of them)
        return replace(self, pixels=self.pixels + other.pixels, objects=self.objects + other.objects)


def by_least_area(components: Components, pixel_m2: float) -> tuple[LeastArea, ...]:
    """The scores of one image for each of `LEAST_M2`.

    Args:
        components: Its objects.
        pixel_m2: Area of a pixel in m2, above 0.
    """
    return tuple(_left(components, pixel_m2, least) for least in LEAST_M2)


def _left(components: Components, pixel_m2: float, least: float) -> LeastArea:
    kept = components.predicted * pixel_m2 >= least
    landslide, guess, shared = components.shared.T
    found = np.zeros(len(components.truth), np.int64)
    np.add.at(found, landslide[kept[guess]], shared[kept[guess]])
    predicted, correct = components.predicted[kept], components.correct[kept]
    return LeastArea(
        least_m2=least,
        pixels=Matches(
            truth=int(components.truth.sum()),
            found=int(found.sum()),
            predicted=int(predicted.sum()),
            correct=int(correct.sum()),
        ),
        objects=Matches(
            truth=len(components.truth),
            found=int(met(found, components.truth).sum()),
            predicted=len(predicted),
            correct=int(met(correct, predicted).sum()),
        ),
    )
