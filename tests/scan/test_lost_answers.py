"""S3 whose answers do not arrive: what was asked for was done, and whoever asked does not know; or is gone by then."""

from __future__ import annotations

import json
import re
import urllib.parse
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import s3fs
from helpers.borderland import configured, untrained
from helpers.plainrun import plain_scan
from helpers.s3 import CHANGING, Proxy, Request, contents, local

from landslide_scale.cube.ledger import Ledger
from landslide_scale.scan import driver
from landslide_scale.scan.layout import CUBE
from landslide_scale.scan.verify import verify
from landslide_scale.storage import absence
from landslide_scale.storage.lease import PREFIX
from landslide_scale.storage.rundir import RunDirectory

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1500)]

SMALL = {"bbox": [17.975, 46.010, 17.992, 46.012]}
LEAST_STATES = 40


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> str:
    return untrained(tmp_path_factory.mktemp("model") / "checkpoint.safetensors")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, catalogue: tuple[str, Path], checkpoint: str) -> Path:
    """The same scan on a local disk."""
    run = tmp_path_factory.mktemp("whole") / "run"
    assert plain_scan(configured(catalogue, checkpoint, run, region=SMALL)).complete
    return run


def on_s3(catalogue: tuple[str, Path], checkpoint: str, name: str) -> dict[str, Any]:
    return configured(catalogue, checkpoint, Path(), region=SMALL, output={"run": f"s3://bucket/{name}"})


def done(there: dict[str, bytes], request: Request) -> None:
    """What a bucket holds after a change."""
    if request.method == "PUT":
        there[urllib.parse.unquote(request.key)] = request.body
    elif request.method == "DELETE":
        there.pop(urllib.parse.unquote(request.key), None)
    else:
        for key in re.findall(rb"<Key>(.*?)</Key>", request.body):
            there.pop(key.decode(), None)


def test_after_any_change_that_nobody_heard_of_what_is_complete_is_whole_and_the_rest_resumes(
    store: Proxy, catalogue: tuple[str, Path], checkpoint: str, whole: Path, monkeypatch: pytest.MonkeyPatch
):
    """The machine is lost with the answer, at every one of them."""
    monkeypatch.setattr(driver, "COMPACT_EVERY", 2)
    store.reset()
    assert plain_scan(on_s3(catalogue, checkpoint, "first")).complete
    changes, there = list(store.changed), dict[str, bytes]()
    files, known, complete = s3fs.S3FileSystem(), set[int](), 0
    for number, request in enumerate(changes):
        done(there, request)
        left = {name.removeprefix("first/"): content for name, content in there.items() if PREFIX not in name}
        if (state := hash(frozenset(left.items()))) in known:
            continue
        known.add(state)
        run = f"s3://bucket/{number}"
        files.pipe({f"{run}/{name}": content for name, content in left.items()})
        if json.loads(left.get("run.json", b"{}")).get("state") == "complete":
            complete += 1
            assert verify(RunDirectory(run), lambda *_: None).whole
        assert plain_scan(on_s3(catalogue, checkpoint, str(number))).complete
        assert contents(f"{run}/{CUBE}") == local(whole / CUBE)
    assert there == {name.lstrip("/"): content for name, content in contents("s3://bucket").items() if "first/" in name}
    assert len(known) > LEAST_STATES
    assert complete


def test_a_run_none_of_whose_changes_is_answered_the_first_time_is_the_same(
    store: Proxy, catalogue: tuple[str, Path], checkpoint: str, whole: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(absence, "FIRST_WAIT_S", 0.01)
    asked = Counter[tuple[str, str]]()

    def first(request: Request) -> bool:
        asked[request.method, request.key] += 1
        return request.method in CHANGING and asked[request.method, request.key] == 1

    store.reset()
    store.forget = first
    try:
        assert plain_scan(on_s3(catalogue, checkpoint, "unanswered")).complete
    finally:
        store.forget = lambda _: False
    run = RunDirectory("s3://bucket/unanswered")
    assert sum(method in CHANGING and count > 1 for (method, _), count in asked.items()) > LEAST_STATES / 2
    assert contents(f"{run}/{CUBE}") == local(whole / CUBE)
    assert verify(run, lambda *_: None).whole
    ended = {(record.unit, record.state, record.attempts) for record in Ledger(run).records().values()}
    assert ended == {(record.unit, record.state, 1) for record in Ledger(RunDirectory(str(whole))).records().values()}
