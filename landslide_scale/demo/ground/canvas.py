"""Drawing outlines on rasters by the rule of pixel centres, and averaging fine cells into coarse ones."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import shapely
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from shapely import Polygon

from landslide_scale.demo.ground.frame import Frame
from landslide_scale.demo.ground.noise import Field

Window = tuple[slice, slice]


def inside(frame: Frame, outline: Polygon, cell: float) -> tuple[Window, NDArray[np.bool_]]:
    """The window of the frame's raster of `cell` metres that holds an outline, and which cell centres lie in it.

    Returns:
        (window, mask): row and column slices, clipped to the frame, and a bool mask of their shape.
    """
    x, y, mask_window = cell_centres(frame, outline, cell)
    shapely.prepare(outline)
    return mask_window, shapely.contains_xy(outline, x, y)


def cell_centres(
    frame: Frame, outline: Polygon, cell: float
) -> tuple[NDArray[np.float64], NDArray[np.float64], Window]:
    """Coordinates (rows, columns) of the cell centres in an outline's bounding box, and the box as a window."""
    west, south, east, north = outline.bounds
    rows, columns = frame.shape(cell)
    top = max(0, int((frame.top - north) / cell))
    bottom = min(rows, int((frame.top - south) / cell) + 1)
    left = max(0, int((west - frame.left) / cell))
    right = min(columns, int((east - frame.left) / cell) + 1)
    x = frame.left + (np.arange(left, right) + 0.5) * cell
    y = frame.top - (np.arange(top, bottom) + 0.5) * cell
    xx, yy = np.meshgrid(x, y)
    return xx, yy, (slice(top, bottom), slice(left, right))


def draw_lines(
    frame: Frame, lines: Sequence[NDArray[np.float64]], *, cell: float, width_cells: Sequence[int]
) -> NDArray[np.uint8]:
    """Lines of (N, 2) x, y drawn on a raster of `cell` metres: 1 on a line, 0 elsewhere."""
    rows, columns = frame.shape(cell)
    image = Image.new("L", (columns, rows))
    pen = ImageDraw.Draw(image)
    for line, width in zip(lines, width_cells, strict=True):
        row, column = frame.rows_columns(line[:, 0], line[:, 1], cell)
        pen.line([(float(c), float(r)) for c, r in zip(column, row, strict=True)], fill=1, width=width, joint="curve")
    return np.asarray(image)


def block_mean(values: NDArray[np.float32] | NDArray[np.bool_] | NDArray[np.uint8], factor: int) -> Field:
    """Means over squares of `factor` cells; (rows, columns) multiples of `factor` in, float32 out."""
    total = np.zeros((values.shape[0] // factor, values.shape[1] // factor), dtype=np.float32)
    for row in range(factor):
        for column in range(factor):
            total += values[row::factor, column::factor]
    total /= np.float32(factor**2)
    return total
