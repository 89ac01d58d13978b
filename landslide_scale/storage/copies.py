"""A file copied where it lies: on an object store by the store itself, on a local disk by the kernel."""

from __future__ import annotations

import os
import shutil
from functools import partial
from pathlib import Path

from landslide_scale.storage.absence import look
from landslide_scale.storage.durable import settle, written
from landslide_scale.storage.files import filesystem, local_path, persistently, write_whole

_PIECE = 1 << 30


def copied(source: str, target: str) -> bool:
    """Copy a file so that a reader of `target` sees all of it or none; one there is replaced. They share nothing then.

    Only from one kind of storage to another do its bytes pass through this process.

    Args:
        source: Path or URL of the file.
        target: Where the copy goes.

    Returns:
        Whether there was such a file.

    Raises:
        BrokenRunError: It cannot be copied, for want of room for one.
        StorageAwayError: It cannot be copied now.
    """
    return persistently(target, partial(_copied, source, target))


def _copied(source: str, target: str) -> bool:
    here, there = local_path(source), local_path(target)
    try:
        if here is not None and there is not None:
            _copy_local(here, there)
        else:
            _copy(source, target)
    except FileNotFoundError:
        return False
    return True


def _copy(source: str, target: str) -> None:
    files, key = filesystem(source)
    others, name = filesystem(target)
    if files is others:  # fsspec has one for each store and its options
        files.cp_file(key, name)
        return
    write_whole(target, bytes(files.cat_file(key)))


def _copy_local(source: Path, target: Path) -> None:
    with source.open("rb") as content:
        written(target, lambda file: _fill(content.fileno(), file.fileno()), look)
    settle([target.parent])


def _fill(source: int, target: int) -> None:
    """Copy an open file; file systems that can (XFS, Btrfs) store what both hold once, until one is written to."""
    try:
        while os.copy_file_range(source, target, _PIECE):
            pass
    except OSError:  # between file systems, or on one that does not know of it: whatever is wrong else is met again
        os.lseek(source, 0, os.SEEK_SET)
        os.ftruncate(target, 0)
        os.lseek(target, 0, os.SEEK_SET)
        with os.fdopen(os.dup(source), "rb") as read, os.fdopen(os.dup(target), "wb") as write:
            shutil.copyfileobj(read, write)
