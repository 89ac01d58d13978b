"""Products made by tasks of a real local cluster are those that one process makes."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers.exporting import exported, plan, scan_in
from helpers.s3 import local

from landslide_scale.errors import BrokenRunError
from landslide_scale.exporting.engine import Each, Progress, carry_out
from landslide_scale.exporting.on_ray import on_ray
from landslide_scale.exporting.product import Product, single
from landslide_scale.exporting.run import source_of
from landslide_scale.products import names
from landslide_scale.products.manifest import Source
from landslide_scale.products.scanned import scanned
from landslide_scale.runtime.progress import gone_over
from landslide_scale.storage.rundir import RunDirectory

pytestmark = [pytest.mark.slow, pytest.mark.ray]


@pytest.fixture(scope="module")
def each(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Each]:
    with on_ray(None, str(tmp_path_factory.mktemp("place"))) as found:
        yield found


def test_they_are_the_same_bytes(each: Each, tmp_path: Path):
    run = scan_in(tmp_path / "run")
    exported(run)
    there = RunDirectory(str(tmp_path / "there"))
    outcome = exported(run, there, each=each)
    assert len(outcome.made) == len(plan(scanned(run), there))
    assert local(Path(there.url)) == local(Path(run.at(names.FOLDER)))
    assert exported(run, there, each=each).made == ()


def test_what_a_task_raises_is_told_in_one_line(each: Each, tmp_path: Path):
    def fails(_: Path) -> None:
        raise OSError(28, "No space left on device")

    broken = Product(name="a.txt", kind="cog", make=single("a.txt", fails))
    target = RunDirectory(str(tmp_path / "there"))
    source = Source(made_by="made", cube_sha256="0", units=1)
    with pytest.raises(BrokenRunError, match="no room is left") as caught:
        carry_out([broken], source, target, kinds=["cog"], progress=lambda _: None, each=each)
    assert "\n" not in str(caught.value)
    assert "export again" in str(caught.value)


def test_how_far_a_task_is_is_told_while_it_is_at_work(each: Each, tmp_path: Path):
    heard, said = tmp_path / "heard", list[float]()

    def waits(path: Path) -> None:
        gone_over(40)
        until = time.monotonic() + 120
        while not heard.exists() and time.monotonic() < until:
            time.sleep(0.05)
        path.write_text("heard" if heard.exists() else "nobody listens")

    def listen(progress: Progress) -> None:
        said.append(progress.share)
        if progress.share == 0.4:
            heard.touch()

    product = Product(name="a.txt", kind="cog", make=single("a.txt", waits), pixels=100)
    target = RunDirectory(str(tmp_path / "there"))
    source = Source(made_by="made", cube_sha256="0", units=1)
    carry_out([product], source, target, kinds=["cog"], progress=listen, each=each)
    assert target.read("a.txt") == b"heard"
    assert said == sorted(said)
    assert said[-1] == 1


def test_a_task_whose_process_is_killed_is_begun_again(each: Each, tmp_path: Path):
    mark = tmp_path / "mark"

    def dies_once(path: Path) -> None:
        if not mark.exists():
            mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        path.write_text("whole")

    doomed = Product(name="a.txt", kind="cog", make=single("a.txt", dies_once))
    target = RunDirectory(str(tmp_path / "there"))
    run = scan_in(tmp_path / "run")
    carry_out([doomed], source_of(scanned(run)), target, kinds=["cog"], progress=lambda _: None, each=each)
    assert target.read("a.txt") == b"whole"
    assert {path.name for path in Path(target.url).iterdir()} == {"a.txt", names.MANIFEST}
