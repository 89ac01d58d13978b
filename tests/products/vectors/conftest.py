"""A made scan of one zone with clouds and snow, and its landslides."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import shapely
from helpers import cubes
from helpers.landslides import awkward

from landslide_scale.bands import Reason
from landslide_scale.cube.arrays import Layer
from landslide_scale.grid import PixelBox, transformer
from landslide_scale.products.scanned import Scanned, scanned
from landslide_scale.products.vectors.geoparquet import write_geoparquet
from landslide_scale.scan.plan import Place
from landslide_scale.stac.frozen import freeze

REGION = shapely.box(13.0, 46.0, 13.03, 46.015)
BLOCK = 64

ITEM = {
    "type": "Feature",
    "stac_version": "1.0.0",
    "id": cubes.SCENE["id"],
    "collection": "made",
    "geometry": shapely.geometry.mapping(shapely.box(12.5, 45.5, 13.5, 46.5)),
    "bbox": [12.5, 45.5, 13.5, 46.5],
    "properties": {
        "datetime": "2023-07-20T10:00:31Z",
        "platform": "sentinel-2a",
        "grid:code": "MGRS-33TUL",
        "eo:cloud_cover": 12.5,
    },
    "links": [],
    "assets": {},
}


def painted(place: Place) -> Layer:
    """Cloud in a part of each block; in those of odd columns it is snow."""
    probability = np.full((BLOCK, BLOCK), 0.1, np.float32)
    probability[8:40, 16:48] = np.nan
    return cubes.layer_of(probability, unseen=Reason.SNOW if place.block.col % 2 else Reason.CLOUD)


@pytest.fixture(scope="session")
def scan(tmp_path_factory: pytest.TempPathFactory) -> Scanned:
    how = cubes.Made(block=BLOCK, chunk=32, region=REGION)
    lattice = how.lattice(33)
    x, y = transformer(4326, 32633).transform(13.0, 46.0)
    row, col = int(-y // 10), int(x // 10)
    box = PixelBox(row_start=row - 180, row_stop=row + 20, col_start=col - 20, col_stop=col + 260)
    run = cubes.made(tmp_path_factory.mktemp("scan") / "run", how.places({lattice: box}), painted, how)
    freeze(run, [ITEM, ITEM | {"id": "S2A_NOT_USED"}])
    return scanned(run)


@pytest.fixture(scope="session")
def polygons(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("polygons") / "landslides.parquet"
    write_geoparquet(awkward(), path, {"threshold": 0.5, "least_area_m2": 400, "left_out": 3})
    return path
