"""Where products are made before they are put where they belong: on the disk they go to, or on this machine's."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from landslide_scale.products.names import MAKING
from landslide_scale.storage.files import get_whole, local_path, storing
from landslide_scale.storage.holder import born, this_machine
from landslide_scale.storage.rundir import RunDirectory

_PREFIX = "landslide-scale-export"


@contextmanager
def bench(target: RunDirectory) -> Iterator[Path]:
    """An empty folder for as long as the block takes; what a killed export left in one is removed before.

    On a local disk it is inside `target`, so that what is finished can be renamed; else it is where temporary files are
    (TMPDIR), with the process in its name.

    Args:
        target: Where the products go; nobody else works there.

    Raises:
        BrokenRunError: It cannot be made, for want of room for one.
    """
    path = local_path(target.url)
    folder = _among_temporary_files() if path is None else path / MAKING
    with storing(str(folder)):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(mode=0o700, parents=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def at_hand(target: RunDirectory, name: str, folder: Path) -> Iterator[Path]:
    """A finished product as a local file for as long as the block takes: itself, or a copy where it lies elsewhere.

    Args:
        target: Where the products are.
        name: Of the file there.
        folder: Where a copy may lie meanwhile.

    Raises:
        BrokenRunError: It cannot be copied, for want of room for one.
        StorageAwayError: It cannot be copied now.
    """
    path = local_path(target.at(name))
    if path is not None:
        yield path
        return
    copy = folder / f".{Path(name).name}"
    try:
        get_whole(target.at(name), copy)
        yield copy
    finally:
        copy.unlink(missing_ok=True)


def _among_temporary_files() -> Path:
    above = Path(tempfile.gettempdir())
    machine = hashlib.sha256(this_machine().encode()).hexdigest()[:12]
    for left in above.glob(f"{_PREFIX}-{machine}-*"):
        pid, _, begun = left.name.removeprefix(f"{_PREFIX}-{machine}-").partition("-")
        if pid.isdecimal() and born(int(pid)) != begun:
            shutil.rmtree(left, ignore_errors=True)
    return above / f"{_PREFIX}-{machine}-{os.getpid()}-{born(os.getpid())}"
