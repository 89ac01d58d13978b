"""Pixels of one landslide as runs along rows: as long as its outline, whatever ground lies around it.

Runs are int64 (N, 3): row, first column, column after the last, on the zone's lattice. In their canonical form, which
depends on the pixels alone, they are sorted and none touches the next.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely import MultiPolygon
from shapely.geometry.base import BaseGeometry

from landslide_scale.grid import PixelBox

Runs = NDArray[np.int64]


def runs_by_number(numbers: NDArray[np.int32], count: int, box: PixelBox) -> list[Runs]:
    """Runs of each part of a block.

    Args:
        numbers: (H, W) number of the part that a pixel is of, from 1 to `count`; 0 elsewhere. Neighbours in a row are
            of the same part.
        count: How many parts.
        box: The block.
    """
    edges = np.diff((numbers > 0).astype(np.int8), axis=1, prepend=0, append=0)
    rows, starts = np.nonzero(edges > 0)
    _, stops = np.nonzero(edges < 0)
    of = numbers[rows, starts]
    runs = np.stack([rows + box.row_start, starts + box.col_start, stops + box.col_start], axis=1).astype(np.int64)
    order = np.argsort(of, kind="stable")
    return np.split(runs[order], np.cumsum(np.bincount(of, minlength=count + 1)[1:-1]))


def canonical(pieces: Sequence[Runs]) -> Runs:
    """Disjoint runs of the pieces as one."""
    runs = np.concatenate(pieces)
    runs = runs[np.lexsort((runs[:, 1], runs[:, 0]))]
    begins = np.ones(len(runs), bool)
    begins[1:] = (runs[1:, 0] != runs[:-1, 0]) | (runs[1:, 1] != runs[:-1, 2])
    first = np.flatnonzero(begins)
    last = np.append(first[1:], len(runs)) - 1
    return np.column_stack([runs[first, :2], runs[last, 2]])


def of_pixels(rows: NDArray[np.int64], cols: NDArray[np.int64]) -> Runs:
    """Runs, not yet canonical, of single pixels, each once."""
    return np.column_stack([rows, cols, cols + 1])


def pixels_of(runs: Runs) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows and columns of all pixels."""
    lengths = runs[:, 2] - runs[:, 1]
    within = np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    return np.repeat(runs[:, 0], lengths), np.repeat(runs[:, 1], lengths) + within


def box_of(runs: Runs) -> PixelBox:
    """The smallest box around them."""
    return PixelBox(
        row_start=int(runs[:, 0].min()),
        row_stop=int(runs[:, 0].max()) + 1,
        col_start=int(runs[:, 1].min()),
        col_stop=int(runs[:, 2].max()),
    )


def last_pixel(pieces: Sequence[Runs]) -> tuple[int, int]:
    """Row and column of the last pixel in reading order."""
    row = max(int(runs[:, 0].max()) for runs in pieces)
    return row, max(int(runs[runs[:, 0] == row, 2].max()) - 1 for runs in pieces if (runs[:, 0] == row).any())


def outline(runs: Runs) -> MultiPolygon:
    """The pixels' exact outline: x is the column, y the row, both whole numbers, y downwards.

    Parts are connected by sides of pixels: those that touch only at a corner stay apart, as do holes. Every corner of
    the union is a corner of a run, so nothing is rounded.
    """
    boxes = shapely.box(runs[:, 1], runs[:, 0], runs[:, 2], runs[:, 0] + 1)
    return as_multi(shapely.normalize(shapely.simplify(shapely.union_all(boxes), 0)))


def as_multi(geometry: BaseGeometry) -> MultiPolygon:
    """The polygons of a geometry; what has no area is left out."""
    return MultiPolygon([part for part in parts(geometry) if isinstance(part, shapely.Polygon) and not part.is_empty])


def parts(geometry: BaseGeometry) -> Iterable[BaseGeometry]:
    """Of a geometry, or itself."""
    return [one for part in getattr(geometry, "geoms", [geometry]) for one in getattr(part, "geoms", [part])]
