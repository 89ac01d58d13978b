"""How many landslides are found, however large."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from landslide_scale.metrics.matches import Matches

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from landslide_scale.metrics.components import Components

PERCENT = 30
"""Of an object's observed area, from which on (itself included) it is met. In whole numbers: 30 % of 10 pixels is 3."""


@dataclass(frozen=True, kw_only=True)
class ObjectMatches:
    """Objects of truth and prediction (see :class:`Components`).

    A landslide is found when at least 30 % of its observed pixels are predicted, by however many objects; a predicted
    object is correct when at least 30 % of its observed pixels are landslide, of however many.

    Attributes:
        matches: Objects of either side.
        merges: Predicted objects that cover at least 30 % of each of two or more landslides, by themselves.
        splits: Landslides that hold at least 30 % of each of two or more predicted objects, by themselves: merges with
            the sides changed over.
    """

    matches: Matches
    merges: int
    splits: int

    @classmethod
    def of(cls, components: Components) -> ObjectMatches:
        """Count the objects of one image."""
        truth, predicted, pixels = components.shared.T
        return cls(
            matches=Matches(
                truth=len(components.truth),
                found=int(met(components.found, components.truth).sum()),
                predicted=len(components.predicted),
                correct=int(met(components.correct, components.predicted).sum()),
            ),
            merges=_several(predicted[met(pixels, components.truth[truth])]),
            splits=_several(truth[met(pixels, components.predicted[predicted])]),
        )

    def __add__(self, other: ObjectMatches) -> ObjectMatches:
        return ObjectMatches(
            matches=self.matches + other.matches,
            merges=self.merges + other.merges,
            splits=self.splits + other.splits,
        )


def met(shared: NDArray[np.int64], area: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Whether `shared` pixels are at least 30 % of `area` pixels."""
    return 100 * shared >= PERCENT * area


def _several(numbers: NDArray[np.int64]) -> int:
    """How many numbers occur twice or more."""
    return int((np.unique(numbers, return_counts=True)[1] > 1).sum())
