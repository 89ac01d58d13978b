"""Landslide scars: how many of which size, where they start, how they run downhill, and their outlines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely import Polygon
from shapely.affinity import scale

from landslide_scale.demo.ground.frame import CELL_M, Frame
from landslide_scale.demo.ground.noise import fractal, rank, stream
from landslide_scale.demo.ground.terrain import Terrain
from landslide_scale.errors import BrokenRunError, InvalidInputError

RHO = 1.40
A_M2 = 1.28e3
S_M2 = -1.32e2
"""Three-parameter inverse gamma of landslide areas, Malamud, Turcotte, Guzzetti and Reichenbach (2004), "Landslide
inventories and their statistical properties", Earth Surface Processes and Landforms 29, equation 3 and its fit to
three inventories: rho = 1.40, a = 1.28e-3 km2, s = -1.32e-4 km2."""

SMALLEST_M2 = 3_000.0
LARGEST_M2 = 120_000.0
"""Areas are drawn from the law between these: 30 Sentinel-2 pixels, and what one made hillside holds."""

_DRAWS_PER_KEPT = 50
"""Most landslides of the law are smaller than the smallest kept."""

Age = Literal["new", "old"]
START_SLOPE = 28.0
"""Degrees: no scar starts on gentler ground."""
_REST_SLOPE = 7.0  # degrees: debris comes to rest on gentler ground
_STEP_M = 5.0
_INERTIA = 0.6
_TRIES = 400
_DRY_M = 15.0  # metres above the nearest stream where scars may start
_SUSCEPTIBLE = 0.35  # share of the ground the event shakes hard enough; scars of one event come in clusters


def draw_areas(rng: np.random.Generator, total_m2: float) -> NDArray[np.float64]:
    """Areas in m2 from the truncated law, largest first, as many as fit into `total_m2` in the order drawn.

    If G is gamma distributed with shape `RHO`, `A_M2` / G + `S_M2` has the density of equation 3.

    Raises:
        InvalidInputError: `total_m2` does not hold the smallest landslide.
    """
    if total_m2 < SMALLEST_M2:
        raise InvalidInputError(f"{total_m2:g} m2 of landslides", expected=f"at least {SMALLEST_M2:g} m2")
    draws = A_M2 / rng.gamma(RHO, size=round(_DRAWS_PER_KEPT * total_m2 / SMALLEST_M2)) + S_M2
    kept = draws[(draws >= SMALLEST_M2) & (draws <= LARGEST_M2)]
    areas = kept[np.cumsum(kept) <= total_m2]
    return np.sort(areas)[::-1]


@dataclass(frozen=True, kw_only=True)
class Scar:
    """One landslide.

    Attributes:
        id: Unique in the world, from 1.
        side: The region it lies in.
        age: ``old`` scars were there before the first scene; ``new`` ones came with the event.
        area_m2: Area of `outline`.
        outline: Polygon in the frame's CRS.
        path: (N, 2) float64 x, y from crown to toe.
    """

    id: int
    side: Literal["west", "east"]
    age: Age
    area_m2: float
    outline: Polygon
    path: NDArray[np.float64]


def make_scars(
    frame: Frame,
    terrain: Terrain,
    regions: Mapping[Literal["west", "east"], Polygon],
    *,
    seed: int,
    share: float,
    old: float,
) -> list[Scar]:
    """Scars inside each region, of areas by the law of :func:`draw_areas`, that sum to at most `share` of the region.

    Args:
        frame: The ground.
        terrain: Its slopes.
        regions: By side, the polygons (frame CRS) scars stay inside.
        seed: Of the world.
        share: Upper limit of landslide area over region area.
        old: Share of the scars, 0 to 1, that were there before the event.

    Raises:
        BrokenRunError: The ground has no room for a scar of the size drawn.
    """
    shaking = rank(fractal(stream(seed, "shaking"), terrain.slope.shape, longest=160, power=3.0))
    starts = (terrain.slope >= START_SLOPE) & (terrain.above_river > _DRY_M) & (shaking < _SUSCEPTIBLE)
    scars: list[Scar] = []
    for side, region in regions.items():
        rng = stream(seed, f"scars {side}")
        crowns = _crowns(frame, starts, region)
        placed: list[Polygon] = []
        for area in draw_areas(rng, share * region.area):
            outline, path = _placed(rng, frame, terrain, crowns=crowns, area=area, region=region, placed=placed)
            placed.append(outline)
            age: Age = "old" if rng.random() < old else "new"
            number = len(scars) + 1
            scars.append(Scar(id=number, side=side, age=age, area_m2=outline.area, outline=outline, path=path))
    return scars


def _crowns(frame: Frame, starts: NDArray[np.bool_], region: Polygon) -> NDArray[np.float64]:
    """(N, 2) x, y of cell centres where a scar of this region may start."""
    row, column = np.nonzero(starts)
    x = frame.left + (column + 0.5) * CELL_M
    y = frame.top - (row + 0.5) * CELL_M
    west, south, east, north = region.bounds
    inside = (x > west) & (x < east) & (y > south) & (y < north)
    return np.column_stack((x[inside], y[inside])).astype(np.float64)


def _placed(
    rng: np.random.Generator,
    frame: Frame,
    terrain: Terrain,
    *,
    crowns: NDArray[np.float64],
    area: float,
    region: Polygon,
    placed: Sequence[Polygon],
) -> tuple[Polygon, NDArray[np.float64]]:
    """An outline of exactly `area` that runs downhill inside the region and meets no other scar, and its path."""
    others = np.array(placed, dtype=object)
    for _ in range(_TRIES if len(crowns) else 0):
        aspect = float(np.clip(rng.lognormal(np.log(4.2), 0.35), 2.0, 9.0))
        length = np.sqrt(area * aspect)
        path = run_out(frame, terrain, crowns[rng.integers(len(crowns))], length)
        if (len(path) - 1) * _STEP_M < 0.6 * length:
            continue
        outline = _outline(rng, path, area)
        if outline is None or not region.covers(outline) or shapely.intersects(others, outline).any():
            continue
        return outline, path
    raise BrokenRunError(
        f"no room for a landslide of {area:.0f} m2 after {_TRIES} tries",
        cure="Ask for a smaller share of landslides or another seed.",
    )


def run_out(frame: Frame, terrain: Terrain, crown: NDArray[np.float64], length: float) -> NDArray[np.float64]:
    """The way down from `crown`, (N, 2) x, y in 5 m steps: at most `length` metres, ending where the ground is flat."""
    points = [crown]
    heading = np.zeros(2)
    for _ in range(int(length / _STEP_M)):
        row = round((frame.top - points[-1][1]) / CELL_M - 0.5)
        column = round((points[-1][0] - frame.left) / CELL_M - 0.5)
        if not (0 <= row < terrain.slope.shape[0] and 0 <= column < terrain.slope.shape[1]):
            break
        if terrain.slope[row, column] < _REST_SLOPE:
            break
        downhill = np.array([terrain.downhill_column[row, column], -terrain.downhill_row[row, column]])
        heading = _INERTIA * heading + (1 - _INERTIA) * downhill
        heading /= max(float(np.hypot(*heading)), 1e-6)
        points.append(points[-1] + _STEP_M * heading)
    return np.array(points)


def _outline(rng: np.random.Generator, path: NDArray[np.float64], area: float) -> Polygon | None:
    """Rounded crown, narrower track, lobed toe, ragged sides, scaled to `area`; None where the path folds."""
    if len(path) < 4:  # noqa: PLR2004  (too short to have sides)
        return None
    along = np.linspace(0, 1, len(path))
    profile = np.sqrt(np.clip(along / 0.15, 0.06, 1) * np.clip((1 - along) / 0.10, 0.06, 1))
    profile *= 0.90 + 0.10 * np.cos(2 * np.pi * along) + 0.12 * along
    tangent = np.gradient(path, axis=0)
    tangent /= np.maximum(np.hypot(tangent[:, 0], tangent[:, 1]), 1e-6)[:, None]
    normal = np.column_stack((-tangent[:, 1], tangent[:, 0]))
    width = area / (np.trapezoid(profile, along) * (len(path) - 1) * _STEP_M)
    left, right = (0.5 * width * profile * _ragged(rng, len(path)) for _ in range(2))
    ring = np.concatenate((path + normal * left[:, None], (path - normal * right[:, None])[::-1]))
    outline = shapely.make_valid(Polygon(ring).buffer(0))
    if not isinstance(outline, Polygon) or not 0.6 < outline.area / area < 1.6:  # noqa: PLR2004  (folded onto itself)
        return None
    factor = np.sqrt(area / outline.area)
    return scale(Polygon(outline.exterior), factor, factor) if not outline.interiors else None


def _ragged(rng: np.random.Generator, count: int) -> NDArray[np.float64]:
    """Factors around 1 that wander along a side."""
    knots = max(3, count // 5)
    rough = np.interp(np.linspace(0, 1, count), np.linspace(0, 1, knots), rng.normal(0, 0.22, knots))
    return np.clip(1 + rough, 0.5, 1.6)
