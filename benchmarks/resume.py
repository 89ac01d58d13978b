"""What resuming a complete scan takes, as a share of the scan, in one process and one run.

Made scenes of noise on local disk, behind a real STAC server; LandslideNet with random weights; Ray on this machine.
Both are the function behind ``landslide-scale scan``; what Python takes to start and to import is in neither.
"""

from __future__ import annotations

import argparse
import platform
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from pyproj import Transformer

from landslide_scale.cards.card import ModelCard
from landslide_scale.demo.satellite.items import COLLECTION, make_collection
from landslide_scale.demo.satellite.stac_server import serve
from landslide_scale.model import build
from landslide_scale.model.checkpoint import random_weights, save
from landslide_scale.reading.raster import write_cog
from landslide_scale.scan.pipeline.engine import scan
from landslide_scale.scan.settings import ScanConfig
from landslide_scale.spec import InputSpec, LandslideNetSpec
from landslide_scale.strictyaml import parse

if TYPE_CHECKING:
    from numpy.typing import NDArray

WEST, NORTH = 500_000, 5_100_000
BANDS = ("red", "green", "blue")


def degrees(side: int) -> tuple[float, float, float, float]:
    """West, south, east, north of a square of `side` pixels of 10 m."""
    to_degrees = Transformer.from_crs(32633, 4326, always_xy=True)
    return to_degrees.transform_bounds(WEST, NORTH - 10 * side, WEST + 10 * side, NORTH)


def make_item(folder: Path, day: int, side: int) -> dict[str, Any]:
    """A scene of `side` x `side` pixels as files, and its Item."""
    generator = np.random.default_rng(day)
    values: dict[str, NDArray[np.uint16] | NDArray[np.uint8]] = {
        band: generator.integers(1100, 9000, (side, side)).astype(np.uint16) for band in BANDS
    }
    values["scl"] = np.full((side, side), 4, np.uint8)
    for band, pixels in values.items():
        transform = (10.0, 0.0, float(WEST), 0.0, -10.0, float(NORTH))
        write_cog(folder / f"{day}-{band}.tif", pixels, epsg=32633, transform=transform, nodata=0)
    west, south, east, north = degrees(side)
    ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
    stamp = f"2023-08-{day:02d}T10:00:00Z"
    return {
        "type": "Feature",
        "stac_version": "1.0.0",
        "id": f"made-{day}",
        "collection": COLLECTION,
        "geometry": {"type": "Polygon", "coordinates": [ring]},
        "bbox": [west, south, east, north],
        "properties": {
            "datetime": stamp,
            "proj:epsg": 32633,
            "proj:bbox": [WEST, NORTH - 10 * side, WEST + 10 * side, NORTH],
            "grid:code": "MGRS-33TWM",
            "s2:processing_baseline": "05.09",
            "s2:datatake_id": f"GS2A_202308{day:02d}T100000_040000_N05.09",
            "s2:datastrip_id": f"S2A_DS_{day}",
            "s2:generation_time": stamp,
            "eo:cloud_cover": 0.0,
        },
        "assets": {band: {"href": str(folder / f"{day}-{band}.tif")} for band in values},
        "links": [],
    }


def checkpoint(path: Path) -> str:
    """A LandslideNet with random weights."""
    model = LandslideNetSpec(sam="vit_t", bands=BANDS)
    inputs = InputSpec.for_bands("boa", BANDS)
    card = ModelCard(model=model, inputs=inputs, base=random_weights(model, 0))
    save(str(path), build(model, inputs, base=None, seed=0), card)
    return str(path)


def settings(folder: Path, url: str, side: int) -> ScanConfig:
    """A scan of the middle of the scenes."""
    west, south, east, north = degrees(side)
    rim_x, rim_y = (east - west) / 10, (north - south) / 10
    return parse(
        ScanConfig,
        {
            "region": {"bbox": [west + rim_x, south + rim_y, east - rim_x, north - rim_y]},
            "windows": [{"start": "2023-08-01", "end": "2023-09-01"}],
            "catalog": {"url": url, "profile": "plain", "collection": COLLECTION, "allowed_roots": [str(folder)]},
            "grid": {"block": 256, "chunk": 128},
            "model": {"checkpoint": checkpoint(folder / "checkpoint.safetensors")},
            "output": {"run": str(folder / "run")},
        },
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--side", type=int, default=1600, help="of the scenes, in pixels of 10 m")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        items = [make_item(folder, day, asked.side) for day in (3, 8, 13)]
        with serve(
            items, [make_collection(degrees(asked.side), "2023-08-01T00:00:00Z", "2023-09-01T00:00:00Z")]
        ) as url:
            config = settings(folder, url, asked.side)
            began = time.perf_counter()
            first = scan(config)
            whole = time.perf_counter() - began
        began = time.perf_counter()
        again = scan(config, resume=True)
        resumed = time.perf_counter() - began
    if not (first.complete and again.complete):
        raise SystemExit("the scan is not complete: its time says nothing")
    print(f"{first.units} units, {first.km2:,.0f} km2, Python {platform.python_version()}, CPU\n")
    print("| | seconds | share |\n|---|---|---|")
    print(f"| scan | {whole:.1f} | 100 % |\n| resumed, nothing to do | {resumed:.2f} | {resumed / whole:.1%} |")


if __name__ == "__main__":
    main()
