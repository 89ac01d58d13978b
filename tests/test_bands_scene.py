from __future__ import annotations

import pickle
from datetime import UTC, datetime
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from landslide_scale.bands import BAND_NAMES, CLEAR_CLASSES, DILATED_CLASSES, Reason, Scl, reasons
from landslide_scale.errors import InvalidConfigError
from landslide_scale.scene import Scene, Window, by_processing, newest_processing, utc

ALL_CODES = np.arange(256, dtype=np.uint8).reshape(16, 16)


def a_scene(**changes: object) -> Scene:
    known: dict[str, object] = {
        "id": "S2A",
        "tile": "33TWM",
        "epsg": 32633,
        "bounds": (0.0, 0.0, 1.0, 1.0),
        "sensed": datetime(2023, 8, 10, tzinfo=UTC),
        "datatake": "GS2A_20230810T100031_042590",
        "datastrip": "20230810T100032",
        "baseline": (5, 9),
        "generated": datetime(2023, 8, 11, tzinfo=UTC),
        "cloud_cover": 1.0,
        "offset": 0,
        "offset_rule": "made",
        "assets": (("red", "red.tif"), ("scl", "scl.tif")),
    }
    return Scene(**(known | changes))  # type: ignore[arg-type]


def test_every_class_has_the_reason_of_its_kind():
    found = dict(zip(range(256), reasons(ALL_CODES, tuple(CLEAR_CLASSES)).ravel().tolist(), strict=True))
    assert {code: Reason(found[code]) for code in range(12)} == {
        Scl.NO_DATA: Reason.NO_DATA,
        Scl.DEFECTIVE: Reason.DEFECTIVE,
        Scl.TERRAIN_SHADOW: Reason.TERRAIN_SHADOW,
        Scl.CLOUD_SHADOW: Reason.CLOUD_SHADOW,
        Scl.VEGETATION: Reason.OBSERVED,
        Scl.BARE: Reason.OBSERVED,
        Scl.WATER: Reason.OBSERVED,
        Scl.UNCLASSIFIED: Reason.UNCLASSIFIED,
        Scl.CLOUD_MEDIUM: Reason.CLOUD,
        Scl.CLOUD_HIGH: Reason.CLOUD,
        Scl.CIRRUS: Reason.CLOUD,
        Scl.SNOW: Reason.SNOW,
    }
    assert {found[code] for code in range(12, 256)} == {Reason.UNCLASSIFIED}


@given(clear=st.sets(st.integers(1, 11), min_size=1))
def test_exactly_the_classes_asked_for_are_observed(clear: set[int]):
    found = reasons(ALL_CODES, tuple(clear)).ravel()
    assert set(np.flatnonzero(found == Reason.OBSERVED).tolist()) == clear


def test_no_class_that_is_grown_counts_as_clear_by_default():
    assert not set(CLEAR_CLASSES) & set(DILATED_CLASSES)


def test_of_two_reasons_the_one_to_tell_is_the_smaller_and_observed_beats_all():
    assert min(Reason) == Reason.OBSERVED
    of_scenes = {int(reasons(np.array([code], np.uint8), ())[0]) for code in range(12)}
    assert max(of_scenes) < Reason.NOT_SCANNED < Reason.TOO_FEW_CLEAR
    assert Reason.CLOUD < Reason.NO_DATA


def test_bands_are_the_twelve_of_surface_reflectance():
    assert len(BAND_NAMES) == len(set(BAND_NAMES)) == 12


def test_a_window_is_half_open():
    window = Window(start=datetime(2023, 8, 1, tzinfo=UTC), end=datetime(2023, 9, 1, tzinfo=UTC))
    assert window.holds(datetime(2023, 8, 1, tzinfo=UTC))
    assert window.holds(datetime(2023, 8, 31, 23, 59, 59, 999_999, tzinfo=UTC))
    assert not window.holds(datetime(2023, 9, 1, tzinfo=UTC))
    assert not window.holds(datetime(2023, 7, 31, 23, 59, 59, tzinfo=UTC))


def season(start: str, end: str, years: int) -> Window:
    return Window(start=utc(start), end=utc(end), years=years)


def test_a_season_is_the_same_days_of_as_many_years_as_are_said():
    summers = season("2021-07-01", "2021-09-15T12:00", 3)
    assert [(f"{one.start:%Y-%m-%dT%H}", f"{one.end:%Y-%m-%dT%H}") for one in summers.spans] == [
        (f"{year}-07-01T00", f"{year}-09-15T12") for year in (2021, 2022, 2023)
    ]
    for year in (2021, 2022, 2023):
        assert summers.holds(utc(f"{year}-07-01"))
        assert summers.holds(utc(f"{year}-09-15T11:59:59"))
        assert not summers.holds(utc(f"{year}-09-15T12:00"))
        assert not summers.holds(utc(f"{year}-06-30T23:59:59"))
    assert not summers.holds(utc("2020-08-01"))
    assert not summers.holds(utc("2024-08-01"))
    assert summers.until == utc("2023-09-15T12:00")
    assert summers.days == "2021-07-01 to 2021-09-15, each year to 2023"


def test_a_season_may_go_over_the_new_year():
    winters = season("2021-12-01", "2022-03-01", 2)
    days = {"2021-12-01": True, "2022-02-28": True, "2022-11-30": False, "2023-01-05": True, "2023-03-01": False}
    assert {day: winters.holds(utc(day)) for day in days} == days


@pytest.mark.parametrize(
    ("start", "end", "years", "spans"),
    [
        # What ends with February ends with it, on its 28th or its 29th.
        ("2023-02-01", "2023-03-01", 2, ["2023-02-01 to 2023-03-01", "2024-02-01 to 2024-03-01"]),
        ("2024-02-01", "2024-02-29", 2, ["2024-02-01 to 2024-02-29", "2025-02-01 to 2025-03-01"]),
        ("2024-02-29", "2024-04-01", 2, ["2024-02-29 to 2024-04-01", "2025-03-01 to 2025-04-01"]),
        # The day itself is in leap years alone.
        ("2024-02-29", "2024-03-01", 5, ["2024-02-29 to 2024-03-01", "2028-02-29 to 2028-03-01"]),
        ("2096-02-29", "2096-03-01", 9, ["2096-02-29 to 2096-03-01", "2104-02-29 to 2104-03-01"]),
    ],
)
def test_the_29th_of_february_is_in_leap_years_alone(start: str, end: str, years: int, spans: list[str]):
    assert [one.days for one in season(start, end, years).spans] == spans


def test_a_window_of_one_year_is_its_only_span():
    august = season("2023-08-01", "2023-09-01", 1)
    assert august.spans == (august,)
    assert august.days == "2023-08-01 to 2023-09-01"


@pytest.mark.parametrize(
    ("end", "years"), [("2022-07-01", 2), ("2022-08-01", 2), ("2021-09-01", 0), ("2021-09-01", 51)]
)
def test_years_that_reach_into_each_other_or_are_none_or_too_many_are_refused(end: str, years: int):
    with pytest.raises(InvalidConfigError, match="windows"):
        season("2021-07-01", end, years)


def test_a_scene_crosses_processes_and_finds_its_assets():
    scene = a_scene()
    assert pickle.loads(pickle.dumps(scene)) == scene  # noqa: S301 our own bytes
    assert scene.href("scl") == "scl.tif"
    with pytest.raises(KeyError):
        scene.href("nir")


def test_a_newer_baseline_wins_over_a_later_generation_of_an_older_one():
    old = a_scene(id="old", baseline=(4, 0), generated=datetime(2024, 1, 1, tzinfo=UTC))
    new = a_scene(id="new", baseline=(5, 0), generated=datetime(2023, 9, 1, tzinfo=UTC))
    assert newest_processing([old, new]) == newest_processing([new, old]) == [new]


def test_processings_are_ordered_the_newest_of_every_tile_first_whatever_order_they_come_in():
    old = a_scene(id="old", baseline=(4, 0), generated=datetime(2024, 1, 1, tzinfo=UTC))
    new = a_scene(id="new", baseline=(5, 0), generated=datetime(2023, 9, 1, tzinfo=UTC))
    later = a_scene(id="later", baseline=(5, 0), generated=datetime(2023, 9, 2, tzinfo=UTC))
    beside = a_scene(id="beside", tile="33TWL", baseline=(2, 0))
    for order in permutations([old, new, later, beside]):
        found = [(place, scene.id) for place, scene in by_processing(order)]
        assert found == [(0, "beside"), (0, "later"), (1, "new"), (2, "old")]


def test_datastrips_made_at_one_time_are_taken_in_by_name():
    strips = [a_scene(id=name, datastrip=name) for name in ("b", "c", "a")]
    assert [(place, scene.id) for place, scene in by_processing(strips)] == [(0, "a"), (0, "b"), (0, "c")]


def test_tiles_and_datatakes_are_kept_apart():
    made = [a_scene(id="a"), a_scene(id="b", tile="33TWL"), a_scene(id="c", datatake="GS2B_20230810T101031_1")]
    assert {scene.id for scene in newest_processing(made)} == {"a", "b", "c"}
