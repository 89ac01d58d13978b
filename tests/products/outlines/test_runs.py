from __future__ import annotations

import numpy as np
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray
from scipy import ndimage

from landslide_scale.grid import PixelBox
from landslide_scale.products.outlines.runs import Runs, box_of, canonical, outline, pixels_of, runs_by_number
from landslide_scale.products.outlines.smoothing import sides_of_smallest_rectangle, simplified

EIGHT = np.ones((3, 3), bool)
MASKS = hnp.arrays(bool, hnp.array_shapes(min_dims=2, max_dims=2, max_side=14), fill=st.nothing())


def landslides_in(mask: NDArray[np.bool_], *, row: int = 0, col: int = 0) -> list[Runs]:
    numbers, count = ndimage.label(mask, structure=EIGHT)
    box = PixelBox(row_start=row, row_stop=row + mask.shape[0], col_start=col, col_stop=col + mask.shape[1])
    return [canonical([runs]) for runs in runs_by_number(numbers.astype(np.int32), count, box)] if count else []


def squares(runs: Runs) -> shapely.Geometry:
    rows, cols = pixels_of(runs)
    return shapely.union_all(shapely.box(cols, rows, cols + 1, rows + 1))


def rings(geometry: shapely.MultiPolygon) -> list[int]:
    return sorted(len(part.interiors) for part in geometry.geoms)


@given(MASKS, st.integers(-20, 20), st.integers(-20, 20))
def test_runs_are_the_pixels_whatever_pieces_they_come_in(mask: NDArray[np.bool_], row: int, col: int):
    numbers, count = ndimage.label(mask, structure=EIGHT)
    found = landslides_in(mask, row=row, col=col)
    assert len(found) == count
    for number, runs in enumerate(found, start=1):
        rows, cols = np.nonzero(numbers == number)
        assert np.array_equal(np.stack(pixels_of(runs)), np.stack([rows + row, cols + col]))
        single = np.column_stack([rows + row, cols + col, cols + col + 1])[::-1]
        assert np.array_equal(canonical([single[:2], single[2:]]), runs)
        assert box_of(runs).shape == (np.ptp(rows) + 1, np.ptp(cols) + 1)


@given(MASKS)
def test_an_outline_is_the_union_of_its_pixels_in_parts_that_share_sides(mask: NDArray[np.bool_]):
    numbers, _ = ndimage.label(mask, structure=EIGHT)
    for number, runs in enumerate(landslides_in(mask), start=1):
        found = outline(runs)
        assert found.is_valid
        assert found.equals(squares(runs))
        assert np.array_equal(shapely.get_coordinates(found), np.rint(shapely.get_coordinates(found)))
        assert len(found.geoms) == ndimage.label(numbers == number)[1]


@settings(max_examples=200)
@given(MASKS)
def test_simplified_outlines_stay_within_half_a_pixel_valid_apart_and_with_their_holes(mask: NDArray[np.bool_]):
    exact = [outline(runs) for runs in landslides_in(mask)]
    found = [simplified(one) for one in exact]
    for before, after in zip(exact, found, strict=True):
        assert after.is_valid
        assert rings(after) == rings(before)
        moved = max(
            shapely.hausdorff_distance(one, other, densify=0.05)
            for one, other in ((before.boundary, after.boundary), (after.boundary, before.boundary))
        )
        assert moved < 0.5
    for number, one in enumerate(found):
        assert all(one.disjoint(other) for other in found[number + 1 :])


def test_a_landslide_within_the_hole_of_another_stays_there():
    mask = np.ones((7, 7), bool)
    mask[1:6, 1:6] = False
    mask[3, 3] = True
    ring, inner = (simplified(outline(runs)) for runs in landslides_in(mask))
    assert rings(ring) == [1]
    assert ring.disjoint(inner)
    assert shapely.Polygon(ring.geoms[0].exterior).contains(inner)


def test_a_staircase_becomes_a_line_and_a_rectangle_has_its_sides():
    stairs = np.tri(12, dtype=bool)
    assert len(simplified(outline(landslides_in(stairs)[0])).geoms[0].exterior.coords) <= 9
    field = np.ones((4, 9), bool)
    assert sides_of_smallest_rectangle(outline(landslides_in(field)[0])) == (9, 4)
    line = np.eye(5, dtype=bool)
    length, width = sides_of_smallest_rectangle(outline(landslides_in(line)[0]))
    assert np.allclose((length, width), (5 * np.sqrt(2), np.sqrt(2)))
