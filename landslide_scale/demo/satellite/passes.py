"""When the made satellites pass, under which sun and sky, and the day the ground gave way."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime

from landslide_scale.scene import Window

EVENT = date(2023, 8, 3)
BEFORE = Window(start=datetime(2023, 6, 1, tzinfo=UTC), end=datetime(2023, 8, 3, tzinfo=UTC))
AFTER = Window(start=datetime(2023, 8, 4, tzinfo=UTC), end=datetime(2023, 9, 5, tzinfo=UTC))


@dataclass(frozen=True, kw_only=True)
class Pass:
    """One datatake.

    Attributes:
        platform: ``sentinel-2a`` or ``sentinel-2b``.
        sensed: UTC.
        orbit: Absolute orbit number, for the datatake's name.
        azimuth, elevation: Of the sun, degrees.
        cloud: Share of the ground under cloud.
        haze: Reflectance added to blue.
        shift: Misregistration (rows, columns) in half pixels of 10 m.
        swath_from: Share of the ground's width west of which the swath has no data.
    """

    platform: str
    sensed: datetime
    orbit: int
    azimuth: float
    elevation: float
    cloud: float
    haze: float
    shift: tuple[int, int]
    swath_from: float = 0.0

    @property
    def after(self) -> bool:
        """Whether the event has happened."""
        return self.sensed.date() >= EVENT


def _pass(
    day: date, platform: str, orbit: int, sun: tuple[float, float], *, cloud: float, haze: float,
    shift: tuple[int, int], swath_from: float = 0.0,
) -> Pass:  # fmt: skip
    sensed = datetime(day.year, day.month, day.day, 9, 58, 11, 662_000, tzinfo=UTC)
    return Pass(
        platform=platform, sensed=sensed, orbit=orbit, azimuth=sun[0], elevation=sun[1],
        cloud=cloud, haze=haze, shift=shift, swath_from=swath_from,
    )  # fmt: skip


PASSES = (
    _pass(date(2023, 6, 26), "sentinel-2a", 41832, (146.0, 62.0), cloud=0.12, haze=0.004, shift=(0, 1)),
    _pass(date(2023, 7, 11), "sentinel-2b", 33138, (146.0, 61.0), cloud=0.25, haze=0.006, shift=(-1, 0)),
    _pass(date(2023, 7, 26), "sentinel-2a", 42261, (148.0, 59.0), cloud=0.04, haze=0.003, shift=(1, 1)),
    _pass(date(2023, 8, 5), "sentinel-2a", 42404, (150.0, 57.0), cloud=0.26, haze=0.008, shift=(1, 0)),
    _pass(
        date(2023, 8, 15), "sentinel-2a", 42547, (152.0, 54.5), cloud=0.03, haze=0.003, shift=(0, -1), swath_from=0.28
    ),
    _pass(date(2023, 8, 20), "sentinel-2b", 33710, (153.0, 53.0), cloud=0.10, haze=0.004, shift=(-1, 1)),
    _pass(date(2023, 8, 30), "sentinel-2b", 33853, (156.0, 50.0), cloud=0.06, haze=0.005, shift=(1, -1)),
)
"""Three datatakes before the event and four after it; that of 15 August has its swath's edge across the ground."""
