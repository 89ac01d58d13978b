"""Lattices coarser than the mask: what is decided, averaged and said there, against NumPy at the mask's own pixels."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from dataclasses import replace
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
from scipy.ndimage import distance_transform_edt, map_coordinates

from landslide_scale.bands import Reason
from landslide_scale.errors import PermanentReadError
from landslide_scale.grid import Lattice, PixelBox, Zone
from landslide_scale.imagery import mask
from landslide_scale.imagery.composite import Image
from landslide_scale.imagery.observe import BYTES_PER_PIXEL, observe
from landslide_scale.imagery.settings import CompositeConfig
from landslide_scale.scene import Scene

WEST, NORTH, SIDE = 499_980, 5_200_020, 1440
"""Metres; a tile as real ones lie, half a cell off lattices of 120 m."""

BANDS = ("blue", "nir")
CODES = [0, 2, 3, 4, 5, 6, 7, 9, 11]
REASON = np.array([7, 6, 3, 2, 0, 0, 0, 5, 1, 1, 1, 4], np.uint8)


def lattice(resolution: int, number: int = 33) -> Lattice:
    return Lattice(zone=Zone.utm(number, southern=False), resolution=resolution, block=64)


def around(of: Lattice, metres: int = 240) -> PixelBox:
    """The tile and a rim."""
    return of.box_covering((WEST - metres, NORTH - SIDE - metres, WEST + SIDE + metres, NORTH + metres))


def patchy(seed: int, shares: list[float], side: int) -> NDArray[np.uint8]:
    """Classes in patches of some pixels."""
    generator = np.random.default_rng(seed)
    rough = generator.choice(CODES, (side // 3 + 1, side // 3 + 1), p=shares).astype(np.uint8)
    out = rough.repeat(3, axis=0).repeat(3, axis=1)[:side, :side].copy()
    speckle = generator.random(out.shape) < 0.1
    out[speckle] = generator.choice(CODES, int(speckle.sum()), p=shares)
    return out


SHARES = [0.05, 0.03, 0.03, 0.4, 0.2, 0.15, 0.05, 0.05, 0.04]
SCL = patchy(3, SHARES, SIDE // 20)
NUMBERS = np.random.default_rng(4).integers(1, 9000, (2, SIDE // 10, SIDE // 10)).astype(np.uint16)
NUMBERS[0][np.random.default_rng(5).random(NUMBERS[0].shape) < 0.2] = 0


@pytest.fixture(scope="module")
def tile(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    return made(tmp_path_factory.mktemp("coarse"), "tile")


def made(folder: Path, name: str, scl: NDArray[np.uint8] = SCL, **changes: object) -> Scene:
    where: dict[str, object] = {"west": WEST, "north": NORTH} | changes
    return scene(folder, name, dict(zip(BANDS, NUMBERS, strict=True)), scl, **where)  # type: ignore[arg-type]


def near(seeds: NDArray[np.bool_], pixels: float) -> NDArray[np.bool_]:
    return distance_transform_edt(~seeds) <= pixels if seeds.any() else np.zeros(seeds.shape, bool)


def squares_by_hand(side: int, dilate_m: float, edge_m: float) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    """Reason (H, W) and reflectance (2, H, W) of squares: the mask's own pixels of 20 m, or their quarters."""
    merge, scl = side // 10, SCL.repeat(20 // side, axis=0).repeat(20 // side, axis=1)
    reason = REASON[scl]
    for seeds, metres, why in ((scl == 0, edge_m, 7), (scl == 3, dilate_m, 2), (np.isin(scl, (8, 9)), dilate_m, 1)):
        reason[np.isin(scl, (4, 5, 6)) & near(seeds, metres / side)] = why
    fine = NUMBERS.reshape(2, len(scl), merge, len(scl), merge).astype(np.float64)
    count = (fine > 0).sum(axis=(2, 4))
    numbers = fine.sum(axis=(2, 4)) / np.maximum(count, 1)
    reason[(reason == 0) & (count == 0).any(axis=0)] = 7
    return reason, numbers / 10_000


def cells_by_hand(
    of: Lattice, box: PixelBox, *, dilate_m: float, edge_m: float, share: float
) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    """Which cells are observed, and their reflectance: every cell on its own, from the pixels of 10 m in it."""
    side = 10 if of.resolution % 20 else 20
    reason, values = squares_by_hand(side, dilate_m, edge_m)
    clear = (reason == 0).repeat(side // 10, axis=0).repeat(side // 10, axis=1)
    fine = values.repeat(side // 10, axis=1).repeat(side // 10, axis=2)
    x, y = of.centres(box)
    step, observed = of.resolution // 10, np.zeros(box.shape, bool)
    out = np.full((2, *box.shape), np.nan)
    for row, col in np.ndindex(*box.shape):
        top, left = round((NORTH - y[row]) / 10 - step / 2), round((x[col] - WEST) / 10 - step / 2)
        cut = slice(max(top, 0), max(top + step, 0)), slice(max(left, 0), max(left + step, 0))
        if clear[cut].sum() >= share * step * step:
            observed[row, col], out[:, row, col] = True, fine[:, *cut][:, clear[cut]].mean(axis=1)
    return observed, out


@pytest.mark.parametrize(
    ("resolution", "dilate_m", "edge_m", "share"),
    [
        *((resolution, 0, 0, 0.8) for resolution in (20, 30, 50, 60, 120)),
        (50, 20, 30, 0.8), (60, 20, 0, 0.8), (120, 20, 0, 0.8), (60, 30, 20, 0.5), (60, 20, 0, 1), (120, 30, 20, 0.4),
    ],
)  # fmt: skip
def test_a_coarse_pixel_is_the_mean_of_its_clear_ground_where_enough_of_it_is_clear(
    tile: Scene, resolution: int, dilate_m: float, edge_m: float, share: float
):
    of = lattice(resolution)
    config = CompositeConfig(dilate_m=dilate_m, edge_m=edge_m, clear_share=share)
    image = observe([tile], of, around(of), BANDS, config)
    observed, values = cells_by_hand(of, around(of), dilate_m=dilate_m, edge_m=edge_m, share=share)
    assert np.array_equal(image.reason == Reason.OBSERVED, observed)
    assert np.allclose(image.values, values, rtol=2e-6, atol=0, equal_nan=True)
    assert np.array_equal(image.clear_count, observed)
    assert 0.02 < observed.mean() < 0.9


def test_a_cell_that_is_not_observed_tells_the_commonest_reason_of_its_ground(tmp_path: Path):
    scl = np.full((6, 6), 4, np.uint8)
    scl[:, :3] = [[9, 9, 2], [2, 4, 4], [2, 4, 4], [9, 9, 2], [9, 2, 4], [4, 4, 4]]
    numbers = {band: np.full((12, 12), 5000, np.uint16) for band in BANDS}
    west, north = 600_000, 5_100_000
    cloudy = scene(tmp_path, "cloudy", numbers, scl, west=west, north=north)
    of = lattice(60)
    box = of.box_covering((west, north - 120, west + 120, north))
    image = observe([cloudy], of, box, BANDS, CompositeConfig(dilate_m=0))
    assert image.reason.tolist() == [[Reason.TERRAIN_SHADOW, 0], [Reason.CLOUD, 0]]


@pytest.mark.parametrize("resolution", [60, 120])
def test_growing_by_less_than_a_cell_takes_ground(tile: Scene, resolution: int):
    of = lattice(resolution)
    none, some = (
        observe([tile], of, around(of), BANDS, CompositeConfig(dilate_m=metres, edge_m=0)) for metres in (0, 20)
    )
    assert (some.reason == Reason.OBSERVED).sum() < 0.9 * (none.reason == Reason.OBSERVED).sum()


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10**6), dilate_m=st.sampled_from([0.0, 20.0, 45.0]))
def test_where_all_ground_must_be_clear_no_coarser_lattice_observes_more(
    tmp_path_factory: pytest.TempPathFactory, seed: int, dilate_m: float
):
    rough = made(tmp_path_factory.mktemp("rough"), "rough", patchy(seed, SHARES, SIDE // 20))
    config = CompositeConfig(dilate_m=dilate_m, clear_share=1)
    area = {}
    for resolution in (20, 60, 120):
        of = lattice(resolution)
        seen = observe([rough], of, around(of), BANDS, config).reason == Reason.OBSERVED
        area[resolution] = int(seen.sum()) * resolution**2
    assert area[120] <= area[60] <= area[20]


@settings(max_examples=20, deadline=None)
@given(data=st.data(), resolution=st.sampled_from([25, 60]))
def test_any_part_of_coarse_ground_gives_the_same_bytes(borderers: list[Scene], data: st.DataObject, resolution: int):
    of, config = lattice(resolution), CompositeConfig(dilate_m=35)
    box = around(of)
    whole = WHOLE.setdefault(resolution, observe(borderers, of, box, BANDS, config))
    part = drawn_part(data, box)
    found, cut = observe(borderers, of, part, BANDS, config), part.within(box)
    for name in ("reason", "clear_count", "observed_on"):
        assert getattr(found, name).tobytes() == getattr(whole, name)[cut].tobytes()
    assert found.values.tobytes() == np.ascontiguousarray(whole.values[:, *cut]).tobytes()
    assert set(found.resampled) <= set(whole.resampled)


WHOLE: dict[int, Image] = {}


@pytest.fixture(scope="module")
def borderers(tmp_path_factory: pytest.TempPathFactory) -> list[Scene]:
    """The tile, half of it without data, and one of zone 34 of the same datatake."""
    folder = tmp_path_factory.mktemp("borderers")
    half = SCL.copy()
    half[:, 30:] = 0
    return [made(folder, "own", half), foreign(folder, "foreign")]


def foreign(folder: Path, name: str, scl: NDArray[np.uint8] = SCL) -> Scene:
    """The same pixels as a tile of zone 34, on its own 20 m."""
    x, y = Transformer.from_crs(32633, 32634, always_xy=True).transform(WEST, NORTH)
    return made(folder, name, scl, west=round(x / 20) * 20, north=round(y / 20) * 20, epsg=32634)


@pytest.mark.parametrize("resolution", [25, 60])
def test_strips_of_any_height_give_the_same_bytes(
    borderers: list[Scene], resolution: int, monkeypatch: pytest.MonkeyPatch
):
    of, config = lattice(resolution), CompositeConfig(dilate_m=35)
    whole = observe(borderers, of, around(of), BANDS, config)
    monkeypatch.setattr(mask, "STRIP_BYTES", 1)
    strips = observe(borderers, of, around(of), BANDS, config)
    for name in ("values", "reason", "clear_count", "observed_on"):
        assert getattr(strips, name).tobytes() == getattr(whole, name).tobytes()
    assert strips.resampled == whole.resampled


def test_classes_of_two_sizes_in_one_datatake_are_refused_where_they_would_decide_differently(
    tile: Scene, tmp_path: Path
):
    other = replace(made(tmp_path, "other", np.zeros((SIDE // 60,) * 2, np.uint8)), tile="33TWA")
    of = lattice(60)
    with pytest.raises(PermanentReadError, match="classes of"):
        observe([tile, other], of, around(of), BANDS, CompositeConfig())
    observe([tile, other], lattice(10), around(lattice(10)), BANDS, CompositeConfig())


def test_a_run_begun_before_goes_on_with_one_mask_pixel_and_all_reflectance_for_a_cell(tile: Scene):
    of = lattice(60)
    config = CompositeConfig(dilate_m=0, edge_m=0, no_data="zeros", decided_at="lattice")
    image = observe([tile], of, around(of, 0), BANDS, config)
    reason = REASON[SCL[1::3, 1::3]]
    cells = NUMBERS.reshape(2, 24, 6, 24, 6).astype(np.float64)
    values = cells.sum(axis=(2, 4)) / (cells > 0).sum(axis=(2, 4)) / 10_000
    assert np.array_equal(image.reason, reason)
    assert np.allclose(image.values, np.where(reason == 0, values, np.nan), rtol=2e-6, atol=0, equal_nan=True)


# Another system, and other pixels than the lattice's


def between_by_hand(of: Lattice, box: PixelBox, side: int, scene_: Scene) -> NDArray[np.float64]:
    """Blue (H, W) of a scene of zone 34 at pixel centres: pixels of `side` metres averaged, then bilinear."""
    merge = side // 10
    rows = len(NUMBERS[0]) // merge
    numbers = NUMBERS[0].astype(np.float64).reshape(rows, merge, rows, merge)
    coarse = numbers.sum(axis=(1, 3)) / np.maximum((numbers > 0).sum(axis=(1, 3)), 1)
    x, y = Transformer.from_crs(of.zone.epsg, 32634, always_xy=True).transform(*np.meshgrid(*of.centres(box)))
    at = (scene_.bounds[3] - y) / side - 0.5, (x - scene_.bounds[0]) / side - 0.5
    total = map_coordinates(coarse, at, order=1, mode="constant", cval=0)
    weight = map_coordinates((coarse > 0).astype(float), at, order=1, mode="constant", cval=0)
    own = map_coordinates(coarse, (np.floor(at[0] + 0.5), np.floor(at[1] + 0.5)), order=0, mode="constant", cval=0)
    return np.where(own > 0, total / np.maximum(weight, 1e-9) / 10_000, np.nan)


def test_another_systems_pixels_are_averaged_as_far_as_whole_ones_go_and_then_interpolated(tmp_path: Path):
    other = foreign(tmp_path, "other", np.full(SCL.shape, 4, np.uint8))
    west, north = WEST + 300, NORTH - 300
    for resolution, side, times in ((10, 10, 1), (20, 20, 1), (60, 20, 3)):
        of, fine = lattice(resolution), lattice(resolution // times)
        box = of.box_covering((west, north - 600, west + 600, north))
        image = observe([other], of, box, BANDS, CompositeConfig(dilate_m=0))
        squares = fine.box_covering(of.bounds(box))
        expected = between_by_hand(fine, squares, side, other)
        cells = expected.reshape(box.shape[0], times, box.shape[1], times)
        expected = np.nansum(cells, axis=(1, 3)) / np.isfinite(cells).sum(axis=(1, 3)) if times > 1 else expected
        assert np.allclose(image.values[0], expected, rtol=1e-4, atol=0, equal_nan=True)
        assert np.isfinite(expected).mean() > (0.6 if resolution == 10 else 0.95)
        assert image.resampled == ("other",)


def test_texture_of_another_system_is_that_of_the_own_however_coarse_the_lattice(tmp_path: Path):
    clear = np.full(SCL.shape, 4, np.uint8)
    own, other = made(tmp_path, "own", clear), foreign(tmp_path, "other", clear)
    for resolution in (60, 120):
        of = lattice(resolution)
        west, north = WEST + 300, NORTH - 300
        box = of.box_covering((west, north - 840, west + 840, north))
        texture = [np.std(observe([one], of, box, BANDS, CompositeConfig()).values[1]) for one in (own, other)]
        assert 0.6 < texture[1] / texture[0] < 1.6


@pytest.mark.parametrize(
    ("resolution", "shift", "names"),
    [(10, 0, ()), (20, 0, ()), (60, 0, ()), (10, 3, ("own",)), (60, 3, ("own",)), (25, 0, ("own",))],
)
def test_a_scene_of_the_own_system_off_the_lattice_is_said_to_be_resampled(
    tmp_path: Path, resolution: int, shift: int, names: tuple[str, ...]
):
    own = made(tmp_path, "own", np.full(SCL.shape, 4, np.uint8), west=WEST + shift)
    of = lattice(resolution)
    image = observe([own], of, around(of, 0), BANDS, CompositeConfig(dilate_m=0))
    assert image.resampled == names
    before = CompositeConfig(dilate_m=0, edge_m=0, decided_at="lattice")
    assert observe([own], of, around(of, 0), BANDS, before).resampled == ()


def test_pixels_that_fit_in_no_whole_number_are_weighted_by_their_ground(tmp_path: Path):
    own = made(tmp_path, "own", np.full(SCL.shape, 4, np.uint8))
    of = lattice(25)
    box = of.box_covering((WEST + 100, NORTH - 1000, WEST + 1000, NORTH - 100))
    image = observe([own], of, box, BANDS, CompositeConfig(dilate_m=0, clear_share=1))
    metres = NUMBERS[1].astype(np.float64).repeat(10, axis=0).repeat(10, axis=1)
    x, y = of.centres(box)
    for row, col in np.ndindex(*box.shape):
        top, left = round(NORTH - y[row] - 12.5), round(x[col] - WEST - 12.5)
        if not np.isnan(image.values[1, row, col]):
            expected = metres[top : top + 25, left : left + 25].mean() / 10_000
            assert image.values[1, row, col] == pytest.approx(expected, rel=1e-5)
    assert np.isfinite(image.values[1]).sum() > 100


# Real clouds: files of 120 m, written as the 20 m that a mask has


def real_scenes(shared_data: Path, folder: Path) -> list[tuple[Scene, dict[str, NDArray[np.generic]]]]:
    found = []
    for path in sorted(shared_data.glob("sentinel2/earthsearch-33T-2023-08/*/SCL.tif")):
        files = {}
        for name, band in (("SCL", "scl"), ("B02", "blue"), ("B08", "nir")):
            with rasterio.open(path.with_name(f"{name}.tif")) as file:
                files[band] = file.read(1)[:912, :912]
        bands = {band: files[band] for band in BANDS}
        one = scene(folder, path.parent.name, bands, files["scl"], west=600_000, north=5_100_000, resolution=20)
        found.append((replace(one, baseline=(5, 9)), files))
    assert len(found) == 7
    return found


@pytest.mark.parametrize(("resolution", "dilate_m"), [(60, 0), (60, 40), (120, 0), (120, 100)])
def test_real_clouds_decide_at_their_own_pixels_and_no_coarser_lattice_observes_more_of_them(
    shared_data: Path, tmp_path: Path, resolution: int, dilate_m: float
):
    of, times = lattice(resolution), resolution // 20
    box = of.box_covering((600_000, 5_100_000 - 912 * 20, 600_000 + 912 * 20, 5_100_000))
    for one, files in real_scenes(shared_data, tmp_path):
        scl = files["scl"]
        clear = np.isin(scl, (4, 5, 6)) & ~near(scl == 0, 3)
        if dilate_m:
            clear &= ~near(np.isin(scl, (3, 8, 9)), dilate_m / 20)
        cells = clear.reshape(912 // times, times, 912 // times, times)
        observed = cells.sum(axis=(1, 3)) >= 0.8 * times**2
        image = observe([one], of, box, BANDS, CompositeConfig(dilate_m=dilate_m))
        assert np.array_equal(image.reason == Reason.OBSERVED, observed)
        for band, values in zip(BANDS, image.values, strict=True):
            numbers = np.where(clear, files[band].astype(np.float64), 0).reshape(cells.shape).sum(axis=(1, 3))
            mean = numbers / np.maximum(cells.sum(axis=(1, 3)), 1) / 10_000
            assert np.allclose(values, np.where(observed, mean, np.nan), rtol=2e-6, atol=1e-9, equal_nan=True)
        assert observed.mean() <= clear.mean()
        masked_ground = (~cells).sum(axis=(1, 3))[observed].sum() / (observed.sum() * times**2)
        assert masked_ground < 0.08


# The edge of a swath


def test_no_data_grows_inside_a_datatake_but_not_where_another_tile_of_it_goes_on(tmp_path: Path):
    rows, cols = np.mgrid[:72, :72]
    swath = np.where(cols + rows / 4 < 60, 4, 0).astype(np.uint8)
    left, right = swath.copy(), swath.copy()
    left[:, 40:], right[:, :30] = 0, 0  # each tile lacks what the other has
    bands = {band: np.full((144, 144), 4000, np.uint16) for band in BANDS}
    pair = [
        replace(scene(tmp_path, name, bands, scl, west=WEST, north=NORTH), tile=name)
        for name, scl in (("33TWL", left), ("33TWM", right))
    ]
    for resolution, edge_m in ((20, 60), (20, 100), (10, 60), (60, 60)):
        of = lattice(resolution)
        image = observe(pair, of, around(of), BANDS, CompositeConfig(edge_m=edge_m))
        fine = swath if resolution > 10 else swath.repeat(2, axis=0).repeat(2, axis=1)
        inside = (fine > 0) & ~near(fine == 0, edge_m / min(resolution, 20))
        if resolution == 60:
            inside = inside.reshape(24, 3, 24, 3).sum(axis=(1, 3)) >= 8
        rim = (image.reason.shape[0] - len(inside)) // 2
        seen = image.reason == Reason.OBSERVED
        assert np.array_equal(seen[rim:-rim, rim:-rim], inside)
        assert seen.sum() == inside.sum()
        assert (image.reason[~seen] == Reason.NO_DATA).all()
    of = lattice(10)
    assert (observe(pair, of, around(of), BANDS, CompositeConfig(edge_m=0)).reason == 0).sum() == 4 * (swath > 0).sum()


def test_the_end_of_a_tile_is_no_edge_of_its_swath(tmp_path: Path):
    bands = {band: np.full((144, 144), 4000, np.uint16) for band in BANDS}
    whole = scene(tmp_path, "whole", bands, np.full((72, 72), 4, np.uint8), west=WEST, north=NORTH)
    of = lattice(10)
    assert (observe([whole], of, around(of), BANDS, CompositeConfig()).reason == 0).sum() == 144**2


def test_an_edge_outside_the_box_reaches_into_it_and_a_cloud_is_told_before_it(tmp_path: Path):
    scl = np.full((72, 72), 4, np.uint8)
    scl[:, :4], scl[0, 5] = 0, 9
    bands = {band: np.full((144, 144), 4000, np.uint16) for band in BANDS}
    of = lattice(10)
    box = of.box_covering((WEST + 80, NORTH - 400, WEST + 400, NORTH))
    image = observe([scene(tmp_path, "edge", bands, scl, west=WEST, north=NORTH)], of, box, BANDS, CompositeConfig())
    assert (image.reason[20:, :6] == Reason.NO_DATA).all()
    assert (image.reason[20:, 6:] == Reason.OBSERVED).all()
    assert (image.reason[:2, :6] == Reason.CLOUD).all()


def test_the_squares_of_a_coarse_lattice_take_no_more_memory_than_is_set_aside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(mask, "DILATED_ROWS", 16)
    monkeypatch.setattr("landslide_scale.reading.resampling.MERGED_PIXELS", 10**4)
    side, times = 300, 3
    generator = np.random.default_rng(0)
    bands = {band: generator.integers(1, 9999, (6 * side, 6 * side)).astype(np.uint16) for band in BANDS}
    large = scene(
        tmp_path, "large", bands, np.full((times * side, times * side), 4, np.uint8), west=WEST, north=NORTH
    )  # fmt: skip
    of = lattice(60)
    box = of.box_covering((WEST, NORTH - 60 * side, WEST + 60 * side, NORTH))
    peaks = {}
    for bytes_of_strip in (8 * 2**20, 32 * 2**20):
        monkeypatch.setattr(mask, "STRIP_BYTES", bytes_of_strip)
        peaks[bytes_of_strip] = peak_of(lambda: observe([large], of, box, BANDS, CompositeConfig(dilate_m=20)))
        of_image = side * side * (8 * len(BANDS) + BYTES_PER_PIXEL)
        assert peaks[bytes_of_strip] < bytes_of_strip + of_image
    assert peaks[32 * 2**20] > 1.5 * peaks[8 * 2**20]  # else nothing of it was held in strips


def peak_of(work: Callable[[], object]) -> int:
    work()  # what is kept for good is not counted
    tracemalloc.start()
    work()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak
