"""No unit ends a run on Ray: one that ends its process is failed after its tries, and what is absent is waited for."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import ray
from helpers import fatal
from helpers.borderland import assert_same_cubes, configured, one_band_model, served, untrained
from helpers.fatal import NO_MEMORY, NOT_NOW, Fate, Fates
from helpers.plainrun import plain_scan, silent
from ray.cluster_utils import Cluster
from ray.data import DataContext

from landslide_scale.cube.ledger import Ledger
from landslide_scale.cube.record import Record
from landslide_scale.errors import BrokenRunError
from landslide_scale.runtime import heartbeat
from landslide_scale.scan import layout, work
from landslide_scale.scan.pipeline import engine, stages
from landslide_scale.scan.pipeline.engine import scan
from landslide_scale.scan.rounds import Report
from landslide_scale.scan.settings import ScanConfig
from landslide_scale.scan.summary import ScanSummary
from landslide_scale.storage.rundir import RunDirectory
from landslide_scale.strictyaml import parse

pytestmark = pytest.mark.ray

LONG_S = 240


@dataclass(frozen=True, kw_only=True)
class Ground:
    """What is scanned, and the same scan in one plain process that nobody disturbs."""

    folder: Path
    settings: dict[str, Any]
    whole: Path

    @property
    def units(self) -> list[str]:
        return sorted(place.id for place in layout.load(RunDirectory(str(self.whole))).places)

    def on(self, run: Path, **compute: object) -> dict[str, Any]:
        return self.settings | {"output": {"run": str(run)}, "compute": compute}


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    folder = tmp_path_factory.mktemp("ground")
    checkpoint = untrained(folder / "checkpoint.safetensors")
    (folder / "scenes").mkdir()
    with served(folder / "scenes") as url:
        small = {"region": {"bbox": [17.992, 46.010, 18.008, 46.015]}}
        settings = configured((url, folder / "scenes"), checkpoint, folder / "whole", **small)
        assert plain_scan(settings).complete
        yield Ground(folder=folder, settings=settings, whole=folder / "whole")


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        head = {
            "num_cpus": 2,
            "object_store_memory": 200_000_000,
            "include_dashboard": False,
            # A node that is gone is missed after 5 s; a worker that only waits for a busy machine is not.
            "_system_config": {"health_check_period_ms": 1000, "worker_register_timeout_seconds": 240},
        }
        made = Cluster(initialize_head=True, head_node_args=head)
        yield made
        made.shutdown()


@contextmanager
def connected(cluster: Cluster) -> Iterator[None]:
    ray.init(address=cluster.address, log_to_driver=False, logging_level="ERROR")
    try:
        yield
    finally:
        ray.shutdown()


def disturbed(settings: dict[str, Any], stage: str, fate: Fate | Fates) -> ScanSummary:
    """Begin a scan, or go on with it, at one of whose steps something happens."""
    with pytest.MonkeyPatch.context() as patch:
        if stage == "predict":
            patch.setattr(stages, "predictor", fatal.predictor(fate))
        else:
            patch.setattr(work, stage, partial(getattr(fatal, stage), fate=fate))
        return scan(parse(ScanConfig, settings), resume=True, progress=silent, load=partial(fatal.load, fate=fate))


def records(run: Path) -> dict[str, Record]:
    return Ledger(RunDirectory(str(run))).records()


@pytest.mark.slow
def test_units_that_crash_that_find_no_memory_and_that_fail_for_now_hold_up_no_others_of_their_pipeline(
    ground: Ground, cluster: Cluster, tmp_path: Path
):
    run, log = tmp_path / "run", str(tmp_path / "log")
    kinds = (signal.SIGSEGV, NO_MEMORY, NOT_NOW)
    crashing, greedy, late = (Fate(log=log, units=(ground.units[n],), signal=kind) for n, kind in enumerate(kinds))
    fate = Fates(each=(crashing, greedy, replace(late, times=1)))
    with connected(cluster):
        summary = disturbed(ground.on(run, attempts=2), "read", fate)
    assert (summary.failed, summary.written + summary.empty) == (2, len(ground.units) - 2)
    ended = records(run)
    assert ended[crashing.units[0]].error.startswith("CrashedProcess: ")
    assert "MemoryError: Unable to allocate 3.20 TiB" in ended[greedy.units[0]].error
    assert [ended[unit].attempts for unit in ground.units[:3]] == [2, 2, 2]
    assert (late.happened(late.units[0]), late.happened("loaded")) == (1, 1)
    assert plain_scan(ground.on(run)).complete
    assert_same_cubes(run, ground.whole)


@pytest.mark.slow
@pytest.mark.parametrize("stage", ["read", "predict", "write"])
def test_a_unit_that_ends_its_process_each_time_is_failed_after_its_attempts_and_all_others_are_done(
    ground: Ground, cluster: Cluster, tmp_path: Path, stage: str
):
    run, victim = tmp_path / "run", ground.units[2]
    fate = Fate(
        log=str(tmp_path / "log"), units=(victim,), signal=signal.SIGSEGV if stage == "read" else signal.SIGKILL
    )
    with connected(cluster):
        summary = disturbed(ground.on(run, attempts=2), stage, fate)
        assert fate.happened(victim) == 2
        assert (summary.failed, summary.complete) == (1, False)
        record = records(run)[victim]
        assert (record.state, record.attempts, record.retry) == ("failed", 2, True)
        assert record.error.startswith("CrashedProcess: ")
        assert "killed by a signal" in record.error
        assert "on " in record.error
        resumed = disturbed(ground.on(run, attempts=2), stage, replace(fate, times=3))  # one more, of two anew
    assert resumed.complete, resumed.errors
    assert records(run)[victim].attempts == 4
    assert_same_cubes(run, ground.whole)


@pytest.mark.slow
def test_a_unit_without_memory_for_it_is_failed_after_its_attempts(ground: Ground, cluster: Cluster, tmp_path: Path):
    run, victim = tmp_path / "run", ground.units[0]
    fate = Fate(log=str(tmp_path / "log"), units=(victim,), signal=NO_MEMORY)
    with connected(cluster):
        summary = disturbed(ground.on(run, attempts=2), "predict", fate)
        assert (summary.failed, fate.happened(victim)) == (1, 2)
        assert "MemoryError: Unable to allocate 3.20 TiB" in records(run)[victim].error
        assert disturbed(ground.on(run), "predict", replace(fate, units=())).complete
    assert_same_cubes(run, ground.whole)


@pytest.mark.slow
def test_units_that_failed_go_through_the_same_pipeline_again_and_its_model_is_loaded_once(
    ground: Ground, cluster: Cluster, tmp_path: Path
):
    run, victims = tmp_path / "run", tuple(ground.units[:3])
    fate = Fate(log=str(tmp_path / "log"), units=victims, times=2, signal=NOT_NOW)
    with connected(cluster):
        summary = disturbed(ground.on(run, attempts=3, predictors={"least": 1, "most": 1}), "read", fate)
    assert summary.complete, summary.errors
    assert {records(run)[unit].attempts for unit in victims} == {3}
    assert fate.happened("loaded") == 1
    assert_same_cubes(run, ground.whole)


@pytest.mark.slow
def test_ten_units_that_failed_go_through_the_pool_of_twenty_that_is_there(
    ground: Ground, cluster: Cluster, tmp_path: Path
):
    many = {"grid": {"resolution": 10, "block": 16, "chunk": 16}}
    whole = ground.on(tmp_path / "whole") | many
    assert plain_scan(whole).complete
    ids = sorted(record.unit for record in records(tmp_path / "whole").values() if record.state == "written")
    assert len(ids) >= 40
    fate = Fate(log=str(tmp_path / "log"), units=tuple(ids[:: len(ids) // 10][:10]), times=1, signal=NOT_NOW)
    twenty = ground.on(tmp_path / "run", attempts=2, predictors=20, cpus_per_predictor=0.05) | many
    with connected(cluster):
        summary = disturbed(twenty, "read", fate)
    assert summary.complete, summary.errors
    tries = {unit: record.attempts for unit, record in records(tmp_path / "run").items()}
    assert tries == {unit: 2 if unit in fate.units else 1 for unit in tries}
    assert [fate.happened(unit) for unit in fate.units] == [1] * 10
    assert fate.happened("loaded") <= 20  # a pool for what failed would have loaded as often again
    assert_same_cubes(tmp_path / "run", tmp_path / "whole")


@contextmanager
def begun(settings: dict[str, Any], progress: Report = silent) -> Iterator[Future[ScanSummary]]:
    """A scan in a thread of its own, for nodes can be added by the main one alone."""
    with ThreadPoolExecutor(max_workers=1) as pool:
        config = parse(ScanConfig, settings)
        yield pool.submit(scan, config, resume=True, load=one_band_model(), progress=progress)


@pytest.mark.slow
def test_a_predictor_that_no_machine_has_room_for_is_named_and_not_waited_for_longer_than_stated(
    ground: Ground, cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(engine, "LOOK_S", 0.2)
    bounded = ground.on(tmp_path / "run", cpus_per_predictor=3, predictors_within_s=1)
    said = "no predictor is ready since .* one asks for 3 CPU; the cluster has 2 CPU"
    with connected(cluster), pytest.raises(BrokenRunError, match=said):
        scan(parse(ScanConfig, bounded), load=one_band_model(), progress=silent)


@pytest.mark.slow
def test_a_machine_for_the_predictor_that_comes_late_is_waited_for_by_name(
    ground: Ground, cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    monkeypatch.setattr(heartbeat, "EVERY_S", 1)
    monkeypatch.setattr(engine, "LOOK_S", 1)
    # Ray ends a pipeline in which nothing moves, by default after half an hour.
    monkeypatch.setattr(DataContext.get_current(), "execution_no_progress_timeout_s", 3)
    with connected(cluster):
        bounded = ground.on(tmp_path / "run", cpus_per_predictor=3, predictors_within_s=5)
        with pytest.raises(BrokenRunError, match="no predictor is ready since"):
            scan(parse(ScanConfig, bounded), load=one_band_model(), progress=silent)
        with begun(ground.on(tmp_path / "run", cpus_per_predictor=3, no_progress_s=30)) as running:
            time.sleep(40)
            assert not running.done()
            node = cluster.add_node(num_cpus=3, object_store_memory=200_000_000)
            summary = running.result(LONG_S)
        cluster.remove_node(node)
    assert summary.complete, summary.errors
    assert "one asks for 3 CPU; the cluster has 2 CPU" in caplog.text
    assert_same_cubes(tmp_path / "run", ground.whole)


@pytest.mark.slow
def test_the_last_predictor_s_machine_that_is_lost_is_waited_for_and_the_cube_is_the_same(
    ground: Ground, cluster: Cluster, tmp_path: Path
):
    many = {"grid": {"resolution": 10, "block": 32, "chunk": 32}}
    settings = ground.on(tmp_path / "run", cpus_per_predictor=3, no_progress_s=30, attempts=1) | many
    node = cluster.add_node(num_cpus=3, object_store_memory=200_000_000)
    gone = threading.Event()
    with connected(cluster), begun(settings, lambda _: gone.set()) as running:
        assert gone.wait(LONG_S)
        cluster.remove_node(node, allow_graceful=False)
        time.sleep(60)
        assert not running.done()
        node = cluster.add_node(num_cpus=3, object_store_memory=200_000_000)
        summary = running.result(LONG_S)
        cluster.remove_node(node)
    assert summary.complete, summary.errors
    whole = {**settings, "output": {"run": str(tmp_path / "whole")}}
    assert plain_scan(whole).complete
    assert_same_cubes(tmp_path / "run", tmp_path / "whole")
