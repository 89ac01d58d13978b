"""Which layer of a vector file is meant: the named one, the only one with polygons, all folders of a KML; else none."""

from __future__ import annotations

import sqlite3
import struct
import warnings
import zipfile
from pathlib import Path

import fsspec
import geopandas as gpd
import pandas as pd
import pyogrio
import pytest
import shapely
from helpers.s3 import moto
from shapely.geometry.base import BaseGeometry

from landslide_scale.errors import InvalidConfigError, InvalidRegionError
from landslide_scale.region.polygons import load, read_polygons
from landslide_scale.region.settings import RegionConfig

HERE, THERE, BEYOND = shapely.box(14, 46, 15, 47), shapely.box(16, 46, 17, 47), shapely.box(18, 46, 19, 47)
ROAD = shapely.LineString([(14, 46), (15, 47)])


def written(path: Path, *shapes: BaseGeometry, **options: object) -> Path:
    frame = gpd.GeoDataFrame({"name": ["a"] * len(shapes)}, geometry=list(shapes), crs=4326)
    frame.to_file(path, **options)
    return path


def zipped(path: Path, *files: Path, folder: str = "") -> Path:
    with zipfile.ZipFile(path, "a") as archive:
        for file in files:
            for part in file.parent.glob(f"{file.stem}.*"):
                archive.write(part, f"{folder}{part.name}")
    return path


def placemark(shape: BaseGeometry) -> str:
    corners = " ".join(f"{x},{y},0" for x, y in shape.exterior.coords)
    ring = f"<LinearRing><coordinates>{corners}</coordinates></LinearRing>"
    return f"<Placemark><Polygon><outerBoundaryIs>{ring}</outerBoundaryIs></Polygon></Placemark>"


def kml(body: str) -> str:
    head = '<?xml version="1.0" encoding="UTF-8"?><kml xmlns="http://www.opengis.net/kml/2.2"><Document>'
    return f"{head}<name>all</name>{body}</Document></kml>"


def nested(path: Path) -> Path:
    pins = "<Folder><name>pins</name><Placemark><Point><coordinates>14,46</coordinates></Point></Placemark></Folder>"
    inner = f"<Folder><name>2018</name>{placemark(THERE)}</Folder>"
    body = f"{pins}{placemark(BEYOND)}<Folder><name>2015</name>{placemark(HERE)}{inner}</Folder>"
    path.write_text(kml(body))
    return path


def region(path: object, layer: str | None = None) -> BaseGeometry:
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # nothing of a library reaches standard error
        return load(RegionConfig(file=str(path), layer=layer))


def refusal(path: object, layer: str | None = None) -> str:
    with pytest.raises(InvalidRegionError) as caught:
        region(path, layer)
    return str(caught.value)


def test_several_layers_with_polygons_are_refused_and_listed_and_one_is_taken_by_name(tmp_path: Path):
    path = tmp_path / "years.gpkg"
    written(path, HERE, layer="y2015")
    written(path, THERE, BEYOND, layer="y2018")
    said = refusal(path)
    assert f"file {path}: 2 layers with polygons: y2015 (1 Polygon), y2018 (2 Polygon); expected one" in said
    assert "Name it as layer beside file" in said
    assert region(path, "y2015").equals(HERE)
    assert "no layer 'y2021'; expected one of y2015 (1 Polygon), y2018 (2 Polygon)" in refusal(path, "y2021")


def test_tables_lines_points_and_empty_layers_do_not_count(tmp_path: Path):
    path = written(tmp_path / "one.gpkg", ROAD, layer="roads")
    written(path, HERE, layer="ground")
    written(path, shapely.Point(14, 46), layer="pins")
    pyogrio.write_dataframe(pd.DataFrame({"styleQML": ["<qgis/>"]}), path, layer="layer_styles")
    gpd.GeoDataFrame(geometry=[], crs=4326).to_file(path, layer="void")
    assert region(path).equals(HERE)
    assert "a table without geometries" in refusal(path, "layer_styles")
    assert "feature 0: a LineString; expected a polygon" in refusal(path, "roads")
    assert "no features" in refusal(path, "void")


def test_a_file_whose_layers_hold_no_polygons_is_refused_with_what_they_hold(tmp_path: Path):
    path = written(tmp_path / "walk.gpkg", ROAD, layer="tracks")
    gpd.GeoDataFrame(geometry=[], crs=4326).to_file(path, layer="routes")
    written(path, shapely.Point(14, 46), layer="pins")
    assert "no polygons, but tracks (1 LineString), routes (empty), pins (1 Point)" in refusal(path)


def test_all_folders_of_a_kml_are_one_drawing_unless_one_is_named(tmp_path: Path):
    path = nested(tmp_path / "years.kml")
    whole = shapely.union_all([HERE, THERE, BEYOND])
    assert region(path).equals(whole)
    assert len(read_polygons(RegionConfig(file=str(path)))) == 3
    assert region(path, "2018").equals(THERE)
    with zipfile.ZipFile(tmp_path / "years.kmz", "w") as archive:
        archive.write(path, "doc.kml")
    assert region(tmp_path / "years.kmz").equals(whole)


def test_two_drawings_of_one_archive_are_not_one(tmp_path: Path):
    both = zipped(tmp_path / "two.zip", nested(tmp_path / "x.kml"), nested(tmp_path / "y.kml"))
    assert "6 layers with polygons: x.kml/all (1 Polygon), x.kml/2015 (1 Polygon)" in refusal(both)
    assert region(both, "y.kml/2018").equals(THERE)


def test_shapefiles_of_an_archive_or_a_folder_are_its_layers(tmp_path: Path):
    (tmp_path / "shapes").mkdir()
    first, second = written(tmp_path / "shapes" / "a.shp", HERE), written(tmp_path / "shapes" / "b.shp", THERE)
    assert region(zipped(tmp_path / "one.zip", first)).equals(HERE)
    assert region(zipped(tmp_path / "deep.zip", first, folder="delivery/2024/")).equals(HERE)
    both = zipped(tmp_path / "both.zip", first, second)
    for path in (both, tmp_path / "shapes"):
        assert "2 layers with polygons: a (1 Polygon), b (1 Polygon)" in refusal(path)
        assert region(path, "b").equals(THERE)
    again = zipped(tmp_path / "again.zip", first, folder="x/")
    zipped(again, first, folder="y/")
    assert "x/a.shp/a (1 Polygon), y/a.shp/a (1 Polygon)" in refusal(again)
    assert region(again, "y/a.shp/a").equals(HERE)


def test_what_macos_adds_to_an_archive_does_not_count(tmp_path: Path):
    path = zipped(tmp_path / "mac.zip", written(tmp_path / "a.gpkg", HERE))
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("__MACOSX/._a.gpkg", b"\0\5\x16\7")
    assert region(path).equals(HERE)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"hello", "cannot be unpacked (File is not a zip file)"),
        (b"PK\5\6" + bytes(18), "no vector file in it; expected one of .shp, .gpkg"),
    ],
)
def test_an_archive_without_vector_files_is_refused(tmp_path: Path, content: bytes, said: str):
    (tmp_path / "a.zip").write_bytes(content)
    assert said in refusal(tmp_path / "a.zip")


def test_points_and_collections_among_polygons_are_refused_by_feature(tmp_path: Path):
    mixed = written(tmp_path / "mixed.geojson", HERE, shapely.Point(14, 46))
    assert "feature 1: a Point; expected a polygon. Draw the area itself, leave this out" in refusal(mixed)
    collection = written(tmp_path / "collection.geojson", shapely.GeometryCollection([HERE, THERE]))
    assert "feature 0: a GeometryCollection" in refusal(collection)


def test_a_layer_named_for_a_format_without_layers_is_held_against_the_one_there_is(tmp_path: Path):
    path = written(tmp_path / "a.geojson", HERE)
    assert "no layer 'b'; expected one of a (1 Polygon)" in refusal(path, "b")
    assert region(path, "a").equals(HERE)
    with pytest.raises(InvalidConfigError, match=r"region\.layer: layer without file"):
        RegionConfig(bbox=(14.0, 46.0, 15.0, 47.0), layer="a")


def test_a_box_serves_as_labels_too():
    assert read_polygons(RegionConfig(bbox=(14.0, 46.0, 15.0, 47.0)))[0].equals(HERE)


def test_geoparquet_is_read_by_its_primary_geometries(tmp_path: Path):
    frame = gpd.GeoDataFrame({"outline": gpd.GeoSeries([HERE], crs=4326)}, geometry="outline", crs=4326)
    frame["other"] = gpd.GeoSeries([ROAD], crs=4326)
    frame.to_parquet(tmp_path / "a.parquet")
    assert region(tmp_path / "a.parquet").equals(HERE)
    pd.DataFrame({"a": [1]}).to_parquet(tmp_path / "b.parquet")
    assert "a table without geometries" in refusal(tmp_path / "b.parquet")


def test_curves_become_polygons(tmp_path: Path):
    path = written(tmp_path / "curve.gpkg", HERE, geometry_type="Unknown", SPATIAL_INDEX="NO")
    arc = struct.pack("<BII", 1, 8, 5) + struct.pack("<10d", 0, 0, 1, 1, 2, 0, 1, -1, 0, 0)
    curve = struct.pack("<BII", 1, 12, 1) + struct.pack("<BII", 1, 10, 1) + arc  # a MultiSurface of a CurvePolygon
    with sqlite3.connect(path) as database:
        database.execute("update curve set geom = ?", (b"GP\0\1" + struct.pack("<i", 4326) + curve,))
    assert region(path).area == pytest.approx(shapely.Point(1, 0).buffer(1).area, rel=0.01)


def test_what_is_on_s3_has_layers_as_what_is_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    years = written(tmp_path / "years.gpkg", HERE, layer="a")
    written(years, THERE, layer="b")
    shape = written(tmp_path / "c.shp", BEYOND)
    with moto() as server:
        for name, value in (
            ("ACCESS_KEY_ID", "key"),
            ("SECRET_ACCESS_KEY", "secret"),
            ("ENDPOINT_URL", f"http://{server}"),
        ):
            monkeypatch.setenv(f"AWS_{name}", value)
        bucket = fsspec.filesystem("s3", skip_instance_cache=True)
        bucket.mkdir("bucket")
        for path in (years, shape, zipped(tmp_path / "c.zip", shape), nested(tmp_path / "n.kml")):
            bucket.pipe_file(f"bucket/{path.name}", path.read_bytes())
        assert "s3://bucket/years.gpkg: 2 layers with polygons: a (1 Polygon), b (1 Polygon)" in refusal(
            "s3://bucket/years.gpkg"
        )
        assert region("s3://bucket/years.gpkg", "b").equals(THERE)
        assert region("s3://bucket/c.zip").equals(BEYOND)
        assert region("s3://bucket/n.kml").area == pytest.approx(3)
        assert "a shapefile, which is several files; expected one file. Put" in refusal("s3://bucket/c.shp")
