"""The folder of a run, on a local disk or an object store alike."""

from __future__ import annotations

import asyncio
import json
import platform
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from fsspec.asyn import AsyncFileSystem, sync
from fsspec.implementations.local import LocalFileSystem

from landslide_scale.errors import InvalidConfigError, RunConflictError
from landslide_scale.redaction import redacted
from landslide_scale.storage.files import PARTIAL, filesystem, local_path, riding, storing, write_whole

RECORDED = (
    "landslide-scale",
    "torch",
    "segment-anything",
    "segmentation-models-pytorch",
    "timm",
    "ray",
    "zarr",
    "xarray",
    "rasterio",
    "pystac-client",
)

RUN = "run.json"
"""What a folder says of the run in it."""

_AT_ONCE = 1000
"""Objects; as many as S3 removes in one request."""


class RunDirectory:
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
        return (RunDirectory, (self.url,))

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

    def read_json(self, name: str) -> Any:  # noqa: ANN401 JSON
        """A file of JSON."""
        return json.loads(self.read(name))

    def write_json(self, name: str, content: object) -> None:
        """Write a file of JSON."""
        self.write(name, (json.dumps(content, indent=1) + "\n").encode())

    @riding
    def read_all(self, names: Sequence[str]) -> list[bytes]:
        """Whole files, at once where the storage can."""
        paths = [f"{self._root}/{name}" for name in names]
        # Not cat, which takes names for patterns.
        return [bytes(content) for content in self._files.cat_ranges(paths, None, None, on_error="raise")]

    @riding
    def names(self, folder: str, ending: str) -> list[str]:
        """Names of the files of a folder that end so; none where there is no folder."""
        path = f"{self._root}/{folder}".rstrip("/")
        try:
            entries = self._files.ls(path, detail=False)
        except (FileNotFoundError, NotADirectoryError):
            return []
        found = (str(entry).rsplit("/", 1)[-1] for entry in entries)
        return sorted(name for name in found if name.endswith(ending))

    @riding
    def folders(self, folder: str) -> list[str]:
        """Names of the folders in a folder; none where there is none."""
        path = f"{self._root}/{folder}".rstrip("/")
        try:
            entries = self._files.ls(path, detail=True)
        except (FileNotFoundError, NotADirectoryError):
            return []
        found = [str(entry["name"]).rstrip("/") for entry in entries if entry["type"] == "directory"]
        return sorted(name.rsplit("/", 1)[-1] for name in found)

    @riding
    def sizes(self, folder: str) -> dict[str, int]:
        """Bytes of every file below a folder, by path inside it; none where there is no folder."""
        path = self._files._strip_protocol(f"{self._root}/{folder}")  # noqa: SLF001 how find names what it finds
        found = self._files.find(path, detail=True)
        return {str(name).removeprefix(path).lstrip("/"): int(entry["size"]) for name, entry in found.items()}

    @riding
    def delete(self, name: str) -> None:
        """Remove a file."""
        self._files.rm_file(f"{self._root}/{name}")

    @riding
    def delete_all(self, names: Sequence[str]) -> None:
        """Remove files, at once where the storage can; one that is not there is no error.

        Raises:
            BrokenRunError: The storage cannot be reached.
        """
        with storing(self.url):
            if isinstance(self._files, AsyncFileSystem):
                sync(self._files.loop, _removed, self._files, [f"{self._root}/{name}" for name in names])
                return
            for name in names:
                with suppress(FileNotFoundError):
                    self.delete(name)

    def remove_partial_files(self) -> None:
        """Remove what writers left that were killed before their rename."""
        if isinstance(self._files, LocalFileSystem):
            for path in Path(self._root).rglob(f"*{PARTIAL}"):
                path.unlink(missing_ok=True)

    def claim(self, kind: str, settings: dict[str, Any], *, resume: bool) -> None:
        """Take the folder for a run of these settings, or find the same run to go on with.

        Raises:
            RunConflictError: It holds a run that is not to be resumed, or one of another kind or other settings.
        """
        if not self.exists(RUN):
            self.write_json(RUN, {"kind": kind, "settings": settings, "state": "running", **_environment()})
            return
        self.match(kind, settings)
        if not resume:
            raise RunConflictError(
                f"a {kind} run that is {self.claimed()['state']}",
                expected="an empty folder",
                cure="Go on with it by --resume, or choose another output.run.",
                run=self,
            )

    def match(self, kind: str, settings: dict[str, Any]) -> None:
        """Make sure that the run here is one of these settings.

        Raises:
            RunConflictError: It is of another kind, or has other settings.
        """
        known = self.claimed()
        if known["kind"] != kind or known["settings"] != settings:
            changed = _difference(known | {"state": None}, {"kind": kind, "settings": settings, "state": None})
            raise RunConflictError(
                f"a {known['kind']} run with other settings ({changed.replace('settings.', '')})",
                expected="an empty folder, or the same run",
                cure="Choose another output.run.",
                run=self,
            )

    def claimed(self) -> dict[str, Any]:
        """Kind, settings and state of the run here.

        Raises:
            RunConflictError: There is none.
        """
        try:
            known = self.read_json(RUN)
            return {key: known[key] for key in ("kind", "settings", "state")}
        except FileNotFoundError as error:
            raise RunConflictError(
                "no run.json", expected="the folder of a run", cure="Give the folder named in output.run.", run=self
            ) from error
        except (ValueError, KeyError, TypeError) as error:
            raise RunConflictError(
                f"a run.json of something else ({type(error).__name__}: {error})",
                expected="an empty folder, or a run of this package",
                cure="Choose another output.run.",
                run=self,
            ) from error

    def note(self, **facts: object) -> None:
        """Add facts to run.json."""
        self.write_json(RUN, self.read_json(RUN) | facts)


async def _removed(files: Any, paths: Sequence[str]) -> None:  # noqa: ANN401 fsspec ships no types
    """Remove objects by their names; rm would take them for patterns."""
    bulk = getattr(files, "_bulk_delete", None)  # of S3: a thousand in one request
    for start in range(0, len(paths), _AT_ONCE):
        some = list(paths[start : start + _AT_ONCE])
        if bulk is not None:
            await bulk(some)
            continue
        ended = await asyncio.gather(*(files._rm_file(path) for path in some), return_exceptions=True)  # noqa: SLF001
        for error in ended:
            if isinstance(error, BaseException) and not isinstance(error, FileNotFoundError):
                raise error


def _difference(known: Any, wanted: Any, key: str = "") -> str:  # noqa: ANN401 JSON
    """The first few keys that differ."""
    if isinstance(known, dict) and isinstance(wanted, dict):
        parts = [
            _difference(known.get(name), wanted.get(name), f"{key}.{name}".lstrip("."))
            for name in sorted(known.keys() | wanted.keys())
            if known.get(name) != wanted.get(name)
        ]
        return "; ".join(part for part in parts if part)
    return f"{key}: {json.dumps(known)} there, {json.dumps(wanted)} now"


def _environment() -> dict[str, Any]:
    return {
        "begun": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": {"python": platform.python_version(), **{name: _version(name) for name in RECORDED}},
        "git_commit": commit(),
    }


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"


def commit() -> str:
    """Of the checkout that the package runs from; empty where it is installed."""
    command = ["git", "-C", str(Path(__file__).parent), "rev-parse", "HEAD"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()  # noqa: S603
    except (OSError, subprocess.CalledProcessError):
        return ""
