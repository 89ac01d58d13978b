"""Scans that are killed at every kind of step: nothing is lost, nothing is written twice, the cube is the same."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from helpers.borderland import assert_same_cubes, configured, served, untrained
from helpers.plainrun import assert_exactly_once, in_a_process
from helpers.watching import Step

ROLES = ("driver", "reader", "predictor", "writer")
SEEDS = [pytest.param(seed, marks=() if seed < 3 else pytest.mark.slow) for seed in range(200)]


@dataclass(frozen=True, kw_only=True)
class Ground:
    """What is scanned, and the same scan when nobody kills it."""

    catalogue: tuple[str, Path]
    checkpoint: str
    whole: Path
    taken: tuple[Step, ...]

    def settings(self, run: Path, **changes: object) -> dict[str, Any]:
        small = {"region": {"bbox": [17.992, 46.010, 18.008, 46.015]}, "output": {"keep": ["red"]}}
        return configured(self.catalogue, self.checkpoint, run, **(small | changes))


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    folder = tmp_path_factory.mktemp("ground")
    checkpoint = untrained(folder / "checkpoint.safetensors")
    (folder / "scenes").mkdir()
    with served(folder / "scenes") as url:
        made = Ground(catalogue=(url, folder / "scenes"), checkpoint=checkpoint, whole=folder / "whole", taken=())
        taken = in_a_process(made.settings(made.whole), folder / "whole.log", None)
        yield Ground(**vars(made) | {"taken": tuple(taken)})


def doomed(ground: Ground, role: str, generator: random.Random) -> int:
    """A step of this role at which to be killed."""
    return generator.choice([number for number, step in enumerate(ground.taken) if step.role == role])


def test_a_scan_takes_steps_in_all_four_roles(ground: Ground):
    counts = Counter(step.role for step in ground.taken)
    assert set(counts) == set(ROLES)
    assert counts["driver"] > 100
    assert counts["writer"] > 80


@pytest.mark.parametrize("seed", SEEDS)
def test_a_scan_that_is_killed_and_gone_on_with_is_the_same_to_the_last_byte(ground: Ground, tmp_path: Path, seed: int):
    generator = random.Random(seed)  # noqa: S311 a choice of tests
    kills = 1 if seed < 20 else 1 + seed // 4 % 3
    run, log = tmp_path / "run", tmp_path / "steps.log"
    taken: list[Step] = []
    for number in range(kills):
        kill_at = doomed(ground, ROLES[(seed + number) % 4], generator)
        taken += in_a_process(ground.settings(run), log, kill_at if number == 0 else generator.randrange(kill_at + 1))
    taken += in_a_process(ground.settings(run), log, None)
    assert_same_cubes(run, ground.whole)
    assert_exactly_once(str(run), taken, kills)
    assert {path.name for path in run.iterdir()} == {path.name for path in ground.whole.iterdir()}
    assert list(run.rglob("*.partial")) == []
