"""Made scenes and Items for the tests: any pixels as real files, in the words of a real catalogue."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pyproj import Transformer

from landslide_scale.reading.raster import write_cog
from landslide_scale.scene import Scene

COLLECTION = {
    "type": "Collection",
    "stac_version": "1.0.0",
    "id": "sentinel-2-l2a",
    "description": "Made scenes",
    "license": "CC0-1.0",
    "extent": {"spatial": {"bbox": [[-180, -90, 180, 90]]}, "temporal": {"interval": [[None, None]]}},
    "links": [],
}

Pixels = NDArray[np.uint8] | NDArray[np.uint16]


def cog(path: Path, values: Pixels, *, west: float, north: float, resolution: float = 10, epsg: int = 32633) -> str:
    """The path of a file of (H, W) `values` whose upper left corner is given in metres."""
    transform = (float(resolution), 0.0, float(west), 0.0, -float(resolution), float(north))
    write_cog(path, values, epsg=epsg, transform=transform, nodata=0)
    return str(path)


def scene(
    folder: Path,
    name: str,
    bands: Mapping[str, NDArray[np.uint16]],
    scl: NDArray[np.uint8],
    *,
    west: float,
    north: float,
    resolution: float = 10,
    epsg: int = 32633,
    datatake: str = "GS2A_20230810T100031_042590",
    sensed: datetime = datetime(2023, 8, 10, 10, 7, tzinfo=UTC),
    cloud_cover: float = 0.0,
    offset: int = 0,
    tile: str = "33TWM",
    masks: Mapping[str, NDArray[np.uint8]] | None = None,
) -> Scene:
    """A scene of files below `folder`; classes, and `masks` by asset, cover its ground in pixels of their own."""
    rows, cols = next(iter(bands.values())).shape
    side = resolution * rows / scl.shape[0]
    place = {"west": west, "north": north, "epsg": epsg}
    hrefs = [
        (band, cog(folder / f"{name}-{band}.tif", values, **place, resolution=resolution))
        for band, values in bands.items()
    ] + [
        (asset, cog(folder / f"{name}-{asset}.tif", values, **place, resolution=resolution * rows / values.shape[0]))
        for asset, values in (masks or {}).items()
    ]
    return Scene(
        id=name,
        tile=tile,
        epsg=epsg,
        bounds=(west, north - rows * resolution, west + cols * resolution, north),
        sensed=sensed,
        datatake=datatake,
        datastrip=f"{sensed:%Y%m%dT%H%M%S}",
        baseline=(5, 9) if offset else (2, 14),
        generated=sensed,
        cloud_cover=cloud_cover,
        offset=offset,
        offset_rule="made",
        assets=(*hrefs, ("scl", cog(folder / f"{name}-scl.tif", scl, **place, resolution=side))),
    )


def item(
    name: str,
    *,
    sensed: str = "2023-08-10T10:07:00Z",
    assets: Mapping[str, str] | None = None,
    bounds: tuple[float, float, float, float] = (499_980.0, 5_090_220.0, 609_780.0, 5_200_020.0),
    epsg: int = 32633,
    **properties: object,
) -> dict[str, Any]:
    """A STAC Item as Earth Search writes it; `properties` use ``__`` for the colon."""
    west, south, east, north = Transformer.from_crs(epsg, 4326, always_xy=True).transform_bounds(*bounds)
    ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
    stamp = sensed[:19].replace("-", "").replace(":", "")
    known: dict[str, object] = {
        "datetime": sensed,
        "proj:epsg": epsg,
        "proj:bbox": list(bounds),
        "grid:code": "MGRS-33TWM",
        "eo:cloud_cover": 1.5,
        "s2:processing_baseline": "05.09",
        "s2:datatake_id": f"GS2A_{stamp}_042590_N05.09",
        "s2:datastrip_id": f"S2A_OPER_MSI_L2A_DS_2APS_20230818T143300_S{stamp}_N05.09",
        "s2:generation_time": "2023-08-18T14:33:00.000000Z",
    }
    return {
        "type": "Feature",
        "stac_version": "1.0.0",
        "id": name,
        "collection": COLLECTION["id"],
        "geometry": {"type": "Polygon", "coordinates": [ring]},
        "bbox": [west, south, east, north],
        "properties": known | {key.replace("__", ":"): value for key, value in properties.items()},
        "assets": {band: {"href": href} for band, href in (assets or {}).items()},
        "links": [],
    }
