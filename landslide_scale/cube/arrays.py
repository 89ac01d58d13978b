"""The landslide-probability cube: Zarr version 3, one group per zone, one shard per work unit and variable.

The driver writes all metadata first (`template.py`); a worker then writes whole shards only, so no two writers ever
touch one object. A shard that is all fill is not stored.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache, partial
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray

from landslide_scale.bands import NEVER, Reason
from landslide_scale.cube.stores import WritingStore, settle_at, store_at
from landslide_scale.errors import BrokenRunError
from landslide_scale.grid import Lattice, PixelBox
from landslide_scale.redaction import redacted
from landslide_scale.storage.files import persistently

PROBABILITY_SCALE = 0.004
PROBABILITY_FILL = 255
STEPS = round(1 / PROBABILITY_SCALE)
"""How a probability of 1 is stored."""

STORED_AS = (
    f"stored in steps of {PROBABILITY_SCALE:g}, rounded to the nearest: below {PROBABILITY_SCALE / 2:g} it is 0. "
    "Sums over the cube are of what is stored; expected areas in ledger/ and run.json are of the probabilities before"
)
"""What a cube says of its probabilities."""

_ROUNDING = 1e-9


@dataclass(frozen=True, kw_only=True)
class Variable:
    """One array (time, y, x) of a zone's group."""

    name: str
    dtype: str
    fill: int
    attributes: Mapping[str, Any]


VARIABLES = (
    Variable(
        name="probability",
        dtype="uint8",
        fill=PROBABILITY_FILL,
        attributes={
            "long_name": "probability that the pixel is a landslide",
            "scale_factor": PROBABILITY_SCALE,
            "_FillValue": PROBABILITY_FILL,
            "units": "1",
            "valid_range": [0, STEPS],
            "comment": STORED_AS,
        },
    ),
    Variable(
        name="clear_count",
        dtype="uint8",
        fill=0,
        attributes={"long_name": "clear observations, one per datatake (255: 255 or more)", "units": "1"},
    ),
    Variable(
        name="observed_on",
        dtype="uint16",
        fill=NEVER,
        attributes={
            "long_name": "day of the newest clear observation used",
            "units": "days since 1970-01-01",
            "calendar": "proleptic_gregorian",
            "_FillValue": NEVER,
        },
    ),
    Variable(
        name="reason",
        dtype="uint8",
        fill=int(Reason.NOT_SCANNED),
        attributes={
            "long_name": "why the pixel holds no probability",
            "flag_values": [int(reason) for reason in Reason],
            "flag_meanings": " ".join(reason.name.lower() for reason in Reason),
        },
    ),
)


BY_NAME = {variable.name: variable for variable in VARIABLES}


@dataclass(frozen=True, kw_only=True)
class Layer:
    """What a work unit writes: arrays (H, W) over its whole block, in the order and dtypes of `VARIABLES`.

    Attributes:
        bands: Of the composite, those that the cube keeps, in its order.
    """

    probability: NDArray[np.uint8]
    clear_count: NDArray[np.uint8]
    observed_on: NDArray[np.uint16]
    reason: NDArray[np.uint8]
    bands: Mapping[str, NDArray[np.uint16]] = field(default_factory=dict)

    @property
    def arrays(self) -> dict[str, NDArray[Any]]:
        """All of them by name, in the order of the cube's variables."""
        return {name: getattr(self, name) for name in _NAMES} | dict(self.bands)


_NAMES = tuple(BY_NAME)

Stored = dict[str, Any]
"""What is known of stored objects: ``bytes`` and ``sha256``."""


@dataclass(frozen=True, kw_only=True)
class Slot:
    """Where a work unit goes.

    Attributes:
        cube: Path or URL of the cube.
        lattice: Zone of the unit.
        extent: What the zone's group covers.
        box: The unit's block.
        layer: Its window among the run's.
        bands: Of the composite, what is written or read beside `VARIABLES`.
        run: Id of the run whose cube it is; empty of one begun before runs had one.
    """

    cube: str
    lattice: Lattice
    extent: PixelBox
    box: PixelBox
    layer: int
    bands: tuple[str, ...] = ()
    run: str = ""

    @property
    def names(self) -> tuple[str, ...]:
        """The variables, in the cube's order."""
        return (*_NAMES, *self.bands)

    @property
    def index(self) -> tuple[int, slice, slice]:
        """Its place in the zone's arrays."""
        return (self.layer, *self.box.within(self.extent))

    @property
    def aligned(self) -> bool:
        """Whether it is one whole block of the group: concurrent writes inside one shard lose data silently."""
        _, rows, cols = self.index
        side = self.lattice.block
        whole = self.box.shape == (side, side) and not (rows.start % side or cols.start % side)
        return whole and self.layer >= 0 and self.extent.intersection(self.box) == self.box


def quantised(probability: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Probability in [0, 1] to steps of 0.004, NaN to fill."""
    observed = np.isfinite(probability)
    steps = np.rint(np.where(observed, probability, 0) / np.float32(PROBABILITY_SCALE))
    return np.where(observed, steps, PROBABILITY_FILL).astype(np.uint8)


def step_from(threshold: float) -> int:
    """The smallest stored step of probability that is not below a threshold in (0, 1): 1 to 250."""
    return max(1, math.ceil(threshold * STEPS - _ROUNDING))


def on_stored(threshold: float) -> float:
    """The threshold that holds on stored numbers, in (0, 1): halfway to :func:`step_from` from the step below it.

    No stored number comes so near to it that rounding could matter, and it is where probabilities were parted when they
    were stored: at most half a step from `threshold`.
    """
    return round((step_from(threshold) - 0.5) * PROBABILITY_SCALE, 6)


def objects(slot: Slot, side: int) -> dict[str, list[str]]:
    """What a work unit is stored as: names inside the cube by variable.

    Args:
        slot: The unit.
        side: Of the ground that one object holds, in pixels: a block where the cube is sharded, else a chunk.
    """
    layer, rows, cols = slot.index
    places = [
        f"{layer}/{row}/{col}"
        for row in range(rows.start // side, rows.stop // side)
        for col in range(cols.start // side, cols.stop // side)
    ]
    return {name: [f"{slot.lattice.zone.group}/{name}/c/{place}" for place in places] for name in slot.names}


def write(slot: Slot, layer: Layer) -> dict[str, Stored]:
    """Write one work unit: whole shards, in one request each. A power loss afterwards leaves them.

    Returns:
        By variable that is not all fill: ``bytes`` and ``sha256`` of its objects.

    Raises:
        BrokenRunError: The storage takes no more.
        StorageAwayError: It was away for longer than one is patient.
    """
    assert slot.aligned, "a worker writes whole shards only"  # noqa: S101 our own invariant
    cube = persistently(slot.cube, partial(_cube, slot.cube, slot.run))
    arrays = {name: persistently(slot.cube, partial(cube.array, slot, name)) for name in slot.names}
    written = cube.store.written
    side = (arrays[_NAMES[0]].shards or arrays[_NAMES[0]].chunks)[-1]
    names = objects(slot, side)
    every = [key for keys in names.values() for key in keys]
    for key in every:
        written.pop(key, None)  # of a try of this unit that failed between two objects
    for name, array in arrays.items():
        persistently(slot.cube, partial(array.__setitem__, slot.index, layer.arrays[name]))
    persistently(slot.cube, partial(settle_at, slot.cube, every))
    kept = {name: {key: written.pop(key) for key in keys if key in written} for name, keys in names.items()}
    return {name: stored(contents) for name, contents in kept.items() if contents}


def stored(contents: Mapping[str, bytes]) -> Stored:
    """``bytes`` and ``sha256`` of objects by name; the hash is over names and contents, in the order of the names."""
    digest = hashlib.sha256()
    for name in sorted(contents):
        digest.update(name.encode())
        digest.update(contents[name])
    return {"bytes": sum(map(len, contents.values())), "sha256": digest.hexdigest()}


def read(slot: Slot) -> Layer:
    """What :func:`write` wrote; fill where nothing is stored."""
    held = {name: read_one(slot, name) for name in slot.names}
    return Layer(**{name: held.pop(name) for name in _NAMES}, bands=held)


def read_one(slot: Slot, name: str) -> NDArray[Any]:
    """The same of one variable: its pixels (H, W), in its dtype."""
    path = f"{slot.lattice.zone.group}/{name}"
    return np.asarray(zarr.open_array(store_at(slot.cube, read_only=True), mode="r", path=path)[slot.index])


def read_stored(slot: Slot, name: str) -> NDArray[Any]:
    """As :func:`read_one`, of a cube that somebody else wrote: storage that is away for a while is waited for.

    Raises:
        BrokenRunError: The storage refuses, or what it holds is damaged so that it cannot be decoded.
        StorageAwayError: It was away for longer than one is patient.
    """
    try:
        return persistently(slot.cube, partial(read_one, slot, name))
    except (ValueError, RuntimeError) as error:  # of Zarr and of its codecs
        raise BrokenRunError(
            f"what is stored cannot be decoded ({error})",
            expected="the cube as it was written",
            cure="verify says which units are broken, scan --resume makes them again; then give the same command.",
            file=redacted(slot.cube),
            array=f"{slot.lattice.zone.group}/{name}",
        ) from error


class _Cube:
    """A cube as one process writes it: its store and the arrays opened on that very store, which alone know of it."""

    def __init__(self, url: str) -> None:
        self.store = WritingStore(zarr.open_group(store_at(url), mode="r+", use_consolidated=False).store)
        self._arrays: dict[str, zarr.Array[Any]] = {}

    def array(self, slot: Slot, name: str) -> zarr.Array[Any]:
        """One variable of the unit's zone. Metadata does not change while workers write, but that the cube grows."""
        path = f"{slot.lattice.zone.group}/{name}"
        if path not in self._arrays or slot.layer >= self._arrays[path].shape[0]:
            array = zarr.open_array(self.store, mode="r+", path=path)
            assert isinstance(array, zarr.Array)  # noqa: S101 what open_array gives
            self._arrays[path] = array
        return self._arrays[path]


@lru_cache(maxsize=8)
def _cube(url: str, _run: str) -> _Cube:
    """The run is part of what it is known by: its folder may be deleted and begun anew while this process lives."""
    return _Cube(url)
