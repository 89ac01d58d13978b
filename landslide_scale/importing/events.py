"""Which event a patch shows, and whether its frames can be used: the rules, one reason for each that is broken."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Literal

from landslide_scale.importing.patch import Header

OFFSET_SINCE = date(2022, 1, 25)
"""From here on products carry an offset (processing baseline 04.00), which the publishers took off."""

_PAIRS = re.compile(r"(?:\{'pre': ?\d+, ?'post': ?\d+\}(?:, ?|$))+")
_PAIR = re.compile(r"\{'pre': ?(\d+), ?'post': ?(\d+)\}")


@dataclass(frozen=True, kw_only=True)
class Unfit:
    """Why no chip is made of a patch.

    Attributes:
        outcome: ``skipped``: it is as published, and no label of one event. ``quarantined``: something is wrong with
            it.
        reason: The same words for all patches of the kind, so that they can be counted.
        detail: What it is in this one.
    """

    outcome: Literal["skipped", "quarantined"]
    reason: str
    detail: str = ""


@dataclass(frozen=True, kw_only=True)
class Event:
    """What happened on the ground of a patch.

    Attributes:
        day: When.
        frames: Numbers of the frames to take, ascending: of each day after it the first.
        certain: Whether the day is the inventory's own, and no estimate from the images.
    """

    day: date
    frames: tuple[int, ...]
    certain: bool


def event_of(header: Header, *, name: str, low_quality: Collection[str], days: int) -> Event | Unfit:
    """The one event of a patch, and the frames that show its ground after it.

    Args:
        header: What the file says.
        name: Of the patch, as the authors' lists have it.
        low_quality: Names that are left out.
        days: Frames of so many days after the event are taken.
    """
    if not header.annotated:
        return Unfit(outcome="skipped", reason="not annotated: nobody looked for landslides in it")
    if name in low_quality:
        return Unfit(outcome="skipped", reason="on the list of low quality")
    if header.days[0] < OFFSET_SINCE <= header.days[-1]:
        return Unfit(
            outcome="quarantined",
            reason=f"a series over {OFFSET_SINCE}, of which only a part may have had its offset taken off",
            detail=f"{header.days[0]} to {header.days[-1]}",
        )
    dates = sorted({text.strip() for text in header.dates.split(",")})
    if len(dates) > 1:
        return Unfit(
            outcome="skipped",
            reason="several events, which one mask does not tell apart",
            detail=", ".join(dates),
        )
    try:
        day = date.fromisoformat(dates[0])
    except ValueError:
        return Unfit(outcome="skipped", reason="no day of the event", detail=repr(dates[0]))
    return _bracketed(header, day, days)


def _bracketed(header: Header, day: date, days: int) -> Event | Unfit:
    pairs = {(int(pre), int(post)) for pre, post in _PAIR.findall(header.pairs)}
    if not _PAIRS.fullmatch(header.pairs) or len(pairs) != 1:
        return Unfit(outcome="skipped", reason="no single pair of frames around the event", detail=header.pairs)
    pre, post = next(iter(pairs))
    last = len(header.days) - 1
    if not (pre < post <= last and header.days[pre] < day <= header.days[post]):
        return Unfit(
            outcome="skipped",
            reason="the event does not lie between its pair of frames",
            detail=f"{day}; pre {pre}, post {post} of {last + 1} frames",
        )
    first: dict[date, int] = {}
    for number in range(post, last + 1):
        if day < header.days[number] <= day + timedelta(days=days):
            first.setdefault(header.days[number], number)
    if not first:
        return Unfit(outcome="skipped", reason=f"no frame within {days} days after the event", detail=str(day))
    certain = all(text.strip() in {"1", "1.0"} for text in header.confidence.split(","))
    return Event(day=day, frames=tuple(first.values()), certain=certain)
