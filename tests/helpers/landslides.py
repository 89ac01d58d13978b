"""Made landslides: polygons with all columns, for whatever writes or asks them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from typing import Any

import shapely

from landslide_scale.products.landslide import Landslide

AWKWARD = 'Müller\'s "große" Hangrutschung, 1; DROP TABLE landslides; -- <&> \n 山崩れ'
"""Quotes, umlauts, markup, a line's end."""

ACROSS = shapely.MultiPolygon([shapely.box(179.9995, -17.001, 180, -17), shapely.box(-180, -17.001, -179.9995, -17)])
"""One landslide on both sides of the antimeridian."""


def square(west: float, south: float, side: float = 0.001) -> shapely.MultiPolygon:
    """A square of degrees, exterior anticlockwise."""
    return shapely.MultiPolygon([shapely.box(west, south, west + side, south + side)])


def landslide(number: int = 0, **other: object) -> Landslide:
    """One landslide; the next number's is beside it."""
    known: dict[str, Any] = {
        "id": f"L{number:06d}",
        "window": "2023-07-01 to 2023-08-01",
        "geometry": square(13 + number % 1000 * 0.002, 46 + number // 1000 * 0.002),
        "pixels": 12,
        "area_m2": 1234.5,
        "length_m": 60.0,
        "width_m": 20.0,
        "prob_mean": 0.7361,
        "prob_max": 0.988,
        "confidence": "medium",
        "looks": 3,
        "date_max": date(2023, 7, 20),
        "scene_ids": "S2A_MADE_20230720",
        "model_sha256": "0" * 64,
        "run_id": "0123456789ab",
    }
    return Landslide(**known | other)


def many(count: int, corners: int = 40) -> Iterator[Landslide]:
    """So many, one by one, each with so many corners."""
    ring = shapely.Point(0, 0).buffer(0.0008, quad_segs=corners // 4)
    for number in range(count):
        shifted = shapely.affinity.translate(ring, 13 + number % 1000 * 0.002, 46 + number // 1000 * 0.002)
        shape = shapely.MultiPolygon([shapely.orient_polygons(shifted)])
        yield landslide(number, geometry=shape, pixels=1 + number % 977)


def awkward() -> list[Landslide]:
    """Landslides with all that is awkward: texts, holes, two parts over the antimeridian."""
    hole = shapely.MultiPolygon([shapely.box(13.02, 46, 13.023, 46.003) - shapely.box(13.021, 46.001, 13.022, 46.002)])
    return [
        landslide(0, verdict=AWKWARD, confidence="high", status="confirmed"),
        landslide(1, geometry=ACROSS, pixels=40, confidence="low"),
        landslide(2, geometry=shapely.orient_polygons(hole), pixels=40, elevation_m=812.5, slope_deg=31.0),
        landslide(3, geometry=square(13.01, 46.01), status="rejected", verdict_reason="field"),
    ]
