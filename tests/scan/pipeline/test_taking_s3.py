"""Units taken over inside a store: the store copies, and what lies in the new run is hashed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import s3fs
from helpers.borderland import configured, served, untrained
from helpers.plainrun import plain_scan
from helpers.s3 import Proxy, Request, bucket, contents, local

from landslide_scale.scan.verify import verify
from landslide_scale.storage.rundir import RunDirectory

pytestmark = pytest.mark.slow

WINDOW = {"start": "2023-08-01", "end": "2023-08-05"}
SMALL, LARGE = [17.992, 46.010, 18.008, 46.015], [17.975, 46.010, 18.008, 46.026]


@pytest.fixture(scope="module")
def store() -> Iterator[Proxy]:
    with pytest.MonkeyPatch.context() as patch, bucket(patch) as proxy:
        yield proxy


@pytest.fixture(scope="module")
def settings(store: Proxy, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, object]]:  # noqa: ARG001
    folder = tmp_path_factory.mktemp("ground")
    (folder / "scenes").mkdir()
    checkpoint = untrained(folder / "checkpoint.safetensors")
    with served(folder / "scenes") as url:
        yield configured((url, folder / "scenes"), checkpoint, folder / "x", windows=[WINDOW])


def of(settings: dict[str, object], run: object, box: list[float], base: object = None) -> dict[str, object]:
    output = {"run": str(run), "keep": ["red"]} | ({} if base is None else {"base": str(base)})
    return settings | {"region": {"bbox": box}, "output": output}


@pytest.fixture(scope="module")
def base(settings: dict[str, object]) -> str:
    assert plain_scan(of(settings, "s3://bucket/base", SMALL)).complete
    return "s3://bucket/base"


@pytest.fixture(scope="module")
def without(settings: dict[str, object], tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    run = tmp_path_factory.mktemp("without") / "run"
    assert plain_scan(of(settings, run, LARGE)).complete
    return local(run / "cube.zarr")


def test_the_store_copies_and_the_cube_is_as_without(
    settings: dict[str, object], base: str, without: dict[str, bytes], store: Proxy
):
    store.reset()
    summary = plain_scan(of(settings, "s3://bucket/run", LARGE, base))
    assert summary.complete
    assert 0 < summary.taken < summary.units
    assert contents("s3://bucket/run/cube.zarr") == without
    assert verify(RunDirectory("s3://bucket/run"), lambda *_: None).whole
    # Of the base, no object of its cube is read by this process: what was copied is.
    assert not [one for one in store.passed if one.method == "GET" and one.key.startswith("base/cube.zarr/")]


def test_a_copy_that_is_refused_for_a_while_is_asked_for_again(
    settings: dict[str, object], base: str, without: dict[str, bytes], store: Proxy
):
    turns = iter(range(10_000))
    store.refuse = lambda one: busy(one) and next(turns) % 3 == 0
    try:
        assert plain_scan(of(settings, "s3://bucket/busy", LARGE, base)).taken > 0
    finally:
        store.refuse = lambda _: False
    assert contents("s3://bucket/busy/cube.zarr") == without
    assert store.refused


def busy(one: Request) -> bool:
    return one.method == "PUT" and one.key.startswith("busy/cube.zarr/") and "/c/" in one.key


def test_what_another_store_has_is_taken_over_as_bytes(
    settings: dict[str, object], base: str, without: dict[str, bytes], tmp_path: Path
):
    assert plain_scan(of(settings, tmp_path / "run", LARGE, base)).taken > 0
    assert local(tmp_path / "run" / "cube.zarr") == without


@pytest.mark.usefixtures("base")
def test_an_object_that_was_changed_is_not_trusted(settings: dict[str, object], without: dict[str, bytes]):
    files = s3fs.S3FileSystem(use_listings_cache=False)
    files.copy("bucket/base", "bucket/torn", recursive=True)
    for shard in (name for name in files.find("bucket/torn/cube.zarr") if "/reason/c/" in name):
        files.pipe_file(shard, files.cat_file(shard)[:-1] + b"?")
    assert plain_scan(of(settings, "s3://bucket/anew", LARGE, "s3://bucket/torn")).taken == 0
    assert contents("s3://bucket/anew/cube.zarr") == without
