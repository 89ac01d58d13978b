from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from landslide_scale.bands import NEWER_OFFSET
from landslide_scale.reading.raster import read_sample
from landslide_scale.stac.radiometry import ENOUGH, VERDICTS, Evidence, Verdict, decide, in_question, witness

Truth = Literal[True, False]
SIDE = 64
FLAG = "earthsearch:boa_offset_applied"

Sample = tuple[NDArray[np.uint16], NDArray[np.uint16], NDArray[np.uint8]]


def numbers(reflectance: NDArray[np.float64], *, carried: bool) -> NDArray[np.uint16]:
    """As ESA writes them (0 is no data), or as a provider does that took the offset off and stopped at 0."""
    plain = np.round(reflectance * 10_000)
    return (np.maximum(plain - NEWER_OFFSET, 1) if carried else np.maximum(plain, 0)).astype(np.uint16)


@st.composite
def ground(draw: st.DrawFn) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.uint8]]:
    """Blue and red reflectance and classes: dark vegetation and water, and anything bright beside them."""
    generator = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    darkest, spread = draw(st.floats(0.0005, 0.06)), draw(st.floats(0.001, 0.2))
    blue, red = (darkest + spread * generator.random((SIDE, SIDE)) ** 2 for _ in range(2))
    classes = generator.choice([4, 6, 5, 9, 11, 3, 0, 13], (SIDE, SIDE), p=[0.3, 0.2, 0.1, 0.1, 0.1, 0.1, 0.05, 0.05])
    other = ~np.isin(classes, (4, 6))
    for band in (blue, red):
        band[other] = draw(st.floats(0, 1.5)) * generator.random(int(other.sum()))
    return blue, red, classes.astype(np.uint8)


@given(ground=ground())
def test_the_offset_is_never_seen_where_it_is_not_nor_missed_where_it_is(
    ground: tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.uint8]],
):
    blue, red, classes = ground
    for carried in (True, False):
        found = witness(numbers(blue, carried=carried), numbers(red, carried=carried), classes)
        assert found.verdict == ("carried" if carried else "removed")


@given(ground=ground(), other=st.integers(0, 65_535))
def test_only_vegetation_and_water_are_heard(
    ground: tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.uint8]], other: int
):
    blue, red, classes = ground
    first, second = numbers(blue, carried=False), numbers(red, carried=False)
    before = witness(first, second, classes)
    mute = ~np.isin(classes, (4, 6))
    first[mute], second[mute] = other, 65_535 - other
    assert witness(first, second, classes) == before


@given(count=st.integers(0, ENOUGH - 1), dark=st.integers(1, 2000))
def test_too_few_such_pixels_are_inconclusive_whatever_they_say(count: int, dark: int):
    classes = np.full(SIDE * SIDE, 5, np.uint8)
    classes[:count] = 4
    band = np.full(SIDE * SIDE, dark, np.uint16)
    found = witness(band, band, classes)
    assert found.verdict == "unclear"
    assert f"{count} pixels" in found.figures


def test_pixels_without_data_are_not_dark_ones():
    classes = np.full((SIDE, SIDE), 4, np.uint8)
    band = np.full((SIDE, SIDE), 1100, np.uint16)
    band[: SIDE // 2] = 0
    assert witness(band, band, classes).verdict == "carried"
    band[: SIDE - 10] = 0
    assert witness(band, band, classes).verdict == "unclear"


@pytest.mark.parametrize(("blue", "red"), [(1011, 2111), (800, 800), (2500, 2600), (899, 1100), (1100, 1701)])
def test_bright_or_half_dark_ground_says_nothing(blue: int, red: int):
    classes = np.full((SIDE, SIDE), 6, np.uint8)
    sample = [np.full((SIDE, SIDE), value, np.uint16) for value in (blue, red)]
    assert witness(sample[0], sample[1], classes).verdict == "unclear"


NEW, OLD = (5, 9), (3, 1)


@pytest.mark.parametrize(
    ("baseline", "flagged", "verdict", "offset", "trusted"),
    [
        (NEW, True, None, 0, True),
        (NEW, True, "removed", 0, True),
        (NEW, True, "unclear", 0, True),
        (NEW, True, "carried", 0, False),
        (NEW, False, None, -1000, True),
        (NEW, False, "removed", -1000, False),
        (NEW, False, "unclear", -1000, True),
        (NEW, False, "carried", -1000, True),
        ((4, 0), False, "removed", -1000, False),
        *((OLD, flagged, verdict, 0, True) for flagged in (True, False) for verdict in (None, *VERDICTS)),
    ],
)
def test_the_rule_decides_and_only_a_positive_contradiction_is_not_trusted(
    baseline: tuple[int, int], flagged: Truth, verdict: Verdict | None, offset: int, trusted: Truth
):
    evidence = None if verdict is None else Evidence(verdict=verdict, figures="FIGURES")
    found = decide(baseline, flag=FLAG, flagged=flagged, evidence=evidence)
    assert found.offset == offset
    assert bool(found.quarantine) is not trusted
    if evidence is not None and in_question(baseline):
        assert "FIGURES" in found.rule + found.quarantine


@pytest.mark.parametrize("flagged", [True, False])
def test_a_provider_without_a_flag_never_takes_the_offset_off(flagged: Truth):
    assert decide(NEW, flag=None, flagged=flagged).offset == -1000


def sample(folder: Path) -> Sample:
    blue, red, classes = (read_sample(str(folder / f"{name}.tif")) for name in ("B02", "B04", "SCL"))
    assert blue is not None
    assert red is not None
    assert classes is not None
    return blue, red, classes


def test_real_scenes_say_what_is_known_of_them(shared_data: Path):
    root = shared_data / "sentinel2"
    for folder in sorted((root / "earthsearch-33T-2023-08").glob("S2*")):
        blue, red, classes = sample(folder)
        assert witness(blue, red, classes).verdict == "removed"
        # The same ground as ESA wrote it:
        with_offset = [np.where(band > 0, band + 1000, 0).astype(np.uint16) for band in (blue, red)]
        assert witness(with_offset[0], with_offset[1], classes).verdict == "carried"
    # A desert that never had an offset has no such pixels: its darkest percent of all lies at 1011.
    assert witness(*sample(root / "earthsearch-29RKH-2020-02")).verdict == "unclear"
