"""A made earthquake as an agency tells of it: a feed, the event's detail, a ShakeMap; files, served on loopback."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.geometry.base import BaseGeometry

EVENT_ID = "made2023east"
ORIGIN = datetime(2023, 8, 3, 4, 0, tzinfo=UTC)
MAGNITUDE = 6.4
FEED, GRID = "feed.geojson", "grid.xml"

STEP = 0.0025
"""Degrees between nodes: about 200 m, so that cells which meet the made east end before the made ground does."""

_MARGIN = 4
_CENTRE, _FALL = 8.0, 1.8
_BELOW = 5.8
_DEPTH_KM = 9.0


@dataclass(frozen=True, kw_only=True)
class Agency:
    """Where it publishes.

    Attributes:
        folder: Of its files.
        address: Of that folder on loopback, without a slash at its end.
    """

    folder: Path
    address: str

    @property
    def feed(self) -> str:
        """Address of the feed."""
        return f"{self.address}/{FEED}"

    @property
    def detail(self) -> str:
        """Address of an event's detail, with ``{id}``."""
        return f"{self.address}/{{id}}.geojson"

    def announce(self, region: BaseGeometry, now: datetime) -> None:
        """Tell of the earthquake, of which no ShakeMap is there yet.

        Args:
            region: Ground (degrees) that shook; its middle is the epicentre.
            now: UTC.
        """
        self._publish(region, now, {})

    def publish_shakemap(self, region: BaseGeometry, now: datetime) -> None:
        """Tell how the ground shook: all of a region by VI or more, and nothing but the cells that meet it."""
        (self.folder / GRID).write_bytes(grid_xml(region))
        product = {
            "code": EVENT_ID,
            "source": "made",
            "status": "UPDATE",
            "updateTime": _milliseconds(now),
            "preferredWeight": 1,
            "properties": {"version": "1"},
            "contents": {f"download/{GRID}": {"url": f"{self.address}/{GRID}"}},
        }
        self._publish(region, now, {"shakemap": [product]})

    def _publish(self, region: BaseGeometry, now: datetime, products: Mapping[str, Any]) -> None:
        feature = _feature(region, now, f"{self.address}/{EVENT_ID}.geojson")
        detail = {**feature, "properties": {**feature["properties"], "products": products}}
        _write(self.folder / f"{EVENT_ID}.geojson", detail)
        _write(self.folder / FEED, {"type": "FeatureCollection", "features": [feature]})


@contextmanager
def agency(folder: Path) -> Iterator[Agency]:
    """Serve a folder on a free port of loopback until the block is left."""
    folder.mkdir(parents=True, exist_ok=True)
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(folder))) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield Agency(folder=folder, address=f"http://127.0.0.1:{server.server_port}")
        finally:
            server.shutdown()
            thread.join()


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 the library's name
        """Nothing is said of requests."""


def grid_xml(region: BaseGeometry) -> bytes:
    """A ShakeMap's grid of a region (degrees): VI or more where a node's cell meets it, less everywhere else."""
    mmi, lon, lat = _shaken(region)
    rows = [
        f"{x:.4f} {y:.4f} {value:.2f}"
        for y, row in zip(lat, mmi, strict=True)
        for x, value in zip(lon, row, strict=True)
    ]
    extent = f'lon_min="{lon[0]:.4f}" lat_min="{lat[-1]:.4f}" lon_max="{lon[-1]:.4f}" lat_max="{lat[0]:.4f}"'
    fields = "".join(
        f'<grid_field index="{number}" name="{name}"/>' for number, name in enumerate(("LON", "LAT", "MMI"), start=1)
    )
    text = "\n".join(rows)
    return (
        f'<?xml version="1.0"?>\n<shakemap_grid event_id="{EVENT_ID}">'
        f'<grid_specification {extent} nlon="{lon.size}" nlat="{lat.size}"/>{fields}'
        f"<grid_data>\n{text}\n</grid_data></shakemap_grid>\n"
    ).encode()


def _shaken(region: BaseGeometry) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Intensities (H, W), north first, and where their columns and rows are."""
    west, south, east, north = region.bounds
    first, last = np.floor(west / STEP) - _MARGIN, np.ceil(east / STEP) + _MARGIN
    top, bottom = np.ceil(north / STEP) + _MARGIN, np.floor(south / STEP) - _MARGIN
    lon, lat = np.arange(first, last + 1) * STEP, np.arange(top, bottom - 1, -1) * STEP
    x, y = np.meshgrid(lon, lat)
    half = STEP / 2
    meets = shapely.intersects(region, shapely.box(x - half, y - half, x + half, y + half))
    middle = region.centroid
    away = np.hypot((x - middle.x) * 2 / (east - west), (y - middle.y) * 2 / (north - south)) / np.sqrt(2)
    mmi = _CENTRE - _FALL * away
    return np.where(meets, np.maximum(mmi, 6.0), np.minimum(mmi, _BELOW)), lon, lat


def _feature(region: BaseGeometry, now: datetime, detail: str) -> dict[str, Any]:
    middle = region.centroid
    properties = {
        "mag": MAGNITUDE,
        "place": "the made east",
        "time": _milliseconds(ORIGIN),
        "updated": _milliseconds(now),
        "ids": f",{EVENT_ID},",
        "type": "earthquake",
        "detail": detail,
    }
    place = {"type": "Point", "coordinates": [round(middle.x, 4), round(middle.y, 4), _DEPTH_KM]}
    return {"type": "Feature", "id": EVENT_ID, "properties": properties, "geometry": place}


def _milliseconds(instant: datetime) -> int:
    return round(instant.timestamp() * 1000)


def _write(path: Path, content: object) -> None:
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
