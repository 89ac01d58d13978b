"""A set of chips is gone on with as a scan is: to the same bytes, the failed ones named, and by one run at a time."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from helpers import fatal
from helpers.borderland import COLLECTION, border_tiles, snapshot, write_item
from helpers.chipping import asked, counted_steps, killed, plain
from helpers.fatal import Fate
from helpers.faultserver import Fault, FaultServer, fault_server

from landslide_scale.cube.ledger import Ledger
from landslide_scale.datasets.chips import INDEX, open_chips
from landslide_scale.datasets.files import files_at
from landslide_scale.demo.satellite.stac_server import serve
from landslide_scale.errors import (
    BrokenRunError,
    IncompleteRunError,
    InvalidDatasetError,
    RunConflictError,
    StorageAwayError,
)
from landslide_scale.labels import engine, making
from landslide_scale.labels.chips import make_chips
from landslide_scale.labels.settings import ChipsConfig
from landslide_scale.reading import attempts
from landslide_scale.storage.lease import held
from landslide_scale.storage.rundir import RunDirectory

LEAST_KILLS = 8


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("scenes")


@pytest.fixture(scope="module")
def items(scenes: Path) -> list[dict[str, Any]]:
    return [write_item(scenes, tile, slice(0, 150) if name == "d" else None) for name, tile in border_tiles().items()]


@pytest.fixture(scope="module")
def catalogue(items: list[dict[str, Any]]) -> Iterator[str]:
    with serve(items, [COLLECTION]) as url:
        yield url


def made(folder: Path) -> dict[str, bytes]:
    """The chips and their index."""
    return {name: content for name, content in snapshot(folder).items() if name.endswith(".npz") or name == INDEX}


@pytest.fixture(scope="module")
def undisturbed(catalogue: str, scenes: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    config = asked(catalogue, scenes, tmp_path_factory.mktemp("undisturbed"))
    summary = make_chips(config, plain, resume=False)
    found = made(Path(config.directory))
    assert len(found) == summary.kept + 1 > 8
    return found


@pytest.mark.slow
def test_a_run_killed_before_any_of_its_steps_is_gone_on_with_to_the_same_bytes(
    catalogue: str, scenes: Path, undisturbed: dict[str, bytes], tmp_path: Path
):
    steps = counted_steps(asked(catalogue, scenes, tmp_path / "counted"), tmp_path / "counted.log")
    assert steps > LEAST_KILLS
    for kill in range(0, steps, steps // LEAST_KILLS):
        config = asked(catalogue, scenes, tmp_path / str(kill))
        folder = Path(config.directory)
        assert killed(config, tmp_path / f"{kill}.log", kill)
        if (folder / INDEX).exists():
            assert made(folder) == undisturbed  # an index is of a whole set
        assert make_chips(config, plain, resume=True).kept == len(undisturbed) - 1
        assert made(folder) == undisturbed
        assert json.loads((folder / "run.json").read_text())["state"] == "complete"


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attempts, "FIRST_WAIT_S", 0.001)


def over_http(items: list[dict[str, Any]], address: str) -> list[dict[str, Any]]:
    """The Items, their files behind a server."""
    moved: list[dict[str, Any]] = json.loads(json.dumps(items))
    for item in moved:
        for asset in item["assets"].values():
            asset["href"] = f"{address}/{Path(asset['href']).name}"
    return moved


@pytest.mark.usefixtures("at_once")
def test_chips_that_fail_are_tried_again_and_named_and_a_resume_makes_just_those(
    items: list[dict[str, Any]], scenes: Path, undisturbed: dict[str, bytes], tmp_path: Path
):
    bad: list[Fault] = ["503"]
    server = FaultServer(
        folder=scenes, fault=lambda path: bad[0] if bad and "d-red" in path else None, times=float("inf")
    )
    with fault_server(server), serve(over_http(items, server.address), [COLLECTION]) as url:
        config = asked(url, scenes, tmp_path, compute={"attempts": 2})
        folder = Path(config.directory)
        with pytest.raises(IncompleteRunError, match=r"chips failed .*scene d, band red.*503.*--resume") as caught:
            make_chips(config, plain, resume=False)
        assert caught.value.exit_code == 3
        first = made(folder)
        assert INDEX not in first
        assert 0 < len(first) < len(undisturbed) - 1
        with pytest.raises(InvalidDatasetError, match=INDEX):
            open_chips(files_at(str(folder)))
        bad.clear()
        server.reset()
        with pytest.raises(RunConflictError, match="--resume"):
            make_chips(config, plain, resume=False)
        assert make_chips(config, plain, resume=True).kept == len(undisturbed) - 1
    assert made(folder) == undisturbed


def test_a_chip_is_tried_as_often_as_it_may_be_in_one_run(
    items: list[dict[str, Any]], scenes: Path, undisturbed: dict[str, bytes], tmp_path: Path, at_once: None
):
    del at_once
    server = FaultServer(folder=scenes, fault=lambda path: "503" if "d-red" in path else None, times=8)
    with fault_server(server), serve(over_http(items, server.address), [COLLECTION]) as url:
        config = asked(url, scenes, tmp_path, compute={"attempts": 5})
        assert make_chips(config, plain, resume=False).kept == len(undisturbed) - 1
    assert made(Path(config.directory)) == undisturbed


def test_a_scene_that_cannot_be_read_is_set_aside_and_the_chips_are_made_without_it(
    items: list[dict[str, Any]], scenes: Path, tmp_path: Path
):
    gone = json.loads(json.dumps(items))
    for item in gone:
        if item["id"] == "d":
            item["assets"]["red"]["href"] = str(scenes / "nowhere.tif")
    sound = [item for item in items if item["id"] != "d"]
    results = []
    for name, those in (("gone", gone), ("without", sound)):
        with serve(those, [COLLECTION]) as url:
            config = asked(url, scenes, tmp_path / name)
            results.append((make_chips(config, plain, resume=False), made(Path(config.directory))))
    (summary, chips), (_, expected) = results
    assert [line.partition(":")[0] for line in summary.quarantined] == ["d"]
    assert chips == expected
    assert "d" in json.loads((tmp_path / "gone" / "chips" / "set_aside.json").read_text())["unreadable"]


def test_two_that_make_one_set_at_once_are_not_let(catalogue: str, scenes: Path, tmp_path: Path):
    config = asked(catalogue, scenes, tmp_path)
    make_chips(config, plain, resume=False)
    before = made(Path(config.directory))
    with held(RunDirectory(config.directory)), pytest.raises(RunConflictError, match="at work here"):
        make_chips(config, plain, resume=True)
    assert made(Path(config.directory)) == before


def test_a_set_is_gone_on_with_as_it_was_begun_or_not_at_all(catalogue: str, scenes: Path, tmp_path: Path):
    config: ChipsConfig = asked(catalogue, scenes, tmp_path)
    make_chips(config, plain, resume=False)
    with pytest.raises(RunConflictError, match="size: 32 there, 48 now"):
        make_chips(config.model_copy(update={"size": 48}), plain, resume=True)
    labels = Path(config.labels.file or "")
    labels.write_text(labels.read_text().replace("46.013", "46.0131"))
    with pytest.raises(RunConflictError, match="labels_sha256"):
        make_chips(config, plain, resume=True)


def test_a_chip_that_is_gone_from_a_whole_set_is_made_again_and_no_other(
    catalogue: str, scenes: Path, undisturbed: dict[str, bytes], tmp_path: Path
):
    config = asked(catalogue, scenes, tmp_path)
    folder = Path(config.directory)
    make_chips(config, plain, resume=False)
    first, second = sorted(folder.glob("*.npz"))[:2]
    ages = {path: path.stat().st_mtime_ns for path in folder.glob("*.npz")}
    first.unlink()
    second.write_bytes(b"cut short")
    make_chips(config, plain, resume=True)
    assert made(folder) == undisturbed
    assert {path for path, age in ages.items() if path.stat().st_mtime_ns != age} == {first, second}


def test_a_chip_is_not_written_once_its_driver_has_lost_the_folder(catalogue: str, scenes: Path, tmp_path: Path):
    config = asked(catalogue, scenes, tmp_path)
    with pytest.raises(BrokenRunError, match="has lost its lease"):
        make_chips(config, lambda task: plain(replace(task, lease="lease-gone.json")), resume=False)
    assert not list(tmp_path.rglob("*.npz"))
    (session,) = RunDirectory(config.directory).facts()["sessions"]
    assert make_chips(config, plain, resume=True).kept
    records = Ledger(RunDirectory(config.directory)).records().values()
    assert {record.session for record in records} == {RunDirectory(config.directory).facts()["sessions"][1]["id"]}
    assert session["id"] not in {record.session for record in records}


def test_a_folder_with_other_files_is_left_alone(catalogue: str, scenes: Path, tmp_path: Path):
    config = asked(catalogue, scenes, tmp_path)
    folder = Path(config.directory)
    folder.mkdir()
    (folder / "notes.txt").write_text("mine")
    with pytest.raises(RunConflictError, match=r"no run\.json, but notes\.txt"):
        make_chips(config, plain, resume=True)
    assert [path.name for path in folder.iterdir()] == ["notes.txt"]


@pytest.mark.slow
def test_a_chip_that_ends_its_process_each_time_is_failed_after_its_attempts_and_all_others_are_made(
    catalogue: str, scenes: Path, undisturbed: dict[str, bytes], tmp_path: Path
):
    config = asked(catalogue, scenes, tmp_path, compute={"attempts": 2})
    victim = next(name for name in sorted(undisturbed) if name.endswith(".npz")).removesuffix(".npz")
    fate = Fate(log=str(tmp_path / "log"), units=(victim,), times=3)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engine, "make", partial(fatal.chip, fate=fate))
        with pytest.raises(IncompleteRunError, match=f"{victim}: CrashedProcess.*killed by a signal"):
            make_chips(config, engine.on_ray(config.compute, config.directory), resume=False)
        assert fate.happened(victim) == 2
        assert not Path(config.directory, INDEX).exists()
        make_chips(config, engine.on_ray(config.compute, config.directory), resume=True)  # one more, of two anew
    assert made(Path(config.directory)) == undisturbed


def test_chips_that_cannot_be_stored_now_are_failed_for_now(
    catalogue: str, scenes: Path, undisturbed: dict[str, bytes], tmp_path: Path
):
    config = asked(catalogue, scenes, tmp_path, compute={"attempts": 1})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(making, "WRITER_S", 0.0)
        patch.setattr(RunDirectory, "write", away(RunDirectory.write, ending=".npz"))
        with pytest.raises(IncompleteRunError, match="StorageAwayError"):
            make_chips(config, plain, resume=False)
    make_chips(config, plain, resume=True)
    assert made(Path(config.directory)) == undisturbed


def away(write: Callable[..., None], *, ending: str) -> Callable[..., None]:
    """Writing of files whose names end so is refused for now."""

    def refusing(run: RunDirectory, name: str, content: bytes) -> None:
        if name.endswith(ending):
            raise StorageAwayError("503", file=name)
        write(run, name, content)

    return refusing
