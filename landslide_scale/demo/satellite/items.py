"""STAC Items and the Collection of the made scenes, named as Earth Search v1 names those of real ones."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import shapely
from shapely import Polygon

from landslide_scale.bands import NEWER_OFFSET, QUANTIFICATION
from landslide_scale.demo.ground.frame import to_lonlat
from landslide_scale.demo.satellite.passes import Pass
from landslide_scale.demo.satellite.tiles import Tile

COLLECTION = "made-sentinel-2-l2a"
BASELINE = "05.11"
CELLS = {"blue": 10, "green": 10, "red": 10, "nir": 10, "swir16": 20, "scl": 20}
"""Asset name to pixel size in metres."""
_MADE = "MADE by landslide_scale's demo from a random seed. This is not satellite data and shows no real place."
_EXTENSIONS = [
    f"https://stac-extensions.github.io/{name}/schema.json"
    for name in ("eo/v1.1.0", "grid/v1.1.0", "projection/v2.0.0", "raster/v1.1.0", "view/v1.0.0")
]


def item_id(satellite_pass: Pass, tile: Tile) -> str:
    """Like ``S2A_33TYM_20230815_0_L2A``."""
    return f"S2{satellite_pass.platform[-1].upper()}_{tile.name}_{satellite_pass.sensed:%Y%m%d}_0_L2A"


def make_item(
    satellite_pass: Pass, tile: Tile, hrefs: Mapping[str, str], footprint: Polygon, *, clouds: float, nodata: float
) -> dict[str, Any]:
    """One scene.

    Args:
        satellite_pass: Its datatake.
        tile: Its tile.
        hrefs: Asset name to address, one per entry of `CELLS`.
        footprint: Of the pixels with data, in the tile's CRS.
        clouds: Percent of the valid pixels the classification calls cloud.
        nodata: Percent of the pixels without data.
    """
    geometry = to_lonlat(footprint, tile.epsg, step_m=2000.0)
    return {
        "type": "Feature",
        "stac_version": "1.0.0",
        "stac_extensions": _EXTENSIONS,
        "id": item_id(satellite_pass, tile),
        "collection": COLLECTION,
        "geometry": shapely.geometry.mapping(geometry),
        "bbox": list(geometry.bounds),
        "properties": _properties(satellite_pass, tile)
        | {"eo:cloud_cover": clouds, "s2:nodata_pixel_percentage": nodata},
        "assets": {name: _asset(name, hrefs[name], tile) for name in CELLS},
        "links": [],
    }


def _properties(satellite_pass: Pass, tile: Tile) -> dict[str, Any]:
    sensed = satellite_pass.sensed
    satellite = f"S2{satellite_pass.platform[-1].upper()}"
    strip, made = f"{sensed:%Y%m%dT095630}", f"{sensed:%Y%m%dT155057}"
    return {
        "title": f"Made scene of tile {tile.name}, {sensed:%Y-%m-%d}",
        "description": _MADE,
        "datetime": f"{sensed:%Y-%m-%dT%H:%M:%S}.{sensed.microsecond // 1000:03d}Z",
        "created": f"{sensed:%Y-%m-%d}T21:00:00Z",
        "platform": satellite_pass.platform,
        "constellation": "sentinel-2",
        "instruments": ["msi"],
        "grid:code": f"MGRS-{tile.name}",
        "proj:code": f"EPSG:{tile.epsg}",
        "proj:epsg": tile.epsg,
        "view:sun_azimuth": satellite_pass.azimuth,
        "view:sun_elevation": satellite_pass.elevation,
        "s2:processing_baseline": BASELINE,
        "s2:product_type": "S2MSI2A",
        "s2:generation_time": f"{sensed:%Y-%m-%d}T15:50:57.000000Z",
        "s2:datatake_id": f"G{satellite}_{sensed:%Y%m%d}T095031_{satellite_pass.orbit:06d}_N{BASELINE}",
        "s2:datastrip_id": f"S2_MADE_MSI_L2A_DS_MADE_{made}_S{strip}_N{BASELINE}",
        "s2:granule_id": f"S2_MADE_MSI_L2A_TL_MADE_{made}_A{satellite_pass.orbit:06d}_T{tile.name}_N{BASELINE}",
    }


def _asset(name: str, href: str, tile: Tile) -> dict[str, Any]:
    cell = CELLS[name]
    common: dict[str, Any] = {
        "href": href,
        "type": "image/tiff; application=geotiff; profile=cloud-optimized",
        "gsd": cell,
        "proj:shape": [tile.side(cell), tile.side(cell)],
        "proj:transform": list(tile.transform(cell)),
        "proj:bbox": list(tile.bounds),
    }
    if name == "scl":
        band: dict[str, Any] = {"nodata": 0, "data_type": "uint8", "spatial_resolution": cell}
        return common | {"title": "Made scene classification", "roles": ["data"], "raster:bands": [band]}
    band = {
        "nodata": 0,
        "data_type": "uint16",
        "spatial_resolution": cell,
        "scale": 1 / QUANTIFICATION,
        "offset": NEWER_OFFSET / QUANTIFICATION,
    }
    return common | {
        "title": f"Made {name} - {cell}m",
        "roles": ["data", "reflectance"],
        "eo:bands": [{"name": name, "common_name": name}],
        "raster:bands": [band],
    }


def make_collection(bbox: tuple[float, float, float, float], start: str, end: str) -> dict[str, Any]:
    """The Collection of all made scenes; `start` and `end` are RFC 3339 instants."""
    return {
        "type": "Collection",
        "stac_version": "1.0.0",
        "id": COLLECTION,
        "title": "Made Sentinel-2-like scenes (not satellite data)",
        "description": _MADE,
        "license": "Apache-2.0",
        "extent": {"spatial": {"bbox": [list(bbox)]}, "temporal": {"interval": [[start, end]]}},
        "links": [],
    }
