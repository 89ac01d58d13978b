"""What a power loss leaves of a local disk: the calls of a run are recorded, and done again as far as they were synced.

Content is there once its file was synced, a name (or that it is gone) once its folder was. What was not synced is lost,
all of it at once; but for names, which a disk may have kept in some folders all the same.
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import RLock
from typing import Any, Literal
from unittest.mock import patch

Kind = Literal["write", "sync", "rename", "link", "unlink", "mkdir", "rmdir"]


@dataclass(frozen=True)
class Call:
    """One call: `path` is below the watched folder; `content` of what was written, or where it was moved to."""

    kind: Kind
    path: str
    content: bytes = b""
    to: str = ""


@dataclass
class _File:
    """A file, whatever its names are."""

    content: bytes = b""
    kept: bytes = b""


@dataclass
class _Folder:
    names: dict[str, _File | _Folder] = field(default_factory=dict)
    kept: dict[str, _File | _Folder] = field(default_factory=dict)


class Disk:
    """A disk on which calls are done, and what it has kept."""

    def __init__(self, calls: Sequence[Call] = ()) -> None:
        self.root = _Folder()
        for call in calls:
            self.do(call)

    def do(self, call: Call) -> None:
        """As a kernel does a call."""
        if call.kind == "sync":
            self._sync(call.path)
            return
        folder, name = self._above(call.path)
        if call.kind == "mkdir":
            folder.names[name] = _Folder()
        elif call.kind == "write":
            known = folder.names.setdefault(name, _File())
            assert isinstance(known, _File)
            known.content = call.content
        elif call.kind == "rename":
            into, other = self._above(call.to)
            into.names[other] = folder.names.pop(name)
        elif call.kind == "link":
            into, other = self._above(call.to)
            into.names[other] = folder.names[name]
        else:
            del folder.names[name]

    def _sync(self, path: str) -> None:
        node = self._at(path)
        if isinstance(node, _File):
            node.kept = node.content
        else:
            node.kept = dict(node.names)

    def _at(self, path: str) -> _File | _Folder:
        node: _File | _Folder = self.root
        for part in Path(path).parts:
            assert isinstance(node, _Folder)
            node = node.names[part]
        return node

    def _above(self, path: str) -> tuple[_Folder, str]:
        where = Path(path)
        folder = self._at(str(where.parent)) if where.parent != Path() else self.root
        assert isinstance(folder, _Folder)
        return folder, where.name

    def left(self, lucky: Callable[[str], bool] = lambda _: False) -> dict[str, bytes | None]:
        """What is there after the power was lost: contents by path; None of a folder.

        Args:
            lucky: Whether the names in a folder were kept, synced or not.
        """
        return dict(_left(self.root, "", lucky))


def _left(folder: _Folder, above: str, lucky: Callable[[str], bool]) -> Iterator[tuple[str, bytes | None]]:
    for name, node in (folder.names if lucky(above) else folder.kept).items():
        path = f"{above}/{name}".lstrip("/")
        if isinstance(node, _File):
            yield path, node.kept
        else:
            yield path, None
            yield from _left(node, path, lucky)


def put(left: Mapping[str, bytes | None], target: Path) -> None:
    """Make a folder of what is left."""
    target.mkdir(parents=True)
    for path, content in left.items():
        if content is None:
            (target / path).mkdir()
        else:
            (target / path).write_bytes(content)


@contextmanager
def recorded(root: Path) -> Iterator[list[Call]]:
    """The calls of this process that change what is below a folder, which is there and empty, in their order."""
    recorder = _Recorder(root)
    with recorder.instead():
        yield recorder.calls


class _Recorder:
    def __init__(self, root: Path) -> None:
        self.calls: list[Call] = []
        self._root, self._lock = str(root), RLock()
        self._real = {name: getattr(os, name) for name in ("fsync", "replace", "link", "unlink", "mkdir", "rmdir")}
        self._open = io.open

    @contextmanager
    def instead(self) -> Iterator[None]:
        moving, removing = {"replace": self.moved, "rename": self.moved}, {"unlink": self.gone, "remove": self.gone}
        made = {"mkdir": self.made, "rmdir": self.emptied, "fsync": self.synced, "link": self.linked}
        calls = {name: self._at_once(call) for name, call in (moving | removing | made).items()}
        with patch.multiple(os, **calls), patch("io.open", self._at_once(self.opened)):
            yield

    def _at_once(self, call: Callable[..., Any]) -> Callable[..., Any]:
        """Carried out and noted before another thread's: else it would use a folder whose making is not noted yet."""

        def alone(*given: Any, **more: Any) -> Any:  # noqa: ANN401
            with self._lock:
                return call(*given, **more)

        return alone

    def inside(self, path: Any) -> str | None:  # noqa: ANN401 as the os takes them
        text = "" if isinstance(path, int) else os.fspath(path)
        if text != self._root and not text.startswith(self._root + os.sep):
            return None
        return str(text.removeprefix(self._root).lstrip(os.sep))

    def told(self, kind: Kind, path: Any, **more: Any) -> None:  # noqa: ANN401
        if (where := self.inside(path)) is not None:
            self.calls.append(Call(kind, where, **more))

    def synced(self, descriptor: int) -> None:
        self._real["fsync"](descriptor)
        path = Path(f"/proc/self/fd/{descriptor}").readlink()
        if path.is_file():
            self.told("write", path, content=path.read_bytes())
        self.told("sync", path)

    def moved(self, source: Any, target: Any, **more: Any) -> None:  # noqa: ANN401
        if self.inside(source) is not None and Path(source).is_file():
            self.told("write", source, content=Path(source).read_bytes())  # which the disk need not have kept
        self._real["replace"](source, target, **more)
        self.told("rename", source, to=str(self.inside(target)))

    def linked(self, source: Any, target: Any, **more: Any) -> None:  # noqa: ANN401
        self._real["link"](source, target, **more)
        self.told("link", source, to=str(self.inside(target)))

    def gone(self, path: Any, **more: Any) -> None:  # noqa: ANN401
        there = not more.get("dir_fd") and Path(path).exists()
        self._real["unlink"](path, **more)
        if there:
            self.told("unlink", path)

    def made(self, path: Any, *mode: int, **more: Any) -> None:  # noqa: ANN401
        self._real["mkdir"](path, *mode, **more)
        self.told("mkdir", path)

    def emptied(self, path: Any, **more: Any) -> None:  # noqa: ANN401
        self._real["rmdir"](path, **more)
        self.told("rmdir", path)

    def opened(self, file: Any, mode: str = "r", *rest: Any, **more: Any) -> Any:  # noqa: ANN401
        new = set(mode) & set("wxa") and self.inside(file) is not None and not Path(file).exists()
        found = self._open(file, mode, *rest, **more)
        if new:
            self.told("write", file)
        return found
