"""Ground with the spectra of scars that is no landslide: quarries, clear-cuts, roads and tracks."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, sparse
from shapely import Polygon
from shapely.affinity import rotate, translate

from landslide_scale.demo.ground.canvas import block_mean, draw_lines, inside
from landslide_scale.demo.ground.cover import Classes, Cover, settled
from landslide_scale.demo.ground.frame import CELL_M, FINE_M, TRUTH_M, Frame
from landslide_scale.demo.ground.noise import Field, fractal, stream
from landslide_scale.demo.ground.terrain import Terrain

_ROAD_CELL = 8  # terrain cells: roads are routed on an 80 m raster
_GRADE = 0.08  # rise over run a road builder accepts before detours pay
_QUARRIES_PER_KM2 = 0.06
_CLEARCUTS_PER_KM2 = 0.35
_TRACKS_PER_KM2 = 0.34


def cut_quarries(cover: Classes, frame: Frame, terrain: Terrain, seed: int) -> None:
    """Open round pits on gentle slopes; changes `cover` (5 m cells) in place."""
    rng = stream(seed, "quarries")
    gentle = (terrain.slope > 6) & (terrain.slope < 22) & (terrain.river_distance > 60)  # noqa: PLR2004  (degrees, m)
    for x, y in points(rng, frame, gentle, round(_QUARRIES_PER_KM2 * frame.area_km2)):
        turn = np.linspace(0, 2 * np.pi, 40, endpoint=False)
        lobes = 1 + 0.18 * np.sin(2 * turn + rng.uniform(0, 6)) + 0.10 * np.sin(5 * turn + rng.uniform(0, 6))
        radius = rng.uniform(35, 130) * lobes
        window, mask = inside(
            frame, Polygon(np.column_stack((x + radius * np.cos(turn), y + radius * np.sin(turn)))), FINE_M
        )
        cover[window][mask] = Cover.QUARRY


def cut_forest(cover: Classes, frame: Frame, terrain: Terrain, seed: int) -> None:
    """Fell rectangles of forest on moderate slopes, the long side downhill or along the slope; in place."""
    rng = stream(seed, "clear-cuts")
    forest = cover[::2, ::2] <= Cover.BROADLEAF
    moderate = forest & (terrain.slope > 8) & (terrain.slope < 30)  # noqa: PLR2004  (degrees)
    for place in points(rng, frame, moderate, round(_CLEARCUTS_PER_KM2 * frame.area_km2)):
        fell(cover, frame, plot(rng, frame, terrain, place, long=(90, 260), wide=(60, 130)))


def plot(
    rng: np.random.Generator,
    frame: Frame,
    terrain: Terrain,
    place: NDArray[np.float64],
    *,
    long: tuple[float, float],
    wide: tuple[float, float],
) -> Polygon:
    """A rectangle with its corner at a place, its long side downhill or along the slope; frame CRS.

    Args:
        rng: Of its direction and size.
        frame: The ground.
        terrain: Its slopes.
        place: (2,) x, y.
        long: Metres, between which its one side is drawn.
        wide: The same of the other.
    """
    row, column = frame.rows_columns(place[:1], place[1:], CELL_M)
    at = round(row[0]), round(column[0])
    downhill = np.degrees(np.arctan2(-terrain.downhill_row[at], terrain.downhill_column[at]))
    angle = downhill + rng.choice((0, 90)) + rng.normal(0, 12)
    length, width = rng.uniform(*long), rng.uniform(*wide)
    level = Polygon([(0, 0), (length, 0), (length, width), (0, width)])
    return translate(rotate(level, angle, origin=(0, 0)), *place)


def fell(cover: Classes, frame: Frame, outline: Polygon) -> None:
    """Fell the forest inside an outline; changes `cover` in place."""
    window, mask = inside(frame, outline, FINE_M)
    felled = mask & (cover[window] <= Cover.BROADLEAF)
    cover[window][felled] = Cover.CLEARCUT


def lay_roads(cover: Classes, frame: Frame, terrain: Terrain, seed: int) -> tuple[Field, Field]:
    """Paved roads between villages and bare tracks up the hillsides, drawn at 2.5 m.

    Returns:
        (paved, track): share of each 5 m cell, float32; 0 everywhere on ground without a village.
    """
    rng = stream(seed, "roads")
    height = terrain.height[_ROAD_CELL // 2 :: _ROAD_CELL, _ROAD_CELL // 2 :: _ROAD_CELL]
    graph = _road_graph(height, np.exp(0.7 * fractal(rng, height.shape, longest=12)))
    villages = _village_cells(settled(terrain, seed), height.shape)
    if not len(villages):
        return _drawn(frame, [], 4), _drawn(frame, [], 2)
    came_from = sparse.csgraph.dijkstra(graph, indices=villages, return_predecessors=True)[1]
    paved = [
        _way(came_from[i], int(rng.choice(villages)), height.shape, frame) for i in range(len(villages)) for _ in "ab"
    ]
    hills = np.flatnonzero((cover[8::16, 8::16] <= Cover.SHRUB).ravel())
    nearest = sparse.csgraph.dijkstra(graph, indices=villages, min_only=True, return_predecessors=True)[1]
    tracks = [
        _way(nearest, int(rng.choice(hills)), height.shape, frame)
        for _ in range(round(_TRACKS_PER_KM2 * frame.area_km2))
    ]
    return _drawn(frame, paved, 4), _drawn(frame, tracks, 2)


def _drawn(frame: Frame, lines: list[NDArray[np.float64]], width: int) -> Field:
    kept = [line for line in lines if len(line) > 1]
    drawn = draw_lines(frame, kept, cell=TRUTH_M, width_cells=[width] * len(kept))
    return block_mean(drawn, round(FINE_M / TRUTH_M))


def points(rng: np.random.Generator, frame: Frame, where: NDArray[np.bool_], count: int) -> NDArray[np.float64]:
    """(count, 2) x, y of cells drawn from a mask of 10 m cells."""
    cells = np.flatnonzero(where.ravel())
    row, column = np.divmod(rng.choice(cells, count, replace=False), where.shape[1])
    return np.column_stack((frame.left + (column + 0.5) * CELL_M, frame.top - (row + 0.5) * CELL_M))


def _road_graph(height: Field, price: Field) -> sparse.csr_array:
    """Cost of building between neighbouring cells: length times price times one plus (grade / `_GRADE`) squared."""
    index = np.arange(height.size).reshape(height.shape)
    starts, ends, costs = [], [], []
    for dr, dc in ((0, 1), (1, 0), (1, 1), (1, -1)):
        a = (slice(0, height.shape[0] - dr), slice(max(0, -dc), height.shape[1] - max(0, dc)))
        b = (slice(dr, None), slice(max(0, dc), height.shape[1] - max(0, -dc)))
        length = np.hypot(dr, dc) * _ROAD_CELL * CELL_M
        grade = np.abs(height[b] - height[a]) / length
        starts.append(index[a].ravel())
        ends.append(index[b].ravel())
        costs.append((length * price[a] * (1 + (grade / _GRADE) ** 2)).ravel())
    i, j, cost = np.concatenate(starts), np.concatenate(ends), np.concatenate(costs)
    both = (np.concatenate((cost, cost)), (np.concatenate((i, j)), np.concatenate((j, i))))
    return sparse.csr_array(both, shape=(height.size, height.size))


def _village_cells(village: NDArray[np.bool_], shape: tuple[int, int]) -> NDArray[np.intp]:
    """Flat road-raster index of the middle of each village of more than 3 hectares."""
    labels, count = ndimage.label(ndimage.binary_closing(village, iterations=3))
    sizes = ndimage.sum_labels(village, labels, np.arange(1, count + 1))
    large = np.flatnonzero(sizes > 300) + 1  # noqa: PLR2004  (cells of 100 m2)
    middles = np.array(ndimage.center_of_mass(village, labels, large), dtype=np.float64)
    row, column = np.clip((middles / _ROAD_CELL).astype(np.intp).T, 0, np.array(shape)[:, None] - 1)
    return np.unique(row * shape[1] + column)


def _way(came_from: NDArray[np.int32], goal: int, shape: tuple[int, int], frame: Frame) -> NDArray[np.float64]:
    """The way to `goal`, (N, 2) x, y, its corners rounded."""
    cells = [goal]
    while came_from[cells[-1]] >= 0:
        cells.append(int(came_from[cells[-1]]))
    row, column = np.divmod(np.array(cells), shape[1])
    step = _ROAD_CELL * CELL_M
    points = np.column_stack((frame.left + (column + 0.5) * step, frame.top - (row + 0.5) * step)).astype(np.float64)
    if len(points) > 3:  # noqa: PLR2004  (too short to bend)
        points = np.column_stack(
            [np.interp(np.arange(0, len(points) - 1, 0.25), np.arange(len(points)), c) for c in points.T]
        )
        points = ndimage.gaussian_filter1d(points, 3.0, axis=0, mode="nearest")
    return points
