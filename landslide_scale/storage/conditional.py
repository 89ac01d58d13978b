"""Writes that depend on what is there: a file must be new, or must not have gone, or be as it was read.

Local file systems know both. So does S3, by If-None-Match and If-Match; a server that heeds neither writes all the
same, as do other stores where one looks first. So whoever relies on it gives files names that no other has, or looks
again afterwards.
"""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fsspec.implementations.local import LocalFileSystem

from landslide_scale.errors import BrokenRunError, RunConflictError, StorageAwayError
from landslide_scale.storage.absence import condition_failed, is_unknown_there, look
from landslide_scale.storage.durable import make, settle, unfinished

_NO_LINKS = (errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK)
"""Of file systems without hard links."""


def create(files: Any, path: str, content: bytes) -> None:  # noqa: ANN401 fsspec ships no types
    """Write a whole file that is not there yet, or nothing.

    Raises:
        RunConflictError: Something else is there.
        BrokenRunError: Another driver has the folder, and has removed what was written.
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
    make(path.parent)
    partial = unfinished(path)
    try:
        _write_new(partial, content)
        _name(path, partial, content)
    finally:
        partial.unlink(missing_ok=True)
    settle([path.parent])


def _name(path: Path, partial: Path, content: bytes) -> None:
    try:
        path.hardlink_to(partial)  # which, unlike a rename, replaces nothing
    except FileNotFoundError:
        raise BrokenRunError(
            f"{path.name} was removed while it was written",
            expected="one process at a time that writes into the folder",
            cure="See whether another run goes on there; else --resume goes on from here.",
        ) from None
    except FileExistsError:
        if path.read_bytes() != content:  # else our own try before had come so far, or the answer to it was lost
            raise
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        _write_new(path, content)


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


@dataclass(frozen=True, kw_only=True)
class Version:
    """A file as it was read.

    Attributes:
        content: Of it.
        etag: What its store calls this version; empty where it has no names for them.
    """

    content: bytes
    etag: str = ""


def version(files: Any, path: str) -> Version:  # noqa: ANN401
    """A small file as it is.

    Raises:
        FileNotFoundError: There is none.
    """
    # The name first: of a file that is replaced in between it is one that `swap` does not find.
    etag = "" if isinstance(files, LocalFileSystem) else str(files.info(path).get("ETag", ""))
    return Version(content=bytes(files.cat_file(path)), etag=etag)


def swap(files: Any, path: str, known: Version | None, content: bytes) -> bool:  # noqa: ANN401
    """Replace a small file that still is as it was read; none: make it where there is none.

    On a disk nothing holds between the look and the rename. Whoever wants to be sure that no other one's rename is yet
    to come writes the file and then removes what others were about to rename.

    Returns:
        Whether it holds the content now.
    """
    if isinstance(files, LocalFileSystem):
        return _swap_local(Path(path), known, content)
    try:
        return _swap_there(files, path, known, content)
    except FileNotFoundError:
        return False


def _swap_local(path: Path, known: Version | None, content: bytes) -> bool:
    if known is None:
        make(path.parent)
    partial = unfinished(path)
    try:
        _write_new(partial, content)
        look()
        there = path.read_bytes() if path.exists() else None
        if there != content:  # else our own try before had come so far
            if there != (known and known.content):
                return False
            partial.replace(path)
    except FileNotFoundError:  # removed by another driver, which has the folder now
        return False
    finally:
        partial.unlink(missing_ok=True)
    settle([path.parent])
    return True


def _swap_there(files: Any, path: str, known: Version | None, content: bytes) -> bool:  # noqa: ANN401
    if known is None:
        condition: dict[str, str] = {"mode": "create"}
    elif known.etag:
        condition = {"IfMatch": known.etag}
    elif bytes(files.cat_file(path)) == known.content:
        condition = {}
    else:
        return False
    try:
        files.pipe_file(path, content, **condition)
    except OSError as error:
        if is_unknown_there(error):
            files.pipe_file(path, content)
        elif isinstance(error, FileExistsError) or condition_failed(error):
            return bytes(files.cat_file(path)) == content  # the answer to our own request may have been lost
        else:
            raise
    return True


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
