"""Slope against loops, convolutions and planes of known steepness; and what becomes of pixels without it."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from helpers.dems import SECOND, Field, degree, raster
from hypothesis import given, settings
from hypothesis import strategies as st
from pyproj import Transformer
from scipy.ndimage import correlate

from landslide_scale.bands import NEVER, Reason
from landslide_scale.errors import PermanentReadError
from landslide_scale.grid import Lattice, PixelBox, Zone
from landslide_scale.imagery.composite import Image
from landslide_scale.imagery.terrain import aspect, slope, terrain, with_terrain
from landslide_scale.scene import Access
from landslide_scale.stac.dem import DemTile

LATTICE = Lattice(zone=Zone.utm(33, southern=False), resolution=10, block=64)
ROUGH = np.random.default_rng(5).uniform(0, 400, (40, 50))


def box_at(x: float, y: float, side: int) -> PixelBox:
    row, col = -round(y / 10), round(x / 10)
    return PixelBox(row_start=row, row_stop=row + side, col_start=col, col_stop=col + side)


def by_loops(z: Field, resolution: float) -> Field:
    """Burrough and McDonnell's letters: a b c above, d e f beside, g h i below."""
    out = np.full((z.shape[0] - 2, z.shape[1] - 2), np.nan)
    for row, col in np.ndindex(*out.shape):
        (a, b, c), (d, e, f), (g, h, i) = z[row : row + 3, col : col + 3]
        east = ((c + 2 * f + i) - (a + 2 * d + g)) / (8 * resolution)
        south = ((g + 2 * h + i) - (a + 2 * b + c)) / (8 * resolution)
        if not any(math.isnan(value) for value in (a, b, c, d, e, f, g, h, i)):
            out[row, col] = math.degrees(math.atan(math.sqrt(east**2 + south**2)))
    return out


def test_slope_is_horns_by_the_letters_and_undefined_where_one_of_nine_has_no_elevation():
    holed = ROUGH.copy()
    holed[7, 9] = holed[0, 0] = holed[20:23, 30] = np.nan
    found = slope(holed, 10)
    assert np.allclose(found, by_loops(holed, 10), rtol=0, atol=1e-12, equal_nan=True)
    assert np.isnan(found).sum() == 9 + 1 + 15


def test_slope_is_that_of_a_convolution_with_sobels_kernels():
    across = np.outer([1, 2, 1], [-1, 0, 1]) / (8 * 25)
    steepness = np.hypot(correlate(ROUGH, across), correlate(ROUGH, across.T))
    assert np.allclose(slope(ROUGH, 25), np.degrees(np.arctan(steepness))[1:-1, 1:-1], rtol=0, atol=1e-10)


@settings(max_examples=30)
@given(
    steepness=st.floats(0, 89), facing=st.floats(0, 360), turn=st.integers(0, 3), resolution=st.sampled_from([10, 30])
)
def test_a_plane_has_its_own_slope_whichever_way_it_faces(steepness: float, facing: float, turn: int, resolution: int):
    rows, cols = np.mgrid[:6, :7] * float(resolution)
    rise = math.tan(math.radians(steepness))
    z = 100 + rise * (math.cos(math.radians(facing)) * cols + math.sin(math.radians(facing)) * rows)
    assert np.allclose(slope(np.rot90(z, turn), resolution), steepness, rtol=0, atol=1e-9)
    assert slope(np.zeros((3, 3)), resolution) == 0


@settings(max_examples=30)
@given(steepness=st.floats(0.1, 89), facing=st.floats(0, 360, exclude_max=True))
def test_a_plane_faces_where_it_falls_clockwise_from_north(steepness: float, facing: float):
    rows, cols = np.mgrid[:4, :5] * 10.0
    fall = math.tan(math.radians(steepness))
    z = 900 - fall * (math.sin(math.radians(facing)) * cols - math.cos(math.radians(facing)) * rows)
    found = aspect(z)
    assert ((found >= 0) & (found <= 360)).all()
    assert np.abs((found - facing + 180) % 360 - 180).max() < 1e-6


def test_level_ground_and_ground_beside_none_face_nowhere():
    z = np.zeros((4, 6))
    z[:, 4:] = 5.0
    z[0, 0] = np.nan
    assert np.isnan(aspect(z)).tolist() == [[True, True, False, False], [True, True, False, False]]
    assert aspect(z)[1, 2] == 270  # it rises to the east


def test_a_plane_that_went_through_a_raster_in_degrees_keeps_its_slope(tmp_path: Path):
    """The tolerance is derived.

    A plane of the zone, sampled at pixels of h = 1 second (31 m), bends between them by the curvature of the meridians
    and parallels in the zone: at most h^2 / (8 R) tan(slope) = 2e-5 m. float32 rounds 1000 m by 3e-5 m. A slope is made
    from differences over 20 m, so its tangent is wrong by at most 2 * 5e-5 / 20 on either axis: 4e-4 degrees.
    """
    rise_x, rise_y = 0.4, -0.25
    x0, y0 = 440_000.0, 5_100_000.0
    to_zone = Transformer.from_crs(4326, 32633, always_xy=True)

    def plane(longitude: Field, latitude: Field) -> Field:
        x, y = to_zone.transform(longitude, latitude)
        return 700 + rise_x * (x - x0) + rise_y * (y - y0)

    west, north = Transformer.from_crs(32633, 4326, always_xy=True).transform(x0 - 500, y0 + 500)
    place = {"west": west, "north": north, "width": SECOND, "height": SECOND}
    tile = raster(tmp_path, "plane", plane, (100, 120), **place)
    found = terrain(["slope", "elevation"], [tile], LATTICE, box_at(x0, y0, 100))
    known = math.degrees(math.atan(math.hypot(rise_x, rise_y)))
    assert np.abs(found["slope"] - known).max() < 4e-4
    assert found["slope"].dtype == found["elevation"].dtype == np.float32


@pytest.fixture(scope="module")
def tiles(tmp_path_factory: pytest.TempPathFactory) -> list[DemTile]:
    """Rough ground on both sides of 15 E, in tiles that abut there."""
    folder = tmp_path_factory.mktemp("dem")

    def rough(longitude: Field, latitude: Field) -> Field:
        return 900 + 300 * np.sin(longitude * 900) * np.cos(latitude * 1100)

    return [degree(folder, west, 46, rough, wide=5 * SECOND, high=5 * SECOND) for west in (14, 15)]


@settings(max_examples=20)
@given(part=st.tuples(st.integers(0, 60), st.integers(0, 60), st.integers(1, 40), st.integers(1, 40)))
def test_elevation_and_slope_are_the_same_for_any_split_into_blocks(
    tiles: list[DemTile], part: tuple[int, int, int, int]
):
    whole = box_at(500_000 - 500, 5_130_000, 100)
    row, col = whole.row_start + part[0], whole.col_start + part[1]
    box = PixelBox(row_start=row, row_stop=row + part[2], col_start=col, col_stop=col + part[3])
    bands = ["elevation", "slope"]
    of_all, of_part = terrain(bands, tiles, LATTICE, whole), terrain(bands, tiles, LATTICE, box)
    assert not np.isnan(of_all["slope"]).any()
    for band in bands:
        assert of_part[band].tobytes() == of_all[band][box.within(whole)].tobytes()


# Beside the bands of scenes


def observed(box: PixelBox, bands: int = 2) -> Image:
    """All seen on day 5, but for a cloud over the first row."""
    reason = np.zeros(box.shape, np.uint8)
    reason[0] = Reason.CLOUD
    seen = reason == Reason.OBSERVED
    values = np.stack([np.where(seen, np.float32(band + 1), np.float32(np.nan)) for band in range(bands)])
    return Image(
        values=values,
        clear_count=np.where(seen, 3, 0).astype(np.uint8),
        observed_on=np.where(seen, 5, NEVER).astype(np.uint16),
        reason=reason,
        resampled=("one",),
    )


def test_bands_come_in_the_order_asked_for_and_are_known_under_clouds(tiles: list[DemTile]):
    box = box_at(500_000, 5_130_000, 20)
    image = observed(box)
    found = with_terrain(image, ("slope", "red", "elevation", "nir"), tiles, LATTICE, box)
    known = terrain(["elevation", "slope"], tiles, LATTICE, box)
    assert np.array_equal(found.values[0], known["slope"])
    assert np.array_equal(found.values[1], image.values[0], equal_nan=True)
    assert np.array_equal(found.values[2], known["elevation"])
    assert np.array_equal(found.values[3], image.values[1], equal_nan=True)
    for name in ("reason", "clear_count", "observed_on"):
        assert getattr(found, name).tobytes() == getattr(image, name).tobytes()
        assert getattr(found, name).dtype == getattr(image, name).dtype


def test_a_pixel_without_elevation_or_slope_was_not_observed_for_want_of_data(tiles: list[DemTile]):
    box = box_at(500_000 - 100, 5_130_000, 20)
    image = observed(box)
    found = with_terrain(image, ("red", "slope", "nir"), tiles[1:], LATTICE, box)
    lacking = np.isnan(found.values[1])
    assert 0 < lacking.sum() < lacking.size
    assert (found.reason[0] == Reason.CLOUD).all()  # said first, as where scenes differ
    assert np.array_equal(found.reason[1:] == Reason.NO_DATA, lacking[1:])
    assert np.array_equal(found.reason == Reason.OBSERVED, found.clear_count > 0)
    assert np.array_equal(found.reason == Reason.OBSERVED, found.observed_on != NEVER)
    assert np.array_equal(found.values[0], image.values[0], equal_nan=True)
    # Elevation alone reaches half a pixel further than slope, which needs its neighbours.
    higher = with_terrain(image, ("red", "elevation", "nir"), tiles[1:], LATTICE, box)
    assert lacking.sum() - np.isnan(higher.values[1]).sum() == 20


def test_without_bands_of_terrain_the_image_is_left_as_it_is():
    box = box_at(500_000, 5_130_000, 20)
    image = observed(box)
    assert with_terrain(image, ("red", "nir"), (), LATTICE, box) is image


def test_nothing_is_read_where_nothing_was_observed():
    box = box_at(500_000, 5_130_000, 20)
    image = replace(observed(box), reason=np.full(box.shape, Reason.CLOUD, np.uint8))
    away = DemTile(id="away", bounds=(14, 46, 16, 47), href="/nowhere.tif", access=Access())
    found = with_terrain(image, ("red", "nir", "slope"), [away], LATTICE, box)
    assert np.isnan(found.values[2]).all()
    assert np.array_equal(found.reason, image.reason)
    with pytest.raises(PermanentReadError) as caught:
        with_terrain(observed(box), ("red", "nir", "slope"), [away], LATTICE, box)
    assert caught.value.where["dem"] == "away"
