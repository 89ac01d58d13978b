"""A run that is complete is gone on with in no time: nothing is planned, listed or read of its units."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import pytest
from helpers.borderland import configured
from helpers.plainrun import plain_scan

from landslide_scale.cube.ledger import Ledger
from landslide_scale.errors import InvalidInputError, RunConflictError
from landslide_scale.scan import driver, prepared, verify
from landslide_scale.scan.settings import ScanConfig
from landslide_scale.storage.folder import Folder
from landslide_scale.storage.rundir import RunDirectory
from landslide_scale.strictyaml import parse

if TYPE_CHECKING:
    from landslide_scale.scan.summary import ScanSummary


@pytest.fixture(scope="module")
def whole(
    tmp_path_factory: pytest.TempPathFactory, catalogue: tuple[str, Path], checkpoint: str
) -> tuple[dict[str, Any], ScanSummary]:
    windows = [{"start": "2023-08-01", "end": "2023-09-01"}, {"start": "2023-09-01", "end": "2023-10-01"}]
    settings = configured(catalogue, checkpoint, tmp_path_factory.mktemp("whole") / "run", windows=windows)
    return settings, plain_scan(settings)


@pytest.fixture
def copied(whole: tuple[dict[str, Any], ScanSummary], tmp_path: Path) -> dict[str, Any]:
    """The run's settings, in a folder of its own."""
    settings = whole[0] | {"output": {**whole[0]["output"], "run": str(tmp_path / "run")}}
    shutil.copytree(whole[0]["output"]["run"], tmp_path / "run")
    return settings


def ended(settings: dict[str, Any]) -> ScanSummary | None:
    return driver.ended(parse(ScanConfig, settings))


def never(*_: object, **__: object) -> NoReturn:
    raise AssertionError("not to be called")


def test_a_complete_run_says_what_it_said_when_it_ended_and_looks_at_no_unit(
    whole: tuple[dict[str, Any], ScanSummary], monkeypatch: pytest.MonkeyPatch
):
    settings, said = whole
    assert said.complete
    assert said.unseen  # of the second window there is no scene
    for place, name in ((prepared, "settled"), (Ledger, "_all"), (Folder, "sizes"), (verify, "changed")):
        monkeypatch.setattr(place, name, never)
    assert ended(settings) == said


def test_a_run_that_is_not_there_or_not_complete_has_not_ended(copied: dict[str, Any], tmp_path: Path):
    assert ended(copied | {"output": {**copied["output"], "run": str(tmp_path / "none")}}) is None
    run = RunDirectory(copied["output"]["run"])
    for state in ("running", "incomplete"):
        run.write_json("run.json", run.read_json("run.json") | {"state": state})
        assert ended(copied) is None


def test_a_run_that_is_to_do_without_another_scene_has_not_ended_until_it_does(copied: dict[str, Any]):
    records = Ledger(RunDirectory(copied["output"]["run"])).records().values()
    used = sorted({scene["id"] for record in records for scene in record.scenes})
    fewer = copied | {"catalog": {**copied["catalog"], "exclude": used[:1]}}
    assert ended(fewer) is None
    again = plain_scan(fewer)
    assert again.complete
    assert again == ended(fewer) == ended(copied)
    assert again.quarantined
    assert used[0] in again.quarantined[0]


@pytest.mark.parametrize("lacking", ["summary", "units", "quarantined", "windows_without_scenes"])
def test_a_run_whose_notes_are_of_before_they_said_all_of_it_is_gone_on_with_as_ever(
    copied: dict[str, Any], lacking: str
):
    run = RunDirectory(copied["output"]["run"])
    facts = run.read_json("run.json")
    del facts[lacking]
    run.write_json("run.json", facts)
    assert ended(copied) is None
    assert plain_scan(copied).complete
    assert ended(copied) is not None


def test_a_run_whose_summary_lacks_what_only_some_window_says_is_gone_on_with_as_ever(copied: dict[str, Any]):
    run = RunDirectory(copied["output"]["run"])
    facts = run.read_json("run.json")
    for key in ("windows", "km2"):
        held = facts["summary"].pop(key)
        run.write_json("run.json", facts)
        assert ended(copied) is None
        facts["summary"][key] = held
    one = facts["summary"]["windows"].pop()  # of two of the same days only one was said
    run.write_json("run.json", facts)
    assert ended(copied) is None
    facts["summary"]["windows"].append(one)
    facts["summary"]["written"] -= 1
    run.write_json("run.json", facts)
    assert ended(copied) is None


@pytest.mark.parametrize(
    "other",
    [{"windows": [{"start": "2023-08-01", "end": "2023-08-20"}]}, {"region": {"bbox": [18.0, 46.0, 18.01, 46.01]}}],
)
def test_other_settings_than_the_runs_are_refused_as_ever(copied: dict[str, Any], other: dict[str, Any]):
    with pytest.raises(RunConflictError):
        ended(copied | other)


def test_a_checkpoint_that_was_replaced_is_refused_as_ever(copied: dict[str, Any], tmp_path: Path):
    held = tmp_path / "model.safetensors"
    shutil.copy(copied["model"]["checkpoint"], held)
    moved = copied | {"model": {**copied["model"], "checkpoint": str(held)}}
    assert ended(moved) is not None
    content = bytearray(held.read_bytes())
    content[-1] ^= 1
    held.write_bytes(bytes(content))
    with pytest.raises(InvalidInputError):
        ended(moved)
