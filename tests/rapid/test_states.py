"""What goes wrong with an event is its state, in words, and is in the way of no other."""

from __future__ import annotations

import threading
from datetime import timedelta
from pathlib import Path

import pytest
from helpers.agencies import NONE, Agency, Run
from helpers.quakes import ORIGIN
from helpers.rapid import BEFORE, Life
from helpers.webserver import Answer

from landslide_scale.demo.world import World
from landslide_scale.errors import RunConflictError
from landslide_scale.rapid.face import RapidAsked
from landslide_scale.rapid.face import run as face
from landslide_scale.rapid.publication.version import read_version
from landslide_scale.storage.lease import held
from landslide_scale.storage.rundir import RunDirectory

pytestmark = pytest.mark.usefixtures("at_once")


def test_the_first_version_appears_within_the_cycle_in_which_a_shakemap_does(run: Run, agency: Agency):
    agency.tell("us1")
    agency.detail("us1")
    run.cycle(0.5)
    assert run.states() == {"us1": "waiting"}
    assert run.said("us1", "latest.json")["number"] is None
    assert run.said("us1", "latest.json")["event_state"] == "waiting"
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
    latest = run.said("us1", "latest.json")
    assert (latest["number"], latest["event_state"]) == (0, "catalogue away")  # the ground is told without it
    assert "state: catalogue away (" in run.status()


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
    assert run.states() == {"us1": "gone"}
    assert "no event us1 any more" in run.said("us1")["why"]
    run.cycle(24 * 89)
    assert run.states() == {"us1": "gone"}
    agency.detail("us2", ("weak", 1), ids=",us1,us2,")
    run.cycle(24 * 89 + 1)
    assert run.states() == {"us1": "no scene"}
    del agency.answers["/detail/us2"]
    run.cycle(24 * 90)
    assert run.states() == {"us1": "ended"}
    assert run.said("us1")["why"].startswith("gone: ")


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
    assert "version 0: webhook failed: " in run.status()
    (remark,) = run.said("us1", "latest.json")["event_remarks"]
    assert remark.startswith("version 0: webhook failed: ")
    assert "HTTP status 500" in remark
    agency.answers["/hook"] = Answer(status=204)
    run.cycle(2)
    assert "webhook" not in run.status()
    assert run.said("us1", "latest.json")["event_remarks"] == []


def test_no_cycle_leaves_a_thread_behind(run: Run, agency: Agency):
    agency.answers["/hook"] = Answer(status=204)
    run.changes["publish"] = {"webhook": {"url": f"{agency.address}/hook"}}
    agency.tell("us1")
    agency.detail("us1", ("weak", 1))
    before = {one.ident for one in threading.enumerate()}
    for hours in (1, 2, 3):
        run.cycle(hours)
    left = [one for one in threading.enumerate() if one.name == "herald" and one.ident not in before]
    for one in left:
        one.join(10)
    assert not [one for one in left if one.is_alive()]


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
