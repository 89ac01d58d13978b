"""What the driver writes of a run beside shards and records, known by its hashes: without it no reader opens the cube.

``files.json`` maps each such file, by its name in the run's folder, to its SHA-256: the cube's metadata and
coordinates, and what the units were planned from. A file is right where its hash is the noted one, or where it is what
would be written now: so a driver that was killed between the two has broken nothing. Of a cube begun before there were
notes a file is right where it says the same to whoever computes with it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

from landslide_scale.cube.arrays import BY_NAME
from landslide_scale.cube.georeference import GRID_MAPPING
from landslide_scale.storage.rundir import RunDirectory

FILES = "files.json"
_NOTED = "files_sha256"
"""In run.json: the hash of `FILES` itself."""

_METADATA = "zarr.json"
_AT_ONCE = 16
_COMPUTED_WITH = ("scale_factor", "add_offset", "_FillValue", "units", "calendar", "GeoTransform")
_SHAPING = ("zarr_format", "node_type", "shape", "data_type", "chunk_grid", "fill_value", "codecs")


def keep(run: RunDirectory, names: Iterable[str]) -> None:
    """Note the hashes of files as they are, beside those that are noted of others.

    Args:
        run: Their run's folder.
        names: Of files that were just written, or found to be right; one that is not there is left out.
    """
    contents = _read(run, names)
    known = _noted(run)
    hashes = (known or {}) | {name: _sha256(content) for name, content in contents.items() if content is not None}
    if hashes == known:
        return
    text = (json.dumps(hashes, indent=0, sort_keys=True) + "\n").encode()
    run.write(FILES, text)
    run.note(**{_NOTED: _sha256(text)})


def wrong(run: RunDirectory, expected: Mapping[str, bytes]) -> dict[str, str]:
    """What is wrong with files, by name; nothing is said of those that are right.

    Args:
        run: The run.
        expected: What would be written now, by name; as far as it is known.
    """
    noted = _noted(run)
    names = {*expected, *(noted or {})}
    found = {
        name: _problem(content, expected.get(name), None if noted is None else noted.get(name, ""))
        for name, content in _read(run, names).items()
    }
    if noted is None and _NOTED in run.read_json("run.json"):
        found[FILES] = "gone, or not what was written"
    return {name: problem for name, problem in sorted(found.items()) if problem}


def mend(run: RunDirectory, cube: str, expected: Mapping[str, bytes]) -> list[str]:
    """Remove what is wrong of a cube's metadata and coordinates, for `template.create` to make anew; no shard is.

    Args:
        run: The run.
        cube: Its cube's name in there.
        expected: What would be written now, by name.

    Returns:
        Names of what was wrong or missing of a cube that had been laid out.
    """
    problems = {name: problem for name, problem in wrong(run, expected).items() if name.startswith(f"{cube}/")}
    if set(problems.values()) <= {"gone"} and problems.keys() >= expected.keys():
        return []
    broken = list(problems)
    coordinates = {f"{cube}/{name.split('/')[1]}/{GRID_MAPPING}/{_METADATA}" for name in broken if _is_coordinate(name)}
    run.delete_all([*broken, *coordinates])  # a zone's are all made anew where its grid mapping is not there
    return broken if run.exists(FILES) else []


def _is_coordinate(name: str) -> bool:
    _, *path = name.split("/")
    return len(path) > 2 and path[1] not in BY_NAME  # noqa: PLR2004 ZONE/ARRAY/...; of a group it is ZONE/zarr.json


def _problem(content: bytes | None, expected: bytes | None, noted: str | None) -> str:
    if content is None:
        return "gone"
    if content == expected or _sha256(content) == noted:
        return ""
    if noted is None and expected is not None:
        return "" if _says_the_same(content, expected) else "says other than what was written"
    return "other bytes than were written"


def _says_the_same(content: bytes, expected: bytes) -> bool:
    """Whether metadata of an earlier version shape the same arrays of the same numbers; a chunk need only be there."""
    try:
        known = json.loads(expected)
    except ValueError:
        return bool(content)
    with suppress(ValueError, AttributeError, TypeError):
        return _computed_with(json.loads(content)) == _computed_with(known)
    return False


def _computed_with(metadata: Mapping[str, Any]) -> list[object]:
    said = metadata.get("attributes", {})
    return [*(metadata.get(key) for key in _SHAPING), *(said.get(key) for key in _COMPUTED_WITH)]


def _noted(run: RunDirectory) -> dict[str, str] | None:
    """The hashes that are noted; None where there are none, or the note is damaged."""
    told = run.read_json("run.json").get(_NOTED)
    content = next(iter(_read(run, [FILES]).values()))
    if told is None or content is None or _sha256(content) != told:
        return None
    noted: dict[str, str] = json.loads(content)
    return noted


def _read(run: RunDirectory, names: Iterable[str]) -> dict[str, bytes | None]:
    """Contents by name; None of a file that is not there."""

    def content(name: str) -> bytes | None:
        with suppress(FileNotFoundError):
            return run.read(name)
        return None

    chosen = sorted(set(names))
    with ThreadPoolExecutor(_AT_ONCE) as threads:
        return dict(zip(chosen, threads.map(content, chosen), strict=True))


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
