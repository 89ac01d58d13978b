"""Where to look for an event, as ShakeMaps come, are withdrawn, fail, or never come."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
import shapely
from helpers.quakes import ORIGIN, bell, event, feature, grid_xml, product
from helpers.webserver import Answer, Asked, Site, site

from landslide_scale.events.area import area_of
from landslide_scale.events.detail import parse_detail
from landslide_scale.events.land import DrawnLand
from landslide_scale.events.settings import EventsConfig, GateConfig
from landslide_scale.rapid.known import Asked as Scan
from landslide_scale.rapid.known import Followed
from landslide_scale.rapid.looking import Sight, failure_model, looked_up
from landslide_scale.scene import Window

LAND = DrawnLand(ground=shapely.box(-180, -90, 180, 90))
SEA = DrawnLand(ground=shapely.box(-180, -90, -179, -89))
GRIDS = {
    "/weak.xml": grid_xml(bell(21, 21, strongest=6.8, width=8), west=14.0, north=46.5),
    "/strong.xml": grid_xml(bell(21, 21, strongest=8.5, width=8), west=14.0, north=46.5),
    "/below.xml": grid_xml(bell(21, 21, strongest=5.0, width=8), west=14.0, north=46.5),
    "/turn.xml": grid_xml(bell(21, 21, strongest=8.5, width=8), west=179.5, north=46.5),
    "/wide.xml": grid_xml(np.full((81, 81), 7.0), west=10.0, north=48.0),
    "/nothing.xml": b"<html>no grid</html>",
}


@pytest.fixture(scope="module")
def server() -> Iterator[Site]:
    def answer(asked: Asked) -> Answer:
        found = GRIDS.get(asked.path)
        return Answer(status=404) if found is None else Answer(content=found)

    with site(answer) as running:
        yield running


@pytest.fixture
def config(server: Site) -> EventsConfig:
    return EventsConfig(url=f"{server.address}/feed", detail=f"{server.address}/{{id}}")


def at(hours: float) -> datetime:
    return ORIGIN + timedelta(hours=hours)


@pytest.fixture
def told(server: Site) -> Callable[..., dict[str, Any]]:
    def shakemap(file: str, hours: float, status: str = "UPDATE", version: str = "1") -> dict[str, Any]:
        contents = {"download/grid.xml": f"{server.address}/{file}.xml"}
        updated = int(at(hours).timestamp() * 1000)
        return product("us", 100, updated, status, contents=contents, properties={"version": version})

    return shakemap


def sight(hours: float, *shakemaps: dict[str, Any], **properties: object) -> Sight:
    return Sight(detail=parse_detail(feature(products={"shakemap": list(shakemaps)}, **properties)), now=at(hours))


def begun(known: Followed) -> Followed:
    before = Window(start=ORIGIN - timedelta(days=90), end=ORIGIN)
    scan = Scan(number=1, windows=(before, Window(start=ORIGIN, end=at(24))), scenes=("a",), area_sha256="0" * 64)
    return replace(known, asked=scan).at("mapped")


NEW = Followed(event=event(), heard=ORIGIN)


def test_ground_only_grows_with_shakemaps(config: EventsConfig, told: Callable[..., dict[str, Any]]):
    known = looked_up(NEW, sight(0.5), config, LAND, at(0.5))
    assert (known.state, known.area) == ("waiting", None)
    grounds = []
    for hours, file in ((1, "weak"), (2, "strong"), (3, "weak")):
        versions = [told(file, hours, version=str(hours))]
        known = looked_up(known, sight(hours, *versions), config, LAND, at(hours))
        assert known.area is not None
        assert (known.state, known.shakemap[0], known.area.shakemap_version) == (
            "no scene",
            f"us {hours}",
            f"us {hours}",
        )
        assert known.shakemap[1].endswith(f"/{file}.xml")
        grounds.append(known.area.ground)
    assert grounds[1].covers(grounds[0])
    assert grounds[1].area > grounds[0].area * 1.5
    assert grounds[2] == grounds[1]
    assert known.max_mmi == pytest.approx(6.8)


def test_what_is_published_later_does_not_count_yet(config: EventsConfig, told: Callable[..., dict[str, Any]]):
    early = sight(1.5, told("weak", 1), told("strong", 2, version="2"))
    assert looked_up(NEW, early, config, LAND, at(1.5)).shakemap[0] == "us 1"


def test_a_withdrawn_shakemap_leaves_its_ground_and_is_told(config: EventsConfig, told: Callable[..., dict[str, Any]]):
    known = looked_up(NEW, sight(1, told("strong", 1)), config, LAND, at(1))
    gone = looked_up(known, sight(2, told("strong", 1), told("strong", 2, "DELETE")), config, LAND, at(2))
    assert gone.withdrawn
    assert gone.area is not None
    assert gone.area.ground == known.area.ground
    assert gone.state == "withdrawn"
    assert gone.why.startswith("no ShakeMap 2.0 h")
    later = looked_up(gone, sight(4, told("strong", 1), told("strong", 2, "DELETE")), config, LAND, at(4))
    assert later.state == "no scene"
    again = looked_up(later, sight(5, told("weak", 5)), config, LAND, at(5))
    assert not again.withdrawn


def test_shaking_below_the_gate_is_refused_but_ends_no_map_that_was_begun(
    config: EventsConfig, told: Callable[..., dict[str, Any]]
):
    below = sight(2, told("below", 2))
    refused = looked_up(NEW, below, config, LAND, at(2))
    assert refused.state == "refused"
    assert "MMI 5.00 over land, below 6" in refused.why
    known = begun(looked_up(NEW, sight(1, told("strong", 1)), config, LAND, at(1)))
    goes_on = looked_up(known, below, config, LAND, at(2))
    assert goes_on.state == "mapped"
    assert goes_on.area.ground == known.area.ground
    assert "gates: refused" in goes_on.decisions[-1][1]


def test_a_refusal_is_made_anew_when_more_is_known(config: EventsConfig, told: Callable[..., dict[str, Any]]):
    known = looked_up(NEW, sight(1, told("below", 1)), config, LAND, at(1))
    assert looked_up(known, sight(2, told("strong", 2)), config, LAND, at(2)).state == "no scene"


def test_without_a_shakemap_for_hours_the_magnitude_tells_the_ground(config: EventsConfig):
    assert looked_up(NEW, sight(2.9), config, LAND, at(2.9)).area is None
    known = looked_up(NEW, sight(3), config, LAND, at(3))
    assert (known.state, known.area.source) == ("no scene", "magnitude-area relation")
    assert known.area.km2 == pytest.approx(10 ** (6.5 - 3.46), rel=0.01)
    late = looked_up(NEW, sight(3, mag=None, updated=int(at(2).timestamp() * 1000)), config, LAND, at(3))
    assert (late.state, late.area) == ("waiting", None)
    assert "no magnitude yet" in late.why


def test_a_shakemap_takes_the_relations_ground_in(config: EventsConfig, told: Callable[..., dict[str, Any]]):
    known = looked_up(NEW, sight(3), config, LAND, at(3))
    later = looked_up(known, sight(4, told("weak", 4)), config, LAND, at(4))
    assert later.area.source == "shakemap grid"
    assert later.area.ground.buffer(1e-9).covers(known.area.ground)


def test_shaking_at_sea_alone_is_refused_by_name(config: EventsConfig, told: Callable[..., dict[str, Any]]):
    known = looked_up(NEW, sight(1, told("strong", 1)), config, SEA, at(1))
    assert known.state == "at sea"
    assert "over sea it is stronger" in known.why


def test_more_land_than_may_be_looked_at_is_refused_with_a_cure(
    config: EventsConfig, told: Callable[..., dict[str, Any]]
):
    known = looked_up(NEW, sight(1, told("wide", 1)), config, LAND, at(1))
    assert known.state == "too large"
    assert "raise events.gates.greatest_land_km2" in known.why


def test_ground_across_the_antimeridian_is_in_two_parts(config: EventsConfig, told: Callable[..., dict[str, Any]]):
    known = looked_up(NEW, sight(1, told("turn", 1)), config, LAND, at(1))
    assert known.state == "no scene"
    west, _, east, _ = known.area.ground.bounds
    assert (west, east) == (-180, 180)
    assert known.area.km2 < 20_000


@pytest.mark.parametrize("file", ["nothing", "not-there"])
def test_a_shakemap_that_says_nothing_is_as_none(config: EventsConfig, told: Callable[..., dict[str, Any]], file: str):
    assert looked_up(NEW, sight(1, told(file, 1)), config, LAND, at(1)).state == "waiting"
    known = looked_up(NEW, sight(3, told(file, 1)), config, LAND, at(3))
    assert known.area.source == "magnitude-area relation"


def test_ground_that_a_person_gave_passes_by_its_extent_alone():
    given = event(url="", magnitude=None, kind="monsoon")
    area = area_of(shapely.box(14, 46, 14.1, 46.1), source="given", land=LAND)
    known = looked_up(replace(NEW, event=given, area=area), None, EventsConfig(), LAND, at(1))
    assert known.state == "no scene"
    strict = EventsConfig(gates=GateConfig(least_land_km2=1, greatest_land_km2=10))
    assert looked_up(replace(NEW, event=given, area=area), None, strict, LAND, at(1)).state == "too large"


def test_a_refusal_has_a_name_of_its_own_where_nothing_else_refuses(
    config: EventsConfig, told: Callable[..., dict[str, Any]]
):
    weak = sight(1, told("strong", 1), mag=5.0, updated=int(at(1).timestamp() * 1000))
    known = looked_up(NEW, weak, config, SEA, at(1))
    assert known.state == "refused"
    assert "magnitude 5, below 5.5" in known.why
    assert "over sea it is stronger" in known.why


def test_a_landslide_model_that_is_not_named_is_none():
    assert failure_model(None) is None
    assert failure_model(sight(1)) is None
    bare = feature(products={"ground-failure": [product("us", 1, int(at(1).timestamp() * 1000))]})
    assert failure_model(Sight(detail=parse_detail(bare), now=at(2))) is None


def test_the_hokkaido_earthquake_as_it_was_known(real: Callable[[str], dict[str, Any]]):
    detail = parse_detail(real("events/fdsn_detail_us2000h8ty.json"))
    early = Sight(detail=detail, now=datetime(2018, 9, 5, 18, 30, tzinfo=UTC))
    assert early.newest("shakemap") is None
    assert not early.withdrawn
    late = Sight(detail=detail, now=datetime(2021, 1, 1, tzinfo=UTC))
    model = failure_model(late)
    assert model is not None
    assert model["name"] == "jessee_2017"
    assert all(key.startswith("landslide-") for key in model["said"])
