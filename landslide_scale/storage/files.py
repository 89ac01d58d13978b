"""Files by local path or fsspec URL.

fsspec is imported where a URL needs it: what stands on this imports without it.
"""

from __future__ import annotations

import functools
import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from landslide_scale.errors import BrokenRunError, InvalidCheckpointError, StorageAwayError
from landslide_scale.redaction import redacted
from landslide_scale.storage import s3
from landslide_scale.storage.absence import behind, failures, is_full, look, may_pass, riding_out, told
from landslide_scale.storage.durable import make, settle, written

F = TypeVar("F", bound=Callable[..., Any])
T = TypeVar("T")

_PIECE = 1 << 24
_S3 = ("s3://", "s3a://")


def local_path(url: str) -> Path | None:
    """The path, where `url` is one or is a ``file:`` URL; None where it is of another kind."""
    if url.startswith("file://"):
        return Path(url.removeprefix("file://"))
    return None if "://" in url else Path(url)


def options(url: str) -> dict[str, Any]:
    """What fsspec is to be told of a filesystem, besides what users have told it themselves."""
    if url.startswith(("http://", "https://")):
        import aiohttp  # noqa: PLC0415 - as fsspec

        # By its own default a download that takes five minutes is given up, however well it goes.
        return {"client_kwargs": {"timeout": aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=30)}}
    return s3.options() if url.startswith(_S3) else {}


def filesystem(url: str, **more: object) -> tuple[Any, str]:
    """Where a path or fsspec URL is: fsspec's file system, and the name there. Of a path, all characters are names'."""
    from fsspec.core import url_to_fs  # noqa: PLC0415 - local files need no fsspec
    from fsspec.implementations.local import LocalFileSystem  # noqa: PLC0415 - as above

    path = local_path(url)
    if path is not None:
        return LocalFileSystem(), str(path.absolute())
    files, key = url_to_fs(url, **options(url), **more)
    return files, key


def read_range(url: str, start: int, stop: int | None) -> bytes:
    """Bytes [start, stop) of a file, or fewer where it ends before; None reads to its end.

    Raises:
        InvalidCheckpointError: There is no such file or it cannot be read.
        StorageAwayError: It cannot be read now.
    """
    return fetched(url, partial(_read_range, url, start, stop))


def _read_range(url: str, start: int, stop: int | None) -> bytes:
    path = local_path(url)
    if path is None:
        files, key = filesystem(url)
        data: bytes = files.cat_file(key, start=start, end=stop)
        # A simple web server gives the whole file, whatever part it is asked for.
        return data[start:stop] if stop is not None and len(data) > stop - start else data
    with path.open("rb") as file:
        file.seek(start)
        return file.read(-1 if stop is None else stop - start)


def fetched(url: str, read: Callable[[], T]) -> T:
    """What `read` gets of a file that a user named.

    Raises:
        InvalidCheckpointError: There is no such file or it cannot be read.
        StorageAwayError: It cannot be read now.
    """

    def once() -> T:
        try:
            return read()
        except _unreadable() as failed:
            error = behind(failed)
            if may_pass(error):
                raise away_now(told(error), url) from error
            raise InvalidCheckpointError(
                f"cannot be read ({told(error)})",
                expected="a file or an fsspec URL that this machine may read",
                file=redacted(url),
            ) from None  # the chain may repeat the address with its keys

    return riding_out(once)


def away_now(why: str, url: str) -> StorageAwayError:
    """What is raised of a file that a user named, and that may be read later."""
    return StorageAwayError(
        f"cannot be read now ({why})",
        expected="a path or URL that this machine can reach",
        cure="Run the same command again later, correct the address, or give a file on this machine.",
        file=redacted(url),
    )


def write_whole(url: str, data: bytes) -> None:
    """Write a file so that a reader sees all of it or none, and a power loss leaves it; an existing one is replaced.

    Raises:
        BrokenRunError: It cannot be written, for want of room for one.
        StorageAwayError: It cannot be written now.
    """
    persistently(url, partial(_write_whole, url, data))


def _write_whole(url: str, data: bytes) -> None:
    path = local_path(url)
    if path is None:
        files, key = filesystem(url)
        files.pipe_file(key, data)
    else:
        _write_local(path, data)


def _write_local(path: Path, data: bytes) -> None:
    written(path, lambda file: file.write(data), look)
    settle([path.parent])


def put_whole(url: str, file: Path) -> None:
    """Put a finished local file where it belongs, so that a reader sees all of it or none; one there is replaced.

    Args:
        url: Where it belongs.
        file: On the disk of `url` where that is local; it is moved then, and else copied.

    Raises:
        BrokenRunError: It cannot be put there, for want of room for one.
        StorageAwayError: It cannot be put there now.
    """
    persistently(url, partial(_put_whole, url, file))


def _put_whole(url: str, file: Path) -> None:
    path = local_path(url)
    if path is None:
        files, key = filesystem(url)
        files.put_file(str(file), key)
        return
    make(path.parent)
    with file.open("rb") as finished:
        os.fsync(finished.fileno())
    look()
    file.replace(path)
    settle([path.parent])


def get_whole(url: str, file: Path) -> None:
    """Copy a file at a URL to a local one.

    Raises:
        BrokenRunError: It cannot be copied, for want of room for one.
        StorageAwayError: It cannot be copied now.
    """
    persistently(url, partial(_get_whole, url, file))


def _get_whole(url: str, file: Path) -> None:
    files, key = filesystem(url)
    files.get_file(key, str(file))


def _unreadable() -> tuple[type[Exception], ...]:
    return (*failures(), ValueError, ImportError)


@contextmanager
def storing(url: str) -> Iterator[None]:
    """Around what is done to storage below `url`: a failure becomes one line.

    Raises:
        BrokenRunError: A full disk, a quota, a limit on the size of files, or storage that refuses.
        StorageAwayError: It may pass.
    """
    try:
        yield
    except failures() as error:
        raise _failed(url, error) from error


def persistently(url: str, work: Callable[[], T]) -> T:
    """Do something to storage below `url`, again where storage is away, for as long as the caller is patient.

    Raises:
        BrokenRunError: As in :func:`storing`.
        StorageAwayError: It was away for too long.
    """

    def once() -> T:
        with storing(url):
            return work()

    return riding_out(once)


def riding(method: F) -> F:
    """A method of something that has a ``url``, which asks again while its storage is away.

    That a file or folder is not there is an answer, and raised as it is.
    """

    @functools.wraps(method)
    def asked(self: Any, *arguments: Any) -> Any:  # noqa: ANN401 those of the method
        def once() -> Any:  # noqa: ANN401
            try:
                return method(self, *arguments)
            except (FileNotFoundError, NotADirectoryError):
                raise
            except failures() as error:
                raise _failed(self.url, error) from error

        return riding_out(once)

    return asked  # type: ignore[return-value]  # its signature is the method's


def _failed(url: str, error: Exception) -> BrokenRunError:
    full, kind = is_full(error), StorageAwayError if may_pass(error) else BrokenRunError
    return kind(
        f"{'no room is left' if full else 'the storage failed'} ({told(error)})",
        expected="room for the output" if full else "storage that this machine can reach and may write to",
        cure=f"{'Make room' if full else 'See to it'} and go on with --resume: what was finished is kept.",
        file=redacted(url),
    )


def file_sha256(path: Path) -> str:
    """SHA-256 of a local file."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(_PIECE):
            digest.update(piece)
    return digest.hexdigest()


def sha256_at(url: str, size: int) -> str:
    """SHA-256 of a file of so many bytes at a path or URL, read a piece at a time.

    Raises:
        BrokenRunError: It cannot be read.
        StorageAwayError: It cannot be read now.
    """
    digest = hashlib.sha256()
    for start in range(0, size, _PIECE):
        digest.update(persistently(url, partial(_read_range, url, start, min(start + _PIECE, size))))
    return digest.hexdigest()
