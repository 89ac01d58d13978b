"""Landslides known again: by the ground they share, over growth, merging and splitting, and over the antimeridian."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import shapely
from helpers.landslides import ACROSS
from hypothesis import given, settings
from hypothesis import strategies as st
from pyproj import Geod

from landslide_scale.errors import InvalidConfigError
from landslide_scale.products.heritage import (
    Judgement,
    Known,
    Rules,
    Verdict,
    inherited,
    layer_of,
)
from landslide_scale.products.kinship import geodesic_m2, shared

SIDE = 0.001
REJECTED = Verdict(status="rejected", verdict="a bar of gravel", verdict_reason="river", reviewer="AB")
CONFIRMED = Verdict(status="confirmed", reviewer="AB")


def box(west: float, east: float, south: float = 0.0, north: float = 1.0) -> shapely.MultiPolygon:
    """A rectangle in sides of a pixel or so, at 13 degrees east and 46 north."""
    return shapely.MultiPolygon([shapely.box(13 + west * SIDE, 46 + south * SIDE, 13 + east * SIDE, 46 + north * SIDE)])


def known(name: str, shape: shapely.MultiPolygon, **more: object) -> Known:
    return Known(id=name, geometry=shape, area_m2=geodesic_m2(shape), **more)  # type: ignore[arg-type]


def ids(earlier: list[Known], now: list[Known], agreement: float = 0.5) -> list[str]:
    return [one.id for one in inherited(earlier, now, {}, Rules(agreement=agreement))]


def test_one_that_grew_keeps_its_id_and_one_elsewhere_has_its_own():
    earlier = [known("a", box(0, 1)), known("b", box(5, 6))]
    now = [known("new north", box(0, 3, 0, 4)), known("c", box(9, 10)), known("b", box(5, 6))]
    assert ids(earlier, now) == ["a", "c", "b"]


def test_of_two_that_merged_the_one_with_more_ground_gives_the_id_and_the_other_is_named():
    earlier = [known("small", box(0, 1)), known("large", box(2, 5), merged=("older",))]
    found = inherited(earlier, [known("x", box(0, 5))], {}, Rules())
    assert [(one.id, one.merged) for one in found] == [("large", ("older", "small"))]


def test_of_one_that_was_split_the_larger_part_keeps_the_id_though_its_own_is_the_smaller_ones():
    # The smaller part has the pixel that names it, as the whole had.
    earlier = [known("a", box(0, 5))]
    now = [known("a", box(0, 1)), known("z", box(2, 5))]
    assert ids(earlier, now) == ["a-2", "a"]
    again = [known("a", box(0, 1)), known("z", box(2, 5))]
    assert ids(inherited(earlier, now, {}, Rules()), again) == ["a-2", "a"]  # and keeps it


def test_a_name_that_was_taken_in_is_given_to_nobody_else():
    earlier = [known("a", box(0, 3)), known("b", box(4, 5))]
    merged = inherited(earlier, [known("a", box(0, 5))], {}, Rules())
    split = inherited(merged, [known("a", box(0, 3)), known("b", box(4, 5))], {}, Rules())
    assert [(one.id, one.merged) for one in split] == [("a", ("b",)), ("b-2", ())]


def test_a_neighbour_that_shares_less_than_the_stated_share_of_the_smaller_is_another():
    earlier = [known("a", box(0, 10))]
    assert ids(earlier, [known("n", box(5.1, 15.1))]) == ["n"]
    assert ids(earlier, [known("n", box(4.9, 14.9))]) == ["a"]
    assert ids(earlier, [known("n", box(5.1, 15.1))], agreement=0.4) == ["a"]


def test_shared_ground_is_measured_on_the_ellipsoid_and_over_the_antimeridian():
    west = shapely.MultiPolygon([shapely.box(-180, -17.001, -179.9995, -17)])
    (pair,) = shared(np.array([ACROSS]), np.array([west]), 0.5)
    half = abs(Geod(ellps="WGS84").geometry_area_perimeter(shapely.orient_polygons(west))[0])
    assert pair.m2 == pytest.approx(half, rel=1e-6)
    assert pair.agrees
    far = shapely.MultiPolygon([shapely.box(-0.0005, -17.001, 0.0005, -17)])  # inside the bounds of the other
    assert shared(np.array([ACROSS]), np.array([far]), 0.5) == []


def test_polygons_that_touch_share_no_ground():
    assert shared(np.array([box(0, 1)]), np.array([box(1, 2)]), 0.5) == []
    assert shared(np.array([], object), np.array([box(1, 2)]), 0.5) == []


def test_a_rejected_one_stays_rejected_while_it_grows_by_little_and_is_looked_at_again_beyond():
    earlier = [known("a", box(0, 10), said=REJECTED)]
    (little,) = inherited(earlier, [known("x", box(0, 11.9))], {}, Rules(grown=0.2))
    assert little.said == REJECTED
    (much,) = inherited(earlier, [known("x", box(0, 12.1))], {}, Rules(grown=0.2))
    assert much.said.status == "unreviewed"
    assert much.said.verdict.startswith("grown by 21% since it was rejected (river) by AB: a bar of gravel, at ")
    (later,) = inherited([much], [known("x", box(0, 12.1))], {}, Rules())
    assert later.said == much.said  # the old verdict is still said


def test_growth_is_counted_from_the_area_that_was_judged_however_slowly_it_comes():
    judged = Judgement(layer="l", id="a", said=REJECTED, area_m2=geodesic_m2(box(0, 10)))
    state = [known("a", box(0, 10))]
    for number, east in enumerate((10, 11, 12.5)):
        applied = {"a": Judgement(layer="l", id="a", said=REJECTED, area_m2=judged.area_m2, applied=number > 0)}
        state = inherited(state, [known("x", box(0, east))], applied, Rules(grown=0.2))
        assert state[0].said.status == ("unreviewed" if east == 12.5 else "rejected")


def test_a_new_verdict_replaces_the_one_before_and_can_take_it_back():
    earlier = [known("a", box(0, 1), said=REJECTED), known("b", box(2, 3), said=REJECTED)]
    new = {
        name: Judgement(layer="l", id=name, said=said, area_m2=earlier[0].area_m2)
        for name, said in (("a", CONFIRMED), ("b", Verdict(reviewer="CD")))
    }
    found = inherited(earlier, [known("a", box(0, 1)), known("b", box(2, 3))], new, Rules())
    assert [one.said for one in found] == [CONFIRMED, Verdict(reviewer="CD")]


def test_every_part_of_a_rejected_one_stays_rejected_and_says_whose_part_it_is():
    earlier = [known("a", box(0, 5), said=REJECTED)]
    found = inherited(earlier, [known("p", box(0, 1)), known("q", box(2, 5))], {}, Rules())
    assert [one.said.status for one in found] == ["rejected", "rejected"]
    assert found[0].said.verdict == "part of a, rejected (river) by AB: a bar of gravel"
    assert found[1].said == REJECTED


def test_what_merged_into_another_leaves_it_its_verdict():
    earlier = [known("large", box(0, 10), said=CONFIRMED), known("small", box(10.5, 11), said=REJECTED)]
    (one,) = inherited(earlier, [known("x", box(0, 11))], {}, Rules())
    assert (one.id, one.said) == ("large", CONFIRMED)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.lists(st.integers(0, 12), min_size=2, max_size=8, unique=True), min_size=1, max_size=5),
    st.sampled_from([1, -1]),
)
def test_ids_are_given_once_whatever_merges_and_splits(versions: list[list[int]], step: int):
    state: list[Known] = []
    for cuts in versions:
        pieces = [box(west, east) for west, east in pairwise(sorted(cuts))]
        now = [known(f"p{number}", piece) for number, piece in enumerate(pieces[::step])]
        found = inherited(state, now, {}, Rules())
        names = [one.id for one in found]
        assert len(set(names)) == len(names)
        assert not set(names) & {name for one in found for name in one.merged}
        assert inherited(state, now, {}, Rules()) == found
        state = found


@pytest.mark.parametrize("rules", [{"agreement": 0.0}, {"agreement": 1.1}, {"grown": -0.1}])
def test_what_is_no_share_is_refused(rules: dict[str, float]):
    with pytest.raises(InvalidConfigError, match="share"):
        Rules(**rules)


def test_a_layer_is_known_by_the_day_it_begins():
    assert layer_of("2023-07-01 to 2023-08-01") == layer_of("2023-07-01 to 2023-08-06") == "2023-07-01"
