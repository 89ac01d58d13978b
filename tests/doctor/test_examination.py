"""The screen of `doctor`, through the command a user types: nothing secret, nothing hidden, and places really asked."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest
import s3fs
from helpers.borderland import served
from helpers.s3 import moto, settle
from typer.testing import CliRunner

from landslide_scale.cli import app
from landslide_scale.reading import attempts
from landslide_scale.runtime.surroundings import OURS

SECRETS = {
    "AWS_SECRET_ACCESS_KEY": "hush1",
    "AWS_ACCESS_KEY_ID": "hush2",
    "RAY_AUTH_TOKEN": "hush3",
    "GDAL_HTTP_HEADERS": "Authorization: hush4",
    "GDAL_HTTP_USERPWD": "me:hush5",
    "FSSPEC_S3_SECRET": "hush6",
    "AZURE_STORAGE_CONNECTION_STRING": "AccountKey=hush7",
    "HTTPS_PROXY": "http://me:hush8@127.0.0.1:9",
    "http_proxy": "me:hush9@127.0.0.1:9",
    "AWS_ENDPOINT_URL": "https://127.0.0.1:9/x?sig=hush10",
    "RAY_JOB_CONFIG_JSON_ENV_VAR": '{"env_vars": {"KEY": "hush11"}}',
    "LANDSLIDE_SCALE_PASSWORD": "hush12",
}


def doctor(*words: str) -> tuple[int, str]:
    done = CliRunner().invoke(app, ["doctor", *words])
    return done.exit_code, done.output


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_the_screen_names_what_a_report_needs_and_no_secret(monkeypatch: pytest.MonkeyPatch):
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    code, said = doctor()
    assert code == 0
    assert "hush" not in said
    assert "OMP_NUM_THREADS=3" in said
    assert "AWS_SECRET_ACCESS_KEY is set (value not shown)" in said
    assert "HTTPS_PROXY=http://127.0.0.1:9" in said
    named = {line[6:27].strip() for line in said.splitlines() if line[:5].strip()}
    assert named >= {
        "landslide-scale", "dependencies", "torch", "ray", "rasterio", "pyproj", "pyogrio", "further", "Python",
        "platform", "processor", "cores", "memory", "temporary folder", "working folder", "variable",
    }  # fmt: skip
    assert all(word in said for word in ("commit ", "GDAL 3.", "PROJ 9.", "bf16 ", "zarr 3.", "xarray "))


def test_for_machines_the_same_is_json():
    code, said = doctor("--json")
    found = json.loads(said)
    assert code == 0
    assert {"torch", "memory", "Python"} <= {one["what"] for one in found}
    assert all(set(one) == {"what", "value", "ok", "cure"} and one["ok"] == (not one["cure"]) for one in found)


def test_a_broken_library_and_foreign_data_are_named_and_end_nothing(tmp_path: Path):
    (tmp_path / "pyogrio.py").write_text("raise ImportError('libgdal.so.99: cannot open shared object file')\n")
    environment = os.environ | {
        "PYTHONPATH": f"{tmp_path}:{os.environ.get('PYTHONPATH', '')}",
        "PROJ_DATA": str(tmp_path / "elsewhere"),
    }
    command = [sys.executable, "-m", "landslide_scale", "doctor"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    lines = done.stdout.splitlines()
    assert done.returncode == 0, done.stderr
    for name, said, cure in (
        ("pyogrio", "libgdal.so.99", "Install the package anew"),
        ("rasterio", "proj.db", "Unset PROJ_DATA"),
    ):
        (at,) = [number for number, line in enumerate(lines) if line.startswith(f"look  {name}")]
        assert said in lines[at]
        assert cure in lines[at + 1]
    assert lines[-1].startswith(("ok    variable", "look  variable"))
    assert not {name for name in OURS if name in done.stdout}


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with moto() as server:
        settle(monkeypatch, f"http://{server}")
        s3fs.S3FileSystem.clear_instance_cache()
        filesystem = s3fs.S3FileSystem()
        filesystem.mkdir("bucket")
        filesystem.pipe_file("bucket/runs/one.json", b"{}")
        yield
    s3fs.S3FileSystem.clear_instance_cache()


@pytest.mark.usefixtures("store")
@pytest.mark.parametrize(
    ("url", "code", "said"),
    [
        ("s3://bucket/runs", 0, "s3://bucket/runs: 1 names"),
        ("s3://bucket", 0, "s3://bucket: 1 names"),
        ("s3://bucket/scans/new", 0, "nothing there yet, its bucket is"),
        ("s3://elsewhere/runs", 1, "Make the bucket, or correct its name"),
    ],
)
def test_storage_is_asked_for_what_is_there(url: str, code: int, said: str):
    found, screen = doctor("--s3", url)
    assert (found, said in screen) == (code, True), screen
    assert ("look  storage" in screen) == bool(code)


def test_storage_that_does_not_answer_is_named_with_what_to_look_at(monkeypatch: pytest.MonkeyPatch):
    settle(monkeypatch, f"http://127.0.0.1:{free_port()}")
    s3fs.S3FileSystem.clear_instance_cache()
    code, said = doctor("--s3", "s3://bucket/runs")
    s3fs.S3FileSystem.clear_instance_cache()
    assert code == 1
    assert "AWS_ENDPOINT_URL and region are right" in said


def test_a_catalogue_is_searched(tmp_path: Path):
    with served(tmp_path) as url:
        code, said = doctor("--catalog", url)
    assert (code, f"{url}: 0 Items of sentinel-2-l2a" in said) == (0, True), said
    assert "look  catalogue" not in said


@pytest.mark.parametrize(
    ("named", "said"),
    [
        ("earth-search-c2", "did you mean earth-search-c1?"),
        ("http://127.0.0.1:{port}/v1?key=hush", "Run the same command again later, or correct the address."),
    ],
)
def test_a_catalogue_that_is_none_is_named_with_its_cure(named: str, said: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(attempts, "FIRST_WAIT_S", 0.01)
    code, screen = doctor("--catalog", named.format(port=free_port()))
    assert code == 1
    assert said in screen
    assert "hush" not in screen


@pytest.mark.parametrize(
    ("address", "said"), [("127.0.0.1:{port}", "nothing answers"), ("http://127.0.0.1:{port}", "HOST:6379")]
)
def test_a_cluster_that_is_not_there_is_named_with_its_cure(address: str, said: str):
    code, screen = doctor("--ray", address.format(port=free_port()))
    assert (code, said in screen) == (1, True), screen


@contextmanager
def head(environment: Mapping[str, str], port: int, folder: Path) -> Iterator[str]:
    """A cluster of one node, and what it said when it was there."""
    options = [
        f"--port={port}", "--head", "--block", "--num-cpus=2", "--object-store-memory=200000000",
        "--include-dashboard=false", "--node-ip-address=127.0.0.1", f"--temp-dir={folder}",
        f"--dashboard-agent-listen-port={free_port()}",
    ]  # fmt: skip
    told, end = folder / "head.log", time.monotonic() + 240
    with told.open("wb") as log:
        command = [Path(sys.executable).with_name("ray"), "start", *options]
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        try:
            while "Ray runtime started" not in told.read_text() and process.poll() is None and time.monotonic() < end:
                time.sleep(0.2)
            yield told.read_text()
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(60)


@pytest.mark.slow
@pytest.mark.ray
def test_a_cluster_is_joined_and_says_what_it_has(request: pytest.FixtureRequest):
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")} | {
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_AUTH_MODE": "disabled",
        "RAY_raylet_start_wait_time_s": "240",  # a machine that tests keep busy starts slowly
    }
    port = free_port()
    folder = Path(f"/tmp/ray-doctor-{port}")  # noqa: S108 sockets have short names
    folder.mkdir()
    request.addfinalizer(partial(shutil.rmtree, folder, ignore_errors=True))
    with head(environment, port, folder) as started:
        assert "Ray runtime started" in started
        code, said = doctor("--ray", f"127.0.0.1:{port}")
    assert code == 0, said
    assert f"127.0.0.1:{port}: 1 nodes, 2 CPUs, 0 GPUs" in said
