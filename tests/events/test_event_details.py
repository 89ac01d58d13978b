"""Which ShakeMap and which landslide model count, of the real events and of made ones."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from itertools import permutations
from typing import Any

import pytest
from helpers.quakes import feature, product

from landslide_scale.errors import InvalidFeedError
from landslide_scale.events.detail import SHAKEMAP, landslide_model, parse_detail, preferred

REAL = {
    "ci3144585": ("events/fdsn_detail_ci3144585.json", "atlas 1", "ci3144585", "8.794", "jessee_2017"),
    "nc72282711": ("events/fdsn_detail_nc72282711.json", "atlas 1", "nc72282711", "8.037", "jessee_2017"),
    "us2000ar20": ("events/fdsn_detail_us2000ar20.json", "atlas 1", "us2000ar20", "7.844", "jessee_2017"),
    "us2000h8ty": ("events/fdsn_detail_us2000h8ty.json", "atlas 1", "us2000h8ty", "8.541", "jessee_2017"),
    "us10004u1y": ("events/us10004u1y_details.json", "us 4", "us10004u1y", "3.07", None),
}
"""Of each event its file, the ShakeMap that counts (version, code, strongest shaking), its landslide model."""

HOKKAIDO = (
    ("2018-09-05T18:00", None, None),
    ("2018-09-05T19:00", "us 1", "6.86"),
    ("2018-09-05T20:00", "us 2", "6.8"),
    ("2018-09-05T21:00", "us 3", "6.8"),
    ("2018-09-06T00:00", "us 4", "7.24"),
    ("2018-09-06T12:00", "us 5", "8.47"),
    ("2019-01-01T00:00", "us 10", "8.62"),
    ("2020-02-01T00:00", "atlas 1", "8.52"),
    ("2021-01-01T00:00", "atlas 1", "8.541"),
)
"""What was known of the Hokkaido earthquake (2018-09-05T18:07:59Z) at an instant."""


@pytest.mark.parametrize("name", REAL)
def test_the_shakemap_and_the_model_that_count_are_the_right_ones(name: str, real: Callable[[str], dict[str, Any]]):
    file, version, code, strongest, model = REAL[name]
    detail = parse_detail(real(file), address="https://example.com/details.json")
    assert detail.event.id == name
    chosen = detail.shakemap
    assert (chosen.version, chosen.code, chosen.properties["maxmmi"]) == (version, code, strongest)
    assert chosen.address("grid.xml").startswith("https://")
    if model is None:
        assert detail.ground_failure is None
    else:
        found = landslide_model(detail.ground_failure)
        assert (found.name, found.file) == (model, f"{model}_model.tif")
        assert found.address.endswith(f"/{model}_model.tif")


@pytest.mark.parametrize(("until", "version", "strongest"), HOKKAIDO)
def test_an_old_event_is_known_as_it_was_known_then(
    until: str, version: str | None, strongest: str | None, real: Callable[[str], dict[str, Any]]
):
    detail = parse_detail(real("events/fdsn_detail_us2000h8ty.json"))
    chosen = preferred(detail.products, SHAKEMAP, datetime.fromisoformat(until).replace(tzinfo=UTC))
    assert (chosen and chosen.version, chosen and chosen.properties["maxmmi"]) == (version, strongest)


def chosen(*products: dict[str, Any]) -> str | None:
    """The source of the ShakeMap that counts, in whatever order they are told."""
    found = set()
    for order in permutations(products):
        counts = parse_detail(feature(products={"shakemap": list(order)})).shakemap
        found.add(counts and f"{counts.source} {counts.updated.timestamp():g}")
    (one,) = found
    return one


def test_the_weight_counts_before_the_time_and_the_time_among_equals():
    assert chosen(product("us", 100, 9000), product("atlas", 200, 1000)) == "atlas 1"
    assert chosen(product("us", 100, 9000), product("atlas", 100, 1000)) == "us 9"
    assert chosen(product("us", 300, 1000), product("us", 100, 2000)) == "us 2"  # the same one, updated
    assert chosen() is None


def test_one_that_was_withdrawn_does_not_count_and_neither_do_its_versions_before():
    assert chosen(product("us", 100, 1000), product("atlas", 200, 2000, "DELETE")) == "us 1"
    assert chosen(product("us", 100, 1000), product("us", 100, 2000, "DELETE")) is None
    assert chosen(product("us", 100, 1000, "DELETE"), product("us", 100, 2000)) == "us 2"
    assert chosen(product("us", 100, 1000, "DELETE"), product("us", 100, 1000)) is None


def failure(overlay: str | None, *files: str) -> dict[str, Any]:
    properties = {"version": "1"} | ({"landslide-overlay": overlay} if overlay else {})
    contents = {name: f"https://example.com/{name}" for name in files}
    return product("us", 1, 1000, properties=properties, contents=contents)


@pytest.mark.parametrize("overlay", ["nowicki_2014_global", "jessee_2018", "godt_2008"])
def test_the_model_is_the_one_whose_picture_is_shown(overlay: str):
    files = [f"{name}_model.tif" for name in ("godt_2008", "jessee_2018", "nowicki_2014_global", "zhu_2017")]
    detail = parse_detail(feature(products={"ground-failure": [failure(f"{overlay}.png", *files)]}))
    assert landslide_model(detail.ground_failure).file == f"{overlay}_model.tif"


@pytest.mark.parametrize("overlay", [None, "other_2026.png"])
def test_no_model_is_taken_for_another(overlay: str | None):
    detail = parse_detail(feature(products={"ground-failure": [failure(overlay, "jessee_2018_model.tif")]}))
    with pytest.raises(InvalidFeedError):
        landslide_model(detail.ground_failure)


def test_addresses_that_are_relative_are_relative_to_the_detail():
    made = product("us", 1, 1000, contents={"download/grid.xml": "../maps/grid.xml"})
    detail = parse_detail(feature(products={"shakemap": [made]}), address="https://example.com/a/detail/us1.json")
    assert detail.shakemap.address("grid.xml") == "https://example.com/a/maps/grid.xml"
    assert detail.shakemap.address("other.xml") is None
