"""Landslides as GeoParquet: the first product of polygons, which all others are made from.

Written and read in parts, so that memory does not grow with the region. What ranks them all is read back from the parts
before the ranks are written.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import shapely
from numpy.typing import NDArray

from landslide_scale.errors import InvalidInputError
from landslide_scale.products.bits import Advisory, Exclusion
from landslide_scale.products.landslide import GEOMETRY, Landslide
from landslide_scale.products.vectors import ranking, touching
from landslide_scale.products.vectors.columns import EPSG, GEOMETRY_TYPE, MEANINGS, SCHEMA, stored
from landslide_scale.products.vectors.ranking import RANKED_BY, ranks
from landslide_scale.products.vectors.writing import writing

PART = 4096
"""Landslides that are held at once, and rows of a group in the file."""

SAID = b"landslide_scale"
"""Key of the file's metadata under which is what it says of itself, as JSON."""

NOT_VALIDATED = "preliminary, not field-validated"

Revise = Callable[[Path], Iterator[pa.RecordBatch]]
"""Given a file of landslides without ranks, its rows in their order with what is known only of all of them."""

_UNRANKED, _REVISED = ".unranked", ".revised"
_BITS = {
    f"{kind.__name__.lower()}_bits": {int(bit): str(bit.name).lower().replace("_", " ") for bit in kind}
    for kind in (Exclusion, Advisory)
}
_BROKEN = (OSError, pa.ArrowException, KeyError, ValueError)


def write_geoparquet(
    found: Iterable[Landslide], path: Path, said: Mapping[str, Any], revise: Revise | None = None
) -> None:
    """Write landslides in the order they come in, each with its rank; the same ones give the same bytes.

    Coordinates are longitude and latitude of WGS 84 (EPSG:4326, in GeoParquet's order, which is that of OGC:CRS84).
    GeoParquet 1.1.0 (geoparquet.org/releases/v1.1.0).

    Args:
        found: Any number of landslides; what `priority` they have is not looked at.
        path: Where; others stand beside it while it is written.
        said: What the file says of itself, as JSON has it: threshold, least area, how many were left out, ... It is
            read after the last landslide came, so that it may hold what is known only then.
        revise: Of which the rows are taken before they are ranked; by default they stay as they came.

    Raises:
        BrokenRunError: It cannot be written, for want of room for one.
    """
    unranked, revised = path.with_name(path.name + _UNRANKED), path.with_name(path.name + _REVISED)
    try:
        with writing(path):
            bounds = _write_parts(found, unranked)
            if revise is not None:
                _write_batches(revise(unranked), revised)
                revised.replace(unranked)
            rules = {"touches": touching.RULE, "priority": ranking.RULE, "columns": MEANINGS, **_BITS}
            words = {"said": NOT_VALIDATED, **said, **rules}
            metadata = {b"geo": _geo(bounds), SAID: json.dumps(words, ensure_ascii=False, default=str).encode()}
            _write_ranked(unranked, path, metadata)
    finally:
        unranked.unlink(missing_ok=True)
        revised.unlink(missing_ok=True)


def read_geoparquet(path: Path) -> Any:  # noqa: ANN401 geopandas ships no types
    """The landslides as a GeoDataFrame in EPSG:4326, columns in the order of `landslide.COLUMNS`; days are dates.

    Raises:
        InvalidInputError: It cannot be read.
    """
    try:
        return gpd.read_parquet(path)
    except _BROKEN as error:
        raise _unreadable(path, error) from error


def said_in(path: Path) -> dict[str, Any]:
    """What a file says of itself.

    Raises:
        InvalidInputError: It cannot be read, or is no file of landslides.
    """
    try:
        words: dict[str, Any] = json.loads(pq.read_schema(path).metadata[SAID])
    except (*_BROKEN, TypeError) as error:
        raise _unreadable(path, error) from error
    return words


def parts(path: Path) -> Iterator[pa.RecordBatch]:
    """The landslides as rows of `columns.SCHEMA`, `PART` at a time.

    Raises:
        InvalidInputError: It cannot be read.
    """
    try:
        with pq.ParquetFile(path) as file:
            for number in range(file.num_row_groups):
                yield from file.read_row_group(number).cast(SCHEMA).combine_chunks().to_batches()
    except _BROKEN as error:
        raise _unreadable(path, error) from error


def _write_parts(found: Iterable[Landslide], path: Path) -> NDArray[np.float64]:
    """Write without ranks; west, south, east and north of all, NaN of none."""
    bounds = np.full((1, 4), np.nan)
    with pq.ParquetWriter(path, SCHEMA) as writer:
        them = iter(found)
        while part := list(islice(them, PART)):
            bounds = np.vstack([bounds, shapely.bounds([one.geometry for one in part])])
            bounds = np.concatenate([np.nanmin(bounds[:, :2], 0), np.nanmax(bounds[:, 2:], 0)])[None]
            writer.write_batch(stored(part))
    return np.asarray(bounds[0], np.float64)


def _write_batches(batches: Iterable[pa.RecordBatch], path: Path) -> None:
    with pq.ParquetWriter(path, SCHEMA) as writer:
        for batch in batches:
            writer.write_batch(batch)


def _write_ranked(unranked: Path, path: Path, metadata: Mapping[bytes, bytes]) -> None:
    priority = ranks(pq.read_table(unranked, columns=list(RANKED_BY)))
    place = SCHEMA.get_field_index("priority")
    begun = 0
    with pq.ParquetWriter(path, SCHEMA.with_metadata(metadata), compression="zstd") as writer:
        for part in parts(unranked):
            ranked = part.set_column(place, SCHEMA.field(place), priority.slice(begun, len(part)))
            writer.write_batch(ranked, row_group_size=PART)
            begun += len(part)


def _geo(bounds: NDArray[np.float64]) -> bytes:
    column: dict[str, Any] = {
        "encoding": "WKB",
        "geometry_types": [GEOMETRY_TYPE],
        "crs": gpd.GeoSeries(crs=EPSG).crs.to_json_dict(),
        "orientation": "counterclockwise",
        "edges": "planar",
    }
    if np.isfinite(bounds).all():
        column["bbox"] = bounds.tolist()
    return json.dumps({"version": "1.1.0", "primary_column": GEOMETRY, "columns": {GEOMETRY: column}}).encode()


def _unreadable(path: Path, error: Exception) -> InvalidInputError:
    return InvalidInputError(
        f"cannot be read ({type(error).__name__}: {error})",
        expected="landslides as an export writes them",
        cure="Export again.",
        file=path,
    )
