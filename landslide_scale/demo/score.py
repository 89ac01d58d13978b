"""A probability map against the truth of the made world."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from landslide_scale.demo.ground.truth import LANDSLIDE_PERCENT, NO_TRUTH
from landslide_scale.errors import InvalidInputError
from landslide_scale.label_values import IGNORE
from landslide_scale.metrics import Confusion


@dataclass(frozen=True, kw_only=True)
class MapScore:
    """Counts over the ground of a region; those of several zones add up.

    Attributes:
        confusion: Of the pixels that were observed.
        unobserved: Pixels inside the region without a probability; they count as neither right nor wrong.
        unobserved_landslide: How many of them are landslide.
    """

    confusion: Confusion = field(default_factory=Confusion)
    unobserved: int = 0
    unobserved_landslide: int = 0

    def __add__(self, other: MapScore) -> MapScore:
        return MapScore(
            confusion=self.confusion + other.confusion,
            unobserved=self.unobserved + other.unobserved,
            unobserved_landslide=self.unobserved_landslide + other.unobserved_landslide,
        )


def score_map(
    probability: NDArray[np.floating],
    percent: NDArray[np.uint8],
    inside: NDArray[np.bool_],
    *,
    threshold: float,
) -> MapScore:
    """Score one zone's map, pixel by pixel; all arrays (H, W) on the same 10 m lattice.

    A landslide is what shows after the event: a pixel with half its area or more under scars, old ones included.

    Args:
        probability: 0 to 1, NaN where nothing was observed.
        percent: Truth, percent under scars; `NO_TRUTH` (255) where there is none, which must be outside.
        inside: True on the pixels to score: the region's, within this zone.
        threshold: Probability from which a pixel is called landslide.

    Raises:
        InvalidInputError: The shapes differ, or a pixel to score has no truth.
    """
    if not probability.shape == percent.shape == inside.shape:
        raise InvalidInputError(
            f"probability {probability.shape}, truth {percent.shape}, inside {inside.shape}", expected="one shape"
        )
    lacking = int((inside & (percent == NO_TRUTH)).sum())
    if lacking:
        raise InvalidInputError(f"{lacking} px to score have no truth", expected="truth for every pixel inside")
    landslide = percent >= LANDSLIDE_PERCENT
    unobserved = inside & np.isnan(probability)
    label = np.where(inside & ~unobserved, landslide, IGNORE).astype(np.uint8)
    return MapScore(
        confusion=Confusion.of(probability >= threshold, label),
        unobserved=int(unobserved.sum()),
        unobserved_landslide=int((unobserved & landslide).sum()),
    )
