"""Products on S3: moto's server, and a proxy before it that refuses, and kills."""

from __future__ import annotations

import itertools
import os
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers.exporting import FORKS, exported, scan_in
from helpers.s3 import Proxy, Request, contents, local

from landslide_scale.errors import BrokenRunError, RunConflictError
from landslide_scale.exporting.verify import stated_cube, verify_products
from landslide_scale.products import names
from landslide_scale.storage import absence
from landslide_scale.storage.lease import held
from landslide_scale.storage.rundir import RunDirectory
from landslide_scale.storage.signs import PREFIX


@pytest.fixture(autouse=True)
def quiet(store: Proxy, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    # Of few letters, for sockets of processes lie in it.
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path_factory.mktemp("t")))
    yield
    store.refuse = store.lose = lambda _: False
    store.after = lambda _: None
    store.reset()


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> RunDirectory:
    """A scan whose products are made on the local disk."""
    run = scan_in(tmp_path_factory.mktemp("whole") / "run")
    exported(run)
    return run


def products(run: RunDirectory) -> dict[str, bytes]:
    return local(Path(run.at(names.FOLDER)))


def is_product(request: Request) -> bool:
    return request.method == "PUT" and bool(request.key) and PREFIX not in request.key


@pytest.mark.slow
def test_each_file_is_put_once_whole_and_the_same_as_on_a_local_disk(store: Proxy, whole: RunDirectory):
    target = RunDirectory("s3://bucket/each")
    exported(whole, target)
    assert contents(target.url) == products(whole)
    put = [one.key for one in store.passed if is_product(one) and not one.key.endswith(names.MANIFEST)]
    assert len(put) == len(set(put)) == len(products(whole)) - 1
    assert (
        list(Path(tempfile.gettempdir()).glob("landslide-scale-export-*")) == []
    )  # others' are those of the killed child
    store.reset()
    assert exported(whole, target).made == ()
    assert [one for one in store.passed if is_product(one)] == []
    verdict = verify_products(target, stated_cube(whole), lambda *_: None)
    assert verdict is not None
    assert verdict.whole


@pytest.mark.slow
def test_a_server_that_says_slow_down_changes_no_byte(
    store: Proxy, whole: RunDirectory, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(absence, "FIRST_WAIT_S", 0.01)
    count = itertools.count()
    store.refuse = lambda request: is_product(request) and next(count) % 3 == 0
    exported(whole, RunDirectory("s3://bucket/slow"))
    assert len(store.refused) > 3
    store.refuse = lambda _: False
    assert contents("s3://bucket/slow") == products(whole)


def test_a_server_that_refuses_ends_it_in_one_line_and_the_same_call_goes_on(store: Proxy, whole: RunDirectory):
    target = RunDirectory("s3://bucket/refused")
    store.answer, before = (403, b"<Error><Code>AccessDenied</Code><Message>No.</Message></Error>"), store.answer
    store.refuse = lambda request: is_product(request) and request.key.endswith(names.POLYGONS)
    with pytest.raises(BrokenRunError, match="export again") as caught:
        exported(whole, target)
    assert "\n" not in str(caught.value)
    store.refuse, store.answer = lambda _: False, before
    assert contents(target.url).items() <= products(whole).items() | {
        (f"/{names.MANIFEST}", target.read(names.MANIFEST))
    }
    exported(whole, target)
    assert contents(target.url) == products(whole)


def test_two_at_once_are_refused(store: Proxy, whole: RunDirectory):  # noqa: ARG001 must be there
    target = RunDirectory("s3://bucket/two")
    with held(target), pytest.raises(RunConflictError, match="one export at a time"):
        exported(whole, target)


def export_in(environment: dict[str, str], temporary: str, run: str, target: str) -> None:
    """What a process runs that will be killed."""
    os.environ.update(environment)
    tempfile.tempdir = temporary
    exported(RunDirectory(run), RunDirectory(target))


@pytest.mark.parametrize(
    "number", [2, pytest.param(5, marks=pytest.mark.slow), pytest.param(9, marks=pytest.mark.slow)]
)
def test_killed_after_a_file_was_put_it_goes_on_and_leaves_nothing_on_this_machine(
    store: Proxy, whole: RunDirectory, number: int
):
    target = RunDirectory(f"s3://bucket/killed{number}")
    set_here = {name: value for name, value in os.environ.items() if name.startswith("AWS_")}
    process = FORKS.Process(target=export_in, args=(set_here, tempfile.gettempdir(), whole.url, target.url))
    count = itertools.count(1)

    def kill(request: Request) -> None:
        if is_product(request) and next(count) == number:
            os.kill(process.pid or 0, signal.SIGKILL)

    store.after = kill
    process.start()
    process.join(300)
    assert process.exitcode == -signal.SIGKILL
    assert len(list(Path(tempfile.gettempdir()).glob("landslide-scale-export-*"))) == 1
    store.after = lambda _: None
    exported(whole, target)
    assert contents(target.url) == products(whole)
    assert (
        list(Path(tempfile.gettempdir()).glob("landslide-scale-export-*")) == []
    )  # others' are those of the killed child
