"""What is written whole outlasts a power loss, folders that were made for it included."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from helpers.powerless import Disk, recorded

from landslide_scale.storage import durable
from landslide_scale.storage.copies import copied
from landslide_scale.storage.durable import settle
from landslide_scale.storage.files import put_whole, write_whole


@pytest.fixture(autouse=True)
def _a_new_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(durable, "_known", set())


def test_what_is_written_put_or_copied_is_kept_with_the_folders_that_were_made_for_it(tmp_path: Path):
    root = tmp_path / "root"
    with recorded(tmp_path) as calls:
        root.mkdir()
        with (root / "finished").open("wb") as file:
            file.write(b"put")
        write_whole(str(root / "a" / "b" / "written"), b"written")
        write_whole(str(root / "a" / "b" / "again"), b"again")
        assert copied(str(root / "a" / "b" / "written"), str(root / "c" / "copied"))
        put_whole(str(root / "d" / "put"), root / "finished")
    assert {path: content for path, content in Disk(calls).left().items() if content is not None} == {
        "root/a/b/written": b"written",
        "root/a/b/again": b"again",
        "root/c/copied": b"written",
        "root/d/put": b"put",
    }


def test_a_folder_that_is_not_there_holds_nothing_to_keep(tmp_path: Path):
    settle([tmp_path / "nowhere" / "at all"])
    assert not (tmp_path / "nowhere").exists()


def test_a_folder_that_is_deleted_and_made_again_by_the_same_process_is_kept_again(tmp_path: Path):
    run = tmp_path / "runs" / "run"
    with recorded(tmp_path) as calls:
        for content in (b"first", b"second"):
            write_whole(str(run / "ledger" / "a.json"), content)
            write_whole(str(run / "run.json"), content)
            if content == b"first":
                shutil.rmtree(run)
    left = Disk(calls).left()
    assert left["runs/run/ledger/a.json"] == left["runs/run/run.json"] == b"second"
