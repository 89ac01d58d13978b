"""A made scan over the border of two zones, of two windows, and its landslides as rows."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from helpers.cubes import AFTER, BEFORE, Made, Paint, layer_of, made

from landslide_scale.bands import Reason
from landslide_scale.cube.arrays import Layer
from landslide_scale.grid import Lattice, PixelBox, project, transformer
from landslide_scale.products.landslide import Landslide
from landslide_scale.products.scanned import Scanned
from landslide_scale.scan.plan import Place
from landslide_scale.storage.rundir import RunDirectory

HOW = Made(windows=(BEFORE, AFTER), block=64, chunk=64, region=shapely.box(17.99, 42.995, 18.01, 43.005))
"""Two kilometres over the meridian between zones 33 and 34."""


def paint(place: Place) -> Layer | None:
    """Noise that depends on the place alone; the first row of a block is under cloud."""
    rng = np.random.default_rng([place.block.row % 1000, place.block.col, place.layer, place.lattice.zone.epsg])
    probability = np.rint(rng.uniform(0, 1, place.box.shape) * 250) / 250
    probability[0] = np.nan
    return layer_of(probability, unseen=Reason.CLOUD)


def run_of(folder: Path, how: Made = HOW, painted: Paint = paint) -> RunDirectory:
    """A made scan of all blocks of zones that the region meets."""
    places = [
        Place(lattice=lattice, block=block, layer=layer)
        for lattice in lattices(how)
        for block in lattice.blocks_meeting(how.region)
        for layer in range(len(how.windows))
    ]
    return made(folder, places, painted, how)


def lattices(how: Made) -> list[Lattice]:
    """Of the zones that its region meets."""
    longitudes = {part.centroid.x for part in shapely.get_parts(how.region)} | {
        how.region.bounds[0],
        how.region.bounds[2],
    }
    numbers = sorted({int((longitude + 180) // 6) % 60 + 1 for longitude in longitudes})
    return [how.lattice(number, southern=how.region.bounds[1] < 0) for number in numbers]


def square(of: Scanned, number: int) -> tuple[Lattice, PixelBox]:
    """The pixels of a made landslide: 4 x 4, west of the border, each 10 rows below the one before."""
    lattice = next(iter(of.extents))
    x, y = transformer(4326, lattice.zone.epsg).transform(17.994, 43.003)
    box = lattice.box_covering((x, y - 100.0 * number, x, y - 100.0 * number))
    return lattice, PixelBox(
        row_start=box.row_start, row_stop=box.row_start + 4, col_start=box.col_start, col_stop=box.col_start + 4
    )


def landslide(of: Scanned, number: int, **said: object) -> dict[str, Any]:
    """A landslide as polygons are handed on, or what is said instead."""
    lattice, box = square(of, number)
    west, south, east, north = lattice.bounds(box)
    shape = shapely.MultiPolygon([project(shapely.box(west, south, east, north), lattice.zone.epsg, 4326)])
    known: dict[str, Any] = {
        "id": f"slide-{number}",
        "window": of.windows[-1].days,
        "geometry": shape,
        "pixels": 16,
        "area_m2": 1600.0 + number,
        "length_m": 40.0,
        "width_m": 40.0,
        "prob_mean": 0.5 + number / 100,
        "prob_max": 0.9,
        "confidence": "medium",
        "looks": 3,
        "date_max": date(2023, 7, 20),
        "priority": number + 1,
    }
    return Landslide(**(known | said)).row()
