"""An export of a run with an elevation model: its columns, what is said where it is away, and a second try."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
from helpers.cubes import Made, layer_of, made
from helpers.dems import RECORDED, kept, raster
from helpers.s3 import local

from landslide_scale.exporting.run import ExportSummary, export
from landslide_scale.exporting.settings import ExportSettings
from landslide_scale.exporting.summary import export_report
from landslide_scale.exporting.verify import stated_cube, verify_products
from landslide_scale.grid import PixelBox
from landslide_scale.products import names
from landslide_scale.products.vectors.geoparquet import said_in
from landslide_scale.stac.settings import DemConfig
from landslide_scale.storage.rundir import RunDirectory

HOW = Made(block=32, settings=RECORDED)
BOX = PixelBox(row_start=-510_016, row_stop=-509_984, col_start=43_200, col_stop=43_232)
COLUMNS = ["elevation_m", "slope_deg", "aspect_deg"]


@pytest.fixture
def run(tmp_path: Path) -> RunDirectory:
    corner = {"west": 431_000.0, "north": 5_101_000.0, "width": 30, "height": 30, "epsg": 32633}
    tile = raster(tmp_path / "dem", "tile", lambda x, _: 900 + (x - 432_000) * 0.5, (80, 80), **corner)
    probability = np.full(BOX.shape, 0.1)
    probability[10:20, 10:20] = 0.9
    places = HOW.places({HOW.lattice(33): BOX})
    run = made(tmp_path / "run", places, lambda _: layer_of(probability), HOW)
    kept(run, [replace(tile, bounds=(14.0, 45.9, 14.3, 46.2))])
    return run


def exported(run: RunDirectory, to: Path, dem: DemConfig | None = None) -> ExportSummary:
    return export(run, ExportSettings(to=str(to), only=("vector",), dem=dem), progress=lambda _: None)


def test_elevation_slope_and_aspect_are_columns_and_an_export_that_could_not_read_them_is_made_good(
    run: RunDirectory, tmp_path: Path
):
    known = DemConfig(allowed_roots=(str(tmp_path / "dem"),))
    whole = exported(run, tmp_path / "whole", known)
    assert whole.outcome.lacking == {}
    (row,) = gpd.read_parquet(tmp_path / "whole" / names.POLYGONS)[COLUMNS].to_numpy()
    assert row == pytest.approx([900 + 150 * 0.5, np.degrees(np.arctan(0.5)), 270], abs=0.01)
    assert said_in(tmp_path / "whole" / names.POLYGONS)["elevations"] == "of the run's own elevation model"

    there = tmp_path / "there"
    away = exported(run, there)
    assert away.complete
    assert len(away.outcome.made) == 3
    assert gpd.read_parquet(there / names.POLYGONS)[COLUMNS].isna().all().all()
    assert "dem.allowed_roots" in said_in(there / names.POLYGONS)["elevations"]
    (said,) = [line for line in export_report(away).splitlines() if line.startswith(names.POLYGONS)]
    assert said.startswith(f"{names.POLYGONS}: elevation, slope and flat ground are not known: dem tile: ")
    assert said.endswith("; the same command tries again")
    verdict = verify_products(RunDirectory(str(there)), stated_cube(run), lambda *_: None)
    assert verdict is not None
    assert verdict.whole

    again = exported(run, there)
    assert (again.outcome.made, again.outcome.lacking) == ((names.POLYGONS,), away.outcome.lacking)
    assert len(exported(run, there, known).outcome.made) == 3
    assert local(there) == local(tmp_path / "whole")
    assert exported(run, there).outcome.made == ()
