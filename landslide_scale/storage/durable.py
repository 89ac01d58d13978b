"""Files that outlast a power loss: a local disk keeps what it was told to sync, in the order it was told.

By POSIX ``fsync`` of a file keeps its content, not its name; that is kept by ``fsync`` of its folder, and the folder's
own name by that of the folder above. Object stores keep what they have answered for.
"""

from __future__ import annotations

import errno
import os
import re
import secrets
from collections.abc import Callable, Iterable
from itertools import takewhile
from pathlib import Path
from typing import BinaryIO

PARTIAL = ".partial"
"""How the name of a file ends while it is being written."""

# Zarr's local store, which wrote cubes before, has longer names.
_UNFINISHED = re.compile(rf"\.(?:[0-9a-f]{{16}}|[0-9a-f]{{32}}){re.escape(PARTIAL)}$")

_known: set[Path] = set()
"""Folders whose own names this process has had kept, or may not ask for: those are older than any run."""

_KEEPS_BY_ITSELF = {errno.EINVAL, errno.ENOTSUP, errno.EACCES, errno.EPERM, errno.EBADF, errno.EISDIR}
"""What file systems answer that do not sync folders, or whose folders are somebody else's."""


def unfinished(path: Path) -> Path:
    """Where a file is written until it is whole: beside it, by a name that nobody else gives."""
    return path.with_name(f"{path.name}.{secrets.token_hex(8)}{PARTIAL}")


def is_unfinished(name: str) -> bool:
    """Whether a file's name, with or without its folder, is one that :func:`unfinished` gives; nobody else's is."""
    return _UNFINISHED.search(name) is not None


def written(path: Path, fill: Callable[[BinaryIO], object], look: Callable[[], None] = lambda: None) -> None:
    """Write a file so that a reader sees all of it or none, its content kept before it has its name.

    The name itself is kept once :func:`settle` has been called for its folder.

    Args:
        path: Where it goes; an existing file is replaced, missing folders are made.
        fill: Writes the content.
        look: Called before it has its name; where that raises, it is given none.
    """
    make(path.parent)
    partial = unfinished(path)
    try:
        with partial.open("xb") as file:
            fill(file)
            file.flush()
            os.fsync(file.fileno())
        look()
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def make(folder: Path) -> None:
    """Make a folder and those above it where there are none; names that this process had kept were of others then."""
    new = list(takewhile(lambda one: not one.exists(), (folder, *folder.parents)))
    if new:
        folder.mkdir(parents=True, exist_ok=True)
        _known.difference_update(new)


def settle(folders: Iterable[Path]) -> None:
    """Have the names in these folders kept, new ones and that others are gone; and the folders' own.

    A folder that is not there holds nothing to keep.
    """
    for folder in dict.fromkeys(folders):
        if _synced(folder):
            _settle_name(folder)


def _settle_name(folder: Path) -> None:
    """Once a process: whoever made a folder may not have come to it yet."""
    for inner, outer in zip((folder, *folder.parents), folder.parents, strict=False):
        if inner in _known or not _synced(outer):
            return
        _known.add(inner)


def _synced(folder: Path) -> bool:
    """Sync a folder; whether there is one."""
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except PermissionError:
        return True
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _KEEPS_BY_ITSELF:
            raise
    finally:
        os.close(descriptor)
    return True
