"""What became of a cube behind its ledger's back is found, said by unit, and redone; nothing else is."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import pytest
from helpers.borderland import assert_same_cubes, configured, snapshot
from helpers.plainrun import plain_scan

from landslide_scale.cube import manifest
from landslide_scale.cube.ledger import Ledger
from landslide_scale.cube.record import Record
from landslide_scale.errors import InvalidInputError, RunConflictError
from landslide_scale.reports.scans import verify_report
from landslide_scale.scan import driver, layout
from landslide_scale.scan import verify as checking
from landslide_scale.scan.verify import Verdict, changed, verify
from landslide_scale.stac.aside import SetAside, written_down
from landslide_scale.stac.frozen import load_items
from landslide_scale.storage.lease import held
from landslide_scale.storage.rundir import RunDirectory


@pytest.fixture(
    scope="module", params=[{"sharded": True, "keep": ["red"]}, {"sharded": False}], ids=["sharded and kept", "chunks"]
)
def whole(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    catalogue: tuple[str, Path],
    checkpoint: str,
) -> tuple[Path, dict[str, Any]]:
    """A complete run and its settings; its last block holds nothing but ground outside every scene."""
    run = tmp_path_factory.mktemp("whole") / "run"
    settings = configured(catalogue, checkpoint, run, region={"bbox": [17.955, 46.010, 17.992, 46.015]})
    settings["output"] |= request.param
    assert plain_scan(settings).complete
    return run, settings


@pytest.fixture
def run(whole: tuple[Path, dict[str, Any]], tmp_path: Path) -> RunDirectory:
    shutil.copytree(whole[0], tmp_path / "run")
    return RunDirectory(str(tmp_path / "run"))


def looked(run: RunDirectory) -> Verdict:
    return verify(run, lambda *_: None)


def resumed(
    run: RunDirectory, whole: tuple[Path, dict[str, Any]], standing: checking.Standing = checking.as_recorded
) -> None:
    settings = whole[1] | {"output": {**whole[1]["output"], "run": run.url}}
    assert plain_scan(settings, standing=standing).complete


def stored(run: RunDirectory, unit: str, variable: str = "probability") -> Path:
    laid = layout.load(run)
    place = next(place for place in laid.places if place.id == unit)
    return next(path for key in laid.objects(place)[variable] if (path := Path(run.url, layout.CUBE, key)).exists())


def a_written_unit(run: RunDirectory) -> str:
    return next(name for name, record in sorted(Ledger(run).records().items()) if record.state == "written")


def test_a_complete_run_is_whole_and_every_byte_of_it_is_looked_at(run: RunDirectory):
    seen: list[tuple[int, int]] = []
    before = snapshot(Path(run.url))
    verdict = verify(run, lambda done, total: seen.append((done, total)))
    assert verdict.whole
    assert seen == [(number, verdict.units) for number in range(1, verdict.units + 1)]
    assert verdict.bytes == sum(
        int(one["bytes"]) for record in Ledger(run).records().values() for one in record.stored.values()
    )
    assert snapshot(Path(run.url)) == before
    assert "are stored as they were written" in verify_report(verdict)


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0x10
    path.write_bytes(bytes(content))


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-7])


@pytest.mark.parametrize("damage", [flip, cut, Path.unlink, lambda path: path.write_bytes(b"")])
@pytest.mark.parametrize("variable", ["probability", "reason"])
def test_damage_is_found_said_by_unit_and_redone_alone(
    run: RunDirectory, whole: tuple[Path, dict[str, Any]], damage: Callable[[Path], None], variable: str
):
    unit = a_written_unit(run)
    others = {
        path: path.stat().st_ino for path in Path(run.url, layout.CUBE).rglob("*") if is_of_another(run, path, unit)
    }
    damage(stored(run, unit, variable))
    verdict = looked(run)
    assert [finding.of for finding in verdict.findings] == [unit]
    assert verdict.findings[0].problem.startswith(f"{variable}: ")
    assert unit in verify_report(verdict)
    assert "--resume" in verify_report(verdict)
    assert run.claimed()["state"] == "incomplete"
    assert Ledger(run).records()[unit].state == "broken"
    assert [finding.of for finding in looked(run).findings] == [unit]
    resumed(run, whole)
    assert_same_cubes(Path(run.url), whole[0])
    assert looked(run).whole
    assert Ledger(run).records()[unit].attempts == 2
    assert run.claimed()["state"] == "complete"
    assert {path: path.stat().st_ino for path in others} == others


def is_of_another(run: RunDirectory, path: Path, unit: str) -> bool:
    laid = layout.load(run)
    key = str(path.relative_to(Path(run.url, layout.CUBE)))
    return any(key in keys for place in laid.places if place.id != unit for keys in laid.objects(place).values())


def test_what_is_missing_or_cut_short_is_redone_by_a_resume_that_lists_the_cube(
    run: RunDirectory, whole: tuple[Path, dict[str, Any]]
):
    units = sorted(name for name, record in Ledger(run).records().items() if record.state == "written")
    stored(run, units[0]).unlink()
    cut(stored(run, units[1], "observed_on"))
    resumed(run, whole)  # goes by the ledger, and looks at no object
    assert {record.attempts for record in Ledger(run).records().values()} == {1}
    resumed(run, whole, checking.as_listed)
    assert_same_cubes(Path(run.url), whole[0])
    attempts = {name: record.attempts for name, record in Ledger(run).records().items()}
    assert {name for name, count in attempts.items() if count == 2} == set(units[:2])


def test_a_run_whose_lost_shard_is_being_redone_is_not_complete_meanwhile(
    run: RunDirectory, whole: tuple[Path, dict[str, Any]], monkeypatch: pytest.MonkeyPatch
):
    stored(run, a_written_unit(run)).unlink()

    def dies(*_: object, **__: object) -> NoReturn:
        raise KeyboardInterrupt

    for where, killed in ((driver.Ledger, "add"), (driver, "worked_on")):  # once it is known, and while it is made
        with monkeypatch.context() as patched:
            patched.setattr(where, killed, dies)
            with pytest.raises(KeyboardInterrupt):
                resumed(run, whole, checking.as_listed)
        assert run.claimed()["state"] == "running"
        run.note(state="complete")
    assert not looked(run).whole
    assert run.claimed()["state"] == "incomplete"
    resumed(run, whole)
    assert looked(run).whole


def test_a_unit_without_a_record_is_named_whether_something_is_stored_of_it_or_not(
    run: RunDirectory, whole: tuple[Path, dict[str, Any]]
):
    records = Ledger(run).records()
    lost = a_written_unit(run)
    for name in run.names("ledger", ".parquet"):
        run.delete(f"ledger/{name}")
    for record in records.values():
        if record.unit != lost:
            Ledger(run).add(record)
    assert [(one.of, "something is stored" in one.problem) for one in looked(run).findings] == [(lost, True)]
    for variable in records[lost].stored:
        while True:
            try:
                stored(run, lost, variable).unlink()
            except StopIteration:
                break
    assert [(one.of, one.problem) for one in looked(run).findings] == [(lost, "not done")]
    assert run.claimed()["state"] == "incomplete"
    resumed(run, whole)
    assert_same_cubes(Path(run.url), whole[0])


def test_a_damaged_part_of_the_ledger_is_named_and_what_it_said_is_redone(
    run: RunDirectory, whole: tuple[Path, dict[str, Any]]
):
    (name,) = run.names("ledger", ".parquet")
    run.write(f"ledger/{name}", run.read(f"ledger/{name}")[:-9])
    found = looked(run)
    assert [(one.of, one.problem.startswith("damaged (")) for one in found.files] == [(f"ledger/{name}", True)]
    assert len(found.findings) == found.units
    assert any("or the record is lost" in one.problem for one in found.findings)
    resumed(run, whole)
    assert_same_cubes(Path(run.url), whole[0])


def test_a_shard_of_a_unit_that_is_empty_is_found_and_so_is_one_of_no_unit(
    run: RunDirectory, whole: tuple[Path, dict[str, Any]]
):
    laid, records = layout.load(run), Ledger(run).records()
    source = stored(run, a_written_unit(run))
    empty = next(place for place in laid.places if records[place.id].state == "empty")
    assert "probability" not in records[empty.id].stored
    there = Path(run.url, layout.CUBE, laid.objects(empty)["probability"][0])
    there.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(source, there)
    astray = source.with_name("999")
    shutil.copy(source, astray)
    verdict = looked(run)
    assert [finding.of for finding in verdict.findings] == [empty.id]
    assert verdict.strays == (str(astray.relative_to(Path(run.url, layout.CUBE))),)
    assert "999: stored, but of no unit" in verify_report(verdict)
    astray.unlink()
    resumed(run, whole)
    assert_same_cubes(Path(run.url), whole[0])


def test_a_failed_unit_is_named_with_its_error(run: RunDirectory):
    unit = a_written_unit(run)
    Ledger(run).add(Record(unit=unit, state="broken", attempts=1))
    Ledger(run).add(Record(unit=unit, state="failed", attempts=2, error="TryAgainError: 503"))
    assert [finding.problem for finding in looked(run).findings] == ["failed: TryAgainError: 503"]


def test_a_listing_alone_tells_all_but_changes_in_place(run: RunDirectory):
    laid, records = layout.load(run), Ledger(run).records()
    assert changed(laid, records) == []
    flip(stored(run, a_written_unit(run)))
    assert changed(laid, records) == []
    cut(stored(run, a_written_unit(run)))
    assert [record.unit for record in changed(laid, records)] == [a_written_unit(run)]
    assert changed(laid, {}) == []


def test_a_run_at_work_is_not_judged_nor_a_folder_without_one(run: RunDirectory, tmp_path: Path):
    with held(run), pytest.raises(RunConflictError, match="at work"):
        looked(run)
    for folder in (tmp_path, tmp_path / "nothing"):
        with pytest.raises(InvalidInputError, match=r"no units\.parquet"):
            looked(RunDirectory(str(folder)))


def of_the_cube(run: RunDirectory, pattern: str) -> Path:
    """The first file of the cube that a pattern fits."""
    return min(Path(run.url, layout.CUBE).glob(pattern))


def another_scale(path: Path) -> None:
    """A reader finds 0.2 where 0.8 is stored."""
    path.write_text(path.read_text().replace("0.004", "0.001"))


@pytest.mark.parametrize(
    ("pattern", "damage"),
    [
        ("*/probability/zarr.json", another_scale),
        ("zarr.json", another_scale),  # the consolidated ones
        ("zarr.json", Path.unlink),
        ("zarr.json", cut),
        ("*/zarr.json", Path.unlink),
        ("*/reason/zarr.json", cut),
        ("*/x/c/0", Path.unlink),
        ("*/time/c/0", cut),
        ("*/time_bounds/c/0/0", flip),
        ("*/spatial_ref/zarr.json", Path.unlink),
    ],
)
def test_what_a_reader_opens_a_cube_by_is_verified_and_made_anew_and_no_unit_is_redone(
    run: RunDirectory, whole: tuple[Path, dict[str, Any]], pattern: str, damage: Callable[[Path], None]
):
    path = of_the_cube(run, pattern)
    damage(path)
    verdict = looked(run)
    assert not verdict.whole
    assert verdict.findings == ()
    assert [finding.of for finding in verdict.files] == [str(path.relative_to(run.url))]
    assert str(path.relative_to(run.url)) in verify_report(verdict)
    assert run.claimed()["state"] == "incomplete"
    resumed(run, whole)
    assert_same_cubes(Path(run.url), whole[0])
    assert looked(run).whole
    assert {record.attempts for record in Ledger(run).records().values()} == {1}


def test_scenes_that_are_others_than_were_frozen_and_lost_notes_are_found(run: RunDirectory):
    flip(Path(run.url, "scenes.parquet"))
    assert [finding.of for finding in looked(run).files] == ["scenes.parquet"]
    Path(run.url, "files.json").unlink()
    assert [finding.of for finding in looked(run).files] == ["files.json"]


@pytest.mark.parametrize("damage", [flip, cut, Path.unlink])
@pytest.mark.parametrize("name", ["region.geojson", "units.parquet"])
def test_what_the_driver_can_make_again_of_a_plan_is_made_again_and_never_taken_as_it_is(
    run: RunDirectory, whole: tuple[Path, dict[str, Any]], name: str, damage: Callable[[Path], None]
):
    before = run.read(name)
    damage(Path(run.url, name))
    resumed(run, whole)
    assert run.read(name) == before
    assert looked(run).whole
    assert {record.attempts for record in Ledger(run).records().values()} == {1}


@pytest.mark.parametrize(
    ("name", "damage", "cure"),
    [
        ("scenes.parquet", flip, "from a copy, or begin another run"),
        ("scenes.parquet", Path.unlink, "from a copy, or begin another run"),
        ("set_aside.json", lambda path: path.write_text(path.read_text().replace("gone", "lost")), "or remove it"),
    ],
)
def test_what_it_cannot_make_again_is_named_with_the_cure_and_nothing_is_written(
    run: RunDirectory, whole: tuple[Path, dict[str, Any]], name: str, damage: Callable[[Path], None], cure: str
):
    aside = SetAside(unreadable={"no such scene": "gone"})
    manifest.put(run, {"set_aside.json": written_down(aside)})
    before = run.read(name)
    damage(Path(run.url, name))
    files = snapshot(Path(run.url))
    assert [finding.of for finding in looked(run).files] == [name]
    run.note(state="complete")
    with pytest.raises(InvalidInputError, match=rf"{name}.*{cure}"):
        resumed(run, whole)
    assert snapshot(Path(run.url)).keys() == files.keys()
    run.write(name, before)
    resumed(run, whole)
    assert looked(run).whole


@pytest.mark.parametrize("aside", [SetAside(), SetAside(unreadable={"no such scene": "gone"})])
def test_a_lost_decision_is_made_anew(run: RunDirectory, whole: tuple[Path, dict[str, Any]], aside: SetAside):
    manifest.put(run, {"set_aside.json": written_down(aside)})
    run.delete("set_aside.json")
    assert [finding.of for finding in looked(run).files] == ["set_aside.json"]
    resumed(run, whole)
    assert looked(run).whole


def test_scenes_that_are_replaced_while_a_run_is_at_work_are_those_it_was_planned_from_at_its_end(
    run: RunDirectory, whole: tuple[Path, dict[str, Any]], monkeypatch: pytest.MonkeyPatch
):
    before = load_items(run)
    compact = Ledger.compact

    def meanwhile(ledger: Ledger) -> None:
        run.write("scenes.parquet", b"garbage")
        compact(ledger)

    monkeypatch.setattr(Ledger, "compact", meanwhile)
    resumed(run, whole)
    assert looked(run).whole
    assert load_items(run) == before


@pytest.mark.parametrize("told", [lambda text: text, lambda text: text.replace("landslide", "slide")])
def test_of_a_run_begun_before_files_were_noted_the_numbers_and_shapes_are_verified(
    run: RunDirectory, whole: tuple[Path, dict[str, Any]], told: Callable[[str], str]
):
    Path(run.url, "files.json").unlink()
    run.write_json("run.json", {key: value for key, value in run.read_json("run.json").items() if "files" not in key})
    path = of_the_cube(run, "*/probability/zarr.json")
    path.write_text(told(path.read_text()))  # another version's words
    assert looked(run).whole
    another_scale(path)
    assert [finding.of for finding in looked(run).files] == [str(path.relative_to(run.url))]
    resumed(run, whole)
    assert_same_cubes(Path(run.url), whole[0])
    assert looked(run).whole
