"""What a run consists of, as its folder alone tells: which units, on which lattices, of which windows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import shapely
from shapely.geometry.base import BaseGeometry

from landslide_scale.cube.arrays import Slot, objects
from landslide_scale.cube.record import Record
from landslide_scale.errors import InvalidInputError
from landslide_scale.grid import Block, Lattice, PixelBox, Zone
from landslide_scale.scan.plan import Place, extents
from landslide_scale.scene import Window
from landslide_scale.storage.owned import read_own
from landslide_scale.storage.rundir import RunDirectory

UNITS = "units.parquet"
CUBE = "cube.zarr"
REGION = "region.geojson"
"""The ground that was asked for: one geometry, degrees."""

_SOUTHERN_UTM = 32700


@dataclass(frozen=True, kw_only=True)
class Layout:
    """The planned units of a run.

    Attributes:
        run: Its folder.
        places: Every unit, in the order of the plan.
        windows: The layers.
        side: Of the ground that one object of the cube holds, in pixels.
        bands: Of the composite, those that the cube keeps.
        id: Of the run; empty of one begun before runs had one.
    """

    run: RunDirectory
    places: tuple[Place, ...]
    windows: tuple[Window, ...]
    side: int
    bands: tuple[str, ...] = ()
    id: str = ""

    @cached_property
    def extents(self) -> dict[Lattice, PixelBox]:
        """What each zone's group of the cube covers."""
        return extents(self.places)

    def slot(self, place: Place) -> Slot:
        """Where a unit goes in the cube."""
        return Slot(
            cube=self.run.at(CUBE),
            lattice=place.lattice,
            extent=self.extents[place.lattice],
            box=place.box,
            layer=place.layer,
            bands=self.bands,
            run=self.id,
        )

    @cached_property
    def blocks(self) -> tuple[list[Place], ...]:
        """The units by the block that they are of, whatever their window."""
        found: dict[tuple[int, int, int], list[Place]] = {}
        for place in self.places:
            found.setdefault((place.lattice.zone.epsg, place.block.row, place.block.col), []).append(place)
        return tuple(found.values())

    def looks(self, records: Mapping[str, Record]) -> Iterator[list[tuple[Place, Record]]]:
        """Of each block the units that have ended, and what became of them; of blocks without one nothing."""
        for block in self.blocks:
            if ended := [(place, record) for place in block if (record := records.get(place.id)) is not None]:
                yield ended

    def objects(self, place: Place) -> dict[str, list[str]]:
        """What a unit is stored as: names inside the cube, by variable."""
        return objects(self.slot(place), self.side)


def units(places: Iterable[Place]) -> bytes:
    """The planned units, as `UNITS` holds them."""
    held = list(places)
    table = pa.table(
        {
            "unit": [place.id for place in held],
            "epsg": pa.array([place.lattice.zone.epsg for place in held], pa.int32()),
            "layer": pa.array([place.layer for place in held], pa.int32()),
            "row": pa.array([place.block.row for place in held], pa.int32()),
            "col": pa.array([place.block.col for place in held], pa.int32()),
        }
    )
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink)
    return bytes(sink.getvalue())


def region(ground: BaseGeometry) -> bytes:
    """The ground that was asked for, as `REGION` holds it; a run that was begun before there was one gains it."""
    return shapely.to_geojson(ground).encode()


def load_region(run: RunDirectory) -> BaseGeometry | None:
    """The ground that was asked for, degrees; None of a run that did not keep it.

    Raises:
        RunConflictError: The file that says so is damaged.
    """
    return read_own(run, REGION, _geometry, cure="scan --resume writes it anew.") if run.exists(REGION) else None


def _geometry(content: bytes) -> BaseGeometry:
    try:
        return shapely.from_geojson(content)
    except shapely.errors.ShapelyError as error:
        raise ValueError(error) from error


def load(run: RunDirectory) -> Layout:
    """What a scan's folder says of itself.

    Raises:
        InvalidInputError: It holds no scan, or one that had not come to its first unit.
    """
    if not run.exists(UNITS):
        raise InvalidInputError(
            f"no {UNITS}", expected="the folder of a scan that has been begun", cure="Give output.run.", run=run
        )
    try:
        table = pq.read_table(pa.BufferReader(run.read(UNITS)))
    except (ValueError, OSError) as error:
        raise InvalidInputError(
            f"{UNITS} is damaged ({type(error).__name__}: {error})",
            expected="the units of a scan",
            cure="scan --resume writes it anew.",
            run=run,
        ) from error
    facts = run.facts()  # after the units: to whoever reads an append at work, no unit is of a window that is not there
    settings, grid = facts["settings"], facts["settings"]["grid"]
    lattices = {code: _lattice(code, grid) for code in table.column("epsg").unique().to_pylist()}
    return Layout(
        run=run,
        places=tuple(
            Place(lattice=lattices[row["epsg"]], block=Block(row=row["row"], col=row["col"]), layer=row["layer"])
            for row in table.to_pylist()
        ),
        windows=tuple(map(Window.recorded, settings["windows"])),
        side=grid["block"] if settings["output"]["sharded"] else grid["chunk"],
        bands=tuple(settings["output"].get("keep", ())),  # not said of a run that keeps none
        id=str(facts.get("id", "")),
    )


def _lattice(epsg: int, grid: dict[str, Any]) -> Lattice:
    if grid["crs"] is not None:
        zone = Zone.whole(epsg)
    else:
        # Runs that say nothing of it were begun when there was one rule.
        zone = Zone.utm(epsg % 100, southern=epsg > _SOUTHERN_UTM, rule=grid.get("zones", "plain"))
    return Lattice(zone=zone, resolution=grid["resolution"], block=grid["block"])
