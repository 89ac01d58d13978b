"""Laying a cube out: its metadata and coordinates as they are to be, whatever was there, and known by their hashes."""

from __future__ import annotations

import json
import logging
from collections.abc import Collection, Iterator, Mapping

from landslide_scale.cube import manifest
from landslide_scale.cube.arrays import BY_NAME
from landslide_scale.cube.template import METADATA, Template, expected, laid
from landslide_scale.storage.rundir import RunDirectory

log = logging.getLogger(__name__)


def lay_out(run: RunDirectory, cube: str, template: Template, beside: Mapping[str, bytes | None]) -> None:
    """Write what a cube is before its shards, or what is missing or damaged of it, and note all by their hashes.

    A run of which anything is written is no longer complete. A call that was interrupted is completed by the next one.

    Args:
        run: The run's folder.
        cube: The cube's name in there.
        template: What it is.
        beside: Further files of the run as they are to be, by name, written first; None of one that is not to be there.

    Raises:
        RunConflictError: The cube is there and covers other ground, or other windows than the first of these; nothing
            was written.
        BrokenRunError: The storage takes no more.
    """
    notes = manifest.noted(run) or {}
    fresh = {f"{cube}/{name}": content for name, content in expected(template).items()}
    ours = {*fresh, *(name for name in notes if name.startswith(f"{cube}/"))}
    there = run.read_there(sorted({*ours, *_nodes(run, cube), *beside}))
    unfit = manifest.unfit(there, {name: fresh.get(name) for name in ours}, notes)
    whole = laid(_sound(there, cube, {*unfit, *(fresh.keys() - there.keys())}, ours), template)
    files = {f"{cube}/{name}": content for name, content in whole.items()}
    to_be = dict(beside) | {name: content for name, content in files.items() if name in ours}
    _say_damaged([name for name, content in to_be.items() if there.get(name) != content], there, unfit, notes)
    manifest.put(run, to_be, there, state="running")


def _nodes(run: RunDirectory, cube: str) -> Iterator[str]:
    """What groups and arrays say of themselves, also those that are somebody else's: readers find them in one place."""
    for zone in run.folders(cube):
        yield f"{cube}/{zone}/{METADATA}"
        yield from (f"{cube}/{zone}/{array}/{METADATA}" for array in run.folders(f"{cube}/{zone}"))


def _sound(there: Mapping[str, bytes], cube: str, unfit: Collection[str], ours: Collection[str]) -> dict[str, bytes]:
    """What a cube can be laid out from, by name inside it: a coordinate of which anything is lacking is left out."""
    lacking = {f"{_folder(name)}/" for name in unfit if _is_coordinate(name)}
    return {
        name.removeprefix(f"{cube}/"): content
        for name, content in there.items()
        if name.startswith(f"{cube}/")
        and name not in unfit
        and not name.startswith(tuple(lacking))
        and (name in ours or _is_json(content))
    }


def _is_coordinate(name: str) -> bool:
    _, *path = name.split("/")
    return len(path) > 2 and path[1] not in BY_NAME  # noqa: PLR2004 ZONE/ARRAY/...; of a group it is ZONE/zarr.json


def _folder(name: str) -> str:
    """Of an array of the cube: CUBE/ZONE/ARRAY."""
    return "/".join(name.split("/")[:3])


def _is_json(content: bytes) -> bool:
    try:
        json.loads(content)
    except ValueError:
        return False
    return True


def _say_damaged(
    files: Collection[str], there: Mapping[str, bytes], unfit: Collection[str], notes: manifest.Notes
) -> None:
    """Of the files that are made anew."""
    noted = manifest.problems(there, {name: None for name in files if name in notes}, notes)
    before_notes = [name for name in files if name not in notes and name in there and name in unfit]
    if damaged := sorted([*noted, *before_notes]):
        log.warning("made anew, because it was not as it had been written: %s", ", ".join(damaged))
