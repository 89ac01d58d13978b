"""Chips of inventories as they are published: one event of a file, mended rings, uncertain rims, and no outline."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pytest
import shapely
from helpers.borderland import BORDER, served
from helpers.chipping import REGION, SCAR, asked, plain

from landslide_scale.datasets.chips import read_index
from landslide_scale.datasets.files import LocalFiles
from landslide_scale.errors import RunConflictError
from landslide_scale.grid import project
from landslide_scale.label_values import IGNORE, LANDSLIDE
from landslide_scale.labels.chips import ChipsSummary, make_chips
from landslide_scale.labels.foreseen import foresee
from landslide_scale.labels.settings import ChipsConfig
from landslide_scale.storage.rundir import RunDirectory

RING = 25.0
LATER = shapely.box(BORDER - 0.005, 46.013, BORDER - 0.003, 46.015)
BOW_TIE = shapely.Polygon(
    [(BORDER - 0.005, 46.009), (BORDER - 0.004, 46.010), (BORDER - 0.004, 46.009), (BORDER - 0.005, 46.010)]
)
NEEDLE = shapely.Polygon([(BORDER - 0.01, 46.009), (BORDER - 0.009, 46.010), (BORDER - 0.01, 46.009)])


@pytest.fixture(scope="module")
def catalogue(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    folder = tmp_path_factory.mktemp("scenes")
    with served(folder) as url:
        yield url, folder


def inventory(folder: Path) -> dict[str, object]:
    folder.mkdir(parents=True, exist_ok=True)
    shapes = [shapely.multipolygons([one]) for one in (SCAR, LATER)] + [BOW_TIE, NEEDLE]
    dates = ["2023-07-01", "2024-01-01", "2023-07-01", "2023-07-01"]
    gpd.GeoDataFrame({"event_date": dates}, geometry=shapes, crs=4326).to_file(folder / "inventory.gpkg")
    return {"file": str(folder / "inventory.gpkg"), "where": "event_date = '2023-07-01'", "repair": True}


def made(catalogue: tuple[str, Path], folder: Path, **changes: object) -> tuple[ChipsConfig, ChipsSummary, list[str]]:
    said: list[str] = []
    config = asked(*catalogue, folder, **changes)
    return config, make_chips(config, plain, resume=False, progress=said.append), said


def labels_of(config: ChipsConfig) -> Iterator[tuple[Any, np.ndarray, np.ndarray]]:
    for unit in foresee(config).survey.plan.units:
        path = Path(config.directory, f"{unit.id}.npz")
        if path.exists():
            with np.load(path) as chip:
                yield unit, chip["image"], chip["label"]


def test_a_ring_around_landslides_is_ignored_to_the_pixel_and_counted(catalogue: tuple[str, Path], tmp_path: Path):
    labels = inventory(tmp_path / "in") | {"ignore_ring_m": RING}
    config, summary, said = made(catalogue, tmp_path, labels=labels)
    assert any("4 polygons read, 1 filtered out, 1 repaired, 1 dropped" in line for line in said)
    plain_config, without, _ = made(catalogue, tmp_path / "plain", labels=labels | {"ignore_ring_m": 0.0})
    before = {unit.id: label for unit, _, label in labels_of(plain_config)}
    ground = shapely.union_all([SCAR, shapely.make_valid(BOW_TIE)])
    ignored = 0
    for unit, _, label in labels_of(config):
        x, y = unit.lattice.centres(unit.box)
        points = shapely.points(*np.meshgrid(x, y))
        away = shapely.distance(points, project(ground, 4326, unit.lattice.zone.epsg))
        ring = (away > 0) & (away <= RING)
        expected = np.where(ring, IGNORE, before[unit.id])
        np.testing.assert_array_equal(label, expected)
        ignored += int((ring & (before[unit.id] != IGNORE)).sum())
    assert ignored > 50
    assert (summary.ignored_pixels, without.ignored_pixels) == (ignored, 0)
    assert summary.pixels == without.pixels - ignored
    assert summary.landslide_pixels == without.landslide_pixels > 0
    index = json.loads(Path(config.directory, "chips.json").read_text())
    assert index["labels"] == {
        "read": 4,
        "filtered_out": 1,
        "repaired": 1,
        "dropped": 1,
        "where": "event_date = '2023-07-01'",
        "ignore_ring_m": RING,
        "ignored_pixels": ignored,
    }
    assert read_index(LocalFiles(root=config.directory)).facts.fair_share is False
    assert read_index(LocalFiles(root=plain_config.directory)).facts.fair_share is True


def test_what_lies_around_the_labels_is_the_region_and_is_no_fair_share(catalogue: tuple[str, Path], tmp_path: Path):
    config, summary, said = made(catalogue, tmp_path, region={"around_labels": 150.0})
    assert any("more frequent in it than elsewhere" in line for line in said)
    counted = 0
    for unit, image, label in labels_of(config):
        x, y = unit.lattice.centres(unit.box)
        away = shapely.distance(shapely.points(*np.meshgrid(x, y)), project(SCAR, 4326, unit.lattice.zone.epsg))
        assert (label[away > 151] == IGNORE).all()
        assert (label[(away < 149) & ~np.isnan(image[0])] != IGNORE).all()
        counted += int((label != IGNORE).sum())
    assert summary.pixels == counted > summary.landslide_pixels > 0
    index = json.loads(Path(config.directory, "chips.json").read_text())
    assert (index["labels"]["around_labels_m"], index["fair_share"]) == (150.0, False)


def test_chips_go_on_only_with_the_same_ring_and_those_begun_before_there_were_any_with_none(
    catalogue: tuple[str, Path], tmp_path: Path
):
    config, _, _ = made(catalogue, tmp_path)
    recorded = RunDirectory(config.directory).claimed()["settings"]
    assert "ignore_ring_m" not in recorded
    assert recorded["region"] == {"bbox": list(REGION.bounds), "file": None, "layer": None}
    assert (make_chips(config, plain, resume=True)).kept > 0
    ringed = asked(*catalogue, tmp_path, labels={"file": config.labels.file, "ignore_ring_m": 10.0})
    with pytest.raises(RunConflictError, match="ignore_ring_m"):
        make_chips(ringed, plain, resume=True)


def test_labels_across_the_edge_of_a_block_have_their_ring_in_both(catalogue: tuple[str, Path], tmp_path: Path):
    ring = {"file": str(tmp_path / "labels.geojson"), "ignore_ring_m": 400.0}
    wide = {"bbox": [BORDER - 0.022, 46.002, BORDER - 0.002, 46.022]}
    config, _, _ = made(catalogue, tmp_path, labels=ring, region=wide)
    assert len(list(labels_of(config))) > 9
    for unit, _, label in labels_of(config):
        x, y = unit.lattice.centres(unit.box)
        away = shapely.distance(shapely.points(*np.meshgrid(x, y)), project(SCAR, 4326, unit.lattice.zone.epsg))
        assert not ((label == 0) & (away < 399.9)).any()
        assert ((label == LANDSLIDE) <= (away == 0)).all()
