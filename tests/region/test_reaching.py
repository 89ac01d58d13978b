"""What reaches which boxes of pixels: ground, and scenes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import shapely
from helpers.madescene import SCENE
from hypothesis import given, settings
from hypothesis import strategies as st
from pyproj import Transformer

from landslide_scale.grid import Lattice, PixelBox, Zone, project
from landslide_scale.region.reaching import Outlines, SceneIndex, rims
from landslide_scale.scene import Scene


def scene(name: str, epsg: int, west: float, north: float, *, side: float) -> Scene:
    return replace(SCENE, id=name, tile=name, epsg=epsg, bounds=(west, north - side, west + side, north))


@settings(max_examples=50)
@given(row=st.integers(-8, 8), col=st.integers(-8, 8), epsg=st.sampled_from([32633, 32634]))
def test_a_scene_is_found_by_every_box_that_reads_a_pixel_of_it(row: int, col: int, epsg: int):
    lattice = Lattice(zone=Zone.utm(33, southern=False), resolution=100, block=64)
    x, y = Transformer.from_crs(32633, epsg, always_xy=True).transform(732_000, 5_100_000)
    small = scene("small", epsg, x - 5000, y + 5000, side=10_000)
    box = PixelBox(
        row_start=-51_000 + 20 * row, row_stop=-50_980 + 20 * row, col_start=7320 + 20 * col, col_stop=7340 + 20 * col
    )
    points = Transformer.from_crs(32633, epsg, always_xy=True).transform(*np.meshgrid(*lattice.centres(box)))
    west, south, east, north = small.bounds
    holds = ((points[0] >= west) & (points[0] <= east) & (points[1] >= south) & (points[1] <= north)).any()
    (found,) = SceneIndex([small]).reaching(Outlines(lattice, [box]))
    if holds:
        assert found == (small,)
    if min(abs(row), abs(col)) >= 7:
        assert found == ()


@settings(max_examples=25)
@given(st.lists(st.tuples(st.integers(-900, 900), st.integers(0, 900)), max_size=12), st.integers(0, 2**16))
def test_boxes_that_are_asked_for_together_have_the_scenes_that_each_has_alone(
    places: list[tuple[int, int]], seed: int
):
    """In whatever systems these are, and where some box cannot be said in one of them."""
    lattice, rng = Lattice(zone=Zone.utm(33, southern=False), resolution=100, block=64), np.random.default_rng(seed)
    scenes = [
        scene(f"{number}", epsg, 300_000 + 1000 * int(x), 5_100_000 + 1000 * int(y), side=109_800)
        for number, (epsg, x, y) in enumerate(
            zip(rng.choice([32632, 32633, 32634, 3035], 40), *rng.integers(-400, 400, (2, 40)), strict=True)
        )
    ]
    boxes = [
        PixelBox(row_start=-51_000 + 9 * row, row_stop=-50_936 + 9 * row, col_start=80 * col, col_stop=80 * col + 64)
        for row, col in places
    ]
    index = SceneIndex(scenes)
    together = index.reaching(Outlines(lattice, boxes))
    assert together == [index.reaching(Outlines(lattice, [box]))[0] for box in boxes]
    assert all(list(found) == sorted(found, key=lambda one: (one.sensed, one.tile, one.id)) for found in together)


@settings(max_examples=30, deadline=None)
@given(
    corners=st.lists(st.tuples(st.floats(17.6, 18.4), st.floats(45.8, 46.3)), min_size=3, max_size=6, unique=True),
    number=st.sampled_from([33, 34]),
)
def test_the_box_around_a_blocks_ground_holds_all_its_pixels_and_few_more(
    corners: list[tuple[float, float]], number: int
):
    region = shapely.MultiPoint(corners).convex_hull.buffer(0.01)
    lattice = Lattice(zone=Zone.utm(number, southern=False), resolution=100, block=64)
    blocks = list(lattice.blocks_meeting(region))
    found = rims(lattice, blocks, region)
    for block in blocks:
        box = lattice.box(block)
        least = box.around(lattice.inside(box, region))
        if least is None:
            continue
        there = found.get(block, box)
        assert there is not None
        assert there.intersection(least) == least
        assert there == there.intersection(box)
        most = box.around(lattice.inside(box, region.buffer(0.006)))
        assert most is not None
        assert there.intersection(most.pad(5)) == there, "of ground that is some pixels larger, and of the zone's rim"


def test_ground_whose_edges_lie_on_those_of_blocks_has_boxes_too():
    """Parcels on the lattice's own pixels, which grown by one touch along borders of blocks: hardly valid geometry."""
    lattice = Lattice(zone=Zone.utm(33, southern=False), resolution=10, block=16)
    rng = np.random.default_rng(2)
    for _ in range(16):
        rows, cols = np.nonzero(rng.random((16, 16)) < 0.55)
        west, south = 500_000 + 80 * cols, 5_000_000 + 80 * rows
        parcels = shapely.union_all(shapely.box(west, south, west + 80, south + 80)).buffer(-10, join_style="mitre")
        drawn = project(parcels, 32633, 4326)
        blocks = list(lattice.blocks_meeting(drawn))
        found = rims(lattice, blocks, drawn)
        for block in blocks:
            box, there = lattice.box(block), found.get(block, lattice.box(block))
            least = box.around(lattice.inside(box, drawn))
            assert least is None or (there is not None and there.intersection(least) == least)
