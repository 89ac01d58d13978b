"""Storage that is away: for one unit, for the whole run, for good; moto's server behind a proxy that refuses."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import ray
import s3fs
from helpers import impatient
from helpers.borderland import configured, one_band_model, served, untrained
from helpers.plainrun import engine, plain_scan, silent
from helpers.s3 import DENIED, RESET, SLOW_DOWN, Proxy, Request, bucket, contents, local
from helpers.watching import Roles

from landslide_scale.cube.ledger import Ledger
from landslide_scale.errors import BrokenRunError, StorageAwayError
from landslide_scale.scan import driver, layout, work
from landslide_scale.scan.pipeline.engine import scan
from landslide_scale.scan.rounds import Stream
from landslide_scale.scan.settings import ScanConfig
from landslide_scale.scan.work import Task
from landslide_scale.storage import absence
from landslide_scale.storage.absence import patient
from landslide_scale.storage.lease import held
from landslide_scale.storage.rundir import RunDirectory
from landslide_scale.strictyaml import parse

SMALL = {"region": {"bbox": [17.992, 46.010, 18.008, 46.015]}}
SHORT_S = impatient.SHORT_S


@pytest.fixture(scope="module")
def store() -> Iterator[Proxy]:
    with pytest.MonkeyPatch.context() as patch, bucket(patch) as proxy:
        yield proxy


@pytest.fixture(autouse=True)
def well(store: Proxy, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(s3fs.S3FileSystem, "retries", 2)  # it would wait for two seconds before ours begins
    yield
    store.refuse, store.answer = lambda _: False, (503, SLOW_DOWN)
    store.reset()


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., dict[str, Any]]]:
    folder = tmp_path_factory.mktemp("scenes")
    checkpoint = untrained(tmp_path_factory.mktemp("model") / "checkpoint.safetensors")
    with served(folder) as url:
        yield lambda run, **changes: configured((url, folder), checkpoint, run, **(SMALL | changes))


@pytest.fixture(scope="module")
def whole(settings: Callable[..., dict[str, Any]], tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("whole") / "run"
    assert plain_scan(settings(run)).complete
    return run


def on_s3(settings: Callable[..., dict[str, Any]], name: str, **changes: object) -> dict[str, Any]:
    return settings(Path(), output={"run": f"s3://bucket/{name}"}, **changes)


def a_shard_of(whole: Path) -> tuple[str, str]:
    """A unit, and the name in the cube of one of its shards."""
    laid = layout.load(RunDirectory(str(whole)))
    place = laid.places[len(laid.places) // 2]
    return place.id, laid.objects(place)["reason"][0]


@pytest.mark.parametrize("answer", [429, 500, 502, 503, 504, RESET])
def test_a_request_that_may_pass_is_made_until_it_does(store: Proxy, answer: int, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(absence, "FIRST_WAIT_S", 0.001)
    run = RunDirectory("s3://bucket/passing")
    count = itertools.count()
    store.answer = answer, SLOW_DOWN if answer == 503 else b""
    store.refuse = lambda request: request.method == "PUT" and next(count) < 7
    run.write("a.json", b"1")
    count = itertools.count()
    store.refuse = lambda request: request.method == "GET" and next(count) < 7
    assert run.read_all(["a.json"]) == [b"1"]
    count = itertools.count()
    store.refuse = lambda request: request.method == "POST" and next(count) < 7
    run.delete_all(["a.json"])
    store.refuse = lambda _: False
    assert run.names("", "") == []


def test_a_bucket_that_refuses_is_asked_once(store: Proxy):
    run = RunDirectory("s3://bucket/refused")
    store.answer, store.refuse = (403, DENIED), lambda _: True
    for request in (lambda: run.write("a.json", b"1"), lambda: run.read("a.json"), lambda: run.names("", "")):
        store.reset()
        with pytest.raises(BrokenRunError, match="PermissionError") as caught:
            request()
        assert type(caught.value) is BrokenRunError
        assert len(store.refused) < 3


def test_storage_that_stays_away_is_said_in_one_line(store: Proxy):
    store.refuse = lambda _: True
    with patient(SHORT_S), pytest.raises(StorageAwayError, match="reduce your request rate") as caught:
        Ledger(RunDirectory("s3://bucket/away")).compact()
    assert "\n" not in str(caught.value)
    assert "s3://bucket/away" in str(caught.value)


@pytest.mark.slow
def test_a_unit_whose_writes_are_refused_for_long_has_failed_and_the_others_are_done(
    store: Proxy, settings: Callable[..., dict[str, Any]], whole: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(work, "WRITER_S", SHORT_S)
    unit, key = a_shard_of(whole)
    store.refuse = lambda request: request.method == "PUT" and request.key.endswith(key)
    summary = plain_scan(on_s3(settings, "unit", compute={"attempts": 2}))
    assert (summary.failed, summary.written + summary.empty) == (1, summary.units - 1)
    record = Ledger(RunDirectory("s3://bucket/unit")).records()[unit]
    assert (record.state, record.retry, record.attempts) == ("failed", True, 2)
    assert "StorageAwayError" in record.error
    assert any(unit in error for error in summary.errors)
    store.refuse = lambda _: False
    assert plain_scan(on_s3(settings, "unit")).complete
    assert contents("s3://bucket/unit/cube.zarr") == local(whole / "cube.zarr")


@pytest.mark.slow
def test_a_unit_whose_record_cannot_be_written_is_done_again(
    store: Proxy, settings: Callable[..., dict[str, Any]], whole: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(work, "WRITER_S", SHORT_S)
    unit, _ = a_shard_of(whole)
    store.refuse = lambda request: request.method == "PUT" and f"{unit}-a1" in request.key
    assert plain_scan(on_s3(settings, "record")).complete
    assert Ledger(RunDirectory("s3://bucket/record")).records()[unit].attempts == 2
    assert contents("s3://bucket/record/cube.zarr") == local(whole / "cube.zarr")


def until_no_writer_tries(seconds: float) -> Callable[[Request], bool]:
    """Refuses everything from the first shard on, until no shard was tried for so long: those that wait are waited for.

    Whoever does not wait uses his tries up, and finds the storage back when it is too late.
    """
    tried: list[float] = []

    def refuse(request: Request) -> bool:
        now = time.monotonic()
        is_gone = bool(tried) and now - tried[-1] < seconds
        if request.method == "PUT" and "/reason/c/" in request.key and (is_gone or not tried):
            tried.append(now)
        return bool(tried) and now - tried[-1] < seconds

    return refuse


@pytest.mark.slow
@pytest.mark.parametrize("answer", [503, pytest.param(RESET, marks=pytest.mark.slow)])
def test_a_run_rides_out_the_absence_of_its_whole_store(
    store: Proxy, settings: Callable[..., dict[str, Any]], whole: Path, monkeypatch: pytest.MonkeyPatch, answer: int
):
    """For longer than a lease lives."""
    monkeypatch.setattr(work, "WRITER_S", 0.2)
    monkeypatch.setattr(driver, "held", partial(held, life=SHORT_S))
    monkeypatch.setattr(driver, "COMPACT_EVERY", 2)
    store.answer = answer, SLOW_DOWN
    store.refuse = until_no_writer_tries(4 * SHORT_S)
    assert plain_scan(on_s3(settings, f"all{answer}", compute={"attempts": 2})).complete
    assert len(store.refused) > 10
    assert contents(f"s3://bucket/all{answer}/cube.zarr") == local(whole / "cube.zarr")


def test_a_writer_whose_driver_has_lost_the_folder_writes_nothing(
    settings: Callable[..., dict[str, Any]], tmp_path: Path
):
    run = RunDirectory(str(tmp_path / "run"))
    config = parse(ScanConfig, settings(tmp_path / "run"))

    def taken(task: Task) -> AbstractContextManager[Stream]:
        run.delete_all([task.lease])
        return engine(config, Roles())(task)

    with pytest.raises(BrokenRunError, match="has lost its lease"):
        driver.begin(config, taken, resume=True, progress=silent)
    assert not [name for name in run.sizes(layout.CUBE) if "/reason/c/" in name]
    assert run.names("ledger/units", ".json") == []


@pytest.mark.slow
@pytest.mark.ray
def test_on_ray_a_refused_unit_fails_alone_and_a_resume_does_it(
    store: Proxy, settings: Callable[..., dict[str, Any]], whole: Path, monkeypatch: pytest.MonkeyPatch
):
    ray.init(address="local", num_cpus=2, include_dashboard=False, object_store_memory=300_000_000, log_to_driver=False)
    try:
        monkeypatch.setattr(work, "write", impatient.write)
        unit, key = a_shard_of(whole)
        store.refuse = lambda request: request.method == "PUT" and request.key.endswith(key)
        config = parse(ScanConfig, on_s3(settings, "ray", compute={"attempts": 2}))
        summary = scan(config, load=one_band_model())
        assert (summary.failed, summary.written + summary.empty) == (1, summary.units - 1)
        assert any(unit in error for error in summary.errors)
        store.refuse = lambda _: False
        assert scan(config, resume=True, load=one_band_model()).complete
    finally:
        ray.shutdown()
    assert contents("s3://bucket/ray/cube.zarr") == local(whole / "cube.zarr")


@pytest.mark.slow
@pytest.mark.ray
def test_on_ray_a_run_rides_out_the_absence_of_its_whole_store(
    store: Proxy, settings: Callable[..., dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """As above; one unit is not empty."""
    tiny = {"bbox": [18.0005, 46.0105, 18.001, 46.011]}
    assert plain_scan(settings(tmp_path / "run", region=tiny)).written == 1
    ray.init(address="local", num_cpus=2, include_dashboard=False, object_store_memory=300_000_000, log_to_driver=False)
    try:
        monkeypatch.setattr(work, "write", impatient.write)
        monkeypatch.setattr(driver, "held", partial(held, life=SHORT_S))
        store.refuse = until_no_writer_tries(12 * SHORT_S)
        config = parse(ScanConfig, on_s3(settings, "away_on_ray", region=tiny, compute={"attempts": 2}))
        assert scan(config, load=one_band_model()).complete
    finally:
        ray.shutdown()
    assert len(store.refused) > 10
    assert contents("s3://bucket/away_on_ray/cube.zarr") == local(tmp_path / "run" / "cube.zarr")
