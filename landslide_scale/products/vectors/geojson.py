"""Landslides as GeoJSON, for a page or a mail: only where they are few enough to be loaded at once."""

from __future__ import annotations

from pathlib import Path

import shapely

from landslide_scale.errors import InvalidInputError
from landslide_scale.products.landslide import GEOMETRY
from landslide_scale.products.names import GEOPACKAGE, POLYGONS
from landslide_scale.products.vectors.columns import EPSG, GEOMETRY_TYPE, SCHEMA
from landslide_scale.products.vectors.geoparquet import NOT_VALIDATED, parts
from landslide_scale.products.vectors.writing import write_rows

MOST_BYTES = 50_000_000
"""Of a file: browsers and desktop tools hold several times that in memory."""

DECIMALS = 7
"""Of a degree: a centimetre (RFC 7946, section 11.2)."""

_LEAST_PER_VERTEX = 8
"""Bytes: ``[0,0],`` is the shortest there is, and a landslide's are about 24."""


def write_geojson(polygons: Path, path: Path, most: int = MOST_BYTES) -> None:
    """Write all landslides as one FeatureCollection by RFC 7946: WGS 84, exterior rings anticlockwise, 7 decimals.

    Args:
        polygons: GeoParquet of them.
        path: Where.
        most: Bytes.

    Raises:
        InvalidInputError: It would take more than `most`; nothing is written then.
        BrokenRunError: It cannot be written, for want of room for one.
    """
    vertices = sum(int(shapely.get_num_coordinates(shapely.from_wkb(part[GEOMETRY])).sum()) for part in parts(polygons))
    if vertices * _LEAST_PER_VERTEX > most:
        raise _too_large(f"{vertices:,} vertices", most, path)
    write_rows(
        SCHEMA,
        parts(polygons),
        path,
        driver="GeoJSON",
        layer="landslides",
        geometry_name=GEOMETRY,
        geometry_type=GEOMETRY_TYPE,
        crs=f"EPSG:{EPSG}",
        layer_options={"RFC7946": "YES", "COORDINATE_PRECISION": str(DECIMALS), "DESCRIPTION": NOT_VALIDATED},
    )
    if (size := path.stat().st_size) > most:
        path.unlink()
        raise _too_large(f"{size:,} bytes of GeoJSON", most, path)


def _too_large(found: str, most: int, path: Path) -> InvalidInputError:
    return InvalidInputError(
        found,
        expected=f"at most {most:,} bytes, for a file that is loaded at once",
        cure=f"Use {GEOPACKAGE} or {POLYGONS}, which hold all of them.",
        file=path.name,
    )
