"""Units in the order in which their ground is likely to have failed; none is left out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio
import shapely
from helpers.webserver import Answer, site
from hypothesis import given
from hypothesis import strategies as st
from scipy.io import netcdf_file

from landslide_scale.errors import FeedAwayError, InvalidFeedError, PermanentReadError
from landslide_scale.events.detail import LandslideModel
from landslide_scale.events.failure import mean_probability, read_model
from landslide_scale.reading.geographic import Geographic, parse_grd
from landslide_scale.scene import Access

HERE = Access(hosts=("127.0.0.1",), named=("127.0.0.1",), section="events")

MADE = Geographic(
    values=np.array([[0.1, 0.2, np.nan], [0.3, 0.4, np.nan]], np.float32), west=10.0, north=50.0, dx=1.0, dy=1.0
)


def model(address: str, file: str) -> LandslideModel:
    return LandslideModel(name="jessee_2018", file=file, address=f"{address}/{file}", shakemap_version="1")


@pytest.mark.parametrize(
    ("bounds", "mean"),
    [
        ((10, 48, 12, 50), 0.25),
        ((10, 49, 11, 50), 0.1),
        ((11, 48, 13, 50), 0.15),  # half of it sea
        ((12, 48, 13, 50), 0.0),
        ((11.4, 48.4, 11.6, 48.6), 0.4),
        ((11.8, 48.8, 11.9, 48.9), 0.4),  # smaller than a cell, beside its middle
        ((8, 48, 12, 50), 0.125),  # half of it beyond the model
        ((0, 0, 1, 1), 0.0),
        ((20, 48, 21, 50), 0.0),
    ],
)
def test_the_mean_is_the_share_of_the_ground_that_is_expected_to_fail(bounds: tuple[float, ...], mean: float):
    assert mean_probability(shapely.box(*bounds), MADE) == pytest.approx(mean)


def test_a_real_model_is_read_where_it_lies(usgs: Path):
    content = (usgs / "groundfailure/jessee_2018.grd").read_bytes()
    found = parse_grd(content)
    with netcdf_file(usgs / "groundfailure/jessee_2018.grd", mmap=False) as grid:
        x, y, z = (grid.variables[name][:].copy() for name in "xyz")
    assert found.values.shape == (337, 578)
    assert np.nanmax(found.values) == pytest.approx(0.2408034, abs=1e-6)
    assert (found.west, found.north) == (pytest.approx(x[0] - found.dx / 2), pytest.approx(y[-1] + found.dy / 2))
    row, col = np.unravel_index(np.nanargmax(z), z.shape)  # south first
    at = shapely.Point(x[col], y[row]).buffer(found.dx / 4)
    assert mean_probability(at, found) == pytest.approx(float(z[row, col]), abs=1e-6)


def test_a_real_model_puts_steep_ground_before_the_valley_and_the_sea(usgs: Path):
    grid = parse_grd((usgs / "groundfailure/jessee_2018.grd").read_bytes())
    units = {
        "sea": shapely.box(-122.4, 36.6, -122.3, 36.7),
        "Santa Cruz Mountains": shapely.box(-122.05, 37.05, -121.95, 37.15),
        "Salinas Valley": shapely.box(-121.7, 36.7, -121.6, 36.8),
    }
    likely = {name: mean_probability(ground, grid) for name, ground in units.items()}
    assert sorted(likely, key=likely.__getitem__) == ["sea", "Salinas Valley", "Santa Cruz Mountains"]


def geotiff(path: Path, values: np.ndarray, **changes: object) -> bytes:
    known = {"crs": "EPSG:4326", "transform": rasterio.Affine(0.5, 0, 10, 0, -0.25, 50), "compress": "lzw"}
    rows, cols = values.shape
    profile = {"driver": "GTiff", "width": cols, "height": rows, "count": 1, "dtype": values.dtype} | known | changes
    with rasterio.open(path, "w", **profile) as target:
        target.write(values, 1)
    return path.read_bytes()


VALUES = np.array([[0.1, 0.2], [-9999, 0.4]], np.float32)


def test_a_geotiff_is_read_over_http_as_it_is_published(tmp_path: Path):
    content = geotiff(tmp_path / "a.tif", VALUES, nodata=-9999)
    with site(lambda _: Answer(content=content)) as server:
        found = read_model(model(server.address, "jessee_2018_model.tif"), HERE)
    np.testing.assert_array_equal(found.values, np.where(VALUES < 0, np.nan, VALUES))
    assert (found.west, found.north, found.dx, found.dy, found.east, found.south) == (10, 50, 0.5, 0.25, 11, 49.5)


def test_a_grid_of_gmt_is_read_over_http(usgs: Path):
    content = (usgs / "groundfailure/jessee_2018.grd").read_bytes()
    with site(lambda _: Answer(content=content)) as server:
        assert read_model(model(server.address, "jessee_2018.grd"), HERE).values.shape == (337, 578)


@pytest.mark.parametrize(
    "changes",
    [{"crs": "EPSG:32633"}, {"crs": None}, {"transform": rasterio.Affine(0.5, 0, 10, 0, 0.25, 50)}, {"nodata": None}],
)
def test_a_geotiff_of_something_else_is_refused(changes: dict[str, object], tmp_path: Path):
    content = geotiff(tmp_path / "a.tif", VALUES, **{"nodata": -9999, **changes})
    with site(lambda _: Answer(content=content)) as server, pytest.raises(InvalidFeedError):
        read_model(model(server.address, "jessee_2018_model.tif"), HERE)


@pytest.mark.usefixtures("at_once")
@pytest.mark.parametrize("file", ["jessee_2018_model.tif", "jessee_2018.grd"])
def test_a_model_that_is_away_may_come_back_and_one_that_is_not_there_does_not(file: str):
    with site(lambda _: Answer(status=503)) as server, pytest.raises(FeedAwayError):
        read_model(model(server.address, file), HERE)
    with site(lambda _: Answer(status=404)) as server, pytest.raises(InvalidFeedError):
        read_model(model(server.address, file), HERE)
    with site(lambda _: Answer(content=b"<html>")) as server, pytest.raises(InvalidFeedError):
        read_model(model(server.address, file), HERE)


@given(st.binary(max_size=400))
def test_any_bytes_are_a_grid_or_are_refused(content: bytes):
    for start in (b"", b"CDF\x01\x00\x00\x00\x00\x00\x00\x00\x0a\x00\x00\x00\x02"):
        with pytest.raises(PermanentReadError):
            parse_grd(start + content)


def test_a_grid_that_is_cut_off_is_refused(usgs: Path):
    content = (usgs / "groundfailure/jessee_2018.grd").read_bytes()
    for size in (10, 100, 1000, 5000, 100_000, len(content) - 9000):
        with pytest.raises(PermanentReadError):
            parse_grd(content[:size])
