"""All real products of a made cube, wired: made, kept, the same anywhere, and what a user's layer does."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
import rioxarray
import shapely
from helpers.borderland import configured, served, untrained
from helpers.exporting import scan_in
from helpers.plainrun import plain_scan
from helpers.s3 import local

from landslide_scale.cube.arrays import BY_NAME
from landslide_scale.errors import InvalidInputError
from landslide_scale.exporting.engine import Progress
from landslide_scale.exporting.run import ExportSummary, export
from landslide_scale.exporting.settings import ExportSettings
from landslide_scale.exporting.summary import export_report
from landslide_scale.exporting.verify import stated_cube, verify_products
from landslide_scale.products import names
from landslide_scale.products.flags import FLAGS
from landslide_scale.products.scanned import scanned
from landslide_scale.products.vectors import geojson
from landslide_scale.storage.rundir import RunDirectory

FOLDER = "cog/EPSG_32633/20230701_20230801"
OF_POLYGONS = {names.POLYGONS, names.GEOPACKAGE, names.GEOJSON, names.REPORT}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunDirectory:
    """A scan of which one unit failed, with all its products."""
    run = scan_in(tmp_path_factory.mktemp("made") / "run", failed=1)
    assert len(exported(run).outcome.made) == len(BY_NAME) + 7
    return run


def exported(run: RunDirectory, to: Path | None = None, **settings: object) -> ExportSummary:
    told = ExportSettings(to=None if to is None else str(to), **settings)  # type: ignore[arg-type]
    return export(run, told, progress=lambda _: None)


def test_every_kind_is_there_and_the_catalogue_lists_what_was_made(run: RunDirectory):
    files = {name.lstrip("/") for name in local(Path(run.at(names.FOLDER)))}
    assert {f"{FOLDER}/{name}.tif" for name in BY_NAME} | {f"{FOLDER}/{name}.qml" for name in BY_NAME} < files
    assert {f"{FOLDER}/{name}.tif.aux.xml" for name in ("reason", *FLAGS)} < files
    assert OF_POLYGONS | {names.CATALOGUE} < files
    target = RunDirectory(run.at(names.FOLDER))
    assets = target.read_json(f"{FOLDER}/item.json")["assets"].values()
    listed = {asset["href"].removeprefix("./"): asset["file:size"] for asset in assets if "file:size" in asset}
    assert {"exclusion.tif", "advisory.qml"} < listed.keys()
    stated = json.loads(target.read(names.MANIFEST))["products"][f"{FOLDER}/reason.tif"]["files"]
    assert listed["reason.tif"] == stated[f"{FOLDER}/reason.tif"]["bytes"]


def test_made_again_they_are_kept_and_made_elsewhere_they_are_the_same(run: RunDirectory, tmp_path: Path):
    assert exported(run).outcome.made == ()
    exported(run, tmp_path / "elsewhere")
    assert local(tmp_path / "elsewhere") == local(Path(run.at(names.FOLDER)))
    verdict = verify_products(RunDirectory(run.at(names.FOLDER)), stated_cube(run), lambda *_: None)
    assert verdict is not None
    assert verdict.whole


def test_what_reads_the_cube_tells_of_all_that_it_reads(tmp_path: Path):
    run, said = scan_in(tmp_path / "run"), list[Progress]()
    export(run, ExportSettings(), progress=said.append)
    steps = [(one.current, other.current, other.share - one.share) for one, other in pairwise(said)]
    telling = {name for name, coming, more in steps if name == coming and more > 0}
    assert telling == {one.current for one in said if one.current.endswith(".tif")} | OF_POLYGONS - {names.GEOJSON}
    assert all(more < 1e-3 for name, coming, more in steps if name in telling and coming != name)  # nothing was left


def test_another_threshold_makes_polygons_anew_and_no_raster(run: RunDirectory, tmp_path: Path):
    there = tmp_path / "there"
    exported(run, there)
    summary = exported(run, there, threshold=0.9)
    assert {*summary.outcome.made} == {*OF_POLYGONS, names.CATALOGUE}
    assert "missing: 1 of 4 units" in export_report(summary)


def test_a_layer_of_the_users_is_asked_and_its_content_is_what_counts(run: RunDirectory, tmp_path: Path):
    there, file = tmp_path / "there", tmp_path / "roads.gpkg"
    whole = gpd.read_parquet(Path(run.at(names.FOLDER), names.POLYGONS))
    first = whole.geometry.iloc[0].representative_point()
    road = shapely.LineString([(first.x - 1e-4, first.y), (first.x + 1e-4, first.y)])
    gpd.GeoDataFrame(geometry=[road], crs=4326).to_file(file)
    exported(run, there, only=("vector",), layers={"roads": str(file)})
    touched = gpd.read_parquet(there / names.POLYGONS).set_index("id")["touches"]
    assert touched[whole["id"].iloc[0]] == "roads"
    assert set(touched) == {"", "roads"}
    file.rename(tmp_path / "other.gpkg")
    assert exported(run, there, only=("vector",), layers={"roads": str(tmp_path / "other.gpkg")}).outcome.made == ()
    assert names.POLYGONS in exported(run, there, only=("vector",)).outcome.made


def test_a_layer_that_does_not_fit_is_refused_in_one_line_and_nothing_is_written(run: RunDirectory, tmp_path: Path):
    point = [shapely.Point(18, 46)]
    gpd.GeoDataFrame(geometry=point, crs=4326).to_file(tmp_path / "points.gpkg")
    gpd.GeoDataFrame(geometry=[shapely.LineString([(18, 46), (18.1, 46)])], crs=4326).to_file(tmp_path / "nowhere.shp")
    (tmp_path / "nowhere.prj").unlink()
    for layers in (
        {"roads": str(tmp_path / "nothing.gpkg")},
        {"roads": str(tmp_path / "points.gpkg")},
        {"roads": str(tmp_path / "nowhere.shp")},
        {"streets": str(tmp_path / "points.gpkg")},
    ):
        with pytest.raises(InvalidInputError) as caught:
            exported(run, tmp_path / "there", layers=layers)
        assert "\n" not in str(caught.value)
        assert next(iter(layers)) in str(caught.value)
    assert not (tmp_path / "there").exists()


def test_a_geojson_that_would_be_too_large_is_left_out_and_said(
    run: RunDirectory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(geojson.write_geojson, "__defaults__", (1000,))
    summary = exported(run, tmp_path / "there", only=("vector",))
    assert summary.outcome.left_out.keys() == {names.GEOJSON}
    assert f"not made: file {names.GEOJSON}" in export_report(summary)
    assert not (tmp_path / "there" / names.GEOJSON).exists()


def test_bands_that_a_run_keeps_are_rasters_too_of_the_reflectance_that_the_network_was_shown(tmp_path: Path):
    (tmp_path / "scenes").mkdir()
    checkpoint = untrained(tmp_path / "checkpoint.safetensors")
    region = {"bbox": [17.990, 46.010, 18.004, 46.015]}
    with served(tmp_path / "scenes") as url:
        place = url, tmp_path / "scenes"
        settings = configured(place, checkpoint, tmp_path / "run", region=region, output={"keep": ["red"]})
        assert plain_scan(settings).complete
    kept = RunDirectory(str(tmp_path / "run"))
    exported(kept, only=("cog", "stac"))
    of = scanned(kept)
    for lattice, extent in of.extents.items():
        (path,) = Path(kept.at(names.FOLDER)).glob(f"cog/{lattice.zone.group}/*/red.tif")
        assert 'label="0.25 and more"' in path.with_suffix(".qml").read_text()
        with rioxarray.open_rasterio(path, mask_and_scale=True) as raster:
            (band,) = np.asarray(raster)
        assert np.allclose(band, of.read_reflectance(lattice, extent, 0)["red"], atol=1e-6, equal_nan=True)
        said = json.loads(path.with_name("item.json").read_text())["assets"]["red.tif"]
        assert (said["raster:scale"], said["raster:offset"], said["nodata"]) == (0.0001, -0.1, 65535)
