"""What people wrote into a GeoPackage since it was made: a file that analysts fill must not be replaced behind them."""

from __future__ import annotations

import hashlib
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from landslide_scale.errors import InvalidInputError
from landslide_scale.products.landslide import GEOMETRY, STATUSES
from landslide_scale.products.vectors.geoparquet import parts
from landslide_scale.products.vectors.gpkgtables import GEOMETRY_COLUMN

_KEY = ("window", "id")
_FILLED = ("status", "verdict", "verdict_reason", "reviewer")
_EMPTY = (STATUSES[0], "", "", "")
_COLUMNS = ", ".join(f'"{name}"' for name in (*_KEY, *_FILLED, GEOMETRY_COLUMN))
_EVENT = "SELECT count(*) FROM event WHERE coalesce(name, date, country, trigger, link) IS NOT NULL"
_DIGEST = 16

Row = tuple[tuple[str, ...], bytes]
"""What an analyst fills, and a hash of the outline as WKB."""


def edits(package: Path, polygons: Path) -> int:
    """How many landslides of a GeoPackage are not as they were made, or are gone; its event, filled, is one more.

    What a program changes by opening it alone does not count. Of a file that cannot be read there is none.

    Args:
        package: Closed: no program has changes of it beside it.
        polygons: GeoParquet that it was made from; where that cannot be read, outlines are not compared.
    """
    try:
        with closing(sqlite3.connect(f"{package.absolute().as_uri()}?mode=ro", uri=True)) as base:
            there = {_key(row): _row(row) for row in base.execute(f"SELECT {_COLUMNS} FROM landslides")}  # noqa: S608 ours
            (event,) = base.execute(_EVENT).fetchone()
    except sqlite3.Error:
        return 0
    made = _made(polygons)
    if made is None:
        return int(event) + sum(filled != _EMPTY for filled, _ in there.values())
    return int(event) + sum(there.get(key) != made.get(key) for key in there.keys() | made.keys())


def _made(polygons: Path) -> dict[tuple[str, ...], Row] | None:
    try:
        return {
            tuple(row[name] for name in _KEY): (tuple(row[name] for name in _FILLED), _digest(row[GEOMETRY]))
            for part in parts(polygons)
            for row in part.select([*_KEY, *_FILLED, GEOMETRY]).to_pylist()
        }
    except InvalidInputError:
        return None


def _key(row: tuple[Any, ...]) -> tuple[str, ...]:
    return tuple(str(value) for value in row[: len(_KEY)])


def _row(row: tuple[Any, ...]) -> Row:
    filled = tuple("" if value is None else str(value) for value in row[len(_KEY) : -1])
    return filled, _digest(_wkb(row[-1] or b""))


def _wkb(geometry: bytes) -> bytes:
    """Without the header of GeoPackage 1.3 (OGC 12-128r17, 2.1.3): eight bytes, and as many of a box as a flag says."""
    if len(geometry) < 8:  # noqa: PLR2004 the header
        return geometry
    return geometry[8 + {0: 0, 1: 32, 2: 48, 3: 48, 4: 64}.get(geometry[3] >> 1 & 7, 0) :]


def _digest(wkb: bytes) -> bytes:
    return hashlib.blake2b(wkb, digest_size=_DIGEST).digest()
