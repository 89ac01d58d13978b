"""Parts in several zones as one landslide, straight from arrays: any border, without a cube."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
import pytest
import shapely
from helpers.cubes import Made
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import ndimage

from landslide_scale.grid import Lattice, PixelBox, transformer
from landslide_scale.products.outlines.borders import grouped, on_own_ground
from landslide_scale.products.outlines.degrees import as_published, near_turn
from landslide_scale.products.outlines.part import Part
from landslide_scale.products.outlines.relief import OnRelief
from landslide_scale.products.outlines.runs import canonical, runs_by_number
from landslide_scale.products.outlines.tally import Tally

HOW = Made()
SIDE = 16
BORDERS = {
    "a meridian": ((18.0, 46.0), (HOW.lattice(33), HOW.lattice(34))),
    "far north": ((24.0, 71.9), (HOW.lattice(34), HOW.lattice(35))),
    "the antimeridian": ((180.0, -16.8), (HOW.lattice(60, southern=True), HOW.lattice(1, southern=True))),
    "the equator": ((33.7, 0.0), (HOW.lattice(36), HOW.lattice(36, southern=True))),
    "the equator and a meridian": (
        (30.0, 0.0),
        tuple(HOW.lattice(number, southern=south) for number in (35, 36) for south in (False, True)),
    ),
    "a step of the published rule": ((4.5, 56.0), (HOW.lattice(31), HOW.lattice(32))),
}


def parts_at(at: tuple[float, float], lattices: Sequence[Lattice], painted: NDArray[np.bool_]) -> list[Part]:
    """Parts in each zone of what is painted (2 SIDE, 2 SIDE) about a place, as the first zone's pixels."""
    x0, y0 = transformer(4326, lattices[0].zone.epsg).transform(*at)
    found: list[Part] = []
    for lattice in lattices:
        x, y = transformer(4326, lattice.zone.epsg).transform(*at)
        row, col = round((lattice.zone.origin[1] - y) / 10), round(x / 10)
        reach = SIDE + 8
        box = PixelBox(row_start=row - reach, row_stop=row + reach, col_start=col - reach, col_stop=col + reach)
        longitude, latitude = transformer(lattice.zone.epsg, 4326).transform(*np.meshgrid(*lattice.centres(box)))
        x, y = transformer(4326, lattices[0].zone.epsg).transform(longitude, latitude)
        rows, cols = np.floor((y0 - y) / 10).astype(int) + SIDE, np.floor((x - x0) / 10).astype(int) + SIDE
        within = (rows >= 0) & (rows < 2 * SIDE) & (cols >= 0) & (cols < 2 * SIDE)
        mask = within & lattice.zone.owns(longitude, latitude)
        mask[mask] = painted[rows[mask], cols[mask]]
        numbers, count = ndimage.label(mask, structure=np.ones((3, 3)))
        runs = runs_by_number(numbers.astype(np.int32), count, box) if count else []
        found += [Part(lattice=lattice, runs=canonical([one]), tally=some(one)) for one in runs]
    return found


def some(runs: NDArray[np.int64]) -> Tally:
    pixels = int((runs[:, 2] - runs[:, 1]).sum())
    return Tally(
        pixels=pixels, steps=0, highest=0, newest=0, looks=Counter({1: pixels}), snow_near=False, water=0, before=(),
        units=frozenset(), relief=OnRelief(), after=(),
    )  # fmt: skip


@settings(max_examples=12)
@pytest.mark.parametrize("border", BORDERS)
@given(seed=st.integers(0, 10_000))
def test_at_any_border_outlines_are_valid_apart_and_of_every_part_once(border: str, seed: int):
    at, lattices = BORDERS[border]
    noise = ndimage.gaussian_filter(np.random.default_rng(seed).standard_normal((2 * SIDE, 2 * SIDE)), 1.2)
    parts = parts_at(at, lattices, noise > 0.4 * noise.std())
    groups = grouped(parts)
    assert sorted(part.key for group in groups for part in group) == sorted(part.key for part in parts)
    assert grouped(parts[::-1]) == groups
    whole = [near_turn(on_own_ground(group), at[0]) for group in groups]
    assert all(one.is_valid and as_published(one).is_valid for one in whole)
    for number, one in enumerate(whole):
        assert all(one.intersection(other).area == 0 for other in whole[number + 1 :])


@pytest.mark.parametrize("border", BORDERS)
def test_at_any_border_a_field_of_landslide_is_one_polygon_without_a_seam(border: str):
    at, lattices = BORDERS[border]
    field = np.zeros((2 * SIDE, 2 * SIDE), bool)
    field[5:-5, 5:-5] = True
    parts = parts_at(at, lattices, field)
    (group,) = grouped(parts)
    assert len(group) == len(lattices)
    one = near_turn(on_own_ground(group), at[0])
    assert len(one.geoms) == 1
    assert len(one.geoms[0].interiors) == 0
    assert one.area > 0.95 * one.convex_hull.area  # the sides of the zone that is turned are staircases


@pytest.mark.parametrize("border", ["a meridian", "the antimeridian"])
def test_parts_with_ground_between_them_are_two(border: str):
    at, lattices = BORDERS[border]
    field = np.zeros((2 * SIDE, 2 * SIDE), bool)
    field[5:-5, 4 : SIDE - 2] = field[5:-5, SIDE + 2 : -4] = True
    assert [len(group) for group in grouped(parts_at(at, lattices, field))] == [1, 1]


def test_nothing_is_grouped_of_nothing():
    assert grouped([]) == []


def test_an_outline_over_a_turn_of_the_globe_is_cut_into_parts_on_it():
    over = shapely.MultiPolygon([shapely.box(179.5, -17, 181, -16)])
    assert as_published(over).equals(
        shapely.MultiPolygon([shapely.box(179.5, -17, 180, -16), shapely.box(-180, -17, -179, -16)])
    )
