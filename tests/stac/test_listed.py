"""Items in files instead of an API: of every form, found as an API finds them, with full addresses, or refused."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import shapely
from helpers.scenes import COLLECTION, item
from helpers.webserver import Answer, site

from landslide_scale.demo.satellite.stac_server import serve
from landslide_scale.errors import InvalidCatalogError, InvalidConfigError, InvalidInputError, StorageAwayError
from landslide_scale.scene import Window, utc
from landslide_scale.stac import listed
from landslide_scale.stac.frozen import DEM, freeze, load_items, with_addresses
from landslide_scale.stac.items import OWN_PREFIX, scenes, with_evidence
from landslide_scale.stac.radiometry import Evidence
from landslide_scale.stac.search import search, search_anytime, search_ids
from landslide_scale.stac.settings import CatalogConfig, DemConfig
from landslide_scale.storage import inputs
from landslide_scale.storage.absence import patient
from landslide_scale.storage.rundir import RunDirectory
from landslide_scale.strictyaml import parse

AUGUST = Window(start=utc("2023-08-01"), end=utc("2023-09-01"))
AREA = shapely.box(15.0, 46.0, 16.0, 47.0)
ASSETS = {"red": "./B04.tif", "scl": "SCL/scl.tif"}
FAR = (300_000.0, 4_000_000.0, 400_000.0, 4_100_000.0)


def made() -> list[dict[str, Any]]:
    return [
        item("a", assets=ASSETS),
        item("b", assets=ASSETS, sensed="2023-08-31T23:59:59.999Z"),
        item("july", assets=ASSETS, sensed="2023-07-31T23:59:59Z"),
        item("september", assets=ASSETS, sensed="2023-09-02T00:00:00Z"),
        item("far", assets=ASSETS, bounds=FAR),
    ]


def config(items: Path | str, **more: Any) -> CatalogConfig:  # noqa: ANN401
    return CatalogConfig(profile="plain", items=str(items), **more)


def found(items: Path | str, **more: Any) -> list[str]:  # noqa: ANN401
    return [one["id"] for one in search(config(items, **more), AREA, [AUGUST])]


def collected(items: Sequence[dict[str, Any]]) -> str:
    return json.dumps({"type": "FeatureCollection", "features": items})


def as_collection(folder: Path, items: list[dict[str, Any]]) -> Path:
    path = folder / "items.json"
    path.write_text(collected(items), encoding="utf-8-sig")
    return path


def as_lines(folder: Path, items: list[dict[str, Any]]) -> Path:
    path = folder / "items.ndjson"
    path.write_text("\n".join(json.dumps(one) for one in items) + "\n\n")
    return path


def as_list(folder: Path, items: list[dict[str, Any]]) -> Path:
    path = folder / "items.geojson"
    path.write_text(json.dumps(items))
    return path


def as_parquet(folder: Path, items: list[dict[str, Any]]) -> Path:
    freeze(RunDirectory(str(folder)), items)
    return folder / "scenes.parquet"


def as_folder(folder: Path, items: list[dict[str, Any]]) -> Path:
    """As a static catalogue lays them out, with files of its own beside them."""
    root = folder / "catalogue"
    root.mkdir()
    (root / "catalog.json").write_text(json.dumps({"type": "Catalog", "id": "root", "links": []}))
    (root / "collection.json").write_text(json.dumps(COLLECTION))
    for one in items:
        (root / one["id"]).mkdir()
        (root / one["id"] / "item.json").write_text(json.dumps(one))
    return root


def as_pattern(folder: Path, items: list[dict[str, Any]]) -> Path:
    root = as_folder(folder, items)
    for one in items:
        (root / one["id"] / "item_as_published.json").write_text(json.dumps(one | {"assets": {}}))
    return root / "*" / "item.json"


FORMS: dict[str, Callable[[Path, list[dict[str, Any]]], Path]] = {
    "an ItemCollection": as_collection,
    "a list": as_list,
    "one Item a line": as_lines,
    "stac-geoparquet": as_parquet,
    "a folder": as_folder,
    "a pattern": as_pattern,
}


@pytest.mark.parametrize("form", FORMS)
def test_items_in_files_of_any_form_are_those_that_a_search_of_an_api_finds(tmp_path: Path, form: str):
    path = FORMS[form](tmp_path, made())
    with serve(made(), [COLLECTION]) as url:
        wanted = [one["id"] for one in search(CatalogConfig(profile="plain", url=url), AREA, [AUGUST])]
    assert [name for name in wanted if name in {"a", "b"}] == ["a", "b"]
    assert found(path) == ["a", "b"]
    assert {*wanted} - {"a", "b"} <= {"july"}  # an API may answer by the minute


def test_one_item_is_a_file_too(tmp_path: Path):
    path = tmp_path / "a.json"
    path.write_text(json.dumps(made()[0]))
    assert found(path) == ["a"]


@pytest.mark.parametrize("form", FORMS)
def test_a_relative_address_is_resolved_against_the_file_that_holds_the_item(tmp_path: Path, form: str):
    path = FORMS[form](tmp_path, made()[:1])
    folder = path.parent if path.suffix else path
    holds = folder / "a" if form == "a folder" else tmp_path / "catalogue" / "a" if form == "a pattern" else folder
    (one,) = search(config(path), AREA, [AUGUST])
    assert {name: asset["href"] for name, asset in one["assets"].items()} == {
        "red": f"{holds}/B04.tif", "scl": f"{holds}/SCL/scl.tif"
    }  # fmt: skip
    (scene,) = scenes([one], config(path, allowed_roots=(str(tmp_path),)), ("red",))
    assert scene.href("red") == str((holds / "B04.tif").resolve())
    with pytest.raises(InvalidCatalogError, match="allowed_roots"):
        scenes([one], config(path), ("red",))


@pytest.mark.parametrize(
    ("file", "href", "full"),
    [
        ("s3://bucket/x/item.json", "./B04.tif", "s3://bucket/x/B04.tif"),
        ("s3://bucket/x/item.json", "../B04.tif", "s3://bucket/B04.tif"),
        ("https://host.example/x/item.json?sig=1", "B04.tif?sig=2", "https://host.example/x/B04.tif?sig=2"),
        ("https://host.example/x/item.json", "/B04.tif", "https://host.example/B04.tif"),
        ("/x/item.json", "../../../etc/B04.tif", "/etc/B04.tif"),
        ("/x/item.json", "/B04.tif", "/B04.tif"),
        ("/x/item.json", "https://host.example/B04.tif", "https://host.example/B04.tif"),
        ("/x/item.json", "/vsicurl/https://host.example/B04.tif", "/vsicurl/https://host.example/B04.tif"),
        ("/x/item.json", "GTIFF_DIR:1:/etc/passwd", "GTIFF_DIR:1:/etc/passwd"),
        ("/x/item.json", "file:///y/B04.tif", "file:///y/B04.tif"),
        ("/x/item.json", "", ""),
    ],
)
def test_only_a_relative_address_is_changed(file: str, href: str, full: str):
    assert listed._full(href, file) == full


def test_items_are_read_by_url_and_their_relative_addresses_are_urls_too():
    files = fsspec.filesystem("memory")
    files.pipe_file("/listed/deep/a.json", json.dumps(made()[0]).encode())
    (one,) = search(config("memory://listed"), AREA, [AUGUST])
    assert one["assets"]["red"]["href"] == "memory:///listed/deep/B04.tif"


def test_items_are_read_by_http_and_their_assets_are_held_to_the_hosts_that_the_user_named():
    content = json.dumps(made()[0]).encode()
    with site(lambda _: Answer(content=content)) as running:
        url = f"{running.address}/x/a.json?key=secret"
        (one,) = search(config(url), AREA, [AUGUST])
        assert one["assets"]["red"]["href"] == f"{running.address}/x/B04.tif"
        with pytest.raises(InvalidCatalogError, match="allowed_hosts"):
            scenes([one], config(url), ("red",))
        assert scenes([one], config(url, allowed_hosts=("127.0.0.1:*",)), ("red",))


# What a file may say


def test_an_item_that_does_not_say_where_or_when_is_handed_on_to_be_named_where_it_is_used(tmp_path: Path):
    odd = [item("nowhere"), item("never"), item("sometime")]
    odd[0]["geometry"] = None
    del odd[1]["properties"]["datetime"]
    odd[2]["properties"]["datetime"] = "yesterday"
    assert found(as_collection(tmp_path, [*made(), *odd])) == ["a", "b", "never", "nowhere", "sometime"]


def test_a_footprint_on_either_side_of_the_antimeridian_is_found_on_both(tmp_path: Path):
    beyond = item("beyond")
    beyond["geometry"] = json.loads(shapely.to_geojson(shapely.box(179.5, 46.0, 180.5, 47.0)))
    path = as_collection(tmp_path, [beyond])
    for area in (shapely.box(179.6, 46.1, 180.0, 46.2), shapely.box(-180.0, 46.1, -179.6, 46.2)):
        assert [one["id"] for one in search(config(path), area, [AUGUST])] == ["beyond"]
    assert search(config(path), shapely.box(-179.4, 46.1, -179.0, 46.2), [AUGUST]) == []


def test_items_of_another_collection_are_left_out_and_those_that_name_none_are_taken(tmp_path: Path):
    other, none = item("other") | {"collection": "landsat-c2-l2"}, item("none")
    del none["collection"]
    path = as_collection(tmp_path, [other, none, *made()])
    assert found(path) == ["a", "b", "none"]
    assert found(path, collection="landsat-c2-l2") == ["none", "other"]


def test_a_file_of_other_collections_alone_is_refused_by_their_names(tmp_path: Path):
    path = as_collection(tmp_path, made())
    with pytest.raises(InvalidCatalogError, match=r"sentinel-2-l2a.*expected sentinel-2-c1-l2a.*catalog.collection"):
        search(CatalogConfig(profile="earth-search-c1", items=str(path)), AREA, [AUGUST])


def test_words_of_this_package_in_a_runs_items_are_not_believed(tmp_path: Path):
    told = with_evidence(item("a", assets=ASSETS), Evidence(verdict="removed", figures="made up"))
    (one,) = search(config(as_parquet(tmp_path, [told])), AREA, [AUGUST])
    assert not [key for key in one["properties"] if key.startswith(OWN_PREFIX)]
    assert load_items(RunDirectory(str(tmp_path)))[0]["properties"][f"{OWN_PREFIX}offset_verdict"] == "removed"


def test_a_runs_items_whose_signatures_were_cut_are_refused_and_not_planned_with(tmp_path: Path):
    signed = item("a", assets={band: f"https://host.example/{band}.tif?sig=1" for band in ("red", "scl")})
    path = as_parquet(tmp_path, [signed])
    with pytest.raises(InvalidCatalogError, match=r"scene a.*without the signatures"):
        search(config(path), AREA, [AUGUST])


def test_a_resumed_run_asks_the_files_for_the_signatures_that_it_did_not_keep(tmp_path: Path):
    signed = item("a", assets={band: f"https://host.example/{band}.tif?sig=1" for band in ("red", "scl")})
    files = config(as_collection(tmp_path, [signed]))
    freeze(RunDirectory(str(tmp_path / "run")), search(files, AREA, [AUGUST]))
    (frozen,) = with_addresses(load_items(RunDirectory(str(tmp_path / "run"))), files)
    assert frozen["assets"]["red"]["href"] == "https://host.example/red.tif?sig=1"
    assert set(search_ids(files, ["a", "gone"])) == {"a"}


def test_one_id_twice_is_refused_unless_it_is_the_same_item(tmp_path: Path):
    one = item("a", assets={"red": "/data/red.tif"})
    path = as_collection(tmp_path, [one, dict(one)])
    assert found(path) == ["a"]
    (tmp_path / "other.json").write_text(json.dumps(one | {"assets": {}}))
    with pytest.raises(InvalidCatalogError, match=r"id a: in .*items.json and .*other.json.*\*/item.json"):
        found(tmp_path)


def test_an_elevation_models_items_may_be_in_files_too(tmp_path: Path):
    tile = item("tile", assets={"data": "./dem.tif"}) | {"collection": "cop-dem-glo-30"}
    tile["properties"] = {"datetime": None}
    freeze(RunDirectory(str(tmp_path)), [tile], DEM)
    files = DemConfig(items=str(tmp_path / DEM))
    assert [one["id"] for one in search_anytime(files, AREA)] == ["tile"]
    assert search_anytime(files, shapely.box(20, 46, 21, 47)) == []


# What is refused


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.json", "{"),
        ("a.json", "[" * 100_000),
        ("a.json", "{}"),
        ("a.json", "[]x"),
        ("a.json", '{"type": "FeatureCollection", "features": [{"type": "Feature", "properties": {}}]}'),
        ("a.json", '{"type": "FeatureCollection"}'),
        ("a.json", collected([item("a"), {"id": "b"}])),
        ("a.json", json.dumps(item("a") | {"assets": {"red": {}}})),
        ("a.ndjson", json.dumps(item("a")) + "\n{"),
        ("a.ndjson", json.dumps(item("a")) + "\n3"),
        ("a.parquet", "PAR1"),
        ("a.json", "\xff"),
    ],
)
def test_a_file_of_something_else_is_refused_by_its_name(tmp_path: Path, name: str, content: str):
    (tmp_path / name).write_bytes(content.encode("latin-1"))
    with pytest.raises(InvalidCatalogError) as caught:
        found(tmp_path / name)
    assert caught.value.where == {"file": str(tmp_path / name)}


def test_a_parquet_file_of_something_else_is_refused_by_its_name(tmp_path: Path):
    pq.write_table(pa.table({"x": [1]}), tmp_path / "a.parquet")
    with pytest.raises(InvalidCatalogError, match=r"a\.parquet"):
        found(tmp_path / "a.parquet")


@pytest.mark.parametrize("items", ["nowhere", "nowhere.json", "s4://bucket/items.json"])
def test_files_that_are_not_there_are_refused_by_their_name(tmp_path: Path, items: str):
    with pytest.raises(InvalidInputError, match=items):
        found(items if "://" in items else tmp_path / items)


def test_a_folder_behind_http_is_refused_for_it_cannot_be_listed():
    with pytest.raises(InvalidInputError, match="folder behind http"):
        found("https://host.example/items/")


def test_a_server_of_files_that_is_not_there_is_away_and_the_keys_of_its_address_are_not_repeated():
    with pytest.raises(StorageAwayError, match="127") as caught, patient(0):
        found("http://user:secret@127.0.0.1:9/items.json?key=secret")
    assert "secret" not in str(caught.value)


def test_files_of_a_folder_that_hold_no_items_are_named(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    root = as_folder(tmp_path, made())
    (root / "tileinfo.json").write_text('{"path": "tiles/33/T/WM"}')
    with caplog.at_level(logging.WARNING):
        assert found(root) == ["a", "b"]
    assert "1 of 8 files" in caplog.text
    assert "tileinfo.json" in caplog.text
    assert "catalog.json" not in caplog.text


def test_files_and_items_beyond_the_limits_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    collection, parquet = as_collection(tmp_path, made()), as_parquet(tmp_path, made())
    monkeypatch.setattr(listed, "MOST_ITEMS", 4)
    for path in (collection, parquet):
        with pytest.raises(InvalidCatalogError, match="more than 4 Items"):
            found(path)
    monkeypatch.setattr(listed, "MOST_ITEMS", 5)
    monkeypatch.setattr(listed, "MOST_INFLATED", 100)
    with pytest.raises(InvalidCatalogError, match="once inflated"):
        found(parquet)
    monkeypatch.setattr(inputs, "MOST_BYTES", 1000)
    with pytest.raises(InvalidInputError, match="more than 1,000 bytes"):
        found(collection)


@pytest.mark.parametrize("kind", [CatalogConfig, DemConfig])
def test_files_and_an_api_at_once_are_refused(kind: Any):  # noqa: ANN401
    with pytest.raises(InvalidConfigError, match=r"items: both items and url"):
        parse(kind, {"items": "items.json", "url": "https://catalogue.example"})
