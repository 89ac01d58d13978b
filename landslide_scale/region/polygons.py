"""The ground a run is about: a bounding box or a file of polygons, as one valid geometry in degrees."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import geopandas as gpd
import numpy as np
import shapely
from pyproj import Geod
from pyproj.exceptions import ProjError
from shapely.geometry.base import BaseGeometry

from landslide_scale.errors import InvalidRegionError
from landslide_scale.redaction import redacted
from landslide_scale.region.layers import LINES, POLYGONS, Kind, Layer, chosen_layers
from landslide_scale.region.settings import RegionConfig

_CURE = "Draw the area itself, leave this out, or give a region as region.bbox: [west, south, east, north]."
HALF_TURN = 180
"""Degrees of longitude."""

DEGREES_PER_EDGE = 0.1
METRES_PER_DEGREE = 110_500
"""Of latitude, rounded down, so that a margin in degrees is never short."""


def load(config: RegionConfig) -> BaseGeometry:
    """The region as one polygon or multipolygon in longitude and latitude (EPSG:4326).

    Raises:
        InvalidRegionError: It is empty, crosses itself, leaves the globe, or its file cannot be read.
    """
    return shapely.union_all(read_polygons(config).to_numpy())


def read_polygons(config: RegionConfig) -> Any:  # noqa: ANN401 geopandas ships no types
    """The polygons of a file, or the box, as a GeoSeries in EPSG:4326, every one valid and on the globe.

    Raises:
        InvalidRegionError: As for :func:`load`.
    """
    if config.bbox is not None:
        return gpd.GeoSeries([_box(config.bbox)], crs=4326)
    return in_degrees(chosen_layers(config), str(config.file))


def read_lines(config: RegionConfig) -> Any:  # noqa: ANN401 geopandas ships no types
    """The lines of a file as a GeoSeries in EPSG:4326, every one on the globe.

    Raises:
        InvalidRegionError: There is none, another geometry is among them, or the file cannot be read.
    """
    return in_degrees(chosen_layers(config, kind=LINES), str(config.file), LINES)


def in_degrees(layers: Sequence[Layer], url: str, kind: Kind = POLYGONS) -> Any:  # noqa: ANN401 geopandas ships no types
    """The geometries of some layers of a file as a GeoSeries in EPSG:4326, every one valid and on the globe.

    Raises:
        InvalidRegionError: As for :func:`load`.
    """
    names = [layer.name if len(layers) > 1 else None for layer in layers]
    file = redacted(url)
    moved = [_in_degrees(layer.shapes, kind, file=file, layer=name) for layer, name in zip(layers, names, strict=True)]
    return gpd.GeoSeries(np.concatenate([shapes.to_numpy() for shapes in moved]), crs=4326)


def _in_degrees(shapes: Any, kind: Kind, **where: object) -> Any:  # noqa: ANN401 geopandas ships no types
    """The geometries of one layer in EPSG:4326, checked."""
    if shapes is None:
        raise InvalidRegionError("a table without geometries", expected=kind.name).at(**where)
    if shapes.crs is None:
        raise InvalidRegionError(
            "no coordinate reference system",
            expected="one stated in the file",
            cure="Of a Shapefile it is the .prj. Assign the one it was drawn in: QGIS's Assign projection, or "
            "`ogr2ogr -a_srs EPSG:CODE NEW.gpkg OLD`.",
        ).at(**where)
    if shapes.empty:
        raise InvalidRegionError("no features", expected=f"at least one {kind.one.removeprefix('a ')}").at(**where)
    with np.errstate(all="ignore"):  # of coordinates that are no numbers, which are refused here
        for number, shape in enumerate(shapes):
            _check(shape, kind, **where, feature=number)
    moved = _moved(shapes, **where)
    _check_degrees(moved.total_bounds, **where)
    if not shapes.crs.is_geographic:
        _check_in_one_piece(moved, kind, **where)
    return moved


def _moved(shapes: Any, **where: object) -> Any:  # noqa: ANN401 geopandas ships no types
    """In EPSG:4326, where the system is one of places on this globe."""
    problem = "" if shapes.crs.is_geographic or shapes.crs.is_projected else "neither geographic nor projected"
    try:
        if not problem:
            return shapes.to_crs(4326)
    except ProjError as error:
        problem = str(error)
    raise InvalidRegionError(
        f"the reference system {shapes.crs.name} ({problem})", expected="a geographic or projected one of the Earth"
    ).at(**where)


def widen(region: BaseGeometry, metres: float) -> BaseGeometry:
    """Ground within at least `metres` of the region, as boxes in degrees around each of its parts.

    Boxes do not cross the antimeridian: what would is split there.
    """
    boxes: list[BaseGeometry] = []
    for part in getattr(region, "geoms", [region]):
        west, south, east, north = part.bounds
        tall = metres / METRES_PER_DEGREE
        south, north = max(-90.0, south - tall), min(90.0, north + tall)
        wide = min(180.0, tall / max(math.cos(math.radians(max(abs(south), abs(north)))), 1e-3))
        boxes += _split(west - wide, south, east + wide, north)
    return shapely.union_all(boxes)


def area_km2(region: BaseGeometry) -> float:
    """Area on the ellipsoid in km2; edges are straight in degrees, so a box follows its parallels."""
    dense = shapely.segmentize(shapely.orient_polygons(region), DEGREES_PER_EDGE)
    return abs(Geod(ellps="WGS84").geometry_area_perimeter(dense)[0]) / 1e6


def _box(bbox: tuple[float, float, float, float]) -> BaseGeometry:
    west, south, east, north = bbox
    _check_degrees((west, south, east, north), key="region.bbox")
    if south >= north or west == east:
        raise InvalidRegionError(
            f"bbox {list(bbox)}", expected="west, south, east, north with south < north", key="region.bbox"
        )
    if west > east and east + 360 - west > HALF_TURN:
        raise InvalidRegionError(
            f"bbox {list(bbox)}, which would reach {east + 360 - west:g} degrees around the globe",
            expected="west, south, east, north with west < east; west > east crosses the antimeridian",
            key="region.bbox",
        )
    return shapely.union_all(_split(west, south, east if east > west else east + 360, north))


def _split(west: float, south: float, east: float, north: float) -> list[BaseGeometry]:
    """Boxes within -180 to 180 degrees of one that may reach beyond."""
    found = [shapely.box(west, south, east, north)]
    found += [shapely.box(west + turn, south, east + turn, north) for turn in (-360, 360)]
    globe = shapely.box(-180, -90, 180, 90)
    return [part for part in (shapely.intersection(box, globe) for box in found) if part.area > 0]


def _check(shape: BaseGeometry | None, kind: Kind, **where: object) -> None:
    if shape is None or shape.is_empty or shape.geom_type not in kind.types:
        found = "empty" if shape is None or shape.is_empty else f"a {shape.geom_type}"
        cure = _CURE if kind == POLYGONS else "Leave this out."
        raise InvalidRegionError(found, expected=kind.one, cure=cure).at(**where)
    if not shape.is_valid:
        wanted, more = "a polygon that does not cross itself", "; labels have `repair: true` for it"
        if kind == LINES:  # which may cross itself, and has no such key
            wanted, more = "a line of two places or more, each of two numbers", ", or leave it out"
        raise InvalidRegionError(
            shapely.is_valid_reason(shape),
            expected=wanted,
            cure=f"Repair it with shapely.make_valid or QGIS's Fix geometries{more}.",
        ).at(**where)


def _check_in_one_piece(shapes: Any, kind: Kind, **where: object) -> None:  # noqa: ANN401 geopandas ships no types
    """A projected shape over the antimeridian would come out as one around the rest of the globe."""
    for number, bounds in enumerate(shapes.bounds.to_numpy()):
        if bounds[2] - bounds[0] > HALF_TURN:
            raise InvalidRegionError(
                f"{kind.one} that crosses the antimeridian in projected coordinates",
                expected=f"one {kind.one.removeprefix('a ')} on either side of it",
                feature=number,
            ).at(**where)


def _check_degrees(bounds: Any, **where: object) -> None:  # noqa: ANN401 a numpy row or a tuple
    west, south, east, north = (float(value) for value in bounds)
    if not all(-180 <= value <= 180 for value in (west, east)) or not all(-90 <= v <= 90 for v in (south, north)):  # noqa: PLR2004
        raise InvalidRegionError(
            f"bounds {[west, south, east, north]}",
            expected="degrees, longitudes -180 to 180 and latitudes -90 to 90",
            cure="Metres are of a projected system, which a file must state; a box is in degrees.",
        ).at(**where)
