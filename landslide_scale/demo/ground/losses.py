"""Ground that loses its plants between two looks and is no landslide: what was felled, burnt, harvested or ploughed.

Between the looks of rapid mapping there is a year, where the catalogue goes back so far: so the rates are of a year.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from shapely import Polygon

from landslide_scale.demo.ground.canvas import inside
from landslide_scale.demo.ground.cover import CROPS, FIELD_SLOPE, Classes, Cover, grown
from landslide_scale.demo.ground.frame import FINE_M, Frame
from landslide_scale.demo.ground.lookalikes import fell, plot, points
from landslide_scale.demo.ground.noise import fractal, rank, stream
from landslide_scale.demo.ground.parcels import make_parcels, redrawn
from landslide_scale.demo.ground.terrain import Terrain

_LONG_M, _WIDE_M = (70, 210), (50, 106)  # of what is felled: 1.09 ha on average
_HILL_SLOPE = 20.0  # degrees: steeper hills are not farmed
_STEPS = 1000
_M2_PER_KM2 = 1e6


@dataclass(frozen=True, kw_only=True)
class Losses:
    """What happens to plants in a year, landslides aside.

    Attributes:
        felled_per_km2: Patches felled on each km2 of forest, of 1.09 ha on average: Europe's rate of disturbance, 1986
            to 2016 (Senf and Seidl 2021, Nature Sustainability 4, 63-70, doi 10.1038/s41893-020-00609-y).
        burnt_share: Of all ground: close to 500,000 ha a year in the five southern states of the EU, 1980 to 2006 (JRC,
            Forest Fires in Europe 2006), which have 157.5 million ha.
        burnt_m2: Of one fire on average: some 49,000 of them a year burnt that (the same report).
        hill_share: Fields on slopes of 7 to 20 degrees, over those on level ground. Made up: no source was found.

    What grows on a field, on level ground and on hills, is drawn anew each year, by the shares that the world has
    anyway: so some are bare after the event that were green before, and some the other way round.
    """

    felled_per_km2: float = 0.52
    burnt_share: float = 0.0031
    burnt_m2: float = 101_000.0
    hill_share: float = 0.25


def lose(cover: Classes, frame: Frame, terrain: Terrain, seed: int, losses: Losses) -> Classes:
    """Lay fields on hills, and let a year pass.

    Args:
        cover: (rows, columns) uint8 `Cover`, 5 m cells: changed in place to what is there after the year.
        frame: The ground.
        terrain: Its slopes.
        seed: Of the world.
        losses: What happens.

    Returns:
        What was there before it, as `cover`.
    """
    parcels = make_parcels(frame, seed)
    hills = _hills(cover, terrain, seed, losses.hill_share)
    fields = np.isin(cover, CROPS) | (hills & ~parcels.edge)
    cover[hills & parcels.edge] = Cover.GRASS
    cover[fields] = grown(parcels.draw)[fields]
    earlier = cover.copy()
    earlier[fields] = grown(redrawn(parcels.draw))[fields]
    _fell(cover, frame, terrain, seed, losses.felled_per_km2)
    _burn(cover, frame, seed, losses)
    return earlier


def _hills(cover: Classes, terrain: Terrain, seed: int, share: float) -> NDArray[np.bool_]:
    """Hillsides that are farmed: clusters on gentle slopes that plants cover; (rows, columns), 5 m cells."""
    slope = terrain.slope.repeat(2, axis=0).repeat(2, axis=1)
    gentle = (slope >= FIELD_SLOPE) & (slope < _HILL_SLOPE) & (cover <= Cover.SHRUB)
    where = rank(fractal(stream(seed, "hill farms"), terrain.slope.shape, longest=70, power=2.6))
    order = where.repeat(2, axis=0).repeat(2, axis=1)
    wanted = share * np.isin(cover, CROPS).sum()
    counted = np.cumsum(np.bincount((order[gentle] * _STEPS).astype(np.intp), minlength=_STEPS + 1)[::-1])
    lowest = _STEPS + 1 - int(np.searchsorted(counted, wanted, side="right"))
    return np.asarray(gentle & (order * _STEPS >= lowest))


def _fell(cover: Classes, frame: Frame, terrain: Terrain, seed: int, per_km2: float) -> None:
    rng = stream(seed, "felled")
    forest = cover[::2, ::2] <= Cover.BROADLEAF
    count = round(per_km2 * frame.area_km2 * float(forest.mean()))
    for place in points(rng, frame, forest, count):
        fell(cover, frame, plot(rng, frame, terrain, place, long=_LONG_M, wide=_WIDE_M))


def _burn(cover: Classes, frame: Frame, seed: int, losses: Losses) -> None:
    """Lobed patches of forest, grass and shrub; sizes are exponential."""
    rng = stream(seed, "burnt")
    count = round(losses.burnt_share * frame.area_km2 * _M2_PER_KM2 / losses.burnt_m2)
    for x, y in points(rng, frame, cover[::2, ::2] <= Cover.SHRUB, count):
        turn = np.linspace(0, 2 * np.pi, 120, endpoint=False)
        lobes = sum(rng.normal(0, 0.5 / each) * np.sin(each * turn + rng.uniform(0, 6)) for each in range(1, 9))
        radius = np.sqrt(rng.exponential(losses.burnt_m2) / np.pi) * np.exp(0.5 * lobes)
        outline = Polygon(np.column_stack((x + radius * np.cos(turn), y + radius * np.sin(turn))))
        window, mask = inside(frame, outline, FINE_M)
        cover[window][mask & (cover[window] <= Cover.SHRUB)] = Cover.BURNT
