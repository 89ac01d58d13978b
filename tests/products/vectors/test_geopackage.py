"""The GeoPackage: OGR reads all of it, each view has its inventory's names, and QGIS finds a style for each layer."""

from __future__ import annotations

import hashlib
import resource
import shutil
import sqlite3
import subprocess
import warnings
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from xml.etree import ElementTree as ET

import geopandas as gpd
import pandas as pd
import pyogrio
import pytest
import shapely
from geopandas.testing import assert_geodataframe_equal
from helpers import cubes
from helpers.landslides import awkward

from landslide_scale.errors import BrokenRunError, InvalidInputError, StorageAwayError
from landslide_scale.products.landslide import CONFIDENCES, VERDICT_REASONS
from landslide_scale.products.scanned import Scanned
from landslide_scale.products.vectors.geopackage import write_geopackage
from landslide_scale.products.vectors.geoparquet import read_geoparquet, write_geoparquet

TEXT, WHOLE, LONG, REAL, DAY = "OFTString", "OFTInteger", "OFTInteger64", "OFTReal", "OFTDate"
LAYERS = {
    "landslides", "landslide_points", "area_of_interest", "image_footprint", "not_observed", "exclusion",
    "source", "event", "about", "layer_styles",
}  # fmt: skip

PUBLISHED = {
    "ground_failure_polygons": {
        "event_name": TEXT, "event_date": DAY, "epicentral_country": TEXT, "type": TEXT, "area": REAL,
        "description": TEXT, "volume": REAL, "event_link": TEXT, "source_link": TEXT, "inventory_name": TEXT,
        "comments": TEXT,
    },
    "us_ls_v3_poly": {
        "USGS_ID": TEXT, "Date_Min": DAY, "Date_Max": DAY, "Confidence": LONG, "LS_Type": TEXT, "Inventory": TEXT,
        "Inv_URL": TEXT, "Fatalities": LONG, "Lat_N": REAL, "Lon_W": REAL,
    },
    "observedEventA": {
        "event_type": TEXT, "obj_desc": TEXT, "det_method": TEXT, "notation": TEXT, "dmg_src_id": LONG, "area": REAL,
    },
    "coolr_events": {
        "ev_id": LONG, "ev_date": DAY, "ev_title": TEXT, "ls_trig": TEXT, "ctry_name": TEXT, "method": TEXT,
        "img_type": TEXT, "sat_date_b": DAY, "sat_date_a": DAY,
    },
}  # fmt: skip
"""Columns and OGR types of the views, as the inventories that they are named after have them."""

QGIS_LOOKS_BY = (
    "SELECT styleQML FROM layer_styles WHERE f_table_schema = '' AND f_table_name = ? AND f_geometry_column = ? "
    "ORDER BY CASE WHEN useAsDefault THEN 1 ELSE 2 END, update_time DESC LIMIT 1"
)


@pytest.fixture(scope="module")
def package(polygons: Path, scan: Scanned, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("package") / "landslides.gpkg"
    write_geopackage(polygons, scan, path)
    return path


@pytest.fixture(autouse=True)
def _nothing_is_warned_of() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def rows(path: Path, query: str, *values: object) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(path)) as base:
        return base.execute(query, values).fetchall()


def test_geopandas_reads_the_same_from_both(package: Path, polygons: Path):
    one, other = read_geoparquet(polygons), gpd.read_file(package, layer="landslides", use_arrow=True)
    assert_geodataframe_equal(other[list(one.columns)], one)


def test_ogr_reads_every_layer_and_view(package: Path):
    assert {name for name, _ in pyogrio.list_layers(package)} == LAYERS | set(PUBLISHED)
    for name in LAYERS | set(PUBLISHED):
        info = pyogrio.read_info(package, layer=name)
        assert info["features"] == len(pyogrio.read_dataframe(package, layer=name))
        assert info["layer_metadata"]["DESCRIPTION"]
        assert info["geometry_type"] is None or info["crs"] == "EPSG:4326"


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_view_has_the_names_and_types_of_the_inventory_it_is_named_after(name: str, package: Path):
    info = pyogrio.read_info(package, layer=name)
    assert dict(zip(info["fields"], info["ogr_types"], strict=True)) == PUBLISHED[name]
    assert (info["geometry_type"], info["features"]) == ("MultiPolygon", len(awkward()))
    assert info["total_bounds"] == pyogrio.read_info(package, layer="landslides")["total_bounds"]
    shapes = pyogrio.read_dataframe(package, layer=name).geometry
    assert all(shape.equals(one.geometry) for shape, one in zip(shapes, awkward(), strict=True))


def test_views_say_what_is_known_in_their_units(package: Path):
    usgs, ems = (pyogrio.read_dataframe(package, layer=name) for name in ("us_ls_v3_poly", "observedEventA"))
    assert usgs["USGS_ID"].tolist() == [one.id for one in awkward()]
    assert usgs["Confidence"].tolist()[:3] == [5, 1, 2]
    assert pd.isna(usgs["Confidence"][3])  # rejected
    assert usgs["Date_Max"].tolist() == [pd.Timestamp("2023-07-20")] * 4
    points = shapely.points(usgs["Lon_W"], usgs["Lat_N"])
    assert all(one.geometry.contains(point) for one, point in zip(awkward(), points, strict=True))
    assert ems["area"].tolist() == pytest.approx([0.12345] * 4)
    assert set(ems["event_type"]) == {"6-Mass Movement"}
    assert ems["dmg_src_id"].tolist() == [1] * 4
    assert pyogrio.read_dataframe(package, layer="ground_failure_polygons")["area"].tolist() == [1234.5] * 4


def test_what_an_analyst_says_of_the_event_is_in_the_views(package: Path, tmp_path: Path):
    package = Path(shutil.copy(package, tmp_path))
    with closing(sqlite3.connect(package)) as base, base:
        base.execute("UPDATE event SET name = 'Ärzte''s quake', date = '2023-07-10', trigger = 'earthquake'")
    coolr = pyogrio.read_dataframe(package, layer="coolr_events")
    assert set(coolr["ls_trig"]) == {"earthquake"}
    assert set(coolr["ev_date"]) == {pd.Timestamp("2023-07-10")}
    assert set(pyogrio.read_dataframe(package, layer="ground_failure_polygons")["event_name"]) == {"Ärzte's quake"}


def test_qgis_finds_a_style_for_each_layer_and_a_colour_for_each_confidence(package: Path):
    for layer in ("landslides", "area_of_interest", "not_observed", "image_footprint", "exclusion"):
        [(text,)] = rows(package, QGIS_LOOKS_BY, layer, "geom")
        assert ET.fromstring(text).find("renderer-v2/symbols/symbol/layer") is not None  # noqa: S314 our own
    [(text,)] = rows(package, QGIS_LOOKS_BY, "landslides", "geom")
    style = ET.fromstring(text)  # noqa: S314 as above
    assert [one.get("value") for one in style.iter("category")] == list(CONFIDENCES)
    assert style.find("renderer-v2").get("attr") == "confidence"
    colours = {one.get("value") for one in style.iter("Option") if one.get("name") == "color"}
    assert len(colours) == len(CONFIDENCES)


def test_columns_say_what_they_mean_and_what_may_stand_in_them(package: Path):
    domain = rows(package, "SELECT value FROM gpkg_data_column_constraints WHERE constraint_name = 'verdict_reason'")
    assert {value for (value,) in domain} == {"", *VERDICT_REASONS}
    with_domain = rows(package, "SELECT column_name FROM gpkg_data_columns WHERE constraint_name IS NOT NULL")
    said = ["change", "confidence", "status", "verdict_reason", "witnesses"]
    assert sorted(with_domain) == [(name,) for name in said]
    described = {name for (name,) in rows(package, "SELECT column_name FROM gpkg_data_columns WHERE description > ''")}
    assert described == set(pyogrio.read_info(package, layer="landslides")["fields"])


def test_what_the_file_is_and_how_it_came_about_stand_in_it(package: Path):
    about = dict(rows(package, "SELECT key, value FROM about"))
    assert about["said"] == "preliminary, not field-validated"
    assert (about["threshold"], about["least_area_m2"], about["left_out"]) == ("0.5", "400", "3")
    assert "snow near" in about["exclusion_bits"]
    assert rows(package, "PRAGMA user_version") == [(10300,)]
    assert {moment for (moment,) in rows(package, "SELECT last_change FROM gpkg_contents")} == {
        "2023-08-01T00:00:00.000Z"
    }


def test_scenes_that_were_used_are_listed_as_emergency_services_list_them(package: Path):
    [row] = pyogrio.read_dataframe(package, layer="source").to_dict("records")
    assert row == {
        "src_id": 1, "source_nam": "Sentinel-2A", "src_date": "20/07/2023", "source_tm": "T10:00:31Z",
        "sensor_gsd": "10 m", "eventphase": "Not applicable", "scene_id": cubes.SCENE["id"],
    }  # fmt: skip
    frame = pyogrio.read_dataframe(package, layer="image_footprint")
    assert frame[["scene_id", "platform", "tile", "cloud_cover"]].to_numpy().tolist() == [
        [cubes.SCENE["id"], "Sentinel-2A", "33TUL", 12.5]
    ]
    assert frame["datetime"][0] == pd.Timestamp("2023-07-20T10:00:31Z")
    assert frame.geometry[0].equals(shapely.box(12.5, 45.5, 13.5, 46.5))


def test_the_same_run_gives_the_same_bytes_and_a_file_that_was_there_is_replaced(
    polygons: Path, scan: Scanned, tmp_path: Path
):
    (tmp_path / "b.gpkg").write_bytes(b"what was there")
    for name in "ab":
        write_geopackage(polygons, scan, tmp_path / f"{name}.gpkg")
    first, second = (hashlib.sha256((tmp_path / f"{name}.gpkg").read_bytes()).hexdigest() for name in "ab")
    assert first == second
    assert pyogrio.get_gdal_config_option("OGR_CURRENT_DATE") is None  # what else GDAL writes is not dated by it


def test_no_landslide_at_all_is_a_whole_file(scan: Scanned, tmp_path: Path):
    write_geoparquet([], tmp_path / "a.parquet", {})
    write_geopackage(tmp_path / "a.parquet", scan, tmp_path / "a.gpkg")
    for name in ("landslides", *PUBLISHED):
        assert pyogrio.read_info(tmp_path / "a.gpkg", layer=name)["features"] == 0
        assert len(pyogrio.read_dataframe(tmp_path / "a.gpkg", layer=name)) == 0


def test_sqlite_finds_nothing_wrong_and_views_stay_fast(package: Path):
    assert rows(package, "PRAGMA integrity_check") == [("ok",)]
    assert rows(package, "PRAGMA foreign_key_check") == []
    plan = repr(rows(package, 'EXPLAIN QUERY PLAN SELECT * FROM "observedEventA"'))
    assert "USING INDEX source_scene_id" in plan  # not every scene for every landslide


def test_landslides_that_cannot_be_read_are_said(scan: Scanned, tmp_path: Path):
    (tmp_path / "a.parquet").write_bytes(b"PAR1")
    with pytest.raises(InvalidInputError, match="Export again"):
        write_geopackage(tmp_path / "a.parquet", scan, tmp_path / "a.gpkg")


def test_what_goes_wrong_in_the_cube_is_raised_as_it_is(
    polygons: Path, scan: Scanned, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def away(*_: object) -> None:
        raise StorageAwayError("S3 says slow down")

    monkeypatch.setattr(Scanned, "read", away)
    with pytest.raises(StorageAwayError, match="slow down"):
        write_geopackage(polygons, scan, tmp_path / "a.gpkg")


@pytest.mark.parametrize("room", [150_000, *(pytest.param(some, marks=pytest.mark.slow) for some in (10_000, 250_000))])
def test_a_full_disk_is_said(room: int, polygons: Path, scan: Scanned, tmp_path: Path):
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, before[1]))
    try:
        with pytest.raises(BrokenRunError):
            write_geopackage(polygons, scan, tmp_path / "a.gpkg")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.slow
def test_ogrinfo_reads_it(package: Path):
    """GDAL's own command, where Debian's gdal-bin is installed: an older GDAL than the one that wrote it."""
    try:
        done = subprocess.run(["ogrinfo", "-al", "-so", package], capture_output=True, text=True, check=True)
    except FileNotFoundError:
        pytest.skip("no ogrinfo on this machine")
    assert done.stderr == ""
    assert all(f"Layer name: {name}\n" in done.stdout for name in LAYERS - {"layer_styles"} | set(PUBLISHED))
