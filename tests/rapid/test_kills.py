"""Cycles killed at chosen and at random steps: the next ones end with the same bytes, and nothing half is visible."""

from __future__ import annotations

import json
import random
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers.plainrun import FORKS
from helpers.rapid import BEFORE, Life, files, watched
from helpers.watching import Step, steps

from landslide_scale.demo.world import World
from landslide_scale.rapid.publication.version import VERSION, read_latest, read_version

FORKS.set_forkserver_preload(["helpers.rapid"])  # found by the path that helpers.plainrun sets

KILLED: list[bool] = []
"""Of each process of the test that runs, whether it was killed."""

FIRST, SECOND = "2023-08-03T06:00:00+00:00", "2023-08-05T18:00:00+00:00"


def in_a_process(life: Life, now: str, log: Path, kill_at: int | None) -> list[Step]:
    """One cycle in a process of its own, ended before step `kill_at` if it comes to it; the steps it took."""
    before = len(steps(log))
    process = FORKS.Process(target=watched, args=(life.folder, life.world, now, str(log), kill_at))
    process.start()
    process.join(300)
    taken = steps(log)[before:]
    killed = process.exitcode == -signal.SIGKILL
    assert killed or process.exitcode == 0
    assert kill_at is None or (len(taken) == kill_at if killed else len(taken) <= kill_at)
    KILLED.append(killed)
    return taken


def published(life: Life) -> dict[str, bytes]:
    """What others may read: versions, what is the newest, the page of all; and what the event is at."""
    return {
        name: content
        for name, content in files(Path(life.event.url)).items()
        if name.startswith(("versions/", "latest.json", "history.html", "event.json"))
    }


def assert_no_half(life: Life) -> None:
    """The newest version is there whole."""
    latest = read_latest(life.event)
    if latest is None:
        return
    version = read_version(life.event, latest.number)
    sizes = life.event.sizes(version.folder)
    assert {name: stored.bytes for name, stored in version.files.items()} == {
        name: size for name, size in sizes.items() if name != VERSION
    }


def begun_anew(life: Life) -> None:
    shutil.rmtree(life.root.url)


@pytest.fixture(autouse=True)
def counted(request: pytest.FixtureRequest) -> Iterator[None]:
    """How often a test has killed, said by it."""
    KILLED.clear()
    yield
    print(f"{request.node.name}: {sum(KILLED)} kills")  # noqa: T201 for whoever counts them


@pytest.fixture
def life(planet: World, tmp_path: Path) -> Life:
    found = Life(folder=tmp_path / "life", world=planet)
    found.add(*BEFORE)
    return found


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_the_first_version_killed_at_every_step_ends_with_the_same_bytes(life: Life, tmp_path: Path):
    log = tmp_path / "log"
    taken = in_a_process(life, FIRST, log, None)
    wanted = published(life)
    assert json.loads(wanted["latest.json"])["number"] == 0
    for kill_at in range(len(taken)):
        begun_anew(life)
        in_a_process(life, FIRST, log, kill_at)
        assert_no_half(life)
        in_a_process(life, FIRST, log, None)
        assert published(life) == wanted, taken[kill_at]
    assert sum(KILLED) == len(taken) >= 30


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_map_killed_at_each_step_of_its_publication_and_at_random_ones_ends_with_the_same_bytes(
    life: Life, tmp_path: Path
):
    log = tmp_path / "log"
    in_a_process(life, FIRST, log, None)
    before = tmp_path / "before"
    shutil.copytree(life.root.url, before)
    life.add("2023-08-05")
    taken = in_a_process(life, SECOND, log, None)
    wanted = published(life)
    assert json.loads(wanted["latest.json"])["number"] == 1
    last = [number for number, step in enumerate(taken) if step.path.startswith("events/slip/versions/0001/version")]
    ending = range(last[0] - 1, len(taken))  # version.json, latest.json, the page, the state
    chosen = random.Random(15)  # noqa: S311 to be repeated
    for kill_at in (*ending, *sorted(chosen.sample(range(last[0] - 1), 24))):
        begun_anew(life)
        shutil.copytree(before, life.root.url)
        in_a_process(life, SECOND, log, kill_at)
        assert_no_half(life)
        in_a_process(life, SECOND, log, None)
        assert published(life) == wanted, taken[kill_at]
    # A cycle may take some steps less than the first did (threads find a folder there) and end before a late one.
    assert sum(KILLED) >= 30


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_cycle_killed_again_and_again_comes_to_its_end(life: Life, tmp_path: Path):
    log = tmp_path / "log"
    life.add("2023-08-05")
    in_a_process(life, SECOND, log, None)
    wanted = published(life)
    begun_anew(life)
    chosen = random.Random(3)  # noqa: S311 to be repeated
    for _ in range(12):
        in_a_process(life, SECOND, log, chosen.randrange(20, 120))
        assert_no_half(life)
    in_a_process(life, SECOND, log, None)
    assert published(life) == wanted
