"""The made ground: mountains cut by rivers, flat valley floors, a plain, and fractal detail on the slopes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from landslide_scale.demo.ground.drainage import erode, route, upstream
from landslide_scale.demo.ground.frame import CELL_M, Frame
from landslide_scale.demo.ground.noise import Field, fractal, stream

_COARSE_M = 120
_EROSION_STEPS = 40
_UPLIFT = 38.0
_RIVER_AREA_M2 = 1.2e6


@dataclass(frozen=True, kw_only=True)
class Terrain:
    """Rasters of 10 m cells, (rows, columns), row 0 in the north.

    Attributes:
        height: float32 metres.
        slope: float32 degrees.
        downhill_row, downhill_column: float32 unit vector of steepest descent in raster axes (row grows southwards),
            taken from ground smoothed over 30 m, the way a slide sees it.
        flow: float32, upstream area in m2 of the stream nearest to the cell, 0 where no stream is near.
        river_distance: float32 metres to the nearest stream cell.
        above_river: float32 metres above the nearest stream.
    """

    height: Field
    slope: Field
    downhill_row: Field
    downhill_column: Field
    flow: Field
    river_distance: Field
    above_river: Field


def make_terrain(frame: Frame, seed: int) -> Terrain:
    """Uplift and erode the ground at 120 m, fill its valley floors, and refine it to 10 m."""
    shape = frame.shape(_COARSE_M)
    coarse = _eroded(shape, seed)
    rough = _refined(coarse, frame.shape(CELL_M))
    height, flow, distance, river_height = _with_valley_floors(rough, coarse, frame)
    steep = np.clip((height - river_height) / 40.0, 0, 1)
    height += steep * 7.0 * fractal(stream(seed, "relief"), height.shape, longest=60, power=2.8)
    return _described(height, flow, distance, height - river_height)


def _eroded(shape: tuple[int, int], seed: int) -> NDArray[np.float64]:
    """Mountains that rise from a plain in the south; two ranges, so that west and east both have steep ground."""
    rows = np.linspace(0, 1, shape[0])[:, None]
    wander = 0.16 * fractal(stream(seed, "uplift"), shape, longest=60, power=3.5)
    plain = np.clip((0.84 - rows + wander) / 0.16, 0.0, 1.0)
    uplift = _UPLIFT * plain * np.clip(0.85 + 1.6 * wander, 0.3, 1.3)
    outlet = np.zeros(shape, dtype=np.bool_)
    outlet[-1] = True
    start = 40.0 * (1 - rows) + 12.0 * fractal(stream(seed, "start"), shape, longest=30, power=2.0)
    start[-1] = 0.0
    return erode(start, uplift + 0.3, outlet, cell_m=_COARSE_M, steps=_EROSION_STEPS)


def _refined(coarse: NDArray[np.float64], shape: tuple[int, int]) -> Field:
    """Cubic interpolation to finer cells of the same ground (cell areas, not cell centres, are aligned)."""
    factor = shape[0] // coarse.shape[0]
    rows = (np.arange(shape[0]) + 0.5) / factor - 0.5
    columns = (np.arange(shape[1]) + 0.5) / factor - 0.5
    smooth = ndimage.gaussian_filter(coarse, 0.55)
    grid = np.meshgrid(rows, columns, indexing="ij")
    return np.asarray(ndimage.map_coordinates(smooth, grid, order=3, mode="nearest"), dtype=np.float32)


def _with_valley_floors(rough: Field, coarse: NDArray[np.float64], frame: Frame) -> tuple[Field, Field, Field, Field]:
    """Fill valleys with sediment up to a level floor, the higher the larger the river.

    Returns:
        (height, flow, river_distance, height of the nearest river), float32, 10 m cells.
    """
    outlet = np.zeros(coarse.shape, dtype=np.bool_)
    outlet[-1] = True
    receiver, order = route(coarse, outlet)
    area = upstream(receiver, order, _COARSE_M)
    flow = _drawn_streams(area, receiver, coarse.shape, frame.shape(CELL_M))
    distance, (near_row, near_column) = ndimage.distance_transform_edt(flow == 0, return_indices=True)
    bed = ndimage.gaussian_filter(rough, 6)[near_row, near_column]
    flow = flow[near_row, near_column]
    fill = 3.0 + 5.0 * np.sqrt(flow / 1e7)
    floor = ndimage.gaussian_filter((bed + fill).astype(np.float32), 5)
    height = np.maximum(rough, floor + 0.002 * distance * CELL_M)
    height = ndimage.gaussian_filter(height, 1.5).astype(np.float32)
    return height, flow, (distance * CELL_M).astype(np.float32), floor


def _drawn_streams(
    area: NDArray[np.float64], receiver: NDArray[np.intp], shape: tuple[int, int], fine: tuple[int, int]
) -> Field:
    """Upstream area along streams, drawn as smoothed lines on fine cells; 0 elsewhere."""
    factor = fine[0] // shape[0]
    flow = np.zeros(fine, dtype=np.float32)
    centre = _smoothed_centres(area, receiver, shape)
    for i in np.flatnonzero(area >= _RIVER_AREA_M2):
        ends = (centre[[i, receiver[i]]] + 0.5) * factor
        line = np.linspace(ends[0], ends[1], 4 * factor).astype(np.intp)
        row, column = np.clip(line.T, 0, np.array(fine)[:, None] - 1)
        flow[row, column] = np.maximum(flow[row, column], area[i])
    return flow


def _smoothed_centres(
    area: NDArray[np.float64], receiver: NDArray[np.intp], shape: tuple[int, int]
) -> NDArray[np.float64]:
    """Cell centres (cell, 2) in coarse cells, moved towards their neighbours along the stream, so that rivers bend."""
    index = np.arange(receiver.size)
    centre = np.column_stack(np.divmod(index, shape[1])).astype(np.float64)
    main = np.full(receiver.size, -1)
    ordered = np.argsort(area, kind="stable")
    main[receiver[ordered]] = ordered  # the largest tributary is written last
    main[main < 0] = index[main < 0]
    for _ in range(4):
        centre = 0.5 * centre + 0.25 * centre[receiver] + 0.25 * centre[main]
    return centre


def _described(height: Field, flow: Field, distance: Field, above: Field) -> Terrain:
    down_row, down_column = np.gradient(-height, CELL_M)
    slope = np.degrees(np.arctan(np.hypot(down_row, down_column)))
    smooth_row, smooth_column = np.gradient(-ndimage.gaussian_filter(height, 3), CELL_M)
    length = np.maximum(np.hypot(smooth_row, smooth_column), 1e-6)
    return Terrain(
        height=height,
        slope=slope.astype(np.float32),
        downhill_row=(smooth_row / length).astype(np.float32),
        downhill_column=(smooth_column / length).astype(np.float32),
        flow=flow,
        river_distance=distance,
        above_river=above.astype(np.float32),
    )
