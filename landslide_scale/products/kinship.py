"""Which landslides of two versions of a map are of the same ground."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.geometry.base import BaseGeometry

from landslide_scale.region.polygons import area_km2

_M2_PER_KM2 = 1e6

Shapes = NDArray[np.object_]
"""(N,) polygons or multipolygons, degrees of WGS 84, cut at the antimeridian."""


@dataclass(frozen=True, kw_only=True)
class Shared:
    """Ground that an earlier polygon and one of now have in common.

    Attributes:
        earlier, now: Their numbers.
        m2: Geodesic area of it.
        agrees: Whether it is enough of the smaller of the two for them to be of the same ground.
    """

    earlier: int
    now: int
    m2: float
    agrees: bool


@dataclass(frozen=True, kw_only=True)
class Kinship:
    """What the polygons of now are to the earlier ones, by number.

    Attributes:
        heirs: Of a polygon of now, the earlier one that it goes on with: no two go on with the same.
        parts: Of one that goes on with none, the earlier one that it was a part of, whose largest part is elsewhere.
        merged: Of a polygon of now, the further earlier ones that it took in, ascending.
        gone: Earlier ones that nothing of now is of the ground of, ascending.
    """

    heirs: Mapping[int, int]
    parts: Mapping[int, int]
    merged: Mapping[int, tuple[int, ...]]
    gone: tuple[int, ...]


def kinship(earlier: Shapes, now: Shapes, agreement: float) -> Kinship:
    """Who goes on with whom.

    Two are of the same ground where they share at least `agreement` of the smaller. Of several pairs of one polygon
    the one with the most shared ground counts: so of two that merged the one with more ground in the new one gives it
    its name, and of two that one was split into the one with more of its ground keeps it. Equal areas go by number.

    Args:
        earlier: Polygons of one layer.
        now: Polygons of the same in another version.
        agreement: In (0, 1], closed.
    """
    pairs = [one for one in shared(earlier, now, agreement) if one.agrees]
    pairs.sort(key=lambda one: (-one.m2, one.earlier, one.now))
    heirs: dict[int, int] = {}
    given: set[int] = set()
    for one in pairs:
        if one.now not in heirs and one.earlier not in given:
            heirs[one.now] = one.earlier
            given.add(one.earlier)
    parts, merged, taken = dict[int, int](), defaultdict[int, list[int]](list), set[int]()
    for one in pairs:
        if one.earlier not in given | taken:
            merged[one.now].append(one.earlier)
            taken.add(one.earlier)
        if one.now not in heirs:
            parts.setdefault(one.now, one.earlier)
    return Kinship(
        heirs=heirs,
        parts=parts,
        merged={number: tuple(sorted(some)) for number, some in merged.items()},
        gone=tuple(number for number in range(len(earlier)) if number not in given | taken),
    )


def shared(earlier: Shapes, now: Shapes, agreement: float) -> list[Shared]:
    """All pairs that have ground in common, in the order of their numbers.

    Args:
        earlier: Polygons of one layer.
        now: Polygons of the same in another version.
        agreement: Share of the smaller of two from which on they agree, closed.
    """
    if not len(earlier) or not len(now):
        return []
    older, newer = _valid(earlier), _valid(now)
    pairs = _meeting(older, newer)
    common = shapely.intersection(older[pairs[:, 0]], newer[pairs[:, 1]])
    areas = {True: _areas(older, np.unique(pairs[:, 0])), False: _areas(newer, np.unique(pairs[:, 1]))}
    found = []
    for (one, other), ground in zip(pairs.tolist(), common, strict=True):
        m2 = geodesic_m2(ground)
        if m2 > 0:
            least = agreement * min(areas[True][one], areas[False][other])
            found.append(Shared(earlier=one, now=other, m2=m2, agrees=m2 >= least))
    return found


def geodesic_m2(ground: BaseGeometry) -> float:
    """Area on the ellipsoid, square metres; lines and points have none."""
    parts = [part for part in shapely.get_parts(shapely.get_parts(ground)) if isinstance(part, shapely.Polygon)]
    return area_km2(shapely.MultiPolygon(parts)) * _M2_PER_KM2 if parts else 0.0


def _valid(shapes: Shapes) -> Shapes:
    """The same ground, of which intersections can be made."""
    return np.asarray(np.where(shapely.is_valid(shapes), shapes, shapely.make_valid(shapes)), object)


def _meeting(earlier: Shapes, now: Shapes) -> NDArray[np.int64]:
    """Pairs (N, 2) that may have ground in common; by their parts, for one over the antimeridian spans the globe."""
    older, owners = shapely.get_parts(earlier, return_index=True)
    newer, theirs = shapely.get_parts(now, return_index=True)
    asked, found = shapely.STRtree(older).query(newer, predicate="intersects")
    return np.unique(np.column_stack([owners[found], theirs[asked]]), axis=0).astype(np.int64)


def _areas(shapes: Shapes, asked: Sequence[int] | NDArray[np.int64]) -> dict[int, float]:
    return {int(number): geodesic_m2(shapes[number]) for number in asked}
