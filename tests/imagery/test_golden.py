"""The golden matrix: for every way a catalogue can say it, which scenes are used, and the exact reflectance."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import pytest
import shapely
from helpers.scenes import cog, item
from numpy.typing import NDArray
from pyproj import Transformer
from shapely.geometry.base import BaseGeometry

from landslide_scale.bands import Reason
from landslide_scale.cube.settings import GridConfig
from landslide_scale.errors import InvalidCatalogError
from landslide_scale.grid import PatchLattice, Zone
from landslide_scale.imagery.composite import Image
from landslide_scale.imagery.observe import observe
from landslide_scale.imagery.settings import CompositeConfig
from landslide_scale.scan.plan import Plan, WorkUnit, make
from landslide_scale.scene import Scene, Window, by_processing, newest_processing, utc
from landslide_scale.stac.items import scenes
from landslide_scale.stac.providers import ProfileName
from landslide_scale.stac.settings import CatalogConfig
from landslide_scale.zones import ZoneRule

Flag = Literal[True, False] | None
Provider = Literal["earth-search-c1", "earth-search-v1", "planetary-computer", "plain"]
Told = str | None

YEAR = Window(start=utc("2023-01-01"), end=utc("2024-01-01"))
COMPOSITE = CompositeConfig(method="latest", dilate_m=0, edge_m=0)
FLAG = "earthsearch:boa_offset_applied"
SIDE = 20
BANDS = {"planetary-computer": ("B04", "SCL")}


def planned(found: Sequence[Scene], ground: BaseGeometry, zones: ZoneRule = "published") -> Plan:
    return make(
        region=ground,
        windows=[YEAR],
        scenes=found,
        grid=GridConfig(resolution=10, block=32, chunk=32, zones=zones),
        composite=COMPOSITE,
        patches=PatchLattice(patch=32, halo=0),
    )


def image(unit: WorkUnit, bands: tuple[str, ...] = ("red",)) -> Image:
    return observe(unit.scenes, unit.lattice, unit.box, bands, COMPOSITE)


def corner(epsg: int, longitude: float, latitude: float) -> tuple[int, int]:
    """West and north, on the 20 m of tiles, of a made tile of 200 m around a place."""
    x, y = Transformer.from_crs(4326, epsg, always_xy=True).transform(longitude, latitude)
    return round((x - 100) / 20) * 20, round((y + 100) / 20) * 20


def around(epsg: int, west: int, north: int) -> BaseGeometry:
    """The made tile and 100 m more, degrees, cut at the antimeridian."""
    to_degrees = Transformer.from_crs(epsg, 4326, always_xy=True)
    bounds = to_degrees.transform_bounds(west - 100, north - 300, west + 300, north + 100)
    if bounds[0] > bounds[2]:
        halves = [(bounds[0], 180.0), (-180.0, bounds[2])]
        return shapely.MultiPolygon([shapely.box(low, bounds[1], high, bounds[3]) for low, high in halves])
    return shapely.box(*bounds)


# Provider x what catalog.offset tells x baseline x flag: the offset; None: the scene is not used.

FLAG_TOLD = f"flag:{FLAG}"
OFFSETS: dict[tuple[Provider, Told, str], tuple[int | None, int | None, int | None]] = {
    # provider, told, baseline: without the flag, flag false, flag true
    ("earth-search-c1", None, "02.14"): (0, 0, 0),
    ("earth-search-c1", None, "04.00"): (-1000, -1000, None),
    ("earth-search-c1", None, "05.10"): (-1000, -1000, None),
    ("earth-search-c1", "removed", "05.10"): (0, None, 0),
    ("earth-search-v1", None, "02.14"): (0, 0, 0),
    ("earth-search-v1", None, "04.00"): (-1000, -1000, 0),
    ("earth-search-v1", None, "05.10"): (-1000, -1000, 0),
    ("earth-search-v1", "in_numbers", "05.10"): (-1000, -1000, None),
    ("planetary-computer", None, "02.14"): (0, 0, 0),
    ("planetary-computer", None, "04.00"): (-1000, -1000, None),
    ("planetary-computer", None, "05.10"): (-1000, -1000, None),
    ("planetary-computer", "removed", "05.10"): (0, None, 0),
    ("plain", None, "02.14"): (0, 0, 0),
    ("plain", None, "04.00"): (-1000, -1000, None),
    ("plain", None, "05.10"): (-1000, -1000, None),
    ("plain", "in_numbers", "02.14"): (0, 0, 0),
    ("plain", "in_numbers", "04.00"): (-1000, -1000, None),
    ("plain", "in_numbers", "05.10"): (-1000, -1000, None),
    ("plain", "removed", "02.14"): (0, 0, 0),
    ("plain", "removed", "04.00"): (0, None, 0),
    ("plain", "removed", "05.10"): (0, None, 0),
    ("plain", FLAG_TOLD, "02.14"): (0, 0, 0),
    ("plain", FLAG_TOLD, "04.00"): (None, -1000, 0),
    ("plain", FLAG_TOLD, "05.10"): (None, -1000, 0),
    ("plain", "profile", "05.10"): (-1000, -1000, -1000),  # as runs begun before there was a choice
}
FLAGS = (None, False, True)

# Duplicate x half-empty tile: which Items are used, and the number of the left and right half (None: no data).
# `main` has 3000, `regenerated` 4000, `older` 7000 (whole, of a baseline without an offset), `strip` and `half` 6000:
# a strip's datastrip has a name of its own, a half's that of `main`.

SELECTIONS: dict[tuple[str, str], tuple[set[str], int | None, int | None]] = {
    ("none", "whole"): ({"main"}, 3000, 3000),
    ("none", "half"): ({"main"}, 3000, None),
    ("none", "strips"): ({"main", "strip"}, 3000, 6000),
    ("none", "halves"): ({"main", "half"}, 3000, 6000),
    ("older", "whole"): ({"main"}, 3000, 3000),
    ("older", "half"): ({"main", "older"}, 3000, 7000),
    ("older", "strips"): ({"main", "strip"}, 3000, 6000),
    ("older", "halves"): ({"main", "half"}, 3000, 6000),
    ("regenerated", "whole"): ({"regenerated"}, 4000, 4000),
    ("regenerated", "half"): ({"regenerated"}, 4000, None),
    ("regenerated", "strips"): ({"regenerated", "strip"}, 4000, 6000),
    ("regenerated", "halves"): ({"regenerated", "half"}, 4000, 6000),
}
NEVER_OFFSET = {7000}
PLACES = {"33T": (32633, 15.0, 46.0, {32633}), "antimeridian": (32601, 180.0, 66.5, {32601, 32660})}
"""Tile's system, place, and the systems of the zones whose ground it covers."""


class Made:
    """Files of constant numbers at a place, and Items about them."""

    def __init__(self, folder: Path, place: str) -> None:
        self.epsg, longitude, latitude, _ = PLACES[place]
        self.west, self.north = corner(self.epsg, longitude, latitude)
        where = {"west": self.west, "north": self.north, "epsg": self.epsg}
        self.red = {
            number: cog(folder / f"{place}-{number}.tif", np.full((SIDE, SIDE), number, np.uint16), **where)
            for number in (3000, 4000, 6000, 7000)
        }
        left = np.repeat([[4, 0]], SIDE // 4, axis=1).repeat(SIDE // 2, axis=0).astype(np.uint8)
        classes = {"whole": np.full_like(left, 4), "left": left, "right": left[:, ::-1].copy()}
        self.scl = {
            name: cog(folder / f"{place}-{name}.tif", values, **where, resolution=20)
            for name, values in classes.items()
        }

    def item(self, name: str, number: int, classes: str, provider: str, **properties: object) -> dict[str, Any]:
        red, scl = BANDS.get(provider, ("red", "scl"))
        bounds = (self.west, self.north - 200, self.west + 200, self.north)
        tile = {"grid__code": f"MGRS-{self.epsg % 100:02d}TWM"}
        hrefs = {red: self.red[number], scl: self.scl[classes]}
        return item(name, assets=hrefs, bounds=bounds, epsg=self.epsg, **(tile | properties))

    def items(self, provider: str, baseline: str, flag: Flag, duplicate: str, fill: str) -> list[dict[str, Any]]:
        said: dict[str, object] = {"s2__processing_baseline": baseline}
        if flag is not None:
            said[FLAG.replace(":", "__")] = flag
        classes = "whole" if fill == "whole" else "left"
        found = [self.item("main", 3000, classes, provider, **said)]
        if duplicate == "older":
            old = {"s2__processing_baseline": "02.07", "s2__generation_time": "2024-01-01T00:00:00Z"}
            found.append(self.item("older", 7000, "whole", provider, **(said | old)))
        if duplicate == "regenerated":
            later = {"s2__generation_time": "2023-09-01T00:00:00Z"}
            found.append(self.item("regenerated", 4000, classes, provider, **(said | later)))
        if fill == "strips":
            other = {"s2__datastrip_id": "S2A_OPER_MSI_L2A_DS_2APS_20230818T143300_S20230810T101500_N05.09"}
            found.append(self.item("strip", 6000, "right", provider, **(said | other)))
        if fill == "halves":
            found.append(self.item("half", 6000, "right", provider, **said))
        return found


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Made]:
    folder = tmp_path_factory.mktemp("golden")
    return {place: Made(folder, place) for place in PLACES} | {"folder": folder}  # type: ignore[dict-item]


def expected(unit: WorkUnit, at: Made, halves: tuple[int | None, int | None], offset: int) -> NDArray[np.float32]:
    """The reflectance under every pixel's centre, NaN where there is none, point by point."""
    x, y = np.meshgrid(*unit.lattice.centres(unit.box))
    east, north = Transformer.from_crs(unit.lattice.zone.epsg, at.epsg, always_xy=True).transform(x, y)
    col, row = (east - at.west) / 10, (at.north - north) / 10
    inside = (col >= 0) & (col < SIDE) & (row >= 0) & (row < SIDE)
    left, right = (
        np.nan if number is None else number + (0 if number in NEVER_OFFSET else offset) for number in halves
    )
    return np.where(inside, np.where(col < SIDE / 2, left, right) / 10_000, np.nan).astype(np.float32)


def is_telling(place: str, cell: tuple[Provider, Told, str]) -> bool:
    """Where a tile lies has no part in its offset: at the second place one provider stands for all."""
    return place == "33T" or cell[:2] == ("plain", None)


@pytest.mark.parametrize(
    ("place", "cell", "flag"),
    [
        pytest.param(place, cell, flag, marks=() if is_telling(place, cell) else pytest.mark.slow)
        for place, cell, flag in product(PLACES, OFFSETS, FLAGS)
    ],
)
def test_every_cell_gives_its_scenes_and_its_reflectance(
    made: dict[str, Made], place: str, cell: tuple[Provider, Told, str], flag: Flag
):
    at, folder = made[place], str(made["folder"])
    provider, told, baseline = cell
    offset = OFFSETS[cell][FLAGS.index(flag)]
    config = CatalogConfig(profile=provider, offset=told, allowed_roots=(folder,))
    if offset is None:
        found = scenes(at.items(provider, baseline, flag, "none", "whole"), config, ("red",))
        plan = planned(found, around(at.epsg, at.west, at.north))
        assert [one.id for one in plan.quarantined] == ["main"]
        assert FLAG in plan.quarantined[0].quarantine
        assert plan.scenes == ()
        return
    for (duplicate, fill), (used, left, right) in SELECTIONS.items():
        found = scenes(at.items(provider, baseline, flag, duplicate, fill), config, ("red",))
        plan = planned(found, around(at.epsg, at.west, at.north))
        assert {one.id for one in plan.scenes} == {one.id for one in found}
        assert {one.offset for one in plan.scenes if one.id != "older"} == {offset}
        assert {lattice.zone.epsg for lattice in plan.extents} == PLACES[place][3]
        seen, filled = 0, set[str]()
        for unit in plan.units:
            reflectance = expected(unit, at, (left, right), offset)
            got = image(unit)
            assert np.array_equal(got.values[0], reflectance, equal_nan=True), (duplicate, fill, unit.id)
            assert np.array_equal(got.reason == Reason.OBSERVED, ~np.isnan(reflectance))
            assert (got.clear_count <= 1).all()  # overlapping products of one datatake are one observation
            observed = bool((~np.isnan(reflectance)).any())
            assert bool(got.resampled) is (unit.lattice.zone.epsg != at.epsg and observed)
            seen += int((~np.isnan(reflectance)).sum())
            filled |= set(got.filled)
        newest = {"regenerated"} if duplicate == "regenerated" else {"main"}
        assert filled == used - newest - {"strip"}  # it is the newest of a datastrip of its own
        assert seen > SIDE * SIDE * (0.4 if right is None else 0.9)


def test_the_matrix_is_whole():
    assert len(OFFSETS) * len(FLAGS) * len(SELECTIONS) * len(PLACES) == 25 * 3 * 12 * 2
    untold = product(get_args(ProfileName), (None,), ("02.14", "04.00", "05.10"))
    told = product(("plain",), ("in_numbers", "removed", FLAG_TOLD), ("02.14", "04.00", "05.10"))
    assert {*untold, *told} <= set(OFFSETS)
    assert set(SELECTIONS) == set(product(("none", "older", "regenerated"), ("whole", "half", "strips", "halves")))


def test_overlapping_tiles_of_one_datatake_are_one_observation_and_two_datatakes_are_two(made: dict[str, Made]):
    at = made["33T"]
    config = CatalogConfig(profile="plain", allowed_roots=(str(made["folder"]),))
    one = at.item("one", 3000, "whole", "plain")
    beside = at.item("beside", 4000, "whole", "plain", grid__code="MGRS-33TWL")
    next_day = at.item("next", 6000, "whole", "plain", sensed="2023-08-11T10:07:00Z")
    next_day["properties"]["s2:datatake_id"] = "GS2A_20230811T100700_042604_N05.09"
    for items, count, number in (([one, beside], 1, 4000), ([one, beside, next_day], 2, 6000)):
        plan = planned(scenes(items, config, ("red",)), around(at.epsg, at.west, at.north))
        found = [image(unit) for unit in plan.units]
        assert {int(value) for got in found for value in np.unique(got.clear_count)} == {0, count}
        values = {float(value) for got in found for value in np.unique(got.values[~np.isnan(got.values)])}
        assert values == {float(np.float32((number - 1000) / 10_000))}


# Ground whose own zone has no tile

FOREIGN = {
    # place: zone whose plain strip it is, system and name of the only tile, longitude, latitude
    "Dolomites, only a 32T scene": (33, 32632, "32TQS", 12.2, 46.4),
    "Bergen": (31, 32632, "32VKM", 5.3, 60.4),
    "Svalbard, a 33X tile over strip 32": (32, 32633, "33XVG", 10.0, 78.0),
    "Franz Josef Land, a 37X tile over strip 36": (36, 32637, "37XDB", 34.5, 80.0),
}


def only_tile(folder: Path, name: str, zones: ZoneRule) -> Plan:
    """Of a place of the table, whose one tile holds a reflectance of 0.2."""
    _, epsg, tile, longitude, latitude = FOREIGN[name]
    west, north = corner(epsg, longitude, latitude)
    where = {"west": west, "north": north, "epsg": epsg}
    red = cog(folder / "red.tif", np.full((SIDE, SIDE), 3000, np.uint16), **where)
    scl = cog(folder / "scl.tif", np.full((SIDE // 2, SIDE // 2), 5, np.uint8), **where, resolution=20)
    bounds = (west, north - 200, west + 200, north)
    one = item(name[:3], assets={"red": red, "scl": scl}, bounds=bounds, epsg=epsg, grid__code=f"MGRS-{tile}")
    config = CatalogConfig(profile="plain", allowed_roots=(str(folder),))
    return planned(scenes([one], config, ("red",)), around(epsg, west, north), zones)


@pytest.mark.parametrize("name", FOREIGN)
def test_ground_that_only_a_neighbours_tile_covers_is_observed(tmp_path: Path, name: str):
    plan = only_tile(tmp_path, name, "plain")
    assert {lattice.zone for lattice in plan.extents} == {Zone.utm(FOREIGN[name][0], southern=False, rule="plain")}
    found = [image(unit) for unit in plan.units]
    observed = sum(int((got.reason == Reason.OBSERVED).sum()) for got in found)
    assert 0.95 * SIDE * SIDE < observed < 1.05 * SIDE * SIDE
    assert {one for got in found for one in got.resampled} == {name[:3]}
    values = np.concatenate([got.values[~np.isnan(got.values)] for got in found])
    assert np.array_equal(np.unique(values), [np.float32(0.2)])


@pytest.mark.parametrize("name", [name for name in FOREIGN if "Dolomites" not in name])
def test_ground_of_norway_and_svalbard_is_read_from_its_own_tiles_as_it_is(tmp_path: Path, name: str):
    plan = only_tile(tmp_path, name, "published")
    assert {lattice.zone.epsg for lattice in plan.extents} == {FOREIGN[name][1]}
    found = [image(unit) for unit in plan.units]
    assert sum(int((got.reason == Reason.OBSERVED).sum()) for got in found) == SIDE * SIDE
    assert [got.resampled for got in found if got.resampled] == []


# Real Items

TRUSTED = "https://trusted.example/"

REAL = {
    # file: profile, asset names, tile, system, baseline, offset
    "items_earthsearch/Open-EO+openeo-processes-dask__s2_l2a_test_item.json": (
        "earth-search-v1", {}, "32TPS", 32632, (5, 9), 0),
    "items_earthsearch/mapchete+mapchete-eo__S2A_12RWT_20240106_0_L2A.json": (
        "earth-search-v1", {}, "12RWT", 32612, (5, 10), 0),
    "items_earthsearch/opendatacube+odc-tools__S2A_28QCH_20200714_0_L2A.v1.json": (
        "earth-search-v1", {}, "28QCH", 32628, (2, 14), 0),
    "items_earthsearch/opendatacube+odc-tools__S2B_31QGB_20200831_0_L2A.json": (
        "earth-search-v1", {}, "31QGB", 32631, (2, 14), 0),
    "items_other/opendatacube+odc-tools__S2B_T37MGP_20240710T073012_L2A_C1.json": (
        "earth-search-c1", {}, "37MGP", 32737, (5, 10), -1000),
    "items_pc/S2B_MSIL2A_20190629T212529_R043_T06VVN_20201006T080531.json": (
        "planetary-computer", {}, "06VVN", 32606, (2, 12), 0),
    "items_pc/sentinel-2-l2a-pc.json": (
        "planetary-computer", {}, "47XML", 32647, (5, 10), -1000),
    "items_pc/site1-20200606-tall-strip-africa.geojson": (
        "planetary-computer", {}, "35MNM", 32735, (2, 12), 0),
    "items_other/stactools_S2A_MSIL2A_20230625T234621_N0509_R073_T01WCP_20230626T022157.SAFE.json": (
        "plain", {}, "01WCP", 32601, (5, 9), -1000),
    "items_other/stactools_S2A_MSIL2A_20230821T221941_N0509_R029_T01KAB_20230822T021825.SAFE.json": (
        "plain", {}, "01KAB", 32701, (5, 9), -1000),
    "items_other/stactools_S2B_MSIL2A_20220413T150759_N0400_R025_T33XWJ_20220414T082126.SAFE.json": (
        "plain", {}, "33XWJ", 32633, (4, 0), -1000),
    "items_other/stactools_S2B_MSIL2A_20191228T210519_N0212_R071_T01CCV_20201003T104658.SAFE.json": (
        "plain", {}, "01CCV", 32701, (2, 12), 0),
    "items_other/stactools_esa_S2B_MSIL2A_20210122T133229_N0214_R081_T22HBD_20210122T155500.SAFE.json": (
        "plain", {}, "22HBD", 32722, (2, 14), 0),
}  # fmt: skip

REFUSED = {
    "items_earthsearch/S2A_31NBJ_20190524_0_L2A.json": "no asset 'red'",  # the old catalogue's names
    "items_other/cdse_S2B_T36NYH_20200322.json": "proj:code",  # another provider's names
}


def recorded(path: Path) -> dict[str, Any]:
    """The first Item of a file, on a host of one's own, and as if all its assets were GeoTIFFs."""
    content = json.loads(path.read_text(encoding="utf-8"))
    content = content.get("features", content) if isinstance(content, dict) else content
    found: dict[str, Any] = content[0] if isinstance(content, list) else content
    for asset in found["assets"].values():
        href = asset["href"].replace("s3://", TRUSTED).replace(".jp2", ".tif")
        asset["href"] = href if "://" in href else TRUSTED + href.removeprefix("./")
    return found


@pytest.mark.parametrize("name", REAL)
def test_a_real_item_comes_out_with_the_offset_that_is_known_of_it(shared_data: Path, name: str):
    profile, assets, tile, epsg, baseline, offset = REAL[name]
    config = CatalogConfig(profile=profile, assets=assets, allowed_hosts=("trusted.example",))  # type: ignore[arg-type]
    (found,) = scenes([recorded(shared_data / "stac" / name)], config, ("blue", "red", "nir"))
    assert (found.tile, found.epsg, found.baseline, found.offset) == (tile, epsg, baseline, offset)
    west, south, east, north = found.bounds
    assert (east - west, north - south) == (109_800, 109_800)
    assert f"{baseline[0]:02d}.{baseline[1]:02d}" in found.offset_rule


@pytest.mark.parametrize("name", REFUSED)
def test_a_real_item_that_lacks_what_is_needed_is_refused_by_what_it_lacks(shared_data: Path, name: str):
    config = CatalogConfig(profile="plain", allowed_hosts=("trusted.example",))
    with pytest.raises(InvalidCatalogError, match=REFUSED[name]):
        scenes([recorded(shared_data / "stac" / name)], config, ("red",))


def test_a_real_tile_over_the_antimeridian_serves_both_sides_and_its_newer_processing_is_used(shared_data: Path):
    folder = shared_data / "stac" / "items_other"
    pair = [recorded(path) for path in sorted(folder.glob("stactools_S2A_MSIL2A_20230625*T01WCP*.json"))]
    for number, one in enumerate(pair):
        one["id"] += f"_{number}"
    config = CatalogConfig(profile="plain", allowed_hosts=("trusted.example",))
    found = scenes(pair, config, ("red",))
    (kept,) = newest_processing(found)
    assert kept.generated == max(one.generated for one in found)
    assert [(place, one.generated) for place, one in by_processing(found)] == [
        (place, max(one.generated for one in found) if place == 0 else min(one.generated for one in found))
        for place in (0, 1)
    ]
    ground = shapely.MultiPolygon([shapely.box(179.9, 66.2, 180.0, 66.25), shapely.box(-180.0, 66.2, -179.9, 66.25)])
    plan = planned(found, ground)
    reached = {unit.lattice.zone.epsg for unit in plan.units if kept in unit.scenes}
    assert reached == {32601, 32660}
    assert all(unit.scenes for unit in plan.units)


def test_two_parts_of_a_real_tile_whose_datastrip_starts_as_its_datatake_does_are_both_used(shared_data: Path):
    content = json.loads((shared_data / "stac/items_pc/sentinel-2-l2a-pc.json").read_text(encoding="utf-8"))
    items = [one for one in content if "_DS_MSFT_" in one["properties"]["s2:datastrip_id"]]
    assert len(items) == 4
    for one in items:
        parts = scenes([one, one | {"id": f"{one['id']}_part"}], CatalogConfig(profile="planetary-computer"), ("red",))
        started = parts[0].datatake.split("_")[1]
        assert [part.datastrip for part in parts] == [started, started]
        ground = shapely.geometry.shape(one["geometry"]).representative_point().buffer(1e-4)
        year = [replace(part, sensed=part.sensed.replace(year=2023)) for part in parts]
        assert {scene.id for scene in planned(year, ground).scenes} == {part.id for part in parts}


def test_a_real_search_of_planetary_computer_is_one_scene_for_each_datatake_and_tile(shared_data: Path):
    content = json.loads((shared_data / "stac/items_pc/site2-2020_jun_jul-35MNM.geojson").read_text(encoding="utf-8"))
    found = scenes(content["features"], CatalogConfig(profile="planetary-computer"), ("red",))
    kept = newest_processing(found)
    assert len(found) == 13
    assert len(kept) == len({(one.datatake, one.tile, one.datastrip) for one in found})
    assert {one.access.signer for one in kept} == {
        "https://planetarycomputer.microsoft.com/api/sas/v1/token/{account}/{container}"
    }
