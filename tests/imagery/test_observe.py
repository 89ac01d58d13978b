from __future__ import annotations

import math
import resource
import signal
import tempfile
import tracemalloc
from collections.abc import Callable
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
from numpy.typing import NDArray
from pyproj import Transformer

from landslide_scale.bands import NEVER, Reason
from landslide_scale.errors import BrokenRunError, PermanentReadError
from landslide_scale.grid import Lattice, PixelBox, Zone
from landslide_scale.imagery import composite, datatake
from landslide_scale.imagery import observe as observing
from landslide_scale.imagery.composite import Image
from landslide_scale.imagery.mask import dilation_pixels
from landslide_scale.imagery.observe import BYTES_PER_PIXEL, observe
from landslide_scale.imagery.settings import CompositeConfig
from landslide_scale.scene import Scene

SIDE = 60
WEST, NORTH = 732_000, 5_100_000  # by the border of zones 33 and 34
LATTICE = Lattice(zone=Zone.utm(33, southern=False), resolution=10, block=32)
WORLD = PixelBox(row_start=-NORTH // 10, row_stop=-NORTH // 10 + SIDE, col_start=WEST // 10, col_stop=WEST // 10 + SIDE)
BANDS = ("blue", "nir")
PLAIN = CompositeConfig(dilate_m=0, edge_m=0)
DAY = 19_571  # 2023-08-02


def day(number: int) -> datetime:
    return datetime(2023, 8, number, 10, 7, tzinfo=UTC)


def take(number: int) -> str:
    return f"GS2A_202308{number:02d}T100031_042590"


@dataclass(frozen=True, kw_only=True)
class Tile:
    """A made tile: pixels (2, H, W) and classes (H, W) with its upper left corner at a row and column of the world."""

    numbers: NDArray[np.uint16]
    classes: NDArray[np.uint8]
    row: int
    col: int
    day: int
    name: str
    offset: int = 0
    cloud: float = 0.0

    def write(self, folder: Path) -> Scene:
        return scene(
            folder,
            f"{self.name}-{self.day}",
            dict(zip(BANDS, self.numbers, strict=True)),
            self.classes[::2, ::2],
            west=WEST + 10 * self.col,
            north=NORTH - 10 * self.row,
            sensed=day(self.day),
            datatake=take(self.day),
            offset=self.offset,
            cloud_cover=self.cloud,
            tile=self.name,
        )


CODE_SHARES = {
    0: 0.1,
    2: 0.02,
    3: 0.01,
    4: 0.4,
    5: 0.2,
    6: 0.15,
    7: 0.03,
    8: 0.01,
    9: 0.02,
    10: 0.02,
    11: 0.02,
    13: 0.02,
}


def made(seed: int, box: tuple[int, int, int, int], at: int, name: str, *, offset: int, cloud: float) -> Tile:
    """Random pixels; classes of 20 m, every code among them, and some bands at 0."""
    row, col, rows, cols = box
    generator = np.random.default_rng(seed)
    numbers = generator.integers(1, 10_000, (2, rows, cols)).astype(np.uint16)
    numbers[0][generator.random((rows, cols)) < 0.1] = 0
    numbers[:, generator.random((rows, cols)) < 0.05] = 0
    codes = generator.choice(list(CODE_SHARES), (rows // 2, cols // 2), p=list(CODE_SHARES.values()))
    classes = codes.astype(np.uint8).repeat(2, axis=0).repeat(2, axis=1)
    return Tile(numbers=numbers, classes=classes, row=row, col=col, day=at, name=name, offset=offset, cloud=cloud)


TILES = [
    made(0, (0, 0, 40, 56), 2, "33TWL", offset=0, cloud=20.0),
    made(1, (30, 0, 30, 56), 2, "33TWM", offset=0, cloud=10.0),
    made(2, (0, 0, 60, 40), 5, "33TWL", offset=-1000, cloud=30.0),
    made(3, (10, 20, 50, 36), 5, "33TWM", offset=-1000, cloud=5.0),
    made(4, (0, 0, 60, 56), 8, "33TWM", offset=0, cloud=50.0),
    made(5, (0, 0, 60, 56), 12, "33TWM", offset=0, cloud=10.0),
    made(6, (4, 6, 50, 50), 14, "33TWM", offset=-1000, cloud=40.0),
]
"""Two pairs of overlapping tiles of one datatake each, and three single ones; the last four columns have none."""


@dataclass(frozen=True, kw_only=True)
class Seen:
    """One datatake, worked out slowly: reflectance (2, H, W), reasons, cloud cover and day."""

    values: NDArray[np.float32]
    reason: NDArray[np.uint8]
    cloud: NDArray[np.float64]
    day: int


CODES = {0: 7, 1: 6, 2: 3, 3: 2, 4: 0, 5: 0, 6: 0, 7: 5, 8: 1, 9: 1, 10: 1, 11: 4}


def slow_observation(tiles: list[Tile], config: CompositeConfig) -> Seen:
    """Every pixel on its own, from the first tile by name that has a class there."""
    classes = np.zeros((SIDE, SIDE), np.uint8)
    values = np.full((2, SIDE, SIDE), np.nan, np.float32)
    cloud, within = np.zeros((SIDE, SIDE)), np.zeros((SIDE, SIDE), bool)
    dilate_px, edge_px = config.dilate_m / 10, config.edge_m / 10
    for tile in sorted(tiles, key=lambda tile: tile.name, reverse=True):
        for row, col in np.ndindex(*tile.classes.shape):
            within[tile.row + row, tile.col + col] = True
            if tile.classes[row, col]:
                at = tile.row + row, tile.col + col
                classes[at], cloud[at] = tile.classes[row, col], tile.cloud
                numbers = tile.numbers[:, row, col].astype(np.float32)
                held = numbers.all() if config.no_data == "stated" else numbers.any()
                values[:, at[0], at[1]] = (numbers + np.float32(tile.offset)) / np.float32(10_000) if held else np.nan
    reason = np.array([CODES.get(int(code), 5) for code in classes.ravel()], np.uint8).reshape(classes.shape)
    clear = reason == 0
    grown = (
        (within & (classes == 0), edge_px, 7),
        (classes == 3, dilate_px, 2),
        (np.isin(classes, (8, 9)), dilate_px, 1),
    )
    for seeds, reach, why in grown:
        for row, col in np.argwhere(clear):
            if reach and ((np.argwhere(seeds) - (row, col)) ** 2).sum(axis=1).min(initial=10**9) <= reach**2:
                reason[row, col] = why
    reason[(reason == 0) & np.isnan(values[0])] = 7
    values[:, reason > 0] = np.nan
    return Seen(values=values, reason=reason, cloud=cloud, day=DAY + tiles[0].day - 2)


def nearest_to_all(clear: list[Seen], row: int, col: int) -> Seen:
    """The first of those whose summed distance to the others over all bands is least."""
    spectra = [one.values[:, row, col].tolist() for one in clear]
    sums = [sum(math.dist(one, other) for other in spectra) for one in spectra]
    return clear[next(number for number, total in enumerate(sums) if total <= min(sums) * (1 + 1e-12))]


def slow_image(config: CompositeConfig) -> Image:
    days = sorted({tile.day for tile in TILES}, reverse=True)
    seen = [slow_observation([tile for tile in TILES if tile.day == number], config) for number in days]
    values = np.full((2, SIDE, SIDE), np.nan, np.float32)
    count = np.zeros((SIDE, SIDE), np.uint8)
    newest = np.full((SIDE, SIDE), NEVER, np.uint16)
    reason = np.zeros((SIDE, SIDE), np.uint8)
    for row, col in np.ndindex(SIDE, SIDE):
        clear = [one for one in seen if one.reason[row, col] == 0][: config.max_clear]
        count[row, col] = len(clear)
        reason[row, col] = 0 if clear else min(one.reason[row, col] for one in seen)
        if 0 < len(clear) < config.min_clear:
            reason[row, col] = 9
        elif clear:
            chosen = clear[0]
            if config.method == "least_cloudy":
                chosen = min(clear, key=lambda one: one.cloud[row, col])  # of equals the newest
            if config.method == "medoid" and len(clear) >= 3:
                chosen = nearest_to_all(clear, row, col)
            newest[row, col] = chosen.day
            values[:, row, col] = chosen.values[:, row, col]
            if config.method == "median" and len(clear) >= 3:
                values[:, row, col] = np.median([one.values[:, row, col] for one in clear], axis=0)
    return Image(values=values, clear_count=count, observed_on=newest, reason=reason, resampled=())


@pytest.fixture(scope="module")
def scenes_of_world(tmp_path_factory: pytest.TempPathFactory) -> list[Scene]:
    folder = tmp_path_factory.mktemp("world")
    return [tile.write(folder) for tile in TILES]


def assert_same(found: Image, expected: Image) -> None:
    assert np.array_equal(found.reason, expected.reason)
    assert np.array_equal(found.clear_count, expected.clear_count)
    assert np.array_equal(found.observed_on, expected.observed_on)
    assert np.array_equal(found.values, expected.values, equal_nan=True)
    assert (found.values.dtype, found.reason.dtype) == (np.float32, np.uint8)
    assert (found.clear_count.dtype, found.observed_on.dtype) == (np.uint8, np.uint16)


@pytest.mark.parametrize("method", ["median", "medoid", "latest", "least_cloudy"])
@pytest.mark.parametrize(
    ("dilate_m", "edge_m", "no_data"),
    [(0.0, 0.0, "zeros"), (10.0, 0.0, "stated"), (28.3, 0.0, "zeros"), (0, 15, "stated")],
)
def test_a_composite_is_exactly_what_pixel_by_pixel_arithmetic_gives(
    scenes_of_world: list[Scene], method: str, dilate_m: float, edge_m: float, no_data: str
):
    config = CompositeConfig(method=method, dilate_m=dilate_m, edge_m=edge_m, no_data=no_data)  # type: ignore[arg-type]
    expected = slow_image(config)
    assert_same(observe(scenes_of_world, LATTICE, WORLD, BANDS, config), expected)
    assert {0, 1, 7} <= set(np.unique(expected.reason).tolist())
    assert (expected.clear_count >= 3).any()


@pytest.mark.parametrize("method", ["median", "medoid", "latest", "least_cloudy"])
@pytest.mark.parametrize(("least", "most"), [(2, None), (1, 3), (3, 4), (4, None)])
def test_so_does_one_with_a_least_and_a_greatest_number_of_clear_observations(
    scenes_of_world: list[Scene], method: str, least: int, most: int | None
):
    config = CompositeConfig(method=method, dilate_m=10, edge_m=0, min_clear=least, max_clear=most)  # type: ignore[arg-type]
    expected = slow_image(config)
    assert_same(observe(scenes_of_world, LATTICE, WORLD, BANDS, config), expected)
    assert (expected.reason == Reason.TOO_FEW_CLEAR).any() == (least > 1)
    assert (expected.reason == Reason.OBSERVED).any()
    assert most is None or expected.clear_count.max() == most


def test_where_no_more_observations_are_wanted_older_scenes_are_not_opened(tmp_path: Path):
    new = one_scene(tmp_path, "new", datatake=take(9), sensed=day(9))
    old = one_scene(tmp_path, "old")
    for band in (*BANDS, "scl"):
        Path(old.href(band)).unlink()
    with pytest.raises(PermanentReadError):
        observe([old, new], LATTICE, CORNER, BANDS, PLAIN)
    image = observe([old, new], LATTICE, CORNER, BANDS, CompositeConfig(method="latest", max_clear=1))
    assert (image.observed_on == DAY + 7).all()


@pytest.mark.parametrize("method", ["median", "medoid"])
def test_observations_that_wait_in_a_file_and_are_sorted_in_strips_give_the_same_bytes(
    scenes_of_world: list[Scene], monkeypatch: pytest.MonkeyPatch, method: str
):
    config = CompositeConfig(method=method, dilate_m=0, edge_m=0)  # type: ignore[arg-type]
    expected = observe(scenes_of_world, LATTICE, WORLD, BANDS, config)
    monkeypatch.setattr(composite, "HELD_BYTES", 10_000)
    monkeypatch.setattr(composite, "STRIP_BYTES", 7 * 4 * 7 * SIDE)  # seven rows of seven observations
    for size in (100_000, 1):  # some pixels at a time, and one
        monkeypatch.setattr(composite, "SORTING_BYTES", size)
        assert_same(observe(scenes_of_world, LATTICE, WORLD, BANDS, config), expected)


def test_a_temporary_folder_without_room_is_named(
    scenes_of_world: list[Scene], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(composite, "HELD_BYTES", 10_000)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handled = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # the write fails instead, as on a full disk
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, before[1]))
    try:
        with pytest.raises(BrokenRunError, match=str(tmp_path)):
            observe(scenes_of_world, LATTICE, WORLD, BANDS, PLAIN)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handled)
    assert not list(tmp_path.iterdir())


def test_the_order_scenes_come_in_does_not_matter(scenes_of_world: list[Scene]):
    forth = observe(scenes_of_world, LATTICE, WORLD, BANDS, PLAIN)
    assert_same(observe(scenes_of_world[::-1], LATTICE, WORLD, BANDS, PLAIN), forth)


@pytest.fixture(scope="module")
def two_zones(tmp_path_factory: pytest.TempPathFactory, scenes_of_world: list[Scene]) -> list[Scene]:
    """Own-zone tiles, some of them half empty, older processings, and a tile of zone 34 of two of their datatakes."""
    folder = tmp_path_factory.mktemp("foreign")
    west, north = foreign_corner()
    generator = np.random.default_rng(99)
    foreign = [
        scene(
            folder,
            f"foreign-{number}",
            {band: generator.integers(1, 9000, (100, 100)).astype(np.uint16) for band in BANDS},
            generator.choice([0, 4, 4, 5, 5, 9], (50, 50), p=[0.1, 0.3, 0.2, 0.2, 0.18, 0.02]).astype(np.uint8),
            west=west,
            north=north,
            epsg=32634,
            sensed=day(number),
            datatake=take(number),
            tile="34TCR",
        )
        for number in (2, 14, 20)
    ]
    older = [
        replace(
            made(20 + tile.day, (0, 0, 60, 56), tile.day, tile.name, offset=0, cloud=15.0).write(folder),
            id=f"older-{n}",
        )
        for n, tile in enumerate(TILES[2:5])
    ]
    older = [replace(one, baseline=(1, 0)) for one in older]
    return [*scenes_of_world, *foreign, *older]


def foreign_corner() -> tuple[float, float]:
    """Upper left corner in zone 34 of 1 km around the made ground, on that zone's 20 m."""
    x, y = Transformer.from_crs(32633, 32634, always_xy=True).transform(WEST + 300, NORTH - 300)
    return round((x - 500) / 20) * 20, round((y + 500) / 20) * 20


@settings(max_examples=25)
@given(data=st.data(), dilate_m=st.sampled_from([0.0, 35.0]), method=st.sampled_from(["median", "medoid"]))
def test_any_part_of_the_ground_gives_the_same_bytes(
    two_zones: list[Scene], data: st.DataObject, dilate_m: float, method: str
):
    config = CompositeConfig(method=method, dilate_m=dilate_m, edge_m=dilate_m / 2)  # type: ignore[arg-type]
    if (method, dilate_m) not in WHOLE:
        WHOLE[method, dilate_m] = observe(two_zones, LATTICE, WORLD, BANDS, config)
    whole = WHOLE[method, dilate_m]
    part = drawn_part(data, WORLD)
    found, cut = observe(two_zones, LATTICE, part, BANDS, config), part.within(WORLD)
    for name in ("reason", "clear_count", "observed_on"):
        assert getattr(found, name).tobytes() == getattr(whole, name)[cut].tobytes()
    assert found.values.tobytes() == whole.values[:, *cut].tobytes()
    assert set(found.resampled) <= set(whole.resampled)
    assert set(found.filled) <= set(whole.filled)
    assert whole.filled


WHOLE: dict[tuple[str, float], Image] = {}


def one_scene(folder: Path, name: str = "s", **changes: object) -> Scene:
    """20 x 20 pixels of 0.5 at the corner of the world, all clear, but for what is changed."""
    known: dict[str, object] = {
        "bands": {band: np.full((20, 20), 5000, np.uint16) for band in BANDS},
        "scl": np.full((20, 20), 4, np.uint8),
        "west": WEST,
        "north": NORTH,
        "datatake": take(2),
        "sensed": day(2),
    }
    return scene(folder, name, **(known | changes))  # type: ignore[arg-type]


CORNER = PixelBox(
    row_start=WORLD.row_start, row_stop=WORLD.row_start + 20, col_start=WORLD.col_start, col_stop=WORLD.col_start + 20
)


def test_tiles_of_one_datatake_that_overlap_are_one_observation(tmp_path: Path):
    pair = [one_scene(tmp_path, name, tile=name) for name in ("33TWL", "33TWM")]
    image = observe(pair, LATTICE, CORNER, BANDS, PLAIN)
    assert (image.clear_count == 1).all()


def test_datastrips_of_one_datatake_complete_each_other(tmp_path: Path):
    left, right = np.full((20, 20), 4, np.uint8), np.full((20, 20), 4, np.uint8)
    left[:, 10:], right[:, :10] = 0, 0
    strips = [one_scene(tmp_path, name, scl=scl) for name, scl in (("a", left), ("b", right))]
    image = observe(strips, LATTICE, CORNER, BANDS, PLAIN)
    assert (image.clear_count == 1).all()
    assert np.isfinite(image.values).all()


HALVES = {name: np.full((20, 20), 4, np.uint8) for name in ("whole", "left", "right")}
HALVES["left"][:, 10:], HALVES["right"][:, :10] = 0, 0


@pytest.mark.parametrize("datastrip", ["", "20230802T100031"])
def test_halves_of_a_tile_are_both_used_where_no_name_tells_them_apart(tmp_path: Path, datastrip: str):
    dark = {band: np.full((20, 20), 1000, np.uint16) for band in BANDS}
    left = one_scene(tmp_path, "left", scl=HALVES["left"], datatake="GS2B_20230802T100031_042590")
    right = one_scene(tmp_path, "right", bands=dark, scl=HALVES["right"], datatake=left.datatake)
    pair = [replace(one, datastrip=datastrip) for one in (left, right)]
    for order in (pair, pair[::-1]):
        image = observe(order, LATTICE, CORNER, BANDS, PLAIN)
        assert (image.values[:, :, :10] == np.float32(0.5)).all()
        assert (image.values[:, :, 10:] == np.float32(0.1)).all()
        assert (image.clear_count == 1).all()


def processings(folder: Path, newest: NDArray[np.uint8], *, strip: str) -> list[Scene]:
    """Two of one tile: 0.5 of classes `newest`, and an older one of 0.1, whole, its datastrip perhaps renamed."""
    dark = {band: np.full((20, 20), 1000, np.uint16) for band in BANDS}
    new = one_scene(folder, "new", scl=newest)
    old = one_scene(folder, "old", bands=dark, scl=HALVES["whole"])
    return [replace(new, baseline=(3, 0)), replace(old, datastrip=strip or old.datastrip)]


@pytest.mark.parametrize("strip", ["", "20230101T000000", "20240101T000000"])
def test_an_older_processing_fills_what_the_newest_has_no_data_for_and_is_named(tmp_path: Path, strip: str):
    image = observe(processings(tmp_path, HALVES["left"], strip=strip), LATTICE, CORNER, BANDS, PLAIN)
    assert (image.values[:, :, :10] == np.float32(0.5)).all()
    assert (image.values[:, :, 10:] == np.float32(0.1)).all()
    assert (image.clear_count == 1).all()
    assert image.filled == (() if strip else ("old",))


def test_a_cloud_in_the_newest_processing_is_not_filled_by_an_older_one(tmp_path: Path):
    cloudy = np.full((20, 20), 9, np.uint8)
    image = observe(processings(tmp_path, cloudy, strip=""), LATTICE, CORNER, BANDS, PLAIN)
    assert (image.reason == Reason.CLOUD).all()


def test_an_older_processing_is_not_opened_where_the_newest_lacks_nothing(tmp_path: Path):
    new, old = processings(tmp_path, HALVES["left"], strip="")
    for _, path in old.assets:
        Path(path).unlink()
    left = replace(CORNER, col_stop=CORNER.col_start + 10)
    assert (observe([new, old], LATTICE, left, BANDS, PLAIN).values == np.float32(0.5)).all()
    with pytest.raises(PermanentReadError):
        observe([new, old], LATTICE, CORNER, BANDS, PLAIN)


def test_the_own_zones_older_processing_comes_before_a_neighbours_newest(tmp_path: Path):
    west, north = foreign_corner()
    bands = {band: np.full((100, 100), 7000, np.uint16) for band in BANDS}
    classes = np.full((50, 50), 5, np.uint8)
    foreign = one_scene(tmp_path, "foreign", bands=bands, scl=classes, west=west, north=north, epsg=32634, tile="34TCR")
    image = observe([foreign, *processings(tmp_path, HALVES["left"], strip="")], LATTICE, CORNER, BANDS, PLAIN)
    assert (image.values[:, :, 10:] == np.float32(0.1)).all()
    assert (image.resampled, image.filled) == ((), ("old",))


def test_two_satellites_of_one_day_are_two_observations(tmp_path: Path):
    pair = [one_scene(tmp_path, "a"), one_scene(tmp_path, "b", datatake="GS2B_20230802T101031_033610")]
    assert (observe(pair, LATTICE, CORNER, BANDS, PLAIN).clear_count == 2).all()


def test_two_observations_are_not_averaged_the_latest_is_taken(tmp_path: Path):
    late = {band: np.full((20, 20), 1000, np.uint16) for band in BANDS}
    pair = [one_scene(tmp_path, "a"), one_scene(tmp_path, "b", bands=late, datatake=take(9), sensed=day(9))]
    image = observe(pair, LATTICE, CORNER, BANDS, PLAIN)
    assert (image.values == np.float32(0.1)).all()
    assert (image.observed_on == DAY + 7).all()


def test_clouds_are_grown_by_metres_on_any_lattice(tmp_path: Path):
    scl = np.full((20, 20), 4, np.uint8)
    scl[10, 10] = 9
    cloudy = one_scene(tmp_path, scl=scl)
    rows, cols = np.mgrid[:20, :20]
    for metres in (0, 10, 14, 15, 50):
        image = observe([cloudy], LATTICE, CORNER, BANDS, CompositeConfig(dilate_m=metres))
        near = np.hypot(rows - 10, cols - 10) * 10 <= metres
        assert np.array_equal(image.reason == Reason.CLOUD, near)
    coarse = Lattice(zone=LATTICE.zone, resolution=20, block=32)
    assert dilation_pixels(CompositeConfig(dilate_m=100), coarse) == 5
    assert dilation_pixels(CompositeConfig(dilate_m=101), coarse) == 6
    assert dilation_pixels(CompositeConfig(dilate_m=0, edge_m=61), coarse) == 4


def test_a_cloud_outside_the_box_reaches_into_it(tmp_path: Path):
    scl = np.full((20, 20), 4, np.uint8)
    scl[:, :4] = 8
    inner = PixelBox(
        row_start=CORNER.row_start, row_stop=CORNER.row_stop, col_start=CORNER.col_start + 4, col_stop=CORNER.col_stop
    )
    image = observe([one_scene(tmp_path, scl=scl)], LATTICE, inner, BANDS, CompositeConfig(dilate_m=30))
    assert (image.reason[:, :3] == Reason.CLOUD).all()
    assert (image.reason[:, 3:] == Reason.OBSERVED).all()


@pytest.mark.parametrize(
    ("code", "reason"),
    [(0, Reason.NO_DATA), (2, Reason.TERRAIN_SHADOW), (3, Reason.CLOUD_SHADOW), (7, Reason.UNCLASSIFIED),
     (10, Reason.CLOUD), (11, Reason.SNOW), (12, Reason.UNCLASSIFIED), (255, Reason.UNCLASSIFIED)],
)  # fmt: skip
def test_what_is_not_clear_is_no_data_for_its_own_reason(tmp_path: Path, code: int, reason: Reason):
    image = observe([one_scene(tmp_path, scl=np.full((20, 20), code, np.uint8))], LATTICE, CORNER, BANDS, PLAIN)
    assert (image.reason == reason).all()
    assert np.isnan(image.values).all()
    assert not image.clear_count.any()
    assert (image.observed_on == NEVER).all()


def test_0_in_any_band_is_no_data_and_for_a_run_begun_before_only_0_in_all(tmp_path: Path):
    blue, nir = np.full((20, 20), 400, np.uint16), np.full((20, 20), 3000, np.uint16)
    blue[0], nir[0] = 0, 0
    blue[1] = 0
    dark = one_scene(tmp_path, bands={"blue": blue, "nir": nir})
    image = observe([dark], LATTICE, CORNER, BANDS, PLAIN)
    assert (image.reason[:2] == Reason.NO_DATA).all()
    assert np.isnan(image.values[:, :2]).all()
    assert (image.reason[2:] == Reason.OBSERVED).all()
    before = observe([dark], LATTICE, CORNER, BANDS, CompositeConfig(dilate_m=0, no_data="zeros"))
    assert (before.reason[0] == Reason.NO_DATA).all()
    assert (before.reason[1:] == Reason.OBSERVED).all()
    assert (before.values[0, 1] == 0).all()
    assert (before.values[1, 1] == np.float32(0.3)).all()


def claiming(path: str, **claims: object) -> None:
    """The file again, with other claims, or with `values` of another type."""
    with rasterio.open(path) as known:
        values, profile = known.read(1), {"crs": known.crs, "transform": known.transform}
    values = claims.pop("values", values)
    tags = {name: claims.pop(name) for name in ("scales", "offsets") if name in claims}
    mask = claims.pop("mask", None)
    profile |= {"driver": "GTiff", "count": 1, "dtype": values.dtype, "nodata": claims.pop("nodata", 0)}
    Path(path).unlink()
    profile |= {"height": values.shape[0], "width": values.shape[1]}
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True), rasterio.open(path, "w", **profile) as file:
        file.write(values, 1)
        for name, tag in tags.items():
            setattr(file, name, (tag,))
        if mask is not None:
            file.write_mask(mask)
    assert not claims


@pytest.mark.parametrize(
    ("kind", "declared", "number"),
    [
        (np.uint16, 65535, 65535),
        (np.uint16, 7, 7),
        (np.int16, -9999, -9999),
        (np.uint16, None, 0),
        (np.uint16, None, 32768),
        (np.uint16, None, 65535),
        (np.int16, None, -1),
    ],
)
@pytest.mark.parametrize("baseline", [(2, 14), (5, 9)])
def test_a_number_declared_as_no_data_or_that_no_product_holds_is_no_observation(
    tmp_path: Path, kind: type, declared: int | None, number: int, baseline: tuple[int, int]
):
    scene = replace(one_scene(tmp_path), baseline=baseline)  # (5, 9) without an offset: 0 may be dark ground
    values = np.full((20, 20), 5000, kind)
    values[3, :], values[4, :] = number, 32767
    claiming(scene.href("nir"), values=values, nodata=declared)
    image = observe([scene], LATTICE, CORNER, BANDS, PLAIN)
    expected = np.full((20, 20), Reason.OBSERVED)
    if number or not scene.zero_is_data:
        expected[3, :] = Reason.NO_DATA
    assert np.array_equal(image.reason, expected)
    assert np.array_equal(np.isnan(image.values[0]), expected == Reason.NO_DATA)
    assert (image.values[1, 4] == np.float32(3.2767)).all()
    assert set(np.unique(image.values[0][expected == Reason.OBSERVED]).tolist()) == {0.5}


def test_where_0_may_be_dark_ground_a_file_that_declares_0_is_not_believed(tmp_path: Path):
    scene = replace(one_scene(tmp_path), baseline=(5, 9))
    values = np.full((20, 20), 5000, np.uint16)
    values[3, :] = 0
    claiming(scene.href("blue"), values=values, nodata=0)
    image = observe([scene], LATTICE, CORNER, BANDS, PLAIN)
    assert (image.reason == Reason.OBSERVED).all()
    assert (image.values[0, 3] == 0).all()
    assert (image.values[1] == np.float32(0.5)).all()


def test_no_data_declared_in_classes_is_no_data_and_a_number_beyond_them_is_no_class(tmp_path: Path):
    scene = one_scene(tmp_path)
    classes = np.full((20, 20), 4, np.uint16)
    classes[0], classes[1] = 6, 256 + 4
    claiming(scene.href("scl"), values=classes, nodata=6)
    image = observe([scene], LATTICE, CORNER, BANDS, PLAIN)
    assert (image.reason[0] == Reason.NO_DATA).all()
    assert (image.reason[1] == Reason.UNCLASSIFIED).all()
    assert (image.reason[2:] == Reason.OBSERVED).all()


@pytest.mark.parametrize(
    ("band", "claims", "said"),
    [
        ("nir", {"scales": 0.001}, "scale 0.001 and offset 0"),
        ("nir", {"scales": 0.0001, "offsets": 0.0}, "scale 0.0001 and offset 0 "),
        ("nir", {"offsets": -1000.0}, "scale 1 and offset -1000"),
        ("nir", {"mask": np.eye(20, dtype=bool)}, "a mask beside the band"),
        ("scl", {"scales": 2.0}, "scale 2"),
        ("scl", {"mask": np.eye(20, dtype=bool)}, "a mask beside the band"),
        ("nir", {"values": np.full((20, 20), 0.5, np.float32)}, "float32"),
        ("nir", {"values": np.full((20, 20), 5000, np.int32)}, "int32"),
    ],
)
def test_a_claim_that_cannot_be_honoured_is_refused_by_scene_band_and_name(
    tmp_path: Path, band: str, claims: dict[str, object], said: str
):
    scene = one_scene(tmp_path, offset=-1000)
    claiming(scene.href(band), **claims)
    with pytest.raises(PermanentReadError, match=said) as caught:
        observe([scene], LATTICE, CORNER, BANDS, PLAIN)
    assert (caught.value.where["scene"], caught.value.where["band"]) == ("s", band)
    if "values" not in claims:
        image = observe([scene], LATTICE, CORNER, BANDS, CompositeConfig(dilate_m=0, no_data="zeros"))
        assert (image.values == np.float32(0.4)).all()  # a run begun before goes on


def test_scale_and_offset_that_say_what_the_scene_says_are_honoured(tmp_path: Path):
    scene = one_scene(tmp_path, offset=-1000)
    for band in BANDS:
        claiming(scene.href(band), scales=0.0001, offsets=-0.1)
    image = observe([scene], LATTICE, CORNER, BANDS, PLAIN)
    assert (image.values == np.float32(0.4)).all()


def test_where_the_provider_took_the_offset_off_a_clear_pixel_of_zeros_is_dark_ground(tmp_path: Path):
    dark = {band: np.zeros((20, 20), np.uint16) for band in BANDS}
    scene = replace(one_scene(tmp_path, bands=dark), baseline=(5, 9))
    image = observe([scene], LATTICE, CORNER, BANDS, PLAIN)
    assert (image.reason == Reason.OBSERVED).all()
    assert (image.values == 0).all()


@pytest.mark.parametrize(("offset", "reflectance"), [(0, 0.5), (-1000, 0.4)])
def test_the_offset_is_applied_once(tmp_path: Path, offset: int, reflectance: float):
    image = observe([one_scene(tmp_path, offset=offset)], LATTICE, CORNER, BANDS, PLAIN)
    assert (image.values == np.float32(reflectance)).all()


def test_a_half_empty_tile_and_ground_without_any_tile_are_no_data(tmp_path: Path):
    scl = np.full((20, 20), 4, np.uint8)
    scl[:, 10:] = 0
    wide = CORNER.pad(5)
    image = observe([one_scene(tmp_path, scl=scl)], LATTICE, wide, BANDS, PLAIN)
    seen = image.reason == Reason.OBSERVED
    assert seen[5:25, 5:15].all()
    assert seen.sum() == 200
    assert (image.reason[~seen] == Reason.NO_DATA).all()


def test_without_scenes_nothing_is_observed():
    for method in ("median", "medoid", "latest", "least_cloudy"):
        image = observe([], LATTICE, CORNER, BANDS, CompositeConfig(method=method))  # type: ignore[arg-type]
        assert (image.reason == Reason.NO_DATA).all()
        assert np.isnan(image.values).all()
        assert image.values.shape == (2, 20, 20)


def test_another_zones_tile_serves_only_where_the_own_zones_lack_the_pixel_and_is_listed(tmp_path: Path):
    west, north = foreign_corner()
    scl = np.full((20, 20), 4, np.uint8)
    scl[:, 10:] = 0
    own = one_scene(tmp_path, "own", scl=scl)
    bands = {band: np.full((100, 100), 7000, np.uint16) for band in BANDS}
    foreign = one_scene(
        tmp_path, "foreign", bands=bands, scl=np.full((50, 50), 5, np.uint8), west=west, north=north, epsg=32634
    )
    image = observe([foreign, own], LATTICE, CORNER, BANDS, PLAIN)
    assert (image.values[:, :, :10] == np.float32(0.5)).all()
    assert (image.values[:, :, 10:] == np.float32(0.7)).all()
    assert (image.clear_count == 1).all()
    assert image.resampled == ("foreign",)
    full = observe([foreign, one_scene(tmp_path, "full")], LATTICE, CORNER, BANDS, PLAIN)
    assert full.resampled == ()
    assert (full.values == np.float32(0.5)).all()


def test_a_file_that_cannot_be_read_is_named_with_scene_and_band(tmp_path: Path):
    good = one_scene(tmp_path)
    Path(good.href("nir")).write_bytes(b"torn")
    with pytest.raises(PermanentReadError) as caught:
        observe([good], LATTICE, CORNER, BANDS, PLAIN)
    assert caught.value.where["scene"] == "s"
    assert caught.value.where["band"] == "nir"
    assert caught.value.where["file"] == good.href("nir")


def test_bands_are_not_opened_where_nothing_is_clear(tmp_path: Path):
    cloudy = one_scene(tmp_path, scl=np.full((20, 20), 9, np.uint8))
    for band in BANDS:
        Path(cloudy.href(band)).unlink()
    assert (observe([cloudy], LATTICE, CORNER, BANDS, PLAIN).reason == Reason.CLOUD).all()


@pytest.mark.slow
@pytest.mark.parametrize("ahead", [0, observing.TAKES_AHEAD])
@pytest.mark.parametrize("method", ["median", "medoid"])
def test_memory_does_not_grow_with_the_number_of_scenes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str, ahead: int
):
    monkeypatch.setattr(observing, "TAKES_AHEAD", ahead)
    monkeypatch.setattr(datatake, "BANDS_AHEAD", ahead and datatake.BANDS_AHEAD)
    monkeypatch.setattr(composite, "HELD_BYTES", 10**5)
    monkeypatch.setattr(composite, "STRIP_BYTES", 10**5)
    monkeypatch.setattr(composite, "SORTING_BYTES", 3 * 10**5)
    monkeypatch.setattr("landslide_scale.imagery.mask.DILATED_ROWS", 32)
    side = 320
    box = replace(CORNER, row_stop=CORNER.row_start + side, col_stop=CORNER.col_start + side)
    generator = np.random.default_rng(0)
    many = [
        one_scene(
            tmp_path,
            f"s{number}",
            bands={band: generator.integers(1, 9999, (side, side)).astype(np.uint16) for band in BANDS},
            scl=generator.choice([4, 9], (side // 2, side // 2), p=[0.9, 0.1]).astype(np.uint8),
            datatake=take(number + 1),
            sensed=day(number + 1),
        )
        for number in range(20)
    ]
    config = CompositeConfig(method=method, dilate_m=20)  # type: ignore[arg-type]
    peaks = {
        count: peak_of(lambda count=count: observe(many[:count], LATTICE, box, BANDS, config)) for count in (4, 20)
    }
    of_take = 0 if not ahead else observing._take_bytes(box, len(BANDS), 10, 0)
    assert peaks[20] < 1.1 * side * side * (8 * len(BANDS) + BYTES_PER_PIXEL) + ahead * of_take
    if not ahead:  # how many are read ahead at once is as it happens
        assert peaks[20] < 1.1 * peaks[4]


def peak_of(work: Callable[[], object]) -> int:
    work()  # what is kept for good is not counted
    tracemalloc.start()
    work()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


def grown_by_hand(scl: NDArray[np.uint8], codes: tuple[int, ...], pixels: float) -> NDArray[np.bool_]:
    """Where (H, W) any pixel of `codes` lies within `pixels`, closed."""
    rows, cols = np.mgrid[: scl.shape[0], : scl.shape[1]]
    out = np.zeros(scl.shape, bool)
    for row, col in np.argwhere(np.isin(scl, codes)):
        out |= np.hypot(rows - row, cols - col) <= pixels
    return out


@pytest.mark.parametrize(
    ("clear", "grow", "grown"),
    [
        ((3, 4, 5, 6), None, (8, 9)),
        ((8, 9, 4), None, (3,)),
        ((4, 5, 6), None, (3, 8, 9)),
        ((4, 5, 6), (9,), (9,)),
        ((4, 5, 6), (11, 7), (11, 7)),
        ((3, 4, 5, 6), (7,), (7,)),
    ],
)
def test_what_is_grown_are_classes_that_are_grown_and_not_clear(
    tmp_path: Path, clear: tuple[int, ...], grow: tuple[int, ...] | None, grown: tuple[int, ...]
):
    codes = np.random.default_rng(5).choice([3, 4, 7, 8, 9, 11], (20, 20), p=[0.02, 0.9, 0.02, 0.02, 0.02, 0.02])
    scl = codes.astype(np.uint8)
    stated: dict[str, object] = {} if grow is None else {"grow": grow}
    config = CompositeConfig(clear=clear, dilate_m=20, **stated)  # type: ignore[arg-type]
    image = observe([one_scene(tmp_path, scl=scl)], LATTICE, CORNER, BANDS, config)
    expected = np.isin(scl, clear) & ~grown_by_hand(scl, grown, 2)
    assert np.array_equal(image.reason == Reason.OBSERVED, expected)
    assert expected.any()
    assert set(np.unique(scl[expected]).tolist()) >= {code for code in clear if code in scl} - {5, 6}


def test_clear_ground_near_a_grown_class_has_the_reason_of_that_class(tmp_path: Path):
    scl = np.full((20, 20), 4, np.uint8)
    scl[0, 0], scl[19, 19], scl[0, 19], scl[1, 17] = 11, 7, 3, 9
    config = CompositeConfig(grow=(11, 7, 3, 9), dilate_m=15)
    image = observe([one_scene(tmp_path, scl=scl)], LATTICE, CORNER, BANDS, config)
    assert image.reason[1, 1] == Reason.SNOW
    assert image.reason[18, 18] == Reason.UNCLASSIFIED
    assert image.reason[1, 19] == Reason.CLOUD_SHADOW
    assert image.reason[0, 18] == Reason.CLOUD  # both reach it
