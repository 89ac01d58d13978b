"""Slope on its whole way: from tiles of degrees through a scan over a zone's border, and into chips and a network."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import shapely
import torch
import xarray as xr
import yaml
from helpers.borderland import BORDER, assert_same_cubes, border_tiles, configured, untrained, write_item
from helpers.borderland import COLLECTION as SCENES
from helpers.chipping import plain
from helpers.dems import COLLECTION, SECOND, Field, by_keys, centres, degree, item
from helpers.plainrun import Restore, Roles, engine, plain_append, silent
from pyproj import Transformer

from landslide_scale.bands import Reason
from landslide_scale.cards.card import ModelCard
from landslide_scale.cards.file import read_card
from landslide_scale.commands.configurations import plan as plan_command
from landslide_scale.cube.arrays import PROBABILITY_FILL
from landslide_scale.cube.ledger import Ledger
from landslide_scale.datasets import files_at
from landslide_scale.datasets.chips import INDEX, open_chips
from landslide_scale.datasets.spec import DataSpec
from landslide_scale.demo.satellite.stac_server import serve
from landslide_scale.errors import InvalidCatalogError, InvalidCheckpointError, InvalidConfigError, RunConflictError
from landslide_scale.label_values import IGNORE
from landslide_scale.labels.chips import make_chips
from landslide_scale.labels.engine import on_ray
from landslide_scale.labels.settings import ChipsConfig
from landslide_scale.model.checkpoint import restore, save
from landslide_scale.provenance import ImageFacts
from landslide_scale.scan import driver
from landslide_scale.scan.plan import WorkUnit
from landslide_scale.scan.settings import ScanConfig
from landslide_scale.scan.summary import ScanSummary
from landslide_scale.spec import InputSpec, LandslideNetSpec
from landslide_scale.storage.rundir import RunDirectory
from landslide_scale.strictyaml import parse
from landslide_scale.training.fitting import fit
from landslide_scale.training.job import FinetuneJob, Prepared
from landslide_scale.training.spec import TrainSpec

BANDS = ("red", "slope", "elevation")
WIDE = 4 * SECOND
Settings = dict[str, Any]
FEW: Settings = {"region": {"bbox": [17.994, 46.010, 18.006, 46.013]}}


def hills(longitude: Field, latitude: Field) -> Field:
    return 900 + 250 * np.sin(longitude * 700) * np.cos(latitude * 900)


@dataclass(frozen=True, kw_only=True)
class World:
    """The borderland's scenes, and the tiles of elevation on both sides of it, behind one STAC API."""

    url: str
    folder: Path

    def settings(
        self, run: Path, checkpoint: str, *, dem: str | None = "cop-dem-glo-30", **changes: object
    ) -> Settings:
        settings = configured((self.url, self.folder), checkpoint, run, **changes)
        if dem is None:
            return settings
        place = {"url": self.url, "profile": "plain", "collection": dem, "allowed_roots": [str(self.folder)]}
        return settings | {"dem": place}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("world")
    scenes = [write_item(folder, tile, slice(0, 100) if name == "d" else None) for name, tile in border_tiles().items()]
    tiles = [item(degree(folder, west, 46, hills, wide=WIDE, high=WIDE)) for west in (17, 18)]
    half = [tiles[0] | {"collection": "half"}]
    away = [item(degree(folder, 20, 46, hills)) | {"collection": "away"}]
    collections = [SCENES, COLLECTION, COLLECTION | {"id": "half"}, COLLECTION | {"id": "away"}]
    with serve([*scenes, *tiles, *half, *away], collections) as url:
        yield World(url=url, folder=folder)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> str:
    return untrained(tmp_path_factory.mktemp("model") / "slope.safetensors", bands=BANDS)


@pytest.fixture(scope="module")
def red(tmp_path_factory: pytest.TempPathFactory) -> str:
    return untrained(tmp_path_factory.mktemp("model") / "red.safetensors")


def as_probability(url: str, **_: object) -> tuple[torch.nn.Module, ModelCard]:
    """An oracle: its probability is the slope, of which 90 degrees are 1; NaN is the mean, as for a real network."""

    class Slope(torch.nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return torch.logit((images[:, 1:2] / 90).nan_to_num(0.5))

    return Slope(), read_card(url)


def scan(settings: Settings, load: Restore = as_probability, *, resume: bool = False) -> ScanSummary:
    config = parse(ScanConfig, settings)
    return driver.begin(config, engine(config, Roles(), load=load), resume=resume, progress=silent)


@pytest.fixture(scope="module")
def whole(world: World, checkpoint: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("whole") / "run"
    assert scan(world.settings(run, checkpoint)).complete
    return run


def group(run: Path, epsg: int) -> xr.Dataset:
    tree = xr.open_datatree(run / "cube.zarr", engine="zarr", mask_and_scale=False)
    return tree[f"EPSG_{epsg}"].to_dataset().isel(time=0)


def known_slopes(cube: xr.Dataset, epsg: int) -> Field:
    """By other means: one undivided raster of both tiles, Keys' polynomials, Horn's letters."""
    heights = hills(*centres(17 - WIDE / 2, 47 + WIDE / 2, WIDE, WIDE, (900, 1800))).astype(np.float32).astype(float)
    x = np.concatenate([[cube.x[0] - 10], cube.x, [cube.x[-1] + 10]])
    y = np.concatenate([[cube.y[0] + 10], cube.y, [cube.y[-1] - 10]])
    longitude, latitude = Transformer.from_crs(epsg, 4326, always_xy=True).transform(*np.meshgrid(x, y))
    rows, cols = (47 - latitude) / WIDE, (longitude - 17) / WIDE
    known = (rows > 1) & (rows < 898) & (cols > 1) & (cols < 1798)  # the rest is fill around what was scanned
    z = np.full(rows.shape, np.nan)
    z[known] = by_keys(heights, rows[known], cols[known])
    a, b, c = z[:-2, :-2], z[:-2, 1:-1], z[:-2, 2:]
    d, f = z[1:-1, :-2], z[1:-1, 2:]
    g, h, i = z[2:, :-2], z[2:, 1:-1], z[2:, 2:]
    east, south = ((c + 2 * f + i) - (a + 2 * d + g)) / 80, ((g + 2 * h + i) - (a + 2 * b + c)) / 80
    return np.degrees(np.arctan(np.hypot(east, south)))


def test_an_oracle_of_slope_gives_a_cube_equal_to_it_over_the_border_of_zones_and_of_tiles(
    world: World, whole: Path, red: str, tmp_path: Path
):
    assert scan(
        world.settings(tmp_path / "red", red, dem=None), load=lambda url, **_: (torch.nn.Identity(), read_card(url))
    ).complete
    for epsg in (32633, 32634):
        found, scenes_alone = group(whole, epsg), group(tmp_path / "red", epsg)
        for name in ("reason", "clear_count", "observed_on"):
            assert np.array_equal(found[name], scenes_alone[name])
        seen = found.reason.to_numpy() == Reason.OBSERVED
        assert seen.sum() > 3000
        steps = found.probability.to_numpy()[seen] - known_slopes(found, epsg)[seen] / 90 / 0.004
        assert np.abs(steps).max() < 0.501  # a step of the cube's 8 bits is 0.36 degrees
        assert np.ptp(found.probability.to_numpy()[seen].astype(int)) > 100
        assert (found.probability.to_numpy()[~seen] == PROBABILITY_FILL).all()


def test_another_split_into_blocks_gives_the_same_map(world: World, whole: Path, checkpoint: str, tmp_path: Path):
    grid = {"resolution": 10, "block": 64, "chunk": 32}
    assert scan(world.settings(tmp_path / "run", checkpoint, grid=grid, **FEW)).complete
    for epsg in (32633, 32634):
        one, two = group(whole, epsg), group(tmp_path / "run", epsg)
        x, y = np.intersect1d(one.x, two.x), np.intersect1d(one.y, two.y)
        seen = two.reason.sel(x=x, y=y).to_numpy() != Reason.NOT_SCANNED
        assert seen.sum() > 1000
        for name in ("probability", "reason", "clear_count"):
            assert np.array_equal(one[name].sel(x=x, y=y).to_numpy()[seen], two[name].sel(x=x, y=y).to_numpy()[seen])


def test_ground_without_a_tile_has_no_probability_and_says_no_data(
    world: World, whole: Path, checkpoint: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    run = tmp_path / "run"
    summary = scan(world.settings(run, checkpoint, dem="half"))
    assert summary.complete
    assert summary.observed_km2 > 0
    for epsg in (32633, 32634):
        found, full = group(run, epsg), group(whole, epsg)
        longitude = Transformer.from_crs(epsg, 4326, always_xy=True).transform(*np.meshgrid(found.x, found.y))[0]
        seen, could = (one.reason.to_numpy() == Reason.OBSERVED for one in (found, full))
        # A slope needs its neighbours, and an elevation lies within half a pixel of the last centre (2 seconds).
        edge = BORDER - WIDE / 2
        assert np.array_equal(seen[longitude < edge - 0.001], could[longitude < edge - 0.001])
        assert not seen[longitude > edge].any()
        lost = could & ~seen
        assert (found.reason.to_numpy()[lost] == Reason.NO_DATA).all()
        assert (found.probability.to_numpy()[lost] == PROBABILITY_FILL).all()
        assert (found.clear_count.to_numpy()[lost] == 0).all()
        inner = seen & (longitude < edge - 4 * WIDE)  # nearer, the missing tile would have been interpolated with
        assert np.array_equal(found.probability.to_numpy()[inner], full.probability.to_numpy()[inner])
    assert {"made_N46_E017"} >= {
        name for record in Ledger(RunDirectory(str(run))).records().values() for name in record.dem
    }
    path = tmp_path / "scan.yaml"
    path.write_text(yaml.safe_dump(world.settings(tmp_path / "planned", checkpoint, dem="half")))
    assert plan_command(str(path)) == 0
    assert "elevation: 1 tiles, at most 0.00 GB" in capsys.readouterr().out
    assert not (tmp_path / "planned").exists()


def test_tiles_are_kept_with_the_run_and_named_in_its_records_and_the_catalogue_is_not_asked_again(
    world: World, whole: Path, checkpoint: str
):
    settings = world.settings(whole, checkpoint)
    names = ["made_N46_E017", "made_N46_E018"]
    assert RunDirectory(str(whole)).read_json("run.json")["dem"] == names
    records = Ledger(RunDirectory(str(whole))).records().values()
    assert {name for record in records for name in record.dem} == set(names)
    gone = {section: settings[section] | {"url": "http://127.0.0.1:9"} for section in ("catalog", "dem")}
    first = driver.prepare(parse(ScanConfig, settings)).survey
    again = driver.prepare(parse(ScanConfig, settings | gone)).survey
    assert again.plan.units == first.plan.units
    assert [tile.id for tile in again.plan.dem] == names
    assert scan(settings | gone, resume=True).complete
    for other in ({"collection": "half"}, {"asset": "other"}):
        with pytest.raises((RunConflictError, InvalidCatalogError), match=r"dem\."):
            scan(settings | {"dem": settings["dem"] | other}, resume=True)


def test_a_run_begun_when_elevations_were_bilinear_goes_on_with_them_to_the_same_bytes(
    world: World, whole: Path, checkpoint: str, tmp_path: Path
):
    stated = world.settings(tmp_path / "one", checkpoint, **FEW)
    stated["dem"] |= {"interpolation": "bilinear"}
    assert scan(stated).complete
    begun = RunDirectory(str(tmp_path / "one")).read_json("run.json")["settings"]
    assert "interpolation" not in begun["dem"]  # as then, when there was no such key
    left = RunDirectory(str(tmp_path / "two"))
    left.claim("scan", begun, resume=False)
    assert scan(world.settings(tmp_path / "two", checkpoint, **FEW), resume=True).complete
    assert_same_cubes(tmp_path / "one", tmp_path / "two")
    assert left.read_json("run.json")["settings"] == begun
    new = RunDirectory(str(whole)).read_json("run.json")["settings"]
    assert new["dem"]["interpolation"] == "cubic"
    slopes = [group(run, 32633).probability.to_numpy() for run in (tmp_path / "one", whole)]
    assert slopes[0].size != slopes[1].size or (slopes[0] != slopes[1]).any()


def test_units_and_records_of_before_there_were_tiles_are_read(world: World, checkpoint: str, tmp_path: Path):
    unit = driver.prepare(parse(ScanConfig, world.settings(tmp_path / "run", checkpoint))).survey.plan.units[0]
    assert WorkUnit.from_json(unit.to_json()) == unit
    assert unit.dem
    plain = json.loads(unit.to_json())
    del plain["dem"]
    assert WorkUnit.from_json(json.dumps(plain)).dem == ()


def test_a_cube_grows_by_windows_on_the_tiles_it_was_made_from(world: World, checkpoint: str, tmp_path: Path):
    early, late = {"start": "2023-08-01", "end": "2023-08-05"}, {"start": "2023-08-05", "end": "2023-08-20"}
    settings = world.settings(tmp_path / "run", checkpoint, **FEW, windows=[early])
    assert scan(settings).complete
    frozen = (tmp_path / "run" / "dem.parquet").read_bytes()
    grown = settings | {"windows": [early, late], "dem": settings["dem"] | {"url": "http://127.0.0.1:9"}}
    assert plain_append(grown, load=as_probability).complete
    assert (tmp_path / "run" / "dem.parquet").read_bytes() == frozen


def test_a_checkpoint_and_a_section_that_do_not_fit_are_refused_before_anything_is_searched(
    world: World, checkpoint: str, red: str, tmp_path: Path
):
    def refusal(settings: Settings) -> str:
        with pytest.raises((InvalidConfigError, InvalidCheckpointError, InvalidCatalogError)) as caught:
            driver.prepare(
                parse(ScanConfig, settings | {"catalog": settings["catalog"] | {"url": "http://127.0.0.1:9"}})
            )
        return str(caught.value)

    run = tmp_path / "run"
    without = refusal(world.settings(run, checkpoint, dem=None))
    assert all(said in without for said in ("key dem", "'slope', 'elevation'", checkpoint, "earth-search"))
    unused = refusal(world.settings(run, red))
    assert all(said in unused for said in ("key dem", "['red']", red, "Leave dem out"))
    alone = untrained(tmp_path / "alone.safetensors", bands=("slope",))
    assert "at least one band of Sentinel-2" in refusal(world.settings(run, alone))
    normalised = untrained(tmp_path / "l4s.safetensors", bands=BANDS, radiometry="l4s")
    model = {"checkpoint": normalised, "accept_radiometry": "l4s"}
    assert "radiometry l4s" in refusal(world.settings(run, normalised, model=model))
    mercator = refusal(world.settings(run, checkpoint, grid={"crs": 3857}))
    assert all(said in mercator for said in ("grid.crs", "EPSG:3857"))
    assert not run.exists()


def test_a_collection_without_a_tile_on_the_ground_is_refused(world: World, checkpoint: str, tmp_path: Path):
    with pytest.raises(InvalidCatalogError, match="no tile of away"):
        driver.prepare(parse(ScanConfig, world.settings(tmp_path / "run", checkpoint, dem="away")))


def test_a_broken_tile_fails_its_units_by_name_and_no_other(world: World, checkpoint: str, tmp_path: Path):
    broken = tmp_path / "made_N46_E018.tif"
    broken.write_bytes(b"no tiff")
    tiles = [item(degree(tmp_path, 17, 46, hills, wide=WIDE, high=WIDE))]
    odd = item(degree(tmp_path / "good", 18, 46, hills, wide=WIDE, high=WIDE))
    odd["assets"]["data"]["href"] = str(broken)
    with serve([*tiles, odd], [COLLECTION]) as url:
        wide = {"region": {"bbox": [17.976, 46.010, 18.004, 46.013]}}
        settings = world.settings(tmp_path / "run", checkpoint, **wide)
        settings["dem"] |= {"url": url, "allowed_roots": [str(tmp_path)]}
        summary = scan(settings)
    assert summary.failed > 0
    assert summary.written > 0
    assert all("PermanentReadError" in error and "dem made_N46_E018" in error for error in summary.errors)


# Chips, and a network made of them


def chips_config(world: World, folder: Path) -> ChipsConfig:
    """Chips over the border, of which the middle is landslide; elevation first, so that orders differ."""
    boxes = {
        "region": shapely.box(BORDER - 0.02, 46.006, BORDER + 0.02, 46.02),
        "labels": shapely.box(BORDER - 0.015, 46.008, BORDER + 0.015, 46.014),
    }
    for name, box in boxes.items():
        feature = {"type": "Feature", "properties": {}, "geometry": shapely.geometry.mapping(box)}
        (folder / f"{name}.geojson").write_text(json.dumps({"type": "FeatureCollection", "features": [feature]}))
    settings = world.settings(folder, "x")
    content = {key: settings[key] for key in ("windows", "catalog", "dem", "composite")}
    content |= {name: {"file": str(folder / f"{name}.geojson")} for name in boxes}
    content |= {"bands": ["elevation", "red", "slope"], "size": 32, "directory": str(folder / "chips")}
    return parse(ChipsConfig, content)


@pytest.fixture(scope="module")
def chips(world: World, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Made in this process; a slow test compares them with those that Ray makes."""
    folder = tmp_path_factory.mktemp("made")
    config = chips_config(world, folder)
    make_chips(config, plain, resume=False)
    return folder / "chips"


def test_chips_hold_the_slope_and_elevation_that_a_scan_sees_and_name_their_tiles(chips: Path, whole: Path):
    assert json.loads((chips / INDEX).read_text())["dem"] == ["made_N46_E017", "made_N46_E018"]
    assert json.loads((chips / INDEX).read_text())["dem_interpolation"] == "cubic"
    opened = open_chips(files_at(str(chips)))
    assert opened.bands == ("elevation", "red", "slope")
    compared = 0
    for name in opened.names:
        sample, place = opened.read(name), re.fullmatch(r"EPSG_(\d+)-t0-r(-?\d+)-c(-?\d+)", name)
        assert place is not None
        epsg, row, col = (int(part) for part in place.groups())
        x, y = (col * 32 + np.arange(32) + 0.5) * 10, -(row * 32 + np.arange(32) + 0.5) * 10
        cube = group(whole, epsg)
        of_scan = cube.reindex(x=x, y=y, fill_value={"probability": 255, "reason": int(Reason.NOT_SCANNED)})
        both = (sample.label != IGNORE) & (of_scan.reason.to_numpy() == Reason.OBSERVED)
        steps = sample.image[2] / 90 / 0.004 - of_scan.probability.to_numpy()
        assert np.abs(steps[both]).max(initial=0) < 0.501
        assert (np.abs(sample.image[0] - 900) < 251)[sample.label != IGNORE].all()
        compared += int(both.sum())
    assert compared > 3000


def test_chips_say_how_their_pixels_were_made_and_the_card_of_a_network_fitted_to_them_says_it(
    chips: Path, world: World, tmp_path: Path
):
    index, config = json.loads((chips / INDEX).read_text()), chips_config(world, tmp_path)
    assert index["composite"] == {
        "method": config.composite.method,
        "clear": [4, 5, 6],
        "dilate_m": config.composite.dilate_m,
        "mask": [],
    }
    assert config.dem is not None
    assert index["dem_source"] == {"profile": config.dem.profile, "collection": config.dem.collection}
    assert (index["windows"], index["fair_share"], index["resolution"]) == (len(config.windows), True, 10.0)
    for bands, dem in ((("red", "slope"), config.dem.collection), (("red",), None)):
        model = LandslideNetSpec(sam="vit_t", bands=bands, upsample=1)
        data, inputs = DataSpec(kind="chips", path=str(chips), groups="images"), InputSpec.for_bands("boa", bands)
        job = FinetuneJob(data=data, model=model, inputs=inputs, train=TrainSpec(patch=32), output="fit")
        assert Prepared.of(job).trained_on == ImageFacts(
            resolution=10.0,
            method=config.composite.method,
            clear=(4, 5, 6),
            dilate_m=config.composite.dilate_m,
            mask=(),
            dem=dem,
            fair_share=True,
        )


def test_a_network_fitted_to_such_chips_is_taken_by_a_scan(chips: Path, world: World, tmp_path: Path):
    model = LandslideNetSpec(sam="vit_t", bands=("red", "elevation", "slope"), upsample=1)
    train = TrainSpec(epochs=1, batch=4, patch=32, precision="float32")
    data = DataSpec(kind="chips", path=str(chips), groups="images")  # its landslides all touch
    inputs = InputSpec.for_bands("boa", model.bands)
    asked = FinetuneJob(data=data, model=model, inputs=inputs, train=train, output=str(tmp_path / "fit"))
    prepared = Prepared.of(asked)
    job = prepared.settled(asked)
    assert job.inputs.mean[0] == inputs.mean[0]
    assert job.inputs.mean[1] == pytest.approx(900, abs=150)
    assert 1 < job.inputs.mean[2] < 60
    net = job.build()
    assert math.isfinite(fit(net, prepared.parts(job), train).best_epoch.loss)
    file = str(tmp_path / "fit.safetensors")
    save(file, net, ModelCard(model=model, inputs=job.inputs, base=job.base()))
    summary = scan(world.settings(tmp_path / "run", file, **FEW), load=restore)
    assert summary.complete
    assert summary.observed_km2 > 0.1


@pytest.mark.slow
def test_ray_makes_the_same_chips(chips: Path, world: World, tmp_path: Path):
    config = chips_config(world, tmp_path)
    made = make_chips(config, on_ray(config.compute, config.directory), resume=False)
    assert made.kept == len(list(chips.glob("*.npz")))
    assert json.loads((tmp_path / "chips" / INDEX).read_text()) == json.loads((chips / INDEX).read_text())
    for path in chips.glob("*.npz"):
        assert path.read_bytes() == (tmp_path / "chips" / path.name).read_bytes()
