"""Leases whose storage is away, for the holder, for a rival, for both; and processes that sleep. In made time."""

from __future__ import annotations

import shutil
import tempfile
import uuid
from pathlib import Path

import pytest
from helpers.leasing import World, on_machines_of_their_own
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from landslide_scale.errors import BrokenRunError, RunConflictError, StorageAwayError
from landslide_scale.storage.lease import Lease

SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 many small files are written faster there


def begun(tmp_path: Path) -> tuple[World, Lease]:
    world = World(str(tmp_path))
    held = world.lease("a")
    held.take()
    world.holds("a", held)
    return world, held


def tries(world: World, name: str) -> Lease | None:
    """Another driver tries to take the folder."""
    rival = world.lease(name)
    try:
        rival.take()
    except (RunConflictError, StorageAwayError):
        return None
    world.holds(name, rival)
    return rival


@pytest.fixture(autouse=True)
def elsewhere():
    with on_machines_of_their_own():
        yield


def test_absence_is_ridden_out_as_long_as_nobody_takes_the_folder(tmp_path: Path):
    world, held = begun(tmp_path)
    for seconds in (30, 180, 3000):
        world.away = {"a"}
        world.advance(seconds)
        assert not world.trusted()
        world.away = set()
        held.check()
        assert world.trusted() == ["a"]


def test_absence_for_an_hour_ends_the_run(tmp_path: Path):
    world, held = begun(tmp_path)
    world.away = {"a"}
    world.advance(30)
    with pytest.raises(StorageAwayError, match="could not be renewed"):
        held.check()


def test_a_holder_alone_without_its_storage_for_long_is_followed_and_finds_out(tmp_path: Path):
    world, held = begun(tmp_path)
    world.away = {"a"}
    world.advance(20)
    rival = tries(world, "b")
    assert rival is not None
    assert world.trusted() == ["b"]
    world.away = set()
    with pytest.raises(BrokenRunError, match="lost"):
        held.check()
    world.advance(300)
    rival.check()
    assert (world.trusted(), world.most) == (["b"], 1)


@pytest.mark.parametrize("seconds", [25, 40, 55])
def test_a_holder_that_comes_back_before_it_is_followed_goes_on(tmp_path: Path, seconds: int):
    world, held = begun(tmp_path)
    world.away = {"a"}
    world.back = float(seconds)
    assert tries(world, "b") is None
    held.check()
    assert (world.trusted(), world.most) == (["a"], 1)


def test_when_both_were_without_their_storage_the_holder_goes_on(tmp_path: Path):
    world, held = begun(tmp_path)
    world.away, world.back = {"a"}, 200.0
    world.delays = [1.0] * 5 + [199.0]  # the rival's request is answered when the storage is back
    assert tries(world, "b") is None
    held.check()
    assert (world.trusted(), world.most) == (["a"], 1)


def test_a_holder_that_slept_finds_out_before_it_goes_on(tmp_path: Path):
    world, held = begun(tmp_path)
    world.asleep["a"] = 1000.0
    assert tries(world, "b") is not None
    world.advance(1000)
    with pytest.raises(BrokenRunError, match="lost"):
        held.check()
    assert world.most == 1


def test_a_rival_that_slept_takes_nothing_from_a_holder_that_came_back(tmp_path: Path):
    """Between its last look and its removal of the holder's file, and between any two of its requests."""
    for number in range(60):
        world, held = begun(tmp_path / str(number))
        world.asleep["a"] = 45.0
        world.delays = [0.0] * number + [200.0]
        rival = tries(world, "b")
        world.advance(100)
        assert world.most == 1, number
        assert len(world.trusted()) <= 1
        if rival is None:
            held.check()


@pytest.mark.parametrize("requests", range(6))
def test_a_holder_that_is_followed_between_two_requests_of_a_renewal_finds_out(tmp_path: Path, requests: int):
    """As one that is stopped there, and whose file comes back after a rival has removed it."""
    world, held = begun(tmp_path)
    world.asleep["a"] = 10_000.0
    world.advance(300)
    followed: list[Lease | None] = []
    world.meanwhile = requests, lambda: followed.append(tries(world, "b"))
    try:
        held.check()
    except BrokenRunError:
        assert followed
        assert followed[0] is not None
    else:
        assert not followed  # all requests were made before
        assert requests > 2
    assert world.most == 1


@pytest.mark.parametrize("store", ["path", "memory"])
@pytest.mark.parametrize("requests", range(4))
def test_a_holder_that_comes_back_when_the_folder_has_gone_through_other_hands_yields(
    tmp_path: Path, store: str, requests: int
):
    """Stopped anywhere in a renewal: whoever has the folder by then never knew of it."""
    world = World(str(tmp_path) if store == "path" else f"memory://{uuid.uuid4()}")
    held = world.lease("a")
    held.take()
    world.holds("a", held)
    world.asleep["a"] = 10_000.0
    world.advance(300)

    def change_hands() -> None:
        second = tries(world, "b")
        assert second is not None
        del world.parties["b"]
        second.give_back()
        assert tries(world, "c") is not None

    world.meanwhile = requests, change_hands
    with pytest.raises(BrokenRunError, match="lost"):
        held.check()
    held.give_back()
    del world.asleep["a"]
    world.advance(60)
    assert (world.trusted(), world.most) == (["c"], 1)


class Leases(RuleBasedStateMachine):
    """Any number of drivers, storage that is away for any of them, sleep: never do two of them write."""

    @initialize()
    def begin(self) -> None:
        self.folder = tempfile.mkdtemp(dir=str(SHARED_MEMORY) if SHARED_MEMORY.is_dir() else None)
        self.context = on_machines_of_their_own()
        self.context.__enter__()
        self.world, self.number = World(self.folder), 0

    def teardown(self) -> None:
        if hasattr(self, "world"):
            self.context.__exit__(None, None, None)
            shutil.rmtree(self.folder)

    @rule(who=st.sets(st.sampled_from("012345")))
    def absence(self, who: set[str]) -> None:
        self.world.away = who

    @rule(who=st.sampled_from("012345"), seconds=st.sampled_from([5.0, 25.0, 50.0, 90.0, 400.0]))
    def sleep(self, who: str, seconds: float) -> None:
        self.world.asleep[who] = self.world.now + seconds

    @rule(seconds=st.sampled_from([1.0, 9.0, 24.0, 31.0, 61.0, 200.0]))
    def wait(self, seconds: float) -> None:
        self.world.advance(seconds)

    @precondition(lambda self: self.number < 6)
    @rule(delays=st.lists(st.sampled_from([0.0, 0.0, 0.0, 1.0, 8.0, 25.0, 61.0, 150.0]), max_size=40))
    def rival(self, delays: list[float]) -> None:
        name, self.number, self.world.delays = str(self.number), self.number + 1, delays
        tries(self.world, name)
        self.world.delays = []

    @precondition(lambda self: self.world.parties)
    @rule(data=st.data())
    def go_on(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(sorted(self.world.parties)))
        held, _ = self.world.parties[name]
        if not self.world.sleeps(name) and name not in self.world.away:
            try:
                held.check()
            except BrokenRunError:
                del self.world.parties[name]
            else:
                assert self.world.trusted() == [name]

    @precondition(lambda self: self.world.parties)
    @rule(data=st.data())
    def killed(self, data: st.DataObject) -> None:
        del self.world.parties[data.draw(st.sampled_from(sorted(self.world.parties)))]

    @invariant()
    def never_two(self) -> None:
        if hasattr(self, "world"):
            assert self.world.most <= 1
            assert len(self.world.trusted()) <= 1


class Long(Leases):
    """All of it."""


TestLeases = Leases.TestCase
TestLeases.settings = settings(max_examples=60, stateful_step_count=15, deadline=None)
TestLong = pytest.mark.slow(Long.TestCase)
TestLong.settings = settings(max_examples=2000, stateful_step_count=25, deadline=None)
