from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pytest
import rasterio
import shapely
import yaml
from helpers.plainrun import engine, silent
from helpers.watching import Roles

from landslide_scale.demo import change_score
from landslide_scale.demo.agency import EVENT_ID, ORIGIN, Agency, agency, grid_xml
from landslide_scale.demo.change_score import OVERLAPS, POLYGONS, SCAN, VEGETATION, ChangeScore
from landslide_scale.demo.ground.frame import Frame
from landslide_scale.demo.ground.relief import write_relief
from landslide_scale.demo.ground.terrain import make_terrain
from landslide_scale.demo.rapid_life import CONFIG, SMALL, LifeResult, live
from landslide_scale.demo.rapid_recipe import LIFE, Followed, rapid_settings
from landslide_scale.demo.satellite.passes import PASSES
from landslide_scale.demo.world import World
from landslide_scale.events.detail import read_detail
from landslide_scale.events.feed import read_feed
from landslide_scale.events.land import coarse_land
from landslide_scale.events.settings import EventsConfig
from landslide_scale.events.shakemap import parse_grid_xml
from landslide_scale.events.shaking import read_shaking
from landslide_scale.exporting.run import export_compared
from landslide_scale.rapid.mapping import Workers
from landslide_scale.rapid.publication.history import HISTORY
from landslide_scale.rapid.publication.version import read_version
from landslide_scale.rapid.settings import RapidConfig
from landslide_scale.rapid.watching import once
from landslide_scale.region.polygons import area_km2
from landslide_scale.scan import driver
from landslide_scale.scan.driver import Rank
from landslide_scale.scan.settings import ScanConfig
from landslide_scale.scan.summary import ScanSummary
from landslide_scale.storage.rundir import RunDirectory
from landslide_scale.strictyaml import load, parse

SHORT = (*LIFE[:6], LIFE[-1])
"""Without the last two passes, for the time they take."""

EAST = shapely.Polygon([(18.0, 46.0), (18.06, 46.002), (18.058, 46.045), (17.998, 46.043)])


def _events(of: Agency) -> EventsConfig:
    return parse(EventsConfig, {"url": of.feed, "detail": of.detail})


def test_the_made_shakemap_covers_the_region_and_ends_a_cell_beyond_it():
    ground = parse_grid_xml(grid_xml(EAST)).ground(6.0)
    assert ground.covers(EAST)
    assert shapely.buffer(EAST, 0.0025 * 1.5).covers(ground)
    assert area_km2(EAST) < area_km2(ground) < 1.3 * area_km2(EAST)


def test_the_agency_is_read_as_any_other_and_has_no_shakemap_before_it_publishes_one(tmp_path: Path):
    with agency(tmp_path / "agency") as made:
        config = _events(made)
        made.announce(EAST, ORIGIN)
        (event,) = read_feed(config, ORIGIN).events
        assert (event.id, event.origin, event.magnitude) == (EVENT_ID, ORIGIN, 6.4)
        before = read_detail(config, event.id, event.url)
        assert before is not None
        assert before.shakemap is None
        made.publish_shakemap(EAST, ORIGIN)
        after = read_detail(config, event.id, event.url)
        assert after is not None
        assert after.shakemap is not None
        shaking = read_shaking(after.shakemap, config.access, least_mmi=6.0, land=coarse_land())
    assert shaking.area.source == "shakemap grid"
    assert shaking.max_mmi_on_land == pytest.approx(8.0, abs=0.1)
    assert shaking.area.ground.covers(EAST)


def test_the_made_elevations_are_those_of_the_ground(tmp_path: Path):
    frame = Frame(left=728_160, top=5_106_240, width_m=1_200, height_m=1_200)
    (item,) = write_relief(tmp_path, frame, 7).glob("*.json")
    said = json.loads(item.read_text())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("landslide_scale.demo.ground.relief.make_terrain", None)
        assert write_relief(tmp_path, frame, 7) == item.parent  # found, and not made again
    with rasterio.open(said["assets"]["data"]["href"]) as raster:
        assert raster.crs.to_epsg() == frame.epsg
        np.testing.assert_array_equal(raster.read(1), make_terrain(frame, 7).height)


def test_every_pass_appears_once_and_the_event_after_its_origin():
    days = [(day, tile) for moment in LIFE for day in moment.days for tile in (moment.tiles or ("all",))]
    assert len(days) == len(set(days))
    assert {day for day, _ in days} == {f"{each.sensed:%Y%m%d}" for each in PASSES}
    assert [moment.at for moment in LIFE] == sorted(moment.at for moment in LIFE)
    assert all(moment.at > ORIGIN for moment in LIFE)
    for moment in LIFE:
        assert all(day <= f"{moment.at:%Y%m%d}" for day in moment.days)


@pytest.mark.parametrize("network", [None, Path("/demo/checkpoint.safetensors")])
def test_the_recipe_is_a_configuration(network: Path | None):
    of = Followed(catalogue=Path("/d/c"), relief=Path("/d/r/items"), run=Path("/d/run"), checkpoint=network)
    made = Agency(folder=Path("/d/agency"), address="http://127.0.0.1:1")
    config = parse(RapidConfig, rapid_settings(World(directory=Path("/d/world")), made, of))
    assert (config.dem is None) == (network is not None)
    assert {"red", "nir"} <= set(config.output.keep)


def _plain_scan(config: ScanConfig, *, resume: bool, rank: Rank) -> ScanSummary:
    return driver.begin(config, engine(config, Roles()), resume=resume, progress=silent, rank=rank)


def _cycle(file: str, now: datetime) -> str:
    workers = Workers(scan=_plain_scan, export=export_compared)
    (known,) = once(load(RapidConfig, file), workers, clock=lambda: now).events
    return known.state


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> tuple[LifeResult, list[str]]:
    said: list[str] = []
    place = Path(tmp_path_factory.mktemp("life"))
    result = live(place, seed=7, progress=said.append, cycle=_cycle, checkpoint=None, frame=SMALL, life=SHORT)
    return result, said


@pytest.mark.slow
def test_the_event_is_waited_for_mapped_better_with_every_pass_and_ended(lived: tuple[LifeResult, list[str]]):
    told = lived[0].told
    assert [one.version.number if one.version else None for one in told] == [None, *range(len(SHORT) - 1)]
    assert told[0].state == "waiting"
    assert told[1].state == "no scene"
    assert told[-1].state == "ended"
    shares = [one.version.figures.observed_km2 for one in told if one.version is not None]
    assert shares == sorted(shares)
    assert shares[0] == 0 < shares[1] < shares[-1]


@pytest.mark.slow
def test_a_pass_has_only_what_it_touches_looked_at_anew(lived: tuple[LifeResult, list[str]]):
    units = {one.moment.happens.partition(",")[0]: (one.scanned, one.taken) for one in lived[0].told}
    first = units["pass of 5 August"]
    assert first[1] == 0 < first[0]
    one_tile = lived[0].told[3]
    assert one_tile.moment.tiles
    assert 0 < one_tile.scanned < first[0] / 2 < one_tile.taken
    assert lived[0].told[4].scanned == lived[0].told[4].taken == 0  # a verdict is no reason to scan
    assert all(one.scanned + one.taken == first[0] for one in lived[0].told[5:6])


@pytest.mark.slow
def test_what_the_analyst_rejected_stays_rejected(lived: tuple[LifeResult, list[str]]):
    result, said = lived
    assert [one.rejected for one in result.told[:4]] == [0, 0, 0, 0]
    assert all(one.rejected == 1 for one in result.told[4:])
    assert any(result.verdict in line and "still is rejected" in line for line in said)


@pytest.mark.slow
def test_the_last_version_is_scored_and_its_history_is_there(lived: tuple[LifeResult, list[str]]):
    result, said = lived
    assert tuple(result.score.maps) == (POLYGONS, VEGETATION)
    assert result.score.maps[POLYGONS].strict.landslide.f1 > 0.2
    assert (result.folder / HISTORY).exists()
    assert any(str(result.folder / HISTORY) in line for line in said)
    assert [line for line in said if line.startswith("10,000 km2 would take")] == [result.told[5].pace[1]]
    config = yaml.safe_load((result.folder.parents[2] / CONFIG).read_text())
    assert config["model"] == "none"
    last = read_version(RunDirectory(str(result.folder)), len(SHORT) - 2)
    assert last.figures.landslides is not None


def _zone(**changes: Any) -> change_score._Zone:  # noqa: ANN401 arrays
    whole = np.ones((1, 6), bool)
    known: dict[str, Any] = {
        "asked": whole,
        "counted": np.array([[1, 1, 1, 1, 0, 0]], bool),
        "label": np.array([[1, 1, 0, 0, 255, 255]], np.uint8),
        "scars": np.array([[1, 1, 2, 2, 3, 3]], np.int32),
        "polygons": np.array([[1, 0, 2, 2, 0, 0]], np.int32),
    }
    return change_score._Zone(**known | {"maps": {POLYGONS: known["polygons"] > 0}} | changes)


def _scored(zones: list[change_score._Zone], change: list[str]) -> Mapping[str, Any]:
    scars = gpd.GeoDataFrame({"age": ["new", "old", "new"], "area_m2": [3000.0, 3000.0, 3000.0]})
    polygons = gpd.GeoDataFrame({"change": change})
    return change_score._of_scars(zones, scars, polygons) | change_score._of_polygons(zones, len(change))


def test_scars_count_where_they_were_observed_and_old_ones_where_they_are_called_new():
    found = _scored([_zone()], ["new", "new"])
    assert found["large"] == (1, 1)  # the third was not observed
    assert (found["old_seen"], found["old"]) == (1, {POLYGONS: 1})
    assert _scored([_zone()], ["new", "seen only after"])["old"] == {POLYGONS: 0}
    assert (found["polygons"], found["right"]) == (2, dict.fromkeys(OVERLAPS, 1))


def test_a_polygon_over_two_zones_is_one_and_right_by_the_pixels_of_both():
    label = np.array([[0, 0, 0, 0, 0, 0]], np.uint8)
    ones = np.ones((1, 6), np.int32)
    here = _zone(polygons=np.array([[1, 1, 1, 0, 0, 0]], np.int32))  # 2 of 3 right
    there = _zone(polygons=ones, label=label, counted=ones.astype(bool))  # none of 6
    found = _scored([here, there], ["new"])
    assert (found["polygons"], found["right"]) == (1, {20: 1, 30: 0})


def test_the_table_says_of_each_map_how_good_it_is():
    truth = np.array([[1, 0, 0, 255]], np.uint8)
    exact = change_score.Scored.of(np.array([[True, False, False, True]]), truth)
    beside = change_score.Scored.of(np.array([[False, True, False, True]]), truth)
    score = ChangeScore(
        maps={POLYGONS: exact, SCAN: beside + replace(beside)},
        large=(4, 3), polygons=8, right={20: 6, 30: 4}, old={POLYGONS: 1, SCAN: 5}, old_seen=6,
    )  # fmt: skip
    lines = list(score.lines())
    assert lines[1].split() == [*POLYGONS.split(), "1.000", "1.000", "1.000", "1.000"]
    assert lines[2].split()[-4:] == ["0.000", "0.000", "0.000", "1.000"]
    assert "3 of 4 found (75.0%)" in lines[3]
    assert "75.0% at 20 %, 50.0% at 30 %" in lines[4]
    assert "of 6 old scars" in lines[5]
