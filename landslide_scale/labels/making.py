"""One chip, as a plain function over rows that any engine may carry: observed, labelled, written, recorded.

A chip is a block of the zone's lattice, observed as a scan would; pixels that no scene saw, or that lie outside the
labelled region, are labelled 255 and take no part.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Literal

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.geometry.base import BaseGeometry

from landslide_scale.bands import Reason, scene_bands
from landslide_scale.cube.ledger import Ledger
from landslide_scale.cube.record import Record
from landslide_scale.datasets.chips import LEAST_OBSERVED
from landslide_scale.errors import ReadError, StorageAwayError, TryAgainError
from landslide_scale.grid import Lattice, PatchLattice, project, turns
from landslide_scale.imagery.composite import Image
from landslide_scale.imagery.observe import observe
from landslide_scale.imagery.settings import CompositeConfig
from landslide_scale.imagery.terrain import with_terrain
from landslide_scale.label_values import IGNORE, LANDSLIDE
from landslide_scale.reading.attempts import naming
from landslide_scale.reading.raster import burn
from landslide_scale.region.polygons import widen
from landslide_scale.scan.plan import WorkUnit, reader_bytes
from landslide_scale.scan.work import Row, made_of, names_of, unreadable_of
from landslide_scale.stac.settings import Interpolation
from landslide_scale.storage.absence import WRITER_S, patient
from landslide_scale.storage.lease import check_lease
from landslide_scale.storage.rundir import UNSIGNED, RunDirectory, Stamp

_BEYOND_M = 200.0

_QUARTER = 64
"""Edges of a quarter of a circle: a ring is short of its width by less than 0.01 %."""

LOST = "lost_landslide_pixels"

STORED = "chip"
"""What a record says of a chip, under this name: its bytes, their SHA-256, its pixels by label, those that were
observed and are ignored for lying around a landslide, and how many of landslides are lost: not observed, or in a chip
that is not kept, of which nothing else is said."""

Whole = Literal["inside", "chip"]
"""What half of must be observed for a chip to be kept: its ground inside the region; or all of it, as in sets that were
begun before there was a choice."""


@dataclass(frozen=True, kw_only=True)
class Task:
    """What every worker knows.

    Attributes:
        directory: Where the chips go.
        region: Ground whose labels are complete, degrees, as well-known text.
        labels: The union of its landslides, likewise.
        bands: Channels.
        composite: How the scenes of a window become one image.
        patches: Chips on the lattice.
        lattices: Those that chips lie on.
        interpolation: Of elevations, where there are any.
        ignore_ring_m: Pixels within so many metres of a landslide, but in none, are ignored.
        bare: Layers of before the landslides, which show none.
        half_of: What half of is observed of every chip that is kept.
        lease: File in the folder that is there for as long as the driver may write; empty where there is none.
        stamp: How what is recorded is signed.
    """

    directory: RunDirectory
    region: str
    labels: str
    bands: tuple[str, ...]
    composite: CompositeConfig
    patches: PatchLattice
    lattices: tuple[Lattice, ...]
    interpolation: Interpolation = "cubic"
    ignore_ring_m: float = 0.0
    bare: tuple[int, ...] = ()
    half_of: Whole = "inside"
    lease: str = ""
    stamp: Stamp = UNSIGNED

    @cached_property
    def ground(self) -> BaseGeometry:
        """The region as a geometry."""
        return shapely.from_wkt(self.region)

    @cached_property
    def landslides(self) -> BaseGeometry:
        """The labels as a geometry."""
        return shapely.from_wkt(self.labels)

    @property
    def reader_bytes(self) -> int:
        """The most memory that a process takes which makes chips."""
        return max(reader_bytes(lattice, self.patches, self.composite, self.bands) for lattice in self.lattices)


def make(row: Row, task: Task) -> Row:
    """Make a chip, then its record.

    Where the storage is away for longer than a writer waits, the chip has failed for now.

    Args:
        row: ``unit``: a :class:`WorkUnit` as JSON; ``attempt``: which try of it this is, from 1.
        task: The set.

    Returns:
        ``record`` as JSON: ``written``; ``empty`` where too little was observed; ``failed``.

    Raises:
        BrokenRunError: The storage takes no more, or another driver has the folder, as is seen before every try.
    """
    ledger = Ledger(task.directory, task.stamp)
    try:
        with patient(WRITER_S, guard=_ours(task)):
            record = _made(row, task)
            ledger.add(record)
    except StorageAwayError as error:
        return unmade(row, f"{type(error).__name__}: {error}", task)
    return {"record": record.to_json()}


def unmade(row: Row, error: str, task: Task) -> Row:
    """The record of a chip that was not made, for a reason that may pass; kept where that can be done at once."""
    record = replace(_failed(row), error=error, retry=True)
    with patient(0, guard=_ours(task)), suppress(StorageAwayError):
        Ledger(task.directory, task.stamp).add(record)
    return {"record": record.to_json()}


def _ours(task: Task) -> Callable[[], None]:
    return partial(check_lease, task.directory, task.lease)


def _failed(row: Row) -> Record:
    """The record of a chip that could not be made; of any other until it is."""
    unit = WorkUnit.from_json(row["unit"])
    tiles = tuple(tile.id for tile in unit.dem)
    return Record(unit=unit.id, state="failed", attempts=int(row["attempt"]), scenes=made_of(unit, [], []), dem=tiles)


def _made(row: Row, task: Task) -> Record:
    """What came of a chip that could be observed, or why it could not."""
    unit, record = WorkUnit.from_json(row["unit"]), _failed(row)
    try:
        with naming(names_of(unit)):
            image = _image(unit, task)
    except ReadError as error:
        return replace(
            record,
            error=f"{type(error).__name__}: {error.at(chip=unit.id)}",
            retry=isinstance(error, TryAgainError),
            unreadable=unreadable_of(error, unit.scenes, (*task.composite.assets, *scene_bands(task.bands))),
        )
    scenes = made_of(unit, list(image.resampled), list(image.filled))
    return _kept(replace(record, scenes=scenes), unit, image, task)


def _image(unit: WorkUnit, task: Task) -> Image:
    image = observe(unit.scenes, unit.lattice, unit.box, scene_bands(task.bands), task.composite)
    return with_terrain(image, task.bands, unit.dem, unit.lattice, unit.box, interpolation=task.interpolation)


def _kept(record: Record, unit: WorkUnit, image: Image, task: Task) -> Record:
    """What is said of a chip once it is written, or known to show too little."""
    inside = unit.lattice.inside(unit.box, task.ground)
    counted = (image.reason == Reason.OBSERVED) & inside
    record = replace(
        record,
        km2=float(inside.sum() * unit.lattice.resolution**2 / 1e6),
        clear_fraction=float(counted.sum() / max(inside.sum(), 1)),
    )
    landslides, ring = _landslides(unit, task)
    ignored = counted & ring
    label = np.where(counted & ~ring, landslides, np.uint8(IGNORE)).astype(np.uint8)
    whole = inside.size if task.half_of == "chip" else max(int(inside.sum()), 1)
    if counted.sum() < LEAST_OBSERVED * whole:
        task.directory.delete_all([name_of(unit.id)])  # it may have been kept, of other scenes
        return replace(record, state="empty", stored={STORED: {LOST: int((landslides & inside).sum())}})
    content = io.BytesIO()
    np.savez_compressed(content, image=image.values, label=label)
    task.directory.write(name_of(unit.id), content.getvalue())
    said = {
        "bytes": len(content.getvalue()),
        "sha256": hashlib.sha256(content.getvalue()).hexdigest(),
        "pixels": int((label != IGNORE).sum()),
        "landslide_pixels": int((label == LANDSLIDE).sum()),
        "ignored_pixels": int(ignored.sum()),
        LOST: int((landslides & inside & ~counted).sum()),
    }
    return replace(record, state="written", stored={STORED: said})


def name_of(unit: str) -> str:
    """Of a chip's file."""
    return f"{unit}.npz"


def counted(records: Iterable[Record], key: str) -> int:
    """The sum over all chips that are kept of ``pixels``, ``landslide_pixels`` or ``ignored_pixels``.

    Of chips made before there was a key, nothing was of its kind.
    """
    return sum(int(record.stored[STORED].get(key, 0)) for record in records if record.state == "written")


def hashes(records: Iterable[Record]) -> dict[str, str] | None:
    """SHA-256 of the files of all chips that are kept, by unit; None where a record does not say."""
    found = {record.unit: record.stored[STORED].get("sha256") for record in records if record.state == "written"}
    known = {unit: str(sha256) for unit, sha256 in found.items() if sha256 is not None}
    return known if known.keys() == found.keys() else None


def lost(records: Iterable[Record]) -> dict[str, int]:
    """Pixels of landslides inside the region that no label shows, by the file of their chip; those with none left out.

    Of chips made before they were counted nothing is known.
    """
    found = {name_of(record.unit): int(record.stored.get(STORED, {}).get(LOST, 0)) for record in records}
    return {name: pixels for name, pixels in found.items() if pixels}


def dropped(records: Iterable[Record], units: Iterable[WorkUnit], half_of: Whole) -> tuple[int, int]:
    """How many chips are not kept for lying outside the region, and how many for what was observed of them.

    Args:
        records: Of all chips.
        units: Likewise, in the same order.
        half_of: What half of had to be observed.
    """
    empty = [(record, unit) for record, unit in zip(records, units, strict=True) if record.state == "empty"]
    least = LEAST_OBSERVED if half_of == "chip" else 0.0
    outside = sum(record.km2 < least * _km2(unit) or not record.km2 for record, unit in empty)
    return outside, len(empty) - outside


def _km2(unit: WorkUnit) -> float:
    rows, cols = unit.box.shape
    return rows * cols * unit.lattice.resolution**2 / 1e6


def changed(records: Mapping[str, Record], sizes: Mapping[str, int]) -> list[Record]:
    """Records that take away what is said of chips whose file is gone, or is of another size.

    Args:
        records: Of all chips, by unit.
        sizes: Bytes of the files there are, by name.
    """
    kept = [record for record in records.values() if record.state == "written"]
    return [
        Record(unit=record.unit, state="broken", attempts=record.attempts, error="Changed: the file is not the chip's")
        for record in kept
        if sizes.get(name_of(record.unit)) != record.stored[STORED]["bytes"]
    ]


def _landslides(unit: WorkUnit, task: Task) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Pixels (H, W) whose centre lies in a label, and those whose centre lies in none but within the ring of one."""
    if unit.layer in task.bare:
        nothing = np.zeros(unit.box.shape, np.bool_)
        return nothing, nothing
    outline = unit.lattice.outline(unit.box)
    if not task.ignore_ring_m:
        landslides = burn(_moved(unit, task, shapely.buffer(outline, 1e-3)), unit.lattice, unit.box)
        return landslides, np.zeros_like(landslides)
    # Cut so far out that the rings of cut edges do not reach the block.
    near = _moved(unit, task, widen(outline, task.ignore_ring_m + _BEYOND_M))
    landslides = burn(near, unit.lattice, unit.box)
    widened = [shapely.buffer(part, task.ignore_ring_m, quad_segs=_QUARTER) for part in near]
    return landslides, burn(widened, unit.lattice, unit.box) & ~landslides


def _moved(unit: WorkUnit, task: Task, window: BaseGeometry) -> list[BaseGeometry]:
    """Labels within a window in degrees, in the coordinates of the unit's lattice, where alone the two meet.

    One place has many longitudes: a window over the antimeridian, or beside it, may say 180.02 where a label says
    -179.98.
    """
    found: list[BaseGeometry] = []
    for turned in turns(window):
        near = shapely.intersection(task.landslides, turned)
        parts = [part for part in getattr(near, "geoms", [near]) if part.area > 0]
        found += [project(part, 4326, unit.lattice.zone.epsg) for part in parts]
    return found
