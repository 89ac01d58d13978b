"""One version of what is known of an event: what it was made of, what it says, and how it differs from the last."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from typing import Any

from landslide_scale.errors import RunConflictError
from landslide_scale.products.manifest import Stored
from landslide_scale.products.names import is_inside
from landslide_scale.scene import utc
from landslide_scale.storage.rundir import RunDirectory

FORMAT = 1

VERSIONS, VERSION = "versions", "version.json"
"""Folder of an event's versions, and the file that is written last in the folder of one."""

LATEST = "latest.json"
"""In an event's folder: which version is the newest. It is switched last, and whole."""

RESPONSE, ITEMS = "response.json", "monty/"
"""In a version's folder: the STAC Item of the version, and where those lie that it points to."""

PRELIMINARY = "preliminary, not field-validated"

LANDSLIDES, CANDIDATES = "landslides", "candidates of vegetation loss"
"""What polygons are, by a network and without one."""


@dataclass(frozen=True, kw_only=True)
class MadeOf:
    """All that a version's bytes depend on, besides the package; the same of it makes no new version.

    Attributes:
        run: Folder of the scan, below the event's; empty before there is one.
        cube_sha256: Of what its ledger says is stored; empty before there is one.
        area_sha256: Of the ground to be looked at.
        asked_sha256: Of everything else that products are asked for by: settings, whether the event has ended.
        verdicts: Number of the newest verdicts that are applied; 0 for none.
        confirmed_by: The analyst who stands for it; empty while it is preliminary.
    """

    run: str
    cube_sha256: str
    area_sha256: str
    asked_sha256: str = ""
    verdicts: int = 0
    confirmed_by: str = ""

    def is_as(self, other: MadeOf) -> bool:
        """Whether the same would come of it, wherever its scan lies."""
        return replace(self, run="") == replace(other, run="")

    def has_data_of(self, other: MadeOf) -> bool:
        """Whether it is of the same observations of the same ground."""
        return (self.cube_sha256, self.area_sha256) == (other.cube_sha256, other.area_sha256)


@dataclass(frozen=True, kw_only=True)
class Figures:
    """What a version says in numbers; None is not known.

    Attributes:
        asked_km2: Ground to be looked at.
        observed_km2: Of it, what was seen clear since the event.
        hidden_km2: Of it, what was not.
        landslides: Mapped ones that no analyst has rejected; candidates of vegetation loss where no network looked.
        landslide_km2: Their area.
        landslide_km2_range: Least and largest area of all landslides on observed ground, 5 to 95 %.
        mapped: What they are, in words.
    """

    asked_km2: float
    observed_km2: float
    hidden_km2: float
    landslides: int | None = None
    landslide_km2: float | None = None
    landslide_km2_range: tuple[float, float] | None = None
    mapped: str = LANDSLIDES

    @property
    def counted(self) -> str:
        """How many and how large, in words; empty where nothing was looked for."""
        return "" if self.landslides is None else f"{self.landslides} {self.mapped}, {self.landslide_km2:.3f} km2"


@dataclass(frozen=True, kw_only=True)
class Difference:
    """What a version has that the one before it had not; landslides by id, ascending.

    Attributes:
        newly_observed_km2: Ground that was hidden then.
        new: Landslides that are of no ground of an earlier one.
        grown, shrunk: By more than the stated share of their area.
        same: All others that were there.
        merged: Earlier ones that another took in.
        gone: Earlier ones that nothing is left of.
    """

    newly_observed_km2: float
    new: tuple[str, ...] = ()
    grown: tuple[str, ...] = ()
    shrunk: tuple[str, ...] = ()
    same: tuple[str, ...] = ()
    merged: tuple[str, ...] = ()
    gone: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Version:
    """What was published. It is never changed.

    Attributes:
        event: Id of the event.
        number: From 0, without gaps; also the name of its folder, with four digits.
        release: From 1; the next where the data are others.
        version: Of the release, from 1; the next where its data are said otherwise: a correction.
        published: Aware UTC instant; of what was recorded when it was begun.
        made_of: What it depends on.
        figures: What it says in numbers.
        difference: From the one before; None of the first.
        files: All others in its folder, by name there.
        unapplied: Ids of landslides that verdicts are about and that it has not.
    """

    event: str
    number: int
    release: int
    version: int
    published: datetime
    made_of: MadeOf
    figures: Figures
    difference: Difference | None = None
    files: Mapping[str, Stored] = field(default_factory=dict)
    unapplied: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        numbers = self.number >= 0 and self.release >= 1 and self.version >= 1
        assert numbers, (self.number, self.release, self.version)  # noqa: S101 our own invariant
        assert self.published.utcoffset() is not None, self.published  # noqa: S101 as above

    @property
    def state(self) -> str:
        """How far it can be trusted, in words."""
        by = self.made_of.confirmed_by
        return f"confirmed by {by}" if by else PRELIMINARY

    @property
    def folder(self) -> str:
        """Below the event's."""
        return folder_of(self.number)

    def content(self) -> dict[str, Any]:
        """As JSON has it, in a fixed order."""
        said = asdict(self) | {"format": FORMAT, "state": self.state, "published": self.published.isoformat()}
        said["files"] = {name: asdict(known) for name, known in sorted(self.files.items())}
        return said


@dataclass(frozen=True, kw_only=True)
class Standing:
    """What an event is at, as it is said beside its newest version.

    Attributes:
        state: In a word.
        why: That in words.
        remarks: What else is to be known of it.
    """

    state: str
    why: str = ""
    remarks: tuple[str, ...] = ()

    def content(self) -> dict[str, Any]:
        """As JSON has it."""
        return {"event_state": self.state, "event_why": self.why, "event_remarks": list(self.remarks)}


@dataclass(frozen=True, kw_only=True)
class Latest:
    """Which version is the newest.

    Attributes:
        number: Of it.
        folder: Below the event's.
        sha256: Of its version.json.
        event: What the event is at.
        state: How far the version can be trusted.
        figures: Its own.
    """

    number: int
    folder: str
    sha256: str
    event: Standing
    state: str
    figures: Figures


def folder_of(number: int) -> str:
    """Of a version, below its event's folder."""
    return f"{VERSIONS}/{number:04d}"


def read_latest(folder: RunDirectory) -> Latest | None:
    """The newest version of an event; None before there is one, when the file says what the event is at alone.

    Args:
        folder: The event's.

    Raises:
        RunConflictError: The file is something else.
    """
    if not folder.exists(LATEST):
        return None
    said = _of_ours(folder, LATEST)
    try:
        if said["number"] is None:
            return None
        event = Standing(
            state=said.pop("event_state"),
            why=said.pop("event_why", ""),
            remarks=tuple(said.pop("event_remarks", ())),
        )
        return Latest(**{**said, "event": event, "figures": _figures(said["figures"])})
    except (KeyError, TypeError) as error:
        raise not_ours(folder, LATEST, error) from error


def read_version(folder: RunDirectory, number: int) -> Version:
    """A version that was finished.

    Args:
        folder: The event's.
        number: Of the version.

    Raises:
        RunConflictError: There is none, or the file is something else.
    """
    name = f"{folder_of(number)}/{VERSION}"
    if not folder.exists(name):
        raise RunConflictError(f"no {name}", expected="a version that was finished", event=folder)
    said = _of_ours(folder, name)
    try:
        return _version(said)
    except (KeyError, TypeError, ValueError) as error:
        raise not_ours(folder, name, error) from error


def _version(said: dict[str, Any]) -> Version:
    change: dict[str, Any] | None = said["difference"]
    files = {name: Stored(**one) for name, one in said["files"].items()}
    for name in files:
        if not is_inside(name):
            raise ValueError(f"file {name!r}")
    known: dict[str, Any] = said | {
        "published": utc(said["published"]),
        "made_of": MadeOf(**said["made_of"]),
        "figures": _figures(said["figures"]),
        "difference": None if change is None else Difference(**_tuples(change)),
        "files": files,
        "unapplied": tuple(said["unapplied"]),
    }
    del known["state"]
    return Version(**known)


def _tuples(said: dict[str, Any]) -> dict[str, Any]:
    return {name: tuple(value) if isinstance(value, list) else value for name, value in said.items()}


def _figures(said: dict[str, Any]) -> Figures:
    some = said["landslide_km2_range"]
    return Figures(**said | {"landslide_km2_range": None if some is None else tuple(some)})


def _of_ours(folder: RunDirectory, name: str) -> dict[str, Any]:
    """A file's content without its format, which is checked."""
    try:
        return of_format(folder.read(name), FORMAT)
    except (ValueError, KeyError, TypeError) as error:
        raise not_ours(folder, name, error) from error


def of_format(content: bytes, number: int) -> dict[str, Any]:
    """A JSON file's content, without the number of its format.

    Raises:
        ValueError, KeyError, TypeError: It is of another format, or none.
    """
    said = dict(json.loads(content))
    if said.pop("format") != number:
        raise ValueError("another format")
    return said


def not_ours(folder: RunDirectory, name: str, error: Exception, *, cure: str = "") -> RunConflictError:
    """What is raised of a file in an event's folder that :func:`of_format`, or what is made of it, does not take."""
    return RunConflictError(
        f"a {name} of something else ({type(error).__name__}: {error})",
        expected=f"one of this package, of format {FORMAT}",
        cure=cure,
        event=folder,
    )
