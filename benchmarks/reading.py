"""What it takes to read one work unit: seconds, CPU, memory, requests, connections, bytes; from a disk, over HTTP.

Made scenes of one tile, a datatake each, read by the function that a scan's readers call, in a process of its own each
time. The server is another process, which waits before each answer, and once more before the first of a connection.
With ``--before`` another checkout takes turns with this one; both must give the same values, to the last byte. With
``--peer`` the windows alone are read by async-tiff too: the least that a reader on another library would take.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any
from urllib.request import urlopen

import numpy as np

from landslide_scale.grid import Lattice, PixelBox, Zone
from landslide_scale.imagery.observe import observe
from landslide_scale.imagery.settings import CompositeConfig
from landslide_scale.reading.raster import write_cog
from landslide_scale.scene import Scene

if TYPE_CHECKING:
    from collections.abc import Iterator

BANDS = ("B02", "B03", "B04")
EPSG, WEST, NORTH = 32633, 399_960.0, 5_200_020.0
SIDE = 4096
"""Pixels of 10 m of the made tile; real ones have 10,980."""
HALO = 16
CLOUDY = 0.1


def make(folder: Path, datatakes: int, side: int = SIDE) -> None:
    """Scenes whose numbers compress about as real ones do; a tenth of the squares of each is cloud."""
    values = np.random.default_rng(0)
    rows, cols = np.mgrid[0:side, 0:side].astype(np.float32)
    ground = 900 + 500 * np.sin(rows / 300) * np.cos(cols / 500) + values.normal(0, 40, (side, side)).astype(np.float32)
    squares = values.random((datatakes, side // 128, side // 128)) < CLOUDY
    for number in range(datatakes):
        for channel, band in enumerate(BANDS):
            numbers = np.roll(ground, (17 * number, 31 * channel), (0, 1)) + 60 * channel + 5 * number
            _write(folder, number, band, numbers.astype(np.uint16), 10)
        cloud = squares[number].repeat(64, axis=0).repeat(64, axis=1)
        _write(folder, number, "scl", np.where(cloud, 9, 4).astype(np.uint8), 20)


def _write(folder: Path, number: int, name: str, values: np.ndarray[Any, Any], metres: int) -> None:
    transform = (float(metres), 0.0, WEST, 0.0, -float(metres), NORTH)
    write_cog(folder / f"{number}-{name}.tif", values, epsg=EPSG, transform=transform, nodata=0)


def scenes(root: str, datatakes: int, side: int = SIDE) -> list[Scene]:
    """The made scenes at an address, the newest first."""
    begun = datetime(2023, 8, 1, tzinfo=UTC)
    return [
        Scene(
            id=f"made-{number}",
            tile="33TWM",
            epsg=EPSG,
            bounds=(WEST, NORTH - 10 * side, WEST + 10 * side, NORTH),
            sensed=begun - timedelta(days=5 * number),
            datatake=f"GS2A_{begun - timedelta(days=5 * number):%Y%m%dT%H%M%S}_00000{number:02d}",
            datastrip="",
            baseline=(5, 9),
            generated=begun,
            cloud_cover=10.0,
            offset=-1000 if number % 2 else 0,
            offset_rule="made",
            assets=tuple((name, f"{root}/{number}-{name}.tif") for name in (*BANDS, "scl")),
        )
        for number in range(datatakes)
    ]


def read(root: str, datatakes: int, side: int, settings: str) -> None:
    """Read a unit in this process, and print what that took."""
    config = CompositeConfig.model_validate_json(settings)
    lattice = Lattice(zone=Zone.utm(33, southern=False), resolution=10, block=side)
    x0, y0 = lattice.zone.origin
    top, left = round((y0 - NORTH) / 10) + 700, round((WEST - x0) / 10) + 900
    box = PixelBox(row_start=top, row_stop=top + side, col_start=left, col_stop=left + side).pad(HALO)
    cpu, begun = time.process_time(), time.perf_counter()
    image = observe(scenes(root, datatakes), lattice, box, BANDS, config)
    took = {"s": time.perf_counter() - begun, "cpu": time.process_time() - cpu}
    digest = hashlib.sha256()
    for values in (image.values, image.clear_count, image.observed_on, image.reason):
        digest.update(np.ascontiguousarray(values).data)
    took["MB"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    print(json.dumps(took | {"sha256": digest.hexdigest()}))


def serve(folder: Path) -> None:
    """Give out files by ranges, after a wait; `/set/MS` says how long it is, `/count` what was asked since."""
    counts, lock = {"requests": 0, "connections": 0, "bytes": 0}, Lock()
    wait = [0.0]

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        fresh = True

        def log_message(self, *_: object) -> None: ...

        def do_HEAD(self) -> None:
            self.do_GET()

        def do_GET(self) -> None:
            if self.path.startswith("/set/"):
                wait[0] = float(self.path.rsplit("/", 1)[1]) / 1e3
                counts.update(dict.fromkeys(counts, 0))
                self._answer(200, b"")
            elif self.path == "/count":
                self._answer(200, json.dumps(counts).encode())
            else:
                self._file(folder / self.path.lstrip("/").partition("#")[0])

        def _file(self, path: Path) -> None:
            time.sleep(wait[0] * (2 if self.fresh else 1))
            first, _, last = self.headers.get("Range", "bytes=0-").removeprefix("bytes=").partition("-")
            size = path.stat().st_size
            stop = min(int(last) + 1 if last else size, size)
            with path.open("rb") as file:
                file.seek(int(first))
                part = file.read(stop - int(first))
            with lock:
                counts["requests"] += 1
                counts["connections"] += self.fresh
                counts["bytes"] += len(part) if self.command == "GET" else 0
            self.fresh = False
            ranged = "Range" in self.headers
            self._answer(206 if ranged else 200, part, f"bytes {first}-{stop - 1}/{size}" if ranged else "")

        def _answer(self, status: int, content: bytes, of: str = "") -> None:
            self.send_response(status)
            self.send_header("Accept-Ranges", "bytes")
            if of:
                self.send_header("Content-Range", of)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(content)

    class Listener(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 128

    with Listener(("127.0.0.1", 0), Handler) as server:
        print(server.server_port, flush=True)
        server.serve_forever()


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """The address of the files of a folder."""
    command = [sys.executable, __file__, "--serve", str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:  # noqa: S603 this file
        try:
            assert server.stdout is not None  # noqa: S101 it is a pipe
            yield f"http://127.0.0.1:{server.stdout.readline().strip()}"
        finally:
            server.terminate()


def measured(tree: Path, root: str, milliseconds: int | None, arguments: list[str]) -> dict[str, Any]:
    """One reading of the unit by the code of a checkout."""
    set_wait(root, milliseconds)
    return answered([sys.executable, __file__, "--read", root, *arguments], root, milliseconds, PYTHONPATH=str(tree))


def windows_alone(python: Path, root: str, milliseconds: int | None, arguments: list[str]) -> dict[str, Any]:
    """One reading of the unit's windows by async-tiff, with nothing done with them."""
    set_wait(root, milliseconds)
    script = Path(__file__).with_name("ranges.py")
    given = arguments[: arguments.index("--composite")]
    return answered([str(python), str(script), root, *given], root, milliseconds)


def set_wait(root: str, milliseconds: int | None) -> None:
    """Before each answer of the server from now on, and count anew."""
    if milliseconds is not None:
        urlopen(f"{root}/set/{milliseconds}").read()  # noqa: S310 our own server


def answered(command: list[str], root: str, milliseconds: int | None, **variables: str) -> dict[str, Any]:
    """What a process that reads says it took, and what the server has counted meanwhile."""
    told = subprocess.run(  # noqa: S603 files of this folder
        command, env=os.environ | variables, check=True, stdout=subprocess.PIPE, text=True
    )
    found: dict[str, Any] = json.loads(told.stdout)
    if milliseconds is not None:
        found |= json.loads(urlopen(f"{root}/count").read())  # noqa: S310 our own server
    return found


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--datatakes", type=int, default=12)
    parser.add_argument("--side", type=int, default=2048, help="pixels of the unit's block")
    parser.add_argument("--composite", default="{}", help="its settings, as JSON")
    parser.add_argument("--delays", type=int, nargs="*", default=[30, 80, 150], help="milliseconds before each answer")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--before", type=Path, help="another checkout, which takes turns with this one")
    parser.add_argument("--folder", type=Path, help="of the made scenes, found there or made")
    parser.add_argument("--peer", type=Path, help="a Python with async-tiff, by which the windows alone are read too")
    parser.add_argument("--read", help=argparse.SUPPRESS)
    parser.add_argument("--cores", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--serve", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.serve:
        serve(asked.serve)
        return
    if asked.read:
        if asked.cores:  # CPU seconds of threads side by side hang on what the cores share
            os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: asked.cores])
        read(asked.read, asked.datatakes, asked.side, asked.composite)
        return
    with tempfile.TemporaryDirectory() as scratch:
        folder = asked.folder or Path(scratch)
        folder.mkdir(exist_ok=True)
        if not (folder / f"{asked.datatakes - 1}-scl.tif").exists():
            make(folder, asked.datatakes)
        compare(folder, asked)


def compare(folder: Path, asked: argparse.Namespace) -> None:
    """Read the unit in turns, and print a row of medians for each way."""
    here = Path(__file__).resolve().parents[1]
    trees = {"before": asked.before.resolve(), "now": here} if asked.before else {"now": here}
    arguments = ["--datatakes", str(asked.datatakes), "--side", str(asked.side), "--composite", asked.composite]
    found: dict[tuple[str, str], list[dict[str, Any]]] = {}
    with served(folder) as address:
        places: dict[str, tuple[str, int | None, list[str]]] = {
            "disk, one core": (str(folder), None, [*arguments, "--cores=1"]),
            "disk": (str(folder), None, arguments),
        }
        places |= {f"{delay} ms": (address, delay, arguments) for delay in asked.delays}
        for _ in range(asked.rounds):
            for (where, place), (when, tree) in ((place, tree) for place in places.items() for tree in trees.items()):
                found.setdefault((where, when), []).append(measured(tree, *place))
            for where, place in places.items() if asked.peer else ():
                if "core" not in where:
                    found.setdefault((where, "windows alone"), []).append(windows_alone(asked.peer, *place))
    if len({one["sha256"] for each in found.values() for one in each if "sha256" in one}) != 1:
        sys.exit("not the same values")
    print(
        f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores; {asked.datatakes} datatakes, ", end=""
    )
    print(f"{len(BANDS)} bands, a block of {asked.side} px; the median of {asked.rounds} rounds\n")
    print("| where | code | s | CPU s | peak MB | requests | connections | MB read |")
    print("|---|---|---|---|---|---|---|---|")
    for (where, when), each in found.items():
        middle = {key: statistics.median(one[key] for one in each) for key in each[0].keys() - {"sha256"}}
        middle["bytes"] = middle.get("bytes", 0) / 1e6
        of_net = [f"{middle[key]:.6g}" if key in middle else "" for key in ("requests", "connections")]
        size = f"{middle['bytes']:.2f}" if of_net[0] else ""
        own = [f"{middle['s']:.2f}", f"{middle['cpu']:.2f}", f"{middle['MB']:.0f}"]
        print(f"| {' | '.join((where, when, *own, *of_net, size))} |")


if __name__ == "__main__":
    main()
