"""What the bits of a landslide's `exclusion` and `advisory` mean, in one place for all products.

A bit says something of a polygon; none removes one.
"""

from __future__ import annotations

from enum import IntFlag


class Exclusion(IntFlag):
    """Ground on which the method is known to be wrong more often than elsewhere.

    ``SNOW_NEAR``: a pixel that was not observed for being snow or ice lies within :data:`SNOW_NEAR_M` of one of the
    landslide's. ``WATER``: at least half of its pixels look like water in the composite, where the cube keeps green and
    near infrared. ``FLAT``: at least half of its pixels lie on flat ground, where the run used an elevation model: the
    mean slope within :data:`FLAT_WITHIN_M` is less than :data:`FLAT_DEG`. The others are set from a user's layers.
    """

    SNOW_NEAR = 1
    WATER = 2
    FLAT = 4
    CROPLAND = 8
    RIVER_BANK = 16
    BUILT_UP = 32


class Advisory(IntFlag):
    """Why what is said of a landslide may be of less quality than elsewhere.

    ``ONE_LOOK``: its pixels were seen clear once, by the median. ``OFFSET_INCONCLUSIVE``: of a scene that its blocks
    were made of, the pixels were asked about the radiometric offset and did not tell. ``LOW_SUN``: one of these scenes
    says that the sun stood lower than :data:`LOW_SUN_DEG`, so that shadows are long. ``DATES_DISAGREE``: in another
    window of the cube, which begins after this one's end and within :data:`DISAGREE_DAYS` of it, at least half of its
    pixels were observed and are no landslide. What single dates within a window were classified as, a cube does not
    hold.
    """

    ONE_LOOK = 1
    OFFSET_INCONCLUSIVE = 2
    LOW_SUN = 4
    DATES_DISAGREE = 8


SNOW_NEAR_M = 200
"""Between centres of pixels, closed; on the ground of the same zone."""

LOW_SUN_DEG = 20.0
"""Above the horizon, open."""

DISAGREE_DAYS = 366
"""Later, a scar may well be overgrown. Closed."""

FLAT_DEG = 5.0
"""Mean slope, open."""

FLAT_WITHIN_M = 100
"""To every side along the rows and columns of the zone, to the centres of pixels, closed: a square."""

FLAT_RULE = f"half of its pixels or more where the mean slope within {FLAT_WITHIN_M} m is below {FLAT_DEG:g} degrees"
"""What makes a landslide flat, for files to say."""
