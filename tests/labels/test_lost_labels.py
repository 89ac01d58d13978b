"""A chip is kept where half of the region's ground in it was observed, and what labels are lost is said by its file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import shapely
from helpers.borderland import BORDER, COLLECTION, border_tiles, served, write_item
from helpers.chipping import SCAR, asked, plain
from typer.testing import CliRunner

from landslide_scale.cli import app
from landslide_scale.commands import training
from landslide_scale.demo.satellite.stac_server import serve
from landslide_scale.errors import InvalidDatasetError
from landslide_scale.inspection.chips import chips_status
from landslide_scale.label_values import IGNORE, LANDSLIDE
from landslide_scale.labels.chips import ChipsSummary, make_chips
from landslide_scale.labels.foreseen import foresee
from landslide_scale.labels.settings import ChipsConfig
from landslide_scale.storage.rundir import RunDirectory

SMALL = [BORDER - 0.0105, 46.0095, BORDER - 0.0045, 46.0135]
"""About half a kilometre around the scar: a small part of a chip of 2.24 km."""


@pytest.fixture(scope="module")
def catalogue(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    folder = tmp_path_factory.mktemp("scenes")
    with served(folder) as url:
        yield url, folder


@pytest.fixture(scope="module")
def cloudy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """Most of the scar lies under a cloud."""
    folder = tmp_path_factory.mktemp("cloudy")
    items = [write_item(folder, tile, slice(135, 240)) for name, tile in border_tiles().items() if name in "ad"]
    with serve(items, [COLLECTION]) as url:
        yield url, folder


def burnt(config: ChipsConfig) -> int:
    """Pixels of landslide that the files of chips have."""
    files = Path(config.directory).glob("*.npz")
    return sum(int((np.load(file)["label"] == LANDSLIDE).sum()) for file in files)


def drawn(config: ChipsConfig) -> int:
    """Pixels whose centre lies in the region and in the scar, over all chips."""
    region = shapely.box(*config.region.bbox)
    ground = shapely.intersection(region, SCAR)
    return sum(int(unit.lattice.inside(unit.box, ground).sum()) for unit in foresee(config).survey.plan.units)


def test_a_region_that_is_small_beside_a_chip_gives_its_chips(catalogue: tuple[str, Path], tmp_path: Path):
    config = asked(*catalogue, tmp_path, region={"bbox": SMALL}, size=224)
    units = foresee(config).survey.plan.units
    assert max(unit.lattice.inside(unit.box, shapely.box(*SMALL)).mean() for unit in units) < 0.5
    summary = make_chips(config, plain, resume=False)
    assert summary.kept > 0
    assert (summary.lost, summary.unobserved) == ({}, 0)
    assert burnt(config) == summary.landslide_pixels == pytest.approx(drawn(config), abs=5)
    assert burnt(config) > 500


def test_what_labels_are_lost_is_said_by_the_file_they_would_be_in(cloudy: tuple[str, Path], tmp_path: Path):
    config = asked(*cloudy, tmp_path)
    summary = make_chips(config, plain, resume=False)
    assert summary.unobserved > 0
    total = sum(summary.lost.values()) + burnt(config)
    assert total == pytest.approx(drawn(config), abs=5)
    kept = {file.name for file in Path(config.directory).glob("*.npz")}
    assert sum(pixels for name, pixels in summary.lost.items() if name not in kept) > 100
    for name in summary.lost.keys() & kept:
        with np.load(Path(config.directory, name)) as chip:
            assert (chip["label"] == IGNORE).sum() >= summary.lost[name]
    said = "\n".join(chips_status(RunDirectory(config.directory)))
    assert f"{sum(summary.lost.values()):,} of {total:,} landslide pixels of the region are lost" in said
    assert all(f"{name} {pixels:,}" in said for name, pixels in summary.lost.items())
    assert RunDirectory(config.directory).read_json("run.json")["lost"] == dict(summary.lost)


def test_no_chip_at_all_is_an_error_that_says_what_is_lost(cloudy: tuple[str, Path], tmp_path: Path):
    config = asked(*cloudy, tmp_path, composite={"method": "latest", "dilate_m": 0, "clear": [6]})
    with pytest.raises(InvalidDatasetError, match=r"none of \d+ chips is kept") as refusal:
        make_chips(config, plain, resume=False)
    assert refusal.value.exit_code == 2
    lost = refusal.value.found.rpartition("; ")[2]
    assert lost.endswith(" landslide pixels are lost")
    assert int(lost.split()[0].replace(",", "")) == pytest.approx(drawn(config), abs=5)
    assert not Path(config.directory, "chips.json").exists()


def test_the_command_says_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    lost = {f"chip{number}.npz": 20 - number for number in range(12)}
    made = ChipsSummary(
        directory="runs/chips", planned=20, kept=9, pixels=900, landslide_pixels=30, lost=lost, outside=3, unobserved=8
    )
    monkeypatch.setattr(training, "make_chips", lambda *_, **__: made)
    config = asked("http://127.0.0.1:9", tmp_path, tmp_path)
    monkeypatch.setattr(training, "load", lambda *_: config)
    done = CliRunner().invoke(app, ["chips", "--config", str(tmp_path / "chips.yaml")])
    assert done.exit_code == 0, done.output
    assert "174 of 204 landslide pixels of the region are lost" in done.output
    assert "chip0.npz 20, chip1.npz 19" in done.output
    assert "and 2 more" in done.output
    assert "not kept: 8 chips in which less than half of the region's ground was observed" in done.output


def test_a_set_begun_before_goes_on_by_the_whole_chip(catalogue: tuple[str, Path], tmp_path: Path):
    """So that a set which was stopped is not made by two rules."""
    first = asked(*catalogue, tmp_path / "now")
    fresh = make_chips(first, plain, resume=False)
    config = asked(*catalogue, tmp_path / "before")
    make_chips(config, plain, resume=False)
    run = RunDirectory(config.directory)
    facts: dict[str, Any] = run.read_json("run.json")
    assert facts["settings"].pop("half_of") == "inside"
    run.write_json("run.json", facts)
    run.delete_all([f"ledger/{name}" for name in run.names("ledger", ".parquet")])
    for file in Path(config.directory).glob("*.npz"):
        file.unlink()
    before = make_chips(config, plain, resume=True)
    assert before.kept < fresh.kept
    assert before.outside > fresh.outside
