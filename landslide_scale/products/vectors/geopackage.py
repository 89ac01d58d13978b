"""One GeoPackage with all that an analyst needs beside the landslides: what was asked, seen, not seen, and by whom."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyogrio
import shapely

from landslide_scale.products.landslide import GEOMETRY
from landslide_scale.products.scanned import Scanned
from landslide_scale.products.vectors import styles
from landslide_scale.products.vectors.coarse import CELL_M, Patch, cell_side, near_snow, not_observed
from landslide_scale.products.vectors.columns import DOMAINS, EPSG, GEOMETRY_TYPE, SCHEMA
from landslide_scale.products.vectors.geoparquet import PART, parts, said_in
from landslide_scale.products.vectors.gpkgtables import GEOMETRY_COLUMN, add_domains, add_styles, add_views, opened
from landslide_scale.products.vectors.scenes import Source, sources
from landslide_scale.products.vectors.writing import write_rows, writing
from landslide_scale.region.polygons import area_km2

VERSION = "1.3"
"""Of GeoPackage: QGIS 3.22 warns of 1.4, which GDAL writes by default."""

STYLES = {
    "landslides": styles.landslides(DOMAINS),
    "area_of_interest": styles.AREA_OF_INTEREST,
    "image_footprint": styles.IMAGE_FOOTPRINT,
    "not_observed": styles.NOT_OBSERVED,
    "exclusion": styles.EXCLUSION,
}
"""Of the layers that have one of their own."""

_TEXT, _WHOLE, _REAL = pa.string(), pa.int32(), pa.float64()
_WKB = pa.field(GEOMETRY, pa.binary())
_PATCHES = pa.schema([("window", _TEXT), ("reason", _TEXT), ("area_m2", _REAL), _WKB])
_POINTS = pa.schema([("id", _TEXT), ("longitude", _REAL), ("latitude", _REAL), _WKB])
_ASKED = pa.schema([("run_id", _TEXT), ("area_km2", _REAL), ("windows", _TEXT), _WKB])
_SOURCES = pa.schema(
    [
        ("src_id", _WHOLE),
        *((name, _TEXT) for name in ("source_nam", "src_date", "source_tm", "sensor_gsd", "eventphase", "scene_id")),
    ]
)
_FOOTPRINTS = pa.schema(
    [
        ("src_id", _WHOLE),
        ("scene_id", _TEXT),
        ("datetime", pa.timestamp("ms", tz="UTC")),
        ("platform", _TEXT),
        ("tile", _TEXT),
        ("cloud_cover", _REAL),
        _WKB,
    ]
)
_EVENT = pa.schema([("name", _TEXT), ("date", pa.date32()), ("country", _TEXT), ("trigger", _TEXT), ("link", _TEXT)])
_ABOUT = pa.schema([("key", _TEXT), ("value", _TEXT)])


@dataclass(frozen=True, kw_only=True)
class _Layer:
    """One layer or table.

    Attributes:
        name: Of the layer.
        description: What it is.
        schema: Arrow's; without a geometry it is a table.
        batches: Its rows.
        kind: Of its geometries.
    """

    name: str
    description: str
    schema: pa.Schema
    batches: Iterable[pa.RecordBatch] = field(repr=False)
    kind: str = GEOMETRY_TYPE


def write_geopackage(polygons: Path, scanned: Scanned, path: Path) -> None:
    """Write the file that an analyst opens, GeoPackage 1.3; the same run and landslides give the same bytes.

    Layers `landslides`, `landslide_points` (a point inside each), `area_of_interest`, `image_footprint`,
    `not_observed`, `exclusion`; tables `source`, `event` and `about`; views as in `views.VIEWS`; a style for each of
    `STYLES`. Every date that the format asks for is the end of the newest layer.

    Args:
        polygons: GeoParquet of the landslides, which says of itself what `about` repeats.
        scanned: The scan they are of.
        path: Where; a file that is there is replaced.

    Raises:
        BrokenRunError: It cannot be written, for want of room for one.
        InvalidInputError: The landslides cannot be read.
    """
    moment = f"{max(window.until for window in scanned.windows):%Y-%m-%dT%H:%M:%S.000Z}"
    path.unlink(missing_ok=True)
    with _dated(moment):
        for layer in _layers(polygons, scanned):
            _write(layer, path)
        with writing(path), opened(path) as base:
            add_domains(base)
            add_styles(base, STYLES, moment)
            add_views(base, moment)


def _layers(polygons: Path, scanned: Scanned) -> Iterator[_Layer]:
    used = sources(scanned)
    yield _Layer(
        name="landslides",
        description="landslides of the map: preliminary, not field-validated",
        schema=SCHEMA,
        batches=parts(polygons),
    )
    yield _Layer(
        name="landslide_points",
        description="a point inside the largest part of each landslide",
        schema=_POINTS,
        batches=map(_points, parts(polygons)),
        kind="Point",
    )
    yield _Layer(
        name="area_of_interest",
        description="ground that was asked for",
        schema=_ASKED,
        batches=_asked(scanned),
    )
    yield _Layer(
        name="image_footprint",
        description="scenes that the map was made of, where the catalogue says they have data",
        schema=_FOOTPRINTS,
        batches=_footprints(used),
    )
    sides = ", ".join(sorted({f"{cell_side(one) * one.resolution} m" for one in scanned.extents}))
    yield _Layer(
        name="not_observed",
        description=f"ground without a probability, and the commonest reason, on cells of {sides} (about {CELL_M} m) "
        "of which more than half was not observed",
        schema=_PATCHES,
        batches=_patches(not_observed(scanned)),
    )
    yield _Layer(
        name="exclusion",
        description=f"ground that is hard to judge, on cells of {sides}; landslides on it are kept, with a bit",
        schema=_PATCHES,
        batches=_patches(near_snow(scanned)),
    )
    yield _Layer(
        name="source",
        description="scenes that the map was made of, as emergency mapping services list them",
        schema=_SOURCES,
        batches=[pa.RecordBatch.from_pylist([one.emergency for one in used], schema=_SOURCES)],
    )
    yield _Layer(
        name="event",
        description="what made them, in one row for the analyst to fill: the views have it then",
        schema=_EVENT,
        batches=[pa.RecordBatch.from_pylist([{}], schema=_EVENT)],
    )
    yield _Layer(
        name="about", description="what to know of this file", schema=_ABOUT, batches=_about(said_in(polygons))
    )


def _write(layer: _Layer, path: Path) -> None:
    placed: dict[str, Any] = {}
    if GEOMETRY in layer.schema.names:
        placed = {"geometry_name": GEOMETRY, "geometry_type": layer.kind, "crs": f"EPSG:{EPSG}"}
        placed["layer_options"] = {"GEOMETRY_NAME": GEOMETRY_COLUMN, "DESCRIPTION": layer.description}
    else:
        placed["layer_options"] = {"DESCRIPTION": layer.description}
    write_rows(
        layer.schema,
        layer.batches,
        path,
        layer=layer.name,
        driver="GPKG",
        dataset_options=None if path.exists() else {"VERSION": VERSION},
        **placed,
    )


@contextmanager
def _dated(moment: str) -> Iterator[None]:
    """For as long as the block takes, GDAL writes `moment` where a file is to say when it was made."""
    before = pyogrio.get_gdal_config_option("OGR_CURRENT_DATE")
    pyogrio.set_gdal_config_options({"OGR_CURRENT_DATE": moment})
    try:
        yield
    finally:
        pyogrio.set_gdal_config_options({"OGR_CURRENT_DATE": before})


def _points(part: pa.RecordBatch) -> pa.RecordBatch:
    shapes = shapely.from_wkb(part[GEOMETRY])
    split, owners = shapely.get_parts(shapes, return_index=True)
    order = np.lexsort((-shapely.area(split), owners))
    largest = split[order[np.unique(owners[order], return_index=True)[1]]]
    points = shapely.point_on_surface(largest)
    return pa.record_batch(
        [part["id"], shapely.get_x(points), shapely.get_y(points), pa.array(shapely.to_wkb(points), pa.binary())],
        schema=_POINTS,
    )


def _asked(scanned: Scanned) -> Iterator[pa.RecordBatch]:
    region = scanned.region
    shape = shapely.orient_polygons(shapely.MultiPolygon(list(getattr(region, "geoms", [region]))))
    row = {
        "run_id": scanned.cube_sha256[:12],
        "area_km2": area_km2(shape),
        "windows": "; ".join(window.days for window in scanned.windows),
        GEOMETRY: shapely.to_wkb(shape),
    }
    yield pa.RecordBatch.from_pylist([row], schema=_ASKED)


def _footprints(used: Iterable[Source]) -> Iterator[pa.RecordBatch]:
    rows = [
        {name: getattr(one, "sensed" if name == "datetime" else name) for name in _FOOTPRINTS.names if name != GEOMETRY}
        | {GEOMETRY: shapely.to_wkb(one.geometry)}
        for one in used
    ]
    yield pa.RecordBatch.from_pylist(rows, schema=_FOOTPRINTS)


def _patches(found: Iterator[Patch]) -> Iterator[pa.RecordBatch]:
    while some := list(islice(found, PART)):
        rows = [
            {
                "window": one.window.days,
                "reason": one.what,
                "area_m2": one.area_m2,
                GEOMETRY: shapely.to_wkb(one.geometry),
            }
            for one in some
        ]
        yield pa.RecordBatch.from_pylist(rows, schema=_PATCHES)


def _about(said: Mapping[str, Any]) -> Iterator[pa.RecordBatch]:
    rows = [
        {"key": key, "value": value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)}
        for key, value in said.items()
        if key != "columns"
    ]
    yield pa.RecordBatch.from_pylist(rows, schema=_ABOUT)
