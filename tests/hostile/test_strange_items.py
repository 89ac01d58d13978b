"""Items that no table can hold: set aside by name, before anything native sees them or a run has begun."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import shapely
from helpers.scenes import item
from helpers.webserver import Answer, Asked, site

from landslide_scale.errors import InvalidCatalogError
from landslide_scale.scene import Window, utc
from landslide_scale.stac.dem import tiles
from landslide_scale.stac.form import MOST_DEPTH, formed
from landslide_scale.stac.frozen import check_freezable, freeze, load_items
from landslide_scale.stac.items import sorted_out
from landslide_scale.stac.search import search
from landslide_scale.stac.settings import CatalogConfig, DemConfig
from landslide_scale.storage.rundir import RunDirectory

pytestmark = pytest.mark.hostile

AUGUST = Window(start=utc("2023-08-01"), end=utc("2023-09-01"))
AREA = shapely.box(15.0, 46.0, 16.0, 47.0)
ASSETS = {"red": "http://127.0.0.1/red.tif", "scl": "http://127.0.0.1/scl.tif"}


def good(name: str, **properties: object) -> dict[str, Any]:
    made = item(name, assets=ASSETS)
    return made | {
        "properties": made["properties"] | {key.replace("__", ":"): said for key, said in properties.items()}
    }


def saying(**properties: object) -> dict[str, Any]:
    return good("S2A_odd", **properties)


def nested(depth: int, inner: object = 1) -> object:
    for _ in range(depth):
        inner = {"a": inner}
    return inner


def listed(depth: int) -> object:
    inner: object = 1
    for _ in range(depth):
        inner = [inner]
    return inner


ODD: dict[str, tuple[dict[str, Any], str]] = {
    "mappings 30 deep": (saying(x=nested(30)), "nested more than"),
    "mappings 100 deep": (saying(x=nested(100)), "nested more than"),
    "mappings 200 deep": (saying(x=nested(200)), "nested more than"),
    "mappings 450 deep": (saying(x=nested(450)), "nested more than"),
    "lists 200 deep": (saying(x=listed(200)), "nested more than"),
    "an asset 200 deep": (
        saying() | {"assets": {name: {"href": href, "x": nested(200)} for name, href in ASSETS.items()}},
        "nested more than",
    ),
    "a geometry 200 deep": (
        saying() | {"geometry": {"type": "Polygon", "coordinates": listed(200)}},
        "nested more than",
    ),
    "a foreign member 200 deep": (saying() | {"zzz": nested(200)}, "nested more than"),
    "an empty mapping": (saying(x={}), "properties.x is an empty mapping"),
    "an empty mapping within": (saying(x={"y": {}}), "properties.x.y is an empty mapping"),
    "a list of two kinds": (saying(x=[1, "a"]), "a number beside text"),
    "a list of numbers and lists": (saying(x=[1, [2]]), "a number beside a list"),
    "a list of mappings of two kinds": (saying(x=[{"a": 1}, {"a": "b"}]), "a number beside text"),
    "a number of 400 digits": (saying(x=10**400), "more than 64 bits"),
    "a number of 5000 digits": (saying(x=[10**4000]), "more than 64 bits"),
    "a number of 65 bits": (saying(x=2**64), "more than 64 bits"),
    "cloud cover of 400 digits": (saying(eo__cloud_cover=10**400), "more than 64 bits"),
    "half a character": (saying(x="\ud800"), "half a character"),
    "half a character in a name": (saying(**{"\ud800": 1}), "half a character"),
    "a thousand values too many": (saying(x=list(range(21_000))), "more than 20,000 values"),
    "a version that is a number": (saying() | {"stac_version": 7}, "stac_version is a number"),
    "extensions that are a number": (saying() | {"stac_extensions": 7}, "stac_extensions"),
    "a collection that is a number": (saying() | {"collection": 7}, "collection is a number"),
    "a null asset": (saying() | {"assets": {"thumbnail": None, **{n: {"href": h} for n, h in ASSETS.items()}}}, "href"),
    "an asset without href": (saying() | {"assets": {"x": {}, **{n: {"href": h} for n, h in ASSETS.items()}}}, "href"),
    "links that are a mapping": (saying() | {"links": {}}, "links"),
    "a link of a number": (saying() | {"links": [{"rel": 1}]}, "links"),
    "a box of texts": (saying() | {"bbox": ["a", "b", "c", "d"]}, "bbox"),
    "an instant that is none": (saying(created="yesterday"), "properties.created is no instant"),
    "a property named id": (saying(id="other"), "properties.id would take the place"),
    "a property named assets": (saying(assets={"red": {"href": "http://127.0.0.2/x.tif"}}), "properties.assets"),
    "a property named geometry": (saying(geometry="x"), "properties.geometry would take the place"),
    "a property named collection": (saying(collection="other"), "properties.collection would take the place"),
    "no properties": (saying() | {"properties": None}, "properties is nothing"),
    "assets that are a list": (saying() | {"assets": []}, "assets is a list"),
}


@contextmanager
def api(items: list[Any]) -> Iterator[CatalogConfig]:
    """A catalogue that gives these Items, whatever they are."""
    text = json.dumps({"type": "FeatureCollection", "features": items, "links": []})

    def answer(asked: Asked) -> Answer:
        if asked.path == "/search":
            return Answer(content=text.encode(), headers={"Content-Type": "application/json"})
        link = {"rel": "search", "href": f"{running.address}/search", "type": "application/geo+json", "method": "POST"}
        classes = ["https://api.stacspec.org/v1.0.0/core", "https://api.stacspec.org/v1.0.0/item-search"]
        root = {"type": "Catalog", "stac_version": "1.0.0", "id": "made", "description": "made", "conformsTo": classes}
        return Answer.of_json(root | {"links": [link]})

    with site(answer) as running:
        yield CatalogConfig(url=running.address, profile="plain", allowed_hosts=("127.0.0.1",))


@contextmanager
def files(items: list[Any], folder: Path) -> Iterator[CatalogConfig]:
    path = folder / "items.json"
    path.write_text(json.dumps({"type": "FeatureCollection", "features": items}))
    yield CatalogConfig(items=str(path), profile="plain", allowed_hosts=("127.0.0.1",))


def kept(found: list[dict[str, Any]], config: CatalogConfig, folder: Path) -> tuple[list[str], list[str], str]:
    """What a run comes to of Items: ids of those it froze, of those it set aside, and why."""
    sorted_items = sorted_out(found, config, ("red",))
    check_freezable(sorted_items.items)
    run = RunDirectory(str(folder / "run"))
    freeze(run, sorted_items.items)
    reasons = "; ".join(scene.quarantine for scene in sorted_items.rejected)
    return [one["id"] for one in load_items(run)], [scene.id for scene in sorted_items.rejected], reasons


@pytest.mark.parametrize("name", ODD)
def test_an_odd_item_of_a_catalogue_is_set_aside_by_name_and_the_others_are_used(tmp_path: Path, name: str):
    odd, said = ODD[name]
    with api([good("S2A_1"), odd, good("S2B_2")]) as config:
        frozen, aside, reasons = kept(search(config, AREA, [AUGUST]), config, tmp_path)
    assert frozen == ["S2A_1", "S2B_2"]
    assert aside == ["S2A_odd"]
    assert said in reasons
    assert reasons.isprintable()
    assert len(reasons) < 1000


@pytest.mark.parametrize(
    "name",
    [name for name in ODD if "asset" not in name and name not in {"no properties", "a collection that is a number"}],
)
def test_an_odd_item_of_a_file_is_set_aside_alike(tmp_path: Path, name: str):
    odd, said = ODD[name]
    with files([good("S2A_1"), odd], tmp_path) as config:
        frozen, aside, reasons = kept(search(config, AREA, [AUGUST]), config, tmp_path)
    assert (frozen, aside) == (["S2A_1"], ["S2A_odd"])
    assert said in reasons


def test_what_is_of_another_kind_than_in_most_items_is_set_aside(tmp_path: Path):
    found = [good("S2A_1", x=1), good("S2A_2", x=2.5), good("S2A_3", x="three"), good("S2A_4"), good("S2A_5", x=None)]
    with api(found) as config:
        frozen, aside, reasons = kept(search(config, AREA, [AUGUST]), config, tmp_path)
    assert frozen == ["S2A_1", "S2A_2", "S2A_4", "S2A_5"]
    assert aside == ["S2A_3"]
    assert "properties.x is text, and a number in most Items" in reasons


def test_an_item_without_a_name_and_what_is_no_item_are_set_aside(tmp_path: Path):
    with api([good("S2A_1"), good("x") | {"id": ["x"]}]) as config:
        frozen, aside, _ = kept(search(config, AREA, [AUGUST]), config, tmp_path)
    assert frozen == ["S2A_1"]
    assert len(aside) == 1


def test_an_odd_tile_of_an_elevation_model_is_refused_by_name():
    (odd,) = formed([good("N46") | {"properties": {"datetime": "2020-01-01T00:00:00Z", "x": nested(200)}}])
    with pytest.raises(InvalidCatalogError, match="nested more than") as caught:
        tiles([odd], DemConfig(profile="plain", allowed_hosts=("127.0.0.1",)))
    assert "N46" in str(caught.value)


def test_items_that_still_do_not_fit_one_table_are_refused_before_a_run_has_begun():
    with pytest.raises(InvalidCatalogError, match="do not fit one table"):
        check_freezable([good("S2A_1", x=1), good("S2A_2", x="a")])


BUILDING: dict[str, Callable[[], object]] = {
    "mappings": lambda: nested(MOST_DEPTH - 4),
    "lists": lambda: listed(MOST_DEPTH - 4),
}


@pytest.mark.parametrize("name", BUILDING)
def test_what_is_as_deep_as_may_be_is_kept(tmp_path: Path, name: str):
    with api([good("S2A_1", x=BUILDING[name]())]) as config:
        found = search(config, AREA, [AUGUST])
        frozen, aside, _ = kept(found, config, tmp_path)
    assert (frozen, aside) == (["S2A_1"], [])
    assert load_items(RunDirectory(str(tmp_path / "run")))[0]["properties"]["x"] == BUILDING[name]()


def test_an_item_as_catalogues_write_them_is_as_it_was():
    known = [good("S2A_1", eo__bands=[{"name": "B04", "center_wavelength": 0.665}], s2__words="Größe", n=None)]
    assert formed(known) == known
