"""One landslide of the map: what its pixels say, and what is left for an analyst to say."""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import date
from typing import Any

from shapely import MultiPolygon

STATUSES = ("unreviewed", "confirmed", "rejected")
"""What `status` may be; the first is what a new polygon has."""

VERDICT_REASONS = (
    "field",
    "river",
    "road or quarry",
    "cloud or shadow",
    "snow",
    "old scar",
    "fire",
    "forestry",
    "other",
)
"""What `verdict_reason` may be: why an analyst rejects a polygon."""

CONFIDENCES = ("low", "medium", "high")
"""What `confidence` may be, ascending."""

CHANGES = ("new", "seen only after", "candidate")
"""What `change` may be."""

WITNESSES = ("learned", "learned and vegetation loss", "vegetation loss")
"""What `witnesses` may be."""

GEOMETRY = "geometry"


@dataclass(frozen=True, kw_only=True)
class Landslide:
    """One landslide in one layer: its columns, in their order, wherever polygons are written.

    What is measured is measured on the pixels, before the outline is simplified. None is not known.

    Attributes:
        id: The same for the same pixels in every export, and for the same ground in every version of one event.
        window: Days of the layer.
        geometry: Simplified outline, degrees of WGS 84, right-handed, parts that meet at corners alone apart.
        pixels: How many.
        area_m2: Geodesic area of the pixels' outline on WGS 84.
        length_m, width_m: Sides of the smallest rectangle around it, metres, the longer first.
        prob_mean, prob_max: Of its pixels' probabilities, 0 to 1; None of a candidate.
        confidence: One of `CONFIDENCES`.
        looks: Clear observations, median of its pixels.
        change: One of `CHANGES`, where a layer before was asked: ``new`` where at least half of its pixels were seen
            then too.
        rdndvi: Relative change of NDVI, hundredths, median of its pixels where known.
        witnesses: One of `WITNESSES`, where a layer before was asked: of vegetation where it was lost on at least half
            of its pixels.
        date_min: Last day it was seen clear without being one, where known.
        date_max: Newest day any of its pixels was seen clear.
        elevation_m, slope_deg, aspect_deg: Means from the run's elevation model; aspect clockwise from north.
        exclusion, advisory: Bits, as `products/bits.py` names them.
        touches: What it cuts, blocks or touches of the user's layers, their names by comma.
        priority: Rank by which to look at it, from 1; None before it is ranked.
        scene_ids: Scenes that its blocks were made of, by comma.
        model_sha256: Of the checkpoint.
        run_id: Of the run: its cube's hash, shortened.
        merged: Ids of landslides of earlier versions that it took in, by comma.
        status: One of `STATUSES`.
        verdict: For the analyst, in words.
        verdict_reason: One of `VERDICT_REASONS`, or empty.
        reviewer: Who said so.
    """

    id: str
    window: str
    geometry: MultiPolygon
    pixels: int
    area_m2: float
    length_m: float
    width_m: float
    prob_mean: float | None
    prob_max: float | None
    confidence: str
    looks: int
    date_min: date | None = None
    date_max: date | None = None
    elevation_m: float | None = None
    slope_deg: float | None = None
    aspect_deg: float | None = None
    exclusion: int = 0
    advisory: int = 0
    touches: str = ""
    priority: int | None = None
    scene_ids: str = ""
    model_sha256: str = ""
    run_id: str = ""
    merged: str = ""
    status: str = STATUSES[0]
    verdict: str = ""
    verdict_reason: str = ""
    reviewer: str = ""
    change: str | None = None
    rdndvi: float | None = None
    witnesses: str | None = None

    def row(self) -> dict[str, Any]:
        """Its columns, in their order."""
        return {name: getattr(self, name) for name in COLUMNS}


COLUMNS = tuple(field.name for field in fields(Landslide))
