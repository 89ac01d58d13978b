"""Old events as they would have unfolded, from archived scenes on a real STAC server, without a network."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import shapely
from helpers.quakes import bell, grid_xml
from helpers.rapid import Life, files, instant
from helpers.webserver import Answer, Asked, site

from landslide_scale.demo.satellite.stac_server import serve
from landslide_scale.demo.world import World
from landslide_scale.rapid.face import RapidAsked
from landslide_scale.rapid.face import run as face
from landslide_scale.rapid.known import Followed
from landslide_scale.rapid.mapping import Workers
from landslide_scale.rapid.publication.version import read_version
from landslide_scale.rapid.settings import RapidConfig
from landslide_scale.rapid.watching import replay
from landslide_scale.scan.driver import Rank
from landslide_scale.scan.settings import ScanConfig
from landslide_scale.scan.summary import ScanSummary
from landslide_scale.storage.rundir import RunDirectory
from landslide_scale.strictyaml import parse

UNTIL = "2023-12-31T00:00:00+00:00"
LATENCY = timedelta(hours=6)


@pytest.fixture(scope="module")
def catalogue(planet: World) -> Iterator[str]:
    with serve(planet.items(), [json.loads((planet.directory / "collection.json").read_text())]) as address:
        yield address


@pytest.fixture(scope="module")
def life(planet: World, catalogue: str, tmp_path_factory: pytest.TempPathFactory) -> Life:
    life = Life(folder=tmp_path_factory.mktemp("replayed"), world=planet)
    own = life.settings["catalog"]
    life.changes["catalog"] = {key: value for key, value in own.items() if key != "items"} | {"url": catalogue}
    return life


@pytest.fixture(scope="module")
def unfolded(life: Life) -> list[tuple[datetime, Followed]]:
    return list(replay(life.config, life.workers, "slip", instant(UNTIL), latency=LATENCY))


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_each_pass_makes_a_version_when_its_scene_was_to_be_had(life: Life, unfolded: list[tuple[datetime, Followed]]):
    told = [(f"{at:%m-%d %H:%M}", known.state) for at, known in unfolded]
    assert told == [
        ("08-03 04:00", "no scene"),
        ("08-05 15:58", "mapped"),
        ("08-20 15:58", "mapped"),
        ("08-30 15:58", "mapped"),
        ("11-01 04:00", "ended"),
    ]
    assert life.event.folders("versions") == [f"{number:04d}" for number in range(5)]
    assert [f"{read_version(life.event, number).published:%m-%d}" for number in range(5)] == [
        "08-03", "08-05", "08-20", "08-30", "11-01",
    ]  # fmt: skip


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.usefixtures("unfolded")
def test_a_replay_that_is_gone_on_with_changes_nothing(life: Life):
    before = files(Path(life.event.at("versions")))
    assert [known.state for _, known in replay(life.config, life.workers, "slip", instant(UNTIL), latency=LATENCY)] == [
        "ended"
    ]
    assert files(Path(life.event.at("versions"))) == before


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.usefixtures("unfolded")
def test_a_replay_left_half_way_goes_on_where_it_was(life: Life, tmp_path: Path):
    half = Life(folder=tmp_path, world=life.world, changes=life.changes)
    for at, _ in replay(half.config, half.workers, "slip", instant(UNTIL), latency=LATENCY):
        if f"{at:%m-%d}" == "08-20":
            break
    rest = [f"{at:%m-%d}" for at, _ in replay(half.config, half.workers, "slip", instant(UNTIL), latency=LATENCY)]
    assert rest == ["08-20", "08-30", "11-01"]
    for number in range(5):
        made, wanted = read_version(half.event, number), read_version(life.event, number)
        assert (made.published, made.figures) == (wanted.published, wanted.figures)


def nothing(config: ScanConfig, *, resume: bool, rank: Rank) -> ScanSummary:
    raise AssertionError((config, resume, rank))


def test_a_real_earthquake_unfolds_from_its_archived_shakemaps(
    real: Callable[[str], dict[str, Any]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    """Hokkaido 2018: what was published when is real; the grids are made, and its catalogue has no scene."""
    detail = json.dumps(real("events/fdsn_detail_us2000h8ty.json"))
    asked_for: list[str] = []

    def answer(asked: Asked) -> Answer:
        if asked.path == "/detail":
            return Answer(content=detail.replace("https://earthquake.usgs.gov", running[0]).encode())
        asked_for.append(asked.path)
        found = asked.path.endswith("grid.xml")
        grid = grid_xml(bell(31, 31, 8.5, 12), west=141.2, north=43.4)
        return Answer(content=grid) if found else Answer(status=404)

    running: list[str] = []
    with site(answer) as server:
        running.append(server.address)
        items = tmp_path / "items.json"
        items.write_text(json.dumps({"type": "FeatureCollection", "features": []}))
        config = parse(
            RapidConfig,
            {
                "events": {"url": f"{server.address}/feed", "detail": f"{server.address}/detail?{{id}}"},
                "catalog": {"items": str(items), "profile": "plain", "collection": "made"},
                "model": "none",
                "output": {"run": str(tmp_path / "run")},
            },
        )
        workers = Workers(scan=nothing, export=nothing)  # type: ignore[arg-type]
        asked = RapidAsked(replay="us2000h8ty", until="2019-01-01T00:00:00Z")
        assert face(config, asked, workers) == 0
    told = capsys.readouterr().out
    assert "2018-09-05 18:07 UTC: us2000h8ty: waiting" in told
    assert "us2000h8ty: no scene" in told
    assert "us2000h8ty: ended" in told
    assert asked_for
    event = RunDirectory(f"{tmp_path}/run/events/us2000h8ty")
    first = read_version(event, 0)
    assert f"{first.published:%Y-%m-%d %H}" == "2018-09-05 18"
    ground = shapely.from_geojson(event.read("versions/0000/area.geojson").decode())
    assert ground.bounds[0] > 141
