import numpy as np
import pytest

from landslide_scale.demo.ground.frame import CELL_M, FINE_M, Frame, lattice_in_frame
from landslide_scale.demo.satellite.passes import PASSES
from landslide_scale.demo.satellite.sensor import Sampler, digital_numbers
from landslide_scale.demo.satellite.tiles import TILE_M, TILES, Tile


def test_every_pass_is_off_by_half_a_pixel_in_one_direction_or_both():
    assert all(set(each.shift) <= {-1, 0, 1} and each.shift != (0, 0) for each in PASSES)
    assert 2 * FINE_M == CELL_M  # so one step of the shift is half a pixel
    assert len({each.shift for each in PASSES}) > 4


@pytest.mark.parametrize("tile", TILES[1:], ids=lambda tile: tile.name)
@pytest.mark.parametrize("shift", [(0, 0), (0, 1), (-1, 1)])
def test_a_tile_shows_the_ground_half_a_pixel_from_where_it_says(frame: Frame, tile: Tile, shift: tuple[int, int]):
    """On ground whose reflectance is its easting and northing, a pixel reads off where it looked."""
    sampler = Sampler.of(frame, tile)
    rows, columns = frame.shape(FINE_M)
    east = np.broadcast_to(((np.arange(columns) + 0.5) * FINE_M).astype(np.float32), (rows, columns))
    south = np.broadcast_to(((np.arange(rows) + 0.5) * FINE_M).astype(np.float32)[:, None], (rows, columns))
    x, y = tile.centres(frame, CELL_M)
    on = sampler.grounded(CELL_M)
    seen_x = sampler.mean(np.ascontiguousarray(east), CELL_M, shift)[on].astype(np.float64) + frame.left
    seen_y = frame.top - sampler.mean(np.ascontiguousarray(south), CELL_M, shift)[on].astype(np.float64)
    assert on.sum() > 1000
    np.testing.assert_allclose(seen_x - x[on], shift[1] * CELL_M / 2, atol=0.05)
    np.testing.assert_allclose(y[on] - seen_y, shift[0] * CELL_M / 2, atol=0.05)


def test_the_other_zone_is_reached_by_the_exact_projection():
    import pyproj  # noqa: PLC0415

    tile = TILES[2]
    x, y = tile.centres(Frame(), CELL_M)
    change = pyproj.Transformer.from_crs(tile.epsg, Frame().epsg, always_xy=True)
    for row, column in ((0, 0), (17, 311), (1199, 1199), (600, 3)):
        there = change.transform(tile.left + (column + 0.5) * CELL_M, tile.top - (row + 0.5) * CELL_M)
        assert (x[row, column], y[row, column]) == pytest.approx(there, abs=1e-3)


def test_a_lattice_of_the_frames_own_zone_is_itself(frame: Frame):
    x, y = lattice_in_frame(frame, frame.epsg, np.array([1.0, 2.0]), np.array([9.0, 8.0, 7.0]))
    assert x.shape == y.shape == (3, 2)
    assert x[0].tolist() == [1.0, 2.0]
    assert y[:, 0].tolist() == [9.0, 8.0, 7.0]


def test_pixels_of_every_size_align_and_real_lattice_rules_hold():
    for tile in TILES:
        assert tile.left % 20 == 0
        assert tile.top % 20 == 0
        assert tile.side(20) * 2 == tile.side(10) == TILE_M // 10


def test_digital_numbers_are_never_0_on_the_ground():
    values = np.array([[0.0, 0.1], [-0.5, 9.0]], dtype=np.float32)
    valid = np.array([[True, True], [True, False]])
    numbers = digital_numbers(values, valid, np.random.default_rng(0), noise=0.0)
    assert numbers.tolist() == [[1000, 2000], [1, 0]]
    assert numbers.dtype == np.uint16
