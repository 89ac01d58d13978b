"""Over 180 degrees a label and a lattice mean one place by different longitudes: they meet in projected coordinates."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
import shapely

from landslide_scale.cube.record import Record
from landslide_scale.cube.settings import GridConfig
from landslide_scale.grid import PatchLattice
from landslide_scale.imagery.settings import CompositeConfig
from landslide_scale.labels.foreseen import _holds
from landslide_scale.labels.making import LOST, STORED, Task, make
from landslide_scale.scan.plan import Plan
from landslide_scale.scan.plan import make as planned
from landslide_scale.scene import Window
from landslide_scale.storage.rundir import RunDirectory

WEST, EAST = shapely.box(179.88, -17.02, 180.0, -16.68), shapely.box(-180.0, -17.02, -179.72, -16.68)
"""Taveuni, which lies on both sides."""

SCARS = {
    "west": shapely.box(179.90, -16.90, 179.93, -16.85),
    "west, close": shapely.box(179.97, -16.95, 179.98, -16.90),
    "over it": shapely.union_all(
        [shapely.box(179.99, -16.80, 180.0, -16.75), shapely.box(-180.0, -16.80, -179.98, -16.75)]
    ),
    "east, close": shapely.box(-179.97, -16.99, -179.96, -16.93),
    "east": shapely.box(-179.82, -16.90, -179.76, -16.85),
}
PIXEL_M, CHIP = 50, 64
WINDOW = Window(start=datetime(2024, 1, 1, tzinfo=UTC), end=datetime(2024, 2, 1, tzinfo=UTC))


def plan(crs: int | None) -> Plan:
    return planned(
        region=shapely.union_all([WEST, EAST]),
        windows=(WINDOW,),
        scenes=(),
        grid=GridConfig(resolution=PIXEL_M, block=CHIP, chunk=CHIP, crs=crs),
        composite=CompositeConfig(),
        patches=PatchLattice(patch=CHIP, halo=0),
    )


def burnt(of: Plan, labels: shapely.Geometry, folder: Path, ring: float = 0.0) -> dict[str, int]:
    """Landslide pixels of each chip; none was observed, so that they are what is lost."""
    task = Task(
        directory=RunDirectory(str(folder)),
        region=of.region.wkt,
        labels=labels.wkt,
        bands=("red",),
        composite=CompositeConfig(),
        patches=of.patches,
        lattices=tuple(of.extents),
        ignore_ring_m=ring,
    )
    rows = [make({"unit": unit.to_json(), "attempt": 1}, task) for unit in of.units]
    records = [Record.from_json(row["record"]) for row in rows]
    return {record.unit: record.stored[STORED][LOST] for record in records}


@pytest.mark.parametrize("ring", [0.0, 200.0])
@pytest.mark.parametrize("crs", [3460, 3832, 32760, None])
def test_every_pixel_of_a_landslide_is_landslide_on_either_side(crs: int | None, ring: float, tmp_path: Path):
    of, labels = plan(crs), shapely.union_all(list(SCARS.values()))
    found = burnt(of, labels, tmp_path, ring)
    expected = {unit.id: int(unit.lattice.inside(unit.box, labels).sum()) for unit in of.units}
    assert sum(expected.values()) > 15_000
    # Degrees and metres draw an edge a little differently: a few pixels of its length.
    assert sum(found.values()) == pytest.approx(sum(expected.values()), rel=0.005)
    for unit, pixels in expected.items():
        assert found[unit] == pytest.approx(pixels, abs=CHIP / 4), unit


@pytest.mark.parametrize("name", SCARS)
def test_no_chip_loses_a_landslide_for_the_longitude_it_is_told_by(name: str, tmp_path: Path):
    of = plan(3460)
    found, scar = burnt(of, SCARS[name], tmp_path), SCARS[name]
    hectares = shapely.area(scar) * 111_320 * 110_650 * np.cos(np.radians(16.85)) / 1e4
    assert sum(found.values()) * PIXEL_M**2 / 1e4 == pytest.approx(hectares, rel=0.02)
    assert {unit.id for unit in of.units if _holds(unit, scar)} >= {unit for unit, pixels in found.items() if pixels}
