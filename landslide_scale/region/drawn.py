"""Landslides as others drew them: which features of a file count, what was mended, and the ground around them."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from typing import Any

import geopandas as gpd
import numpy as np
import shapely
from shapely.geometry.base import BaseGeometry

from landslide_scale.errors import InvalidRegionError
from landslide_scale.grid import Zone, project
from landslide_scale.region.layers import Layer, chosen_layers
from landslide_scale.region.polygons import HALF_TURN, in_degrees
from landslide_scale.region.settings import LabelsConfig

_QUARTER = 16
"""Edges of a quarter of a circle: what lies within a distance is short of it by 0.12 % at most."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Drawn:
    """The polygons that count, and what became of the features of their file.

    Attributes:
        polygons: GeoSeries in EPSG:4326, every one valid.
        read: Features there are, in the layers that were chosen.
        filtered_out: Of these, those that do not meet ``where``.
        repaired: Of those that do, rings that crossed themselves.
        dropped: Likewise, features without area: empty, or with nothing areal left of them.
    """

    polygons: Any
    read: int
    filtered_out: int = 0
    repaired: int = 0
    dropped: int = 0

    @property
    def counts(self) -> dict[str, int]:
        """As JSON."""
        return {key: getattr(self, key) for key in ("read", "filtered_out", "repaired", "dropped")}

    def __str__(self) -> str:
        some = {key.replace("_", " "): count for key, count in self.counts.items() if count and key != "read"}
        told = "".join(f", {count} {what}" for what, count in some.items())
        return f"{self.read} polygons read{told}"


def draw(config: LabelsConfig) -> Drawn:
    """The polygons of a file that meet its condition, mended where that is asked for.

    Raises:
        InvalidRegionError: The file cannot be read, no feature meets the condition, or one is no valid polygon.
    """
    layers = chosen_layers(config, config.where)
    repaired = dropped = 0
    if config.repair:
        mended = [_mended(layer) for layer in layers]
        layers = tuple(layer for layer, _, _ in mended)
        repaired, dropped = sum(count for _, count, _ in mended), sum(count for _, _, count in mended)
    polygons = in_degrees(layers, str(config.file))
    unfit = sum(layer.unfit for layer in layers)
    return Drawn(
        polygons=polygons,
        read=len(polygons) + dropped + unfit,
        filtered_out=unfit,
        repaired=repaired,
        dropped=dropped,
    )


def _mended(layer: Layer) -> tuple[Layer, int, int]:
    """A layer with valid polygons, how many were repaired, and how many left out; other kinds are left alone."""
    if layer.shapes is None:
        return layer, 0, 0
    kept: list[BaseGeometry] = []
    repaired = dropped = 0
    for shape in layer.shapes:
        areal = _areal(shape)
        dropped += areal is None
        repaired += areal is not None and areal is not shape
        kept += [] if areal is None else [areal]
    return replace(layer, shapes=gpd.GeoSeries(kept, crs=layer.shapes.crs)), repaired, dropped


def _areal(shape: BaseGeometry | None) -> BaseGeometry | None:
    """The polygon itself where it is one or cannot be mended, else what is areal of it; None where nothing is."""
    if shape is None or shape.is_empty:
        return None
    finite = bool(np.isfinite(shapely.get_coordinates(shape)).all())
    if shape.geom_type not in {"Polygon", "MultiPolygon"} or not finite or shape.is_valid:
        return shape
    valid = shapely.make_valid(shape)
    parts = [part for part in getattr(valid, "geoms", [valid]) if part.geom_type in {"Polygon", "MultiPolygon"}]
    return shapely.union_all(parts) if parts else None


def around(landslides: BaseGeometry, metres: float) -> BaseGeometry:
    """All ground within so many metres of landslides, degrees.

    Each is widened in the UTM zone of its middle, whose metres are the ground's within 0.0014 there.

    Raises:
        InvalidRegionError: It would reach over the antimeridian.
    """
    by_zone: dict[int, list[BaseGeometry]] = defaultdict(list)
    for part in getattr(landslides, "geoms", [landslides]):
        west, south, east, north = part.bounds
        number = min(int(((west + east) / 2 + HALF_TURN) // 6) + 1, 60)
        by_zone[Zone.utm(number, southern=south + north < 0).epsg].append(part)
    widened = [
        project(shapely.buffer(project(shapely.union_all(parts), 4326, epsg), metres, quad_segs=_QUARTER), epsg, 4326)
        for epsg, parts in sorted(by_zone.items())
    ]
    for one in widened:
        for part in getattr(one, "geoms", [one]):
            if part.bounds[2] - part.bounds[0] > HALF_TURN:
                raise InvalidRegionError(
                    f"landslides within {metres:g} m of the antimeridian",
                    expected="a region that is drawn, as one polygon on either side of it",
                    key="region.around_labels",
                )
    return shapely.union_all(widened)
