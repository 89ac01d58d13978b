from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from helpers.borderland import configured, served, untrained
from helpers.cubes import AFTER, BEFORE, Made, layer_of, made
from helpers.plainrun import plain_append, plain_scan
from PIL import Image
from typer.testing import CliRunner

from landslide_scale.cli import app
from landslide_scale.cube.ledger import Ledger
from landslide_scale.cube.record import Record
from landslide_scale.errors import InvalidInputError
from landslide_scale.grid import PixelBox
from landslide_scale.inspection.status import lines, status
from landslide_scale.scan import layout
from landslide_scale.stac.frozen import load_items
from landslide_scale.storage.rundir import RunDirectory


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Two windows over both zones; the first with a failed unit, a broken one, and one that is left to do."""
    folder = tmp_path_factory.mktemp("scenes")
    checkpoint = untrained(tmp_path_factory.mktemp("model") / "checkpoint.safetensors")
    run = tmp_path_factory.mktemp("run") / "run"
    with served(folder) as url:
        early, late = ({"start": f"2023-08-{a}", "end": f"2023-08-{b}"} for a, b in (("01", "05"), ("05", "20")))
        settings = configured((url, folder), checkpoint, run, windows=[early])
        assert plain_scan(settings).complete
        assert plain_append(settings | {"windows": [early, late]}).complete
    return str(run)


@pytest.fixture(scope="module")
def hurt(run: str) -> str:
    ledger = Ledger(RunDirectory(run))
    units = sorted(ledger.records())
    ledger.add(Record(unit=units[0], state="broken", attempts=1, error="BrokenUnit: probability: other bytes"))
    for number, unit in enumerate(units[1:3]):
        ledger.add(Record(unit=unit, state="broken", attempts=1))
        error = ("TryAgainError: 503", "PermanentReadError: 404")[number]
        ledger.add(Record(unit=unit, state="failed", attempts=2, error=error))
    return run


def test_the_table_adds_up(hurt: str):
    found, laid, records = status(RunDirectory(hurt))
    first, second, every = found.rows
    assert every.units == first.units + second.units == len(laid.places) == len(records)
    assert every.states == tuple(a + b for a, b in zip(first.states, second.states, strict=True))
    assert dict(zip(("written", "empty", "failed", "broken"), every.states, strict=True)) == {
        state: sum(record.state == state for record in records.values())
        for state in ("written", "empty", "failed", "broken")
    }
    assert every.left == 0
    assert first.km2 <= every.km2 <= first.km2 + second.km2  # of the first, units are failed
    assert 0 < every.observed_km2 < every.km2
    assert dict(found.errors) == {"TryAgainError": 1, "PermanentReadError": 1, "BrokenUnit": 1}
    assert {name for name, *_ in found.seconds} == {"read", "predict", "write"}
    assert all(0 < median <= most <= total for _, total, median, most in found.seconds)
    assert found.resampled > 0


def test_units_that_lack_a_quarantined_scene_are_counted(run: str, tmp_path: Path):
    copy = RunDirectory(str(shutil.copytree(run, tmp_path / "run")))
    done = next(record for record in Ledger(copy).records().values() if record.done and record.scenes)
    doubted = {"id": "bad", "quarantined": "its pixels say it was never applied"}
    Ledger(copy).add(replace(done, scenes=(*done.scenes, doubted)))
    found, *_ = status(copy)
    assert (found.doubted, status(RunDirectory(run))[0].doubted) == (1, 0)
    assert "1 lack a quarantined one" in "\n".join(lines(found))


def test_units_without_a_record_are_left_to_do(run: str, tmp_path: Path):
    run_json = RunDirectory(run).read_json("run.json")
    fresh = RunDirectory(str(tmp_path / "fresh"))
    fresh.write_json("run.json", run_json | {"state": "running"})
    fresh.write("units.parquet", RunDirectory(run).read("units.parquet"))
    found, laid, _ = status(fresh)
    assert found.rows[-1].left == len(laid.places)
    assert found.seconds == ()
    text = "\n".join(lines(found))
    assert "state: running" in text
    assert "2023-08-01 to 2023-08-05" in text


def test_damaged_files_of_a_run_are_named_with_the_cure(run: str, tmp_path: Path):
    copy = RunDirectory(str(shutil.copytree(run, tmp_path / "run")))
    part = f"ledger/{copy.names('ledger', '.parquet')[0]}"
    copy.write(part, copy.read(part)[:-9])
    assert f"damaged: {part}; scan --resume does its units again" in lines(status(copy)[0])
    for name in ("units.parquet", "run.json"):
        whole = copy.read(name)
        copy.write(name, whole[:-9])
        with pytest.raises(InvalidInputError, match=rf"{name}.* damaged"):
            status(copy)
        copy.write(name, whole)
    copy.write("scenes.parquet", copy.read("scenes.parquet")[:-9])
    with pytest.raises(InvalidInputError, match=r"scenes\.parquet is damaged"):
        load_items(copy)


def test_the_command_prints_it_and_draws_maps(hurt: str, tmp_path: Path):
    for name in ("map.png", "map.html"):
        done = CliRunner().invoke(app, ["status", hurt, "--map", str(tmp_path / name)])
        assert done.exit_code == 0, done.output
        assert "PermanentReadError 1" in done.output
    picture = np.asarray(Image.open(tmp_path / "map.png").convert("RGB"))
    for colour in ((0xD6, 0x27, 0x28), (0xFF, 0x7F, 0x0E), (0xC9, 0xC9, 0xC9)):
        assert (picture == colour).all(axis=2).sum() > 100, colour
    page = (tmp_path / "map.html").read_text()
    assert "PermanentReadError" in page
    assert "<svg" in page
    assert page.count("<script") == 0


def test_a_map_of_another_kind_and_a_folder_without_a_run_are_refused(hurt: str, tmp_path: Path):
    for arguments, said in (([hurt, "--map", "map.tif"], ".png or .html"), ([str(tmp_path)], "units.parquet")):
        done = CliRunner().invoke(app, ["status", *arguments])
        assert done.exit_code == 2
        assert said in done.output
        assert "Traceback" not in done.output


def test_verify_ends_with_3_where_something_is_wrong(hurt: str):
    done = CliRunner().invoke(app, ["verify", hurt])
    assert done.exit_code == 3
    assert "TryAgainError: 503" in done.output
    assert json.loads(Path(hurt, "run.json").read_text())["kind"] == "scan"


def test_a_scan_is_gone_on_with_or_given_windows_not_both(tmp_path: Path):
    done = CliRunner().invoke(app, ["scan", "--config", str(tmp_path / "x.yaml"), "--resume", "--append"])
    assert done.exit_code == 2
    assert "--append" in done.output


def test_a_run_that_is_given_a_further_window_just_now_has_a_status(tmp_path: Path):
    ground = PixelBox(row_start=-320_000, row_stop=-319_984, col_start=32_000, col_stop=32_016)
    shorter, longer = Made(windows=(BEFORE,)), Made(windows=(BEFORE, AFTER))
    extents = {shorter.lattice(33): ground}
    run = made(tmp_path / "run", shorter.places(extents), lambda _: layer_of(np.full((16, 16), 0.8)), shorter)
    other = made(tmp_path / "longer", longer.places(extents), lambda _: layer_of(np.full((16, 16), 0.8)), longer)

    class Meanwhile(RunDirectory):
        """A driver appends right before the units are read, or after."""

        def read(self, name: str) -> bytes:
            before = super().read(name)
            if name == layout.UNITS:
                run.note(settings=other.claimed()["settings"], state="running")
                run.write(layout.UNITS, other.read(layout.UNITS))
            return before if late else super().read(name)

    for late in (True, False):
        found, laid, _ = status(Meanwhile(run.url))
        assert [row.units for row in found.rows] == [1, 0 if late else 1, 1 if late else 2]
        assert len(laid.places) == (1 if late else 2)
