"""One cube is of one set of files: a scene that is replaced at its address while a scan goes on ends it in words."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from helpers.borderland import assert_same_cubes, border_tiles, configured, served, write_item
from helpers.plainrun import plain_scan

from landslide_scale.cube.inputs import Files, of_two_files
from landslide_scale.cube.ledger import Ledger
from landslide_scale.cube.record import Record
from landslide_scale.errors import BrokenRunError
from landslide_scale.scan import driver
from landslide_scale.scan.verify import verify
from landslide_scale.storage.rundir import RunDirectory


@pytest.fixture
def own_catalogue(tmp_path: Path):
    folder = tmp_path / "scenes"
    folder.mkdir()
    with served(folder) as url:
        yield url, folder


def begun(settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch, units: int) -> None:
    """A driver that ends after some units."""
    worked_on: Callable[..., Any] = driver.worked_on
    with monkeypatch.context() as patched:
        patched.setattr(driver, "worked_on", lambda left, *rest, **named: worked_on(left[:units], *rest, **named))
        assert not plain_scan(settings).complete


def replace_scene(folder: Path, name: str) -> None:
    write_item(folder, replace(border_tiles()[name], salt=57))


def test_a_scene_that_was_replaced_ends_the_run_and_the_first_one_goes_on(
    own_catalogue: tuple[str, Path], checkpoint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    folder = own_catalogue[1]
    assert plain_scan(configured(own_catalogue, checkpoint, tmp_path / "whole")).complete
    settings, run = configured(own_catalogue, checkpoint, tmp_path / "run"), RunDirectory(str(tmp_path / "run"))
    first = (folder / "a-red.tif").read_bytes()
    begun(settings, monkeypatch, 3)
    replace_scene(folder, "a")
    for _ in range(2):  # as often as one tries
        with pytest.raises(BrokenRunError, match="red of a was replaced while the run goes on"):
            plain_scan(settings)
        assert run.claimed()["state"] == "running"
        assert not verify(run, lambda *_: None).whole
    assert any("OtherFile" in record.error for record in Ledger(run).records().values())
    (folder / "a-red.tif").write_bytes(first)
    assert plain_scan(settings).complete
    assert_same_cubes(tmp_path / "run", tmp_path / "whole")
    assert verify(run, lambda *_: None).whole


def test_a_run_goes_on_without_the_scene_where_it_is_excluded(
    own_catalogue: tuple[str, Path], checkpoint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    settings, without = configured(own_catalogue, checkpoint, tmp_path / "run"), {"exclude": ["a"]}
    begun(settings, monkeypatch, 3)
    replace_scene(own_catalogue[1], "a")
    with pytest.raises(BrokenRunError, match="red of a"):
        plain_scan(settings)
    fewer = settings | {"catalog": {**settings["catalog"], **without}}
    assert plain_scan(fewer).complete
    other = configured(own_catalogue, checkpoint, tmp_path / "other")
    assert plain_scan(other | {"catalog": {**other["catalog"], **without}}).complete
    assert_same_cubes(tmp_path / "run", tmp_path / "other")


def test_units_of_before_files_were_known_again_are_gone_on_with(
    own_catalogue: tuple[str, Path], checkpoint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    settings, run = configured(own_catalogue, checkpoint, tmp_path / "run"), RunDirectory(str(tmp_path / "run"))
    begun(settings, monkeypatch, 3)
    ledger = Ledger(run)
    records = [replace(record, files={}) for record in ledger.records().values()]
    run.delete_all([f"ledger/{name}" for name in run.names("ledger", ".parquet")])
    for record in records:
        ledger.add(record)
    replace_scene(own_catalogue[1], "a")
    assert plain_scan(settings).complete


def record(unit: str, **files: str) -> Record:
    return Record(unit=unit, state="written", files={"a": files})


def test_the_first_mark_is_what_a_file_is_known_by_and_a_failed_unit_says_nothing_of_it():
    known = Files()
    assert known.other(replace(record("failed", red="0"), state="failed")) is None
    assert known.other(replace(record("taken", red="0"), taken_from="another run")) is None
    assert known.others([record("1", red="1", scl="7"), record("2", red="1"), record("3", scl="8"), record("4")]) == [
        Record(unit="3", state="broken", error="OtherFile: scl of a was another file than for units before")
    ]
    assert known.other(record("5", red="1", scl="7", nir="2")) is None
    assert known.other(record("6", nir="3")) == ("a", "nir")
    assert known.other(record("7", red="1+2")) == ("a", "red")


def test_a_unit_of_two_files_of_one_name_is_done_again_and_is_no_measure_for_others():
    """Runs once took such a unit for done: whichever of the files is brought back, they go on."""
    both = record("1", red="1+2")
    assert of_two_files(both)
    assert not of_two_files(record("1", red="1", scl="2"))
    for mark in "12":
        known = Files()
        assert [one.unit for one in known.others([both])] == ["1"]
        assert known.other(record("2", red=mark)) is None
        assert known.other(record("1", red=mark)) is None
