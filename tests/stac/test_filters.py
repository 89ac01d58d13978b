"""Which scenes a filter on their Items' properties leaves in, in the words of every catalogue."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from helpers.scenes import item

from landslide_scale.errors import InvalidCatalogError, InvalidConfigError
from landslide_scale.scan.settings import BEFORE
from landslide_scale.stac.frozen import freeze, load_items
from landslide_scale.stac.items import left_out, scenes
from landslide_scale.stac.settings import CatalogConfig
from landslide_scale.storage.rundir import RunDirectory
from landslide_scale.strictyaml import parse

PRODUCT = "S2B_MSIL2A_20230810T100031_N0509_R122_T33TWM_20230810T143300"
HREFS = {band: f"https://trusted.example/{band}.tif" for band in ("red", "scl")}


def filtered(**conditions: object) -> CatalogConfig:
    return parse(CatalogConfig, {"profile": "plain", "allowed_hosts": ["trusted.example"], "filter": dict(conditions)})


def leaves_in(conditions: dict[str, object], **properties: object) -> bool:
    made = item("a", assets=HREFS, **properties)
    config = filtered(**conditions)
    kept = [one.id for one in scenes([made], config, ("red",))]
    assert bool(kept) == (not left_out(made, config))
    return bool(kept)


@pytest.mark.parametrize(
    ("conditions", "inside", "outside"),
    [
        ({"relative_orbits": [22, 122]}, {"sat__relative_orbit": 122}, {"sat__relative_orbit": 79}),
        ({"relative_orbits": [122]}, {"s2__product_uri": f"{PRODUCT}.SAFE"}, {"s2__product_uri": "R122"}),
        ({"platforms": ["S2A", "S2C"]}, {"platform": "sentinel-2c"}, {"platform": "sentinel-2b"}),
        ({"platforms": ["S2B"]}, {"platform": "Sentinel-2B"}, {"platform": "landsat-8"}),
        ({"platforms": ["S2A"]}, {}, {"s2__datatake_id": "GS2B_20230810T100031_042590_N05.09"}),
        ({"tiles": ["33TWM", "06VVN"]}, {"grid__code": "MGRS-6VVN"}, {"grid__code": "MGRS-33TWL"}),
        ({"min_sun_elevation": 30}, {"view__sun_elevation": 30.0}, {"view__sun_elevation": 29.99}),
        ({"min_sun_elevation": 30}, {"s2__mean_solar_zenith": 60.0}, {"s2__mean_solar_zenith": 60.01}),
        ({"max_nodata": 50}, {"s2__nodata_pixel_percentage": 50}, {"s2__nodata_pixel_percentage": 50.1}),
        ({"max_nodata": 50}, {"sentinel__data_coverage": 50}, {"sentinel__data_coverage": 49.9}),
        ({"max_nodata": 0}, {"statistics": {"nodata": 0.0}}, {"statistics": {"nodata": 0.1}}),
        (
            {"max_nodata": 50, "min_sun_elevation": 30},
            {"s2__nodata_pixel_percentage": 1, "view__sun_elevation": 60},
            {"s2__nodata_pixel_percentage": 1, "view__sun_elevation": 20},
        ),
    ],
)
def test_a_scene_is_used_where_it_meets_every_condition_the_limit_itself_included(
    conditions: dict[str, object], inside: dict[str, object], outside: dict[str, object]
):
    assert leaves_in(conditions, **inside)
    assert not leaves_in(conditions, **outside)


@pytest.mark.parametrize(
    "conditions", [{"relative_orbits": [122]}, {"min_sun_elevation": 0}, {"max_nodata": 100}], ids=str
)
def test_a_scene_that_does_not_state_what_is_asked_is_not_used_and_that_is_said(conditions: dict[str, object]):
    assert not leaves_in(conditions)
    (key,) = conditions
    assert left_out(item("a"), filtered(**conditions)) == f"catalog.filter.{key}, which it does not state"


@pytest.mark.parametrize("value", [float("nan"), None])
def test_a_number_that_is_none_states_nothing(value: float | None):
    assert not leaves_in({"max_nodata": 100}, s2__nodata_pixel_percentage=value)


def test_a_property_of_another_form_is_refused_by_scene():
    with pytest.raises(InvalidCatalogError, match="scene a"):
        leaves_in({"max_nodata": 50}, s2__nodata_pixel_percentage="half")


def test_what_leaves_a_scene_out_is_said_by_its_key():
    config = filtered(tiles=["33TWL"]).model_copy(update={"max_cloud_cover": 10.0})
    assert left_out(item("a", eo__cloud_cover=11), config) == "catalog.max_cloud_cover"
    assert left_out(item("a", eo__cloud_cover=9), config) == "catalog.filter.tiles"
    assert left_out(item("a", grid__code="MGRS-33TWL"), config) == ""


def test_frozen_items_are_filtered_as_those_of_the_catalogue(tmp_path: Path):
    made = [
        item("low", assets=HREFS, view__sun_elevation=20.5, s2__nodata_pixel_percentage=3),
        item("high", assets=HREFS, view__sun_elevation=50, s2__nodata_pixel_percentage=0.5),
        item("unsaid", assets=HREFS),
    ]
    freeze(RunDirectory(str(tmp_path)), made)
    config = filtered(min_sun_elevation=30.0, max_nodata=5)
    assert [one.id for one in scenes(load_items(RunDirectory(str(tmp_path))), config, ("red",))] == ["high"]


@pytest.mark.parametrize(
    ("conditions", "said"),
    [
        ({}, "no condition"),
        ({"tiles": []}, "tiles"),
        ({"tiles": ["T33TWM"]}, "tiles"),
        ({"platforms": ["sentinel-2a"]}, "platforms"),
        ({"relative_orbits": [144]}, "relative_orbits"),
        ({"max_nodata": 101}, "max_nodata"),
        ({"orbit": 3}, "orbit"),
    ],
)
def test_a_filter_that_says_nothing_or_nothing_known_is_refused_by_its_key(conditions: dict[str, Any], said: str):
    with pytest.raises(InvalidConfigError, match=said):
        filtered(**conditions)


def test_a_run_records_what_is_asked_and_no_more_so_that_later_conditions_do_not_change_it():
    assert filtered(tiles=["33TWM"]).model_dump(mode="json")["filter"] == {"tiles": ["33TWM"]}
    assert BEFORE["catalog", "filter"] is None
    assert CatalogConfig().filter is None


def test_recorded_items_state_sun_and_share_without_data_in_their_own_words(shared_data: Path):
    """Of one recorded search of each catalogue, by the numbers in the files."""
    sites = json.loads((shared_data / "stac/items_pc/site2-2020_jun_jul-35MNM.geojson").read_text(encoding="utf-8"))
    searched = shared_data / "stac/decoded/xcube-stac__search_data_searchable_catalog__01.json"
    found = json.loads(searched.read_text(encoding="utf-8"))["response"]
    for items, profile in ((sites["features"], "planetary-computer"), (found["features"], "earth-search-v1")):
        for share, sun in ((20.0, 30.0), (60.0, 45.0)):
            config = parse(
                CatalogConfig, {"profile": profile, "filter": {"max_nodata": share, "min_sun_elevation": sun}}
            )
            wanted = [
                one["id"]
                for one in items
                if one["properties"]["s2:nodata_pixel_percentage"] <= share
                and (
                    one["properties"]["view:sun_elevation"]
                    if "view:sun_elevation" in one["properties"]
                    else 90 - one["properties"]["s2:mean_solar_zenith"]
                )
                >= sun
            ]
            assert [one.id for one in scenes(items, config, ("red",))] == wanted
