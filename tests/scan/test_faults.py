"""Scans whose scenes come from a server that fails: nothing is lost, nothing invented, and what stays away is named."""

from __future__ import annotations

import json
import logging
import os
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.borderland import (
    COLLECTION,
    assert_same_cubes,
    border_tiles,
    configured,
    snapshot,
    untrained,
    write_item,
)
from helpers.faultserver import Fault, FaultServer, fault_server
from helpers.plainrun import in_a_process, plain_scan
from helpers.scenes import cog
from helpers.watching import Step
from helpers.webserver import Answer, Asked, site

from landslide_scale.commands import inspecting, scanning
from landslide_scale.cube.ledger import Ledger
from landslide_scale.demo.satellite.stac_server import serve
from landslide_scale.errors import ReadError, TryAgainError
from landslide_scale.grid import Lattice, PixelBox, Zone
from landslide_scale.reading import attempts, geotiff
from landslide_scale.reading.raster import read_numbers
from landslide_scale.reports.scans import scan_report
from landslide_scale.scan.summary import ScanSummary
from landslide_scale.scan.verify import verify
from landslide_scale.scene import Access
from landslide_scale.stac.aside import ASIDE, SetAside, load_aside
from landslide_scale.stac.hrefs import access
from landslide_scale.stac.settings import CatalogConfig
from landslide_scale.storage.rundir import RunDirectory

SMALL = {"region": {"bbox": [17.992, 46.010, 18.008, 46.015]}}
QUICK = {"GDAL_HTTP_LOW_SPEED_TIME": 1, "GDAL_HTTP_TIMEOUT": 2}
STATUSES: tuple[Fault, ...] = ("429", "500", "503")
LASTING: tuple[Fault, ...] = ("stalled", "silent", "dripping")
HOST = "127.0.0.1"


@dataclass(frozen=True, kw_only=True)
class World:
    """The borderland's scenes behind a server that fails, a catalogue and a signer; and the cube they should become."""

    server: FaultServer
    catalogue: str
    signer: str
    checkpoint: str
    whole: Path

    def settings(self, run: Path, *, signed: bool = False, **changes: object) -> dict[str, Any]:
        signer = {"signer": self.signer} if signed else {}
        catalog = {"allowed_hosts": [f"{HOST}:*"], "allowed_roots": []} | signer
        return configured((self.catalogue, Path()), self.checkpoint, run, catalog=catalog, **(SMALL | changes))


def token(_: Asked) -> Answer:
    """Another one every time."""
    now = datetime.now(UTC)
    return Answer.of_json({"token": f"sig={now.timestamp()}", "msft:expiry": (now + timedelta(hours=1)).isoformat()})


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder, made = tmp_path_factory.mktemp("scenes"), tmp_path_factory.mktemp("made")
    checkpoint = untrained(made / "checkpoint.safetensors")
    (folder / "images").mkdir()
    tiles = border_tiles().items()
    items = [write_item(folder / "images", tile, slice(0, 100) if name == "d" else None) for name, tile in tiles]
    with serve(items, [COLLECTION]) as local:
        assert plain_scan(configured((local, folder), checkpoint, made / "whole", **SMALL)).complete
    with fault_server(FaultServer(folder=folder)) as server, site(token) as signer:
        for asset in (asset for one in items for asset in one["assets"].values()):
            asset["href"] = f"{server.address}/images/{Path(asset['href']).name}"
        with serve(items, [COLLECTION]) as url:
            template = f"{signer.address}/token/{{account}}/{{container}}"
            yield World(server=server, catalogue=url, signer=template, checkpoint=checkpoint, whole=made / "whole")


@pytest.fixture(autouse=True)
def sound(world: World) -> Iterator[None]:
    yield
    world.server.fault, world.server.times, world.server.strikes = nothing, 2, any_range
    world.server.drip_bytes = one_byte
    world.server.headers.clear()
    world.server.reset()


@pytest.fixture
def unread(world: World, monkeypatch: pytest.MonkeyPatch) -> World:
    """The world in a process that remembers nothing of it."""
    monkeypatch.setattr(attempts, "FIRST_WAIT_S", 0.01)
    for path in mixed():
        geotiff._spoilt[world.server.address + path] += 1
    return world


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attempts, "FIRST_WAIT_S", 0.01)
    for name, seconds in QUICK.items():
        monkeypatch.setitem(geotiff.GDAL_OPTIONS, name, seconds)


def nothing(_: str) -> Fault | None:
    return None


def one_byte(_: str) -> int:
    return 1


def any_range(_: int) -> bool:
    return True


def beyond_the_header(first: int) -> bool:
    return first > 0


def always(fault: Fault) -> Callable[[str], Fault | None]:
    return lambda _: fault


def assert_scanned_whole(world: World, run: Path, *, signed: bool = False) -> None:
    summary = plain_scan(world.settings(run, signed=signed))
    assert summary.complete, summary.errors
    assert_same_cubes(run, world.whole)
    records = Ledger(RunDirectory(str(run))).records().values()
    assert {record.attempts for record in records} == {1}  # the reads are tried again, not the units
    touched = {one.path for one in world.server.asked}
    assert len(touched) > 4
    faulty = {path for path in touched if world.server.fault(path)}
    assert {path: world.server.failed[path] for path in faulty} == dict.fromkeys(faulty, 2)


@pytest.mark.slow
@pytest.mark.parametrize("fault", [*STATUSES, "reset", "truncated"])
def test_a_fault_that_strikes_each_asset_twice_changes_no_byte(unread: World, tmp_path: Path, fault: Fault):
    unread.server.fault = always(fault)
    assert_scanned_whole(unread, tmp_path / "run")


@pytest.mark.slow
@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("fault", LASTING)
def test_a_fault_that_lasts_and_strikes_each_asset_twice_changes_no_byte(unread: World, tmp_path: Path, fault: Fault):
    unread.server.fault = always(fault)
    assert_scanned_whole(unread, tmp_path / "run")


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_bodies_that_stall_for_as_long_as_they_may_change_no_byte(unread: World, tmp_path: Path):
    unread.server.fault = always("stalled")
    assert_scanned_whole(unread, tmp_path / "run")


def test_signatures_that_are_refused_twice_for_each_asset_change_no_byte(unread: World, tmp_path: Path):
    unread.server.fault = always("403")
    assert_scanned_whole(unread, tmp_path / "run", signed=True)
    refused = [(one.path, one.query) for one in unread.server.asked if one.status == 403]
    assert len(set(refused)) == len(refused)
    assert not set(refused) & {(one.path, one.query) for one in unread.server.asked if one.status == 206}


@pytest.mark.usefixtures("quick")
def test_faults_of_all_kinds_at_once_change_no_byte(unread: World, tmp_path: Path):
    kinds = mixed()
    unread.server.fault = kinds.__getitem__
    assert_scanned_whole(unread, tmp_path / "run", signed=True)
    assert set(kinds.values()) == {one.fault for one in unread.server.asked if one.fault}


def mixed() -> dict[str, Fault]:
    """One kind of fault for every asset, all kinds among them as far as there are assets."""
    paths = [f"/images/{name}-{band}.tif" for name in border_tiles() for band in ("red", "scl")]
    kinds = ("stalled", "429", "truncated", "500", "reset", "503", "403", "silent")
    return dict(zip(paths, kinds, strict=True))


# What stays away


MISSING = "/images/b-red.tif"


def missing(path: str) -> Fault | None:
    return "404" if path == MISSING else None


@pytest.fixture
def without_an_asset(unread: World) -> World:
    world = unread
    world.server.fault, world.server.times = missing, float("inf")
    return world


def test_a_scene_that_is_not_there_for_good_is_set_aside_and_what_it_would_have_seen_is_seen_without_it(
    without_an_asset: World, tmp_path: Path
):
    world, run = without_an_asset, tmp_path / "run"
    summary = plain_scan(world.settings(run))
    assert summary.complete, summary.errors
    (named,) = summary.quarantined
    assert named.startswith(f"b: band red, file {world.server.address}{MISSING}: HTTP response code: 404")
    asked = [one.method for one in world.server.asked if one.path == MISSING]
    records = Ledger(RunDirectory(str(run))).records()
    touched = [record for record in records.values() if any(one["id"] == "b" for one in record.scenes)]
    assert 0 < len(asked) <= 2 * len(touched)
    assert all({"id": "b", "quarantined": named[3:]} in record.scenes for record in touched)
    assert json.loads((run / "run.json").read_text())["quarantined"] == {"b": named[3:]}
    # It is the cube of a catalogue that has no such scene.
    world.server.fault = nothing
    excluding = world.settings(tmp_path / "without")
    excluding["catalog"]["exclude"] = ["b"]
    assert plain_scan(excluding).complete
    assert_same_cubes(run, tmp_path / "without")
    # The decision stands, although the asset is there again.
    before = snapshot(run / "cube.zarr")
    assert plain_scan(world.settings(run)).quarantined == (named,)
    assert snapshot(run / "cube.zarr") == before


@dataclass(frozen=True, kw_only=True)
class Undisturbed:
    """A scan without an asset that nobody kills: its folder, and its steps."""

    run: Path
    taken: list[Step]

    @property
    def decided(self) -> int:
        """The step that sets the scene aside."""
        (first, *_) = (n for n, step in enumerate(self.taken) if (step.path, step.event) == (ASIDE, "os.rename"))
        return first

    @property
    def again(self) -> list[int]:
        """Steps by which units are made anew."""
        return [n for n, step in enumerate(self.taken) if n > self.decided and step.event == "os.rename"]


@pytest.fixture(scope="module")
def undisturbed(world: World, tmp_path_factory: pytest.TempPathFactory) -> Undisturbed:
    folder = tmp_path_factory.mktemp("undisturbed")
    world.server.fault, world.server.times = missing, float("inf")
    taken = in_a_process(world.settings(folder / "run"), folder / "log", None)
    world.server.fault, world.server.times = nothing, 2
    return Undisturbed(run=folder / "run", taken=taken)


MOMENTS: dict[str, Callable[[Undisturbed], int]] = {
    "before it is known": lambda one: one.decided // 2,
    "just before it is decided": lambda one: one.decided - 1,
    "when it is decided": lambda one: one.decided,
    "right after": lambda one: one.decided + 1,
    "when the first unit is made anew": lambda one: one.again[1],
    "when half of them are": lambda one: one.again[len(one.again) // 2],
    "at the end": lambda one: one.again[-2],
}
TELLING = ("when it is decided",)


@pytest.mark.slow
@pytest.mark.parametrize(
    "moment", [pytest.param(one, marks=() if one in TELLING else pytest.mark.slow) for one in MOMENTS]
)
def test_a_run_that_is_killed_and_gone_on_with_sets_the_same_scene_aside(
    undisturbed: Undisturbed, without_an_asset: World, tmp_path: Path, moment: str
):
    assert any(step.role == "writer" for step in undisturbed.taken[: undisturbed.decided])
    run, log = tmp_path / "run", tmp_path / "log"
    in_a_process(without_an_asset.settings(run), log, MOMENTS[moment](undisturbed))
    in_a_process(without_an_asset.settings(run), log, None)
    assert_same_cubes(run, undisturbed.run)
    assert (run / ASIDE).read_bytes() == (undisturbed.run / ASIDE).read_bytes()
    assert verify(RunDirectory(str(run)), lambda *_: None).whole


@pytest.mark.slow
def test_what_was_written_with_a_scene_is_done_anew_without_it_once_it_turns_out_unreadable(
    unread: World, tmp_path: Path
):
    """The asset goes away when half of the units are done."""
    world, run, log = unread, tmp_path / "run", tmp_path / "steps.log"
    taken = in_a_process(world.settings(tmp_path / "first"), tmp_path / "first.log", None)
    records = [number for number, step in enumerate(taken) if step.event == "os.rename" and "ledger/units" in step.path]
    in_a_process(world.settings(run), log, records[len(records) // 2])
    done = Ledger(RunDirectory(str(run))).records()
    with_it = {name for name, one in done.items() if any(scene["id"] == "b" for scene in one.scenes)}
    assert with_it
    world.server.fault, world.server.times = missing, float("inf")
    left = plain_scan(world.settings(run))
    assert left.complete
    assert [one.partition(":")[0] for one in left.quarantined] == ["b"]
    world.server.reset()
    assert plain_scan(world.settings(tmp_path / "whole")).complete
    assert_same_cubes(run, tmp_path / "whole")
    now = Ledger(RunDirectory(str(run))).records()
    assert all(now[name].attempts > done[name].attempts for name in with_it)


def test_a_host_that_has_nothing_sets_no_scene_aside_and_says_so(unread: World, tmp_path: Path):
    world, run = unread, tmp_path / "run"
    world.server.fault, world.server.times = always("404"), float("inf")
    summary = plain_scan(world.settings(run))
    assert (summary.written, summary.failed) == (0, sum("404" in error for error in summary.errors))
    assert summary.failed > 0
    assert "no scene is left from 2023-08-01 to 2023-09-01: 4 cannot be used" in summary.shortage
    assert "catalog.max_bad" in scan_report(summary)
    assert load_aside(RunDirectory(str(run))) == SetAside()
    world.server.fault = nothing
    assert plain_scan(world.settings(run)).complete
    assert_same_cubes(run, world.whole)


@pytest.mark.slow
def test_more_than_the_stated_share_of_unreadable_scenes_is_not_set_aside(without_an_asset: World, tmp_path: Path):
    world, settings = without_an_asset, without_an_asset.settings(tmp_path / "run")
    settings["catalog"]["max_bad"] = 0.2
    summary = plain_scan(settings)
    assert summary.failed > 0
    assert "1 of 4 scenes cannot be used, the first of them scene b: band red" in summary.shortage
    assert summary.quarantined == ()
    settings["catalog"]["max_bad"] = 0.25
    assert plain_scan(settings).complete
    assert plain_scan(world.settings(tmp_path / "whole")).complete
    assert_same_cubes(tmp_path / "run", tmp_path / "whole")


def test_a_read_that_may_pass_fails_the_unit_and_not_the_scene(unread: World, tmp_path: Path):
    world, run = unread, tmp_path / "run"
    world.server.fault, world.server.times = (lambda path: "503" if path == MISSING else None), float("inf")
    summary = plain_scan(world.settings(run) | {"compute": {"attempts": 1}})
    assert summary.failed > 0
    assert summary.quarantined == ()
    world.server.fault = nothing
    assert plain_scan(world.settings(run)).complete
    assert_same_cubes(run, world.whole)


def failed(summary: ScanSummary) -> set[str]:
    return {error.partition(":")[0] for error in summary.errors}


def test_the_command_ends_with_0_and_says_what_is_missing_in_one_line(
    without_an_asset: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    settings, path = without_an_asset.settings(tmp_path / "run"), tmp_path / "scan.yaml"
    path.write_text(json.dumps(settings))
    monkeypatch.setattr(scanning, "run_scan", lambda *_, **__: plain_scan(settings))
    assert scanning.scan(str(path), resume=False) == 0
    assert inspecting.status(str(tmp_path / "run"), None) == 0
    said = [line for line in capsys.readouterr().out.splitlines() if "404" in line]
    assert len(said) == 2
    assert all(line.startswith("not used: scene b: band red, file http") for line in said)


@pytest.mark.parametrize("fault", ["503", "reset"])
def test_retries_are_logged_with_unit_scene_band_and_reason(
    unread: World, tmp_path: Path, caplog: pytest.LogCaptureFixture, fault: Fault
):
    world = unread
    world.server.fault, world.server.times = (lambda path: fault if path == MISSING else None), float("inf")
    with caplog.at_level(logging.WARNING, "landslide_scale"):
        summary = plain_scan(world.settings(tmp_path / "run") | {"compute": {"attempts": 1}})
    lines = [line for line in caplog.messages if line.startswith("attempt ")]
    assert len(lines) == (attempts.ATTEMPTS - 1) * summary.failed > 0
    assert {line.partition("unit ")[2].partition(",")[0] for line in lines} == failed(summary)
    assert all("scene b, band red, file http" in line for line in lines)


# How long an attempt takes, and what it costs

LATTICE = Lattice(zone=Zone.utm(33, southern=False), resolution=10, block=64)
VALUES = np.random.default_rng(0).integers(1, 32768, (1024, 1024)).astype(np.uint16)
CORNER = PixelBox(row_start=-510_000, row_stop=-509_500, col_start=50_000, col_stop=50_700)


@pytest.fixture
def noise(world: World) -> str:
    """The address of an asset that does not compress, under a name that GDAL has never heard of."""
    return new_noise(world)


def new_noise(world: World) -> str:
    name = f"images/{uuid.uuid4()}.tif"
    cog(world.server.folder / name, VALUES, west=500_000, north=5_100_000)
    return f"{world.server.address}/{name}"


def read(address: str, access: Access | None = None) -> bool:
    """Whether an asset is read as it is."""
    found = read_numbers(address, LATTICE, CORNER, access or Access()).values
    return np.array_equal(found, VALUES[:500, :700].astype(np.float32))


@pytest.mark.parametrize("strikes", [any_range, beyond_the_header])
@pytest.mark.parametrize(
    "fault", [*STATUSES, "reset", "truncated", *(pytest.param(one, marks=pytest.mark.slow) for one in LASTING)]
)
@pytest.mark.usefixtures("quick")
def test_a_fault_in_the_header_or_in_the_pixels_changes_no_value(
    world: World, noise: str, fault: Fault, strikes: Callable[[int], bool]
):
    world.server.fault, world.server.strikes = always(fault), strikes
    assert read(noise)
    assert sum(world.server.failed.values()) == 2


@pytest.mark.usefixtures("quick")
def test_a_header_that_broke_off_is_asked_for_again(world: World, noise: str):
    """GDAL keeps the piece that came, by the file's name, and takes it for the file ever after."""
    world.server.fault, world.server.times = always("dripping"), 1
    assert read(noise)
    assert [one.first for one in world.server.asked if one.method == "GET"].count(0) == 2


def test_a_signature_that_expires_between_header_and_pixels_is_renewed(
    world: World, noise: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(attempts, "FIRST_WAIT_S", 0.01)
    asked = world.server.asked
    world.server.fault = lambda path: "403" if len({one.query for one in asked if one.path == path}) < 2 else None
    world.server.strikes, world.server.times = (lambda first: first > 0 or bool(world.server.failed)), float("inf")
    allowed = access(CatalogConfig(profile="plain", allowed_hosts=(HOST,), signer=world.signer))
    assert read(noise, allowed)
    assert asked[2].status == 403
    assert asked[2].query == asked[0].query != asked[-1].query


@pytest.mark.parametrize("fault", ["429", "503"])
def test_a_busy_server_is_left_alone_for_as_long_as_it_asks(
    world: World, noise: str, monkeypatch: pytest.MonkeyPatch, fault: Fault
):
    waits: list[float] = []
    monkeypatch.setattr("time.sleep", waits.append)
    world.server.fault, world.server.headers = always(fault), {"Retry-After": "7"}
    assert read(noise)
    assert waits == [7.0]  # the first request, and the one about Retry-After, were the two that failed


@pytest.mark.parametrize("fault", ["silent", "dripping"])
def test_an_attempt_that_takes_too_long_is_given_up_whatever_it_waits_for(
    world: World, noise: str, monkeypatch: pytest.MonkeyPatch, fault: Fault
):
    monkeypatch.setattr(attempts, "ATTEMPT_S", 0.2)
    monkeypatch.setattr(attempts, "FIRST_WAIT_S", 0.01)
    world.server.fault, world.server.times = always(fault), float("inf")
    with pytest.raises(TryAgainError, match=r"not read within 0\.2 s") as caught:
        read(noise)
    assert caught.value.where["file"] == noise


@contextmanager
def unconnectable() -> Iterator[str]:
    """The address of a port at which connections are neither taken nor refused."""
    with socket.socket() as listening, ExitStack() as waiting:
        listening.bind((HOST, 0))
        listening.listen(0)
        for _ in range(4):  # fill the queue of those that wait to be taken
            caller = waiting.enter_context(socket.socket())
            caller.settimeout(0)
            caller.connect_ex(listening.getsockname())
        yield f"http://{HOST}:{listening.getsockname()[1]}/x.tif"


@pytest.mark.slow
def test_no_attempt_takes_longer_than_30_s(world: World, monkeypatch: pytest.MonkeyPatch):
    """Connecting, waiting, stalls, a byte a second, and a pace just above what GDAL calls too slow: all at once."""
    monkeypatch.setattr(attempts, "ATTEMPTS", 1)
    faults: dict[str, Fault] = {new_noise(world): fault for fault in LASTING}
    slow: dict[str, Fault] = {new_noise(world): "dripping"}
    world.server.fault, world.server.times = lambda path: (faults | slow).get(world.server.address + path), float("inf")
    world.server.drip_bytes = lambda path: 3000 if world.server.address + path in slow else 1
    with unconnectable() as nowhere, ThreadPoolExecutor(8) as pool:
        taken = dict(pool.map(lambda address: (address, seconds_until_it_fails(address)), [*faults, *slow, nowhere]))
    assert max(taken.values()) < 31, taken
    assert taken[nowhere] < 15


def seconds_until_it_fails(address: str) -> float:
    begun = time.monotonic()
    with pytest.raises(ReadError):
        read(address)
    return time.monotonic() - begun


# Through Ray


@pytest.mark.slow
@pytest.mark.ray
def test_a_scan_by_the_command_line_over_faults_of_all_kinds_is_the_same(world: World, tmp_path: Path):
    whole = tmp_path / "whole"
    assert command(world.settings(whole, signed=True)).returncode == 0
    world.server.reset()
    world.server.fault = mixed().__getitem__
    done = command(world.settings(tmp_path / "run", signed=True))
    assert done.returncode == 0, done.stderr
    assert sum(world.server.failed.values()) > 8
    assert_same_cubes(tmp_path / "run", whole)


@pytest.mark.slow
@pytest.mark.ray
def test_a_scan_by_the_command_line_names_the_scene_that_is_missing(world: World, tmp_path: Path):
    world.server.fault, world.server.times = missing, float("inf")
    done = command(world.settings(tmp_path / "run"))
    assert done.returncode == 0, done.stderr
    said = [line for line in done.stdout.splitlines() if "404" in line]
    assert len(said) == 1
    assert said[0].startswith("not used: scene b: band red")


@pytest.mark.slow
@pytest.mark.ray
def test_a_scan_in_which_nothing_ends_says_so_and_gives_up(world: World, tmp_path: Path):
    world.server.fault, world.server.times = always("silent"), float("inf")
    settings = world.settings(tmp_path / "run") | {"compute": {"no_progress_s": 8}}
    done = command(settings, "heartbeat.EVERY_S = 2")
    assert done.returncode == 1
    assert done.stderr.count("no unit has ended for") > 2
    assert "the last was none yet" in done.stderr
    assert done.stderr.splitlines()[-1].startswith("error: ")
    assert "Connecting to existing Ray cluster" not in done.stderr  # as its pipeline would, going on without Ray


def command(settings: dict[str, Any], change: str = "pass") -> subprocess.CompletedProcess[str]:
    """`landslide-scale scan`, to its end."""
    path = Path(settings["output"]["run"]).with_suffix(".yaml")
    path.write_text(json.dumps(settings))
    script = f"from landslide_scale.runtime import heartbeat\n{change}\nfrom landslide_scale.cli import main\nmain()"
    environment = {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"}
    words = [sys.executable, "-c", script, "scan", "--config", str(path)]
    return subprocess.run(words, capture_output=True, text=True, env=environment, check=False, timeout=500)
