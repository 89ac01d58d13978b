"""What a score has to beat: a map that is the same for every image, and one that is landslide everywhere.

Images that were cut out around landslides have these in their middle, and a map that knows nothing else scores well.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from landslide_scale.label_values import IGNORE, LANDSLIDE

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from numpy.typing import NDArray

CONSTANT, EVERYWHERE = "constant map", "every pixel landslide"
_CELLS = 64


@dataclass(frozen=True, kw_only=True, eq=False)
class Rival:
    """A map that looks at no image.

    Attributes:
        cells: float32 (64, 64) in [0, 1]: the probability over any image, stretched to its size.
        threshold: From which a pixel counts as landslide.
    """

    cells: NDArray[np.float32]
    threshold: float

    def probability(self, size: tuple[int, int]) -> NDArray[np.float32]:
        """Float32 (H, W) of an image of this height and width, pixels."""
        rows, cols = (np.arange(side) * _CELLS // side for side in size)
        found: NDArray[np.float32] = self.cells[np.ix_(rows, cols)]
        return found


def everywhere() -> Rival:
    """Every pixel is landslide."""
    return Rival(cells=np.ones((_CELLS, _CELLS), np.float32), threshold=0.5)


def constant(labels: Iterable[NDArray[np.uint8]]) -> Rival | None:
    """The mean of labels, all stretched to one square, with the threshold of highest landslide F1 on them.

    Args:
        labels: Of the images that were learnt from, uint8 (H, W); 0 background, 1 landslide, 255 ignored.

    Returns:
        None without any landslide.
    """
    landslide, counted = np.zeros((2, _CELLS * _CELLS))
    for label in labels:
        rows, cols = (np.arange(side) * _CELLS // side for side in label.shape)
        cell = (rows[:, None] * _CELLS + cols).ravel()
        landslide += np.bincount(cell, (label == LANDSLIDE).ravel(), _CELLS * _CELLS)
        counted += np.bincount(cell, (label != IGNORE).ravel(), _CELLS * _CELLS)
    if not landslide.any():
        return None
    mean = np.divide(landslide, counted, out=np.zeros_like(landslide), where=counted > 0).astype(np.float32)
    order = np.argsort(-mean, kind="stable")
    f1 = 2 * landslide[order].cumsum() / (counted[order].cumsum() + landslide.sum())
    ends = np.flatnonzero(np.diff(mean[order], append=-1) != 0)  # cells of one mean are called alike
    best = ends[f1[ends].argmax()]
    return Rival(cells=mean.reshape(_CELLS, _CELLS), threshold=float(mean[order[best]]))


def rivals(labels: Iterable[NDArray[np.uint8]]) -> Mapping[str, Rival]:
    """Both by name; the constant map where there is one."""
    found = constant(labels)
    return ({CONSTANT: found} if found is not None else {}) | {EVERYWHERE: everywhere()}
