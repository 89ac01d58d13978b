"""Chips are what a scan would observe, and their labels are the polygons burnt into it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import shapely
from helpers.borderland import border_tiles, served
from helpers.chipping import REGION, SCAR, asked, plain

from landslide_scale.datasets.chips import read_index
from landslide_scale.datasets.files import LocalFiles
from landslide_scale.errors import InvalidDatasetError
from landslide_scale.imagery.observe import observe
from landslide_scale.inspection.chips import chips_status
from landslide_scale.label_values import IGNORE, LANDSLIDE
from landslide_scale.labels.chips import make_chips
from landslide_scale.labels.foreseen import foresee
from landslide_scale.storage.rundir import RunDirectory


@pytest.fixture(scope="module")
def catalogue(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    folder = tmp_path_factory.mktemp("scenes")
    with served(folder) as url:
        yield url, folder


def test_chips_of_a_season_by_medoid_are_of_all_its_years_and_say_how_they_were_made(
    catalogue: tuple[str, Path], tmp_path: Path
):
    season = {"start": "2021-08-01", "end": "2021-09-01", "years": 3}
    chosen = asked(*catalogue, tmp_path, windows=[season], composite={"method": "medoid", "dilate_m": 0})
    plan, usual = foresee(chosen).survey.plan, foresee(asked(*catalogue, tmp_path)).survey.plan
    assert {scene.sensed.year for scene in plan.scenes} == {2023}
    assert [unit.scenes for unit in plan.units] == [unit.scenes for unit in usual.units]
    make_chips(chosen, plain, resume=False)
    found = read_index(LocalFiles(root=chosen.directory)).facts
    assert (found.method, found.clear, found.dilate_m, found.mask) == ("medoid", (4, 5, 6), 0.0, ())


def test_a_chip_is_what_a_scan_observes_with_its_labels_and_ignores_what_lies_outside(
    catalogue: tuple[str, Path], tmp_path: Path
):
    chosen = asked(*catalogue, tmp_path)
    plan, directory = foresee(chosen).survey.plan, RunDirectory(chosen.directory)
    summary = make_chips(chosen, plain, resume=False)
    kept = {name.removesuffix(".npz") for name in directory.names("", ".npz")}
    assert (summary.planned, summary.kept) == (len(plan.units), len(kept))
    index = read_index(LocalFiles(root=chosen.directory))
    assert index.sha256 == {name: hashlib.sha256(directory.read(f"{name}.npz")).hexdigest() for name in kept}
    scar_pixels = 0
    for unit in plan.units:
        if unit.id not in kept:
            continue
        with np.load(directory.at(f"{unit.id}.npz")) as chip:
            image, label = chip["image"], chip["label"]
        seen = observe(unit.scenes, unit.lattice, unit.box, ("red",), chosen.composite)
        np.testing.assert_array_equal(image, seen.values)
        x, y = unit.lattice.centres(unit.box)
        inside = unit.lattice.inside(unit.box, REGION)
        assert (label[~inside] == IGNORE).all()
        assert (label[np.isnan(image[0])] == IGNORE).all()
        assert label.shape == (len(y), len(x))
        scar_pixels += int((label == LANDSLIDE).sum())
    metres = shapely.area(SCAR) * 111_320**2 * np.cos(np.radians(46.0115))
    assert scar_pixels * 100 == pytest.approx(metres, rel=0.05)


def test_chips_that_are_not_kept_say_why_and_a_set_without_any_is_refused(catalogue: tuple[str, Path], tmp_path: Path):
    chosen = asked(*catalogue, tmp_path)
    plan, summary = foresee(chosen).survey.plan, make_chips(chosen, plain, resume=False)
    outside = [not unit.lattice.inside(unit.box, REGION).any() for unit in plan.units]
    assert summary.outside == sum(outside)
    assert summary.kept + summary.outside + summary.unobserved == summary.planned
    said = "\n".join(chips_status(RunDirectory(chosen.directory)))
    assert f"{summary.kept} kept, {summary.planned - summary.kept} show too little ground" in said
    assert f"{summary.landslide_pixels:,} of {summary.pixels:,} labelled pixels are landslide" in said
    cloud = asked(*catalogue, tmp_path / "cloud", composite={"method": "latest", "dilate_m": 0, "clear": [3]})
    with pytest.raises(InvalidDatasetError, match=f"of {len(plan.units) - sum(outside)} too little was observed"):
        make_chips(cloud, plain, resume=False)
    assert not Path(cloud.directory, "chips.json").exists()


def test_the_scenes_of_chips_are_those_of_a_scan(catalogue: tuple[str, Path], tmp_path: Path):
    found = {scene.id for scene in foresee(asked(*catalogue, tmp_path)).survey.plan.scenes}
    assert found
    assert found <= set(border_tiles())
