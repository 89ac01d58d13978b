"""Polygons as inventories are published: many events in one file, rings that cross themselves, and no outline."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pyproj
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st
from shapely.geometry.base import BaseGeometry

from landslide_scale.errors import InvalidConfigError, InvalidRegionError
from landslide_scale.region.drawn import around, draw
from landslide_scale.region.settings import LabelledRegionConfig, LabelsConfig

WEST, NORTH = 136.9, 37.4
"""Of Noto, whose published layers hold (Multi)Polygons in EPSG:4326 or 6668, with columns of a map's style alone."""


def scar(number: int) -> BaseGeometry:
    return shapely.box(WEST + 0.002 * number, NORTH, WEST + 0.002 * number + 0.001, NORTH + 0.001)


BOW_TIE = shapely.Polygon([(WEST, 37.3), (WEST + 0.001, 37.301), (WEST + 0.001, 37.3), (WEST, 37.301)])
"""Two triangles that meet in a point."""
TAIL = shapely.Polygon(
    [
        (WEST, 37.2),
        (WEST + 0.001, 37.2),
        (WEST + 0.001, 37.201),
        (WEST, 37.201),
        (WEST, 37.2),
        (WEST - 0.01, 37.2),
        (WEST, 37.2),
    ]
)
"""A square with a line out of its corner."""
NEEDLE = shapely.Polygon([(WEST, 37.1), (WEST + 0.001, 37.101), (WEST, 37.1)])
"""No area at all."""


def written(path: Path, crs: int = 4326, **more: BaseGeometry) -> LabelsConfig:
    """As Noto's: four scars in multipolygons, of two events, and what else is given."""
    shapes = [shapely.multipolygons([scar(number)]) for number in range(4)] + list(more.values())
    dates = ["2024-01-01", "2024-09-21", "2024-01-01", None] + ["2024-01-01"] * len(more)
    frame = gpd.GeoDataFrame(
        {"_fillColor": "#ff3232", "_weight": range(len(shapes)), "event_date": dates, "place": "輪島"},
        geometry=shapes,
        crs=4326,
    )
    frame.to_crs(crs).to_file(path)
    return LabelsConfig(file=str(path))


def told(config: LabelsConfig, **changes: object) -> tuple[dict[str, int], Any]:
    found = draw(config.model_copy(update=changes))
    return found.counts, found.polygons


@pytest.mark.parametrize("name", ["a.gpkg", "a.geojson", "a.shp", "a.fgb"])
@pytest.mark.parametrize("crs", [4326, 6668])
def test_features_are_told_apart_by_their_attributes_in_every_format(name: str, crs: int, tmp_path: Path):
    config = written(tmp_path / name, crs)
    counts, polygons = told(config, where="event_date = '2024-01-01'")
    assert counts == {"read": 4, "filtered_out": 2, "repaired": 0, "dropped": 0}
    expected = shapely.union_all([scar(0), scar(2)])
    assert shapely.union_all(polygons.to_numpy()).symmetric_difference(expected).area < 1e-12
    assert told(config, where="place = '輪島' AND \"_weight\" >= 3")[0]["filtered_out"] == 3
    assert told(config)[0] == {"read": 4, "filtered_out": 0, "repaired": 0, "dropped": 0}


@pytest.mark.parametrize("name", ["a.gpkg", "a.geojson", "a.fgb"])
@pytest.mark.parametrize(
    ("where", "said"),
    [
        ("date = '2024-01-01'", "event_date"),
        ("event_date = ", "its attributes: "),
        ("place = 'x'", "is met by none of 4 features"),
        ("_weight > 1 AND", "stand in quotes"),
    ],
)
def test_a_condition_that_means_nothing_here_is_refused_with_what_there_is(
    name: str, where: str, said: str, tmp_path: Path
):
    config = written(tmp_path / name)
    with pytest.raises(InvalidRegionError) as caught:
        draw(config.model_copy(update={"where": where}))
    assert said in str(caught.value)
    assert f"where {where!r}" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_condition_on_geoparquet_says_what_can_be_done(tmp_path: Path):
    gpd.GeoDataFrame({"a": [1]}, geometry=[scar(0)], crs=4326).to_parquet(tmp_path / "a.parquet")
    with pytest.raises(InvalidRegionError, match="make a GeoPackage of it"):
        draw(LabelsConfig(file=str(tmp_path / "a.parquet"), where="a = 1"))


def test_a_condition_is_about_the_layer_that_is_named(tmp_path: Path):
    path = tmp_path / "a.gpkg"
    for layer, column in (("one", "a"), ("two", "b")):
        gpd.GeoDataFrame({column: [1, 2]}, geometry=[scar(0), scar(1)], crs=4326).to_file(path, layer=layer)
    assert told(LabelsConfig(file=str(path), layer="two", where="b = 2"))[0]["filtered_out"] == 1
    with pytest.raises(InvalidRegionError, match="2 layers with polygons"):
        draw(LabelsConfig(file=str(path), where="b = 2"))


@pytest.mark.parametrize("where", ["", " ", "a = 1; DROP TABLE a"])
def test_what_is_no_condition_is_refused(where: str):
    with pytest.raises(InvalidConfigError, match=r"labels\.where"):
        LabelsConfig(file="a.gpkg", where=where)
    assert LabelsConfig(file="a.gpkg", where="a = ';'").where == "a = ';'"


def test_rings_that_cross_themselves_are_refused_or_mended_and_counted(tmp_path: Path):
    config = written(tmp_path / "a.gpkg", tie=BOW_TIE, tail=TAIL, needle=NEEDLE)
    with pytest.raises(InvalidRegionError, match=r"Self-intersection.*`repair: true`"):
        draw(config)
    counts, polygons = told(config, repair=True)
    assert counts == {"read": 7, "filtered_out": 0, "repaired": 2, "dropped": 1}
    assert set(polygons.geom_type) <= {"Polygon", "MultiPolygon"}
    assert polygons.is_valid.all()
    areas = sorted(shapely.area(polygons.to_numpy()).tolist())
    assert areas == pytest.approx([5e-7, *[1e-6] * 5], rel=1e-9)  # the tie's triangles; five squares, one without tail
    assert told(config, repair=True, where='"_weight" < 5')[0] == {
        "read": 7,
        "filtered_out": 2,
        "repaired": 1,
        "dropped": 0,
    }


def test_what_is_no_polygon_is_refused_mended_or_not(tmp_path: Path):
    config = written(tmp_path / "a.gpkg", point=shapely.Point(WEST, NORTH))
    with pytest.raises(InvalidRegionError, match="a Point"):
        draw(config.model_copy(update={"repair": True}))
    assert told(config, where='"_weight" < 4')[0] == {"read": 5, "filtered_out": 1, "repaired": 0, "dropped": 0}


def test_the_real_layers_of_noto_are_refused_or_mended(shared_data: Path):
    path = shared_data / "noto2024" / "hokai_all_20240106_suzu-wajimaEAST.fgb"
    with pytest.raises(InvalidRegionError, match="repair"):
        draw(LabelsConfig(file=str(path)))
    mended = draw(LabelsConfig(file=str(path), repair=True))
    assert mended.counts == {"read": 1213, "filtered_out": 0, "repaired": 3, "dropped": 0}
    assert mended.polygons.is_valid.all()


@given(longitude=st.floats(-179, 179), latitude=st.floats(-70, 80), metres=st.floats(20, 3000), turn=st.floats(0, 360))
def test_ground_around_a_landslide_is_what_a_geodesic_says(
    longitude: float, latitude: float, metres: float, turn: float
):
    point = shapely.Point(longitude, latitude).buffer(1e-7)
    region = around(point, metres)
    geod = pyproj.Geod(ellps="WGS84")
    inside = geod.fwd(longitude, latitude, turn, metres * 0.995 - 0.05)[:2]
    outside = geod.fwd(longitude, latitude, turn, metres * 1.005 + 0.05)[:2]
    assert region.contains(shapely.Point(inside))
    assert not region.contains(shapely.Point(outside))


def test_landslides_of_several_zones_and_hemispheres_each_have_their_ground():
    places = [(5.999, 46.0), (6.001, 46.0), (30.0, -0.0005), (30.0, 0.0005), (179.5, 10.0)]
    region = around(shapely.union_all([shapely.Point(place).buffer(1e-6) for place in places]), 500.0)
    for longitude, latitude in places:
        assert region.contains(shapely.Point(longitude, latitude).buffer(0.004))
    area = sum(pyproj.Geod(ellps="WGS84").geometry_area_perimeter(part)[0] for part in region.geoms)
    assert abs(area) < 5 * np.pi * 500**2 * 1.01
    with pytest.raises(InvalidRegionError, match="antimeridian"):
        around(shapely.Point(179.9999, 10).buffer(1e-6), 500.0)


@pytest.mark.parametrize(
    "given_",
    [{}, {"bbox": (1, 2, 3, 4), "around_labels": 10.0}, {"around_labels": 0.0}, {"around_labels": 5.0, "layer": "a"}],
)
def test_a_labelled_region_is_exactly_one_thing(given_: dict[str, Any]):
    with pytest.raises(Exception, match=r"region|around_labels|greater than 0") as caught:
        LabelledRegionConfig(**given_)
    assert caught.type.__name__ in {"InvalidConfigError", "ValidationError"}
