"""Writes that depend on what is there, on an S3 server that heeds If-None-Match and If-Match."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from helpers.s3 import Proxy, Request, bucket

from landslide_scale.errors import RunConflictError, StorageAwayError
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
