"""Threads that stay, work that is begun before its turn, and how many are let in at once."""

from __future__ import annotations

import gc
import os
import threading
import time
import weakref
from concurrent.futures import CancelledError
from contextvars import ContextVar
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from landslide_scale.reading.threads import Crew, Gate, check_wanted, in_order

SOON_S = 10.0


def me() -> int:
    return threading.get_ident()


def test_one_after_the_other_is_done_by_the_same_thread_and_another_is_begun_only_while_all_are_busy():
    crew, go = Crew("made"), threading.Event()
    first = crew.begin(me).result(SOON_S)
    assert {crew.begin(me).result(SOON_S) for _ in range(20)} == {first}
    busy = crew.begin(lambda: go.wait(SOON_S) and me())
    other = crew.begin(me).result(SOON_S)
    assert other != first
    go.set()
    assert busy.result(SOON_S) == first
    assert {crew.begin(me).result(SOON_S) for _ in range(5)} == {first}, "the one that was idle last"


def test_a_thread_is_free_again_before_anybody_hears_that_its_work_has_ended():
    crew = Crew("made")
    assert len({crew.begin(me).result(SOON_S) for _ in range(2000)}) == 1


def test_what_work_raises_is_raised_by_whoever_asks_and_its_thread_goes_on():
    crew = Crew("made")

    def fail() -> None:
        raise KeyError(me())

    with pytest.raises(KeyError) as caught:
        crew.begin(fail).result(SOON_S)
    assert crew.begin(me).result(SOON_S) == caught.value.args[0]


class Big:
    """What work gives, and takes memory."""


def test_a_thread_that_waits_for_more_holds_nothing_of_what_it_did():
    crew = Crew("made")
    given_up, found = Big(), Big()
    held = [weakref.ref(given_up), weakref.ref(found)]
    ended = crew.begin(partial(lambda one, _: one, found, given_up))
    assert ended.result(SOON_S) is found
    del ended, found, given_up
    give_up = time.monotonic() + SOON_S
    while any(one() is not None for one in held) and time.monotonic() < give_up:
        gc.collect()
        time.sleep(0.01)
    assert [one() for one in held] == [None, None]


def test_a_forked_process_begins_threads_of_its_own():
    crew = Crew("made")
    crew.begin(me).result(SOON_S)
    child = os.fork()
    if child == 0:  # the thread that is idle here is not there
        try:
            os._exit(0 if crew.begin(os.getpid).result(SOON_S) == os.getpid() else 1)
        finally:
            os._exit(2)
    assert os.waitpid(child, 0)[1] == 0


@given(count=st.integers(0, 12), ahead=st.integers(0, 5), seed=st.randoms(use_true_random=False))
def test_results_come_in_the_order_of_the_calls_however_long_each_takes(count: int, ahead: int, seed: object):
    waits = [seed.uniform(0, 0.002) for _ in range(count)]  # type: ignore[attr-defined]

    def call(number: int) -> int:
        time.sleep(waits[number])
        return number

    assert list(in_order((partial(call, one) for one in range(count)), Crew("made"), ahead=ahead)) == [*range(count)]


@pytest.mark.parametrize("ahead", [0, 1, 3])
def test_as_many_later_calls_as_are_to_be_are_at_work_and_no_more_are_asked_for(ahead: int):
    asked: list[int] = []

    def calls() -> object:
        for number in range(10):
            asked.append(number)
            yield lambda number=number: number

    results = in_order(calls(), Crew("made"), ahead=ahead)  # type: ignore[arg-type]
    for number in range(4):
        assert next(results) == number
        assert len(asked) == number + 1 + ahead
    results.close()
    assert len(asked) == 4 + ahead


def test_calls_are_at_work_at_once():
    both = threading.Barrier(3)
    assert len(list(in_order([both.wait] * 3, Crew("made"), ahead=2))) == 3  # type: ignore[list-item]


def test_what_a_call_raises_comes_in_its_turn_and_later_ones_end_at_their_next_look():
    looked, ended = threading.Event(), threading.Event()

    def long() -> None:
        try:
            while True:
                looked.set()
                check_wanted()
                time.sleep(0.001)
        finally:
            ended.set()

    def fail() -> int:
        looked.wait(SOON_S)
        raise KeyError("broken")

    results = in_order([lambda: 1, fail, long], Crew("made"), ahead=2)  # type: ignore[list-item]
    assert next(results) == 1
    with pytest.raises(KeyError, match="broken"):
        next(results)
    assert ended.is_set(), "it is waited for, for it takes memory"


def test_a_process_that_is_to_end_waits_for_nothing():
    go, begun = threading.Event(), threading.Event()

    def stop() -> int:
        begun.wait(SOON_S)
        raise KeyboardInterrupt

    def long() -> bool:
        begun.set()
        return go.wait(2 * SOON_S)

    results, since = in_order([stop, long], Crew("made"), ahead=1), time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        next(results)
    assert time.monotonic() - since < SOON_S
    go.set()


def test_work_that_unwanted_work_has_begun_is_unwanted_too():
    crew, begun, ended = Crew("made"), threading.Event(), threading.Event()

    def inner() -> None:
        begun.set()
        try:
            while True:
                check_wanted()
                time.sleep(0.001)
        finally:
            ended.set()

    def outer() -> list[None]:
        return list(in_order([inner, inner], crew, ahead=1))

    results = in_order([lambda: begun.wait(SOON_S), outer], crew, ahead=1)  # type: ignore[list-item]
    next(results)
    results.close()
    assert ended.is_set()


def test_whoever_is_wanted_looks_in_vain_and_after_a_call_has_ended_the_thread_serves_others():
    check_wanted()
    crew = Crew("made")

    def unwanted_after() -> str:
        check_wanted()
        return "wanted"

    results = in_order([unwanted_after] * 3, crew, ahead=1)
    assert next(results) == "wanted"
    results.close()
    assert crew.begin(unwanted_after).result(SOON_S) == "wanted"
    assert issubclass(CancelledError, Exception)


def test_work_sees_what_its_beginner_has_in_context():
    said: ContextVar[str] = ContextVar("said", default="nothing")
    said.set("something")
    assert list(in_order([said.get] * 3, Crew("made"), ahead=1)) == ["something"] * 3


def many_at_once(gate: Gate, each: int = 30) -> int:
    """The most that were within at a time."""
    within, most, lock = 0, 0, threading.Lock()

    def pass_through() -> None:
        nonlocal within, most
        with gate.passed():
            with lock:
                within += 1
                most = max(most, within)
            time.sleep(0.002)
            with lock:
                within -= 1

    crew = Crew("made")
    for ended in [crew.begin(pass_through) for _ in range(each)]:
        ended.result(SOON_S)
    return most


@pytest.mark.parametrize("most", [1, 3])
def test_a_gate_lets_so_many_in_at_once_and_what_fails_within_gives_up_its_place(most: int):
    gate = Gate(most)

    def fail() -> None:
        with gate.passed():
            raise KeyError

    for _ in range(2 * most):
        with pytest.raises(KeyError):
            fail()
    assert many_at_once(gate) == most


def test_in_a_forked_process_nobody_is_within_a_gate_who_is_not_there():
    gate = Gate(1)
    with gate.passed():
        child = os.fork()
        if child == 0:
            try:
                os._exit(0 if many_at_once(gate, each=3) == 1 else 1)
            finally:
                os._exit(2)
        assert os.waitpid(child, 0)[1] == 0


def test_a_gate_that_is_widened_lets_those_in_who_wait():
    gate, inside = Gate(1), threading.Barrier(4)

    def meet() -> None:
        with gate.passed():
            inside.wait(SOON_S)

    crew = Crew("made")
    ended = [crew.begin(meet) for _ in range(4)]
    time.sleep(0.05)
    assert not any(one.done() for one in ended)
    gate.let(4)
    for one in ended:
        one.result(SOON_S)
    gate.let(2)
    assert many_at_once(gate) == 2
