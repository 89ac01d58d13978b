"""How far an expected landslide area can be trusted: true over expected, resampled by place.

Pixels of one place are right or wrong together, so resampling pixels would promise far too much.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

DRAWS = 1000
FEWEST_PLACES = 5
"""Fewer places say nothing of others."""
_QUANTILES = (0.05, 0.5, 0.95)


@dataclass(frozen=True, kw_only=True)
class AreaRatio:
    """True over expected landslide area: quantiles at 5, 50 and 95 % over places drawn with replacement.

    Attributes:
        low, mid, high: Of the ratio, 0 or more, ascending.
        places: How many there were.
    """

    low: float
    mid: float
    high: float
    places: int

    @property
    def possible(self) -> bool:
        """Whether the numbers can be what they say."""
        return 0 <= self.low <= self.mid <= self.high < math.inf and self.places > 0

    @classmethod
    def resampled(cls, expected: NDArray[np.float64], true: NDArray[np.float64]) -> AreaRatio | None:
        """Percentile bootstrap (Efron 1979) of a ratio of sums, of 1000 draws from a fixed seed.

        Args:
            expected: (N,) sum over each place's counted pixels of probability times area, in any unit.
            true: (N,) area of landslide among the same pixels, in the same unit.

        Returns:
            None with fewer than five places, or where some draw expects no landslide at all.
        """
        places = len(expected)
        if places < FEWEST_PLACES:
            return None
        rng = np.random.default_rng(0)
        drawn = (rng.integers(places, size=places) for _ in range(DRAWS))
        sums = np.array([(true[which].sum(), expected[which].sum()) for which in drawn])
        if not (sums[:, 1] > 0).all():
            return None
        low, mid, high = np.quantile(sums[:, 0] / sums[:, 1], _QUANTILES).tolist()
        return cls(low=low, mid=mid, high=high, places=places)

    def around(self, expected: float) -> tuple[float, float]:
        """The range, 5 to 95 %, of the true area where so much is expected."""
        return expected * self.low, expected * self.high


def assumption(ratio: AreaRatio | None, *, fair_share: bool | None) -> str:
    """What a range of landslide area takes for granted, or why there is none.

    Args:
        ratio: Of the validation; None where it was not kept.
        fair_share: Whether the validation's images are a fair sample of some ground; None where nobody knows.
    """
    if ratio is None:
        return "how far this may be off is not known: the checkpoint keeps no areas of its validation"
    said = f"if this ground is like the validation's {ratio.places} places"
    if fair_share:
        return said
    picked = "were picked and are no fair share of any ground"
    return f"{said}, which {'may be no fair share of any ground' if fair_share is None else picked}"


def area_line(expected: float, ratio: AreaRatio | None, *, fair_share: bool | None) -> str:
    """An expected landslide area in km2 with its range and what that assumes."""
    assumed = assumption(ratio, fair_share=fair_share)
    if ratio is not None:
        low, high = ratio.around(expected)
        assumed = f"{low:,.2f} to {high:,.2f} {assumed}"
    return f"expected landslides {expected:,.2f} km2 ({assumed})"
