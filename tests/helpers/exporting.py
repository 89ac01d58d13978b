"""Made products of made cubes: their bytes are of the cube, of their settings, and of other products."""

from __future__ import annotations

import json
import multiprocessing
import signal
import sys
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
from helpers.cubes import Made, layer_of, made
from helpers.watching import Step, Watch, steps

from landslide_scale.cube.arrays import Layer
from landslide_scale.exporting.engine import Each, Ended, Outcome, Progress, Work, carry_out, in_order
from landslide_scale.exporting.product import Product, given, single
from landslide_scale.exporting.run import export, source_of
from landslide_scale.exporting.settings import ExportSettings
from landslide_scale.grid import Block
from landslide_scale.products import names
from landslide_scale.products.manifest import Manifest
from landslide_scale.products.scanned import Scanned, scanned
from landslide_scale.runtime.console import run_guarded
from landslide_scale.scan.plan import Place
from landslide_scale.storage.rundir import RunDirectory

FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(["helpers.exporting"])

HOW = Made()
BLOCKS = [Block(row=-31_875 + row, col=3125 + col) for row in range(2) for col in range(2)]
PLACES = [Place(lattice=HOW.lattice(33), block=block, layer=0) for block in BLOCKS]


def painted(place: Place, salt: int = 0) -> Layer:
    """Numbers that differ from block to block."""
    rng = np.random.default_rng((place.block.row + 40_000, place.block.col, salt))
    return layer_of(rng.uniform(0, 1, place.box.shape))


def scan_in(folder: Path, *, salt: int = 0, failed: int = 0) -> RunDirectory:
    """The folder of a scan of four blocks, of which some failed."""
    return made(folder, PLACES, lambda place: None if place in PLACES[:failed] else painted(place, salt), HOW)


def plan(of: Scanned, target: RunDirectory, threshold: float = 0.5) -> list[Product]:
    """Products of every kind: two rasters with a style each, polygons and what is made from them, and a catalogue."""
    lattice = next(iter(of.extents))
    box = of.extents[lattice]

    def raster(name: str, folder: Path) -> str:
        values = getattr(of.read(lattice, box, 0), name)
        path = names.raster(lattice, of.windows[0], name)
        return given(lambda: {path: values.tobytes(), path.replace(".tif", ".qml"): name.encode()})(folder)

    def polygons(path: Path) -> None:
        path.write_text(f"{(of.read(lattice, box, 0).probability > threshold * 250).sum()} pixels")

    def from_polygons(path: Path) -> None:
        path.write_bytes(path.name.encode() + target.read(names.POLYGONS))

    def catalogue() -> dict[str, bytes]:
        listed = {name: known.sha256 for name, known in Manifest.read(target).of_cube(of.cube_sha256).files.items()}
        found = {name: sha for name, sha in listed.items() if not name.endswith(".json")}
        items = {f"items/{len(name)}.json": sha.encode() for name, sha in found.items()}
        return {names.CATALOGUE: json.dumps(found, sort_keys=True).encode(), **items}

    drawn = {"threshold": threshold}
    rasters = [names.raster(lattice, of.windows[0], name) for name in ("probability", "reason")]
    return [
        *(
            Product(name=name, kind="cog", make=partial(raster, Path(name).stem), pixels=1024)
            for name in rasters
        ),
        _product(names.POLYGONS, "vector", polygons, drawn),
        _product(names.GEOPACKAGE, "vector", from_polygons, {}, names.POLYGONS),
        Product(
            name=names.CATALOGUE,
            kind="stac",
            make=given(catalogue),
            takes=(*rasters, names.POLYGONS, names.GEOPACKAGE),
        ),
        _product(names.REPORT, "report", from_polygons, {}, names.POLYGONS),
    ]  # fmt: skip


def _product(name: str, kind: str, make: object, settings: dict[str, float], *needs: str) -> Product:
    return Product(name=name, kind=kind, make=single(name, make), settings=settings, needs=needs, pixels=1024)  # type: ignore[arg-type]


def exported(
    run: RunDirectory,
    target: RunDirectory | None = None,
    *,
    kinds: Sequence[str] = names.KINDS,
    threshold: float = 0.5,
    each: Each = in_order,
    said: list[Progress] | None = None,
) -> Outcome:
    """Export the made products of a run."""
    of, place = scanned(run), target or RunDirectory(run.at(names.FOLDER))
    told = [] if said is None else said
    return carry_out(plan(of, place, threshold), source_of(of), place, kinds=kinds, progress=told.append, each=each)


def watched(run: str, target: str, log: str, kill_at: int | None, threshold: float) -> None:
    """What a process that may be killed runs."""
    Watch(folder=target, log=log, kill_at=kill_at)
    exported(RunDirectory(run), RunDirectory(target), threshold=threshold)


def guarded(run: str, target: str) -> None:
    """What a process runs that a person will stop; it takes its time before each product but the first two."""

    def slowly(work: Work, of: Sequence[Product]) -> Ended:
        for number, product in enumerate(of):
            time.sleep(60 if number > 1 else 0)
            yield product, work(product)

    def export() -> int:
        exported(RunDirectory(run), RunDirectory(target), each=slowly)
        return 0

    sys.exit(run_guarded(export))


def in_a_process(run: str, target: str, log: Path, kill_at: int | None, threshold: float = 0.5) -> list[Step]:
    """Export in a process of its own; the steps it took below the folder of the products."""
    before = len(steps(log))
    process = FORKS.Process(target=watched, args=(run, target, str(log), kill_at, threshold))
    process.start()
    process.join(300)
    assert process.exitcode in ({0} if kill_at is None else {0, -signal.SIGKILL}), process.exitcode
    return steps(log)[before:]


def watched_for_real(run: str, target: str, log: str, kill_at: int | None) -> None:
    """The same of the real products."""
    Watch(folder=target, log=log, kill_at=kill_at)
    export(RunDirectory(run), ExportSettings(to=target), progress=lambda _: None)


def for_real_in_a_process(run: str, target: str, log: Path, kill_at: int | None) -> list[Step]:
    """As :func:`in_a_process`, of the real products."""
    before = len(steps(log))
    process = FORKS.Process(target=watched_for_real, args=(run, target, str(log), kill_at))
    process.start()
    process.join(600)
    assert process.exitcode in ({0} if kill_at is None else {0, -signal.SIGKILL}), process.exitcode
    return steps(log)[before:]
