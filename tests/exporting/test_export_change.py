"""Products of two layers that are compared: made, kept, gone on with from the version before, and refused."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pyogrio
import pytest
import rasterio
from helpers.changes import BOX, LATTICE, TWO, pair, two_layers, without_network
from helpers.s3 import local
from helpers.scenes import item
from typer.testing import CliRunner

from landslide_scale.bands import NEVER
from landslide_scale.change.classes import ChangeClass
from landslide_scale.cli import app
from landslide_scale.errors import BrokenRunError, InvalidConfigError, InvalidInputError
from landslide_scale.exporting.run import ExportSummary, export
from landslide_scale.exporting.settings import ExportSettings
from landslide_scale.products import names
from landslide_scale.products.change.compared import Compared
from landslide_scale.products.change.planes import CLASSES, STATUSES, planes
from landslide_scale.products.change.settings import Change
from landslide_scale.products.scanned import Scanned
from landslide_scale.stac.frozen import freeze

FOLDER = "cog/EPSG_32633/20230701_20230801"
RASTERS = ("change", "rdndvi", "status", "looks", "first_day", "last_day", "exclusion", "advisory")
CHANGE = Change(before=0, after=1)


def exported(of: Scanned, to: Path | None = None, **settings: Any) -> ExportSummary:  # noqa: ANN401 of settings
    told = {"change": CHANGE, "min_area_m2": 0.0, "to": None if to is None else str(to)}
    return export(of.run, ExportSettings(**(told | settings)), progress=lambda _: None)


@pytest.fixture(scope="module")
def learned(tmp_path_factory: pytest.TempPathFactory) -> Scanned:
    before, after = pair()
    after.probability[32:, :24] = np.nan  # a cloud
    of = two_layers(tmp_path_factory.mktemp("learned") / "run", (LATTICE, BOX), (before.layer(), after.layer()))
    scene = item("S2A_MADE_20230720") | {
        "geometry": {"type": "Polygon", "coordinates": [[[14, 45], [16, 45], [16, 47], [14, 47], [14, 45]]]},
        "bbox": [14, 45, 16, 47],
    }
    freeze(of.run, [scene])
    exported(of)
    return of


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Scanned:
    before, after = (without_network(one.layer()) for one in pair())
    how = replace(TWO, learned=False)
    of = two_layers(tmp_path_factory.mktemp("alone") / "run", (LATTICE, BOX), (before, after), how)
    exported(of)
    return of


def at(of: Scanned, name: str) -> Path:
    return Path(of.run.at(names.FOLDER), name)


def test_rasters_hold_what_was_compared_and_say_what_it_means(learned: Scanned):
    for plane in planes(Compared(of=learned, how=CHANGE, step=125)):
        path = at(learned, f"{FOLDER}/{plane.name}.tif")
        with rasterio.open(path) as source:
            np.testing.assert_array_equal(source.read(1), plane.read(LATTICE, BOX))
            assert (source.dtypes[0], source.nodata) == (plane.variable.dtype, plane.variable.fill)
            assert source.tags()["LOSS"] == "30"
            assert source.tags()["WITNESSES"] == "a network and vegetation"
            if plane.classes:
                assert {code: source.colormap(1)[code][:3] for code in plane.classes} == {
                    code: shown.colour for code, shown in plane.classes.items()
                }
        assert path.with_suffix(".qml").exists()
        assert Path(f"{path}.aux.xml").exists() == bool(plane.classes)
        said = json.loads(at(learned, f"{FOLDER}/item.json").read_text())["assets"][f"{plane.name}.tif"]
        assert said["title"] == plane.variable.attributes["long_name"]
        classes = {one["value"]: one["description"] for one in said.get("classification:classes", ())}
        assert classes == {code: shown.words for code, shown in plane.classes.items()}
    properties = json.loads(at(learned, f"{FOLDER}/item.json").read_text())["properties"]
    assert properties["landslide_scale:change_loss"] == "30"


def test_no_two_classes_look_or_read_alike():
    for shown in (CLASSES, STATUSES):
        assert len({one.colour for one in shown.values()}) == len({one.words for one in shown.values()}) == len(shown)
    assert set(CLASSES) == set(ChangeClass)


def test_polygons_are_of_the_layer_after_in_every_file(learned: Scanned):
    table = gpd.read_parquet(at(learned, names.POLYGONS))
    assert set(table["window"]) == {"2023-07-01 to 2023-08-01"}
    assert set(table["change"]) == {"new", "seen only after"}
    for name, layer in ((names.GEOPACKAGE, "landslides"), (names.GEOJSON, None)):
        other = pyogrio.read_dataframe(at(learned, name), layer=layer).set_index("id")
        for column in ("change", "witnesses"):
            assert other[column].to_dict() == table.set_index("id")[column].to_dict()
    about = pyogrio.read_dataframe(at(learned, names.GEOPACKAGE), layer="about").set_index("key")["value"]
    assert json.loads(about["change"])["before"] == "2023-06-01 to 2023-07-01"
    assert "candidate" not in about


def test_hidden_ground_has_the_day_it_may_be_seen(learned: Scanned):
    (feature,) = json.loads(at(learned, names.DUE).read_text())["features"]
    assert feature["properties"]["hidden_km2"] > 0
    assert feature["properties"]["due"] > "2023"
    assert "Next passes over hidden ground" in at(learned, names.REPORT).read_text()


@pytest.mark.slow
def test_made_again_they_are_kept_and_another_loss_makes_anew_what_depends_on_it(learned: Scanned, tmp_path: Path):
    assert exported(learned).outcome.made == ()
    exported(learned, tmp_path / "there")
    assert local(tmp_path / "there") == local(Path(learned.run.at(names.FOLDER)))
    made = exported(learned, tmp_path / "there", change=replace(CHANGE, loss=50.0)).outcome.made
    assert f"{FOLDER}/rdndvi.tif" in made
    assert f"{FOLDER}/probability.tif" not in made
    assert {names.POLYGONS, names.REPORT, names.CATALOGUE} <= set(made)


@pytest.mark.slow
def test_first_days_are_taken_over_from_the_version_before(learned: Scanned, tmp_path: Path):
    early = replace(pair(seed=5)[1], said={"day": date(2023, 7, 5)})
    first = two_layers(tmp_path / "first", (LATTICE, BOX), (pair()[0].layer(), early.layer()))
    exported(first, tmp_path / "v1", only=("cog",))
    exported(learned, tmp_path / "v2", only=("cog",), change=replace(CHANGE, earlier=str(tmp_path / "v1")))
    read = {}
    for version in ("v1", "v2"):
        with rasterio.open(tmp_path / version / FOLDER / "first_day.tif") as source:
            read[version] = source.read(1)
    now = learned.read_one(LATTICE, BOX, 1, "observed_on")
    np.testing.assert_array_equal(read["v2"], np.minimum(read["v1"], now))
    assert ((read["v1"] < now) & (now == NEVER)).any()
    (tmp_path / "v1" / FOLDER / "first_day.tif").write_bytes(b"other")
    with pytest.raises(BrokenRunError, match="other bytes than were made"):
        exported(learned, tmp_path / "v3", only=("cog",), change=replace(CHANGE, earlier=str(tmp_path / "v1")))
    shutil.rmtree(tmp_path / "v1")
    with pytest.raises(InvalidInputError, match="version before"):
        exported(learned, tmp_path / "v4", change=replace(CHANGE, earlier=str(tmp_path / "v1")))


def test_without_a_network_all_files_speak_of_candidates_and_none_of_a_probability(alone: Scanned):
    files = {name.lstrip("/") for name in local(Path(alone.run.at(names.FOLDER)))}
    assert {f"{FOLDER}/{name}.tif" for name in RASTERS} < files
    assert not [name for name in files if "probability" in name]
    table = gpd.read_parquet(at(alone, names.POLYGONS))
    assert set(table["change"]) == {"candidate"}
    assert table[["prob_mean", "prob_max"]].isna().all(axis=None)
    about = pyogrio.read_dataframe(at(alone, names.GEOPACKAGE), layer="about").set_index("key")["value"]
    assert "candidate" in about["candidate"]
    assert "no elevation model" in json.loads(about["change"])["slopes"]
    usgs = pyogrio.read_dataframe(at(alone, names.GEOPACKAGE), layer="ground_failure_polygons")
    assert set(usgs["type"]) == {"Landslide candidate"}
    page = at(alone, names.REPORT).read_text()
    assert "<h1>Candidates of vegetation loss</h1>" in page
    assert "No network looked at" in page
    assert "landslides expected on observed ground" not in page
    said = json.loads(at(alone, f"{FOLDER}/item.json").read_text())["properties"]
    assert "landslide_scale:threshold" not in said
    assert "candidates" in said["processing:lineage"]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"change": None, "layers": {"roads": "roads.gpkg"}}, "--change"),
        ({"threshold": 0.5}, "--threshold"),
        ({"change": Change(before=0, after=4)}, "4"),
    ],
)
def test_what_a_scan_without_a_network_cannot_give_is_refused(
    alone: Scanned, tmp_path: Path, settings: dict[str, Any], said: str
):
    with pytest.raises(InvalidConfigError, match=said):
        exported(alone, tmp_path / "there", **settings)
    assert not (tmp_path / "there").exists()


def test_options_arrive(learned: Scanned, tmp_path: Path):
    there = tmp_path / "there"
    words = ["--change", "0,1", "--loss", "45", "--finished", "--only", "cog", "--to", str(there)]
    told = CliRunner().invoke(app, ["export", learned.run.url, *words])
    assert told.exit_code == 0, told.output
    stated = json.loads((there / names.MANIFEST).read_text())["products"][f"{FOLDER}/status.tif"]["origin"]["settings"]
    assert (stated["change"]["loss"], stated["change"]["finished"]) == (45.0, True)
    told = CliRunner().invoke(app, ["export", learned.run.url, "--loss", "45"])
    assert (told.exit_code, "an option of --change alone" in told.output) == (2, True)
    told = CliRunner().invoke(app, ["export", learned.run.url, "--change", "both"])
    assert (told.exit_code, "BEFORE,AFTER" in told.output) == (2, True)
