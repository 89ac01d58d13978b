"""Zarr's stores of a cube, in which every character of a name is the name's."""

from __future__ import annotations

from contextlib import suppress

from zarr.abc.store import Store
from zarr.storage import FsspecStore, LocalStore

from landslide_scale.storage.files import local_path, options


def store_at(url: str, *, read_only: bool = False) -> Store:
    """The store at a path or fsspec URL."""
    path = local_path(url)
    if path is not None:
        return LocalStore(path, read_only=read_only)
    return _NamedStore.from_url(url, read_only=read_only, storage_options=options(url) or None)


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
