"""The ground of the report's map: a box of pixels in Web Mercator, whole over the antimeridian."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
import shapely
from numpy.typing import NDArray
from rasterio.crs import CRS
from shapely.affinity import translate
from shapely.geometry.base import BaseGeometry

from landslide_scale.errors import InvalidInputError
from landslide_scale.grid import Lattice, PixelBox, transformer

RADIUS = 6_378_137.0
"""Of Web Mercator's sphere, metres."""

NORTHERNMOST = 85.05
"""Degrees of latitude that maps in Web Mercator show."""

HALF_A_TURN = 180.0


@dataclass(frozen=True, kw_only=True)
class Frame:
    """Pixels in Web Mercator (EPSG Guidance Note 7-2, method 1024) around a meridian of its own.

    Attributes:
        meridian: Longitude in its middle, degrees.
        west, north: Corner of the first pixel, metres from that meridian and from the equator.
        pixel: Side, in metres of the projection.
        shape: (rows, columns).
    """

    meridian: float
    west: float
    north: float
    pixel: float
    shape: tuple[int, int]

    @property
    def crs(self) -> CRS:
        """Web Mercator about the meridian: EPSG:3857 itself breaks off at the antimeridian."""
        return CRS.from_string(
            f"+proj=merc +a={RADIUS} +b={RADIUS} +lat_ts=0 +lon_0={self.meridian} +x_0=0 +y_0=0 +k=1 +units=m "
            "+nadgrids=@null +wktext +no_defs"
        )

    @property
    def transform(self) -> tuple[float, float, float, float, float, float]:
        """Affine (a, b, c, d, e, f) from (column, row) to metres: pixel corners."""
        return (self.pixel, 0.0, self.west, 0.0, -self.pixel, self.north)

    @property
    def bounds(self) -> tuple[float, float, float, float]:
        """(west, south, east, north), degrees; longitudes go on beyond 180."""
        rows, cols = self.shape
        west, north = self.degrees(self.west, self.north)
        east, south = self.degrees(self.west + cols * self.pixel, self.north - rows * self.pixel)
        return west, south, east, north

    def degrees(self, x: float, y: float) -> tuple[float, float]:
        """Longitude and latitude of a point, degrees."""
        return self.meridian + math.degrees(x / RADIUS), math.degrees(math.asin(math.tanh(y / RADIUS)))

    def turned(self, geometry: BaseGeometry) -> BaseGeometry:
        """A geometry in degrees on the turn of the globe that is shown: its longitudes at most half a turn away."""

        def nearest(points: NDArray[np.float64]) -> NDArray[np.float64]:
            away = points[:, 0] - self.meridian
            return np.stack([points[:, 0] - 360 * np.round(away / 360), points[:, 1]], axis=1)

        return shapely.transform(geometry, nearest)

    def coarser(self) -> Frame:
        """Pixels of twice the side from the same corner on."""
        rows, cols = self.shape
        return replace(self, pixel=2 * self.pixel, shape=(-(-rows // 2), -(-cols // 2)))


def shown(region: BaseGeometry, extents: Iterable[tuple[Lattice, PixelBox]]) -> BaseGeometry:
    """The part of a region (degrees) that a cube covers, in one piece over the antimeridian.

    Raises:
        InvalidInputError: It lies where Web Mercator shows nothing.
    """
    outlines = [lattice.outline(box) for lattice, box in extents]
    turns = [translate(outline, turn) for outline in outlines for turn in (-360.0, 0.0, 360.0)]
    found = shapely.intersection(region, shapely.union_all(turns))
    west, south, east, north = found.bounds
    if max(-south, north) > NORTHERNMOST:
        raise InvalidInputError(
            f"ground at {max(-south, north):.2f} degrees of latitude",
            expected=f"at most {NORTHERNMOST}, which the report's map can show",
            cure="Leave the report out by --only.",
        )
    if east - west <= HALF_A_TURN:
        return found
    parts = shapely.get_parts(found)
    return shapely.union_all([translate(part, 360.0) if part.centroid.x < 0 else part for part in parts])


def framed(ground: BaseGeometry, metres: float, turn: float) -> Frame:
    """A frame around ground that has the centre of a pixel in every square of `metres` that reaches the ground.

    Args:
        ground: In degrees, in one piece.
        metres: Side of the squares.
        turn: The most that their sides are turned against the meridians, radians.
    """
    west, south, east, north = ground.bounds
    meridian = round((west + east) / 2, 6)
    x = [RADIUS * math.radians(longitude - meridian) for longitude in (west, east)]
    y = [RADIUS * math.atanh(math.sin(math.radians(latitude))) for latitude in (south, north)]
    widest = math.cos(math.radians(min(abs(south), abs(north)) if south * north > 0 else 0))
    narrowest = math.cos(math.radians(max(abs(south), abs(north))))
    across = abs(math.cos(turn)) + abs(math.sin(turn))
    pixel, rim = metres / widest / across, metres / narrowest * across
    return Frame(
        meridian=meridian,
        west=x[0] - rim,
        north=y[1] + rim,
        pixel=pixel,
        shape=(math.ceil((y[1] - y[0] + 2 * rim) / pixel), math.ceil((x[1] - x[0] + 2 * rim) / pixel)),
    )


def turn(lattice: Lattice, box: PixelBox) -> float:
    """The most that columns of a box are turned against its meridians, modulo a right angle, radians."""
    west, south, east, north = lattice.bounds(box)
    corners = [(x, y) for x in (west, east) for y in (south, north)]
    x, y = np.array([*corners, ((west + east) / 2, (south + north) / 2)]).T
    moved = transformer(lattice.zone.epsg, 4326)
    below, above = (np.array(moved.transform(x, y + step)) for step in (0.0, float(lattice.resolution)))
    away = (above[0] - below[0] + HALF_A_TURN) % 360 - HALF_A_TURN
    angle = np.arctan2(away * np.cos(np.radians(below[1])), above[1] - below[1])
    return float(np.max(np.abs(angle)))
