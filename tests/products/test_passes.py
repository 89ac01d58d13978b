"""When hidden ground may be seen, tile by tile."""

from __future__ import annotations

import json
from datetime import date

import pytest
import shapely
from helpers.scenes import item

from landslide_scale.products.passes import hidden_geojson, hidden_tiles_of, pass_words
from landslide_scale.region.polygons import area_km2

WEST, EAST = shapely.box(14, 46, 14.6, 46.5), shapely.box(14.5, 46, 15, 46.5)


def scene(tile: str, orbit: int, day: str, ground: shapely.Polygon, platform: str = "sentinel-2a") -> dict[str, object]:
    known = item(f"S2_{tile}_{orbit}_{day}", sensed=f"{day}T10:00:00Z", platform=platform, sat__relative_orbit=orbit)
    known["properties"]["grid:code"] = f"MGRS-{tile}"
    return known | {"geometry": shapely.geometry.mapping(ground)}


ITEMS = [
    scene("33TVM", 122, "2023-07-01", WEST),
    scene("33TVM", 122, "2023-07-11", WEST),
    scene("33TVM", 22, "2023-07-04", shapely.box(14, 46, 14.2, 46.5)),  # a swath that sees the west of the tile alone
    scene("33TWM", 122, "2023-07-06", EAST, platform="sentinel-2b"),
    {"id": "broken", "geometry": None, "assets": {}, "properties": {}},
]


def test_each_tile_has_its_hidden_ground_and_the_passes_that_see_it():
    hidden = shapely.box(14.3, 46.1, 14.7, 46.2)
    one, other = hidden_tiles_of(ITEMS, hidden)
    assert (one.tile, other.tile) == ("33TVM", "33TWM")
    assert [pass_words(known) for known in one.passes] == ["S2A on orbit 122: 2023-07-21"]
    assert [(known.satellite, known.due) for known in other.passes] == [("S2B", date(2023, 7, 16))]
    assert one.geometry.equals(shapely.box(14.3, 46.1, 14.6, 46.2))
    assert one.km2 + other.km2 == pytest.approx(area_km2(hidden) + area_km2(shapely.box(14.5, 46.1, 14.6, 46.2)))
    everywhere = hidden_tiles_of(ITEMS, WEST)[0]
    assert [known.orbit for known in everywhere.passes] == [22, 122]  # the next that is due first


def test_the_layer_says_the_first_that_is_due_and_all_as_text():
    found = hidden_tiles_of(ITEMS, shapely.box(14.05, 46.1, 14.1, 46.2))
    (feature,) = json.loads(hidden_geojson(found))["features"]
    said = feature["properties"]
    assert (said["tile"], said["satellite"], said["orbit"], said["due"]) == ("33TVM", "S2A", 22, "2023-07-14")
    assert said["passes"] == "S2A on orbit 22: 2023-07-14; S2A on orbit 122: 2023-07-21"
    assert hidden_geojson(found) == hidden_geojson(hidden_tiles_of(ITEMS, shapely.box(14.05, 46.1, 14.1, 46.2)))


def test_where_nothing_is_hidden_no_tile_is_named():
    assert hidden_tiles_of(ITEMS, shapely.MultiPolygon()) == ()
    assert hidden_tiles_of(ITEMS, shapely.box(0, 0, 1, 1)) == ()
    assert json.loads(hidden_geojson(())) == {"type": "FeatureCollection", "features": []}
