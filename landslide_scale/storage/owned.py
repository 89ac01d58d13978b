"""Files that this package wrote into the folder of a run, read so that one that is damaged is named, with a cure.

A power loss, a disk that fails or a copy that was cut short leaves files that cannot be read as what they were.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, TypeVar
from zipfile import BadZipFile

from landslide_scale.errors import RunConflictError
from landslide_scale.storage.folder import Folder

T = TypeVar("T")

_DAMAGES = (ValueError, KeyError, TypeError, AttributeError, IndexError, EOFError, BadZipFile)
"""What is raised where content is not what it should be, once it is at hand."""


def read_own(folder: Folder, name: str, made: Callable[[bytes], T], *, cure: str) -> T:
    """What is made of the content of a file that this package wrote.

    Args:
        folder: Where it is.
        name: Of the file, which is there.
        made: Makes something of its bytes.
        cure: What a person can do where that fails.

    Raises:
        RunConflictError: It is damaged, or something else.
    """
    content = folder.read(name)
    try:
        return made(content)
    except _DAMAGES as error:
        raise RunConflictError(
            f"{name} is damaged, or something else ({type(error).__name__}: {error})",
            expected="the file as it was written",
            cure=cure,
            folder=folder,
        ) from error


def read_own_json(folder: Folder, name: str, made: Callable[[Any], T], *, cure: str) -> T:
    """As :func:`read_own`, of what a file of JSON says."""
    return read_own(folder, name, lambda content: made(json.loads(content)), cure=cure)
