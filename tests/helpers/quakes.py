"""Made earthquakes as the USGS tells of them, and a grid of their shaking."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from landslide_scale.events.event import Event

ORIGIN = datetime(2026, 3, 1, 6, 0, tzinfo=UTC)


def event(name: str = "us1", **changes: Any) -> Event:  # noqa: ANN401 fields of an event
    known: dict[str, Any] = {
        "id": name,
        "ids": (name,),
        "origin": ORIGIN,
        "place": "somewhere",
        "lon": 14.5,
        "lat": 46.0,
        "depth_km": 10.0,
        "magnitude": 6.5,
        "kind": "earthquake",
        "updated": ORIGIN,
        "url": f"https://example.com/{name}",
    }
    return Event(**known | changes)


def feature(name: str = "us1", **properties: Any) -> dict[str, Any]:  # noqa: ANN401 JSON
    when = int(ORIGIN.timestamp() * 1000)
    known = {"mag": 6.5, "place": "somewhere", "time": when, "updated": when, "ids": f",{name},", "type": "earthquake"}
    return {
        "type": "Feature",
        "id": name,
        "properties": known | properties,
        "geometry": {"type": "Point", "coordinates": [14.5, 46.0, 10.0]},
    }


def collection(*features: object) -> dict[str, Any]:
    return {"type": "FeatureCollection", "metadata": {"count": len(features)}, "features": list(features)}


def product(source: str, weight: float, updated: int, status: str = "UPDATE", **known: Any) -> dict[str, Any]:  # noqa: ANN401 JSON
    return {
        "code": known.pop("code", "us1"),
        "source": source,
        "status": status,
        "updateTime": updated,
        "preferredWeight": weight,
        "properties": known.pop("properties", {"version": "1"}),
        "contents": {name: {"url": url} for name, url in known.pop("contents", {}).items()},
    }


def grid_xml(
    mmi: NDArray[np.float64], *, west: float, north: float, step: float = 0.05, east: float | None = None
) -> bytes:
    """A grid.xml of intensities (H, W), north first."""
    rows, cols = mmi.shape
    lon, lat = west + step * np.arange(cols), north - step * np.arange(rows)
    lines = [
        f"{x:.4f} {y:.4f} 1.5 {value:.3f}"
        for y, row in zip(lat, mmi, strict=True)
        for x, value in zip(lon, row, strict=True)
    ]
    last = lon[-1] if east is None else east
    return (
        '<?xml version="1.0"?>\n<shakemap_grid xmlns="http://earthquake.usgs.gov/eqcenter/shakemap" event_id="us1">'
        f'<grid_specification lon_min="{west:.6f}" lat_min="{lat[-1]:.6f}" lon_max="{last:.6f}" lat_max="{north:.6f}" '
        f'nlon="{cols}" nlat="{rows}"/>'
        '<grid_field index="1" name="LON"/><grid_field index="2" name="LAT"/><grid_field index="3" name="PGA"/>'
        '<grid_field index="4" name="MMI"/>'
        f"<grid_data>\n{chr(10).join(lines)}\n</grid_data></shakemap_grid>"
    ).encode()


def bell(rows: int, cols: int, strongest: float = 8.0, width: float = 12.0) -> NDArray[np.float64]:
    """Intensities (H, W) that fall off from the middle in circles of nodes."""
    y, x = np.mgrid[:rows, :cols]
    away = np.hypot(y - (rows - 1) / 2, x - (cols - 1) / 2)
    return np.maximum(1.0, strongest - 2 * (away / width) ** 2)
