from __future__ import annotations

import multiprocessing
import resource
import sys
from pathlib import Path

import numpy as np
import pytest
from helpers.cubes import Made, layer_of, made
from numpy.typing import NDArray

from landslide_scale.grid import PixelBox
from landslide_scale.products.outlines.landslides import landslides
from landslide_scale.products.outlines.wanted import Wanted
from landslide_scale.products.scanned import scanned
from landslide_scale.scan.plan import Place
from landslide_scale.storage.rundir import RunDirectory

HOW = Made(block=512, chunk=256)
LATTICE = HOW.lattice(33)
ACROSS = 8  # as many blocks of this side as are read at once, and a few more
FIRST = -4_600_000 // 10 // HOW.block * HOW.block
WEST = 500_000 // 10 // HOW.block * HOW.block


def paint(place: Place):
    """A few landslides in each block, one of them over its southern rim into the next."""
    probability: NDArray[np.float32] = np.full(place.box.shape, 0.1, np.float32)
    for row, col in ((40, 60), (200, 300), (505, 120)):
        probability[row : row + 12, col : col + 9] = 0.8
    probability[:5, 120:129] = 0.8
    return layer_of(probability)


def cube(folder: Path, rows: int) -> str:
    box = PixelBox(
        row_start=FIRST, row_stop=FIRST + rows * HOW.block, col_start=WEST, col_stop=WEST + ACROSS * HOW.block
    )
    return made(folder, HOW.places({LATTICE: box}), paint, HOW).url


def counted(url: str, answer: multiprocessing.SimpleQueue[tuple[int, int]]) -> None:
    """How many landslides there are, and the most memory that this process took for them, bytes."""
    count = sum(1 for _ in landslides(scanned(RunDirectory(url)), 0, Wanted(threshold=0.5)))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    answer.put((count, peak * (1 if sys.platform == "darwin" else 1024)))


def in_a_process(url: str) -> tuple[int, int]:
    spawn = multiprocessing.get_context("spawn")
    answer = spawn.SimpleQueue()
    process = spawn.Process(target=counted, args=(url, answer))
    process.start()
    found = answer.get()
    process.join(60)
    assert process.exitcode == 0
    return found


@pytest.mark.slow
def test_ten_times_the_blocks_take_no_more_memory(tmp_path: Path):
    few, little = in_a_process(cube(tmp_path / "few", 2))
    many, much = in_a_process(cube(tmp_path / "many", 20))
    assert (few, many) == (ACROSS * 7, ACROSS * 61)
    assert much <= 1.10 * little
