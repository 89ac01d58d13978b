"""Outlines between pixels of a lattice and degrees."""

from __future__ import annotations

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely import MultiPolygon
from shapely.geometry.base import BaseGeometry

from landslide_scale.grid import Lattice, transformer
from landslide_scale.products.outlines.runs import as_multi

PIXELS_PER_EDGE = 100
"""Longer edges are cut before they are projected: the chord of 1 km leaves its curve by centimetres."""

_WGS84 = 4326
_HALF_TURN, _TURN = 180, 360

Points = NDArray[np.float64]


def to_degrees(outline: MultiPolygon, lattice: Lattice) -> MultiPolygon:
    """Columns and rows as longitude and latitude, in one piece: over the antimeridian, longitudes go on beyond 180."""
    x0, y0 = lattice.zone.origin
    middle = lattice.zone.middle

    def move(points: Points) -> Points:
        x, y = x0 + points[:, 0] * lattice.resolution, y0 - points[:, 1] * lattice.resolution
        longitude, latitude = transformer(lattice.zone.epsg, _WGS84).transform(x, y)
        return np.stack([longitude - _TURN * np.round((longitude - middle) / _TURN), latitude], axis=1)

    return as_multi(shapely.transform(shapely.segmentize(outline, PIXELS_PER_EDGE), move))


def to_pixels(outline: MultiPolygon, lattice: Lattice) -> MultiPolygon:
    """Longitude and latitude as columns and rows of a lattice."""
    x0, y0 = lattice.zone.origin

    def move(points: Points) -> Points:
        x, y = transformer(_WGS84, lattice.zone.epsg).transform(points[:, 0], points[:, 1])
        return np.stack([(x - x0) / lattice.resolution, (y0 - y) / lattice.resolution], axis=1)

    return as_multi(shapely.transform(outline, move))


def shifted(geometry: BaseGeometry, degrees: float) -> BaseGeometry:
    """Farther east by so many degrees."""
    return shapely.transform(geometry, lambda points: points + np.array([degrees, 0.0])) if degrees else geometry


def near_turn(outline: MultiPolygon, longitude: float) -> MultiPolygon:
    """The same ground by the turn of the globe that brings it nearest to a longitude."""
    turns = round((outline.centroid.x - longitude) / _TURN)
    return as_multi(shifted(outline, -_TURN * turns))


def as_published(outline: MultiPolygon) -> MultiPolygon:
    """Right-handed, longitudes -180 to 180, cut at the antimeridian where it crosses it; RFC 7946, 3.1.6 and 3.1.9."""
    west, _, east, _ = outline.bounds
    found: BaseGeometry = outline
    if west < -_HALF_TURN or east > _HALF_TURN:
        turns = [(turn, shapely.box(turn - _HALF_TURN, -90, turn + _HALF_TURN, 90)) for turn in (-_TURN, 0, _TURN)]
        pieces = [as_multi(shifted(outline.intersection(globe), -turn)) for turn, globe in turns]
        found = MultiPolygon([part for piece in pieces for part in piece.geoms])
    return as_multi(shapely.orient_polygons(shapely.normalize(found), exterior_cw=False))
