"""What fine-tuning asks of a cluster is refused where it cannot come, and else waited for, with words and an end."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import ray
from ray.util.placement_group import PlacementGroup, placement_group, remove_placement_group

from landslide_scale.datasets.spec import DataSpec
from landslide_scale.errors import BrokenRunError, InvalidConfigError
from landslide_scale.runtime import session as sessions
from landslide_scale.runtime.session import check_machine
from landslide_scale.spec import InputSpec, LandslideNetSpec
from landslide_scale.training import engine
from landslide_scale.training.engine import _wait_for_workers
from landslide_scale.training.job import FinetuneJob
from landslide_scale.training.spec import TrainSpec

JOB = FinetuneJob(
    data=DataSpec(kind="pairs", path="nowhere"),
    model=LandslideNetSpec(sam="vit_t", upsample=1),
    inputs=InputSpec.for_bands("rgb8", ("red", "green", "blue")),
    train=TrainSpec(patch=32),
    output="run",
)


@pytest.fixture(scope="module")
def two_cores() -> Iterator[None]:
    """A caller's own connection: not known to be a machine that never grows."""
    ray.init(address="local", num_cpus=2, include_dashboard=False, object_store_memory=100_000_000, log_to_driver=False)
    yield
    ray.shutdown()


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch, two_cores: None) -> None:
    del two_cores
    monkeypatch.setattr(engine, "AT_ONCE_S", 0.2)
    monkeypatch.setattr(engine, "EVERY_S", 0.2)


@pytest.mark.slow
@pytest.mark.ray
@pytest.mark.parametrize(
    ("changes", "wanted"),
    [
        (
            {"gpu": True},
            "waiting for 1 CPU and 1 GPU for 1 worker; the cluster has 2 CPU (2 free) and 0 GPU (0 free)",
        ),
        ({"cpus_per_worker": 3}, "waiting for 3 CPU for 1 worker; the cluster has 2 CPU (2 free)"),
        ({"workers": 3}, "waiting for 3 CPU for 3 workers; the cluster has 2 CPU (2 free)"),
    ],
)
def test_what_does_not_come_is_said_again_and_again_and_ends_the_run(changes: dict[str, object], wanted: str):
    lines: list[str] = []
    with pytest.raises(BrokenRunError, match=r"1 s have gone by.*compute\.wait_s.*--resume") as caught:
        _wait_for_workers(replace(JOB, wait_s=1, **changes), lines.append)  # type: ignore[arg-type]
    assert set(lines) == {wanted}
    assert len(lines) > 1
    assert caught.value.exit_code == 1


@pytest.mark.slow
@pytest.mark.ray
def test_what_is_there_is_not_waited_for_and_what_comes_ends_the_waiting(monkeypatch: pytest.MonkeyPatch):
    lines: list[str] = []
    with monkeypatch.context() as patch:
        patch.setattr(engine, "AT_ONCE_S", 30.0)
        _wait_for_workers(replace(JOB, workers=2), lines.append)
    assert lines == []
    others: list[PlacementGroup] = [placement_group([{"CPU": 2}])]
    assert others[0].wait(30)

    def say(line: str) -> None:
        lines.append(line)
        if others:
            remove_placement_group(others.pop())

    _wait_for_workers(replace(JOB, workers=2, wait_s=60), say)
    assert lines[0] == "waiting for 2 CPU for 2 workers; the cluster has 2 CPU (0 free)"


@pytest.mark.slow
@pytest.mark.ray
@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"gpu": True}, "compute.gpu"),
        ({"cpus_per_worker": 3}, "compute.cpus_per_worker"),
        ({"workers": 3}, "compute.workers"),
    ],
)
def test_a_machine_of_our_own_never_grows_and_refuses_before_data_or_folder_is_touched(
    changes: dict[str, object], key: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    job = replace(JOB, output=str(tmp_path / "run"), **changes)  # type: ignore[arg-type]
    check_machine(*job.needs)  # of a cluster that was joined nothing is refused
    monkeypatch.setattr(sessions, "_LOCAL", sessions.threading.Event())
    sessions._LOCAL.set()
    with pytest.raises(InvalidConfigError, match="a local cluster never grows") as caught:
        engine.finetune(job)
    assert caught.value.where["key"] == key
    assert not (tmp_path / "run").exists()
