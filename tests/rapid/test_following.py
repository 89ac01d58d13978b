"""Feeds heard one after the other: each event is followed once, by whichever of its ids, and none is lost."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from helpers.quakes import ORIGIN, event
from hypothesis import given, settings
from hypothesis import strategies as st

from landslide_scale.errors import RunConflictError
from landslide_scale.events.feed import Feed, Unread
from landslide_scale.events.settings import GateConfig
from landslide_scale.rapid.following import HEARD, Heard, not_heard, take_up
from landslide_scale.rapid.known import Asked, Followed, every, folder_of, keep
from landslide_scale.rapid.telling import status_lines
from landslide_scale.scene import Window
from landslide_scale.storage.rundir import RunDirectory

GATES = GateConfig()
NOW = ORIGIN + timedelta(hours=1)


@pytest.fixture
def root(tmp_path: Path) -> RunDirectory:
    return RunDirectory(str(tmp_path / "run"))


def heard(root: RunDirectory, *events: object, deleted: tuple[str, ...] = (), now: datetime = NOW) -> Heard:
    return take_up(root, Feed(events=events, deleted=deleted), GATES, now)  # type: ignore[arg-type]


def states(root: RunDirectory) -> dict[str, str]:
    return {folder.url.rsplit("/", 1)[-1]: known.state for folder, known in every(root)}


def only(root: RunDirectory) -> Followed:
    ((_, known),) = every(root)
    return known


def asked(number: int = 1) -> Asked:
    before = Window(start=datetime(2025, 1, 1, tzinfo=UTC), end=datetime(2025, 2, 1, tzinfo=UTC))
    after = Window(start=ORIGIN, end=ORIGIN + timedelta(days=1))
    return Asked(number=number, windows=(before, after), scenes=("a",), area_sha256="0" * 64)


def test_an_event_is_followed_from_when_it_was_heard_of_and_told_anew(root: RunDirectory):
    assert heard(root, event()).followed == (folder_of(root, "us1").url,)
    later = event(magnitude=7.1, updated=NOW)
    heard(root, later, now=NOW + timedelta(hours=1))
    assert (only(root).event, only(root).heard) == (later, NOW)
    assert only(root).decisions[0][1].startswith("feed: waiting: no ShakeMap")


def test_what_is_said_late_of_earlier_does_not_undo_what_is_known(root: RunDirectory):
    heard(root, event(magnitude=7.1, updated=NOW))
    heard(root, event(magnitude=6.0, updated=ORIGIN))
    assert only(root).event.magnitude == 7.1


def test_a_weak_event_is_declined_with_its_figures_until_it_is_told_as_strong(root: RunDirectory):
    declined = heard(root, event(magnitude=5.0)).declined
    assert declined[0][0] == "us1 (somewhere)"
    assert "magnitude 5, below 5.5" in declined[0][1]
    assert "  not followed: us1 (somewhere)" in "\n".join(status_lines(root))
    heard(root, event(magnitude=5.6, updated=NOW))
    assert states(root) == {"us1": "waiting"}


def test_a_new_preferred_id_keeps_the_folder_of_the_first(root: RunDirectory):
    heard(root, event())
    heard(root, event("ci9", ids=("ci9", "us1"), updated=NOW))
    ((folder, known),) = every(root)
    assert (folder.url, known.event.id) == (folder_of(root, "us1").url, "ci9")
    heard(root, event("ci9", ids=("ci9",), updated=NOW + timedelta(hours=1)))
    assert states(root) == {"us1": "waiting"}
    assert only(root).event.ids == ("ci9", "us1")


@pytest.mark.parametrize("begun", ["us1", "ci9"])
def test_of_two_that_are_one_that_goes_on_of_which_more_is_made(root: RunDirectory, begun: str):
    heard(root, event(), event("ci9", ids=("ci9",)))
    for folder, known in list(every(root)):
        if known.event.id == begun:
            keep(folder, replace(known, asked=asked()).at("mapped"))
    for _ in range(2):
        heard(root, event("nc5", ids=("ci9", "nc5", "us1"), updated=NOW))
        other = {"us1": "ci9", "ci9": "us1"}[begun]
        assert states(root) == {begun: "mapped", other: "merged"}
    of = {folder.url.rsplit("/", 1)[-1]: known for folder, known in every(root)}
    assert of[begun].event.ids == ("ci9", "nc5", "us1")
    assert f"followed in {begun}" in of[other].why


def test_two_that_a_detail_has_told_to_be_one_are_merged_though_no_feed_tells_of_them_again(root: RunDirectory):
    heard(root, event(), event("ci9", ids=("ci9",)))
    (folder, known) = next(iter(every(root)))
    keep(folder, replace(known, event=known.event.told(event("us1", ids=("ci9", "us1"), updated=NOW))))
    heard(root)
    assert sorted(states(root).values()) == ["merged", "waiting"]


def test_an_event_that_its_feed_takes_back_is_deleted_and_followed_again_when_it_tells_of_it(root: RunDirectory):
    heard(root, event())
    assert heard(root, deleted=("us1",)).followed == ()
    assert states(root) == {"us1": "deleted"}
    heard(root, event(updated=NOW))
    assert states(root) == {"us1": "waiting"}


def test_an_id_that_is_taken_back_in_favour_of_another_costs_no_event(root: RunDirectory):
    heard(root, event())
    heard(root, event("ci9", ids=("ci9", "us1"), updated=NOW), deleted=("us1",))
    assert states(root) == {"us1": "waiting"}


def test_one_event_told_twice_in_a_feed_is_followed_once(root: RunDirectory):
    heard(root, event(), event("ci9", ids=("ci9", "us1"), updated=NOW))
    assert states(root) == {"us1": "waiting"}


def test_what_ended_stays_so(root: RunDirectory):
    heard(root, event())
    keep(folder_of(root, "us1"), only(root).at("ended"))
    assert heard(root, event(magnitude=8.0, updated=NOW), deleted=()).followed == ()
    assert states(root) == {"us1": "ended"}


def test_a_feed_that_is_away_takes_nothing_of_what_was_heard(root: RunDirectory):
    not_heard(root, "it does not answer", ORIGIN)
    assert "feed: last heard never" in list(status_lines(root))
    take_up(root, Feed(events=(event(magnitude=5.0),), unread=(Unread(id="x", problem="no location"),)), GATES, NOW)
    not_heard(root, "it does not answer", NOW + timedelta(hours=1))
    told = "\n".join(status_lines(root))
    assert f"feed: last heard {NOW.isoformat()}" in told
    assert "it does not answer" in told
    assert "not followed: us1" in told
    assert "not understood: x: no location" in told
    heard(root, now=NOW + timedelta(hours=2))
    assert "away" not in root.read_json(HEARD)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"at": null}'])
def test_what_was_heard_is_named_where_it_is_damaged_and_written_anew(root: RunDirectory, content: bytes):
    heard(root, event(magnitude=5.0))
    root.write(HEARD, content)
    with pytest.raises(RunConflictError, match=r"heard\.json is damaged.*next cycle writes it anew"):
        list(status_lines(root))
    not_heard(root, "it does not answer", NOW)
    assert "feed: last heard never" in list(status_lines(root))


NAMES = ("a1", "b2", "c3", "d4")
TOLD = st.sets(st.sampled_from(NAMES), min_size=1)
FEEDS = st.lists(
    st.tuples(st.lists(st.tuples(TOLD, st.integers(0, 9)), max_size=3), st.sets(st.sampled_from(NAMES), max_size=1)),
    min_size=1,
    max_size=6,
)


@settings(max_examples=60)
@given(FEEDS)
def test_whatever_feeds_say_none_is_lost_and_none_is_followed_twice(
    feeds: list[tuple[list[tuple[set[str], int]], set[str]]],
):
    with TemporaryDirectory() as folder:
        root = RunDirectory(folder)
        told_of: set[str] = set()
        for number, (events, deleted) in enumerate(feeds):
            now = NOW + timedelta(hours=number)
            seen = [
                event(min(ids), ids=tuple(sorted(ids)), updated=ORIGIN + timedelta(minutes=minutes))
                for ids, minutes in events
            ]
            before = set(states(root))
            heard(root, *seen, deleted=tuple(deleted), now=now)
            told_of |= {name for one in seen for name in one.ids}
            known = list(every(root))
            assert before <= {one.url.rsplit("/", 1)[-1] for one, _ in known}
            alive = [one for _, one in known if one.state != "merged"]
            assert {name for one in alive for name in one.event.ids} == told_of  # none lost
            assert sum(len(one.event.ids) for one in alive) == len(told_of)  # none twice
            now_told = [one for one in alive if any(one.event.is_same(other) for other in seen)]
            assert not [one for one in now_told if one.over]
