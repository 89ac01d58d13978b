"""Classes and status of pixels, beside what is said of each of them one by one."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from numpy.typing import NDArray

from landslide_scale.change.classes import NO_DATA, REPORTED, ChangeClass, Side, candidates, learned, reported
from landslide_scale.change.ripening import Status, high, ripened

BOTH = (False, True)


def column(*values: bool) -> NDArray[np.bool_]:
    return np.array([values]).T


def said_of(before: tuple[bool, bool], after: tuple[bool, bool], *, new: bool, asked: bool) -> int:
    (seen_before, was), (seen, now) = before, after
    if not asked:
        return NO_DATA
    if not seen:
        return ChangeClass.NOT_OBSERVED
    if not seen_before:
        return ChangeClass.AFTER_ONLY_LANDSLIDE if now else ChangeClass.AFTER_ONLY_NONE
    if new:
        return ChangeClass.NEW_LANDSLIDE
    return {
        (False, False): ChangeClass.NONE,
        (False, True): ChangeClass.NETWORK_ALONE,
        (True, True): ChangeClass.ALREADY,
        (True, False): ChangeClass.NO_MORE,
    }[was, now]


def test_every_combination_of_two_sides_has_its_class():
    sides = [(seen, landslide) for seen, landslide in product(BOTH, BOTH) if seen or not landslide]
    every = product(sides, sides, BOTH, BOTH)
    cases = [case for case in every if case[3] or not case[1][0]]
    before = Side(seen=column(*(one[0] for one, *_ in cases)), landslide=column(*(one[1] for one, *_ in cases)))
    after = Side(seen=column(*(two[0] for _, two, *_ in cases)), landslide=column(*(two[1] for _, two, *_ in cases)))
    new = column(*(one for _, _, one, _ in cases))
    found = learned(before, after, new, column(*(asked for *_, asked in cases)))
    assert found.dtype == np.uint8
    assert found[:, 0].tolist() == [said_of(one, other, new=said, asked=asked) for one, other, said, asked in cases]
    assert set(found[:, 0].tolist()) == {
        *set(ChangeClass) - {ChangeClass.CANDIDATE, ChangeClass.NOT_COMPARABLE}, NO_DATA,
    }  # fmt: skip


def test_a_candidate_lost_vegetation_on_a_slope_and_can_be_compared():
    cases = [
        dict(zip(("seen", "comparable", "lost", "steep", "asked"), one, strict=True)) for one in product(BOTH, repeat=5)
    ]
    cases = [one for one in cases if one["asked"] or not one["seen"]]
    found = candidates(**{name: column(*(one[name] for one in cases)) for name in cases[0]})[:, 0].tolist()
    for one, code in zip(cases, found, strict=True):
        if not one["asked"]:
            wanted = NO_DATA
        elif not one["seen"]:
            wanted = ChangeClass.NOT_OBSERVED
        elif not one["comparable"]:
            wanted = ChangeClass.NOT_COMPARABLE
        else:
            wanted = ChangeClass.CANDIDATE if one["lost"] and one["steep"] else ChangeClass.NONE
        assert code == wanted, one


def test_polygons_are_of_what_is_new_or_may_be():
    codes = np.array([*ChangeClass, NO_DATA], np.uint8)
    assert codes[reported(codes)].tolist() == [7, 8, 9] == list(REPORTED)
    assert min(REPORTED) > max(set(ChangeClass) - set(REPORTED))  # so that coarser pixels lose none


CODES = npst.arrays(np.uint8, (4, 5), elements=st.sampled_from([*ChangeClass, NO_DATA]))
LOOKS = npst.arrays(np.uint8, (4, 5), elements=st.integers(1, 255))
MASKS = npst.arrays(bool, (4, 5))


@given(CODES, LOOKS, MASKS, st.booleans())
def test_the_status_of_each_pixel_is_by_looks_and_confidence(
    classes: NDArray[np.uint8],
    looks: NDArray[np.uint8],
    landslide: NDArray[np.bool_],
    finished: bool,  # noqa: FBT001 hypothesis's
):
    found = ripened(classes, looks, high(classes, landslide), finished=finished)
    for place in np.ndindex(*classes.shape):
        code = int(classes[place])
        if code in {NO_DATA, ChangeClass.NOT_OBSERVED, ChangeClass.NOT_COMPARABLE}:
            assert found[place] == NO_DATA
        elif code not in REPORTED:
            assert found[place] == Status.NONE
        else:
            sure = code == ChangeClass.NEW_LANDSLIDE and landslide[place]
            name = ("FIRST", "PROVISIONAL", "CONFIRMED")[min(int(looks[place]), 3) - 1]
            ended = "_FINISHED" if finished and name == "CONFIRMED" else ""
            assert Status(found[place]).name == f"{name}_{'HIGH' if sure else 'LOW'}{ended}"


@pytest.mark.parametrize(("name", "code"), [("FIRST_LOW", 1), ("CONFIRMED_HIGH", 6), ("CONFIRMED_LOW_FINISHED", 7)])
def test_codes_are_those_of_opera(name: str, code: int):
    assert Status[name] == code
    assert len(Status) == 9
