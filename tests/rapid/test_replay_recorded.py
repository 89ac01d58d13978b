"""Replays from v0 to the end on a real STAC server with recorded Items and their real pixels; no network is asked.

None of the recorded Items lies on ground that a recorded earthquake of magnitude 4.5 or more shook within a year. So
what is replayed is: an earthquake as it was published, whose catalogue has Items of elsewhere alone; the storm of
August 2023 in Slovenia, given by hand, over whose ground seven scenes were recorded; the same with an instant between
them; and that earthquake's publications moved to this ground and time.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import shapely
from helpers.hokkaido import ID, Published, hokkaido, hours
from helpers.rapid import Counted, instant

from landslide_scale.demo.satellite.stac_server import serve
from landslide_scale.exporting.run import export_compared
from landslide_scale.rapid.known import Followed
from landslide_scale.rapid.mapping import Workers
from landslide_scale.rapid.publication.version import Version, read_latest, read_version
from landslide_scale.rapid.settings import RapidConfig
from landslide_scale.rapid.watching import replay
from landslide_scale.scan.verify import verify
from landslide_scale.storage.rundir import RunDirectory
from landslide_scale.strictyaml import parse

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]

SCENES = Path("sentinel2", "earthsearch-33T-2023-08")
LATENCY = timedelta(hours=6)
SENSED = ("08-10 15", "08-13 16", "08-15 15", "08-18 16", "08-20 15")
"""When the recorded scenes are to be had; on the 13th and the 15th there are two tiles, some seconds apart."""


@pytest.fixture(scope="module")
def recorded(shared_data: Path) -> Iterator[dict[str, Any]]:
    """A catalogue of the recorded Items, on a server of its own, and where their files may be read."""
    folder = shared_data / SCENES
    if not folder.is_dir():
        pytest.skip(f"no recorded scenes at {folder}")
    items = []
    for path in sorted(folder.glob("*/item.json")):
        item = json.loads(path.read_text())
        for asset in item["assets"].values():
            asset["href"] = str((path.parent / asset["href"]).resolve())
        items.append(item)
    assert len(items) == 7
    with serve(items, [json.loads((folder / "collection.json").read_text())]) as url:
        yield {"url": url, "profile": "earth-search-v1", "max_cloud_cover": 90, "allowed_roots": [str(folder)]}


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever would leave this machine fails."""
    connect = socket.socket.connect

    def local(self: socket.socket, address: Any) -> None:  # noqa: ANN401 the library's
        assert self.family == socket.AF_UNIX or address[0] in {"127.0.0.1", "localhost", "::1"}, address
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", local)


@dataclass(kw_only=True)
class Exercise:
    """A replay, and what it left."""

    folder: Path
    counted: Counted
    told: list[tuple[str, str]]
    event: RunDirectory

    @property
    def versions(self) -> list[Version]:
        return [read_version(self.event, int(name)) for name in self.event.folders("versions")]


def exercise(folder: Path, name: str, until: str, **settings: object) -> Exercise:
    config = parse(
        RapidConfig,
        {
            "model": "none",
            "ends": {"looks": 10},
            "grid": {"resolution": 120, "block": 256, "chunk": 128},
            "output": {"run": str(folder / "run")},
        }
        | settings,
    )
    counted = Counted()
    workers = Workers(scan=counted, export=export_compared)
    told: list[tuple[str, str]] = []
    last: Followed | None = None
    for at, known in replay(config, workers, name, instant(until), latency=LATENCY):
        told.append((f"{at:%m-%d %H}", known.state))
        last = known
    assert last is not None
    return Exercise(folder=folder, counted=counted, told=told, event=RunDirectory(f"{folder}/run/events/{name}"))


def assert_whole(done: Exercise) -> None:
    """Each version is numbered and there whole, the newest is named last, and no cube is broken."""
    latest = read_latest(done.event)
    assert latest is not None
    assert [one.number for one in done.versions] == list(range(latest.number + 1))
    for version in done.versions:
        sizes = done.event.sizes(version.folder)
        assert {name: stored.bytes for name, stored in version.files.items()} == {
            name: size for name, size in sizes.items() if name != "version.json"
        }
    for number in done.event.folders("runs"):
        assert verify(RunDirectory(done.event.at(f"runs/{number}")), lambda *_: None).whole


def storm(folder: Path, recorded: dict[str, Any], origin: str) -> Exercise:
    given = {"id": "storm", "origin": origin, "kind": "storm", "region": {"bbox": [15.10, 46.06, 15.30, 46.20]}}
    return exercise(folder, "storm", "2023-12-31T00:00:00Z", events=None, given=[given], catalog=recorded)


def test_a_storm_of_which_nothing_before_was_recorded_finds_nothing_new(recorded: dict[str, Any], tmp_path: Path):
    """The night from the 3rd to the 4th of August 2023; the first scene is of the 10th."""
    done = storm(tmp_path, recorded, "2023-08-04T00:00:00Z")
    assert done.told == [("08-04 00", "no scene"), *((at, "mapped") for at in SENSED), ("11-02 00", "ended")]
    assert_whole(done)
    first, *maps = done.versions
    assert first.figures.observed_km2 == 0
    seen = [one.figures.observed_km2 for one in maps]
    assert seen == sorted(seen)
    assert seen[-1] > 0.9 * maps[-1].figures.asked_km2
    assert {one.figures.landslides for one in maps} == {0}  # what was not seen before is not called new


def test_with_an_instant_between_the_scenes_each_of_them_makes_a_version(recorded: dict[str, Any], tmp_path: Path):
    done = storm(tmp_path, recorded, "2023-08-12T00:00:00Z")
    assert done.told == [("08-12 00", "no scene"), *((at, "mapped") for at in SENSED[1:]), ("11-10 00", "ended")]
    assert_whole(done)
    assert [(one.release, one.version) for one in done.versions] == [(1, 1), (2, 1), (3, 1), (4, 1), (5, 1), (5, 2)]
    seen = [one.figures.observed_km2 for one in done.versions]
    assert seen[0] == 0 < seen[1] <= seen[2] <= seen[3] <= seen[4] == seen[5]
    taken = [summary.taken for summary in done.counted.done]
    assert taken[0] == 0 < min(taken[1:4])  # what is before is the same for all


def grounds(done: Exercise) -> list[shapely.Geometry]:
    folders = [version.folder for version in done.versions]
    return [shapely.from_geojson(done.event.read(f"{folder}/area.geojson").decode()) for folder in folders]


def records(published: Published) -> list[tuple[str, float]]:
    """Instants at which a ShakeMap was stronger than all before it."""
    found: list[tuple[str, float]] = []
    origin = datetime.fromtimestamp(published.detail["properties"]["time"] / 1000, tz=UTC)
    for one in published.shakemaps:
        strongest = float(one["properties"]["maxmmi"])
        if not found or strongest > found[-1][1]:
            found.append((f"{origin + hours(published, one):%m-%d %H}", strongest))
    return found


def events_of(published: Published) -> dict[str, Any]:
    return {"url": f"{published.address}/feed", "detail": f"{published.address}/detail?{{id}}"}


def assert_ground_grew(done: Exercise, published: Published, count: int) -> None:
    """Before any scene there is a version for each ShakeMap that was stronger than those before, on more ground."""
    wanted = records(published)[:count]
    assert [strongest for _, strongest in wanted] == [6.86, 7.24, 8.47, 8.64]
    before = [one for one in done.versions if not one.made_of.run]
    assert [f"{one.published:%m-%d %H}" for one in before] == [at for at, _ in wanted]
    sizes = [one.figures.asked_km2 for one in before]
    assert sizes == sorted(set(sizes))
    some = grounds(done)
    assert all(later.buffer(1e-9).covers(earlier) for earlier, later in pairwise(some))


def test_a_real_earthquake_without_a_recorded_scene_is_told_by_its_ground(
    shared_data: Path, recorded: dict[str, Any], tmp_path: Path
):
    with hokkaido(shared_data / "usgs") as published:
        done = exercise(tmp_path, ID, "2019-01-01T00:00:00Z", events=events_of(published), catalog=recorded)
        assert_ground_grew(done, published, 4)
    assert len(done.versions) == 4
    assert done.told[0] == ("09-05 18", "waiting")
    assert done.told[-1] == ("12-04 18", "ended")
    assert {state for _, state in done.told[2:-1]} == {"no scene"}
    assert done.counted.done == []
    assert_whole(done)


def test_the_earthquake_moved_to_recorded_ground_grows_and_is_then_mapped(
    shared_data: Path, recorded: dict[str, Any], tmp_path: Path
):
    origin = datetime(2023, 8, 12, tzinfo=UTC)
    with hokkaido(shared_data / "usgs", at=(15.7, 46.3), origin=origin) as published:
        done = exercise(tmp_path, ID, "2023-12-31T00:00:00Z", events=events_of(published), catalog=recorded)
        assert_ground_grew(done, published, 4)
    states = [state for _, state in done.told]
    assert states[0] == "waiting"
    assert states[-1] == "ended"
    assert next(at for at, state in done.told if state == "mapped") == SENSED[1]
    assert_whole(done)
    maps = [one for one in done.versions if one.made_of.run]
    assert len(maps) == 5  # of four passes, and the end
    seen = [one.figures.observed_km2 for one in maps]
    assert seen[0] > 0
    assert seen == sorted(seen)
    assert maps[-1].figures.landslides is not None
