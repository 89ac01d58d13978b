"""What a notebook does today beside a whole scan: pixels a second from command to end, peak memory, and each step.

Made scenes and random weights: no place and no landslide is in them, and speed does not depend on that. Every way is a
process of its own over the same ground, scenes, checkpoint and patches, float32: this package's `scan`, and those of
`peer_ways.py`, which need odc-stac, TorchGeo and TerraTorch beside this package: in the interpreter that `--python`
names. How alike the maps are is printed too, so that nobody is fast by doing something else.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from urllib.request import urlopen

import numpy as np
import psutil
import rasterio
import reading
import shapely
import torch
import yaml
import zarr
from peer_ways import BANDS, NOTHING, STEP, WAYS, Job

from landslide_scale.cards.card import BaseWeights, ModelCard
from landslide_scale.grid import Lattice, PixelBox, Zone, project
from landslide_scale.model import build, random_base
from landslide_scale.model.checkpoint import save
from landslide_scale.spec import InputSpec, LandslideNetSpec, SamSize

if TYPE_CHECKING:
    from landslide_scale.scene import Scene

HERE = Path(__file__).resolve().parent
OURS = "landslide-scale"
BLOCK, INSIDE = 2048, 304
TOP, LEFT = 1858 + INSIDE, 964 + INSIDE
"""Pixels from the tile's corner to the ground's, which begins `INSIDE` a block on both axes: whole tokens of the
encoder, whose grid a network of random weights prints on its map, so that all ways have the same one."""
SAMPLE_S = 5.0
"""Between two looks at memory, which cost a way of a dozen processes most: at 0.2 s a scan took 12 to 36 s longer."""
READER = 0.25
"""Cores of a reader and of a writer; the predictor has the rest, and all threads, for it is the last to be busy."""
COLUMNS = ("way", "where", "px/s", "s", "start and rest", "read", "predict", "write", "peak MiB (PSS)", "requests")
LATTICE = Lattice(zone=Zone.utm(33, southern=False), resolution=10, block=BLOCK)


def tile_side(side: int) -> int:
    """Pixels of a made tile: there are scenes wherever a block of the default size has ground."""
    needed = TOP - INSIDE + BLOCK * -(-(INSIDE + side) // BLOCK)
    return max(reading.SIDE, -(-needed // 128) * 128)


def box(side: int) -> PixelBox:
    """The ground that is mapped."""
    x0, y0 = LATTICE.zone.origin
    row, col = round((y0 - reading.NORTH) / 10) + TOP, round((reading.WEST - x0) / 10) + LEFT
    return PixelBox(row_start=row, row_stop=row + side, col_start=col, col_stop=col + side)


def item(scene: Scene, side: int) -> dict[str, Any]:
    """A made scene as a catalogue says it."""
    footprint = shapely.box(*project(shapely.box(*scene.bounds), scene.epsg, 4326).bounds)
    assets = {}
    for asset, href in scene.assets:
        metres = 20 if asset == "scl" else 10
        corner = [float(metres), 0.0, reading.WEST, 0.0, -float(metres), reading.NORTH]
        name = dict(zip(reading.BANDS, reversed(BANDS), strict=True)).get(asset, asset)
        assets[name] = {"href": href, "proj:shape": [side * 10 // metres] * 2, "proj:transform": corner}
    return {
        "type": "Feature",
        "stac_version": "1.0.0",
        "id": scene.id,
        "collection": "made",
        "geometry": shapely.geometry.mapping(footprint),
        "bbox": list(footprint.bounds),
        "properties": {
            "datetime": scene.sensed.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "proj:epsg": scene.epsg,
            "grid:code": f"MGRS-{scene.tile}",
            "s2:processing_baseline": "05.09",
            "s2:datatake_id": f"{scene.datatake}_N05.09",
            "s2:datastrip_id": f"S2A_DS_{scene.id}",
            "s2:generation_time": "2023-08-01T15:00:00Z",
            "eo:cloud_cover": scene.cloud_cover,
        },
        "assets": assets,
        "links": [],
    }


def catalogue(path: Path, root: str, datatakes: int, side: int) -> str:
    """A file of Items whose assets are at an address."""
    features = [item(scene, side) for scene in reading.scenes(root, datatakes, side)]
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    return str(path)


def weights(folder: Path, size: SamSize, patch: int) -> tuple[str, str]:
    """Files of a network of random weights and of its base.

    It scales numbers by what made scenes hold, as training does, its probabilities there are spread over 0 to 1, and
    positions are embedded as nothing: else its map would show where patches lie, and not what is in them.
    """
    base, checkpoint = folder / f"{size}.pth", folder / f"{size}.safetensors"
    state = random_base(size, 0)
    for name, tensor in state.items():
        if name.endswith(("pos_embed", "gaussian_matrix")):
            tensor.zero_()
    torch.save(state, base)
    spec, window = LandslideNetSpec(sam=size, upsample=1), rasterio.windows.Window(LEFT, TOP, patch, patch)
    bands = []
    for name in reversed(reading.BANDS):
        with rasterio.open(folder / f"0-{name}.tif") as file:
            bands.append(file.read(1, window=window).astype(np.float32) / 10_000)
    inputs = InputSpec.for_bands("boa", spec.bands)
    mean, std = (tuple(float(figure(band)) * inputs.gain for band in bands) for figure in (np.mean, np.std))
    net = build(spec, replace(inputs, mean=mean, std=std), base=state).eval()
    with torch.inference_mode():
        logits = net(torch.from_numpy(np.stack(bands)[None]))
    sha256 = hashlib.sha256(base.read_bytes()).hexdigest()
    card = ModelCard(
        model=spec,
        inputs=net.inputs,
        bias=-float(logits.median()),
        temperature=float(logits.std()),
        base=BaseWeights(source=str(base), sha256=sha256),
    )
    save(str(checkpoint), net, card)
    return str(checkpoint), str(base)


def region(path: Path, side: int) -> str:
    """A file of the ground as a polygon, which goes through no pixel's centre."""
    ground = shapely.geometry.mapping(LATTICE.outline(box(side)))
    path.write_text(json.dumps({"type": "Feature", "properties": {}, "geometry": ground}))
    return str(path)


def configuration(asked: argparse.Namespace, job: Job, root: str) -> dict[str, Any]:
    """Of a scan like the other ways: no cloud is grown and no edge cut off, as none of them does."""
    cores = os.cpu_count() or 1
    place = {"allowed_roots": [root]} if not root.startswith("http") else {"allowed_hosts": [urlsplit(root).netloc]}
    return {
        "region": {"file": region(Path(job.scratch) / "region.geojson", job.side)},
        "windows": [{"start": "2020-01-01", "end": "2024-01-01"}],
        "catalog": {"items": job.items, "profile": "plain", "collection": "made", "offset": "removed", **place},
        "grid": {"resolution": job.metres, "block": asked.block, "chunk": min(512, asked.block)},
        "composite": {"method": "median", "dilate_m": 0, "edge_m": 0},
        "model": {"checkpoint": job.checkpoint, "base_weights": job.base},
        "predict": {"patch": job.patch, "halo": job.halo, "batch": job.batch, "precision": asked.precision},
        "compute": {"cpus_per_predictor": cores - 2 * READER, "cpus_per_reader": READER},
        "output": {"run": job.out},
    }


@dataclass(frozen=True, kw_only=True)
class Ran:
    """A process and all that it started, to its end."""

    wall: float
    peak: float
    out: str


def memory(process: psutil.Process) -> int:
    """Bytes in memory, of pages that several processes share their part; 0 of one that has ended."""
    try:
        full = process.memory_full_info()
        return int(getattr(full, "pss", full.rss))
    except psutil.Error:
        return 0


def ran(command: list[str]) -> Ran:
    """Run it, and look at its memory every so often."""
    begun, peak = time.perf_counter(), 0
    tree = os.pathsep.join([str(HERE.parent), str(HERE)])
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(  # noqa: S603 our own files
            command, stdout=out, stderr=errors, env=os.environ | {"PYTHONPATH": tree}
        )
        root = psutil.Process(process.pid)
        while process.poll() is None:
            try:
                peak = max(peak, sum(map(memory, [root, *root.children(recursive=True)])))
            except psutil.Error:
                break
            time.sleep(SAMPLE_S)
        wall = time.perf_counter() - begun
        out.seek(0)
        errors.seek(0)
        if process.wait():
            sys.exit(f"{command}:\n{errors.read().decode()[-4000:]}")
        return Ran(wall=wall, peak=peak / 2**20, out=out.read().decode())


def ours(asked: argparse.Namespace, job: Job, root: str) -> dict[str, Any]:
    """A scan, as a command: what units took is in its run.json; the rest is Ray's start, workers' and the end."""
    path = Path(job.scratch) / "scan.yaml"
    path.write_text(yaml.safe_dump(configuration(asked, job, root)))
    found = ran([sys.executable, "-m", "landslide_scale", "scan", "--config", str(path)])
    took = json.loads((Path(job.out) / "run.json").read_text())["took"]
    return {"wall": found.wall, "peak": found.peak} | {name: took[f"{name}_s"] for name in ("read", "predict", "write")}


def theirs(asked: argparse.Namespace, way: str, job: Job) -> dict[str, Any]:
    """Another way."""
    found = ran([asked.python, str(HERE / "peer_ways.py"), way, json.dumps(asdict(job))])
    return {"wall": found.wall, "peak": found.peak} | json.loads(found.out.strip().splitlines()[-1])


def mapped(way: str, job: Job) -> np.ndarray[Any, Any]:
    """Probabilities (H, W) that a way has stored, NaN where nothing was seen."""
    if way == OURS:
        group = zarr.open_group(f"{job.out}/cube.zarr/{LATTICE.zone.group}", mode="r")
        x, y = (np.asarray(group[axis]) for axis in ("x", "y"))
        rows, cols = np.searchsorted(-y, -job.north), np.searchsorted(x, job.west)
        numbers = np.asarray(group["probability"][0, rows : rows + job.side, cols : cols + job.side])
    else:
        numbers = np.asarray(zarr.open_group(job.out, mode="r")["probability"])
    return np.where(numbers == NOTHING, np.nan, numbers * STEP)


def likeness(one: np.ndarray[Any, Any], other: np.ndarray[Any, Any]) -> str:
    """How alike two maps are where both have seen something."""
    both = np.isfinite(one) & np.isfinite(other)
    share = both.sum() / max((np.isfinite(one) | np.isfinite(other)).sum(), 1)
    apart, correlation = np.abs(one - other)[both].mean(), np.corrcoef(one[both], other[both])[0, 1]
    return f"correlation {correlation:.3f}, mean difference {apart:.4f}, both have {share:.1%} of what either has"


def measured(asked: argparse.Namespace, folder: Path, root: str, way: str) -> tuple[dict[str, Any], Any]:
    """One way, once, and its map."""
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        west, _, _, north = LATTICE.bounds(box(asked.side))
        side = tile_side(asked.side)
        job = Job(
            items=catalogue(Path(scratch) / "items.json", root, asked.datatakes, side),
            checkpoint=str(folder / f"{asked.sam}.safetensors"),
            base=str(folder / f"{asked.sam}.pth"),
            out=f"{scratch}/out",
            scratch=scratch,
            epsg=LATTICE.zone.epsg,
            west=west,
            north=north,
            metres=LATTICE.resolution,
            **{name: getattr(asked, name) for name in ("side", "patch", "halo", "batch")},
        )
        found = ours(asked, job, root) if way == OURS else theirs(asked, way, job)
        return found, None if "lacking" in found else mapped(way, job)


def row(way: str, where: str, each: list[dict[str, Any]], side: int) -> str:
    """Of the table: medians."""
    if "lacking" in each[0]:
        return f"| {way} | {where} | not installed |{' |' * 7}"
    middle = {name: statistics.median(one[name] for one in each) for name in each[0] if name != "versions"}
    rest = middle["wall"] - middle["read"] - middle["predict"] - middle["write"]
    seconds = [middle["wall"], rest, middle["read"], middle["predict"], middle["write"]]
    of_net = f"{middle['requests']:.0f}" if "requests" in middle else ""
    cells = [f"{side**2 / middle['wall']:,.0f}", *(f"{one:.1f}" for one in seconds), f"{middle['peak']:,.0f}", of_net]
    return f"| {way} | {where} | {' | '.join(cells)} |"


def compare(folder: Path, asked: argparse.Namespace) -> None:
    """Let the ways take turns, and print the table."""
    ways = [OURS, *WAYS] if not asked.ways else asked.ways
    found: dict[tuple[str, str], list[dict[str, Any]]] = {}
    maps: dict[str, Any] = {}
    with reading.served(folder) as address:
        places: dict[str, tuple[str, int | None]] = {"disk": (str(folder), None)}
        places |= {f"{delay} ms": (address, delay) for delay in asked.delays}
        for _ in range(asked.rounds):
            for (where, (root, delay)), way in ((place, way) for place in places.items() for way in ways):
                if delay is not None:
                    urlopen(f"{address}/set/{delay}").read()  # noqa: S310 our own server
                one, seen = measured(asked, folder, root, way)
                if delay is not None:
                    one |= json.loads(urlopen(f"{address}/count").read())  # noqa: S310 our own server
                found.setdefault((way, where), []).append(one)
                print(f"{way}, {where}: {one.get('wall', 0):.1f} s", file=sys.stderr, flush=True)
                maps[way] = seen
    _print(asked, found, maps)


def _print(asked: argparse.Namespace, found: dict[tuple[str, str], list[dict[str, Any]]], maps: dict[str, Any]) -> None:
    processor = platform.processor() or platform.machine()
    print(
        f"{processor}, {os.cpu_count()} cores, Python {platform.python_version()}; made scenes, random weights: ",
        end="",
    )
    print(
        f"{asked.datatakes} datatakes, {asked.side} x {asked.side} px, {asked.sam}, patches of {asked.patch} px with ",
        end="",
    )
    print(f"a halo of {asked.halo}, batches of {asked.batch}, blocks of {asked.block}; median of {asked.rounds} rounds")
    versions = next((one["versions"] for each in found.values() for one in each if "versions" in one), {})
    print(f"\n{', '.join(f'{name} {version}' for name, version in versions.items())}\n")
    print(f"| {' | '.join(COLUMNS)} |\n|{'---|' * len(COLUMNS)}")
    for (way, where), each in found.items():
        print(row(way, where, each, asked.side))
    print()
    for way, seen in maps.items():
        if way != OURS and seen is not None and maps.get(OURS) is not None:
            print(f"{way} and {OURS}: {likeness(seen, maps[OURS])}")


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--python", default=sys.executable, help="interpreter that has the others' libraries")
    parser.add_argument("--ways", nargs="*", choices=[OURS, *WAYS], help="by default all")
    parser.add_argument("--side", type=int, default=512, help="pixels of the ground; of a good machine 4096")
    parser.add_argument("--datatakes", type=int, default=5)
    parser.add_argument("--sam", default="vit_b", help="size of the network")
    parser.add_argument("--patch", type=int, default=448)
    parser.add_argument("--halo", type=int, default=16)
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--precision", default="float32", help="of a scan alone; auto is what it does by default")
    parser.add_argument("--block", type=int, default=BLOCK, help="of a scan")
    parser.add_argument("--delays", type=int, nargs="*", default=[30, 100], help="milliseconds before each answer")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--folder", type=Path, help="of made scenes and weights, found there or made")
    asked = parser.parse_args()
    if asked.side < asked.patch:
        parser.error(f"--side {asked.side}: at least a patch, {asked.patch}")
    with tempfile.TemporaryDirectory() as scratch:
        folder = (asked.folder or Path(scratch)).resolve()
        folder.mkdir(parents=True, exist_ok=True)
        if not (folder / f"{asked.datatakes - 1}-scl.tif").exists():
            reading.make(folder, asked.datatakes, tile_side(asked.side))
        if not (folder / f"{asked.sam}.safetensors").exists():
            weights(folder, asked.sam, asked.patch)
        compare(folder, asked)


if __name__ == "__main__":
    main()
