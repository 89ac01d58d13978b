"""What it takes to keep a unit, shards and record, with fsync and without; on a local disk, and on moto's S3.

Units are noise of a block each, written one after the other by the function that a scan's writers call, into a cube
that a driver laid out. A store that answers at once says what this package costs; a real one adds its own.
Beside it, what whole scans of the demo's made east spend in fsync, without a network, in one process: scenes are read,
composites and records kept, which is the least that a scan does for a unit.
"""

from __future__ import annotations

import argparse
import os
import platform
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from unittest.mock import patch

import numpy as np
import s3fs

from landslide_scale.bands import Reason
from landslide_scale.cube import arrays, template
from landslide_scale.cube.arrays import Layer, Slot
from landslide_scale.cube.ledger import Ledger
from landslide_scale.cube.record import Record
from landslide_scale.cube.settings import GridConfig
from landslide_scale.demo.recipe import scan_settings
from landslide_scale.demo.run import made_world
from landslide_scale.demo.world import World, catalog_server
from landslide_scale.grid import Lattice, PixelBox, Zone
from landslide_scale.scan import driver, work
from landslide_scale.scan.layout import CUBE
from landslide_scale.scan.rounds import Belt, Passes
from landslide_scale.scan.settings import ScanConfig
from landslide_scale.scan.work import Row, Task
from landslide_scale.scene import Window
from landslide_scale.storage.rundir import RunDirectory
from landslide_scale.strictyaml import parse

WINDOW = {"start": "2023-08-01T00:00:00+00:00", "end": "2023-09-01T00:00:00+00:00"}


def layer(side: int, seed: int) -> Layer:
    """A unit that compresses about as badly as any."""
    values = np.random.default_rng(seed)
    return Layer(
        probability=values.integers(0, 251, (side, side)).astype(np.uint8),
        clear_count=values.integers(1, 9, (side, side)).astype(np.uint8),
        observed_on=values.integers(19_000, 19_030, (side, side)).astype(np.uint16),
        reason=np.full((side, side), Reason.OBSERVED, np.uint8),
    )


def units_per_second(url: str, side: int, units: int, *, sharded: bool) -> float:
    """How many units are kept in a second, shards and records."""
    lattice = Lattice(zone=Zone.utm(33, southern=False), resolution=10, block=side)
    extent = PixelBox(row_start=0, row_stop=side, col_start=0, col_stop=side * units)
    run, grid = RunDirectory(url), GridConfig(block=side, chunk=side // 4)
    what = template.Template(
        extents={lattice: extent},
        windows=[Window.recorded(WINDOW)],
        grid=grid,
        sharded=sharded,
        attributes={"title": "made"},
    )
    for name, content in template.expected(what).items():
        run.write(f"{CUBE}/{name}", content)
    made, ledger = [layer(side, seed) for seed in range(4)], Ledger(run)
    begun = time.perf_counter()
    for unit in range(units):
        box = PixelBox(row_start=0, row_stop=side, col_start=unit * side, col_stop=(unit + 1) * side)
        slot = Slot(cube=run.at(CUBE), lattice=lattice, extent=extent, box=box, layer=0)
        stored = arrays.write(slot, made[unit % len(made)])
        ledger.add(Record(unit=f"u{unit}", state="written", stored=stored))
    return units / (time.perf_counter() - begun)


@contextmanager
def read_and_written(task: Task) -> Iterator[Belt]:
    """Units observed and written one after the other."""

    def stream(rows: Sequence[Row]) -> Iterator[Record]:
        for row in rows:
            yield Record.from_json(work.write(work.read(row, task), task)["record"])

    yield Passes(stream)


def scanned(world: World, url: str, *, sharded: bool) -> tuple[int, float]:
    """Units of a whole scan, and its seconds from its plan to its last record."""
    with catalog_server(world) as catalogue:
        settings = scan_settings(world, catalogue, "", url) | {"model": "none"}
        settings["output"]["sharded"] = sharded
        del settings["predict"]
        config = parse(ScanConfig, settings)
        begun = time.perf_counter()
        summary = driver.begin(config, read_and_written, resume=False, progress=lambda _: None)
        return summary.units, time.perf_counter() - begun


@contextmanager
def without_fsync() -> Iterator[None]:
    """Nothing waits for the disk."""
    with patch.object(os, "fsync"):
        yield


@contextmanager
def each_fsync() -> Iterator[list[float]]:
    """Seconds of every one; those of threads at once add up to more than they hold up."""
    real, took = os.fsync, []

    def timed(descriptor: int) -> None:
        begun = time.perf_counter()
        real(descriptor)
        took.append(time.perf_counter() - begun)

    with patch.object(os, "fsync", timed):
        yield took


@contextmanager
def moto() -> Iterator[str]:
    """A bucket of an S3 server on this machine."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    os.environ |= {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "AWS_ACCESS_KEY_ID": "made",
        "AWS_SECRET_ACCESS_KEY": "made",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:  # noqa: S603 our own
        try:
            while socket.socket().connect_ex(("127.0.0.1", port)):
                time.sleep(0.1)
            s3fs.S3FileSystem().mkdir("made")
            yield "s3://made"
        finally:
            server.terminate()


def table(what: Callable[[str, bool], float], places: Mapping[str, str], rounds: int) -> Iterator[str]:
    """Units per second with fsync and without, in turn.

    Args:
        what: Measured below an address that is used once, in shards or chunks.
        places: Where, by name.
        rounds: Each way.
    """
    yield "| where | stored as | with fsync, units/s | without | price of a unit |\n|---|---|---|---|---|"
    ways: dict[str, Callable[[], AbstractContextManager[None]]] = {"with": nullcontext, "without": without_fsync}
    for where, root in places.items():
        for stored in ("shards", "chunks"):
            found: dict[str, list[float]] = {way: [] for way in ways}
            for number in range(rounds):
                for way, around in ways.items():
                    with around():
                        found[way].append(what(f"{root}/{stored}-{way}-{number}", stored == "shards"))
            kept, fast = (float(np.median(rates)) for rates in found.values())
            price = f"{1000 / kept - 1000 / fast:+.1f} ms, {fast / kept - 1:+.1%}"
            yield f"| {where} | {stored} | {kept:.1f} | {fast:.1f} | {price} |"


def price_in_scans(world: World, root: str, rounds: int) -> Iterator[str]:
    """What is spent in fsync of a whole scan: of its units' own and of what it is begun and ended with.

    It is looked at by the calls: two scans of which one does not sync differ by more for other reasons.
    """
    yield "| stored as | units | fsyncs a unit | in them, ms a unit | of the scan's time |\n|---|---|---|---|---|"
    for stored in ("shards", "chunks"):
        found: list[tuple[float, ...]] = []
        for number in range(rounds):
            with each_fsync() as took:
                units, seconds = scanned(world, f"{root}/scanned-{stored}-{number}", sharded=stored == "shards")
            found.append((units, len(took) / units, 1000 * sum(took) / units, sum(took) / seconds))
        count, calls, price, share = np.median(found, axis=0)
        yield f"| {stored} | {count:.0f} | {calls:.0f} | {price:.1f} | {share:.2%} |"


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--side", type=int, default=1024, help="pixels of a block")
    parser.add_argument("--units", type=int, default=40)
    parser.add_argument("--rounds", type=int, default=3, help="each way, one after the other")
    parser.add_argument(
        "--scans", type=int, default=3, help="rounds of whole scans, stored each way, on the local disk"
    )
    parser.add_argument("--folder", type=Path, help="on the disk that is meant; by default a temporary one")
    parser.add_argument("--world", type=Path, help="the made world's folder, of a run before")
    asked = parser.parse_args()
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores; blocks of {asked.side} px, ", end="")
    print(f"{asked.units} units, the median of {asked.rounds} rounds\n")
    with tempfile.TemporaryDirectory(dir=asked.folder) as folder, moto() as bucket:
        places = {"local disk": folder, "moto's S3": bucket}

        def written(url: str, sharded: bool) -> float:  # noqa: FBT001 a column of the table
            return units_per_second(f"{url}-written", asked.side, asked.units, sharded=sharded)

        for line in table(written, places, asked.rounds):
            print(line)
        world = made_world(asked.world or Path(folder, "world"), seed=7, progress=lambda _: None)
        print("\nWhole scans of the made east, without a network, in one process, on the local disk:\n")
        for line in price_in_scans(world, folder, asked.scans):
            print(line, flush=True)


if __name__ == "__main__":
    main()
