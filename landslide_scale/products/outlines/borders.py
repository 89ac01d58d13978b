"""Landslides over the border of two zones: which parts are one, and their outline on the ground of both.

A zone owns the pixels whose centres lie on its ground; their squares reach over its border, or fall short of it, by up
to half a pixel. So near a border outlines are cut at it, and where two parts are one, each is first led on to it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import shapely
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from shapely import MultiPolygon

from landslide_scale.grid import Lattice, transformer
from landslide_scale.products.outlines.degrees import near_turn, shifted, to_degrees, to_pixels
from landslide_scale.products.outlines.part import Part
from landslide_scale.products.outlines.runs import Runs, as_multi, canonical, of_pixels, outline, pixels_of
from landslide_scale.products.outlines.smoothing import simplified

JOINED_WITHIN = float(np.sqrt(2))
"""Parts in two zones are one landslide where less than this lies between their exact outlines: the diagonal of a pixel,
in pixels of the zone with the smaller code."""

_LED_ON = 2
"""Pixels: one reaches the border, the second keeps the cut of corners away from it."""

_SNAP = 1e-9
"""Degrees, a tenth of a millimetre: what two cuts at one border differ by is no gap."""

_TURNS = (-360.0, 0.0, 360.0)
_METRES_PER_DEGREE = 110_000


def grouped(parts: Sequence[Part]) -> list[tuple[Part, ...]]:
    """The parts of each landslide, by their keys; and landslides by that of their first part."""
    parts = sorted(parts, key=lambda part: part.key)
    if not parts:
        return []
    pairs = [pair for pair in _candidates(parts) if _touching(parts[pair[0]], parts[pair[1]])]
    one, other = np.array(pairs, np.int64).reshape(-1, 2).T
    touching = coo_array((np.ones(len(pairs), bool), (one, other)), shape=(len(parts), len(parts)))
    found: dict[int, list[Part]] = {}
    for number, part in zip(connected_components(touching, directed=False)[1].tolist(), parts, strict=True):
        found.setdefault(number, []).append(part)
    return [tuple(group) for group in found.values()]  # by the first that each was met with


def _candidates(parts: Sequence[Part]) -> list[tuple[int, int]]:
    """Pairs, the first of the zone with the smaller code, whose boxes in degrees come near each other."""
    boxes = [_around(part) for part in parts]
    tree, found = shapely.STRtree(boxes), set[tuple[int, int]]()
    for turn in _TURNS:
        turned = [shifted(box, turn) for box in boxes]
        for one, other in tree.query(turned, predicate="intersects").T.tolist():
            if parts[one].lattice.zone.epsg != parts[other].lattice.zone.epsg:
                found.add((min(one, other), max(one, other)))
    return sorted(found)


def _around(part: Part) -> shapely.Polygon:
    """A box in degrees that holds all within two pixels."""
    west, south, east, north = part.ground.bounds
    tall = 2 * part.lattice.resolution / _METRES_PER_DEGREE
    wide = tall / max(float(np.cos(np.radians(max(abs(south), abs(north))))), 1e-3)
    return shapely.box(west - wide, south - tall, east + wide, north + tall)


def _touching(one: Part, other: Part) -> bool:
    return bool(shapely.distance(one.outline, in_pixels_of(one.lattice, other)) < JOINED_WITHIN)


def in_pixels_of(lattice: Lattice, part: Part) -> MultiPolygon:
    """The exact outline of a part in columns and rows of a lattice."""
    return part.outline if part.lattice == lattice else to_pixels(part.ground, lattice)


def on_own_ground(group: Sequence[Part]) -> MultiPolygon:
    """The simplified outline of a landslide near a border, degrees, in one piece: no ground of it counts twice."""
    middle = group[0].lattice.zone.middle
    pieces = [near_turn(_cut_at_border(part, led_on=len(group) > 1), middle) for part in group]
    return pieces[0] if len(pieces) == 1 else as_multi(shapely.union_all(pieces, grid_size=_SNAP))


def _cut_at_border(part: Part, *, led_on: bool) -> MultiPolygon:
    runs = _led_on(part) if led_on else part.runs
    return as_multi(part.lattice.zone.clip(to_degrees(simplified(outline(runs)), part.lattice)))


def _led_on(part: Part) -> Runs:
    """Its pixels, and those beyond its zone's border that go on from them straight across.

    Across: where the border is a meridian along rows, where it is a parallel along columns. Along a border nothing is
    added, so they touch no other landslide of the zone.
    """
    rows, cols = pixels_of(part.runs)
    pieces = [part.runs]
    for down, right in ((0, 1), (0, -1), (1, 0), (-1, 0)):
        beyond = _across(part.lattice, (rows, cols), (down, right))
        pieces += [of_pixels(rows[beyond] + down * step, cols[beyond] + right * step) for step in range(1, _LED_ON + 1)]
    added = np.unique(np.concatenate(pieces[1:]), axis=0)
    return canonical([part.runs, added]) if len(added) else part.runs


def _across(
    lattice: Lattice, pixels: tuple[NDArray[np.int64], NDArray[np.int64]], step: tuple[int, int]
) -> NDArray[np.bool_]:
    """Which pixels have a neighbour in a direction that their zone does not own, over a border across it."""
    rows, cols = pixels
    longitude, latitude = _centres(lattice, rows, cols)
    there, up = _centres(lattice, rows + step[0], cols + step[1])
    out = np.zeros(len(rows), bool)
    for owned in lattice.zone.ground:
        along_row = (up >= owned.south) & (up < owned.north)
        along_column = (there >= owned.west) & (there < owned.east)
        out |= owned.holds(longitude, latitude) & (along_column if step[0] else along_row)
    return out & ~lattice.zone.owns(there, up)


def _centres(
    lattice: Lattice, rows: NDArray[np.int64], cols: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    x0, y0 = lattice.zone.origin
    x, y = x0 + (cols + 0.5) * lattice.resolution, y0 - (rows + 0.5) * lattice.resolution
    longitude, latitude = transformer(lattice.zone.epsg, 4326).transform(x, y)
    return longitude, latitude
