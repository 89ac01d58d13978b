"""Zarr's stores of a cube, in which every character of a name is the name's."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from contextlib import suppress

from zarr.abc.store import ByteRequest, Store
from zarr.core.buffer import Buffer, BufferPrototype
from zarr.storage import FsspecStore, LocalStore, WrapperStore

from landslide_scale.storage.durable import settle, written
from landslide_scale.storage.files import local_path, options


def store_at(url: str, *, read_only: bool = False) -> Store:
    """The store at a path or fsspec URL."""
    path = local_path(url)
    if path is not None:
        return _SyncedStore(path, read_only=read_only)
    return _NamedStore.from_url(url, read_only=read_only, storage_options=options(url) or None)


def settle_at(url: str, keys: Iterable[str]) -> None:
    """Have a local store keep what became of objects, written or removed, before anything says so.

    Args:
        url: Path or URL of the store; an object store has kept what it has answered for.
        keys: Names of the objects.
    """
    path = local_path(url)
    if path is not None:
        settle((path / key).parent for key in keys)


class _SyncedStore(LocalStore):
    """A local store that keeps the content of an object before it has its name; :func:`settle_at` keeps the name."""

    async def set(self, key: str, value: Buffer) -> None:
        """Write an object."""
        if not self._is_open:
            await self._open()
        self._check_writable()
        path = self.root / key
        content = value.as_buffer_like()
        await asyncio.to_thread(written, path, lambda file: file.write(content))

    async def set_if_not_exists(self, key: str, value: Buffer) -> None:
        """Write an object where there is none; a cube has one writer of what is shared."""
        if not await self.exists(key):
            await self.set(key, value)


class WritingStore(WrapperStore[Store]):
    """A store whose objects are written whole, and never read.

    Zarr 3.1 reads a shard before it writes it, whole or not, and fails where what it finds is damaged. What is written
    is kept until its writer has hashed it, so that nobody has to read it back.
    """

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        self.written: dict[str, bytes] = {}

    async def get(self, key: str, prototype: BufferPrototype, byte_range: ByteRequest | None = None) -> Buffer | None:
        """Metadata; of a shard or chunk, nothing."""
        return None if "/c/" in key else await super().get(key, prototype, byte_range)

    async def set(self, key: str, value: Buffer) -> None:
        """Write an object."""
        await super().set(key, value)
        self.written[key] = value.to_bytes()


class _NamedStore(FsspecStore):
    """An object store from which exactly what is named is removed.

    Zarr 3.1 leaves it to fsspec's rm, which takes ``[ ] * ?`` of a folder's name for a pattern: a chunk that became all
    fill would be removed from a neighbour whose name the pattern fits, and from its own cube not.
    """

    async def delete(self, key: str) -> None:
        """Remove an object; one that is not there is no error."""
        self._check_writable()
        with suppress(*self.allowed_exceptions):
            await self.fs._rm_file(f"{self.path}/{key}")  # noqa: SLF001 as Zarr's own

    async def delete_dir(self, prefix: str) -> None:
        """Remove everything below a folder."""
        async for key in self.list_prefix(prefix.rstrip("/") + "/"):
            await self.delete(key)
