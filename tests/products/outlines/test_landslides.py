"""Landslides of whole made cubes, against scipy, shapely and pyproj on whole arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pyproj
import pytest
import shapely
from helpers.cubes import AFTER, BEFORE, SCENE, Made, from_arrays, layer_of, made, unowned
from numpy.typing import NDArray
from scipy import ndimage

from landslide_scale.bands import Reason
from landslide_scale.cube.arrays import Layer
from landslide_scale.errors import InvalidConfigError, InvalidInputError
from landslide_scale.grid import Lattice, PixelBox, transformer
from landslide_scale.products.bits import Advisory, Exclusion
from landslide_scale.products.landslide import Landslide
from landslide_scale.products.outlines import blocks
from landslide_scale.products.outlines.landslides import confidence, landslides
from landslide_scale.products.outlines.wanted import LeftOut, Wanted
from landslide_scale.products.scanned import Scanned, scanned
from landslide_scale.scene import Window, utc
from landslide_scale.stac.frozen import freeze

GEOD = pyproj.Geod(ellps="WGS84")
EIGHT = np.ones((3, 3), bool)
ALL = Wanted(threshold=0.5, least_area_m2=0)
STEP = 125
Known = dict[Lattice, tuple[PixelBox, Layer]]


def box_at(lattice: Lattice, longitude: float, latitude: float, rows: int, cols: tuple[int, int]) -> PixelBox:
    """Whole blocks of 48 pixels about a place: as many rows north and south of it, and columns west and east."""
    x, y = transformer(4326, lattice.zone.epsg).transform(longitude, latitude)
    row = round((lattice.zone.origin[1] - y) / lattice.resolution / 48) * 48
    col = round(x / lattice.resolution / 48) * 48
    return PixelBox(row_start=row - rows, row_stop=row + rows, col_start=col - cols[0], col_stop=col + cols[1])


def spots(shape: tuple[int, int], seed: int) -> NDArray[np.float64]:
    """(H, W) probabilities: spots of all sizes, some with holes, on ground that is none."""
    noise = ndimage.gaussian_filter(np.random.default_rng(seed).standard_normal(shape), 1.6)
    return np.clip(0.5 + 0.25 * (noise / noise.std() - 0.9), 0, 1)


def over_border(how: Made, at: tuple[float, float], zones: Sequence[Lattice], side: int, seed: int = 0) -> Known:
    """The same spots in both zones at a border; `side` pixels to the north, south and either side of a place."""
    one, other = zones
    x0, y0 = transformer(4326, one.zone.epsg).transform(*at)
    painted = spots((2 * side + 100, 2 * side + 100), seed)
    found: Known = {}
    for lattice, cols in ((one, (side, 48)), (other, (48, side))):
        box = box_at(lattice, *at, side, cols)
        x, y = np.meshgrid(*lattice.centres(box))
        if lattice != one:
            x, y = transformer(lattice.zone.epsg, one.zone.epsg).transform(x, y)
        places = [(y0 - y) / how.resolution + side + 50, (x - x0) / how.resolution + side + 50]
        probability = ndimage.map_coordinates(painted, places, order=0, mode="nearest")
        found[lattice] = (box, layer_of(probability.astype(np.float32)))
    return found


def cube(folder: Path, known: Known, how: Made, seed: int | None = None) -> Scanned:
    """A cube of these arrays; its blocks stored in some other order than the plan's where `seed` is given."""
    places = list(how.places({lattice: box for lattice, (box, _) in known.items()}))
    if seed is not None:
        np.random.default_rng(seed).shuffle(places)
    paint = from_arrays({replace_block(lattice, how): held for lattice, held in known.items()})
    return scanned(made(folder, [replace(one, lattice=replace_block(one.lattice, how)) for one in places], paint, how))


def replace_block(lattice: Lattice, how: Made) -> Lattice:
    return replace(lattice, block=how.block)


def without_run(found: Sequence[Landslide]) -> list[Landslide]:
    """Without what names the run and its blocks."""
    return [replace(one, run_id="") for one in found]


def masks(known: Known) -> dict[Lattice, NDArray[np.bool_]]:
    """Where each zone has landslides, from its one big array."""
    owned = {lattice: unowned(lattice, box, layer) for lattice, (box, layer) in known.items()}
    return {lattice: (one.reason == Reason.OBSERVED) & (one.probability >= STEP) for lattice, one in owned.items()}


def squares(lattice: Lattice, box: PixelBox, pixels: NDArray[np.int64]) -> shapely.Geometry:
    """The union of pixels (N, 2), metres."""
    x0, y0 = lattice.zone.origin
    rows, cols = pixels[:, 0] + box.row_start, pixels[:, 1] + box.col_start
    west, north = x0 + cols * lattice.resolution, y0 - rows * lattice.resolution
    return shapely.union_all(shapely.box(west, north - lattice.resolution, west + lattice.resolution, north))


def geodesic_m2(geometry: shapely.Geometry, epsg: int) -> float:
    """Of an outline in metres, cut at every pixel."""
    moved = shapely.transform(
        shapely.segmentize(shapely.orient_polygons(geometry), 10),
        lambda points: np.stack(transformer(epsg, 4326).transform(points[:, 0], points[:, 1]), axis=1),
    )
    return abs(GEOD.geometry_area_perimeter(moved)[0])


def brute_force(known: Known) -> list[tuple[int, float]]:
    """Pixels and area of each landslide: every part of every zone compared with every other's."""
    parts = []
    for lattice, mask in masks(known).items():
        numbers, count = ndimage.label(mask, structure=EIGHT)
        for number in range(1, count + 1):
            pixels = np.argwhere(numbers == number)
            parts.append((lattice.zone.epsg, len(pixels), squares(lattice, known[lattice][0], pixels)))
    first = parts[0][0]
    moved = [
        shape if epsg == first else shapely.transform(
            shape, lambda points, epsg=epsg: np.stack(transformer(epsg, first).transform(*points.T), axis=1)
        )
        for epsg, _, shape in parts
    ]  # fmt: skip
    groups = list(range(len(parts)))
    for one in range(len(parts)):
        for other in range(one):
            near = shapely.distance(moved[one], moved[other]) < 10 * np.sqrt(2)
            if near and parts[one][0] != parts[other][0]:
                groups = [groups[other] if number == groups[one] else number for number in groups]
    found: dict[int, tuple[int, float]] = {}
    for number, (epsg, pixels, shape) in zip(groups, parts, strict=True):
        known_pixels, area = found.get(number, (0, 0.0))
        found[number] = (known_pixels + pixels, area + geodesic_m2(shape, epsg))
    return sorted(found.values())


def assert_sound(found: Sequence[Landslide]):
    """Every outline is valid and on the globe, and no two overlap."""
    shapes = [one.geometry for one in found]
    assert all(shape.is_valid and not shape.is_empty for shape in shapes)
    polygons = [part for shape in shapes for part in shape.geoms]
    assert all(part.exterior.is_ccw and not any(hole.is_ccw for hole in part.interiors) for part in polygons)
    assert len({one.id for one in found}) == len(found)
    west, south, east, north = shapely.total_bounds(shapes)
    assert -180 <= west <= east <= 180
    assert -90 <= south <= north <= 90
    for one, other in shapely.STRtree(shapes).query(shapes, predicate="intersects").T.tolist():
        assert one == other or shapes[one].intersection(shapes[other]).area == 0


def assert_as_brute_force(found: Sequence[Landslide], known: Known):
    assert_sound(found)
    wanted = brute_force(known)
    assert sorted(one.pixels for one in found) == [pixels for pixels, _ in wanted]
    assert sum(one.pixels for one in found) == sum(mask.sum() for mask in masks(known).values())
    areas = sorted((one.pixels, one.area_m2) for one in found)
    assert np.allclose([area for _, area in areas], [area for _, area in wanted], rtol=1e-3)


HOW, FEW = Made(block=16), Made(block=48)
EUROPE = (HOW.lattice(33), HOW.lattice(34))
TAVEUNI = (HOW.lattice(60, southern=True), HOW.lattice(1, southern=True))


@pytest.mark.parametrize("block", [16, 32])
def test_a_tiled_cube_gives_what_one_block_gives_whatever_order_it_is_stored_in(tmp_path: Path, block: int):
    lattice = HOW.lattice(33)
    box = box_at(lattice, 15.0, 46.0, 48, (48, 48))
    known: Known = {lattice: (box, layer_of(spots(box.shape, 4).astype(np.float32)))}
    whole = list(landslides(cube(tmp_path / "whole", known, replace(HOW, block=96)), 0, ALL))
    tiled = cube(tmp_path / "tiled", known, replace(HOW, block=block), seed=block)
    found = list(landslides(tiled, 0, ALL))
    assert without_run(found) == without_run(whole)
    assert list(landslides(tiled, 0, ALL)) == found
    assert_as_brute_force(found, known)


def test_read_one_block_at_a_time_it_is_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    lattice = HOW.lattice(33)
    box = box_at(lattice, 15.0, 46.0, 48, (48, 48))
    of = cube(tmp_path / "run", {lattice: (box, layer_of(spots(box.shape, 4).astype(np.float32)))}, FEW)
    found = list(landslides(of, 0, ALL))
    monkeypatch.setattr(blocks, "PIXELS_AT_ONCE", 1)
    assert list(landslides(of, 0, ALL)) == found


def test_a_landslide_over_a_zone_border_is_one_and_nothing_is_lost(tmp_path: Path):
    known = over_border(HOW, (18.0, 46.0), EUROPE, 48, seed=2)
    found = list(landslides(cube(tmp_path / "run", known, HOW, seed=1), 0, ALL))
    assert_as_brute_force(found, known)
    parts = sum(ndimage.label(mask, structure=EIGHT)[1] for mask in masks(known).values())
    assert len(found) < parts


@pytest.mark.slow
def test_a_cube_of_20_by_20_blocks_over_a_zone_border(tmp_path: Path):
    known = over_border(HOW, (18.0, 46.0), EUROPE, 160, seed=2)
    of = cube(tmp_path / "run", known, HOW, seed=2)
    found = list(landslides(of, 0, ALL))
    assert_as_brute_force(found, known)
    assert len(found) > 100


def band(known: Known, latitude: float, pixels: int = 6) -> Known:
    """A field of landslide across all columns, so many pixels high, instead of what is there."""
    found: Known = {}
    for lattice, (box, _) in known.items():
        x, y = np.meshgrid(*lattice.centres(box))
        _, north = transformer(lattice.zone.epsg, 4326).transform(x, y)
        inside = np.abs(north - latitude) < pixels / 2 * 10 / 111_000
        found[lattice] = (box, layer_of(np.where(inside, 0.9, 0.1).astype(np.float32)))
    return found


def test_the_sliver_between_two_zones_is_closed_and_counted_once(tmp_path: Path):
    known = band(over_border(HOW, (18.0, 46.0), EUROPE, 48), 46.0)
    (one,) = landslides(cube(tmp_path / "run", known, HOW), 0, ALL)
    assert len(one.geometry.geoms) == 1
    assert len(one.geometry.geoms[0].interiors) == 0
    assert one.geometry.bounds[0] < 18.0 < one.geometry.bounds[2]
    area = abs(GEOD.geometry_area_perimeter(shapely.segmentize(one.geometry, 0.001))[0])
    assert area == pytest.approx(one.area_m2, rel=0.02)  # the ends' corners are cut, zones do not tile exactly
    assert one.length_m == pytest.approx(np.hypot(area / one.width_m, 0), rel=0.3)
    assert one.id.startswith("32633-")


def test_over_the_antimeridian_a_landslide_is_one_cut_in_two(tmp_path: Path):
    known = over_border(HOW, (180.0, -16.8), TAVEUNI, 48, seed=3)
    found = list(landslides(cube(tmp_path / "run", known, HOW), 0, ALL))
    assert_as_brute_force(found, known)
    cut = [one for one in found if one.geometry.bounds[2] - one.geometry.bounds[0] > 180]
    assert cut
    for one in cut:
        assert {part.bounds[0] < 0 for part in one.geometry.geoms} == {True, False}
        assert {float(part.bounds[2]) for part in one.geometry.geoms if part.bounds[2] > 0} >= {180.0}


LATTICE = HOW.lattice(33)
BOX = box_at(LATTICE, 15.0, 46.0, 48, (48, 48))


def field(*places: tuple[slice, slice], value: float = 0.9) -> NDArray[np.float32]:
    """(96, 96) probabilities with fields of landslide."""
    found = np.full(BOX.shape, 0.1, np.float32)
    for place in places:
        found[place] = value
    return found


SMALL, LARGE = (slice(3, 4), slice(3, 6)), (slice(20, 40), slice(20, 60))


def test_smaller_ones_are_counted_and_the_least_area_itself_is_not_smaller(tmp_path: Path):
    four = (slice(60, 62), slice(60, 62))
    of = cube(tmp_path / "run", {LATTICE: (BOX, layer_of(field(SMALL, LARGE, four)))}, FEW)
    given = landslides(of, 0, Wanted(threshold=0.5))
    assert [one.pixels for one in given] == [800, 4]
    assert given.left_out == LeftOut(landslides=1, pixels=3, area_m2=300.0)
    everything = landslides(of, 0, ALL)
    assert [one.pixels for one in everything] == [3, 800, 4]
    assert everything.left_out == LeftOut()


def test_a_landslide_says_what_its_pixels_say(tmp_path: Path):
    probability = field(LARGE, value=0.6)
    probability[25, 30] = 0.96
    looks = np.full(BOX.shape, 4, np.uint8)
    looks[20:40, 20:50] = 2
    of = cube(tmp_path / "run", {LATTICE: (BOX, layer_of(probability, looks=looks, day=date(2023, 7, 9)))}, FEW)
    (one,) = landslides(of, 0, ALL)
    x0, y0 = LATTICE.zone.origin
    west, north = x0 + (BOX.col_start + 20) * 10, y0 - (BOX.row_start + 20) * 10
    assert one.id == f"32633-E{west}-N{north}"
    assert one.prob_mean == pytest.approx((799 * 0.6 + 0.96) / 800)
    assert (one.prob_max, one.looks, one.pixels) == (0.96, 2, 800)
    assert (one.length_m, one.width_m) == (400, 200)
    assert (one.date_min, one.date_max) == (None, date(2023, 7, 9))
    assert (one.confidence, one.exclusion, one.advisory) == ("medium", 0, 0)
    assert (one.scene_ids, one.model_sha256) == (SCENE["id"], "0" * 64)
    assert one.run_id == of.cube_sha256[:12]
    assert one.window == AFTER.days


def test_the_threshold_is_the_smallest_stored_step_that_is_not_below_it(tmp_path: Path):
    assert [Wanted(threshold=one).step for one in (0.5, 0.501, 0.496, 0.0001, 0.9999)] == [125, 126, 124, 1, 250]
    of = cube(tmp_path / "run", {LATTICE: (BOX, layer_of(field(LARGE, value=0.7)))}, FEW)
    assert [len(list(landslides(of, 0, replace(ALL, threshold=one)))) for one in (0.7, 0.701)] == [1, 0]


@pytest.mark.parametrize(("probability", "looks", "said"), [
    (0.8, 3, "high"), (0.79, 3, "medium"), (0.8, 2, "medium"), (0.6, 2, "medium"), (0.59, 9, "low"), (0.99, 1, "low"),
])  # fmt: skip
def test_confidence_is_by_probability_and_looks(probability: float, looks: int, said: str):
    assert confidence(probability, looks) == said


def test_the_last_clear_day_before_is_of_an_earlier_window_that_saw_all_of_it(tmp_path: Path):
    how = replace(FEW, windows=(BEFORE, AFTER))
    fields = [(slice(row, row + 4), slice(10, 14)) for row in (0, 30, 60)]
    seen, hidden, already = fields
    before = field(already)
    before[hidden][0, 0] = np.nan
    early = layer_of(before, day=date(2023, 6, 20))
    early.observed_on[seen][1, 1] -= 3
    layers = {0: early, 1: layer_of(field(*fields))}
    places = how.places({replace_block(LATTICE, how): BOX})
    run = made(tmp_path / "run", places, lambda p: from_arrays({p.lattice: (BOX, layers[p.layer])})(p), how)
    found = list(landslides(scanned(run), 1, ALL))
    assert [one.date_min for one in found] == [date(2023, 6, 17), None, None]
    assert [one.date_min for one in landslides(scanned(run), 0, ALL)] == [None]


def test_dates_disagree_where_a_window_soon_after_saw_half_of_it_and_no_landslide(tmp_path: Path):
    later = [Window(start=utc(f"{year}-09-01"), end=utc(f"{year}-10-01")) for year in (2023, 2024)]
    how = replace(FEW, windows=(AFTER, *later))
    fields = [(slice(row, row + 4), slice(10, 14)) for row in (0, 30, 60)]
    _, hidden, back = fields
    soon, years_on = field(back), field()
    soon[hidden] = np.nan
    soon[33, 10:14] = 0.1  # one row of four is left to say so
    layers = {0: layer_of(field(*fields)), 1: layer_of(soon), 2: layer_of(years_on)}
    places = how.places({replace_block(LATTICE, how): BOX})
    run = made(tmp_path / "run", places, lambda p: from_arrays({p.lattice: (BOX, layers[p.layer])})(p), how)
    of = scanned(run)
    found = [one.advisory for one in landslides(of, 0, ALL)]
    assert found == [Advisory.DATES_DISAGREE, 0, 0]
    assert [one.advisory for one in landslides(of, 1, ALL)] == [Advisory.DATES_DISAGREE]


def test_bits_say_what_to_look_out_for(tmp_path: Path):
    fields = [(slice(row, row + 4), slice(10, 14)) for row in (10, 60)]
    looks = np.full(BOX.shape, 3, np.uint8)
    looks[fields[1]] = 1
    layer = layer_of(field(*fields), looks=looks)
    layer.reason[13, 33] = Reason.SNOW  # 200 m from the last column of the first, and in another block
    doubted = {"id": "S2A_DOUBTED", "rule": "baseline 05.09; pixels inconclusive (3 pixels)"}
    out = {"id": "S2A_OUT", "quarantined": "its pixels say otherwise"}
    of = cube(tmp_path / "run", {LATTICE: (BOX, layer)}, replace(HOW, scenes=(SCENE, doubted, out)))
    one, other = landslides(of, 0, ALL)
    assert (one.exclusion, other.exclusion) == (Exclusion.SNOW_NEAR, 0)
    assert one.advisory == Advisory.OFFSET_INCONCLUSIVE
    assert other.advisory == Advisory.OFFSET_INCONCLUSIVE | Advisory.ONE_LOOK
    assert one.scene_ids == "S2A_DOUBTED,S2A_MADE_20230720"
    layer.reason[13, 33] = Reason.OBSERVED
    layer.reason[13, 34] = Reason.SNOW
    of = cube(tmp_path / "farther", {LATTICE: (BOX, layer)}, FEW)
    assert [(one.exclusion, one.advisory) for one in landslides(of, 0, ALL)] == [(0, 0), (0, Advisory.ONE_LOOK)]


def test_what_looks_like_water_in_the_kept_composite_for_half_of_its_pixels_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    fields = [(slice(row, row + 4), slice(10, 14)) for row in (10, 60)]
    of = cube(tmp_path / "run", {LATTICE: (BOX, layer_of(field(*fields)))}, FEW)
    green = np.full(BOX.shape, 0.05)
    green[10:12, 10:14] = 0.2  # half of the first, and a little less of the other
    green[60:62, 10:14] = 0.2
    green[61, 13] = np.nan

    def seen(_: Scanned, __: Lattice, box: PixelBox, ___: int) -> dict[str, Any]:
        return {"green": green[box.within(BOX)], "nir": np.full(box.shape, 0.1)}

    monkeypatch.setattr(Scanned, "read_reflectance", seen)
    assert [one.exclusion for one in landslides(of, 0, ALL)] == [0, 0]
    kept = replace(of, laid=replace(of.laid, bands=("green", "nir")))
    assert [one.exclusion for one in landslides(kept, 0, ALL)] == [Exclusion.WATER, 0]


def item(name: str, sun: object) -> dict[str, Any]:
    return {
        "type": "Feature",
        "stac_version": "1.0.0",
        "id": name,
        "geometry": shapely.geometry.mapping(shapely.box(12, 45, 13, 46)),
        "bbox": [12, 45, 13, 46],
        "properties": {"datetime": "2023-07-20T10:00:31Z", "view:sun_elevation": sun},
        "links": [],
        "assets": {},
    }


@pytest.mark.parametrize(("sun", "low"), [(19.9, True), (20.0, False), ("low", False), (None, False)])
def test_a_scene_under_a_low_sun_is_told_where_it_was_used(tmp_path: Path, sun: object, low: bool):  # noqa: FBT001
    scenes = (SCENE, {"id": "S2A_OUT", "quarantined": "its pixels say otherwise"})
    of = cube(tmp_path / "run", {LATTICE: (BOX, layer_of(field(LARGE)))}, replace(FEW, scenes=scenes))
    freeze(of.run, [item(SCENE["id"], sun), item("S2A_OUT", "low" if isinstance(sun, str) else 5.0)])
    (one,) = landslides(of, 0, ALL)
    assert bool(one.advisory & Advisory.LOW_SUN) is low


def test_a_failed_unit_has_no_landslides_and_does_not_stop_those_of_others(tmp_path: Path):
    lattice = replace_block(LATTICE, FEW)
    paint = from_arrays({lattice: (BOX, layer_of(field(LARGE)))})
    places = FEW.places({lattice: BOX})
    run = made(tmp_path / "run", places, lambda place: None if place == places[0] else paint(place), FEW)
    (one,) = landslides(scanned(run), 0, ALL)
    assert one.pixels == 20 * (60 - 48)


@pytest.mark.parametrize("threshold", [0.0, 1.0, -0.1, 7.0, float("nan")])
def test_a_threshold_out_of_range_is_refused(threshold: float):
    with pytest.raises(InvalidConfigError, match="--threshold"):
        Wanted(threshold=threshold)


@pytest.mark.parametrize("least", [-1.0, float("nan"), float("inf")])
def test_a_least_area_that_is_none_is_refused(least: float):
    with pytest.raises(InvalidConfigError, match="--min-area"):
        Wanted(threshold=0.5, least_area_m2=least)


def test_a_cube_without_its_ledger_is_refused(tmp_path: Path):
    of = cube(tmp_path / "run", {LATTICE: (BOX, layer_of(field(LARGE)))}, FEW)
    for part in (tmp_path / "run" / "ledger").glob("*.parquet"):
        part.unlink()
    with pytest.raises(InvalidInputError, match="without a ledger"):
        scanned(of.run)
