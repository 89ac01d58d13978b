"""A scan of up to a million units by up to thousands of workers, of whom none is there: how busy, how long the tail.

The driver, its plan, ledger and order of units are the real ones, as in `driver.py`. Readers and predictors only let
time pass, on a clock of their own: a unit is read, predicted and written in times drawn around stated means, nodes are
lost at a stated rate, and what was at work on a lost node begins anew, after a while, on the node that takes its place.
Nothing here measures reading or predicting; it shows what the driver, the order and the losses cost. The tail is the
time after all readers, or all predictors, were at work for the last time.
"""

from __future__ import annotations

import argparse
import heapq
import json
import platform
import tempfile
import time
from collections import deque
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from driver import imagined, items, settings

from landslide_scale.cube.record import Record
from landslide_scale.scan import driver
from landslide_scale.scan.plan import WorkUnit
from landslide_scale.stac.frozen import frozen

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from landslide_scale.scan.rounds import Belt
    from landslide_scale.scan.work import Row, Task

HOUR = 3600.0
COLUMNS = (
    *("nodes", "a node lives", "units", "hours", "hours at least", "predictors at work", "tail, min", "nodes lost"),
    *("units begun anew", "driver, ms a unit"),
)


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """What there is, and how long it takes.

    Attributes:
        nodes: Each with as many readers and predictors as follow.
        readers, predictors: Of a node.
        read_s, predict_s, write_s: Mean of a unit.
        spread: Deviation of the logarithm of each.
        lives_h: Mean of a node's life; 0: none is lost.
        anew_s: Until another node has taken the place of a lost one.
    """

    nodes: int
    readers: int
    predictors: int
    read_s: float
    predict_s: float
    write_s: float
    spread: float
    lives_h: float
    anew_s: float


@dataclass
class Node:
    """One machine: units that its readers hold, and how many of its workers are free."""

    readers: int
    predictors: int
    life: int = 0
    at_work: set[int] = field(default_factory=set)


class Simulated:
    """A belt whose workers let time pass.

    Args:
        cluster: They.
        seed: Of all times.
    """

    def __init__(self, cluster: Cluster, seed: int) -> None:
        self._cluster, self._rng = cluster, np.random.default_rng(seed)
        self._nodes = [Node(cluster.readers, cluster.predictors) for _ in range(cluster.nodes)]
        self._events: list[tuple[float, int, str, int, int, int]] = []
        self._order, self._unit = 0, 0
        self._rows: dict[int, Row] = {}
        self._waiting, self._read = deque[int](), deque[int]()
        self._free_readers = deque(node for node in range(cluster.nodes) for _ in range(cluster.readers))
        self._free_predictors = deque(node for node in range(cluster.nodes) for _ in range(cluster.predictors))
        self.now = self.busy_s = self.read_s = self.own_s = 0.0
        self.idle_since: float | None = None
        self.lost = self.again = 0
        for node in range(cluster.nodes):
            self._lives(node)

    def put(self, rows: Sequence[Row]) -> None:
        """Have units worked on."""
        begun = time.process_time()
        for row in rows:
            self._rows[self._unit] = row
            self._waiting.append(self._unit)
            self._unit += 1
        self._hand_out()
        self.own_s += time.process_time() - begun

    def next(self) -> Record:
        """The record of the next unit that ends on the clock."""
        begun = time.process_time()
        while True:
            self.now, _, kind, node, unit, life = heapq.heappop(self._events)
            if kind == "lost":
                self._lose(node, life)
            elif kind == "back":
                self._come(node)
            elif life != self._nodes[node].life:
                continue  # of a node that is gone
            elif kind == "read":
                self._read.append(unit)
                self._free(self._free_readers, node, unit)
            elif kind == "predicted":
                self._free(self._free_predictors, node, unit)
                self._nodes[node].at_work.add(unit)
                self._later(self._drawn(self._cluster.write_s), "written", node, unit)
            else:
                self._nodes[node].at_work.discard(unit)
                row = self._rows.pop(unit)
                text = imagined(WorkUnit.from_json(str(row["unit"]))).to_json()
                self.own_s += time.process_time() - begun
                return Record.from_json(text)
            self._hand_out()

    def _hand_out(self) -> None:
        while self._waiting and self._free_readers:
            seconds = self._at_work(self._free_readers, self._waiting.popleft(), "read", self._cluster.read_s)
            self.read_s += seconds
        while self._read and self._free_predictors:
            seconds = self._at_work(self._free_predictors, self._read.popleft(), "predicted", self._cluster.predict_s)
            self.busy_s += seconds
        if not (self._free_readers and self._free_predictors):  # one kind is the narrowest place, and all of it is busy
            self.idle_since = None
        elif self.idle_since is None:
            self.idle_since = self.now

    def _at_work(self, free: deque[int], unit: int, then: str, mean: float) -> float:
        node, seconds = free.popleft(), self._drawn(mean)
        self._nodes[node].at_work.add(unit)
        self._later(seconds, then, node, unit)
        return seconds

    def _free(self, free: deque[int], node: int, unit: int) -> None:
        self._nodes[node].at_work.discard(unit)
        free.append(node)

    def _drawn(self, mean: float) -> float:
        spread = self._cluster.spread
        return float(self._rng.lognormal(np.log(mean) - spread**2 / 2, spread))

    def _later(self, seconds: float, kind: str, node: int, unit: int = -1) -> None:
        self._order += 1
        heapq.heappush(self._events, (self.now + seconds, self._order, kind, node, unit, self._nodes[node].life))

    def _lives(self, node: int) -> None:
        if self._cluster.lives_h:
            self._later(float(self._rng.exponential(self._cluster.lives_h * HOUR)), "lost", node)

    def _lose(self, node: int, life: int) -> None:
        held = self._nodes[node]
        if life != held.life:
            return
        held.life += 1
        self.lost += 1
        self.again += len(held.at_work)
        self._waiting.extendleft(sorted(held.at_work, reverse=True))
        held.at_work.clear()
        for free in (self._free_readers, self._free_predictors):
            left = [one for one in free if one != node]
            free.clear()
            free.extend(left)
        self._later(self._cluster.anew_s, "back", node)

    def _come(self, node: int) -> None:
        self._free_readers.extend([node] * self._cluster.readers)
        self._free_predictors.extend([node] * self._cluster.predictors)
        self._lives(node)


@contextmanager
def on(task: Task, belt: Simulated) -> Iterator[Belt]:
    """An engine."""
    del task
    yield belt


def simulated(cluster: Cluster, folder: Path, zones: int, height: float) -> dict[str, float]:
    """One scan."""
    belt = Simulated(cluster, seed=0)
    begun = time.process_time()
    config = settings(folder, zones, height)
    summary = driver.begin(config, partial(on, belt=belt), resume=False, progress=lambda _: None)
    driven = time.process_time() - begun - belt.own_s
    workers = cluster.nodes * cluster.predictors
    least = max(
        summary.units * cluster.read_s / (cluster.nodes * cluster.readers),
        summary.units * cluster.predict_s / workers,
    )
    return {
        "units": summary.units,
        "hours": belt.now / HOUR,
        "least": least / HOUR,
        "busy": belt.busy_s / (belt.now * workers),
        "tail": (belt.now - (belt.idle_since if belt.idle_since is not None else belt.now)) / 60,
        "lost": belt.lost,
        "again": belt.again,
        "driver_ms": 1e3 * driven / summary.units,
    }


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--zones", type=int, default=1, help="as of driver.py")
    parser.add_argument("--height", type=float, default=1.0)
    parser.add_argument("--scenes", type=int, default=20)
    parser.add_argument("--nodes", type=int, nargs="+", default=[10, 100])
    parser.add_argument("--readers", type=int, default=8, help="of a node")
    parser.add_argument("--predictors", type=int, default=2, help="of a node")
    parser.add_argument("--read-s", type=float, default=8.0)
    parser.add_argument("--predict-s", type=float, default=1.5)
    parser.add_argument("--write-s", type=float, default=0.3)
    parser.add_argument("--spread", type=float, default=0.5)
    parser.add_argument("--lives-h", type=float, nargs="+", default=[0.0, 2.0])
    parser.add_argument("--anew-s", type=float, default=180.0)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        found = Path(name, "items.parquet")
        found.write_bytes(frozen(items(asked.zones, asked.height, asked.scenes)))
        print(f"Python {platform.python_version()}; {json.dumps(vars(asked))}\n")
        print(f"| {' | '.join(COLUMNS)} |\n|{'---|' * len(COLUMNS)}")
        for number, (nodes, lives) in enumerate((n, h) for n in asked.nodes for h in asked.lives_h):
            cluster = Cluster(
                nodes=nodes,
                lives_h=lives,
                **{key: getattr(asked, key) for key in ("readers", "predictors", "spread", "anew_s")},
                **{key: getattr(asked, key) for key in ("read_s", "predict_s", "write_s")},
            )
            folder = Path(name, str(number))
            folder.mkdir()
            (folder / "items.parquet").symlink_to(found)
            one = simulated(cluster, folder, asked.zones, asked.height)
            cells = (
                str(nodes),
                f"{lives:g} h" if lives else "on",
                f"{one['units']:,.0f}",
                f"{one['hours']:.2f}",
                f"{one['least']:.2f}",
                f"{one['busy']:.0%}",
                f"{one['tail']:.1f}",
                f"{one['lost']:.0f}",
                f"{one['again']:.0f}",
                f"{one['driver_ms']:.2f}",
            )
            print(f"| {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
