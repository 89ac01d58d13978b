"""A driver that was paused anywhere in a write, while another one took its folder, replaces nothing of that one's."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from landslide_scale.errors import BrokenRunError, RunConflictError
from landslide_scale.storage import conditional, durable
from landslide_scale.storage.absence import patient
from landslide_scale.storage.lease import Lease
from landslide_scale.storage.rundir import RunDirectory

SETTINGS = {"windows": ["one"]}
LONGER = {"windows": ["one", "two"]}


@contextmanager
def paused(where: str, meanwhile: Callable[[], object]) -> Iterator[list[str]]:
    """Before the first such step something else happens."""
    steps: list[str] = []

    def step(name: str, done: Callable[..., Any]) -> Callable[..., Any]:
        def once(*arguments: Any, **options: Any) -> Any:  # noqa: ANN401 of whatever is paused
            if name == where and not steps:
                steps.append(name)
                meanwhile()
            return done(*arguments, **options)

        return once

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(RunDirectory, "version", step("read", RunDirectory.version))
        patched.setattr(conditional, "_write_new", step("write", conditional._write_new))
        patched.setattr(durable, "unfinished", step("begin", durable.unfinished))
        patched.setattr(conditional, "look", step("look", conditional.look))
        patched.setattr(Path, "read_bytes", step("compare", Path.read_bytes))
        patched.setattr(Path, "replace", step("rename", Path.replace))
        patched.setattr(conditional, "settle", step("sync", conditional.settle))
        yield steps


def overtake(folder: Path, *, twice: bool = False) -> None:
    for name in ("b", "c")[: 1 + twice]:
        other = RunDirectory(str(folder))
        other.enter(name)
        other.note(settings=LONGER, state="running")


@pytest.mark.parametrize("twice", [False, True])
@pytest.mark.parametrize("where", ["read", "write", "look", "compare", "rename", "sync"])
def test_what_the_next_driver_says_of_the_run_stands(tmp_path: Path, where: str, *, twice: bool):
    first = RunDirectory(str(tmp_path))
    first.claim("scan", SETTINGS, resume=False)
    first.enter("a")
    with paused(where, lambda: overtake(tmp_path, twice=twice)) as steps:
        if where == "sync":  # it had come before the other one
            first.note(state="complete", summary="of the first")
        else:
            with pytest.raises(BrokenRunError, match="another driver"):
                first.note(state="complete", summary="of the first")
    assert steps
    said = first.facts()
    assert (said["settings"], said["state"]) == (LONGER, "running")
    assert [one["id"] for one in said["sessions"]] == ["a", "b", "c"][: 2 + twice]
    with pytest.raises(BrokenRunError, match="another driver"):
        first.note(state="complete")
    assert first.facts() == said
    assert not list(tmp_path.glob("*.partial"))


def test_one_that_comes_back_right_before_the_next_one_has_entered_is_not_the_last(tmp_path: Path):
    first, second = RunDirectory(str(tmp_path)), RunDirectory(str(tmp_path))
    first.claim("scan", SETTINGS, resume=False)
    first.enter("a")
    of_the_first = first.read("run.json").replace(b"running", b"complete")
    remove, late = RunDirectory.remove_partial_files, [of_the_first, of_the_first]

    def comes_back(run: RunDirectory, *below: str, but: str) -> None:
        if late:
            run.write("run.json", late.pop())  # it had looked before, and is renamed now
        remove(run, *below, but=but)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(RunDirectory, "remove_partial_files", comes_back)
        second.enter("b")
    assert not late
    assert [one["id"] for one in second.facts()["sessions"]] == ["a", "b"]
    with pytest.raises(BrokenRunError, match="another driver"):
        first.note(state="complete")


def test_a_file_that_was_about_to_be_renamed_is_not_when_another_driver_has_the_folder(tmp_path: Path):
    first = RunDirectory(str(tmp_path))
    first.claim("scan", SETTINGS, resume=False)
    first.enter("a")
    second = RunDirectory(str(tmp_path))

    def meanwhile() -> None:
        second.enter("b")
        second.write("scenes.parquet", b"of the second")

    with paused("rename", meanwhile), pytest.raises(BrokenRunError):
        first.write("scenes.parquet", b"of the first")
    assert second.read("scenes.parquet") == b"of the second"


def test_a_file_is_given_no_name_once_the_lease_is_lost(tmp_path: Path):
    first = RunDirectory(str(tmp_path))
    lost = False

    def guard() -> None:
        if lost:
            raise BrokenRunError("the lease was lost")

    def meanwhile() -> None:
        nonlocal lost
        lost = True

    with paused("begin", meanwhile), patient(0, guard=guard), pytest.raises(BrokenRunError, match="lost"):
        first.write("scenes.parquet", b"of the first")
    assert first.sizes("") == {}


def test_two_that_begin_at_once_do_not_begin_twice(tmp_path: Path):
    first, second = RunDirectory(str(tmp_path)), RunDirectory(str(tmp_path))

    def meanwhile() -> None:
        second.claim("scan", LONGER, resume=False)
        second.enter("b")

    with paused("look", meanwhile), pytest.raises(RunConflictError, match="other settings"):
        first.claim("scan", SETTINGS, resume=False)
    assert second.facts()["settings"] == LONGER


def test_a_driver_whose_lease_was_taken_ends_and_the_run_is_as_the_other_one_says(tmp_path: Path):
    first, second = RunDirectory(str(tmp_path)), RunDirectory(str(tmp_path))
    first.claim("scan", SETTINGS, resume=False)
    lease = Lease(first, 60)
    lease.take()
    first.enter(lease.token)

    def meanwhile() -> None:
        second.delete_all([lease.name])  # having watched it for a life
        other = Lease(second, 60)
        other.take()
        second.enter(other.token)
        second.note(settings=LONGER, state="running")

    with paused("rename", meanwhile), patient(5, guard=lease.check), pytest.raises(BrokenRunError):
        first.note(state="complete", summary="of the first")
    assert second.facts()["settings"] == LONGER
    assert second.facts()["state"] == "running"
    assert "summary" not in second.facts()
