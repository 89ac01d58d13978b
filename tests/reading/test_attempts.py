from __future__ import annotations

import logging
import subprocess
import sys
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from landslide_scale.errors import PermanentReadError, TryAgainError
from landslide_scale.reading import attempts
from landslide_scale.reading.attempts import bounded, counting_waits, name_of, naming, retrying, wait_after


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    made: list[float] = []
    monkeypatch.setattr("time.sleep", made.append)
    return made


class Failing:
    """Fails as often as it is told to, then answers."""

    def __init__(self, times: int, error: Exception) -> None:
        self.times, self.error, self.tries = times, error, 0

    def __call__(self) -> int:
        self.tries += 1
        if self.tries <= self.times:
            raise self.error
        return 7


def test_attempts_end_and_the_last_failure_is_what_is_raised(waits: list[float]):
    read = Failing(9, TryAgainError("503"))
    with pytest.raises(TryAgainError, match="503"):
        retrying(read)
    assert read.tries == attempts.ATTEMPTS
    assert len(waits) == attempts.ATTEMPTS - 1


def test_each_failure_is_logged_before_the_wait_with_what_it_is_about(
    waits: list[float], caplog: pytest.LogCaptureFixture
):
    read = Failing(2, TryAgainError("503", unit="u1", scene="S2A_1", band="red"))
    with caplog.at_level(logging.WARNING):
        assert retrying(read) == 7
    assert len(caplog.messages) == len(waits) == 2
    assert all("unit u1, scene S2A_1, band red: 503" in line for line in caplog.messages)
    assert caplog.messages[0].startswith("attempt 1 of 3 failed")


def test_what_is_waited_between_tries_is_counted_within_the_block_alone(waits: list[float]):
    retrying(Failing(1, TryAgainError("503")))
    with counting_waits() as outer:
        retrying(Failing(2, TryAgainError("503", retry_after="20")))
        with counting_waits() as inner:
            retrying(Failing(0, TryAgainError("503")))
    retrying(Failing(1, TryAgainError("503")))
    assert outer.seconds == sum(waits[1:3]) == 40
    assert inner.seconds == 0


def test_a_failure_that_will_not_pass_is_not_tried_again(waits: list[float]):
    read = Failing(9, PermanentReadError("404"))
    with pytest.raises(PermanentReadError):
        retrying(read)
    assert (read.tries, waits) == (1, [])


@given(attempt=st.integers(1, 6))
def test_waits_double_and_are_spread_over_as_much_again(attempt: int):
    waited = [wait_after(TryAgainError("503"), attempt) for _ in range(50)]
    least = attempts.FIRST_WAIT_S * 2 ** (attempt - 1)
    assert all(least <= seconds <= 2 * least for seconds in waited)
    assert max(waited) - min(waited) > least / 10


@pytest.mark.parametrize(
    ("said", "least", "most"),
    [
        ("7", 7, 7),
        ("0", 0.5, 1),
        ("86400", attempts.LONGEST_WAIT_S, attempts.LONGEST_WAIT_S),
        ("9" * 400, attempts.LONGEST_WAIT_S, attempts.LONGEST_WAIT_S),
        ("Wed, 21 Oct 2199 07:28:00 GMT", attempts.LONGEST_WAIT_S, attempts.LONGEST_WAIT_S),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 0.5, 1),
        ("soon", 0.5, 1),
        ("-5", 0.5, 1),
        ("", 0.5, 1),
    ],
)
def test_what_a_server_asks_for_is_waited_for_within_a_limit(said: str, least: float, most: float):
    assert least <= wait_after(TryAgainError("429", retry_after=said), 1) <= most


def test_a_read_that_takes_too_long_is_left_behind(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(attempts, "ATTEMPT_S", 0.05)
    let_go = threading.Event()
    try:
        with pytest.raises(TryAgainError, match=r"not read within 0\.05 s"):
            bounded(let_go.wait)
    finally:
        let_go.set()


def test_a_bounded_read_gives_what_it_gives():
    assert bounded(lambda: 7) == 7
    with pytest.raises(PermanentReadError, match="404"):
        bounded(Failing(1, PermanentReadError("404")))


def test_addresses_are_named_within_the_block_alone():
    with naming({"http://a": {"scene": "S2A_1", "band": "red"}}):
        assert name_of("http://a") == {"scene": "S2A_1", "band": "red"}
        assert name_of("http://b") == {}
    assert name_of("http://a") == {}


def test_an_attempt_that_is_left_behind_does_not_keep_the_process_from_ending():
    script = (
        "import threading\n"
        "from landslide_scale.errors import TryAgainError\n"
        "from landslide_scale.reading.attempts import bounded\n"
        "try: bounded(threading.Event().wait, 0.05)\n"
        "except TryAgainError: print('left')\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=30)
    assert done.stdout == "left\n"
