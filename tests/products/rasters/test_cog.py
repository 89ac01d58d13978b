"""Rasters as others read them: rasterio, xarray with rioxarray, and the validator of cloud-optimised GeoTIFFs."""

from __future__ import annotations

import multiprocessing
import resource
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import rioxarray
import xarray as xr
from helpers.cubes import Made, layer_of, made
from helpers.disks import small_files
from rio_cogeo import cog_validate

from landslide_scale.cube.arrays import BY_NAME
from landslide_scale.errors import BrokenRunError
from landslide_scale.grid import Block, Lattice, PixelBox, Zone
from landslide_scale.products.rasters.cog import write_raster
from landslide_scale.products.rasters.pyramid import largest, most_frequent
from landslide_scale.products.scanned import Scanned, scanned
from landslide_scale.storage.rundir import RunDirectory

LAYER = 1
NAMES = list(BY_NAME)


@pytest.fixture(scope="module")
def rasters(cube: Scanned, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder, lattice = tmp_path_factory.mktemp("rasters"), next(iter(cube.extents))
    found = {name: folder / f"{name}.tif" for name in NAMES}
    for name, path in found.items():
        write_raster(cube, lattice, LAYER, name, path)
    return found


def zarr_group(cube: Scanned, *, mask_and_scale: bool) -> xr.Dataset:
    url = cube.run.at("cube.zarr")
    return xr.open_zarr(url, group="EPSG_32633", mask_and_scale=mask_and_scale, decode_times=False).isel(time=LAYER)


@pytest.mark.parametrize("name", NAMES)
def test_pixels_and_their_places_are_the_cubes(cube: Scanned, rasters: dict[str, Path], name: str):
    there = rioxarray.open_rasterio(rasters[name]).squeeze("band")
    known = zarr_group(cube, mask_and_scale=False)
    assert there.dtype == known[name].dtype
    np.testing.assert_array_equal(there, known[name])
    np.testing.assert_array_equal(there.x, known.x)
    np.testing.assert_array_equal(there.y, known.y)
    assert there.rio.crs.to_epsg() == 32633
    assert there.rio.transform().e < 0  # north is up
    assert there.rio.nodata == BY_NAME[name].fill


def test_decoded_it_is_probability_and_not_a_number_where_there_is_none(cube: Scanned, rasters: dict[str, Path]):
    there = rioxarray.open_rasterio(rasters["probability"], mask_and_scale=True).squeeze("band")
    known = zarr_group(cube, mask_and_scale=True).probability
    assert np.isnan(known).mean() > 0.3
    np.testing.assert_allclose(there, known, atol=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_it_says_what_it_is(cube: Scanned, rasters: dict[str, Path], name: str):
    said = BY_NAME[name].attributes
    with rasterio.open(rasters[name]) as source:
        assert source.descriptions == (said["long_name"],)
        assert source.scales == (said.get("scale_factor", 1),)
        assert (source.units[0] or "") == said.get("units", "")
        tags, values = source.tags(), source.read(1, masked=True)
        statistics = source.tags(1)
    assert tags["WINDOW"] == cube.windows[LAYER].instants
    assert "not field-validated" in tags["TIFFTAG_IMAGEDESCRIPTION"]
    assert tags["CUBE_SHA256"] == cube.cube_sha256
    assert float(statistics["STATISTICS_MAXIMUM"]) == values.max()
    assert float(statistics["STATISTICS_MEAN"]) == pytest.approx(values.mean())
    assert float(statistics["STATISTICS_STDDEV"]) == pytest.approx(values.std())


@pytest.mark.parametrize("name", NAMES)
def test_every_overview_is_made_of_the_pixels(rasters: dict[str, Path], name: str):
    halved = most_frequent if name == "reason" else largest
    with rasterio.open(rasters[name]) as source:
        assert source.overviews(1) == [2, 4]
        expected = source.read(1)
    for level in range(2):
        expected = halved(expected, BY_NAME[name].fill)
        with rasterio.open(rasters[name], overview_level=level) as source:
            np.testing.assert_array_equal(source.read(1), expected)
    assert expected.shape == (261, 391)


@pytest.mark.parametrize("name", NAMES)
def test_the_validator_finds_nothing(rasters: dict[str, Path], name: str):
    assert cog_validate(rasters[name], strict=True) == (True, [], [])


def test_a_second_time_it_is_the_same_file_and_nothing_is_left_beside_it(
    cube: Scanned, rasters: dict[str, Path], lattice: Lattice, tmp_path: Path
):
    path = tmp_path / "new" / "again.tif"
    for _ in range(2):
        write_raster(cube, lattice, LAYER, "probability", path)
        assert path.read_bytes() == rasters["probability"].read_bytes()
    assert [one.name for one in path.parent.iterdir()] == ["again.tif"]


def small(folder: Path, rows: int, cols: int, probability: float) -> tuple[Scanned, Lattice]:
    """A cube of so many blocks of 64 pixels, the same everywhere."""
    how = Made(block=64, chunk=64)
    lattice = how.lattice(33)
    box = PixelBox(row_start=-520_000, row_stop=-520_000 + 64 * rows, col_start=48_000, col_stop=48_000 + 64 * cols)
    values = np.full((64, 64), probability)
    run = made(folder, how.places({lattice: box}), lambda _: layer_of(values, day=date(2023, 7, 3)), how)
    return scanned(run), lattice


def test_one_as_wide_as_its_tiles_would_be_is_valid_too(tmp_path: Path):
    of, lattice = small(tmp_path / "run", 9, 8, 0.5)
    write_raster(of, lattice, 0, "probability", tmp_path / "a.tif")
    assert cog_validate(tmp_path / "a.tif", strict=True) == (True, [], [])


def test_where_nothing_was_observed_there_is_a_raster_without_data(tmp_path: Path):
    of, lattice = small(tmp_path / "run", 1, 1, float("nan"))
    for name in NAMES:
        write_raster(of, lattice, 0, name, tmp_path / f"{name}.tif")
        with rasterio.open(tmp_path / f"{name}.tif") as source:
            assert (source.read(1) == (1 if name == "reason" else BY_NAME[name].fill)).all()


def test_a_system_whose_first_axis_is_north_is_written_east_first_too(tmp_path: Path):
    how = Made(settings={"grid": {"resolution": 10, "block": 16, "chunk": 16, "crs": 3035}})
    lattice = Lattice(zone=Zone.whole(3035), resolution=10, block=16)
    box = PixelBox(row_start=-300_000, row_stop=-299_984, col_start=400_000, col_stop=400_032)
    of = scanned(made(tmp_path / "run", how.places({lattice: box}), lambda _: layer_of(np.full((16, 16), 0.5)), how))
    write_raster(of, lattice, 0, "probability", tmp_path / "a.tif")
    with rasterio.open(tmp_path / "a.tif") as source:
        assert source.crs.to_epsg() == 3035
        assert tuple(source.bounds) == (4_000_000, 2_999_840, 4_000_320, 3_000_000)
        assert tuple(source.bounds) == lattice.bounds(box)


@pytest.mark.parametrize("lacking", [1, 2, 5, 100, 0.5, 0.9])
def test_a_disk_without_room_ends_it_in_one_line_and_leaves_the_old_file(
    cube: Scanned, rasters: dict[str, Path], lattice: Lattice, tmp_path: Path, lacking: float
):
    whole, path = rasters["probability"].read_bytes(), tmp_path / "probability.tif"
    path.write_bytes(b"old")
    limit = len(whole) - int(lacking if lacking >= 1 else lacking * len(whole))
    with small_files(limit), pytest.raises(BrokenRunError, match="cannot be written") as caught:
        write_raster(cube, lattice, LAYER, "probability", path)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)
    assert {one.name: one.read_bytes() for one in tmp_path.iterdir()} == {"probability.tif": b"old"}


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_ten_times_the_blocks_take_no_more_memory(tmp_path: Path):
    peaks = [peak_of(wide_run(tmp_path / f"run{rows}", rows, cols), tmp_path) for rows, cols in ((2, 2), (10, 4))]
    assert peaks[1] <= 1.1 * peaks[0], peaks


def wide_run(folder: Path, rows: int, cols: int) -> str:
    """A cube of so many blocks as large as they are by default."""
    how = Made(block=2048, chunk=512)
    lattice = how.lattice(33)
    first = lattice.box(Block(row=-254, col=20))
    box = replace(first, row_stop=first.row_start + rows * 2048, col_stop=first.col_start + cols * 2048)
    noise = np.random.default_rng(0).random((2048, 2048)) ** 8
    made(folder, how.places({lattice: box}), lambda _: layer_of(noise), how)
    return str(folder)


def peak_of(run: str, folder: Path) -> int:
    """Kilobytes that a process of its own held at most while it wrote rasters of a run."""
    spawn = multiprocessing.get_context("spawn")
    receives, sends = spawn.Pipe(duplex=False)
    process = spawn.Process(target=_write, args=(run, folder / "wide.tif", sends))
    process.start()
    assert receives.poll(300)
    peak: int = receives.recv()
    process.join()
    return peak


def _write(run: str, path: Path, sends: Any) -> None:  # noqa: ANN401 a connection of a context
    of = scanned(RunDirectory(run))
    for name in ("probability", "observed_on", "reason"):
        write_raster(of, next(iter(of.extents)), 0, name, path)
    sends.send(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
