"""What others read of a cube: the same values and the same coordinate system, whatever opens it, without options."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import rioxarray  # noqa: F401 registers .rio
import xarray as xr
import zarr
from helpers.cubes import created
from numpy.typing import NDArray
from rasterio.errors import RasterioIOError

from landslide_scale.cube.arrays import VARIABLES, Layer, Slot, write
from landslide_scale.cube.settings import GridConfig
from landslide_scale.cube.template import Template
from landslide_scale.grid import Block, Lattice, PixelBox, Zone
from landslide_scale.scene import Window, utc

pytestmark = pytest.mark.filterwarnings("ignore:Use `@` matmul:PendingDeprecationWarning")  # rioxarray's own

SIDE = 32
GRID = GridConfig(resolution=10, block=SIDE, chunk=16)
LATTICES = (
    Lattice(zone=Zone.utm(33, southern=False), resolution=10, block=SIDE),
    Lattice(zone=Zone.utm(1, southern=True), resolution=10, block=SIDE),
)
BLOCKS = dict(zip(LATTICES, (Block(row=-16_000, col=1600), Block(row=3000, col=1500)), strict=True))
WINDOW = Window(start=utc("2023-07-01"), end=utc("2023-08-01"))
NAMES = (*(variable.name for variable in VARIABLES), "red")
GDAL = tuple(map(int, re.findall(r"\d+", rasterio.__gdal_version__)[:2]))


def extent(lattice: Lattice) -> PixelBox:
    """One block high, two wide."""
    first = lattice.box(BLOCKS[lattice])
    return PixelBox(
        row_start=first.row_start,
        row_stop=first.row_stop,
        col_start=first.col_start,
        col_stop=first.col_stop + SIDE,
    )


def laid_out(url: Path, *, sharded: bool = True) -> None:
    extents = {lattice: extent(lattice) for lattice in LATTICES}
    created(
        str(url),
        Template(
            extents=extents, windows=(WINDOW,), grid=GRID, sharded=sharded, attributes={"title": "made"}, bands=("red",)
        ),
    )


@pytest.fixture(scope="module", params=[True, False], ids=["sharded", "plain"])
def cube(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cube of two zones; the second of its blocks is nowhere written."""
    url = tmp_path_factory.mktemp("cube") / "cube.zarr"
    laid_out(url, sharded=request.param)
    generator = np.random.default_rng(0)
    for lattice in LATTICES:
        values = {one.name: generator.integers(0, 9, (SIDE, SIDE)).astype(one.dtype) for one in VARIABLES}
        layer = Layer(**values, bands={"red": generator.integers(0, 60_000, (SIDE, SIDE)).astype(np.uint16)})
        box = lattice.box(BLOCKS[lattice])
        write(Slot(cube=str(url), lattice=lattice, extent=extent(lattice), box=box, layer=0, bands=("red",)), layer)
    return url


def stored(cube: Path, lattice: Lattice, name: str) -> NDArray[Any]:
    """The stored numbers (1, H, W), by zarr-python."""
    values = np.asarray(zarr.open_array(str(cube), mode="r", path=f"{lattice.zone.group}/{name}"))
    assert (values[..., :SIDE] != values[..., SIDE:]).any()
    return values


@pytest.mark.parametrize("lattice", LATTICES)
def test_xarray_has_the_coordinate_system_of_every_variable_without_options(cube: Path, lattice: Lattice):
    group = lattice.zone.group
    for found in (
        xr.open_datatree(cube, engine="zarr")[group].to_dataset(),
        xr.open_zarr(cube, group=group),
        xr.open_dataset(cube, engine="zarr", group=group),
    ):
        assert "spatial_ref" in found.coords
        for one in (found, *(found[name].isel(time=0) for name in NAMES)):
            assert one.rio.crs.to_epsg() == lattice.zone.epsg
            assert tuple(one.rio.transform())[:6] == lattice.transform(extent(lattice))
    for name in NAMES:
        raw = xr.open_zarr(cube, group=group, mask_and_scale=False, decode_times=False)[name]
        assert np.array_equal(raw, stored(cube, lattice, name))


def test_a_kept_band_is_opened_as_reflectance(cube: Path):
    steps = stored(cube, LATTICES[0], "red")
    found = xr.open_zarr(cube, group=LATTICES[0].zone.group).red.to_numpy()
    assert np.allclose(found[..., :SIDE], steps[..., :SIDE] * 0.0001 - 0.1)
    assert np.isnan(found[..., SIDE:]).all()


@pytest.mark.parametrize("lattice", LATTICES)
def test_every_group_and_variable_says_where_it_lies_by_the_conventions_proj_and_spatial(cube: Path, lattice: Lattice):
    conventions = pytest.importorskip("zarr_cm", reason="zarr-cm, which knows the conventions, is not installed")
    box = extent(lattice)
    for node in ("", *NAMES):
        content = json.loads((cube / lattice.zone.group / node / "zarr.json").read_text())
        for convention in (conventions.proj, conventions.spatial):
            convention.validate_node_metadata(content)
            assert convention.detect(content["attributes"]) == convention.LATEST
        said = content["attributes"]
        assert said["proj:code"] == f"EPSG:{lattice.zone.epsg}"
        assert rasterio.crs.CRS.from_wkt(said["proj:wkt2"]).to_epsg() == lattice.zone.epsg
        assert said["spatial:shape"] == list(box.shape)
        assert tuple(said["spatial:transform"]) == lattice.transform(box)
        assert tuple(said["spatial:bbox"]) == lattice.bounds(box)
        # GDAL 3.13.3 crashes over the dimensions of a group.
        assert said.get("spatial:dimensions") == (["y", "x"] if node else None)


@pytest.mark.parametrize("name", NAMES)
def test_tensorstore_reads_the_same_numbers(cube: Path, name: str):
    tensorstore = pytest.importorskip("tensorstore", reason="TensorStore is not installed", exc_type=ImportError)
    path = cube / LATTICES[0].zone.group / name
    array = tensorstore.open({"driver": "zarr3", "kvstore": {"driver": "file", "path": str(path)}}, read=True).result()
    assert array.domain.labels == ("time", "y", "x")
    assert np.array_equal(array.read().result(), stored(cube, LATTICES[0], name))


@pytest.mark.parametrize("name", NAMES)
def test_gdal_reads_plain_chunks_from_3_11_on_and_shards_from_3_13_on(cube: Path, name: str):
    lattice = LATTICES[0]
    sharded = zarr.open_array(str(cube), mode="r", path=f"{lattice.zone.group}/{name}").shards is not None
    address = f'ZARR:"{cube}":/{lattice.zone.group}/{name}'
    if ((3, 13) if sharded else (3, 11)) > GDAL:
        with pytest.raises(RasterioIOError, match="Unsupported codec"):
            rasterio.open(address)
        return
    with rasterio.open(address) as opened:
        assert opened.crs.to_epsg() == lattice.zone.epsg
        assert tuple(opened.transform)[:6] == lattice.transform(extent(lattice))
        assert np.array_equal(opened.read(), stored(cube, lattice, name))


def nodes(url: Path) -> dict[str, dict[str, Any]]:
    return {str(path.relative_to(url)): json.loads(path.read_text()) for path in sorted(url.rglob("zarr.json"))}


def test_a_cube_of_before_gains_what_it_lacks_once_it_is_gone_on_with_and_keeps_what_it_says(tmp_path: Path):
    url = tmp_path / "cube.zarr"
    laid_out(url)
    whole = nodes(url)
    for path in url.rglob("zarr.json"):
        content = json.loads(path.read_text())
        content.pop("consolidated_metadata", None)
        said = content["attributes"]
        for key in [key for key in said if ":" in key or key in {"zarr_conventions", "coordinates"}]:
            del said[key]
        if "long_name" in said:
            said["long_name"] = "as it was said before"
        path.write_text(json.dumps(content))
    before = nodes(url)
    laid_out(url)
    for name, content in nodes(url).items():
        assert content["attributes"] == whole[name]["attributes"] | before[name]["attributes"]
    assert xr.open_zarr(url, group=LATTICES[0].zone.group).rio.crs.to_epsg() == 32633
