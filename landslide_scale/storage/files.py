"""Files by local path or fsspec URL.

fsspec is imported where a URL needs it: what stands on this imports without it.
"""

from __future__ import annotations

import errno
import hashlib
import os
import secrets
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from landslide_scale.errors import BrokenRunError, InvalidCheckpointError
from landslide_scale.redaction import redacted

PARTIAL = ".partial"
"""How the name of a file ends while it is being written; Zarr's local store uses the same."""

_PIECE = 1 << 24
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def local_path(url: str) -> Path | None:
    """The path, where `url` is one or is a ``file:`` URL; None where it is of another kind."""
    if url.startswith("file://"):
        return Path(url.removeprefix("file://"))
    return None if "://" in url else Path(url)


def filesystem(url: str, **options: object) -> tuple[Any, str]:
    """Where a path or fsspec URL is: fsspec's file system, and the name there. Of a path, all characters are names'."""
    from fsspec.core import url_to_fs  # noqa: PLC0415 - local files need no fsspec
    from fsspec.implementations.local import LocalFileSystem  # noqa: PLC0415 - as above

    path = local_path(url)
    if path is not None:
        return LocalFileSystem(), str(path.absolute())
    files, key = url_to_fs(url, **options)
    return files, key


def read_range(url: str, start: int, stop: int | None) -> bytes:
    """Bytes [start, stop) of a file, or fewer where it ends before; None reads to its end.

    Raises:
        InvalidCheckpointError: There is no such file or it cannot be read.
    """
    path = local_path(url)
    try:
        if path is None:
            files, key = filesystem(url)
            data: bytes = files.cat_file(key, start=start, end=stop)
            return data
        with path.open("rb") as file:
            file.seek(start)
            return file.read(-1 if stop is None else stop - start)
    except (OSError, ValueError, ImportError) as error:
        raise _unreadable(url, error) from None  # the chain may repeat the address with its keys


def local_copy(url: str, sha256: str | None, cache: Path) -> Path:
    """Find or make the file on a local disk: itself, or a copy under `cache`, fetched once and kept only whole.

    A copy is known by its SHA-256, or by its URL where none is given.

    Raises:
        InvalidCheckpointError: There is no such file, it cannot be read, or it has another SHA-256.
    """
    path = local_path(url)
    try:
        if path is None:
            return _cached(url, sha256, cache)
        _check_sha256(path, sha256)
    except (OSError, ValueError, ImportError) as error:
        raise _unreadable(url, error) from None
    return path


def _cached(url: str, sha256: str | None, cache: Path) -> Path:
    copy = cache / f"{(sha256 or hashlib.sha256(redacted(url).encode()).hexdigest()).lower()}.pth"
    if copy.exists():
        _check_sha256(copy, sha256)
        return copy
    cache.mkdir(parents=True, exist_ok=True)
    files, key = filesystem(url)
    with tempfile.TemporaryDirectory(dir=cache) as scratch:
        download = Path(scratch, "download")
        files.get_file(key, str(download))
        _check_sha256(download, sha256)
        download.replace(copy)
    return copy


def _check_sha256(path: Path, expected: str | None) -> None:
    if expected is None or (found := file_sha256(path)) == expected.lower():
        return
    raise InvalidCheckpointError(
        f"SHA-256 {found}",
        expected=expected.lower(),
        cure=f"Give the base weights this SHA-256 belongs to, or fetch them anew (read from {path})",
    )


def write_whole(url: str, data: bytes) -> None:
    """Write a file so that a reader sees all of it or none; an existing one is replaced.

    Raises:
        BrokenRunError: It cannot be written, for want of room for one.
    """
    path = local_path(url)
    with storing(url):
        if path is None:
            files, key = filesystem(url)
            files.pipe_file(key, data)
        else:
            _write_local(path, data)


def _write_local(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.{secrets.token_hex(8)}{PARTIAL}")
    try:
        with partial.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def storing(url: str) -> Iterator[None]:
    """Around what is done to storage below `url`: a failure ends the run in one line.

    Raises:
        BrokenRunError: A full disk, a quota, a limit on the size of files, or storage that cannot be reached.
    """
    try:
        yield
    except failures() as error:
        full = isinstance(error, OSError) and error.errno in _NO_ROOM
        raise BrokenRunError(
            f"{'no room is left' if full else 'the storage failed'} ({type(error).__name__}: {error})",
            expected="room for the output" if full else "storage that this machine can reach and may write to",
            cure=f"{'Make room' if full else 'See to it'} and go on with --resume: what was finished is kept.",
            file=redacted(url),
        ) from error


def failures() -> tuple[type[Exception], ...]:
    """What storage raises when it fails; botocore's own errors are no OSError."""
    exceptions = sys.modules.get("botocore.exceptions")
    return (OSError,) if exceptions is None else (OSError, exceptions.BotoCoreError)


def file_sha256(path: Path) -> str:
    """SHA-256 of a local file."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(_PIECE):
            digest.update(piece)
    return digest.hexdigest()


def _unreadable(url: str, error: Exception) -> InvalidCheckpointError:
    return InvalidCheckpointError(
        f"cannot be read ({type(error).__name__}: {error})",
        expected="a file or an fsspec URL that this machine may read",
        file=redacted(url),
    )
