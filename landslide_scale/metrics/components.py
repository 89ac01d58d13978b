"""Landslides as objects: the connected parts of truth and prediction, and how much they share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from landslide_scale.label_values import IGNORE, LANDSLIDE

if TYPE_CHECKING:
    from numpy.typing import NDArray

_EIGHT_NEIGHBOURS = np.ones((3, 3), bool)


@dataclass(frozen=True, kw_only=True, eq=False)
class Components:
    """Objects of one image.

    An object is a largest set of pixels that touch each other by a side or a corner. It has observed pixels only: a
    landslide that ignored pixels or the edge of the image cut is as large as what is seen of it, and is two where they
    cut it in two.

    Attributes:
        truth: int64 (N), pixels of each landslide.
        predicted: int64 (M), pixels of each predicted object.
        shared: int64 (K, 3), one row for each pair of both that overlap: number of the landslide (0 to N - 1), number
            of the predicted object (0 to M - 1), pixels they share.
    """

    truth: NDArray[np.int64]
    predicted: NDArray[np.int64]
    shared: NDArray[np.int64]

    @classmethod
    def of(cls, predicted: NDArray[np.bool_], label: NDArray[np.uint8]) -> Components:
        """Find the objects of an image.

        Args:
            predicted: bool (H, W), True is landslide.
            label: uint8 (H, W); 0 background, 1 landslide, 255 ignored.
        """
        truth, landslides = _numbered(label == LANDSLIDE)
        guess, guesses = _numbered(predicted & (label != IGNORE))
        both = (truth > 0) & (guess > 0)
        pairs, pixels = np.unique((truth[both] - 1) * guesses + guess[both] - 1, return_counts=True)
        return cls(
            truth=np.bincount(truth.ravel(), minlength=landslides + 1)[1:],
            predicted=np.bincount(guess.ravel(), minlength=guesses + 1)[1:],
            shared=np.stack((*np.divmod(pairs, max(guesses, 1)), pixels), axis=1),
        )

    @property
    def found(self) -> NDArray[np.int64]:
        """int64 (N): pixels of each landslide that are predicted."""
        return _summed(self.shared[:, 0], self.shared[:, 2], len(self.truth))

    @property
    def correct(self) -> NDArray[np.int64]:
        """int64 (M): pixels of each predicted object that are landslide."""
        return _summed(self.shared[:, 1], self.shared[:, 2], len(self.predicted))


def _numbered(mask: NDArray[np.bool_]) -> tuple[NDArray[np.int64], int]:
    """Number of the object that each pixel is of, from 1, 0 outside; and how many there are."""
    numbers, count = ndimage.label(mask, structure=_EIGHT_NEIGHBOURS)
    return numbers.astype(np.int64), int(count)


def _summed(which: NDArray[np.int64], pixels: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    total = np.zeros(count, np.int64)
    np.add.at(total, which, pixels)
    return total
