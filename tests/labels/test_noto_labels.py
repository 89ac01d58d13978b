"""Polygons of Noto 2024 as they were published, over made scenes: what becomes of each of them, and of each pixel."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pytest
import shapely
from helpers.borderland import COLLECTION, Tile, write_item
from helpers.chipping import asked, plain

from landslide_scale.demo.satellite.stac_server import serve
from landslide_scale.grid import project
from landslide_scale.label_values import IGNORE, LANDSLIDE
from landslide_scale.labels.chips import make_chips
from landslide_scale.labels.foreseen import foresee

EPSG = 32653
RING = 20.0
MIDDLE = (137.1430, 37.4477)
"""Beside one of the three rings that cross themselves."""


@pytest.fixture
def published(shared_data: Path) -> gpd.GeoDataFrame:
    """The layer of the east, of 1213 polygons."""
    return gpd.read_file(shared_data / "noto2024" / "hokai_all_20240106_suzu-wajimaEAST.fgb")


def as_inventory(published: gpd.GeoDataFrame, folder: Path) -> tuple[Path, gpd.GeoDataFrame]:
    """The same polygons with a day each, of three days in turn, and with three that have no area."""
    needle = shapely.Polygon([(137.1, 37.4), (137.11, 37.41), (137.1, 37.4)])
    empty = gpd.GeoDataFrame(geometry=[shapely.Polygon(), needle, None], crs=4326)
    whole = gpd.GeoDataFrame(geometry=[*published.geometry, *empty.geometry], crs=4326)
    whole["day"] = [f"2024-01-0{1 + number % 3}" for number in range(len(whole))]
    whole.to_file(folder / "noto.gpkg")
    return folder / "noto.gpkg", whole


def test_repaired_dropped_filtered_and_ignored_are_counted_as_they_are(published: gpd.GeoDataFrame, tmp_path: Path):
    file, whole = as_inventory(published, tmp_path)
    kept = whole[whole["day"] != "2024-01-02"].geometry
    present = [shape for shape in kept if shape is not None and not shape.is_empty]
    areal = [shape for shape in map(shapely.make_valid, present) if shape.area > 0]
    crossed = [shape for shape in present if not shape.is_valid and shapely.make_valid(shape).area > 0]
    dropped = len(kept) - len(areal)
    ground = project(shapely.union_all(areal), 4326, EPSG)
    x, y = (round(value / 20) * 20 for value in shapely.get_coordinates(project(shapely.Point(MIDDLE), 4326, EPSG))[0])
    tile = Tile(name="noto", epsg=EPSG, west=x - 1200, north=y + 1200, day=3, salt=0)
    corners = shapely.box(x - 700, y - 700, x + 700, y + 700)
    labels = {"file": str(file), "where": "day <> '2024-01-02'", "repair": True, "ignore_ring_m": RING}
    with serve([write_item(tmp_path, tile)], [COLLECTION]) as url:
        region = {"bbox": list(project(corners, EPSG, 4326).bounds)}
        config = asked(url, tmp_path, tmp_path / "chips", labels=labels, region=region)
        summary = make_chips(config, plain, resume=False)
    index: dict[str, Any] = json.loads(Path(config.directory, "chips.json").read_text())["labels"]
    ignored = landslides = chips = 0
    for unit in foresee(config).survey.plan.units:
        path = Path(config.directory, f"{unit.id}.npz")
        if path.exists():
            chips += 1
            with np.load(path) as chip:
                label, image = chip["label"], chip["image"]
            points = shapely.points(*np.meshgrid(*unit.lattice.centres(unit.box)))
            away = shapely.distance(points, ground)
            observed = ~np.isnan(image[0]) & unit.lattice.inside(unit.box, shapely.box(*region["bbox"]))
            ring = (away > 0) & (away <= RING)
            np.testing.assert_array_equal(label == LANDSLIDE, observed & (away == 0))
            np.testing.assert_array_equal(label == IGNORE, ~observed | ring)
            ignored += int((observed & ring).sum())
            landslides += int((observed & (away == 0)).sum())
    assert (len(crossed), dropped) == (2, 2)  # a third of each is of another day
    assert index == {
        "read": 1216,
        "filtered_out": int((whole["day"] == "2024-01-02").sum()),
        "repaired": len(crossed),
        "dropped": dropped,
        "where": labels["where"],
        "ignore_ring_m": RING,
        "ignored_pixels": ignored,
    }
    assert (summary.ignored_pixels, summary.landslide_pixels) == (ignored, landslides)
    assert min(chips, ignored, landslides) > 9
