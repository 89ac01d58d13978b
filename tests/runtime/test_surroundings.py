"""Libraries read and write alike whatever other programs left in the environment, in every process."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import rasterio

from landslide_scale.runtime.surroundings import settle_libraries

HELD = "RAY_DATA_AUTOSCALING_REQUEST_EXPIRE_TIME_S"

LOOK = """
import json, multiprocessing, sys

def look(folder):
    import landslide_scale
    import geopandas, rasterio, zarr
    from landslide_scale.reading.raster import source
    found = source(f"{folder}/a.tif")
    region = geopandas.read_file(f"{folder}/a.gpkg")
    return [str(found), region.crs.to_epsg(), list(region.total_bounds),
            float(region.to_crs(32633).area.sum()), zarr.config.get("array.write_empty_chunks")]

if __name__ == "__main__":
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        print(json.dumps([look(sys.argv[1]), pool.apply(look, (sys.argv[1],))]))
"""


def looked(folder: Path, **environment: str) -> object:
    script = folder / "look.py"
    script.write_text(LOOK)
    known = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])} | environment
    ended = subprocess.run([sys.executable, script, folder], env=known, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A GeoTIFF whose numbers are at points and a polygon, another program's PROJ, and a GDAL file in a home folder."""
    folder = tmp_path_factory.mktemp("surroundings")
    profile = {"driver": "GTiff", "height": 16, "width": 16, "count": 1, "dtype": "uint8", "crs": "EPSG:32633"}
    place = rasterio.Affine(10, 0, 500_000, 0, -10, 5_100_000)
    with rasterio.open(folder / "a.tif", "w", transform=place, **profile) as file:
        file.write(np.ones((1, 16, 16), np.uint8))
        file.update_tags(AREA_OR_POINT="Point")
    import geopandas as gpd  # noqa: PLC0415
    import shapely  # noqa: PLC0415

    gpd.GeoDataFrame(geometry=[shapely.box(14, 46, 14.1, 46.1)], crs=4326).to_file(folder / "a.gpkg")
    (folder / ".gdal").mkdir()
    (folder / ".gdal" / "gdalrc").write_text("[configoptions]\nGDAL_SKIP=GTiff\nOGR_SKIP=GPKG\n")
    with sqlite3.connect(folder / "proj.db") as db:
        db.execute("create table metadata(key text, value text)")
        versions = [("DATABASE.LAYOUT.VERSION.MAJOR", "1"), ("DATABASE.LAYOUT.VERSION.MINOR", "0")]
        db.executemany("insert into metadata values(?,?)", versions)
    return folder


@pytest.fixture(scope="module")
def undisturbed(folder: Path) -> object:
    return looked(folder)


@pytest.mark.parametrize(
    "names",
    [
        ("PROJ_LIB", "PROJ_DATA", "GDAL_DATA", "GDAL_DRIVER_PATH"),
        pytest.param(("HOME",), marks=pytest.mark.slow),
        pytest.param(
            ("GDAL_SKIP=GTiff", "OGR_SKIP=GPKG", "GTIFF_POINT_GEO_IGNORE=YES", "GTIFF_SRS_SOURCE=GEOKEYS"),
            marks=pytest.mark.slow,
        ),
        ("ZARR_ARRAY__WRITE_EMPTY_CHUNKS=True", "PROJ_NETWORK=ON", "CENTER_LONG=180", "VSI_CACHE=YES"),
    ],
)
def test_variables_of_other_programs_change_nothing_in_this_process_or_one_it_begins(
    folder: Path, undisturbed: object, names: tuple[str, ...]
):
    environment = dict(name.split("=") if "=" in name else (name, str(folder)) for name in names)
    assert looked(folder, **environment) == undisturbed


def test_how_the_network_is_reached_stays():
    kept = {"GDAL_HTTP_PROXY": "http://proxy", "GDAL_CURL_CA_BUNDLE": "/ca.pem", "CPL_DEBUG": "ON", "https_proxy": "x"}
    environment = kept | {"GDAL_DATA": "/other", "GDAL_GEOREF_SOURCES": "WORLDFILE", "OGR_ORGANIZE_POLYGONS": "SKIP"}
    settle_libraries(environment)
    assert environment == kept | {"GDAL_CONFIG_FILE": "", HELD: "30"}


def test_how_long_ray_holds_what_a_dead_pipeline_had_is_the_users_where_they_say_it():
    environment = {HELD: "60"}
    settle_libraries(environment)
    assert environment[HELD] == "60"
    from ray.data._internal.cluster_autoscaler import default_cluster_autoscaler_v2 as ray_data  # noqa: PLC0415

    assert os.environ[HELD] == str(ray_data.DefaultClusterAutoscalerV2.AUTOSCALING_REQUEST_EXPIRE_TIME_S)
