"""What GDAL passes over in GeoJSON without a word: lines that are no JSON, and a reference system it does not know."""

from __future__ import annotations

import json
import re
from pathlib import Path

LINES = (".geojsonl", ".geojsons", ".ndjson", ".jsonl")
WHOLE = (".geojson", ".json")

_RECORD = "\x1e"
"""What parts the texts of a GeoJSON text sequence (RFC 8142), in which line ends mean nothing."""

_DEGREES = re.compile(r"4326|CRS.?84|WGS.?84", re.IGNORECASE)


def check_geojson(path: Path, epsg: int | None) -> None:
    """Make sure that all of a file was read, and in the system it states.

    Args:
        path: The file; one of another ending passes.
        epsg: The system it was read in.

    Raises:
        ValueError: A line is cut off or no JSON, or the file names a system that was taken for degrees.
    """
    if path.suffix.lower() in LINES:
        text = path.read_bytes().decode("latin-1").removeprefix("\xef\xbb\xbf")
        for line in text.split(_RECORD if _RECORD in text else "\n"):
            if line.strip():
                json.loads(line)
    if path.suffix.lower() in WHOLE and epsg == 4326:  # noqa: PLR2004 (what GDAL falls back on)
        named = _named(json.loads(path.read_bytes().decode("latin-1").removeprefix("\xef\xbb\xbf")))
        if named is not None and not _DEGREES.search(named):
            raise ValueError(f"the reference system {named!r} is unknown")


def _named(content: object) -> str | None:
    """The system that a file names; None where it names none, and is in degrees by its format (RFC 7946)."""
    crs = content.get("crs") if isinstance(content, dict) else None
    properties = crs.get("properties") if isinstance(crs, dict) else None
    name = properties.get("name") if isinstance(properties, dict) else None
    return None if name is None else str(name)
