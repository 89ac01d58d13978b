"""A work unit's first and last step, read and write, as plain functions over rows that any engine may carry.

A row is a dictionary of texts, numbers and arrays. A step that fails in an expected way (a scene that cannot be read)
turns the row into a status with the error; the later steps pass it on. Anything else stops the run.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.geometry.base import BaseGeometry

from landslide_scale.bands import NEVER, Reason, scene_bands
from landslide_scale.cube import arrays, reflectance
from landslide_scale.cube.arrays import Layer, Slot
from landslide_scale.cube.ledger import Ledger
from landslide_scale.cube.record import Record, State, describe
from landslide_scale.errors import ReadError, StorageAwayError, TryAgainError
from landslide_scale.grid import Lattice, PatchLattice, PixelBox
from landslide_scale.imagery.composite import Image
from landslide_scale.imagery.observe import observe
from landslide_scale.imagery.probe import is_the_scenes_own, unopenable
from landslide_scale.imagery.settings import CompositeConfig
from landslide_scale.imagery.terrain import with_terrain
from landslide_scale.provenance import NumberFormat
from landslide_scale.reading import marks
from landslide_scale.reading.attempts import Waits, counting_waits, naming
from landslide_scale.scan.layout import CUBE
from landslide_scale.scan.plan import WorkUnit, reader_bytes
from landslide_scale.scene import Scene, by_processing
from landslide_scale.stac.settings import Interpolation
from landslide_scale.storage.absence import WRITER_S, patient
from landslide_scale.storage.lease import check_lease
from landslide_scale.storage.rundir import UNSIGNED, RunDirectory, Stamp

Row = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Task:
    """What every worker knows of a scan.

    Attributes:
        run: Its folder.
        region: Ground to be scanned, degrees, as well-known text.
        bands: Channels of the network.
        composite: How the scenes of a window become one image.
        patches: Where its squares lie.
        extents: What each zone's group of the cube covers.
        interpolation: Of elevations, where there are any.
        bare: Indexes of the windows that are said to have no scene.
        keep: Bands of the composite that the cube keeps.
        predicted: Whether a network is shown what was read.
        precision: In which the network computes, where that was left to the hardware and units are done already.
        checkpoint_sha256: Of the file that holds the network; empty where there is none.
        lease: File in the run's folder that is there for as long as its driver may write; empty where there is none.
        stamp: How what is recorded is signed.
    """

    run: RunDirectory
    region: str
    bands: tuple[str, ...]
    composite: CompositeConfig
    patches: PatchLattice
    extents: tuple[tuple[Lattice, PixelBox], ...]
    interpolation: Interpolation = "cubic"
    bare: tuple[int, ...] = ()
    keep: tuple[str, ...] = ()
    predicted: bool = True
    precision: NumberFormat | None = None
    checkpoint_sha256: str = ""
    lease: str = ""
    stamp: Stamp = UNSIGNED

    @cached_property
    def ground(self) -> BaseGeometry:
        """The region as a geometry."""
        return shapely.from_wkt(self.region)

    @property
    def reader_bytes(self) -> int:
        """The most memory that a process takes which observes units."""
        return max(
            reader_bytes(lattice, self.patches, self.composite, self.bands, len(self.keep))
            for lattice, _ in self.extents
        )

    def slot(self, unit: WorkUnit) -> Slot:
        """Where a unit goes in the cube."""
        extent = dict(self.extents)[unit.lattice]
        return Slot(
            cube=self.run.at(CUBE),
            lattice=unit.lattice,
            extent=extent,
            box=unit.box,
            layer=unit.layer,
            bands=self.keep,
            run=self.stamp.run,
        )


def read(row: Row, task: Task) -> Row:
    """Observe what of a unit lies in the region, and everything that its patches see.

    Args:
        row: ``unit``: a :class:`WorkUnit` as JSON; ``attempt``: which try of it this is, from 1; ``left``: how many it
            has left, this one among them.
        task: The run.

    Returns:
        The row with ``values`` (C, H, W) float32 over ``PatchLattice.covering`` of the smallest box around its observed
        pixels, or of no pixel where there is nothing to predict; ``clear_count``,
        ``observed_on``, ``reason`` and, by name, the bands to keep as they are stored (B, B) of the block;
        ``resampled`` and ``filled`` ids and marks of ``files`` as JSON; ``error``, ``retry`` and, as JSON,
        ``unreadable``; ``read_seconds`` and, of these, ``wait_seconds`` between tries.
    """
    begun, waits = time.perf_counter(), Waits()
    unit = WorkUnit.from_json(row["unit"])
    marks.begin()
    inside = unit.lattice.inside(unit.box, task.ground)
    needed = unit.box.around(inside)
    scenes = () if needed is None else unit.scenes
    outer = task.patches.covering(needed or replace(unit.box, row_stop=unit.box.row_start + 1))
    try:
        with naming(names_of(unit)), counting_waits() as waits:
            image = observe(scenes, unit.lattice, outer, scene_bands(task.bands), task.composite)
            image = with_terrain(image, task.bands, unit.dem, unit.lattice, outer, interpolation=task.interpolation)
            files = json.dumps(_files(unit))
    except ReadError as error:
        said = f"{type(error).__name__}: {error.at(unit=unit.id)}"
        failure = {
            "retry": isinstance(error, TryAgainError),
            "unreadable": json.dumps(unreadable_of(error, scenes, (*task.composite.assets, *scene_bands(task.bands)))),
        }
        return unread(row, said, task) | failure | _took(begun, waits)
    if unit.layer in task.bare:
        image = replace(image, reason=np.full_like(image.reason, Reason.NO_SCENE))
    block = _block(image, outer, unit.box, inside)
    seen = unit.box.around(block["reason"] == Reason.OBSERVED) if task.predicted else None
    shown = (slice(0), slice(0)) if seen is None else task.patches.covering(seen).within(outer)
    rest = {"values": image.values[:, *shown], "files": files}
    return row | block | _bands(image, outer, unit.box, block["reason"], task) | rest | _took(begun, waits)


def _files(unit: WorkUnit) -> dict[str, dict[str, str]]:
    """Marks of the files that were opened for a unit: by scene and asset, and by tile of the elevation model.

    Raises:
        TryAgainError: One was replaced meanwhile.
    """
    addresses = {scene.id: dict(scene.assets) for scene in unit.scenes}
    addresses |= {tile.id: {"elevation": tile.href} for tile in unit.dem}
    found = {
        name: {asset: mark for asset, href in of_one.items() if (mark := marks.seen(href))}
        for name, of_one in addresses.items()
    }
    return {name: of_one for name, of_one in found.items() if of_one}


def _took(begun: float, waits: Waits) -> Row:
    spent = time.perf_counter() - begun
    return {"read_seconds": spent, "wait_seconds": min(waits.seconds, spent)}  # reads side by side wait at once


def unread(row: Row, error: str, task: Task) -> Row:
    """The row of a unit that was not read, for a reason that may pass."""
    unit = WorkUnit.from_json(row["unit"])
    nothing = _nothing(len(task.bands), unit) | reflectance.nothing(task.keep, unit.box.shape)
    said = {"error": error, "retry": True, "unreadable": "{}", "files": "{}"}
    return row | nothing | said | {"read_seconds": 0.0, "wait_seconds": 0.0}


def names_of(unit: WorkUnit) -> dict[str, dict[str, str]]:
    """What the addresses that a unit reads are."""
    return {
        href: {"unit": unit.id, "scene": scene.id, "band": band} for scene in unit.scenes for band, href in scene.assets
    }


def unreadable_of(error: ReadError, scenes: Sequence[Scene], assets: tuple[str, ...]) -> dict[str, str]:
    """Why, by id: the scene that failed a unit for good, and those of the others whose `assets` cannot be opened."""
    if not is_the_scenes_own(error):
        return {}
    failed = error.where["scene"]
    others = [scene for scene in scenes if scene.id != failed]
    found = {failed: error, **unopenable(others, assets)}
    return {name: _said(one) for name, one in found.items()}


def _said(error: ReadError) -> str:
    """What is wrong with a scene, without its own name."""
    where = {name: error.where[name] for name in ("band", "file") if name in error.where}
    return str(ReadError(error.found, **where))


def _block(image: Image, outer: PixelBox, box: PixelBox, inside: NDArray[np.bool_]) -> Row:
    """An image of `outer` as a row about `box`; pixels outside the region are not scanned."""
    return {
        "clear_count": _over(box, image.clear_count, outer, inside, 0),
        "observed_on": _over(box, image.observed_on, outer, inside, NEVER),
        "reason": _over(box, image.reason, outer, inside, Reason.NOT_SCANNED),
        "resampled": json.dumps(image.resampled),
        "filled": json.dumps(image.filled),
        "error": "",
        "retry": False,
        "unreadable": "{}",
    }


def _over(box: PixelBox, values: NDArray[Any], outer: PixelBox, where: NDArray[np.bool_], other: float) -> NDArray[Any]:
    """Values of `outer` as those of `box`; `other` but `where` (H, W) of the box."""
    out = np.full(box.shape, other, values.dtype)
    common = box.intersection(outer)
    if common is not None:
        np.copyto(out[common.within(box)], values[common.within(outer)], where=where[common.within(box)])
    return out


def _bands(image: Image, outer: PixelBox, box: PixelBox, reason: NDArray[np.uint8], task: Task) -> Row:
    """The bands to keep of an image of `outer`, where a pixel of `box` was observed."""
    seen = reason == Reason.OBSERVED
    of_band = {band: image.values[task.bands.index(band)] for band in task.keep}
    return {band: reflectance.packed(_over(box, values, outer, seen, np.nan)) for band, values in of_band.items()}


def _nothing(channels: int, unit: WorkUnit) -> Row:
    shape = unit.box.shape
    return {
        "values": np.zeros((channels, 0, 0), np.float32),
        "clear_count": np.zeros(shape, np.uint8),
        "observed_on": np.full(shape, NEVER, np.uint16),
        "reason": np.full(shape, Reason.NOT_SCANNED, np.uint8),
        "resampled": "[]",
        "filled": "[]",
    }


def write(row: Row, task: Task) -> Row:
    """Write a unit's shards, then its record; returns the record as the row's only column, JSON.

    A row without ``probability`` is of a scan that predicts nothing.
    An attempt that has its record already, of one of the workers that died over it (``crashes``), is not written again.
    Before every try of a request it is seen whether the driver still has the folder: meanwhile another may have it.
    Where the storage is away for longer than a writer waits, the unit has failed for now; its driver is told.

    Raises:
        BrokenRunError: The storage takes no more, or another driver has the folder.
    """
    unit, attempt, ledger = WorkUnit.from_json(row["unit"]), int(row["attempt"]), Ledger(task.run, task.stamp)
    record, ours = _failed(row, unit, attempt), partial(check_driver, task)
    try:
        with patient(WRITER_S, guard=ours):
            return {"record": (_known(row, ledger) or _kept(row, record, task)).to_json()}
    except StorageAwayError as error:
        if not record.error:
            record = replace(record, error=f"{type(error).__name__}: {error.at(unit=unit.id)}", retry=True)
    with patient(0, guard=ours), suppress(StorageAwayError):
        ledger.add(record)
    return {"record": record.to_json()}


def _known(row: Row, ledger: Ledger) -> Record | None:
    """The record of this try, or of one that a worker died over right after it had written it."""
    unit, attempt = WorkUnit.from_json(row["unit"]).id, int(row["attempt"])
    numbers = range(attempt - int(row.get("crashes", 0)), attempt + 1)
    return next((known for number in numbers if (known := ledger.find(unit, number)) is not None), None)


def _failed(row: Row, unit: WorkUnit, attempt: int) -> Record:
    """The record of a unit that could not be read; of any other until it is written."""
    return Record(
        unit=unit.id,
        state="failed",
        attempts=attempt,
        scenes=made_of(unit, json.loads(row["resampled"]), json.loads(row["filled"])),
        dem=tuple(tile.id for tile in unit.dem),
        files=json.loads(row.get("files", "{}")),
        landslide_km2=0.0 if "probability" in row else None,
        error=str(row["error"]),
        retry=bool(row["retry"]),
        unreadable=json.loads(row["unreadable"]),
        computed=json.loads(row.get("computed", "{}")),
        seconds={
            name: float(row[f"{name}_seconds"]) for name in ("read", "wait", "predict") if f"{name}_seconds" in row
        },
    )


def _kept(row: Row, record: Record, task: Task) -> Record:
    """Store what came of a unit: data first, record second."""
    begun = time.perf_counter()
    unit = WorkUnit.from_json(row["unit"])
    if not record.error:
        layer = _layer(row, task.keep)
        stored = arrays.write(task.slot(unit), layer)
        figures = describe(layer, row.get("probability"), unit.lattice.resolution**2 / 1e6)
        state: State = "written" if (layer.reason == Reason.OBSERVED).any() else "empty"
        seconds = record.seconds | {"write": time.perf_counter() - begun}
        record = replace(record, state=state, seconds=seconds, stored=stored, **figures)
    Ledger(task.run, task.stamp).add(record)
    return record


def check_driver(task: Task) -> None:
    """Make sure, before anything is stored, that the driver of a scan still has its folder.

    Raises:
        BrokenRunError: Another one may have it.
    """
    check_lease(task.run, task.lease)


def _layer(row: Row, bands: tuple[str, ...]) -> Layer:
    """What is stored; a pixel has a probability where, and only where, it was observed and a network was shown it."""
    observed, nothing = row["reason"] == Reason.OBSERVED, np.float32(np.nan)
    return Layer(
        probability=arrays.quantised(np.where(observed, row.get("probability", nothing), nothing)),
        clear_count=row["clear_count"],
        observed_on=row["observed_on"],
        reason=row["reason"],
        bands={band: row[band] for band in bands},
    )


def made_of(unit: WorkUnit, resampled: list[str], filled: list[str]) -> tuple[dict[str, Any], ...]:
    """What a record says of each scene: a quarantined one was not used, for the reason given.

    An older processing is there only where it filled what a newer one has no data for.
    """
    older = {scene.id for place, scene in by_processing(unit.scenes) if place}
    used = [
        {"id": scene.id, "offset": scene.offset, "rule": scene.offset_rule, "resampled": scene.id in resampled}
        | ({"filled": True} if scene.id in filled else {})
        for scene in unit.scenes
        if scene.id not in older or scene.id in filled
    ]
    return (*used, *({"id": scene.id, "quarantined": scene.quarantine} for scene in unit.quarantined))
