"""Borders, and scores that forgive a few pixels along them.

A label drawn one pixel off is not wrong by much, but a landslide of five pixels' width shifted by one scores an F1 of
0.80 against itself. Strict scores measure maps and labels together; those with tolerance, what the map is to blame for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from landslide_scale.label_values import IGNORE, LANDSLIDE
from landslide_scale.metrics.matches import Matches

if TYPE_CHECKING:
    from numpy.typing import NDArray


def match_pixels(predicted: NDArray[np.bool_], label: NDArray[np.uint8], tolerance: float) -> Matches:
    """Count landslide pixels of either side that lie within `tolerance` of one of the other side.

    The relaxed recall and precision of Mnih and Hinton 2010 ("Learning to Detect Roads in High-Resolution Aerial
    Images"). It forgives what is small, too: a lone predicted pixel inside a landslide finds all pixels around it.

    Args:
        predicted: bool (H, W), True is landslide.
        label: uint8 (H, W); 0 background, 1 landslide, 255 ignored.
        tolerance: Largest distance between pixel centres, in pixels, itself included; 0 is the strict count.
    """
    return _matched(label == LANDSLIDE, predicted & (label != IGNORE), tolerance)


def match_boundaries(predicted: NDArray[np.bool_], label: NDArray[np.uint8], tolerance: float) -> Matches:
    """Count border pixels of either side that lie within `tolerance` of one of the other side.

    The F1 of these counts is the boundary F1 of Csurka et al. 2013 ("What is a good evaluation measure for semantic
    segmentation?") and the contour accuracy of Perazzi et al. 2016 (DAVIS), here with counts pooled over images and
    not averaged over them, and with a tolerance in pixels and not as a share of the image's diagonal.

    Args:
        predicted: bool (H, W), True is landslide.
        label: uint8 (H, W); 0 background, 1 landslide, 255 ignored.
        tolerance: Largest distance between pixel centres, in pixels, itself included.
    """
    counted = label != IGNORE
    return _matched(boundary(label == LANDSLIDE, counted), boundary(predicted & counted, counted), tolerance)


def boundary(mask: NDArray[np.bool_], counted: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Border of a mask: its pixels that have a counted pixel outside it above, below, left or right of them.

    Neither the edge of the image nor an ignored pixel makes a border.

    Args:
        mask: bool (H, W), nowhere True where not counted.
        counted: bool (H, W), False where ignored.
    """
    border: NDArray[np.bool_] = mask & ndimage.binary_dilation(counted & ~mask)
    return border


def _matched(truth: NDArray[np.bool_], predicted: NDArray[np.bool_], tolerance: float) -> Matches:
    return Matches(
        truth=int(truth.sum()),
        found=_near(truth, predicted, tolerance),
        predicted=int(predicted.sum()),
        correct=_near(predicted, truth, tolerance),
    )


def _near(mask: NDArray[np.bool_], other: NDArray[np.bool_], tolerance: float) -> int:
    """Pixels of `mask` that lie within `tolerance` of some pixel of `other`."""
    if not other.any():
        return 0  # where there is nothing, SciPy's distance to it is a number all the same
    return int((ndimage.distance_transform_edt(~other)[mask] <= tolerance).sum())
