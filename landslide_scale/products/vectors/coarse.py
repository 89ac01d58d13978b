"""Ground that the cube says nothing of, and ground near snow, as polygons: on cells of about 100 m, block row by row.

At full resolution the rim of every cloud would be a polygon; what is asked of such a layer is where the map is blind.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from math import ceil

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.geometry.base import BaseGeometry

from landslide_scale.bands import Reason
from landslide_scale.grid import Lattice, PixelBox, Zone, project
from landslide_scale.products.bits import SNOW_NEAR_M
from landslide_scale.products.scanned import Scanned
from landslide_scale.region.polygons import area_km2
from landslide_scale.runtime.progress import gone_over
from landslide_scale.scan.plan import Place
from landslide_scale.scene import Window

CELL_M = 100
"""Side of a cell, about: a whole number of them makes a block."""

_PIXELS_AT_ONCE = 1 << 22
_EDGE_M = 1000
"""Edges are cut at this length before projection."""


@dataclass(frozen=True, kw_only=True)
class Patch:
    """Ground with one thing to say of it.

    Attributes:
        window: The layer.
        what: Of it.
        geometry: Degrees of WGS 84, right-handed, cut at the antimeridian.
    """

    window: Window
    what: str
    geometry: shapely.MultiPolygon

    @property
    def area_m2(self) -> float:
        """On the ellipsoid."""
        return area_km2(self.geometry) * 1e6


@dataclass(frozen=True, kw_only=True)
class _Row:
    """A row of blocks of one layer: its ground, metres of its zone, by what is said of it.

    Attributes:
        number: Of the row on its lattice.
        unseen: By the code of the commonest reason, where more than half of a cell's pixels were not observed.
        snow: Cells with snow in them.
    """

    number: int
    unseen: Mapping[int, BaseGeometry]
    snow: BaseGeometry


def cell_side(lattice: Lattice) -> int:
    """Side of a cell in pixels: the divisor of a block whose metres are nearest to `CELL_M`, the smaller of two."""
    sides = (side for side in range(1, lattice.block + 1) if lattice.block % side == 0)
    return min(sides, key=lambda side: abs(side * lattice.resolution - CELL_M))


def not_observed(scanned: Scanned, layers: Sequence[int] | None = None) -> Iterator[Patch]:
    """Ground of the region that holds no probability, by the reason; polygons end at rows of blocks.

    A cell counts where more than half of its pixels that are asked for hold none; the reason is the commonest, of
    equals that of the smaller code.

    Args:
        scanned: The scan.
        layers: Indexes of windows; by default all.
    """
    for layer, lattice, rows in _layers(scanned, range(len(scanned.windows)) if layers is None else layers):
        for row in rows:
            for code, ground in sorted(row.unseen.items()):
                what = Reason(code).name.lower().replace("_", " ")
                yield from _patches(scanned, layer, lattice, ground, what)


def near_snow(scanned: Scanned) -> Iterator[Patch]:
    """Ground of the region within `SNOW_NEAR_M` of a cell with snow or ice in it; polygons end at rows of blocks."""
    for layer, lattice, rows in _layers(scanned, range(len(scanned.windows))):
        held = {row.number: row.snow for row in rows}
        reach = ceil(SNOW_NEAR_M / (lattice.block * lattice.resolution))
        extent = scanned.extents[lattice]
        for number in sorted({near + step for near in held for step in range(-reach, reach + 1)}):
            around = [held[near] for near in range(number - reach, number + reach + 1) if near in held]
            top, side = number * lattice.block, lattice.block
            box = PixelBox(row_start=top, row_stop=top + side, col_start=extent.col_start, col_stop=extent.col_stop)
            grown = shapely.buffer(shapely.union_all(around), SNOW_NEAR_M, quad_segs=4)
            ground = shapely.intersection(grown, shapely.box(*lattice.bounds(box)))
            yield from _patches(scanned, layer, lattice, ground, f"snow or ice within {SNOW_NEAR_M} m")


def _layers(scanned: Scanned, layers: Sequence[int]) -> Iterator[tuple[int, Lattice, Iterator[_Row]]]:
    """Each layer and zone with its rows of blocks that have something to say."""
    for layer in layers:
        for lattice in sorted(scanned.extents, key=lambda one: one.zone.epsg):
            yield layer, lattice, _rows(scanned, layer, lattice)


def _rows(scanned: Scanned, layer: int, lattice: Lattice) -> Iterator[_Row]:
    places = [place for place in scanned.laid.places if place.layer == layer and place.lattice == lattice]
    for number, row in groupby(sorted(places, key=lambda one: one.block), key=lambda one: one.block.row):
        boxes: dict[int, list[BaseGeometry]] = defaultdict(list)
        for place in row:
            for code, shapes in _boxes(scanned, place).items():
                boxes[code].append(shapely.union_all(shapes))
            gone_over(lattice.block**2)
        snow = shapely.union_all(boxes.pop(_SNOW, []))
        yield _Row(number=number, unseen={code: shapely.union_all(them) for code, them in boxes.items()}, snow=snow)


_SNOW = -1
"""In place of a reason: cells with any snow."""


def _boxes(scanned: Scanned, place: Place) -> dict[int, NDArray[np.object_]]:
    """Cells of a block as boxes in metres, by reason; a row of like cells is one."""
    lattice, side = place.lattice, cell_side(place.lattice)
    high = max(side, min(lattice.block, _PIXELS_AT_ONCE // lattice.block) // side * side)
    unseen, snow = zip(
        *(
            _cells(scanned, place, PixelBox(row_start=top, row_stop=min(top + high, place.box.row_stop),
                                            col_start=place.box.col_start, col_stop=place.box.col_stop))
            for top in range(place.box.row_start, place.box.row_stop, high)
        ),
        strict=True,
    )  # fmt: skip
    whole, white = np.concatenate(unseen), np.concatenate(snow)
    found = {int(code): _runs(whole == code, place) for code in np.unique(whole[whole > 0])}
    return found | ({_SNOW: _runs(white, place)} if white.any() else {})


def _cells(scanned: Scanned, place: Place, box: PixelBox) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Of each cell (H, W) why most of it was not observed, 0 where it was, and whether there is snow in it."""
    side = cell_side(place.lattice)
    reason = scanned.read(place.lattice, box, place.layer).reason
    if place.id in scanned.missing:
        asked = place.lattice.inside(box, scanned.region)
        reason = np.full_like(reason, Reason.NOT_SCANNED)
    else:
        asked = reason != Reason.NOT_SCANNED
    unseen = np.where(asked, reason, Reason.OBSERVED)
    counts = {int(code): _count(unseen == code, side) for code in np.unique(unseen[unseen > 0])}
    if not counts:
        empty = np.zeros((box.shape[0] // side, box.shape[1] // side), np.uint8)
        return empty, empty > 0
    codes, stack = np.array(list(counts), np.uint8), np.stack(list(counts.values()))
    most = 2 * stack.sum(axis=0) > _count(asked, side)
    snow = counts.get(int(Reason.SNOW), np.zeros_like(stack[0])) > 0
    return np.where(most, codes[stack.argmax(axis=0)], 0).astype(np.uint8), snow


def _count(these: NDArray[np.bool_], side: int) -> NDArray[np.int64]:
    """How many pixels (H, W) are true in each cell."""
    rows, cols = these.shape
    return np.asarray(these.reshape(rows // side, side, cols // side, side).sum(axis=(1, 3)))


def _runs(cells: NDArray[np.bool_], place: Place) -> NDArray[np.object_]:
    """Boxes in metres of the cells (H, W) that are true, those beside each other as one."""
    edges = np.diff(np.pad(cells, ((0, 0), (1, 1))).astype(np.int8), axis=1)
    row, start = np.nonzero(edges == 1)
    stop = np.nonzero(edges == -1)[1]
    size = cell_side(place.lattice) * place.lattice.resolution
    west, _, _, north = place.lattice.bounds(place.box)
    return np.asarray(
        shapely.box(west + start * size, north - (row + 1) * size, west + stop * size, north - row * size)
    )


def _patches(scanned: Scanned, layer: int, lattice: Lattice, ground: BaseGeometry, what: str) -> Iterator[Patch]:
    """One for each polygon, clipped to the region and to the zone's ground."""
    clipped = shapely.intersection(lattice.zone.clip(_in_degrees(ground, lattice.zone)), scanned.region)
    for part in getattr(clipped, "geoms", [clipped]):
        if isinstance(part, shapely.Polygon) and not part.is_empty:
            shape = shapely.orient_polygons(shapely.MultiPolygon([part]))
            yield Patch(window=scanned.windows[layer], what=what, geometry=shape)


def _in_degrees(ground: BaseGeometry, zone: Zone) -> BaseGeometry:
    """In longitude and latitude, in one piece over the antimeridian: on the turn of the globe nearest to the zone."""

    def in_one_piece(points: NDArray[np.float64]) -> NDArray[np.float64]:
        turns = np.round((points[:, 0] - zone.middle) / 360)
        return np.stack([points[:, 0] - 360 * turns, points[:, 1]], axis=1)

    return shapely.transform(project(shapely.segmentize(ground, _EDGE_M), zone.epsg, 4326), in_one_piece)
