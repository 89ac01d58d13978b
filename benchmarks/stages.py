"""A scan's wall time beside its slowest stage alone, after warm-up: how well reading, predicting and writing overlap.

The demo's made east in many small units, a network of random weights, and a cluster of this machine. The stage alone is
what its own clock says of all units that ended after the first, divided by the processes that it has.
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
from pathlib import Path

from start import untrained

from landslide_scale.cube.ledger import Ledger
from landslide_scale.demo.recipe import scan_settings
from landslide_scale.demo.run import made_world
from landslide_scale.demo.world import catalog_server
from landslide_scale.storage.rundir import RunDirectory

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


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--block", type=int, default=128, help="pixels; the smaller, the more units")
    parser.add_argument("--world", type=Path, help="the made world's folder, of a run before")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        world = made_world(asked.world or folder / "world", seed=7, progress=lambda _: None)
        checkpoint, run = folder / "untrained.safetensors", folder / "run"
        untrained(checkpoint)
        with catalog_server(world) as url:
            settings = scan_settings(world, url, str(checkpoint), str(run))
            settings["grid"] = {"block": asked.block, "chunk": asked.block}
            (folder / "scan.yaml").write_text(json.dumps(settings))
            command = [sys.executable, "-m", "landslide_scale", "scan", "--config", str(folder / "scan.yaml")]
            with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as scan:  # noqa: S603
                ends = ends_of(run, scan)
        report(run, ends)


def report(run: Path, ends: list[float]) -> None:
    """Print what came of it."""
    records = list(Ledger(RunDirectory(str(run))).records().values())
    spent = {stage: sum(one.seconds.get(stage, 0.0) for one in records) for stage in STAGES}
    wall = ends[-1] - ends[0]
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, {len(records)} units\n")
    print("| stage | seconds of all units |\n|---|---|")
    for stage, seconds in spent.items():
        print(f"| {stage} | {seconds:.1f} |")
    alone = spent["predict"] * (len(records) - 1) / len(records)
    print(f"\nFrom the first unit's end to the last one's {wall:.1f} s, {wall / alone:.2f} times its one predictor's.")


if __name__ == "__main__":
    main()
