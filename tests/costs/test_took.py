"""What a scan took is what its units took, over all drivers, and other scans are foreseen at its rates."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from landslide_scale.costs.foreseen import cost_lines, took_lines
from landslide_scale.costs.settings import PricesConfig
from landslide_scale.costs.took import TOOK, Tally, Took, Work, noted, of_run
from landslide_scale.cube.record import Record
from landslide_scale.errors import InvalidInputError
from landslide_scale.storage.rundir import RunDirectory

WORK = Work(units=10, read_bytes=4_000_000, patches=90, pixels=9_000)
TOOK_10 = Took(work=WORK, read_s=3600.0, wait_s=360.0, predict_s=1800.0, write_s=36.0, wall_s=2400.0, ready_s=4800.0)


def record(unit: str, **changes: object) -> Record:
    seconds = {"read": 5.0, "wait": 1.0, "predict": 2.0, "write": 0.5}
    return Record(**{"unit": unit, "state": "written", "seconds": seconds} | changes)


def test_what_failed_or_was_taken_over_is_not_what_a_scan_takes():
    tally = Tally()
    for one in (
        record("a"),
        record("b", state="empty", seconds={"read": 1.0}),
        record("c", state="failed"),
        record("d", taken_from="another run"),
    ):
        tally.add(one)
    took = tally.took(Work(units=2), wall_s=10.0, predictors=2)
    assert took == Took(
        work=Work(units=2), read_s=6.0, wait_s=1.0, predict_s=2.0, write_s=0.5, wall_s=10.0, ready_s=20.0
    )
    assert took.busy == pytest.approx(0.1)
    assert tally.took(Work(units=2), wall_s=10.0, predictors=0).busy is None


counts, times = st.integers(0, 10**12), st.integers(0, 10**9).map(lambda number: number / 1000)
tooks = st.builds(
    Took,
    work=st.builds(Work, units=counts, read_bytes=counts, patches=counts, pixels=st.integers(1, 10**12)),
    **dict.fromkeys(("read_s", "wait_s", "predict_s", "write_s", "wall_s", "ready_s"), times),
)


@given(tooks, tooks)
def test_drivers_add_up_and_what_they_took_is_read_as_it_was_written(one: Took, two: Took):
    assert noted({TOOK: json.loads(json.dumps(one.as_json))}) == one
    both = one + two
    assert (both.work.units, both.work.read_bytes) == (
        one.work.units + two.work.units,
        one.work.read_bytes + two.work.read_bytes,
    )
    assert both.work.pixels == one.work.pixels + two.work.pixels
    assert both.wall_s == one.wall_s + two.wall_s
    assert both.busy is None or 0 <= both.busy <= 1


@pytest.mark.parametrize(
    "said",
    [
        *(None, [], {}, {"units": 3}, TOOK_10.as_json | {"read_s": "long"}),
        *(TOOK_10.as_json | odd for odd in ({"read_s": 10**400}, {"pixels": float("inf")}, {"pixels": float("nan")})),
    ],
)
def test_a_run_that_says_nothing_of_it_is_none_to_be_like(said: object, tmp_path: Path):
    assert noted({TOOK: said}) is None
    run = RunDirectory(str(tmp_path / "run"))
    with pytest.raises(InvalidInputError, match="no run"):
        of_run(run)
    run.claim("scan", {}, resume=False)
    run.note(**{TOOK: said})
    with pytest.raises(InvalidInputError, match="no word of what it took"):
        of_run(run)
    run.note(**{TOOK: TOOK_10.as_json})
    assert of_run(run) == TOOK_10


def test_hours_follow_bytes_pixels_and_units_and_money_the_hours():
    planned = Work(units=20, read_bytes=12_000_000, patches=4, pixels=18_000)
    prices = PricesConfig(cpu_hour=0.05, gpu_hour=2.0, currency="EUR")
    hours, cost = cost_lines(TOOK_10, planned, cpus_per_reader=0.5, predictor=(1.0, 1.0), prices=prices)
    # Three times the bytes: 3 h; twice the units: 0.02 h of writing; twice the pixels, in larger patches: 1 h.
    assert hours.startswith("expected: 3.02 reader hours, 1.00 predictor hours at work, at the rates of 10 units there")
    assert cost.startswith("expected: 2.13 EUR (2.51 core hours, 1.00 GPU hours)")  # 2.51 * 0.05 + 1 * 2
    assert cost_lines(TOOK_10, planned, cpus_per_reader=0.5, predictor=(1.0, 1.0), prices=None) == [hours]


def test_without_a_network_there_nothing_is_said_of_predictors_here():
    like = Took(work=Work(units=10, read_bytes=4_000_000), read_s=3600.0)
    (line,) = cost_lines(like, WORK, cpus_per_reader=1.0, predictor=(1.0, 0.0), prices=PricesConfig())
    assert line == "expected: 1.00 reader hours; of predictors nothing is known: no network was at work there"
    kept = Work(units=10, read_bytes=8_000_000)
    (line,) = cost_lines(like, kept, cpus_per_reader=1.0, predictor=(1.0, 0.0), prices=None)
    assert line.startswith("expected: 2.00 reader hours, 0.00 predictor hours")


def test_what_another_run_does_not_say_is_unknown_and_costs_nothing_that_is_said():
    prices = PricesConfig(cpu_hour=1.0, gpu_hour=1.0)
    unread = Took(work=Work(units=10), write_s=36.0, wall_s=40.0)
    (line,) = cost_lines(unread, WORK, cpus_per_reader=1.0, predictor=(1.0, 1.0), prices=prices)
    assert line == "expected: of readers nothing is known: no scene was read there"
    # Before pixels were counted, bytes were those of whole blocks.
    assert noted({TOOK: {key: value for key, value in TOOK_10.as_json.items() if key != "pixels"}}) is None


def test_tries_that_failed_took_their_time_where_their_unit_is_done_in_the_end():
    tally = Tally()
    for _ in range(2):
        tally.failed(record("a", state="failed"))
        tally.failed(record("b", state="failed"))
    tally.add(record("a"))
    tally.add(record("b", state="failed"))
    took = tally.took(Work(units=1), wall_s=20.0, predictors=1)
    assert (took.read_s, took.wait_s, took.predict_s, took.write_s) == (15.0, 3.0, 6.0, 1.5)


def test_a_run_says_how_long_it_was_and_how_much_of_it_predictors_were_at_work():
    assert took_lines(TOOK_10) == ["took: 0.67 h for 10 units that were scanned; predictors were at work for 38% of it"]
    assert took_lines(Took(work=WORK, wall_s=36.0)) == ["took: 0.01 h for 10 units that were scanned"]
