"""A run's own elevation model as products read it: as the scan did, or said why not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from helpers.cubes import Made, layer_of, made
from helpers.dems import RECORDED, SECOND, Field, kept, raster
from helpers.webserver import Answer, Asked, site

from landslide_scale.errors import InvalidCatalogError, InvalidInputError, PermanentReadError
from landslide_scale.grid import PixelBox, transformer
from landslide_scale.imagery import terrain as imagery
from landslide_scale.products import terrain as module
from landslide_scale.products.scanned import Scanned, scanned
from landslide_scale.products.terrain import Elevations, relief, terrain
from landslide_scale.stac.dem import DemTile
from landslide_scale.stac.settings import DemConfig

HOW = Made(block=32, settings=RECORDED)
LATTICE = HOW.lattice(33)
X, Y = transformer(4326, 32633).transform(15.0, 46.0)
ROW, COL = round(-Y / 320) * 32, round(X / 320) * 32
BOX = PixelBox(row_start=ROW, row_stop=ROW + 64, col_start=COL, col_stop=COL + 64)


def hills(longitude: Field, latitude: Field) -> Field:
    return 900 + 300 * np.sin(longitude * 900) * np.cos(latitude * 1100)


def tile(folder: Path, name: str, west: float, surface: object = hills) -> DemTile:
    """A hundredth of a degree from `west` on."""
    return raster(folder, name, surface, (80, 36), west=west, north=46.01, width=SECOND, height=SECOND)  # type: ignore[arg-type]


def scan(folder: Path, tiles: Sequence[DemTile], how: Made = HOW) -> Scanned:
    run = made(folder, how.places({LATTICE: BOX}), lambda one: layer_of(np.full(one.box.shape, 0.9)), how)
    if tiles:
        kept(run, tiles)
    return scanned(run)


@pytest.fixture
def tiles(tmp_path: Path) -> list[DemTile]:
    return [tile(tmp_path / "dem", "west", 14.99), tile(tmp_path / "dem", "east", 15.0)]


def allowed(folder: Path) -> DemConfig:
    return DemConfig(allowed_roots=(str(folder / "dem"),))


@pytest.mark.parametrize("interpolation", ["cubic", "bilinear"])
def test_it_is_what_the_network_saw(tmp_path: Path, tiles: list[DemTile], interpolation: str):
    recorded = dict(RECORDED["dem"])
    if interpolation == "bilinear":
        del recorded["interpolation"]  # of a run from before there was a choice
    of = scan(tmp_path / "run", tiles, replace(HOW, settings={"dem": recorded}))
    model = relief(of, allowed(tmp_path))
    assert model is not None
    found = model.over(LATTICE, BOX)
    seen = imagery.terrain(("elevation", "slope"), tiles, LATTICE, BOX, interpolation)  # type: ignore[arg-type]
    assert np.array_equal(found.elevation, seen["elevation"], equal_nan=True)
    assert np.array_equal(found.slope, seen["slope"], equal_nan=True)
    assert np.isfinite(found.aspect).mean() > 0.9
    inner = replace(BOX, row_start=ROW + 7, col_stop=COL + 50)
    assert np.array_equal(model.over(LATTICE, inner).aspect, found.aspect[inner.within(BOX)], equal_nan=True)


def test_a_run_without_an_elevation_model_knows_nothing_and_lacks_nothing(tmp_path: Path):
    of = scan(tmp_path / "run", [], replace(HOW, settings={}))
    assert terrain(of, LATTICE, BOX) is None
    found = Elevations(of)
    assert (found.wanted, found.lacking, found.over(LATTICE, BOX)) == (False, "", None)


def test_what_may_be_read_is_the_users_to_say_and_never_the_runs(tmp_path: Path, tiles: list[DemTile]):
    of = scan(tmp_path / "run", tiles)
    with pytest.raises(InvalidCatalogError, match=r"dem\.allowed_roots"):
        terrain(of, LATTICE, BOX)
    found = Elevations(of)
    assert found.wanted
    assert found.over(LATTICE, BOX) is None
    assert found.lacking.startswith("elevation, slope and flat ground are not known: dem ")
    assert "\n" not in found.lacking


def test_a_run_whose_tiles_were_not_kept_says_so(tmp_path: Path):
    of = scan(tmp_path / "run", [])
    with pytest.raises(InvalidInputError, match=r"no dem\.parquet"):
        terrain(of, LATTICE, BOX)
    assert "no dem.parquet" in Elevations(of).lacking


def test_a_tile_that_is_gone_is_asked_for_once_and_leaves_the_others(tmp_path: Path):
    near, far = tile(tmp_path / "dem", "near", 14.995), tile(tmp_path / "dem", "far", 15.2)
    gone = tile(tmp_path / "dem", "gone", 15.5)
    of = scan(tmp_path / "run", [near, far, gone])
    Path(gone.href).unlink()
    found = Elevations(of, allowed(tmp_path))
    x, y = transformer(4326, 32633).transform(15.505, 46.005)
    there = PixelBox(row_start=int(-y / 10), row_stop=int(-y / 10) + 8, col_start=int(x / 10), col_stop=int(x / 10) + 8)
    for _ in range(2):
        assert found.over(LATTICE, there) is None
    assert list(found.unread) == ["gone"]
    assert "1 tiles of the elevation model cannot be read; the first: dem gone" in found.lacking
    here = found.over(LATTICE, BOX)
    assert here is not None
    assert np.isfinite(here.elevation).any()
    model = relief(of, allowed(tmp_path))
    assert model is not None
    with pytest.raises(PermanentReadError, match="gone"):
        model.over(LATTICE, there)


def test_once_several_cannot_be_read_no_other_is_asked_for(
    tmp_path: Path, tiles: list[DemTile], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(module, "MOST_UNREAD", 1)
    of = scan(tmp_path / "run", tiles)
    Path(tiles[1].href).unlink()
    found = Elevations(of, allowed(tmp_path))
    assert found.over(LATTICE, BOX) is None
    monkeypatch.setattr(imagery, "terrain", None)
    assert found.over(LATTICE, BOX) is None
    assert "no other was asked for" in found.lacking


def test_it_is_read_from_a_host_that_the_user_names(tmp_path: Path, tiles: list[DemTile]):
    def answer(asked: Asked) -> Answer:
        return Answer(content=(tmp_path / "dem" / Path(asked.path).name).read_bytes())

    with site(answer) as host:
        remote = [replace(one, href=f"{host.address}/{Path(one.href).name}") for one in tiles]
        of = scan(tmp_path / "run", remote)
        with pytest.raises(InvalidCatalogError, match=r"dem\.allowed_hosts"):
            terrain(of, LATTICE, BOX)
        assert not host.asked
        model = relief(of, DemConfig(allowed_hosts=("127.0.0.1:*",)))
        assert model is not None
        found = model.over(LATTICE, BOX)
    seen = imagery.terrain(("elevation",), tiles, LATTICE, BOX)
    assert np.array_equal(found.elevation, seen["elevation"], equal_nan=True)
