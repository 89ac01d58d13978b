"""What landslides cut, block or touch of a user's layers.

Distances and shares are measured in the UTM zone of each part of a landslide, whose metres are the ground's within
0.0014 there. What lies on the other side of the antimeridian is not near.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import islice

import numpy as np
import shapely
from numpy.typing import NDArray

from landslide_scale.grid import project
from landslide_scale.products.bits import Exclusion
from landslide_scale.products.landslide import Landslide
from landslide_scale.products.vectors.userlayers import Shapes, UserLayer
from landslide_scale.region.polygons import METRES_PER_DEGREE

NEAR_M = 10.0
"""A landslide touches what is within so many metres of it, closed: a pixel, by which maps and images differ."""

MOSTLY = 0.5
"""Share of a landslide's area, closed, from which on it lies on a layer's ground."""

GROUNDS = {"cropland": Exclusion.CROPLAND, "river_banks": Exclusion.RIVER_BANK, "buildings": Exclusion.BUILT_UP}
"""What a landslide gets a bit for that lies on such ground mostly: it stays, and may be none."""

RULE = (
    f"a landslide touches a layer that has anything within {NEAR_M:g} m of its outline or inside it, and has an "
    f"exclusion bit of cropland, river_banks or buildings where at least {MOSTLY:.0%} of its area lies on them"
)

_AT_ONCE = 2000


def touching(found: Iterable[Landslide], layers: Sequence[UserLayer]) -> Iterator[Landslide]:
    """The same landslides in their order, each with what it touches by `RULE`: names in the order of the layers.

    Args:
        found: Landslides; what they are said to touch is replaced, and their exclusion bits are kept.
        layers: Of a user; without any, nothing is touched.
    """
    them = iter(found)
    while some := list(islice(them, _AT_ONCE)):
        outlines = np.array([one.geometry for one in some], object)
        names: list[list[str]] = [[] for _ in some]
        bits = [Exclusion(one.exclusion) for one in some]
        for layer in layers:
            near, share = _asked(outlines, layer)
            for number in np.flatnonzero(near):
                names[number].append(layer.name)
            for number in np.flatnonzero(share >= MOSTLY):
                bits[number] |= GROUNDS[layer.name]
        for one, touched, bit in zip(some, names, bits, strict=True):
            yield replace(one, touches=",".join(touched), exclusion=int(bit))


def _asked(outlines: Shapes, layer: UserLayer) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    """Of each landslide whether it touches the layer, and the share of its area on it, 0 of layers without bits."""
    parts, owners = shapely.get_parts(outlines, return_index=True)
    near, on, whole = np.zeros(len(outlines), bool), np.zeros(len(outlines)), np.zeros(len(outlines))
    pairs = layer.tree.query(_boxes(parts))
    zones = _zones(parts)
    for epsg in np.unique(zones):
        here = np.flatnonzero(zones == epsg)
        metric = np.full(len(parts), None, object)
        metric[here] = _projected(parts[here], int(epsg))
        np.add.at(whole, owners[here], shapely.area(metric[here]))
        mine, theirs = pairs[:, np.isin(pairs[0], here)]
        asked, places = np.unique(theirs, return_inverse=True)
        pieces = _projected(layer.pieces[asked], int(epsg))[places] if len(asked) else np.array([], object)
        close = shapely.dwithin(metric[mine], pieces, NEAR_M)
        near[owners[mine[close]]] = True
        if layer.name in GROUNDS:
            for part in np.unique(mine[close]):
                common = shapely.intersection(metric[part], pieces[close & (mine == part)])
                on[owners[part]] += shapely.area(shapely.union_all(common))
    return near, on / whole


def _boxes(parts: Shapes) -> Shapes:
    """Boxes in degrees that hold all that is near a part."""
    west, south, east, north = shapely.bounds(parts).T
    tall = NEAR_M / METRES_PER_DEGREE
    wide = tall / np.maximum(np.cos(np.radians(np.maximum(np.abs(south), np.abs(north)) + tall)), 1e-3)
    return np.asarray(shapely.box(west - wide, south - tall, east + wide, north + tall))


def _zones(parts: Shapes) -> NDArray[np.int64]:
    """EPSG code of the UTM zone that each part's middle lies in, by plain strips."""
    west, south, east, north = shapely.bounds(parts).T
    numbers = np.minimum(((west + east) / 2 + 180) // 6 + 1, 60).astype(np.int64)
    return np.where(south + north < 0, 32700, 32600) + numbers


def _projected(shapes: Shapes, epsg: int) -> Shapes:
    return np.asarray(project(shapes, 4326, epsg))
