"""A writer whose storage is away for a while, and another driver has the folder when it is back."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pytest
import shapely
from helpers.cubes import Made, layer_of, made

from landslide_scale.bands import NEVER, Reason
from landslide_scale.cube import stores
from landslide_scale.errors import BrokenRunError
from landslide_scale.grid import PatchLattice, PixelBox
from landslide_scale.imagery.settings import CompositeConfig
from landslide_scale.scan import layout, work
from landslide_scale.scan.plan import WorkUnit
from landslide_scale.scan.work import Row, Task
from landslide_scale.storage import absence, files
from landslide_scale.storage.rundir import RunDirectory, Stamp

A, B = "lease-a.json", "lease-b.json"
SHARDS, RECORDS = "/(?:probability|clear_count|observed_on|reason)/c/", "^ledger/units/"
NORTH, EAST, SIDE = -320_000, 32_000, 16


@pytest.fixture
def task(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Task:
    """Of driver A, whose cube is laid out and whose ledger is empty."""
    monkeypatch.setattr(absence, "FIRST_WAIT_S", 0.001)
    how = Made()
    box = PixelBox(row_start=NORTH, row_stop=NORTH + SIDE, col_start=EAST, col_stop=EAST + SIDE)
    run = made(tmp_path / "run", how.places({how.lattice(33): box}), lambda _: None, how)
    run.delete_all([f"ledger/{name}" for name in run.names("ledger", ".parquet")])
    run.write(A, b"{}")
    return Task(
        run=run,
        region=shapely.box(-180, -90, 180, 90).wkt,
        bands=("red",),
        composite=CompositeConfig(),
        patches=PatchLattice(patch=16, halo=0),
        extents=tuple(layout.load(run).extents.items()),
        lease=A,
        stamp=Stamp(run=run.stamp().run, session="a"),
    )


def row(task: Task, error: str = "") -> Row:
    """A unit that was read and predicted."""
    place = layout.load(task.run).places[0]
    unit = WorkUnit(lattice=place.lattice, block=place.block, layer=0, scenes=())
    layer = layer_of(np.full((SIDE, SIDE), 0.2))
    told = {"resampled": "[]", "filled": "[]", "unreadable": "{}", "read_seconds": 0.0}
    return told | {
        "unit": unit.to_json(),
        "attempt": 1,
        "error": error,
        "retry": bool(error),
        "reason": np.full((SIDE, SIDE), Reason.NOT_SCANNED if error else Reason.OBSERVED, np.uint8),
        "clear_count": layer.clear_count,
        "observed_on": np.full((SIDE, SIDE), NEVER, np.uint16),
        "probability": np.full((SIDE, SIDE), 0.2, np.float32),
    }


def failing(
    monkeypatch: pytest.MonkeyPatch, run: RunDirectory, what: str, *, then: Callable[[], object] = lambda: None
) -> list[str]:
    """Storage that fails once as a file is written whose name fits, after which something happens; what is written."""
    found: list[str] = []
    written = files.written

    def writing(path: Path, fill: Callable[[BinaryIO], object], *checks: Callable[[], None]) -> None:
        name = str(path.relative_to(run.url))
        if "failed" not in found and re.search(what, name):
            found.append("failed")
            then()
            raise TimeoutError("away")
        written(path, fill, *checks)
        found.append(name)

    monkeypatch.setattr(files, "written", writing)
    monkeypatch.setattr(stores, "written", writing)
    return found


def taken(run: RunDirectory) -> Callable[[], None]:
    """Another driver takes the folder."""

    def take() -> None:
        run.delete(A)
        (Path(run.url) / B).write_bytes(b"{}")

    return take


def stored(run: RunDirectory) -> list[str]:
    return [name for name in run.sizes("") if re.search(f"{SHARDS}|{RECORDS}", name)]


def test_a_writer_that_waited_for_its_storage_writes_nothing_into_the_folder_of_another(
    task: Task, monkeypatch: pytest.MonkeyPatch
):
    failing(monkeypatch, task.run, SHARDS, then=taken(task.run))
    with pytest.raises(BrokenRunError, match="has lost its lease"):
        work.write(row(task), task)
    assert stored(task.run) == []


def test_what_was_stored_before_is_not_recorded_there(task: Task, monkeypatch: pytest.MonkeyPatch):
    failing(monkeypatch, task.run, RECORDS, then=taken(task.run))
    with pytest.raises(BrokenRunError, match="has lost its lease"):
        work.write(row(task), task)
    assert task.run.names("ledger/units", ".json") == []


@pytest.mark.parametrize("error", ["", "TryAgainError: made"])
def test_nor_is_a_failure(task: Task, monkeypatch: pytest.MonkeyPatch, error: str):
    monkeypatch.setattr(work, "WRITER_S", 0.0)
    failing(monkeypatch, task.run, f"{SHARDS}|{RECORDS}", then=taken(task.run))
    with pytest.raises(BrokenRunError, match="has lost its lease"):
        work.write(row(task, error), task)
    assert stored(task.run) == []


def test_a_writer_goes_on_where_the_folder_is_still_its_drivers(task: Task, monkeypatch: pytest.MonkeyPatch):
    found = failing(monkeypatch, task.run, SHARDS)
    assert '"written"' in work.write(row(task), task)["record"]
    assert found[0] == "failed"
    assert len(stored(task.run)) > 1
