"""A catalogue that is busy or away for a moment is waited for, wherever it is asked; one that stays away is said to."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest
import shapely
from helpers.scenes import item
from helpers.webserver import Answer, give, listening

from landslide_scale.errors import CatalogAwayError, InvalidCatalogError
from landslide_scale.reading.asking import ATTEMPTS
from landslide_scale.scene import Window, utc
from landslide_scale.stac.search import search, search_anytime, search_ids
from landslide_scale.stac.settings import CatalogConfig, DemConfig

pytestmark = pytest.mark.usefixtures("at_once")

AREA = shapely.box(15.0, 46.0, 15.5, 46.5)
AUGUST = Window(start=utc("2023-08-01"), end=utc("2023-09-01"))
PAGES = 3


@dataclass
class Busy:
    """A STAC API of three pages that fails the first `times` of the requests to a place, which is a path and a page.

    Attributes:
        place: ``/``, or ``/search`` with the number of a page.
        status: Of a failure.
        asked: What it was asked: method and place.
    """

    place: str
    status: int
    times: float = 2
    content: bytes = b'{"message": "later"}'
    asked: list[tuple[str, str]] = field(default_factory=list)

    def handle(self, handler: BaseHTTPRequestHandler) -> None:
        body = json.loads(handler.rfile.read(int(handler.headers.get("Content-Length") or 0)) or b"{}")
        page = int(body.get("page", 0))
        place = f"/search {page}" if handler.path == "/search" else "/"
        self.asked.append((handler.command, place))
        failed = sum(one == self.place for _, one in self.asked)
        if place == self.place and failed <= self.times:
            give(handler, Answer(status=self.status, content=self.content))
        else:
            give(handler, Answer.of_json(self.page(page) if handler.path == "/search" else self.landing()))

    def landing(self) -> dict[str, Any]:
        classes = ["https://api.stacspec.org/v1.0.0/core", "https://api.stacspec.org/v1.0.0/item-search"]
        link = {"rel": "search", "href": f"{self.address}/search", "type": "application/geo+json", "method": "POST"}
        root = {"rel": "root", "href": self.address}
        known = {"type": "Catalog", "stac_version": "1.0.0", "id": "made", "description": "made"}
        return known | {"conformsTo": classes, "links": [root, link]}

    def page(self, number: int) -> dict[str, Any]:
        onward = {"rel": "next", "method": "POST", "href": f"{self.address}/search", "body": {"page": number + 1}}
        links = [onward | {"merge": True}] if number + 1 < PAGES else []
        return {"type": "FeatureCollection", "features": [item(f"S2A_{number}")], "links": links}

    address: str = ""


@contextmanager
def served(busy: Busy) -> Iterator[CatalogConfig]:
    with listening(busy.handle) as busy.address:
        yield CatalogConfig(url=busy.address, profile="plain")


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
@pytest.mark.parametrize("place", ["/", "/search 0", "/search 1", "/search 2"])
def test_a_catalogue_that_is_busy_for_a_moment_gives_all_its_items(place: str, status: int):
    busy = Busy(place, status)
    with served(busy) as config:
        found = search(config, AREA, [AUGUST])
    assert [one["id"] for one in found] == ["S2A_0", "S2A_1", "S2A_2"]
    assert sum(one == place for _, one in busy.asked) == 3
    assert {method for method, one in busy.asked if one != "/"} == {"POST"}


def test_items_of_an_elevation_model_and_items_asked_for_again_are_waited_for_alike():
    for ask in (
        lambda url: search_anytime(
            DemConfig(profile="plain", url=url, collection="sentinel-2-l2a", asset="data"), AREA
        ),
        lambda url: search_ids(CatalogConfig(url=url, profile="plain"), ["S2A_0", "S2A_1", "S2A_2"]),
    ):
        busy = Busy("/search 1", 503)
        with served(busy):
            assert len(ask(busy.address)) == PAGES


@pytest.mark.parametrize("place", ["/", "/search 0", "/search 1"])
def test_what_lasts_is_a_kind_of_its_own_with_another_exit_code_than_wrong_input(place: str):
    busy = Busy(place, 503, times=99)
    with served(busy) as config, pytest.raises(CatalogAwayError) as caught:
        search(config, AREA, [AUGUST])
    assert caught.value.exit_code == 1
    assert str(caught.value) == (
        f"catalogue {busy.address}: HTTP status 503, {ATTEMPTS} times; expected an answer of a STAC API. "
        "Run the same command again later, or correct the address."
    )
    assert sum(one == place for _, one in busy.asked) == ATTEMPTS


@pytest.mark.parametrize(
    ("status", "content"),
    [
        (400, b"bad"),
        (401, b"who"),
        (403, b"no"),
        (404, b"gone"),
        (200, b"<html></html>"),
        (200, b"[1, 2]"),
    ],
)
@pytest.mark.parametrize("place", ["/", "/search 1"])
def test_what_will_not_pass_is_wrong_input_after_one_request(place: str, status: int, content: bytes):
    busy = Busy(place, status, times=99, content=content)
    with served(busy) as config, pytest.raises(InvalidCatalogError, match="STAC API") as caught:
        search(config, AREA, [AUGUST])
    assert caught.value.exit_code == 2
    assert sum(one == place for _, one in busy.asked) == 1


def test_a_catalogue_that_is_not_there_is_away():
    with pytest.raises(CatalogAwayError, match="Connection refused") as caught:
        search(CatalogConfig(url="http://127.0.0.1:9", profile="plain"), AREA, [AUGUST])
    assert caught.value.where == {"catalogue": "http://127.0.0.1:9"}
