"""A small picture around a landslide: the probability of its pixels, north of the grid up, and its outline.

What is not observed is transparent.
"""

from __future__ import annotations

import numpy as np
import shapely
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from shapely.geometry.base import BaseGeometry

from landslide_scale.grid import Lattice, PixelBox, project
from landslide_scale.products.page.colours import PROBABILITY, Palette
from landslide_scale.products.page.pictures import png
from landslide_scale.products.scanned import Scanned

SIDE = 96
"""Of a chip, in its own pixels."""

_LEAST = 24
_CENTIMETRES = 2  # decimals: outlines follow the lattice, and come back from degrees a little beside it
_MARGIN = 1.5
_WHITE = (255, 255, 255)
_OUTLINE = len(PROBABILITY.colours)
_PALETTE = Palette(indexes=PROBABILITY.indexes, colours=(*PROBABILITY.colours, _WHITE))


def chip(of: Scanned, shape: BaseGeometry, layer: int) -> str:
    """A landslide's picture as a data URI; empty where it lies outside the cube.

    Args:
        of: The scan.
        shape: Its outline, degrees.
        layer: Index of its window.
    """
    found = _zone(of, shape)
    if found is None:
        return ""
    lattice, outline = found
    box = _square(lattice, outline)
    indexes = _read(of, lattice, box, layer)
    step = -(-indexes.shape[0] // SIDE)
    indexes = np.pad(indexes, ((0, -indexes.shape[0] % step),) * 2)
    side = indexes.shape[0] // step
    coarse = indexes.reshape(side, step, side, step).max(axis=(1, 3))
    image = Image.fromarray(coarse).resize((SIDE, SIDE), Image.Resampling.NEAREST)
    _draw(image, outline, lattice.transform(box), SIDE / (side * step))
    return png(np.asarray(image), _PALETTE)


def _zone(of: Scanned, shape: BaseGeometry) -> tuple[Lattice, BaseGeometry] | None:
    """The lattice that owns the middle of a shape, and the shape in its metres."""
    point = shape.representative_point()
    longitude, latitude = np.array([(point.x + 180) % 360 - 180]), np.array([point.y])
    for lattice in of.extents:
        if lattice.zone.owns(longitude, latitude).all():
            moved = project(shape, 4326, lattice.zone.epsg)
            return (lattice, moved) if np.isfinite(moved.bounds).all() else None
    return None


def _square(lattice: Lattice, outline: BaseGeometry) -> PixelBox:
    west, south, east, north = (round(edge, _CENTIMETRES) for edge in outline.bounds)
    box = lattice.box_covering((west, south, east, north))
    side = max(_LEAST, round(_MARGIN * max(box.shape)))
    row, col = (box.row_start + box.row_stop - side) // 2, (box.col_start + box.col_stop - side) // 2
    return PixelBox(row_start=row, row_stop=row + side, col_start=col, col_stop=col + side)


def _read(of: Scanned, lattice: Lattice, box: PixelBox, layer: int) -> NDArray[np.uint8]:
    found = np.zeros(box.shape, np.uint8)
    common = box.intersection(of.extents[lattice])
    if common is not None:
        found[common.within(box)] = PROBABILITY.indexes[of.read(lattice, common, layer).probability]
    return found


def _draw(image: Image.Image, outline: BaseGeometry, transform: tuple[float, ...], stretch: float) -> None:
    pen, (side, _, west, _, _, north) = ImageDraw.Draw(image), transform
    for part in shapely.get_parts(outline):
        for ring in (part.exterior, *part.interiors):
            points = shapely.get_coordinates(ring)
            cols, rows = (points[:, 0] - west) / side, (north - points[:, 1]) / side
            pen.line(list(zip(cols * stretch, rows * stretch, strict=True)), fill=_OUTLINE, width=1)
