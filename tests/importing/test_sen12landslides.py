"""Made files of the published format, with its traps: chips are what NumPy makes of the same arrays, pixel by pixel."""

from __future__ import annotations

import re
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from helpers.sen12 import SIDE, Made, Text, as_h5netcdf, as_netcdf_c
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from landslide_scale.importing.chip import chip_of
from landslide_scale.importing.outcome import Outcome, outcome_of
from landslide_scale.importing.patch import Pixels
from landslide_scale.label_values import IGNORE

NAME = "italy_s2_6982.nc"
UNANNOTATED = {"annotated": "False"} | dict.fromkeys(
    ("ann_id", "ann_bbox", "event_date", "date_confidence", "pre_post_dates"), ""
)


def read(path: Path, days: int = 90, low_quality: frozenset[str] = frozenset()) -> Outcome:
    return outcome_of(path, "italy", days=days, low_quality=low_quality)


def refused(path: Path) -> tuple[str, str, str]:
    facts = read(path).facts
    return facts["outcome"], facts["reason"], facts["detail"]


def direct(numbers: NDArray[np.int16], classes: NDArray[np.int16], frames: list[int]) -> NDArray[np.float32]:
    """Pixel by pixel: (C, T, H, W) and (T, H, W) to (C, H, W)."""
    out = np.full((len(numbers), *classes.shape[1:]), np.nan, np.float32)
    for row, col in np.ndindex(*classes.shape[1:]):
        clear = [frame for frame in frames if classes[frame, row, col] in {4, 5, 6}]
        if clear:
            seen = numbers[:, clear, row, col].astype(np.float32) / np.float32(10_000)
            out[:, row, col] = np.median(seen, axis=1) if len(clear) >= 3 else seen[:, 0]
    return out


@pytest.mark.parametrize("text", [as_netcdf_c, as_h5netcdf])
@pytest.mark.parametrize("order", [("time", "x", "y"), ("time", "y", "x"), ("y", "time", "x")])
def test_a_chip_is_the_clear_ground_after_the_event_whatever_the_order_of_axes_and_the_kind_of_text(
    order: tuple[str, str, str], text: Text, tmp_path: Path
):
    made = Made(order=order, text=text)
    found = read(made.write(tmp_path / NAME))
    # Event on 88 days after the first frame; frame 4 is 12 days later, frame 7 87.
    assert found.facts["frames"] == ["2023-01-13", "2023-02-07", "2023-03-04", "2023-03-29"]
    assert found.chip is not None
    assert made.numbers is not None
    assert made.classes is not None
    assert made.mask is not None
    expected = direct(made.numbers, made.classes, [4, 5, 6, 7])
    np.testing.assert_array_equal(found.chip.image, expected)
    assert found.chip.image.dtype == np.float32
    np.testing.assert_array_equal(found.chip.label, np.where(np.isnan(expected[0]), IGNORE, made.mask))
    assert found.chip.label.dtype == np.uint8
    assert (found.chip.label == IGNORE).any()  # 255 and clouds on every frame, somewhere
    counted = found.chip.label != IGNORE
    assert (found.facts["pixels"], found.facts["landslide_pixels"]) == (counted.sum(), (found.chip.label == 1).sum())
    assert (found.facts["event"], found.facts["estimated"]) == ("2023-01-01", False)
    assert found.facts["bounds"] == [755_200.0, 4_880_640.0, 756_480.0, 4_881_920.0]  # x and y are corners
    assert found.facts["crs"] == "EPSG:32632"


@settings(max_examples=40)
@given(st.data())
def test_any_classes_and_any_frames_give_what_numpy_gives_pixel_by_pixel(data: st.DataObject):
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    count = data.draw(st.integers(1, 7))
    frames = sorted(data.draw(st.sets(st.integers(0, count - 1), min_size=1)))
    numbers = rng.integers(0, 10_001, (2, count, 3, 4), dtype=np.int16)
    classes = rng.choice(np.array([4, 5, 6, 9, 255], np.int16), (count, 3, 4))
    mask = rng.integers(0, 2, (3, 4), dtype=np.uint8)
    chip = chip_of(Pixels(numbers=numbers, classes=classes.astype(np.uint8), mask=mask), tuple(frames))
    expected = direct(numbers, classes, frames)
    np.testing.assert_array_equal(chip.image, expected)
    np.testing.assert_array_equal(chip.label, np.where(np.isnan(expected[0]), IGNORE, mask))


def test_the_day_of_the_event_is_no_day_after_it_and_a_frame_that_is_there_twice_counts_once(tmp_path: Path):
    # The publishers repeat the last frame where there are too few: a median of three, of which two are one, is none.
    made = Made(days=(0, 25, 50, 88, 100, 140, 140, 140), post=3)
    found = read(made.write(tmp_path / NAME))
    assert found.facts["frames"] == ["2023-01-13", "2023-02-22"]
    assert found.chip is not None
    assert made.numbers is not None
    assert made.classes is not None
    np.testing.assert_array_equal(found.chip.image, direct(made.numbers, made.classes, [4, 5]))


@pytest.mark.parametrize(
    ("units", "factor"),
    [
        ("hours since 2022-10-05T00:00:00Z", 24),
        ("seconds since 2022-10-05", 86_400),
        ("days since 2022-10-05 10:10:31", 1),
    ],
)
def test_days_are_days_in_whatever_unit_a_library_wrote_them(units: str, factor: int, tmp_path: Path):
    path = Made().write(tmp_path / NAME)
    expected = read(path).facts
    with h5py.File(path, "r+") as file:
        file["time"][...] = file["time"][()] * factor
        file["time"].attrs["units"] = units
    assert read(path).facts == expected


@pytest.mark.parametrize(("days", "frames"), [(12, 1), (36, 1), (37, 2), (366, 4)])
def test_frames_are_taken_for_as_many_days_as_asked_the_last_included(days: int, frames: int, tmp_path: Path):
    classes = np.full((8, SIDE, SIDE), 4, np.int16)
    assert len(read(Made(classes=classes).write(tmp_path / NAME), days).facts["frames"]) == frames


SKIPPED: dict[str, tuple[dict[str, Any], str, str]] = {
    "unannotated": ({"attributes": UNANNOTATED}, "not annotated", ""),
    "two events": (
        {
            "event": "2023-01-01,2023-01-20",
            "attributes": {"pre_post_dates": "{'pre': 3, 'post': 4},{'pre': 4, 'post': 5}"},
        },
        "several events",
        "2023-01-01, 2023-01-20",
    ),
    "one without a date": ({"event": "None,2023-01-01"}, "several events", "2023-01-01, None"),
    "no date": ({"event": "None"}, "no day of the event", "'None'"),
    "no pair": ({"attributes": {"pre_post_dates": ""}}, "no single pair", ""),
    "code for a pair": ({"attributes": {"pre_post_dates": "__import__('os').getcwd()"}}, "no single pair", "getcwd"),
    "two pairs": (
        {"attributes": {"pre_post_dates": "{'pre': 3, 'post': 4},{'pre': 4, 'post': 5}"}},
        "no single pair",
        "5",
    ),
    "before the first": ({"event": "2022-01-01", "post": 1}, "not lie between", "pre 0, post 1 of 8 frames"),
    "no bracket": ({"attributes": {"pre_post_dates": "{'pre': 7, 'post': 7}"}}, "not lie between", "pre 7, post 7"),
    "beyond": ({"attributes": {"pre_post_dates": "{'pre': 7, 'post': 8}"}}, "not lie between", "post 8 of 8"),
    "all too late": ({"days": (0, 25, 50, 75, 300), "post": 4}, "no frame within 90 days", "2023-01-01"),
    "empty mask": ({"mask": np.zeros((SIDE, SIDE), np.uint8)}, "mask is empty", ""),
    "cloud": ({"classes": np.full((8, SIDE, SIDE), 255, np.int16)}, "less than 50% of it clear", "0.0%"),
}


@pytest.mark.parametrize("case", SKIPPED)
def test_a_patch_that_is_no_label_of_one_event_is_skipped_for_that_reason(case: str, tmp_path: Path):
    changes, reason, detail = SKIPPED[case]
    for text in (as_netcdf_c, as_h5netcdf):
        said = refused(Made(text=text, **changes).write(tmp_path / NAME))
        assert said[0] == "skipped"
        assert reason in said[1]
        assert detail in said[2]


def test_two_polygons_of_one_event_are_one_event_and_an_estimated_day_is_said(tmp_path: Path):
    twice = {"date_confidence": "0.62,1.0"}
    found = read(Made(event="2023-01-01, 2023-01-01", attributes=twice).write(tmp_path / NAME))
    assert (found.facts["outcome"], found.facts["estimated"]) == ("taken", True)


def test_a_patch_on_the_list_of_low_quality_is_skipped(tmp_path: Path):
    path = Made().write(tmp_path / NAME)
    assert read(path, low_quality=frozenset({"italy_s2_6982"})).facts["reason"] == "on the list of low quality"


def dark(seed: int, over: int) -> NDArray[np.int16]:
    """Reflectance from 0.02 on, and a number that was left in."""
    return np.random.default_rng(seed).integers(200 + over, 4000 + over, (10, 8, SIDE, SIDE), dtype=np.int16)


def test_numbers_that_still_carry_the_offset_are_quarantined_by_what_the_pixels_say(tmp_path: Path):
    assert read(Made(numbers=dark(1, 0)).write(tmp_path / NAME)).facts["offset"]["witness"] == "removed"
    outcome, reason, detail = refused(Made(numbers=dark(1, 1000)).write(tmp_path / NAME))
    assert (outcome, reason) == ("quarantined", "its numbers still carry the offset of -1000")
    assert "darkest percent" in detail


@pytest.mark.parametrize(
    ("first", "outcome"),
    [
        (date(2021, 8, 2), "taken"),  # ends on the day before
        (date(2021, 8, 3), "quarantined"),
        (date(2022, 1, 24), "quarantined"),
        (date(2022, 1, 25), "taken"),
    ],
)
def test_a_series_over_the_day_on_which_offsets_began_is_quarantined(first: date, outcome: str, tmp_path: Path):
    shift = (first - date(2022, 10, 5)).days
    made = Made(days=tuple(shift + 25 * frame for frame in range(8)), event=str(first + timedelta(days=88)))
    assert (made.dates[0], made.dates[-1]) == (first, first + timedelta(days=175))
    found = read(made.write(tmp_path / NAME)).facts
    assert found["outcome"] == outcome
    assert ("a series over 2022-01-25" in found.get("reason", "")) == (outcome == "quarantined")


def changed(path: Path, name: str, axes: list[str] | None = None, **new: object) -> None:
    """Put another array in place of one, with the same dimensions unless told otherwise."""
    with h5py.File(path, "r+") as file:
        old = file[name]
        named = [axis[0].name for axis in old.dims] if axes is None else axes
        del file[name]
        dataset = file.create_dataset(name, **new)
        for axis, of in enumerate(named):
            dataset.dims[axis].attach_scale(file[of])


def frames(path: Path, **new: object) -> None:
    """Put other days in place of the frames'."""
    with h5py.File(path, "r+") as file:
        told = dict(file["time"].attrs)
        del file["time"]
        dataset = file.create_dataset("time", **new)
        dataset.make_scale("time")
        for name in ("units", "calendar"):
            dataset.attrs[name] = told[name]


def drop(path: Path, name: str) -> None:
    with h5py.File(path, "r+") as file:
        del file[name]


def attribute(path: Path, of: str, name: str, value: object) -> None:
    with h5py.File(path, "r+") as file:
        file[of].attrs[name] = value


def unnamed(path: Path) -> None:
    with h5py.File(path, "r+") as file:
        values = file["B8A"][()]
        del file["B8A"]
        file["B8A"] = values


def elsewhere(path: Path) -> None:
    secret = Made().write(path.with_name("secret.nc"))
    with h5py.File(path, "r+") as file:
        del file["B04"]
        file["B04"] = h5py.ExternalLink(str(secret), "B04")


def stored_elsewhere(path: Path) -> None:
    secret = path.with_name("secret")
    secret.write_bytes(bytes(8 * SIDE * SIDE * 2))
    changed(path, "B04", shape=(8, SIDE, SIDE), dtype="i2", external=[(str(secret), 0, h5py.h5f.UNLIMITED)])


def cut_off(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:200_000])


FLAT = np.zeros((8, SIDE, SIDE), np.int16)
MASKS = np.zeros((8, SIDE, SIDE), np.uint8)
MASKS[3, 0, 0] = 1
HOSTILE: dict[str, tuple[Any, str]] = {
    "cut off": (cut_off, "cannot be read|truncated|Unable"),
    "empty": (lambda path: path.write_bytes(b""), "cannot be read"),
    "no HDF5": (lambda path: path.write_bytes(b"CDF\x01" + bytes(4000)), "cannot be read"),
    "no band": (lambda path: drop(path, "B8A"), r"no variable B8A; expected B8A \(time 8, y 128, x 128\)"),
    "no classes": (lambda path: drop(path, "SCL"), "no variable SCL"),
    "no time": (lambda path: drop(path, "time"), "time"),
    "no dimension names": (unnamed, "expected B8A .* with named dimensions"),
    "other size": (lambda path: changed(path, "SCL", data=FLAT[:, :64]), r"SCL \(time 8, x 64, y 128\)"),
    "a dimension twice": (lambda path: changed(path, "SCL", data=FLAT, axes=["time", "x", "x"]), "SCL .*x 128, x 128"),
    "a size that lies": (
        lambda path: changed(path, "B02", shape=(10**9, SIDE, SIDE), dtype="i2", chunks=(1, SIDE, SIDE)),
        "B02 .time 1000000000",
    ),
    "a piece that lies": (
        lambda path: changed(
            path, "B02", shape=FLAT.shape, dtype="i2", chunks=(10_000, SIDE, SIDE), maxshape=(None, None, None)
        ),
        "at most 64,000,000",
    ),
    "frames that lie": (
        lambda path: frames(path, shape=(10**12,), dtype="i1", chunks=(1,)),
        "time of 1,000,000,000,000 bytes; expected at most",
    ),
    "floats": (lambda path: changed(path, "B02", data=FLAT.astype(np.float32)), "B02 of float32"),
    "text for numbers": (lambda path: changed(path, "B02", data=np.full(FLAT.shape, b"x")), "B02 of"),
    "packed": (lambda path: attribute(path, "B02", "scale_factor", 0.0001), "B02 has scale_factor"),
    "a fill value left in": (lambda path: changed(path, "B02", data=FLAT - 9999), "B02 from -9999 to -9999"),
    "a mask that changes": (lambda path: changed(path, "MASK", data=MASKS), "MASK differs between frames"),
    "a mask of other values": (lambda path: changed(path, "MASK", data=MASKS * 0 + 255), "MASK from 255 to 255"),
    "centres": (
        lambda path: attribute(path, "spatial_ref", "GeoTransform", "755195.0 10.0 0.0 4881925.0 0.0 -10.0"),
        "corners",
    ),
    "another unit of time": (lambda path: attribute(path, "time", "units", "months since 2022-10-05"), "days since"),
    "another calendar": (lambda path: attribute(path, "time", "calendar", "noleap"), "proleptic_gregorian"),
    "frames in disorder": (
        lambda path: frames(path, data=np.array([50, 25, *range(60, 66)], np.uint16)),
        "no ascending row",
    ),
    "no day": (lambda path: attribute(path, "time", "units", "days since 2022-13-05"), "days of the calendar"),
    "a number for text": (lambda path: attribute(path, "/", "annotated", 1), "text annotated"),
    "odd text": (lambda path: attribute(path, "/", "annotated", "yes"), "expected True or False"),
    "no UTF-8": (lambda path: attribute(path, "/", "annotated", np.bytes_(b"\xff\xfe")), "text annotated"),
    "another file": (elsewhere, "no variable B04"),
    "stored in another file": (stored_elsewhere, "another file"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_a_file_that_is_not_as_published_is_quarantined_in_one_line(case: str, tmp_path: Path):
    path = Made(numbers=np.full((10, 8, SIDE, SIDE), 500, np.int16)).write(tmp_path / NAME)
    HOSTILE[case][0](path)
    outcome, reason, detail = refused(path)
    assert (outcome, reason) == ("quarantined", "not as published")
    assert "\n" not in detail
    assert re.search(HOSTILE[case][1], detail), detail
