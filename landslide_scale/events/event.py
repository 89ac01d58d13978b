"""One event, by all the ids it was ever known by."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from landslide_scale.errors import InvalidFeedError

EARTHQUAKE = "earthquake"

LONGEST_ID = 200
"""Characters; an id becomes the name of a folder."""

_FARTHEST = (180.0, 90.0)


@dataclass(frozen=True, kw_only=True)
class Event:
    """What happened, where and when.

    Attributes:
        id: The preferred one.
        ids: All it was ever known by, `id` among them, sorted.
        origin: When it began, UTC.
        place: In words; empty where nobody says.
        lon, lat: Degrees, -180 to 180 and -90 to 90.
        depth_km: Of an earthquake's hypocentre.
        magnitude: None where it is not known yet.
        kind: ``earthquake``, another word of a feed, or what a person gave.
        updated: When this was said, UTC.
        url: Of its detail; empty of one that was given by hand.
    """

    id: str
    ids: tuple[str, ...]
    origin: datetime
    place: str
    lon: float
    lat: float
    depth_km: float
    magnitude: float | None
    kind: str
    updated: datetime
    url: str

    def __post_init__(self) -> None:
        for name in self.ids:
            check_id(name)
        if self.id not in self.ids:
            raise InvalidFeedError(f"id {self.id}", expected=f"one of its ids {', '.join(self.ids)}")
        if not all(abs(value) <= most for value, most in zip((self.lon, self.lat), _FARTHEST, strict=True)):
            raise InvalidFeedError(f"a place at {self.lon}, {self.lat}", expected="degrees", event=self.id)
        numbers = [self.depth_km, *([] if self.magnitude is None else [self.magnitude])]
        if not all(math.isfinite(value) for value in numbers):
            raise InvalidFeedError(f"numbers {numbers}", expected="a depth in km and a magnitude", event=self.id)
        if self.origin.utcoffset() is None or self.updated.utcoffset() is None:
            raise InvalidFeedError("an instant without a time zone", expected="UTC instants", event=self.id)

    @property
    def given_by_hand(self) -> bool:
        """Whether a person gave it, and no feed."""
        return not self.url

    @property
    def title(self) -> str:
        """Where it was, or what, how large and when, in words."""
        size = "" if self.magnitude is None else f", magnitude {self.magnitude:.1f}"
        return f"{self.place or self.kind}{size}, {self.origin:%Y-%m-%d %H:%M} UTC"

    def is_same(self, other: Event) -> bool:
        """Whether both are one event: any id of one is one of the other."""
        return not set(self.ids).isdisjoint(other.ids)

    def told(self, later: Event) -> Event:
        """What `later` says of this event, with the ids of both; what was said last counts, in whatever order."""
        newest = max(self, later, key=lambda one: one.updated)
        return replace(newest, ids=tuple(sorted({*self.ids, *later.ids})))


def check_id(name: str) -> None:
    """Refuse what cannot be an event's id: it becomes the name of a folder and a part of addresses.

    Raises:
        InvalidFeedError: It is empty, too long, or has other characters than letters, digits, ``-``, ``_`` and ``.``.
    """
    plain = name.isascii() and all(letter.isalnum() or letter in "-_." for letter in name)
    if not (plain and 0 < len(name) <= LONGEST_ID and name.strip(".")):
        raise InvalidFeedError(
            f"the id {name[:LONGEST_ID]!r}", expected=f"1 to {LONGEST_ID} letters, digits, -, _ and points"
        )


def from_milliseconds(value: object) -> datetime:
    """An instant of a feed, which counts milliseconds since 1970 UTC.

    Raises:
        ValueError: It is none.
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"{str(value)[:40]!r} is no number of milliseconds")  # noqa: TRY004 it is of a file
    try:
        return datetime.fromtimestamp(value / 1000, tz=UTC)
    except (OverflowError, OSError, ValueError) as error:
        raise ValueError(f"{value} is no number of milliseconds since 1970") from error
