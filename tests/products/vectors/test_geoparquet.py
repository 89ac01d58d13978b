"""Landslides as GeoParquet: what is read back is what was found, with ranks, in any number."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from pathlib import Path

import geopandas as gpd
import pyarrow.parquet as pq
import pytest
from helpers.landslides import awkward, landslide

from landslide_scale.errors import BrokenRunError, InvalidInputError
from landslide_scale.products.landslide import COLUMNS
from landslide_scale.products.vectors.geoparquet import parts, read_geoparquet, said_in, write_geoparquet


def test_what_is_read_back_is_what_was_found(polygons: Path):
    frame = read_geoparquet(polygons)
    assert tuple(frame.columns) == COLUMNS
    assert frame.crs == "EPSG:4326"
    for row, one in zip(frame.to_dict("records"), awkward(), strict=True):
        known = {name: value for name, value in one.row().items() if name != "priority"}
        assert {name: None if value != value else value for name, value in row.items() if name in known} == known  # noqa: PLR0124 NaN


def test_what_touches_a_road_is_looked_at_first_then_the_larger_then_the_surer(tmp_path: Path):
    them = [
        landslide(3, pixels=50, confidence="low"),
        landslide(2, pixels=50, confidence="high"),
        landslide(1, pixels=50, confidence="high"),
        landslide(0, pixels=900, touches="cropland"),
        landslide(4, pixels=1, touches="cropland,rivers", confidence="low"),
    ]
    write_geoparquet(them, tmp_path / "a.parquet", {})
    assert read_geoparquet(tmp_path / "a.parquet")["priority"].tolist() == [5, 4, 3, 2, 1]


def test_the_file_says_what_it_is_and_what_was_known_only_at_its_end(tmp_path: Path):
    said = {"threshold": 0.5, "left_out": 0}

    def counting():
        for number in range(3):
            said["left_out"] += 1
            yield landslide(number)

    write_geoparquet(counting(), tmp_path / "a.parquet", said)
    words = said_in(tmp_path / "a.parquet")
    assert (words["threshold"], words["left_out"]) == (0.5, 3)
    assert words["said"] == "preliminary, not field-validated"
    assert words["exclusion_bits"]["8"] == "cropland"
    assert set(words["columns"]) == set(COLUMNS)
    geo = json.loads(pq.read_schema(tmp_path / "a.parquet").metadata[b"geo"])["columns"]["geometry"]
    assert (geo["encoding"], geo["orientation"], geo["crs"]["id"]["code"]) == ("WKB", "counterclockwise", 4326)
    assert geo["bbox"] == pytest.approx([13, 46, 13.005, 46.001])


def test_the_same_landslides_give_the_same_bytes(tmp_path: Path):
    for name in "ab":
        write_geoparquet(awkward(), tmp_path / name, {"threshold": 0.5})
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b"]


def test_no_landslide_at_all_is_a_file_too(tmp_path: Path):
    write_geoparquet([], tmp_path / "a.parquet", {})
    frame = read_geoparquet(tmp_path / "a.parquet")
    assert (len(frame), tuple(frame.columns), frame.crs == "EPSG:4326") == (0, COLUMNS, True)
    assert list(parts(tmp_path / "a.parquet")) == []


@pytest.mark.parametrize("content", [b"", b"PAR1 and nothing", None])
def test_a_file_that_is_none_is_refused_in_a_line(content: bytes | None, tmp_path: Path):
    path = tmp_path / "a.parquet"
    if content is not None:
        path.write_bytes(content)
    for reads in (read_geoparquet, said_in, lambda one: list(parts(one))):
        with pytest.raises(InvalidInputError, match="landslides as an export writes them"):
            reads(path)


def test_other_parquet_is_no_file_of_landslides(tmp_path: Path):
    gpd.GeoDataFrame({"a": [1]}, geometry=gpd.points_from_xy([1], [1]), crs=4326).to_parquet(tmp_path / "a.parquet")
    with pytest.raises(InvalidInputError, match="cannot be read"):
        said_in(tmp_path / "a.parquet")


def test_a_full_disk_is_said_and_leaves_nothing_beside(tmp_path: Path):
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    try:
        with pytest.raises(BrokenRunError, match="no room is left"):
            write_geoparquet(awkward(), tmp_path / "a.parquet", {})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert not list(tmp_path.glob("*.unranked"))


_PEAK = """
import resource, sys
from pathlib import Path
from helpers.landslides import many
from landslide_scale.products.vectors.geoparquet import write_geoparquet
write_geoparquet(many(int(sys.argv[1])), Path(sys.argv[2]), {})
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


@pytest.mark.slow
def test_memory_does_not_grow_with_the_number_of_landslides(tmp_path: Path):
    def peak(count: int) -> int:
        done = subprocess.run(
            [sys.executable, "-c", _PEAK, str(count), str(tmp_path / "a")],
            capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2],
            env={"PYTHONPATH": f"{Path(__file__).parents[2]}:{Path(__file__).parents[3]}"},
        )  # fmt: skip
        return int(done.stdout)

    assert peak(100_000) < 1.10 * peak(10_000)
