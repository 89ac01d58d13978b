"""The landslide-probability cube: Zarr version 3, one group per zone, one shard per work unit and variable.

The driver writes all metadata first; a worker then writes whole shards only, so no two writers ever touch one object.
A shard that is all fill is not stored.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray
from pyproj import CRS
from zarr.codecs import BloscCodec
from zarr.errors import ZarrUserWarning

from landslide_scale.bands import Reason
from landslide_scale.config import GridConfig
from landslide_scale.errors import RunConflictError
from landslide_scale.grid import Lattice, PixelBox
from landslide_scale.observe import NEVER
from landslide_scale.scene import Window

PROBABILITY_SCALE = 0.004
PROBABILITY_FILL = 255
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


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
            "valid_range": [0, 250],
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


@dataclass(frozen=True, kw_only=True)
class Layer:
    """What a work unit writes: arrays (H, W) over its whole block, in the order and dtypes of `VARIABLES`."""

    probability: NDArray[np.uint8]
    clear_count: NDArray[np.uint8]
    observed_on: NDArray[np.uint16]
    reason: NDArray[np.uint8]


_NAMES = tuple(variable.name for variable in VARIABLES)


@dataclass(frozen=True, kw_only=True)
class Slot:
    """Where a work unit goes.

    Attributes:
        cube: Path or URL of the cube.
        lattice: Zone of the unit.
        extent: What the zone's group covers.
        box: The unit's block.
        layer: Its window among the run's.
    """

    cube: str
    lattice: Lattice
    extent: PixelBox
    box: PixelBox
    layer: int

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


def create(
    url: str,
    extents: Mapping[Lattice, PixelBox],
    windows: Sequence[Window],
    grid: GridConfig,
    *,
    sharded: bool,
    attributes: Mapping[str, Any],
) -> None:
    """Write the metadata and coordinates of an empty cube; what is already there stays as it is.

    A call that was interrupted is completed by the next one.

    Args:
        url: Path or fsspec URL of the cube.
        extents: Whole blocks of each zone.
        windows: The layers, in order.
        grid: Sides of block and chunk.
        sharded: One object per block and variable; otherwise one per chunk.
        attributes: Said of the whole cube.

    Raises:
        RunConflictError: The cube is there and covers other ground or windows.
    """
    root = zarr.open_group(url, mode="a", zarr_format=3)
    root.attrs.update({"Conventions": "CF-1.11", **attributes})
    for lattice, box in extents.items():
        group = root.require_group(lattice.zone.group)
        _coordinates(group, lattice, box, windows)
        for variable in VARIABLES:
            _array(group, variable, (len(windows), *box.shape), grid, sharded=sharded)
    with warnings.catch_warnings():
        # One read instead of one per array for whoever opens the cube; readers without it lose nothing.
        warnings.filterwarnings("ignore", "Consolidated metadata", category=ZarrUserWarning)
        zarr.consolidate_metadata(url)


def write(slot: Slot, layer: Layer) -> None:
    """Write one work unit: whole shards, in one request each."""
    assert slot.aligned, "a worker writes whole shards only"  # noqa: S101 our own invariant
    for variable in VARIABLES:
        _opened(slot.cube, slot.lattice.zone.group, variable.name)[slot.index] = getattr(layer, variable.name)


def read(slot: Slot) -> Layer:
    """What :func:`write` wrote; fill where nothing is stored."""
    group = slot.lattice.zone.group
    return Layer(**{name: np.asarray(_opened(slot.cube, group, name)[slot.index]) for name in _NAMES})


@lru_cache(maxsize=64)
def _opened(url: str, group: str, name: str) -> zarr.Array[Any]:
    """Opened once per process: metadata never changes while workers write."""
    array = zarr.open_array(url, mode="r+", path=f"{group}/{name}")
    assert isinstance(array, zarr.Array)  # noqa: S101 what open_array gives
    return array


def _array(group: zarr.Group, variable: Variable, shape: tuple[int, ...], grid: GridConfig, *, sharded: bool) -> None:
    if variable.name in group:
        _check_same(group, variable.name, "shape", _existing(group, variable.name).shape, shape)
        return
    group.create_array(
        variable.name,
        shape=shape,
        dtype=variable.dtype,
        chunks=(1, grid.chunk, grid.chunk),
        shards=(1, grid.block, grid.block) if sharded else None,
        fill_value=variable.fill,
        compressors=BloscCodec(
            cname="zstd", clevel=5, shuffle="shuffle" if variable.dtype == "uint16" else "bitshuffle"
        ),
        dimension_names=("time", "y", "x"),
        attributes={**variable.attributes, "grid_mapping": "spatial_ref"},
    )


def _coordinates(group: zarr.Group, lattice: Lattice, box: PixelBox, windows: Sequence[Window]) -> None:
    days = np.array([[_days(window.start), _days(window.end)] for window in windows])
    transform = " ".join(str(value) for value in _gdal(lattice.transform(box)))
    if "spatial_ref" in group:
        _check_same(group, "spatial_ref", "GeoTransform", group["spatial_ref"].attrs["GeoTransform"], transform)
        _check_same(group, "time_bounds", "days", np.asarray(group["time_bounds"]).tolist(), days.tolist())
        return
    x, y = lattice.centres(box)
    for name, values, standard in (("x", x, "projection_x_coordinate"), ("y", y, "projection_y_coordinate")):
        _store(group, name, values, (name,), {"standard_name": standard, "units": "m"})
    time = {"units": "days since 1970-01-01", "calendar": "proleptic_gregorian"}
    _store(group, "time", days[:, 0], ("time",), {**time, "standard_name": "time", "bounds": "time_bounds"})
    _store(group, "time_bounds", days, ("time", "bounds"), {**time, "long_name": "half-open: start <= t < end"})
    crs = CRS.from_epsg(lattice.zone.epsg)
    _store(group, "spatial_ref", np.array(0), (), {**crs.to_cf(), "GeoTransform": transform})


def _store(
    group: zarr.Group, name: str, values: NDArray[Any], dimensions: tuple[str, ...], attributes: Mapping[str, Any]
) -> None:
    group.create_array(
        name,
        data=values,
        chunks=values.shape or (),
        dimension_names=dimensions,
        attributes=dict(attributes),
        overwrite=True,  # of a call that was interrupted before `spatial_ref`, the last one
    )


def _existing(group: zarr.Group, name: str) -> zarr.Array[Any]:
    array = group[name]
    assert isinstance(array, zarr.Array)  # noqa: S101 nothing but arrays is kept under these names
    return array


def _check_same(group: zarr.Group, name: str, what: str, found: object, expected: object) -> None:
    if found != expected:
        raise RunConflictError(
            f"{what} {found}",
            expected=f"{expected}",
            cure="The folder holds a cube of other ground or windows; choose another output.run.",
            array=f"{group.path}/{name}",
        )


def _days(instant: datetime) -> float:
    return (instant - EPOCH).total_seconds() / 86_400


def _gdal(transform: tuple[float, float, float, float, float, float]) -> tuple[float, ...]:
    a, b, c, d, e, f = transform
    return c, a, b, f, d, e
