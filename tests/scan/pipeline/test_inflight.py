"""What a crash costs whom, decided from who began what and how processes ended; the processes are made up."""

from __future__ import annotations

import subprocess
import sys
import weakref
from dataclasses import dataclass, field

import pytest

from landslide_scale.scan.pipeline import inflight
from landslide_scale.scan.pipeline.inflight import Answer, Ending, InFlight, Process, Stage, Step

KILLED, LOST = Ending(how="killed by a signal", crashed=True), Ending(how="lost with its node", crashed=False)


@dataclass
class Made:
    """A flight over made-up processes, at a made-up time."""

    endings: dict[Process, Ending] = field(default_factory=dict)
    now: float = 0.0

    def __post_init__(self) -> None:
        self.flight = InFlight(self.endings.get, clock=lambda: self.now)

    def begin(
        self, process: Process, stage: Stage = "read", unit: str = "u", attempt: int = 1, left: int = 3
    ) -> Answer:
        return self.flight.begin(Step(unit=unit, stage=stage, attempt=attempt, left=left), process)


def process(number: int, node: str = "n1") -> Process:
    return Process(host="h1", node=node, worker=f"w{number}", pid=number)


def test_a_crash_costs_the_unit_it_was_on_a_try_and_the_last_one_says_what_happened_and_where():
    made = Made()
    for number in range(3):
        assert made.begin(process(number)) == Answer(crashes=number)
        made.endings[process(number)] = KILLED
    answer = made.begin(process(3))
    assert answer.crashes == 3
    assert answer.error.startswith("CrashedProcess: reading it ended its process 3 times")
    assert answer.error.endswith("process 2 on h1 killed by a signal")
    assert made.begin(process(4)) == answer  # whoever said so may die too


def test_a_process_that_goes_with_its_node_costs_no_unit_anything():
    made = Made()
    for number in range(20):
        assert made.begin(process(number), left=1) == Answer()
        made.endings[process(number)] = LOST


def test_a_step_whose_result_was_handed_on_may_be_needed_again_at_no_cost():
    made = Made()
    made.begin(process(1))
    made.begin(process(2), "predict")
    made.endings[process(1)] = KILLED  # later, over something else
    made.endings[process(2)] = LOST
    assert made.begin(process(3), left=1) == Answer()
    made.endings[process(3)] = KILLED
    assert made.begin(process(4), left=1).error


def test_news_of_an_end_is_waited_for_and_a_node_that_tells_nothing_is_gone():
    made = Made()
    made.begin(process(1))
    assert made.begin(process(2)) == Answer(wait=True)
    made.endings[process(1)] = KILLED
    assert made.begin(process(2)) == Answer(crashes=1)
    assert made.begin(process(3)) == Answer(wait=True)
    made.now += inflight.GRACE_S
    assert made.begin(process(3)) == Answer(crashes=1)


def test_a_process_that_is_told_to_do_a_step_twice_has_not_crashed():
    made = Made()
    made.begin(process(1))
    assert made.begin(process(1), left=1) == Answer()


def test_units_that_have_cost_a_process_are_tried_one_at_a_time_on_a_node():
    made = Made()
    for number, unit in enumerate("uvw"):
        made.begin(process(number), unit=unit)
        made.endings[process(number)] = KILLED
    assert made.begin(process(10), unit="u") == Answer(crashes=1)
    assert made.begin(process(11), unit="v") == Answer(wait=True)
    assert made.begin(process(12, node="n2"), unit="w") == Answer(crashes=1)
    assert made.begin(process(13), unit="new") == Answer()
    made.flight.leave("u")
    assert made.begin(process(11), unit="v") == Answer(crashes=1)


@pytest.mark.parametrize("gone", ["crashed", "through"])
def test_a_unit_that_is_gone_holds_up_no_other(gone: str):
    made = Made()
    for number, unit in enumerate("uv"):
        made.begin(process(number), unit=unit)
        made.endings[process(number)] = KILLED
    made.begin(process(10), unit="u")
    if gone == "crashed":
        made.endings[process(10)] = KILLED
    else:
        made.flight.end("u")
    assert made.begin(process(11), unit="v") == Answer(crashes=1)


def test_a_unit_that_is_put_in_again_begins_anew():
    made = Made()
    made.begin(process(1))
    made.flight.end("u")
    made.endings[process(1)] = KILLED
    assert made.begin(process(2), attempt=2, left=1) == Answer()


def test_a_try_that_has_ended_is_begun_by_nobody_again_whatever_became_of_the_process_that_did_it():
    made = Made()
    made.flight.put([{"id": name, "attempt": 1} for name in "uv"])
    for stage in ("read", "predict", "write"):
        assert made.begin(process(1), stage) == Answer()
    made.endings[process(1)] = LOST
    assert made.begin(process(2), "write") == Answer()  # its record may not have been taken
    made.flight.end("u")
    for stage in ("read", "predict", "write"):
        assert made.begin(process(3), stage) == Answer(ended=True)
    made.flight.put([{"id": "u", "attempt": 2}])
    assert made.begin(process(4), "read", attempt=2) == Answer()
    assert made.begin(process(5), "write") == Answer(ended=True)
    assert made.begin(process(6), "predict", attempt=2) == Answer()
    assert made.begin(process(6), unit="v") == Answer()


class Weighed(dict[str, object]):
    """A row of which it can be told whether anybody holds it."""


def test_who_feeds_the_pipeline_is_given_the_same_rows_again_some_at_a_time(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(inflight, "AT_ONCE", 2)
    flight = Made().flight
    assert flight.rows(0) == []
    flight.put([{"id": name} for name in "abc"])
    assert flight.rows(0) == flight.rows(0) == [{"id": "a"}, {"id": "b"}]
    assert flight.rows(2) == [{"id": "c"}]
    assert flight.rows(3) == []
    flight.put([{"id": "d"}])
    assert flight.rows(3) == [{"id": "d"}]
    flight.close()
    assert flight.rows(4) is None
    assert flight.rows(2) == [{"id": "c"}, {"id": "d"}]


def test_a_row_is_dropped_once_its_unit_has_ended_and_the_others_keep_their_numbers():
    flight, rows = Made().flight, [Weighed(id=name) for name in "abc"]
    held = [weakref.ref(row) for row in rows]
    flight.put(rows)
    del rows
    flight.end("b")
    assert [row() is None for row in held] == [False, True, False]
    assert flight.rows(0) == [{"id": "a"}, None, {"id": "c"}]
    flight.put([{"id": "b", "attempt": 2}])  # it is tried again
    assert flight.rows(3) == [{"id": "b", "attempt": 2}]
    for name in "abc":
        flight.end(name)
    assert flight.rows(0) == [None] * 4
    flight.end("of a set of chips, whose rows are put in elsewhere")
    assert (flight.look().rows, flight.look().ended) == (4, 5)


def test_a_look_tells_who_has_been_at_what_for_how_long_and_which_predictors_hold_their_model():
    made = Made()
    made.flight.put([{"id": name, "attempt": 1} for name in "abcd"])
    made.flight.loading(process(1))
    made.now = 10
    made.flight.ready(process(2))
    made.begin(process(3), unit="a")
    made.now = 30
    made.begin(process(4), unit="b")
    made.flight.end("c")
    look = made.flight.look()
    assert (look.rows, look.ended, look.last, look.ready) == (4, 1, "c", 1)
    assert look.at_work == {"read": (2, "a", 20, process(3))}
    assert look.loading == (30, process(1))
    made.endings[process(2)] = LOST
    assert made.flight.look().ready == 0


@pytest.mark.parametrize(("module", "spared"), [("feed", {"torch", "rasterio"}), ("guard", {"torch"})])
def test_what_lives_as_long_as_a_run_imports_neither_gdal_nor_torch_and_no_reader_or_writer_torch(
    module: str, spared: set[str]
):
    code = f"import sys, landslide_scale.scan.pipeline.{module}; print(sorted({spared} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
