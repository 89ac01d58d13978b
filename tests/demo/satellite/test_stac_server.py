import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pystac_client
import pytest
import shapely
from shapely.geometry import shape

from landslide_scale.demo.satellite import stac_server
from landslide_scale.demo.satellite.stac_server import serve
from landslide_scale.demo.world import World, catalog_server
from landslide_scale.errors import BrokenRunError, InvalidInputError


@pytest.fixture(scope="module")
def url(world: World) -> Iterator[str]:
    with catalog_server(world) as address:
        yield address


def _found(url: str, **query: object) -> list[str]:
    return [item.id for item in pystac_client.Client.open(url).search(**query).items()]


@pytest.mark.parametrize("limit", [1, 2, 3, 4, 100])
def test_a_search_returns_every_item_once_however_it_is_paged(world: World, url: str, limit: int):
    found = _found(url, collections=[world.collection], limit=limit)
    assert sorted(found) == [item["id"] for item in world.items()]


def test_a_search_by_place_and_time_returns_just_what_is_there_then(world: World, url: str):
    everything = [item["id"] for item in world.items()]
    corner = shapely.box(17.955, 46.04, 17.96, 46.05)
    there = [item["id"] for item in world.items() if shapely.intersects(shape(item["geometry"]), corner)]
    assert {name[4:9] for name in there} == {"33TZM"}
    assert sorted(_found(url, bbox=corner.bounds)) == there
    assert sorted(_found(url, intersects=corner)) == there
    assert _found(url, bbox=(10.0, 46.0, 10.1, 46.1)) == []
    after = [item for item in everything if "20230815" in item]
    assert sorted(_found(url, datetime=(world.after.start, world.after.end))) == after


def test_the_last_page_has_no_next_link(world: World, url: str):
    pages = list(pystac_client.Client.open(url).search(collections=[world.collection], limit=3).pages_as_dicts())
    links = [[link["rel"] for link in page["links"]] for page in pages]
    assert "next" in links[0]
    assert "next" not in links[-1]


def test_hrefs_and_properties_come_back_as_they_went_in(world: World, url: str):
    served = {item["id"]: item for item in pystac_client.Client.open(url).search().items_as_dicts()}
    for item in world.items():
        assert served[item["id"]]["assets"] == item["assets"]
        assert served[item["id"]]["properties"] == item["properties"]


def test_the_server_ends_with_the_block_whatever_ends_it(world: World):
    for error in (RuntimeError, KeyboardInterrupt):
        with pytest.raises(error), catalog_server(world) as url:
            raise error
        with pytest.raises(urllib.error.URLError):
            urllib.request.urlopen(url, timeout=2)  # noqa: S310


def test_an_item_of_no_served_collection_is_refused(world: World):
    with pytest.raises(InvalidInputError, match="made-sentinel"), serve(world.items(), []):
        pass


def test_a_server_that_fails_says_why(world: World):
    broken = [{**world.collections()[0], "extent": "everywhere"}]
    with pytest.raises(BrokenRunError, match="stderr"), serve([], broken):
        pass


def test_a_server_that_is_too_slow_is_stopped(world: World, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(stac_server, "_answers", lambda _: False)
    with pytest.raises(BrokenRunError, match="did not answer"), serve([], world.collections(), within_s=0.3):
        pass


def test_real_items_are_served_too(shared_data: Path):
    folder = shared_data / "sentinel2" / "earthsearch-33T-2023-08"
    items = [json.loads(path.read_text("utf-8")) for path in sorted(folder.glob("*/item.json"))]
    assert len(items) == 7
    collection = {
        "type": "Collection", "stac_version": "1.0.0", "id": "sentinel-2-l2a",
        "description": "real", "license": "other",
        "extent": {"spatial": {"bbox": [[14, 45, 17, 47]]}, "temporal": {"interval": [["2023-08-01T00:00:00Z", None]]}},
        "links": [],
    }  # fmt: skip
    with serve(items, [collection]) as url:
        assert sorted(_found(url, limit=3)) == sorted(item["id"] for item in items)
        served = next(pystac_client.Client.open(url).search(ids=[items[0]["id"]]).items_as_dicts())
    assert served["assets"]["red"]["href"] == items[0]["assets"]["red"]["href"]
