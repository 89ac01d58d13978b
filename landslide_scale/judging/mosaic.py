"""Whole images put together from the windows they were predicted by."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import numpy as np

from landslide_scale.label_values import IGNORE
from landslide_scale.metrics import LabelledMap

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from torch import Tensor

    from landslide_scale.datasets import EvaluationPatches, Found
    from landslide_scale.training.evaluating import Calibration


class Mosaic:
    """Takes windows as `evaluate` has seen them and gives each image once all of its windows are in.

    Each pixel is taken from the window that counts it, without halo or blending, so that all images together hold just
    the pixels that `evaluate` counts.

    Args:
        patches: The windows; those of one image follow each other.
        found: Sizes of the images.
        calibration: What makes probabilities of logits.
        whole: Called with the name of every image and its map: probability NaN where the label is ignored.
    """

    def __init__(
        self,
        patches: EvaluationPatches,
        found: Mapping[str, Found],
        calibration: Calibration,
        whole: Callable[[str, LabelledMap], None],
    ) -> None:
        self._patches, self._found, self._calibration, self._whole = patches, found, calibration, whole
        self._awaited = Counter(name for name, _ in patches.items)
        self._open: dict[str, LabelledMap] = {}

    def __call__(self, indices: Sequence[int], logits: Tensor, labels: Tensor) -> None:
        """Put in some windows.

        Args:
            indices: Of the patches.
            logits: Any floating dtype, (B, P, P).
            labels: uint8 (B, P, P); 255 where another window counts the pixel, too.
        """
        probability = self._calibration.probability(logits).cpu().numpy()
        for index, predicted, label in zip(indices, probability, labels.cpu().numpy(), strict=True):
            self._put(index, predicted, label)

    def _put(self, index: int, predicted: np.ndarray, label: np.ndarray) -> None:
        name, window = self._patches.items[index]
        if name not in self._open:
            self._open[name] = _blank(self._found[name])
        image = self._open[name]
        below, right = window.new_y - window.y, window.new_x - window.x
        rows, cols = slice(window.new_y, window.y + len(label)), slice(window.new_x, window.x + len(label))
        height, width = image.label[rows, cols].shape
        new = (slice(below, below + height), slice(right, right + width))
        image.label[rows, cols] = label[new]
        image.probability[rows, cols] = np.where(label[new] == IGNORE, np.nan, predicted[new])
        self._awaited[name] -= 1
        if not self._awaited[name]:
            self._whole(name, self._open.pop(name))


def _blank(found: Found) -> LabelledMap:
    shape = found.height, found.width
    return LabelledMap(
        probability=np.full(shape, np.nan, np.float32),
        label=np.full(shape, IGNORE, np.uint8),
        pixel_m2=found.pixel_m2,
    )
