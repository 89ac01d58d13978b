"""A run of four units, and a model that knows what must come of it, whatever happens to it.

What is done to the run is done by the package's own parts, in the order in which its driver and writers call them.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from threading import get_ident
from typing import Any

import numpy as np
import pytest
import shapely
import zarr
from helpers.leasing import World, on_machines_of_their_own
from hypothesis.stateful import RuleBasedStateMachine, initialize
from numpy.typing import NDArray

from landslide_scale.bands import Reason
from landslide_scale.cube.arrays import VARIABLES
from landslide_scale.cube.computed import computed_in
from landslide_scale.cube.laying import lay_out
from landslide_scale.cube.ledger import Ledger
from landslide_scale.cube.template import Template
from landslide_scale.grid import Block, Lattice, PatchLattice, Zone
from landslide_scale.provenance import NumberFormat
from landslide_scale.scan import layout, work
from landslide_scale.scan.layout import CUBE, UNITS, Layout
from landslide_scale.scan.plan import WorkUnit, extents
from landslide_scale.scan.settings import ScanConfig
from landslide_scale.scan.verify import Verdict, changed, verify
from landslide_scale.scene import Window, utc
from landslide_scale.storage import rundir
from landslide_scale.storage.lease import Lease
from landslide_scale.storage.rundir import RunDirectory, Stamp
from landslide_scale.strictyaml import parse

SIDE = 32
LATTICE = Lattice(zone=Zone.utm(33, southern=False), resolution=10, block=SIDE)
BLOCKS = [Block(row=row, col=col) for row in (-16_000, -15_999) for col in (1600, 1601)]
WINDOWS = [{"start": f"2023-0{month}-01", "end": f"2023-0{month + 1}-01"} for month in range(1, 5)]
SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 many small files are written faster there
CHANGES = {"open": 0, "os.rename": 1, "os.remove": 0, "os.mkdir": 0}
FOREIGN = "ledger/somebody's.zip.partial"
"""A file that is nobody's but its user's."""

looked_at = 0
"""Histories so far, in this process."""


class CrashError(Exception):
    """The process is gone."""


def crash() -> None:
    raise CrashError


@dataclass
class Saboteur:
    """Has something happen before the n-th change that this process makes below a folder: its end, say."""

    folder: str = "?"
    left: int | None = None
    act: Callable[[], None] = crash

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self.left is None or event not in CHANGES:
            return
        path = arguments[CHANGES[event]]
        writes = event != "open" or set(arguments[1] or "") & set("wxa+")
        if writes and isinstance(path, (str, os.PathLike)) and os.fspath(path).startswith(self.folder):
            self.left -= 1
            if self.left < 0:
                self.left = None
                self.act()

    def strike(self, after: int | None, act: Callable[[], None] = crash) -> None:
        self.left, self.act = after, act


SABOTEUR = Saboteur()
sys.addaudithook(SABOTEUR)

Arrays = dict[str, NDArray[Any]]


def content(seed: int, precision: NumberFormat = "float32") -> Arrays:
    """What a unit comes to: pixels observed, or not, or (seed 0) none at all; in another precision, other numbers."""
    generator = np.random.default_rng(seed)
    reason = generator.choice([Reason.OBSERVED, Reason.CLOUD, Reason.NO_DATA], (SIDE, SIDE)).astype(np.uint8)
    if seed == 0:
        reason[:] = Reason.CLOUD
    observed = reason == Reason.OBSERVED
    number = generator.integers(0, 250, reason.shape) + (precision == "bf16")
    return {
        "probability": np.where(observed, number, 255).astype(np.uint8),
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

    @property
    def done(self) -> bool:
        return self.state in {"written", "empty"}

    def spoil(self) -> None:
        """Of what is stored of it nothing is known any more."""
        self.state = "broken"
        self.maybe = {one.name: [np.zeros(0)] for one in VARIABLES}


class History(RuleBasedStateMachine):
    """The run, its model, and what a driver does.

    Attributes:
        windows: How many the run has.
        held: The driver's lease.
        drivers: How many there were before it.
        sessions: Of the run so far, in order.
        own: The precision that the network has on the machine at work.
        version: Of the package that is at work.
    """

    run: RunDirectory
    windows: int
    units: dict[str, Unit]
    held: Lease
    drivers: int
    sessions: list[str]
    own: NumberFormat
    version: str

    @initialize()
    def begin(self) -> None:
        globals()["looked_at"] += 1
        base = str(SHARED_MEMORY) if SHARED_MEMORY.is_dir() else None
        self.folder = tempfile.mkdtemp(dir=base)
        SABOTEUR.folder = self.folder
        self.run, self.windows, self.units = RunDirectory(self.folder), 1, {}
        self.own = "float32"
        self.version = "1"
        self.elsewhere = ExitStack()
        self.elsewhere.enter_context(on_machines_of_their_own())
        self.elsewhere.enter_context(pytest.MonkeyPatch.context()).setattr(rundir, "_environment", self.environment)
        self.world, self.drivers = World(self.folder), 0
        self.held, self.sessions = self.driver("0"), []
        self.lay_out()
        self.leave_something()
        self.thread = get_ident()

    def leave_something(self) -> None:
        """A user's own file, where runs write too."""
        path = Path(self.folder, FOREIGN)
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"theirs")

    def environment(self) -> dict[str, Any]:
        return {"begun": "2023-01-01", "versions": {"landslide-scale": self.version}, "git_commit": ""}

    def teardown(self) -> None:
        SABOTEUR.left = None
        if hasattr(self, "units"):
            if self.units:
                self.look()
            self.elsewhere.close()
            shutil.rmtree(self.folder)

    @property
    def planned(self) -> list[WorkUnit]:
        return [
            WorkUnit(lattice=LATTICE, block=block, layer=layer, scenes=())
            for block in BLOCKS
            for layer in range(self.windows)
        ]

    @property
    def laid(self) -> Layout:
        windows = tuple(Window(**{key: utc(text) for key, text in one.items()}) for one in WINDOWS[: self.windows])
        return Layout(run=self.run, places=tuple(self.planned), windows=windows, side=SIDE)

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
        """One that takes the folder, if it can; it looks at it with its own eyes."""
        held = self.world.lease(name)
        held.take()
        self.world.holds(name, held)
        self.run = RunDirectory(self.folder)
        return held

    def lay_out(self) -> None:
        """As the driver does it, from the start; it may sleep on the way, and another one be `held` by then."""
        config, run, token = self.config(), self.run, self.held.token
        if not run.exists("run.json"):
            run.claim("scan", config.settings(), resume=False)
        if token not in self.sessions:
            self.sessions.append(token)
        run.enter(token)
        if run.facts()["settings"] != config.settings():
            run.note(settings=config.settings(), state="running")
        run.remove_partial_files("ledger", CUBE)
        template = Template(extents=extents(self.planned), windows=config.windows, grid=config.grid, sharded=True)
        lay_out(run, CUBE, template, {UNITS: layout.units(self.planned)})
        for unit in self.planned:
            self.units.setdefault(unit.id, Unit())

    def resume(self) -> None:
        """A driver sees the same as the model: what is left, and at which attempt."""
        self.lay_out()
        ledger = Ledger(self.run)
        ledger.compact()
        records = ledger.records()
        ledger.mend()
        for record in changed(self.laid, records):
            ledger.add(record)
            records[record.unit] = record
        assert {name for name, record in records.items() if record.done} == {
            unit.id for unit in self.planned if self.units[unit.id].done
        }
        for name, record in records.items():
            assert record.attempts == self.units[name].attempt
            assert record.state == self.units[name].state
            assert record.session in {*self.sessions, ""}
        facts = self.run.facts()
        assert [one["id"] for one in facts["sessions"]] == self.sessions
        assert len(facts["settings"]["windows"]) == self.windows
        if self.left():
            self.run.note(state="running")

    def verified(self) -> Verdict:
        """What `verify` says while no driver is at work; the next one then takes the folder."""
        self.held.give_back()
        verdict = verify(self.run, lambda *_: None)
        self.held = self.driver(str(self.drivers))
        self.run.enter(self.held.token)
        self.sessions.append(self.held.token)
        return verdict

    def left(self) -> list[WorkUnit]:
        return [unit for unit in self.planned if not self.units[unit.id].done]

    def finished(self) -> list[WorkUnit]:
        return [unit for unit in self.planned if self.units[unit.id].done]

    @property
    def precision(self) -> NumberFormat:
        """In which a predictor computes now: as units are that are done, else as its machine would."""
        return computed_in(Ledger(self.run).records().values()) or self.own

    def computed(self, unit: WorkUnit, seed: int, error: str = "") -> tuple[dict[str, Any], Arrays]:
        """What a predictor hands to a writer, and what is to be stored of it."""
        precision = self.precision
        arrays = content(seed, precision)
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
            "computed": json.dumps({"precision": precision}),
            **arrays,
            "probability": probability.astype(np.float32),
        }, arrays

    def done(self, unit: WorkUnit, row: dict[str, Any], arrays: Arrays) -> None:
        known = self.units[unit.id]
        known.state = "written" if (arrays["reason"] == Reason.OBSERVED).any() else "empty"
        known.arrays, known.row, known.attempt = arrays, row, row["attempt"]
        known.maybe = {one.name: [] for one in VARIABLES}

    def stored_perhaps(self, unit: WorkUnit, arrays: Arrays) -> None:
        """A writer of it went away, so each of its objects is there or not."""
        for name, possible in self.units[unit.id].maybe.items():
            possible.append(arrays[name])

    def forget(self, known: Unit) -> None:
        """Its record is lost, and nothing else."""
        for name, possible in known.maybe.items():
            possible.extend(known.arrays[name] for _ in range(bool(known.arrays)))
        known.state, known.attempt, known.arrays, known.row = "", 0, {}, {}

    def path(self, key: str) -> Path:
        return Path(self.folder, CUBE, key)

    def all_files(self) -> dict[Path, bytes]:
        return {path: path.read_bytes() for path in Path(self.folder).rglob("*") if path.is_file()}

    def taken_over(self) -> None:
        """The driver sleeps, is taken for dead, and another one has the folder; then the first wakes up."""
        before = str(self.drivers)
        self.world.asleep[before] = float("inf")
        self.drivers += 1
        self.held = self.driver(str(self.drivers))
        self.world.asleep[before] = 0.0
        self.world.parties.pop(before)

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
                possible = [known.arrays[variable.name]] if known.done else [fill, *known.maybe[variable.name]]
                assert any(np.array_equal(there, one) for one in possible), (unit.id, variable.name)
        assert Path(self.folder, FOREIGN).read_bytes() == b"theirs"

    def torn(self) -> bool:
        """Whether some object is damaged, so that no reader gets through."""
        return any(
            unit.state == "broken" or any(one.size == 0 for one in unit.maybe["reason"]) for unit in self.units.values()
        )
