"""Runs on S3: moto's server, and a proxy before it that counts requests, answers 503 SlowDown, and kills."""

from __future__ import annotations

import itertools
import json
import multiprocessing.connection
import os
import random
import signal
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import s3fs
import xarray as xr
from helpers.borderland import configured, one_band_model, untrained
from helpers.plainrun import FORKS, plain_append, plain_scan, watched_in
from helpers.s3 import Proxy, Request, contents, local

from landslide_scale.errors import BrokenRunError, RunConflictError, StorageAwayError
from landslide_scale.scan import layout
from landslide_scale.scan.pipeline.engine import scan
from landslide_scale.scan.settings import ScanConfig
from landslide_scale.scan.verify import verify
from landslide_scale.storage import absence
from landslide_scale.storage.absence import patient
from landslide_scale.storage.lease import held
from landslide_scale.storage.rundir import RunDirectory
from landslide_scale.storage.signs import holder
from landslide_scale.strictyaml import parse

SMALL = {"region": {"bbox": [17.992, 46.010, 18.008, 46.015]}, "output": {"keep": ["red"]}}


@pytest.fixture(autouse=True)
def quiet(store: Proxy) -> Iterator[None]:
    store.refuse = never
    store.lose, store.after = never, nothing
    store.reset()
    yield
    store.refuse = never


def never(_: Request) -> bool:
    return False


def nothing(_: Request) -> None:
    """Let it be."""


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory, store: Proxy) -> str:  # noqa: ARG001 must be there
    """On S3 too, and so is the region."""
    local = untrained(tmp_path_factory.mktemp("model") / "checkpoint.safetensors")
    s3fs.S3FileSystem().put_file(local, "bucket/model/checkpoint.safetensors")
    return "s3://bucket/model/checkpoint.safetensors"


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, catalogue: tuple[str, Path], checkpoint: str) -> Path:
    """The same scan on a local disk."""
    run = tmp_path_factory.mktemp("whole") / "run"
    assert plain_scan(configured(catalogue, checkpoint, run, **SMALL)).complete
    return run


def on_s3(catalogue: tuple[str, Path], checkpoint: str, name: str, **changes: object) -> dict[str, Any]:
    output = {"run": f"s3://bucket/{name}", "keep": ["red"]}
    return configured(catalogue, checkpoint, Path(), **(SMALL | {"output": output} | changes))


def shards(run: str) -> set[str]:
    """Names of all that are stored of the run's units, below the bucket."""
    folder = RunDirectory(f"s3://bucket/{run}")
    laid, there = layout.load(folder), folder.sizes(layout.CUBE)
    planned = {key for place in laid.places for keys in laid.objects(place).values() for key in keys}
    return {f"{run}/{layout.CUBE}/{key}" for key in planned & there.keys()}


def test_a_run_on_s3_writes_each_shard_in_one_request_and_reads_none(
    store: Proxy, catalogue: tuple[str, Path], checkpoint: str, whole: Path
):
    assert plain_scan(on_s3(catalogue, checkpoint, "counted")).complete
    made = Counter((one.method, one.key) for one in store.passed)
    known = shards("counted")
    assert len(known) > 12
    assert {made["PUT", key] for key in known} == {1}
    assert {made[method, key] for key in known for method in ("GET", "HEAD")} == {0}
    assert contents("s3://bucket/counted/cube.zarr") == local(whole / "cube.zarr")


def refusing(methods: set[str], share: float) -> Callable[[Request], bool]:
    """Refuses a share of the requests, none of them more often in a row than a client asks anew: four times."""
    chance, in_a_row = random.Random(5), Counter[Request]()  # noqa: S311 a choice of tests

    def refuse(request: Request) -> bool:
        struck = request.method in methods and in_a_row[request] < 4 and chance.random() < share
        in_a_row[request] = in_a_row[request] + 1 if struck else 0
        return struck

    return refuse


@pytest.mark.slow
@pytest.mark.parametrize(("methods", "share"), [({"PUT"}, 0.06), ({"PUT", "GET", "HEAD", "POST"}, 0.2)])
def test_a_server_that_says_slow_down_to_a_share_of_requests_changes_no_byte(  # noqa: PLR0917
    store: Proxy,
    catalogue: tuple[str, Path],
    checkpoint: str,
    whole: Path,
    monkeypatch: pytest.MonkeyPatch,
    methods: set[str],
    share: float,
):
    monkeypatch.setattr(absence, "FIRST_WAIT_S", 0.01)
    store.refuse = refusing(methods, share)
    assert plain_scan(on_s3(catalogue, checkpoint, f"slowed{share}")).complete
    store.refuse = never
    assert len(store.refused) > share * 30 * len(methods)
    assert {one.method for one in store.refused} <= methods
    assert contents(f"s3://bucket/slowed{share}/cube.zarr") == local(whole / "cube.zarr")


@pytest.mark.slow
def test_a_resume_with_nothing_to_do_reads_no_shard_and_verification_reads_each_once(
    store: Proxy, catalogue: tuple[str, Path], checkpoint: str
):
    settings = on_s3(catalogue, checkpoint, "resumed") | {"region": region_on_s3()}
    assert plain_scan(settings).complete
    known = shards("resumed")
    store.reset()
    assert plain_scan(settings).complete
    touched = Counter((one.method, one.key) for one in store.passed)
    assert {touched[method, key] for key in known for method in ("GET", "HEAD", "PUT")} == {0}
    store.reset()
    assert verify(RunDirectory("s3://bucket/resumed"), lambda *_: None).whole
    touched = Counter((one.method, one.key) for one in store.passed)
    assert {touched["GET", key] for key in known} == {1}
    assert {one.method for one in store.passed} == {"GET", "HEAD"}


def region_on_s3() -> dict[str, Any]:
    """The small region, as a file on S3."""
    west, south, east, north = SMALL["region"]["bbox"]
    ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
    feature = {"type": "Feature", "properties": {}, "geometry": {"type": "Polygon", "coordinates": [ring]}}
    content = json.dumps({"type": "FeatureCollection", "features": [feature]}).encode()
    s3fs.S3FileSystem().pipe_file("bucket/region.geojson", content)
    return {"file": "s3://bucket/region.geojson"}


@pytest.mark.slow
def test_windows_are_added_and_broken_objects_found_and_redone_on_s3(
    store: Proxy, catalogue: tuple[str, Path], checkpoint: str
):
    run = RunDirectory("s3://bucket/grown")
    early = {"start": "2023-08-01", "end": "2023-08-05"}
    late = {"start": "2023-08-05", "end": "2023-09-01"}
    settings = on_s3(catalogue, checkpoint, "grown", windows=[early])
    assert plain_scan(settings).complete
    before = {key: run.read(key.removeprefix("grown/")) for key in shards("grown")}
    store.reset()
    assert plain_append(settings | {"windows": [early, late]}).complete
    assert not {one.key for one in store.passed if one.method == "PUT"} & before.keys()
    grown = xr.open_datatree("s3://bucket/grown/cube.zarr", engine="zarr", chunks=None)["EPSG_32633"]
    assert grown.sizes["time"] == 2
    damaged, lost = min(shards("grown")), max(shards("grown"))
    whole = contents("s3://bucket/grown/cube.zarr")
    content = bytearray(run.read(damaged.removeprefix("grown/")))
    content[len(content) // 2] ^= 1
    run.write(damaged.removeprefix("grown/"), bytes(content))
    run.delete(lost.removeprefix("grown/"))
    verdict = verify(run, lambda *_: None)
    assert len(verdict.findings) == 2
    assert plain_scan(settings | {"windows": [early, late]}).complete
    assert contents("s3://bucket/grown/cube.zarr") == whole
    assert verify(run, lambda *_: None).whole


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(16))
def test_a_driver_killed_at_any_request_that_changes_s3_is_gone_on_with_to_the_same_bytes(  # noqa: PLR0917
    store: Proxy, catalogue: tuple[str, Path], checkpoint: str, whole: Path, tmp_path: Path, seed: int
):
    """Half of them before the server has seen the request, half when it has done what was asked."""
    settings = on_s3(catalogue, checkpoint, f"killed{seed}")
    kill_at = random.Random(seed).randrange(60)  # noqa: S311 a choice of tests
    process = FORKS.Process(target=watched_in, args=(dict(os.environ), settings, str(tmp_path / "steps.log")))
    changes = itertools.count()

    def kill(request: Request) -> bool:
        doomed = request.method in {"PUT", "POST"} and next(changes) == kill_at
        if doomed:
            os.kill(process.pid or 0, signal.SIGKILL)
            multiprocessing.connection.wait([process.sentinel])
        return doomed

    store.lose, store.after = (kill, nothing) if seed % 2 else (never, kill)
    process.start()
    process.join()
    store.lose, store.after = never, nothing
    assert process.exitcode == -signal.SIGKILL
    puts = Counter(one.key for one in store.passed if one.method == "PUT")
    assert plain_scan(settings).complete
    known = shards(f"killed{seed}")
    again = Counter(one.key for one in store.passed if one.method == "PUT") - puts
    redone = {key for key in known if puts[key] and again[key]}
    assert len({key.split("/c/")[1] for key in redone}) <= 1
    assert contents(f"s3://bucket/killed{seed}/cube.zarr") == local(whole / "cube.zarr")
    assert verify(RunDirectory(f"s3://bucket/killed{seed}"), lambda *_: None).whole


def test_the_second_run_on_one_output_is_refused_on_s3_too(catalogue: tuple[str, Path], checkpoint: str):
    with held(RunDirectory("s3://bucket/held")):
        with pytest.raises(RunConflictError, match=f"process {os.getpid()} on"):
            plain_scan(on_s3(catalogue, checkpoint, "held"))
        assert holder(RunDirectory("s3://bucket/held")) is not None
    assert RunDirectory("s3://bucket/held").names("", "") == []


def test_a_bucket_that_is_not_there_and_a_server_that_is_away_are_said_in_one_line(
    catalogue: tuple[str, Path], checkpoint: str, monkeypatch: pytest.MonkeyPatch
):
    settings = on_s3(catalogue, checkpoint, "x") | {"output": {"run": "s3://nowhere/run"}}
    with pytest.raises(BrokenRunError, match="the storage failed") as caught:
        plain_scan(settings)
    assert "\n" not in str(caught.value)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    s3fs.S3FileSystem.clear_instance_cache()
    with patient(1), pytest.raises(StorageAwayError, match="Could not connect") as caught:
        RunDirectory("s3://bucket/run").exists("run.json")
    assert "\n" not in str(caught.value)
    s3fs.S3FileSystem.clear_instance_cache()


@pytest.mark.slow
@pytest.mark.ray
def test_a_scan_through_ray_on_s3_that_slows_down_is_the_same(
    store: Proxy, catalogue: tuple[str, Path], checkpoint: str, whole: Path
):
    chance = random.Random(6)  # noqa: S311 a choice of tests
    store.refuse = lambda _: chance.random() < 0.1
    assert scan(parse(ScanConfig, on_s3(catalogue, checkpoint, "ray")), load=one_band_model()).complete
    store.refuse = never
    assert len(store.refused) > 20
    made = Counter((one.method, one.key) for one in store.passed)
    assert contents("s3://bucket/ray/cube.zarr") == local(whole / "cube.zarr")
    assert {made["PUT", key] for key in shards("ray")} == {1}
    assert {made[method, key] for key in shards("ray") for method in ("GET", "HEAD")} == {0}
