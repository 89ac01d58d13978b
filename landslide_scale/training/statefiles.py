"""Where Ray Train keeps its state: in the run's folder, found as everything else there is."""

from __future__ import annotations

from typing import Any

import pyarrow.fs

from landslide_scale.storage.files import filesystem, local_path


def state_storage(output: str) -> dict[str, Any]:
    """Keywords of Ray Train's RunConfig: through fsspec for URLs, so that one set of credentials serves all."""
    path = local_path(output)
    if path is not None:
        return {"storage_path": str(path)}
    files, root = filesystem(output)
    return {"storage_path": root, "storage_filesystem": pyarrow.fs.PyFileSystem(_ByName(files))}


class _ByName(pyarrow.fs.FSSpecHandler):  # type: ignore[misc]  # pyarrow ships no types
    """Removes what is named; fsspec's rm takes ``[ ] * ?`` of a name for a pattern, and reaches others by it."""

    def delete_dir(self, path: str) -> None:
        """Remove everything below a folder."""
        for name in self.fs.find(path):
            self.fs.rm_file(name)

    def delete_file(self, path: str) -> None:
        """Remove a file."""
        if not self.fs.exists(path):
            raise FileNotFoundError(path)
        self.fs.rm_file(path)

    def _delete_dir_contents(self, path: str, missing_dir_ok: bool) -> None:  # noqa: FBT001 pyarrow's
        if not missing_dir_ok and not self.fs.exists(path):
            raise FileNotFoundError(path)
        self.delete_dir(path)
