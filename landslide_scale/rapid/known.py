"""What is known of an event that is followed, as its folder holds it: written whole, and read by the next cycle."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import date, datetime
from typing import Any, Literal, get_args

from landslide_scale.errors import InvalidInputError, RunConflictError
from landslide_scale.events.area import Area
from landslide_scale.events.event import Event
from landslide_scale.scene import Window, utc
from landslide_scale.storage.rundir import RunDirectory

EVENTS = "events"
"""Folder of all events that are followed."""

KNOWN, AREA = "event.json", "area.geojson"
"""In an event's folder."""

State = Literal[
    "waiting",
    "withdrawn",
    "refused",
    "at sea",
    "too large",
    "region unreadable",
    "no scene",
    "catalogue away",
    "feed away",
    "feed malformed",
    "no location",
    "gone",
    "checkpoint missing",
    "incomplete",
    "mapped",
    "ended",
    "deleted",
    "merged",
    "failed",
]
"""What an event is at. ``waiting``: something that the gates ask is not known yet; ``withdrawn``: its ShakeMap, which
they waited for. ``refused``: by a gate; ``at sea`` and ``too large``: by those of land. ``region unreadable``: the
ground that a person gave. ``no scene``: none was sensed since. ``feed malformed``: its detail is no event's, ``no
location`` where that alone is missing. ``gone``: its service knows it no more. ``incomplete``: units of its newest map
failed, and are tried again. ``ended``: nothing more is looked for. ``deleted``: its feed says that it was none.
``merged``: it is known by another id now."""

UNREADABLE: State = "region unreadable"

OUTSIDE: tuple[State, ...] = ("waiting", "withdrawn", "refused", "at sea", "too large")
"""Of those that the gates let not pass, or not yet."""

TROUBLE: tuple[State, ...] = (
    *("catalogue away", "feed away", "feed malformed", "no location", "gone", "checkpoint missing"),
    *(UNREADABLE, "failed", "incomplete"),
)
"""What did not work, and is tried again by the next cycle."""

OVER: tuple[State, ...] = ("ended", "deleted", "merged")

_MOST_DECISIONS = 50
_AGE = re.compile(r"no ShakeMap -?[\d,.]+ h|hours -?[\d,.]+")
"""What of a decision changes by the mere passing of time."""


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A scan of the event, as it was begun.

    Attributes:
        number: From 1; its folder is named so.
        windows: Before and after the event.
        scenes: Ids of those sensed after it that were known, sorted.
        area_sha256: Of the ground.
    """

    number: int
    windows: tuple[Window, Window]
    scenes: tuple[str, ...]
    area_sha256: str

    @property
    def folder(self) -> str:
        """Below the event's."""
        return f"runs/{self.number:04d}"

    @property
    def region(self) -> str:
        """Its ground, a file below the event's folder."""
        return f"runs/{self.number:04d}.geojson"


@dataclass(frozen=True, kw_only=True)
class Followed:
    """An event that is followed.

    Attributes:
        event: As it is known now.
        heard: When it was first heard of, UTC.
        state: What it is at.
        why: That in words, with what is to be done about it.
        area: Ground to be looked at; None before it is known.
        shakemap: Which one `area` is of, and its address; empty without one.
        max_mmi: Strongest shaking over land by it.
        withdrawn: Whether its ShakeMap was withdrawn: what was to be looked at stays so.
        decisions: When the gates decided what, the last ones.
        asked: Its newest scan; None before there is one.
        next_pass: Day the next satellite is due over it.
    """

    event: Event
    heard: datetime
    state: State = "waiting"
    why: str = ""
    area: Area | None = None
    shakemap: tuple[str, str] = ("", "")
    max_mmi: float | None = None
    withdrawn: bool = False
    decisions: tuple[tuple[str, str], ...] = ()
    asked: Asked | None = None
    next_pass: date | None = None

    def __post_init__(self) -> None:
        if self.state not in get_args(State):
            raise InvalidInputError(f"state {self.state}", expected=", ".join(get_args(State)), event=self.event.id)

    @property
    def over(self) -> bool:
        """Whether nothing more is done about it."""
        return self.state in OVER

    def at(self, state: State, why: str = "") -> Followed:
        """The same at another state."""
        return replace(self, state=state, why=why)

    def decided(self, instant: datetime, decision: str, kind: str) -> Followed:
        """The same with a decision noted, where it is another than the last, or of other figures than the age."""
        told = f"{kind}{decision}"
        if self.decisions and _AGE.sub("", self.decisions[-1][1]) == _AGE.sub("", told):
            return self
        noted = (*self.decisions, (instant.isoformat(timespec="seconds"), told))
        return replace(self, decisions=noted[-_MOST_DECISIONS:])


def keep(folder: RunDirectory, known: Followed) -> None:
    """Write down what is known of an event; what is there already is not written again.

    Args:
        folder: The event's.
        known: What is known.
    """
    if known.area is not None:
        _write(folder, AREA, known.area.as_feature())
    said = {name: value for name, value in asdict(replace(known, area=None)).items() if name != "area"}
    _write(folder, KNOWN, json.loads(json.dumps(said, default=_text)))


def _write(folder: RunDirectory, name: str, content: object) -> None:
    whole = json.loads(json.dumps(content))
    if not (folder.exists(name) and folder.read_json(name) == whole):
        folder.write_json(name, whole)


def _text(value: object) -> str:
    if isinstance(value, datetime | date):
        return value.isoformat()
    raise TypeError(type(value).__name__)


def load(folder: RunDirectory) -> Followed | None:
    """What is known of an event; None where nothing is.

    Args:
        folder: The event's.

    Raises:
        RunConflictError: What is there is something else.
    """
    if not folder.exists(KNOWN):
        return None
    try:
        area = Area.from_feature(folder.read_json(AREA)) if folder.exists(AREA) else None
        return replace(_followed(folder.read_json(KNOWN)), area=area)
    except (ValueError, KeyError, TypeError, AttributeError, InvalidInputError) as error:
        raise RunConflictError(
            f"an {KNOWN} of something else ({type(error).__name__}: {error})",
            expected="one of this package",
            cure="Move the folder away: the event is begun anew.",
            event=folder,
        ) from error


def _followed(said: Mapping[str, Any]) -> Followed:
    event, asked = said["event"], said["asked"]
    return Followed(
        event=Event(
            **event | {"ids": tuple(event["ids"]), "origin": utc(event["origin"]), "updated": utc(event["updated"])}
        ),
        heard=utc(said["heard"]),
        state=said["state"],
        why=said["why"],
        shakemap=tuple(said["shakemap"]),
        max_mmi=said["max_mmi"],
        withdrawn=said["withdrawn"],
        decisions=tuple((instant, told) for instant, told in said["decisions"]),
        asked=None if asked is None else _asked(asked),
        next_pass=None if said["next_pass"] is None else date.fromisoformat(said["next_pass"]),
    )


def _asked(said: Mapping[str, Any]) -> Asked:
    before, after = map(Window.recorded, said["windows"])
    return Asked(
        number=said["number"],
        windows=(before, after),
        scenes=tuple(said["scenes"]),
        area_sha256=said["area_sha256"],
    )


def folder_of(root: RunDirectory, event: str) -> RunDirectory:
    """The folder of an event, by its id when it was first followed."""
    return RunDirectory(root.at(f"{EVENTS}/{event}"))


def every(root: RunDirectory) -> Iterator[tuple[RunDirectory, Followed]]:
    """All events that were ever followed here, by the names of their folders.

    Raises:
        RunConflictError: As for :func:`load`.
    """
    for name in root.folders(EVENTS):
        folder = folder_of(root, name)
        known = load(folder)
        if known is not None:
            yield folder, known
