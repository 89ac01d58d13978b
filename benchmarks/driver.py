"""What a scan's driver costs a unit: memory and time of planning, of carrying units, and of resuming a complete run.

Everything is the driver's own: Items from a file, plan, layout, ledger, summary. Only the workers are imagined: a unit
put onto the belt has ended at once, made of the scenes that it was planned with, and its record is as long as a real
one. What the workers would do is not counted as the driver's time; Ray, which would carry rows and records, is not
there.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import platform
import subprocess
import sys
import tempfile
import time
from collections import deque
from contextlib import contextmanager
from datetime import date, timedelta
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pyproj import Transformer

from landslide_scale.cube.record import Record
from landslide_scale.demo.satellite.items import COLLECTION
from landslide_scale.scan import driver
from landslide_scale.scan.plan import WorkUnit
from landslide_scale.scan.prepared import prepare
from landslide_scale.scan.settings import ScanConfig
from landslide_scale.scan.work import made_of
from landslide_scale.stac.frozen import frozen
from landslide_scale.strictyaml import parse

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from landslide_scale.scan.rounds import Belt
    from landslide_scale.scan.work import Row, Task

TILE_M, STEP_M = 109_800, 100_000
BANDS = ("red", "nir")
OTHERS = tuple(f"other{number}" for number in range(27))
"""Assets of an Item that a scan does not read; Earth Search's have thirty in all."""
ROWS = "CDEFGHJKLMNPQRSTUVWX"
"""Letters that any part of a tile's name may have."""
BLOCK = 512
FIRST_ZONE, SOUTH = 32, 40.0
FIRST = date(2021, 1, 1)
WINDOWS, WINDOW_DAYS = 5, 30
STEPS = ("plan", "scan", "resume", "ended")
"""To resume is to go through a complete run as if something of it were to be done; `ended` is what is done instead."""
MEASURED = "measured.jsonl"
"""In the folder: what `driver_figure.py` draws."""
VARIABLES = ("probability", "reason", "clear_count", "observed_on", "red", "nir")


def boxes(zones: int, height: float) -> Iterator[tuple[int, float, float]]:
    """EPSG code, west and north of each tile."""
    for zone in range(FIRST_ZONE, FIRST_ZONE + zones):
        to_metres = Transformer.from_crs(4326, 32600 + zone, always_xy=True)
        middle = 6.0 * zone - 183.0
        west, south, east, north = to_metres.transform_bounds(middle - 3, SOUTH, middle + 3, SOUTH + height)
        for left in range(int(west), int(east), STEP_M):
            for top in range(int(north) + STEP_M // 2, int(south), -STEP_M):
                yield 32600 + zone, float(left), float(top)


def items(zones: int, height: float, scenes: int) -> Iterator[dict[str, Any]]:
    """Items, `scenes` of each tile and window."""
    for number, (epsg, left, top) in enumerate(boxes(zones, height)):
        to_degrees = Transformer.from_crs(epsg, 4326, always_xy=True)
        west, south, east, north = to_degrees.transform_bounds(left, top - TILE_M, left + TILE_M, top)
        ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
        name = f"{epsg - 32600}{ROWS[number // 400 % 20]}{ROWS[number // 20 % 20]}{ROWS[number % 20]}"
        for window in range(WINDOWS):
            for scene in range(scenes):
                day = FIRST + timedelta(days=window * WINDOW_DAYS + scene % WINDOW_DAYS)
                stamp = f"{day}T10:{scene // WINDOW_DAYS:02d}:00Z"
                own = f"S2A_{name}_{day:%Y%m%d}_{scene // WINDOW_DAYS}_L2A"
                where = f"https://sentinel-cogs.example/sentinel-s2-l2a-cogs/{name}/{day:%Y/%m}/{own}"
                yield {
                    "type": "Feature",
                    "stac_version": "1.0.0",
                    "id": own,
                    "collection": COLLECTION,
                    "geometry": {"type": "Polygon", "coordinates": [ring]},
                    "bbox": [west, south, east, north],
                    "properties": {
                        "datetime": stamp,
                        "proj:epsg": epsg,
                        "proj:bbox": [left, top - TILE_M, left + TILE_M, top],
                        "grid:code": f"MGRS-{name}",
                        "s2:processing_baseline": "03.01",
                        "s2:datatake_id": f"GS2A_{day:%Y%m%d}T10{scene // WINDOW_DAYS:02d}00_040000_N03.01",
                        "s2:datastrip_id": f"S2A_DS_{own}",
                        "s2:generation_time": stamp,
                        "eo:cloud_cover": 0.0,
                    },
                    "assets": {
                        band: {
                            "href": f"{where}/{band}.tif",
                            "type": "image/tiff; application=geotiff; profile=cloud-optimized",
                            "roles": ["data", "reflectance"],
                            "proj:shape": [10980, 10980],
                            "proj:transform": [10, 0, int(left), 0, -10, int(top)],
                            "raster:bands": [{"nodata": 0, "data_type": "uint16", "scale": 0.0001, "offset": 0}],
                        }
                        for band in (*BANDS, "scl", *OTHERS)
                    },
                    "links": [],
                }


def settings(folder: Path, zones: int, height: float) -> ScanConfig:
    """A scan of all of the ground, without a network."""
    west = 6.0 * FIRST_ZONE - 186.0
    windows = [FIRST + timedelta(days=number * WINDOW_DAYS) for number in range(WINDOWS + 1)]
    return parse(
        ScanConfig,
        {
            "region": {"bbox": [west, SOUTH, west + 6.0 * zones, SOUTH + height]},
            "windows": [{"start": str(start), "end": str(end)} for start, end in pairwise(windows)],
            "catalog": {
                "items": str(folder / "items.parquet"),
                "profile": "plain",
                "collection": COLLECTION,
                "allowed_hosts": ["sentinel-cogs.example"],
            },
            "grid": {"block": BLOCK, "chunk": BLOCK // 2},
            "model": "none",
            "output": {"run": str(folder / "run"), "keep": list(BANDS)},
        },
    )


def imagined(unit: WorkUnit) -> Record:
    """What would be said of a unit, every number of it made up."""
    digest = hashlib.sha256(unit.id.encode()).hexdigest()
    share = int(digest[:8], 16) / 2**32
    return Record(
        unit=unit.id,
        state="written",
        scenes=made_of(unit, [], []),
        km2=26.2144,
        clear_fraction=1.0,
        landslide_km2=None,
        histogram=tuple(int(digest[place : place + 4], 16) for place in range(20)),
        sha256=digest,
        stored={name: {"bytes": int(digest[:5], 16), "sha256": digest} for name in VARIABLES},
        seconds={"read": 8 * share, "wait": share, "predict": 3 * share, "write": share / 3},
        computed={"precision": "float32", "device": "x86_64 AVX2", "threads": 2, "torch": "2.15.0"},
    )


class Imagined:
    """A belt without workers: what is put onto it has ended."""

    def __init__(self) -> None:
        self._ended, self.units, self.seconds = deque[str](), 0, 0.0

    def put(self, rows: Sequence[Row]) -> None:
        """End units, empty; the time that it takes is that of workers."""
        begun = time.process_time()
        for row in rows:
            unit = WorkUnit.from_json(row["unit"])
            self._ended.append(imagined(unit).to_json())
        self.units += len(rows)
        self.seconds += time.process_time() - begun

    def next(self) -> Record:
        """As of Ray: the text of a record crosses processes."""
        return Record.from_json(self._ended.popleft())


@contextmanager
def nobody(task: Task, belt: Imagined) -> Iterator[Belt]:
    """An engine."""
    del task
    yield belt


def resident(what: str = "VmRSS") -> int:
    """Bytes that this process has in memory now, or had at most (``VmHWM``): of itself, not of who started it."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{what}:"):
            return int(line.split()[1]) * 1024
    raise SystemExit("the system does not say what memory a process has")


def measured(folder: Path, zones: int, height: float, step: str) -> dict[str, float]:
    """One step, in a process of its own."""
    config, before, begun = settings(folder, zones, height), resident(), time.process_time()
    belt = Imagined()
    if step == "plan":
        units = len(prepare(config).survey.plan.units)
    else:
        ended = driver.ended(config) if step == "ended" else None
        engine = partial(nobody, belt=belt)
        summary = ended or driver.begin(config, engine, resume=step != "scan", progress=lambda _: None)
        units = summary.units
    return {
        "units": units,
        "carried": belt.units,
        "seconds": time.process_time() - begun - belt.seconds,
        "held": resident() - before,
        "most": resident("VmHWM") - before,
    }


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--zones", type=int, default=1, help="of six degrees; about 100,000 units each, 10 degrees high"
    )
    parser.add_argument("--height", type=float, default=1.0, help="degrees, to 10")
    parser.add_argument("--scenes", type=int, default=20, help="of each tile and window")
    parser.add_argument("--folder", type=Path, help="where all is kept; by default nothing is")
    parser.add_argument("--step", choices=STEPS, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.step:
        print(json.dumps(measured(asked.folder, asked.zones, asked.height, asked.step)))
        return
    with tempfile.TemporaryDirectory() as name:
        folder = asked.folder or Path(name)
        folder.mkdir(parents=True, exist_ok=True)
        if not (folder / "items.parquet").exists():
            (folder / "items.parquet").write_bytes(frozen(items(asked.zones, asked.height, asked.scenes)))
        print(f"{asked.scenes} scenes a tile and window, Python {platform.python_version()}\n")
        print("| step | units | seconds | ms a unit | GiB at its end | GiB at most | kB a unit at most |")
        print("|---|---|---|---|---|---|---|")
        for step in STEPS:
            own = [f"--zones={asked.zones}", f"--height={asked.height}", f"--step={step}", f"--folder={folder}"]
            done = subprocess.run(  # noqa: S603 this file
                [sys.executable, __file__, *own], check=True, stdout=subprocess.PIPE, text=True
            )
            found = json.loads(done.stdout)
            with (folder / MEASURED).open("a", encoding="utf-8") as kept:
                kept.write(json.dumps({"step": step, **found}) + "\n")
            units = found["units"]
            print(
                f"| {step} | {units:,.0f} | {found['seconds']:.1f} | {1e3 * found['seconds'] / units:.2f} | "
                f"{found['held'] / 2**30:.2f} | {found['most'] / 2**30:.2f} | {found['most'] / units / 1e3:.1f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
