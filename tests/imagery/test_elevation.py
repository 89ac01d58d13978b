"""Elevation on the lattice: exact on a plane, the same over the edges of tiles, refused where a file is odd."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from helpers.dems import SECOND, Field, by_keys, degree, raster, write
from hypothesis import given, settings
from hypothesis import strategies as st
from pyproj import Transformer
from scipy.interpolate import RegularGridInterpolator

from landslide_scale.errors import PermanentReadError
from landslide_scale.grid import Lattice, PixelBox, Zone
from landslide_scale.imagery.elevation import read_elevation
from landslide_scale.reading.geotiff import MAX_SIDE
from landslide_scale.scene import Access
from landslide_scale.stac.dem import DemIndex, DemTile

ROUNDING_M = 1e-3
"""Tiles hold float32: half a step is 6e-5 m at 1000 m, 2.5e-4 m at 5000 m."""


def lattice(number: int = 33, resolution: int = 10) -> Lattice:
    return Lattice(zone=Zone.utm(number, southern=False), resolution=resolution, block=64)


def box_at(of: Lattice, longitude: float, latitude: float, side: int = 60) -> PixelBox:
    """A square of pixels around a point."""
    x, y = Transformer.from_crs(4326, of.zone.epsg, always_xy=True).transform(longitude, latitude)
    x0, y0 = of.zone.origin
    row, col = int((y0 - y) // of.resolution) - side // 2, int((x - x0) // of.resolution) - side // 2
    return PixelBox(row_start=row, row_stop=row + side, col_start=col, col_stop=col + side)


def degrees_of(of: Lattice, box: PixelBox) -> tuple[Field, Field]:
    x, y = np.meshgrid(*of.centres(box))
    return Transformer.from_crs(of.zone.epsg, 4326, always_xy=True).transform(x, y)


def plane(longitude: Field, latitude: Field) -> Field:
    return 1500 + 900 * (longitude - 15) - 700 * (latitude - 49.5)


@pytest.fixture(scope="module")
def four(tmp_path_factory: pytest.TempPathFactory) -> list[DemTile]:
    """The four tiles around 15 E, 50 N: north of it GLO-30's pixels are half as wide again."""
    folder = tmp_path_factory.mktemp("four")
    return [
        degree(folder, west, south, plane, wide=(30 if south == 50 else 20) * SECOND)
        for west in (14, 15)
        for south in (49, 50)
    ]


@pytest.mark.parametrize("point", [(15.3, 49.4), (15.0, 49.5), (15.4, 50.0), (15.0, 50.0), (15.004, 50.003)])
def test_a_plane_is_met_everywhere_over_the_edges_of_tiles_that_share_no_pixel_too(
    four: list[DemTile], point: tuple[float, float]
):
    box = box_at(lattice(), *point, side=300)
    found = read_elevation(four, lattice(), box)
    assert np.abs(found - plane(*degrees_of(lattice(), box))).max() < ROUNDING_M


def test_tiles_that_abut_give_what_the_undivided_raster_gives(tmp_path: Path):
    rough = np.random.default_rng(3).uniform(0, 3000, (80, 80))
    west, north, step = 15.0 - 40 * SECOND, 46.0 + 40 * SECOND, SECOND

    def part(name: str, rows: slice, cols: slice) -> DemTile:
        corner = {"west": west + cols.start * step, "north": north - rows.start * step}
        href = write(tmp_path / f"{name}.tif", rough[rows, cols].astype(np.float32), **corner, width=step, height=step)
        return DemTile(id=name, bounds=(14, 45, 16, 47), href=href, access=Access())

    cuts = (slice(0, 33), slice(33, 80))
    tiles = [part(f"{r}{c}", cuts[r], cuts[c]) for r in (0, 1) for c in (0, 1)]
    box = box_at(lattice(), 15.0, 46.0, side=90)
    longitude, latitude = degrees_of(lattice(), box)
    at = (north - latitude) / step - 0.5, (longitude - west) / step - 0.5
    undivided = rough.astype(np.float32).astype(float)
    # A position is known to about 1e-9 of a pixel, over which this surface changes by 3000 m.
    assert np.abs(read_elevation(tiles, lattice(), box) - by_keys(undivided, *at)).max() < 1e-4
    linear = RegularGridInterpolator((np.arange(80), np.arange(80)), undivided)
    assert np.abs(read_elevation(tiles, lattice(), box, "bilinear") - linear(at)).max() < 1e-4


@settings(max_examples=25)
@given(part=st.tuples(st.integers(0, 80), st.integers(0, 80), st.integers(1, 40), st.integers(1, 40)))
def test_a_value_does_not_depend_on_the_box_nor_on_the_tiles_that_the_box_knows(
    four: list[DemTile], part: tuple[int, int, int, int]
):
    whole = box_at(lattice(), 15.0, 50.0, side=120)
    row, col = whole.row_start + part[0], whole.col_start + part[1]
    box = PixelBox(row_start=row, row_stop=row + part[2], col_start=col, col_stop=col + part[3])
    few = DemIndex(four).reaching(lattice(), box)
    found = read_elevation(few, lattice(), box)
    assert found.tobytes() == read_elevation(four, lattice(), whole)[box.within(whole)].tobytes()


def test_both_sides_of_the_antimeridian_are_one_ground(tmp_path: Path):
    def round_the_globe(longitude: Field, latitude: Field) -> Field:
        return 500 + 100 * np.cos(np.radians(longitude - 180)) + 50 * (latitude + 17)

    tiles = [degree(tmp_path, west, -18, round_the_globe) for west in (179, -180, 0, 178, -179)]
    for number in (60, 1):
        of = Lattice(zone=Zone.utm(number, southern=True), resolution=10, block=64)
        x, y = Transformer.from_crs(4326, of.zone.epsg, always_xy=True).transform(180.0, -17.5)
        row, col = int((10_000_000 - y) // 10), int(x // 10)
        box = PixelBox(row_start=row - 100, row_stop=row + 100, col_start=col - 100, col_stop=col + 100)
        reaching = DemIndex(tiles).reaching(of, box)
        assert [tile.id for tile in reaching] == ["made_S18_E179", "made_S18_W180"]
        longitude, latitude = degrees_of(of, box)
        assert np.abs(read_elevation(reaching, of, box) - round_the_globe(longitude, latitude)).max() < ROUNDING_M


def test_a_tile_is_known_just_beyond_its_edge_where_it_is_interpolated_with_and_not_far_from_it(four: list[DemTile]):
    index = DemIndex(four)
    beside = box_at(lattice(), 15.004, 49.5, side=10)  # 300 m east of the edge
    far = box_at(lattice(), 15.2, 49.5, side=10)
    assert [tile.id for tile in index.reaching(lattice(), beside)] == ["made_N49_E014", "made_N49_E015"]
    assert [tile.id for tile in index.reaching(lattice(), far)] == ["made_N49_E015"]


@pytest.mark.parametrize(
    ("hole", "profile"),
    [(-9999.0, {"nodata": -9999.0}), (np.nan, {}), (-32767.0, {}), (1e20, {}), (0.0, {"nodata": 0.0})],
)
def test_what_holds_no_data_is_none_and_draws_no_neighbour_towards_it(
    tmp_path: Path, hole: float, profile: dict[str, float]
):
    values = np.full((100, 100), 800, np.float32)
    values[40:60, 40:60] = hole
    west, north = 15.0, 46.1
    path = write(tmp_path / "hole.tif", values, west=west, north=north, width=SECOND, height=SECOND, **profile)
    tile = DemTile(id="hole", bounds=(west, north - 0.03, west + 0.03, north), href=path, access=Access())
    box = box_at(lattice(), west + 50 * SECOND, north - 50 * SECOND, side=150)
    found = read_elevation([tile], lattice(), box)
    longitude, latitude = degrees_of(lattice(), box)
    row, col = (north - latitude) / SECOND - 0.5, (longitude - west) / SECOND - 0.5
    # The centres of the hole's outer pixels are at 40 and 59: inside them nothing holds any weight.
    inside = (row >= 40) & (row <= 59) & (col >= 40) & (col <= 59)
    outside = (row < 39.4) | (row > 59.6) | (col < 39.4) | (col > 59.6)
    assert np.isnan(found[inside]).all()
    assert (np.abs(found[outside] - 800) < 1e-9).all()
    assert np.nanmax(np.abs(found - 800)) < 1e-9


def test_ground_without_a_tile_has_no_elevation_and_no_tiles_give_none(four: list[DemTile]):
    box = box_at(lattice(), 15.0, 49.5, side=80)
    found = read_elevation([tile for tile in four if "E015" in tile.id], lattice(), box)
    longitude, _ = degrees_of(lattice(), box)
    # The first column's centres lie on 15 E; half a pixel beyond them the ground still has its value.
    assert np.array_equal(np.isnan(found), longitude < 15 - 10 * SECOND)
    assert np.isnan(read_elevation([], lattice(), box)).all()


def test_where_tiles_overlap_the_first_by_id_decides_whatever_their_order(tmp_path: Path):
    place = {"west": 15.0, "north": 46.1, "width": SECOND, "height": SECOND}
    low = raster(tmp_path, "a", lambda x, _: np.full_like(x, 100), (100, 60), **place)
    high = raster(tmp_path, "b", lambda x, _: np.full_like(x, 200), (100, 100), **place)
    box = box_at(lattice(), 15.0 + 50 * SECOND, 46.1 - 50 * SECOND, side=100)
    found = read_elevation([high, low], lattice(), box)
    col = (degrees_of(lattice(), box)[0] - 15.0) / SECOND - 0.5
    assert (np.abs(found[col <= 59] - 100) < 1e-9).all()
    assert (np.abs(found[col >= 60] - 200) < 1e-9).all()
    assert ((found > 100 - 1e-9) & (found < 200 + 1e-9)).all()


@pytest.mark.parametrize("epsg", [32633, 32632, 3035])
def test_a_model_in_metres_is_read_whatever_its_system_and_the_shape_of_its_pixels(tmp_path: Path, epsg: int):
    box = box_at(lattice(), 15.0, 46.0)
    x, y = np.meshgrid(*lattice().centres(box))
    x, y = Transformer.from_crs(32633, epsg, always_xy=True).transform(x, y)

    def tilted(x: Field, y: Field) -> Field:
        return 1000 + 0.3 * (x - west) - 0.2 * (y - north)

    west, north = float(x.min()) - 333, float(y.max()) + 217
    tile = raster(tmp_path, "metres", tilted, (80, 60), west=west, north=north, width=25, height=17.5, epsg=epsg)
    assert np.abs(read_elevation([tile], lattice(), box) - tilted(x, y)).max() < ROUNDING_M


def test_whole_metres_and_files_whose_corner_is_a_pixels_centre_are_read(tmp_path: Path):
    longitude = 15.0 + np.arange(100) * SECOND  # what the file calls its points, as GLO-30 does
    values = np.tile(np.round(1000 * np.arange(100)).astype(np.int16) // 100, (100, 1))
    path = write(tmp_path / "points.tif", values, west=15.0, north=46.1, width=SECOND, height=SECOND)
    with rasterio.open(path, "r+") as changed:
        changed.update_tags(AREA_OR_POINT="Point")
    tile = DemTile(id="points", bounds=(15, 46, 15.1, 46.1), href=path, access=Access())
    with rasterio.open(path) as opened:
        shift = opened.transform.c - 15.0
    box = box_at(lattice(), 15.0 + 50 * SECOND, 46.1 - 50 * SECOND)
    known = np.interp(degrees_of(lattice(), box)[0], longitude + SECOND / 2 + shift, values[0].astype(float))
    assert np.abs(read_elevation([tile], lattice(), box) - known).max() < 1e-6


# What is refused


PLACE = {"west": 15.0, "north": 46.1, "width": SECOND, "height": SECOND}


def made(folder: Path, kind: type = np.float32, **changes: object) -> str:
    """A good file but for what is said."""
    settings: dict[str, Any] = PLACE | changes
    return write(folder / "made.tif", np.full((64, 64), 500, kind), **settings)


def with_tags(folder: Path, **tags: object) -> str:
    path = made(folder)
    with rasterio.open(path, "r+") as changed:
        for name, value in tags.items():
            setattr(changed, name, value)
    return path


def with_mask(folder: Path) -> str:
    path = made(folder)
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True), rasterio.open(path, "r+") as changed:
        changed.write_mask(np.zeros((64, 64), bool))
    return path


def huge(folder: Path) -> str:
    profile = {"width": MAX_SIDE + 1, "height": 100, "count": 1, "dtype": "float32", "crs": "EPSG:4326", "tiled": True}
    profile |= {"transform": rasterio.Affine(SECOND, 0, 15, 0, -SECOND, 46.1), "SPARSE_OK": True}
    with rasterio.open(folder / "made.tif", "w", driver="GTiff", **profile):
        pass
    return str(folder / "made.tif")


def vrt(folder: Path) -> str:
    source = made(folder / "outside")
    (folder / "made.tif").write_text(
        '<VRTDataset rasterXSize="64" rasterYSize="64"><VRTRasterBand dataType="Float32" band="1">'
        f"<SimpleSource><SourceFilename>{source}</SourceFilename></SimpleSource></VRTRasterBand></VRTDataset>"
    )
    return str(folder / "made.tif")


REFUSED: dict[str, tuple[Callable[[Path], str], str]] = {
    "digital numbers": (lambda f: made(f, kind=np.uint16), "uint16"),
    "two bands": (lambda f: made(f, count=2), "2 band"),
    "a codec that is not bounded": (lambda f: made(f, compress="LERC"), "lerc"),
    "huge": (huge, "40001"),
    "a block too large": (lambda f: made(f, blockxsize=8192, blockysize=8192), "8192"),
    "a VRT named tif": (vrt, "readable GeoTIFF"),
    "turned": (lambda f: made(f, transform=rasterio.Affine(SECOND, 1e-5, 15, 1e-5, -SECOND, 46)), "transform"),
    "south up": (lambda f: made(f, height=-SECOND), "transform"),
    "grads": (lambda f: made(f, epsg=4807), "grad"),
    "feet on the ground": (lambda f: made(f, epsg=2263, width=100, height=100), "US survey foot"),
    "feet above the sea": (lambda f: with_tags(f, units=("ft",)), "'ft'"),
    "decimetres": (lambda f: with_tags(f, scales=(0.1,)), "scale 0.1"),
    "a mask": (with_mask, "mask"),
    "coarser than a kilometre": (lambda f: made(f, width=0.01, height=0.01), "pixels of"),
    "finer than five metres": (lambda f: made(f, width=1e-5, height=1e-5), "pixels of"),
    "off the globe": (lambda f: made(f, north=460.0), "pixels of"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_file_that_is_no_elevation_model_is_refused_by_tile_and_file(tmp_path: Path, name: str):
    make, said = REFUSED[name]
    tile = DemTile(id="made", bounds=(15, 46, 15.1, 46.1), href=make(tmp_path), access=Access())
    with pytest.raises(PermanentReadError) as caught:
        read_elevation([tile], lattice(), box_at(lattice(), 15.005, 46.095))
    assert said.lower() in str(caught.value).lower()
    assert caught.value.where == {"dem": "made", "file": tile.href}


def test_a_lattice_so_coarse_that_its_centres_would_be_a_chance_sample_is_refused(tmp_path: Path):
    tile = DemTile(id="made", bounds=(15, 46, 15.1, 46.1), href=made(tmp_path), access=Access())
    with pytest.raises(PermanentReadError, match="cop-dem-glo-90"):
        read_elevation([tile], lattice(resolution=100), box_at(lattice(resolution=100), 15.005, 46.095, side=4))
