"""What the driver writes of a run beside shards and records, known by its hashes: without it no reader opens the cube.

``files.json`` maps each such file, by its name in the run's folder, to its SHA-256: the cube's metadata and
coordinates, and what the units were planned from. While a file is being replaced it has two, so that a kill at any
moment leaves it right: as it was, or as it is to be. Noted is what was written, never what is found.
Of a file of which nothing is noted, because a cube or the file was begun before there were notes, it is right where it
says the same to whoever computes with it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from typing import Any

from landslide_scale.storage.rundir import RunDirectory

FILES = "files.json"
_NOTED = "files_sha256"
"""In run.json: the hash of `FILES` itself; a list of them while it is being replaced."""

ABSENT = ""
"""In place of a hash: the file is not there yet, or not any more."""

GONE = "gone"
"""What is wrong with a file that is not there."""

Notes = Mapping[str, tuple[str, ...]]
"""By name the hashes of which a file has one."""

_GROUND = ("shape", "GeoTransform")
"""What depends on how much ground a cube covers, and how many windows it has."""

_COMPUTED_WITH = ("scale_factor", "add_offset", "_FillValue", "units", "calendar", "GeoTransform")
_SHAPING = ("zarr_format", "node_type", "shape", "data_type", "chunk_grid", "fill_value", "codecs")


def noted(run: RunDirectory) -> Notes | None:
    """What is noted of a run's files; None where nothing is, or the notes are damaged.

    Raises:
        RunConflictError: There is no run, or what is said of it cannot be read.
    """
    told, contents = _told(run), run.read_there([FILES])
    if FILES not in contents or _sha256(contents[FILES]) not in told:
        return None
    said: dict[str, str | list[str]] = json.loads(contents[FILES])
    return {name: (hashes,) if isinstance(hashes, str) else tuple(hashes) for name, hashes in said.items()}


def wrong(run: RunDirectory, expected: Mapping[str, bytes]) -> dict[str, str]:
    """What is wrong with files, by name; nothing is said of those that are right.

    Args:
        run: The run.
        expected: What would be written now, by name; as far as it is known.
    """
    notes = noted(run)
    names = sorted({*expected, *(notes or {})})
    found = problems(run.read_there(names), {name: expected.get(name) for name in names}, notes or {})
    if notes is None and _told(run):
        found[FILES] = "gone, or not what was written"
    return found


def altered(run: RunDirectory, names: Iterable[str]) -> dict[str, str]:
    """As :func:`wrong`, of those of these files of which anything is noted."""
    notes = noted(run) or {}
    known = [name for name in names if name in notes]
    return problems(run.read_there(known), dict.fromkeys(known), notes)


def sound(run: RunDirectory, names: Collection[str]) -> dict[str, bytes]:
    """Contents of those of these files that are there, and not known to be other than they were written."""
    contents = run.read_there(list(names))
    found = problems(contents, dict.fromkeys(names), noted(run) or {})
    return {name: content for name, content in contents.items() if name not in found}


def problems(
    contents: Mapping[str, bytes], expected: Mapping[str, bytes | None], notes: Notes, but: Collection[str] = ()
) -> dict[str, str]:
    """What is wrong with files that were read, by name; nothing is said of those that are right.

    Args:
        contents: What was read; of a file that is not there, nothing.
        expected: What would be written now, by name, of all that are judged; None where that is not known.
        notes: Of the run.
        but: Keys of metadata that are not looked at where nothing is noted of a file.
    """
    found = {name: _problem(contents.get(name), wanted, notes.get(name), but) for name, wanted in expected.items()}
    return {name: problem for name, problem in sorted(found.items()) if problem}


def unfit(contents: Mapping[str, bytes], expected: Mapping[str, bytes | None], notes: Notes) -> dict[str, str]:
    """As :func:`problems`, of files from which a cube is laid out: how much ground it covers is another matter."""
    return problems(contents, expected, notes, _GROUND)


def put(
    run: RunDirectory, files: Mapping[str, bytes | None], there: Mapping[str, bytes] | None = None, **facts: object
) -> None:
    """Write files and note their hashes, so that whoever comes after a kill finds each right, as it was or as it is.

    Those that are as they are to be are not written, but noted; where nothing is to be noted either, nothing is done.

    Args:
        run: Their run's folder.
        files: What they are to hold, by name, in the order in which they are written; None of one that is not to be
            there, and of which nothing is to be noted.
        there: What they hold, by name; read where it is not given.
        facts: Said in run.json before anything is written or removed.
    """
    there, known = run.read_there(list(files)) if there is None else there, noted(run) or {}
    changed = {name: content for name, content in files.items() if there.get(name) != content}
    after = {name: hashes for name, hashes in known.items() if name not in files}
    after |= {name: (_sha256(content),) for name, content in files.items() if content is not None}
    if not changed and known == after:
        return
    ahead = after | {name: _either(known.get(name) or _hashes(there.get(name)), after.get(name)) for name in changed}
    # The notes too are right at any moment: each is known before it is there.
    told = dict.fromkeys([*_told(run), *(_sha256(_text(notes)) for notes in (ahead, after))])
    run.note(**{_NOTED: list(told)}, **(facts if changed else {}))
    if changed:
        run.write(FILES, _text(ahead))
        for name, content in changed.items():
            if content is not None:
                run.write(name, content)
        run.delete_all([name for name, content in changed.items() if content is None])
    run.write(FILES, _text(after))
    run.note(**{_NOTED: _sha256(_text(after))})


def _either(before: tuple[str, ...], after: tuple[str, ...] | None) -> tuple[str, ...]:
    return tuple(dict.fromkeys([*before, *(after or (ABSENT,))]))


def _hashes(content: bytes | None) -> tuple[str, ...]:
    return (ABSENT,) if content is None else (_sha256(content),)


def _problem(
    content: bytes | None, expected: bytes | None, hashes: Collection[str] | None, but: Collection[str]
) -> str:
    if content is None:
        return "" if hashes is not None and ABSENT in hashes else GONE
    if content == expected or (hashes is not None and _sha256(content) in hashes):
        return ""
    if hashes is None:
        says = expected is None or _says_the_same(content, expected, but)
        return "" if says else "says other than what was written"
    return "other bytes than were written"


def _says_the_same(content: bytes, expected: bytes, but: Collection[str]) -> bool:
    """Whether metadata of an earlier version shape the same arrays of the same numbers; a chunk need only be there."""
    try:
        known = json.loads(expected)
    except ValueError:
        return bool(content)
    with suppress(ValueError, AttributeError, TypeError):
        return _computed_with(json.loads(content), but) == _computed_with(known, but)
    return False


def _computed_with(metadata: Mapping[str, Any], but: Collection[str]) -> list[object]:
    said = metadata.get("attributes", {})
    of_arrays = [metadata.get(key) for key in _SHAPING if key not in but]
    return [*of_arrays, *(said.get(key) for key in _COMPUTED_WITH if key not in but)]


def _told(run: RunDirectory) -> list[str]:
    """The hashes of which `FILES` has one; none where there are no notes."""
    told = run.facts().get(_NOTED, [])
    return [told] if isinstance(told, str) else list(told)


def _text(notes: Notes) -> bytes:
    """As :func:`noted` reads it."""
    plain = {name: hashes[0] if len(hashes) == 1 else list(hashes) for name, hashes in notes.items()}
    return (json.dumps(plain, indent=0, sort_keys=True) + "\n").encode()


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
