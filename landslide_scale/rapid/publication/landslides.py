"""The landslides of a version, and of a copy of one that somebody worked on: what versions are told apart by."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pyogrio
from pyogrio.errors import DataLayerError, DataSourceError

from landslide_scale.errors import InvalidInputError
from landslide_scale.products import names
from landslide_scale.products.heritage import Verdict, layer_of
from landslide_scale.products.landslide import STATUSES, VERDICT_REASONS
from landslide_scale.redaction import redacted
from landslide_scale.region.formats import only_documented
from landslide_scale.storage.files import local_path
from landslide_scale.storage.inputs import InputFile, ending_of
from landslide_scale.storage.rundir import RunDirectory

LAYER = "landslides"
"""Of a GeoPackage."""

REJECTED = STATUSES[2]

_SAID = tuple(asdict(Verdict()))
_COPIED = ("id", "window", "run_id", *_SAID)
_READ = ("id", "window", "area_m2", "merged", *_SAID)
_ENDINGS = (".gpkg", ".parquet", ".geojson", ".json")

Key = tuple[str, str]
"""First day of the layer, and id."""


@dataclass(frozen=True, kw_only=True)
class Landslide:
    """A landslide of a version.

    Attributes:
        said: The verdict on it.
        area_m2: Of its pixels.
        merged: Ids of earlier ones that it took in.
    """

    said: Verdict
    area_m2: float
    merged: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Row:
    """What a copy says of a landslide.

    Attributes:
        key: Of the landslide.
        run_id: Of the version's scan.
        said: The verdict.
    """

    key: Key
    run_id: str
    said: Verdict


def landslides_of(target: RunDirectory) -> dict[Key, Landslide]:
    """Those of a version, in the order of its file; none of a version without any looked for.

    Args:
        target: Folder of the version.
    """
    if not target.exists(names.POLYGONS):
        return {}
    table = pq.read_table(io.BytesIO(target.read(names.POLYGONS)), columns=list(_READ))
    return {
        (layer_of(one["window"]), one["id"]): Landslide(
            said=Verdict(**{name: one[name] for name in _SAID}),
            area_m2=one["area_m2"],
            merged=tuple(name for name in one["merged"].split(",") if name),
        )
        for one in table.to_pylist()
    }


def of_layer(some: Mapping[Key, Landslide], layer: str) -> dict[str, Landslide]:
    """Those of one layer by id.

    Args:
        some: Of a version.
        layer: First day of the layer, as :func:`layer_of` tells it.
    """
    return {name: one for (of, name), one in some.items() if of == layer}


def read_copy(file: str) -> list[Row]:
    """The rows of a copy of a version's landslides: GeoPackage, GeoParquet or GeoJSON.

    Raises:
        InvalidInputError: It cannot be read, has other columns, or says something that may not stand there.
    """
    if (ending := ending_of(file)) not in _ENDINGS:
        raise refused(f"a {ending or 'file without ending'}", f"one of {', '.join(_ENDINGS)}", file)
    _check_closed(file)
    content = InputFile(address=file, ending=ending).read()
    try:
        table = _parquet(content) if ending == ".parquet" else _vector(content, ending)
    except (DataSourceError, DataLayerError, pa.ArrowException, OSError, ValueError, KeyError) as error:
        raise refused(f"cannot be read ({type(error).__name__}: {error})", f"a copy with {LAYER}", file) from error
    missing = [name for name in _COPIED if name not in table.column_names]
    if missing:
        raise refused(f"no column {', '.join(missing)}", f"{LAYER} as a version has them", file)
    rows: dict[Key, Row] = {}
    for said in table.select(list(_COPIED)).to_pylist():
        row = _row(said, file)
        if rows.setdefault(row.key, row) != row:
            raise refused(f"landslide {row.key[1]} twice, with other verdicts", "each once", file)
    if not rows:
        raise refused("no landslides", "those of a version", file)
    return list(rows.values())


def refused(found: str, expected: str, file: str) -> InvalidInputError:
    """Of a copy that cannot be taken."""
    return InvalidInputError(found, expected=expected, file=redacted(file))


def _row(said: Mapping[str, Any], file: str) -> Row:
    text = {name: "" if said[name] is None else str(said[name]) for name in _COPIED}
    of = f"of landslide {text['id']}"
    _check(text["status"], STATUSES, f"status {text['status'] or 'empty'} {of}", file)
    reason = text["verdict_reason"]
    _check(reason, ("", *VERDICT_REASONS), f"verdict_reason {reason} {of}", file)
    if reason and text["status"] != REJECTED:
        raise refused(
            f"verdict_reason {reason} {of}, which is {text['status']}", f"a reason of what is {REJECTED}", file
        )
    return Row(
        key=(layer_of(text["window"]), text["id"]),
        run_id=text["run_id"],
        said=Verdict(**{name: text[name] for name in _SAID}),
    )


def _check(value: str, domain: Sequence[str], found: str, file: str) -> None:
    if value not in domain:
        none = ", or none" if "" in domain else ""
        raise refused(found, f"one of {', '.join(filter(None, domain))}{none}", file)


def _check_closed(file: str) -> None:
    """What a program that still has a GeoPackage open has changed may lie beside it."""
    path = local_path(file)
    if path is not None:
        beside = Path(f"{path}-wal")
        if beside.exists() and beside.stat().st_size:
            raise InvalidInputError(
                "a file that is still open elsewhere, with changes beside it",
                expected="one that was saved and closed",
                cure="Save the edits and close the project in QGIS.",
                file=file,
            )


def _parquet(content: bytes) -> pa.Table:
    with pq.ParquetFile(io.BytesIO(content)) as file:
        there = set(file.schema_arrow.names)
        return file.read(columns=[name for name in _COPIED if name in there])


def _vector(content: bytes, ending: str) -> pa.Table:
    layer = LAYER if ending == ".gpkg" else 0
    with TemporaryDirectory() as folder:  # SQLite may write beside a file that it reads, and GDAL asks for its ending
        path = Path(folder) / f"copy{ending}"
        path.write_bytes(content)
        only_documented()
        return pyogrio.read_arrow(path, layer=layer, read_geometry=False)[1]
