"""One Sentinel-2 acquisition of one tile, and the periods scenes are gathered into."""

from __future__ import annotations

from calendar import isleap
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import MAXYEAR, UTC, datetime
from functools import cached_property
from typing import Any

from landslide_scale.errors import InvalidConfigError

MOST_YEARS = 50
"""Of one window; Sentinel-2 began in 2015."""


@dataclass(frozen=True, kw_only=True, order=True)
class Window:
    """What scenes make one layer: the UTC instants ``start <= t < end``, and the same days of later years.

    Attributes:
        start: ISO date, at midnight UTC, or instant; of the first year.
        end: ISO date or instant of the first year; not part of the window itself.
        years: How many years in a row, the first among them.
    """

    start: datetime
    end: datetime
    years: int = 1

    def __post_init__(self) -> None:
        if self.start.tzinfo is None or self.end.tzinfo is None:
            raise InvalidConfigError("an instant without a time zone", expected="UTC instants", key="windows")
        if self.start >= self.end:
            raise InvalidConfigError(
                f"start {self.start.isoformat()} is not before end {self.end.isoformat()}",
                expected="start before end (the end itself is not part of the window)",
                key="windows",
            )
        if not 1 <= self.years <= MOST_YEARS or self.end.year + self.years - 1 > MAXYEAR:
            raise InvalidConfigError(
                f"{self.years} years from {self.start.isoformat()} on", expected=f"1 to {MOST_YEARS}", key="windows"
            )
        if self.years > 1 and self.end >= years_on(self.start, 1):
            raise InvalidConfigError(
                f"years {self.years} of {self.start.isoformat()} to {self.end.isoformat()}, "
                "which reaches the next year's",
                expected="a season, of less than a year",
                cure="One window without years may be as long as you like.",
                key="windows",
            )

    @classmethod
    def recorded(cls, known: Mapping[str, Any]) -> Window:
        """A window as a run keeps it."""
        return cls(start=utc(known["start"]), end=utc(known["end"]), years=known.get("years", 1))

    @cached_property
    def spans(self) -> tuple[Window, ...]:
        """Each year by itself; the 29th of February is in leap years alone."""
        each = [(years_on(self.start, number), years_on(self.end, number)) for number in range(self.years)]
        return tuple(Window(start=start, end=end) for start, end in each if start < end)

    @property
    def until(self) -> datetime:
        """The end of the last year."""
        return self.spans[-1].end

    @property
    def days(self) -> str:
        """As people are told of it: the day it begins and the day it ends, and the year of the last such time."""
        return f"{self.start:%Y-%m-%d} to {self.end:%Y-%m-%d}{self._each_year}"

    @property
    def instants(self) -> str:
        """The same to the second."""
        return f"{self.start.isoformat()} to {self.end.isoformat()}{self._each_year}"

    @property
    def _each_year(self) -> str:
        return f", each year to {self.spans[-1].start:%Y}" if self.years > 1 else ""

    def holds(self, instant: datetime) -> bool:
        """Whether `instant` lies in the window."""
        return any(span.start <= instant < span.end for span in self.spans)


def years_on(instant: datetime, years: int) -> datetime:
    """The same time so many years later; of the 29th of February, where there is none, the instant that follows it."""
    year = instant.year + years
    if (instant.month, instant.day) == (2, 29) and not isleap(year):
        return datetime(year, 3, 1, tzinfo=instant.tzinfo)
    return instant.replace(year=year)


FIRST_BASELINE_WITH_OFFSET = (4, 0)


@dataclass(frozen=True, kw_only=True, slots=True)
class Access:
    """Which hosts the reading of a scene may touch, redirects included.

    Attributes:
        hosts: All of them, in lower case; none: that of the address itself.
        named: Those that the user named, which may therefore be in a private network.
        ports: Those that the user named beside 80 and 443, as ``host:port``, or all of a host as ``host:*``.
        signer: Where addresses are signed just before they are read; None where they are open.
        signed: Hosts whose addresses are signed.
        section: Of the configuration that says so.
    """

    hosts: tuple[str, ...] = ()
    named: tuple[str, ...] = ()
    ports: tuple[str, ...] = ()
    signer: str | None = None
    signed: tuple[str, ...] = ()
    section: str = "catalog"


@dataclass(frozen=True, kw_only=True, slots=True)
class Scene:
    """What a worker needs to know of a scene: no catalogue object crosses a process.

    Attributes:
        id: The catalogue's id.
        tile: MGRS tile, as ``33TWM``.
        epsg: Coordinate reference system its assets are published in.
        bounds: (west, south, east, north) of its rasters in that system, metres.
        sensed: Acquisition instant, UTC.
        datatake: Datatake without its processing baseline: one datatake is one observation of a pixel.
        datastrip: Sensing start of the datastrip, or the whole identifier where it does not say.
        baseline: Processing baseline as (major, minor).
        generated: When the product was made, UTC; the later of two processings wins.
        cloud_cover: Percent, 0 to 100.
        offset: What is added to a digital number before division by 10 000.
        offset_rule: Why that offset, for the ledger.
        assets: (band, href) pairs, ``scl`` among them.
        access: What their reading may touch.
        quarantine: Why the scene must not be used; empty where it may be.
        doubtful: Whether the catalogue's word on the offset may be wrong, and its pixels have not been asked yet.
    """

    id: str
    tile: str
    epsg: int
    bounds: tuple[float, float, float, float]
    sensed: datetime
    datatake: str
    datastrip: str
    baseline: tuple[int, int]
    generated: datetime
    cloud_cover: float
    offset: int
    offset_rule: str
    assets: tuple[tuple[str, str], ...]
    access: Access = Access()
    quarantine: str = ""
    doubtful: bool = False

    @property
    def zero_is_data(self) -> bool:
        """Whether a digital number of 0 may be dark ground: the provider took the offset off and stopped at 0."""
        return self.baseline >= FIRST_BASELINE_WITH_OFFSET and self.offset == 0

    def href(self, band: str) -> str:
        """Address of a band's asset."""
        return dict(self.assets)[band]


@dataclass(frozen=True, kw_only=True, slots=True)
class Unused:
    """A scene of a catalogue that is not used, as far as it is known where and when it saw what.

    Attributes:
        id: The catalogue's id, fit for a line of a log.
        quarantine: Why it is not used.
        sensed: Acquisition instant, UTC; None where nothing says so: it may be of any window.
        tile: MGRS tile; empty where that is not known.
        epsg: System of `bounds`.
        bounds: (west, south, east, north) of its rasters, or of its footprint; all the world where nothing says so.
    """

    id: str
    quarantine: str
    sensed: datetime | None = None
    tile: str = ""
    epsg: int = 4326
    bounds: tuple[float, float, float, float] = (-180.0, -90.0, 180.0, 90.0)

    @classmethod
    def of(cls, scene: Scene) -> Unused:
        """What is left to say of a scene in quarantine."""
        return cls(
            id=scene.id,
            quarantine=scene.quarantine,
            sensed=scene.sensed,
            tile=scene.tile,
            epsg=scene.epsg,
            bounds=scene.bounds,
        )


def newest_processing(scenes: Iterable[Scene]) -> list[Scene]:
    """One scene for each datatake, tile and datastrip: the newest baseline, then the latest generation.

    Other datastrips of the same datatake and tile complement each other and are all kept. Sorted by sensing
    instant, tile and id, so that the order does not depend on the catalogue's paging.
    """
    best: dict[tuple[str, str, str], Scene] = {}
    for scene in scenes:
        key = _strip(scene)
        if key not in best or _age(scene) > _age(best[key]):
            best[key] = scene
    return sorted(best.values(), key=lambda scene: (scene.sensed, scene.tile, scene.id))


def by_processing(scenes: Iterable[Scene]) -> list[tuple[int, Scene]]:
    """Every scene with its place, from 0, among those of its datatake, tile and datastrip: the newest is 0.

    Not all names tell two halves of a tile from two processings of one, so none is left out: what the newest has no
    data for, the next may. In the order to take them in, which depends on the scenes alone: all of place 0 first, by
    tile, the newest first (names may differ where only the processing does), datastrip and id; then all of place 1.
    """
    places: Counter[tuple[str, str, str]] = Counter()
    found: list[tuple[int, Scene]] = []
    for scene in sorted(scenes, key=_age, reverse=True):
        found.append((places[_strip(scene)], scene))
        places[_strip(scene)] += 1
    found.sort(key=lambda one: (one[1].datastrip, one[1].id))
    found.sort(key=lambda one: _age(one[1])[:2], reverse=True)  # a stable sort, either way round
    return sorted(found, key=lambda one: (one[0], one[1].tile))


def _strip(scene: Scene) -> tuple[str, str, str]:
    return scene.datatake, scene.tile, scene.datastrip


def _age(scene: Scene) -> tuple[tuple[int, int], datetime, str]:
    return scene.baseline, scene.generated, scene.id


def utc(text: str) -> datetime:
    """An RFC 3339 instant as an aware UTC datetime; without an offset it is taken as UTC."""
    instant = datetime.fromisoformat(text)
    return instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)
