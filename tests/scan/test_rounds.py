"""Tries of units, and what the driver says of those that failed."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from itertools import groupby, product

import pytest
from helpers.madescene import SCENE

from landslide_scale.cube.record import Record
from landslide_scale.grid import Block, Lattice, Zone
from landslide_scale.scan import rounds
from landslide_scale.scan.plan import WorkUnit
from landslide_scale.scan.rounds import Passes, Progress, Reporter, in_turn, worked_on
from landslide_scale.scan.work import Row

LATTICE = Lattice(zone=Zone.utm(33, southern=False), resolution=10, block=32)
UNITS = [WorkUnit(lattice=LATTICE, block=Block(row=row, col=0), layer=0, scenes=()) for row in range(3)]
SLOW, GONE, WELL = (unit.id for unit in UNITS)


def worker(rows: Sequence[Row]) -> Iterator[Record]:
    """One unit fails twice for now, one for good, one not at all; each try waited for five seconds."""
    for row in rows:
        unit, attempt = WorkUnit.from_json(row["unit"]).id, row["attempt"]
        failed = {SLOW: attempt < 3, GONE: True, WELL: False}[unit]
        yield Record(
            unit=unit,
            state="failed" if failed else "written",
            attempts=attempt,
            error="TryAgainError: 503" if failed else "",
            retry=unit == SLOW,
            km2=0.0 if failed else 2.0,
            seconds={"wait": 5.0},
        )


def test_tries_that_fail_are_told_before_they_are_made_again_and_what_will_not_pass_is_tried_twice():
    told: list[tuple[str, int]] = []
    ended = worked_on(UNITS, {}, Passes(worker), 5, again=lambda record: told.append((record.unit, record.attempts)))
    assert {record.unit: (record.state, record.attempts) for record in ended} == {
        WELL: ("written", 1),
        GONE: ("failed", 2),
        SLOW: ("written", 3),
    }
    assert told == [(SLOW, 1), (GONE, 1), (SLOW, 2)]


def planned(rows: int, cols: int, layers: int, *, block: int) -> list[WorkUnit]:
    """Units of blocks that only every third column has scenes for, row by row as a plan has them."""
    lattice = Lattice(zone=Zone.utm(33, southern=False), resolution=10, block=block)
    places = product(range(rows), range(cols), range(layers))
    return [
        WorkUnit(lattice=lattice, block=Block(row=row, col=col), layer=layer, scenes=(SCENE,) * (col % 3 == 0))
        for row, col, layer in places
    ]


def test_units_of_a_tile_and_window_follow_each_other(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(rounds, "TAIL", 1)
    units = planned(8, 12, 2, block=2048)
    seen = [(unit.block.row // 4, unit.block.col // 4, unit.layer) for unit in in_turn(units, lambda _: 0.0)]
    assert len([key for key, _ in groupby(seen)]) == len(set(seen)) == 2 * 3 * 2


def test_the_costliest_of_the_last_are_begun_first_and_none_is_lost(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(rounds, "TAIL", 20)
    units = planned(8, 12, 2, block=2048)
    turn = in_turn(units, lambda _: 0.0)
    last = [len(unit.scenes) for unit in turn[-20:]]
    assert last == sorted(last, reverse=True)
    assert 0 < sum(last) < 20
    assert {unit.id for unit in turn} == {unit.id for unit in units}
    assert len(turn) == len(units)


@pytest.mark.parametrize("tail", [1, 20, 1000])
def test_no_order_is_before_the_rank(monkeypatch: pytest.MonkeyPatch, tail: int):
    monkeypatch.setattr(rounds, "TAIL", tail)
    turn = in_turn(planned(8, 12, 2, block=2048), lambda place: -place.block.row)
    assert [unit.block.row for unit in turn] == sorted((unit.block.row for unit in turn), reverse=True)


class Counting:
    """A belt that notes how many units are on it, and what is held of each."""

    def __init__(self) -> None:
        self.rows: deque[Row] = deque()
        self.most, self.pieces = 0, list[int]()

    def put(self, rows: Sequence[Row]) -> None:
        self.rows.extend(rows)
        self.pieces.append(len(rows))
        self.most = max(self.most, len(self.rows))

    def next(self) -> Record:
        row = self.rows.popleft()
        failed = row["attempt"] == 1 and row["id"].endswith("7-c0")
        return Record(unit=row["id"], state="failed" if failed else "written", attempts=row["attempt"], retry=True)


MANY = [WorkUnit(lattice=LATTICE, block=Block(row=row, col=0), layer=0, scenes=()) for row in range(730)]


def test_of_many_units_few_are_on_the_belt_at_once_and_all_are_done_in_their_order():
    belt = Counting()
    ended = [record.unit for record in worked_on(MANY, {}, belt, 3, ahead=250)]
    assert belt.most <= 250
    assert max(belt.pieces) == rounds._PIECE
    assert sorted(ended) == sorted(unit.id for unit in MANY)
    at_once = [unit.id for unit in MANY if not unit.id.endswith("7-c0")]
    assert [name for name in ended if not name.endswith("7-c0")] == at_once


def test_a_belt_that_goes_over_units_in_passes_is_given_all_of_them_for_the_first():
    passes: list[int] = []

    def stream(rows: Sequence[Row]) -> Iterator[Record]:
        passes.append(len(rows))
        for row in rows:
            yield Record(unit=row["id"], state="written", attempts=row["attempt"])

    assert len(list(worked_on(MANY, {}, Passes(stream), 3, ahead=None))) == len(MANY)
    assert passes == [len(MANY)]


def test_the_driver_counts_tries_and_waits_and_names_the_last_failure_once_a_minute(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    made: list[Progress] = []
    reporter = Reporter(3, {}, made.append)
    for record in worked_on(UNITS, {}, Passes(worker), 5, again=reporter.again):
        reporter(record)
    assert [(one.done, one.again, one.waited) for one in made] == [
        (1, 2, 15),
        (2, 3, 25),
        (3, 3, 30),
    ]
    said = f"1 try has failed and is made again; the last was of unit {SLOW}: TryAgainError: 503"
    assert caplog.messages == [said]
    monkeypatch.setattr(rounds, "SAY_S", 0)
    reporter.again(next(worker([{"unit": UNITS[1].to_json(), "attempt": 1}])))
    assert caplog.messages[1:] == [
        f"4 tries have failed and are made again; the last was of unit {GONE}: TryAgainError: 503"
    ]
