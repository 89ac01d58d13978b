"""The ground a run is about: a bounding box or a file of polygons, as one valid geometry in degrees."""

from __future__ import annotations

import math
from io import BytesIO
from typing import Any

import geopandas as gpd
import shapely
from pyogrio.errors import DataLayerError, DataSourceError
from pyproj import Geod
from shapely.geometry.base import BaseGeometry

from landslide_scale.errors import BrokenRunError, InvalidRegionError
from landslide_scale.redaction import redacted
from landslide_scale.region.settings import RegionConfig
from landslide_scale.storage.files import filesystem, local_path, storing

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
    if config.bbox is not None:
        return _box(config.bbox)
    polygons = read_polygons(config)
    return shapely.union_all(polygons.geometry.to_numpy())


def read_polygons(config: RegionConfig) -> Any:  # noqa: ANN401 geopandas ships no types
    """The polygons of a file as a GeoDataFrame in EPSG:4326, every one valid and on the globe.

    Raises:
        InvalidRegionError: As for :func:`load`.
    """
    path = config.file
    try:
        source = _opened(str(path))
        frame = gpd.read_file(source, layer=config.layer) if config.layer else gpd.read_file(source)
    except (DataSourceError, DataLayerError, BrokenRunError, OSError) as error:
        raise InvalidRegionError(str(error), expected="a readable vector file", file=redacted(str(path))) from None
    if not isinstance(frame, gpd.GeoDataFrame):
        raise InvalidRegionError("a table without geometries", expected="polygons", file=path)
    if frame.crs is None:
        raise InvalidRegionError("no coordinate reference system", expected="one stated in the file", file=path)
    if frame.empty:
        raise InvalidRegionError("no features", expected="at least one polygon", file=path)
    for number, shape in enumerate(frame.geometry):
        _check(shape, file=path, feature=number)
    moved = frame.to_crs(4326)
    _check_degrees(moved.total_bounds, file=path)
    if not frame.crs.is_geographic:
        _check_in_one_piece(moved, file=path)
    return moved


def _opened(url: str) -> Any:  # noqa: ANN401 what geopandas reads
    """A local file by its path, any other as its bytes: so it is found the way the rest of a run is."""
    path = local_path(url)
    if path is not None:
        return path.absolute()
    try:
        files, key = filesystem(url)
    except (ValueError, ImportError) as error:
        # Without the chain, which would repeat the address with its keys.
        raise InvalidRegionError(str(error), expected="a path or fsspec URL", file=redacted(url)) from None
    with storing(url):
        return BytesIO(files.cat_file(key))


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
    return shapely.union_all(_split(west, south, east if east > west else east + 360, north))


def _split(west: float, south: float, east: float, north: float) -> list[BaseGeometry]:
    """Boxes within -180 to 180 degrees of one that may reach beyond."""
    found = [shapely.box(west, south, east, north)]
    found += [shapely.box(west + turn, south, east + turn, north) for turn in (-360, 360)]
    globe = shapely.box(-180, -90, 180, 90)
    return [part for part in (shapely.intersection(box, globe) for box in found) if part.area > 0]


def _check(shape: BaseGeometry | None, **where: object) -> None:
    if shape is None or shape.is_empty or shape.geom_type not in {"Polygon", "MultiPolygon"}:
        kind = "empty" if shape is None or shape.is_empty else f"a {shape.geom_type}"
        raise InvalidRegionError(kind, expected="a polygon").at(**where)
    if not shape.is_valid:
        raise InvalidRegionError(
            shapely.is_valid_reason(shape),
            expected="a polygon that does not cross itself",
            cure="Repair it with shapely.make_valid or QGIS's Fix geometries.",
        ).at(**where)


def _check_in_one_piece(polygons: Any, **where: object) -> None:  # noqa: ANN401 geopandas ships no types
    """A projected polygon over the antimeridian would come out as a band around the rest of the globe."""
    for number, bounds in enumerate(polygons.bounds.to_numpy()):
        if bounds[2] - bounds[0] > HALF_TURN:
            raise InvalidRegionError(
                "a polygon that crosses the antimeridian in projected coordinates",
                expected="one polygon on either side of it",
                feature=number,
            ).at(**where)


def _check_degrees(bounds: Any, **where: object) -> None:  # noqa: ANN401 a numpy row or a tuple
    west, south, east, north = (float(value) for value in bounds)
    if not all(-180 <= value <= 180 for value in (west, east)) or not all(-90 <= v <= 90 for v in (south, north)):  # noqa: PLR2004
        raise InvalidRegionError(
            f"bounds {[west, south, east, north]}",
            expected="degrees, longitudes -180 to 180 and latitudes -90 to 90",
        ).at(**where)
