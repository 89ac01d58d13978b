"""A cube is laid out to the same bytes whatever was there, and what was stored by it is never given up for that."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
import xarray as xr
import zarr

from landslide_scale.cube import manifest
from landslide_scale.cube.laying import lay_out
from landslide_scale.cube.settings import GridConfig
from landslide_scale.cube.template import Template, expected
from landslide_scale.errors import RunConflictError
from landslide_scale.grid import Block, Lattice, PixelBox, Zone
from landslide_scale.scene import Window, utc
from landslide_scale.storage import absence
from landslide_scale.storage.absence import ABSENCE_S, patient
from landslide_scale.storage.folder import Folder
from landslide_scale.storage.rundir import RunDirectory

CUBE = "cube.zarr"
LATTICE = Lattice(zone=Zone.utm(33, southern=False), resolution=10, block=32)
BLOCK = LATTICE.box(Block(row=-16_000, col=1600))
WINDOWS = tuple(Window(start=utc(f"2023-0{month}-01"), end=utc(f"2023-0{month + 1}-01")) for month in range(6, 9))
BESIDE: Mapping[str, bytes | None] = {"units.parquet": b"the units"}
PROBABILITY = f"{CUBE}/EPSG_32633/probability/zarr.json"


def template(windows: int = 2, box: PixelBox = BLOCK) -> Template:
    grid = GridConfig(block=32, chunk=16)
    said = {"title": "made"}
    return Template(extents={LATTICE: box}, windows=WINDOWS[:windows], grid=grid, sharded=True, attributes=said)


def laid(folder: Path, what: Template | None = None) -> RunDirectory:
    run = RunDirectory(str(folder))
    if not run.exists("run.json"):
        run.claim("scan", {}, resume=False)
    lay_out(run, CUBE, what or template(), BESIDE)
    return run


def wrong(run: RunDirectory, what: Template | None = None) -> dict[str, str]:
    return manifest.wrong(run, {f"{CUBE}/{name}": content for name, content in expected(what or template()).items()})


def stored(run: RunDirectory) -> dict[str, bytes]:
    """All but what is said of the run itself."""
    return {name: run.read(name) for name in run.sizes("") if name != "run.json"}


def of_an_older_version(run: RunDirectory) -> None:
    """It noted nothing, used other words, and its user added some."""
    run.delete("files.json")
    run.write_json("run.json", {name: said for name, said in run.facts().items() if "files" not in name})
    said = json.loads(run.read(PROBABILITY))
    said["attributes"] |= {"long_name": "words of an older version", "mine": "added by hand"}
    run.write(PROBABILITY, json.dumps(said).encode())


@contextmanager
def killed(before: Callable[[str], bool]) -> Iterator[None]:
    """The process ends before a file is written of whose name that is true."""
    write = Folder.write

    def dies(folder: Folder, name: str, content: bytes) -> None:
        if before(name):
            raise KeyboardInterrupt
        write(folder, name, content)

    with pytest.MonkeyPatch.context() as patched, suppress(KeyboardInterrupt):
        patched.setattr(Folder, "write", dies)
        yield


def after(writes: int) -> Callable[[str], bool]:
    left = iter(range(writes))
    return lambda _: next(left, None) is None


@pytest.mark.parametrize("grows", [False, True])
@pytest.mark.parametrize("writes", range(0, 25, 2))
def test_a_layout_that_was_killed_is_completed_and_what_is_there_meanwhile_is_right(
    tmp_path: Path, writes: int, caplog: pytest.LogCaptureFixture, *, grows: bool
):
    what = template(3 if grows else 2)
    whole = stored(laid(tmp_path / "whole", what))
    run = RunDirectory(str(tmp_path / "run"))
    run.claim("scan", {}, resume=False)
    if grows:
        laid(tmp_path / "run")
    with killed(after(writes)):
        laid(tmp_path / "run", what)
    if grows:
        assert manifest.wrong(run, {}) == {}
        tree = xr.open_datatree(tmp_path / "run" / CUBE, engine="zarr", chunks=None)
        assert tree["EPSG_32633"].sizes["time"] in {2, 3}
        assert tree["EPSG_32633"].time_bounds.to_numpy()[1, 1] > tree["EPSG_32633"].time_bounds.to_numpy()[0, 1]
    laid(tmp_path / "run", what)
    assert stored(run) == whole
    assert wrong(run, what) == {}
    assert caplog.messages == []  # nothing of it was damaged


def test_what_is_laid_out_already_is_not_written_and_a_complete_run_stays_complete(tmp_path: Path):
    run = laid(tmp_path)
    run.note(state="complete")
    before = {path: path.stat().st_ino for path in tmp_path.rglob("*")}
    laid(tmp_path)
    assert {path: path.stat().st_ino for path in tmp_path.rglob("*")} == before


@pytest.mark.parametrize("name", [PROBABILITY, f"{CUBE}/EPSG_32633/time_bounds/c/0/0", "units.parquet"])
def test_what_is_damaged_is_made_anew_and_the_run_says_first_that_it_is_not_complete(
    tmp_path: Path, name: str, caplog: pytest.LogCaptureFixture
):
    run = laid(tmp_path)
    before = run.read(name)
    run.note(state="complete")
    run.write(name, b"{")
    with killed(lambda written: written == name):
        laid(tmp_path)
    assert run.facts()["state"] == "running"
    assert run.read(name) == b"{"
    assert wrong(run) == {name: "other bytes than were written"}
    laid(tmp_path)
    assert run.read(name) == before
    assert wrong(run) == {}
    assert set(caplog.messages) == {f"made anew, because it was not as it had been written: {name}"}


def test_what_is_altered_while_a_run_is_at_work_is_not_noted_as_right(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    write = Folder.write

    def altered(folder: Folder, name: str, content: bytes) -> None:
        write(folder, name, content)
        if name == PROBABILITY:
            write(folder, name, b"{}")

    with monkeypatch.context() as patched:
        patched.setattr(Folder, "write", altered)
        run = laid(tmp_path)
    assert wrong(run) == {PROBABILITY: "other bytes than were written"}


@pytest.mark.parametrize("writes", [None, 0, 1, 2, 3, 4, 6, 8, 10, 11, 12, 13, 14])
def test_a_cube_of_an_older_version_keeps_its_words_and_what_was_added_to_it(
    tmp_path: Path, writes: int | None, caplog: pytest.LogCaptureFixture
):
    run = laid(tmp_path)
    of_an_older_version(run)
    said = json.loads(run.read(PROBABILITY))["attributes"]
    run.write("files.json", b'{"units.parquet": "of a driver that was killed before it noted this in run.json"}')
    for what in (template(2), template(3)):
        if writes is not None:
            with killed(after(writes)):
                laid(tmp_path, what)
        laid(tmp_path, what)
        assert json.loads(run.read(PROBABILITY))["attributes"] == said
    group = zarr.open_group(run.at(CUBE), mode="r", use_consolidated=True)
    assert group["EPSG_32633/probability"].attrs["mine"] == "added by hand"
    assert group["EPSG_32633/probability"].shape == (3, 32, 32)
    assert manifest.wrong(run, {}) == {}
    assert caplog.messages == []


def test_files_that_the_notes_say_nothing_of_are_judged_by_what_they_say(tmp_path: Path):
    run = laid(tmp_path)
    of_an_older_version(run)
    manifest.put(run, {"units.parquet": b"the units"})
    assert wrong(run) == {}
    run.write(PROBABILITY, run.read(PROBABILITY).replace(b"0.004", b"0.001"))
    assert wrong(run) == {PROBABILITY: "says other than what was written"}


@pytest.mark.parametrize("older", [False, True])
@pytest.mark.parametrize("rows", [(-32, 0), (-32, -32), (0, 32)])
def test_a_cube_of_other_ground_is_not_written_into_and_nothing_of_it_is_removed(
    tmp_path: Path, rows: tuple[int, int], *, older: bool
):
    run = laid(tmp_path)
    if older:
        of_an_older_version(run)
    other = PixelBox(
        row_start=BLOCK.row_start + rows[0],
        row_stop=BLOCK.row_stop + rows[1],
        col_start=BLOCK.col_start,
        col_stop=BLOCK.col_stop,
    )
    before = {name: run.read(name) for name in run.sizes("")}
    with pytest.raises(RunConflictError, match="other ground"):
        laid(tmp_path, template(box=other))
    assert {name: run.read(name) for name in run.sizes("")} == before


def test_files_that_are_not_to_be_there_are_removed_and_forgotten(tmp_path: Path):
    run = laid(tmp_path)
    for left in ("there", "gone"):
        manifest.put(run, {"set_aside.json": b"{}"})
        if left == "gone":
            run.delete("set_aside.json")
            assert manifest.wrong(run, {}) == {"set_aside.json": "gone"}
        lay_out(run, CUBE, template(), {**BESIDE, "set_aside.json": None})
        assert not run.exists("set_aside.json")
        assert manifest.wrong(run, {}) == {}


def test_an_absence_of_its_storage_is_waited_for_as_long_as_by_the_driver(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    run = laid(tmp_path)
    now, looks = [0.0], list[float]()

    class Made:
        """Time that goes by while one sleeps."""

        @staticmethod
        def monotonic() -> float:
            return now[0]

        @staticmethod
        def sleep(seconds: float) -> None:
            now[0] += seconds

    read = run._files.cat_file

    def away(path: str, *arguments: object, **options: object) -> bytes:
        if path.endswith("units.parquet") and now[0] < 600:
            raise TimeoutError
        return bytes(read(path, *arguments, **options))

    monkeypatch.setattr(absence, "time", Made)
    monkeypatch.setattr(run._files, "cat_file", away)
    with patient(ABSENCE_S, guard=lambda: looks.append(now[0])):
        assert manifest.wrong(run, {}) == {}
    assert now[0] >= 600
    assert max(looks) >= 500
