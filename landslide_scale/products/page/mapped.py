"""What the page's script is told: pictures, outlines and cards, as plain values for JSON."""

from __future__ import annotations

from typing import Any

import shapely
from shapely.geometry.base import BaseGeometry

from landslide_scale.products.page.card import card
from landslide_scale.products.page.frame import Frame
from landslide_scale.products.page.layers import MapLayer, Pictured
from landslide_scale.products.page.pick import Picked, Row
from landslide_scale.products.scanned import Scanned

DECIMALS = 6
"""Of degrees: a tenth of a metre."""


def mapped(of: Scanned, picked: Picked, seen: Pictured) -> dict[str, Any]:
    """Everything on the map; latitude comes before longitude, as Leaflet has it."""
    frame = seen.layers[0].picture.frame
    return {
        "windows": [window.days for window in of.windows],
        "bounds": _bounds(frame),
        "region": _rings(shapely.simplify(seen.ground, _pixel(frame)), frame),
        "layers": [_layer(layer) for layer in seen.layers],
        "called": called(of),
        "landslides": [_landslide(row, frame) for row in picked.drawn],
    }


def called(of: Scanned) -> str:
    """What one polygon is called."""
    return "Landslide" if of.learned else "Candidate"


def _layer(layer: MapLayer) -> dict[str, Any]:
    return {
        "name": layer.name,
        "window": layer.window,
        "opacity": layer.opacity,
        "address": layer.picture.address,
        "bounds": _bounds(layer.picture.frame),
        **({} if layer.shown else {"hidden": True}),
    }


def _landslide(row: Row, frame: Frame) -> dict[str, Any]:
    return {
        "id": str(row["id"]),
        "window": row["window"],
        "rings": _rings(row["geometry"], frame),
        "card": card(row),
    }


def _bounds(frame: Frame) -> list[list[float]]:
    west, south, east, north = frame.bounds
    return [[south, west], [north, east]]


def _pixel(frame: Frame) -> float:
    west, _, east, _ = frame.bounds
    return (east - west) / frame.shape[1]


def _rings(shape: BaseGeometry, frame: Frame) -> list[list[list[list[float]]]]:
    """Polygons of rings of points, the outer ring first."""
    parts = [part for part in shapely.get_parts(shape) if isinstance(part, shapely.Polygon)]
    return [[_ring(ring, frame) for ring in (part.exterior, *part.interiors)] for part in parts]


def _ring(ring: BaseGeometry, frame: Frame) -> list[list[float]]:
    points = shapely.get_coordinates(frame.turned(ring))[:, ::-1]
    return [[round(float(one), DECIMALS) for one in point] for point in points]
