"""When a collection is said to hold suspiciously few scenes: never where Sentinel-2 itself did not pass."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

import pytest
import shapely
from helpers.scenes import item

from landslide_scale.scene import Window, utc
from landslide_scale.stac.revisit import expected_passes, few_scenes, noon_sun, thin_tiles
from landslide_scale.stac.settings import CatalogConfig

GROUND = shapely.box(15.2, 46.2, 15.4, 46.4)
NOW = utc("2026-01-01")
C1 = CatalogConfig(profile="earth-search-c1")


def window(start: str, end: str) -> Window:
    return Window(start=utc(start), end=utc(end))


SUMMER_18 = window("2018-05-01", "2018-08-09")  # 100 days
SUMMER_21 = window("2021-05-01", "2021-08-09")


def passes(of: Window, every: float, tile: str = "33TWM", **more: Any) -> list[dict[str, Any]]:  # noqa: ANN401
    """Items of one tile, one datatake every so many days."""
    count = int((of.end - of.start) / timedelta(days=every))
    days = [of.start + timedelta(days=every * number, hours=10) for number in range(count)]
    return [
        item(f"{tile}_{day:%Y%m%d}", sensed=f"{day:%Y-%m-%dT%H:%M:%SZ}", grid__code=f"MGRS-{tile}", **more)
        for day in days
    ]


def named(items: Iterable[dict[str, Any]], *windows: Window, until: datetime = NOW) -> list[tuple[str, int, float]]:
    found = thin_tiles(list(items), GROUND, windows, until)
    return [(one.tile, one.found, round(one.expected, 6)) for one in found]


def test_as_many_datatakes_as_two_satellites_bring_are_enough_and_less_than_half_are_not():
    assert named(passes(SUMMER_21, 5), SUMMER_21) == []
    assert named(passes(SUMMER_21, 10), SUMMER_21) == []  # half of them: one satellite may have been away
    assert named(passes(SUMMER_21, 11), SUMMER_21) == [("33TWM", 9, 20)]


def test_until_the_second_satellite_was_there_half_as_many_are_to_be_expected_and_before_the_first_none():
    alone = window("2017-05-01", "2017-08-09")
    assert named(passes(alone, 10), alone) == []
    assert named(passes(alone, 25), alone) == [("33TWM", 4, 10)]
    assert expected_passes(window("2015-05-01", "2015-08-09"), 46.4, NOW) == 0
    over = window("2018-02-19", "2018-03-11")  # ten days of each
    assert expected_passes(over, 10.0, NOW) == pytest.approx(3)


def test_two_processings_of_a_datatake_are_one_pass():
    again = passes(SUMMER_21, 11, s2__processing_baseline="02.14")
    for one in again:
        one["id"] += "_again"
    assert named([*passes(SUMMER_21, 11), *again], SUMMER_21) == [("33TWM", 9, 20)]


def test_each_tile_and_window_is_judged_by_itself_a_tile_known_from_another_window_too():
    items = [*passes(SUMMER_21, 5), *passes(SUMMER_21, 5, tile="33TWL"), *passes(SUMMER_18, 5, tile="33TWL")]
    assert named(items, SUMMER_18, SUMMER_21) == [("33TWM", 0, 20)]


def test_of_a_season_each_year_is_judged_by_itself():
    summers = Window(start=SUMMER_18.start, end=SUMMER_18.end, years=4)
    of = {year: window(f"{year}-05-01", f"{year}-08-09") for year in range(2018, 2022)}
    items = [one for year, span in of.items() for one in passes(span, 25 if year == 2019 else 5)]
    assert named(items, summers) == [("33TWM", 4, 20)]
    (line,) = few_scenes(items, GROUND, [summers], C1, until=NOW)
    assert "from 2019-05-01 to 2019-08-09: of tile 33TWM 4 of at least 20" in line
    assert "lacks most of" in line
    (line,) = few_scenes(items[:-20], GROUND, [summers], C1, until=NOW)[1:]
    assert "from 2021-05-01 to 2021-08-09: of tile 33TWM 0 of" in line
    assert "lacks" not in line


def test_a_tile_beside_the_ground_is_not_judged():
    beside = passes(SUMMER_21, 50, tile="33TXM", bounds=(609_780.0, 5_090_220.0, 719_580.0, 5_200_020.0))
    assert named([*passes(SUMMER_21, 5), *beside], SUMMER_21) == []


def test_passes_to_come_are_not_missed_nor_are_those_of_a_short_window():
    assert expected_passes(SUMMER_21, 46.4, utc("2021-05-11")) == pytest.approx(2)
    assert named(passes(SUMMER_21, 50), SUMMER_21, until=utc("2021-05-11")) == []
    short = window("2021-05-01", "2021-05-20")
    assert named(passes(short, 19), short) == []


@pytest.mark.parametrize(
    ("day", "latitude", "elevation"),
    [("2021-06-21", 46.0, 67.4), ("2021-12-21", 46.0, 20.6), ("2021-12-21", 67.0, -0.4), ("2021-12-21", -46.0, 67.4)],
)
def test_the_noon_sun_is_known_to_a_degree(day: str, latitude: float, elevation: float):
    assert noon_sun(utc(day), latitude) == pytest.approx(elevation, abs=1)


def test_a_dark_winter_and_antarctica_are_not_missed():
    winter = window("2021-11-20", "2022-01-20")
    assert expected_passes(winter, 62.0, NOW) == 0
    assert expected_passes(winter, -40.0, NOW) == pytest.approx(12.2)
    assert expected_passes(SUMMER_21, -70.0, NOW) == 0


def test_an_item_that_does_not_say_what_it_is_of_does_not_count_and_does_not_fail():
    broken = item("broken")
    broken["properties"] = {"datetime": "2021-05-02T10:00:00Z"}
    assert named([broken, item("nowhere") | {"geometry": None}, *passes(SUMMER_21, 5)], SUMMER_21) == []


def test_where_the_default_collection_is_known_to_have_a_hole_that_is_said_and_elsewhere_it_is_not():
    (line,) = few_scenes(passes(SUMMER_18, 25), GROUND, [SUMMER_18], C1, until=NOW)
    assert line == (
        "suspiciously few scenes in sentinel-2-c1-l2a from 2018-05-01 to 2018-08-09: of tile 33TWM 4 of at least "
        "20 datatakes that Sentinel-2's revisit gives; earth-search-c1 lacks most of 2018, 2019, 2022 "
        "(Element84/earth-search issues 29, 49 and 70): try another profile"
    )
    assert few_scenes(passes(SUMMER_18, 5), GROUND, [SUMMER_18], C1, until=NOW) == []
    for config, of in (
        (C1, SUMMER_21),
        (C1.model_copy(update={"url": "https://mirror.example"}), SUMMER_18),
        (C1.model_copy(update={"items": "items.json"}), SUMMER_18),
        (CatalogConfig(profile="earth-search-v1"), SUMMER_18),
    ):
        (line,) = few_scenes(passes(of, 25), GROUND, [of], config, until=NOW)
        assert "lacks" not in line


def test_a_hole_over_several_tiles_is_one_line():
    items = [*passes(SUMMER_18, 25), *passes(SUMMER_18, 50, tile="33TWL"), *passes(SUMMER_18, 50, tile="33TVM")]
    (line,) = few_scenes(items, GROUND, [SUMMER_18], C1, until=NOW)
    assert "of tile 33TVM 2 of at least 20 datatakes" in line
    assert "(other tiles with too few: 2)" in line
