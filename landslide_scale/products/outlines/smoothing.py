"""Outlines without their staircases, which stay where they are to within half a pixel."""

from __future__ import annotations

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely import MultiPolygon, Polygon

from landslide_scale.products.outlines.runs import as_multi

TOLERANCE = 0.125
"""Of Douglas and Peucker's rule, in pixels: half a pixel, less what the cut of corners takes, leaves 0.146."""


def simplified(outline: MultiPolygon) -> MultiPolygon:
    """An exact outline with its corners cut between the middles of pixel sides, and points that tell little left out.

    No point of it lies half a pixel or more from the exact outline, nor the other way round:

    * To cut a corner between the middles of the two sides that meet there moves no point farther than the corner is
      from the cut: sqrt(2) / 4 = 0.354 of a pixel.
    * Douglas and Peucker's rule leaves out points that lie within :data:`TOLERANCE` of the edge that replaces them, and
      then the edge lies within it of them too: 0.354 + 0.125 = 0.479 < 0.5.

    Therefore what it covers lies less than half a pixel from what the pixels cover: while the outline moves so little,
    it does not pass over a point that is farther away, and so such a point stays inside or outside. Different
    landslides of a zone do not touch in a corner, and are a pixel apart: their outlines cannot come to overlap. Within
    one, strands of the cut outline are at least sqrt(2) / 2 apart (about a corner at which two parts, or two holes,
    touch), which is more than twice the tolerance, so parts and holes stay apart; the topology-preserving form of the
    rule keeps each of them, and valid.

    Douglas, D. H. and Peucker, T. K. (1973): Algorithms for the reduction of the number of points required to represent
    a digitized line or its caricature. Cartographica 10 (2), 112-122.

    Args:
        outline: Whole numbers, a pixel is 1 x 1.
    """
    cut = [
        Polygon(_cut(part.exterior.coords), [_cut(hole.coords) for hole in part.interiors]) for part in outline.geoms
    ]
    return as_multi(shapely.simplify(MultiPolygon(cut), TOLERANCE, preserve_topology=True))


def _cut(corners: object) -> NDArray[np.float64]:
    """The middles (N, 2) of all pixel sides along a ring (M, 2) of whole numbers."""
    ring = np.asarray(corners)
    edges = np.diff(ring, axis=0)
    sides = np.abs(edges).sum(axis=1).astype(np.int64)
    start, along = np.repeat(ring[:-1], sides, axis=0), np.repeat(edges / sides[:, None], sides, axis=0)
    number = np.arange(sides.sum()) - np.repeat(np.cumsum(sides) - sides, sides)
    return np.asarray(start + along * (number + 0.5)[:, None])


def sides_of_smallest_rectangle(outline: MultiPolygon) -> tuple[float, float]:
    """Length and width of the rectangle of least area around it, the longer first."""
    corners = shapely.get_coordinates(shapely.oriented_envelope(outline))
    lengths = np.hypot(*np.diff(corners[:3], axis=0).T)
    return float(lengths.max()), float(lengths.min())
