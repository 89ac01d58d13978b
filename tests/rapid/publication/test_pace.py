"""Seconds of a version by stage: none is lost, none counted twice, and other ground is told by what each goes by."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from landslide_scale.errors import RunConflictError
from landslide_scale.products.change import planes
from landslide_scale.rapid.publication.pace import (
    BEFORE,
    CATALOGUE,
    COMPARED,
    PACE,
    POLYGONS,
    PUBLICATION,
    RASTERS,
    REPORT,
    SCAN,
    Pace,
    Took,
    keep_pace,
    pace_lines,
    read_pace,
    stage_of_product,
)
from landslide_scale.storage.rundir import RunDirectory

NOW = datetime(2023, 8, 5, 18, tzinfo=UTC)
STAGES = (CATALOGUE, SCAN, COMPARED, RASTERS, POLYGONS, REPORT, PUBLICATION)


def took(scanned_km2: float = 40.0, ground_km2: float = 25.0) -> Took:
    seconds = {BEFORE: 3.0, CATALOGUE: 2.0, SCAN: 80.0, COMPARED: 10.0, PUBLICATION: 0.02}
    return Took(version=1, at=NOW, seconds=seconds, ground_km2=ground_km2, scanned_km2=scanned_km2)


@given(st.lists(st.tuples(st.sampled_from(STAGES), st.integers(0, 1000)), max_size=12))
def test_stages_add_up_to_the_time_that_passed(passed: list[tuple[str, int]]):
    now = [5.0]
    pace = Pace(began=2.0, clock=lambda: now[0])
    own: dict[str, float] = {BEFORE: 3.0}
    for stage, seconds in passed:
        pace.begin(stage)
        now[0] += seconds
        own[stage] = own.get(stage, 0.0) + seconds
    found = pace.took(1, NOW, 1.0)
    assert found.seconds == own
    assert found.whole == pytest.approx(now[0] - 2.0)


def test_what_took_so_long_is_read_back_the_same(tmp_path: Path):
    folder = RunDirectory(str(tmp_path))
    assert read_pace(folder) is None
    keep_pace(folder, took())
    assert read_pace(folder) == took()


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b'{"format": 1, "seconds": 3}', b'{"format": 9}'])
def test_something_else_is_refused_by_name(tmp_path: Path, content: bytes):
    folder = RunDirectory(str(tmp_path))
    folder.write(PACE, content)
    with pytest.raises(RunConflictError, match=f"a {PACE} of something else"):
        read_pace(folder)


def test_other_ground_takes_longer_in_what_goes_by_ground_and_no_longer_in_what_is_asked():
    assert took().over(250.0) == {
        CATALOGUE: 2.0,
        SCAN: pytest.approx(80 * 2 * 250 / 40),  # of both layers, where 40 km2 of one were scanned
        COMPARED: pytest.approx(100.0),
        PUBLICATION: pytest.approx(0.2),
    }


def test_no_rate_is_told_where_nothing_was_scanned():
    assert took(scanned_km2=0.0).over(100.0) is None
    assert len(pace_lines(took(scanned_km2=0.0))) == 1


def test_it_is_said_in_two_lines():
    first, second = pace_lines(took())
    begun, _, stages = first.partition(": ")
    assert begun == "version 1 took 95.0 s from the begin of its cycle"
    assert stages == "before its turn 3.0, catalogue 2.0, scan 80.0, change 10.0"
    assert second == (
        "10,000 km2 would take 12:13:30 at its rates (40.0 km2 scanned anew, 25.0 km2 of products): "
        "catalogue 0:00:02, scan 11:06:40, change 1:06:40, publication 0:00:08"
    )


@pytest.mark.parametrize(
    ("name", "stage"),
    [
        *(
            (f"cog/EPSG_32633/20230803_20230806/{name}.tif", COMPARED)
            for name in (planes.CHANGE, planes.RDNDVI, planes.STATUS, planes.LOOKS, planes.FIRST_DAY, planes.LAST_DAY)
        ),
        ("cog/EPSG_32633/20230803_20230806/exclusion.tif", COMPARED),
        ("cog/EPSG_32633/20230803_20230806/probability.tif", RASTERS),
        ("landslides.parquet", POLYGONS),
        ("landslides.gpkg", POLYGONS),
        ("next_passes.geojson", REPORT),
        ("report.html", REPORT),
        ("", PUBLICATION),
    ],
)
def test_products_are_told_by_what_they_are(name: str, stage: str):
    assert stage_of_product(name) == stage
