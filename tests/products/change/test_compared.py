"""Two layers of made cubes, against one pixel at a time."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.changes import BOX, LATTICE, TWO, Ground, cut, pair, two_layers
from helpers.cubes import AFTER, made
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import ndimage

from landslide_scale.bands import Reason
from landslide_scale.change.classes import NO_DATA, ChangeClass
from landslide_scale.change.joining import GROWTH
from landslide_scale.change.rdndvi import FILL
from landslide_scale.cube.arrays import Layer
from landslide_scale.cube.reflectance import FILL as NO_BAND
from landslide_scale.errors import InvalidConfigError, InvalidInputError
from landslide_scale.grid import Lattice, PixelBox, transformer
from landslide_scale.products.change.compared import Compared
from landslide_scale.products.change.planes import earliest, planes
from landslide_scale.products.change.settings import Change, change_told
from landslide_scale.products.landslide import Landslide
from landslide_scale.products.outlines.landslides import landslides
from landslide_scale.products.outlines.wanted import UNREACHED, Wanted
from landslide_scale.products.plane import Plane
from landslide_scale.products.scanned import Scanned, scanned
from landslide_scale.scan.plan import Place

HOW = Change(before=0, after=1)
STEP = 125
ALL = Wanted(threshold=0.5, least_area_m2=0)
NONE = Wanted(threshold=None, least_area_m2=0)


@dataclass(frozen=True)
class Oracle:
    """What is stored of both layers, read once; and what one pixel of it says."""

    of: Scanned

    @cached_property
    def stored(self) -> list[dict[str, NDArray[np.uint16]]]:
        names = ("probability", "reason", "red", "nir")
        return [{name: self.of.read_one(LATTICE, BOX, layer, name) for name in names} for layer in (0, 1)]

    def seen(self, place: tuple[int, int]) -> tuple[bool, bool]:
        before, after = (bool(one["reason"][place] == Reason.OBSERVED) for one in self.stored)
        return before, after

    def rdndvi(self, place: tuple[int, int]) -> float:
        """NaN where nothing is known."""
        known = []
        for one in self.stored:
            red, nir = int(one["red"][place]), int(one["nir"][place])
            if NO_BAND in {red, nir} or min(red, nir) < 1000:
                return math.nan
            known.append((nir - red) / (nir + red - 2000))
        total = known[0] + known[1]
        return (known[1] - known[0]) / math.sqrt(total) * 100 if total > 0 else math.nan

    def likely(self, place: tuple[int, int]) -> bool:
        """By the network, after and not before."""
        was, now = (bool(one["probability"][place] >= STEP) for one in self.stored)
        return all(self.seen(place)) and now and not was

    @cached_property
    def beside(self) -> NDArray[np.bool_]:
        """Lost plants from where both witnesses agree, step by step."""
        places = [*np.ndindex(*BOX.shape)]
        lost = np.array([round(self.rdndvi(one), 2) <= -HOW.loss for one in places]).reshape(BOX.shape)
        lost &= np.array([all(self.seen(one)) for one in places]).reshape(BOX.shape)
        seeds = lost & np.array([self.likely(one) for one in places]).reshape(BOX.shape)
        return ndimage.binary_dilation(seeds, np.ones((3, 3)), iterations=GROWTH, mask=lost) if seeds.any() else seeds

    def silent(self, place: tuple[int, int]) -> bool:
        """Whether there were no plants to lose, as far as is known."""
        if math.isnan(self.rdndvi(place)):
            return True
        red, nir = (int(self.stored[0][name][place]) for name in ("red", "nir"))
        before = (nir - red) / (nir + red - 2000)
        return before <= -0.2 or (before - 0.2) / math.sqrt(before + 0.2) * 100 < HOW.loss

    def new(self, place: tuple[int, int]) -> bool:
        was, now = (float(one["probability"][place]) / 250 for one in self.stored)
        alone = self.likely(place) and self.silent(place) and now * (1 - was) >= 0.8
        return bool(self.beside[place]) or alone

    def change(self, place: tuple[int, int]) -> ChangeClass:
        seen_before, seen = self.seen(place)
        was, now = (bool(one["probability"][place] >= STEP) for one in self.stored)
        if not seen:
            return ChangeClass.NOT_OBSERVED
        if not seen_before:
            return ChangeClass.AFTER_ONLY_LANDSLIDE if now else ChangeClass.AFTER_ONLY_NONE
        if self.new(place):
            return ChangeClass.NEW_LANDSLIDE
        if was:
            return ChangeClass.ALREADY if now else ChangeClass.NO_MORE
        return ChangeClass.NETWORK_ALONE if now else ChangeClass.NONE


def test_classes_and_rdndvi_are_those_of_each_pixel(learned: Scanned):
    known, oracle = Compared(of=learned, how=HOW, step=STEP).pixels(LATTICE, BOX), Oracle(learned)
    assert set(np.unique(known.classes)) >= {ChangeClass.NEW_LANDSLIDE, ChangeClass.NETWORK_ALONE, ChangeClass.ALREADY}
    for place in np.ndindex(*BOX.shape):
        assert known.classes[place] == oracle.change(place)
        wanted = oracle.rdndvi(place)
        if not all(oracle.seen(place)) or math.isnan(wanted):
            assert known.rdndvi[place] == FILL
            assert not known.lost[place]
        else:
            near = abs(known.rdndvi[place] - wanted * 100) <= 1 + abs(wanted) * 0.01
            assert near or abs(known.rdndvi[place]) == 32_767
            if abs(wanted + HOW.loss) > 0.1:
                assert known.lost[place] == (wanted <= -HOW.loss)


@pytest.fixture(scope="module")
def wholes(learned: Scanned) -> dict[str, tuple[Plane, NDArray[Any]]]:
    """Every plane, and all of its pixels."""
    return {one.name: (one, one.read(LATTICE, BOX)) for one in planes(Compared(of=learned, how=HOW, step=STEP))}


@settings(max_examples=10, deadline=None)
@given(st.tuples(*[st.integers(0, 47)] * 4), st.data())
def test_any_box_is_cut_from_the_whole_whatever_blocks_it_crosses(
    wholes: dict[str, tuple[Plane, NDArray[Any]]], edges: tuple[int, ...], data: st.DataObject
):
    top, bottom, left, right = *sorted(edges[:2]), *sorted(edges[2:])
    box = PixelBox(
        row_start=BOX.row_start + top,
        row_stop=BOX.row_start + bottom + 1,
        col_start=BOX.col_start + left,
        col_stop=BOX.col_start + right + 1,
    )
    plane, whole = wholes[data.draw(st.sampled_from(sorted(wholes)))]
    assert whole.dtype == plane.variable.dtype
    np.testing.assert_array_equal(plane.read(LATTICE, box), whole[box.within(BOX)])


def brute_force(of: Scanned, mask: NDArray[np.bool_]) -> list[tuple[object, ...]]:
    """What is said of each connected part of a mask."""
    known = Compared(of=of, how=HOW, step=STEP).pixels(LATTICE, BOX)
    numbers, count = ndimage.label(mask, structure=np.ones((3, 3)))
    found = []
    for number in range(1, count + 1):
        part = numbers == number
        values = np.sort(known.rdndvi[part & (known.rdndvi != FILL)])
        median = round(float(values[(len(values) - 1) // 2]) / 100, 2) if len(values) else None
        new = "new" if 2 * known.both[part].sum() >= part.sum() else "seen only after"
        lost = 2 * known.lost[part].sum() >= part.sum()
        found.append((int(part.sum()), new, median, "learned and vegetation loss" if lost else "learned"))
    return sorted(found, key=str)


def said(found: list[Landslide]) -> list[tuple[object, ...]]:
    return sorted(((one.pixels, one.change, one.rdndvi, one.witnesses) for one in found), key=str)


def test_polygons_are_of_what_is_new_and_say_which_witnesses_agree(learned: Scanned):
    compared = Compared(of=learned, how=HOW, step=STEP)
    found = list(landslides(learned, 1, ALL, compared))
    oracle = Oracle(learned)
    classes = np.array([[oracle.change((row, col)) for col in range(48)] for row in range(48)])
    wanted = np.isin(classes, [ChangeClass.NEW_LANDSLIDE, ChangeClass.AFTER_ONLY_LANDSLIDE])
    assert said(found) == brute_force(learned, wanted)
    assert {one.window for one in found} == {AFTER.days}
    assert Counter(one.change for one in found).keys() == {"new", "seen only after"}
    assert sum(one.pixels for one in found) < sum(one.pixels for one in landslides(learned, 1, ALL))


def test_what_the_network_alone_calls_new_is_counted_and_trusted_where_no_plants_contradict(learned: Scanned):
    compared = Compared(of=learned, how=HOW, step=STEP)
    classes = compared.pixels(LATTICE, BOX).classes
    assert compared.network_alone_m2 == 100 * (classes == ChangeClass.NETWORK_ALONE).sum() > 0
    found = list(landslides(learned, 1, ALL, compared))
    new = {one.confidence: one.witnesses for one in found if one.change == "new" and one.looks > 1}
    alone = {one.confidence for one in found if one.change == "new" and one.witnesses == "learned"}
    both = {one.confidence for one in found if "loss" in (one.witnesses or "") and one.looks > 1}
    assert new
    assert alone == {"low"}
    assert both
    assert "low" not in both
    never = Compared(of=learned, how=replace(HOW, loss=300.0), step=STEP)  # nowhere were there so many plants
    after = never.pixels(LATTICE, BOX)
    of_both = after.classes[after.both]
    sure = (of_both == ChangeClass.NEW_LANDSLIDE).sum()
    assert 0 < sure < (of_both == ChangeClass.NETWORK_ALONE).sum()


@pytest.mark.parametrize("block", [24, 48])
def test_blocks_of_any_size_give_the_same(learned: Scanned, tmp_path: Path, block: int):
    how = replace(TWO, block=block, chunk=block)
    lattice = replace(LATTICE, block=block)
    before, after = pair()
    other = two_layers(tmp_path / "run", (lattice, BOX), (before.layer(), after.layer()), how)
    one, two = (
        [replace(found, run_id="") for found in landslides(of, 1, ALL, Compared(of=of, how=HOW, step=STEP))]
        for of in (learned, other)
    )
    assert one == two


def test_over_a_zone_border_a_new_landslide_is_one_and_says_what_all_its_pixels_say(tmp_path: Path):
    boxes, layers = {}, {}
    for number in (33, 34):
        lattice = TWO.lattice(number)
        x, y = transformer(4326, lattice.zone.epsg).transform(18.0, 46.0)
        row, col = round(-y / 160) * 16 - 16, round(x / 160) * 16 - 48
        boxes[lattice] = PixelBox(row_start=row, row_stop=row + 48, col_start=col, col_stop=col + 96)
        field = np.full((48, 96), 0.1)
        field[16:32] = 0.9
        loss = np.where(field > 0.5, 0.1, 0.8)
        nothing = np.full(field.shape, 0.1)
        looks = np.full(field.shape, 3, np.uint8)
        before = Ground(probability=nothing, ndvi=np.full(field.shape, 0.8), looks=looks).layer()
        layers[lattice] = (before, Ground(probability=field, ndvi=loss, looks=looks).layer())

    def paint(place: Place) -> Layer:
        return cut(layers[place.lattice][place.layer], place.box.within(boxes[place.lattice]))

    of = scanned(made(tmp_path / "run", TWO.places(boxes), paint, TWO))
    compared = Compared(of=of, how=HOW, step=STEP)
    found = list(landslides(of, 1, ALL, compared))
    pixels = sum(int(compared.marked(lattice, box).mask.sum()) for lattice, box in boxes.items())
    assert sum(one.pixels for one in found) == pixels > 0
    assert {(one.change, one.witnesses) for one in found} == {("new", "learned and vegetation loss")}
    assert {one.rdndvi for one in found} == {found[0].rdndvi}
    assert found[0].rdndvi == pytest.approx(-70 / math.sqrt(0.9), abs=0.1)


@dataclass(frozen=True)
class Hill:
    slope: NDArray[np.float64]


def hill(_: Scanned, __: Lattice, box: PixelBox) -> Hill:
    """Slopes that grow from west to east, 0 to 47 degrees; not known in the southernmost rows."""
    rows, cols = np.mgrid[box.row_start : box.row_stop, box.col_start : box.col_stop]
    slope = (cols - BOX.col_start).astype(float)
    return Hill(slope=np.where(rows >= BOX.row_stop - 4, np.nan, slope))


def test_without_a_network_there_are_candidates_on_slopes_and_no_probability(alone: Scanned):
    compared = Compared(of=alone, how=HOW, step=UNREACHED, terrain=hill)
    known, oracle = compared.pixels(LATTICE, BOX), Oracle(alone)
    for place in np.ndindex(*BOX.shape):
        wanted, seen = oracle.rdndvi(place), oracle.seen(place)[1]
        steep, sloped = place[1] >= HOW.least_slope_deg, place[0] < 44
        if not seen:
            code = ChangeClass.NOT_OBSERVED
        elif math.isnan(wanted) or not sloped or not known.both[place]:
            code = ChangeClass.NOT_COMPARABLE
        else:
            code = ChangeClass.CANDIDATE if known.rdndvi[place] <= -3000 and steep else ChangeClass.NONE
        assert known.classes[place] == code, place
    found = list(landslides(alone, 1, NONE, compared))
    assert sum(one.pixels for one in found) == (known.classes == ChangeClass.CANDIDATE).sum() > 0
    for one in found:
        assert (one.prob_mean, one.prob_max, one.model_sha256) == (None, None, "")
        assert (one.change, one.witnesses) == ("candidate", "vegetation loss")
        assert one.confidence == ("low" if one.looks < 2 else "medium")
        assert one.rdndvi is not None
        assert one.rdndvi <= -30
        assert one.date_min is not None


def test_without_an_elevation_model_slopes_are_not_asked(alone: Scanned):
    flat = Compared(of=alone, how=HOW, step=UNREACHED).pixels(LATTICE, BOX).classes
    sloped = Compared(of=alone, how=HOW, step=UNREACHED, terrain=hill).pixels(LATTICE, BOX).classes
    assert (flat == ChangeClass.CANDIDATE).sum() > (sloped == ChangeClass.CANDIDATE).sum()


def test_where_a_unit_is_missing_nothing_is_said(tmp_path: Path):
    before, after = pair()
    gone = {TWO.places({LATTICE: BOX})[number].id for number in (1, 2)}  # after in one block, before in the next
    of = two_layers(
        tmp_path / "run",
        (LATTICE, BOX),
        (before.layer(), after.layer()),
        failed=lambda place: place.id in gone,
    )
    classes = Compared(of=of, how=HOW, step=STEP).pixels(LATTICE, BOX).classes
    assert (classes[:16, :16] == NO_DATA).all()
    assert set(np.unique(classes[:16, 16:32])) <= {
        ChangeClass.NOT_OBSERVED, ChangeClass.AFTER_ONLY_LANDSLIDE, ChangeClass.AFTER_ONLY_NONE,
    }  # fmt: skip


def test_planes_are_as_the_cube_and_the_classes_have_them(
    learned: Scanned, wholes: dict[str, tuple[Plane, NDArray[Any]]]
):
    known = {name: whole for name, (_, whole) in wholes.items()}
    after = learned.read(LATTICE, BOX, 1)
    np.testing.assert_array_equal(known["looks"], after.clear_count)
    np.testing.assert_array_equal(known["first_day"], after.observed_on)
    np.testing.assert_array_equal(known["last_day"], after.observed_on)
    unseen = after.reason != Reason.OBSERVED
    for name in ("status", "exclusion", "advisory"):
        assert ((known[name] == NO_DATA) == unseen).all(), name
    assert (known["advisory"][~unseen] == (after.clear_count[~unseen] == 1)).all()
    assert set(np.unique(known["status"])) == {0, 1, 2, 3, 4, 5, 6, NO_DATA}


def test_the_first_day_is_the_earlier_of_this_version_and_the_one_before(learned: Scanned):
    (plane,) = (one for one in planes(Compared(of=learned, how=HOW, step=STEP)) if one.name == "first_day")
    rng = np.random.default_rng(1)
    before = np.where(rng.random(BOX.shape) < 0.5, 65_535, rng.integers(19_500, 19_600, BOX.shape)).astype(np.uint16)
    found = earliest(plane, lambda _, box: before[box.within(BOX)]).read(LATTICE, BOX)
    now = plane.read(LATTICE, BOX)
    for place in np.ndindex(*BOX.shape):
        assert found[place] == min(before[place], now[place])


def test_without_the_bands_there_is_a_network_alone_or_nothing(learned: Scanned, alone: Scanned):
    bare = replace(learned, laid=replace(learned.laid, bands=("red",)))
    compared = Compared(of=bare, how=HOW, step=STEP)
    assert "rdndvi" not in {plane.name for plane in planes(compared)}
    assert {one.witnesses for one in landslides(bare, 1, ALL, compared)} == {"learned"}
    assert {one.rdndvi for one in landslides(bare, 1, ALL, compared)} == {None}
    with pytest.raises(InvalidInputError, match=r"keeps green; expected red and nir in output\.keep"):
        Compared(of=replace(alone, laid=replace(alone.laid, bands=("green",))), how=HOW, step=UNREACHED)


@pytest.mark.parametrize(("before", "after"), [(0, 2), (7, 1), (1, 0)])
def test_layers_that_are_not_there_or_not_in_order_are_refused(learned: Scanned, before: int, after: int):
    with pytest.raises(InvalidConfigError, match="--change"):
        Compared(of=learned, how=Change(before=before, after=after), step=STEP)


@pytest.mark.parametrize(
    ("wrong", "key"),
    [
        ({"after": 0}, "--change"),
        ({"before": -1}, "--change"),
        ({"loss": 0.0}, "--loss"),
        ({"loss": math.nan}, "--loss"),
        ({"loss": 328.0}, "--loss"),
        ({"least_slope_deg": 90.0}, "--least-slope"),
        ({"least_slope_deg": math.nan}, "--least-slope"),
    ],
)
def test_what_cannot_be_meant_is_refused_by_option(wrong: dict[str, float], key: str):
    with pytest.raises(InvalidConfigError, match=key):
        Change(**{"before": 0, "after": 1, **wrong})  # type: ignore[arg-type]


def test_layers_are_told_by_two_indexes():
    assert change_told("0, 1") == (0, 1)
    for text in ("", "1", "a,b", "0,1,2", "-1,0"):
        with pytest.raises(InvalidConfigError, match="BEFORE,AFTER"):
            change_told(text)
