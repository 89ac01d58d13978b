"""Ground by a magnitude, and what is land of it."""

from __future__ import annotations

from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
import shapely
from helpers.quakes import event
from hypothesis import given, settings
from hypothesis import strategies as st
from pyproj import Geod

from landslide_scale.errors import InvalidInputError, InvalidRegionError
from landslide_scale.events.area import wrapped
from landslide_scale.events.land import DrawnLand, chosen_land, coarse_land, land_km2
from landslide_scale.events.relations import affected_km2, area_by_magnitude, around
from landslide_scale.region.polygons import area_km2

GEOD = Geod(ellps="WGS84")

PLACES = {
    "Nepal": (85.3, 27.7, True),
    "Guam": (144.8, 13.45, True),
    "Reunion": (55.5, -21.1, True),
    "Samoa": (-172.4, -13.6, True),
    "Taveuni": (-179.95, -16.85, True),
    "middle of the Pacific": (-130.0, -30.0, False),
    "Sumatra 2016": (94.275, -4.9082, False),
    "North Pole": (0.0, 90.0, False),
    "South Pole": (0.0, -90.0, True),
    "beyond the antimeridian": (144.8 + 360, 13.45, True),
}
"""Longitude, latitude, and whether there is land."""


@pytest.mark.parametrize(("magnitude", "km2"), [(5.8, 219), (5.0, 109.65), (9.5, 550_000)])
def test_the_area_by_magnitude_is_the_published_one(magnitude: float, km2: float):
    # 219 km2 of magnitude 5.8 is given by Jibson and Harp (2012), after Keefer; beyond its range it is that of its end.
    assert affected_km2(magnitude) == pytest.approx(km2, rel=0.003)


@settings(max_examples=30)
@given(st.floats(-180, 180), st.floats(-75, 75), st.floats(5.5, 8.0))
def test_the_ground_around_an_epicentre_has_its_area_on_the_ellipsoid(lon: float, lat: float, magnitude: float):
    found = wrapped(around(shapely.Point(lon, lat), affected_km2(magnitude)))
    assert area_km2(found) == pytest.approx(affected_km2(magnitude), rel=0.01)


def test_the_ground_around_an_epicentre_is_as_far_in_all_directions():
    points = shapely.get_coordinates(around(shapely.Point(14.5, 46.0), 10_000.0))
    _, _, away = GEOD.inv(np.full(len(points), 14.5), np.full(len(points), 46.0), *points.T)
    assert away.min() == pytest.approx(away.max(), rel=0.005)
    assert away.mean() == pytest.approx(1000 * np.sqrt(10_000 / np.pi), rel=0.005)


@pytest.mark.parametrize("km2", [3000.0, 30_000.0])
def test_the_ground_around_a_rupture_has_its_area_and_holds_the_rupture(km2: float):
    rupture = shapely.LineString([(140.0, 35.0), (140.6, 35.6), (141.0, 36.3)])
    found = around(rupture, km2)
    assert found.covers(rupture)
    assert area_km2(found) == pytest.approx(km2, rel=0.02)


def test_what_cannot_be_drawn_is_refused():
    with pytest.raises(InvalidInputError, match="pole"):
        around(shapely.Point(0, 88.5), 50_000.0)
    with pytest.raises(InvalidInputError, match="a point or a line"):
        around(shapely.box(0, 0, 1, 1), 50_000.0)


def test_an_event_without_a_magnitude_has_no_area():
    assert area_by_magnitude(event(magnitude=None), coarse_land()) is None


def test_ground_by_a_magnitude_over_the_antimeridian_is_split_and_partly_land():
    found = area_by_magnitude(event(lon=179.9, lat=-17.0, magnitude=7.5), coarse_land())
    assert found.source == "magnitude-area relation"
    assert found.ground.geom_type == "MultiPolygon"
    assert found.km2 == pytest.approx(affected_km2(7.5), rel=0.01)
    assert 0.05 * found.km2 < found.land_km2 < 0.5 * found.km2  # Fiji


@pytest.mark.parametrize("name", PLACES)
def test_land_is_where_it_is_known_to_be(name: str):
    lon, lat, there = PLACES[name]
    found = coarse_land().share(np.array([lon]), np.array([lat]))
    assert bool(found[0] > 0) == there


@pytest.mark.parametrize(
    ("name", "bounds", "km2"),
    [
        ("Taiwan", (119.9, 21.8, 122.1, 25.4), 36_000),
        ("Sicily", (12.3, 36.6, 15.63, 38.33), 25_600),
        ("Reunion", (55.1, -21.5, 55.95, -20.8), 2_510),
        ("Sri Lanka", (79.55, 5.8, 82.0, 9.9), 65_600),
    ],
)
def test_islands_have_the_area_they_are_known_to_have(name: str, bounds: tuple[float, float, float, float], km2: float):
    assert name
    assert land_km2(shapely.box(*bounds), coarse_land()) == pytest.approx(km2, rel=0.06)


def test_all_land_of_the_earth_is_what_it_is_known_to_be():
    cells = coarse_land().cells
    lat = 90 - (np.arange(len(cells)) + 0.5) * 0.05
    share = (cells.mean(axis=1) / 255 * np.cos(np.radians(lat))).sum() / np.cos(np.radians(lat)).sum()
    assert share * 510.1e6 == pytest.approx(149e6, rel=0.02)


def test_land_may_be_drawn(tmp_path: Path):
    file = tmp_path / "land.geojson"
    gpd.GeoSeries([shapely.box(14, 46, 15, 47)], crs=4326).to_file(file)
    land = chosen_land(str(file))
    assert isinstance(land, DrawnLand)
    assert land.share(np.array([14.5, 15.5, 14.5 + 360]), np.array([46.5, 46.5, 46.5])).tolist() == [1, 0, 1]
    half = shapely.box(14.5, 46, 15.5, 47)
    assert land_km2(half, land) == pytest.approx(area_km2(half) / 2, rel=0.02)
    assert chosen_land(None) is coarse_land()
    with pytest.raises(InvalidRegionError):
        chosen_land(str(tmp_path / "none.geojson"))
