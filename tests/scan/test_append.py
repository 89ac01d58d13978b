"""Further windows for a complete cube: the time axis grows, what is there stays, and a crash leaves nothing odd."""

from __future__ import annotations

import random
import shutil
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pytest
import xarray as xr
from helpers.borderland import configured, snapshot
from helpers.plainrun import in_a_process, plain_append, plain_scan
from helpers.watching import Step

from landslide_scale.cube.ledger import Ledger
from landslide_scale.errors import InvalidCatalogError, RunConflictError
from landslide_scale.scan import driver
from landslide_scale.scan.verify import verify
from landslide_scale.stac.frozen import load_items
from landslide_scale.storage.lease import Lease
from landslide_scale.storage.rundir import RunDirectory

EARLY = {"start": "2023-08-01", "end": "2023-08-05"}
LATE = {"start": "2023-08-05", "end": "2023-08-20"}
NEVER = {"start": "2023-09-01", "end": "2023-10-01"}
SEEDS = [pytest.param(seed, marks=() if seed < 2 else pytest.mark.slow) for seed in range(30)]

COMMITS = ("scenes.parquet", "run.json", "units.parquet", "cube.zarr/EPSG_32633/time/zarr.json")
SHARDS_OF_THE_FIRST = tuple(
    f"{name}/c/0/{row}/{col}" for name in ("probability", "reason") for row in "01" for col in "01"
)

Settings = dict[str, Any]


@pytest.fixture(scope="module")
def settings(catalogue: tuple[str, Path], checkpoint: str) -> Settings:
    return configured(catalogue, checkpoint, Path("x"), region={"bbox": [17.992, 46.010, 18.008, 46.015]})


@pytest.fixture(scope="module")
def early(settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("early") / "run"
    assert plain_scan(of(settings, run, EARLY)).complete
    return run


@pytest.fixture(scope="module")
def both(settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A scan of both windows at once."""
    run = tmp_path_factory.mktemp("both") / "run"
    assert plain_scan(of(settings, run, EARLY, LATE)).complete
    return run


@pytest.fixture
def run(early: Path, tmp_path: Path) -> Path:
    shutil.copytree(early, tmp_path / "run")
    return tmp_path / "run"


def of(settings: Settings, run: Path, *windows: dict[str, str], **changes: object) -> Settings:
    return settings | {"windows": list(windows), "output": {"run": str(run), "keep": ["red"]}} | changes


def test_a_grown_cube_is_that_of_one_scan_and_no_shard_was_touched(settings: Settings, run: Path, both: Path):
    before = {path: path.stat().st_ino for path in (run / "cube.zarr").rglob("*") if "/c/0/" in str(path)}
    before = {path: inode for path, inode in before.items() if "time_bounds" not in str(path)}
    summary = plain_append(of(settings, run, EARLY, LATE))
    assert summary.complete
    assert {path: path.stat().st_ino for path in before} == before
    assert snapshot(run / "cube.zarr") == snapshot(both / "cube.zarr")
    one, other = (Ledger(RunDirectory(str(folder))).records() for folder in (run, both))
    assert {name: record.sha256 for name, record in one.items()} == {n: record.sha256 for n, record in other.items()}
    assert summary.units == len(other)
    # As any run, it can be gone on with, and given more.
    assert plain_scan(of(settings, run, EARLY, LATE)).complete
    with pytest.raises(RunConflictError, match="windows"):
        plain_scan(of(settings, run, EARLY))


@pytest.mark.parametrize(
    ("windows", "said"),
    [
        ([EARLY], "further ones after them"),
        ([LATE], "further ones after them"),
        ([LATE, EARLY], "further ones after them"),
        ([EARLY, {"start": "2023-08-04", "end": "2023-08-20"}], "2023-08-05"),
        ([EARLY, {"start": "2023-07-01", "end": "2023-08-01"}], "2023-08-05"),
        ([EARLY, NEVER, LATE], "2023-10-01"),
    ],
)
def test_windows_that_overlap_or_come_before_are_refused(
    settings: Settings, run: Path, windows: list[dict[str, str]], said: str
):
    before = snapshot(run)
    with pytest.raises(RunConflictError, match=said):
        plain_append(of(settings, run, *windows))
    assert snapshot(run) == before


def test_other_settings_a_run_that_is_not_complete_and_none_at_all_are_refused(
    settings: Settings, run: Path, tmp_path: Path
):
    before = snapshot(run)
    with pytest.raises(RunConflictError, match=r"composite\.dilate_m"):
        plain_append(of(settings, run, EARLY, LATE, composite={"method": "latest", "dilate_m": 20}))
    assert snapshot(run) == before
    RunDirectory(str(run)).note(state="incomplete")
    with pytest.raises(RunConflictError, match="incomplete"):
        plain_append(of(settings, run, EARLY, LATE))
    with pytest.raises(RunConflictError, match=r"no run\.json"):
        plain_append(of(settings, tmp_path / "none", EARLY, LATE))


def test_a_further_window_without_scenes_is_an_empty_layer_and_refused_where_all_are_required(
    settings: Settings, run: Path, tmp_path: Path
):
    summary = plain_append(of(settings, run, EARLY, NEVER))
    assert summary.complete
    assert summary.unseen == ("2023-09-01 to 2023-10-01",)
    required = settings | {"catalog": settings["catalog"] | {"require": "all"}}
    strict = tmp_path / "strict"
    assert plain_scan(of(required, strict, EARLY)).complete
    before = snapshot(strict)
    with pytest.raises(InvalidCatalogError, match="no scene"):
        plain_append(of(required, strict, EARLY, NEVER))
    assert snapshot(strict) == before


def test_scenes_of_the_windows_there_stay_those_they_were_made_from(settings: Settings, run: Path):
    folder = RunDirectory(str(run))
    frozen = load_items(folder)
    plain_append(of(settings, run, EARLY, LATE))
    grown = {one["id"]: one for one in load_items(folder)}
    assert grown.keys() == {"a", "b", "c", "d"}
    assert [grown[one["id"]] for one in frozen] == frozen


@pytest.fixture(scope="module")
def growing(settings: Settings, early: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Step]:
    """The steps of growing."""
    folder = tmp_path_factory.mktemp("growing")
    shutil.copytree(early, folder / "run")
    return in_a_process(of(settings, folder / "run", EARLY, LATE), folder / "steps.log", None, "append")


def doomed(growing: list[Step], seed: int) -> int:
    """A step to be killed at: right after each commit, then anywhere, most before the first unit is read."""
    if seed < len(COMMITS):
        return growing.index(Step(role="driver", event="os.rename", path=COMMITS[seed])) + 1
    first = next(number for number, step in enumerate(growing) if step.role == "reader")
    return random.Random(seed).randrange(first if seed % 3 else len(growing))  # noqa: S311 a choice of tests


@pytest.mark.parametrize("seed", SEEDS)
def test_a_run_killed_while_it_grows_is_readable_and_gone_on_with_to_the_same_bytes(  # noqa: PLR0917
    settings: Settings, run: Path, both: Path, growing: list[Step], tmp_path: Path, seed: int
):
    wanted, log = of(settings, run, EARLY, LATE), tmp_path / "steps.log"
    taken = in_a_process(wanted, log, doomed(growing, seed), "append")
    assert axes(run) in ({1}, {2})
    claimed = RunDirectory(str(run)).claimed()
    begun = len(claimed["settings"]["windows"]) == 2
    assert begun == (claimed["state"] == "running")
    taken += in_a_process(wanted, log, None, "scan" if begun else "append")
    assert snapshot(run / "cube.zarr") == snapshot(both / "cube.zarr")
    assert not [step for step in taken if "-t0-" in step.path or step.path.endswith(SHARDS_OF_THE_FIRST)]


def dies(*_: object, **__: object) -> NoReturn:
    raise KeyboardInterrupt


def dies_grown(wanted: Settings) -> None:
    """An append that ends right after the run was made a longer one."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(driver, "_finish", dies)
        with pytest.raises(KeyboardInterrupt):
            plain_append(wanted)


def test_what_an_append_froze_while_a_resume_waited_for_the_folder_is_read_before_it_goes_on(
    settings: Settings, run: Path, both: Path, monkeypatch: pytest.MonkeyPatch
):
    wanted, takes = of(settings, run, EARLY, LATE), driver.held

    def waited_for(folder: RunDirectory) -> AbstractContextManager[Lease]:
        monkeypatch.setattr(driver, "held", takes)
        dies_grown(wanted)
        return takes(folder)

    monkeypatch.setattr(driver, "held", waited_for)
    assert plain_scan(wanted).complete
    assert snapshot(run / "cube.zarr") == snapshot(both / "cube.zarr")


def test_a_run_that_was_killed_while_it_grew_is_not_whole(settings: Settings, run: Path):
    assert verify(RunDirectory(str(run)), lambda *_: None).whole
    dies_grown(of(settings, run, EARLY, LATE))
    (finding,) = verify(RunDirectory(str(run)), lambda *_: None).findings
    assert (finding.of, "is running, not complete" in finding.problem) == ("run.json", True)


def axes(run: Path) -> set[int]:
    """Lengths of the time axes as a reader sees them, who must be able to read all of it."""
    tree = xr.open_datatree(run / "cube.zarr", engine="zarr", chunks=None, mask_and_scale=False)
    for group in tree.children.values():
        bounds = group.time_bounds.to_numpy().astype("int64")
        assert (bounds[:, 0] < bounds[:, 1]).all()
        assert np.array_equal(group.time.to_numpy().astype("int64"), bounds[:, 0])
        group.load()
    return {group.sizes["time"] for group in tree.children.values()}
