from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import shapely
from helpers.scenes import COLLECTION, item

from landslide_scale.demo.satellite.stac_server import serve
from landslide_scale.errors import InvalidCatalogError
from landslide_scale.scan.searching import find
from landslide_scale.scene import Window, utc
from landslide_scale.stac.frozen import freeze, load_items
from landslide_scale.stac.items import scenes
from landslide_scale.stac.revisit import check_windows
from landslide_scale.stac.settings import CatalogConfig
from landslide_scale.storage.rundir import RunDirectory

AUGUST = Window(start=utc("2023-08-01"), end=utc("2023-09-01"))
MAY = Window(start=utc("2023-05-01"), end=utc("2023-06-01"))
GROUND = shapely.box(15.2, 46.2, 15.4, 46.4)
HREFS = {band: f"https://trusted.example/{band}.tif" for band in ("red", "scl")}
TRUSTING = CatalogConfig(profile="earth-search-v1", allowed_hosts=("trusted.example",))


def frozen(run: RunDirectory, items: list[dict[str, Any]]) -> list[dict[str, Any]]:
    freeze(run, items)
    return load_items(run)


def odd_items() -> list[dict[str, Any]]:
    """Items that do not all have the same properties, nor the same kinds of value."""
    plain = item("a", assets=HREFS)
    more = item("b", assets=HREFS | {"nir": "https://trusted.example/nir.tif"}, earthsearch__boa_offset_applied=True)
    more["assets"]["scl"] |= {"proj:transform": [20, 0, 600_000, 0, -20, 5_000_000], "proj:shape": [10, 30]}
    other = item("c", assets=HREFS, sensed="2023-08-11T10:07:00.123456Z", eo__cloud_cover=None)
    whole = item("d", assets=HREFS, eo__cloud_cover=7)
    return [plain, more, other, whole]


@pytest.mark.parametrize("kind", ["path", "memory"])
def test_frozen_items_give_the_same_scenes_as_those_the_catalogue_gave(tmp_path: Path, kind: str):
    run = RunDirectory(str(tmp_path) if kind == "path" else f"memory://{tmp_path.name}/frozen")
    made = odd_items()
    again = scenes(frozen(run, made), TRUSTING, ("red",))
    assert sorted(again, key=lambda one: one.id) == scenes(made, TRUSTING, ("red",))


def test_frozen_real_items_give_the_same_scenes(tmp_path: Path, shared_data: Path):
    made = []
    for path in sorted(shared_data.glob("sentinel2/earthsearch-33T-2023-08/*/item_as_published.json")):
        one = json.loads(path.read_text(encoding="utf-8"))
        for asset in one["assets"].values():
            asset["href"] = f"https://trusted.example/{asset['href'].removeprefix('./')}"
        made.append(one)
    again = scenes(frozen(RunDirectory(str(tmp_path)), made), TRUSTING, ("red",))
    key = {one.id: one for one in again}
    assert key == {one.id: one for one in scenes(made, TRUSTING, ("red",))}


def test_a_window_without_any_scene_is_refused_by_its_dates_where_all_are_required_or_no_window_has_one():
    beside = item("beside", bounds=(609_780.0, 5_090_220.0, 719_580.0, 5_200_020.0), sensed="2023-05-10T10:00:00Z")
    with serve([item("a"), beside], [COLLECTION]) as url:
        found = find(CatalogConfig(url=url, profile="plain"), GROUND, [AUGUST, MAY])
    assert {one["id"] for one in found} == {"a"}
    found.append(beside)
    check_windows(CatalogConfig(), GROUND, [AUGUST, MAY], found)
    check_windows(CatalogConfig(require="all"), GROUND, [AUGUST], found)
    for require, windows in (("all", [AUGUST, MAY]), ("any", [MAY])):
        with pytest.raises(InvalidCatalogError, match="2023-05-01"):
            check_windows(CatalogConfig(require=require), GROUND, windows, found)


def test_scenes_just_outside_the_region_are_found_too_for_what_a_block_reads():
    near = item("near", bounds=(609_780.0, 5_090_220.0, 719_580.0, 5_200_020.0))
    with serve([item("a"), near], [COLLECTION]) as url:
        rim = shapely.box(16.3, 46.2, 16.38, 46.4)
        found = find(CatalogConfig(url=url, profile="plain"), rim, [AUGUST])
    assert {one["id"] for one in found} == {"a", "near"}
