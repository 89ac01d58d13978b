"""The scenes that a map was made of, as layers of a GeoPackage have them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import shapely

from landslide_scale.errors import InvalidCatalogError
from landslide_scale.products.scanned import Scanned
from landslide_scale.stac import identity
from landslide_scale.stac.frozen import SCENES, load_items
from landslide_scale.stac.items import footprint, readable, sensed

SENSOR_GSD = "10 m"
"""Of the bands that a map is made of."""

NOT_APPLICABLE = "Not applicable"
"""What is said of a scene's place before or after an event: a scan knows of none."""


@dataclass(frozen=True, kw_only=True)
class Source:
    """One scene.

    Attributes:
        src_id: Its number among the run's, from 1, by sensing instant and id.
        scene_id: The catalogue's.
        sensed: UTC.
        platform: As ``Sentinel-2A``; ``Sentinel-2`` where nothing says which.
        tile: MGRS tile; empty where nothing says so.
        cloud_cover: Percent, where known.
        geometry: Where the catalogue says it has data, degrees.
    """

    src_id: int
    scene_id: str
    sensed: datetime
    platform: str
    tile: str
    cloud_cover: float | None
    geometry: shapely.MultiPolygon

    @property
    def emergency(self) -> dict[str, Any]:
        """As emergency mapping services list it.

        Copernicus EMS, Manual for Rapid Mapping Products (JRC121741, 2020), section 4.2.1: table A0, source.
        """
        return {
            "src_id": self.src_id,
            "source_nam": self.platform,
            "src_date": f"{self.sensed:%d/%m/%Y}",
            "source_tm": f"T{self.sensed:%H:%M:%S}Z",
            "sensor_gsd": SENSOR_GSD,
            "eventphase": NOT_APPLICABLE,
            "scene_id": self.scene_id,
        }


def sources(scanned: Scanned) -> list[Source]:
    """The scenes that units which are done were made of, as the run froze them.

    Raises:
        InvalidCatalogError: What is frozen of one lacks what an Item has.
    """
    used = {
        str(scene["id"])
        for place in scanned.done
        for scene in scanned.records[place.id].scenes
        if "quarantined" not in scene
    }
    items = load_items(scanned.run) if used and scanned.run.exists(SCENES) else []
    known = sorted((sensed(item), str(item["id"]), item) for item in items if item["id"] in used)
    return [_source(number, moment, item) for number, (moment, _, item) in enumerate(known, start=1)]


def _source(number: int, moment: datetime, item: Mapping[str, Any]) -> Source:
    with readable(item):
        cover = item["properties"].get("eo:cloud_cover")
        return Source(
            src_id=number,
            scene_id=str(item["id"]),
            sensed=moment,
            platform=f"Sentinel-{(identity.satellite(item) or 'S2').removeprefix('S')}",
            tile=_tile(item),
            cloud_cover=None if cover is None else float(cover),
            geometry=_areal(item),
        )


def _tile(item: Mapping[str, Any]) -> str:
    try:
        return identity.tile(item)
    except InvalidCatalogError:
        return ""


def _areal(item: Mapping[str, Any]) -> shapely.MultiPolygon:
    """What is areal of a footprint, mended where it crosses itself: catalogues' are drawn by many hands."""
    shape = shapely.force_2d(shapely.make_valid(footprint(item)))
    parts = [part for part in shapely.get_parts(shapely.get_parts(shape)) if isinstance(part, shapely.Polygon)]
    return shapely.orient_polygons(shapely.MultiPolygon(parts))
