"""Which ground is looked at first: the most likely by the landslide model of the event. Nothing is left out by it."""

from __future__ import annotations

import numpy as np
import shapely
from shapely.geometry.base import BaseGeometry

from landslide_scale.events.detail import LandslideModel
from landslide_scale.events.feed import failures_named
from landslide_scale.reading.asking import fetched
from landslide_scale.reading.geographic import Geographic, parse_grd, read_geographic
from landslide_scale.scene import Access

MOST_BYTES = 256 * 2**20
"""Of a grid of GMT, which is fetched whole."""


def read_model(model: LandslideModel, access: Access) -> Geographic:
    """The probabilities of an event's landslide model.

    Raises:
        FeedAwayError: Its file cannot be had now.
        InvalidFeedError: Its file is none of probabilities in degrees.
    """
    with failures_named(model.address):
        if model.file.endswith(".grd"):
            return parse_grd(fetched(model.address, access, most_bytes=MOST_BYTES))
        return read_geographic(model.address, access)


def mean_probability(ground: BaseGeometry, grid: Geographic) -> float:
    """Mean of a landslide model over some ground (degrees), 0 to 1.

    Ground without a value (sea, beyond the model's edge) counts as 0, so that it is the share of the ground that is
    expected to fail. Of ground smaller than a cell it is the value of the cell that it is in.
    """
    west, south, east, north = ground.bounds
    rows = _span(grid.north - north, grid.north - south, grid.dy, grid.values.shape[0])
    cols = _span(west - grid.west, east - grid.west, grid.dx, grid.values.shape[1])
    if rows.start >= rows.stop or cols.start >= cols.stop:
        return 0.0
    lon = grid.west + (np.arange(cols.start, cols.stop) + 0.5) * grid.dx
    lat = grid.north - (np.arange(rows.start, rows.stop) + 0.5) * grid.dy
    values = np.nan_to_num(grid.values[rows, cols], nan=0.0)
    shapely.prepare(ground)
    inside = shapely.contains_xy(ground, *np.meshgrid(lon, lat))
    if not inside.any():
        point = ground.representative_point()
        nearest = (np.abs(lat - point.y).argmin(), np.abs(lon - point.x).argmin())
        return float(values[nearest])
    # Cells of the ground that lie beyond the grid are counted by its area: they are not in `values`.
    whole = shapely.box(grid.west, grid.south, grid.east, grid.north)
    within = 1.0 if whole.covers(ground) else shapely.intersection(ground, whole).area / ground.area
    return float(values[inside].mean() * within)


def _span(first: float, last: float, step: float, count: int) -> slice:
    """Cells that a span of degrees from the grid's edge meets."""
    return slice(max(0, int(np.floor(first / step))), min(count, int(np.ceil(last / step))))
