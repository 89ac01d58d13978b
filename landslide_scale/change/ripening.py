"""How a pixel's change ripens with every look: the status codes of OPERA DIST-S1.

NASA/JPL OPERA, Level-3 DIST-ALERT-S1 product (dist-s1, `constants.py`): 0 none; 1 first, 2 provisional and 3 confirmed
change of low confidence, by one, two, and three or more looks; 4 to 6 the same of high confidence; 7 and 8 confirmed
and finished, low and high; 255 no data. Looks here are clear observations after the event, one for each datatake.
"""

from __future__ import annotations

from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from landslide_scale.change.classes import NO_DATA, ChangeClass, reported


class Status(IntEnum):
    """What is known of a pixel by now."""

    NONE = 0
    FIRST_LOW = 1
    PROVISIONAL_LOW = 2
    CONFIRMED_LOW = 3
    FIRST_HIGH = 4
    PROVISIONAL_HIGH = 5
    CONFIRMED_HIGH = 6
    CONFIRMED_LOW_FINISHED = 7
    CONFIRMED_HIGH_FINISHED = 8


CONFIRMED_LOOKS = 3
"""Looks from which on a change is confirmed."""

RULE = (
    "high: new since before, and a landslide by the network's own word; low: else, what such a one goes on over, all "
    "that was seen only after, and every candidate"
)
"""What low and high mean here; each agency has a measure of its own."""

_HIGH = 3
_FINISHED = {
    Status.CONFIRMED_LOW: Status.CONFIRMED_LOW_FINISHED,
    Status.CONFIRMED_HIGH: Status.CONFIRMED_HIGH_FINISHED,
}
_UNKNOWN = (ChangeClass.NOT_OBSERVED, ChangeClass.NOT_COMPARABLE, NO_DATA)


def high(classes: NDArray[np.uint8], landslide: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """(H, W) what is of high confidence by `RULE`.

    Args:
        classes: Of :class:`ChangeClass`.
        landslide: Where the network says so, after.
    """
    return np.asarray((classes == ChangeClass.NEW_LANDSLIDE) & landslide)


def ripened(
    classes: NDArray[np.uint8], looks: NDArray[np.uint8], sure: NDArray[np.bool_], *, finished: bool
) -> NDArray[np.uint8]:
    """The :class:`Status` of each pixel (H, W); `NO_DATA` where nothing can be said.

    Args:
        classes: Of :class:`ChangeClass`.
        looks: Clear observations after the event; 1 or more of what was observed.
        sure: As :func:`high` gives it.
        finished: Whether the event has ended: what is confirmed is then finished, and what is not stays as it is.
    """
    steps = np.clip(looks, 1, CONFIRMED_LOOKS) + np.where(sure, np.uint8(_HIGH), np.uint8(0))
    found = np.where(reported(classes), steps, Status.NONE).astype(np.uint8)
    if finished:
        for confirmed, ended in _FINISHED.items():
            found[found == confirmed] = ended
    found[np.isin(classes, _UNKNOWN)] = NO_DATA
    return found
