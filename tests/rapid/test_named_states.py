"""Bad input, by the list of it: each is a named state, told by --status and latest.json, and stops no other event."""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from helpers.agencies import NONE, Agency, Run
from helpers.quakes import ORIGIN, collection, feature
from helpers.webserver import Answer, site

from landslide_scale.rapid.watching import one_event
from landslide_scale.reading import asking

pytestmark = pytest.mark.usefixtures("at_once")

GOOD = "good"


@dataclass(frozen=True, kw_only=True)
class Bad:
    """An event with bad input, and what comes of it.

    Attributes:
        detail: What its service says.
        shakemaps: Files of those that it tells of, each with the hours after the origin.
        state: What it is at after an hour and a half.
        why: Part of the reason.
        remark: What is said beside it.
        number: Of its newest version.
    """

    detail: Answer | None = None
    shakemaps: tuple[tuple[str, float], ...] = ()
    state: str
    why: str = ""
    remark: str = ""
    number: int | None = None


def placeless() -> Answer:
    return Answer.of_json(feature("placeless") | {"geometry": None})


EVENTS = {
    "away": Bad(detail=Answer(status=503), state="feed away", why="HTTP status 503"),
    "malformed": Bad(detail=Answer(content=b"{"), state="feed malformed", why="no JSON"),
    "nothing": Bad(detail=Answer.of_json(collection()), state="gone", why="no event nothing any more"),
    "gone": Bad(detail=Answer(status=409), state="gone", why="Give it by hand"),
    "placeless": Bad(detail=placeless(), state="no location"),
    "early": Bad(state="waiting", why="no ShakeMap 1.5 h after the origin"),
    "empty": Bad(shakemaps=(("not-there", 1),), state="waiting", why="no ShakeMap"),
    "sea": Bad(shakemaps=(("sea", 1),), state="at sea", why="over sea it is stronger"),
    "below": Bad(shakemaps=(("below", 1),), state="refused", why="MMI 5.00 over land, below 6"),
    "wide": Bad(shakemaps=(("wide", 1),), state="too large", why="raise events.gates.greatest_land_km2"),
    "turn": Bad(
        shakemaps=(("turn", 1),),
        state="no scene",
        why="none was sensed since the event",
        remark="its ground lies on both sides of the antimeridian",
        number=0,
    ),
    GOOD: Bad(shakemaps=(("weak", 1),), state="no scene", number=0),
}
"""Twelve of one feed."""


def told(run: Run, name: str) -> list[str]:
    """What --status says of an event."""
    lines = run.status().splitlines()
    begin = next(number for number, line in enumerate(lines) if line.startswith(f"{name}: "))
    rest = lines[begin + 1 :]
    return rest[: next((number for number, line in enumerate(rest) if not line.startswith("  ")), len(rest))]


def assert_at(run: Run, name: str, bad: Bad) -> None:
    """An event's state is told at all three places."""
    known, latest = run.said(name), run.said(name, "latest.json")
    found = (name, known["state"], latest["event_state"], latest["number"])
    assert found == (name, bad.state, bad.state, bad.number), known["why"]
    assert bad.why in known["why"]
    assert latest["event_why"] == known["why"]
    assert latest["event_remarks"] == ([bad.remark] if bad.remark else [])
    lines, why = told(run, name), f" ({known['why']})" if known["why"] else ""
    assert lines[0] == f"  state: {bad.state}{why}"
    assert not bad.remark or f"  {bad.remark}" in lines


@pytest.fixture
def lived(run: Run, agency: Agency) -> Run:
    """One cycle over all of them, and over two that a person gave, of which one has no region that can be read."""
    agency.tell(*EVENTS)
    for name, bad in EVENTS.items():
        agency.detail(name, *bad.shakemaps)
        if bad.detail is not None:
            agency.answers[f"/detail/{name}"] = bad.detail
    lost = feature("lost") | {"geometry": None}
    heard = json.loads(agency.answers["/feed"].content)
    agency.answers["/feed"] = Answer.of_json(collection(*heard["features"], lost))
    given = {"origin": ORIGIN.isoformat(), "kind": "monsoon"}
    run.changes["given"] = [
        {"id": "unread", "region": {"file": str(run.folder / "region.geojson")}} | given,
        {"id": "zone", "region": {"bbox": [14.0, 46.0, 14.2, 46.2]}} | given,
    ]
    run.cycle(1.5)
    return run


def test_each_bad_input_is_a_named_state_and_the_others_go_on(lived: Run):
    for name, bad in EVENTS.items():
        assert_at(lived, name, bad)
    assert lived.said(GOOD, "latest.json")["number"] == lived.said("zone", "latest.json")["number"] == 0


def test_what_has_no_location_is_no_event_and_told_by_name(lived: Run):
    assert "  not understood: lost: no location" in lived.status().splitlines()
    assert not lived.root.exists("events/lost/event.json")


def test_a_region_that_cannot_be_read_is_tried_again_until_it_can(lived: Run):
    unread = Bad(state="region unreadable", why="region.geojson")
    assert_at(lived, "unread", unread)
    lived.cycle(2)
    assert_at(lived, "unread", unread)
    asked_for = one_event(lived.config, NONE, "unread", clock=lambda: ORIGIN + timedelta(hours=2.5))
    assert [known.state for known in asked_for.events] == ["region unreadable"]
    heard = lived.said("unread")["heard"]
    ring = [[14.0, 46.0], [14.2, 46.0], [14.2, 46.2], [14.0, 46.2], [14.0, 46.0]]
    Path(lived.folder / "region.geojson").write_text(json.dumps({"type": "Polygon", "coordinates": [ring]}))
    lived.cycle(3)
    assert_at(lived, "unread", Bad(state="no scene", number=0))
    event = lived.said("unread")["event"]
    assert (14 < event["lon"] < 14.2, 46 < event["lat"] < 46.2) == (True, True)
    assert lived.said("unread")["heard"] == heard
    Path(lived.folder / "region.geojson").unlink()  # what is known once is not asked for again
    lived.cycle(4)
    assert_at(lived, "unread", Bad(state="no scene", number=0))


def test_a_region_that_is_never_read_ends_with_its_days(lived: Run):
    lived.cycle(24 * 90)
    assert lived.said("unread")["state"] == lived.said("unread", "latest.json")["event_state"] == "ended"
    assert lived.said("unread")["why"].startswith("region unreadable: ")


def test_what_was_wrong_is_right_in_the_next_cycle(lived: Run, agency: Agency):
    mended = [name for name, bad in EVENTS.items() if bad.number is None and name != "wide"]  # that only grows
    for name in mended:
        agency.detail(name, ("weak", 1))
    lived.cycle(1.7)
    for name in mended:
        assert_at(lived, name, Bad(state="no scene", number=0))


def test_a_withdrawn_shakemap_is_a_state_before_there_is_a_map_and_told_after(run: Run, agency: Agency):
    agency.tell("us1")
    agency.detail("us1", ("strong", 1))
    run.cycle(1)
    content = json.loads(agency.answers["/detail/us1"].content)
    (shakemap,) = content["properties"]["products"]["shakemap"]
    gone = shakemap | {"status": "DELETE", "updateTime": shakemap["updateTime"] + 1_800_000}
    content["properties"]["products"]["shakemap"].append(gone)
    agency.answers["/detail/us1"] = Answer.of_json(content)
    remark = "its ShakeMap was withdrawn; what was to be looked at stays so"
    run.cycle(1.5)
    assert_at(run, "us1", Bad(state="withdrawn", why="no ShakeMap 1.5 h", remark=remark, number=0))
    run.cycle(3)
    assert_at(run, "us1", Bad(state="no scene", remark=remark, number=0))
    assert run.root.folders("events/us1/versions") == ["0000"]


@dataclass(kw_only=True)
class Slow:
    """Answers nothing until it is let."""

    let: threading.Event = field(default_factory=threading.Event)

    def __call__(self, _: object) -> Answer:
        self.let.wait(20)
        return Answer(status=500)


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> Any:  # noqa: ANN401 a fixture
    monkeypatch.setattr(asking, "ATTEMPT_S", 0.1)
    hold = Slow()
    with site(hold) as server:
        yield server.address
        hold.let.set()


UNREACHABLE = "http://127.0.0.1:9"


def assert_nothing_is_lost(run: Run) -> None:
    """The event that is followed goes on without the feed, and the next cycle hears of the other one, once."""
    assert run.states() == {"us1": "no scene"}
    assert run.root.folders("events/us1/versions") == ["0000"]


@pytest.mark.parametrize("how", ["unreachable", "slow"])
def test_a_feed_that_cannot_be_reached_or_is_slow_is_left_for_the_next_cycle(
    run: Run, agency: Agency, slow: str, how: str
):
    agency.tell("us1")
    agency.detail("us1")
    run.cycle(0.5)
    agency.detail("us1", ("weak", 1))
    events = {"detail": f"{agency.address}/detail/{{id}}", "days_back": 30}
    run.changes["events"] = events | {"url": f"{UNREACHABLE if how == 'unreachable' else slow}/feed"}
    assert "6 times" in run.cycle(1).feed  # tried again
    assert "not read since: 2026-03-01T07:00" in run.status()
    assert_nothing_is_lost(run)
    del run.changes["events"]
    agency.tell("us1", "us2")
    agency.detail("us2")
    assert run.cycle(2).feed == ""
    assert run.states() == {"us1": "no scene", "us2": "waiting"}
    assert "not read since" not in run.status()


@pytest.mark.parametrize("empty", [Answer.of_json(collection()), Answer(status=204)])
def test_an_empty_feed_takes_no_event_away(run: Run, agency: Agency, empty: Answer):
    agency.tell("us1")
    agency.detail("us1")
    run.cycle(0.5)
    agency.answers["/feed"] = empty
    agency.detail("us1", ("weak", 1))
    assert run.cycle(1).feed == ""
    assert_nothing_is_lost(run)
    agency.tell("us1", "us2")
    agency.detail("us2")
    run.cycle(2)
    assert run.states() == {"us1": "no scene", "us2": "waiting"}


def test_the_reason_before_there_is_a_version_is_told_anew_each_cycle(run: Run, agency: Agency):
    agency.tell("us1")
    agency.detail("us1")
    for hours in (0.5, 1.5):
        run.cycle(hours)
        assert f"{hours} h after the origin" in run.said("us1", "latest.json")["event_why"]
    assert run.said("us1", "latest.json").keys() == {
        *("format", "number", "event_state", "event_why", "event_remarks"),
    }


def test_an_event_that_ended_says_why_where_its_version_is_named(run: Run, agency: Agency):
    agency.tell("us1")
    agency.detail("us1", ("weak", 1))
    run.cycle(1)
    run.cycle(1 + timedelta(days=90) / timedelta(hours=1))
    assert_at(run, "us1", Bad(state="ended", why="no scene: none was sensed since the event", number=0))
