"""Gates decide as this table says, which was written from what is known of the earthquakes and not from the code."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import shapely
from helpers.quakes import event

from landslide_scale.errors import InvalidConfigError, InvalidInputError
from landslide_scale.events.area import Area, area_of
from landslide_scale.events.contours import parse_contours
from landslide_scale.events.detail import parse_detail
from landslide_scale.events.event import Event
from landslide_scale.events.feed import parse_feed
from landslide_scale.events.gate import Decision, decide
from landslide_scale.events.land import DrawnLand, coarse_land
from landslide_scale.events.relations import area_by_magnitude
from landslide_scale.events.settings import EventsConfig, GateConfig
from landslide_scale.events.shakemap import parse_grid_xml
from landslide_scale.events.shaking import Shaking, shaking_of
from landslide_scale.strictyaml import parse

GATES = GateConfig()
SOON, LATER = timedelta(hours=1), timedelta(hours=4)

WEEK = {
    "us20005fsh": "refused",  # 5.3
    "us20005fsi": "waiting",  # Vanuatu 6.7, 24 km deep
    "us20005ft6": "waiting",  # Vanuatu 5.9
    "us20005fv5": "waiting",  # Java 6.0
    "us20005fx0": "refused",  # Banda Sea 5.5, 126 km deep
    "us20005fzn": "waiting",  # Vanuatu 6.7
    "us20005gar": "refused",  # 5.3
    "us20005gqv": "waiting",  # Bengkulu 5.7, 55 km deep
    "us20005gs0": "refused",  # 5.4
    "us20005gsg": "refused",  # Afghanistan 6.6, 210 km deep
    "us20005guh": "refused",  # 5.4
    "us20005h2l": "waiting",  # Kiska 5.6
    "us20005haz": "refused",  # 5.4
    "us20005hdl": "refused",  # 5.3
    "us20005hei": "refused",  # 5.4
}
"""The week to 12 April 2016, of magnitude 5.3 and more, before any ShakeMap."""

DETAILS = {
    "events/fdsn_detail_ci3144585.json": "waiting",  # Northridge 6.7, 18 km deep
    "events/fdsn_detail_nc72282711.json": "waiting",  # South Napa 6.0
    "events/fdsn_detail_us2000ar20.json": "waiting",  # Puebla 7.1, 48 km deep
    "events/fdsn_detail_us2000h8ty.json": "waiting",  # Hokkaido 6.6, 35 km deep
    "events/us10004u1y_details.json": "waiting",  # Sumatra 7.8: the gates do not know yet that it is far from land
}


def first_hour(one: Event) -> Decision:
    return decide(one, GATES, now=one.origin + SOON)


def test_the_events_of_a_real_week_before_any_shakemap(real: Callable[[str], dict[str, Any]]):
    found = {one.id: first_hour(one) for one in parse_feed(real("feed/2.5_week.json")).events}
    assert {name: found.pop(name).verdict for name in WEEK} == WEEK
    assert {one.verdict for one in found.values()} == {"refused"}  # all the weaker ones
    assert all("below 5.5" in str(one) for one in found.values())


@pytest.mark.parametrize("name", DETAILS)
def test_the_real_events_before_any_shakemap(name: str, real: Callable[[str], dict[str, Any]]):
    found = first_hour(parse_detail(real(name)).event)
    assert (found.verdict, found.reasons) == (DETAILS[name], ("no ShakeMap 1.0 h after the origin",))


def loma_prieta(usgs: Path) -> tuple[Event, Shaking]:
    grid = parse_grid_xml((usgs / "shakemap/lomaprieta_grid.xml").read_bytes())
    shaking = shaking_of(grid, source="shakemap grid", version="us 1", least_mmi=6.0, land=coarse_land())
    return event("nc216859", magnitude=6.9, depth_km=18.0, lon=-121.88, lat=37.04), shaking


def sumatra(usgs: Path, real: Callable[[str], dict[str, Any]]) -> tuple[Event, Shaking]:
    contours = parse_contours((usgs / "shakemap/us10004u1y_cont_mi.json").read_bytes())
    shaking = shaking_of(contours, source="shakemap contours", version="us 4", least_mmi=6.0, land=coarse_land())
    return parse_detail(real("events/us10004u1y_details.json")).event, shaking


def test_an_earthquake_that_shook_land_passes_with_its_figures(usgs: Path):
    one, shaking = loma_prieta(usgs)
    found = decide(one, GATES, now=one.origin + SOON, shaking=shaking)
    assert found.passed
    assert found.figures["magnitude"] == 6.9
    assert found.figures["max_mmi_on_land"] == pytest.approx(8.72)
    assert found.figures["land_km2"] == pytest.approx(10_800, rel=0.03)
    assert (found.figures["area_source"], found.figures["shakemap"]) == ("shakemap grid", "us 1")
    assert str(found).startswith("passed: all gates (magnitude 6.9, depth_km 18,")


def test_an_earthquake_that_shook_the_sea_alone_is_refused(usgs: Path, real: Callable[[str], dict[str, Any]]):
    one, shaking = sumatra(usgs, real)
    found = decide(one, GATES, now=one.origin + SOON, shaking=shaking)
    assert found.verdict == "refused"
    assert found.reasons == (
        "shaking of MMI 2.50 over land (over sea it is stronger), below 6",
        "0 km2 of land, less than 50 km2",
    )
    assert found.figures["km2"] > 10_000


def test_an_earthquake_whose_ground_is_too_large_says_what_to_do(usgs: Path):
    one, shaking = loma_prieta(usgs)
    found = decide(one, GateConfig(greatest_land_km2=5000.0), now=one.origin, shaking=shaking)
    assert found.verdict == "refused"
    assert "more than 5,000 km2 (raise events.gates.greatest_land_km2" in found.reasons[0]


def test_without_a_shakemap_the_magnitude_is_taken_after_a_while():
    one = event(lon=14.5, lat=46.0, magnitude=6.5)
    area = area_by_magnitude(one, coarse_land())
    assert decide(one, GATES, now=one.origin + SOON, area=area).verdict == "waiting"
    assert decide(one, GATES, now=one.origin + LATER, area=area).passed
    assert decide(one, GATES, now=one.origin + LATER).verdict == "waiting"
    at_sea = event(lon=-130.0, lat=-30.0, magnitude=7.5)
    area = area_by_magnitude(at_sea, coarse_land())
    assert decide(at_sea, GATES, now=one.origin + LATER, area=area).verdict == "refused"


@pytest.mark.parametrize(
    ("changes", "verdict", "reason"),
    [
        ({}, "passed", ""),
        ({"magnitude": 5.5}, "passed", ""),
        ({"magnitude": 5.4}, "refused", "magnitude 5.4, below 5.5"),
        ({"magnitude": None}, "waiting", "no magnitude yet"),
        ({"depth_km": 70.0}, "passed", ""),
        ({"depth_km": 70.1}, "refused", "70.1 km deep, deeper than 70 km"),
        ({"kind": "quarry blast"}, "refused", "a quarry blast, no earthquake"),
        ({"magnitude": None, "depth_km": 300.0}, "refused", "no magnitude yet"),
    ],
)
def test_each_gate_by_itself(changes: dict[str, Any], verdict: str, reason: str):
    found = decide(event(**changes), GATES, now=event().origin, shaking=shaken(6.0, 50.0))
    assert found.verdict == verdict
    assert found.reasons[:1] == ((reason,) if reason else ())


@pytest.mark.parametrize(
    ("mmi", "km2", "verdict"), [(6.0, 50.0, "passed"), (5.99, 50.0, "refused"), (6.0, 49.0, "refused")]
)
def test_shaking_and_extent_at_their_limits(mmi: float, km2: float, verdict: str):
    assert decide(event(), GATES, now=event().origin, shaking=shaken(mmi, km2)).verdict == verdict


def shaken(mmi: float, km2: float) -> Shaking:
    area = Area(
        ground=shapely.box(14, 46, 15, 47), km2=2 * km2, source="shakemap grid", shakemap_version="us 1", land_km2=km2,
        land_source="made",
    )  # fmt: skip
    return Shaking(version="us 1", least_mmi=6.0, max_mmi=9.0, max_mmi_on_land=mmi, area=area)


def test_what_a_person_gives_passes_all_but_the_greatest_extent():
    land = DrawnLand(ground=shapely.box(-180, -90, 180, 90))
    given = event(url="", magnitude=None, kind="monsoon", depth_km=0.0)
    small, large = (area_of(shapely.box(14, 46, east, 47), source="given", land=land) for east in (14.5, 40.0))
    assert decide(given, GATES, now=given.origin, area=small).passed
    assert decide(given, GATES, now=given.origin, area=large).verdict == "refused"


def test_a_decision_has_reasons_just_where_it_is_no_pass():
    with pytest.raises(InvalidInputError):
        Decision(verdict="passed", reasons=("none",))
    with pytest.raises(InvalidInputError):
        Decision(verdict="refused")


def test_settings_are_refused_by_their_keys():
    assert parse(EventsConfig, {}).access.hosts == ("earthquake.usgs.gov",)
    assert parse(EventsConfig, {"allowed_hosts": ["Mirror.example"]}).access.named[-1] == "mirror.example"
    for wrong, key in (
        ({"url": "ftp://example.com"}, "url"),
        ({"detail": "https://example.com/none"}, "detail"),
        ({"gates": {"least_land_km2": 10, "greatest_land_km2": 5}}, "least_land_km2"),
        ({"gates": {"least_mmi": 0}}, "least_mmi"),
        ({"magnitude": 5}, "magnitude"),
        ({"allowed_hosts": ["https://example.com"]}, "allowed_hosts"),
    ):
        with pytest.raises(InvalidConfigError, match=key):
            parse(EventsConfig, wrong)
