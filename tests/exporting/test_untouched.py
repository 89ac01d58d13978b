"""What an analyst wrote into the GeoPackage is not replaced by the next export, and no two windows share a file."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from helpers.cubes import layer_of, made
from helpers.exporting import HOW, PLACES, scan_in
from helpers.s3 import local

from landslide_scale.errors import InvalidConfigError, InvalidInputError
from landslide_scale.exporting.run import export
from landslide_scale.exporting.settings import ExportSettings
from landslide_scale.exporting.verify import stated_cube, verify_products
from landslide_scale.products import names
from landslide_scale.products.vectors.edited import edits
from landslide_scale.scene import Window, utc
from landslide_scale.storage.rundir import RunDirectory


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> RunDirectory:
    return scan_in(tmp_path_factory.mktemp("made") / "run")


def exported(run: RunDirectory, to: Path, **settings: object) -> tuple[str, ...]:
    told = ExportSettings(to=str(to), only=("vector",), **({"threshold": 0.9} | settings))  # type: ignore[arg-type]
    return export(run, told, progress=lambda _: None).outcome.made


@pytest.fixture
def there(whole: RunDirectory, tmp_path: Path) -> Path:
    """A folder with polygons."""
    exported(whole, tmp_path / "there")
    return tmp_path / "there"


def written(there: Path, statement: str) -> None:
    with closing(sqlite3.connect(there / names.GEOPACKAGE)) as base, base:
        for trigger in [name for (name,) in base.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'")]:
            base.execute(f'DROP TRIGGER "{trigger}"')  # they ask for functions that only GDAL and QGIS have
        base.execute(statement)


@pytest.mark.parametrize(
    ("statement", "count"),
    [
        ("UPDATE landslides SET status = 'rejected', verdict_reason = 'river' WHERE fid < 3", 2),
        ("UPDATE landslides SET reviewer = 'AB' WHERE fid = 1", 1),
        ("UPDATE landslides SET geom = (SELECT geom FROM landslides WHERE fid = 2) WHERE fid = 1", 1),
        ("DELETE FROM landslides WHERE fid = 1", 1),
        ("UPDATE event SET name = 'a quake'", 1),
    ],
)
def test_a_file_that_was_written_into_is_not_replaced(whole: RunDirectory, there: Path, statement: str, count: int):
    written(there, statement)
    before = local(there)
    with pytest.raises(InvalidInputError, match=rf"edited landslides: {count} .*export again") as caught:
        exported(whole, there, threshold=0.5)
    assert "\n" not in str(caught.value)
    assert local(there) == before


def test_moved_elsewhere_it_is_made_anew(whole: RunDirectory, there: Path, tmp_path: Path):
    wanted = (there / names.GEOPACKAGE).read_bytes()
    written(there, "UPDATE landslides SET status = 'confirmed' WHERE fid = 1")
    (there / names.GEOPACKAGE).rename(tmp_path / "mine.gpkg")
    assert exported(whole, there) == (names.GEOPACKAGE,)
    assert (there / names.GEOPACKAGE).read_bytes() == wanted
    assert edits(tmp_path / "mine.gpkg", there / names.POLYGONS) == 1
    assert edits(tmp_path / "mine.gpkg", tmp_path / "nothing.parquet") == 1


def test_what_a_program_changes_by_opening_it_and_damage_are_made_good(whole: RunDirectory, there: Path):
    wanted = (there / names.GEOPACKAGE).read_bytes()
    written(there, "CREATE TABLE of_the_program (a)")
    assert (there / names.GEOPACKAGE).read_bytes() != wanted
    assert names.GEOPACKAGE in exported(whole, there, threshold=0.5)
    exported(whole, there)
    assert (there / names.GEOPACKAGE).read_bytes() == wanted
    (there / names.GEOPACKAGE).write_bytes(wanted[:50_000])
    assert exported(whole, there) == (names.GEOPACKAGE,)
    assert (there / names.GEOPACKAGE).read_bytes() == wanted


def test_one_that_is_open_elsewhere_is_not_replaced_and_its_changes_are_not_called_waste(
    whole: RunDirectory, there: Path
):
    with closing(sqlite3.connect(there / names.GEOPACKAGE)) as base:
        base.execute("PRAGMA journal_mode = wal")
        with base:
            base.execute("UPDATE event SET name = 'a quake'")
        with pytest.raises(InvalidInputError, match="open elsewhere"):
            exported(whole, there, threshold=0.5)
        verdict = verify_products(RunDirectory(str(there)), stated_cube(whole), lambda *_: None)
    assert verdict is not None
    assert {one.of: "do not delete" in one.problem for one in verdict.findings}[f"{names.GEOPACKAGE}-wal"]


def test_windows_of_the_same_days_are_refused_as_their_files_would_be_one(tmp_path: Path):
    noon = [Window(start=utc(f"2023-07-01T{hour}:00"), end=utc(f"2023-08-01T{hour}:00")) for hour in ("00", "12")]
    how = replace(HOW, windows=tuple(noon))
    places = [replace(place, layer=layer) for place in PLACES for layer in range(2)]
    run = made(tmp_path / "run", places, lambda place: layer_of(np.full(place.box.shape, 0.9)), how)
    with pytest.raises(InvalidInputError, match="of the same days"):
        exported(run, tmp_path / "there")
    assert not (tmp_path / "there").exists()


def test_a_sign_that_parts_archives_is_refused_in_a_local_path(whole: RunDirectory, tmp_path: Path):
    with pytest.raises(InvalidConfigError, match=r"key --to: .*expected a path without"):
        exported(whole, tmp_path / "old!" / "there")
    assert list(tmp_path.iterdir()) == []


def test_names_with_signs_of_other_languages_give_the_same(whole: RunDirectory, there: Path, tmp_path: Path):
    for name in ("with space", "100%20cent", "a#b?c", "[1]&{2}", "übung"):
        exported(whole, tmp_path / name)
        assert local(tmp_path / name) == local(there)
    said = json.loads((tmp_path / "übung" / names.MANIFEST).read_text())
    assert said["products"].keys() == {names.POLYGONS, names.GEOPACKAGE, names.GEOJSON}
