from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

import pytest
import shapely
from helpers.scenes import COLLECTION, item
from helpers.webserver import Answer, site
from hypothesis import given
from hypothesis import strategies as st

from landslide_scale.bands import BAND_NAMES
from landslide_scale.demo.satellite.stac_server import serve
from landslide_scale.errors import CatalogAwayError, InvalidCatalogError, InvalidConfigError
from landslide_scale.scene import Scene, Window, newest_processing, utc
from landslide_scale.stac.items import footprint, scenes, sensed
from landslide_scale.stac.search import search
from landslide_scale.stac.settings import CatalogConfig
from landslide_scale.strictyaml import parse

AUGUST = Window(start=utc("2023-08-01"), end=utc("2023-09-01"))
AREA = shapely.box(15.0, 46.0, 16.0, 47.0)
HOST = "sentinel-cogs.s3.us-west-2.amazonaws.com"
V1 = CatalogConfig(profile="earth-search-v1")
C1 = CatalogConfig(profile="earth-search-c1")
RGB = ("red", "green", "blue")


def hrefs(host: str = HOST, bands: tuple[str, ...] = (*RGB, "scl")) -> dict[str, str]:
    return {band: f"https://{host}/tiles/{band}.tif" for band in bands}


def one(made: dict[str, Any], config: CatalogConfig = V1, bands: tuple[str, ...] = RGB) -> Scene:
    (found,) = scenes([made], config, bands)
    return found


def refusal(made: dict[str, Any], config: CatalogConfig = V1, bands: tuple[str, ...] = RGB) -> str:
    with pytest.raises(InvalidCatalogError) as caught:
        scenes([made], config, bands)
    return str(caught.value)


# From Items to scenes


def test_an_item_becomes_a_scene_with_all_that_a_worker_needs():
    found = one(item("S2A_1", assets=hrefs()))
    assert (found.id, found.tile, found.epsg) == ("S2A_1", "33TWM", 32633)
    assert found.bounds == (499_980, 5_090_220, 609_780, 5_200_020)
    assert found.sensed == utc("2023-08-10T10:07:00Z")
    assert found.datatake == "GS2A_20230810T100700_042590"
    assert found.baseline == (5, 9)
    assert found.href("red") == f"https://{HOST}/tiles/red.tif"
    assert [band for band, _ in found.assets] == [*RGB, "scl"]


def test_the_rasters_transform_is_believed_before_the_properties():
    made = item("S2A_1", assets=hrefs())
    made["assets"]["scl"] |= {"proj:transform": [20, 0, 600_000, 0, -20, 5_000_000], "proj:shape": [10, 30]}
    assert one(made).bounds == (600_000, 4_999_800, 600_600, 5_000_000)


def test_without_any_raster_extent_the_footprint_is_taken():
    made = item("S2A_1", assets=hrefs())
    del made["properties"]["proj:bbox"]
    west, south, east, north = one(made).bounds
    assert west <= 499_980 + 1
    assert south <= 5_090_220 + 1
    assert east >= 609_780 - 1
    assert north >= 5_200_020 - 1


@pytest.mark.parametrize(("code", "tile"), [("MGRS-33TWM", "33TWM"), ("MGRS-6VVN", "06VVN"), ("T06VVN", "06VVN")])
def test_tiles_are_named_alike_however_the_catalogue_writes_them(code: str, tile: str):
    assert one(item("S2A_1", assets=hrefs(), grid__code=code)).tile == tile


def test_scenes_over_the_cloud_limit_are_left_out_before_anything_of_them_is_asked():
    cloudy = item("cloudy", eo__cloud_cover=60.1)
    clear = item("clear", assets=hrefs(), eo__cloud_cover=60.0)
    config = V1.model_copy(update={"max_cloud_cover": 60.0})
    assert [found.id for found in scenes([cloudy, clear], config, RGB)] == ["clear"]


@pytest.mark.parametrize(
    ("config", "baseline", "flag", "offset"),
    [
        (V1, "05.09", True, 0),
        (V1, "05.09", False, -1000),
        (V1, "05.09", None, -1000),
        (V1, "04.00", None, -1000),
        (V1, "03.01", None, 0),
        (V1, "02.14", False, 0),
        (C1, "05.10", None, -1000),
        (C1, "05.10", True, -1000),
        (C1, "02.12", None, 0),
    ],
)
def test_the_offset_follows_profile_baseline_and_flag(
    config: CatalogConfig,
    baseline: str,
    flag: Literal[True, False] | None,
    offset: int,
):
    host = {"earth-search-v1": HOST, "earth-search-c1": "e84-earth-search-sentinel-data.s3.us-west-2.amazonaws.com"}
    made = item("S2A_1", assets=hrefs(host[config.profile]), s2__processing_baseline=baseline)
    if flag is not None:
        made["properties"]["earthsearch:boa_offset_applied"] = flag
    found = one(made, config)
    assert found.offset == offset
    assert baseline in found.offset_rule


NAMES = ("s2:datatake_id", "s2:datastrip_id")
"""Properties that hold a name in which the baseline stands too."""


@pytest.mark.parametrize("key", ["s2:processing_baseline", "grid:code", "s2:datatake_id", "proj:epsg", "datetime"])
def test_an_item_without_a_property_that_is_needed_is_refused_by_scene_and_property(key: str):
    made = item("S2A_1", assets=hrefs())
    for name in {key, *(NAMES if key == "s2:processing_baseline" else ())}:
        del made["properties"][name]
    text = refusal(made)
    assert "scene S2A_1" in text
    assert key in text


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("eo:cloud_cover", "much"),
        ("datetime", None),
        ("datetime", "yesterday"),
        ("proj:bbox", [1, 2]),
        ("s2:processing_baseline", 5.09),
        ("s2:datatake_id", 7),
        ("s2:generation_time", "x"),
    ],
)
def test_a_property_of_another_form_is_refused_by_scene(key: str, value: object):
    made = item("S2A_1", assets=hrefs())
    made["properties"][key] = value
    assert "scene S2A_1" in refusal(made)


def test_an_item_that_does_not_say_its_cloud_is_taken_as_cloudless():
    made = item("S2A_1", assets=hrefs())
    made["properties"]["eo:cloud_cover"] = None
    assert one(made).cloud_cover == 0


@pytest.mark.parametrize("geometry", [None, {"type": "Polygon"}, {"type": "Polygon", "coordinates": [[1]]}])
def test_an_item_without_footprint_is_refused_by_scene(geometry: object):
    with pytest.raises(InvalidCatalogError, match="scene S2A_1"):
        footprint(item("S2A_1") | {"geometry": geometry})


def test_a_missing_band_is_refused_by_scene_and_asset():
    text = refusal(item("S2A_1", assets=hrefs()), bands=("red", "swir16"))
    assert "S2A_1" in text
    assert "swir16" in text


def test_the_datatake_is_taken_from_the_product_where_the_catalogue_does_not_name_it():
    made = item("S2A_1", assets=hrefs())
    del made["properties"]["s2:datatake_id"]
    made["properties"]["s2:product_uri"] = "S2A_MSIL2A_20230818T100031_N0509_R122_T33TWM_20230818T143300.SAFE"
    assert one(made).datatake == "GS2A_20230818T100031"


# Addresses of assets


def with_red(href: str) -> dict[str, Any]:
    return item("S2A_1", assets=hrefs() | {"red": href})


@pytest.mark.parametrize(
    "href",
    [
        "https://evil.example/red.tif",
        f"https://{HOST}.evil.example/red.tif",
        f"https://user:key@{HOST}/red.tif",
        f"https://user@{HOST}/red.tif",
        f"https://:key@{HOST}/red.tif",
        f"https://evil.example\\@{HOST}/red.tif",
        f"https://{HOST}\\@evil.example/red.tif",
        f"https://evil.example#@{HOST}/red.tif",
        f"https://{HOST}/red.tif\n",
        f"https://{HOST[:9]}\t{HOST[9:]}/red.tif",
        f"ftp://{HOST}/red.tif",
        "s3://sentinel-cogs/red.tif",
        f"/vsicurl/https://{HOST}/red.tif",
        "/vsimem/red.tif",
        "/./vsimem/red.tif",
        "//vsimem/red.tif",
        "vsimem/red.tif",
        "file:///vsizip/etc/a.zip",
        "GTIFF_DIR:1:/etc/passwd",
        "zip+https://evil.example/a.zip!red.tif",
        "https://[/red.tif",
        "data:image/tiff;base64,AAAA",
        "<VRTDataset></VRTDataset>",
        "./red.tif",
        "red.tif",
        "",
    ],
)
@pytest.mark.parametrize("roots", [(), ("/",)])
def test_an_address_that_is_not_plainly_an_allowed_one_is_refused(href: str, roots: tuple[str, ...]):
    text = refusal(with_red(href), V1.model_copy(update={"allowed_roots": roots}))
    assert "scene S2A_1" in text
    assert "key@" not in text


def test_a_host_that_the_user_trusts_is_allowed_whatever_its_case():
    config = V1.model_copy(update={"allowed_hosts": ("Mirror.example:8443",)})
    assert one(with_red("https://MIRROR.example:8443/red.tif?sig=1"), config).href("red").startswith("https://MIRROR")


# What an asset is


@pytest.mark.parametrize(
    ("href", "kind"),
    [
        (f"https://{HOST}/R10m/B04.jp2", "image/jp2"),
        (f"https://{HOST}/R10m/B04.JP2?sig=1", None),
        ("s3://sentinel-s2-l2a/tiles/33/T/WM/R10m/B04.jp2", None),
        (f"https://{HOST}/B04", "image/jp2"),
        ("/data/B04.jp2", None),
        ("/data/B04", "image/jp2"),
    ],
)
def test_an_asset_in_jpeg_2000_is_refused_before_anything_is_read_with_where_the_scenes_are_as_cogs(
    href: str, kind: str | None
):
    made = with_red(href)
    made["assets"]["red"] |= {"type": kind} if kind else {}
    text = refusal(made, V1.model_copy(update={"allowed_roots": ("/data",)}))
    assert "asset red is JPEG 2000" in text
    assert "earth-search-c1" in text


@pytest.mark.parametrize(
    ("href", "kind"),
    [
        (f"https://{HOST}/B04.zarr", "application/vnd+zarr"),
        (f"https://{HOST}/B04.png?name=B04.tif", "image/png"),
        ("/data/B04.nc", "application/netcdf"),
    ],
)
def test_an_asset_of_another_format_is_refused_before_anything_is_read(href: str, kind: str):
    made = with_red(href)
    made["assets"]["red"]["type"] = kind
    assert f"asset red is of type {kind}" in refusal(made, V1.model_copy(update={"allowed_roots": ("/data",)}))


@pytest.mark.parametrize(
    ("href", "kind"),
    [
        (f"https://{HOST}/B04.TIFF?sig=1", "image/tiff"),
        (f"https://{HOST}/B04.tif", "application/octet-stream"),
        (
            f"https://{HOST}/B04.tif",
            "image/jp2",
        ),  # a catalogue that copied its Items from the products; asked when read
        (f"https://{HOST}/B04", "image/tiff; application=geotiff"),
        (f"https://{HOST}/B04", None),
        ("/data/B04", None),
        ("/data/B04", "image/tiff; application=geotiff; profile=cloud-optimized"),
    ],
)
def test_an_asset_that_may_be_a_geotiff_is_taken(href: str, kind: str | None):
    made = with_red(href)
    made["assets"]["red"] |= {"type": kind} if kind else {}
    assert one(made, V1.model_copy(update={"allowed_roots": ("/data",)})).href("red") == href


# Buckets of one's own


@pytest.mark.parametrize("address", ["https://mine.s3.eu-central-1.amazonaws.com", "http://minio.example:9000/mine/"])
def test_an_object_of_a_bucket_that_the_user_named_is_read_by_the_address_given_for_it(address: str):
    config = V1.model_copy(update={"buckets": {"mine": address}})
    found = one(with_red("s3://mine/33TWM/red.tif"), config)
    host = str(urlsplit(address).hostname)
    assert found.href("red") == f"{address.rstrip('/')}/33TWM/red.tif"
    assert found.access.hosts == (HOST, host)
    assert found.access.named == (host,)  # so it may be in a private network
    assert found.access.signed == (HOST,)


@pytest.mark.parametrize("href", ["s3://mine.not/red.tif", "s3://other/red.tif", "s3://mine@other/red.tif"])
def test_an_object_of_another_bucket_is_refused_with_the_key_that_would_allow_it(href: str):
    config = V1.model_copy(update={"buckets": {"mine": "https://mine.example"}})
    assert "catalog.buckets" in refusal(with_red(href), config)


@pytest.mark.parametrize(
    "buckets",
    [
        {"mine": "s3://mine"},
        {"mine": "https://user:key@mine.example"},
        {"mine": "https://mine.example/?key=1"},
        {"mine/folder": "https://mine.example"},
        {"": "https://mine.example"},
    ],
)
def test_a_bucket_without_a_plain_address_is_refused_by_its_key(buckets: dict[str, str]):
    with pytest.raises(InvalidConfigError, match="buckets"):
        parse(CatalogConfig, {"buckets": buckets})


@pytest.fixture
def folders(tmp_path: Path) -> Path:
    for name in ("allowed", "secret"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a b.tif").write_bytes(b"")
    (tmp_path / "allowed" / "link.tif").symlink_to(tmp_path / "secret" / "a b.tif")
    (tmp_path / "allowed-not").mkdir()
    return tmp_path


@pytest.mark.parametrize(
    "path",
    [
        "secret/a b.tif",
        "allowed/../secret/a b.tif",
        "allowed/link.tif",
        "allowed-not/a.tif",
        "allowed/../allowed-not/../secret/a b.tif",
    ],
)
@pytest.mark.parametrize("prefix", ["", "file://"])
def test_a_local_file_outside_the_allowed_folders_is_refused_links_and_dots_resolved(
    folders: Path, prefix: str, path: str
):
    config = V1.model_copy(update={"allowed_roots": (str(folders / "allowed"),)})
    assert "allowed_roots" in refusal(with_red(f"{prefix}{folders}/{path}"), config)


@pytest.mark.parametrize("form", ["{}/allowed/a b.tif", "file://{}/allowed/a%20b.tif", "file://{}/allowed/a b.tif"])
def test_a_local_file_below_an_allowed_folder_is_read_by_its_real_path(folders: Path, form: str):
    config = V1.model_copy(update={"allowed_roots": (str(folders / "allowed"),)})
    found = one(with_red(form.format(folders)), config)
    assert found.href("red") == str((folders / "allowed" / "a b.tif").resolve())


def test_a_file_address_with_a_host_or_dots_in_code_is_refused(folders: Path):
    config = V1.model_copy(update={"allowed_roots": (str(folders / "allowed"),)})
    for href in (f"file://server{folders}/allowed/a b.tif", f"file://{folders}/allowed/%2e%2e/secret/a b.tif"):
        assert "allowed_roots" in refusal(with_red(href), config)


# Processings


def test_of_two_processings_the_newest_baseline_wins_then_the_latest_generation():
    old = item("S2A_0", assets=hrefs(), s2__processing_baseline="02.14", s2__generation_time="2024-01-01T00:00:00Z")
    old["properties"]["s2:datatake_id"] = "GS2A_20230810T100700_042590_N02.14"
    first = item("S2A_1", assets=hrefs())
    later = item("S2A_2", assets=hrefs(), s2__generation_time="2023-08-19T00:00:00Z")
    assert [kept.id for kept in newest_processing(scenes([later, old, first], V1, RGB))] == ["S2A_2"]


def test_datastrips_of_one_datatake_and_tile_complement_each_other():
    strips = [
        item(f"S2A_{n}", assets=hrefs(), s2__datastrip_id=f"S2A_OPER_MSI_L2A_DS_2APS_2023_S20230810T10{n}000_N05.09")
        for n in (1, 2)
    ]
    assert len(newest_processing(scenes(strips, V1, RGB))) == 2


@given(order=st.permutations(range(6)))
def test_what_is_kept_does_not_depend_on_the_order_the_catalogue_answers_in(order: list[int]):
    made = [
        item(f"S2A_{n}", assets=hrefs(), sensed=f"2023-08-{10 + n % 3}T10:07:00Z", grid__code=f"MGRS-33TW{'LM'[n % 2]}")
        for n in range(6)
    ] + [item("S2A_0_again", assets=hrefs(), s2__generation_time="2023-08-20T00:00:00Z", grid__code="MGRS-33TWL")]
    kept = newest_processing(scenes([made[n] for n in (*order, 6)], V1, RGB))
    assert [found.id for found in kept] == ["S2A_0_again", "S2A_3", "S2A_4", "S2A_1", "S2A_2", "S2A_5"]


# Real Items


def recorded(path: Path) -> dict[str, Any]:
    return dict(json.loads(path.read_text(encoding="utf-8")))


def absolute(made: dict[str, Any], folder: str) -> dict[str, Any]:
    for asset in made["assets"].values():
        asset["href"] = f"{folder}{asset['href'].removeprefix('./')}" if "://" not in asset["href"] else asset["href"]
    return made


def test_real_items_of_august_2023_have_the_offset_in_their_pixels(shared_data: Path):
    published = sorted(shared_data.glob("sentinel2/earthsearch-33T-2023-08/*/item_as_published.json"))
    found = scenes([absolute(recorded(path), f"https://{HOST}/") for path in published], V1, (*RGB, "nir"))
    assert len(found) == 7
    assert {one.offset for one in found} == {0}
    assert {one.epsg for one in found} == {32633}
    takes = {(one.datatake, one.tile) for one in found}
    assert len({datatake for datatake, _ in takes}) == 5
    wide = {one.tile: one.bounds for one in found}
    assert wide["33TWM"] == (499_980, 5_090_220, 609_780, 5_200_020)


def test_the_copies_of_real_items_point_to_files_and_to_their_own_size(shared_data: Path):
    root = shared_data / "sentinel2" / "earthsearch-33T-2023-08"
    config = V1.model_copy(update={"allowed_roots": (str(root),)})
    for path in root.glob("*/item.json"):
        copy = absolute(recorded(path), f"{path.parent.resolve()}/")
        published = one(absolute(recorded(path.with_name("item_as_published.json")), f"https://{HOST}/"))
        assert one(copy, config).bounds == published.bounds


def test_a_real_scene_of_before_the_offset_has_none(shared_data: Path):
    made = recorded(shared_data / "sentinel2" / "earthsearch-29RKH-2020-02" / "S2A_29RKH_20200219_0_L2A.json")
    found = one(made, bands=BAND_NAMES)
    assert (found.offset, found.baseline, found.tile) == (0, (2, 14), "29RKH")


def test_a_real_item_of_collection_1_has_its_offset_to_come(shared_data: Path):
    name = "opendatacube+odc-tools__S2B_T37MGP_20240710T073012_L2A_C1.json"
    made = recorded(shared_data / "stac" / "items_other" / name)
    assert "s3" in refusal(made, C1)
    for asset in made["assets"].values():
        asset["href"] = asset["href"].replace("s3://deafrica-sentinel-2-l2a-c1-dev", "https://trusted.example")
    found = one(made, C1.model_copy(update={"allowed_hosts": ("trusted.example",)}), BAND_NAMES)
    assert (found.offset, found.epsg, found.tile) == (-1000, 32737, "37MGP")
    assert found.bounds == (699_960, 9_290_200, 809_760, 9_400_000)


def test_a_real_search_holds_two_processings_of_every_scene_and_one_of_each_is_kept(shared_data: Path):
    pages = [
        recorded(shared_data / "stac" / "decoded" / f"xcube-stac__search_data_searchable_catalog__{n}.json")["response"]
        for n in ("01", "12")
    ]
    items = [made for page in pages for made in page["features"]]
    found = scenes(items, V1, RGB)
    kept = newest_processing(found)
    assert len(found) == 16
    assert len(kept) == 8
    assert len({(one.datatake, one.tile, one.datastrip) for one in found}) == 8
    for one_kept in kept:
        rivals = [one for one in found if (one.datatake, one.tile) == (one_kept.datatake, one_kept.tile)]
        assert one_kept.baseline == max(one.baseline for one in rivals)


# Searching


@pytest.fixture(scope="module")
def catalogue() -> Iterator[str]:
    days = [
        item(f"S2A_{day:02d}", sensed=f"2023-{7 + day // 31:02d}-{1 + day % 31:02d}T10:07:00Z")
        for day in range(40, 170)
    ]
    july = item("july", sensed="2023-07-31T23:59:59Z")
    end = item("end", sensed="2023-09-01T00:00:00Z")
    far = item("far", bounds=(300_000.0, 4_000_000.0, 400_000.0, 4_100_000.0), sensed="2023-08-10T10:00:00Z")
    del days[22:]
    many = [item(f"many_{n:03d}", sensed=f"2023-12-01T10:{n // 60:02d}:{n % 60:02d}Z") for n in range(230)]
    with serve([*days, july, end, far, *many], [COLLECTION]) as url:
        yield url


def test_a_search_finds_what_meets_area_and_window_and_nothing_far_from_either(catalogue: str):
    found = search(CatalogConfig(url=catalogue, profile="plain"), AREA, [AUGUST])
    held = {one["id"] for one in found if AUGUST.holds(sensed(one))}
    assert held == {f"S2A_{day:02d}" for day in range(40, 62)}
    assert {one["id"] for one in found} - held <= {"july", "end"}


def test_a_season_is_searched_year_by_year(tmp_path: Path):
    sensed = {year: f"{year}-08-10T10:07:00Z" for year in (2020, 2021, 2022, 2023, 2024)}
    made = [item(f"in-{year}", sensed=day) for year, day in sensed.items()]
    made += [item(f"between-{year}", sensed=f"{year}-12-10T10:07:00Z") for year in (2021, 2022)]
    summers = Window(start=utc("2021-08-01"), end=utc("2021-09-01"), years=3)
    (tmp_path / "items.json").write_text(json.dumps({"type": "FeatureCollection", "features": made}))
    with serve(made, [COLLECTION]) as url:
        for config in ({"url": url}, {"items": str(tmp_path / "items.json")}):
            found = search(CatalogConfig(profile="plain", **config), AREA, [summers])
            assert [one["id"] for one in found] == ["in-2021", "in-2022", "in-2023"]


def test_a_search_follows_every_page_and_gives_each_item_once(catalogue: str):
    december = Window(start=utc("2023-12-01"), end=utc("2023-12-02"))
    halves = shapely.MultiPolygon([shapely.box(15.0, 46.0, 15.4, 47.0), shapely.box(15.5, 46.0, 16.0, 47.0)])
    found = search(CatalogConfig(url=catalogue, profile="plain"), halves, [december, december])
    assert [one["id"] for one in found] == [f"many_{n:03d}" for n in range(230)]


def test_a_search_of_another_collection_finds_nothing(catalogue: str):
    config = CatalogConfig(url=catalogue, profile="plain", collection="landsat-c2-l2")
    assert search(config, AREA, [AUGUST]) == []


def test_a_plain_catalogue_needs_an_address():
    with pytest.raises(InvalidConfigError, match=r"catalog.url"):
        search(CatalogConfig(profile="plain"), AREA, [AUGUST])


@contextmanager
def answering(answer: Callable[[str, bytes, str], Answer]) -> Iterator[str]:
    """A web server of one's own: `answer` gets path, body and the server's address."""
    with site(lambda asked: answer(asked.path, asked.body, running.address)) as running:
        yield running.address


def landing_page(address: str) -> dict[str, Any]:
    search_link = {"rel": "search", "href": f"{address}/search", "type": "application/geo+json", "method": "POST"}
    classes = ["https://api.stacspec.org/v1.0.0/core", "https://api.stacspec.org/v1.0.0/item-search"]
    root = {"type": "Catalog", "stac_version": "1.0.0", "id": "made", "description": "made", "conformsTo": classes}
    return root | {"links": [{"rel": "root", "href": address}, {"rel": "self", "href": address}, search_link]}


NOT_STAC: dict[str, Answer] = {
    "a page of HTML": Answer(content=b"<html></html>", headers={"Content-Type": "text/html"}),
    "no text": Answer(content=b"\xff\xfe\x00", headers={"Content-Type": "application/json"}),
    "a list": Answer.of_json([]),
    "an empty object": Answer.of_json({}),
    "a torn catalogue": Answer.of_json({"type": "Catalog"}),
    "not found": Answer.of_json({}, 404),
    "not allowed": Answer(status=403, content=b"no key", headers={"Content-Type": "text/html"}),
}


@pytest.mark.parametrize("name", NOT_STAC)
def test_a_catalogue_that_is_no_stac_is_refused_by_address(name: str):
    with answering(lambda *_: NOT_STAC[name]) as url, pytest.raises(InvalidCatalogError, match="STAC API") as caught:
        search(CatalogConfig(url=url), AREA, [AUGUST])
    assert caught.value.where["catalogue"] == url


@pytest.mark.parametrize("features", [["a"], [{}], [None], 3])
def test_an_answer_of_something_else_than_items_is_refused(features: object):
    def answer(path: str, _: bytes, address: str) -> Answer:
        page = {"type": "FeatureCollection", "features": features}
        return Answer.of_json(page if path == "/search" else landing_page(address))

    with answering(answer) as url, pytest.raises(InvalidCatalogError, match="STAC API"):
        search(CatalogConfig(url=url), AREA, [AUGUST])


def test_a_catalogue_without_search_is_refused():
    with (
        answering(
            lambda _path, _body, address: Answer.of_json(landing_page(address) | {"conformsTo": [], "links": []})
        ) as url,
        pytest.raises(InvalidCatalogError, match="STAC API"),
    ):
        search(CatalogConfig(url=url), AREA, [AUGUST])


@pytest.mark.parametrize("url", ["no address", "s3://bucket/catalog", "http://"])
def test_an_address_that_is_no_catalogues_is_refused(url: str):
    with pytest.raises(InvalidConfigError, match=r"key url: .*an address by http") as caught:
        parse(CatalogConfig, {"url": url})
    assert url in str(caught.value)


@pytest.mark.usefixtures("at_once")
def test_keys_in_the_address_of_a_catalogue_are_not_repeated():
    with pytest.raises(CatalogAwayError) as caught:
        search(CatalogConfig(url="http://user:secret@127.0.0.1:9/?key=secret"), AREA, [AUGUST])
    assert "secret" not in str(caught.value)


def test_a_last_page_that_still_carries_a_next_link_ends_the_search():
    def answer(path: str, body: bytes, address: str) -> Answer:
        if path != "/search":
            return Answer.of_json(landing_page(address))
        page = int(json.loads(body).get("next", 0))
        link = {"rel": "next", "method": "POST", "href": f"{address}/search", "body": {"next": page + 1}, "merge": True}
        features = [item(f"S2A_{page}")] if page < 3 else []
        return Answer.of_json({"type": "FeatureCollection", "features": features, "links": [link]})

    with answering(answer) as url:
        found = search(CatalogConfig(url=url, profile="plain"), AREA, [AUGUST])
    assert [one["id"] for one in found] == ["S2A_0", "S2A_1", "S2A_2"]
