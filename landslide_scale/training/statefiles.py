"""Where Ray Train keeps its state: in the run's folder, found as everything else there is."""

from __future__ import annotations

import io
import json
import logging
import pickle
from typing import Any

import pyarrow.fs
import torch

from landslide_scale.storage.files import filesystem, local_path
from landslide_scale.storage.rundir import RunDirectory

STATES = "train"
"""Folder of Ray Train's in that of the run."""

STATE = "state.pt"
_LISTED = f"{STATES}/checkpoint_manager_snapshot.json"
_DAMAGES = (ValueError, KeyError, TypeError, AttributeError, RuntimeError, EOFError, OSError, pickle.UnpicklingError)

log = logging.getLogger(__name__)


def fallback(folder: RunDirectory) -> str:
    """The state to go on from where Ray Train's own list of them is damaged or gone, or one that it lists is damaged.

    A damaged list is taken away: Ray Train would end with a trace, each time. It writes the next one after its first
    epoch, and until then there is none, whoever is killed meanwhile.

    Args:
        folder: Of the run; nobody is at work there.

    Returns:
        Name of the newest whole one, below `STATES`; empty where Ray Train finds it by itself, and where no state is
        whole, or there is none: all is then trained from the start, to the same result.
    """
    kept = sorted((name for name in folder.folders(STATES) if name.startswith("checkpoint_")), reverse=True)
    if not folder.exists(_LISTED) and not kept:
        return ""
    try:
        listed = json.loads(folder.read(_LISTED))
        names = {one["checkpoint_dir_name"] for one in listed["checkpoint_results"]}
        for name in names:
            load_state(folder, name)
    except _DAMAGES as error:
        why = f"{type(error).__name__}: {error}"
    else:
        return ""
    found = next((name for name in kept if _is_whole(folder, name)), "")
    instead = found or "the start, to the same result"
    log.warning(
        "%s: the states of the training are damaged, or not listed (%s): it goes on from %s", folder, why, instead
    )
    folder.delete_all([_LISTED])
    return found


def load_state(folder: RunDirectory, name: str) -> Any:  # noqa: ANN401 tensors and plain values
    """A state of that name, on the CPU."""
    content = folder.read(f"{STATES}/{name}/{STATE}")
    return torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)


def _is_whole(folder: RunDirectory, name: str) -> bool:
    try:
        load_state(folder, name)
    except _DAMAGES:
        return False
    return True


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
