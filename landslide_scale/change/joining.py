"""Two witnesses of a new landslide joined: a network, and plants that are gone.

Each errs where the other does not. The network takes bare fields and old scars for new ones where its probability
passes the threshold on one side and not on the other; loss of vegetation takes what was felled, burnt or harvested for
landslides. So a landslide begins where both agree, and goes on over all ground beside it that lost its plants: loss of
vegetation has the sharper outline. (Two thresholds and what connects them: Canny 1986, IEEE Transactions on Pattern
Analysis and Machine Intelligence 8, 679-698.) Where there were no plants to lose, the network has to be sure.
"""

from __future__ import annotations

import numpy as np

from landslide_scale.change.classes import Mask, Side
from landslide_scale.change.rdndvi import Reals, rdndvi

GROWTH = 3
"""Pixels, 30 m at 10 m each, that a landslide goes on over ground that lost its plants, from where both witnesses
agree: fields beside it that were harvested are none of it."""

SURE = 0.8
"""Probability that ground is landslide and was none before, from which on, closed, the network is enough alone."""

BARE_NDVI = 0.2
"""Of soil without plants (Sobrino, Jimenez-Munoz and Paolini 2004, Remote Sensing of Environment 90, 434-440)."""

RULE = (
    f"new: both witnesses agree, or vegetation was lost within {GROWTH} pixels of where they do; where there were no "
    f"plants to lose, a network that is sure of {SURE:g}"
)


def could_lose(before: Reals, loss: float) -> Mask:
    """(H, W) where there were plants enough that bare soil in their stead is a loss; nowhere that NDVI is unknown.

    Args:
        before: NDVI, NaN where unknown.
        loss: Of rdNDVI, hundredths.
    """
    bare = rdndvi(before, np.full(before.shape, BARE_NDVI, np.float32))
    return np.asarray(bare <= -loss)  # of NaN, False


def sure(before: Reals, after: Reals) -> Mask:
    """(H, W) where it is likely enough that ground is landslide after and was none before.

    Args:
        before: Probability, 0 to 1.
        after: The same, later; taken as independent, so that of the one and not the other is a product.
    """
    return np.asarray(after * (np.float32(1) - before) >= np.float32(SURE))


def new(before: Side, after: Side, *, certain: Mask, judged: Mask, lost: Mask) -> Mask:
    """(H, W) what is a new landslide, of ground that was seen on both sides.

    What lies within `GROWTH` pixels of the edge of the arrays may go on from beyond it: give them so much larger.

    Args:
        before: What the network saw.
        after: The same, later.
        certain: As :func:`sure` says.
        judged: Where plants tell, as :func:`could_lose` says, of what is known on both sides.
        lost: Where vegetation was lost.
    """
    likely = before.seen & ~before.landslide & after.seen & after.landslide
    return grown(likely & lost, lost, GROWTH) | (likely & ~judged & ~lost & certain)


def grown(seeds: Mask, over: Mask, steps: int) -> Mask:
    """(H, W) what is come to from `seeds` in so many steps to one of eight neighbours, each on `over`."""
    found = seeds.copy()
    for _ in range(steps):
        wider = np.pad(found, 1)
        rows = wider[:-2] | wider[1:-1] | wider[2:]
        following = (rows[:, :-2] | rows[:, 1:-1] | rows[:, 2:]) & over | found
        if (following == found).all():
            break
        found = following
    return found
