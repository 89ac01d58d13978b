"""Events on a made world, mapped in one plain process: a folder of Items, and a clock of its own."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from helpers.plainrun import engine, silent
from helpers.watching import Roles, Watch

from landslide_scale.demo.ground.frame import Frame
from landslide_scale.demo.satellite.passes import PASSES
from landslide_scale.demo.world import World, WorldSpec
from landslide_scale.exporting.run import export_compared
from landslide_scale.rapid.mapping import Workers
from landslide_scale.rapid.settings import RapidConfig
from landslide_scale.rapid.telling import status_lines
from landslide_scale.rapid.watching import Attended, once
from landslide_scale.scan import driver
from landslide_scale.scan.driver import Rank
from landslide_scale.scan.settings import ScanConfig
from landslide_scale.scan.summary import ScanSummary
from landslide_scale.storage import rundir
from landslide_scale.storage.rundir import RunDirectory
from landslide_scale.strictyaml import parse

SPEC = WorldSpec(
    frame=Frame(left=728_160, top=5_106_240, width_m=7_200, height_m=4_800),
    passes=(PASSES[1], PASSES[2], PASSES[3], PASSES[5], PASSES[6]),
    seed=7,
)
"""Two passes before the event and three after it, over two tiles of two zones."""

BEFORE = ("2023-07-11", "2023-07-26")
ORIGIN = "2023-08-03T04:00:00Z"
WEST, SOUTH, EAST, NORTH = 18.004, 46.045, 18.034, 46.052
"""Some 1.7 km2; the tile of the next zone reaches over the east of them alone."""


def instant(text: str) -> datetime:
    return datetime.fromisoformat(text)


@dataclass(kw_only=True)
class Counted:
    """Scans, and what each came to."""

    done: list[ScanSummary] = field(default_factory=list)
    roles: Roles = field(default_factory=Roles)

    def __call__(self, config: ScanConfig, *, resume: bool, rank: Rank) -> ScanSummary:
        summary = driver.begin(config, engine(config, self.roles), resume=resume, progress=silent, rank=rank)
        self.done.append(summary)
        return summary


@dataclass(kw_only=True)
class Life:
    """One event, cycle by cycle.

    Attributes:
        folder: For all of it.
        world: The planet; its Items appear when they are added.
        changes: Of the settings.
    """

    folder: Path
    world: World
    changes: dict[str, Any] = field(default_factory=dict)
    counted: Counted = field(default_factory=Counted)

    def __post_init__(self) -> None:
        self.items.mkdir(parents=True, exist_ok=True)
        ring = [[WEST, SOUTH], [EAST, SOUTH], [EAST, NORTH], [WEST, NORTH], [WEST, SOUTH]]
        self.region.write_text(json.dumps({"type": "Polygon", "coordinates": [ring]}))

    @property
    def items(self) -> Path:
        return self.folder / "items"

    @property
    def region(self) -> Path:
        return self.folder / "region.geojson"

    @property
    def settings(self) -> dict[str, Any]:
        event = {"id": "slip", "origin": ORIGIN, "region": {"file": str(self.region)}, "kind": "monsoon"}
        return {
            "events": None,
            "given": [event | {"place": "the made east"}],
            "catalog": {
                "items": str(self.items),
                "profile": "plain",
                "collection": self.world.collection,
                "offset": "in_numbers",
                "allowed_roots": [str(self.world.directory)],
            },
            "model": "none",
            "grid": {"block": 128, "chunk": 64},
            "output": {"run": str(self.folder / "run")},
        } | self.changes

    @property
    def config(self) -> RapidConfig:
        return parse(RapidConfig, self.settings)

    @property
    def root(self) -> RunDirectory:
        return RunDirectory(str(self.folder / "run"))

    @property
    def event(self) -> RunDirectory:
        return RunDirectory(self.root.at("events/slip"))

    @property
    def workers(self) -> Workers:
        return Workers(scan=self.counted, export=export_compared)

    def add(self, *days: str, tile: str = "") -> None:
        """Have the Items of some days appear in the catalogue."""
        for path in sorted((self.world.directory / "items").glob("*.json")):
            if tile in path.name and any(f"_{day.replace('-', '')}_" in path.name for day in days):
                shutil.copy(path, self.items)

    def cycle(self, now: str) -> Attended:
        return once(self.config, self.workers, clock=lambda: instant(now))

    def status(self) -> str:
        return "\n".join(status_lines(self.root))


def watched(folder: Path, world: World, now: str, log: str, kill_at: int | None) -> None:
    """What a process that may be killed runs: one cycle."""
    driver.COMPACT_EVERY = 2
    environment = rundir._environment  # the instant at which a scan was begun is told by its products
    rundir._environment = lambda: environment() | {"begun": now}
    watch = Watch(folder=str(folder / "run"), log=log, kill_at=kill_at)
    Life(folder=folder, world=world, counted=Counted(roles=watch.roles)).cycle(now)


def files(folder: Path) -> dict[str, bytes]:
    """All that lies below a folder, by path."""
    return {os.path.relpath(path, folder): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}
