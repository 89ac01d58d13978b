"""Which landslides are asked for, and what is said of those that were left out."""

from __future__ import annotations

import math
from dataclasses import dataclass

from landslide_scale.cube.arrays import step_from
from landslide_scale.errors import InvalidConfigError

LEAST_AREA_M2 = 400.0
"""Four pixels of 10 m."""

UNREACHED = 256
"""A step that no stored byte comes to, the fill included."""


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What makes a pixel landslide, and which landslides become polygons.

    Attributes:
        threshold: Probability from which on a pixel is landslide, in (0, 1); None of a scan without a network.
        least_area_m2: Landslides of a smaller area are counted, and left out. By pixels times their side squared, so
            that the same pixels are enough wherever in a zone they lie; the ellipsoid's area differs by up to 0.2 %.
    """

    threshold: float | None
    least_area_m2: float = LEAST_AREA_M2

    def __post_init__(self) -> None:
        if self.threshold is not None and not 0 < self.threshold < 1:
            raise InvalidConfigError(
                f"threshold {self.threshold}", expected="a probability between 0 and 1, both open", key="--threshold"
            )
        if not 0 <= self.least_area_m2 < math.inf:
            raise InvalidConfigError(
                f"least area {self.least_area_m2}", expected="square metres, 0 or more", key="--min-area"
            )

    @property
    def step(self) -> int:
        """The smallest stored step of probability that is not below the threshold, 1 to 250; else `UNREACHED`.

        The cube stores probabilities in steps of 0.004, rounded to the nearest: a pixel of 0.499 is stored as 0.5.
        """
        if self.threshold is None:
            return UNREACHED
        return step_from(self.threshold)


@dataclass(frozen=True, kw_only=True)
class LeftOut:
    """Landslides that are smaller than the least area.

    Attributes:
        landslides, pixels: How many.
        area_m2: Pixels times their side squared.
    """

    landslides: int = 0
    pixels: int = 0
    area_m2: float = 0.0

    def and_one(self, pixels: int, area_m2: float) -> LeftOut:
        """With another one."""
        return LeftOut(landslides=self.landslides + 1, pixels=self.pixels + pixels, area_m2=self.area_m2 + area_m2)
