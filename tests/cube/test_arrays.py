from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import rasterio
import rioxarray  # noqa: F401 registers .rio
import xarray as xr
import zarr
from helpers.cubes import created
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from landslide_scale.bands import NEVER, Reason
from landslide_scale.cube.arrays import VARIABLES, Layer, Slot, objects, quantised, read, stored, write
from landslide_scale.cube.settings import GridConfig
from landslide_scale.cube.template import Template
from landslide_scale.errors import BrokenRunError, RunConflictError
from landslide_scale.grid import Block, Lattice, PixelBox, Zone
from landslide_scale.scene import Window, utc

SIDE = 32
GRID = GridConfig(resolution=10, block=SIDE, chunk=16)
NORTH33 = Lattice(zone=Zone.utm(33, southern=False), resolution=10, block=SIDE)
SOUTH1 = Lattice(zone=Zone.utm(1, southern=True), resolution=10, block=SIDE)
WINDOWS = (
    Window(start=utc("2023-07-01"), end=utc("2023-08-01")),
    Window(start=utc("2023-08-01"), end=utc("2023-08-20T12:00:00")),
)


def blocks(lattice: Lattice, row: int, col: int, *, rows: int = 2, cols: int = 3) -> PixelBox:
    first, last = lattice.box(Block(row=row, col=col)), lattice.box(Block(row=row + rows - 1, col=col + cols - 1))
    return PixelBox(
        row_start=first.row_start, row_stop=last.row_stop, col_start=first.col_start, col_stop=last.col_stop
    )


EXTENTS = {NORTH33: blocks(NORTH33, -16_000, 1600), SOUTH1: blocks(SOUTH1, 3000, 1500)}


def made(url: str, *, sharded: bool = True, extents: Mapping[Lattice, PixelBox] = EXTENTS) -> str:
    created(url, Template(extents=extents, windows=WINDOWS, grid=GRID, sharded=sharded, attributes={"title": "made"}))
    return url


def slot(url: str, row: int = 0, col: int = 0, *, layer: int = 0, lattice: Lattice = NORTH33) -> Slot:
    extent = EXTENTS[lattice]
    box = lattice.box(Block(row=extent.row_start // SIDE + row, col=extent.col_start // SIDE + col))
    return Slot(cube=url, lattice=lattice, extent=extent, box=box, layer=layer)


def a_layer(seed: int = 0) -> Layer:
    generator = np.random.default_rng(seed)
    shape = SIDE, SIDE
    return Layer(
        probability=generator.integers(0, 251, shape).astype(np.uint8),
        clear_count=generator.integers(0, 9, shape).astype(np.uint8),
        observed_on=generator.integers(19_000, 20_000, shape).astype(np.uint16),
        reason=generator.integers(0, 9, shape).astype(np.uint8),
    )


NOTHING = Layer(**{one.name: np.full((SIDE, SIDE), one.fill, one.dtype) for one in VARIABLES})


def same(one: Layer, other: Layer) -> bool:
    return all(np.array_equal(getattr(one, v.name), getattr(other, v.name)) for v in VARIABLES)


def contents(folder: str) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in Path(folder).rglob("*") if path.is_file()}


def shards(url: str) -> set[str]:
    return {name for name in contents(url) if "/c/" in name and name.split("/")[1] in {one.name for one in VARIABLES}}


@pytest.mark.parametrize("sharded", [True, False])
def test_what_is_written_is_read_and_no_other_block_changes(tmp_path: Path, *, sharded: bool):
    url = made(str(tmp_path / "cube.zarr"), sharded=sharded)
    written = {(row, col, layer): a_layer(row + 10 * col + 100 * layer) for row, col, layer in [(0, 0, 0), (1, 2, 1)]}
    for (row, col, layer), content in written.items():
        write(slot(url, row, col, layer=layer), content)
    for row, col, layer in np.ndindex(2, 3, 2):
        found = read(slot(url, row, col, layer=layer))
        assert same(found, written.get((row, col, layer), NOTHING))
        assert found.observed_on.dtype == np.uint16


def test_a_block_is_one_object_per_variable_or_one_per_chunk(tmp_path: Path):
    for sharded, count in ((True, 1), (False, 4)):
        url = made(str(tmp_path / f"{sharded}.zarr"), sharded=sharded)
        write(slot(url), a_layer())
        assert len(shards(url)) == count * len(VARIABLES)


@pytest.mark.parametrize("sharded", [True, False])
def test_what_is_all_fill_is_not_stored_and_reads_as_fill(tmp_path: Path, *, sharded: bool):
    url = made(str(tmp_path / "cube.zarr"), sharded=sharded)
    write(slot(url), NOTHING)
    assert shards(url) == set()
    assert same(read(slot(url)), NOTHING)


def test_a_unit_written_again_replaces_what_was_there_to_the_last_byte(tmp_path: Path):
    url = made(str(tmp_path / "cube.zarr"))
    write(slot(url), a_layer(1))
    once = contents(url)
    write(slot(url), a_layer(2))
    write(slot(url), a_layer(1))
    assert contents(url) == once
    write(slot(url), NOTHING)
    assert shards(url) == set()


def test_what_is_said_of_a_unit_is_of_the_try_that_ended_and_not_of_one_that_failed_in_between(tmp_path: Path):
    url = made(str(tmp_path / "cube.zarr"))
    in_the_way = tmp_path / "cube.zarr" / NORTH33.zone.group / "clear_count" / "c"
    in_the_way.write_bytes(b"no folder")
    with pytest.raises(BrokenRunError):
        write(slot(url), a_layer(1))
    assert shards(url)
    in_the_way.unlink()
    assert write(slot(url), NOTHING) == {}
    assert shards(url) == set()


def test_a_process_that_comes_back_to_a_cube_after_many_others_still_says_what_it_stored(tmp_path: Path):
    first, *others = (made(str(tmp_path / f"{number}.zarr")) for number in range(12))
    before = write(slot(first), a_layer())
    for url in others:
        write(slot(url), a_layer())
    assert before
    assert write(slot(first), a_layer()) == before
    assert write(slot(first, 0, 1), a_layer()).keys() == before.keys()


def test_creating_again_changes_nothing(tmp_path: Path):
    url = made(str(tmp_path / "cube.zarr"))
    write(slot(url), a_layer())
    before = contents(url)
    made(url)
    assert contents(url) == before


@pytest.mark.parametrize(
    "extent",
    [blocks(NORTH33, -16_000, 1601), blocks(NORTH33, -16_001, 1600), blocks(NORTH33, -16_000, 1600, rows=3)],
)
def test_a_cube_of_other_ground_is_not_written_into(tmp_path: Path, extent: PixelBox):
    url = made(str(tmp_path / "cube.zarr"))
    with pytest.raises(RunConflictError, match="other ground"):
        made(url, extents={NORTH33: extent})


def test_a_cube_of_other_windows_is_not_written_into(tmp_path: Path):
    url = made(str(tmp_path / "cube.zarr"))
    later = (WINDOWS[0], Window(start=utc("2023-08-01"), end=utc("2023-09-01")))
    with pytest.raises(RunConflictError, match="windows"):
        created(url, Template(extents=EXTENTS, windows=later, grid=GRID, sharded=True))


LATER = (*WINDOWS, Window(start=utc("2023-09-01"), end=utc("2023-10-01")))


def grown(url: str) -> str:
    created(url, Template(extents=EXTENTS, windows=LATER, grid=GRID, sharded=True, attributes={"title": "made"}))
    return url


def test_a_cube_grows_in_time_and_keeps_what_it_has_to_the_last_byte(tmp_path: Path):
    url = made(str(tmp_path / "cube.zarr"))
    write(slot(url), a_layer(1))
    before = {name: content for name, content in contents(url).items() if name in shards(url)}
    grown(url)
    assert {name: content for name, content in contents(url).items() if name in shards(url)} == before
    write(slot(url, layer=2), a_layer(2))  # in a process that had opened the shorter one
    assert same(read(slot(url)), a_layer(1))
    assert same(read(slot(url, layer=2)), a_layer(2))
    found = xr.open_datatree(url, engine="zarr", chunks=None)["EPSG_32633"].to_dataset()
    assert found.time_bounds.to_numpy()[2].tolist() == [
        np.datetime64(f"2023-{m}-01", "ns").item() for m in ("09", "10")
    ]
    with pytest.raises(RunConflictError, match="days"):
        made(url)


SEASON = (*LATER, Window(start=utc("2024-03-01"), end=utc("2024-05-01"), years=3))


def test_a_season_of_several_years_says_so_and_its_bounds_go_from_the_first_to_the_last(tmp_path: Path):
    url = str(tmp_path / "cube.zarr")
    created(url, Template(extents=EXTENTS, windows=SEASON, grid=GRID, sharded=True, attributes={"title": "made"}))
    for group in xr.open_datatree(url, engine="zarr", chunks=None).children.values():
        assert group["years"].to_numpy().tolist() == [1, 1, 1, 3]
        assert group["time"].to_numpy()[3] == np.datetime64("2024-03-01")
        assert group["time_bounds"].to_numpy()[3].tolist() == [
            np.datetime64(day, "ns").item() for day in ("2024-03-01", "2026-05-01")
        ]
    assert "years" not in xr.open_datatree(grown(str(tmp_path / "plain.zarr")), engine="zarr")["EPSG_32633"]


def test_a_cube_given_a_season_is_the_one_laid_out_with_it_and_grows_on(tmp_path: Path):
    further = (*SEASON, Window(start=utc("2026-05-01"), end=utc("2026-06-01")))
    whole = {}
    for number, windows in enumerate((SEASON, further)):
        url = str(tmp_path / f"whole{number}.zarr")
        created(url, Template(extents=EXTENTS, windows=windows, grid=GRID, sharded=True, attributes={"title": "made"}))
        whole[number] = contents(url)
    url = grown(made(str(tmp_path / "cube.zarr")))
    for number, windows in enumerate((SEASON, further)):
        for _ in range(2):  # as a call that was interrupted at its very end
            created(
                url, Template(extents=EXTENTS, windows=windows, grid=GRID, sharded=True, attributes={"title": "made"})
            )
            assert contents(url) == whole[number]


@pytest.mark.parametrize("sharded", [True, False])
def test_a_unit_is_stored_under_its_own_names_in_the_bytes_and_hashes_that_were_said(tmp_path: Path, *, sharded: bool):
    url = made(str(tmp_path / "cube.zarr"), sharded=sharded)
    said = write(slot(url, 1, 2, layer=1), a_layer())
    names = objects(slot(url, 1, 2, layer=1), SIDE if sharded else GRID.chunk)
    assert {key for keys in names.values() for key in keys} == shards(url)
    for name, keys in names.items():
        found = {key: Path(url, key).read_bytes() for key in keys}
        assert said[name] == stored(found)
        assert said[name]["bytes"] == sum(map(len, found.values()))
        assert stored({key: content[::-1] for key, content in found.items()}) != said[name]
    assert "probability" not in write(slot(url, 0, 0), NOTHING)


def test_a_shard_is_written_over_whatever_is_there(tmp_path: Path):
    url = made(str(tmp_path / "cube.zarr"))
    write(slot(url), a_layer(1))
    whole = contents(url)
    for name in shards(url):
        Path(url, name).write_bytes(b"torn")
    write(slot(url), a_layer(1))
    assert contents(url) == whole


@pytest.mark.parametrize(
    ("rows", "cols", "layer"),
    [
        ((1, 33), (0, 32), 0),
        ((0, 32), (0, 31), 0),
        ((0, 64), (0, 32), 0),
        ((-32, 0), (0, 32), 0),
        ((64, 96), (0, 32), 0),
        ((0, 32), (96, 128), 0),
        ((0, 32), (0, 32), -1),
    ],
)
def test_a_write_that_is_not_one_whole_block_of_the_cube_is_refused(
    tmp_path: Path, rows: tuple[int, int], cols: tuple[int, int], layer: int
):
    url, extent = made(str(tmp_path / "cube.zarr")), EXTENTS[NORTH33]
    box = PixelBox(
        row_start=extent.row_start + rows[0],
        row_stop=extent.row_start + rows[1],
        col_start=extent.col_start + cols[0],
        col_stop=extent.col_start + cols[1],
    )
    with pytest.raises(AssertionError, match="whole shards"):
        write(Slot(cube=url, lattice=NORTH33, extent=extent, box=box, layer=layer), a_layer())
    assert shards(url) == set()


@settings(max_examples=100)
@given(hnp.arrays(np.float32, (4, 5), elements=st.floats(0, 1, width=32) | st.just(float("nan"))))
def test_a_probability_is_kept_to_half_a_step_and_no_data_stays_no_data(probability: NDArray[np.float32]):
    steps = quantised(probability)
    observed = np.isfinite(probability)
    assert (steps[~observed] == 255).all()
    assert (steps[observed] <= 250).all()
    assert np.allclose(steps[observed] * 0.004, probability[observed], atol=0.0021)


@pytest.mark.parametrize("sharded", [True, False])
def test_xarray_opens_the_cube_as_a_tree_and_decodes_it(tmp_path: Path, *, sharded: bool):
    url = made(str(tmp_path / "cube.zarr"), sharded=sharded)
    content = a_layer()
    content.probability[:4] = 255
    content.observed_on[:4] = NEVER
    write(slot(url, 0, 1, layer=1), content)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        tree = xr.open_datatree(url, engine="zarr", chunks=None)
    assert set(tree.children) == {"EPSG_32633", "EPSG_32701"}
    found = tree["EPSG_32633"].to_dataset()
    assert found.probability.dims == ("time", "y", "x")
    part = found.isel(time=1, y=slice(0, SIDE), x=slice(SIDE, 2 * SIDE))
    assert np.isnan(part.probability.values[:4]).all()
    assert np.allclose(part.probability.values[4:], content.probability[4:] * 0.004)
    assert np.isnan(found.probability.isel(time=0)).all()
    assert np.isnat(part.observed_on.values[:4]).all()
    expected = np.datetime64("1970-01-01") + content.observed_on[4:].astype("timedelta64[D]")
    assert (part.observed_on.values[4:] == expected).all()
    assert np.array_equal(part.reason.values, content.reason)
    assert (found.reason.isel(time=0).values == Reason.NOT_SCANNED).all()
    assert (found.clear_count.isel(time=0).values == 0).all()


def test_coordinates_are_pixel_centres_and_times_are_half_open_bounds(tmp_path: Path):
    tree = xr.open_datatree(made(str(tmp_path / "cube.zarr")), engine="zarr", chunks=None)
    for lattice, box in EXTENTS.items():
        found = tree[lattice.zone.group].to_dataset()
        x, y = lattice.centres(box)
        assert np.array_equal(found.x, x)
        assert np.array_equal(found.y, y)
        assert found.time.values.tolist() == [np.datetime64(w.start.replace(tzinfo=None), "ns").item() for w in WINDOWS]
        assert found.time_bounds.values[1, 1] == np.datetime64("2023-08-20T12:00:00")


@pytest.mark.filterwarnings("ignore:Use `@` matmul:PendingDeprecationWarning")  # rioxarray's own
def test_the_grid_mapping_is_understood_by_rioxarray(tmp_path: Path):
    tree = xr.open_datatree(made(str(tmp_path / "cube.zarr")), engine="zarr", chunks=None, decode_coords="all")
    for lattice, box in EXTENTS.items():
        probability = tree[lattice.zone.group].to_dataset().probability
        assert probability.rio.crs.to_epsg() == lattice.zone.epsg
        assert tuple(probability.rio.transform())[:6] == lattice.transform(box)


def test_every_variable_says_what_it_is_in_cf(tmp_path: Path):
    root = zarr.open_group(made(str(tmp_path / "cube.zarr")), mode="r")
    assert root.attrs["Conventions"] == "CF-1.11"
    assert root.attrs["title"] == "made"
    for variable in VARIABLES:
        attributes = root[f"EPSG_32633/{variable.name}"].attrs
        assert attributes["grid_mapping"] == "spatial_ref"
        assert attributes["long_name"]
    flags = root["EPSG_32633/reason"].attrs
    assert flags["flag_values"] == [int(reason) for reason in Reason] == list(range(12))
    assert flags["flag_meanings"].split()[:2] == ["observed", "cloud"]
    assert flags["flag_meanings"].split()[9] == "too_few_clear"
    assert flags["flag_meanings"].split()[11] == "persistent"


def test_a_cube_on_a_remote_store_is_written_and_read():
    url = made("memory://cubes/made.zarr")
    write(slot(url, 1, 1), a_layer(3))
    assert same(read(slot(url, 1, 1)), a_layer(3))
    made(url)
    assert same(read(slot(url, 1, 1)), a_layer(3))


@pytest.mark.parametrize("how", [{}, {"decode_coords": "all"}])
@pytest.mark.parametrize("sharded", [True, False])
@pytest.mark.filterwarnings("ignore:Use `@` matmul:PendingDeprecationWarning")  # rioxarray's own
def test_a_layer_that_is_opened_plainly_or_as_the_readme_says_knows_its_coordinate_system(
    tmp_path: Path, how: dict[str, str], *, sharded: bool
):
    tree = xr.open_datatree(made(str(tmp_path / "cube.zarr"), sharded=sharded), engine="zarr", **how)
    layer = tree["EPSG_32633"].probability.isel(time=0)
    assert layer.rio.crs.to_epsg() == 32633
    layer.rio.to_raster(tmp_path / "layer.tif")
    with rasterio.open(tmp_path / "layer.tif") as written:
        assert written.crs.to_epsg() == 32633
        assert tuple(written.transform)[:6] == NORTH33.transform(EXTENTS[NORTH33])
