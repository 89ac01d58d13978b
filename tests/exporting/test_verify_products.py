"""What became of products behind their manifest's back, and of their cube since, is found and said by file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from helpers.exporting import exported
from helpers.s3 import local

from landslide_scale.commands.arguments import INCOMPLETE
from landslide_scale.commands.inspecting import verify as verify_command
from landslide_scale.cube.ledger import Ledger
from landslide_scale.cube.record import Record
from landslide_scale.errors import RunConflictError
from landslide_scale.exporting.summary import products_report
from landslide_scale.exporting.verify import ProductsVerdict, stated_cube, verify_products
from landslide_scale.products import names
from landslide_scale.products.names import MAKING
from landslide_scale.scan.layout import CUBE
from landslide_scale.storage.lease import held
from landslide_scale.storage.rundir import RunDirectory

STYLE = "cog/EPSG_32633/20230701_20230801/reason.qml"


def looked(run: RunDirectory) -> ProductsVerdict:
    found = verify_products(RunDirectory(run.at(names.FOLDER)), stated_cube(run), lambda *_: None)
    assert found is not None
    return found


def test_whole_products_are_whole_and_every_byte_of_them_is_looked_at(run: RunDirectory):
    seen: list[tuple[int, int]] = []
    before = local(Path(run.url))
    verdict = verify_products(RunDirectory(run.at(names.FOLDER)), stated_cube(run), lambda *of: seen.append(of))
    assert verdict is not None
    assert verdict.whole
    files = {name: content for name, content in local(Path(run.at(names.FOLDER))).items() if names.MANIFEST not in name}
    assert verdict.bytes == sum(map(len, files.values()))
    assert seen == [(number, len(files)) for number in range(1, len(files) + 1)]
    assert local(Path(run.url)) == before
    assert f"{len(files)} of {len(files)} files" in products_report(verdict)


def flip(path: Path) -> None:
    path.write_bytes(bytes(byte ^ 1 for byte in path.read_bytes()))


def lengthen(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"!")


@pytest.mark.parametrize(
    ("damage", "problem"), [(flip, "changed: other bytes"), (lengthen, "changed: 7 bytes"), (Path.unlink, "missing")]
)
def test_damage_is_found_said_by_file_and_made_anew_by_the_next_export(
    run: RunDirectory, damage: Callable[[Path], None], problem: str
):
    before = local(Path(run.url))
    damage(Path(run.at(names.FOLDER), STYLE))
    verdict = looked(run)
    assert [finding.of for finding in verdict.findings] == [STYLE]
    assert verdict.findings[0].problem.startswith(problem)
    assert verdict.sound == verdict.files - 1
    assert STYLE in products_report(verdict)
    assert "made anew" in looked(run).findings[0].problem
    assert exported(run).made == (STYLE.replace(".qml", ".tif"),)
    assert local(Path(run.url)) == before


def test_what_is_of_no_product_is_unknown_and_what_a_killed_export_left_is_told_apart(run: RunDirectory):
    run.write(f"{names.FOLDER}/notes.txt", b"mine")
    run.write(f"{names.FOLDER}/{MAKING}/a/b.tif", b"half")
    run.write(f"{names.FOLDER}/{names.MANIFEST}.{'0' * 16}.partial", b"half")
    found = {finding.of: finding.problem for finding in looked(run).findings}
    assert found.keys() == {"notes.txt", f"{MAKING}/a/b.tif", f"{names.MANIFEST}.{'0' * 16}.partial"}
    assert "unknown" in found["notes.txt"]
    assert "next one removes it" in found[f"{MAKING}/a/b.tif"]
    exported(run)
    assert [finding.of for finding in looked(run).findings] == ["notes.txt"]


def test_products_of_another_state_of_the_cube_are_stale_until_they_are_made_again(run: RunDirectory):
    lost = next(iter(Ledger(run).records()))
    Ledger(run).add(Record(unit=lost, state="broken", attempts=1, error="made"))
    verdict = looked(run)
    assert {finding.problem for finding in verdict.findings} == {"stale: made of another state of the cube"}
    assert len(verdict.findings) == 6
    assert verdict.sound == verdict.files
    exported(run)
    assert looked(run).whole


def test_a_run_without_products_has_none_and_one_at_work_is_not_judged(run: RunDirectory, tmp_path: Path):
    assert verify_products(RunDirectory(str(tmp_path / "nothing")), "", lambda *_: None) is None
    with held(RunDirectory(run.at(names.FOLDER))), pytest.raises(RunConflictError, match="export is at work"):
        looked(run)


def test_the_command_judges_both_and_a_broken_cube_does_not_make_its_products_stale(
    run: RunDirectory, capsys: pytest.CaptureFixture[str]
):
    assert verify_command(run.url, None) == 0
    assert "files of products are as they were made" in capsys.readouterr().out
    Path(run.at(names.FOLDER), STYLE).unlink()
    assert verify_command(run.url, None) == INCOMPLETE
    assert f"{STYLE}: missing" in capsys.readouterr().out
    exported(run)
    flip(next(path for path in Path(run.at(CUBE)).rglob("c/0/*/*") if path.is_file()))
    assert verify_command(run.url, None) == INCOMPLETE
    said = capsys.readouterr().out
    assert "other bytes than were written" in said
    assert "stale" not in said


def test_products_that_lie_elsewhere_are_named(run: RunDirectory, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    elsewhere = tmp_path / "elsewhere"
    Path(run.at(names.FOLDER)).rename(elsewhere)
    assert verify_command(run.url, None) == 0
    assert "products" not in capsys.readouterr().out
    (elsewhere / names.REPORT).unlink()
    assert verify_command(run.url, str(elsewhere)) == INCOMPLETE
