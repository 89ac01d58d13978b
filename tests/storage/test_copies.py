"""Files copied where they lie."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import NoReturn

import fsspec
import pytest

from landslide_scale.errors import BrokenRunError
from landslide_scale.storage import copies
from landslide_scale.storage.absence import patient
from landslide_scale.storage.copies import copied


def refused(*_: object) -> NoReturn:
    raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))


@pytest.mark.parametrize("kernel", ["copies", "refuses"])
def test_a_local_copy_is_a_file_of_its_own_that_replaces_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kernel: str
):
    if kernel == "refuses":
        monkeypatch.setattr(copies.os, "copy_file_range", refused)
    source, target = tmp_path / "a" / "one", tmp_path / "b" / "c" / "two"
    source.parent.mkdir()
    target.parent.mkdir(parents=True)
    source.write_bytes(os.urandom(3_000_000))
    target.write_bytes(b"longer than nothing")
    assert copied(str(source), f"file://{target}")
    assert target.read_bytes() == source.read_bytes()
    assert [path.name for path in target.parent.iterdir()] == ["two"]
    source.write_bytes(b"other")
    assert target.stat().st_size == 3_000_000


def test_what_is_not_there_is_not_copied_and_leaves_nothing(tmp_path: Path):
    assert not copied(str(tmp_path / "none"), str(tmp_path / "folder" / "copy"))
    assert not copied("memory://none", str(tmp_path / "folder" / "copy"))
    assert list(tmp_path.iterdir()) == []


def test_from_one_kind_of_storage_to_another_and_within_one(tmp_path: Path):
    files = fsspec.filesystem("memory")
    files.pipe_file("/copies/[a]*", b"12")
    assert copied("memory://copies/[a]*", "memory://copies/b")
    assert copied("memory://copies/b", str(tmp_path / "c"))
    assert copied(str(tmp_path / "c"), "memory://copies/d")
    assert (tmp_path / "c").read_bytes() == files.cat_file("/copies/d") == b"12"


def test_a_copy_that_cannot_be_made_is_one_line_and_leaves_nothing(tmp_path: Path):
    (tmp_path / "source").write_bytes(b"1")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "copy").mkdir()  # which no file can replace
    with patient(0), pytest.raises(BrokenRunError, match="the storage failed"):
        copied(str(tmp_path / "source"), str(tmp_path / "folder" / "copy"))
    assert [path.name for path in (tmp_path / "folder").iterdir()] == ["copy"]
