from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import shapely
import torch
from helpers.cubes import Made, created, layer_of, made
from helpers.scenes import cog, scene
from numpy.typing import NDArray
from pyproj import Transformer
from torch import nn

from landslide_scale.bands import NEVER, Reason
from landslide_scale.cards.card import BaseWeights, ModelCard
from landslide_scale.cube import arrays, template
from landslide_scale.cube.arrays import Layer
from landslide_scale.cube.ledger import Ledger
from landslide_scale.cube.record import Record, content_hash
from landslide_scale.errors import TryAgainError
from landslide_scale.grid import Lattice, PatchLattice, PixelBox
from landslide_scale.scan import layout, plan, work
from landslide_scale.scan.patches.predict import KEPT_BYTES, BlockPredictor
from landslide_scale.scan.pipeline import predictor
from landslide_scale.scan.pipeline.predictor import Predictor, shown
from landslide_scale.scan.plan import Plan, WorkUnit
from landslide_scale.scan.settings import ScanConfig
from landslide_scale.scene import Scene
from landslide_scale.spec import InputSpec, LandslideNetSpec
from landslide_scale.storage.rundir import RunDirectory
from landslide_scale.strictyaml import parse

NORTH = 5_100_000
SIDE = 160
PATCHES = PatchLattice(patch=32, halo=8)
DAY = 19_571  # 2023-08-02


class Band(nn.Module):
    """A network whose probability is its first band."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return torch.logit(images[:, :1].clamp(1e-7, 1 - 1e-7))


def load() -> tuple[nn.Module, ModelCard]:
    model = LandslideNetSpec(bands=("red",))
    base = BaseWeights(source="random:0", sha256="0" * 64)
    return Band(), ModelCard(model=model, inputs=InputSpec.for_bands("boa", model.bands), base=base)


def config(run: str) -> ScanConfig:
    return parse(
        ScanConfig,
        {
            "region": {"bbox": [17.99, 45.99, 18.01, 46.01]},
            "windows": [{"start": "2023-08-01", "end": "2023-09-01"}],
            "grid": {"block": 64, "chunk": 32},
            "composite": {"method": "latest", "dilate_m": 0},
            "model": {"checkpoint": "band.safetensors"},
            "predict": {"patch": 32, "halo": 8, "batch": 3, "precision": "float32"},
            "output": {"run": run},
        },
    )


def border_x(epsg: int) -> int:
    """Easting of 18 degrees east, the border of zones 33 and 34, on the 20 m of tiles."""
    to_degrees, back = (Transformer.from_crs(a, b, always_xy=True) for a, b in ((32633, 4326), (4326, epsg)))
    x, _ = back.transform(18.0, to_degrees.transform(732_000, NORTH)[1])
    return round(x / 20) * 20


def numbers(seed: int) -> NDArray[np.uint16]:
    """Reflectance in steps of 0.004, as 8 bits of probability hold it."""
    return (40 * np.random.default_rng(seed).integers(1, 251, (SIDE, SIDE))).astype(np.uint16)


TRUTH = {32633: numbers(33), 32634: numbers(34)}
CLASSES = np.full((SIDE, SIDE), 4, np.uint8)
CLASSES[40:60, 60:100] = 9


@pytest.fixture(scope="module")
def tiles(tmp_path_factory: pytest.TempPathFactory) -> list[Scene]:
    """One tile of either zone of one datatake, their ground overlapping at the border; each with a cloud."""
    folder = tmp_path_factory.mktemp("tiles")
    return [
        scene(
            folder,
            str(epsg),
            {"red": TRUTH[epsg]},
            CLASSES,
            west=border_x(epsg) - 800,
            north=NORTH,
            epsg=epsg,
            sensed=datetime(2023, 8, 2, 10, tzinfo=UTC),
            datatake="GS2A_20230802T100031_042590",
            tile=f"{epsg % 100}TYM",
        )
        for epsg in TRUTH
    ]


def ground() -> shapely.Polygon:
    """Around the border, within both tiles by a few pixels more than a patch sees."""
    x, y = border_x(32633), NORTH - 800
    to_degrees = Transformer.from_crs(32633, 4326, always_xy=True)
    west, south, east, north = to_degrees.transform_bounds(x - 500, y - 500, x + 500, y + 500)
    return shapely.box(west, south, east, north)


def begun(run: str, scenes: Sequence[Scene], region: shapely.Polygon) -> tuple[work.Task, Plan]:
    """A run laid out as the driver does it."""
    chosen = config(run)
    made = plan.make(
        region=region,
        windows=chosen.windows,
        scenes=scenes,
        grid=chosen.grid,
        composite=chosen.composite,
        patches=PATCHES,
    )
    what = template.Template(extents=made.extents, windows=made.windows, grid=chosen.grid, sharded=True)
    created(f"{run}/{work.CUBE}", what)
    task = work.Task(
        run=RunDirectory(run),
        region=region.wkt,
        bands=("red",),
        composite=chosen.composite,
        patches=PATCHES,
        extents=tuple(made.extents.items()),
    )
    return task, made


def run_all(
    task: work.Task, units: Sequence[WorkUnit], load: Callable[[], tuple[nn.Module, ModelCard]] = load
) -> dict[str, Record]:
    settings = config(task.run.url).predict
    predict = Predictor(load, patches=PATCHES, settings=settings, device="cpu", threads=1)
    found = {}
    for unit in units:
        row = work.write(predict(work.read({"unit": unit.to_json(), "attempt": 1}, task)), task)
        assert set(row) == {"record"}
        record = Record.from_json(row["record"])
        found[record.unit] = record
    return found


def cube_of(task: work.Task, made: Plan) -> dict[int, tuple[PixelBox, Layer]]:
    """What every zone's group holds, put together from its blocks."""
    found: dict[int, tuple[PixelBox, Layer]] = {}
    for lattice, extent in made.extents.items():
        whole = {v.name: np.full(extent.shape, v.fill, v.dtype) for v in arrays.VARIABLES}
        for unit in made.units:
            if unit.lattice == lattice:
                layer = arrays.read(task.slot(unit))
                for name, values in whole.items():
                    values[unit.box.within(extent)] = getattr(layer, name)
        found[lattice.zone.epsg] = extent, Layer(**whole)
    return found


def test_with_a_network_that_returns_a_band_the_cube_is_the_band_over_the_border_of_zones(
    tmp_path: Path, tiles: list[Scene]
):
    task, made = begun(str(tmp_path / "run"), tiles, ground())
    assert len(made.units) > 4
    records = run_all(task, made.units)
    assert set(records) == {unit.id for unit in made.units}
    assert {record.state for record in records.values()} <= {"written", "empty"}
    for epsg, (extent, layer) in cube_of(task, made).items():
        lattice = next(lattice for lattice in made.extents if lattice.zone.epsg == epsg)
        inside = lattice.inside(extent, task.ground)
        assert inside.any()
        row, col = NORTH // -10, (border_x(epsg) - 800) // 10
        tile = PixelBox(row_start=row, row_stop=row + SIDE, col_start=col, col_stop=col + SIDE)
        expected = np.full(extent.shape, 255, np.uint8)
        common = tile.intersection(extent)
        assert common is not None
        steps = np.where(CLASSES == 4, TRUTH[epsg] // 40, 255).astype(np.uint8)
        expected[common.within(extent)] = steps[common.within(tile)]
        own = np.zeros(extent.shape, bool)
        own[common.within(extent)] = (CLASSES == 4)[common.within(tile)]
        assert np.array_equal(layer.probability[inside & own], expected[inside & own])
        assert (layer.probability[~inside] == 255).all()
        assert (layer.reason[~inside] == Reason.NOT_SCANNED).all()
        cloudy = np.zeros(extent.shape, bool)
        cloudy[common.within(extent)] = (CLASSES == 9)[common.within(tile)]
        assert (layer.reason[inside & cloudy] == Reason.CLOUD).all()
        assert (layer.clear_count[inside & own] == 1).all()
        assert (layer.observed_on[inside & own] == DAY).all()
        assert ((layer.probability == 255) == (layer.reason != Reason.OBSERVED)).all()


def test_a_record_tells_what_was_written(tmp_path: Path, tiles: list[Scene]):
    task, made = begun(str(tmp_path / "run"), tiles, ground())
    records = run_all(task, made.units)
    assert Ledger(task.run).records() == records
    for unit in made.units:
        record, layer = records[unit.id], arrays.read(task.slot(unit))
        inside = unit.lattice.inside(unit.box, task.ground)
        observed = layer.reason == Reason.OBSERVED
        assert record.sha256 == content_hash(layer)
        assert record.km2 == pytest.approx(inside.sum() * 1e-4)
        assert record.clear_fraction == pytest.approx(observed.sum() / max(inside.sum(), 1))
        assert record.landslide_km2 == pytest.approx(layer.probability[observed].sum() * 0.004 * 1e-4, rel=1e-4)
        assert sum(record.histogram) == observed.sum()
        assert {one["id"] for one in record.scenes} == {one.id for one in unit.scenes}
        assert set(record.seconds) == {"read", "wait", "predict", "write"}
    resampled = {one["id"] for record in records.values() for one in record.scenes if one["resampled"]}
    assert resampled <= {"32633", "32634"}


def test_a_record_names_an_older_processing_only_where_it_filled_something(
    tmp_path: Path, tiles: list[Scene], made_half: str
):
    newest = [replace(one, baseline=(3, 0)) for one in tiles]
    older = [replace(one, id=f"{one.id}-older") for one in tiles]
    half = replace(newest[0], assets=(("red", newest[0].href("red")), ("scl", made_half)))
    for found, filled in ((newest, set()), ([half, newest[1]], {f"{half.id}-older"})):
        task, made = begun(str(tmp_path / f"run{len(filled)}"), [*found, *older], ground())
        named = [one for record in run_all(task, made.units).values() for one in record.scenes]
        assert {one["id"] for one in named if "older" in one["id"]} == filled
        assert {one["id"] for one in named if one.get("filled")} == filled
        assert {one["id"] for one in named} == {one.id for one in found} | filled


@pytest.fixture
def made_half(tmp_path: Path, tiles: list[Scene]) -> str:
    """Classes of the first tile, without data in its eastern part."""
    classes = CLASSES.copy()
    classes[:, SIDE // 4 :] = 0
    return cog(tmp_path / "half.tif", classes, west=tiles[0].bounds[0], north=NORTH, epsg=tiles[0].epsg)


def test_another_order_of_units_gives_the_same_bytes(tmp_path: Path, tiles: list[Scene]):
    hashes = []
    for order in (1, -1):
        task, made = begun(str(tmp_path / f"run{order}"), tiles, ground())
        found = run_all(task, made.units[::order])
        hashes.append({name: record.sha256 for name, record in found.items()})
    assert hashes[0] == hashes[1]


def shown_to_it(task: work.Task, units: Sequence[WorkUnit], monkeypatch: pytest.MonkeyPatch, kept: int) -> list[bytes]:
    """The patches that a network is shown, where so many bytes are kept of what it says."""
    shown: list[bytes] = []

    class Watched(Band):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            shown.extend(image.numpy().tobytes() for image in images if not image.isnan().all())
            return super().forward(images)

    monkeypatch.setattr(predictor, "BlockPredictor", partial(BlockPredictor, kept=kept))
    run_all(task, units, lambda: (Watched(), load()[1]))
    return shown


def test_a_patch_over_two_units_is_the_same_to_the_last_bit_and_shown_to_the_network_once(
    tmp_path: Path, tiles: list[Scene], monkeypatch: pytest.MonkeyPatch
):
    task, made = begun(str(tmp_path / "run"), tiles, ground())
    without = shown_to_it(task, made.units, monkeypatch, 0)
    task, made = begun(str(tmp_path / "another"), tiles, ground())
    once = shown_to_it(task, made.units, monkeypatch, KEPT_BYTES)
    assert set(once) == set(without)
    assert len(once) == len(set(without)) < 0.6 * len(without), "units are small here beside patches"


def one_unit(task: work.Task, made: Plan) -> WorkUnit:
    return max(made.units, key=lambda unit: int(unit.lattice.inside(unit.box, task.ground).sum()))


def stored(run: Path) -> list[Path]:
    return [path for path in run.rglob("*") if path.is_file() and "/c/" in str(path) and "probability" in str(path)]


def test_a_scene_that_cannot_be_read_becomes_a_failed_record_and_no_data(tmp_path: Path, tiles: list[Scene]):
    broken = tmp_path / "broken.tif"
    broken.write_bytes(b"torn")
    torn = [replace(one, assets=(("red", str(broken)), one.assets[1])) for one in tiles]
    task, made = begun(str(tmp_path / "run"), torn, ground())
    unit = one_unit(task, made)
    record = run_all(task, [unit])[unit.id]
    assert (record.state, record.retry, record.done) == ("failed", False, False)
    assert record.error.startswith("PermanentReadError: ")
    for place in (unit.id, str(broken), "band red", "scene 3263"):
        assert place in record.error
    assert Ledger(task.run).records() == {unit.id: record}
    assert stored(tmp_path / "run") == []


def test_a_failure_that_may_pass_is_marked_and_does_not_touch_the_units_beside_it(
    tmp_path: Path, tiles: list[Scene], monkeypatch: pytest.MonkeyPatch
):
    task, made = begun(str(tmp_path / "run"), tiles, ground())
    unit = one_unit(task, made)
    observe, needed = work.observe, unit.box.around(unit.lattice.inside(unit.box, task.ground))
    assert needed is not None

    def away(scenes: Sequence[Scene], lattice: Any, box: PixelBox, *rest: Any) -> Any:  # noqa: ANN401 passed on
        if (lattice, box) == (unit.lattice, PATCHES.covering(needed)):
            raise TryAgainError("503", file="https://host/red.tif")
        return observe(scenes, lattice, box, *rest)

    monkeypatch.setattr(work, "observe", away)
    records = run_all(task, made.units)
    assert [name for name, record in records.items() if record.state == "failed"] == [unit.id]
    assert records[unit.id].retry
    assert arrays.read(task.slot(unit)).probability.min() == 255
    monkeypatch.undo()
    again = run_all(task, [unit])
    assert again[unit.id].state == "written"
    assert Ledger(task.run).records() == records | again


def test_an_error_that_no_one_expects_stops_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    task, made = begun(str(tmp_path / "run"), [], ground())

    def broken(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(work, "observe", broken)
    with pytest.raises(ZeroDivisionError):
        work.read({"unit": made.units[0].to_json(), "attempt": 1}, task)


def test_a_unit_without_scenes_is_empty_and_says_so(tmp_path: Path):
    task, made = begun(str(tmp_path / "run"), [], ground())
    unit = one_unit(task, made)
    record = run_all(task, [unit])[unit.id]
    assert (record.state, record.done, record.clear_fraction) == ("empty", True, 0)
    assert record.km2 > 0
    layer = arrays.read(task.slot(unit))
    inside = unit.lattice.inside(unit.box, task.ground)
    assert (layer.reason[inside] == Reason.NO_DATA).all()
    assert (layer.reason[~inside] == Reason.NOT_SCANNED).all()
    assert (layer.observed_on == NEVER).all()
    assert stored(tmp_path / "run") == []


def test_no_file_is_opened_for_a_unit_without_a_pixel_inside(tmp_path: Path, tiles: list[Scene]):
    gone = [replace(one, assets=(("red", "/gone.tif"), ("scl", "/gone.tif"))) for one in tiles]
    task, made = begun(str(tmp_path / "run"), gone, ground())
    unit = one_unit(task, made)
    assert unit.scenes
    far = replace(task, region=shapely.box(16.0, 45.0, 16.1, 45.1).wkt)
    record = run_all(far, [unit])[unit.id]
    assert (record.state, record.km2) == ("empty", 0)
    assert [path for path in (tmp_path / "run").rglob("*") if "/c/0/" in str(path) and "reason" in str(path)] == []


def test_a_row_of_an_unobserved_block_carries_no_pixels(tmp_path: Path):
    task, made = begun(str(tmp_path / "run"), [], ground())
    row = work.read({"unit": made.units[0].to_json(), "attempt": 1}, task)
    assert row["values"].size == 0
    assert (row["error"], json.loads(row["resampled"])) == ("", [])


def test_no_more_ground_is_read_than_patches_over_the_region_see_and_a_row_carries_those_over_what_was_observed(
    tmp_path: Path, tiles: list[Scene], monkeypatch: pytest.MonkeyPatch
):
    task, made = begun(str(tmp_path / "run"), tiles, ground())
    unit = one_unit(task, made)
    corner = PixelBox(
        row_start=unit.box.row_start + 3, row_stop=unit.box.row_start + 9,
        col_start=unit.box.col_start + 50, col_stop=unit.box.col_start + 60,
    )  # fmt: skip
    inside = np.zeros(unit.box.shape, bool)
    inside[corner.within(unit.box)] = True
    monkeypatch.setattr(Lattice, "inside", lambda *_: inside)
    asked: list[PixelBox] = []
    whole = work.observe
    monkeypatch.setattr(work, "observe", lambda *args: asked.append(args[2]) or whole(*args))
    row = work.read({"unit": unit.to_json(), "attempt": 1}, task)
    (read,) = asked
    assert read == PATCHES.covering(corner)
    assert math.prod(read.shape) < math.prod(PATCHES.covering(unit.box).shape)
    assert row["reason"].shape == row["clear_count"].shape == row["observed_on"].shape == unit.box.shape
    observed = row["reason"] == Reason.OBSERVED
    assert observed.any()
    assert not observed[~inside].any()
    seen = unit.box.around(observed)
    assert seen is not None
    assert row["values"].shape == (1, *PATCHES.covering(seen).shape)
    assert (row["clear_count"][~inside] == 0).all()
    assert (row["observed_on"][~inside] == NEVER).all()
    assert (row["reason"][~inside] == Reason.NOT_SCANNED).all()


def test_a_part_of_a_block_is_predicted_as_the_whole_of_it_is(tmp_path: Path, tiles: list[Scene]):
    task, made = begun(str(tmp_path / "run"), tiles, ground())
    unit = one_unit(task, made)
    whole = run_all(task, [unit]) and arrays.read(task.slot(unit))
    west, south, east, north = ground().bounds
    part = shapely.box(west, (south + north) / 2, (west + east) / 2, north)
    other, again = begun(str(tmp_path / "part"), tiles, part)
    (same,) = [one for one in again.units if one.id == unit.id]
    run_all(other, [same])
    inside = unit.lattice.inside(unit.box, part)
    assert inside.any()
    assert not inside.all()
    found = arrays.read(other.slot(same))
    for name, values in whole.arrays.items():
        assert np.array_equal(found.arrays[name][inside], values[inside]), name


def test_reflectance_is_shown_in_the_radiometry_of_the_checkpoint():
    reflectance = np.array([0.0, 0.4, np.nan], np.float32)
    assert shown(reflectance, "boa") is shown(reflectance, "toa") is reflectance
    assert np.allclose(shown(reflectance, "rgb8"), [0, 255, np.nan], equal_nan=True)


def test_a_worker_that_outlives_a_run_writes_the_one_that_is_begun_anew_in_its_folder(tmp_path: Path):
    for chunk, probability in ((32, 0.8), (16, 0.4)):
        shutil.rmtree(tmp_path / "run", ignore_errors=True)
        how = Made(block=32, chunk=chunk)
        ground = PixelBox(row_start=-320_000, row_stop=-319_968, col_start=32_000, col_stop=32_032)
        places = how.places({how.lattice(33): ground})
        run = made(tmp_path / "run", places, lambda _, value=probability: layer_of(np.full((32, 32), value)), how)
        laid = layout.load(run)
        assert np.unique(arrays.read(laid.slot(places[0])).probability).tolist() == [round(probability * 250)]
