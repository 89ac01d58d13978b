"""What is differentiated is smooth: the slope of interpolated ground is the ground's, over tiles, holes and edges."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from helpers.dems import SECOND, Field, by_keys, degree, raster, write
from hypothesis import given, settings
from hypothesis import strategies as st
from pyproj import Transformer

from landslide_scale.grid import Lattice, PixelBox, Zone
from landslide_scale.imagery.elevation import read_elevation
from landslide_scale.imagery.surface import keys
from landslide_scale.imagery.terrain import terrain
from landslide_scale.scan.plan import TERRAIN_BYTES_PER_PIXEL
from landslide_scale.scene import Access
from landslide_scale.stac.dem import DemTile

TO_ZONE = Transformer.from_crs(4326, 32633, always_xy=True)
TO_DEGREES = Transformer.from_crs(32633, 4326, always_xy=True)
X0, Y0 = 440_000.0, 5_100_000.0


def lattice(resolution: int = 10) -> Lattice:
    return Lattice(zone=Zone.utm(33, southern=False), resolution=resolution, block=64)


def box_at(x: float, y: float, side: int, resolution: int = 10) -> PixelBox:
    row, col = -round(y / resolution), round(x / resolution)
    return PixelBox(row_start=row, row_stop=row + side, col_start=col, col_stop=col + side)


def degrees_of(of: Lattice, box: PixelBox) -> tuple[Field, Field]:
    return TO_DEGREES.transform(*np.meshgrid(*of.centres(box)))


class Relief:
    """Made ground: waves of 220 to 1500 m whose heights grow with their length, and so known slopes."""

    def __init__(self) -> None:
        generator = np.random.default_rng(1)
        length = np.exp(generator.uniform(np.log(220), np.log(1500), 40))
        towards, self.phase = generator.uniform(0, 2 * np.pi, (2, 40))
        self.x, self.y = 2 * np.pi / length * np.cos(towards), 2 * np.pi / length * np.sin(towards)
        self.height = 0.67 * length / np.sqrt((length**2 * (self.x**2 + self.y**2)).sum() / 2)

    def _sum(self, x: Field, y: Field, wave: Callable[[Field], Field], heights: Field) -> Field:
        waves = zip(self.x, self.y, self.phase, heights, strict=True)
        return np.sum([h * wave(kx * (x - X0) + ky * (y - Y0) + phase) for kx, ky, phase, h in waves], axis=0)

    def elevation(self, longitude: Field, latitude: Field) -> Field:
        return 1000 + self._sum(*TO_ZONE.transform(longitude, latitude), np.sin, self.height)

    def slope(self, x: Field, y: Field) -> Field:
        east, north = (self._sum(x, y, np.cos, self.height * along) for along in (self.x, self.y))
        return np.degrees(np.arctan(np.hypot(east, north)))


@pytest.fixture(scope="module")
def relief(tmp_path_factory: pytest.TempPathFactory) -> DemTile:
    """Pixels of about 30 m, as GLO-30 has them."""
    west, north = TO_DEGREES.transform(X0 - 600, Y0 + 600)
    place = {"west": west, "north": north, "width": 1.5 * SECOND, "height": SECOND}
    return raster(tmp_path_factory.mktemp("relief"), "relief", Relief().elevation, (120, 140), **place)


def error_of_slope(found: Field, box: PixelBox) -> float:
    known = Relief().slope(*np.meshgrid(*lattice().centres(box)))
    return float(np.sqrt(np.mean((found - known) ** 2)))


def test_the_slope_of_a_model_of_30_m_on_a_lattice_of_10_m_is_the_grounds(relief: DemTile):
    box = box_at(X0, Y0, 200)
    assert error_of_slope(terrain(["slope"], [relief], lattice(), box)["slope"], box) < 0.25
    faceted = terrain(["slope"], [relief], lattice(), box, "bilinear")["slope"]
    assert error_of_slope(faceted, box) == pytest.approx(1.07, abs=0.05)


@given(fraction=st.floats(0, 1, exclude_max=True))
def test_weights_are_keys_polynomials_and_meet_every_parabola(fraction: float):
    pixels, at = np.arange(-1, 3), np.array([fraction])
    weights = np.array(keys(at))[:, 0]
    alone = [by_keys(np.tile(one, (4, 1)), np.array([1.0]), 1 + at)[0] for one in np.eye(4)]
    assert np.allclose(weights, alone, rtol=0, atol=1e-14)
    for power in range(3):
        assert (weights * pixels**power).sum() == pytest.approx(fraction**power, abs=1e-14)


def parabola(longitude: Field, latitude: Field) -> Field:
    east, north = 60 * (longitude - 15), 60 * (latitude - 50)
    return 1500 + 20 * east - 15 * north + 30 * east**2 + 40 * north**2 - 25 * east * north


@pytest.mark.parametrize("point", [(15.3, 49.4), (15.0, 49.5), (15.4, 50.0), (15.0, 50.0), (15.004, 50.003)])
def test_a_curved_surface_is_met_over_tiles_that_share_no_pixel_and_have_other_widths(
    tmp_path: Path, point: tuple[float, float]
):
    def near(longitude: Field, latitude: Field) -> Field:
        return parabola(longitude - point[0] + 15, latitude - point[1] + 50).clip(-900, 8900)

    wide = {49: 20 * SECOND, 50: 30 * SECOND}
    tiles = [degree(tmp_path, west, south, near, wide=wide[south]) for west in (14, 15) for south in (49, 50)]
    x, y = TO_ZONE.transform(*point)
    box = box_at(round(x, -1) - 1500, round(y, -1) + 1500, 300)
    known = near(*degrees_of(lattice(), box))
    assert np.abs(read_elevation(tiles, lattice(), box) - known).max() < 1e-3
    assert np.abs(read_elevation(tiles, lattice(), box, "bilinear") - known).max() > 1


def holed(folder: Path) -> DemTile:
    """Steep waves of six pixels with a large hole, small ones, and gaps of a single pixel."""
    rows, cols = np.mgrid[:100, :100].astype(float)
    values = 800 + 60 * np.sin(rows * 2 * np.pi / 6.1) * np.cos(cols * 2 * np.pi / 6.3) + 3 * rows
    values[40:60, 40:60] = values[20:22, 70:73] = values[75, 30] = values[30, 20:60:7] = -9999
    place = {"west": 15.0, "north": 46.1, "width": SECOND, "height": SECOND}
    href = write(folder / "holed.tif", values.astype(np.float32), nodata=-9999.0, **place)
    return DemTile(id="holed", bounds=(15, 46.07, 15.03, 46.1), href=href, access=Access())


@pytest.mark.parametrize("pixel", [(32, 35), (50, 2), (21, 72)])
def test_the_surface_does_not_break_off_towards_holes_and_edges_and_has_data_where_a_bilinear_one_has(
    tmp_path: Path, pixel: tuple[int, int]
):
    tile = holed(tmp_path)
    x, y = TO_ZONE.transform(15.0 + pixel[1] * SECOND, 46.1 - pixel[0] * SECOND)
    box = box_at(round(x) - 350, round(y) + 350, 700, 1)
    smooth = read_elevation([tile], lattice(1), box)
    bilinear = read_elevation([tile], lattice(1), box, "bilinear")
    assert np.array_equal(np.isnan(smooth), np.isnan(bilinear))
    assert 0.5 < np.isfinite(smooth).mean() < 1
    for axis in (0, 1):
        steps = np.abs(np.diff(smooth, axis=axis)), np.abs(np.diff(bilinear, axis=axis))
        assert np.nanmax(steps[0]) < 1.2 * np.nanmax(steps[1])
    assert np.nanmax(np.abs(smooth - bilinear)) > 5


def test_pixels_that_lack_data_have_no_weight_and_the_rest_meets_a_plane(tmp_path: Path):
    rows, cols = np.mgrid[:60, :60]
    values = 500.0 + 3 * rows - 2 * cols
    values[25:35, 25:35] = values[10, 40] = 1e20
    place = {"west": 15.0, "north": 46.1, "width": SECOND, "height": SECOND}
    href = write(tmp_path / "plane.tif", values.astype(np.float32), **place)
    tile = DemTile(id="plane", bounds=(15, 46, 15.1, 46.1), href=href, access=Access())
    x, y = TO_ZONE.transform(15.0, 46.1)
    box = box_at(round(x, -1), round(y, -1), 185)
    longitude, latitude = degrees_of(lattice(), box)
    row, col = (46.1 - latitude) / SECOND - 0.5, (longitude - 15) / SECOND - 0.5
    down, right = np.floor(row).astype(int), np.floor(col).astype(int)
    inside = (down >= 0) & (right >= 0) & (down < 59) & (right < 59)
    for r, c in ((0, 0), (0, 1), (1, 0), (1, 1)):
        inside &= values[(down + r).clip(0, 59), (right + c).clip(0, 59)] < 1e19
    assert 0.5 < inside.mean() < 0.99
    found = read_elevation([tile], lattice(), box)
    assert np.abs(found - (500 + 3 * row - 2 * col))[inside].max() < 1e-6


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> list[DemTile]:
    """A tile with holes, one that overlaps it and ends within it, and one that abuts that."""
    folder = tmp_path_factory.mktemp("mixed")

    def other(longitude: Field, latitude: Field) -> Field:
        return 700 + 50 * np.sin(longitude * 90_000) * np.cos(latitude * 70_000)

    place = {"north": 46.1, "width": SECOND, "height": SECOND}
    two = raster(folder, "i", other, (100, 40), west=15.0 + 15 * SECOND, **place)
    three = raster(folder, "j", other, (100, 60), west=15.0 + 55 * SECOND, **place)
    return [holed(folder), two, three]


@pytest.fixture(scope="module")
def undivided(mixed: list[DemTile]) -> tuple[PixelBox, dict[int, Field]]:
    """All of them, and all but the first, over one box around the upper left corner."""
    x, y = TO_ZONE.transform(15.0 - 5 * SECOND, 46.1 + 5 * SECOND)
    whole = box_at(round(x, -1), round(y, -1), 300)
    return whole, {first: read_elevation(mixed[first:][::-1], lattice(), whole) for first in (0, 1)}


@settings(max_examples=40)
@given(part=st.tuples(st.integers(0, 240), st.integers(0, 240), st.integers(1, 60), st.integers(1, 60)))
def test_any_split_gives_the_same_bytes_over_holes_overlaps_and_edges(
    mixed: list[DemTile], undivided: tuple[PixelBox, dict[int, Field]], part: tuple[int, int, int, int]
):
    whole, known = undivided
    row, col = whole.row_start + part[0], whole.col_start + part[1]
    box = PixelBox(row_start=row, row_stop=row + part[2], col_start=col, col_stop=col + part[3])
    for first, surface in known.items():
        assert read_elevation(mixed[first:], lattice(), box).tobytes() == surface[box.within(whole)].tobytes()


@pytest.mark.parametrize("holes", [0.0, 0.3])
def test_reading_elevations_stays_within_the_planned_memory_on_the_finest_model(tmp_path: Path, holes: float):
    values = np.random.default_rng(0).uniform(0, 900, (1400, 1400)).astype(np.float32)
    values[np.random.default_rng(1).random(values.shape) < holes] = np.nan
    place = {"west": X0 - 500, "north": Y0 + 500, "width": 5.0, "height": 5.0, "epsg": 32633}
    href = write(tmp_path / "fine.tif", values, **place)
    tile = DemTile(id="fine", bounds=(14, 45, 16, 47), href=href, access=Access())
    box = box_at(X0, Y0, 600)
    terrain(["elevation", "slope"], [tile], lattice(), box_at(X0, Y0, 8))
    tracemalloc.start()
    terrain(["elevation", "slope"], [tile], lattice(), box)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < TERRAIN_BYTES_PER_PIXEL * box.shape[0] * box.shape[1]
