"""Items as stac-geoparquet, written and read some at a time: the same as all at once."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import rustac
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from landslide_scale.stac.holding import table
from landslide_scale.stac.holding.table import read_table, write_table

RING = [[14.0, 46.0], [15.0, 46.0], [15.0, 47.0], [14.0, 46.0]]


def item(number: int) -> dict[str, Any]:
    return {
        "type": "Feature",
        "stac_version": "1.0.0",
        "id": f"made-{number}",
        "collection": "made",
        "geometry": {"type": "Polygon", "coordinates": [RING]},
        "bbox": [14.0, 46.0, 15.0, 47.0],
        "properties": {"datetime": "2023-08-10T10:00:00Z", "eo:cloud_cover": number},
        "assets": {"red": {"href": f"https://made.example/{number}/red.tif"}},
        "links": [],
    }


def varied(number: int, kinds: set[str]) -> dict[str, Any]:
    """An Item with what others lack."""
    one = item(number)
    if "fraction" in kinds:
        one["properties"]["eo:cloud_cover"] = number + 0.5
    if "property" in kinds:
        one["properties"]["further"] = "x"
    if "list" in kinds:
        one["properties"]["list"] = [1, 2.5]
    if "empty list" in kinds:
        one["properties"]["list"] = []
    if "asset" in kinds:
        one["assets"]["scl"] = {"href": "https://made.example/scl.tif", "gsd": 20, "raster:bands": [{"nodata": 0}]}
    if "null" in kinds:
        one["properties"]["further"] = None
    if "parts" in kinds:
        one["geometry"] = {"type": "MultiPolygon", "coordinates": [[RING]]}
    return one


KINDS = st.sets(st.sampled_from(["fraction", "property", "list", "empty list", "asset", "null", "parts"]))


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(kinds=st.lists(KINDS, min_size=1, max_size=12), at_once=st.integers(1, 5))
def test_a_table_in_parts_holds_what_one_of_all_at_once_does(tmp_path: Path, kinds: list[set[str]], at_once: int):
    items = [varied(number, kind) for number, kind in enumerate(kinds)]
    whole, parts = tmp_path / "whole.parquet", tmp_path / "parts.parquet"
    write_table(whole, copy.deepcopy(items))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(table, "AT_ONCE", at_once)
        write_table(parts, iter(copy.deepcopy(items)))
        some = list(read_table(parts))
    (all_at_once,) = read_table(whole)
    assert [one for part in some for one in part] == all_at_once
    assert {len(part) for part in some} <= {*range(1, at_once + 1)}
    assert [one["id"] for one in rustac.read_sync(str(parts))["features"]] == [one["id"] for one in items]


def test_a_table_of_nothing_is_refused(tmp_path: Path):
    with pytest.raises(rustac.RustacError, match="no items"):
        write_table(tmp_path / "none.parquet", [])


def test_the_joined_table_says_what_geoparquet_asks_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(table, "AT_ONCE", 1)
    write_table(tmp_path / "two.parquet", [varied(0, set()), varied(1, {"parts"})])
    said = pq.read_metadata(tmp_path / "two.parquet").metadata
    assert b'"geometry_types": ["MultiPolygon", "Polygon"]' in said[b"geo"]
    assert b'"bbox": [14' not in said[b"geo"], "bounds of the first part are not those of all"
    assert b"stac-geoparquet" in said


def test_a_table_has_fewer_row_groups_than_it_was_made_of_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Of a region's Items, who holds the file open would else hold hundreds of megabytes that say where columns lie."""
    monkeypatch.setattr(table, "AT_ONCE", 1)
    write_table(tmp_path / "items.parquet", map(item, range(2 * table.PARTS_OF_A_GROUP + 1)))
    with pq.ParquetFile(tmp_path / "items.parquet") as file:
        sizes = [file.metadata.row_group(number).num_rows for number in range(file.num_row_groups)]
        names = file.read(["id"])["id"].to_pylist()
    assert sizes == [table.PARTS_OF_A_GROUP, table.PARTS_OF_A_GROUP, 1]
    assert names == [f"made-{number}" for number in range(sum(sizes))]


def test_parts_that_fit_no_one_table_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(table, "AT_ONCE", 1)
    other = item(1)
    other["properties"]["eo:cloud_cover"] = {"mean": 1}
    with pytest.raises((pa.ArrowException, ValueError)):
        write_table(tmp_path / "two.parquet", [item(0), other])
