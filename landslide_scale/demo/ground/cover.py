"""What grows and stands on the made ground, cell by cell: forest, grass, fields, water, settlement, rock."""

from __future__ import annotations

from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from landslide_scale.demo.ground.frame import CELL_M, FINE_M, Frame
from landslide_scale.demo.ground.noise import Field, fractal, rank, stream
from landslide_scale.demo.ground.parcels import Parcels, make_parcels
from landslide_scale.demo.ground.terrain import Terrain

Classes = NDArray[np.uint8]


class Cover(IntEnum):
    """Cover classes; the order is that of the rows of `spectra.SUMMER`."""

    CONIFER = 0
    BROADLEAF = 1
    GRASS = 2
    SHRUB = 3
    MEADOW = 4
    MAIZE = 5
    STUBBLE = 6
    PLOUGHED = 7
    WATER = 8
    GRAVEL = 9
    ROOF = 10
    PAVED = 11
    GARDEN = 12
    ROCK = 13
    QUARRY = 14
    CLEARCUT = 15
    TRACK = 16
    BURNT = 17


BARE = (
    Cover.STUBBLE, Cover.PLOUGHED, Cover.GRAVEL, Cover.ROOF, Cover.PAVED, Cover.ROCK, Cover.QUARRY,
    Cover.CLEARCUT, Cover.TRACK,
)  # fmt: skip
"""Classes without plants."""

CROPS = (Cover.MEADOW, Cover.MAIZE, Cover.STUBBLE, Cover.PLOUGHED)
_CROP_SHARE_WEST = (0.45, 0.25, 0.20, 0.10)
_CROP_SHARE_EAST = (0.38, 0.30, 0.18, 0.14)
FIELD_SLOPE = 7.0
"""Degrees: steeper ground is not ploughed, but where a world has fields on its hills (`losses.py`)."""


def make_cover(frame: Frame, terrain: Terrain, seed: int) -> Classes:
    """Land cover before roads, quarries, clear-cuts and scars.

    Forest turns from conifer in the west to broadleaf in the east, where there is less of it, more shrub and rock,
    and more ploughed ground: a model trained in the west meets another land in the east.

    Returns:
        (rows, columns) uint8 `Cover`, 5 m cells.
    """
    natural = _natural(terrain, seed).repeat(CELL_M // FINE_M, axis=0).repeat(CELL_M // FINE_M, axis=1)
    parcels = make_parcels(frame, seed)
    _plant(natural, parcels, _doubled(_plain(terrain, seed)))
    _build(natural, _doubled(settled(terrain, seed)), seed)
    _flood(natural, frame, terrain, seed)
    return natural


def settled(terrain: Terrain, seed: int) -> NDArray[np.bool_]:
    """Where villages stand: clusters on level ground off the river; (rows, columns), 10 m cells."""
    field = fractal(stream(seed, "villages"), terrain.slope.shape, longest=70, power=3.2)
    level = (terrain.slope < FIELD_SLOPE) & (terrain.river_distance > 120)  # noqa: PLR2004  (metres off the water)
    return level & (rank(field) > 0.93)  # noqa: PLR2004  (the highest 7 % of the field)


def _natural(terrain: Terrain, seed: int) -> Classes:
    shape = terrain.slope.shape
    east = np.linspace(0, 1, shape[1], dtype=np.float32)[None, :]
    forest = rank(fractal(stream(seed, "forest"), shape, longest=120, power=2.4))
    forest = forest + np.clip((terrain.height - 620) / 500, 0, 0.5) - np.clip((terrain.slope - 15) / 120, 0, 0.15)
    kind = rank(fractal(stream(seed, "forest kind"), shape, longest=90, power=2.2))
    low = rank(fractal(stream(seed, "shrub"), shape, longest=40, power=2.2))
    cover = np.where(kind > 0.15 + 0.70 * east, Cover.CONIFER, Cover.BROADLEAF).astype(np.uint8)
    open_ground = forest > 0.80 - 0.28 * east
    cover[open_ground] = np.where(low > 0.75 - 0.35 * east, Cover.SHRUB, Cover.GRASS)[open_ground]
    crag = rank(fractal(stream(seed, "crags"), shape, longest=20, power=2.0))
    high = np.clip((terrain.height - 250) / 600, 0, 1)
    cover[(terrain.slope > 30) & (crag > 0.985 - 0.09 * high * (0.6 + 0.4 * east))] = Cover.ROCK  # noqa: PLR2004
    return cover


def _plain(terrain: Terrain, seed: int) -> NDArray[np.bool_]:
    """Level ground that is farmed: all but some woods and the strip along the rivers."""
    woods = rank(fractal(stream(seed, "woods"), terrain.slope.shape, longest=60, power=2.4))
    return (terrain.slope < FIELD_SLOPE) & (woods < 0.86) & (terrain.height < 420)  # noqa: PLR2004


def _plant(cover: Classes, parcels: Parcels, plain: NDArray[np.bool_]) -> None:
    crop = grown(parcels.draw)
    crop[parcels.edge] = Cover.GRASS
    cover[plain] = crop[plain]


def grown(draw: Field) -> Classes:
    """What grows on each parcel by its number: less meadow and more bare ground in the east; (rows, columns)."""
    east = np.linspace(0, 1, draw.shape[1], dtype=np.float32)
    limits = [np.interp(east, (0.3, 0.7), (sum(_CROP_SHARE_WEST[:i]), sum(_CROP_SHARE_EAST[:i]))) for i in range(1, 4)]
    crop = np.full(draw.shape, CROPS[0], dtype=np.uint8)
    for limit, name in zip(limits, CROPS[1:], strict=True):
        crop[draw > limit[None, :]] = name
    return crop


def _build(cover: Classes, village: NDArray[np.bool_], seed: int) -> None:
    """Roofs and yards between gardens, in blocks of 10 m."""
    blocks = stream(seed, "houses").random((cover.shape[0] // 2, cover.shape[1] // 2), dtype=np.float32)
    mix = blocks.repeat(2, axis=0).repeat(2, axis=1)
    house = np.select([mix < 0.30, mix < 0.48], [Cover.ROOF, Cover.PAVED], Cover.GARDEN)  # noqa: PLR2004
    cover[village] = house.astype(np.uint8)[village]


def _flood(cover: Classes, frame: Frame, terrain: Terrain, seed: int) -> None:
    """Rivers as wide as their upstream area asks for, between bars of bare gravel and a fringe of shrub."""
    distance, flow = bilinear_twice(terrain.river_distance), bilinear_twice(terrain.flow)
    half_width = 3.0 + 14.0 * np.sqrt(flow / 6e7)
    bars = bilinear_twice(fractal(stream(seed, "bars"), frame.shape(CELL_M), longest=35, power=2.6))
    reach = distance - half_width
    cover[(reach < half_width + 15) & (cover != Cover.ROOF)] = Cover.SHRUB
    braided = (flow > 8e6) & (reach < 2.6 * half_width * np.clip(0.15 + bars, 0, 1.4))  # noqa: PLR2004  (8 km2 upstream)
    cover[braided] = Cover.GRAVEL
    cover[reach < 0] = Cover.WATER


def _doubled(values: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """10 m cells to 5 m cells, copied."""
    return values.repeat(2, axis=0).repeat(2, axis=1)


def bilinear_twice(values: Field) -> Field:
    """Halve the cells of a raster, linear between cell centres; (2 rows, 2 columns) float32."""
    for axis in (0, 1):
        padded = np.concatenate((values.take([0], axis), values, values.take([-1], axis)), axis=axis)
        size = values.shape[axis]
        before = padded.take(np.arange(size), axis) * np.float32(0.25) + values * np.float32(0.75)
        after = padded.take(np.arange(2, size + 2), axis) * np.float32(0.25) + values * np.float32(0.75)
        shape = list(values.shape)
        shape[axis] *= 2
        values = np.stack((before, after), axis=axis + 1).reshape(shape)
    return values
