"""Items as they wait between what is done with them: one at a time is spelled out, the others take little memory.

An Item of Sentinel-2 has some six hundred values and takes 88 kB as Python holds it; its bytes, packed with another one
as their dictionary, are one to four kB, and lie in a temporary file once there are many.
"""

from __future__ import annotations

import errno
import marshal
import os
import tempfile
import zlib
from collections.abc import Iterator, Mapping
from typing import IO, Any

from landslide_scale.errors import BrokenRunError

HELD_BYTES = 16 * 2**20
"""Of packed Items in memory; what comes later lies in a temporary file."""

_LEVEL = 1
_WINDOW = 32_768
"""Bytes that DEFLATE looks back."""


class Packing:
    """Where Items are packed that are alike, as those of one search are."""

    def __init__(self) -> None:
        self._like = b""
        self._held = 0
        self._file: IO[bytes] | None = None
        self._length = 0
        self._spelled: tuple[PackedItem | None, dict[str, Any]] = (None, {})

    def pack(self, item: Mapping[str, Any]) -> Mapping[str, Any]:
        """The Item, packed; or as it is, where it holds what JSON does not have or lies deeper than it can be walked.

        Raises:
            BrokenRunError: There is no room for the temporary file.
        """
        if isinstance(item, PackedItem):
            return item
        try:
            plain = marshal.dumps(dict(item))
        except ValueError:
            return item
        self._like = self._like or plain[-_WINDOW:]
        packer = zlib.compressobj(_LEVEL, zdict=self._like)
        content = packer.compress(plain) + packer.flush()
        return PackedItem(self, item.get("id"), *self._kept(content))

    def _kept(self, content: bytes) -> tuple[bytes | None, int, int]:
        """The content itself, or where it lies in the file."""
        if self._held + len(content) <= HELD_BYTES:
            self._held += len(content)
            return content, 0, 0
        try:
            self._write(content)
        except OSError as error:
            raise BrokenRunError(
                f"no temporary file ({error.strerror})",
                expected="room for packed Items",
                cure="TMPDIR may name another folder.",
                folder=tempfile.gettempdir(),
            ) from error
        start, self._length = self._length, self._length + len(content)
        return None, start, len(content)

    def _write(self, content: bytes) -> None:
        if self._file is None:
            self._file = tempfile.TemporaryFile()  # noqa: SIM115 as long as any Item of it is there
        if os.pwrite(self._file.fileno(), content, self._length) < len(content):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def spelled(self, item: PackedItem, content: bytes | None, start: int, length: int) -> dict[str, Any]:
        """An Item as it was; the last one is remembered, for it is asked for many of its values."""
        known, said = self._spelled
        if known is item:
            return said
        if content is None:
            assert self._file is not None  # noqa: S101 it lies there
            content = os.pread(self._file.fileno(), length, start)
        found: dict[str, Any] = marshal.loads(zlib.decompressobj(zdict=self._like).decompress(content))  # noqa: S302 ours
        self._spelled = item, found
        return found


class PackedItem(Mapping[str, Any]):
    """An Item that a :class:`Packing` holds."""

    __slots__ = ("_content", "_id", "_length", "_packing", "_start")

    def __init__(self, packing: Packing, name: object, content: bytes | None, start: int, length: int) -> None:
        self._packing, self._content, self._start, self._length = packing, content, start, length
        self._id = name if isinstance(name, str) else None

    def spelled(self) -> dict[str, Any]:
        """All that it says, for whoever only reads it."""
        return self._packing.spelled(self, self._content, self._start, self._length)

    def __getitem__(self, key: str) -> Any:  # noqa: ANN401 as JSON has it
        return self._id if key == "id" and self._id is not None else self.spelled()[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self.spelled())

    def __len__(self) -> int:
        return len(self.spelled())


def spelled_out(item: Mapping[str, Any]) -> Mapping[str, Any]:
    """An Item to be asked for many of its values: a packed one is looked up once, and not for each of them."""
    return item.spelled() if isinstance(item, PackedItem) else item
