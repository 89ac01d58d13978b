"""Areas are of a window: over windows only ground that was scanned, and ground that was seen at least once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from helpers.borderland import COLLECTION, border_tiles, configured, untrained, write_item
from helpers.plainrun import plain_append, plain_scan

from landslide_scale.bands import Reason
from landslide_scale.cube.ledger import Ledger
from landslide_scale.cube.record import Record
from landslide_scale.demo.satellite.stac_server import serve
from landslide_scale.errors import InvalidConfigError
from landslide_scale.inspection.status import lines, status
from landslide_scale.reports.scans import scan_report
from landslide_scale.scan.rounds import Progress, Reporter
from landslide_scale.scan.settings import ScanConfig
from landslide_scale.storage.rundir import RunDirectory
from landslide_scale.strictyaml import parse

EARLY, LATE = ({"start": f"2023-08-{a}", "end": f"2023-08-{b}"} for a, b in (("01", "05"), ("05", "20")))


@pytest.fixture(scope="module")
def scans(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[dict[str, Any], Path]]:
    """Each of two dates shows a part of its tile, and together they show more of it than either."""
    folder = tmp_path_factory.mktemp("scenes")
    tiles, clouds = border_tiles(), {"a": slice(120, 240), "b": slice(0, 240), "c": slice(0, 60), "d": slice(0, 100)}
    items = [write_item(folder, tile, clouds[name]) for name, tile in tiles.items()]
    checkpoint = untrained(folder / "checkpoint.safetensors")
    with serve(items, [COLLECTION]) as url:
        yield configured((url, folder), checkpoint, folder / "run"), folder


def asked(scans: tuple[dict[str, Any], Path], name: str, *windows: dict[str, str]) -> dict[str, Any]:
    settings, folder = scans
    return settings | {"windows": list(windows), "output": {"run": str(folder / name)}}


def brute_km2(run: Path, layers: slice) -> float:
    reasons = [np.asarray(zarr.open_array(run / "cube.zarr", path=f"{zone.name}/reason", mode="r"))[layers]
               for zone in (run / "cube.zarr").glob("EPSG_*")]  # fmt: skip
    return sum(float((reason == Reason.OBSERVED).any(axis=0).sum()) for reason in reasons) / 1e4


def test_ground_is_counted_once_however_often_it_is_looked_at(scans: tuple[dict[str, Any], Path]):
    one = plain_scan(asked(scans, "one", EARLY))
    two = plain_scan(asked(scans, "two", EARLY, LATE))
    early, late = two.windows.values()
    assert two.km2 == one.km2 == early.km2 == late.km2
    assert early.landslide_km2 == one.landslide_km2
    assert two.landslide_km2 is None
    seen = brute_km2(scans[1] / "two", slice(None))
    assert two.observed_km2 == pytest.approx(seen)
    assert seen > max(brute_km2(scans[1] / "two", slice(layer, layer + 1)) for layer in (0, 1)) + 0.1
    assert seen < early.observed_km2 + late.observed_km2 - 0.1


def test_windows_of_the_same_days_are_told_apart_and_the_same_window_twice_is_refused(
    scans: tuple[dict[str, Any], Path],
):
    hours = [f"2023-08-03T{hour}:00:00Z" for hour in ("00", "10", "20")]
    halves = [{"start": start, "end": end} for start, end in pairwise(hours)]
    both = plain_scan(asked(scans, "halves", *halves))
    assert list(both.windows) == [
        "2023-08-03T00:00:00+00:00 to 2023-08-03T10:00:00+00:00",
        "2023-08-03T10:00:00+00:00 to 2023-08-03T20:00:00+00:00",
    ]
    assert max(one.observed_km2 for one in both.windows.values()) == both.observed_km2 > 0
    noted = RunDirectory(str(scans[1] / "halves")).read_json("run.json")["summary"]["windows"]
    assert [one["window"] for one in noted] == list(both.windows)
    with pytest.raises(InvalidConfigError, match="twice"):
        parse(ScanConfig, asked(scans, "twice", EARLY, LATE, EARLY))


def test_what_is_said_of_a_scan_adds_no_area_over_windows(scans: tuple[dict[str, Any], Path]):
    summary = plain_scan(asked(scans, "two", EARLY, LATE))
    run = RunDirectory(str(scans[1] / "two"))
    early, late = summary.windows.values()
    report = scan_report(summary).splitlines()
    share = summary.observed_km2 / summary.km2
    assert f"{summary.km2:,.1f} km2 scanned in 2 windows, {share:.1%} observed in at least one" in report
    for days, one in summary.windows.items():
        part = f"{days}: {one.observed_km2 / one.km2:.1%} observed; expected landslides {one.landslide_km2:,.2f} km2"
        assert part in report
    facts = run.read_json("run.json")["summary"]
    assert (facts["km2"], facts["observed_km2"]) == (summary.km2, summary.observed_km2)
    assert facts["landslide_km2"] is None
    assert [each["landslide_km2"] for each in facts["windows"]] == [early.landslide_km2, late.landslide_km2]
    found, *_ = status(run)
    every = found.rows[-1]
    assert (every.km2, every.observed_km2, every.landslide_km2) == (summary.km2, summary.observed_km2, None)
    wrong = {f"{early.km2 + late.km2:,.1f}", f"{early.landslide_km2 + late.landslide_km2:,.2f}"}
    assert not wrong & set(" ".join([*lines(found), *report]).split())


@pytest.mark.slow
def test_while_it_is_not_counted_the_ground_seen_is_said_to_be_at_least_so_much(scans: tuple[dict[str, Any], Path]):
    settings = asked(scans, "grown", EARLY, LATE)
    assert plain_scan(settings | {"windows": [EARLY]}).complete
    summary = plain_append(settings)
    run = RunDirectory(str(scans[1] / "grown"))
    assert summary.observed_km2 == pytest.approx(brute_km2(scans[1] / "grown", slice(None)))
    unit = next(record for record in Ledger(run).records().values() if record.state == "written")
    Ledger(run).add(Record(unit=unit.unit, state="broken", attempts=unit.attempts))
    found, *_ = status(run)
    every = found.rows[-1]
    assert every.at_least
    assert every.observed_km2 < summary.observed_km2
    assert f">= {every.observed_km2 / every.km2:.1%}" in "\n".join(lines(found))


def test_progress_counts_ground_once():
    said: list[Progress] = []
    done = Record(unit="EPSG_32633-t0-r0-c0", state="written", km2=2.0)
    report = Reporter(4, {done.unit: done}, said.append)
    for unit in ("EPSG_32633-t1-r0-c0", "EPSG_32633-t1-r0-c1", "EPSG_32633-t0-r0-c1"):
        report(replace(done, unit=unit))
    assert [one.km2 for one in said] == [2.0, 4.0, 4.0]
