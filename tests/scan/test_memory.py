"""How much memory the parts of a scan take, measured from outside, beside what is planned for them."""

from __future__ import annotations

import json
import multiprocessing
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import shapely
from helpers.borderland import configured, one_band_model, untrained
from helpers.scenes import COLLECTION, cog, item, scene
from pyproj import Transformer

from landslide_scale.demo.satellite.stac_server import serve
from landslide_scale.grid import Lattice, PixelBox, Zone, project
from landslide_scale.imagery.observe import observe, planned_bytes
from landslide_scale.imagery.settings import CompositeConfig
from landslide_scale.scan.pipeline.engine import scan
from landslide_scale.scan.settings import ScanConfig
from landslide_scale.scene import Scene
from landslide_scale.strictyaml import parse

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

SPAWN = multiprocessing.get_context("spawn")
BANDS = ("blue", "green", "red")
LATTICE = Lattice(zone=Zone.utm(33, southern=False), resolution=10, block=1536)
BLOCK, RIM = 5120, 100
"""Metres."""

WEST, NORTH = 117 * BLOCK, 996 * BLOCK
SETTINGS = {
    "grid": {"resolution": 10, "block": 512, "chunk": 256},
    "predict": {"patch": 128, "halo": 16, "batch": 8},
    "compute": {"cpus_per_predictor": 1},
    "catalog": {"collection": COLLECTION["id"]},
}
BOX = PixelBox(row_start=-NORTH // 10, row_stop=-NORTH // 10 + 1536, col_start=WEST // 10, col_stop=WEST // 10 + 1536)


def forty_scenes(folder: Path) -> list[Scene]:
    """Forty datatakes over the box, of the same files: noise, a tenth of it cloud; every other one of zone 34."""
    generator = np.random.default_rng(0)
    numbers = {band: generator.integers(1, 9999, BOX.shape).astype(np.uint16) for band in BANDS}
    scl = generator.choice([4, 9], (154, 154), p=[0.9, 0.1]).astype(np.uint8).repeat(5, axis=0).repeat(5, axis=1)
    own = scene(folder, "own", numbers, scl[:768, :768], west=WEST, north=NORTH)
    west, north = Transformer.from_crs(32633, 32634, always_xy=True).transform(WEST, NORTH)
    x, y = round(west / 20) * 20, round(north / 20) * 20
    other = scene(folder, "other", numbers, scl[:768, :768], west=x, north=y, epsg=32634)
    return [
        replace(
            own if day % 2 else other,
            id=f"s{day}",
            datatake=f"GS2A_2023{1 + day // 28:02d}{1 + day % 28:02d}T100031_042590",
            sensed=datetime(2023, 1 + day // 28, 1 + day % 28, 10, tzinfo=UTC),
        )
        for day in range(40)
    ]


def test_a_composite_of_forty_scenes_stays_under_the_planned_memory(tmp_path: Path):
    before, most = memory_of(_observe, forty_scenes(tmp_path))
    planned = planned_bytes(BOX, len(BANDS))
    assert most - before < planned
    assert most - before > planned / 3  # else nothing was held, and nothing is shown
    forty_observations = 40 * 4 * len(BANDS) * BOX.shape[0] * BOX.shape[1]
    assert planned < forty_observations


def _observe(scenes: list[Scene], ready: Any, go: Any) -> None:  # noqa: ANN401 events of a context
    small = replace(BOX, row_stop=BOX.row_start + 64, col_stop=BOX.col_start + 64)
    observe(scenes[:2], LATTICE, small, BANDS, CompositeConfig())
    ready.set()
    go.wait()
    image = observe(scenes, LATTICE, BOX, BANDS, CompositeConfig())
    assert image.clear_count.max() > 30


def test_a_scan_of_ten_times_the_blocks_takes_no_more_memory(tmp_path: Path):
    checkpoint = untrained(tmp_path / "checkpoint.safetensors", BANDS)
    peaks: dict[int, int] = {}
    with serve([wide_item(tmp_path)], [COLLECTION]) as url:
        # The fewer are enough for Ray to start every process it will: it starts readers while it has work for them.
        for rows, columns in ((3, 6), (9, 20)):
            run = tmp_path / f"run{columns}"
            settings = configured((url, tmp_path), checkpoint, run, **SETTINGS)
            settings["region"] = {"file": region_file(tmp_path, rows, columns)}
            _, most = memory_of(_scan, settings)
            peaks[json.loads((run / "run.json").read_text())["units"]] = most
    assert peaks.keys() == {18, 180}
    assert peaks[180] < 1.1 * peaks[18], peaks


def _scan(settings: dict[str, Any], ready: Any, go: Any) -> None:  # noqa: ANN401 events of a context
    ready.set()
    go.wait()
    summary = scan(parse(ScanConfig, settings), load=one_band_model())
    assert summary.complete
    assert summary.written == summary.units


def wide_item(folder: Path) -> dict[str, Any]:
    """A scene of 102 km by 46 km of noise."""
    rows, cols = 9 * 512, 20 * 512
    generator = np.random.default_rng(0)
    pixels = {band: generator.integers(1001, 9999, (rows, cols)).astype(np.uint16) for band in BANDS}
    pixels["scl"] = np.full((rows, cols), 4, np.uint8)
    assets = {band: cog(folder / f"wide-{band}.tif", values, west=WEST, north=NORTH) for band, values in pixels.items()}
    return item("wide", assets=assets, bounds=(WEST, NORTH - rows * 10, WEST + cols * 10, NORTH))


def region_file(folder: Path, rows: int, columns: int) -> str:
    """So many rows and columns of blocks, but for their rim."""
    bounds = (WEST + RIM, NORTH - rows * BLOCK + RIM, WEST + columns * BLOCK - RIM, NORTH - RIM)
    ground = project(shapely.segmentize(shapely.box(*bounds), 1000), 32633, 4326)
    path = folder / f"region{columns}.geojson"
    path.write_text(json.dumps({"type": "Feature", "properties": {}, "geometry": shapely.geometry.mapping(ground)}))
    return str(path)


def memory_of(work: Callable[..., None], argument: Any) -> tuple[int, int]:  # noqa: ANN401 passed on
    """Bytes of a process that does `work` and of all it starts: when it is ready, and at most from then on."""
    ready, go = SPAWN.Event(), SPAWN.Event()
    process = SPAWN.Process(target=work, args=(argument, ready, go))
    process.start()
    assert ready.wait(120)
    before = most = held_by(process.pid)
    go.set()
    while process.is_alive():
        most = max(most, held_by(process.pid))
        process.join(0.3)
    assert process.exitcode == 0
    return before, most


def held_by(pid: int | None) -> int:
    """Proportional set size of a process and its descendants: shared pages are counted once."""
    total = 0
    try:
        family = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    except psutil.NoSuchProcess:
        return 0
    for one in family:
        try:
            total += one.memory_full_info().pss
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue  # it has just ended
    return total
