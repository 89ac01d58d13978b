"""The cube's metadata and coordinates: made before any worker writes a shard, and again where time is lengthened."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray
from zarr.abc.store import Store
from zarr.codecs import BloscCodec
from zarr.core.buffer import Buffer, cpu
from zarr.errors import ZarrUserWarning
from zarr.storage import MemoryStore

from landslide_scale.cube.arrays import VARIABLES, Variable
from landslide_scale.cube.georeference import GRID_MAPPING, grid_mapping, of_array, of_group
from landslide_scale.cube.reflectance import variables
from landslide_scale.cube.settings import GridConfig
from landslide_scale.cube.stores import store_at
from landslide_scale.errors import InvalidInputError, RunConflictError
from landslide_scale.grid import Lattice, PixelBox
from landslide_scale.redaction import redacted
from landslide_scale.scene import Window
from landslide_scale.storage.files import persistently

METADATA = "zarr.json"
"""What a group or array says of itself; the cube's own says what all of them do."""

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
TIME_CHUNK = 1024


@dataclass(frozen=True, kw_only=True)
class Template:
    """What a cube is before anything is stored in it.

    Attributes:
        extents: Whole blocks of each zone.
        windows: The layers, in order.
        grid: Sides of block and chunk.
        sharded: One object per block and variable; otherwise one per chunk.
        attributes: Said of the whole cube.
        bands: Of the composite, those that the cube keeps.
    """

    extents: Mapping[Lattice, PixelBox]
    windows: Sequence[Window]
    grid: GridConfig
    sharded: bool
    attributes: Mapping[str, Any] = field(default_factory=dict)
    bands: Sequence[str] = ()

    @property
    def variables(self) -> tuple[Variable, ...]:
        """Every array of each zone, coordinates aside."""
        return (*VARIABLES, *variables(self.bands))


def laid(known: Mapping[str, bytes], template: Template) -> dict[str, bytes]:
    """The metadata and coordinates of a cube, or of a cube that is there with its further windows.

    Nothing of what is there is changed but for the length of time: what it lacks is added.

    Args:
        known: What is there of them, and sound: contents by name inside the cube.
        template: What the cube is.

    Returns:
        What is to be there, by name inside the cube. The last one is that by which readers of a cube that grows see
        all of the longer time axis or none: the consolidated metadata.

    Raises:
        RunConflictError: What is there covers other ground, or other windows than the first of these.
    """
    held: dict[str, Buffer] = {name: cpu.Buffer.from_bytes(content) for name, content in known.items()}
    _create(MemoryStore(held), template)
    consolidated = held.pop(METADATA)
    return {name: content.to_bytes() for name, content in held.items()} | {METADATA: consolidated.to_bytes()}


def expected(template: Template) -> dict[str, bytes]:
    """What :func:`laid` makes where there is nothing."""
    return laid({}, template)


def attributes(url: str) -> dict[str, Any]:
    """What a cube says of itself.

    Raises:
        BrokenRunError: The storage refuses to say.
        InvalidInputError: There is no cube.
    """

    def said() -> dict[str, Any]:
        try:
            return dict(zarr.open_group(store_at(url, read_only=True), mode="r").attrs)
        except FileNotFoundError:
            raise InvalidInputError("no cube", expected="one that a scan has laid out", file=redacted(url)) from None

    return persistently(url, said)


def _create(store: Store, template: Template) -> None:
    root = zarr.open_group(store, mode="a", zarr_format=3, use_consolidated=False)
    whole = {"Conventions": "CF-1.11", **template.attributes}
    if {name: root.attrs.get(name) for name in whole} != whole:
        root.update_attributes(whole)
    for lattice, box in template.extents.items():
        group = root.require_group(lattice.zone.group)
        _coordinates(group, lattice, box, template.windows)
        said, key = of_group(lattice, box), "spatial:transform"
        if key in group.attrs:  # those of earlier versions do not say it
            _check_same(root, group.path, key, group.attrs[key], said[key])
        _say(group, said)
        placed = of_array(lattice, box)
        for variable in template.variables:
            _array(group, variable, box, placed, template)
    with warnings.catch_warnings():
        # One read instead of one per array for whoever opens the cube; readers without it lose nothing.
        warnings.filterwarnings("ignore", "Consolidated metadata", category=ZarrUserWarning)
        zarr.consolidate_metadata(store)


def _say(node: zarr.Group | zarr.Array[Any], attributes: Mapping[str, Any]) -> None:
    """Add what a node does not say of itself yet, and change nothing that it says.

    So a cube that was begun before these attributes were written is read like any other once it has been gone on with.
    """
    known = node.attrs.asdict()
    if lacking := {name: value for name, value in attributes.items() if name not in known}:
        node.update_attributes(lacking)


def _array(group: zarr.Group, variable: Variable, box: PixelBox, placed: Mapping[str, Any], template: Template) -> None:
    shape, grid = (len(template.windows), *box.shape), template.grid
    if variable.name in group:
        known = _existing(group, variable.name)
        _check_same(group, variable.name, "shape", known.shape[1:], shape[1:])
        _grow(known, shape)
        _say(known, placed)
        return
    group.create_array(
        variable.name,
        shape=shape,
        dtype=variable.dtype,
        chunks=(1, grid.chunk, grid.chunk),
        shards=(1, grid.block, grid.block) if template.sharded else None,
        fill_value=variable.fill,
        compressors=BloscCodec(
            cname="zstd", clevel=5, shuffle="shuffle" if variable.dtype == "uint16" else "bitshuffle"
        ),
        dimension_names=("time", "y", "x"),
        attributes={**variable.attributes, **placed},
    )


def _coordinates(group: zarr.Group, lattice: Lattice, box: PixelBox, windows: Sequence[Window]) -> None:
    """Those that are not there are made; of those that are, time is lengthened."""
    days = np.array([[_days(window.start), _days(window.until)] for window in windows])
    mapping, key = grid_mapping(lattice, box), "GeoTransform"
    if GRID_MAPPING in group:
        _check_same(group, GRID_MAPPING, key, group[GRID_MAPPING].attrs.get(key), mapping[key])
    x, y = lattice.centres(box)
    for name, values, standard in (("x", x, "projection_x_coordinate"), ("y", y, "projection_y_coordinate")):
        if name not in group:
            _store(group, name, values, (name,), {"standard_name": standard, "units": "m"})
    if "time_bounds" in group:
        _check_windows(group, days)
    time = {"units": "days since 1970-01-01", "calendar": "proleptic_gregorian"}
    _lengthen(group, "time", days[:, 0], ("time",), {**time, "standard_name": "time", "bounds": "time_bounds"})
    bounds = {**time, "long_name": "half-open: start <= t < end"}
    _lengthen(group, "time_bounds", days, ("time", "bounds"), bounds)
    _years(group, windows)
    if GRID_MAPPING not in group:
        _store(group, GRID_MAPPING, np.array(0), (), mapping)


def _check_windows(group: zarr.Group, days: NDArray[np.float64]) -> None:
    """Make sure that `days` (T, 2) begin with the windows that the group has."""
    known = np.asarray(_existing(group, "time_bounds"))
    known = known[known[:, 0] < known[:, 1]]  # an earlier version that was interrupted left empty ones
    _check_same(group, "time_bounds", "days", known.tolist(), days[: len(known)].tolist())


def _lengthen(
    group: zarr.Group, name: str, values: NDArray[Any], dimensions: tuple[str, ...], attributes: Mapping[str, Any]
) -> None:
    """Have an array along time hold these values, and leave what it says of itself as it is."""
    if name not in group:
        _store(group, name, values, dimensions, attributes)
        return
    array = _existing(group, name)
    _grow(array, values.shape)
    if not np.array_equal(np.asarray(array), values):
        array[...] = values


def _years(group: zarr.Group, windows: Sequence[Window]) -> None:
    """Which layers are of one season of several years; a cube without such a layer says nothing of it."""
    years = np.array([window.years for window in windows], np.int16)
    if (years != 1).any():
        name = "years in a row of whose same days the layer is: time_bounds go from the first of them to the last"
        _lengthen(group, "years", years, ("time",), {"long_name": name, "units": "1"})


def _grow(array: zarr.Array[Any], shape: tuple[int, ...]) -> None:
    if array.shape[0] < shape[0]:
        array.resize(shape)


def _store(
    group: zarr.Group, name: str, values: NDArray[Any], dimensions: tuple[str, ...], attributes: Mapping[str, Any]
) -> None:
    # One object for as many windows as ever come: growing replaces it in one step, and a reader of the shorter axis
    # still finds its values.
    first = (TIME_CHUNK,) if dimensions[:1] == ("time",) else values.shape[:1]
    group.create_array(
        name,
        data=values,
        chunks=(*first, *values.shape[1:]),
        dimension_names=dimensions,
        attributes=dict(attributes),
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
