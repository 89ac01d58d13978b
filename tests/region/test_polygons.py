from __future__ import annotations

import json
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pyogrio
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st
from pyproj import Geod
from shapely.geometry.base import BaseGeometry

from landslide_scale.errors import InvalidRegionError
from landslide_scale.region.polygons import HALF_TURN, area_km2, load, read_polygons, widen
from landslide_scale.region.settings import RegionConfig

SQUARE = shapely.box(14.0, 46.0, 15.0, 47.0)
BOW_TIE = shapely.Polygon([(14, 46), (15, 47), (15, 46), (14, 47)])
GLOBE = shapely.box(-180, -90, 180, 90)


def written(path: Path, *shapes: BaseGeometry | None, crs: object = 4326) -> RegionConfig:
    gpd.GeoDataFrame({"name": [str(n) for n in range(len(shapes))]}, geometry=list(shapes), crs=crs).to_file(path)
    return RegionConfig(file=str(path))


def refusal(config: RegionConfig) -> str:
    with pytest.raises(InvalidRegionError) as caught:
        load(config)
    return str(caught.value)


def test_a_box_is_itself():
    assert load(RegionConfig(bbox=(14.0, 46.0, 15.0, 47.0))).equals(SQUARE)


def test_a_box_whose_west_is_beyond_its_east_crosses_the_antimeridian():
    region = load(RegionConfig(bbox=(178.0, -18.0, -177.0, -16.0)))
    parts = sorted(part.bounds for part in region.geoms)
    assert parts == [(-180, -18, -177, -16), (178, -18, 180, -16)]


@pytest.mark.parametrize(
    ("bbox", "bounds"),
    [((180.0, 1.0, -170.0, 2.0), (-180, 1, -170, 2)), ((170.0, 1.0, -180.0, 2.0), (170, 1, 180, 2))],
)
def test_a_box_that_begins_or_ends_on_the_antimeridian_is_one_piece(
    bbox: tuple[float, float, float, float], bounds: tuple[float, float, float, float]
):
    region = load(RegionConfig(bbox=bbox))
    assert region.geom_type == "Polygon"
    assert region.bounds == bounds


@given(west=st.integers(-180, 180), east=st.integers(-180, 180), south=st.integers(-90, 89), height=st.integers(1, 179))
def test_any_box_covers_its_width_of_the_globe_and_no_more(west: int, east: int, south: int, height: int):
    north = min(south + height, 90)
    width = east - west if east > west else east - west + 360
    if west == east or (west > east and width > HALF_TURN):  # refused
        return
    region = load(RegionConfig(bbox=(float(west), float(south), float(east), float(north))))
    assert region.area == pytest.approx(width % 360 * (north - south) or width * (north - south))
    assert region.is_valid
    assert GLOBE.covers(region)


@pytest.mark.parametrize(
    "bbox",
    [
        (14.0, 47.0, 15.0, 46.0),
        (14.0, 46.0, 15.0, 46.0),
        (14.0, 46.0, 14.0, 47.0),
        (15.0, 46.0, 14.0, 47.0),  # west and east exchanged: all of the globe but a degree
        (181.0, 46.0, 182.0, 47.0),
        (14.0, -91.0, 15.0, 47.0),
        (float("nan"), 46.0, 15.0, 47.0),
    ],
)
def test_a_box_that_is_no_ground_is_refused_by_key(bbox: tuple[float, float, float, float]):
    assert "region.bbox" in refusal(RegionConfig.model_construct(bbox=bbox))


@pytest.mark.parametrize("name", ["region.geojson", "region.gpkg", "region.fgb"])
def test_the_polygons_of_a_file_are_one_region(tmp_path: Path, name: str):
    config = written(tmp_path / name, shapely.box(14, 46, 14.6, 47), shapely.box(14.5, 46, 15, 47))
    assert load(config).equals(SQUARE)


def test_a_file_in_another_system_comes_out_in_degrees(tmp_path: Path):
    frame = gpd.GeoDataFrame(geometry=[SQUARE], crs=4326).to_crs(32633)
    path = tmp_path / "region.gpkg"
    frame.to_file(path)
    assert shapely.hausdorff_distance(load(RegionConfig(file=str(path))), SQUARE) < 1e-9


def test_a_layer_is_chosen_by_name_and_an_unknown_one_is_refused(tmp_path: Path):
    path = tmp_path / "two.gpkg"
    for layer, shape in (("here", SQUARE), ("there", shapely.box(0, 0, 1, 1))):
        gpd.GeoDataFrame(geometry=[shape], crs=4326).to_file(path, layer=layer)
    assert load(RegionConfig(file=str(path), layer="there")).bounds == (0, 0, 1, 1)
    assert str(path) in refusal(RegionConfig(file=str(path), layer="nowhere"))


def test_a_byte_order_mark_does_not_matter(tmp_path: Path):
    path = tmp_path / "region.geojson"
    feature = {"type": "Feature", "properties": {}, "geometry": shapely.geometry.mapping(SQUARE)}
    text = json.dumps({"type": "FeatureCollection", "features": [feature]})
    path.write_bytes(b"\xef\xbb\xbf" + text.encode())
    assert load(RegionConfig(file=str(path))).equals(SQUARE)


def test_heights_are_left_out(tmp_path: Path):
    raised = shapely.force_3d(SQUARE, 700.0)
    assert load(written(tmp_path / "region.gpkg", raised)).equals(SQUARE)


@pytest.mark.parametrize(
    ("shape", "said"),
    [
        (BOW_TIE, "Self-intersection"),
        (shapely.Point(14, 46), "Point"),
        (shapely.LineString([(14, 46), (15, 47)]), "LineString"),
        (shapely.Polygon(), "empty"),
        (None, "empty"),
    ],
)
def test_what_is_no_plain_polygon_is_refused_by_file_and_feature(tmp_path: Path, shape: BaseGeometry | None, said: str):
    path = tmp_path / "region.geojson"
    text = refusal(written(path, SQUARE, shape))
    assert said in text
    assert f"file {path}" in text
    assert "feature 1" in text


@pytest.mark.filterwarnings("ignore:'crs' was not provided")
def test_a_file_without_a_reference_system_is_refused(tmp_path: Path):
    text = refusal(written(tmp_path / "region.fgb", SQUARE, crs=None))
    assert "no coordinate reference system" in text
    assert "ogr2ogr -a_srs EPSG:CODE" in text


def test_a_file_without_features_is_refused(tmp_path: Path):
    path = tmp_path / "region.geojson"
    path.write_text('{"type": "FeatureCollection", "features": []}')
    assert "no features" in refusal(RegionConfig(file=str(path)))


def test_a_table_without_geometries_is_refused(tmp_path: Path):
    path = tmp_path / "region.gpkg"
    pyogrio.write_dataframe(pd.DataFrame({"a": [1]}), path)
    assert "without geometries" in refusal(RegionConfig(file=str(path)))


def test_longitudes_beyond_180_are_refused(tmp_path: Path):
    assert "degrees" in refusal(written(tmp_path / "region.geojson", shapely.box(179, 10, 185, 11)))


def test_a_projected_polygon_over_the_antimeridian_is_refused_and_not_turned_around_the_globe(tmp_path: Path):
    east_of_it = shapely.box(800_000, 8_000_000, 900_000, 8_100_000)  # zone 60, south: 179.9 E to 179.2 W
    assert "antimeridian" in refusal(written(tmp_path / "region.gpkg", east_of_it, crs=32760))


@pytest.mark.parametrize("content", [b"", b"{", b"\x89PNG", None])
def test_a_file_that_cannot_be_read_is_refused_by_name(tmp_path: Path, content: bytes | None):
    path = tmp_path / "region.geojson"
    if content is not None:
        path.write_bytes(content)
    assert str(path) in refusal(RegionConfig(file=str(path)))


@given(
    longitude=st.integers(-180, 180),
    latitude=st.integers(-88, 88),
    metres=st.integers(1, 100_000),
    azimuth=st.floats(0, 360),
)
def test_widened_ground_holds_every_point_within_the_distance(
    longitude: int, latitude: int, metres: int, azimuth: float
):
    shape = shapely.intersection(shapely.Point(longitude, latitude).buffer(0.5, quad_segs=2), GLOBE)
    wide = widen(shape, metres)
    corner = np.array(shape.exterior.coords)[3]
    x, y, _ = Geod(ellps="WGS84").fwd(*corner, azimuth, 0.999 * metres)
    assert wide.covers(shape)
    assert wide.distance(shapely.Point(x, y)) < 1e-9
    assert GLOBE.covers(wide)


def test_an_area_does_not_depend_on_the_direction_of_the_ring():
    assert area_km2(SQUARE) == pytest.approx(area_km2(SQUARE.reverse()))
    assert area_km2(SQUARE) == pytest.approx(111.2 * 76.6, rel=0.01)


def test_the_area_of_a_wide_box_follows_its_parallels():
    whole, half = shapely.box(0, 60, 40, 61), shapely.box(0, 60, 20, 61)
    assert area_km2(whole) == pytest.approx(2 * area_km2(half), rel=1e-6)


def test_an_area_leaves_out_holes():
    ring = shapely.difference(SQUARE, shapely.box(14.2, 46.2, 14.8, 46.8))
    assert area_km2(ring) == pytest.approx(area_km2(SQUARE) - area_km2(shapely.box(14.2, 46.2, 14.8, 46.8)))


def test_real_outlines_with_a_byte_order_mark_are_read(shared_data: Path):
    path = shared_data / "noto2024" / "IdentifyArea_20240109_nanao.fgb"
    region = load(RegionConfig(file=str(path)))
    assert shapely.box(136, 36, 138, 38).covers(region)
    marked = shared_data / "noto2024" / "hokai_20240122_wajimaWEST.geojson"
    assert marked.read_bytes()[:3] == b"\xef\xbb\xbf"
    assert len(read_polygons(RegionConfig(file=str(marked)))) > 10
