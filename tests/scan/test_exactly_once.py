"""Writes, crashes, retries, resumes, rivals, damage and further windows in any order, against arrays of NumPy."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import shapely
import zarr
from helpers.leasing import World, on_machines_of_their_own
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule
from numpy.typing import NDArray

from landslide_scale.bands import Reason
from landslide_scale.cube import template
from landslide_scale.cube.arrays import VARIABLES
from landslide_scale.cube.ledger import Ledger, Record
from landslide_scale.errors import BrokenRunError, RunConflictError, StorageAwayError
from landslide_scale.grid import Block, Lattice, PatchLattice, Zone
from landslide_scale.scan import layout, work
from landslide_scale.scan.layout import CUBE, Layout
from landslide_scale.scan.plan import WorkUnit, extents
from landslide_scale.scan.settings import ScanConfig
from landslide_scale.scan.verify import changed, verify
from landslide_scale.scene import Window, utc
from landslide_scale.storage.lease import LIFE_S, Lease
from landslide_scale.storage.rundir import RunDirectory, Stamp
from landslide_scale.strictyaml import parse

SIDE = 32
LATTICE = Lattice(zone=Zone.utm(33, southern=False), resolution=10, block=SIDE)
BLOCKS = [Block(row=row, col=col) for row in (-16_000, -15_999) for col in (1600, 1601)]
WINDOWS = [{"start": f"2023-0{month}-01", "end": f"2023-0{month + 1}-01"} for month in range(1, 5)]
SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 many small files are written faster there
CHANGES = {"open": 0, "os.rename": 1, "os.remove": 0, "os.mkdir": 0}


class CrashError(Exception):
    """The process is gone."""


@dataclass
class Saboteur:
    """Ends what this process does before the n-th change below a folder."""

    folder: str = "?"
    left: int | None = None

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self.left is None or event not in CHANGES:
            return
        path = arguments[CHANGES[event]]
        writes = event != "open" or set(arguments[1] or "") & set("wxa+")
        if writes and isinstance(path, (str, os.PathLike)) and os.fspath(path).startswith(self.folder):
            self.left -= 1
            if self.left < 0:
                self.left = None
                raise CrashError


SABOTEUR = Saboteur()
sys.addaudithook(SABOTEUR)

Arrays = dict[str, NDArray[Any]]


def content(seed: int) -> Arrays:
    """What a unit comes to: pixels observed, or not, or (seed 0) none at all."""
    generator = np.random.default_rng(seed)
    reason = generator.choice([Reason.OBSERVED, Reason.CLOUD, Reason.NO_DATA], (SIDE, SIDE)).astype(np.uint8)
    if seed == 0:
        reason[:] = Reason.CLOUD
    observed = reason == Reason.OBSERVED
    return {
        "probability": np.where(observed, generator.integers(0, 251, reason.shape), 255).astype(np.uint8),
        "clear_count": np.where(observed, generator.integers(1, 9, reason.shape), 0).astype(np.uint8),
        "observed_on": np.where(observed, 19_000 + generator.integers(0, 99, reason.shape), 65_535).astype(np.uint16),
        "reason": reason,
    }


@dataclass
class Unit:
    """What the model knows of a unit.

    Attributes:
        state: Of its last record; empty without one.
        arrays: What is stored if it is done.
        maybe: What a variable may hold as well, after a crash or damage.
        row: The last one written of it.
    """

    state: str = ""
    attempt: int = 0
    arrays: Arrays = field(default_factory=dict)
    maybe: dict[str, list[NDArray[Any]]] = field(default_factory=lambda: {one.name: [] for one in VARIABLES})
    row: dict[str, Any] = field(default_factory=dict)


class Scan(RuleBasedStateMachine):
    @initialize()
    def begin(self) -> None:
        base = str(SHARED_MEMORY) if SHARED_MEMORY.is_dir() else None
        self.folder = tempfile.mkdtemp(dir=base)
        SABOTEUR.folder = self.folder
        self.run, self.windows, self.units = RunDirectory(self.folder), 1, {}
        self.elsewhere = on_machines_of_their_own()
        self.elsewhere.__enter__()
        self.world, self.drivers = World(self.folder), 0
        self.held = self.driver("0")
        self.lay_out()

    def teardown(self) -> None:
        SABOTEUR.left = None
        if hasattr(self, "units"):
            if self.units:
                self.look()
            self.elsewhere.__exit__(None, None, None)
            shutil.rmtree(self.folder)

    @property
    def planned(self) -> list[WorkUnit]:
        return [
            WorkUnit(lattice=LATTICE, block=block, layer=layer, scenes=())
            for block in BLOCKS
            for layer in range(self.windows)
        ]

    def lay_out(self) -> None:
        """As the driver does it, from the start."""
        config = self.config()
        if not self.run.exists("run.json"):
            self.run.claim("scan", config.settings(), resume=False)
        self.run.note(settings=config.settings())
        layout.keep(self.run, self.planned)
        self.run.remove_partial_files("ledger", CUBE)
        what = template.Template(extents=extents(self.planned), windows=config.windows, grid=config.grid, sharded=True)
        template.create(self.run.at(CUBE), what)
        for unit in self.planned:
            self.units.setdefault(unit.id, Unit())

    def config(self) -> ScanConfig:
        return parse(
            ScanConfig,
            {
                "region": {"bbox": [14.9, 46, 15.1, 46.1]},
                "windows": WINDOWS[: self.windows],
                "grid": {"block": SIDE, "chunk": 16},
                "model": {"checkpoint": "none"},
                "output": {"run": self.folder},
            },
        )

    @property
    def task(self) -> work.Task:
        return work.Task(
            run=self.run,
            region=shapely.box(14.9, 46, 15.1, 46.1).wkt,
            bands=("red",),
            composite=self.config().composite,
            patches=PatchLattice(patch=16, halo=0),
            extents=tuple(extents(self.planned).items()),
            lease=self.held.name,
            stamp=Stamp(run=self.run.stamp().run, session=self.held.token),
        )

    def driver(self, name: str) -> Lease:
        """One that takes the folder, if it can."""
        held = self.world.lease(name)
        held.take()
        self.world.holds(name, held)
        return held

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
        assert self.world.most == 1
        assert len(self.world.trusted()) == 1

    def write_without_lease(self, task: work.Task) -> None:
        stored = {path: path.read_bytes() for path in Path(self.folder).rglob("*") if path.is_file()}
        for unit in self.left()[:1]:
            with pytest.raises(BrokenRunError, match="has lost its lease"):
                work.write(self.row(unit, content(1)), task)
        assert stored == {path: path.read_bytes() for path in Path(self.folder).rglob("*") if path.is_file()}

    @property
    def laid(self) -> Layout:
        windows = tuple(Window(**{key: utc(text) for key, text in one.items()}) for one in WINDOWS[: self.windows])
        return Layout(run=self.run, places=tuple(self.planned), windows=windows, side=SIDE)

    def left(self) -> list[WorkUnit]:
        return [unit for unit in self.planned if self.units[unit.id].state not in {"written", "empty"}]

    def row(self, unit: WorkUnit, arrays: Arrays, error: str = "") -> dict[str, Any]:
        probability = np.where(arrays["probability"] == 255, np.nan, arrays["probability"] * 0.004)
        return {
            "unit": unit.to_json(),
            "attempt": self.units[unit.id].attempt + 1,
            "resampled": "[]",
            "filled": "[]",
            "error": error,
            "retry": False,
            "unreadable": "{}",
            "read_seconds": 0.0,
            "wait_seconds": 0.0,
            "predict_seconds": 0.0,
            **arrays,
            "probability": probability.astype(np.float32),
        }

    def done(self, unit: WorkUnit, row: dict[str, Any], arrays: Arrays) -> None:
        known = self.units[unit.id]
        known.state = "written" if (arrays["reason"] == Reason.OBSERVED).any() else "empty"
        known.arrays, known.row, known.attempt = arrays, row, row["attempt"]
        known.maybe = {one.name: [] for one in VARIABLES}

    @precondition(lambda self: self.left())
    @rule(data=st.data(), seed=st.integers(0, 50))
    def write(self, data: st.DataObject, seed: int) -> None:
        unit = data.draw(st.sampled_from(self.left()))
        row = self.row(unit, content(seed))
        record = Record.from_json(work.write(row, self.task)["record"])
        self.done(unit, row, content(seed))
        assert (record.unit, record.state) == (unit.id, self.units[unit.id].state)

    @precondition(lambda self: self.left())
    @rule(data=st.data(), seed=st.integers(0, 50), after=st.integers(0, 20))
    def write_and_crash(self, data: st.DataObject, seed: int, after: int) -> None:
        unit = data.draw(st.sampled_from(self.left()))
        row, arrays = self.row(unit, content(seed)), content(seed)
        SABOTEUR.left = after
        try:
            work.write(row, self.task)
        except CrashError:
            for name, possible in self.units[unit.id].maybe.items():
                possible.append(arrays[name])
            if Ledger(self.run).find(unit.id, row["attempt"]):  # only its temporary file was not removed
                self.done(unit, row, arrays)
        else:
            self.done(unit, row, arrays)
        SABOTEUR.left = None

    @precondition(lambda self: self.left())
    @rule(data=st.data())
    def fail(self, data: st.DataObject) -> None:
        unit = data.draw(st.sampled_from(self.left()))
        row = self.row(unit, content(0), error="TryAgainError: 503")
        work.write(row, self.task)
        self.units[unit.id].state, self.units[unit.id].attempt = "failed", row["attempt"]

    @precondition(lambda self: any(unit.row and unit.state in {"written", "empty"} for unit in self.units.values()))
    @rule(data=st.data(), seed=st.integers(0, 50))
    def duplicate(self, data: st.DataObject, seed: int) -> None:
        """The carrier has a row worked on again whose writer died right after it was done."""
        known = [unit for unit in self.planned if self.is_done(unit) and not any(self.units[unit.id].maybe.values())]
        if known:
            unit = data.draw(st.sampled_from(known))
            row = self.units[unit.id].row
            if Ledger(self.run).find(unit.id, row["attempt"]):  # else its record is gathered, for its task has ended
                work.write({**row, **self.row(unit, content(seed)), "attempt": row["attempt"]}, self.task)

    def is_done(self, unit: WorkUnit) -> bool:
        return self.units[unit.id].state in {"written", "empty"}

    @rule(after=st.none() | st.integers(0, 8))
    def compact(self, after: int | None) -> None:
        SABOTEUR.left = after
        with suppress(CrashError):
            Ledger(self.run).compact()
        SABOTEUR.left = None

    @precondition(lambda self: any(self.is_done(unit) for unit in self.planned))
    @rule(data=st.data(), how=st.sampled_from(["remove", "cut", "flip"]))
    def damage(self, data: st.DataObject, how: str) -> None:
        """Somebody touches an object; a resume sees it by its size, else verification does."""
        unit = data.draw(st.sampled_from([unit for unit in self.planned if self.is_done(unit)]))
        keys = {name: keys[0] for name, keys in self.laid.objects(unit).items()}
        name = data.draw(st.sampled_from(sorted(name for name, key in keys.items() if self.path(key).exists())))
        whole = self.path(keys[name]).read_bytes()
        if how == "remove":
            self.path(keys[name]).unlink()
        else:
            middle = len(whole) // 2
            torn = whole[:middle] if how == "cut" else whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :]
            self.path(keys[name]).write_bytes(torn)
            self.held.give_back()
            assert {finding.of for finding in verify(self.run, lambda *_: None).findings} >= {unit.id}
            self.held = self.driver(str(self.drivers))
        known = self.units[unit.id]
        known.state = "broken"
        known.maybe = {one.name: [np.zeros(0)] for one in VARIABLES}  # anything
        self.resume()

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

    def forget(self, known: Unit) -> None:
        for name, possible in known.maybe.items():
            possible.extend(known.arrays[name] for _ in range(bool(known.arrays)))
        known.state, known.attempt, known.arrays, known.row = "", 0, {}, {}

    @precondition(lambda self: any(Path(self.folder, "ledger", "units").glob("*.json")))
    @rule(data=st.data(), content=st.sampled_from([b"", b'{"unit": ', b"\xff"]))
    def record_damaged(self, data: st.DataObject, content: bytes) -> None:
        path = data.draw(st.sampled_from(sorted(Path(self.folder, "ledger", "units").glob("*.json"))))
        unit, _, attempt = path.stem.removesuffix("-failed").removesuffix("-broken").rpartition("-a")
        known = self.units[unit]
        path.write_bytes(content)
        if int(attempt) >= known.attempt:  # whosesoever: that is not known any more
            known.state, known.attempt = "broken", int(attempt)
            known.maybe = {one.name: [np.zeros(0)] for one in VARIABLES}
        self.resume()

    @precondition(lambda self: self.left())
    @rule(seed=st.integers(1, 50))
    def folder_deleted_under_a_writer(self, seed: int) -> None:
        """Another run takes its place, and a writer that had looked for its lease before writes into that."""
        unit, stale = self.left()[0], replace(self.task, lease="")
        row = self.row(unit, content(seed))
        for path in Path(self.folder).iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        del self.world.parties[str(self.drivers)]
        self.drivers += 1
        self.units, self.held = {}, self.driver(str(self.drivers))
        self.lay_out()
        work.write(row, stale)
        for name, possible in self.units[unit.id].maybe.items():
            possible.append(content(seed)[name])
        self.resume()

    def path(self, key: str) -> Path:
        return Path(self.folder, CUBE, key)

    @rule()
    def resume(self) -> None:
        """A new driver sees the same as the model: what is left, and at which attempt."""
        self.lay_out()
        ledger = Ledger(self.run)
        ledger.compact()
        records = ledger.records()
        ledger.mend()
        for record in changed(self.laid, records):
            ledger.add(record)
            records[record.unit] = record
        assert {name for name, record in records.items() if record.done} == {
            unit.id for unit in self.planned if self.is_done(unit)
        }
        for name, record in records.items():
            assert record.attempts == self.units[name].attempt
            assert record.state == self.units[name].state

    @precondition(lambda self: self.windows < len(WINDOWS))
    @rule(after=st.none() | st.integers(0, 40))
    def append(self, after: int | None) -> None:
        self.windows += 1
        SABOTEUR.left = after
        try:
            self.lay_out()
        except CrashError:
            SABOTEUR.left = None
            self.lay_out()
        SABOTEUR.left = None

    @rule()
    def look(self) -> None:
        """The cube, read as anyone would, holds what the model holds wherever a unit is done; elsewhere, its parts."""
        group = zarr.open_group(self.run.at(CUBE), mode="r")["EPSG_32633"]
        found = {one.name: np.asarray(group[one.name]) for one in VARIABLES if not self.torn()}
        for unit in self.planned:
            known, slot = self.units[unit.id], self.laid.slot(unit)
            for variable in VARIABLES:
                if variable.name not in found:
                    continue
                there = found[variable.name][slot.index]
                fill = np.full((SIDE, SIDE), variable.fill, variable.dtype)
                possible = [known.arrays[variable.name]] if self.is_done(unit) else [fill, *known.maybe[variable.name]]
                assert any(np.array_equal(there, one) for one in possible), (unit.id, variable.name)

    def torn(self) -> bool:
        """Whether some object is damaged, so that no reader gets through."""
        return any(
            unit.state == "broken" or any(one.size == 0 for one in unit.maybe["reason"]) for unit in self.units.values()
        )


class Quick(Scan):
    """The fast share."""


class Long(Scan):
    """All of it."""


TestQuick = Quick.TestCase
TestQuick.settings = settings(max_examples=10, stateful_step_count=15)
TestLong = pytest.mark.slow(pytest.mark.timeout(1200)(Long.TestCase))  # 300 s are too few on a busy machine
TestLong.settings = settings(max_examples=1000, stateful_step_count=15)
