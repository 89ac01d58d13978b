"""Items of a version: against Monty's schema and STAC's, and in the words that its documents ask for."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import pystac
import pytest
import shapely
from helpers.publishing import FIGURES, SUBJECT, UNSEEN, made_of
from jsonschema import Draft7Validator
from pystac.validation.local_validator import get_local_schema_cache
from referencing import Registry
from referencing.jsonschema import DRAFT7

from landslide_scale.products.manifest import Stored
from landslide_scale.rapid.publication.emsnames import FOLDER, Kind, copy, ems_names
from landslide_scale.rapid.publication.monty import (
    EVENT,
    HAZARD,
    MONTY,
    SHAKEMAP,
    Subject,
    correlation,
    items,
)
from landslide_scale.rapid.publication.response import Producer, Stage
from landslide_scale.rapid.publication.settings import EmsNamesConfig
from landslide_scale.rapid.publication.version import RESPONSE, Difference, Version
from landslide_scale.storage.rundir import RunDirectory

HERE = Path(__file__).parent
SCHEMAS = [*(HERE / "schemas").glob("*.json"), *(HERE.parents[1] / "products/catalogue/schemas").glob("*.json")]
FIRST = Stage()
NEPAL = Producer(name="Made", countries=("NPL",))
FILES = {
    name: Stored(bytes=7, sha256="ab" * 32)
    for name in ("cog/EPSG_32645/probability.tif", "landslides.gpkg", "collection.json", "products.json", "report.html")
}


def version(number: int = 1, **more: object) -> Version:
    known: dict[str, Any] = {
        "event": SUBJECT.id,
        "number": number,
        "release": number + 1,
        "version": 1,
        "published": datetime(2023, 7, 21, tzinfo=UTC),
        "made_of": made_of(number),
        "figures": FIGURES,
        "difference": Difference(newly_observed_km2=60.0) if number else None,
        "files": FILES,
    }
    return Version(**known | more)


def said(
    of: Version,
    subject: Subject = SUBJECT,
    producer: Producer = NEPAL,
    stage: Stage = FIRST,
    derived_from: Sequence[str] = (),
) -> dict[str, Any]:
    return {name: json.loads(one) for name, one in items(of, subject, producer, stage, derived_from).items()}


@cache
def known_schemas() -> tuple[Mapping[str, Any], Any]:
    found = get_local_schema_cache() | {
        one["$id"].rstrip("#"): one for one in (json.loads(path.read_text()) for path in SCHEMAS)
    }
    return found, Registry().with_resources([(uri, DRAFT7.create_resource(one)) for uri, one in found.items()])


def problems(item: Mapping[str, Any]) -> list[str]:
    schemas, registry = known_schemas()
    core = "https://schemas.stacspec.org/v1.1.0/item-spec/json-schema/item.json"
    return [
        f"{uri}: {problem.message}"
        for uri in (core, *item["stac_extensions"])
        for problem in Draft7Validator(schemas[uri], registry=registry).iter_errors(item)
    ]


WAYS = {
    "nothing seen": (version(0, figures=UNSEEN, files={}, made_of=made_of(0, cube_sha256="")), SUBJECT, NEPAL, Stage()),
    "first": (version(), SUBJECT, NEPAL, Stage()),
    "later": (version(3), SUBJECT, NEPAL, Stage(observed_before=2)),
    "ended": (version(4), SUBJECT, NEPAL, Stage(observed_before=3, ended=True)),
    "confirmed": (version(2, made_of=made_of(2, confirmed_by="AB")), SUBJECT, Producer(), Stage(observed_before=1)),
    "by hand": (
        version(),
        replace(SUBJECT, kind="monsoon", shakemap=None, magnitude=None, largest_intensity=None, url=""),
        Producer(countries=("NPL", "IND")),
        Stage(),
    ),
    "over the antimeridian": (
        version(),
        replace(
            SUBJECT,
            ground=shapely.MultiPolygon([shapely.box(179.5, -17, 180, -16), shapely.box(-180, -17, -179.5, -16)]),
        ),
        NEPAL,
        Stage(),
    ),
}


@pytest.mark.parametrize("way", WAYS)
def test_every_item_is_valid_in_core_and_every_extension(way: str):
    for name, item in said(*WAYS[way]).items():
        assert MONTY in item["stac_extensions"]
        assert problems(item) == [], name
        assert pystac.Item.from_dict(item).id == item["id"]


def test_the_schema_would_find_what_is_wrong():
    item = said(version())[RESPONSE]
    for wrong in (
        {"roles": []},
        {"monty:response_detail": {"type": "map"}},
        {"monty:country_codes": ["Nepal"]},
        {"monty:unheard": 1},
    ):
        assert problems(item | {"properties": item["properties"] | wrong}), wrong
    assert problems(item | {"links": [{"rel": "related", "href": "x"}]})


def test_hazards_are_named_once_each_in_every_vocabulary_and_found_by_one_identifier():
    found = said(version())
    assert found[HAZARD]["properties"]["monty:hazard_codes"] == ["LS", "nat-geo-mmd-lan", "GH0300"]
    assert found[RESPONSE]["properties"]["monty:hazard_codes"] == ["LS", "nat-geo-mmd-lan", "GH0300"]
    assert found[SHAKEMAP]["properties"]["monty:hazard_codes"] == ["EQ", "nat-geo-ear-gro", "GH0101"]
    of_all = [item["properties"] for item in found.values()]
    assert {one["monty:corr_id"] for one in of_all} == {"20230720T010203Z-NPL-N462E0134-GH0101-1"}
    assert {one["monty:src_event_id"] for one in of_all} == {SUBJECT.id}


def test_countries_are_what_was_configured_and_empty_otherwise():
    assert said(version(), producer=Producer())[RESPONSE]["properties"]["monty:country_codes"] == []
    two = Producer(countries=("NPL", "IND"))
    assert said(version(), producer=two)[EVENT]["properties"]["monty:country_codes"] == ["NPL", "IND"]
    assert "-XXX-" in correlation(SUBJECT, two)


@pytest.mark.parametrize(
    ("lat", "lon", "cell"),
    [(46.3, 13.5, "N462E0134"), (-0.05, -179.95, "S002W1800"), (0.0, 0.0, "N000E0000"), (28.639, 87.361, "N286E0872")],
)
def test_a_cell_is_named_by_its_south_western_corner(lat: float, lon: float, cell: str):
    assert correlation(replace(SUBJECT, lat=lat, lon=lon), NEPAL).split("-")[2] == cell


def links(item: Mapping[str, Any], relation: str) -> list[str]:
    return [one["href"] for one in item["links"] if one["rel"] == relation]


def test_items_point_to_each_other_to_the_version_before_and_to_what_they_were_made_of():
    scenes = ["https://catalogue.example/items/a", "https://catalogue.example/items/b"]
    found = said(version(2), derived_from=scenes)
    assert links(found[HAZARD], "triggered-by-hazard") == ["shakemap.json"]
    assert links(found[SHAKEMAP], "triggers-hazard") == ["hazard.json"]
    assert links(found[SHAKEMAP], "via") == ["https://agency.example/shakemap/us6000made/4"]
    assert links(found[RESPONSE], "prev") == ["../0001/response.json"]
    assert links(found[RESPONSE], "related") == [EVENT, HAZARD, SHAKEMAP]
    assert links(found[RESPONSE], "derived_from") == ["./collection.json", *scenes, SHAKEMAP]
    assert links(said(version(0))[RESPONSE], "prev") == []
    for name, item in found.items():
        folder = Path(name).parent
        inside = [one["href"] for one in item["links"] if not one["href"].startswith(("http", "../0001"))]
        there = {str(Path("x/y", folder, href).resolve()) for href in inside}
        assert there <= {str(Path("x/y", other).resolve()) for other in (*found, *FILES)}


def test_without_a_shakemap_nothing_points_to_one():
    found = said(*WAYS["by hand"])
    assert set(found) == {EVENT, HAZARD, RESPONSE}
    assert links(found[HAZARD], "triggered-by-hazard") == []
    assert found[EVENT]["properties"]["monty:hazard_codes"][-1] == "GH0300"


@pytest.mark.parametrize(
    ("way", "expected"),
    [
        ("nothing seen", ("eo-sr", None, "published", "modelled")),
        ("first", ("eo-fep", None, "published", "automated")),
        ("later", ("eo-mon", 2, "published", "automated")),
        ("ended", ("eo-del", 3, "finished", "automated")),
        ("confirmed", ("eo-del", 1, "published", "semi_automated")),
    ],
)
def test_a_response_says_what_kind_it_is(way: str, expected: tuple[object, ...]):
    found = said(*WAYS[way])[RESPONSE]["properties"]["monty:response_detail"]
    names = ("type", "monitoring_number", "status", "methodology")
    assert tuple(found.get(name) for name in names) == expected
    assert found.get("producer") == (None if way == "confirmed" else "Made")


def test_a_response_is_preliminary_until_an_analyst_stands_for_it_and_names_its_files():
    item = said(version())[RESPONSE]
    assert item["properties"]["description"].startswith("Preliminary, not field-validated. 60.0 of 100.0 km2")
    assert item["properties"]["experimental"] is True
    assert item["assets"]["landslides.gpkg"]["file:checksum"] == "1220" + "ab" * 32
    assert "products.json" not in item["assets"]
    item = said(*WAYS["confirmed"])[RESPONSE]
    assert item["properties"]["description"].startswith("Confirmed by AB. ")
    assert item["properties"]["experimental"] is False


def test_a_box_over_the_antimeridian_has_its_west_east_of_its_east():
    item = said(*WAYS["over the antimeridian"])[RESPONSE]
    assert item["bbox"] == [179.5, -17.0, -179.5, -16.0]


AS_EMS = EmsNamesConfig(activation="EMSR999", area=2)


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        (Kind(response="eo-fep", monitoring=None, release=1, version=2), "EMSR999_AOI02_FEP_PRODUCT_r1_v2.gpkg"),
        (Kind(response="eo-mon", monitoring=3, release=4, version=1), "EMSR999_AOI02_DEL_MONIT03_r4_v1.gpkg"),
        (Kind(response="eo-del", monitoring=None, release=4, version=1), "EMSR999_AOI02_DEL_PRODUCT_r4_v1.gpkg"),
    ],
)
def test_files_have_the_names_of_emergency_mapping(kind: Kind, name: str):
    assert ems_names(kind, AS_EMS)["landslides.gpkg"] == name
    assert ems_names(kind, AS_EMS)["landslides.geojson"].endswith(
        f"_observedEventA_r{kind.release}_v{kind.version}.geojson"
    )


def test_copies_have_the_bytes_of_what_is_there_and_a_report_of_nothing_seen_has_none(tmp_path: Path):
    target = RunDirectory(str(tmp_path))
    target.write("landslides.gpkg", b"file")
    kind = Kind(response="eo-fep", monitoring=None, release=1, version=1)
    copy(target, ems_names(kind, AS_EMS))
    assert [path.read_bytes() for path in (tmp_path / FOLDER).iterdir()] == [b"file"]
    assert ems_names(replace(kind, response="eo-sr"), AS_EMS) == {}
