"""The made ground as an elevation model that a catalogue has: one raster, and its Item."""

from __future__ import annotations

import json
from pathlib import Path

import shapely

from landslide_scale.demo.ground.frame import CELL_M, Frame, to_lonlat
from landslide_scale.demo.ground.terrain import make_terrain
from landslide_scale.reading.raster import write_cog

COLLECTION = "made-elevations"


def write_relief(folder: Path, frame: Frame, seed: int) -> Path:
    """Write down the elevations of a made world, metres, or find them; the folder of their Item.

    Args:
        folder: Holds ``elevation.tif`` and ``items/``.
        frame: Of the world.
        seed: Of the world.
    """
    items = folder.resolve() / "items"
    raster, item = items.parent / "elevation.tif", items / "elevation.json"
    if item.exists():
        return items
    items.mkdir(parents=True, exist_ok=True)
    height = make_terrain(frame, seed).height
    write_cog(raster, height, epsg=frame.epsg, transform=frame.transform(CELL_M), nodata=None)
    outline = to_lonlat(frame.rectangle(0, frame.width_m, 0), frame.epsg, step_m=2000.0)
    content = {
        "type": "Feature",
        "stac_version": "1.0.0",
        "id": "made_elevation",
        "collection": COLLECTION,
        "geometry": shapely.geometry.mapping(outline),
        "bbox": list(outline.bounds),
        "properties": {"datetime": "2021-04-22T00:00:00Z", "proj:epsg": frame.epsg, "gsd": CELL_M},
        "assets": {"data": {"href": str(raster), "roles": ["data"]}},
        "links": [],
    }
    item.write_text(json.dumps(content, indent=1), encoding="utf-8")
    return items
