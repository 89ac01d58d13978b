"""Files that many processes of a machine want at once: fetched by one of them, and hashed by one of them.

The others wait for a lock of the operating system, which is gone with whoever held it; its file stays, and means
nothing by itself. Where folders are shared by machines that lock together (NFS does), one of all of them fetches. What
a file hashed to is kept beside it with what the file was like (size, times, inode), and believed while it is so.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import logging
import os
import secrets
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

from landslide_scale.errors import BrokenRunError, InvalidCheckpointError
from landslide_scale.redaction import redacted
from landslide_scale.storage.absence import WRITER_S, is_full, patient
from landslide_scale.storage.durable import PARTIAL
from landslide_scale.storage.files import fetched, file_sha256, filesystem, local_path, write_whole

log = logging.getLogger(__name__)

_NOTES = "checked"
_OTHER = "Give the file that this was said of, or what is true of this one"
_CURE = "Set XDG_CACHE_HOME to a folder with room that every process may write to, or give the file by a local path"


def local_copy(url: str, sha256: str | None, cache: Path | None = None, *, size: int | None = None) -> Path:
    """Find or make the file on a local disk: itself, or a copy under `cache`, fetched once and kept only whole.

    A copy is known by its SHA-256, or by a hash of its whole URL where none is given.

    Args:
        url: A path or an fsspec URL.
        sha256: Of the file, in hexadecimal; None to take what is there.
        cache: Folder for copies; None for ``landslide_scale`` in the user's cache.
        size: Of the file in bytes, asked of its server before it is fetched; None where it is not known.

    Raises:
        InvalidCheckpointError: There is no such file, it cannot be read or kept, or it has another SHA-256 or size.
        StorageAwayError: It cannot be fetched now.
        BrokenRunError: There is no room for a copy.
    """
    path, expected = local_path(url), None if sha256 is None else sha256.lower()
    if path is None:
        return _cached(url, expected, cache or user_cache(), size)
    if size is not None:
        fetched(url, partial(_check_size, url, size))
    if expected is not None:
        found = fetched(url, partial(_known_sha256, path, cache))
        if found != expected:
            raise _other(found, expected, path)
    return path


@contextmanager
def unchanged(url: str) -> Iterator[None]:
    """Around the hashing and reading of a local file: what is read is what was hashed.

    Copies of remote files are known by their hash, and never changed.

    Raises:
        InvalidCheckpointError: It was written to or replaced meanwhile.
    """
    path = local_path(url)
    before = None if path is None or not path.exists() else _state(path)
    yield
    if path is not None and before is not None and (not path.exists() or _state(path) != before):
        raise InvalidCheckpointError(
            "a file that was changed while it was read",
            expected="one that stays as it is",
            cure="Give the same command again once the file is whole.",
            file=redacted(url),
        )


def kept_copy(sha256: str, cache: Path | None = None) -> Path | None:
    """The copy of a file of this SHA-256, where one is kept; whether it is still whole is not looked at."""
    copy = (cache or user_cache()) / f"{sha256.lower()}.pth"
    return copy if copy.exists() else None


def bytes_to_fetch(url: str, sha256: str) -> int | None:
    """Size of a file that :func:`local_copy` would fetch, as far as its server says one; 0 where it is here already.

    Raises:
        InvalidCheckpointError: There is no such file, or it cannot be read.
        StorageAwayError: It cannot be reached now.
    """
    if local_path(url) is not None or kept_copy(sha256) is not None:
        return 0
    size: int | None = fetched(url, partial(_size, url))
    return size


def _size(url: str) -> int | None:
    files, key = filesystem(url)
    found = files.size(key)
    return None if found is None else int(found)


def user_cache() -> Path:
    """``landslide_scale`` in the user's cache.

    Raises:
        InvalidCheckpointError: Nothing says where that is.
    """
    told = Path(os.environ.get("XDG_CACHE_HOME", ""))
    try:  # a relative one is to be ignored (XDG Base Directory Specification)
        return (told if told.is_absolute() else Path.home() / ".cache") / "landslide_scale"
    except RuntimeError as error:
        raise InvalidCheckpointError(
            f"no folder for copies of remote files ({error})", expected="XDG_CACHE_HOME or HOME to be set", cure=_CURE
        ) from None


def _cached(url: str, expected: str | None, cache: Path, size: int | None) -> Path:
    key = expected or hashlib.sha256(url.encode()).hexdigest()  # the whole address: a query may name a version
    copy = cache / f"{key}.pth"
    with _keeping(cache), _locked(cache, key, f"fetches {redacted(url)}") as partial_name:
        if copy.exists():
            if expected is None or (found := _noted_sha256(copy, _note(cache, key))) == expected:
                return copy
            log.warning("%s has SHA-256 %s, and is fetched anew", copy, found)
        download = cache / partial_name
        try:
            download.touch()
            with patient(WRITER_S):
                if size is not None:
                    fetched(url, partial(_check_size, url, size))
                log.warning("fetching %s%s", redacted(url), "" if size is None else f", {size:,} bytes")
                fetched(url, partial(_download, url, download))
            if expected is not None and (found := file_sha256(download)) != expected:
                raise _other(found, expected, url)
            download.replace(copy)
            if expected is not None:
                _keep(_note(cache, key), expected, copy)
        finally:
            download.unlink(missing_ok=True)
    return copy


def _check_size(url: str, size: int) -> None:
    """Compare what storage says a file's size is, where it says one, with what it should be."""
    found = _size(url)
    if found is not None and found != size:
        raise InvalidCheckpointError(f"{found:,} bytes", expected=f"{size:,}", cure=_OTHER, file=redacted(url))


def _download(url: str, path: Path) -> None:
    files, key = filesystem(url)
    try:
        files.get_file(key, str(path))
    except OSError as error:
        if is_full(error):
            raise _unkept(error, path.parent) from error
        raise


def _known_sha256(path: Path, cache: Path | None) -> str:
    """SHA-256 of a local file, computed by one process of this machine where there is a cache to keep it in."""
    name = hashlib.sha256(f"{socket.gethostname()} {path.absolute()}".encode()).hexdigest()
    try:
        folder = cache or user_cache()
        with _keeping(folder), _locked(folder, name, f"hashes {path}"):
            return _noted_sha256(path, _note(folder, name))
    except (InvalidCheckpointError, BrokenRunError) as error:
        log.debug("the hash of %s is not kept: %s", path, error)
    return file_sha256(path)


def _noted_sha256(path: Path, note: Path) -> str:
    """SHA-256 of a file, as noted while it was as it is; else computed, and noted."""
    with suppress(FileNotFoundError, ValueError, TypeError, KeyError):
        known = json.loads(note.read_text(encoding="utf-8"))
        if known["state"] == _state(path):
            return str(known["sha256"])
    before, found = _state(path), file_sha256(path)
    if _state(path) == before:
        _keep(note, found, path)
    return found


def _keep(note: Path, sha256: str, path: Path) -> None:
    write_whole(str(note), json.dumps({"sha256": sha256, "state": _state(path)}).encode())


def _state(path: Path) -> list[int]:
    """What changes whenever a file's bytes are written, its times set or another put in its place."""
    about = path.stat()
    return [about.st_size, about.st_mtime_ns, about.st_ctime_ns, about.st_ino]


def _note(cache: Path, key: str) -> Path:
    return cache / _NOTES / f"{key}.json"


@contextmanager
def _locked(cache: Path, key: str, what: str) -> Iterator[str]:
    """One process at a time; gives a name that nobody else has for what it is about to make.

    Where the folder cannot lock, each process goes on by itself, under a name of its own.
    """
    (cache / _NOTES).mkdir(parents=True, exist_ok=True)
    with (cache / _NOTES / f"{key}.lock").open("ab") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            log.warning("waiting for another process that %s", what)
            fcntl.flock(file, fcntl.LOCK_EX)
        except OSError as error:
            log.info("%s cannot be locked (%s)", cache, error)
            yield f"{key}.{secrets.token_hex(8)}{PARTIAL}"
            return
        yield f"{key}{PARTIAL}"  # what a killed process left of it is written over


@contextmanager
def _keeping(cache: Path) -> Iterator[None]:
    """Around what is kept in a cache: a folder that cannot keep it is named.

    Raises:
        InvalidCheckpointError: This process may not write to it.
        BrokenRunError: It is full.
    """
    try:
        yield
    except OSError as error:
        raise _unkept(error, cache) from error


def _unkept(error: OSError, cache: Path) -> BrokenRunError | InvalidCheckpointError:
    full = is_full(error)
    kind = BrokenRunError if full else InvalidCheckpointError
    return kind(
        f"{'no room is left' if full else 'it cannot be written to'} ({type(error).__name__}: {error})",
        expected="a folder that keeps copies of remote files",
        cure=_CURE,
        cache=cache,
    )


def _other(found: str, expected: str, where: object) -> InvalidCheckpointError:
    return InvalidCheckpointError(
        f"SHA-256 {found}",
        expected=expected,
        cure=f"{_OTHER} (read from {redacted(str(where))})",
    )
