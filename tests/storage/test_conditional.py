"""Writes that depend on what is there, on an S3 server that heeds If-None-Match and If-Match."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import s3fs
from helpers.s3 import Proxy, Request, bucket

from landslide_scale.errors import BrokenRunError, RunConflictError, StorageAwayError
from landslide_scale.storage.absence import patient
from landslide_scale.storage.rundir import RunDirectory


@pytest.fixture(scope="module")
def proxy() -> Iterator[Proxy]:
    with pytest.MonkeyPatch.context() as patch, bucket(patch) as found:
        yield found


@pytest.fixture
def run(proxy: Proxy, request: pytest.FixtureRequest) -> Iterator[RunDirectory]:
    yield RunDirectory(f"s3://bucket/{request.node.name}")
    proxy.after = lambda _: None


def test_what_is_there_is_not_replaced_by_what_is_created(run: RunDirectory):
    run.create("part", b"1")
    with pytest.raises(RunConflictError, match="part is there already"):
        run.create("part", b"2")
    assert run.read("part") == b"1"


def test_a_creation_whose_answer_was_lost_is_one(run: RunDirectory, proxy: Proxy):
    lost: list[Request] = []

    def lose(request: Request) -> None:
        if request.method == "PUT" and not lost:
            lost.append(request)
            raise ConnectionResetError

    proxy.after = lose
    run.create("part", b"1")
    assert len(lost) == 1
    assert run.read("part") == b"1"


def test_what_is_gone_is_not_made_anew_by_who_renews_it(run: RunDirectory, proxy: Proxy):
    with pytest.raises(FileNotFoundError):
        run.renew("lease", b"1")
    run.write("lease", b"1")
    run.renew("lease", b"2")
    assert run.read("lease") == b"2"
    other = RunDirectory(run.url)

    def between(request: Request) -> None:
        """Right before the write: the file was looked at just now."""
        if request.method == "HEAD":
            proxy.after = lambda _: None
            other.delete("lease")

    proxy.after = between
    with pytest.raises(FileNotFoundError):
        run.renew("lease", b"3")
    assert not run.exists("lease")


def test_what_another_one_wrote_meanwhile_is_not_replaced_by_who_renews_it(run: RunDirectory, proxy: Proxy):
    run.write("lease", b"1")
    other = RunDirectory(run.url)

    def between(request: Request) -> None:
        if request.method == "HEAD":
            proxy.after = lambda _: None
            other.write("lease", b"theirs")

    proxy.after = between
    with patient(0), pytest.raises(StorageAwayError, match="replaced meanwhile"):
        run.renew("lease", b"2")
    assert run.read("lease") == b"theirs"


def once(proxy: Proxy, method: str, happens: Callable[[], object]) -> None:
    """After the first such request for what is said of a run something else happens."""

    def after(request: Request) -> None:
        if request.method == method and request.key.endswith("run.json"):
            proxy.after = lambda _: None
            happens()

    proxy.after = after


def lose() -> None:
    raise ConnectionResetError


def test_what_is_said_of_a_run_is_what_the_driver_says_that_entered_last(run: RunDirectory, proxy: Proxy):
    run.claim("scan", {"windows": ["one"]}, resume=False)
    run.enter("a")
    other = RunDirectory(run.url)

    def between() -> None:
        """The first one is paused when it has read, right before it writes."""
        other.enter("b")
        other.note(settings={"windows": ["one", "two"]}, state="running")

    once(proxy, "GET", between)
    with pytest.raises(BrokenRunError, match="another driver"):
        run.note(state="complete")
    assert (other.facts()["state"], other.facts()["settings"]) == ("running", {"windows": ["one", "two"]})
    assert [one["id"] for one in other.facts()["sessions"]] == ["a", "b"]


def test_of_two_that_say_something_of_a_run_at_once_both_are_heard(run: RunDirectory, proxy: Proxy):
    run.claim("scan", {}, resume=False)
    other = RunDirectory(run.url)
    once(proxy, "GET", lambda: other.note(epochs=3))
    run.note(best=2)
    assert (run.facts()["epochs"], run.facts()["best"]) == (3, 2)


def test_a_fact_or_a_session_whose_answer_was_lost_is_said_once(run: RunDirectory, proxy: Proxy):
    run.claim("scan", {}, resume=False)
    once(proxy, "PUT", lose)
    run.enter("a")
    once(proxy, "PUT", lose)
    run.note(state="complete")
    assert run.facts()["state"] == "complete"
    assert [one["id"] for one in run.facts()["sessions"]] == ["a"]


def test_of_two_that_begin_at_once_one_does_and_a_beginning_whose_answer_was_lost_is_one(
    run: RunDirectory, proxy: Proxy
):
    other = RunDirectory(run.url)
    once(proxy, "HEAD", lambda: other.claim("scan", {"windows": ["theirs"]}, resume=False))
    with pytest.raises(RunConflictError, match="other settings"):
        run.claim("scan", {"windows": ["ours"]}, resume=False)
    assert run.facts()["settings"] == {"windows": ["theirs"]}
    third = RunDirectory(f"{run.url}-third")
    once(proxy, "PUT", lose)
    third.claim("scan", {}, resume=False)
    assert third.facts()["state"] == "running"


ANSWER = """<?xml version="1.0" encoding="UTF-8"?><DeleteResult><Error><Key>{key}</Key><Code>{code}</Code>
<Message>We could not.</Message></Error></DeleteResult>"""


@pytest.mark.parametrize("code", ["InternalError", "SlowDown"])
def test_objects_that_were_not_removed_by_an_answer_that_says_it_worked_are_asked_for_again(
    run: RunDirectory, proxy: Proxy, code: str
):
    """S3 answers 200 for the request, and says of single objects that they are still there."""
    run.write("lease", b"1")
    refused = [True, True]
    proxy.refuse = lambda request: request.method == "POST" and bool(refused) and refused.pop()
    proxy.answer = 200, ANSWER.format(key="lease", code=code).encode()
    try:
        run.delete_all(["lease", "not there"])
        assert refused == []
    finally:
        proxy.refuse = lambda _: False
    assert not run.exists("lease")


def test_an_object_that_may_not_be_removed_is_an_error(run: RunDirectory, proxy: Proxy):
    run.write("lease", b"1")
    proxy.refuse = lambda request: request.method == "POST"
    proxy.answer = 200, ANSWER.format(key="lease", code="AccessDenied").encode()
    try:
        with pytest.raises(BrokenRunError, match=r"AccessDenied.*We could not"):
            run.delete_all(["lease"])
        proxy.answer = 200, ANSWER.format(key="lease", code="NoSuchKey").encode()
        run.delete_all(["lease"])
    finally:
        proxy.refuse = lambda _: False


def test_a_folder_that_was_made_by_a_console_is_empty(run: RunDirectory):
    """Such a folder is an object without content whose name ends in a slash."""
    files, key = s3fs.S3FileSystem(use_listings_cache=False), run.url.removeprefix("s3://bucket/")
    files.call_s3("put_object", Bucket="bucket", Key=f"{key}/", Body=b"")
    assert (run.names("", ""), run.sizes(""), run.folders("")) == ([], {}, [])
    run.check_free()
    files.call_s3("put_object", Bucket="bucket", Key=f"{key}/ledger/", Body=b"")
    assert (run.names("ledger", ""), run.sizes("ledger"), run.folders("ledger")) == ([], {}, [])
    assert (run.sizes(""), run.folders("")) == ({}, ["ledger"])
