"""Two exports of one event: landslides keep their ids and verdicts in every product."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pyogrio
import pytest
from helpers.cubes import layer_of, made
from helpers.exporting import BLOCKS, HOW

from landslide_scale.cube.arrays import Layer
from landslide_scale.errors import InvalidInputError
from landslide_scale.exporting.run import export
from landslide_scale.exporting.settings import ExportSettings
from landslide_scale.products.heritage import Heritage, Judgement, Rules, Verdict
from landslide_scale.scan.plan import Place
from landslide_scale.scene import Window, utc
from landslide_scale.storage.rundir import RunDirectory

Squares = Sequence[tuple[int, int, int, int]]
"""Rows and columns, half open, in pixels of the first block."""

RIVER = Verdict(status="rejected", verdict="gravel", verdict_reason="river", reviewer="AB")


def scan(folder: Path, squares: Squares, days: int = 1) -> RunDirectory:
    """A scan with landslides there, whose layer ends so many days after the first version's."""
    window = Window(start=utc("2023-07-01"), end=utc(f"2023-08-{days:02d}"))
    how = replace(HOW, windows=(window,))
    place = Place(lattice=how.lattice(33), block=BLOCKS[0], layer=0)

    def painted(_: Place) -> Layer:
        probability = np.full(place.box.shape, 0.1, np.float32)
        for top, bottom, left, right in squares:
            probability[top:bottom, left:right] = 0.9
        return layer_of(probability)

    return made(folder, [place], painted, how)


def exported(run: RunDirectory, to: Path, heritage: Heritage | None = None) -> dict[str, dict[str, object]]:
    """The landslides of an export of all products, by id."""
    settings = ExportSettings(to=str(to), only=("vector",), heritage=heritage)
    export(run, settings, progress=lambda _: None)
    return {row["id"]: row for row in pq.read_table(to / "landslides.parquet").to_pylist()}


def sized(rows: Mapping[str, Mapping[str, object]]) -> dict[object, str]:
    return {row["pixels"]: name for name, row in rows.items()}


A, B, C = (1, 4, 1, 4), (1, 4, 8, 12), (8, 10, 8, 12)


def test_landslides_keep_ids_and_verdicts_over_versions_in_every_product(tmp_path: Path):
    first = exported(scan(tmp_path / "run1", [A, B, C]), tmp_path / "v1")
    a, b, c = (sized(first)[count] for count in (9, 12, 8))
    grown = [(0, 4, 1, 5), (1, 4, 8, 12), (12, 15, 1, 3)]  # a is larger, to the north too; c is gone, one is new
    heritage = Heritage(
        earlier=str(tmp_path / "v1"),
        judgements=(Judgement(layer="2023-07-01", id=b, said=RIVER, area_m2=float(first[b]["area_m2"])),),
    )
    second = exported(scan(tmp_path / "run2", grown, days=6), tmp_path / "v2", heritage)
    assert {second[a]["pixels"], second[b]["pixels"]} == {16, 12}
    assert c not in second
    assert len(second) == 3
    assert {name: second[b][name] for name in ("status", "verdict", "verdict_reason", "reviewer")} == {
        "status": "rejected", "verdict": "gravel", "verdict_reason": "river", "reviewer": "AB",
    }  # fmt: skip
    table = pyogrio.read_dataframe(tmp_path / "v2/landslides.gpkg", layer="landslides", read_geometry=False)
    assert dict(zip(table["id"], table["status"], strict=True)) == {name: row["status"] for name, row in second.items()}
    features = pyogrio.read_dataframe(tmp_path / "v2/landslides.geojson", read_geometry=False)
    assert set(features["id"]) == set(second)
    third = exported(scan(tmp_path / "run3", grown, days=11), tmp_path / "v3", Heritage(earlier=str(tmp_path / "v2")))
    assert {name: row["status"] for name, row in third.items()} == {name: row["status"] for name, row in second.items()}
    assert sorted(row["priority"] for row in third.values()) == [1, 2, 3]


def test_of_two_that_merged_one_is_named_in_the_other(tmp_path: Path):
    first = exported(scan(tmp_path / "run1", [A, B]), tmp_path / "v1")
    second = exported(scan(tmp_path / "run2", [(1, 4, 1, 12)]), tmp_path / "v2", Heritage(earlier=str(tmp_path / "v1")))
    assert list(second) == [sized(first)[12]]
    assert next(iter(second.values()))["merged"] == sized(first)[9]


def test_the_same_again_is_kept_and_another_heritage_is_made_anew(tmp_path: Path):
    run = scan(tmp_path / "run1", [A, B])
    exported(run, tmp_path / "v1")
    later, heritage = scan(tmp_path / "run2", [A, B]), Heritage(earlier=str(tmp_path / "v1"))

    def outcome(of: Heritage) -> tuple[str, ...]:
        settings = ExportSettings(to=str(tmp_path / "v2"), only=("vector",), heritage=of)
        return export(later, settings, progress=lambda _: None).outcome.made

    assert len(outcome(heritage)) == 3
    before = (tmp_path / "v2/landslides.parquet").read_bytes()
    assert outcome(heritage) == ()
    assert "landslides.parquet" in outcome(replace(heritage, rules=Rules(grown=0.5)))
    outcome(heritage)
    assert (tmp_path / "v2/landslides.parquet").read_bytes() == before


def test_a_version_before_without_landslides_is_said(tmp_path: Path):
    run = scan(tmp_path / "run1", [A])
    with pytest.raises(InvalidInputError, match=r"no landslides\.parquet.*products of the version before"):
        exported(run, tmp_path / "v2", Heritage(earlier=str(tmp_path / "nothing")))


def test_none_then_some_and_some_then_none(tmp_path: Path):
    none = exported(scan(tmp_path / "run1", []), tmp_path / "v1")
    some = exported(scan(tmp_path / "run2", [A]), tmp_path / "v2", Heritage(earlier=str(tmp_path / "v1")))
    again = exported(scan(tmp_path / "run3", []), tmp_path / "v3", Heritage(earlier=str(tmp_path / "v2")))
    assert (len(none), len(some), len(again)) == (0, 1, 0)
