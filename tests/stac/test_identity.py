"""What an Item is of, from the first source that states it; and the whole table of recorded Items, taken or refused."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from helpers.scenes import item

from landslide_scale.errors import InvalidCatalogError
from landslide_scale.scene import utc
from landslide_scale.stac import identity
from landslide_scale.stac.items import scenes
from landslide_scale.stac.settings import CatalogConfig

PRODUCT = "S2B_MSIL2A_20200322T074609_N0500_R135_T36NYH_20230612T214223"
GRANULE = "S2A_OPER_MSI_L2A_TL_2APS_20240108T121951_A044635_T34VEL_N05.10"


def bare(name: str = "S2A_1", **properties: object) -> dict[str, Any]:
    """An Item that states its date and nothing else, but what is given."""
    made = item(name)
    made["properties"] = {"datetime": made["properties"]["datetime"]}
    made["properties"] |= {key.replace("__", ":"): value for key, value in properties.items()}
    return made


def told(made: dict[str, Any]) -> tuple[object, ...]:
    return identity.baseline(made), identity.datatake(made), identity.tile(made), identity.generated(made)


WHOLE = ((5, 0), "GS2B_20200322T074609", "36NYH", "20230612T214223")
NAMED_IN: dict[str, dict[str, Any]] = {
    "the product's address": bare(s2__product_uri=f"{PRODUCT}.SAFE"),
    "the old catalogue's product": bare(sentinel__product_id=PRODUCT),
    "the title": bare(title=PRODUCT),
    "the id": bare(PRODUCT),
    "the addresses of all assets": bare()
    | {"assets": {band: {"href": f"s3://eodata/{PRODUCT}.SAFE/IMG_DATA/{band}.tif"} for band in ("B04", "SCL")}},
}


@pytest.mark.parametrize("where", NAMED_IN)
def test_a_products_name_says_what_an_item_is_of_wherever_it_stands(where: str):
    assert told(NAMED_IN[where]) == WHOLE
    assert (identity.satellite(NAMED_IN[where]), identity.relative_orbit(NAMED_IN[where])) == ("S2B", 135)


def test_a_property_is_believed_before_a_name():
    made = bare(
        PRODUCT,
        s2__processing_baseline="02.14",
        s2__datatake_id="GS2B_20200322T074600_015891_N02.14",
        grid__code="MGRS-6VVN",
        s2__generation_time="2020-03-22T12:00:00Z",
        platform="sentinel-2c",
        sat__relative_orbit=7,
    )
    assert told(made) == ((2, 14), "GS2B_20200322T074600_015891", "06VVN", "2020-03-22T12:00:00Z")
    assert (identity.satellite(made), identity.relative_orbit(made)) == ("S2C", 7)


@pytest.mark.parametrize(
    ("key", "value", "asked"),
    [
        ("s2__processing_baseline", "5.9", identity.baseline),
        ("s2__processing_baseline", 5.0, identity.baseline),
        ("grid__code", "somewhere", identity.tile),
    ],
)
def test_a_property_that_is_there_in_another_form_is_refused_whatever_a_name_says(key: str, value: object, asked: Any):  # noqa: ANN401 a function
    with pytest.raises(InvalidCatalogError, match=key.replace("__", ":")):
        asked(bare(PRODUCT, **{key: value}))


@pytest.mark.parametrize("key", ["s2__processing_baseline", "s2__datatake_id", "grid__code", "s2__product_uri"])
def test_a_property_that_is_null_or_empty_states_nothing(key: str):
    assert told(bare(PRODUCT, **{key: None})) == told(bare(PRODUCT, **{key: ""})) == WHOLE


def test_a_version_of_other_software_is_no_baseline():
    assert told(bare(PRODUCT, processing__version="2.11.0")) == WHOLE


def test_of_the_eopf_extension_the_words_for_datatake_datastrip_and_generation_are_taken():
    made = bare(
        processing__version="05.00",
        eopf__datatake_id="GS2B_20200322T074609_015891_N05.00",
        eopf__datastrip_id="S2B_OPER_MSI_L2A_DS_S2RP_20230612T214223_S20200322T075811_N05.00",
        processing__datetime="2023-06-12T21:42:23.000000Z",
        created="2023-10-07T10:09:01.408000Z",
        mgrs__utm_zone=6,
        mgrs__latitude_band="V",
        mgrs__grid_square="VN",
    )
    assert told(made) == ((5, 0), "GS2B_20200322T074609_015891", "06VVN", "2023-06-12T21:42:23.000000Z")
    assert identity.datastrip(made) == "20200322T075811"


def test_a_granule_alone_names_its_datatake_by_satellite_and_orbit():
    assert told(bare(GRANULE)) == ((5, 10), "GS2A_A044635", "34VEL", "20240108T121951")


def test_a_datatakes_name_says_its_baseline():
    assert identity.baseline(bare(s2__datatake_id="GS2A_20230810T100031_042590_N05.09")) == (5, 9)


def test_assets_of_two_products_name_none():
    made = bare() | {"assets": {band: {"href": f"s3://b/{PRODUCT[:-1]}{n}/x.tif"} for n, band in enumerate("ab")}}
    with pytest.raises(InvalidCatalogError, match="no datatake"):
        identity.datatake(made)


def test_items_of_the_s2_extension_without_a_generation_are_told_apart_as_they_always_were():
    made = bare(s2__product_uri=f"{PRODUCT}.SAFE", created="2020-03-23T00:00:00Z")
    assert identity.generated(made) == "2020-03-23T00:00:00Z"


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (identity.baseline, "s2:processing_baseline"),
        (identity.datatake, "s2:datatake_id"),
        (identity.tile, "grid:code"),
    ],
)
def test_what_nothing_states_is_refused_by_what_would_state_it(asked: Any, said: str):  # noqa: ANN401 a function
    with pytest.raises(InvalidCatalogError, match=said) as caught:
        asked(bare())
    assert caught.value.where == {"scene": "S2A_1"}


# The recorded Items

NO_L2A = ("_L1C", "MSI_L1C", "sentinel-1", "cop-dem", "nasadem", "landsat")
BLUE, B02 = (f"asset {name} is JPEG 2000, which is not read; expected a GeoTIFF" for name in ("blue", "B02_10m"))
COGS = {"blue": "B02", "red": "B04", "nir": "B08", "scl": "SCL"}
CDSE = {"blue": "B02_10m", "red": "B04_10m", "nir": "B08_10m", "scl": "SCL_20m"}
BUCKETS = {
    "eodata": "https://eodata.example/eodata",
    "sentinel-s2-l2a": "https://sentinel-s2-l2a.example",
    "deafrica-sentinel-2-l2a-c1-dev": "https://deafrica.example",
}

REFUSED = {
    "S2B_MSIL2A_20200322T074609_N0500_R135_T36NYH_20230612T214223": B02,
    "S2C_MSIL2A_20260527T014651_N0512_R017_T55WFR_20260527T042005": B02,
    "S2A_52HGH_20221007_0_L2A": BLUE,
    "S2B_5CNL_20221009_0_L2A": BLUE,
    "S2A_T01WCP_20230625T234624_L2A": BLUE,
    "S2A_T01WCS_20230625T234624_L2A": BLUE,
    "S2A_T01KAB_20230821T221944_L2A": BLUE,
    "S2A_OPER_MSI_L2A_TL_2APS_20240108T121951_A044635_T34VEL": BLUE,
    "S2A_OPER_MSI_L2A_TL_SGS__20181231T210250_A018414_T10SDG": BLUE,
    "S2A_OPER_MSI_L2A_TL_VGS1_20220401T110010_A035382_T34LBP": BLUE,
    "S2A_T34LBQ_20220401T090142_L2A": BLUE,
    "S2A_OPER_MSI_L2A_TL_2APS_20240109T203651_A044654_T60CWS": BLUE,
    "S2B_OPER_MSI_L2A_TL_S2RP_20230315T224658_A018417_T01VCG": BLUE,
    "S2B_T22HBD_20210122T133224_L2A": BLUE,
}
"""Every recorded L2A Item that is not taken, and why."""

TAKEN = {
    # profile, collection as its Items name it: how many of them
    ("earth-search-c1", "sentinel-2-c1-l2a"): 6,
    ("earth-search-c1", "s2_l2a_c1"): 1,
    ("earth-search-v1", "sentinel-2-l2a"): 35,
    ("planetary-computer", "sentinel-2-l2a"): 59,
    ("plain", "sentinel-s2-l2a-cogs"): 4,
    ("plain", None): 4,
}
"""All others."""

FROM_NAMES = {
    # Refused before: no property that was looked at states datatake, or neither it nor the baseline.
    "S2A_31NBJ_20190524_0_L2A": ((2, 12), "GS2A_20190524T101031", "31NBJ", "2019-05-24T13:03:04"),
    "S2A_28QCH_20200714_0_L2A": ((2, 14), "GS2A_20200714T115221", "28QCH", "2020-07-14T19:13:10"),
    "S2A_17SPR_20221106_0_L2A": ((4, 0), "GS2A_20221106T155441", "17SPR", "2022-11-06T20:41:55"),
    "S2B_42TUM_20220107_0_L2A": ((3, 1), "GS2B_20220107T063239", "42TUM", "2022-01-07T08:42:02"),
    "S2B_33SVB_20210221_0_L2A": ((2, 14), "GS2B_20210221T095029", "33SVB", "2021-02-21T11:51:49"),
    "S2B_MSIL2A_20200322T074609_N0500_R135_T36NYH_20230612T214223": (
        (5, 0), "GS2B_20200322T074609_015891", "36NYH", "2023-06-12T21:42:23"),
    "S2C_MSIL2A_20260527T014651_N0512_R017_T55WFR_20260527T042005": (
        (5, 12), "GS2C_20260527T014651_008996", "55WFR", "2026-05-27T04:20:05"),
    "S2A_52HGH_20221007_0_L2A": ((4, 0), "GS2A_A038080", "52HGH", "2022-10-07T03:45:56"),
    "S2B_5CNL_20221009_0_L2A": ((4, 0), "GS2B_A029209", "05CNL", "2022-10-09T20:36:56"),
    "S2A_OPER_MSI_L2A_TL_2APS_20240108T121951_A044635_T34VEL": (
        (5, 10), "GS2A_A044635", "34VEL", "2024-01-08T12:19:51"),
    "S2A_OPER_MSI_L2A_TL_SGS__20181231T210250_A018414_T10SDG": (
        (2, 11), "GS2A_A018414", "10SDG", "2018-12-31T21:02:50"),
    "S2A_OPER_MSI_L2A_TL_VGS1_20220401T110010_A035382_T34LBP": (
        (4, 0), "GS2A_A035382", "34LBP", "2022-04-01T11:00:10"),
    "S2A_OPER_MSI_L2A_TL_2APS_20240109T203651_A044654_T60CWS": (
        (5, 10), "GS2A_A044654", "60CWS", "2024-01-09T20:36:51"),
    "S2B_OPER_MSI_L2A_TL_S2RP_20230315T224658_A018417_T01VCG": (
        (5, 0), "GS2B_A018417", "01VCG", "2023-03-15T22:46:58"),
}  # fmt: skip


def features(content: Any) -> Iterator[dict[str, Any]]:  # noqa: ANN401 JSON
    """Every Item in a recorded file, however it is wrapped."""
    if isinstance(content, dict) and content.get("type") == "Feature" and "assets" in content:
        yield content
        return
    for inner in content.values() if isinstance(content, dict) else content if isinstance(content, list) else ():
        yield from features(inner)


def recorded_l2a(root: Path) -> list[dict[str, Any]]:
    """Every recorded Item of Sentinel-2 L2A, each collection's ids once."""
    paths = [path for folder in ("stac", "sentinel2") for path in sorted((root / folder).rglob("*json"))]
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for path in paths:
        for one in features(json.loads(path.read_text(encoding="utf-8"))):
            if not any(word in f"{one.get('collection')} {one['id']}" for word in NO_L2A):
                found.setdefault((str(one.get("collection")), one["id"]), one)
    return list(found.values())


def configured(one: dict[str, Any]) -> CatalogConfig:
    """The profile and asset names that a user of its catalogue would give."""
    names = set(one["assets"])
    if "AOT" in names and "overview" not in names:
        return CatalogConfig(profile="planetary-computer")
    if one.get("collection") in {"sentinel-2-c1-l2a", "s2_l2a_c1"}:
        return CatalogConfig(profile="earth-search-c1", buckets=BUCKETS)
    if "B04_10m" in names or "B04" in names:
        assets: Any = CDSE if "B04_10m" in names else COGS
        hosts = ("sentinel-cogs.s3.us-west-2.amazonaws.com",)
        return CatalogConfig(profile="plain", assets=assets, buckets=BUCKETS, allowed_hosts=hosts)
    if one.get("collection") == "sentinel-2-l2a":
        return CatalogConfig(profile="earth-search-v1", buckets=BUCKETS, allowed_hosts=("files.example",))
    return CatalogConfig(profile="plain", allowed_hosts=("files.example",))


def made_whole(one: dict[str, Any]) -> dict[str, Any]:
    """With its addresses resolved, as if it had been read from a server's folder."""
    for asset in one["assets"].values():
        if "://" not in asset["href"]:
            asset["href"] = f"https://files.example/{asset['href'].removeprefix('./')}"
    return one


def reason(one: dict[str, Any]) -> str | None:
    try:
        scenes([one], configured(one), ("blue", "red", "nir"))
    except InvalidCatalogError as error:
        return str(error)
    return None


def test_of_the_123_recorded_items_just_those_in_jpeg_2000_are_refused_and_each_says_why(shared_data: Path):
    items = recorded_l2a(shared_data)
    assert len(items) == sum(TAKEN.values()) + len(REFUSED) == 123
    taken: Counter[tuple[str, str | None]] = Counter()
    refused: dict[str, str] = {}
    for one in items:
        said = reason(made_whole(one))
        if said is None:
            taken[configured(one).profile, one.get("collection")] += 1
        else:
            assert one["id"] not in refused
            refused[one["id"]] = said
    assert taken == TAKEN
    assert refused.keys() == REFUSED.keys()
    for name, said in refused.items():
        assert said.startswith(f"scene {name}: {REFUSED[name]}")
        assert "earth-search-c1" in said  # the cure


def test_no_recorded_item_is_refused_that_states_what_is_needed_anywhere_in_it(shared_data: Path):
    items = [made_whole(one) for one in recorded_l2a(shared_data)]
    for one in items:
        for asset in one["assets"].values():  # as if its catalogue held GeoTIFFs
            asset["href"] = asset["href"].replace(".jp2", ".tif")
    assert {one["id"]: said for one in items if (said := reason(one)) is not None} == {}


def test_what_the_recorded_names_say_is_what_their_scenes_are_of(shared_data: Path):
    items = {one["id"]: one for one in recorded_l2a(shared_data) if "s2:datatake_id" not in one["properties"]}
    for name, (baseline, datatake, tile, generated) in FROM_NAMES.items():
        one = items[name]
        assert (identity.baseline(one), identity.datatake(one), identity.tile(one)) == (baseline, datatake, tile)
        assert utc(identity.generated(one)).replace(microsecond=0) == utc(generated)


def test_where_recorded_properties_and_names_state_the_same_they_agree(shared_data: Path):
    """What makes a name as good as a property: of 100 and more that have both, none says two things."""
    both = 0
    for one in recorded_l2a(shared_data):
        known = one["properties"]
        if "s2:product_uri" not in known:
            continue
        named = one | {"properties": {"s2:product_uri": known["s2:product_uri"], "datetime": known["datetime"]}}
        taken = "_".join(identity.datatake(one).split("_")[:2])
        assert (identity.datatake(named), identity.tile(named)) == (taken, identity.tile(one))
        assert identity.baseline(named if "_N0" in known["s2:product_uri"] else one) == identity.baseline(one)
        both += 1
    assert both > 100
