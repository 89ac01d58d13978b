"""Items as stac-geoparquet, some of them at a time: those of a region are far larger once they are spelled out."""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import rustac

AT_ONCE = 500
"""Items; 88 kB each as Python holds them, and as much again where they are written."""

PARTS_OF_A_GROUP = 4
"""Of as many Items each that are written as one row group. What a file says of a group, a kilobyte for each of some six
hundred columns, whoever writes or reads the file holds to its end."""

_GEO = b"geo"
"""Of the metadata of a schema, what GeoParquet says of its geometries."""


def read_table(path: Path) -> Iterator[list[dict[str, Any]]]:
    """The Items of a file, at most :data:`AT_ONCE` at a time; one empty list of a file without any.

    Raises:
        RustacError, ValueError, ArrowException: It is none, or damaged.
    """
    with tempfile.TemporaryDirectory() as scratch:
        part = Path(scratch, "part.parquet")
        with pq.ParquetFile(path) as file:
            if file.metadata.num_rows <= AT_ONCE:
                yield _read(path)
                return
            for batch in file.iter_batches(AT_ONCE):
                pq.write_table(pa.Table.from_batches([batch]).replace_schema_metadata(_said_of(path)), part)
                yield _read(part)


def write_table(path: Path, items: Iterable[Mapping[str, Any]]) -> None:
    """Write Items, at most :data:`AT_ONCE` of them spelled out at a time.

    Each number of them is a table whose columns are what its own Items have; all are brought to what any has.

    Raises:
        RustacError, ValueError, OverflowError, RecursionError, ArrowException: They do not fit one table.
    """
    with tempfile.TemporaryDirectory() as scratch:
        parts: list[Path] = []
        left = iter(items)
        while (some := [dict(item) for item in islice(left, AT_ONCE)]) or not parts:
            parts.append(Path(scratch, f"{len(parts)}.parquet"))
            asyncio.run(_write(parts[-1], some))
        if len(parts) == 1:
            path.write_bytes(parts[0].read_bytes())
        else:
            _join(path, parts)


def _join(path: Path, parts: Sequence[Path]) -> None:
    common = pa.unify_schemas(list(map(pq.read_schema, parts)), promote_options="permissive")
    common = common.with_metadata(_together(list(map(_said_of, parts))))
    with pq.ParquetWriter(path, common, compression="zstd") as writer:
        for first in range(0, len(parts), PARTS_OF_A_GROUP):
            tables = [pq.read_table(part) for part in parts[first : first + PARTS_OF_A_GROUP]]
            writer.write_table(pa.concat_tables([common.empty_table(), *tables], promote_options="permissive"))


def _said_of(path: Path) -> dict[bytes, bytes]:
    """What a file says of itself, but for what Arrow keeps there of its own."""
    said = pq.read_metadata(path).metadata or {}
    return {key: value for key, value in said.items() if not key.startswith(b"ARROW:")}


def _together(said: Sequence[Mapping[bytes, bytes]]) -> dict[bytes, bytes]:
    """What the first says, with the kinds of geometries that any has, and no bounds, which are of one."""
    every = [json.loads(one[_GEO]) for one in said]
    for name, column in every[0]["columns"].items():
        kinds = {kind for one in every for kind in one["columns"].get(name, {}).get("geometry_types", [])}
        column["geometry_types"] = sorted(kinds)
        column.pop("bbox", None)
    return {**said[0], _GEO: json.dumps(every[0]).encode()}


async def _write(path: Path, items: list[dict[str, Any]]) -> None:
    await rustac.write(str(path), items)


def _read(path: Path) -> list[dict[str, Any]]:
    return list(asyncio.run(_collected(path))["features"])


async def _collected(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = await rustac.read(str(path))
    return found
