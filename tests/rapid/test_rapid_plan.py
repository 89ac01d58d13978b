"""`plan` of rapid mapping: what would be scanned for which event, and for how long; it writes nothing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from helpers.agencies import Agency, Run
from helpers.rapid import BEFORE, Life, instant
from typer.testing import CliRunner

from landslide_scale.cli import app
from landslide_scale.demo.world import World
from landslide_scale.rapid.foreseen import Expected, expected
from landslide_scale.rapid.publication.pace import BEFORE as BEFORE_ITS_TURN
from landslide_scale.rapid.publication.pace import CATALOGUE, COMPARED, POLYGONS, PUBLICATION, REPORT, SCAN, read_pace

NOW = "2023-08-05T18:00:00+00:00"
LATER = "2023-08-20T18:00:00+00:00"


def planned(life: Life, now: str) -> Expected:
    before = sorted(life.folder.rglob("*"))
    (found,) = expected(life.config, instant(now))
    assert sorted(life.folder.rglob("*")) == before
    return found


def test_an_event_that_a_person_gives_is_planned_before_anything_is_begun(planet: World, tmp_path: Path):
    life = Life(folder=tmp_path, world=planet)
    life.add(*BEFORE)
    assert planned(life, NOW).why == "nothing new was sensed: there is nothing to scan"
    life.add("2023-08-05")
    found = planned(life, NOW)
    assert found.scan is not None
    assert found.title.startswith("slip: the made east, 2023-08-03 04:00 UTC; 2 km2 by given")
    assert [str(window.start.date()) for window in found.scan.config.windows] == ["2023-05-05", "2023-08-03"]
    scale = 10_000 / found.scan.survey.request.km2
    units, unknown = found.seconds_lines()
    assert units.startswith(f"10,000 km2 like it: {len(found.scan.survey.plan.units) * scale:,.0f} units, ")
    assert unknown == "how long it takes is not known before a version was mapped here"


def test_the_command_says_it(planet: World, tmp_path: Path):
    life = Life(folder=tmp_path, world=planet)
    life.add(*BEFORE, "2023-08-05")
    file = tmp_path / "rapid.yaml"
    file.write_text(yaml.safe_dump(life.settings))
    done = CliRunner().invoke(app, ["plan", "--config", str(file)])
    assert done.exit_code == 0, done.output
    said = " ".join(done.output.split())
    assert "slip: the made east" in said
    assert "model: none" in said
    assert "10,000 km2 like it" in said
    life.region.unlink()
    done = CliRunner().invoke(app, ["plan", "--config", str(file)])
    assert "region unreadable: " in " ".join(done.output.split())


@pytest.mark.parametrize(
    ("checkpoint", "said"),
    [
        ("no.safetensors", "no.safetensors: cannot be read (FileNotFoundError"),
        ("noto", "checkpoint noto: no checkpoint of this name"),
        ("null", "key model.checkpoint: no checkpoint; expected the path or URL of one"),
    ],
)
def test_a_checkpoint_that_is_not_there_is_told_before_an_event_needs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, checkpoint: str, said: str
):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    file = tmp_path / "rapid.yaml"
    model, output = f"model: {{checkpoint: {checkpoint}}}", f"output: {{run: {tmp_path / 'rapid'}}}"
    file.write_text(f"{model}\n{output}\n")
    done = CliRunner().invoke(app, ["plan", "--config", str(file)])
    assert (done.exit_code, len(done.output.splitlines())) == (2, 1)
    assert said in done.output


@pytest.mark.usefixtures("at_once")
def test_what_waits_or_cannot_be_asked_says_so_and_stops_no_other(run: Run, agency: Agency):
    agency.tell("us1", "us2", "us3")
    for name in ("us1", "us2", "us3"):
        agency.detail(name, *([("weak", 1)] if name == "us2" else []))
    run.cycle(1)
    agency.tell("us2", "us3", status="deleted")
    agency.tell("us1")
    run.changes["catalog"] = {"url": f"{agency.address}/none", "profile": "plain", "collection": "made"}
    found = {one.known.event.id: one.why for one in expected(run.config, instant("2026-03-02T00:00:00+00:00"))}
    assert found["us1"].startswith("waiting: no ShakeMap")
    assert "none" in found["us2"]
    assert found.keys() == {"us1", "us2", "us3"}


@pytest.mark.slow
def test_seconds_are_told_by_stage_and_foreseen_by_them(planet: World, tmp_path: Path):
    life = Life(folder=tmp_path, world=planet)
    life.add(*BEFORE)
    life.cycle("2023-08-03T06:00:00+00:00")
    first = read_pace(life.event)
    assert first is not None
    assert (first.version, first.scanned_km2) == (0, 0.0)
    life.add("2023-08-05")
    life.cycle(NOW)
    took = read_pace(life.event)
    assert took is not None
    assert (took.version, took.at) == (1, instant(NOW))
    assert list(took.seconds)[:1] == [BEFORE_ITS_TURN]
    assert {CATALOGUE, SCAN, COMPARED, POLYGONS, REPORT, PUBLICATION} <= took.seconds.keys()
    assert took.seconds[SCAN] > 0.1
    latest = life.event.read_json("latest.json")
    assert took.ground_km2 == latest["figures"]["asked_km2"]
    assert took.scanned_km2 == pytest.approx(2 * took.ground_km2, rel=0.01)  # both layers
    assert "version 1 took " in life.status()
    assert "10,000 km2 would take " in life.status()
    assert not [name for name in life.event.sizes("versions") if "seconds" in name]
    assert planned(life, NOW).why == "nothing new was sensed: there is nothing to scan"
    life.cycle("2023-08-05T20:00:00+00:00")  # in which nothing is published
    assert read_pace(life.event) == took
    life.add("2023-08-20", tile="34TBS")
    found = planned(life, LATER)
    assert found.scan is not None
    told = found.seconds_lines()
    assert told[0].startswith("expected: 0:0")
    assert "at the rates of version 1 of 2023-08-05 18:00 UTC" in told[0]
    assert told[1].startswith("10,000 km2 like it: ")
    assert told[1].endswith(" at these rates")
    life.cycle(LATER)
    later = read_pace(life.event)
    assert later is not None
    assert 0 < later.scanned_km2 < took.scanned_km2 / 2  # what was taken over is not in it
    json.dumps(life.event.read_json("seconds.json"))
