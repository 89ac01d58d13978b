"""A whole life of an event without a network: what each cycle publishes, and that it publishes nothing twice."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import geopandas
import pytest
from helpers.rapid import BEFORE, Life, files

from landslide_scale.demo.world import World
from landslide_scale.products import names
from landslide_scale.rapid.face import RapidAsked, bring_verdicts, confirm_version
from landslide_scale.rapid.face import run as face
from landslide_scale.rapid.publication.publishing import unfinished
from landslide_scale.rapid.publication.version import PRELIMINARY, Version, read_latest, read_version
from landslide_scale.storage.lease import held

pytestmark = pytest.mark.slow


@dataclass(kw_only=True)
class Lived:
    """What was there after each cycle."""

    life: Life
    latest: list[dict[str, Any]]
    states: list[str]
    scans: list[tuple[int, int]]
    rejected: str

    def version(self, number: int) -> Version:
        return read_version(self.life.event, number)


@pytest.fixture(scope="module")
def lived(planet: World, tmp_path_factory: pytest.TempPathFactory) -> Lived:
    life = Life(folder=tmp_path_factory.mktemp("life"), world=planet)
    lived = Lived(life=life, latest=[], states=[], scans=[], rejected="")

    def cycle(now: str) -> None:
        done = len(life.counted.done)
        (known,) = life.cycle(now).events
        lived.states.append(known.state)
        lived.latest.append(life.event.read_json("latest.json"))
        scans = life.counted.done[done:]
        lived.scans.append((sum(one.units for one in scans), sum(one.taken for one in scans)))

    life.add(*BEFORE)
    cycle("2023-08-03T06:00:00+00:00")  # 0
    life.add("2023-08-05")
    cycle("2023-08-05T18:00:00+00:00")  # 1
    cycle("2023-08-05T20:00:00+00:00")  # 2: nothing
    life.add("2023-08-20", tile="34TBS")
    cycle("2023-08-20T18:00:00+00:00")  # 3
    table = geopandas.read_parquet(life.event.at(f"versions/0002/{names.POLYGONS}"))
    lived.rejected = str(table.sort_values("area_m2").iloc[-1]["id"])
    copy = table.copy()
    copy.loc[copy["id"] == lived.rejected, ["status", "verdict"]] = ["rejected", "a river bank"]
    copy.to_file(life.folder / "said.gpkg", layer="landslides", driver="GPKG")
    with held(life.root):  # as a watch holds it
        assert bring_verdicts(life.config, "slip", str(life.folder / "said.gpkg")) == 0
    cycle("2023-08-20T20:00:00+00:00")  # 4: a correction
    life.add("2023-08-20", "2023-08-30")
    cycle("2023-08-30T18:00:00+00:00")  # 5
    cycle("2023-11-30T18:00:00+00:00")  # 6: ended by days
    cycle("2023-12-01T18:00:00+00:00")  # 7: nothing
    confirm_version(life.config, "slip", 5, "An Analyst")
    cycle("2023-12-02T18:00:00+00:00")  # 8: a correction of what has ended
    return lived


def test_states_and_numbers_of_versions_cycle_by_cycle(lived: Lived):
    assert lived.states == ["no scene", *["mapped"] * 5, *["ended"] * 3]
    assert [one["number"] for one in lived.latest] == [0, 1, 1, 2, 3, 4, 5, 5, 6]
    assert [one["event_state"] for one in lived.latest] == lived.states
    releases = [(lived.version(number).release, lived.version(number).version) for number in range(7)]
    assert releases == [(1, 1), (2, 1), (3, 1), (3, 2), (4, 1), (4, 2), (4, 3)]


def test_nothing_is_published_twice(lived: Lived):
    assert lived.latest[2] == lived.latest[1]
    assert lived.latest[7] == lived.latest[6]
    assert unfinished(lived.life.event) is None
    assert lived.life.event.folders("versions") == [f"{number:04d}" for number in range(7)]


def test_only_what_a_new_pass_touches_is_scanned(lived: Lived):
    units, taken = lived.scans[3]
    assert 0 < units - taken < units / 2  # after the event, and of one zone alone
    units, taken = lived.scans[5]
    assert 0 < taken < units
    assert lived.scans[2][0] == lived.scans[1][0]  # looked at, not scanned


def test_more_is_seen_with_each_pass(lived: Lived):
    seen = [lived.version(number).figures.observed_km2 for number in range(5)]
    assert seen[0] == 0 < seen[1] <= seen[2] == seen[3] < seen[4]
    for number in range(1, 5):
        figures, said = lived.version(number).figures, lived.version(number).difference
        assert figures.observed_km2 + figures.hidden_km2 == pytest.approx(figures.asked_km2)
        assert said.newly_observed_km2 == pytest.approx(max(0, seen[number] - seen[number - 1]))


def test_a_verdict_makes_a_correction_and_survives_into_the_next_version(lived: Lived):
    for number in (3, 4, 5, 6):
        table = geopandas.read_parquet(lived.life.event.at(f"versions/{number:04d}/{names.POLYGONS}"))
        (row,) = [row for _, row in table.iterrows() if row["id"] == lived.rejected]
        assert (row["status"], row["verdict"]) == ("rejected", "a river bank")
    assert lived.version(3).figures.landslides == lived.version(2).figures.landslides - 1


def test_every_version_is_preliminary_until_an_analyst_confirms_it(lived: Lived):
    assert {lived.version(number).state for number in range(6)} == {PRELIMINARY}
    assert "An Analyst" in lived.version(6).state
    assert lived.life.event.read_json("latest.json")["state"] == lived.version(6).state


def test_versions_are_never_changed(lived: Lived):
    for number in range(7):
        for name, stored in lived.version(number).files.items():
            folder = Path(lived.life.event.at(f"versions/{number:04d}"))
            assert (folder / name).stat().st_size == stored.bytes


def test_responses_are_delivered_then_monitored_and_name_the_one_before(lived: Lived):
    said = [
        json.loads(Path(lived.life.event.at(f"versions/{number:04d}/response.json")).read_text()) for number in range(7)
    ]
    assert [bool([link for link in one["links"] if link["rel"] == "prev"]) for one in said] == [False, *[True] * 6]
    assert len({one["id"] for one in said}) == 7


def test_the_page_of_versions_steps_through_all(lived: Lived):
    page = Path(lived.life.event.at("history.html")).read_text()
    assert all(f"versions/{number:04d}" in page for number in range(7))


def test_the_first_page_of_what_a_person_gave_tells_of_no_epicentre(lived: Lived):
    page = Path(lived.life.event.at("versions/0000/report.html")).read_text()
    assert "Version 0, 2023-08-03 06:00 UTC" in page
    assert "latitude, longitude" in page
    assert "epicentre" not in page


def test_status_says_it_in_lines(lived: Lived):
    told = lived.life.status()
    assert "slip: the made east, 2023-08-03 04:00 UTC" in told
    assert "state: ended" in told
    assert "version 6 (versions/0006)" in told
    latest = read_latest(lived.life.event)
    assert latest is not None
    assert f"{latest.figures.observed_km2 / latest.figures.asked_km2:.0%} observed" in told


def test_the_faces_say_it_too(lived: Lived, capsys: pytest.CaptureFixture[str]):
    assert face(lived.life.config, RapidAsked(status=True), lived.life.workers) == 0
    assert "slip" in capsys.readouterr().out
    before = files(Path(lived.life.event.at("versions")))
    assert face(lived.life.config, RapidAsked(event="slip"), lived.life.workers) == 0
    assert files(Path(lived.life.event.at("versions"))) == before
