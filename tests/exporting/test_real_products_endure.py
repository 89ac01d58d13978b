"""Real products of made cubes: killed fifty times over, and of ten times the blocks."""

from __future__ import annotations

import random
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from helpers.cubes import Made, layer_of, made
from helpers.exporting import for_real_in_a_process, scan_in
from helpers.s3 import local

from landslide_scale.cube.arrays import Layer
from landslide_scale.grid import PixelBox
from landslide_scale.products import names
from landslide_scale.products.names import MAKING
from landslide_scale.scan.plan import Place

KILLS = 50
HOW = Made(block=512, chunk=256)
LATTICE = HOW.lattice(33)
ACROSS = 8  # as many blocks of this side as are read at once, and a few more
WHOLE = 8  # rows of blocks that fill a piece of which the overviews are made
FIRST = -4_600_000 // 10 // HOW.block * HOW.block
WEST = 500_000 // 10 // HOW.block * HOW.block

EXPORT = """
import sys
from landslide_scale.cli import app
try:
    app(["export", sys.argv[1]])
except SystemExit as ended:
    if ended.code:
        raise
status = open("/proc/self/status").read()
print(status.partition("VmHWM:")[2].split()[0])
"""
"""Exports, and prints the most memory that its own process took, KiB: what its parent had before is not in it."""


@pytest.mark.slow
def test_killed_fifty_times_at_random_steps_and_resumed_it_leaves_the_same_bytes(tmp_path: Path):
    run, log, there = scan_in(tmp_path / "run").url, tmp_path / "log", tmp_path / "there"
    whole = tmp_path / "whole"
    taken = for_real_in_a_process(run, str(whole), log, None)
    wanted, rng, kills = local(whole), random.Random(14), 0  # noqa: S311 as good as any
    assert {f"/{names.REPORT}", f"/{names.GEOPACKAGE}", f"/{names.CATALOGUE}"} < wanted.keys()
    while kills < KILLS:
        shutil.rmtree(there, ignore_errors=True)
        for _ in range(rng.randint(1, 4)):  # some are killed again while they go on
            at = rng.randrange(len(taken))
            # What was finished is not done again: so far it may not come, and is not killed then.
            kills += len(for_real_in_a_process(run, str(there), log, at)) == at
        for_real_in_a_process(run, str(there), log, None)
        assert local(there) == wanted, kills
        assert not (there / MAKING).exists()


def paint(place: Place) -> Layer:
    """A few landslides in each block, and a cloud."""
    probability = np.full(place.box.shape, 0.1, np.float32)
    for row, col in ((40, 60), (200, 300), (505, 120)):
        probability[row : row + 7, col : col + 9] = 0.8
    probability[300:400, 100:200] = np.nan
    return layer_of(probability)


def peak(folder: Path, rows: int) -> int:
    """Of an export of so many rows of blocks, KiB."""
    box = PixelBox(
        row_start=FIRST, row_stop=FIRST + rows * HOW.block, col_start=WEST, col_stop=WEST + ACROSS * HOW.block
    )
    run = made(folder, HOW.places({LATTICE: box}), paint, HOW)
    done = subprocess.run([sys.executable, "-c", EXPORT, run.url], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return int(done.stdout.split()[-1])


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the system does not say what a process took")
def test_an_export_of_ten_times_the_blocks_takes_no_more_memory(tmp_path: Path):
    few, many = peak(tmp_path / "few", WHOLE), peak(tmp_path / "many", 10 * WHOLE)
    assert many <= 1.10 * few, (few, many)
