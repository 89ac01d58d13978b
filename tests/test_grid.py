from __future__ import annotations

import math
import pickle

import numpy as np
import pyproj
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from pyproj import Geod
from shapely.geometry.base import BaseGeometry

from landslide_scale.cube.settings import GridConfig
from landslide_scale.errors import InvalidConfigError
from landslide_scale.grid import Block, Lattice, PatchLattice, PixelBox, Zone, project, transformer
from landslide_scale.region.polygons import area_km2
from landslide_scale.scan.plan import lattices
from landslide_scale.zones import ZoneRule

RESOLUTION = 500
GRID = GridConfig(resolution=RESOLUTION, block=32, chunk=16)
AROUND = 0.6
CORNERS = [
    (18.0, 46.0),  # the border of zones 33 and 34
    (15.0, 0.0),  # the equator
    (18.0, 0.0),  # both
    (180.0, -17.0),  # the antimeridian, south
    (180.0, 65.0),  # the antimeridian, north
    (180.0, 0.0),
    (-180.0, -16.5),
    (3.0, 56.0),  # Norway: 32V and its corners, over 31V and 31U
    (3.0, 60.5),
    (6.0, 56.0),
    (6.0, 64.0),
    (3.0, 64.0),
    (9.0, 72.0),  # Svalbard: 31X to 37X and their corners
    (12.0, 78.0),
    (21.0, 79.0),
    (33.0, 72.0),
    (42.0, 72.0),
    (9.0, 83.7),
    (36.0, 84.0),
    (-69.0, -54.0),
    (93.5, -83.5),
]


RULES = st.sampled_from(["published", "plain"])


def at(
    number: int,
    *,
    southern: bool = False,
    resolution: int = RESOLUTION,
    block: int = 32,
    rule: ZoneRule = "published",
) -> Lattice:
    return Lattice(zone=Zone.utm(number, southern=southern, rule=rule), resolution=resolution, block=block)


def under(rule: ZoneRule) -> GridConfig:
    return GRID.model_copy(update={"zones": rule})


@st.composite
def regions(draw: st.DrawFn) -> BaseGeometry:
    """A ragged polygon or a box, a few tens of kilometres wide, around a place where something changes."""
    longitude, latitude = draw(st.sampled_from(CORNERS))
    offsets = st.floats(-AROUND, AROUND)
    wide = 1 / math.cos(math.radians(latitude))
    points = draw(st.lists(st.tuples(offsets, offsets), min_size=3, max_size=6))
    hull = shapely.convex_hull(shapely.MultiPoint([(longitude + x * wide, latitude + y) for x, y in points]))
    shape = hull if hull.area > 1e-4 else shapely.buffer(hull, 0.05)
    turned = [shapely.transform(shape, lambda xy, turn=turn: np.add(xy, (turn, 0))) for turn in (-360, 0, 360)]
    globe = shapely.box(-180, -90, 180, 90)
    parts = [part for part in (shapely.intersection(one, globe) for one in turned) if part.area > 0]
    return shapely.union_all(parts)


def points_in(region: BaseGeometry, seed: int, count: int) -> list[tuple[float, float]]:
    generator = np.random.default_rng(seed)
    found: list[tuple[float, float]] = []
    for part in getattr(region, "geoms", [region]):
        west, south, east, north = part.bounds
        x, y = generator.uniform(west, east, count), generator.uniform(south, north, count)
        held = shapely.contains_xy(part, x, y)
        found += list(zip(x[held].tolist(), y[held].tolist(), strict=True))
    return found


def unit_of(lattice: Lattice, longitude: float, latitude: float) -> tuple[Block, int, int]:
    """The block and the pixel in it that hold a point."""
    x, y = transformer(4326, lattice.zone.epsg).transform(longitude, latitude)
    x0, y0 = lattice.zone.origin
    row, col = math.floor((y0 - y) / lattice.resolution), math.floor((x - x0) / lattice.resolution)
    return Block(row=row // lattice.block, col=col // lattice.block), row % lattice.block, col % lattice.block


def owned_pixels(lattice: Lattice, region: BaseGeometry) -> set[tuple[int, int]]:
    """The pixels of the blocks that meet the region whose centre is inside."""
    found = set()
    for block in lattice.blocks_meeting(region):
        box = lattice.box(block)
        rows, cols = np.nonzero(lattice.inside(box, region))
        found |= set(zip((rows + box.row_start).tolist(), (cols + box.col_start).tolist(), strict=True))
    return found


@settings(max_examples=30)
@given(region=regions(), seed=st.integers(0, 1000), rule=RULES)
def test_every_pixel_centre_of_a_region_belongs_to_exactly_one_unit(region: BaseGeometry, seed: int, rule: ZoneRule):
    owned = {lattice: owned_pixels(lattice, region) for lattice in lattices(region, under(rule))}
    for longitude, latitude in points_in(region, seed, 40):
        number = min(int((longitude + 180) // 6) + 1, 60)
        holders = 0
        around = [at(one, rule=rule) for one in (number, number % 60 + 1, (number - 2) % 60 + 1)]
        for lattice in (*around, at(number, southern=True)):
            block, row, col = unit_of(lattice, longitude, latitude)
            x, y = lattice.centres(lattice.box(block))
            centre = transformer(lattice.zone.epsg, 4326).transform(x[col], y[row])
            wanted = bool(lattice.zone.owns(np.array(centre[0]), np.array(centre[1]))) and bool(
                shapely.contains_xy(region, *centre)
            )
            pixel = (block.row * 32 + row, block.col * 32 + col)
            assert (pixel in owned.get(lattice, set())) == wanted
            holders += wanted and centre == pytest.approx((longitude, latitude), abs=1e-9)
        assert holders <= 1


@settings(max_examples=30)
@given(region=regions(), rule=RULES)
def test_the_pixels_of_all_zones_together_have_the_area_of_the_region(region: BaseGeometry, rule: ZoneRule):
    count = sum(len(owned_pixels(lattice, region)) for lattice in lattices(region, under(rule)))
    straight = shapely.segmentize(region, 0.02)  # edges are straight in degrees, not geodesics
    rim = math.sqrt(Geod(ellps="WGS84").geometry_length(region) / RESOLUTION)
    assert count * RESOLUTION**2 / 1e6 == pytest.approx(area_km2(straight), rel=2e-3, abs=3 * rim * RESOLUTION**2 / 1e6)


EDGES = [float(edge) for edge in (0, 3, 6, 9, 12, 18, 21, 24, 30, 33, 36, 42)]


@settings(max_examples=150)
@given(
    longitude=st.floats(-180, 180) | st.floats(-1, 43) | st.sampled_from([-180.0, 180.0, -6.0, *EDGES]),
    latitude=st.floats(-90, 90) | st.sampled_from([0.0, -0.0, -80.0, 56.0, 64.0, 72.0, 84.0, 90.0]),
    rule=RULES,
)
def test_every_point_of_the_globe_is_owned_by_exactly_one_zone(longitude: float, latitude: float, rule: ZoneRule):
    # 180 degrees east and west are one meridian: as PROJ gives it, or as the file has it, it is owned once or never.
    zones = Zone.utm_meeting(shapely.box(-180, -90, 180, 90), rule)
    assert len(zones) == 120
    owners = [zone for zone in zones if zone.owns(np.array(longitude), np.array(latitude))]
    assert len(owners) == (0 if longitude == 180 else 1)
    if owners:
        assert (owners[0].epsg > 32700) == (latitude < 0)


TILES = {
    "31VDH": (1.5, 59.0), "31VEH": (2.9, 59.0), "32VKM": (3.0, 59.8), "32VLN": (5.3, 60.4), "32VKH": (3.2, 56.0),
    "31UFB": (3.2, 55.9), "31WFR": (5.0, 64.0), "32VPR": (11.9, 63.9), "33VUL": (12.0, 63.9), "31XFD": (8.9, 72.0),
    "32WNE": (9.1, 71.9), "33XVG": (9.1, 78.0), "33XWJ": (17.0, 80.1), "33XXG": (20.9, 78.0), "35XMG": (21.0, 78.0),
    "35XPG": (32.9, 78.0), "37XCG": (33.0, 78.0), "37XEA": (41.9, 74.0), "38XMG": (42.1, 74.0), "34WDE": (20.0, 71.9),
    "30XWQ": (-0.1, 74.0), "32TQS": (11.9, 46.3), "19HBB": (-71.0, -36.0),
}  # fmt: skip
"""A point on the ground of each of these tiles: zone and latitude band by the Military Grid Reference System."""


@pytest.mark.parametrize("tile", TILES)
def test_the_zone_that_owns_ground_is_the_one_its_tiles_are_published_in(tile: str):
    longitude, latitude = TILES[tile]
    around = shapely.box(longitude, latitude, longitude + 1e-3, latitude + 1e-3)
    (zone,) = Zone.utm_meeting(around)
    assert zone.epsg == (32700 if tile[2] < "N" else 32600) + int(tile[:2])
    (plain,) = Zone.utm_meeting(around, "plain")
    assert plain.epsg % 100 == int((longitude + 180) // 6) + 1


def test_the_metres_of_a_zone_are_the_grounds_wherever_it_owns_ground():
    for zone in Zone.utm_meeting(shapely.box(-20, 0, 60, 84)):
        shown = zone.clip(shapely.box(-180, 0, 180, 84))
        points = shapely.get_coordinates(shapely.segmentize(shown, 0.5))
        factors = pyproj.Proj(zone.epsg).get_factors(points[:, 0], points[:, 1])
        assert np.abs(factors.meridional_scale - 1).max() < 0.0014  # of 32V at 3 E 56 N; 0.001 in a plain strip


@settings(max_examples=20)
@given(region=regions())
def test_no_block_with_a_pixel_inside_is_missed_and_blocks_come_once(region: BaseGeometry):
    for lattice in lattices(region, GRID):
        met = list(lattice.blocks_meeting(region))
        assert len(met) == len(set(met))
        rows, cols = [block.row for block in met], [block.col for block in met]
        around = [
            Block(row=row, col=col)
            for row in range(min(rows) - 1, max(rows) + 2)
            for col in range(min(cols) - 1, max(cols) + 2)
        ]
        for block in set(around) - set(met):
            assert not lattice.inside(lattice.box(block), region).any()


@settings(max_examples=15)
@given(region=regions())
def test_the_quick_answer_for_blocks_wholly_inside_is_the_slow_one(region: BaseGeometry):
    for lattice in lattices(region, GRID):
        for block in lattice.blocks_meeting(region):
            box = lattice.box(block)
            longitude, latitude = transformer(lattice.zone.epsg, 4326).transform(*np.meshgrid(*lattice.centres(box)))
            slow = lattice.zone.owns(longitude, latitude) & shapely.contains_xy(region, longitude, latitude)
            assert np.array_equal(lattice.inside(box, region), slow)


OVER_180 = (
    at(1),
    at(60, southern=True),
    Lattice(zone=Zone.whole(3832), resolution=RESOLUTION, block=32),  # PDC Mercator, central meridian 150 E
)


@settings(max_examples=60)
@given(st.sampled_from(OVER_180), st.floats(-1, 1), st.floats(5, 70), st.integers(1, 60), st.integers(1, 60))
def test_the_outline_of_a_box_over_the_antimeridian_is_in_one_piece_and_holds_its_pixels(
    lattice: Lattice, longitude: float, latitude: float, rows: int, cols: int
):
    north = -latitude if lattice.zone.epsg > 32700 else latitude
    x, y = transformer(4326, lattice.zone.epsg).transform((longitude + 360) % 360 - 180, north)
    x0, y0 = lattice.zone.origin
    row, col = int((y0 - y) // RESOLUTION), int((x - x0) // RESOLUTION)
    box = PixelBox(row_start=row, row_stop=row + rows, col_start=col, col_stop=col + cols)
    outline = lattice.outline(box)
    west, _, east, _ = outline.bounds
    assert outline.is_valid
    assert east - west < 3
    assert abs((west + east) / 2 - lattice.zone.middle) <= 180.1
    found_x, found_y = np.meshgrid(*lattice.centres(box))
    longitudes, latitudes = transformer(lattice.zone.epsg, 4326).transform(found_x, found_y)
    held = [shapely.contains_xy(outline, longitudes + turn, latitudes) for turn in (-360, 0, 360)]
    assert (np.sum(held, axis=0) == 1).all()


def test_a_hole_on_the_antimeridian_is_not_filled():
    lattice = OVER_180[2]
    x, y = transformer(4326, lattice.zone.epsg).transform(179.99, 20.0)
    box = lattice.box_covering((x - 20_000, y - 20_000, x + 30_000, y + 20_000))
    world = shapely.box(-180, -80, 180, 80) - shapely.box(179.95, 19.99, 180, 20.01)
    x, y = np.meshgrid(*lattice.centres(box))
    slow = shapely.contains_xy(world, *transformer(lattice.zone.epsg, 4326).transform(x, y))
    assert not slow.all()
    assert np.array_equal(lattice.inside(box, world), slow)


def test_two_blocks_wholly_inside_a_region_are_all_true():
    lattice = at(33, block=8)
    box = lattice.box(unit_of(lattice, 15.0, 46.0)[0])
    assert lattice.inside(box, shapely.box(14, 45, 16, 47)).all()


def test_blocks_do_not_depend_on_the_region_they_were_found_for():
    lattice = at(33)
    small, large = shapely.box(14.5, 46.0, 15.0, 46.4), shapely.box(13.9, 45.2, 16.3, 47.1)
    assert set(lattice.blocks_meeting(small)) <= set(lattice.blocks_meeting(large))


def test_a_region_over_the_border_of_zones_and_the_equator_has_four_lattices():
    found = lattices(shapely.box(17.9, -0.1, 18.1, 0.1), GRID)
    assert [lattice.zone.epsg for lattice in found] == [32633, 32634, 32733, 32734]


def test_a_region_that_only_touches_a_border_has_no_unit_beyond_it():
    found = lattices(shapely.box(17.9, 0.0, 18.0, 0.1), GRID)
    assert [lattice.zone.epsg for lattice in found] == [32633]


def test_a_tile_of_120_m_pixels_off_the_120_m_grid_is_whole_60_m_cells():
    tile = at(33, resolution=60).box_covering(
        (499_980 + 60.0, 4_990_200 + 0.0, 499_980 + 60.0 + 1200, 4_990_200 + 1200)
    )
    assert tile.shape == (20, 20)
    assert at(33, resolution=60).bounds(tile) == (500_040, 4_990_200, 501_240, 4_991_400)


@pytest.mark.parametrize("resolution", [10, 20, 60])
def test_southern_tiles_at_40_modulo_60_lie_on_the_lattice(resolution: int):
    bounds = (399_960.0, 8_690_200.0, 509_760.0, 8_800_000.0)  # 33LXL-like: every northing is 40 modulo 60
    assert bounds[3] % 60 == 40
    lattice = at(33, southern=True, resolution=resolution)
    assert lattice.bounds(lattice.box_covering(bounds)) == bounds


@given(row=st.integers(-2000, 2000), col=st.integers(-100, 2000), southern=st.booleans())
def test_transform_bounds_and_centres_say_the_same(row: int, col: int, southern: bool):  # noqa: FBT001 hypothesis
    lattice = at(33, southern=southern, resolution=10, block=16)
    box = lattice.box(Block(row=row, col=col))
    a, b, west, d, e, north = lattice.transform(box)
    x, y = lattice.centres(box)
    assert (b, d, a, e) == (0, 0, 10, -10)
    assert np.array_equal(x, west + a * (np.arange(16) + 0.5))
    assert np.array_equal(y, north + e * (np.arange(16) + 0.5))
    assert lattice.bounds(box) == (west, north - 160, west + 160, north)
    assert lattice.box_covering(lattice.bounds(box)) == box


def test_boxes_pad_intersect_and_cut():
    box = PixelBox(row_start=-3, row_stop=4, col_start=10, col_stop=12)
    assert box.shape == (7, 2)
    assert box.pad(2) == PixelBox(row_start=-5, row_stop=6, col_start=8, col_stop=14)
    assert box.within(box.pad(2)) == (slice(2, 9), slice(2, 4))
    assert box.intersection(box.pad(1)) == box
    assert box.intersection(PixelBox(row_start=4, row_stop=9, col_start=0, col_stop=99)) is None


def test_a_lattice_crosses_processes_as_the_same_key():
    lattice = at(33)
    assert {pickle.loads(pickle.dumps(lattice)): 1}[lattice] == 1  # noqa: S301 our own bytes


@pytest.mark.parametrize("epsg", [4326, 2263])
def test_one_lattice_for_all_ground_needs_metres(epsg: int):
    with pytest.raises(InvalidConfigError, match=r"grid.crs.*metres"):
        Zone.whole(epsg)


@pytest.mark.parametrize("epsg", [1, 999_999])
def test_an_unknown_code_is_refused(epsg: int):
    with pytest.raises(InvalidConfigError, match=r"grid.crs"):
        Zone.whole(epsg)


def test_one_lattice_covers_ground_of_several_zones():
    region = shapely.box(17.5, 45.9, 18.5, 46.1)
    (lattice,) = lattices(region, GRID.model_copy(update={"crs": 3035}))
    inside = sum(int(lattice.inside(lattice.box(block), region).sum()) for block in lattice.blocks_meeting(region))
    km2 = inside * RESOLUTION**2 / 1e6
    assert km2 == pytest.approx(77.4 * 22.2, rel=0.02)


def test_ground_that_the_one_lattice_cannot_show_is_refused():
    lattice = Lattice(zone=Zone.whole(32633), resolution=RESOLUTION, block=32)
    with pytest.raises(InvalidConfigError, match=r"grid.crs"):
        list(lattice.blocks_meeting(shapely.box(104.0, -1.0, 106.0, 1.0)))


@st.composite
def patch_lattices(draw: st.DrawFn) -> PatchLattice:
    halo = 2 * draw(st.integers(0, 12))
    return PatchLattice(patch=draw(st.integers(max(3 * halo, 1), 3 * halo + 60)), halo=halo)


INTERVALS = st.tuples(st.integers(-500, 500), st.integers(1, 300))


@given(patches=patch_lattices(), interval=INTERVALS)
def test_weights_of_the_patches_over_any_pixel_sum_to_one(patches: PatchLattice, interval: tuple[int, int]):
    first, stop = interval[0], interval[0] + interval[1]
    total = np.zeros(stop - first)
    for start in patches.starts(first, stop):
        for pixel, weight in enumerate(patches.weights(), start):
            if first <= pixel < stop:
                total[pixel - first] += weight
    assert np.allclose(total, 1, atol=1e-6)


@given(patches=patch_lattices(), interval=INTERVALS)
def test_starts_are_exactly_the_patches_with_weight(patches: PatchLattice, interval: tuple[int, int]):
    first, stop = interval[0], interval[0] + interval[1]
    weighted = np.flatnonzero(patches.weights())
    reach = range((first - 2 * patches.patch) // patches.stride, (stop + 2 * patches.patch) // patches.stride + 1)
    expected = [
        start
        for start in (k * patches.stride - patches.halo for k in reach)
        if start + weighted[0] < stop and start + weighted[-1] >= first
    ]
    assert patches.starts(first, stop) == expected


@given(patches=patch_lattices(), interval=INTERVALS, cut=st.integers(1, 299))
def test_patches_do_not_depend_on_how_the_ground_is_cut(patches: PatchLattice, interval: tuple[int, int], cut: int):
    first, stop = interval[0], interval[0] + interval[1]
    middle = min(first + cut, stop)
    parts = set(patches.starts(first, middle)) | set(patches.starts(middle, stop) if middle < stop else [])
    assert parts == set(patches.starts(first, stop))


@given(patches=patch_lattices(), rows=INTERVALS, cols=INTERVALS)
def test_covering_holds_the_box_and_every_patch_over_it(
    patches: PatchLattice, rows: tuple[int, int], cols: tuple[int, int]
):
    box = PixelBox(row_start=rows[0], row_stop=sum(rows), col_start=cols[0], col_stop=sum(cols))
    outer = patches.covering(box)
    starts = patches.starts(box.row_start, box.row_stop), patches.starts(box.col_start, box.col_stop)
    assert outer.intersection(box) == box
    assert (outer.row_start, outer.col_start) == (min(starts[0]), min(starts[1]))
    assert (outer.row_stop, outer.col_stop) == (max(starts[0]) + patches.patch, max(starts[1]) + patches.patch)
    assert patches.count(box) == len(starts[0]) * len(starts[1])


@given(patches=patch_lattices(), side=st.integers(16, 200))
def test_patches_of_blocks_repeat_as_often_as_over_so_many_blocks_that_their_rim_does_not_count(
    patches: PatchLattice, side: int
):
    blocks = 40 * patches.stride
    needed = sum(len(patches.starts(block * side, (block + 1) * side)) for block in range(blocks))
    assert patches.repeats(side) == pytest.approx((needed / len(patches.starts(0, blocks * side))) ** 2, rel=0.02)


@pytest.mark.parametrize(("patch", "halo"), [(112, 15), (47, 16), (112, -2)])
def test_a_halo_that_cannot_be_blended_is_refused(patch: int, halo: int):
    with pytest.raises(InvalidConfigError, match=r"predict.halo"):
        PatchLattice(patch=patch, halo=halo)


def test_projecting_there_and_back_is_the_same_ground():
    shape = shapely.box(14.0, 46.0, 15.0, 47.0)
    back = project(project(shape, 4326, 32633), 32633, 4326)
    assert shapely.hausdorff_distance(shape, back) < 1e-9


def test_the_box_around_true_pixels_is_the_smallest():
    box = PixelBox(row_start=-8, row_stop=0, col_start=16, col_stop=24)
    mask = np.zeros((8, 8), bool)
    assert box.around(mask) is None
    mask[2, 5] = mask[4, 3] = True
    assert box.around(mask) == PixelBox(row_start=-6, row_stop=-3, col_start=19, col_stop=22)
