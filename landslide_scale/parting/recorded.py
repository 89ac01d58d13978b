"""Which images a training has in which part, and what else of them it found, as its folder keeps it."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from landslide_scale.parting.split import Split
from landslide_scale.storage.owned import read_own_json
from landslide_scale.storage.rundir import RunDirectory

SPLIT = "split.json"

_CURE = "Bring it back from a copy, or train again in another output.run."


def read_split(folder: RunDirectory) -> dict[str, Any]:
    """All that is said there: what is a list is a part.

    Raises:
        RunConflictError: The file is damaged.
    """
    return read_own_json(folder, SPLIT, dict, cure=_CURE)


def read_parts(folder: RunDirectory) -> dict[str, list[str]]:
    """Names of the images of each part.

    Raises:
        RunConflictError: The file is damaged, or none of a training.
    """
    return read_own_json(folder, SPLIT, _parts, cure=_CURE)


def _parts(said: dict[str, Any]) -> dict[str, list[str]]:
    return {part.name: list(said[part.name]) for part in fields(Split)}
