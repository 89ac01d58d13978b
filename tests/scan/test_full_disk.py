"""A disk that is full ends a run in one line; with room again, the same command finishes it."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import pytest
from helpers.borderland import assert_same_cubes, configured, one_band_model, served, untrained
from helpers.disks import small_files
from helpers.plainrun import plain_scan
from helpers.watching import Roles

from landslide_scale.errors import BrokenRunError
from landslide_scale.scan.pipeline.engine import scan
from landslide_scale.scan.settings import ScanConfig
from landslide_scale.storage.files import write_whole
from landslide_scale.storage.rundir import RunDirectory
from landslide_scale.strictyaml import parse


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[Path], dict[str, Any]]]:
    folder = tmp_path_factory.mktemp("scenes")
    checkpoint = untrained(tmp_path_factory.mktemp("model") / "checkpoint.safetensors")
    with served(folder) as url:
        yield lambda run: configured((url, folder), checkpoint, run, region={"bbox": [17.992, 46.010, 18.008, 46.015]})


@pytest.fixture(scope="module")
def whole(settings: Callable[[Path], dict[str, Any]], tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("whole") / "run"
    assert plain_scan(settings(run)).complete
    return run


class Cramped(Roles):
    """Roles of which the writer has no room."""

    @contextmanager
    def of(self, role: str) -> Iterator[None]:
        with small_files(100) if role == "writer" else nullcontext():
            yield


def test_a_writer_that_finds_no_room_ends_the_run_in_one_line_and_a_resume_finishes_it(
    settings: Callable[[Path], dict[str, Any]], whole: Path, tmp_path: Path
):
    run = tmp_path / "run"
    with pytest.raises(BrokenRunError, match="no room is left") as caught:
        plain_scan(settings(run), roles=Cramped())
    assert "\n" not in str(caught.value)
    assert "--resume" in str(caught.value)
    assert str(run) in str(caught.value)
    assert RunDirectory(str(run)).claimed()["state"] == "running"
    assert plain_scan(settings(run)).complete
    assert_same_cubes(run, whole)


def test_a_file_that_finds_no_room_leaves_the_old_one_and_nothing_else(tmp_path: Path):
    write_whole(str(tmp_path / "a.json"), b"old")
    with small_files(1000), pytest.raises(BrokenRunError, match="Make room"):
        write_whole(str(tmp_path / "a.json"), b"new" * 1000)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"a.json": b"old"}


@contextmanager
def small_disk(folder: Path, size: int) -> Iterator[None]:
    """A disk of `size` bytes; skips where this process may not mount one."""
    folder.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "none", str(folder)], capture_output=True, check=False
    )
    if made.returncode:
        pytest.skip(f"may not mount a small disk: {made.stderr.decode().strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.slow
def test_a_disk_that_is_really_full_does_the_same(
    settings: Callable[[Path], dict[str, Any]], whole: Path, tmp_path: Path
):
    needed = used(whole)
    size = 3 * needed
    with small_disk(tmp_path / "disk", size):
        run, ballast = tmp_path / "disk" / "run", tmp_path / "disk" / "ballast"
        for share in (0.3, 0.6, 0.9):
            ballast.write_bytes(bytes(size - int(share * needed)))
            with pytest.raises(BrokenRunError, match="No space left on device") as caught:
                plain_scan(settings(run))
            assert "\n" not in str(caught.value)
            ballast.unlink()
        assert plain_scan(settings(run)).complete
        assert_same_cubes(run, whole)


@pytest.mark.slow
@pytest.mark.ray
def test_through_ray_the_same_line_arrives(settings: Callable[[Path], dict[str, Any]], whole: Path, tmp_path: Path):
    needed = used(whole)
    with small_disk(tmp_path / "disk", 3 * needed):
        run, ballast = tmp_path / "disk" / "run", tmp_path / "disk" / "ballast"
        ballast.write_bytes(bytes(3 * needed - int(0.8 * needed)))
        with pytest.raises(BrokenRunError, match="No space left on device") as caught:
            scan(parse(ScanConfig, settings(run)), load=one_band_model())
        assert "\n" not in str(caught.value)
        ballast.unlink()
        assert scan(parse(ScanConfig, settings(run)), resume=True, load=one_band_model()).complete
        assert_same_cubes(run, whole)


def used(folder: Path) -> int:
    return sum(-(-path.stat().st_size // 4096) * 4096 for path in folder.rglob("*") if path.is_file())
