"""Files below one path or URL, on a local disk and on an object store alike."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from fsspec.asyn import AsyncFileSystem, sync
from fsspec.implementations.local import LocalFileSystem

from landslide_scale.errors import InvalidConfigError
from landslide_scale.redaction import redacted
from landslide_scale.storage import conditional, s3
from landslide_scale.storage.conditional import Version
from landslide_scale.storage.durable import is_unfinished
from landslide_scale.storage.files import filesystem, local_path, riding, storing, write_whole

_AT_ONCE = 1000
"""Objects; as many as S3 removes in one request."""


def as_json(content: object) -> bytes:
    """What a file of JSON holds."""
    return (json.dumps(content, indent=1) + "\n").encode()


class Folder:
    """Files below one path or fsspec URL.

    Args:
        url: The folder; it need not exist.
    """

    def __init__(self, url: str) -> None:
        try:
            # Without a cache of listings: other processes write into the same folder.
            path = local_path(url)
            self.url = url if path is None else str(path.expanduser().absolute())
            self._files, self._root = filesystem(self.url, use_listings_cache=False)
        except (ValueError, ImportError) as error:
            raise InvalidConfigError(str(error), expected="a path or fsspec URL", key="output.run") from None

    def __reduce__(self) -> tuple[object, ...]:
        return (type(self), (self.url,))

    def __str__(self) -> str:
        return redacted(self.url)

    def at(self, name: str) -> str:
        """URL of something inside."""
        return f"{self.url.rstrip('/')}/{name}"

    @riding
    def exists(self, name: str) -> bool:
        """Whether a file is there.

        Raises:
            BrokenRunError: The storage refuses to say.
            StorageAwayError: It could not be reached for as long as one is patient; so of every method here.
        """
        try:  # unlike `exists`, which on a network file system takes any trouble for an answer
            self._files.info(f"{self._root}/{name}")
        except (FileNotFoundError, NotADirectoryError):
            return False
        return True

    @riding
    def read(self, name: str) -> bytes:
        """A whole file."""
        return bytes(self._files.cat_file(f"{self._root}/{name}"))

    def write(self, name: str, content: bytes) -> None:
        """Write a whole file, or nothing."""
        write_whole(self.at(name), content)

    @riding
    def create(self, name: str, content: bytes) -> None:
        """Write a whole file that is not there yet, or nothing.

        Raises:
            RunConflictError: It is there.
        """
        conditional.create(self._files, f"{self._root}/{name}", content)

    @riding
    def version(self, name: str) -> Version:
        """A small file as it is now, for :meth:`swap`.

        Raises:
            FileNotFoundError: There is none.
        """
        return conditional.version(self._files, f"{self._root}/{name}")

    @riding
    def swap(self, name: str, known: Version | None, content: bytes) -> bool:
        """Replace a small file that is still as it was read, or make one where there is none; whether that was done."""
        return conditional.swap(self._files, f"{self._root}/{name}", known, content)

    @riding
    def renew(self, name: str, content: bytes) -> None:
        """Replace a small file that is there; one that is gone is not made anew.

        Raises:
            FileNotFoundError: It is gone.
        """
        conditional.renew(self._files, f"{self._root}/{name}", content)

    def read_json(self, name: str) -> Any:  # noqa: ANN401 JSON
        """A file of JSON."""
        return json.loads(self.read(name))

    def write_json(self, name: str, content: object) -> None:
        """Write a file of JSON."""
        self.write(name, as_json(content))

    @riding
    def read_all(self, names: Sequence[str]) -> list[bytes]:
        """Whole files, at once where the storage can."""
        paths = [f"{self._root}/{name}" for name in names]
        # Not cat, which takes names for patterns.
        return [bytes(content) for content in self._files.cat_ranges(paths, None, None, on_error="raise")]

    @riding
    def read_there(self, names: Sequence[str]) -> dict[str, bytes]:
        """Whole files by name, at once where the storage can; those that are gone by now are left out."""
        paths = [f"{self._root}/{name}" for name in names]
        found: dict[str, bytes] = {}
        for name, content in zip(names, self._files.cat_ranges(paths, None, None, on_error="return"), strict=True):
            if not isinstance(content, Exception):
                found[name] = bytes(content)
            elif not isinstance(content, FileNotFoundError):
                raise content
        return found

    @riding
    def names(self, folder: str, ending: str) -> list[str]:
        """Names of the files of a folder that end so; none where there is no folder."""
        path = f"{self._root}/{folder}".rstrip("/")
        try:
            entries = self._files.ls(path, detail=False)
        except (FileNotFoundError, NotADirectoryError):
            return []
        found = (str(entry).rsplit("/", 1)[-1] for entry in entries)
        return sorted(name for name in found if name and name.endswith(ending))  # of a folder's own mark it is empty

    @riding
    def folders(self, folder: str) -> list[str]:
        """Names of the folders in a folder; none where there is none."""
        path = f"{self._root}/{folder}".rstrip("/")
        try:
            entries = self._files.ls(path, detail=True)
        except (FileNotFoundError, NotADirectoryError):
            return []
        names = (str(entry["name"]) for entry in entries if entry["type"] == "directory")
        return sorted(name.rstrip("/").rsplit("/", 1)[-1] for name in names if _is_inside(name, path))

    @riding
    def sizes(self, folder: str) -> dict[str, int]:
        """Bytes of every file below a folder, by path inside it; none where there is no folder."""
        path = self._files._strip_protocol(f"{self._root}/{folder}")  # noqa: SLF001 how find names what it finds
        found = self._files.find(path, detail=True)
        sizes = {str(name).removeprefix(path).lstrip("/"): int(entry["size"]) for name, entry in found.items()}
        return {name: size for name, size in sizes.items() if name and not name.endswith("/")}

    @riding
    def delete(self, name: str) -> None:
        """Remove a file."""
        self._files.rm_file(f"{self._root}/{name}")

    @riding
    def delete_all(self, names: Sequence[str]) -> None:
        """Remove files, at once where the storage can; one that is not there is no error.

        Raises:
            BrokenRunError: The storage cannot be reached, or one of them is not removed.
            StorageAwayError: That may pass, and did not for as long as one is patient.
        """
        with storing(self.url):
            if isinstance(self._files, AsyncFileSystem):
                sync(self._files.loop, _removed, self._files, [f"{self._root}/{name}" for name in names])
                return
            for name in names:
                with suppress(FileNotFoundError):
                    self.delete(name)

    def remove_partial_files(self, *below: str, but: str = "/") -> None:
        """Remove what writers left that were killed before their rename, and nothing of anybody else.

        Of a writer that was only paused the rename then fails.

        Args:
            below: Folders in which they write at any depth; in this one itself, what is right in it.
            but: How names begin of files that stay.
        """
        if isinstance(self._files, LocalFileSystem):
            root = Path(self._root)
            for path in (*root.glob("*"), *(path for folder in below for path in (root / folder).rglob("*"))):
                if is_unfinished(path.name) and not path.name.startswith(but):
                    path.unlink(missing_ok=True)


async def _removed(files: Any, paths: Sequence[str]) -> None:  # noqa: ANN401 fsspec ships no types
    """Remove objects by their names; rm would take them for patterns."""
    for start in range(0, len(paths), _AT_ONCE):
        some = list(paths[start : start + _AT_ONCE])
        if hasattr(files, "_call_s3"):
            await _removed_from_s3(files, some)
            continue
        ended = await asyncio.gather(*(files._rm_file(path) for path in some), return_exceptions=True)  # noqa: SLF001
        for error in ended:
            if isinstance(error, BaseException) and not isinstance(error, FileNotFoundError):
                raise error


async def _removed_from_s3(files: Any, paths: Sequence[str]) -> None:  # noqa: ANN401
    """Remove up to a thousand objects in one request, which succeeds as a whole where single ones are not removed.

    s3fs, which has such a request of its own, takes those for removed.
    """
    keys = [files.split_path(path)[:2] for path in paths]
    wanted = {"Objects": [{"Key": key} for _, key in keys], "Quiet": True}
    if not keys:
        return
    answer = await files._call_s3("delete_objects", Bucket=keys[0][0], Delete=wanted)  # noqa: SLF001 as s3fs itself
    failed = [error for error in answer.get("Errors", []) if error.get("Code") != "NoSuchKey"]
    if failed:
        one = failed[0]
        raise s3.of_one(
            one.get("Code", ""), f"{one.get('Message', '')} ({len(failed)} of {len(keys)})", "DeleteObjects"
        )


def _is_inside(name: str, folder: str) -> bool:
    """Whether an entry of a folder's listing is not the mark of that folder itself, as consoles of S3 make one."""
    return name.strip("/") != folder.strip("/")
