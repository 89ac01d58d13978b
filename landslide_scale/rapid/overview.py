"""The first version's page: what is known before any clear pixel."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import shapely

from landslide_scale.rapid.known import Followed
from landslide_scale.rapid.publication.pages import page
from landslide_scale.rapid.publication.version import PRELIMINARY, Figures

_SIDE = 640


def overview(
    known: Followed, failure: Mapping[str, Any] | None, figures: Figures, *, number: int, published: datetime
) -> bytes:
    """One page that opens offline: the ground, its figures, what its landslide model says, the next pass.

    Args:
        known: The event; its area is known.
        failure: Its landslide model, as published; None without one.
        figures: Of the version.
        number: Its number.
        published: The instant it says.
    """
    assert known.area is not None  # noqa: S101 there is something to be shown
    said = {
        "event": known.event,
        "area": known.area,
        "outline": _outline(known.area.ground),
        "shakemap": known.shakemap[0],
        "max_mmi": known.max_mmi,
        "failure": failure,
        "figures": figures,
        "number": number,
        "next_pass": known.next_pass,
        "published": published,
        "state": PRELIMINARY,
        "side": _SIDE,
    }
    return (page("overview.html", said) + "\n").encode()


def _outline(ground: shapely.Geometry) -> str:
    """The ground as the path of an SVG of a square, north up; distances as at its middle latitude.

    Ground on both sides of the antimeridian is drawn in one piece.
    """
    parts = [part for part in shapely.get_parts(ground) if isinstance(part, shapely.Polygon)]
    if shapely.union_all(parts).bounds[2] - shapely.union_all(parts).bounds[0] > 180:  # noqa: PLR2004 half a turn
        parts = [shapely.transform(part, lambda xy: xy + (xy[:, :1] < 0) * (360.0, 0.0)) for part in parts]
    west, south, east, north = shapely.union_all(parts).bounds
    squeeze = math.cos(math.radians((south + north) / 2))
    scale = (_SIDE - 20) / max((east - west) * squeeze, north - south, 1e-6)
    paths = []
    for part in parts:
        for ring in (part.exterior, *part.interiors):
            points = [
                f"{10 + (lon - west) * squeeze * scale:.1f} {10 + (north - lat) * scale:.1f}"
                for lon, lat in shapely.get_coordinates(ring)
            ]
            paths.append(f"M{' L'.join(points)}Z")
    return " ".join(paths)
