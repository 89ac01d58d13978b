"""The catalogue: against the schemas of STAC and its extensions, and read by pystac from where it lies."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pystac
import pytest
import shapely
from helpers.cubes import AFTER, BEFORE, Made, layer_of, made
from helpers.scenes import item
from jsonschema import Draft7Validator
from pystac.validation.local_validator import get_local_schema_cache
from referencing import Registry
from referencing.jsonschema import DRAFT7

from landslide_scale.bands import Reason
from landslide_scale.cube.arrays import Layer
from landslide_scale.grid import PixelBox, project
from landslide_scale.products.catalogue.written import catalogue
from landslide_scale.products.scanned import Scanned, scanned
from landslide_scale.scan.plan import Place
from landslide_scale.stac.frozen import freeze

HOW = Made(
    windows=(BEFORE, AFTER),
    region=shapely.box(17.9985, 46.0, 18.0015, 46.002),
    scenes=(
        {"id": "linked", "offset": 0, "rule": "made", "resampled": False},
        {"id": "unknown", "offset": 0, "rule": "made", "resampled": False},
        {"id": "aside", "quarantined": "made"},
    ),
)
LINK = "https://catalogue.example/collections/made/items/linked"
FILES = {
    "cog/EPSG_32633/20230701_20230801/probability.tif": b"probability",
    "cog/EPSG_32633/20230701_20230801/probability.qml": b"style",
    "cog/EPSG_32634/20230701_20230801/reason.tif": b"reason",
    "landslides.gpkg": b"polygons",
    "report.html": b"page",
    "products.json": b"not a product",
}
SCHEMAS = Path(__file__).parent / "schemas"


@dataclass(frozen=True, kw_only=True)
class Hashed:
    bytes: int
    sha256: str


def hashed(files: Mapping[str, bytes]) -> dict[str, Hashed]:
    return {
        name: Hashed(bytes=len(content), sha256=hashlib.sha256(content).hexdigest()) for name, content in files.items()
    }


@pytest.fixture(scope="module")
def cube(tmp_path_factory: pytest.TempPathFactory) -> Scanned:
    """Both sides of the border of zones 33 and 34; in the first window the west is cloudy and the east failed."""
    extents = {}
    for number in (33, 34):
        lattice = HOW.lattice(number)
        extents[lattice] = lattice.box_covering(project(HOW.region, 4326, lattice.zone.epsg).bounds)
    run = made(tmp_path_factory.mktemp("made") / "run", HOW.places(extents), painted, HOW)
    scene = item("linked") | {"links": [{"rel": "self", "href": f"{LINK}?sig=secret"}, {"rel": "root", "href": "/"}]}
    freeze(run, [scene, item("elsewhere")])
    run.note(network={"name": "unet", "bands": ["red", "green", "elevation"], "patch": 448})
    return scanned(run)


def painted(place: Place) -> Layer | None:
    if place.layer == 0:
        return None if place.lattice.zone.epsg == 32634 else layer_of(np.full((16, 16), np.nan))
    return layer_of(np.full((16, 16), 0.25))


@pytest.fixture(scope="module")
def written(cube: Scanned) -> dict[str, Any]:
    return {name: json.loads(content) for name, content in catalogue(cube, hashed(FILES)).items()}


def test_it_is_valid_stac_in_core_and_every_extension(written: dict[str, Any]):
    schemas = get_local_schema_cache() | {
        schema["$id"].rstrip("#"): schema for schema in map(json.loads, map(Path.read_text, SCHEMAS.glob("*.json")))
    }
    registry = Registry().with_resources(
        [(uri, DRAFT7.create_resource(schema)) for uri, schema in schemas.items()]
    )  # fmt: skip
    used = set()
    for content in written.values():
        kind = {"Feature": "item", "Collection": "collection"}[content["type"]]
        core = f"https://schemas.stacspec.org/v1.1.0/{kind}-spec/json-schema/{kind}.json"
        for uri in (core, *content["stac_extensions"]):
            problems = list(Draft7Validator(schemas[uri], registry=registry).iter_errors(content))
            assert not problems, (content["id"], uri, problems[0].message)
            used.add(uri)
    assert len(used) == 2 + 8


def test_items_are_of_one_zone_and_window_each_and_say_where_anything_was_observed(written: dict[str, Any]):
    items = {content["id"]: content for name, content in written.items() if name.endswith("item.json")}
    footprints = {name: content["geometry"] for name, content in items.items()}
    assert footprints["EPSG_32633_20230601_20230701"] is None  # a cloud
    assert footprints["EPSG_32634_20230601_20230701"] is None  # failed
    parts = [shapely.geometry.shape(footprints[f"EPSG_{code}_20230701_20230801"]) for code in (32633, 32634)]
    assert shapely.union_all(parts).symmetric_difference(HOW.region).area < 1e-6 * HOW.region.area
    assert [part.bounds for part in parts] == [
        pytest.approx((17.9985, 46, 18, 46.002), abs=1e-6),
        pytest.approx((18, 46, 18.0015, 46.002), abs=1e-6),
    ]
    assert all(part.exterior.is_ccw for part in parts)


def test_a_window_is_its_interval_and_no_time_is_made_up(cube: Scanned, written: dict[str, Any]):
    said = written["cog/EPSG_32633/20230701_20230801/item.json"]["properties"]
    assert (said["datetime"], said["start_datetime"]) == (None, "2023-07-01T00:00:00Z")
    assert said["end_datetime"] == "2023-08-01T00:00:00Z"
    assert said["created"] == cube.facts["begun"]
    assert "published" not in said
    assert "not field-validated" in said["description"]
    assert said["experimental"] is True
    assert said["landslide_scale:threshold"] == 0.5
    assert said["landslide_scale:model_sha256"] == "0" * 64
    assert said["proj:code"] == "EPSG:32633"


def test_scenes_used_are_linked_as_far_as_their_items_have_an_address(written: dict[str, Any]):
    one = written["cog/EPSG_32633/20230701_20230801/item.json"]
    links = [link for link in one["links"] if link["rel"] == "derived_from"]
    assert [link["href"] for link in links] == [LINK, "../../../model.json"]  # without its key
    assert links[1]["mlm:name"] == written["model.json"]["properties"]["mlm:name"]
    assert one["properties"]["landslide_scale:scenes"] == 2
    assert one["properties"]["landslide_scale:scenes_without_link"] == 1
    assert written["cog/EPSG_32634/20230601_20230701/item.json"]["properties"]["landslide_scale:units_missing"] > 0


def test_every_address_leads_to_its_file_wherever_the_products_lie(cube: Scanned, tmp_path: Path):
    for name, content in (FILES | catalogue(cube, hashed(FILES))).items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(content)
    whole = pystac.Collection.from_file(str(tmp_path / "collection.json"))
    items = [one for one in whole.get_items() if "mlm:name" not in one.properties]
    assert len(items) == 4
    assert len(list(whole.get_items())) == 5
    found = {}
    for owner in (whole, *items):
        assert owner.get_root().id == whole.id
        for asset in owner.assets.values():
            path = Path(asset.get_absolute_href())
            content = path.read_bytes()
            assert asset.extra_fields["file:size"] == len(content)
            assert asset.extra_fields["file:checksum"] == "1220" + hashlib.sha256(content).hexdigest()
            found[str(path.relative_to(tmp_path))] = asset
    assert found.keys() == FILES.keys() - {"products.json"}
    probability = found["cog/EPSG_32633/20230701_20230801/probability.tif"]
    assert probability.media_type == pystac.MediaType.COG
    assert probability.extra_fields["raster:scale"] == 0.004
    assert probability.extra_fields["nodata"] == 255
    classes = found["cog/EPSG_32634/20230701_20230801/reason.tif"].extra_fields["classification:classes"]
    assert {one["value"]: one["name"] for one in classes} == {int(code): code.name.lower() for code in Reason}


def test_the_network_is_an_item_that_names_its_checkpoint_by_hash(cube: Scanned, written: dict[str, Any]):
    said = written["model.json"]["properties"]
    assert said["mlm:name"] == "unet 000000000000"
    assert said["mlm:input"][0]["bands"] == ["red", "green", "elevation"]
    assert said["mlm:input"][0]["input"]["shape"] == [-1, 3, 448, 448]
    assert said["mlm:hyperparameters"] == {"threshold": 0.5}
    (checkpoint,) = written["model.json"]["assets"].values()
    assert checkpoint["href"] == "ni:///sha-256;" + 43 * "A"
    assert checkpoint["file:checksum"] == "1220" + 64 * "0"
    untold = replace(cube, facts={key: value for key, value in cube.facts.items() if key != "network"})
    assert set(catalogue(cube, {})) - catalogue(untold, {}).keys() == {"model.json"}


def test_the_same_run_gives_the_same_bytes_and_a_time_only_where_one_is_given(cube: Scanned):
    assert catalogue(scanned(cube.run), hashed(FILES)) == catalogue(cube, hashed(FILES))
    dated = catalogue(cube, hashed(FILES), datetime(2024, 1, 1, tzinfo=UTC))
    said = json.loads(dated["cog/EPSG_32633/20230701_20230801/item.json"])
    assert said["properties"]["published"] == "2024-01-01T00:00:00Z"
    assert any("timestamps" in uri for uri in said["stac_extensions"])


def test_a_run_that_froze_no_scenes_has_a_catalogue_too(tmp_path: Path):
    lattice = HOW.lattice(33)
    box = PixelBox(row_start=-509_504, row_stop=-509_488, col_start=73_200, col_stop=73_216)
    run = made(tmp_path / "run", Made().places({lattice: box}), painted_alone)
    content = json.loads(catalogue(scanned(run), {})["cog/EPSG_32633/20230701_20230801/item.json"])
    assert content["assets"] == {}
    assert content["properties"]["landslide_scale:scenes_without_link"] == 1


def painted_alone(place: Place) -> Layer:
    return layer_of(np.full(place.box.shape, 0.25))
