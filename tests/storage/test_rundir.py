from __future__ import annotations

import errno
import os
import pickle
import subprocess
import sys
import uuid
from collections.abc import Iterable
from pathlib import Path

import pytest

from landslide_scale.errors import InvalidConfigError, RunConflictError
from landslide_scale.storage import conditional, rundir
from landslide_scale.storage.rundir import RunDirectory, Stamp

SETTINGS = {"grid": {"resolution": 10, "crs": None}, "windows": [{"start": "2023-08-01T00:00:00Z"}]}


@pytest.fixture(params=["path", "file", "memory"])
def run(request: pytest.FixtureRequest, tmp_path: Path) -> RunDirectory:
    urls = {"path": str(tmp_path / "run"), "file": f"file://{tmp_path}/run", "memory": f"memory://{uuid.uuid4()}/run"}
    return RunDirectory(urls[request.param])


def test_files_are_kept_found_listed_and_removed(run: RunDirectory):
    assert not run.exists("a/b.json")
    assert run.names("a", ".json") == []
    run.write("a/c.json", b"2")
    run.write("a/b.json", b"1")
    run.write("a/b.txt", b"3")
    assert run.exists("a/b.json")
    assert run.read("a/b.json") == b"1"
    assert run.names("a", ".json") == ["b.json", "c.json"]
    run.write("a/b.json", b"4")
    assert run.read("a/b.json") == b"4"
    run.delete("a/b.json")
    assert run.names("a", ".json") == ["c.json"]


def test_many_files_are_read_measured_and_removed_at_once(run: RunDirectory):
    assert run.sizes("a") == {}
    assert run.read_all([]) == []
    for name, content in (("a/b/c.json", b"1"), ("a/d.json", b"22"), ("e.json", b"333")):
        run.write(name, content)
    assert run.sizes("a") == {"b/c.json": 1, "d.json": 2}
    assert run.read_all(["e.json", "a/d.json"]) == [b"333", b"22"]
    run.delete_all(["a/d.json", "a/none.json", "e.json"])
    assert run.sizes("") == {"a/b/c.json": 1}
    run.delete_all([])


def test_json_round_trips_and_facts_are_added(run: RunDirectory):
    run.write_json("run.json", {"a": [1, 2.5, None]})
    run.note(state="complete", a=3)
    assert run.read_json("run.json") == {"a": 3, "state": "complete"}


def test_a_run_directory_crosses_processes(run: RunDirectory):
    run.write("a.txt", b"1")
    back = pickle.loads(pickle.dumps(run))  # noqa: S301 our own bytes
    assert back.read("a.txt") == b"1"
    assert back.at("x") == run.at("x")


def test_two_that_share_a_folder_see_each_other_at_once(run: RunDirectory):
    other = RunDirectory(run.url)
    assert run.names("a", "") == []
    other.write("a/b.json", b"1")
    assert run.names("a", "") == ["b.json"]
    assert run.exists("a/b.json")


def test_a_relative_path_means_the_same_folder_after_a_change_of_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    run = RunDirectory("runs/a")
    run.write("a.txt", b"1")
    monkeypatch.chdir("/")
    assert run.read("a.txt") == b"1"
    run.write("b.txt", b"2")
    assert (tmp_path / "runs" / "a" / "b.txt").read_bytes() == b"2"


def test_a_home_folder_is_meant_when_it_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    run = RunDirectory("~/runs")
    run.write("a.txt", b"1")
    assert run.read("a.txt") == b"1"
    assert (tmp_path / "runs" / "a.txt").exists()


@pytest.mark.parametrize("url", ["nowhere://bucket/run", "htps://bucket/run"])
def test_an_address_of_an_unknown_kind_is_refused_by_key(url: str):
    with pytest.raises(InvalidConfigError, match=r"output.run"):
        RunDirectory(url)


def test_keys_in_an_address_are_not_said():
    assert "secret" not in str(RunDirectory("memory://user:secret@bucket/run?key=secret"))


def test_a_first_claim_says_what_runs_and_with_what_versions(run: RunDirectory):
    run.claim("scan", SETTINGS, resume=False)
    known = run.read_json("run.json")
    assert (known["kind"], known["settings"], known["state"]) == ("scan", SETTINGS, "running")
    assert known["versions"]["torch"]
    assert known["begun"].endswith("+00:00")


def test_the_same_run_is_gone_on_with_only_when_asked_to(run: RunDirectory):
    run.claim("scan", SETTINGS, resume=True)  # nothing there yet: a first claim
    before = run.read("run.json")
    with pytest.raises(RunConflictError, match="--resume"):
        run.claim("scan", SETTINGS, resume=False)
    run.claim("scan", SETTINGS, resume=True)
    assert run.read("run.json") == before


@pytest.mark.parametrize(
    ("kind", "settings", "said"),
    [
        ("scan", SETTINGS | {"grid": {"resolution": 20, "crs": None}}, "grid.resolution: 10 there, 20 now"),
        ("scan", SETTINGS | {"more": True}, "more: null there, true now"),
        ("scan", SETTINGS | {"windows": []}, "windows: "),
        ("finetune", SETTINGS, 'kind: "scan" there, "finetune" now'),
    ],
)
@pytest.mark.parametrize("resume", [True, False])
def test_another_run_is_never_written_into_and_the_changed_key_is_named(
    run: RunDirectory, kind: str, settings: dict[str, object], said: str, *, resume: bool
):
    run.claim("scan", SETTINGS, resume=False)
    before = run.read("run.json")
    with pytest.raises(RunConflictError) as caught:
        run.claim(kind, settings, resume=resume)
    assert said in str(caught.value)
    assert "grid.crs" not in str(caught.value)
    assert run.read("run.json") == before


@pytest.mark.parametrize("name", ["notes.txt", "ledger/part-00000-ab.parquet", "cube.zarr/zarr.json"])
def test_a_folder_that_holds_anything_is_no_place_for_a_first_run(run: RunDirectory, name: str):
    run.write(name, b"1")
    for resume in (True, False):
        with pytest.raises(RunConflictError, match=f"no run.json, but {name.split('/', maxsplit=1)[0]}"):
            run.claim("scan", SETTINGS, resume=resume)
    assert run.sizes("") == {name: 1}


def test_a_driver_that_was_killed_before_it_said_what_its_run_is_leaves_the_folder_to_others(run: RunDirectory):
    run.write("lease-ab.json", b"1")
    run.write("run.json.0123456789abcdef.partial", b"1")
    run.write(".landslide-scale-62f2dca4241b9f82", b"of a check whether all machines see the folder")
    run.claim("scan", SETTINGS, resume=False)
    other = RunDirectory(f"{run.url}-b")
    other.claim("scan", SETTINGS, resume=False)
    assert run.stamp().run != other.stamp().run != ""


def test_every_driver_is_said_with_what_it_goes_on_with_and_what_has_changed_since(
    run: RunDirectory, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    run.claim("scan", SETTINGS, resume=False)
    assert run.enter("a") == Stamp(run=run.stamp().run, session="a")
    known = rundir.version
    monkeypatch.setattr(rundir, "version", lambda name: "9.9" if name == "zarr" else known(name))
    assert caplog.messages == []
    run.enter("b")
    assert caplog.messages == [f"{run}: the run was worked on with zarr {known('zarr')}, and goes on with 9.9"]
    run.note(state="complete")
    first, second = run.facts()["sessions"]
    assert (first["id"], second["id"], second["versions"]["zarr"]) == ("a", "b", "9.9")
    assert first.keys() == {"id", "begun", "versions", "git_commit", "host"}
    assert first["host"]["cores"] == os.cpu_count()


def test_of_a_run_begun_before_runs_had_an_id_records_have_none(run: RunDirectory):
    run.write_json("run.json", {"kind": "scan", "settings": SETTINGS, "state": "running"})
    assert run.enter("a") == Stamp(run="", session="a")


@pytest.mark.parametrize("content", [b"", b'{"kind": "sc', b"\xff", b"[]"])
def test_a_run_json_that_is_damaged_is_named_with_the_cure(run: RunDirectory, content: bytes):
    run.write("run.json", content)
    for look in (run.claimed, run.stamp, lambda: run.note(state="complete"), lambda: run.enter("a")):
        with pytest.raises(RunConflictError, match=r"run\.json .*damaged.*from a copy"):
            look()
    assert run.read("run.json") == content


def test_what_is_created_replaces_nothing_and_what_is_renewed_is_not_made_anew(run: RunDirectory):
    run.create("a/b.json", b"1")
    with pytest.raises(RunConflictError, match=r"b\.json is there already"):
        run.create("a/b.json", b"2")
    assert run.read("a/b.json") == b"1"
    run.renew("a/b.json", b"333")
    run.renew("a/b.json", b"4")
    assert run.read("a/b.json") == b"4"
    run.delete("a/b.json")
    with pytest.raises(FileNotFoundError):
        run.renew("a/b.json", b"5")
    assert run.sizes("") == {}


def test_a_creation_after_which_the_storage_was_away_for_a_moment_is_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    run, settle, failed = RunDirectory(str(tmp_path)), conditional.settle, list[int]()

    def away_once(folders: Iterable[Path]) -> None:
        if not failed:
            failed.append(errno.ESTALE)
            raise OSError(errno.ESTALE, "Stale file handle")
        settle(folders)

    monkeypatch.setattr(conditional, "settle", away_once)
    run.create("part", b"1")
    assert run.read("part") == b"1"
    assert failed
    with pytest.raises(RunConflictError, match="part is there already"):
        run.create("part", b"2")
    assert run.sizes("").keys() == {"part"}


@pytest.mark.parametrize("content", [b"{", b"[]", b'{"kind": "scan"}', b"\xff"])
def test_a_folder_with_a_run_json_of_something_else_is_left_alone(run: RunDirectory, content: bytes):
    run.write("run.json", content)
    with pytest.raises(RunConflictError, match=r"run\.json"):
        run.claim("scan", SETTINGS, resume=True)
    assert run.read("run.json") == content


def test_what_a_killed_writer_left_is_removed_and_nothing_of_anybody_else(run: RunDirectory):
    ours, zarrs = f"run.json.{'0a' * 8}.partial", f"cube.zarr/deep/er/1.{'0a' * 16}.partial"
    elsewhere = f"downloads/x.{'0a' * 8}.partial"
    left = {"cube.zarr/c/0", "cube.zarr/c/0.partial", "mine.partial", "downloads/dataset.zip.partial", elsewhere}
    for name in (ours, zarrs, f"ledger/units/u.json.{'0a' * 8}.partial", *left):
        run.write(name, b"1")
    run.remove_partial_files("ledger", "cube.zarr")
    if not run.url.startswith("memory"):
        assert run.sizes("").keys() == left


def test_removing_partial_files_of_a_folder_that_is_not_there_is_fine(run: RunDirectory):
    run.remove_partial_files()


def test_a_writer_killed_at_any_moment_leaves_the_old_file_or_the_new_one(tmp_path: Path):
    run = RunDirectory(str(tmp_path / "run"))
    run.write("a.json", b"old" * 1000)
    script = (
        "import sys, os, signal, threading, time\n"
        "from landslide_scale.storage.rundir import RunDirectory\n"
        "run = RunDirectory(sys.argv[1])\n"
        "threading.Timer(float(sys.argv[2]), os.kill, (os.getpid(), signal.SIGKILL)).start()\n"
        "while True: run.write('a.json', b'new' * 1_000_000); run.write('a.json', b'old' * 1000)\n"
    )
    subprocess.run([sys.executable, "-c", script, run.url, "0.083"], check=False)
    assert run.read("a.json") in {b"old" * 1000, b"new" * 1_000_000}
    assert run.names("", ".json") == ["a.json"]
