"""A user's own layers, ready to be asked which of their shapes are near a landslide."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.geometry.base import BaseGeometry

from landslide_scale.errors import InvalidRegionError
from landslide_scale.products.vectors.settings import UserLayerConfig, UserLayersConfig
from landslide_scale.region.drawn import Drawn, draw
from landslide_scale.region.polygons import read_lines
from landslide_scale.region.settings import LabelsConfig, RegionConfig

Shapes = NDArray[np.object_]

LINEAR = ("roads", "rivers")
"""Layers of lines; all others are of polygons."""

_CORNERS = 64
"""Of a piece, about: a river of a country is one shape, and near a landslide only a little of it matters."""


_EDGE_DEGREES = 0.01
"""Edges are straight in degrees, and are cut at this length before they are projected: a 1 km chord leaves its curve by
less than a tenth of a metre."""


@dataclass(frozen=True, kw_only=True, eq=False)
class UserLayer:
    """One layer, cut into pieces.

    Attributes:
        name: As the configuration calls it.
        pieces: Degrees of WGS 84, (N,).
        said: How many shapes were read, and of polygons how many were mended or left out for having no area.
    """

    name: str
    pieces: Shapes
    said: str

    @cached_property
    def tree(self) -> shapely.STRtree:
        """To find pieces by where they are."""
        return shapely.STRtree(self.pieces)


def user_layers(config: UserLayersConfig) -> tuple[UserLayer, ...]:
    """The layers that a configuration names, in its order; polygons that cross themselves are mended, and counted.

    Raises:
        InvalidRegionError: One cannot be read, states no reference system, is empty, or holds other geometries.
    """
    return tuple(_layer(name, one) for name, one in config.given.items())


def _layer(name: str, config: UserLayerConfig) -> UserLayer:
    try:
        if name in LINEAR:
            lines = read_lines(RegionConfig(file=config.file, layer=config.layer)).to_numpy()
            return UserLayer(name=name, pieces=_cut_lines(lines), said=f"{len(lines)} lines read")
        drawn: Drawn = draw(LabelsConfig(file=config.file, layer=config.layer, repair=True))
    except InvalidRegionError as error:
        raise error.at(key=f"layers.{name}") from None
    return UserLayer(name=name, pieces=_cut_polygons(drawn.polygons.to_numpy()), said=str(drawn))


def _cut_lines(lines: Shapes) -> Shapes:
    """The same ground in lines of at most `_CORNERS` edges."""
    parts = shapely.segmentize(shapely.get_parts(lines), _EDGE_DEGREES)
    long = shapely.get_num_coordinates(parts) > _CORNERS + 1
    return np.concatenate([parts[~long], *map(_cut_line, parts[long])])


def _cut_line(line: shapely.LineString) -> Shapes:
    points = shapely.get_coordinates(line)
    starts = range(0, len(points) - 1, _CORNERS)
    return np.array([shapely.LineString(points[start : start + _CORNERS + 1]) for start in starts], object)


def _cut_polygons(polygons: Shapes) -> Shapes:
    """The same ground in polygons of few corners, beside each other."""
    parts = shapely.segmentize(shapely.get_parts(polygons), _EDGE_DEGREES)
    large = shapely.get_num_coordinates(parts) > _CORNERS
    cut = [piece for part in parts[large] for piece in _cut_polygon(part)]
    return np.concatenate([parts[~large], np.array(cut, object)])


def _cut_polygon(polygon: BaseGeometry) -> list[BaseGeometry]:
    """Halves across the longer side, and their halves, until each has few corners."""
    if shapely.get_num_coordinates(polygon) <= _CORNERS:
        return [polygon]
    west, south, east, north = polygon.bounds
    x, y = (west + east) / 2, (south + north) / 2
    halves = (
        ((west, south, x, north), (x, south, east, north))
        if east - west > north - south
        else ((west, south, east, y), (west, y, east, north))
    )
    parts = shapely.get_parts([shapely.intersection(polygon, shapely.box(*half)) for half in halves])
    return [piece for part in parts if isinstance(part, shapely.Polygon) for piece in _cut_polygon(part)]
