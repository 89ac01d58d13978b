"""What is asked of two layers."""

from __future__ import annotations

import math
from dataclasses import dataclass

from landslide_scale.errors import InvalidConfigError

LOSS = 30.0
"""About what an NDVI of 0.6 that is halved gives: 31.6."""

LEAST_SLOPE_DEG = 10.0

_MOST_LOSS = 327.0
_STEEPEST = 90


@dataclass(frozen=True, kw_only=True)
class Change:
    """Which layers are compared, and how.

    Attributes:
        before, after: Indexes of layers of the cube, from 0; the one before ends before the other begins.
        loss: Of vegetation: rdNDVI of at least so much below 0, hundredths, closed.
        least_slope_deg: Where slopes are known and there is no network, candidates lie on ground at least as steep,
            closed.
        finished: Whether the event has ended, and what is confirmed by now is all that will be.
        earlier: Path or URL of the folder of the products of the version before; None of the first.
    """

    before: int
    after: int
    loss: float = LOSS
    least_slope_deg: float = LEAST_SLOPE_DEG
    finished: bool = False
    earlier: str | None = None

    def __post_init__(self) -> None:
        """Refuse what is out of range.

        Raises:
            InvalidConfigError: Naming the option.
        """
        if self.before < 0 or self.after < 0 or self.before == self.after:
            raise InvalidConfigError(
                f"layers {self.before} and {self.after}", expected="two layers of the cube, from 0", key="--change"
            )
        if not (math.isfinite(self.loss) and 0 < self.loss <= _MOST_LOSS):
            raise InvalidConfigError(
                f"{self.loss:g}", expected=f"hundredths of rdNDVI, above 0 and at most {_MOST_LOSS:g}", key="--loss"
            )
        if not 0 <= self.least_slope_deg < _STEEPEST:
            raise InvalidConfigError(
                f"{self.least_slope_deg:g}", expected=f"degrees from 0 on and below {_STEEPEST}", key="--least-slope"
            )


def change_told(text: str) -> tuple[int, int]:
    """Indexes of the layers before and after from a text ``BEFORE,AFTER``.

    Raises:
        InvalidConfigError: It is none.
    """
    before, _, after = text.partition(",")
    if not (before.strip().isdecimal() and after.strip().isdecimal()):
        raise InvalidConfigError(text, expected="BEFORE,AFTER: indexes of layers from 0, as 0,1", key="--change")
    return int(before), int(after)
