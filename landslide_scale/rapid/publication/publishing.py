"""A version made public: by steps that can be done again, so that one that was begun is finished to the same bytes.

What it will be is recorded before anything of it is made (``publishing.json``); its products and Items are written
next, ``version.json`` when all of them are there, and ``latest.json`` last. A process may be killed before, between and
inside these: the next that comes finds the record, does all again that is not there whole, and gives the same bytes,
for no step asks a clock. Nobody sees half a version: it counts once ``latest.json`` names it, or a later one.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any

from landslide_scale.errors import RunConflictError
from landslide_scale.products.manifest import Files, Manifest, Stored
from landslide_scale.products.names import MAKING
from landslide_scale.rapid.publication.summing import Said
from landslide_scale.rapid.publication.version import (
    FORMAT,
    ITEMS,
    LATEST,
    RESPONSE,
    VERSION,
    MadeOf,
    Standing,
    Version,
    folder_of,
    not_ours,
    of_format,
    read_latest,
    read_version,
)
from landslide_scale.scene import utc
from landslide_scale.storage.durable import is_unfinished
from landslide_scale.storage.files import sha256_at
from landslide_scale.storage.rundir import RunDirectory
from landslide_scale.storage.signs import PREFIX

log = logging.getLogger(__name__)

BEGUN = "publishing.json"
"""In an event's folder: what the newest version is or will be. It is what a killed one is gone on with by."""


@dataclass(frozen=True, kw_only=True)
class Begun:
    """A version that is to be.

    Attributes:
        event: Id of the event.
        number, release, version: As of the version.
        published: The instant it will say, aware UTC.
        made_of: What it will be made of.
    """

    event: str
    number: int
    release: int
    version: int
    published: datetime
    made_of: MadeOf

    @property
    def folder(self) -> str:
        """Below the event's."""
        return folder_of(self.number)

    @property
    def earlier(self) -> int | None:
        """Number of the version before."""
        return self.number - 1 if self.number else None


@dataclass(frozen=True, kw_only=True)
class Step:
    """Something that is put into a version's folder.

    Attributes:
        name: What the log calls it.
        do: Fills the folder; done again it gives the same files with the same bytes, whatever it finds of them.
    """

    name: str
    do: Callable[[RunDirectory], None]


def unfinished(folder: RunDirectory) -> Begun | None:
    """The version of an event that was begun and is not public; it is to be finished before another is begun.

    Args:
        folder: The event's.

    Raises:
        RunConflictError: What is there is something else.
    """
    if not folder.exists(BEGUN):
        return None
    begun, latest = _read(folder), read_latest(folder)
    return begun if latest is None or begun.number > latest.number else None


def begin(folder: RunDirectory, event: str, made_of: MadeOf, now: datetime) -> Begun | None:
    """Record the version that comes of this; None where the newest one is made of the same.

    One that was begun of something else and is not finished is begun anew: nothing of it is public.

    Args:
        folder: The event's; nobody else works there.
        event: Its id.
        made_of: What it is to be made of.
        now: The instant it will say, aware UTC.

    Raises:
        RunConflictError: What is there is something else.
    """
    there = unfinished(folder)
    if there is not None and there.made_of == made_of:
        return there
    if there is not None:
        target = RunDirectory(folder.at(there.folder))
        target.delete_all(sorted(target.sizes("")))
    latest = read_latest(folder)
    before = None if latest is None else read_version(folder, latest.number)
    if before is not None and before.made_of.is_as(made_of):
        return None
    begun = Begun(event=event, published=now, made_of=made_of, **_numbers(before, made_of))
    folder.write_json(BEGUN, {"format": FORMAT, **asdict(begun), "published": now.isoformat()})
    return begun


def _numbers(before: Version | None, made_of: MadeOf) -> dict[str, int]:
    if before is None:
        return {"number": 0, "release": 1, "version": 1}
    if made_of.has_data_of(before.made_of):
        return {"number": before.number + 1, "release": before.release, "version": before.version + 1}
    return {"number": before.number + 1, "release": before.release + 1, "version": 1}


def publish(
    folder: RunDirectory,
    begun: Begun,
    *,
    steps: Sequence[Step],
    said: Callable[[RunDirectory], Said],
    items: Callable[[Version], Mapping[str, bytes]],
    event_state: str,
) -> Version:
    """Make a version public that was begun; one that is public already is given as it is.

    Args:
        folder: The event's; nobody else works there.
        begun: What is recorded of it.
        steps: What fills its folder, in this order: products first.
        said: What it says, from its products.
        items: The STAC Items of a version whose files are its products: by name in its folder, :data:`RESPONSE` or
            below :data:`ITEMS`.
        event_state: What the event is at, in a word.

    Raises:
        RunConflictError: Products are there of another cube than it was begun of.
        BrokenRunError: It cannot go on; another call does, to the same bytes.
    """
    target = RunDirectory(folder.at(begun.folder))
    latest = read_latest(folder)
    if latest is not None and latest.number >= begun.number:
        return read_version(folder, begun.number)
    folder.remove_partial_files()  # of the records beside the versions, that a killed one was writing
    if not target.exists(VERSION):
        target.remove_partial_files("")
        for step in steps:
            log.info("version %d of %s: %s", begun.number, begun.event, step.name)
            step.do(target)
        _write_version(target, begun, said(target), items)
    version = read_version(folder, begun.number)
    folder.write(LATEST, _latest(folder, version, Standing(state=event_state)))
    return version


def restate(folder: RunDirectory, standing: Standing) -> None:
    """Say what an event is at now, where its newest version is named; also before there is one.

    Args:
        folder: The event's; nobody else works there.
        standing: What it is at.
    """
    latest = read_latest(folder)
    content = _latest(folder, None if latest is None else read_version(folder, latest.number), standing)
    if not (folder.exists(LATEST) and folder.read(LATEST) == content):
        folder.write(LATEST, content)


def _write_version(
    target: RunDirectory, begun: Begun, said: Said, items: Callable[[Version], Mapping[str, bytes]]
) -> None:
    made = _files(target, begun.made_of)
    draft = Version(
        event=begun.event,
        number=begun.number,
        release=begun.release,
        version=begun.version,
        published=begun.published,
        made_of=begun.made_of,
        figures=said.figures,
        difference=said.difference,
        unapplied=said.unapplied,
        files={name: known for name, known in made.items() if not _is_item(name)},
    )
    for name, content in sorted(items(draft).items()):
        assert _is_item(name), name  # noqa: S101 our own invariant
        target.write(name, content)
    whole = replace(draft, files=_files(target, begun.made_of))
    target.write(VERSION, _json(whole.content()))


def _latest(folder: RunDirectory, version: Version | None, standing: Standing) -> bytes:
    """What is said of the newest version, and of the event."""
    said: dict[str, Any] = {"format": FORMAT, "number": None, **standing.content()}
    if version is not None:
        content = folder.read(f"{version.folder}/{VERSION}")
        said |= {
            "number": version.number,
            "folder": version.folder,
            "sha256": hashlib.sha256(content).hexdigest(),
            "state": version.state,
            "figures": asdict(version.figures),
        }
    return _json(said)


def _files(target: RunDirectory, made_of: MadeOf) -> Files:
    """What lies in a version's folder, with hashes: those of the manifest of products for what it names."""
    manifest = Manifest.read(target)
    others = {one.origin.cube_sha256 for one in manifest.entries.values()} - {made_of.cube_sha256}
    if others:
        raise RunConflictError(
            f"products of another cube ({', '.join(sorted(others)) or 'being replaced'})",
            expected=f"all of them of {made_of.cube_sha256}",
            cure="Export them again from the scan that the version was begun of.",
            version=target,
        )
    known, sizes = manifest.files, target.sizes("")
    return {
        name: known[name]
        if name in known and known[name].bytes == size
        else Stored(bytes=size, sha256=sha256_at(target.at(name), size))
        for name, size in sorted(sizes.items())
        if not _is_of_work(name)
    }


def _is_of_work(name: str) -> bool:
    """Whether a file is of those who are at work, and goes when they do."""
    return name == VERSION or is_unfinished(name) or name.startswith((f"{MAKING}/", PREFIX))


def _is_item(name: str) -> bool:
    return name == RESPONSE or name.startswith(ITEMS)


def _json(content: Mapping[str, Any]) -> bytes:
    return (json.dumps(content, indent=1, sort_keys=True) + "\n").encode()


def _read(folder: RunDirectory) -> Begun:
    try:
        said = of_format(folder.read(BEGUN), FORMAT)
        return Begun(**said | {"published": utc(said["published"]), "made_of": MadeOf(**said["made_of"])})
    except (ValueError, KeyError, TypeError) as error:
        raise not_ours(folder, BEGUN, error) from error
