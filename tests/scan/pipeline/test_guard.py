"""A step that Ray begins again after its unit's end; who is at work is made up, and the actor a plain object."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from landslide_scale.cube.record import Record
from landslide_scale.grid import Block, Lattice, Zone
from landslide_scale.scan.pipeline import feed
from landslide_scale.scan.pipeline.guard import HAD_ENDED, guarded, unwritten
from landslide_scale.scan.pipeline.inflight import Ending, InFlight, Process, Stage
from landslide_scale.scan.plan import WorkUnit
from landslide_scale.scan.work import Row

UNIT = WorkUnit(
    lattice=Lattice(zone=Zone.utm(33, southern=False), resolution=10, block=64),
    block=Block(row=1, col=2),
    layer=0,
    scenes=(),
)
ROW: Row = {"id": UNIT.id, "unit": UNIT.to_json(), "attempt": 1, "left": 1}


class Cluster:
    """A flight of one unit, and the process that is at work."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.flight = InFlight(lambda _: Ending(how="lost with its node", crashed=False))
        self.flight.put([ROW])
        self.handle: Any = SimpleNamespace(begin=SimpleNamespace(remote=self.flight.begin))
        self.done: list[str] = []
        self.number = 0
        monkeypatch.setattr(feed.ray, "get", lambda answer: answer)
        monkeypatch.setattr(feed, "this_process", self.process)

    def process(self) -> Process:
        self.number += 1  # each on a node of its own, all of which are lost
        return Process(host="h", node=f"n{self.number}", worker=f"w{self.number}", pid=self.number)

    def take(self, stage: Stage) -> Row:
        def step(row: Row) -> Row:
            self.done.append(stage)
            return row

        def failed(row: Row, error: str) -> Row:
            return row | {"error": error}

        ended = {"ended": unwritten} if stage == "write" else {}
        return guarded(dict(ROW), flight=self.handle, stage=stage, step=step, failed=failed, **ended)


def test_no_step_is_done_again_after_the_end_of_its_unit_and_nothing_is_kept_of_it(monkeypatch: pytest.MonkeyPatch):
    cluster = Cluster(monkeypatch)
    for stage in ("read", "predict", "write", "write"):  # the second writer looks for the first's record
        assert "error" not in cluster.take(stage)
    assert cluster.done == ["read", "predict", "write", "write"]
    cluster.flight.end(UNIT.id)
    assert cluster.take("read")["error"] == cluster.take("predict")["error"] == HAD_ENDED
    told = Record.from_json(cluster.take("write")["record"])
    assert (told.unit, told.attempts, told.done, told.error) == (UNIT.id, 1, False, HAD_ENDED)
    assert cluster.done == ["read", "predict", "write", "write"]
