"""What goes wrong with an event is its state, in words, and is in the way of no other."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from helpers.quakes import ORIGIN, bell, collection, feature, grid_xml, product
from helpers.rapid import BEFORE, Life
from helpers.webserver import Answer, Asked, site

from landslide_scale.demo.world import World
from landslide_scale.errors import RunConflictError
from landslide_scale.rapid.face import RapidAsked
from landslide_scale.rapid.face import run as face
from landslide_scale.rapid.mapping import Workers
from landslide_scale.rapid.publication.version import read_version
from landslide_scale.rapid.settings import RapidConfig
from landslide_scale.rapid.telling import status_lines
from landslide_scale.rapid.watching import Attended, once
from landslide_scale.reading import attempts
from landslide_scale.storage.lease import held
from landslide_scale.storage.rundir import RunDirectory
from landslide_scale.strictyaml import parse

NONE = Workers(scan=None, export=None)  # type: ignore[arg-type]
"""Nothing is scanned where there is no scene."""


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attempts.time, "sleep", lambda _: None)


@dataclass(kw_only=True)
class Agency:
    """A service of earthquakes, whose answers can be changed.

    Attributes:
        answers: By path.
        address: Its own.
    """

    answers: dict[str, Answer] = field(default_factory=dict)
    address: str = ""

    def tell(self, *names: str, **properties: object) -> None:
        self.answers["/feed"] = Answer.of_json(collection(*(self._of(name, properties) for name in names)))

    def _of(self, name: str, properties: dict[str, Any]) -> dict[str, Any]:
        return feature(name, detail=f"{self.address}/detail/{name}", **properties)

    def detail(self, name: str, *shakemaps: tuple[str, float], **properties: object) -> None:
        """Of an event, with ShakeMaps: the file of each and how many hours after the origin it was published."""
        known = [
            product(
                "us",
                100,
                int((ORIGIN + timedelta(hours=hours)).timestamp() * 1000),
                contents={"download/grid.xml": f"{self.address}/{file}.xml"},
                properties={"version": str(number + 1)},
            )
            for number, (file, hours) in enumerate(shakemaps)
        ]
        found = feature(name, products={"shakemap": known}, **properties)
        self.answers[f"/detail/{name}"] = Answer.of_json(found)


@pytest.fixture
def agency() -> Iterator[Agency]:
    known = Agency()
    for name, strongest in (("weak", 6.8), ("strong", 8.5)):
        known.answers[f"/{name}.xml"] = Answer(content=grid_xml(bell(21, 21, strongest, 8), west=14.0, north=46.5))

    def answer(asked: Asked) -> Answer:
        return known.answers.get(asked.path, Answer(status=404))

    with site(answer) as running:
        known.address = running.address
        yield known


@dataclass(kw_only=True)
class Run:
    """Cycles over an agency's events, whose catalogue has no Items."""

    folder: Path
    agency: Agency
    changes: dict[str, Any] = field(default_factory=dict)

    @property
    def config(self) -> RapidConfig:
        items = self.folder / "items.json"
        items.write_text(json.dumps({"type": "FeatureCollection", "features": []}))
        events = {
            "url": f"{self.agency.address}/feed",
            "detail": f"{self.agency.address}/detail/{{id}}",
            "days_back": 30,
        }
        settings = {
            "events": events,
            "catalog": {"items": str(items), "profile": "plain", "collection": "made"},
            "model": "none",
            "output": {"run": str(self.folder / "run")},
        }
        return parse(RapidConfig, settings | self.changes)

    @property
    def root(self) -> RunDirectory:
        return RunDirectory(str(self.folder / "run"))

    def cycle(self, hours: float) -> Attended:
        return once(self.config, NONE, clock=lambda: ORIGIN + timedelta(hours=hours))

    def states(self) -> dict[str, str]:
        return {name: self.said(name)["state"] for name in self.root.folders("events")}

    def said(self, name: str, file: str = "event.json") -> dict[str, Any]:
        return dict(self.root.read_json(f"events/{name}/{file}"))

    def status(self) -> str:
        return "\n".join(status_lines(self.root))


@pytest.fixture
def run(tmp_path: Path, agency: Agency) -> Run:
    return Run(folder=tmp_path, agency=agency)


def test_the_first_version_appears_within_the_cycle_in_which_a_shakemap_does(run: Run, agency: Agency):
    agency.tell("us1")
    agency.detail("us1")
    run.cycle(0.5)
    assert run.states() == {"us1": "waiting"}
    assert not run.root.exists("events/us1/latest.json")
    agency.detail("us1", ("weak", 1))
    run.cycle(1)
    assert run.said("us1", "latest.json")["event_state"] == "no scene"
    assert run.said("us1", "latest.json")["number"] == 0
    run.cycle(1.5)
    assert run.root.folders("events/us1/versions") == ["0000"]


def test_ground_that_grew_before_any_scene_is_published_anew(run: Run, agency: Agency):
    agency.tell("us1")
    agency.detail("us1", ("weak", 1))
    run.cycle(1)
    agency.detail("us1", ("weak", 1), ("strong", 4))
    run.cycle(4)
    run.cycle(5)
    folder = RunDirectory(run.root.at("events/us1"))
    first, second = read_version(folder, 0), read_version(folder, 1)
    assert (second.release, second.version) == (2, 1)
    assert second.figures.asked_km2 > first.figures.asked_km2
    assert folder.folders("versions") == ["0000", "0001"]
    assert "versions/0001" in folder.read("history.html").decode()
    page = folder.read("versions/0001/report.html").decode()
    assert "Version 1, " in page
    assert "epicentre" in page


def test_a_detail_that_is_away_is_a_state_and_the_other_event_goes_on(run: Run, agency: Agency):
    agency.tell("us1", "us2")
    agency.detail("us1", ("weak", 1))
    agency.detail("us2", ("weak", 1))
    run.cycle(1)
    agency.answers["/detail/us1"] = Answer(status=503)
    agency.detail("us2", ("weak", 1), ("strong", 2))
    run.cycle(2)
    assert run.states() == {"us1": "feed away", "us2": "no scene"}
    assert run.said("us1", "latest.json")["event_state"] == "feed away"
    assert run.said("us2", "latest.json")["number"] == 1
    assert "state: feed away (" in run.status()
    agency.detail("us1", ("weak", 1))
    run.cycle(3)
    assert run.states() == {"us1": "no scene", "us2": "no scene"}
    assert run.said("us1", "latest.json")["event_state"] == "no scene"


@pytest.mark.parametrize(
    "feed", [Answer(status=503), Answer(content=b"{"), Answer(content=b"<html>"), Answer.of_json([1])]
)
def test_a_feed_that_is_away_or_malformed_stops_no_event_that_is_followed(run: Run, agency: Agency, feed: Answer):
    agency.tell("us1")
    agency.detail("us1")
    run.cycle(0.5)
    agency.answers["/feed"] = feed
    agency.detail("us1", ("weak", 1))
    attended = run.cycle(1)
    assert attended.feed
    assert run.states() == {"us1": "no scene"}
    assert "feed: last heard 2026-03-01T06:30" in run.status()
    assert "not read since: 2026-03-01T07:00" in run.status()
    agency.tell("us1", "us2")
    agency.detail("us2")
    run.cycle(2)
    assert run.states() == {"us1": "no scene", "us2": "waiting"}
    assert "not read since" not in run.status()


def test_a_catalogue_that_is_away_is_a_state_of_those_that_ask_it(run: Run, agency: Agency):
    agency.tell("us1", "us2")
    agency.detail("us1", ("weak", 1))
    agency.detail("us2")
    run.changes["catalog"] = {"url": f"{agency.address}/stac", "profile": "plain", "collection": "made"}
    agency.answers["/stac"] = Answer(status=503)
    run.cycle(1)
    assert run.states() == {"us1": "catalogue away", "us2": "waiting"}
    assert "503" in run.said("us1")["why"]


def test_an_event_that_its_feed_takes_back_is_told_so_where_it_was_published(run: Run, agency: Agency):
    agency.tell("us1")
    agency.detail("us1", ("weak", 1))
    run.cycle(1)
    agency.tell("us1", status="deleted")
    run.cycle(2)
    assert run.said("us1", "latest.json")["event_state"] == "deleted"
    assert run.states() == {"us1": "deleted"}


def test_an_event_that_its_service_knows_no_more_is_asked_for_by_its_other_ids(run: Run, agency: Agency):
    agency.tell("us1", ids=",us1,us2,")
    agency.detail("us2", ("weak", 1), ids=",us1,us2,")
    run.cycle(1)
    assert run.states() == {"us1": "no scene"}
    del agency.answers["/detail/us2"]
    run.cycle(2)
    assert run.states() == {"us1": "failed"}
    assert "no event us" in run.said("us1")["why"]


def test_what_is_refused_or_never_seen_ends_with_its_days(run: Run, agency: Agency):
    agency.tell("us1", "us2")
    agency.detail("us1", ("weak", 1))
    agency.detail("us2", mag=5.0)
    run.cycle(1)
    agency.detail("us2", mag=5.0, updated=int((ORIGIN + timedelta(hours=1)).timestamp() * 1000))
    run.cycle(2)
    assert run.states() == {"us1": "no scene", "us2": "refused"}
    agency.tell()
    run.cycle(24 * 91)
    assert run.states() == {"us1": "ended", "us2": "ended"}
    assert run.said("us1", "latest.json")["event_state"] == "ended"
    assert "magnitude 5, below 5.5" in run.said("us2")["why"]


def test_a_webhook_that_fails_is_seen_in_the_status_and_stops_nothing(run: Run, agency: Agency):
    agency.answers["/hook"] = Answer(status=500)
    run.changes["publish"] = {"webhook": {"url": f"{agency.address}/hook", "attempts": 1, "first_wait_s": 0}}
    agency.tell("us1")
    agency.detail("us1", ("weak", 1))
    run.cycle(1)
    assert run.states() == {"us1": "no scene"}
    assert "version 0: webhook" in run.status()
    agency.answers["/hook"] = Answer(status=204)
    run.cycle(2)
    assert "webhook" not in run.status()


def test_a_second_watcher_is_refused(run: Run, agency: Agency):
    agency.tell()
    with held(run.root), pytest.raises(RunConflictError):
        run.cycle(1)
    assert run.cycle(1).events == ()


def test_an_id_that_a_person_asks_for_is_not_followed_a_second_time(run: Run, agency: Agency):
    agency.tell("us1")
    agency.detail("us1")
    run.cycle(0.5)
    agency.detail("ci9", ids=",ci9,us1,")
    agency.answers["/detail/us1"] = agency.answers["/detail/ci9"]
    face(run.config, RapidAsked(event="ci9"), NONE)
    assert run.root.folders("events") == ["us1"]


def test_hostile_names_are_told_as_text(run: Run, agency: Agency):
    agency.tell("us1", place="<script>alert(1)</script>\x1b[31m\n")
    agency.detail("us1", ("weak", 1), place="<script>alert(1)</script>\x1b[31m\n")
    run.cycle(1)
    for name in ("versions/0000/report.html", "history.html"):
        page = run.root.read(f"events/us1/{name}").decode()
        assert "<script>alert" not in page
    assert "\x1b" not in run.status()


def test_a_missing_checkpoint_is_a_state(planet: World, tmp_path: Path):
    life = Life(folder=tmp_path, world=planet, changes={"model": {"checkpoint": str(tmp_path / "none.safetensors")}})
    life.add(*BEFORE, "2023-08-05")
    (known,) = life.cycle("2023-08-05T18:00:00+00:00").events
    assert known.state == "checkpoint missing"
    assert life.event.read_json("latest.json")["event_state"] == "checkpoint missing"
    assert "none.safetensors" in life.status()
