"""Writes that depend on what is there: a file that must be new, and one that must not have gone meanwhile.

Local file systems know both. So does S3, by If-None-Match and If-Match; a server that heeds neither writes all the
same, as do other stores where one looks first. So whoever relies on it gives files names that no other has, or looks
again afterwards.
"""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

from fsspec.implementations.local import LocalFileSystem

from landslide_scale.errors import RunConflictError, StorageAwayError
from landslide_scale.storage.absence import condition_failed, is_unknown_there
from landslide_scale.storage.durable import settle, unfinished

_NO_LINKS = (errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK)
"""Of file systems without hard links."""


def create(files: Any, path: str, content: bytes) -> None:  # noqa: ANN401 fsspec ships no types
    """Write a whole file that is not there yet, or nothing.

    Raises:
        RunConflictError: Something else is there.
    """
    try:
        if isinstance(files, LocalFileSystem):
            _create_local(Path(path), content)
        else:
            _create_there(files, path, content)
    except FileExistsError:
        raise RunConflictError(
            f"{path.rsplit('/', 1)[-1]} is there already",
            expected="one process at a time that writes into the folder",
            cure="See whether another run is at work there.",
        ) from None


def _create_local(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = unfinished(path)
    try:
        _write_new(partial, content)
        path.hardlink_to(partial)  # which, unlike a rename, replaces nothing
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        _write_new(path, content)
    finally:
        partial.unlink(missing_ok=True)
    settle([path.parent])


def _write_new(path: Path, content: bytes) -> None:
    with path.open("xb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _create_there(files: Any, path: str, content: bytes) -> None:  # noqa: ANN401
    try:
        files.pipe_file(path, content, mode="create")
    except OSError as error:
        if is_unknown_there(error):
            files.pipe_file(path, content)
        elif not (isinstance(error, FileExistsError) or condition_failed(error)):
            raise
        elif bytes(files.cat_file(path)) != content:  # else the answer to our own request was lost
            raise FileExistsError(path) from error


def renew(files: Any, path: str, content: bytes) -> None:  # noqa: ANN401
    """Replace a small file that is there; one that is gone is not made anew.

    Raises:
        FileNotFoundError: It is gone.
        StorageAwayError: It was replaced between two requests, perhaps by our own, whose answer was lost.
    """
    if isinstance(files, LocalFileSystem):
        with Path(path).open("r+b", buffering=0) as file:  # in one call: who reads sees the old or the new
            file.write(content)
            file.truncate()
        return
    known = files.info(path)
    try:
        files.pipe_file(path, content, **({"IfMatch": known["ETag"]} if "ETag" in known else {}))
    except OSError as error:
        if is_unknown_there(error):
            files.pipe_file(path, content)
        elif condition_failed(error):
            raise StorageAwayError("replaced meanwhile", expected="a file as it was just now", file=path) from error
        else:
            raise
