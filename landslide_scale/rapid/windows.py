"""The two layers of an event's cube: what was there before, and what the satellites have seen since."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from landslide_scale.scene import Window, years_on

INSTANT = timedelta(microseconds=1)
"""By which a window begins after an instant, or outlasts one that it holds: the end is not part of a window."""


def season_before(origin: datetime, days: int) -> Window:
    """The same season of the year before: as many days from the day of the event on, a year earlier.

    Plants and sun then are as they will be in the days after the event.

    Args:
        origin: Of the event, UTC.
        days: Length.
    """
    start = years_on(origin, -1)
    return Window(start=start, end=start + timedelta(days=days))


def last_before(origin: datetime, days: int) -> Window:
    """The last days before the event; where the catalogue has nothing of the season a year earlier."""
    return Window(start=origin - timedelta(days=days), end=origin)


def since(origin: datetime, sensed: Iterable[datetime]) -> Window | None:
    """The window from the instant of the event to the last of some acquisitions; None where none is of after it.

    A scene of the very instant does not show what it did.
    """
    after = [instant for instant in sensed if instant > origin]
    return Window(start=origin + INSTANT, end=max(after) + INSTANT) if after else None
