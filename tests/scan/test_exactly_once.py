"""Writes, crashes, pauses, resumes, rivals, damage and further windows in any order, against arrays of NumPy."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from threading import get_ident
from typing import Any

import pytest
from helpers import histories
from helpers.histories import SABOTEUR, WINDOWS, Arrays, CrashError, History
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from landslide_scale.cube.ledger import Ledger
from landslide_scale.cube.record import Record
from landslide_scale.errors import BrokenRunError, RunConflictError, StorageAwayError
from landslide_scale.scan import work
from landslide_scale.scan.layout import CUBE
from landslide_scale.scan.plan import WorkUnit
from landslide_scale.storage.lease import LIFE_S

SEEDS = st.integers(0, 50)
EXAMPLES = 2000


class Scan(History):
    """What may happen, in any order.

    The precision and the version that a driver comes with are those of its machine: each move may change them.
    """

    @precondition(lambda self: self.left())
    @rule(data=st.data(), seed=SEEDS)
    def write_one(self, data: st.DataObject, seed: int) -> None:
        unit = data.draw(st.sampled_from(self.left()))
        row, arrays = self.computed(unit, seed)
        record = Record.from_json(work.write(row, self.task)["record"])
        self.done(unit, row, arrays)
        assert (record.unit, record.state) == (unit.id, self.units[unit.id].state)

    @precondition(lambda self: self.left())
    @rule(data=st.data(), seed=SEEDS, after=st.integers(0, 20))
    def write_and_crash(self, data: st.DataObject, seed: int, after: int) -> None:
        unit = data.draw(st.sampled_from(self.left()))
        row, arrays = self.computed(unit, seed)
        SABOTEUR.strike(after)
        with suppress(CrashError):
            work.write(row, self.task)
        SABOTEUR.strike(None)
        self.settle(unit, row, arrays)

    def settle(self, unit: WorkUnit, row: dict[str, Any], arrays: Arrays) -> None:
        """A writer of the unit went away: it is done where its record is there, and stored in part where it is not."""
        if Ledger(self.run).find(unit.id, row["attempt"]):
            self.done(unit, row, arrays)
        else:
            self.stored_perhaps(unit, arrays)

    @precondition(lambda self: self.left())
    @rule(data=st.data(), seed=SEEDS, after=st.integers(0, 12))
    def pause_in_a_write(self, data: st.DataObject, seed: int, after: int) -> None:
        """A writer sleeps before any of its changes; another driver has the folder by the time that it wakes up.

        Where that can be, the other has done the same unit by then.
        """
        unit = data.draw(st.sampled_from(self.left()))
        row, arrays = self.computed(unit, seed)

        def meanwhile() -> None:
            self.taken_over()
            if get_ident() == self.thread:
                self.lay_out()
                work.write(row, self.task)
            Ledger(self.run).compact()

        SABOTEUR.strike(after, meanwhile)
        with suppress(BrokenRunError):
            work.write(row, self.task)
        SABOTEUR.strike(None)
        if self.recorded(unit, row):
            self.done(unit, row, arrays)
        else:
            self.stored_perhaps(unit, arrays)
        self.resume()

    def recorded(self, unit: WorkUnit, row: dict[str, Any]) -> bool:
        record = Ledger(self.run).records().get(unit.id)
        return record is not None and record.done and record.attempts == row["attempt"]

    @precondition(lambda self: self.left())
    @rule(data=st.data())
    def fail(self, data: st.DataObject) -> None:
        unit = data.draw(st.sampled_from(self.left()))
        row, _ = self.computed(unit, 0, error="TryAgainError: 503")
        work.write(row, self.task)
        self.units[unit.id].state, self.units[unit.id].attempt = "failed", row["attempt"]

    @precondition(lambda self: any(unit.row and unit.done for unit in self.units.values()))
    @rule(data=st.data(), seed=SEEDS)
    def duplicate(self, data: st.DataObject, seed: int) -> None:
        """The carrier has a row worked on again whose writer died right after it was done."""
        known = [unit for unit in self.finished() if not any(self.units[unit.id].maybe.values())]
        if known:
            unit = data.draw(st.sampled_from(known))
            row = self.units[unit.id].row
            if Ledger(self.run).find(unit.id, row["attempt"]):  # else its record is gathered, for its task has ended
                work.write({**row, **self.computed(unit, seed)[0], "attempt": row["attempt"]}, self.task)

    @rule(after=st.none() | st.integers(0, 8))
    def compact(self, after: int | None) -> None:
        SABOTEUR.strike(after)
        with suppress(CrashError):
            Ledger(self.run).compact()
        SABOTEUR.strike(None)

    @rule(after=st.integers(0, 8))
    def pause_while_records_are_gathered(self, after: int) -> None:
        """Another driver gathers them too, and gives a unit that had failed a further try."""
        failed = [unit for unit in self.left() if self.units[unit.id].state == "failed"]

        def meanwhile() -> None:
            self.taken_over()
            self.resume()
            for unit in failed[:1]:
                row, arrays = self.computed(unit, 1)
                work.write(row, self.task)
                self.done(unit, row, arrays)

        SABOTEUR.strike(after, meanwhile)
        Ledger(self.run).compact()
        SABOTEUR.strike(None)
        self.resume()

    @rule(who=st.sampled_from(["holder", "rival", "both"]), seconds=st.sampled_from([10.0, 40.0, 100.0, 180.0, 600.0]))
    def absence(self, who: str, seconds: float) -> None:
        """Of the storage, while another driver tries to begin: of the two one goes on, and the other writes nothing."""
        now, other = str(self.drivers), str(self.drivers + 1)
        self.world.away = {"holder": {now}, "rival": {other}, "both": {now, other}}[who]
        self.world.back = self.world.now + seconds
        before, task = self.held, self.task
        try:
            self.held = self.driver(other)
        except (RunConflictError, StorageAwayError):
            self.world.advance(max(0.0, self.world.back - self.world.now) if self.world.away else 1.0)
            before.check()
        else:
            assert (who, seconds > LIFE_S) == ("holder", True)
            self.world.advance(seconds)
            with pytest.raises(BrokenRunError, match="lost"):
                before.check()
            self.write_without_lease(task)
            del self.world.parties[now]
            self.drivers += 1
            self.lay_out()  # before anything of the run is written, it says that it is there
        assert self.world.most == 1
        assert len(self.world.trusted()) == 1

    def write_without_lease(self, task: work.Task) -> None:
        stored = self.all_files()
        for unit in self.left()[:1]:
            with pytest.raises(BrokenRunError, match="has lost its lease"):
                work.write(self.computed(unit, 1)[0], task)
        assert stored == self.all_files()

    @precondition(lambda self: self.finished())
    @rule(data=st.data(), how=st.sampled_from(["remove", "cut", "flip"]))
    def damage(self, data: st.DataObject, how: str) -> None:
        """Somebody touches an object; a resume sees it by its size, else verification does."""
        unit = data.draw(st.sampled_from(self.finished()))
        keys = {name: keys[0] for name, keys in self.laid.objects(unit).items()}
        name = data.draw(st.sampled_from(sorted(name for name, key in keys.items() if self.path(key).exists())))
        spoilt(self.path(keys[name]), how)
        if how != "remove":
            assert {finding.of for finding in self.verified().findings} >= {unit.id}
        self.units[unit.id].spoil()
        self.resume()

    @rule(data=st.data(), how=st.sampled_from(["remove", "cut", "flip"]))
    def metadata_altered(self, data: st.DataObject, how: str) -> None:
        """Nobody could read the cube, or would read other numbers: it is not whole, and a resume makes them anew."""
        names = [name for name in self.run.read_json("files.json") if name.startswith(f"{CUBE}/")]
        name = data.draw(st.sampled_from(sorted(names)))
        before = self.run.read(name)
        spoilt(Path(self.folder, name), how)
        verdict = self.verified()
        assert not verdict.whole
        assert [finding.of for finding in verdict.files] == [name]
        assert self.run.facts()["state"] != "complete"
        self.resume()
        assert self.run.read(name) == before

    @precondition(lambda self: any(unit.state for unit in self.units.values()))
    @rule()
    def parts_lost(self) -> None:
        """Of the ledger: what they said is done again, and what is said from then on replaces nothing."""
        Ledger(self.run).compact()
        for path in Path(self.folder, "ledger").glob("*.parquet"):
            path.unlink()
        for known in self.units.values():
            if known.state:
                self.forget(known)
        self.resume()

    @precondition(lambda self: any(Path(self.folder, "ledger", "units").glob("*.json")))
    @rule(data=st.data(), text=st.sampled_from([b"", b'{"unit": ', b"\xff"]))
    def record_damaged(self, data: st.DataObject, text: bytes) -> None:
        path = data.draw(st.sampled_from(sorted(Path(self.folder, "ledger", "units").glob("*.json"))))
        unit, _, attempt = path.stem.removesuffix("-failed").removesuffix("-broken").rpartition("-a")
        known = self.units[unit]
        path.write_bytes(text)
        if int(attempt) >= known.attempt:  # whosesoever: that is not known any more
            known.attempt = int(attempt)
            known.spoil()
        self.resume()

    @precondition(lambda self: self.left())
    @rule(seed=st.integers(1, 50))
    def folder_deleted_under_a_writer(self, seed: int) -> None:
        """Another run takes its place, and a writer that had looked for its lease before writes into that."""
        unit, stale = self.left()[0], replace(self.task, lease="")
        row, arrays = self.computed(unit, seed)
        for path in Path(self.folder).iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        del self.world.parties[str(self.drivers)]
        self.drivers += 1
        self.units, self.sessions = {}, []
        self.held = self.driver(str(self.drivers))
        self.lay_out()
        self.leave_something()
        work.write(row, stale)
        self.stored_perhaps(unit, arrays)
        self.resume()

    @precondition(lambda self: self.left())
    @rule(seed=SEEDS)
    def folder_renamed_under_a_writer(self, seed: int) -> None:
        """Nothing comes to be where it was; named as before, it is the run that it was."""
        row, moved = self.computed(self.left()[0], seed)[0], f"{self.folder}.moved"
        task = self.task
        Path(self.folder).rename(moved)
        with pytest.raises(BrokenRunError, match="has lost its lease"):
            work.write(row, task)
        assert not Path(self.folder).exists()
        os.rename(moved, self.folder)  # noqa: PTH104 as whoever did it
        self.resume()

    @rule(resume=st.booleans())
    def run_json_lost(self, resume: bool) -> None:  # noqa: FBT001 drawn
        """What is there is no empty folder, and no run that could be gone on with; a copy of the file makes it one."""
        stored = self.all_files()
        lost = Path(self.folder, "run.json").read_bytes()
        Path(self.folder, "run.json").unlink()
        with pytest.raises(RunConflictError, match=r"no run\.json, but"):
            self.run.claim("scan", self.config().settings(), resume=resume)
        Path(self.folder, "run.json").write_bytes(lost)
        assert self.all_files() == stored

    @rule()
    def another_machine_goes_on(self) -> None:
        """Its processor would choose the other precision; and a later version of the package is on it."""
        self.own = "bf16" if self.own == "float32" else "float32"
        self.version = str(int(self.version) + 1)
        self.taken_over()
        self.resume()
        assert self.run.facts()["sessions"][-1]["versions"] == {"landslide-scale": self.version}

    @rule()
    def go_on(self) -> None:
        self.resume()

    @precondition(lambda self: self.windows < len(WINDOWS))
    @rule(after=st.none() | st.integers(0, 40), pauses=st.booleans())
    def append(self, after: int | None, pauses: bool) -> None:  # noqa: FBT001 drawn
        """The driver is killed on the way; or it sleeps, and wakes up when another one has done it."""
        self.windows += 1

        def meanwhile() -> None:
            self.taken_over()
            if get_ident() == self.thread:
                self.lay_out()

        SABOTEUR.strike(after, meanwhile if pauses else histories.crash)
        with suppress(CrashError, BrokenRunError):
            self.lay_out()
        SABOTEUR.strike(None)
        self.lay_out()

    @rule(after=st.integers(0, 8), appends=st.booleans())
    def pause_while_something_is_said_of_the_run(self, after: int, appends: bool) -> None:  # noqa: FBT001 drawn
        """What the next driver says meanwhile stands, whichever windows it adds; the one that slept says no more."""
        run, drivers = self.run, self.drivers

        def meanwhile() -> None:
            self.windows += appends and self.windows < len(WINDOWS)
            self.taken_over()
            self.lay_out()

        SABOTEUR.strike(after, meanwhile)
        with suppress(BrokenRunError):
            run.note(state="complete", said_by=drivers)
        SABOTEUR.strike(None)
        self.resume()
        if self.drivers > drivers:
            with pytest.raises(BrokenRunError, match="another driver"):
                run.note(state="complete")
        self.run.note(state="running")

    @precondition(lambda self: not self.left())
    @rule()
    def end(self) -> None:
        """It is complete and whole where nothing is left, and the cube is as `look` says."""
        self.resume()
        self.run.note(state="complete")
        verdict = self.verified()
        assert verdict.whole, verdict
        self.look()

    @rule()
    def look_at_it(self) -> None:
        if self.left():
            assert not self.verified().whole
        self.look()


def spoilt(path: Path, how: str) -> None:
    """Somebody touches a file."""
    whole = path.read_bytes()
    middle = len(whole) // 2
    if how == "remove":
        path.unlink()
    else:
        path.write_bytes(whole[:middle] + (bytes([whole[middle] ^ 1]) + whole[middle + 1 :] if how == "flip" else b""))


class Quick(Scan):
    """The fast share."""


class Long(Scan):
    """All of it."""


TestQuick = Quick.TestCase
TestQuick.settings = settings(max_examples=10, stateful_step_count=15)
TestLong = pytest.mark.slow(pytest.mark.timeout(3600)(Long.TestCase))
TestLong.settings = settings(max_examples=EXAMPLES, stateful_step_count=15)


@pytest.mark.slow
def test_so_many_histories_were_looked_at(record_property: Callable[[str, object], None]) -> None:
    record_property("histories of a run", histories.looked_at)
    assert histories.looked_at >= EXAMPLES
