"""The little a data set asks of storage, so that a folder and an object store read alike."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from landslide_scale.errors import InvalidDatasetError, StorageAwayError
from landslide_scale.redaction import redacted

_LIBRARIES = {
    "aiohttp.client_exceptions": ("ClientError",),
    "botocore.exceptions": ("BotoCoreError", "ClientError"),
}
"""What may talk to a store; their errors are no OSError. Loaded by fsspec where an address asks for them."""

_AWAY = (408, 425, 429, 500, 502, 503, 504)


class Files(Protocol):
    """A read-only tree of files; paths are relative to its root, with forward slashes."""

    def names(self, folder: str) -> tuple[str, ...]:
        """List the files directly in a folder, sorted, without hidden ones; InvalidDatasetError if it is missing."""
        ...

    def read(self, path: str) -> bytes:
        """Read a whole file; InvalidDatasetError naming it if that fails."""
        ...

    def where(self, path: str) -> str:
        """Name a file in full, for messages."""
        ...


@dataclass(frozen=True, kw_only=True)
class LocalFiles:
    """A folder of this machine, or of a disk all machines share."""

    root: str

    def names(self, folder: str) -> tuple[str, ...]:
        """List the files directly in a folder."""
        where = Path(self.root, folder)
        if not where.is_dir():
            raise InvalidDatasetError("no such folder", expected=f"a folder {folder or 'of data'}", file=where)
        return tuple(sorted(p.name for p in where.iterdir() if p.is_file() and not p.name.startswith(".")))

    def read(self, path: str) -> bytes:
        """Read a whole file."""
        try:
            return Path(self.root, path).read_bytes()
        except OSError as error:
            raise InvalidDatasetError(
                f"cannot be read ({error.strerror})", expected="a readable file", file=self.where(path)
            ) from error

    def where(self, path: str) -> str:
        """Name a file in full."""
        return str(Path(self.root, path))


@dataclass(frozen=True, kw_only=True)
class RemoteFiles:
    """A prefix of an object store, by fsspec URL, which must not carry keys: it is named in messages."""

    root: str

    def names(self, folder: str) -> tuple[str, ...]:
        """List the objects directly under a prefix."""
        with self._reading("listed", "a readable folder", folder):
            entries = self._filesystem().ls(self.where(folder), detail=True)
        found = (entry["name"].rpartition("/")[2] for entry in entries if entry["type"] == "file")
        return tuple(sorted(name for name in found if name and not name.startswith(".")))

    def read(self, path: str) -> bytes:
        """Read a whole object."""
        with self._reading("read", "a readable file", path):
            content: bytes = self._filesystem().cat_file(self.where(path))
        return content

    def where(self, path: str) -> str:
        """Name an object in full."""
        return f"{self.root.rstrip('/')}/{path}".rstrip("/")

    @contextmanager
    def _reading(self, what: str, expected: str, path: str) -> Iterator[None]:
        """Around what is asked of the store: libraries of its clients raise errors that are no OSError."""
        try:
            yield
        except _failures() as error:
            where = redacted(self.where(path))
            if (getattr(error, "status", 0) or 0) in _AWAY:
                raise StorageAwayError(
                    f"cannot be {what} now ({error})", expected=expected, cure="Run it again later.", file=where
                ) from None
            raise InvalidDatasetError(f"cannot be {what} ({error})", expected=expected, file=where) from None

    def _filesystem(self) -> Any:  # noqa: ANN401 (fsspec has no types)
        from fsspec.core import url_to_fs  # noqa: PLC0415 (local folders need no fsspec)

        return url_to_fs(self.root)[0]


def _failures() -> tuple[type[Exception], ...]:
    loaded = [(sys.modules[module], names) for module, names in _LIBRARIES.items() if module in sys.modules]
    return (OSError, ValueError, *(getattr(module, name) for module, names in loaded for name in names))


def files_at(path: str) -> Files:
    """The files under a local folder or an fsspec URL."""
    if path.startswith("file://"):
        return LocalFiles(root=path.removeprefix("file://"))
    return RemoteFiles(root=path) if "://" in path else LocalFiles(root=path)
