"""On a real cluster: a scan without a network asks for no predictor, and one with a base for none it does not need."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import pytest
import ray
from helpers.borderland import assert_same_cubes, configured, one_band_model, served, untrained
from helpers.plainrun import plain_scan

from landslide_scale.scan import driver, rounds
from landslide_scale.scan.pipeline.engine import scan
from landslide_scale.scan.rounds import Progress
from landslide_scale.scan.settings import ScanConfig
from landslide_scale.strictyaml import parse

pytestmark = [pytest.mark.ray, pytest.mark.slow]

SMALL = {"region": {"bbox": [17.992, 46.010, 18.008, 46.015]}, "output": {"keep": ["red"]}}
FIRST = {"start": "2023-08-01", "end": "2023-08-05"}
LATER = {"start": "2023-08-05", "end": "2023-08-20"}


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    ray.init(address="local", num_cpus=2, include_dashboard=False, object_store_memory=300_000_000, log_to_driver=False)
    yield
    ray.shutdown()


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    folder = tmp_path_factory.mktemp("ground")
    (folder / "scenes").mkdir()
    checkpoint = untrained(folder / "checkpoint.safetensors")
    with served(folder / "scenes") as url:
        yield configured((url, folder / "scenes"), checkpoint, folder / "run", **SMALL)


def of(settings: dict[str, Any], run: Path, **output: str) -> dict[str, Any]:
    return settings | {"output": settings["output"] | {"run": str(run)} | output}


@pytest.mark.usefixtures("cluster")
def test_readers_hand_to_writers_and_no_worker_knows_of_torch(settings: dict[str, Any], tmp_path: Path):
    # More predictors than the cluster has CPUs, and a GPU of each: with a network it would be refused.
    asks = {"model": "none", "compute": {"predictors": 9, "gpus_per_predictor": 1, "no_progress_s": 120}}
    found = scan(parse(ScanConfig, of(settings | asks, tmp_path / "ray")))
    assert found.complete, found.errors
    assert found.landslide_km2 is None
    names = {one: one.name() for one in psutil.Process().children(recursive=True)}
    workers = [one for one, name in names.items() if name.startswith("ray::") and "_Pump" not in name]
    assert workers
    assert not [one for one in workers if "libtorch" in Path(f"/proc/{one.pid}/maps").read_text()]
    assert plain_scan(of(settings | asks, tmp_path / "plain")).complete
    assert_same_cubes(tmp_path / "ray", tmp_path / "plain")


@pytest.mark.usefixtures("cluster")
def test_the_process_that_feeds_the_pipeline_may_die_when_units_have_ended(
    settings: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """What it yields once more is in the order it was in, though rows of units that have ended are dropped."""
    monkeypatch.setattr(rounds, "_PIECE", 2)
    monkeypatch.setattr(driver, "worked_on", partial(rounds.worked_on, ahead=4))
    chosen = settings | {"model": "none", "region": {"bbox": [17.985, 46.010, 18.012, 46.020]}}
    killed: list[int] = []

    def kill(progress: Progress) -> None:
        if progress.done == 4:
            feeds = [one for one in psutil.Process().children(recursive=True) if "Feed" in " ".join(one.cmdline())]
            killed.extend(one.pid for one in feeds)
            for one in feeds:
                one.kill()

    found = scan(parse(ScanConfig, of(chosen, tmp_path / "ray")), progress=kill)
    assert found.complete, found.errors
    assert len(killed) == 1
    assert found.units > 4 + 4 + 2
    assert plain_scan(of(chosen, tmp_path / "plain")).complete
    assert_same_cubes(tmp_path / "ray", tmp_path / "plain")


@pytest.mark.usefixtures("cluster")
def test_what_a_base_has_is_copied_and_the_rest_is_scanned(settings: dict[str, Any], tmp_path: Path):
    for name, windows, base in (("base", [FIRST], {}), ("run", [FIRST, LATER], {"base": str(tmp_path / "base")})):
        config = parse(ScanConfig, of(settings | {"windows": windows}, tmp_path / name, **base))
        found = scan(config, load=one_band_model(), rank=lambda place: -place.layer)
        assert found.complete, found.errors
        assert found.taken == (found.units / 2 if base else 0)
    assert plain_scan(of(settings | {"windows": [FIRST, LATER]}, tmp_path / "plain")).complete
    assert_same_cubes(tmp_path / "run", tmp_path / "plain")
