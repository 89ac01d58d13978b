"""A user's own layers: read or refused in a line, and what landslides touch of them, in metres."""

from __future__ import annotations

import zipfile
from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
import shapely
from helpers.landslides import ACROSS, landslide, many, square
from hypothesis import given, settings
from hypothesis import strategies as st
from pyproj import Geod
from shapely.geometry.base import BaseGeometry

from landslide_scale.errors import InvalidConfigError, InvalidRegionError
from landslide_scale.products.bits import Exclusion
from landslide_scale.products.landslide import Landslide
from landslide_scale.products.vectors.settings import UserLayersConfig
from landslide_scale.products.vectors.touching import NEAR_M, touching
from landslide_scale.products.vectors.userlayers import user_layers

HERE = square(13, 46)
LINE = shapely.LineString([(13, 46), (13.001, 46.001)])
STILL = shapely.LineString([(13, 46), (13, 46)])


def written(path: Path, *shapes: BaseGeometry, crs: int | None = 4326, **how: object) -> str:
    frame = gpd.GeoDataFrame({"Straße": ["O'Brien"] * len(shapes)}, geometry=list(shapes), crs=4326)
    (frame.to_crs(crs) if crs else frame.set_crs(None, allow_override=True)).to_file(path, **how)
    return str(path)


def config(**files: object) -> UserLayersConfig:
    return UserLayersConfig.model_validate({name: {"file": str(file)} for name, file in files.items()})


def asked(found: list[Landslide], folder: Path, crs: int = 4326, **layers: BaseGeometry) -> list[Landslide]:
    files = {name: written(folder / f"{name}.gpkg", shape, crs=crs) for name, shape in layers.items()}
    return list(touching(found, user_layers(config(**files))))


def east(point: tuple[float, float], metres: float) -> tuple[float, float]:
    """A point so far east, geodesic."""
    x, y, _ = Geod(ellps="WGS84").fwd(*point, 90, metres)
    return x, y


@pytest.mark.parametrize("latitude", [-46.0, 0.0005, 46.0, 70.0])
@pytest.mark.parametrize("crs", [4326, 3857])
def test_near_is_in_metres_of_the_ground_wherever_it_is_and_whatever_the_file_is_in(
    latitude: float, crs: int, tmp_path: Path
):
    outline = square(13, latitude, 0.001)
    for metres, near in ((NEAR_M - 0.2, "roads"), (NEAR_M + 0.2, "")):
        x, _ = east((13.001, latitude), metres)
        road = shapely.LineString([(x, latitude - 0.01), (x, latitude + 0.01)])
        (tmp_path / "roads.gpkg").unlink(missing_ok=True)
        [one] = asked([landslide(geometry=outline)], tmp_path, crs, roads=road)
        assert one.touches == near


def test_near_a_corner_is_a_circle_and_no_square(tmp_path: Path):
    corner = (13.001, 46.001)
    for metres, near in ((NEAR_M - 0.2, "roads"), (NEAR_M + 0.2, "")):
        x, y, _ = Geod(ellps="WGS84").fwd(*corner, 45, metres)
        (tmp_path / "roads.gpkg").unlink(missing_ok=True)
        [one] = asked([landslide(geometry=HERE)], tmp_path, roads=shapely.LineString([(x, y), (x + 0.001, y + 0.001)]))
        assert one.touches == near


def test_what_is_touched_is_named_in_one_order_and_nothing_else_of_a_landslide_changes(tmp_path: Path):
    before = [landslide(0), landslide(400, exclusion=int(Exclusion.SNOW_NEAR))]
    layers = {"buildings": shapely.box(13.0002, 46.0002, 13.0003, 46.0003), "rivers": LINE, "roads": LINE}
    after = asked(before, tmp_path, **layers)
    assert [one.touches for one in after] == ["roads,rivers,buildings", ""]
    unchanged = [one.row() | {"touches": ""} for one in after]
    assert unchanged == [one.row() for one in before]


@pytest.mark.parametrize(
    ("name", "bit"),
    [("cropland", Exclusion.CROPLAND), ("river_banks", Exclusion.RIVER_BANK), ("buildings", Exclusion.BUILT_UP)],
)
def test_a_bit_is_set_from_half_of_the_area_on(name: str, bit: Exclusion, tmp_path: Path):
    for share, set_ in ((0.49, 0), (0.51, int(bit))):
        (tmp_path / f"{name}.gpkg").unlink(missing_ok=True)
        [one] = asked([landslide(geometry=HERE)], tmp_path, **{name: shapely.box(12, 45, 13 + 0.001 * share, 47)})
        assert (one.touches, one.exclusion) == (name, set_)


def test_fields_drawn_twice_count_once(tmp_path: Path):
    twice = written(tmp_path / "a.gpkg", *[shapely.box(13, 46, 13.0004, 46.001)] * 2)
    [one] = touching([landslide(geometry=HERE)], user_layers(config(cropland=twice)))
    assert one.exclusion == 0


def test_both_sides_of_the_antimeridian_are_asked(tmp_path: Path):
    fiji = shapely.MultiLineString([[(-179.9998, -17.01), (-179.9998, -16.99)], [(100, -17.0005), (101, -17.0005)]])
    elsewhere = shapely.LineString([(0, -17.0005), (10, -17.0005)])
    [one] = asked([landslide(geometry=ACROSS)], tmp_path, roads=fiji, rivers=elsewhere)
    assert one.touches == "roads"


def test_without_layers_nothing_is_touched():
    assert [one.touches for one in touching([landslide(touches="roads")], ())] == [""]
    assert user_layers(UserLayersConfig()) == ()


def test_no_ground_is_lost_where_shapes_are_cut(tmp_path: Path):
    walk = np.column_stack([np.linspace(13, 13.02, 1000), 46 + 0.001 * np.sin(np.arange(1000))])
    field = shapely.Point(13, 46).buffer(0.01, quad_segs=200) - shapely.Point(13, 46).buffer(0.005, quad_segs=200)
    river = shapely.LineString(walk)
    files = {"rivers": written(tmp_path / "r.gpkg", river), "cropland": written(tmp_path / "f.gpkg", field)}
    lines, polygons = (layer.pieces for layer in user_layers(config(**files)))
    assert max(shapely.get_num_coordinates([*lines, *polygons])) <= 65
    assert shapely.length(lines).sum() == pytest.approx(river.length)
    assert shapely.area(polygons).sum() == pytest.approx(field.area)


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_pieces_of_long_shapes_are_asked_as_the_whole_shapes_are(seed: int, tmp_path_factory: pytest.TempPathFactory):
    random = np.random.default_rng(seed)
    walk = np.column_stack([np.linspace(13, 13.02, 300), 46.0005 + np.cumsum(random.normal(0, 2e-4, 300))])
    river = shapely.LineString(walk)
    angle = np.linspace(0, 2 * np.pi, 400, endpoint=False)
    radius = random.uniform(0.5, 1, 400)
    field = shapely.Polygon(
        np.column_stack([13.01 + 0.012 * radius * np.cos(angle), 46 + 0.003 * radius * np.sin(angle)])
    )
    slides = list(many(10))
    after = asked(slides, tmp_path_factory.mktemp("cut"), rivers=river, cropland=field)
    for one in after:
        share = one.geometry.intersection(field).area / one.geometry.area
        assert ("cropland" in one.touches) or not one.geometry.intersects(field)
        assert bool(one.exclusion & Exclusion.CROPLAND) == (share >= 0.5) or share == pytest.approx(0.5, abs=1e-3)
        assert ("rivers" in one.touches) or not one.geometry.intersects(river)
        assert ("rivers" not in one.touches) or one.geometry.distance(river) < 2e-4


def test_a_landslide_is_compared_with_what_is_near_it_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    river = shapely.LineString(np.column_stack([np.linspace(12, 16, 50_000), np.full(50_000, 46.0)]))
    [layer] = user_layers(config(rivers=written(tmp_path / "r.fgb", river)))
    asked_about: list[int] = []
    plain = shapely.dwithin
    monkeypatch.setattr(shapely, "dwithin", lambda a, b, d: asked_about.append(len(a)) or plain(a, b, d))
    touched = [one.touches for one in touching(many(3000), [layer])]
    assert touched == ["rivers"] * 1000 + [""] * 2000
    assert sum(asked_about) < 3000  # pairs, not landslides times shapes


def placemark(coordinates: str) -> str:
    return f"<Placemark><LineString><coordinates>{coordinates}</coordinates></LineString></Placemark>"


def test_all_folders_of_a_kml_and_the_one_file_of_a_zip_are_read(tmp_path: Path):
    kml = tmp_path / "roads.kml"
    folders = "".join(
        f"<Folder><name>{name}</name>{placemark(line)}</Folder>"
        for name, line in (("a", "13,46 13.001,46.001"), ("b", "13.002,46 13.003,46.001"))
    )
    head = '<?xml version="1.0" encoding="UTF-8"?><kml xmlns="http://www.opengis.net/kml/2.2"><Document>'
    kml.write_text(f"{head}{folders}</Document></kml>")
    with zipfile.ZipFile(tmp_path / "rivers.zip", "w") as archive:
        archive.write(written(tmp_path / "r.geojson", LINE), "deep/Flüsse.geojson")
    layers = user_layers(config(roads=kml, rivers=tmp_path / "rivers.zip"))
    assert [layer.said for layer in layers] == ["2 lines read", "1 lines read"]
    after = list(touching([landslide(0), landslide(1)], layers))
    assert [one.touches for one in after] == ["roads,rivers", "roads"]


def test_polygons_that_cross_themselves_are_mended_and_counted(tmp_path: Path):
    bow = shapely.Polygon([(13, 46), (13.001, 46.001), (13.001, 46), (13, 46.001)])
    [layer] = user_layers(config(cropland=written(tmp_path / "a.gpkg", bow, HERE.geoms[0])))
    assert layer.said == "2 polygons read, 1 repaired"


@pytest.mark.filterwarnings("ignore:.crs. was not provided")
def test_what_is_no_such_layer_is_refused_in_a_line_that_names_the_key(tmp_path: Path):
    point = shapely.Point(13, 46)
    refused = {
        ("roads", written(tmp_path / "none.shp", LINE, crs=None)): "no coordinate reference system",
        ("roads", written(tmp_path / "points.gpkg", point)): "a Point; expected a line",
        ("roads", written(tmp_path / "mixed.geojson", LINE, point)): "feature 1: a Point; expected a line",
        ("rivers", written(tmp_path / "areas.gpkg", HERE)): "a MultiPolygon; expected a line",
        ("cropland", written(tmp_path / "lines.gpkg", LINE)): "a LineString; expected a polygon",
        ("buildings", written(tmp_path / "nothing.gpkg")): "no features",
        ("roads", str(tmp_path / "away.gpkg")): "no such file",
        ("roads", written(tmp_path / "still.gpkg", STILL)): "Too few points.*expected a line of two places or more",
    }
    several = written(tmp_path / "several.gpkg", LINE, layer="a")
    written(tmp_path / "several.gpkg", LINE, layer="b")
    refused["rivers", several] = r"2 layers with lines: a \(1 LineString\), b"
    (tmp_path / "text.zip").write_text("no zip")
    refused["river_banks", str(tmp_path / "text.zip")] = "cannot be unpacked"
    for (name, file), said in refused.items():
        with pytest.raises(InvalidRegionError, match=said) as caught:
            user_layers(config(**{name: file}))
        assert f"layers.{name}" in str(caught.value)
        assert "\n" not in str(caught.value)
    named = UserLayersConfig.model_validate({"rivers": {"file": several, "layer": "b"}})
    assert [layer.name for layer in user_layers(named)] == ["rivers"]


def test_another_name_is_no_layer():
    with pytest.raises((InvalidConfigError, ValueError), match="schools"):
        config(schools="a.gpkg")
