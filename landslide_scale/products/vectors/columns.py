"""The columns of a landslide as they are stored: their types, what they mean, and what may stand in them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa
import shapely

from landslide_scale.products.landslide import (
    CHANGES,
    COLUMNS,
    CONFIDENCES,
    GEOMETRY,
    STATUSES,
    VERDICT_REASONS,
    WITNESSES,
    Landslide,
)

EPSG = 4326
"""Of every geometry here; longitude first."""

GEOMETRY_TYPE = "MultiPolygon"

DOMAINS: Mapping[str, tuple[str, ...]] = {
    "confidence": CONFIDENCES,
    "status": STATUSES,
    "verdict_reason": ("", *VERDICT_REASONS),
    "change": CHANGES,
    "witnesses": WITNESSES,
}
"""What may stand in a column; elsewhere anything of its type."""

MEANINGS: Mapping[str, str] = {
    "id": "the same for the same pixels in every export",
    "window": "days of the images that the layer is made of",
    GEOMETRY: "simplified outline, degrees of WGS 84",
    "pixels": "how many",
    "area_m2": "geodesic area of the pixels' outline on WGS 84, square metres",
    "length_m": "longer side of the smallest rectangle around it, metres",
    "width_m": "shorter side of the smallest rectangle around it, metres",
    "prob_mean": "mean of its pixels' probabilities, 0 to 1; none of a candidate",
    "prob_max": "largest of its pixels' probabilities, 0 to 1; none of a candidate",
    "confidence": "class of how sure the map is of it",
    "looks": "clear observations, median of its pixels",
    "date_min": "last day it was seen clear without being one, where known",
    "date_max": "newest day any of its pixels was seen clear",
    "elevation_m": "mean elevation, metres, where the run used an elevation model",
    "slope_deg": "mean slope, degrees, where the run used an elevation model",
    "aspect_deg": "mean aspect, degrees clockwise from north, where the run used an elevation model",
    "exclusion": "bits: why it may be none; it is kept all the same",
    "advisory": "bits: what makes it less sure",
    "touches": "which of the user's layers it cuts, blocks or touches, by comma",
    "priority": "rank by which to look at it, from 1",
    "scene_ids": "scenes that its blocks were made of, by comma",
    "model_sha256": "of the checkpoint",
    "run_id": "of the run: its cube's hash, shortened",
    "merged": "identifiers of landslides of earlier versions that it took in, by comma",
    "status": "what became of it: new ones are unreviewed",
    "verdict": "for the analyst, in words",
    "verdict_reason": "why an analyst rejects it",
    "reviewer": "who said so",
    "change": "whether it is new since the layer before, where one was asked; a candidate lost vegetation, and no "
    "network looked at it",
    "rdndvi": "relative change of NDVI since then, hundredths, median of its pixels; below 0 where plants were lost",
    "witnesses": "what says so: the network, the loss of vegetation, or both",
}
"""Of each column, for whoever opens a file."""

_TEXT, _WHOLE, _REAL = pa.string(), pa.int32(), pa.float64()
_TYPES: Mapping[str, pa.DataType] = {
    GEOMETRY: pa.binary(),
    "pixels": pa.int64(),
    "looks": _WHOLE,
    "date_min": pa.date32(),
    "date_max": pa.date32(),
    "exclusion": _WHOLE,
    "advisory": _WHOLE,
    "priority": _WHOLE,
} | dict.fromkeys(
    (
        *("area_m2", "length_m", "width_m", "prob_mean", "prob_max"),
        *("elevation_m", "slope_deg", "aspect_deg", "rdndvi"),
    ),
    _REAL,
)

SCHEMA = pa.schema([pa.field(name, _TYPES.get(name, _TEXT)) for name in COLUMNS])
"""Arrow's, in the order of `landslide.COLUMNS`; geometries are WKB."""


def stored(found: Sequence[Landslide]) -> pa.RecordBatch:
    """Landslides as rows of `SCHEMA`."""
    columns: dict[str, Any] = {name: [getattr(one, name) for one in found] for name in COLUMNS}
    columns[GEOMETRY] = shapely.to_wkb(columns[GEOMETRY]).tolist() if found else []
    return pa.record_batch(
        [pa.array(columns[field.name], field.type) for field in SCHEMA],
        schema=SCHEMA,
    )
