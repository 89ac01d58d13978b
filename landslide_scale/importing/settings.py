"""What an import is told: where patches are and chips go, and which of their frames are taken."""

from __future__ import annotations

from dataclasses import dataclass

from landslide_scale.errors import InvalidConfigError

MOST_DAYS = 366
"""A patch holds about a year."""


@dataclass(frozen=True, kw_only=True)
class ImportSettings:
    """One import of Sen12Landslides.

    Attributes:
        source: Local folder of the unpacked files, in any folders below it.
        directory: Where the chips go; must be empty or absent.
        days: Frames of so many days after an event's day are taken, the last one included: 1 to 366.
        low_quality: Local file of ids that are left out, one a line, as the authors' list of what they reviewed.
        splits: Local file of a published split, ``splits.json``, whose leaks are counted; chips do not depend on it.
    """

    source: str
    directory: str
    days: int = 90
    low_quality: str | None = None
    splits: str | None = None

    def __post_init__(self) -> None:
        if not 1 <= self.days <= MOST_DAYS:
            raise InvalidConfigError(f"{self.days} days", expected=f"1 to {MOST_DAYS}", key="--days")
