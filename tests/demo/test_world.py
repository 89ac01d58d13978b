import hashlib
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pystac
import pytest
import rasterio
import shapely
from shapely.geometry import shape

from landslide_scale.bands import Scl
from landslide_scale.demo import world as world_module
from landslide_scale.demo.ground.frame import Frame
from landslide_scale.demo.satellite.passes import AFTER, BEFORE, EVENT
from landslide_scale.demo.world import World, WorldSpec, make_world
from landslide_scale.errors import InvalidConfigError
from landslide_scale.scene import utc


def test_one_seed_makes_the_same_files_and_another_makes_others(spec: WorldSpec, tmp_path: Path):
    tiny = replace(
        spec, frame=Frame(left=730_680, top=5_104_800, width_m=4_200, height_m=2_880), passes=spec.passes[:1]
    )
    made = [
        _hashes(make_world(tmp_path / name, replace(tiny, seed=seed), progress=lambda _: None))
        for name, seed in (("one", 7), ("again", 7), ("other", 8))
    ]
    mine, again, theirs = made
    assert mine == again
    assert mine.keys() == theirs.keys()
    assert not any(mine[name] == theirs[name] for name in mine if "region" not in name)


def _hashes(world: World) -> dict[str, str]:
    files = [*world.directory.glob("assets/*/*.tif"), *world.directory.glob("truth/*")]
    return {str(f.relative_to(world.directory)): hashlib.sha256(f.read_bytes()).hexdigest() for f in files}


def test_a_complete_directory_is_found_and_an_incomplete_or_moved_one_is_made_anew(
    world: World, spec: WorldSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    made: list[Path] = []

    def make(directory: Path, *_: object) -> None:
        directory.mkdir(exist_ok=True)
        made.append(directory)

    monkeypatch.setattr(world_module, "_make", make)
    silent = {"progress": lambda _: None}
    assert make_world(world.directory, spec, **silent) == world
    assert made == []
    make_world(tmp_path / "a", spec, **silent)
    make_world(tmp_path / "a", spec, **silent)
    assert len(made) == 1
    make_world(tmp_path / "a", replace(spec, seed=8), **silent)
    (tmp_path / "a").rename(tmp_path / "b")
    make_world(tmp_path / "b", replace(spec, seed=8), **silent)
    (tmp_path / "b" / "complete.txt").unlink()
    make_world(tmp_path / "b", replace(spec, seed=8), **silent)
    assert len(made) == 4


@pytest.mark.parametrize("change", [{"landslide_share": 0.021}, {"landslide_share": 0.0}, {"old_share": 1.5}])
def test_a_spec_that_asks_for_too_much_is_refused(change: dict[str, float]):
    with pytest.raises(InvalidConfigError):
        WorldSpec(**change)  # type: ignore[arg-type]


def test_digital_numbers_carry_the_offset_and_are_0_only_where_scl_is_0(world: World):
    for item in world.items():
        scl = _read(item, "scl")
        for band in world.bands:
            numbers = _read(item, band)
            nodata = scl == Scl.NO_DATA
            if numbers.shape != scl.shape:
                nodata = nodata.repeat(2, axis=0).repeat(2, axis=1)
            assert ((numbers == 0) == nodata).all()
            assert np.percentile(numbers[~nodata], 1) > 1000
            assert item["assets"][band]["raster:bands"][0]["offset"] == -0.1


def test_scene_classes_are_those_of_sen2cor_and_clouds_are_among_them(world: World):
    seen = set()
    for item in world.items():
        seen |= set(np.unique(_read(item, "scl")).tolist())
    assert seen <= set(Scl)
    assert {Scl.NO_DATA, Scl.VEGETATION, Scl.BARE, Scl.WATER, Scl.CLOUD_HIGH, Scl.CLOUD_SHADOW} <= seen


def test_some_cloud_rim_keeps_the_class_of_the_ground(world: World):
    """Called vegetation, and brighter in blue than any vegetation is: the rim a mask misses."""
    bright = []
    for item in world.items():
        scl, blue = _read(item, "scl"), _read(item, "blue")[::2, ::2]
        bright.append((blue[scl == Scl.VEGETATION] > 1000 + 800).mean())
    assert 0.001 < max(bright) < 0.05


def test_rasters_are_cogs_of_the_declared_shape_and_place(world: World):
    for item in world.items():
        for name, asset in item["assets"].items():
            with rasterio.open(asset["href"]) as raster:
                assert list(raster.shape) == asset["proj:shape"]
                assert list(raster.transform)[:6] == asset["proj:transform"]
                assert raster.crs.to_epsg() == item["properties"]["proj:epsg"]
                assert raster.nodata == 0
                assert raster.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
                assert raster.block_shapes == [(512, 512)]
                assert bool(raster.overviews(1)) == (max(raster.shape) > 512), name


def test_items_and_collection_are_valid_stac_and_say_that_they_are_made(world: World):
    collection = pystac.Collection.from_dict(world.collections()[0])
    assert "not satellite data" in collection.description
    for content in world.items():
        item = pystac.Item.from_dict(content)
        assert "not satellite data" in item.properties["description"]
        assert item.geometry is not None
        assert shape(item.geometry).is_valid
        assert item.bbox == pytest.approx(shape(item.geometry).bounds)
        assert json.loads(json.dumps(item.to_dict()))["collection"] == collection.id


def test_every_instant_lies_in_the_window_of_its_side_of_the_event(world: World):
    for item in world.items():
        sensed = utc(item["properties"]["datetime"])
        assert BEFORE.holds(sensed) == (sensed.date() < EVENT)
        assert AFTER.holds(sensed) == (sensed.date() > EVENT)


def test_tiles_of_one_pass_are_one_datatake_and_agree_where_they_overlap():
    from landslide_scale.demo.satellite.tiles import TILES  # noqa: PLC0415

    west, east = TILES[:2]
    shared = shapely.intersection(west.outline, east.outline)
    assert shared.area > 0
    assert shared.bounds[0] == east.left


def test_landslides_cover_at_most_two_percent_and_the_raster_agrees_with_the_outlines(world: World):
    landslide = total = 0.0
    for epsg in (32633, 32634):
        with rasterio.open(world.fraction(epsg)) as raster:
            values = raster.read(1).astype(float)
        values[values == 255] = np.nan
        if epsg == 32633:
            drawn = np.nansum(values)  # percent of 100 m2 pixels: square metres
            landslide, total = drawn, float(np.isfinite(values).sum() * 100)
        else:
            assert np.nanmax(values) == 100
    assert landslide / total <= 0.02
    outlines = sum(f["properties"]["area_m2"] for side in ("west", "east") for f in _features(world.labels(side)))
    assert landslide == pytest.approx(outlines, rel=0.01)


def test_both_zones_hold_the_same_share_of_landslides_on_the_ground_they_share(world: World):
    """The truth of the eastern zone is the same ground seen through another projection."""
    west = _percent_over_lonlat(world, 32633)
    east = _percent_over_lonlat(world, 32634)
    assert east == pytest.approx(west, rel=0.02)


def _percent_over_lonlat(world: World, epsg: int) -> float:
    """Square metres of landslide east of 18.01 E and west of 18.03 E."""
    import pyproj  # noqa: PLC0415

    with rasterio.open(world.fraction(epsg)) as raster:
        values = raster.read(1)
        columns, rows = np.meshgrid(np.arange(raster.width) + 0.5, np.arange(raster.height) + 0.5)
        x, y = raster.transform.c + 10 * columns, raster.transform.f - 10 * rows
    longitude, _ = pyproj.Transformer.from_crs(epsg, 4326, always_xy=True).transform(x, y)
    inside = (longitude > 18.01) & (longitude < 18.03) & (values != 255)
    return float(values[inside].astype(float).sum())


def test_new_landslides_are_a_part_of_all_of_them(world: World):
    for epsg in (32633, 32634):
        with rasterio.open(world.fraction(epsg)) as every, rasterio.open(world.fraction(epsg, new_only=True)) as new:
            assert (new.read(1) <= every.read(1)).all()
            assert new.read(1).astype(int).sum() < every.read(1).astype(int).sum()


def test_a_strip_of_the_eastern_zone_lies_on_tiles_of_the_western_zone_alone(world: World):
    region = shape(_features(world.region("east"))[0]["geometry"])
    east_of_border = region & shapely.box(18, 40, 24, 50)
    footprints = {epsg: [] for epsg in (32633, 32634)}
    for item in world.items():
        footprints[item["properties"]["proj:epsg"]].append(shape(item["geometry"]))
    own = shapely.union_all(footprints[32634])
    neighbour = shapely.union_all(footprints[32633])
    strip = east_of_border - own
    assert strip.area > 0.2 * east_of_border.area
    assert (strip - neighbour).area < 1e-9
    assert (east_of_border & own).area > 0


def test_labels_lie_inside_the_region_of_their_side(world: World):
    for side in ("west", "east"):
        region = shape(_features(world.region(side))[0]["geometry"]).buffer(1e-6)
        features = _features(world.labels(side))
        assert all(region.covers(shape(f["geometry"])) for f in features)
        assert {f["properties"]["age"] for f in features} == {"new", "old"}
    numbers = [f["properties"]["id"] for side in ("west", "east") for f in _features(world.labels(side))]
    assert len(numbers) == len(set(numbers))


def _features(path: Path) -> list[dict]:
    return json.loads(path.read_text("utf-8"))["features"]


def _read(item: dict, band: str) -> np.ndarray:
    with rasterio.open(item["assets"][band]["href"]) as raster:
        return raster.read(1)
