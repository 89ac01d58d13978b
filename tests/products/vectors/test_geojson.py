"""Landslides as GeoJSON by RFC 7946, or a line that says where they are."""

from __future__ import annotations

import json
from pathlib import Path

import geopandas as gpd
import pytest
import shapely
from helpers.landslides import awkward

from landslide_scale.errors import InvalidInputError
from landslide_scale.products.landslide import COLUMNS
from landslide_scale.products.vectors.geojson import write_geojson
from landslide_scale.products.vectors.geoparquet import write_geoparquet


def test_it_is_as_rfc_7946_wants_it(polygons: Path, tmp_path: Path):
    path = tmp_path / "a.geojson"
    write_geojson(polygons, path)
    content = json.loads(path.read_text(encoding="utf-8"))
    assert content["type"] == "FeatureCollection"
    assert "crs" not in content
    for feature, one in zip(content["features"], awkward(), strict=True):
        assert list(feature["properties"]) == [name for name in COLUMNS if name != "geometry"]
        assert feature["properties"]["verdict"] == one.verdict
        assert feature["properties"]["date_max"] == "2023-07-20"
        shape = shapely.geometry.shape(feature["geometry"])
        assert shape.equals_exact(one.geometry, 1e-7, normalize=True)
        assert all(part.exterior.is_ccw and not any(hole.is_ccw for hole in part.interiors) for part in shape.geoms)
        assert all(round(value, 7) == value for value in shapely.get_coordinates(shape).ravel())


def test_geopandas_reads_the_same_from_it(polygons: Path, tmp_path: Path):
    write_geojson(polygons, tmp_path / "a.geojson")
    frame = gpd.read_file(tmp_path / "a.geojson")
    assert frame["id"].tolist() == [one.id for one in awkward()]
    assert frame.crs == "EPSG:4326"


def test_too_many_are_refused_and_nothing_is_left(polygons: Path, tmp_path: Path):
    write_geojson(polygons, tmp_path / "whole.geojson")
    size = (tmp_path / "whole.geojson").stat().st_size
    write_geojson(polygons, tmp_path / "just.geojson", most=size)
    for most in (size - 1, 100):  # told by the file, and by the number of corners
        with pytest.raises(InvalidInputError, match=r"Use landslides\.gpkg or landslides\.parquet"):
            write_geojson(polygons, tmp_path / "a.geojson", most=most)
        assert not (tmp_path / "a.geojson").exists()


def test_none_and_twice(polygons: Path, tmp_path: Path):
    write_geoparquet([], tmp_path / "none.parquet", {})
    write_geojson(tmp_path / "none.parquet", tmp_path / "none.geojson")
    assert json.loads((tmp_path / "none.geojson").read_text())["features"] == []
    for name in "ab":
        write_geojson(polygons, tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
