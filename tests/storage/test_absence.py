"""Storage that is away for a moment: who is asked again, and what is asked before each try."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from landslide_scale.errors import BrokenRunError, StorageAwayError
from landslide_scale.storage import absence
from landslide_scale.storage.absence import guarded, patient, riding_out

LOST = BrokenRunError("another driver has the folder")


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(absence, "FIRST_WAIT_S", 0.001)


def answers(said: list[str], name: str, *errors: BrokenRunError | None) -> Callable[[], None]:
    """What is asked, notes that it was, and raises these errors in turn, and after them none."""
    left: Iterator[BrokenRunError | None] = iter(errors)

    def asked() -> None:
        said.append(name)
        error = next(left, None)
        if error is not None:
            raise error

    return asked


def test_a_guard_whose_own_request_fails_for_a_moment_is_asked_again_and_nothing_is_done_before_it_answers():
    said: list[str] = []
    with patient(5, guard=answers(said, "look", StorageAwayError("busy"), StorageAwayError("busy"))):
        riding_out(answers(said, "write"))
    assert said == ["look", "look", "look", "write"]


def test_a_guard_is_asked_before_every_try_and_ends_the_waiting():
    said: list[str] = []
    guard = answers(said, "look", None, None, LOST)
    with patient(5, guard=guard), pytest.raises(BrokenRunError, match="another driver"):
        riding_out(answers(said, "write", *[StorageAwayError("busy")] * 5))
    assert said == ["look", "write", "look", "write", "look"]


def test_a_guard_that_stays_away_ends_the_waiting_in_time_with_what_it_said():
    with (
        patient(0.01, guard=answers([], "look", *[StorageAwayError("the lease cannot be seen")] * 99)),
        pytest.raises(StorageAwayError, match=r"the lease cannot be seen, \d+ times"),
    ):
        riding_out(answers([], "write"))


def test_a_further_guard_is_asked_after_the_one_there_is_and_its_own_requests_are_not_guarded():
    said: list[str] = []

    def look() -> None:
        riding_out(answers(said, "look"))

    with patient(5, guard=answers(said, "lease")), guarded(look):
        riding_out(answers(said, "write", StorageAwayError("busy")))
    assert said == ["lease", "look", "write"] * 2


def test_within_what_is_tried_again_already_a_further_guard_is_asked_once():
    said: list[str] = []

    def work() -> None:
        with guarded(answers(said, "inner")):
            riding_out(answers(said, "write"))

    with patient(5, guard=answers(said, "outer")):
        riding_out(work)
    assert said == ["outer", "inner", "write"]
