from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from landslide_scale.errors import BrokenRunError, RunConflictError, StorageAwayError
from landslide_scale.storage import lease
from landslide_scale.storage.holder import Holder
from landslide_scale.storage.lease import Lease, held
from landslide_scale.storage.rundir import RunDirectory
from landslide_scale.storage.signs import holder

LIFE = 0.6
HOLD = (
    "import sys, threading\n"
    "from landslide_scale.storage.lease import held\n"
    "from landslide_scale.storage.rundir import RunDirectory\n"
    "with held(RunDirectory(sys.argv[1])):\n"
    "    print('held', flush=True)\n"
    "    threading.Event().wait()\n"
)
FAR = Holder(
    host="far",
    machine="far boot",
    pid=7,
    born="1",
    since="2023-01-01T00:00:00+00:00",
    expires="2023-01-01T00:01:00+00:00",
)


@pytest.fixture(params=["path", "memory"])
def run(request: pytest.FixtureRequest, tmp_path: Path) -> RunDirectory:
    return RunDirectory(str(tmp_path / "run") if request.param == "path" else f"memory://{uuid.uuid4()}/run")


def leases(run: RunDirectory) -> list[str]:
    return [name for name in run.names("", ".json") if name.startswith("lease-")]


def test_the_second_is_refused_and_told_who_the_first_is(run: RunDirectory):
    with held(run):
        with pytest.raises(RunConflictError, match="another run is at work here") as caught, held(run):
            pytest.fail("two held it")
        known = holder(run)
        assert known is not None
        assert len(leases(run)) == 1
        for said in (str(os.getpid()), known.host, known.since, known.expires):
            assert said in str(caught.value)
    assert leases(run) == []
    assert holder(run) is None
    with held(run):
        pass


def test_it_is_given_back_when_the_run_breaks(run: RunDirectory):
    with pytest.raises(ZeroDivisionError), held(run):
        raise ZeroDivisionError
    assert leases(run) == []


def test_that_of_a_killed_process_of_this_machine_is_taken_at_once(tmp_path: Path):
    run = RunDirectory(str(tmp_path))
    with subprocess.Popen([sys.executable, "-c", HOLD, run.url], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        with pytest.raises(RunConflictError, match=f"process {process.pid} on"), held(run):
            pytest.fail("two held it")
        process.send_signal(signal.SIGKILL)
        # Not waited for: a process that is dead, but whose parent has not noticed, is gone too.
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        assert len(leases(run)) == 1
        assert holder(run) is None
        with held(run, life=3600):
            assert len(leases(run)) == 1


def test_a_number_that_another_process_has_by_now_is_not_taken_for_the_holder(run: RunDirectory):
    with held(run):
        known = holder(run)
    assert known is not None
    run.write_json("lease-old.json", asdict(replace(known, born="1")))
    assert holder(run) is None
    with held(run, life=3600):
        pass


def test_that_of_another_machine_is_waited_for_until_it_has_shown_no_sign_of_life(run: RunDirectory):
    run.write_json("lease-far.json", asdict(FAR))
    with held(run, life=LIFE):
        assert len(leases(run)) == 1


def test_that_of_another_machine_stays_its_own_while_it_is_renewed(run: RunDirectory):
    ended = threading.Event()

    def renew() -> None:
        number = 0
        while not ended.wait(LIFE / 10):
            number += 1
            run.write_json("lease-far.json", asdict(replace(FAR, expires=str(number))))

    run.write_json("lease-far.json", asdict(FAR))
    thread = threading.Thread(target=renew)
    thread.start()
    try:
        with pytest.raises(RunConflictError, match="process 7 on far"), held(run, life=50 * LIFE):
            pytest.fail("two held it")
    finally:
        ended.set()
        thread.join()
    assert leases(run) == ["lease-far.json"]


def test_who_holds_it_elsewhere_is_known_until_it_expires(run: RunDirectory):
    now = datetime.now(UTC)
    for seconds, known in ((60, True), (-1, False)):
        run.write_json("lease-far.json", asdict(replace(FAR, expires=(now + timedelta(seconds=seconds)).isoformat())))
        assert (holder(run) is not None) == known


def test_whoever_was_taken_for_dead_finds_out(run: RunDirectory):
    lease = Lease(run, LIFE)
    lease.take()
    lease.check()
    run.delete_all(leases(run))
    lease.keep(threading.Event())  # returns, because there is nothing left to renew
    with pytest.raises(BrokenRunError, match="another process removed it"):
        lease.check()
    assert leases(run) == []


def test_whoever_slept_past_its_life_goes_on_where_nobody_took_the_folder(run: RunDirectory):
    lease = Lease(run, LIFE)
    lease.take()
    before = holder(run)
    time.sleep(2 * LIFE)
    lease.check()
    assert holder(run) != before
    lease.give_back()


def test_it_is_renewed_while_it_is_held(run: RunDirectory):
    with held(run, life=LIFE) as lease:
        first = holder(run)
        while holder(run) == first:
            lease.check()
    assert leases(run) == []


def test_of_many_that_try_at_once_never_two_hold_it(run: RunDirectory):
    inside: list[int] = []
    refused = threading.Semaphore(0)
    ready = threading.Barrier(8)

    def attempt() -> None:
        ready.wait()
        try:
            with held(run, life=LIFE):
                inside.append(1)
                for _ in range(7):
                    refused.acquire(timeout=50 * LIFE)
        except RunConflictError:
            refused.release()

    threads = [threading.Thread(target=attempt) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(inside) <= 1
    assert leases(run) == []


class Silent(RunDirectory):
    """Storage that does not answer when something is to be removed."""

    def delete_all(self, names: Sequence[str]) -> None:
        if names:
            threading.Event().wait(60)


def test_the_end_does_not_wait_for_storage_that_does_not_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(lease, "END_S", 0.2)
    run = Silent(str(tmp_path))
    begun = time.monotonic()
    with pytest.raises(KeyboardInterrupt), held(run):
        raise KeyboardInterrupt
    assert time.monotonic() - begun < 20
    assert len(leases(run)) == 1  # of a process of this machine: taken at once when that has ended


class Away(RunDirectory):
    """Storage that is away for some requests, from some moment on."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.away: set[str] = set()
        self.after_write: Callable[[], None] = lambda: None

    def _asked(self, request: str) -> None:
        if request in self.away:
            raise StorageAwayError(f"{request}: away")

    def names(self, folder: str, ending: str) -> list[str]:
        self._asked("list")
        return super().names(folder, ending)

    def delete_all(self, names: Sequence[str]) -> None:
        self._asked("remove")
        super().delete_all(names)

    def write(self, name: str, content: bytes) -> None:
        super().write(name, content)
        self.after_write()


@pytest.fixture
def away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Away:
    monkeypatch.setattr(lease, "END_S", 0.2)
    monkeypatch.setattr(lease, "_AGAIN_S", 0.02)
    return Away(str(tmp_path / "run"))


def soon(is_so: Callable[[], bool]) -> bool:
    """Whether something is so within some seconds."""
    end = time.monotonic() + 20
    while not is_so() and time.monotonic() < end:
        time.sleep(0.02)
    return is_so()


def soon_none(run: RunDirectory) -> bool:
    """Whether no lease is left, within some seconds."""
    return soon(lambda: not leases(run))


def test_one_that_was_given_back_to_storage_that_was_away_holds_up_nobody_of_this_process(away: Away):
    with held(away):
        away.away = {"remove"}
    (left,) = leases(away)
    assert soon(lambda: holder(away) is None)
    again = RunDirectory(away.url)
    with held(again) as mine:
        assert leases(again) == [mine.name] != [left]
    away.away = set()
    assert soon_none(away), "else a thread would go on with it beside every later test"


def test_it_is_removed_for_others_as_soon_as_the_storage_hears_of_it(away: Away):
    with held(away):
        away.away = {"remove"}
    assert len(leases(away)) == 1
    away.away = set()
    assert soon_none(away)


@pytest.mark.parametrize("error", [StorageAwayError("away"), KeyboardInterrupt()])
def test_one_that_was_written_and_not_taken_is_given_back(away: Away, error: BaseException):
    def fail() -> None:
        away.after_write = lambda: None
        raise error

    away.after_write = fail
    with pytest.raises(type(error)), held(away):
        pytest.fail("taken")
    assert soon_none(away)


def test_one_that_was_written_before_its_storage_was_away_holds_up_nobody(away: Away):
    away.after_write = lambda: away.away.update({"list", "remove"})
    with pytest.raises(StorageAwayError), held(away):
        pytest.fail("taken")
    again = RunDirectory(away.url)
    assert len(leases(again)) == 1
    with held(again):
        pass
    away.away = set()
    assert soon_none(again)


def test_a_holder_is_not_disturbed_by_one_of_its_own_process_that_gave_up_unheard(away: Away):
    with held(away, life=LIFE) as mine:
        rival = Lease(away, LIFE)
        rival._write()
        away.away = {"remove"}
        with pytest.raises(StorageAwayError):
            rival.give_back()
        away.away = set()
        mine.renew()
        mine.check()
        assert leases(away) == [mine.name]


CUT = "lease-0123456789abcdef.json"


@pytest.mark.parametrize("content", [b"", b'{"host": "far", "mach'])
def test_one_that_is_cut_is_taken_where_nobody_renews_it(run: RunDirectory, content: bytes):
    run.write(CUT, content)
    with held(run, life=LIFE) as mine:
        assert leases(run) == [mine.name]


def test_one_that_is_cut_and_then_renewed_is_its_holders(run: RunDirectory, monkeypatch: pytest.MonkeyPatch):
    run.write(CUT, b"")
    read, looks = run.read, itertools.count()

    def renewed_after_the_first_look(name: str) -> bytes:
        if name == CUT and next(looks) == 1:
            run.write(CUT, json.dumps(asdict(FAR)).encode())
        return read(name)

    monkeypatch.setattr(run, "read", renewed_after_the_first_look)
    with pytest.raises(RunConflictError, match="process 7 on far"), held(run, life=4 * LIFE):
        pytest.fail("two held it")
    assert leases(run) == [CUT]


def test_a_file_of_that_name_that_is_no_lease_is_left_alone(run: RunDirectory):
    run.write("lease-mine.json", json.dumps({"rent": 1}).encode())
    with pytest.raises(RunConflictError, match=r"lease-mine\.json"), held(run):
        pytest.fail("taken")
    assert leases(run) == ["lease-mine.json"]
