"""Names are names: a run's folder may be called anything that its storage can hold, and no neighbour is touched."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import s3fs
import zarr.core.sync
from helpers.borderland import configured
from helpers.plainrun import plain_scan
from helpers.s3 import moto, settle

from landslide_scale.cube.stores import store_at
from landslide_scale.inspection.status import status
from landslide_scale.scan.verify import verify
from landslide_scale.storage.lease import held
from landslide_scale.storage.rundir import RunDirectory
from landslide_scale.storage.signs import holder

SMALL = {"region": {"bbox": [17.992, 46.010, 18.008, 46.015]}}
NAMES = ["scan [v2]", "scan *", "scan?", "100% #1", "a..b", "Müller's", "x" * 200]


@pytest.fixture(scope="module")
def bucket() -> Iterator[str]:
    with pytest.MonkeyPatch.context() as patch, moto() as server:
        settle(patch, f"http://{server}")
        s3fs.S3FileSystem.clear_instance_cache()
        s3fs.S3FileSystem().mkdir("bucket")
        yield "s3://bucket"
    s3fs.S3FileSystem.clear_instance_cache()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("where", ["disk", "s3"])
def test_a_run_is_kept_and_reached_by_any_name(bucket: str, tmp_path: Path, where: str, name: str):
    run = RunDirectory(f"{tmp_path if where == 'disk' else bucket}/{name}")
    with held(run):
        for number in range(3):
            run.write_json(f"ledger/units/{number}.json", number)
        assert holder(run) is not None
    assert holder(run) is None
    names = [f"ledger/units/{name}" for name in run.names("ledger/units", ".json")]
    assert run.read_all(names) == [b"0\n", b"1\n", b"2\n"]
    assert set(run.sizes("ledger")) == {"units/0.json", "units/1.json", "units/2.json"}
    run.delete_all(names)
    assert run.sizes("") == {}


@pytest.mark.slow
@pytest.mark.parametrize("name", ["scan [v2]", "scan *"])
def test_a_scan_into_a_folder_of_any_name_is_finished_found_and_gone_on_with(
    bucket: str, catalogue: tuple[str, Path], checkpoint: str, tmp_path: Path, name: str
):
    for root in (str(tmp_path), bucket):
        settings = configured(catalogue, checkpoint, Path(), **SMALL, output={"run": f"{root}/{name}"})
        assert plain_scan(settings, resume=False).complete
        run = RunDirectory(f"{root}/{name}")
        assert status(run)[0].state == "complete"
        assert verify(run, lambda *_: None).whole
        assert plain_scan(settings).complete


@pytest.mark.parametrize(("name", "neighbour"), [("scan [v2]", "scan v"), ("scan *", "scan b"), ("scan?", "scan1")])
def test_what_is_removed_is_removed_by_its_name_and_not_from_a_neighbour(bucket: str, name: str, neighbour: str):
    mine, other = RunDirectory(f"{bucket}/pair/{name}"), RunDirectory(f"{bucket}/pair/{neighbour}")
    for run in (mine, other):
        run.write("a/b", b"1")
        run.write("a/c", b"1")
        run.write("d", b"1")
    mine.delete_all(["d"])
    store = store_at(mine.url)

    async def remove() -> None:
        await store.delete("a/b")
        await store.delete_dir("a")

    zarr.core.sync.sync(remove())  # in zarr's own loop
    assert mine.sizes("") == {}
    assert set(other.sizes("")) == {"a/b", "a/c", "d"}
