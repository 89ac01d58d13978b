"""Seconds from the command to the first unit written, and what processes did until then; two checkouts in turns.

A scan of the demo's made east on a cluster of its own: the command begins Ray, plans, and has a network of random
weights predict. Scenes are on this disk, so what is measured is how a scan begins and not how fast scenes come.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import numpy as np
import psutil

from landslide_scale.cards.card import ModelCard
from landslide_scale.demo.recipe import BANDS, scan_settings
from landslide_scale.demo.run import made_world
from landslide_scale.demo.world import World, catalog_server
from landslide_scale.model import build
from landslide_scale.model.checkpoint import random_weights, save
from landslide_scale.spec import InputSpec, LandslideNetSpec

LOOK_S = 0.05
STEPS = ("planned", "first unit predicted and written")


def untrained(path: Path) -> None:
    """A checkpoint of LandslideNet's smallest size."""
    model, inputs = LandslideNetSpec(bands=BANDS, sam="vit_t"), InputSpec.for_bands("boa", BANDS)
    card = ModelCard(model=model, inputs=inputs, base=random_weights(model, 0))
    save(str(path), build(model, inputs, base=None, seed=0), card)


def begun(checkout: Path, config: Path, run: Path) -> tuple[dict[str, float], Counter[str]]:
    """Seconds until each step, and CPU seconds of processes until the last, by what they are."""
    environment = os.environ | {"PYTHONPATH": str(checkout), "RAY_USAGE_STATS_ENABLED": "0"}
    command = [sys.executable, "-m", "landslide_scale", "scan", "--config", str(config)]
    started = time.perf_counter()
    process = subprocess.Popen(  # noqa: S603 our own
        command, env=environment, cwd=checkout, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    reached: dict[str, float] = {}
    spent: dict[int, tuple[str, float]] = {}
    try:
        while len(reached) < len(STEPS):
            if process.poll() is not None:
                raise SystemExit(f"the scan ended with {process.returncode} before its first unit: {config}")
            spent |= cpu_of(process.pid)
            now = time.perf_counter() - started
            if (run / "units.parquet").exists():
                reached.setdefault(STEPS[0], now)
            if any((run / "ledger" / "units").glob("*.json")):
                reached.setdefault(STEPS[1], now)
            time.sleep(LOOK_S)
    finally:
        process.send_signal(signal.SIGINT)
        process.wait()
    total: Counter[str] = Counter()
    for name, seconds in spent.values():
        total[name] += seconds  # type: ignore[assignment] a Counter of seconds
    return reached, total


def cpu_of(root: int) -> dict[int, tuple[str, float]]:
    """By process of a tree: what it is called, and its CPU seconds."""
    found: dict[int, tuple[str, float]] = {}
    for one in [psutil.Process(root), *psutil.Process(root).children(recursive=True)]:
        try:
            said, times = " ".join(one.cmdline()), one.cpu_times()
        except psutil.Error:
            continue
        found[one.pid] = (called(said, one.pid == root), times.user + times.system)
    return found


def called(command: str, is_driver: bool) -> str:  # noqa: FBT001
    """What a process of Ray is."""
    if is_driver:
        return "the command itself"
    worker = re.match(r"ray::(\w+)", command)
    return worker[1] if worker else "Ray's own services"


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--before", type=Path, help="another checkout, to compare with")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--world", type=Path, help="the made world's folder, of a run before")
    asked = parser.parse_args()
    here = Path(__file__).resolve().parents[1]
    checkouts = {"now": here} | ({"before": asked.before.resolve()} if asked.before else {})
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, median of {asked.rounds} rounds\n")
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        world = made_world(asked.world or folder / "world", seed=7, progress=lambda _: None)
        untrained(folder / "untrained.safetensors")
        report(measured(world, folder, checkouts, asked.rounds))


def measured(
    world: World, folder: Path, checkouts: dict[str, Path], rounds: int
) -> dict[str, list[tuple[dict[str, float], Counter[str]]]]:
    """What each round gave, by checkout."""
    found: dict[str, list[tuple[dict[str, float], Counter[str]]]] = {name: [] for name in checkouts}
    with catalog_server(world) as url:
        for number in range(rounds):
            for name, checkout in checkouts.items():
                run, config = folder / f"{name}-{number}", folder / f"{name}-{number}.yaml"
                settings = scan_settings(world, url, str(folder / "untrained.safetensors"), str(run))
                settings["grid"], settings["predict"] = {"block": 128, "chunk": 128}, {}  # a unit takes a second
                config.write_text(json.dumps(settings))
                found[name].append(begun(checkout, config, run))
    return found


def report(found: dict[str, list[tuple[dict[str, float], Counter[str]]]]) -> None:
    """Print seconds until each step, and CPU seconds by process."""
    print("| seconds until | " + " | ".join(found) + " |\n|---|" + "---|" * len(found))
    for step in STEPS:
        print(
            f"| {step} | "
            + " | ".join(f"{np.median([r[step] for r, _ in rounds]):.1f}" for rounds in found.values())
            + " |"
        )
    names = sorted({name for rounds in found.values() for _, spent in rounds for name in spent})
    print("\n| CPU seconds until the last | " + " | ".join(found) + " |\n|---|" + "---|" * len(found))
    for name in names:
        print(
            f"| {name} | "
            + " | ".join(f"{np.median([s[name] for _, s in rounds]):.1f}" for rounds in found.values())
            + " |"
        )


if __name__ == "__main__":
    main()
