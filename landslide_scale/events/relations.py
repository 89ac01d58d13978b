"""Where to look before there is a ShakeMap: ground that landslides were found on after earthquakes of a magnitude.

Keefer, D. K. and Wilson, R. C. (1989), Predicting earthquake-induced landslides, with emphasis on arid and semi-arid
environments: the area affected, A in km2, goes on average as log10 A = M - 3.46, for M from 5.5 to 9.2 (in Keefer, D.
K. (2002), Investigating landslides caused by earthquakes, Surveys in Geophysics 23, 473-510). Of single earthquakes the
logarithm differs from it by 0.47: they may affect a third of that, or three times as much.
"""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.geometry.base import BaseGeometry

from landslide_scale.errors import InvalidInputError
from landslide_scale.events.area import Area, area_of
from landslide_scale.events.event import Event
from landslide_scale.events.land import Land

MAGNITUDES = (5.5, 9.2)
"""Of the earthquakes it was found by, closed."""

EARTH_KM = 6371.0072
"""Radius of the sphere that has the ellipsoid's area."""

_POINTS = 180
_APART_KM = 5.0
_FARTHEST = 89.0


def affected_km2(magnitude: float) -> float:
    """Area affected by landslides, km2; below magnitude 5.5 as for 5.5, above 9.2 as for 9.2."""
    return float(10 ** (min(max(magnitude, MAGNITUDES[0]), MAGNITUDES[1]) - 3.46))


def area_by_magnitude(event: Event, land: Land) -> Area | None:
    """Ground around an epicentre by its magnitude; None where that is not known yet."""
    if event.magnitude is None:
        return None
    ground = around(shapely.Point(event.lon, event.lat), affected_km2(event.magnitude))
    return area_of(ground, source="magnitude-area relation", land=land)


def around(rupture: BaseGeometry, km2: float) -> BaseGeometry:
    """Ground of `km2` within one distance of a rupture or an epicentre.

    Args:
        rupture: A point or line in degrees, not across the antimeridian.
        km2: Area wanted; of a line that bends sharply the ground is a little smaller.

    Returns:
        A polygon in degrees, whose longitudes may be beyond 180.

    Raises:
        InvalidInputError: It would reach over a pole, or the rupture is neither point nor line.
    """
    if rupture.geom_type not in {"Point", "LineString"} or rupture.is_empty:
        raise InvalidInputError(f"a {rupture.geom_type}", expected="a point or a line")
    points = shapely.get_coordinates(rupture)
    length = sum(_distance_km(one, other) for one, other in pairwise(points))
    radius = (math.sqrt(length**2 + math.pi * km2) - length) / math.pi
    angle = 2 * math.asin(math.sqrt(km2 / math.pi) / (2 * EARTH_KM)) if length == 0 else radius / EARTH_KM
    if max(abs(points[:, 1])) + math.degrees(angle) > _FARTHEST:
        raise InvalidInputError(
            f"{km2:,.0f} km2 around latitude {max(abs(points[:, 1])):.1f}", expected="ground that meets no pole"
        )
    steps = max(1, math.ceil(length / _APART_KM))
    centres = [rupture.interpolate(step / steps, normalized=True) for step in range(steps + 1)] if length else [rupture]
    return shapely.union_all([_circle(float(lon), float(lat), angle) for lon, lat in shapely.get_coordinates(centres)])


def _distance_km(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    (lon, lat), (lon_2, lat_2) = np.radians(one), np.radians(other)
    half = math.sin((lat_2 - lat) / 2) ** 2 + math.cos(lat) * math.cos(lat_2) * math.sin((lon_2 - lon) / 2) ** 2
    return 2 * EARTH_KM * math.asin(math.sqrt(half))


def _circle(lon: float, lat: float, angle: float) -> BaseGeometry:
    """All within an angle (radians) of a point, on a sphere; the polygon has the area of the circle."""
    azimuth = np.arange(_POINTS) * 2 * np.pi / _POINTS
    # A regular polygon inside a circle lacks this share of its area.
    angle *= 1 / math.sqrt(math.sin(2 * math.pi / _POINTS) / (2 * math.pi / _POINTS))
    south_of = math.sin(math.radians(lat)) * math.cos(angle)
    lats = np.arcsin(south_of + math.cos(math.radians(lat)) * math.sin(angle) * np.cos(azimuth))
    lons = np.arctan2(
        np.sin(azimuth) * math.sin(angle) * math.cos(math.radians(lat)),
        math.cos(angle) - math.sin(math.radians(lat)) * np.sin(lats),
    )
    return shapely.Polygon(np.stack([lon + np.degrees(lons), np.degrees(lats)], axis=-1))
