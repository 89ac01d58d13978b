"""What counts as seen before an event and after it, from Items in a folder."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import shapely
from helpers.scenes import item

from landslide_scale.rapid.acquisitions import Acquisitions, looked_for, passes_in
from landslide_scale.rapid.windows import INSTANT, last_before, season_before
from landslide_scale.scene import Window
from landslide_scale.stac.settings import CatalogConfig

ORIGIN = datetime(2023, 8, 3, 10, 7, tzinfo=UTC)
LATER = ORIGIN + timedelta(days=80)
GROUND = shapely.box(15.2, 46.1, 15.3, 46.2)
BEFORE = (season_before(ORIGIN, 60), last_before(ORIGIN, 90))


@pytest.fixture
def items(tmp_path: Path) -> Path:
    folder = tmp_path / "items"
    folder.mkdir()
    (folder / "away.json").write_text(
        json.dumps(item("away", sensed="2023-08-20T10:07:00Z", bounds=(499_980.0, 4_090_220.0, 609_780.0, 4_200_020.0)))
    )
    return folder


def put(folder: Path, *instants: str) -> None:
    for sensed in instants:
        name = sensed.replace(":", "").replace(".", "")
        (folder / f"{name}.json").write_text(json.dumps(item(name, sensed=sensed)))


def looked(folder: Path, until: datetime = LATER, before: Sequence[Window] = BEFORE) -> Acquisitions:
    catalog = CatalogConfig(profile="plain", items=str(folder), collection=item("x")["collection"])
    return looked_for(catalog, GROUND, ORIGIN, until=until, before=before)


def test_a_scene_of_the_very_instant_is_not_after_and_one_a_moment_later_is(items: Path):
    put(items, "2023-08-03T10:07:00Z")
    assert looked(items).after is None
    put(items, "2023-08-03T10:07:00.001Z")
    found = looked(items)
    assert found.scenes == ("2023-08-03T100700001Z",)
    assert found.after == Window(start=ORIGIN + INSTANT, end=ORIGIN + timedelta(milliseconds=1) + INSTANT)


def test_the_season_a_year_before_is_compared_with_where_there_is_anything_of_it(items: Path):
    put(items, "2022-08-10T10:07:00Z", "2023-07-20T10:07:00Z")
    found = looked(items)
    assert found.before == BEFORE[0]
    assert [one["id"] for one in found.items] == ["2022-08-10T100700Z"]


def test_else_the_last_days_before(items: Path):
    put(items, "2023-07-20T10:07:00Z", "2023-08-03T10:07:00Z")  # the latter is neither before nor after
    found = looked(items)
    assert found.before == BEFORE[1]
    assert [one["id"] for one in found.items] == ["2023-07-20T100700Z"]


def test_where_there_is_neither_nothing_is_settled_but_what_was_settled_stays(items: Path):
    assert looked(items).before is None
    assert looked(items, before=BEFORE[:1]).before == BEFORE[0]


def test_what_is_sensed_later_than_asked_does_not_count_yet(items: Path):
    put(items, "2023-08-10T10:07:00Z", "2023-08-15T10:07:00Z")
    assert len(looked(items, datetime(2023, 8, 15, 10, 7, tzinfo=UTC)).scenes) == 1  # the end is not part of it
    assert len(looked(items, datetime(2023, 8, 15, 10, 7, tzinfo=UTC) + INSTANT).scenes) == 2
    assert looked(items, ORIGIN).scenes == looked(items, ORIGIN - timedelta(days=1)).scenes == ()


def test_scenes_are_of_this_ground_and_sorted(items: Path):
    put(items, "2023-08-15T10:07:00Z", "2023-08-10T10:07:00Z")
    assert looked(items).scenes == ("2023-08-10T100700Z", "2023-08-15T100700Z")


def test_instants_of_passes_are_told_each_once_ascending(items: Path):
    put(items, "2023-08-15T10:07:00Z", "2023-08-10T10:07:00Z", "2023-08-03T10:07:00Z")
    (items / "twin.json").write_text(json.dumps(item("twin", sensed="2023-08-15T10:07:00Z")))
    (items / "south.json").write_text(json.dumps(item("south", sensed="2023-08-10T10:07:14Z")))  # its next tile
    catalog = CatalogConfig(profile="plain", items=str(items), collection=item("x")["collection"])
    window = Window(start=ORIGIN, end=LATER)
    found = passes_in(catalog, GROUND, window)
    assert [(each.day, each.second) for each in found] == [(3, 0), (10, 14), (15, 0)]
