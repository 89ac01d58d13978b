"""What became of a pixel between a layer before and one after, as a class."""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]


class ChangeClass(IntEnum):
    """What became of a pixel. Codes ascend by what must not be lost where several pixels are shown as one.

    Of a scan with a network:

    ``NONE``: seen on both sides, landslide on neither. ``AFTER_ONLY_NONE``: seen only after, and no landslide.
    ``NO_MORE``: seen on both sides, landslide before and not after. ``ALREADY``: seen on both sides, and landslide on
    both: an old scar, a river bank, a quarry. ``AFTER_ONLY_LANDSLIDE``: landslide, and seen only after, so that nobody
    knows whether it is new. ``NEW_LANDSLIDE``: seen on both sides, and new by both witnesses, or by the network alone
    where plants say nothing and it is sure; see `joining.py`. ``NETWORK_ALONE``: seen on both sides, and landslide
    after and not before by the network alone, where plants were there and still are, or where it is not sure.

    Of a scan without one: ``NONE``, no loss of vegetation, or on ground too flat; ``CANDIDATE``: vegetation was lost,
    on a slope where slopes are known; ``NOT_COMPARABLE``: seen after, but not before, or rdNDVI says nothing there, or
    its slope is not known although others are.

    Of both: ``NOT_OBSERVED``: not seen after, whether or not before.
    """

    NONE = 0
    AFTER_ONLY_NONE = 1
    NOT_COMPARABLE = 2
    NOT_OBSERVED = 3
    NO_MORE = 4
    ALREADY = 5
    NETWORK_ALONE = 6
    CANDIDATE = 7
    AFTER_ONLY_LANDSLIDE = 8
    NEW_LANDSLIDE = 9


NO_DATA = 255
"""Instead of a class: ground that was not asked for, or whose unit is missing."""

REPORTED = (ChangeClass.CANDIDATE, ChangeClass.AFTER_ONLY_LANDSLIDE, ChangeClass.NEW_LANDSLIDE)
"""Classes of which polygons are made."""


class Side(NamedTuple):
    """One layer: masks (H, W) of what was observed, and of what of that is landslide."""

    seen: Mask
    landslide: Mask


def learned(before: Side, after: Side, new: Mask, asked: Mask) -> NDArray[np.uint8]:
    """The class of each pixel (H, W) of a scan with a network; `NO_DATA` where it was not `asked` for after.

    Args:
        before: What the network saw.
        after: The same, later.
        new: Of what was seen on both sides, what is a new landslide, whatever the network says of it.
        asked: Ground of the region.
    """
    both = before.seen & after.seen
    only = after.seen & ~before.seen
    found = np.full(asked.shape, NO_DATA, np.uint8)
    found[asked] = ChangeClass.NOT_OBSERVED
    for mask, code in (
        (both & ~before.landslide & ~after.landslide, ChangeClass.NONE),
        (both & ~before.landslide & after.landslide, ChangeClass.NETWORK_ALONE),
        (both & before.landslide & after.landslide, ChangeClass.ALREADY),
        (both & before.landslide & ~after.landslide, ChangeClass.NO_MORE),
        (only & after.landslide, ChangeClass.AFTER_ONLY_LANDSLIDE),
        (only & ~after.landslide, ChangeClass.AFTER_ONLY_NONE),
        (both & new, ChangeClass.NEW_LANDSLIDE),
    ):
        found[mask] = code
    return found


def candidates(*, seen: Mask, comparable: Mask, lost: Mask, steep: Mask, asked: Mask) -> NDArray[np.uint8]:
    """The class of each pixel (H, W) of a scan without a network; `NO_DATA` where it was not `asked` for after.

    Args:
        seen: Observed after.
        comparable: Of that, where rdNDVI is known, and the slope where slopes are asked.
        lost: Where enough vegetation was lost.
        steep: Where the ground is steep enough; everywhere, where slopes are not asked.
        asked: Ground of the region.
    """
    found = np.full(asked.shape, NO_DATA, np.uint8)
    found[asked] = ChangeClass.NOT_OBSERVED
    found[seen] = ChangeClass.NOT_COMPARABLE
    found[seen & comparable] = ChangeClass.NONE
    found[seen & comparable & lost & steep] = ChangeClass.CANDIDATE
    return found


def reported(classes: NDArray[np.uint8]) -> Mask:
    """(H, W) what becomes a polygon."""
    return np.isin(classes, REPORTED)
