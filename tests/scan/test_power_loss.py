"""After a power loss what is said to be done is there: data and its folders are synced before their record."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from helpers.borderland import assert_same_cubes, configured
from helpers.plainrun import plain_scan
from helpers.powerless import Call, Disk, put, recorded

from landslide_scale.cube.record import Record
from landslide_scale.scan import driver, layout
from landslide_scale.scan.layout import CUBE
from landslide_scale.scan.verify import verify
from landslide_scale.storage import durable
from landslide_scale.storage.lease import PREFIX
from landslide_scale.storage.rundir import RunDirectory

Done = tuple[Path, dict[str, Any], Sequence[Call]]

DISKS = defaultdict[str, set[int]](set)
"""Those that a run was gone on from, by its folder."""


@pytest.fixture(scope="module", params=[True, False], ids=["sharded", "chunks"])
def done(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    catalogue: tuple[str, Path],
    checkpoint: str,
) -> Done:
    """A complete run, its settings, and the calls by which it was written."""
    run = tmp_path_factory.mktemp("done") / "run"
    settings = configured(catalogue, checkpoint, run, region={"bbox": [17.975, 46.010, 17.992, 46.012]})
    settings["output"] |= {"sharded": request.param}
    with pytest.MonkeyPatch.context() as patched, recorded(run.parent) as calls:
        patched.setattr(driver, "COMPACT_EVERY", 2)
        patched.setattr(durable, "_known", set())
        assert plain_scan(settings).complete
    return run, settings, calls


def test_a_unit_is_on_the_disk_before_its_record_is(done: Done):
    run, _, calls = done
    laid = layout.load(RunDirectory(str(run)))
    places, seen, disk = {place.id: place for place in laid.places}, set(), Disk()
    for call in calls:
        if call.kind == "rename" and call.to.startswith("run/ledger/units/"):
            left = disk.left()
            source = disk.left(lucky=lambda _: True)[call.path]
            assert source is not None
            record = Record.from_json(source)
            seen.add(record.unit)
            for name, keys in laid.objects(places[record.unit]).items():
                sizes = [len(left.get(f"run/{CUBE}/{key}") or b"") for key in keys]
                assert sum(sizes) == record.stored.get(name, {"bytes": 0})["bytes"]
        disk.do(call)
    assert seen == places.keys()
    assert {str(path.relative_to(run.parent)) for path in run.rglob("*")} <= disk.left().keys()


def nowhere(_: str) -> bool:
    return False


def everywhere(_: str) -> bool:
    return True


def in_the_cube(folder: str) -> bool:
    return CUBE in folder


def beside_the_cube(folder: str) -> bool:
    return CUBE not in folder


@pytest.mark.slow
@pytest.mark.timeout(1500)
@pytest.mark.parametrize("lucky", [nowhere, everywhere, in_the_cube, beside_the_cube])
def test_after_a_power_loss_at_any_call_what_is_complete_is_whole_and_the_rest_resumes(
    done: Done, tmp_path: Path, lucky: Callable[[str], bool], record_property: Callable[[str, object], None]
):
    """A disk that another kind of luck left before is the same disk, and is not gone on with again."""
    run, settings, calls = done
    disk, complete, looked_at = Disk(), 0, 0
    known = DISKS[str(run)]
    for number, call in enumerate(calls):
        disk.do(call)
        left = {
            path: content for path, content in disk.left(lucky).items() if PREFIX not in path
        }  # its process is gone
        said = json.loads(left.get("run/run.json") or b"{}")
        complete += said.get("state") == "complete"
        if (state := hash(frozenset(left.items()))) in known:
            continue
        known.add(state)
        looked_at += 1
        put(left, tmp_path / str(number))
        there = tmp_path / str(number) / "run"
        if said.get("state") == "complete":
            assert verify(RunDirectory(str(there)), lambda *_: None).whole
        assert plain_scan(settings | {"output": settings["output"] | {"run": str(there)}}).complete
        assert_same_cubes(there, run)
    record_property("power losses, disks gone on with", looked_at)
    assert complete
