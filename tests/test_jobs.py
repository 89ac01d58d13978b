"""The job entry points through the real `ray job submit`, on a real cluster of two nodes that demands a token."""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
import yaml
from helpers.borderland import assert_same_cubes, configured, served, snapshot, untrained
from helpers.exporting import scan_in
from helpers.plainrun import plain_scan
from helpers.rapid import BEFORE, SPEC, Life, instant
from helpers.s3 import bucket, contents, local

from landslide_scale.demo.world import make_world
from landslide_scale.exporting.run import export
from landslide_scale.exporting.settings import ExportSettings
from landslide_scale.model.checkpoint import restore
from landslide_scale.rapid.publication.pace import SCAN, read_pace
from landslide_scale.rapid.publication.version import read_latest, read_version
from landslide_scale.rapid.watching import replay
from landslide_scale.scan.verify import verify
from landslide_scale.storage.rundir import RunDirectory

pytestmark = pytest.mark.ray

REPOSITORY = Path(__file__).parents[1]
BIN = Path(sys.executable).parent
NO_TIME = timedelta(0)


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """Where jobs are submitted, and what a client must know."""

    url: str
    environment: Mapping[str, str]

    def submit(
        self, *entrypoint: str, folder: Path, variables: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run an entry point in a copy of a folder, with variables of its own on every node.

        Ray 2.60 keeps one package for equal folders, drops it when the last job that used it has ended, and may drop it
        just after it told the next job that there is one; so no two jobs here come from equal folders.
        """
        command = [str(BIN / "ray"), "job", "submit", "--address", self.url, "--working-dir", str(folder)]
        if variables:
            command += ["--runtime-env-json", json.dumps({"env_vars": dict(variables)})]
        return subprocess.run(
            [*command, "--", *entrypoint],
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=600,
        )

    def type(self, lines: str, folder: Path) -> subprocess.CompletedProcess[str]:
        """What a person types in a folder."""
        return subprocess.run(
            ["bash", "-euc", lines],
            env=self.environment,
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
            timeout=280,
        )

    def wait_for_agents(self, folder: Path) -> None:
        """Nodes are up some seconds before they take jobs."""
        end = time.monotonic() + 130
        while (told := self.submit("true", folder=folder)).returncode:
            assert "No available agent" in told.stderr, told.stdout + told.stderr
            assert time.monotonic() < end, told.stderr
            time.sleep(1)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def node(environment: Mapping[str, str], log: Path, *options: str) -> Iterator[None]:
    # The port of the agent that starts jobs is fixed otherwise, and another cluster on this machine has it.
    agent = f"--dashboard-agent-listen-port={free_port()}"
    command = [str(BIN / "ray"), "start", "--block", "--num-cpus=1", "--object-store-memory=300000000", agent, *options]
    with log.open("wb") as output, subprocess.Popen(command, env=environment, stdout=output, stderr=output) as process:
        try:
            yield
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(60)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A head and a second node; the token is made for this cluster alone."""
    logs = tmp_path_factory.mktemp("nodes")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")} | {
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": secrets.token_hex(32),
        "RAY_USAGE_STATS_ENABLED": "0",
        "PATH": f"{BIN}:{os.environ['PATH']}",
    }
    head, dashboard = free_port(), free_port()
    address = f"127.0.0.1:{head}"
    start = ("--head", f"--port={head}", f"--dashboard-port={dashboard}", "--include-dashboard=true")
    with node(environment, logs / "head", *start, "--dashboard-host=127.0.0.1", "--node-ip-address=127.0.0.1"):
        wait_for_nodes(environment, address, 1, logs)
        with node(environment, logs / "second", f"--address={address}"):
            wait_for_nodes(environment, address, 2, logs)
            cluster = Cluster(url=f"http://127.0.0.1:{dashboard}", environment=environment)
            cluster.wait_for_agents(tmp_path_factory.mktemp("empty"))
            yield cluster


def wait_for_nodes(environment: Mapping[str, str], address: str, count: int, logs: Path) -> None:
    end = time.monotonic() + 130
    while time.monotonic() < end:
        command = [str(BIN / "ray"), "status", "--address", address]
        told = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)
        if len(re.findall(r"node_[0-9a-f]{8}", told.stdout)) >= count:
            return
        time.sleep(0.5)
    pytest.fail(f"no {count} nodes: {told.stdout}{told.stderr}{[log.read_text() for log in logs.iterdir()]}")


def write_chips(folder: Path) -> None:
    """Made chips: bright squares are the landslides."""
    folder.mkdir()
    index = {"version": 1, "bands": ["red"], "radiometry": "boa", "resolution": 10.0, "size": 32}
    (folder / "chips.json").write_text(json.dumps(index))
    rng = np.random.default_rng(0)
    for number in range(8):
        image, label = rng.uniform(0, 0.1, (1, 32, 32)).astype(np.float32), np.zeros((32, 32), np.uint8)
        row, col = rng.integers(0, 24, 2)
        image[:, row : row + 8, col : col + 8], label[row : row + 8, col : col + 8] = 0.3, 1
        np.savez_compressed(folder / f"chip{number}.npz", image=image, label=label)


@pytest.mark.slow
def test_both_jobs_succeed_and_the_scan_gives_the_cube_that_one_process_gives(cluster: Cluster, tmp_path: Path):
    write_chips(tmp_path / "chips")
    finetune = {
        "dataset": {"kind": "chips", "path": str(tmp_path / "chips")},
        "model": {"sam": "vit_t", "bands": ["red"], "upsample": 1},
        "train": {"epochs": 1, "batch": 4, "patch": 32},
        "output": {"run": str(tmp_path / "finetune")},
    }
    (tmp_path / "finetune.yaml").write_text(json.dumps(finetune))
    project = clone(tmp_path / "project")
    trained = cluster.submit("python", "jobs/finetune.py", "--config", str(tmp_path / "finetune.yaml"), folder=project)
    assert trained.returncode == 0, trained.stdout + trained.stderr
    assert "succeeded" in trained.stdout
    checkpoint = str(tmp_path / "finetune" / "checkpoint.safetensors")
    (tmp_path / "scenes").mkdir()
    with served(tmp_path / "scenes") as url:
        small = {"region": {"bbox": [17.992, 46.010, 18.008, 46.015]}}
        settings = configured((url, tmp_path / "scenes"), checkpoint, tmp_path / "job", **small)
        (tmp_path / "job.yaml").write_text(json.dumps(settings))
        (project / "notes.txt").write_text("edited: another copy travels")
        asked = ("--config", str(tmp_path / "job.yaml"))
        scanned = cluster.submit("python", "jobs/scan_region.py", *asked, folder=project)
        assert scanned.returncode == 0, scanned.stdout + scanned.stderr
        assert "succeeded" in scanned.stdout
        assert plain_scan(settings | {"output": {"run": str(tmp_path / "plain")}}, load=restore).complete
    assert_same_cubes(tmp_path / "job", tmp_path / "plain")


def clone(folder: Path) -> Path:
    """Of this repository, what a job needs; with the line that keeps runs/ from travelling."""
    for name in ("jobs", "configs"):
        shutil.copytree(REPOSITORY / name, folder / name)
    shutil.copy(REPOSITORY / ".gitignore", folder)
    return folder


def line_of_the_page(cluster: Cluster, runs: Path) -> str:
    """What the page on clusters says to type, with this cluster's address and a folder of ours."""
    page = (REPOSITORY / "docs" / "cluster.md").read_text(encoding="utf-8")
    lines = page.split("```")[1]
    assert "s3://my-bucket/landslides" in lines
    return lines.replace("http://127.0.0.1:8265", cluster.url).replace("s3://my-bucket/landslides", str(runs))


def committed_scan(catalogue: tuple[str, Path]) -> str:
    """The committed configuration of a scan, over made scenes; where things go is as it was."""
    theirs = yaml.safe_load((REPOSITORY / "configs" / "scan_region.yaml").read_text(encoding="utf-8"))
    ours = configured(catalogue, theirs["model"]["checkpoint"], Path(theirs["output"]["run"]))
    return json.dumps(ours)


@pytest.mark.slow
def test_the_pages_line_leaves_the_cube_where_it_says_and_the_same_line_finds_it_complete(
    cluster: Cluster, tmp_path: Path
):
    project, runs, scenes = clone(tmp_path / "project"), tmp_path / "shared", tmp_path / "scenes"
    scenes.mkdir()
    (runs / "finetune").mkdir(parents=True)
    untrained(runs / "finetune" / "checkpoint.safetensors")
    line = line_of_the_page(cluster, runs)
    with served(scenes) as url:
        (project / "configs" / "scan_region.yaml").write_text(committed_scan((url, scenes)))
        first = cluster.type(line, project)
        assert first.returncode == 0, first.stdout + first.stderr
        records = snapshot(runs / "scan" / "ledger")
        (project / "notes.txt").write_text("edited: another copy travels")
        again = cluster.type(line, project)
    assert again.returncode == 0, again.stdout + again.stderr
    assert f"run: {runs}/scan" in again.stdout
    assert snapshot(runs / "scan" / "ledger") == records
    assert json.loads((runs / "scan" / "run.json").read_text())["state"] == "complete"
    assert verify(RunDirectory(str(runs / "scan")), lambda *_: None).whole
    assert not (project / "runs").exists()


@pytest.mark.slow
def test_a_job_is_refused_what_would_lie_in_or_is_not_in_the_copy_it_works_in(cluster: Cluster, tmp_path: Path):
    project = clone(tmp_path / "project")
    (project / "runs" / "finetune").mkdir(parents=True)
    (project / "runs" / "finetune" / "checkpoint.safetensors").write_bytes(b"made by an earlier run; stays at home")
    told = cluster.submit("python", "jobs/scan_region.py", "--config", "configs/scan_region.yaml", folder=project)
    assert told.returncode != 0
    said = next(line for line in told.stdout.splitlines() if line.startswith("error: "))
    for key, why in (("output.run", "temporary copy of the working directory"), ("model.checkpoint", ".gitignore")):
        assert re.search(rf"key {key}: found [^;]*; expected: s3://BUCKET/FOLDER, or the full path[^;]*{why}", said), (
            said
        )


@pytest.mark.slow
def test_products_that_a_job_makes_on_two_nodes_are_those_that_one_process_makes(cluster: Cluster, tmp_path: Path):
    project, run = clone(tmp_path / "project"), scan_in(tmp_path / "run")
    told = cluster.submit("python", "jobs/export.py", run.url, folder=project)
    assert told.returncode == 0, told.stdout + told.stderr
    assert "products made, 0 kept" in told.stdout
    export(run, ExportSettings(to=str(tmp_path / "plain")), progress=lambda _: None)
    assert snapshot(tmp_path / "run" / "products") == snapshot(tmp_path / "plain")
    (project / "notes.txt").write_text("edited: another copy travels")
    told = cluster.submit("python", "jobs/export.py", run.url, "--to", "products", folder=project)
    assert told.returncode != 0
    assert "key --to: products, in a submitted job; expected s3://BUCKET/FOLDER" in told.stdout


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_rapid_mapping_as_a_job_makes_on_two_nodes_and_s3_what_one_process_makes(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    world = make_world(tmp_path / "planet", SPEC, progress=lambda _: None)
    ours = Life(folder=tmp_path / "plain", world=world)
    theirs = Life(folder=tmp_path / "job", world=world, changes={"output": {"run": "s3://bucket/rapid"}})
    for life in (ours, theirs):
        life.add(*BEFORE, "2023-08-05")
    until = "2023-08-06T00:00:00+00:00"
    assert [known.state for _, known in replay(ours.config, ours.workers, "slip", instant(until), latency=NO_TIME)] == [
        "no scene",
        "mapped",
    ]
    project = clone(tmp_path / "project")
    (tmp_path / "rapid.yaml").write_text(json.dumps(theirs.settings))
    asked = ("python", "jobs/rapid_map.py", "--config", str(tmp_path / "rapid.yaml"))
    with bucket(monkeypatch):
        reach = {name: value for name, value in os.environ.items() if name.startswith("AWS_") or name == "NO_PROXY"}
        told = cluster.submit(*asked, "--replay", "slip", "--until", until, folder=project, variables=reach)
        assert told.returncode == 0, told.stdout + told.stderr
        assert "succeeded" in told.stdout
        assert "slip: mapped; version 1 (versions/0001)" in told.stdout
        event = RunDirectory("s3://bucket/rapid/events/slip")
        assert event.folders("versions") == ["0000", "0001"]
        for number in (0, 1):
            assert read_version(event, number).figures == read_version(ours.event, number).figures
        assert contents(event.at("runs/0001/cube.zarr")) == local(Path(ours.event.at("runs/0001/cube.zarr")))
        took = read_pace(event)
        assert took is not None
        assert (took.version, took.seconds[SCAN] > 0, took.scanned_km2 > 1) == (1, True, True)
        # What a scheduler calls; by the clock of the cluster the event is over.
        (project / "notes.txt").write_text("edited: another copy travels")
        told = cluster.submit(*asked, "--once", folder=project, variables=reach)
        assert told.returncode == 0, told.stdout + told.stderr
        assert "succeeded" in told.stdout
        latest = read_latest(event)
        assert latest is not None
        assert (latest.number, latest.event.state) == (2, "ended")


@pytest.mark.slow
def test_a_job_with_a_wrong_configuration_fails_and_says_why(cluster: Cluster, tmp_path: Path):
    (tmp_path / "scan.yaml").write_text("region: {bbox: [0, 0, 1, 1]}\nwindows: []\nwindow: 3\n")
    project = clone(tmp_path / "project")
    told = cluster.submit("python", "jobs/scan_region.py", "--config", str(tmp_path / "scan.yaml"), folder=project)
    assert told.returncode != 0
    assert "key window: unknown" in told.stdout
