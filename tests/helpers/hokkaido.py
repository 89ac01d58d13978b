"""The Hokkaido earthquake of 2018 as it was published, with grids that are another earthquake's: its own were not kept.

What is real: every ShakeMap and ground-failure product with its instant, weight and strongest shaking, and the shape of
the ground motion of Loma Prieta 1989. What is not: that shape is moved to this epicentre, and made as strong as each
ShakeMap says it was. The same may be moved to another place and time.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from helpers.quakes import grid_xml
from helpers.webserver import Answer, Asked, site

from landslide_scale.events.shakemap import ShakingGrid, parse_grid_xml

ID = "us2000h8ty"
DETAIL = "events/fdsn_detail_us2000h8ty.json"
GRID = "shakemap/lomaprieta_grid.xml"
EPICENTRE_OF_GRID = (-121.88, 37.04)
THINNED = 3
"""Of the grid's nodes, every so many are taken."""


@dataclass(kw_only=True)
class Published:
    """What an agency publishes of it.

    Attributes:
        detail: The event's.
        strongest: Shaking of each ShakeMap, by the path of its grid.
        grid: Of the real one.
        at: Longitude and latitude of the epicentre.
        address: Of the agency, once it runs.
    """

    detail: Mapping[str, Any]
    strongest: Mapping[str, float]
    grid: ShakingGrid
    at: tuple[float, float]
    address: str = ""
    made: dict[float, bytes] = field(default_factory=dict)

    @property
    def shakemaps(self) -> list[Mapping[str, Any]]:
        """Oldest first."""
        found: list[Mapping[str, Any]] = self.detail["properties"]["products"]["shakemap"]
        return sorted(found, key=lambda one: int(one["updateTime"]))

    def grid_of(self, strongest: float) -> bytes:
        """A grid.xml as strong."""
        if strongest not in self.made:
            mmi = self.mmi(strongest)
            west = self.at[0] + self.grid.west - EPICENTRE_OF_GRID[0]
            north = self.at[1] + self.grid.north - EPICENTRE_OF_GRID[1]
            self.made[strongest] = grid_xml(mmi, west=west, north=north, step=self.grid.dx * THINNED)
        return self.made[strongest]

    def mmi(self, strongest: float) -> np.ndarray[Any, np.dtype[np.float64]]:
        """Intensities (H, W), north first."""
        thin = self.grid.mmi[::THINNED, ::THINNED].astype(np.float64)
        return np.maximum(1.0, thin - thin.max() + strongest)

    def answer(self, asked: Asked) -> Answer:
        """Of its server."""
        if asked.path == "/detail":
            return Answer(content=json.dumps(self.detail).replace("https://earthquake.usgs.gov", self.address).encode())
        strongest = self.strongest.get(asked.path)
        return Answer(status=404) if strongest is None else Answer(content=self.grid_of(strongest))


@contextmanager
def hokkaido(
    usgs: Path, *, at: tuple[float, float] | None = None, origin: datetime | None = None
) -> Iterator[Published]:
    """An agency that publishes it, as it was or moved."""
    said = json.loads((usgs / DETAIL).read_text())
    detail = copy.deepcopy(said.get("response", said))
    properties = detail["properties"]
    later = 0 if origin is None else round(origin.timestamp() * 1000) - properties["time"]
    detail["geometry"]["coordinates"][:2] = at or detail["geometry"]["coordinates"][:2]
    properties |= {"time": properties["time"] + later, "updated": properties["updated"] + later}
    strongest = {}
    for product in (one for some in properties["products"].values() for one in some):
        product["updateTime"] += later
        if "maxmmi" in product["properties"] and "download/grid.xml" in product["contents"]:  # or an empty list
            grid = product["contents"]["download/grid.xml"]
            path = "/" + grid["url"].split("/", 3)[3]
            strongest[path] = float(product["properties"]["maxmmi"])
    grid = parse_grid_xml((usgs / GRID).read_bytes())
    lon, lat = detail["geometry"]["coordinates"][:2]
    published = Published(detail=detail, strongest=strongest, grid=grid, at=(lon, lat))
    with site(published.answer) as server:
        published.address = server.address
        yield published


def hours(published: Published, product: Mapping[str, Any]) -> timedelta:
    """From the origin to a product."""
    return timedelta(milliseconds=product["updateTime"] - published.detail["properties"]["time"])
