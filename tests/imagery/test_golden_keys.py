"""The golden matrix, continued: Items in files through ``plain``, and what ``composite`` and ``windows`` do with them.

Everything that is expected is worked out here, from the numbers that were written into the files, pixel by pixel.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rustac
import shapely
from helpers.scenes import cog, item
from numpy.typing import NDArray
from pyproj import Transformer

from landslide_scale.bands import NEVER, Reason
from landslide_scale.cube.settings import GridConfig
from landslide_scale.grid import PatchLattice
from landslide_scale.imagery.observe import observe
from landslide_scale.imagery.settings import CompositeConfig
from landslide_scale.scan.plan import Plan, make
from landslide_scale.scene import Window, utc
from landslide_scale.stac.items import scenes
from landslide_scale.stac.search import search
from landslide_scale.stac.settings import CatalogConfig

WEST, NORTH, SIDE = 500_060, 5_100_000, 240
"""Metres; a tile that begins a third of a cell off lattices of 60 m."""

GROUND = shapely.box(
    *Transformer.from_crs(32633, 4326, always_xy=True).transform_bounds(WEST, NORTH - SIDE, WEST + SIDE, NORTH)
)
BANDS = ("red", "nir")
FLAG = "earthsearch:boa_offset_applied"
MSFT = "S2A_OPER_MSI_L2A_DS_MSFT_20230818T143300_S{}_N05.09"
"""Of the parts of one tile that Planetary Computer has: a datastrip that starts as the datatake does."""

Numbers = NDArray[np.uint16]
Classes = NDArray[np.uint8]


@dataclass(frozen=True, kw_only=True)
class Look:
    """One Item: what it is of, numbers (2, 24, 24) of 10 m, and classes (12, 12) of 20 m."""

    name: str
    day: str
    numbers: Numbers
    classes: Classes
    cloud: float
    generated: str = "2023-09-18T14:33:00Z"


def look(name: str, day: str, seed: int, **changes: Any) -> Look:  # noqa: ANN401
    """Random numbers of more than 1000; most of it clear, some cloud, and a corner that the swath does not reach."""
    generator = np.random.default_rng(seed)
    classes = generator.choice([4, 5, 6, 9], (12, 12), p=[0.4, 0.3, 0.15, 0.15]).astype(np.uint8)
    rows, cols = np.mgrid[:12, :12]
    classes[rows + cols < seed % 7] = 0
    numbers = generator.integers(1100, 9000, (2, 24, 24)).astype(np.uint16)
    made = Look(name=name, day=day, numbers=numbers, classes=classes, cloud=float(10 * (seed * 5 % 7)))
    return replace(made, **changes)


def cut(one: Look, columns: slice) -> Look:
    """A look without data in some columns of its classes."""
    classes = one.classes.copy()
    classes[:, columns] = 0
    return replace(one, classes=classes)


def of_one(day: str, seed: int) -> list[Look]:
    return [look(f"{day}-whole", day, seed)]


def of_halves(day: str, seed: int) -> list[Look]:
    """Two parts of one tile, which nothing but their ids tells apart; in id order, as equals are."""
    return [cut(look(f"{day}-left", day, seed), slice(6, 12)), cut(look(f"{day}-right", day, seed + 40), slice(6))]


def of_processings(day: str, seed: int) -> list[Look]:
    """The newer one lacks four columns, which the older fills."""
    newer = cut(look(f"{day}-2", day, seed, generated="2024-01-01T00:00:00Z"), slice(8, 12))
    return [newer, look(f"{day}-1", day, seed + 80)]


STRIPS = {"whole": of_one, "DS_MSFT halves": of_halves, "two processings": of_processings}
"""What there is of each datatake, in the order in which it fills its mosaic."""

WINDOWS = {
    # What is asked for, its days, newest first, and days of Items beside it.
    "one window": (
        Window(start=utc("2023-08-01"), end=utc("2023-09-01")),
        ("2023-08-25", "2023-08-20", "2023-08-15", "2023-08-10"),
        ("2022-08-10", "2023-09-01", "2024-08-10"),
    ),
    "a season": (
        Window(start=utc("2021-08-01"), end=utc("2021-09-01"), years=3),
        ("2023-08-25", "2022-08-31", "2022-08-20", "2021-08-01"),
        ("2021-07-31", "2022-03-10", "2022-09-01", "2024-08-10"),
    ),
}
EVER = Window(start=utc("2015-01-01"), end=utc("2030-01-01"))


# As files, and back


def item_of(one: Look, folder: Path, hrefs: Path | None, flag: object = None) -> dict[str, Any]:
    """An Item whose addresses are full, or relative to `hrefs`."""
    where = {"west": WEST, "north": NORTH}
    assets = {
        band: cog(folder / f"{one.name}-{band}.tif", values, **where)
        for band, values in zip(BANDS, one.numbers, strict=True)
    }
    assets["scl"] = cog(folder / f"{one.name}-scl.tif", one.classes, **where, resolution=20)
    if hrefs is not None:
        assets = {band: str(Path(href).relative_to(hrefs)) for band, href in assets.items()}
    stamp = f"{one.day.replace('-', '')}T100700"
    said = {} if flag is None else {FLAG.replace(":", "__"): flag}
    return item(
        one.name,
        sensed=f"{one.day}T10:07:00Z",
        assets=assets,
        bounds=(WEST, NORTH - SIDE, WEST + SIDE, NORTH),
        s2__datastrip_id=MSFT.format(stamp),
        s2__generation_time=one.generated,
        eo__cloud_cover=one.cloud,
        **said,
    )


def written(looks: Sequence[Look], folder: Path, form: str, flag: object = None) -> None:
    """Items in files of a form; addresses are relative to their file, but for those in stac-geoparquet."""
    if form == "*/item.json":
        for one in looks:
            made = item_of(one, folder / one.name, folder / one.name, flag)
            (folder / one.name / "item.json").write_text(json.dumps(made))
    elif form == "items.ndjson":
        made = [json.dumps(item_of(one, folder / "files", folder, flag)) for one in looks]
        (folder / form).write_text("\n".join(made))
    else:
        rustac.write_sync(str(folder / form), [item_of(one, folder / "files", None, flag) for one in looks])


FORMS = ("*/item.json", "items.ndjson", "items.parquet")


def planned(items: str, folder: Path, window: Window, resolution: int, told: str) -> Plan:
    catalog = CatalogConfig(profile="plain", items=items, allowed_roots=(str(folder),), offset=told)
    found = scenes(search(catalog, GROUND.buffer(0.01), [EVER]), catalog, BANDS)
    return make(
        region=GROUND,
        windows=[window],
        scenes=found,
        grid=GridConfig(resolution=resolution, block=64, chunk=32),
        composite=CompositeConfig(),
        patches=PatchLattice(patch=32, halo=0),
    )


# What is expected


@dataclass(frozen=True, kw_only=True)
class Cell:
    """Of the matrix: metres of a pixel, metres trimmed at a swath's edge, share that must be clear, offset."""

    resolution: int
    share: float
    edge_m: int
    offset: int = -1000


@dataclass(frozen=True, kw_only=True)
class Seen:
    """One datatake over cells: where it is clear, reflectance (2, H, W), cloud cover (H, W) and day."""

    clear: NDArray[np.bool_]
    values: NDArray[np.float64]
    cloud: NDArray[np.float64]
    day: int


def under(
    values: NDArray[Any], size: int, x: NDArray[np.float64], y: NDArray[np.float64], outside: int
) -> NDArray[np.int64]:
    """The pixel of `size` metres under every crossing of columns `x` and rows `y`."""
    rows, cols = np.floor((NORTH - y) / size).astype(int), np.floor((x - WEST) / size).astype(int)
    held_rows, held_cols = (rows >= 0) & (rows < SIDE / size), (cols >= 0) & (cols < SIDE / size)
    out = np.full((len(y), len(x)), outside, np.int64)
    out[np.ix_(held_rows, held_cols)] = values[np.ix_(rows[held_rows], cols[held_cols])]
    return out


def near(seeds: NDArray[np.bool_], reach: float) -> NDArray[np.bool_]:
    rows, cols = np.mgrid[: seeds.shape[0], : seeds.shape[1]]
    out = np.zeros(seeds.shape, bool)
    for row, col in np.argwhere(seeds):
        out |= np.hypot(rows - row, cols - col) <= reach
    return out


def squares_of(
    x: NDArray[np.float64], y: NDArray[np.float64], resolution: int
) -> tuple[int, NDArray[Any], NDArray[Any]]:
    """Side of the squares under cells, and their centres, with those of one cell more on every side."""
    side = 10 if resolution == 10 else 20
    steps = np.arange(resolution // side) * side - (resolution - side) / 2
    wide_x = np.r_[x[0] - resolution, x, x[-1] + resolution]
    wide_y = np.r_[y[0] + resolution, y, y[-1] - resolution]
    return side, (wide_x[:, None] + steps).ravel(), (wide_y[:, None] - steps).ravel()


def seen_by(take: Sequence[Look], x: NDArray[np.float64], y: NDArray[np.float64], cell: Cell) -> Seen:
    """Cells are clear where enough of their squares are, and the mean of those alone."""
    side, fine_x, fine_y = squares_of(x, y, cell.resolution)
    classes = np.zeros((len(fine_y), len(fine_x)), np.int64)
    values, cloud = np.zeros((2, *classes.shape)), np.zeros(classes.shape)
    within = np.zeros(classes.shape, bool)
    inner = (0,) if side == 10 else (-5, 5)
    for one in take:
        found = under(one.classes, 20, fine_x, fine_y, -1)
        within |= found >= 0
        mine = (classes == 0) & (found > 0)
        classes[mine], cloud[mine] = found[mine], one.cloud
        for channel, numbers in enumerate(one.numbers):
            parts = [under(numbers, 10, fine_x + right, fine_y + down, 0) for right in inner for down in inner]
            values[channel][mine] = ((np.mean(parts, axis=0) + cell.offset) / 10_000)[mine]
    clear = np.isin(classes, (4, 5, 6))
    if cell.edge_m:
        clear &= ~near(within & (classes == 0), cell.edge_m / side)
    times = cell.resolution // side
    out = Seen(
        clear=np.zeros((len(y), len(x)), bool),
        values=np.full((2, len(y), len(x)), np.nan),
        cloud=np.zeros((len(y), len(x))),
        day=(date.fromisoformat(take[0].day) - date(1970, 1, 1)).days,
    )
    for row, col in np.ndindex(out.clear.shape):
        square = slice((row + 1) * times, (row + 2) * times), slice((col + 1) * times, (col + 2) * times)
        held = clear[square]
        if held.any() and held.sum() >= cell.share * times**2 - 1e-9:
            out.clear[row, col] = True
            out.values[:, row, col] = values[:, *square][:, held].mean(axis=1)
            out.cloud[row, col] = cloud[square][held].mean()
    return out


def chosen(method: str, clear: Sequence[tuple[tuple[float, ...], float, int]]) -> tuple[tuple[float, ...], int]:
    """Spectrum and day of a pixel, from spectrum, cloud cover and day of its clear observations, newest first."""
    spectra = [spectrum for spectrum, _, _ in clear]
    number = 0
    if method == "least_cloudy":
        number = min(range(len(clear)), key=lambda index: clear[index][1])
    elif method == "medoid" and len(clear) >= 3:
        number = min(range(len(clear)), key=lambda index: sum(math.dist(spectra[index], other) for other in spectra))
    elif method == "median" and len(clear) >= 3:
        return tuple(np.median(spectra, axis=0)), clear[0][2]
    return spectra[number], clear[number][2]


def assert_expected(plan: Plan, takes: Sequence[Seen], config: CompositeConfig) -> int:
    """That a unit is what its datatakes, newest first, make of it; how many of its pixels are observed."""
    ((lattice, extent),) = plan.extents.items()
    shape = extent.shape
    values, day = np.full((2, *shape), np.nan), np.full(shape, NEVER)
    count = np.sum([one.clear for one in takes], axis=0)
    for row, col in np.argwhere(count):
        clear = [
            (tuple(one.values[:, row, col].tolist()), one.cloud[row, col], one.day)
            for one in takes
            if one.clear[row, col]
        ]
        values[:, row, col], day[row, col] = chosen(config.method, clear)
    for unit in plan.units:
        got, part = observe(unit.scenes, lattice, unit.box, BANDS, config), unit.box.within(extent)
        assert np.array_equal(got.clear_count, count[part])
        assert np.array_equal(got.observed_on, day[part])
        assert np.array_equal(got.reason == Reason.OBSERVED, count[part] > 0)
        assert np.allclose(got.values, values[:, *part], rtol=1e-6, atol=0, equal_nan=True)
    return int((count > 0).sum())


# The cells


@dataclass(frozen=True, kw_only=True)
class Made:
    """Items in files of every way a datatake is told of, in every window."""

    folder: Path
    looks: dict[tuple[str, str], list[list[Look]]]
    items: dict[tuple[str, str], str]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    folder = tmp_path_factory.mktemp("golden")
    looks, items = {}, {}
    for number, (strips, window) in enumerate(product(STRIPS, WINDOWS)):
        _, days, beside = WINDOWS[window]
        looks[strips, window] = [STRIPS[strips](day, seed) for seed, day in enumerate(days)]
        others = [one for seed, day in enumerate(beside) for one in STRIPS[strips](day, 20 + seed)]
        every = [one for take in looks[strips, window] for one in take]
        items[strips, window] = str(folder / str(number))
        written([*others, *every], folder / str(number), "*/item.json")
    return Made(folder=folder, looks=looks, items=items)


CELLS = [
    Cell(resolution=resolution, share=share, edge_m=edge_m)
    for resolution, share in ((10, 0.8), (60, 0.5), (60, 0.8), (60, 1.0))
    for edge_m in (0, 40)
]
METHODS = ("latest", "least_cloudy", "median", "medoid")


@pytest.mark.parametrize("strips", STRIPS)
@pytest.mark.parametrize("window", WINDOWS)
@pytest.mark.parametrize("cell", CELLS, ids=str)
def test_every_cell_of_the_keys_gives_its_reflectance_its_day_and_its_count(
    made: Made, strips: str, window: str, cell: Cell
):
    wanted, days, _ = WINDOWS[window]
    plan = planned(made.items[strips, window], made.folder, wanted, cell.resolution, "in_numbers")
    assert {scene.sensed.date().isoformat() for scene in plan.scenes} == set(days)
    ((lattice, extent),) = plan.extents.items()
    takes = [seen_by(take, *lattice.centres(extent), cell) for take in made.looks[strips, window]]
    for method in METHODS:
        config = CompositeConfig(method=method, dilate_m=0, edge_m=cell.edge_m, clear_share=cell.share)  # type: ignore[arg-type]
        assert assert_expected(plan, takes, config) > 0.4 * (SIDE / cell.resolution) ** 2


TOLD = {
    # told, flag: the offset; None: the Item is not used.
    ("in_numbers", None): -1000,
    ("in_numbers", False): -1000,
    ("in_numbers", True): None,
    ("removed", None): 0,
    ("removed", True): 0,
    ("removed", False): None,
    (f"flag:{FLAG}", True): 0,
    (f"flag:{FLAG}", False): -1000,
    (f"flag:{FLAG}", None): None,
}


@pytest.fixture(scope="module")
def listed(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, object], Path]:
    """Folders of Items in files, by form and flag."""
    folders = {(form, flag): tmp_path_factory.mktemp("listed") for form in FORMS for flag in (None, True, False)}
    for (form, flag), folder in folders.items():
        written([one for take in HALVES for one in take], folder, form, flag)
    return folders


HALVES = [of_halves(day, seed) for seed, day in enumerate(WINDOWS["a season"][1])]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(("told", "flag"), TOLD)
def test_every_cell_of_items_in_files_is_used_with_the_offset_that_is_told(
    listed: dict[tuple[str, object], Path], form: str, told: str, flag: object
):
    offset, folder = TOLD[told, flag], listed[form, flag]
    plan = planned(f"{folder}/{form}", folder, WINDOWS["a season"][0], 10, told)
    names = {one.name for take in HALVES for one in take}
    if offset is None:
        assert plan.scenes == ()
        assert {scene.id for scene in plan.quarantined} == names
        assert all(FLAG in scene.quarantine for scene in plan.quarantined)
        return
    assert {scene.id for scene in plan.scenes} == names
    ((lattice, extent),) = plan.extents.items()
    cell = Cell(resolution=10, share=0.8, edge_m=0, offset=offset)
    seen = [seen_by(take, *lattice.centres(extent), cell) for take in HALVES]
    config = CompositeConfig(method="medoid", dilate_m=0, edge_m=0)
    assert assert_expected(plan, seen, config) > 0.9 * (SIDE / 10) ** 2


def test_the_matrix_of_keys_is_whole():
    assert len(STRIPS) * len(WINDOWS) * len(CELLS) * len(METHODS) == 192
    assert len(FORMS) * len(TOLD) == 27
    assert set(TOLD) == set(product(("in_numbers", "removed", f"flag:{FLAG}"), (None, True, False)))
    assert {*METHODS} == {*CompositeConfig.model_fields["method"].annotation.__args__}  # type: ignore[union-attr]
