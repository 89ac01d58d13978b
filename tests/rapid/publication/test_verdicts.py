"""What analysts fill in comes back from copies of any kind, and only what they changed."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from helpers.landslides import AWKWARD, landslide
from helpers.publishing import Made, made_of, published

from landslide_scale.errors import InvalidInputError
from landslide_scale.products.heritage import Judgement, Verdict
from landslide_scale.products.landslide import COLUMNS, GEOMETRY, Landslide
from landslide_scale.products.vectors.columns import EPSG, GEOMETRY_TYPE, SCHEMA
from landslide_scale.products.vectors.geojson import write_geojson
from landslide_scale.products.vectors.geoparquet import parts, write_geoparquet
from landslide_scale.products.vectors.writing import write_rows
from landslide_scale.rapid.publication.summing import Ground, said_of
from landslide_scale.rapid.publication.verdicts import (
    bring_in,
    confirm,
    confirmed_by,
    judgements_of,
    newest,
    unapplied,
)
from landslide_scale.rapid.publication.version import Difference, Figures
from landslide_scale.storage.rundir import RunDirectory

NOW = datetime(2023, 7, 22, tzinfo=UTC)
LAYER = "2023-07-01"
RIVER = Verdict(status="rejected", verdict=AWKWARD, verdict_reason="river", reviewer="Ä. B.")


def run_of(number: int) -> str:
    return made_of(number).cube_sha256[:12]


def polygons(path: Path, found: Sequence[Landslide]) -> Path:
    write_geoparquet(found, path, {"threshold": 0.5})
    return path


def event(
    folder: Path, *versions: Sequence[Landslide], run: Callable[[int], int] = lambda number: number + 1
) -> RunDirectory:
    """An event whose versions have these landslides, of one scan each or as `run` says."""
    place = RunDirectory(str(folder / "event"))
    for number, found in enumerate(versions):
        of_run = [landslide(n, **{name: getattr(one, name) for name in COLUMNS} | {"run_id": run_of(run(number))})
                  for n, one in enumerate(found)]  # fmt: skip
        content = polygons(folder / f"{number}.parquet", of_run).read_bytes()
        of = made_of(run(number), verdicts=number)
        assert published(place, Made(of=of, files={"landslides.parquet": content})) is not None
    return place


def as_parquet(of: Path, path: Path) -> Path:
    path = path.with_suffix(".parquet")
    path.write_bytes(of.read_bytes())
    return path


def as_geopackage(of: Path, path: Path) -> Path:
    path = path.with_suffix(".gpkg")
    write_rows(
        SCHEMA, parts(of), path, layer="landslides", driver="GPKG", geometry_name=GEOMETRY,
        geometry_type=GEOMETRY_TYPE, crs=f"EPSG:{EPSG}",
    )  # fmt: skip
    return path


def as_geojson(of: Path, path: Path) -> Path:
    path = path.with_suffix(".geojson")
    write_geojson(of, path)
    return path


def edited(
    place: RunDirectory,
    number: int,
    changes: Mapping[str, Mapping[str, Any]],
    path: Path,
    kind: Callable[[Path, Path], Path] = as_parquet,
) -> str:
    """A copy of a version's landslides in which an analyst wrote something, by id."""
    table = pq.read_table(place.at(f"versions/{number:04d}/landslides.parquet"))
    rows = [row | dict(changes.get(row["id"], {})) for row in table.to_pylist()]
    written = path.with_name(f"{path.name}.edited.parquet")
    pq.write_table(pa.Table.from_pylist(rows, schema=table.schema), written)
    return str(kind(written, path))


def as_row(said: Verdict) -> dict[str, str]:
    return {name: getattr(said, name) for name in ("status", "verdict", "verdict_reason", "reviewer")}


@pytest.mark.parametrize("kind", [as_parquet, as_geopackage, as_geojson])
def test_only_what_changed_is_kept_from_a_copy_of_any_kind(kind: Callable[[Path, Path], Path], tmp_path: Path):
    place = event(tmp_path, [landslide(number) for number in range(4)])
    copy = edited(place, 0, {"L000002": as_row(RIVER)}, tmp_path / "copy", kind)
    brought = bring_in(place, copy, NOW)
    expected = Judgement(layer=LAYER, id="L000002", said=RIVER, area_m2=1234.5)
    assert (brought.number, brought.judgements, brought.left_out) == (1, (expected,), 0)
    assert judgements_of(place) == (expected,)
    again = bring_in(place, copy, NOW)
    assert (again.number, newest(place)) == (0, 1)  # the same copy says nothing new


def test_of_several_the_newest_counts_and_what_a_version_has_is_told_from_what_is_new(tmp_path: Path):
    place = event(tmp_path, [landslide(0), landslide(1)])
    confirmed = Verdict(status="confirmed", reviewer="AB")
    for number, changes in enumerate(
        ({"L000000": as_row(RIVER)}, {"L000000": as_row(confirmed), "L000001": as_row(RIVER)})
    ):
        bring_in(place, edited(place, 0, changes, tmp_path / f"copy{number}"), NOW)
    assert [(one.id, one.said, one.applied) for one in judgements_of(place, applied=1)] == [
        ("L000000", confirmed, False),
        ("L000001", RIVER, False),
    ]
    assert [(one.said, one.applied) for one in judgements_of(place, applied=1, until=1)] == [(RIVER, True)]
    assert unapplied(judgements_of(place, applied=1), [(LAYER, "L000001")]) == ("L000000",)
    assert unapplied(judgements_of(place, applied=2), []) == ()


def test_a_copy_of_an_older_version_is_compared_with_that_one(tmp_path: Path):
    place = event(tmp_path, [landslide(0), landslide(1)], [landslide(0, **as_row(RIVER)), landslide(1)])
    copy = edited(place, 0, {"L000001": as_row(RIVER)}, tmp_path / "copy")
    assert [one.id for one in bring_in(place, copy, NOW).judgements] == ["L000001"]  # the first is not taken back


def test_a_copy_of_one_of_two_versions_of_the_same_scan_takes_nothing_back(tmp_path: Path):
    place = event(tmp_path, [landslide(0)], [landslide(0, **as_row(RIVER))], run=lambda _: 1)
    assert bring_in(place, edited(place, 0, {}, tmp_path / "copy"), NOW).number == 0


def test_landslides_that_a_copy_has_not_are_counted_and_not_judged(tmp_path: Path):
    place = event(tmp_path, [landslide(0), landslide(1), landslide(2)])
    table = pq.read_table(edited(place, 0, {"L000000": as_row(RIVER)}, tmp_path / "copy"))
    pq.write_table(table.slice(0, 1), tmp_path / "less.parquet")
    brought = bring_in(place, str(tmp_path / "less.parquet"), NOW)
    assert (brought.left_out, [one.id for one in brought.judgements]) == (2, ["L000000"])


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "status": ({"status": "maybe"}, "status maybe of landslide L000000; expected one of unreviewed, confirmed, rej"),
    "no status": ({"status": ""}, "status empty of landslide L000000"),
    "reason": (
        {"status": "rejected", "verdict_reason": "fog"},
        "verdict_reason fog of landslide L000000; expected one",
    ),
    "reason of none": (
        {"verdict_reason": "river"},
        "river of landslide L000000, which is unreviewed; expected a reason",
    ),
    "id": ({"id": "L999999"}, "landslide L999999; expected ids of the version"),
    "window": ({"window": "2021-07-01 to 2021-08-01"}, "landslide L000000; expected ids of the version"),
    "run": ({"run_id": "ffffffffffff"}, "run_id ffffffffffff; expected one of this event's: 000000000000"),
    "no run": ({"run_id": ""}, "run_id empty"),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_may_not_stand_there_is_refused_in_one_line_and_nothing_is_written(what: str, tmp_path: Path):
    place = event(tmp_path, [landslide(0), landslide(1)])
    change, said = WRONG[what]
    copy = edited(place, 0, {"L000000": change, "L000001": as_row(RIVER)}, tmp_path / "copy")
    with pytest.raises(InvalidInputError) as caught:
        bring_in(place, copy, NOW)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 2
    assert not Path(place.at("verdicts")).exists()


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("copy.shp", b"", "a .shp; expected one of .gpkg"),
        ("copy.gpkg", b"no database", "cannot be read"),
        ("copy.parquet", b"PAR1", "cannot be read"),
        ("copy.geojson", b'{"type": "FeatureCollection", "features": []}', "no column id"),
        (
            "copy.geojson",
            (
                b'{"type": "FeatureCollection", "features": [{"type": "Feature", "geometry": null, "properties": '
                b'{"id": "a"}}]}'
            ),
            "no column window, run_id, status, verdict, verdict_reason, reviewer; expected landslides as a version has",
        ),
        ("away.gpkg", None, "cannot be read"),
    ],
)
def test_a_file_of_another_kind_is_refused(name: str, content: bytes | None, said: str, tmp_path: Path):
    place = event(tmp_path, [landslide(0)])
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(InvalidInputError) as caught:
        bring_in(place, str(tmp_path / name), NOW)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_polygon_that_was_cut_in_two_with_two_verdicts_is_refused(tmp_path: Path):
    place = event(tmp_path, [landslide(0)])
    table = pq.read_table(edited(place, 0, {}, tmp_path / "copy"))
    both = pa.concat_tables([table, pq.read_table(edited(place, 0, {"L000000": as_row(RIVER)}, tmp_path / "other"))])
    pq.write_table(both, tmp_path / "both.parquet")
    with pytest.raises(InvalidInputError, match="landslide L000000 twice, with other verdicts"):
        bring_in(place, str(tmp_path / "both.parquet"), NOW)


def test_a_geopackage_that_is_still_open_elsewhere_is_refused(tmp_path: Path):
    place = event(tmp_path, [landslide(0)])
    copy = edited(place, 0, {}, tmp_path / "copy", as_geopackage)
    base = sqlite3.connect(copy)
    base.execute("PRAGMA journal_mode = WAL")
    base.execute("CREATE TABLE made (id INTEGER)")
    base.commit()
    with pytest.raises(InvalidInputError, match="still open elsewhere") as caught:
        bring_in(place, copy, NOW)
    assert "QGIS" in caught.value.cure
    base.close()
    assert bring_in(place, copy, NOW).number == 0


def test_a_version_says_its_figures_and_what_became_of_the_landslides_of_its_layer(tmp_path: Path):
    old = "2022-07-01 to 2022-08-01"
    place = event(
        tmp_path,
        [landslide(0), landslide(1), landslide(2, window=old)],
        [landslide(0, area_m2=2000.0, merged="L000001"), landslide(3, **as_row(RIVER)), landslide(4, window=old)],
    )
    judgement = Judgement(layer=LAYER, id="L000009", said=RIVER, area_m2=1.0)
    first = said_of(place, 0, Ground(layer=LAYER, asked_km2=10, observed_km2=4), share=0.2)
    assert first.difference is None
    assert first.figures == Figures(
        asked_km2=10, observed_km2=4, hidden_km2=6, landslides=2, landslide_km2=pytest.approx(2 * 1234.5e-6)
    )
    ground = Ground(layer=LAYER, asked_km2=10, observed_km2=7, landslide_km2_range=(0.1, 0.2))
    said = said_of(place, 1, ground, [judgement], share=0.2)
    assert (said.figures.landslides, said.figures.landslide_km2_range) == (1, (0.1, 0.2))  # one is rejected
    assert said.difference == Difference(
        newly_observed_km2=0.0,  # the version before said 60 km2
        new=("L000003",),
        grown=("L000000",),
        merged=("L000001",),
    )
    assert said.unapplied == ("L000009",)


def test_an_analyst_stands_for_data_and_not_for_those_that_come_after(tmp_path: Path):
    place = event(tmp_path, [landslide(0)], [landslide(0)])
    assert confirm(place, 0, "AB ", NOW) == newest(place) == 1
    first, second = made_of(1), made_of(2)
    assert confirmed_by(place, first.cube_sha256, first.area_sha256) == "AB"
    assert confirmed_by(place, second.cube_sha256, second.area_sha256) == ""
    assert judgements_of(place) == ()
    with pytest.raises(InvalidInputError, match="nobody"):
        confirm(place, 0, " ", NOW)
    with pytest.raises(InvalidInputError, match="no versions/0007"):
        confirm(place, 7, "AB", NOW)


def test_verdicts_of_something_else_are_said(tmp_path: Path):
    place = event(tmp_path, [landslide(0)])
    place.write("verdicts/0001.json", json.dumps({"format": 99}).encode())
    with pytest.raises(InvalidInputError, match=r"verdicts/0001\.json of something else"):
        judgements_of(place)
