"""Units taken over from an earlier run: the same bytes as without, and nothing is scanned that need not be."""

from __future__ import annotations

import logging
import random
import shutil
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from helpers.borderland import assert_same_cubes, configured, served, snapshot, untrained
from helpers.plainrun import engine, in_a_process, plain_append, plain_scan, silent
from helpers.watching import Roles

from landslide_scale.cube.ledger import Ledger
from landslide_scale.cube.record import Record
from landslide_scale.errors import BrokenRunError, InvalidConfigError, RunConflictError
from landslide_scale.inspection.status import lines, status
from landslide_scale.reports.scans import scan_report
from landslide_scale.scan import driver, layout
from landslide_scale.scan.layout import CUBE
from landslide_scale.scan.pipeline import taking
from landslide_scale.scan.plan import Place
from landslide_scale.scan.settings import ScanConfig
from landslide_scale.scan.verify import verify
from landslide_scale.storage.rundir import RunDirectory
from landslide_scale.strictyaml import parse

Settings = dict[str, Any]

REMOVE = RunDirectory.delete_all

SMALL = [17.992, 46.010, 18.008, 46.015]
LARGE = [17.975, 46.010, 18.008, 46.026]
"""Further west and north too: what is in both has other indexes in its cube."""

FIRST = {"start": "2023-08-01", "end": "2023-08-05"}
SHORT = {"start": "2023-08-02", "end": "2023-08-06"}
LATER = {"start": "2023-08-02", "end": "2023-08-20"}
NEVER = {"start": "2023-09-01", "end": "2023-10-01"}
SEEDS = [pytest.param(seed, marks=() if seed < 3 else pytest.mark.slow) for seed in range(30)]


@pytest.fixture(scope="module")
def settings(catalogue: tuple[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Settings:
    checkpoint = untrained(tmp_path_factory.mktemp("model") / "checkpoint.safetensors")
    return configured(catalogue, checkpoint, Path("x"))


def of(
    settings: Settings,
    run: Path,
    windows: Sequence[Settings],
    box: list[float],
    base: Path | None = None,
    **more: Settings,
) -> Settings:
    output = {"run": str(run), "keep": ["red"]} | ({} if base is None else {"base": str(base)})
    output |= more.pop("output", {})
    return settings | {"region": {"bbox": box}, "windows": list(windows), "output": output} | more


@pytest.fixture(scope="module")
def base(settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("base") / "run"
    assert plain_scan(of(settings, run, [FIRST, NEVER, SHORT], SMALL)).complete
    return run


def records(run: Path) -> dict[str, Record]:
    return Ledger(RunDirectory(str(run))).records()


def told(run: Path) -> dict[str, Settings]:
    """What the ledger says, but for what it took, where it was taken from, and for whom."""
    beside = {"seconds", "taken_from", "run", "session"}
    return {name: {k: v for k, v in asdict(one).items() if k not in beside} for name, one in records(run).items()}


def taken(run: Path) -> dict[str, str]:
    return {name: one.taken_from.partition("#")[2] for name, one in records(run).items() if one.taken_from}


def assert_as_without(run: Path, without: Path) -> None:
    assert_same_cubes(run, without)
    assert told(run) == told(without)
    assert verify(RunDirectory(str(run)), lambda *_: None).whole


@pytest.fixture(scope="module")
def small(settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Without a base: the first window is the earlier run's third, by what it is made of; the last has a new scene."""
    run = tmp_path_factory.mktemp("small") / "run"
    assert plain_scan(of(settings, run, [SHORT, LATER, NEVER], SMALL)).complete
    return run


@pytest.fixture(scope="module")
def large(settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("large") / "run"
    assert plain_scan(of(settings, run, [SHORT], LARGE)).complete
    return run


def test_only_units_with_other_scenes_are_scanned_and_all_is_as_without(
    settings: Settings, base: Path, small: Path, tmp_path: Path
):
    summary = plain_scan(of(settings, tmp_path / "run", [SHORT, LATER, NEVER], SMALL, base))
    assert summary.complete
    assert_as_without(tmp_path / "run", small)
    scanned = {name for name, one in records(small).items() if any(scene["id"] == "d" for scene in one.scenes)}
    found = taken(tmp_path / "run")
    assert found.keys() == records(small).keys() - scanned
    assert {name.partition("-t")[2][0] for name in scanned} == {"1"}
    assert 0 < len(scanned) < len(found)
    # The layer of the same window comes first, then one that begins with it.
    assert {(name.split("-t")[1][0], there.split("-t")[1][0]) for name, there in found.items()} >= {
        ("0", "2"),
        ("2", "1"),
    }
    assert summary.taken == len(found)
    assert f"taken over from an earlier run: {len(found)} units" in scan_report(summary)
    run = RunDirectory(str(tmp_path / "run"))
    assert any(line == f"taken over from an earlier run: {len(found)} units" for line in lines(status(run)[0]))
    facts = run.read_json("run.json")
    assert facts["base"] == str(base)
    assert facts["settings"] == RunDirectory(str(small)).read_json("run.json")["settings"]
    # What is copied is no link: damage of one is none of the other.
    assert {path.stat().st_nlink for path in (tmp_path / "run" / CUBE).rglob("*") if path.is_file()} == {1}


def test_ground_that_grew_moves_the_indexes_and_units_on_the_rim_are_scanned(
    settings: Settings, base: Path, large: Path, tmp_path: Path
):
    summary = plain_scan(of(settings, tmp_path / "run", [SHORT], LARGE, base))
    assert_as_without(tmp_path / "run", large)
    here, there = (layout.load(RunDirectory(str(run))) for run in (tmp_path / "run", base))
    moved = {place.id: here.objects(place)["reason"] for place in here.places}
    known = {place.id: there.objects(place)["reason"] for place in there.places}
    found = taken(tmp_path / "run")
    assert 0 < summary.taken == len(found) < summary.units
    assert all(moved[name] != known[was] for name, was in found.items())
    # Blocks that are on the rim of the smaller ground have the same scenes, and more ground.
    assert {name.replace("-t2-", "-t0-") for name in known if "-t2-" in name} > found.keys()


def test_one_object_a_chunk_is_taken_over_too(settings: Settings, tmp_path: Path):
    runs = [tmp_path / name for name in ("base", "without", "run")]
    plain = {"output": {"sharded": False}}
    assert plain_scan(of(settings, runs[0], [SHORT], SMALL, **plain)).complete
    assert plain_scan(of(settings, runs[1], [SHORT], LARGE, **plain)).complete
    assert plain_scan(of(settings, runs[2], [SHORT], LARGE, runs[0], **plain)).taken > 0
    assert_as_without(runs[2], runs[1])


def test_nothing_is_begun_where_all_is_taken_over(
    settings: Settings, base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("helpers.plainrun.PlainBelt", lambda **_: pytest.fail("a unit was to be scanned"))
    assert plain_scan(of(settings, tmp_path / "run", [FIRST, NEVER, SHORT], SMALL, base)).complete
    assert_as_without(tmp_path / "run", base)
    # And from what was itself taken over.
    assert plain_scan(of(settings, tmp_path / "next", [SHORT], SMALL, tmp_path / "run")).complete


@pytest.mark.parametrize("how", ["flip", "cut", "remove"])
def test_what_is_not_stored_as_recorded_is_scanned_and_said(  # noqa: PLR0917
    settings: Settings, base: Path, small: Path, tmp_path: Path, how: str, caplog: pytest.LogCaptureFixture
):
    broken = Path(shutil.copytree(base, tmp_path / "base"))
    laid = layout.load(RunDirectory(str(broken)))
    place = next(one for one in laid.places if one.layer == 2 and records(base)[one.id].state == "written")
    shard = broken / CUBE / laid.objects(place)["observed_on"][0]
    whole = shard.read_bytes()
    if how == "remove":
        shard.unlink()
    else:
        shard.write_bytes(whole[:-1] + (b"" if how == "cut" else bytes([whole[-1] ^ 1])))
    caplog.set_level(logging.WARNING)
    assert plain_scan(of(settings, tmp_path / "run", [SHORT, LATER, NEVER], SMALL, broken)).complete
    assert_as_without(tmp_path / "run", small)
    anew = place.id.replace("-t2-", "-t0-")
    assert anew not in taken(tmp_path / "run")
    assert any(f"unit {anew} is scanned anew" in message for message in caplog.messages)


def test_what_copies_removes_and_records_nothing_once_its_driver_has_lost_the_folder(
    settings: Settings, base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    run, gone = tmp_path / "run", list[str]()

    def lose(_source: str, _target: str) -> bool:
        for path in run.glob("lease-*"):
            path.unlink(missing_ok=True)  # another unit is copied at the same time
        return False  # as of a base that is damaged: what there is of the unit is to be removed

    def removing(of: RunDirectory, names: Sequence[str]) -> None:
        REMOVE(of, names)
        gone.extend(name for name in names if "/c/" in name)

    monkeypatch.setattr(taking, "copied", lose)
    monkeypatch.setattr(RunDirectory, "delete_all", removing)
    with pytest.raises(BrokenRunError, match="has lost its lease"):
        plain_scan(of(settings, run, [SHORT], SMALL, base))
    assert gone == []
    assert records(run) == {}


def test_a_run_that_is_not_complete_gives_what_it_has(settings: Settings, base: Path, small: Path, tmp_path: Path):
    partial = Path(shutil.copytree(base, tmp_path / "base"))
    ledger, done = Ledger(RunDirectory(str(partial))), sorted(records(base))
    lost = done[::3]
    for name in lost:
        ledger.add(Record(unit=name, state="broken", attempts=5, error="BrokenUnit: made"))
    RunDirectory(str(partial)).note(state="running")
    assert plain_scan(of(settings, tmp_path / "run", [SHORT, LATER, NEVER], SMALL, partial)).complete
    assert_as_without(tmp_path / "run", small)
    found = taken(tmp_path / "run")
    assert found
    assert not set(found.values()) & set(lost)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"composite": {"method": "latest", "dilate_m": 20}}, r"composite\.dilate_m"),
        ({"grid": {"resolution": 10, "block": 64, "chunk": 32}}, r"grid\.block"),
        ({"output": {"keep": []}}, r"output\.keep"),
    ],
)
def test_a_run_of_other_settings_is_refused_before_anything_is_written(
    settings: Settings, base: Path, tmp_path: Path, changes: Settings, said: str
):
    with pytest.raises(RunConflictError, match=said):
        plain_scan(of(settings, tmp_path / "run", [SHORT], SMALL, base, **changes))
    assert not (tmp_path / "run").exists()


def test_no_run_another_kind_of_run_and_the_run_itself_are_refused(settings: Settings, tmp_path: Path):
    chips = RunDirectory(str(tmp_path / "chips"))
    chips.claim("chips", {}, resume=False)
    for other in (tmp_path / "nothing", tmp_path / "chips"):
        with pytest.raises(RunConflictError, match=r"output\.base"):
            plain_scan(of(settings, tmp_path / "run", [SHORT], SMALL, other))
    with pytest.raises(InvalidConfigError, match="the run itself"):
        plain_scan(of(settings, tmp_path / "run", [SHORT], SMALL, tmp_path / "run"))
    assert not (tmp_path / "run").exists()


def test_a_run_that_was_begun_goes_on_without_what_it_took_from(settings: Settings, base: Path, tmp_path: Path):
    gone = Path(shutil.copytree(base, tmp_path / "base"))
    wanted = of(settings, tmp_path / "run", [FIRST], SMALL, gone)
    assert plain_scan(wanted).taken
    ledger = Ledger(RunDirectory(str(tmp_path / "run")))
    lost = min(records(tmp_path / "run"))
    ledger.add(Record(unit=lost, state="broken", attempts=1, error="BrokenUnit: made"))
    shutil.rmtree(gone)
    assert plain_scan(wanted).complete
    assert taken(tmp_path / "run").keys() == records(tmp_path / "run").keys() - {lost}


def test_further_windows_may_be_taken_over(settings: Settings, tmp_path: Path):
    run = tmp_path / "run"
    assert plain_scan(of(settings, run, [FIRST], SMALL)).complete
    later = {"start": "2023-08-05", "end": "2023-08-20"}
    other = tmp_path / "other"
    assert plain_scan(of(settings, other, [later], SMALL)).complete
    summary = plain_append(of(settings, run, [FIRST, later], SMALL, other))
    assert summary.complete
    assert summary.taken == len(records(other))


def test_units_whose_scene_cannot_be_read_are_copied_once_it_is_set_aside(settings: Settings, tmp_path: Path):
    scenes = tmp_path / "scenes"
    scenes.mkdir()
    with served(scenes) as url:
        (scenes / "d-red.tif").write_bytes(b"no GeoTIFF")
        catalog = settings["catalog"] | {"url": url, "allowed_roots": [str(scenes)]}
        wanted = settings | {"catalog": catalog}
        august = {"start": "2023-08-01", "end": "2023-09-01"}
        for name, base in (("base", None), ("run", tmp_path / "base")):
            summary = plain_scan(of(wanted, tmp_path / name, [august], SMALL, base))
            assert summary.complete
            assert len(summary.quarantined) == 1
    assert summary.taken == summary.units
    assert_as_without(tmp_path / "run", tmp_path / "base")


def test_a_rank_is_the_order_of_work_and_changes_no_byte(settings: Settings, small: Path, tmp_path: Path):
    order: list[str] = []
    config = parse(ScanConfig, of(settings, tmp_path / "run", [SHORT, LATER, NEVER], SMALL))
    carry = engine(config, Roles(), at_once=1)

    def rank(place: Place) -> float:
        return -place.layer

    class Noting(Ledger):
        def add(self, record: Record) -> None:
            order.append(record.unit)
            super().add(record)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("landslide_scale.scan.work.Ledger", Noting)
        assert driver.begin(config, carry, resume=False, progress=silent, rank=rank).complete
    layers = [name.split("-t")[1][0] for name in order]
    assert layers == sorted(layers, reverse=True)
    assert Counter(layers).keys() == {"0", "1", "2"}
    assert_as_without(tmp_path / "run", small)


@pytest.fixture(scope="module")
def whole(settings: Settings, base: Path, tmp_path_factory: pytest.TempPathFactory) -> int:
    """How many steps such a scan takes."""
    folder = tmp_path_factory.mktemp("whole")
    return len(in_a_process(of(settings, folder / "run", [SHORT], LARGE, base), folder / "steps.log", None))


@pytest.mark.slow
@pytest.mark.parametrize("seed", SEEDS)
def test_a_run_killed_while_it_takes_over_is_gone_on_with_to_the_same_bytes(  # noqa: PLR0917
    settings: Settings, base: Path, large: Path, whole: int, tmp_path: Path, seed: int
):
    wanted = of(settings, tmp_path / "run", [SHORT], LARGE, base)
    before = snapshot(base)
    for time in range(2):
        step = random.Random(seed * 2 + time).randrange(1, whole)  # noqa: S311 a choice of tests
        in_a_process(wanted, tmp_path / "steps.log", step)
    in_a_process(wanted, tmp_path / "steps.log", None)
    assert_same_cubes(tmp_path / "run", large)
    attempts = {name: one | {"attempts": 1} for name, one in told(tmp_path / "run").items()}
    assert attempts == told(large)
    assert snapshot(base) == before
