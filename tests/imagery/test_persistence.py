"""What is masked as cloud on every date on which its surroundings are clear, against NumPy."""

from __future__ import annotations

import math
import tracemalloc
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
import rasterio
from helpers.parts import drawn_part
from helpers.scenes import scene
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt

from landslide_scale.bands import Reason
from landslide_scale.grid import Lattice, PixelBox, Zone
from landslide_scale.imagery import datatake, mask, persistence
from landslide_scale.imagery import observe as reading_ahead
from landslide_scale.imagery.composite import Image
from landslide_scale.imagery.observe import BYTES_PER_PIXEL, observe
from landslide_scale.imagery.settings import CompositeConfig
from landslide_scale.scene import Scene
from landslide_scale.strictyaml import parse

WEST, NORTH, PIXELS = 600_000, 5_100_000, 120
SIDE = 20 * PIXELS
BANDS = ("blue",)
CLOUDY = (7, 8, 9, 10)


def lattice(resolution: int) -> Lattice:
    return Lattice(zone=Zone.utm(33, southern=False), resolution=resolution, block=64)


def around(of: Lattice, metres: int = 0) -> PixelBox:
    return of.box_covering((WEST - metres, NORTH - SIDE - metres, WEST + SIDE + metres, NORTH + metres))


def configured(rule: dict[str, object] | None, **changes: object) -> CompositeConfig:
    plain: dict[str, object] = {"method": "latest", "edge_m": 0, "dilate_m": 0}
    return parse(CompositeConfig, plain | ({} if rule is None else {"persistence": rule}) | changes)


def dated(folder: Path, number: int, scl: NDArray[np.uint8], **changes: object) -> Scene:
    """A scene of one date, whose reflectance tells which."""
    numbers = {"blue": np.full((len(scl) * 2,) * 2, 1000 * number, np.uint16)}
    day = datetime(2023, 8, number, 10, 7, tzinfo=UTC)
    where: dict[str, object] = {"west": WEST, "north": NORTH, "sensed": day} | changes
    return scene(folder, f"d{number}", numbers, scl, datatake=f"GS2A_202308{number:02d}T100031_042590", **where)  # type: ignore[arg-type]


def disc(row: float, col: float, radius: float) -> NDArray[np.bool_]:
    rows, cols = np.mgrid[:PIXELS, :PIXELS]
    return np.asarray(np.hypot(rows - row, cols - col) <= radius)


SCARS = disc(30, 30, 2) | disc(60, 80, 3) | disc(100, 20, 1)
FIELD = disc(90, 90, 18)
"""Bright ground in spots, and so much of it that nothing around it is clear."""


@dataclass(frozen=True, kw_only=True)
class Dates:
    """Five dates of a made tile: two of them under large clouds, each with small ones that move on."""

    scl: tuple[NDArray[np.uint8], ...]
    scenes: tuple[Scene, ...]


@pytest.fixture(scope="module")
def dates(tmp_path_factory: pytest.TempPathFactory) -> Dates:
    folder, generator = tmp_path_factory.mktemp("dates"), np.random.default_rng(8)
    found = []
    for number in range(1, 6):
        scl = generator.choice([4, 5, 6], (PIXELS, PIXELS)).astype(np.uint8)
        scl[SCARS] = generator.choice(CLOUDY, int(SCARS.sum()))
        scl[FIELD] = 9
        for _ in range(6):
            row, col = generator.integers(0, PIXELS, 2)
            scl[disc(row, col, 4)] = 8
            scl[disc(row + 6, col + 6, 3)] = 3
        if number in {2, 4}:
            scl[disc(40, 40, 45)] = 9
        if number == 5:
            scl[disc(60, 80, 1)] = 5  # the middle of one scar is seen once
        scl[:, 110:] = 0 if number == 3 else scl[:, 110:]
        found.append(scl)
    return Dates(scl=tuple(found), scenes=tuple(dated(folder, n + 1, scl) for n, scl in enumerate(found)))


def share_clear(clear: NDArray[np.bool_], half: int) -> NDArray[np.float64]:
    """Of the square around every pixel; nothing is clear beyond the edge."""
    window = (2 * half + 1,) * 2
    return sliding_window_view(np.pad(clear, half).astype(np.float64), window).mean(axis=(2, 3))


def persistent_by_hand(
    scl: tuple[NDArray[np.uint8], ...], half: int, share: float, dates: int, classes: tuple[int, ...] = CLOUDY
) -> NDArray[np.bool_]:
    votes, against = np.zeros(scl[0].shape, int), np.zeros(scl[0].shape, bool)
    for one in scl:
        clear, cloudy = np.isin(one, (4, 5, 6)), np.isin(one, classes)
        surroundings = share_clear(clear, half) >= share - 1e-12
        votes += surroundings & cloudy
        against |= clear | (surroundings & ~cloudy)
    return (votes >= dates) & ~against


@pytest.mark.parametrize(
    ("rule", "half", "classes"),
    [
        ({"around_m": 200}, 10, CLOUDY),
        ({"around_m": 200, "dates": 4}, 10, CLOUDY),
        ({"around_m": 119, "clear_share": 0.5}, 5, CLOUDY),
        ({"around_m": 1000, "clear_share": 0.4, "dates": 2}, 50, CLOUDY),
        ({"around_m": 200, "classes": [8, 9], "dates": 2}, 10, (8, 9)),
    ],
)
def test_what_is_cloudy_on_every_date_with_clear_surroundings_has_a_reason_of_its_own(
    dates: Dates, rule: dict[str, object], half: int, classes: tuple[int, ...]
):
    of = lattice(20)
    image = observe(dates.scenes, of, around(of), BANDS, configured(rule))
    share, least = float(str(rule.get("clear_share", 0.75))), int(str(rule.get("dates", 3)))
    expected = persistent_by_hand(dates.scl, half, share, least, classes)
    assert np.array_equal(image.reason == Reason.PERSISTENT, expected)
    without = observe(dates.scenes, of, around(of), BANDS, configured(None))
    assert np.array_equal(np.where(expected, 0, image.reason), np.where(expected, 0, without.reason))
    assert (without.reason[expected] != Reason.OBSERVED).all()
    for name in ("values", "clear_count", "observed_on"):
        assert getattr(image, name).tobytes() == getattr(without, name).tobytes()


def test_scars_are_told_but_not_their_middle_that_was_seen_nor_what_has_no_clear_surroundings(dates: Dates):
    of = lattice(20)
    found = observe(dates.scenes, of, around(of), BANDS, configured({"around_m": 200})).reason == Reason.PERSISTENT
    assert found[30, 30]
    assert found[100, 20]
    assert found[60, 77]
    assert not found[60, 80]
    assert not found[90, 90]
    assert found.sum() < 1.5 * SCARS.sum()


def test_if_asked_it_is_observed_on_the_dates_with_clear_surroundings_and_nothing_grows_from_it(dates: Dates):
    of, half, metres = lattice(20), 10, 60
    rule: dict[str, object] = {"around_m": 200}
    held = persistent_by_hand(dates.scl, half, 0.75, 3)
    newest = np.full((PIXELS, PIXELS), np.nan, np.float32)
    count = np.zeros((PIXELS, PIXELS), np.uint8)
    for number, scl in enumerate(dates.scl, start=1):
        clear = np.isin(scl, (4, 5, 6))
        lifted = held & np.isin(scl, CLOUDY) & (share_clear(clear, half) >= 0.75)
        grown = np.isin(scl, (3, 8, 9)) & ~lifted
        seen = (clear | lifted) & ~(distance_transform_edt(~grown) <= metres / 20)
        newest[seen], count = number / 10, count + seen
    image = observe(dates.scenes, of, around(of), BANDS, configured(rule | {"observe": True}, dilate_m=metres))
    assert np.array_equal(image.values[0], newest, equal_nan=True)
    assert np.array_equal(image.clear_count, count)
    told = observe(dates.scenes, of, around(of), BANDS, configured(rule, dilate_m=metres))
    assert np.array_equal(told.reason == Reason.PERSISTENT, held)
    gained = (image.reason == Reason.OBSERVED) & (told.reason != Reason.OBSERVED)
    assert held[gained].sum() > 10  # itself
    assert (gained & ~held).sum() > 10  # and what lay within its growth
    assert not ((told.reason == Reason.OBSERVED) & (image.reason != Reason.OBSERVED)).any()


@pytest.mark.parametrize("resolution", [10, 60, 100])
@pytest.mark.parametrize("observing", [False, True])
def test_it_is_decided_at_the_pixels_of_the_mask_however_coarse_the_lattice(
    dates: Dates,
    resolution: int,
    observing: bool,  # noqa: FBT001
):
    of, side = lattice(resolution), min(resolution, 20)
    image = observe(dates.scenes, of, around(of), BANDS, configured({"around_m": 200, "observe": observing}))
    scl = tuple(one.repeat(20 // side, axis=0).repeat(20 // side, axis=1) for one in dates.scl)
    held, factor = persistent_by_hand(scl, 200 // side, 0.75, 3), resolution // side
    shape = (SIDE // resolution, factor, SIDE // resolution, factor)
    observed, told = np.zeros((SIDE // resolution,) * 2, bool), np.zeros((SIDE // resolution,) * 2, bool)
    for one in scl:
        clear = np.isin(one, (4, 5, 6))
        lifted = held & np.isin(one, CLOUDY) & (share_clear(clear, 200 // side) >= 0.75)
        seen = clear | (lifted & observing)
        why = np.array([7, 6, 3, 2, 0, 0, 0, 5, 1, 1, 1, 4])[one]
        why = np.where(seen, 0, np.where(lifted, 11, why))
        cells = why.reshape(shape).transpose(0, 2, 1, 3).reshape(*observed.shape, -1)
        counts = np.stack([(cells == code).sum(axis=2) for code in range(12)], axis=2)
        enough = counts[..., 0] >= math.ceil(0.8 * factor * factor - 1e-9)
        observed |= enough
        told |= ~enough & (1 + counts[..., 1:].argmax(axis=2) == 11)
    assert np.array_equal(image.reason == Reason.OBSERVED, observed)
    assert np.array_equal(image.reason == Reason.PERSISTENT, told & ~observed)
    assert told.any() is not observing or resolution > 20


WHOLE: dict[tuple[int, bool], Image] = {}


@settings(max_examples=25, deadline=None)
@given(data=st.data(), resolution=st.sampled_from([10, 60]), observing=st.booleans())
def test_any_part_of_the_ground_gives_the_same_bytes(
    dates: Dates,
    data: st.DataObject,
    resolution: int,
    observing: bool,  # noqa: FBT001
):
    of, config = lattice(resolution), configured({"around_m": 200, "observe": observing}, dilate_m=45, method="median")
    box = around(of, 240)
    whole = WHOLE.setdefault((resolution, observing), observe(dates.scenes, of, box, BANDS, config))
    part = drawn_part(data, box)
    found, cut = observe(dates.scenes, of, part, BANDS, config), part.within(box)
    for name in ("reason", "clear_count", "observed_on"):
        assert getattr(found, name).tobytes() == getattr(whole, name)[cut].tobytes()
    assert found.values.tobytes() == np.ascontiguousarray(whole.values[:, *cut]).tobytes()


@pytest.mark.parametrize("resolution", [10, 60])
def test_strips_of_any_height_give_the_same_bytes(dates: Dates, resolution: int, monkeypatch: pytest.MonkeyPatch):
    of, config = lattice(resolution), configured({"around_m": 200}, dilate_m=45)
    whole = observe(dates.scenes, of, around(of), BANDS, config)
    monkeypatch.setattr(mask, "STRIP_BYTES", 1)
    monkeypatch.setattr(persistence, "STRIP_BYTES", 1)
    monkeypatch.setattr(persistence, "LEAST_ROWS", 17)
    assert observe(dates.scenes, of, around(of), BANDS, config).reason.tobytes() == whole.reason.tobytes()


def test_what_a_rule_of_the_mask_calls_cloud_is_persistent_too_and_lifted_with_its_growth(tmp_path: Path):
    scl, cloud = np.full((PIXELS, PIXELS), 4, np.uint8), np.zeros((PIXELS, PIXELS), np.uint8)
    cloud[disc(50, 50, 2)] = 90
    scenes = [dated(tmp_path, number, scl, masks={"cloud": cloud}) for number in (1, 2, 3)]
    of, rule = lattice(20), {"asset": "cloud", "threshold": 50, "grow_m": 60}
    told, seen = (
        observe(scenes, of, around(of), BANDS, configured({"observe": observing, "around_m": 200}, mask=[rule])).reason
        for observing in (False, True)
    )
    assert np.array_equal(told == Reason.PERSISTENT, disc(50, 50, 2))
    assert (told == Reason.CLOUD).sum() > disc(50, 50, 2).sum()  # its growth
    inner = np.s_[10:-10, 10:-10]
    assert (seen[inner] == Reason.OBSERVED).all()


def test_a_real_cloud_beside_it_still_hides_it_and_its_own_date_is_not_used(tmp_path: Path):
    scar = disc(60, 60, 2)
    scl = [np.full((PIXELS, PIXELS), 4, np.uint8) for _ in range(4)]
    for one in scl:
        one[scar] = 9
    scl[3][disc(60, 60, 30)] = 9  # the newest date is cloudy all around
    scenes = [dated(tmp_path, number, one) for number, one in enumerate(scl, start=1)]
    of = lattice(20)
    image = observe(scenes, of, around(of), BANDS, configured({"observe": True, "around_m": 200}, dilate_m=100))
    assert (image.values[0][scar] == np.float32(0.3)).all()
    assert (image.clear_count[scar] == 3).all()


@pytest.mark.parametrize("dates_needed", [3, 4])
def test_too_few_dates_tell_nothing(tmp_path: Path, dates_needed: int):
    scl = np.full((PIXELS, PIXELS), 4, np.uint8)
    scl[disc(60, 60, 2)] = 9
    scenes = [dated(tmp_path, number, scl) for number in (1, 2, 3)]
    rule: dict[str, object] = {"dates": dates_needed, "around_m": 200}
    found = observe(scenes, lattice(20), around(lattice(20)), BANDS, configured(rule)).reason
    assert (found == Reason.PERSISTENT).sum() == (disc(60, 60, 2).sum() if dates_needed == 3 else 0)


def test_two_tiles_of_a_datatake_are_one_date_and_surroundings_go_on_into_the_other(tmp_path: Path):
    scl = np.full((PIXELS, PIXELS), 4, np.uint8)
    scl[disc(60, 118, 1)] = 9
    scenes = []
    for number in (1, 2, 3):
        left = dated(tmp_path, number, scl)
        right = dated(tmp_path / str(number), number, np.full_like(scl, 4), west=WEST + SIDE, tile="33TXM")
        scenes += [left, replace(right, id=f"right-{number}")]
    of = lattice(20)
    box = of.box_covering((WEST, NORTH - SIDE, WEST + 2 * SIDE, NORTH))
    found = observe(scenes, of, box, BANDS, configured({"around_m": 200, "clear_share": 0.95})).reason
    assert (found == Reason.PERSISTENT).sum() == disc(60, 118, 1).sum()
    alone = observe(
        scenes[::2], of, box, BANDS, configured({"around_m": 200, "clear_share": 0.95})
    )  # fmt: skip
    assert not (alone.reason == Reason.PERSISTENT).any()


@pytest.mark.slow
@pytest.mark.parametrize("ahead", [0, reading_ahead.TAKES_AHEAD])
def test_the_test_takes_no_more_memory_than_is_planned_for_it_however_many_dates_there_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ahead: int
):
    monkeypatch.setattr(reading_ahead, "TAKES_AHEAD", ahead)
    monkeypatch.setattr(datatake, "BANDS_AHEAD", ahead and datatake.BANDS_AHEAD)
    monkeypatch.setattr(mask, "DILATED_ROWS", 16)
    generator, pixels = np.random.default_rng(0), 400
    many = [
        dated(tmp_path, number, generator.choice([4, 9], (pixels, pixels), p=[0.95, 0.05]).astype(np.uint8))
        for number in range(1, 11)
    ]
    of, config = lattice(10), configured({"around_m": 200}, dilate_m=20)
    box = of.box_covering((WEST, NORTH - 20 * pixels, WEST + 20 * pixels, NORTH))
    side = 2 * pixels + 2 * mask.reaching_pixels(config, of)
    peaks = [peak_of(many[:count], of, box, config) for count in (3, 10)]
    of_mask = mask.mask_bytes(config)
    of_take = reading_ahead._take_bytes(
        replace(box, row_stop=box.row_start + side, col_stop=box.col_start + side), len(BANDS), 10, of_mask
    )
    assert peaks[1] < 1.05 * side * side * (8 * len(BANDS) + BYTES_PER_PIXEL + of_mask) + ahead * of_take
    if not ahead:  # how many are read ahead at once is as it happens
        assert peaks[1] < 1.1 * peaks[0]


def peak_of(scenes: list[Scene], of: Lattice, box: PixelBox, config: CompositeConfig) -> int:
    observe(scenes, of, box, BANDS, config)  # what is kept for good is not counted
    tracemalloc.start()
    observe(scenes, of, box, BANDS, config)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


# Real masks


@pytest.mark.parametrize("classes", [None, [8, 9, 10], [3, 7, 8, 9, 10]])
def test_of_real_33twm_the_share_is_what_numpy_counts(shared_data: Path, tmp_path: Path, classes: list[int] | None):
    scl, scenes = [], []
    for path in sorted(shared_data.glob("sentinel2/earthsearch-33T-2023-08/*33TWM*/SCL.tif")):
        with rasterio.open(path) as file:
            scl.append(np.where(file.read(1) > 11, 7, file.read(1)).astype(np.uint8))
        bands = {"blue": np.full(scl[-1].shape, 2000, np.uint16)}
        number = int(path.parent.name.split("_")[2][6:])
        day = datetime(2023, 8, number, 10, 7, tzinfo=UTC)
        take = f"GS2A_202308{number:02d}T100031_042590"
        where = {"west": WEST, "north": NORTH, "resolution": 120}
        scenes.append(scene(tmp_path, f"d{number}", bands, scl[-1], **where, sensed=day, datatake=take))
    assert len(scenes) == 5
    of = lattice(120)
    box = of.box_covering((WEST, NORTH - 915 * 120, WEST + 915 * 120, NORTH))
    rule: dict[str, object] = {} if classes is None else {"classes": classes}
    found = observe(scenes, of, box, BANDS, configured(rule, dilate_m=100)).reason == Reason.PERSISTENT
    expected = persistent_by_hand(tuple(scl), 4, 0.75, 3, tuple(classes or CLOUDY))
    assert np.array_equal(found, expected)
    assert 0 < expected.mean() < 0.001
