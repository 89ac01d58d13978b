"""What an analyst filled in, read back from a copy of a version's landslides, and applied to the next.

Verdicts are kept as they came (``verdicts/<nnnn>.json`` in the event's folder), and only what changed: a copy is
compared with the version that it was made of, which its rows name by ``run_id``.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from landslide_scale.errors import InvalidInputError, RunConflictError
from landslide_scale.products import names
from landslide_scale.products.heritage import Judgement, Verdict
from landslide_scale.rapid.publication.landslides import Key, Landslide, landslides_of, read_copy, refused
from landslide_scale.rapid.publication.version import of_format, read_latest, read_version
from landslide_scale.redaction import redacted
from landslide_scale.storage.rundir import RunDirectory

log = logging.getLogger(__name__)

FORMAT = 1
VERDICTS = "verdicts"
"""Folder in the event's."""

_RUN_ID = 12
_MOST_NAMED = 3


@dataclass(frozen=True, kw_only=True)
class Brought:
    """Verdicts that were brought in.

    Attributes:
        number: From 1; 0 where nothing had changed, and nothing was written.
        judgements: Of each landslide of which another verdict was given.
        left_out: Landslides of the version that the copy has not; that is no verdict on them.
    """

    number: int
    judgements: tuple[Judgement, ...] = ()
    left_out: int = 0


def bring_in(folder: RunDirectory, file: str, now: datetime) -> Brought:
    """Keep the verdicts of a copy of a version's landslides: GeoPackage, GeoParquet or GeoJSON.

    Args:
        folder: The event's.
        file: Path or URL of the copy.
        now: The instant, aware UTC.

    Raises:
        InvalidInputError: It cannot be read, is of no version of this event, or holds a value or an id that there is
            not; nothing was written.
    """
    rows = read_copy(file)
    published = _Published(folder)
    judgements, of = [], set[str]()
    for row in rows:
        states = published.of_run(row.run_id, file)
        of.add(row.run_id)
        there = [known[row.key] for known in states if row.key in known]
        if not there:
            raise refused(f"landslide {row.key[1]}", "ids of the version that the copy was made of", file)
        if row.said not in [known.said for known in there]:
            judgements.append(Judgement(layer=row.key[0], id=row.key[1], said=row.said, area_m2=there[-1].area_m2))
    known = {(one.layer, one.id): one.said for one in judgements_of(folder)}
    new = tuple(one for one in judgements if known.get((one.layer, one.id)) != one.said)
    in_file = {row.key for row in rows}
    left_out = sum(len(published.of_run(run, file)[-1].keys() - in_file) for run in of)
    if not new:
        return Brought(number=0, left_out=left_out)
    number = _write(folder, {"brought": now.isoformat(), "file": redacted(file), "judgements": _told(new)})
    return Brought(number=number, judgements=new, left_out=left_out)


def confirm(folder: RunDirectory, number: int, by: str, now: datetime) -> int:
    """Keep that an analyst stands for a version's data: it is preliminary no longer; the number of that verdict.

    Args:
        folder: The event's.
        number: Of the version.
        by: Who.
        now: The instant, aware UTC.

    Raises:
        InvalidInputError: There is no such version, or nobody is named; nothing was written.
    """
    if not by.strip():
        raise InvalidInputError("nobody", expected="the name of who confirms it", version=number)
    made_of = read_version(folder, number).made_of
    data = {"cube_sha256": made_of.cube_sha256, "area_sha256": made_of.area_sha256}
    return _write(folder, {"brought": now.isoformat(), "confirms": {"version": number, "by": by.strip(), **data}})


def confirmed_by(folder: RunDirectory, cube_sha256: str, area_sha256: str) -> str:
    """Who stands for these data; empty for nobody.

    Args:
        folder: The event's.
        cube_sha256: As of what a version is made of.
        area_sha256: As that.
    """
    said = [one["confirms"] for _, one in _files(folder) if "confirms" in one]
    data = (cube_sha256, area_sha256)
    return next((str(one["by"]) for one in reversed(said) if (one["cube_sha256"], one["area_sha256"]) == data), "")


def newest(folder: RunDirectory) -> int:
    """Number of the newest verdicts; 0 for none.

    Args:
        folder: The event's.
    """
    return max((number for number, _ in _names(folder)), default=0)


def unapplied(judgements: Iterable[Judgement], earlier: Iterable[Key]) -> tuple[str, ...]:
    """Ids of landslides that a new verdict is about and that the version before has not, ascending.

    Args:
        judgements: As the next version takes them.
        earlier: Landslides of the version before, by the first day of their layer and id.
    """
    there = set(earlier)
    return tuple(sorted(one.id for one in judgements if not one.applied and (one.layer, one.id) not in there))


def judgements_of(folder: RunDirectory, *, applied: int = 0, until: int | None = None) -> tuple[Judgement, ...]:
    """The newest verdict on each landslide that there is one on, in the order of their layers and ids.

    Args:
        folder: The event's.
        applied: Number of the newest verdicts that the version before has.
        until: Number of the newest that are asked for; by default all.
    """
    found: dict[Key, Judgement] = {}
    for number, content in _files(folder):
        if until is not None and number > until:
            continue
        for one in content.get("judgements", ()):
            said = Judgement(**one | {"said": Verdict(**one["said"]), "applied": number <= applied})
            found[said.layer, said.id] = said
    return tuple(found[key] for key in sorted(found))


class _Published:
    """The landslides of an event's versions, each read once.

    Args:
        folder: The event's.
    """

    def __init__(self, folder: RunDirectory) -> None:
        self._folder = folder
        latest = read_latest(folder)
        self._versions = [read_version(folder, number) for number in range(0 if latest is None else latest.number + 1)]
        self._known: dict[str, list[dict[Key, Landslide]]] = {}

    def of_run(self, run_id: str, file: str) -> Sequence[Mapping[Key, Landslide]]:
        """Those of each version of a scan, in their order.

        Raises:
            InvalidInputError: There is none.
        """
        if run_id not in self._known:
            them = [one for one in self._versions if run_id and one.made_of.cube_sha256[:_RUN_ID] == run_id]
            self._known[run_id] = [
                landslides_of(RunDirectory(self._folder.at(one.folder))) for one in them if names.POLYGONS in one.files
            ]
        if not self._known[run_id]:
            runs = [one.made_of.cube_sha256[:_RUN_ID] for one in self._versions if names.POLYGONS in one.files]
            raise refused(
                f"run_id {run_id or 'empty'}", f"one of this event's: {', '.join(runs[-_MOST_NAMED:]) or 'none'}", file
            )
        return self._known[run_id]


def _told(judgements: Iterable[Judgement]) -> list[dict[str, Any]]:
    some = [asdict(one) for one in sorted(judgements, key=lambda one: (one.layer, one.id))]
    return [{name: value for name, value in one.items() if name != "applied"} for one in some]


def _write(folder: RunDirectory, content: Mapping[str, Any]) -> int:
    number = newest(folder) + 1
    said = json.dumps({"format": FORMAT, **content}, indent=1, sort_keys=True, ensure_ascii=False)
    folder.write(f"{VERDICTS}/{number:04d}.json", f"{said}\n".encode())
    return number


def _names(folder: RunDirectory) -> list[tuple[int, str]]:
    some = [name for name in folder.names(VERDICTS, ".json") if name.removesuffix(".json").isdecimal()]
    return [(int(name.removesuffix(".json")), f"{VERDICTS}/{name}") for name in some]


def _files(folder: RunDirectory) -> list[tuple[int, dict[str, Any]]]:
    """All verdicts by number.

    Raises:
        RunConflictError: One is something else.
    """
    numbered = _names(folder)
    found = []
    for (number, name), content in zip(numbered, folder.read_all([name for _, name in numbered]), strict=True):
        try:
            said = of_format(content, FORMAT)
        except (ValueError, KeyError, TypeError) as error:
            raise RunConflictError(
                f"a {name} of something else ({type(error).__name__}: {error})",
                expected=f"verdicts of format {FORMAT}",
                event=folder,
            ) from error
        found.append((number, said))
    return found
