"""A scan's wall time beside its slowest stage alone, after warm-up: how well reading, predicting and writing overlap.

The demo's made east in many small units, a network of random weights, and a cluster of this machine with one predictor
of one core. The stages alone are the same units once more, in one process in which nothing else is at work: reading
first, and then predicting with one thread what was read. The units that ended in the scan before the warm-up was over
count on neither side.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Collection
from functools import partial
from pathlib import Path

from start import untrained

from landslide_scale.cube.ledger import Ledger
from landslide_scale.cube.record import Record
from landslide_scale.demo.recipe import scan_settings
from landslide_scale.demo.run import made_world
from landslide_scale.demo.world import catalog_server
from landslide_scale.scan.pipeline.loading import restored
from landslide_scale.scan.pipeline.predictor import Predictor
from landslide_scale.scan.prepared import prepare
from landslide_scale.scan.settings import CheckpointConfig, ScanConfig
from landslide_scale.scan.work import read
from landslide_scale.storage.rundir import RunDirectory
from landslide_scale.strictyaml import parse

STAGES = ("read", "predict", "write")


def ends_of(run: Path, scan: subprocess.Popen[bytes]) -> list[float]:
    """When each record of a scan that runs was first seen, in the order they came; until its process has ended."""
    seen: dict[str, float] = {}
    while scan.poll() is None:
        seen |= {one.name: time.perf_counter() for one in run.glob("ledger/units/*.json") if one.name not in seen}
        time.sleep(0.02)
    if scan.returncode or not seen:
        sys.exit(f"the scan ended with {scan.returncode}, {len(seen)} units seen")
    return sorted(seen.values())


def alone(config: ScanConfig) -> dict[str, list[float]]:
    """Seconds of each unit by stage, one after the other in this process."""
    prepared = prepare(config)
    if not isinstance(config.model, CheckpointConfig):
        sys.exit("a scan without a network has one stage")
    predict = Predictor(
        partial(restored, str(config.model.checkpoint), base_url=None, sha256=None),
        patches=prepared.task.patches,
        settings=config.predict,
        device="cpu",
        threads=1,
    )
    found: dict[str, list[float]] = {"read": [], "predict": []}
    for unit in prepared.survey.plan.units:
        begun = time.perf_counter()
        row = read({"unit": unit.to_json(), "attempt": 1, "left": 1}, prepared.task)
        found["read"].append(time.perf_counter() - begun)
        begun = time.perf_counter()
        predict(row)
        found["predict"].append(time.perf_counter() - begun)
    return found


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--block", type=int, default=64, help="pixels; the smaller, the more units")
    parser.add_argument("--world", type=Path, help="the made world's folder, of a run before")
    parser.add_argument("--warm", type=int, default=10, help="units whose end ends the warm-up")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        world = made_world(asked.world or folder / "world", seed=7, progress=lambda _: None)
        checkpoint, run = folder / "untrained.safetensors", folder / "run"
        untrained(checkpoint)
        with catalog_server(world) as url:
            settings = scan_settings(world, url, str(checkpoint), str(run))
            settings["grid"] = {"block": asked.block, "chunk": asked.block}
            settings["predict"] = {}  # patches as by default, and not the demo's small ones
            (folder / "scan.yaml").write_text(json.dumps(settings))
            command = [sys.executable, "-m", "landslide_scale", "scan", "--config", str(folder / "scan.yaml")]
            with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as scan:  # noqa: S603
                ends = ends_of(run, scan)
            once_more = alone(parse(ScanConfig, settings | {"output": {"run": str(folder / "again"), "keep": []}}))
        report(ends, asked.warm, once_more, Ledger(RunDirectory(str(run))).records().values())


def report(ends: list[float], warm: int, once_more: dict[str, list[float]], records: Collection[Record]) -> None:
    """Print what came of it."""
    units, wall = len(records), ends[-1] - ends[warm - 1]
    share = (units - warm) / units
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, {units} units, {warm} of warm-up\n")
    print("| stage | s of the others, alone | s by its own clock in the scan |\n|---|---|---|")
    for stage in STAGES:
        spent = share * sum(one.seconds.get(stage, 0.0) for one in records)
        own = f"{share * sum(once_more[stage]):.1f}" if stage in once_more else ""
        print(f"| {stage} | {own} | {spent:.1f} |")
    slowest = share * max(sum(seconds) for seconds in once_more.values())
    print(
        f"\nFrom the end of unit {warm} to the last one's {wall:.1f} s: {wall / slowest:.2f} times the slowest alone."
    )


if __name__ == "__main__":
    main()
