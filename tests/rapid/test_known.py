"""What is known of an event, written and read back; and the windows before and after it."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import get_args

import pytest
import shapely
from helpers.quakes import ORIGIN, event
from hypothesis import given
from hypothesis import strategies as st

from landslide_scale.errors import InvalidInputError, RunConflictError
from landslide_scale.events.area import area_of
from landslide_scale.events.land import coarse_land
from landslide_scale.rapid.known import AREA, KNOWN, Asked, Followed, State, every, folder_of, keep, load
from landslide_scale.rapid.mapping import area_sha256
from landslide_scale.rapid.windows import INSTANT, last_before, season_before, since
from landslide_scale.scene import Window
from landslide_scale.storage.rundir import RunDirectory

INSTANTS = st.datetimes(datetime(2016, 1, 1), datetime(2040, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 bounds
TEXTS = st.text(max_size=40)
BOXES = st.tuples(st.floats(-179, 178), st.floats(-60, 59), st.floats(0.01, 5)).map(
    lambda at: shapely.box(at[0], at[1], at[0] + at[2], at[1] + at[2])
)


def windows(at: datetime) -> tuple[Window, Window]:
    return season_before(at, 60), Window(start=at + INSTANT, end=at + timedelta(days=3))


@st.composite
def followed(draw: st.DrawFn) -> Followed:
    origin = draw(INSTANTS)
    scenes = tuple(sorted(draw(st.sets(TEXTS, max_size=3))))
    asked = Asked(number=draw(st.integers(1, 9)), windows=windows(origin), scenes=scenes, area_sha256="0" * 64)
    return Followed(
        event=event(origin=origin, place=draw(TEXTS), magnitude=draw(st.none() | st.floats(0, 10)), url=draw(TEXTS)),
        heard=draw(INSTANTS),
        state=draw(st.sampled_from(get_args(State))),
        why=draw(TEXTS),
        shakemap=(draw(TEXTS), draw(TEXTS)),
        max_mmi=draw(st.none() | st.floats(0, 10)),
        withdrawn=draw(st.booleans()),
        decisions=tuple(draw(st.lists(st.tuples(TEXTS, TEXTS), max_size=3))),
        asked=draw(st.none() | st.just(asked)),
        next_pass=draw(st.none() | st.dates()),
    )


@given(followed())
def test_what_is_kept_is_read_back_the_same(known: Followed):
    with TemporaryDirectory() as place:
        folder = RunDirectory(place)
        keep(folder, known)
        assert load(folder) == known


@given(BOXES)
def test_ground_is_read_back_to_the_last_digit(ground: shapely.Polygon):
    with TemporaryDirectory() as place:
        folder = RunDirectory(place)
        area = area_of(ground, source="given", land=coarse_land())
        keep(folder, Followed(event=event(), heard=ORIGIN, area=area))
        known = load(folder)
        assert known is not None
        assert known.area is not None
        assert area_sha256(known.area) == area_sha256(area)
        assert (known.area.km2, known.area.land_km2, known.area.source) == (area.km2, area.land_km2, area.source)


def test_what_is_there_already_is_not_written_again(tmp_path: Path):
    folder = RunDirectory(str(tmp_path))
    known = Followed(
        event=event(), heard=ORIGIN, area=area_of(shapely.box(0, 0, 1, 1), source="given", land=coarse_land())
    )
    keep(folder, known)
    before = {name: (tmp_path / name).stat().st_ino for name in (KNOWN, AREA)}
    keep(folder, load(folder) or known)
    assert {name: (tmp_path / name).stat().st_ino for name in (KNOWN, AREA)} == before
    keep(folder, known.at("mapped"))
    assert (tmp_path / KNOWN).stat().st_ino != before[KNOWN]


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"event": {}, "asked": null}'])
def test_something_else_is_refused_by_name(tmp_path: Path, content: str):
    (tmp_path / KNOWN).write_text(content)
    with pytest.raises(RunConflictError, match=KNOWN):
        load(RunDirectory(str(tmp_path)))


def test_a_state_that_there_is_not_is_refused(tmp_path: Path):
    keep(RunDirectory(str(tmp_path)), Followed(event=event(), heard=ORIGIN))
    said = json.loads((tmp_path / KNOWN).read_text())
    (tmp_path / KNOWN).write_text(json.dumps(said | {"state": "lost"}))
    with pytest.raises(RunConflictError, match="state lost"):
        load(RunDirectory(str(tmp_path)))
    with pytest.raises(InvalidInputError):
        Followed(event=event(), heard=ORIGIN).at("lost")  # type: ignore[arg-type]


def test_a_folder_without_what_is_known_is_none_of_an_event(tmp_path: Path):
    root = RunDirectory(str(tmp_path))
    folder_of(root, "us2").write_json(AREA, {})  # as one that was killed in between leaves it
    keep(folder_of(root, "us1"), Followed(event=event(), heard=ORIGIN))
    assert [known.event.id for _, known in every(root)] == ["us1"]


def test_decisions_are_noted_when_a_figure_changes_and_not_as_time_passes():
    known = Followed(event=event(), heard=ORIGIN)
    first = "waiting: no ShakeMap 0.5 h after the origin (magnitude 6.5, hours 0.5, shakemap not known)"
    same = first.replace("0.5", "0.8")
    other = same.replace("6.5", "6.7")
    for minutes, said in enumerate((first, same, other, other)):
        known = known.decided(ORIGIN + timedelta(minutes=minutes), said, "gates: ")
    assert known.decisions == (
        ("2026-03-01T06:00:00+00:00", f"gates: {first}"),
        ("2026-03-01T06:02:00+00:00", f"gates: {other}"),
    )
    assert known.decided(ORIGIN, other, "feed: ").decisions[-1][1] == f"feed: {other}"


def test_only_the_last_decisions_are_kept():
    known = Followed(event=event(), heard=ORIGIN)
    for number in range(120):
        known = known.decided(ORIGIN, f"magnitude {number}", "")
    assert [said for _, said in known.decisions] == [f"magnitude {number}" for number in range(70, 120)]


@pytest.mark.parametrize(
    ("origin", "start"),
    [
        (datetime(2023, 8, 3, 4, 5, 6, 7, tzinfo=UTC), datetime(2022, 8, 3, 4, 5, 6, 7, tzinfo=UTC)),
        (datetime(2024, 2, 29, 12, tzinfo=UTC), datetime(2023, 3, 1, tzinfo=UTC)),
        (datetime(2025, 2, 28, 12, tzinfo=UTC), datetime(2024, 2, 28, 12, tzinfo=UTC)),
        (datetime(2024, 12, 31, 23, 59, tzinfo=UTC), datetime(2023, 12, 31, 23, 59, tzinfo=UTC)),
    ],
)
def test_the_season_before_is_that_of_a_year_earlier_in_leap_years_too(origin: datetime, start: datetime):
    assert season_before(origin, 60) == Window(start=start, end=start + timedelta(days=60))


@given(INSTANTS, st.integers(1, 364))
def test_nothing_that_is_before_holds_the_event(origin: datetime, days: int):
    for window in (season_before(origin, days), last_before(origin, days)):
        assert not window.holds(origin)
        assert window.end <= origin
        assert window.end - window.start == timedelta(days=days)


@given(INSTANTS, st.lists(st.integers(-5, 5)))
def test_since_holds_what_was_sensed_after_the_origin_and_nothing_else(origin: datetime, microseconds: list[int]):
    sensed = [origin + timedelta(microseconds=each) for each in microseconds]
    window = since(origin, sensed)
    after = [instant for instant in sensed if instant > origin]
    assert (window is None) == (not after)
    if window is not None:
        assert [instant for instant in sensed if window.holds(instant)] == after
        assert window.end == max(after) + INSTANT


def test_instants_of_other_time_zones_are_the_same_instants():
    zone = timezone(timedelta(hours=5, minutes=45))
    sensed = (ORIGIN + timedelta(hours=1)).astimezone(zone)
    assert since(ORIGIN, [sensed]) == since(ORIGIN, [sensed.astimezone(UTC)])
