"""What a vector file may be beside whole: attributes nobody reads, and damage that is told in one line."""

from __future__ import annotations

import json
import sqlite3
import struct
import warnings
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
import shapely

from landslide_scale.errors import InvalidRegionError
from landslide_scale.region.polygons import load
from landslide_scale.region.settings import RegionConfig

SQUARE = shapely.box(14, 46, 15, 47)
MANY = [shapely.box(n / 10, 0, n / 10 + 0.05, 0.05) for n in range(300)]


def written(path: Path, *shapes: shapely.Polygon, **options: object) -> Path:
    frame = gpd.GeoDataFrame({"name": ["M\u00fchle"] * len(shapes)}, geometry=list(shapes), crs=4326)
    frame.to_file(path, **({"driver": "KML"} if path.suffix == ".kml" else {}) | options)
    return path


def geojson(path: Path, geometry: str, **members: object) -> Path:
    rest = "".join(f', "{name}": {json.dumps(value)}' for name, value in members.items())
    feature = f'{{"type": "Feature", "properties": {{}}, "geometry": {geometry}}}'
    path.write_text(f'{{"type": "FeatureCollection", "features": [{feature}]{rest}}}')
    return path


def region(path: Path) -> shapely.Geometry:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return load(RegionConfig(file=str(path)))


def refusal(path: Path) -> str:
    with pytest.raises(InvalidRegionError) as caught:
        region(path)
    assert f"file {path}" in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("encoding", ["GBK", "ISO-8859-1"])
def test_attributes_in_another_encoding_than_claimed_do_not_matter(tmp_path: Path, encoding: str):
    frame = gpd.GeoDataFrame({"\u6ed1" if encoding == "GBK" else "\u00e4": ["a"]}, geometry=[SQUARE], crs=4326)
    frame["name"] = "\u6ed1\u5761" if encoding == "GBK" else "M\u00fchle"
    frame.to_file(tmp_path / "a.shp", encoding=encoding)
    (tmp_path / "a.cpg").write_text("UTF-8")
    (tmp_path / "a.geojson").write_bytes(frame.to_json(ensure_ascii=False).encode(encoding))
    for name in ("a.shp", "a.geojson"):
        assert region(tmp_path / name).equals(SQUARE)


def test_the_name_of_a_layer_in_another_encoding_does_not_matter(tmp_path: Path):
    path = geojson(tmp_path / "a.geojson", json.dumps(shapely.geometry.mapping(SQUARE)), name="NAME")
    path.write_bytes(path.read_bytes().replace(b"NAME", b"M\xfchle"))
    assert region(path).equals(SQUARE)


def test_attributes_of_any_name_and_any_date_do_not_matter(tmp_path: Path):
    properties = {"geometry": 1, "fid": "x", "id": None, "when": "31.02.2024", "a": [1, {"b": 2}]}
    corners = shapely.geometry.mapping(SQUARE)
    features = [
        {"type": "Feature", "properties": properties | {"when": when}, "geometry": corners}
        for when in ("2024-01-01T00:00:00Z", "2024-01-01T00:00:00+09:00", "0000-00-00", 7)
    ]
    text = json.dumps({"type": "FeatureCollection", "features": features})
    path = tmp_path / "a.geojson"
    path.write_text(text.replace('"id": null', '"id": null, "a": 1, "A": 2'))
    assert region(path).equals(SQUARE)


def tail(path: Path, kept: float = 0.6) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * kept)])


def wkb(path: Path, content: bytes) -> None:
    with sqlite3.connect(path) as database:
        database.execute("update a set geom = ?", (b"GP\0\1" + struct.pack("<i", 4326) + content,))


RING = json.dumps({"type": "Polygon", "coordinates": [[[14, 46], [15, 46], [15, 47], [14, 46]]]})
TRIANGLE = struct.pack("<BIII", 1, 17, 1, 4) + struct.pack("<8d", 0, 0, 1, 0, 0, 1, 0, 0)

DAMAGED: dict[str, tuple[str, Callable[[Path], object], str]] = {
    "cut GeoPackage": ("a.gpkg", tail, "cannot be read (database disk image is malformed); expected"),
    "cut FlatGeobuf": ("a.fgb", tail, "cannot be read"),
    "cut GeoJSON": ("a.geojson", tail, "cannot be read (Failed to read GeoJSON data"),
    "cut GeoJSON lines": ("a.geojsonl", lambda path: tail(path, 0.5), "cannot be read (Expecting"),
    "cut shapes": ("a.shp", tail, "feature 179: empty"),
    "cut index": ("a.shp", lambda path: tail(path.with_suffix(".shx")), "cannot be read (Failed to read all values"),
    "no index": ("a.shp", lambda path: path.with_suffix(".shx").unlink(), "cannot be read (Unable to open"),
    "no system": ("a.shp", lambda path: path.with_suffix(".prj").unlink(), "no coordinate reference system"),
    "system of no encoding": (
        "a.shp",
        lambda path: path.with_suffix(".prj").write_bytes(
            path.with_suffix(".prj").read_bytes().replace(b"GCS_WGS_1984", b"GCS_\xb1\xb1\xbe\xa9_1954")
        ),
        "a reference system whose text is no UTF-8",
    ),
    "nonsense for a system": (
        "a.shp",
        lambda path: path.with_suffix(".prj").write_text('PROJCS["x",GEOGCS["y"'),
        "cannot be read",
    ),
    "unknown system": (
        "a.geojson",
        lambda path: geojson(path, RING, crs={"type": "name", "properties": {"name": "EPSG:999999"}}),
        "the reference system 'EPSG:999999' is unknown",
    ),
    "the Moon": (
        "a.geojson",
        lambda path: geojson(path, RING, crs={"type": "name", "properties": {"name": "IAU_2015:30100"}}),
        "the reference system Moon (2015)",
    ),
    "geocentric": (
        "a.geojson",
        lambda path: geojson(path, RING, crs={"type": "name", "properties": {"name": "EPSG:4978"}}),
        "neither geographic nor projected",
    ),
    "open ring": ("a.geojson", lambda path: geojson(path, RING.replace("[14, 46]]", "[14, 45]]")), "cannot be read ("),
    "no number": ("a.geojson", lambda path: geojson(path, RING.replace("14", "NaN")), "cannot be read ("),
    "endless": ("a.geojson", lambda path: geojson(path, RING.replace("14", "1e999")), "cannot be read ("),
    "depths": ("a.geojson", lambda path: geojson(path, "[" * 5000 + "]" * 5000), "cannot be read ("),
    "UTF-16": ("a.geojson", lambda path: path.write_bytes(path.read_text().encode("utf-16")), "not recognized"),
    "a web page": ("a.kml", lambda path: path.write_text("<!DOCTYPE html><html></html>"), "cannot be read ("),
    "a pointer": (
        "a.gpkg",
        lambda path: path.write_text("version https://git-lfs"),
        "not recognized",
    ),
    "nothing": ("a.gpkg", lambda path: path.write_bytes(b""), "not recognized"),
    "triangles": ("a.gpkg", lambda path: wkb(path, TRIANGLE), "cannot be read (ParseException: Unknown WKB type 17)"),
    "no polygon's bytes": ("a.gpkg", lambda path: wkb(path, b"\1\3\0\0\0" + b"\xff" * 4), "feature 0: empty"),
    "cut GeoParquet": ("a.parquet", tail, "cannot be read ("),
}


@pytest.mark.parametrize("case", DAMAGED)
def test_what_a_driver_makes_of_damage_is_one_line(case: str, tmp_path: Path):
    name, damage, said = DAMAGED[case]
    path = tmp_path / name
    if path.suffix == ".parquet":
        gpd.GeoDataFrame(geometry=MANY, crs=4326).to_parquet(path)
    else:
        options = {"SPATIAL_INDEX": "NO", "geometry_type": "Unknown"} if path.suffix == ".gpkg" else {}
        written(path, *MANY, **options)
    assert region(path).area > 0
    damage(path)
    text = refusal(path)
    assert said in text
    assert "\n" not in text
    assert "It might help" not in text


def test_a_path_by_which_a_driver_could_be_named_is_a_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    written(Path("WFS:x.geojson"), SQUARE)
    assert load(RegionConfig(file="WFS:x.geojson")).equals(SQUARE)
    for text in (RING, "/vsicurl/x.geojson", "CSV:nowhere"):
        with pytest.raises(InvalidRegionError):
            load(RegionConfig(file=text))
    assert "a path with '!'" in refusal(written(tmp_path / "b.gpkg", SQUARE).rename(tmp_path / "a!b.gpkg"))


@pytest.mark.parametrize("name", ["a.gpkg", "a.shp", "a.fgb", "a.kml", "a.prj"])
def test_a_damaged_file_is_read_or_refused_and_nothing_else(name: str, tmp_path: Path):
    written(tmp_path / name.replace(".prj", ".shp"), *MANY[:5])
    path, rng = tmp_path / name, np.random.default_rng(0)
    content = path.read_bytes()
    for _ in range(60):
        damaged = bytearray(content[: rng.integers(8, len(content) + 1)] if rng.random() < 0.3 else content)
        for _ in range(rng.integers(1, 5)):
            damaged[rng.integers(0, len(damaged))] = rng.integers(256)
        path.write_bytes(damaged)
        with suppress(InvalidRegionError):  # anything else fails the test
            assert region(tmp_path / name.replace(".prj", ".shp")).is_valid
