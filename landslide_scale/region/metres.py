"""Whether the metres of a projected system are the ground's: areas, growth of clouds and slopes are counted in them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyproj
import shapely
from numpy.typing import NDArray
from shapely.geometry.base import BaseGeometry

from landslide_scale.errors import InvalidConfigError

LENGTH_ERROR = 0.02
"""Of a metre in any direction, as a share: 100 m of growth are then 2 m off, a fifth of a native pixel, and a slope of
45 degrees 0.6. Equal-area systems distort shapes by that much 23 degrees from their centre, so that EPSG:3035 fits
from Portugal to northern Norway; UTM stays within 0.0014 on the ground a zone owns."""

AREA_ERROR = 0.01
"""Of a square metre, as a share: an area is what a scan states first, and nothing else in it is known to a hundredth. A
conformal system made for a continent is out by several (EPSG:3034 by 7 %), one made for a country by 0.3 % at most."""

_DEGREES_PER_EDGE = 1.0
_POINTS_ACROSS = 32


def check_metres(crs: int | None, region: BaseGeometry) -> None:
    """Make sure that the metres of a system are the ground's all over `region` (degrees); those of UTM, None, are.

    Raises:
        InvalidConfigError: Somewhere a length is out by more than :data:`LENGTH_ERROR`, or an area by more than
            :data:`AREA_ERROR`.
    """
    if crs is None:
        return
    shortest, longest, least, most = _scales(crs, region)
    lengths = 1 - LENGTH_ERROR <= shortest <= longest <= 1 + LENGTH_ERROR
    areas = 1 - AREA_ERROR <= least <= most <= 1 + AREA_ERROR
    if not (lengths and areas):  # nor for NaN
        raise InvalidConfigError(
            f"EPSG:{crs}, which shows a metre of this region as {shortest:.3f} to {longest:.3f} m "
            f"and a square metre as {least:.3f} to {most:.3f} m2",
            expected=f"lengths within {LENGTH_ERROR:.0%} and areas within {AREA_ERROR:.0%} of the ground's",
            cure="Leave grid.crs out, or choose a system made for this region.",
            key="grid.crs",
        )


def _scales(crs: int, region: BaseGeometry) -> tuple[float, float, float, float]:
    """How long a system shows a metre, shortest and longest in any direction, and how large a square metre likewise.

    By the axes of Tissot's indicatrix; Snyder, J. P. (1987): Map Projections, a Working Manual, p. 20-25.
    """
    points = np.concatenate([shapely.get_coordinates(shapely.segmentize(region, _DEGREES_PER_EDGE)), *_inside(region)])
    factors = pyproj.Proj(pyproj.CRS.from_epsg(crs)).get_factors(points[:, 0], points[:, 1])
    return (
        float(np.min(factors.tissot_semiminor)),
        float(np.max(factors.tissot_semimajor)),
        float(np.min(factors.areal_scale)),
        float(np.max(factors.areal_scale)),
    )


def _inside(region: BaseGeometry) -> Iterator[NDArray[np.float64]]:
    """Points (N, 2) within each part of the region: scales may be extreme there, as at the centre of a polar system."""
    for part in getattr(region, "geoms", [region]):
        west, south, east, north = part.bounds
        across, along = np.linspace(west, east, _POINTS_ACROSS), np.linspace(south, north, _POINTS_ACROSS)
        points = np.stack(np.meshgrid(across, along), axis=-1).reshape(-1, 2)
        yield points[shapely.contains_xy(part, points)]
