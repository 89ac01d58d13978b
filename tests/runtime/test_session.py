"""Joining a real cluster, or starting one, in a process of its own as a command does: one line, and an exit code."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from landslide_scale.runtime.session import _keep_strangers_out

BIN = Path(sys.executable).parent
TOKEN = "a" * 64
BOUND_S = 300  # of a test on a machine that is busy; ours is 60 s

COMMAND = """
    import sys
    import ray
    from landslide_scale.runtime.console import run_guarded
    from landslide_scale.runtime.session import session

    def joined():
        with session(sys.argv[1] or None):
            print(ray.cluster_resources()["CPU"])
        return 0

    sys.exit(run_guarded(joined))
"""


def environment(**changes: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    return kept | {"RAY_USAGE_STATS_ENABLED": "0", "RAY_AUTH_MODE": "disabled"} | changes


def command(address: str, **changes: str) -> subprocess.CompletedProcess[str]:
    """What a command says and how it ends that joins a cluster."""
    script = [sys.executable, "-c", textwrap.dedent(COMMAND), address]
    return subprocess.run(
        script, env=environment(**changes), capture_output=True, text=True, check=False, timeout=BOUND_S
    )


def refusal(address: str, **changes: str) -> tuple[int, str]:
    """Exit code and the one line of a command that is refused; Ray's own words are not among it."""
    done = command(address, **changes)
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    return done.returncode, line


@contextmanager
def head(log: Path, **changes: str) -> Iterator[str]:
    """The address of the head of a cluster of its own."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    options = ["--include-dashboard=false", "--node-ip-address=127.0.0.1", "--object-store-memory=100000000"]
    start = [str(BIN / "ray"), "start", "--head", "--block", f"--port={address.rpartition(':')[2]}", "--num-cpus=3"]
    variables = environment(**changes) | {"PATH": f"{BIN}:{os.environ['PATH']}"}
    with (
        log.open("wb") as output,
        subprocess.Popen([*start, *options], env=variables, stdout=output, stderr=output) as it,
    ):
        try:
            end = time.monotonic() + BOUND_S
            while b"Ray runtime started" not in log.read_bytes():
                assert time.monotonic() < end, log.read_text()
                time.sleep(0.2)
            yield address
        finally:
            it.send_signal(signal.SIGTERM)
            it.wait(60)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with head(tmp_path_factory.mktemp("logs") / "head") as address:
        yield address


@pytest.mark.slow
def test_a_cluster_is_joined_wherever_its_address_is_said(cluster: str):
    for address, changes in (("", {"RAY_ADDRESS": cluster}), (cluster, {"RAY_ADDRESS": "nowhere:1"})):
        done = command(address, **changes)
        assert (done.returncode, done.stdout) == (0, "3.0\n"), done.stderr


KV = """
    import json, sys
    from ray._raylet import GcsClient
    gcs = GcsClient(address=sys.argv[1])
    known = json.loads(gcs.internal_kv_get(b"CLUSTER_METADATA", namespace=b"cluster"))
    gcs.internal_kv_put(b"CLUSTER_METADATA", json.dumps(known | json.loads(sys.argv[2])).encode(), True, b"cluster")
    print(json.dumps(known))
"""


@pytest.mark.slow
@pytest.mark.parametrize(("of", "other"), [("ray_version", "2.9.0"), ("python_version", "3.9.1")])
def test_a_cluster_of_other_versions_is_refused_with_both(cluster: str, of: str, other: str):
    def put(facts: dict[str, str]) -> dict[str, str]:
        script = [sys.executable, "-c", textwrap.dedent(KV), cluster, json.dumps(facts)]
        done = subprocess.run(script, env=environment(), capture_output=True, text=True, check=True, timeout=BOUND_S)
        return dict(json.loads(done.stdout))

    before = put({of: other})
    try:
        code, line = refusal(cluster)
    finally:
        put(before)
    assert code == 2
    assert f"other versions (Ray {'2.9.0' if of == 'ray_version' else before['ray_version']}" in line
    assert other in line
    assert before[of] in line


@pytest.mark.slow
def test_a_token_that_is_demanded_is_asked_for_and_not_shown(tmp_path: Path):
    token = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": TOKEN}
    with head(tmp_path / "head", **token) as address:
        assert command(address, **token).stdout == "3.0\n"
        wrong = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "b" * 64}
        nobody = {"RAY_AUTH_MODE": "token", "HOME": str(tmp_path)}
        for changes in ({}, wrong, nobody):
            code, line = refusal(address, **changes)
            assert code == 2
            assert "do not agree on a token" in line
            assert "RAY_AUTH_MODE" in line
            assert TOKEN not in line
            assert "b" * 64 not in line


@pytest.mark.slow
def test_a_local_cluster_that_cannot_be_started_says_why_in_one_line(tmp_path: Path):
    deep = tmp_path / ("d" * 60) / ("e" * 60)
    deep.mkdir(parents=True)
    code, line = refusal("", RAY_TMPDIR=str(deep))
    assert code == 2
    assert line.startswith("error: key RAY_TMPDIR: the path of Ray's sockets is longer than 107 bytes")
    (tmp_path / "file").write_text("")
    code, line = refusal("local", RAY_TMPDIR=str(tmp_path / "file" / "below"))
    assert code == 2
    assert line.startswith("error: key RAY_TMPDIR: Ray cannot write to")


STRANGER = """
    import sys
    from landslide_scale.runtime.console import run_guarded
    from landslide_scale.runtime.session import session
    import ray, subprocess, os

    def started():
        with session(None):
            me = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
            ask = "import ray, sys; ray.init(sys.argv[1], log_to_driver=False); print('joined')"
            address = ray.get_runtime_context().gcs_address
            asked = [sys.executable, "-c", ask, address]
            done = subprocess.run(asked, env=me | {"HOME": sys.argv[1]}, capture_output=True, text=True)
            print(done.returncode, "AuthenticationError" in done.stderr, "joined" in done.stdout)
            print(ray.get(ray.remote(lambda: 7).remote()))
        return 0

    sys.exit(run_guarded(started))
"""


@pytest.mark.slow
def test_a_local_cluster_demands_a_token_that_is_in_no_file(tmp_path: Path):
    own, other = tmp_path / "own", tmp_path / "other"
    own.mkdir()
    other.mkdir()
    variables = {name: value for name, value in environment().items() if name != "RAY_AUTH_MODE"} | {"HOME": str(own)}
    script = [sys.executable, "-c", textwrap.dedent(STRANGER), str(other)]
    done = subprocess.run(script, env=variables, capture_output=True, text=True, check=False, timeout=BOUND_S)
    assert (done.returncode, done.stdout, done.stderr) == (0, "1 True False\n7\n", "")
    assert [path for path in own.rglob("*") if path.is_file()] == []


def test_a_user_without_a_home_has_a_token_too_and_whoever_has_one_keeps_it(monkeypatch: pytest.MonkeyPatch):
    def nobody(_: int) -> None:
        raise KeyError

    monkeypatch.setattr("pwd.getpwuid", nobody)
    for name in ("HOME", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"):
        monkeypatch.delenv(name, raising=False)
    _keep_strangers_out()
    assert len(os.environ["RAY_AUTH_TOKEN"]) == len(TOKEN)
    monkeypatch.setenv("RAY_AUTH_TOKEN", TOKEN)
    _keep_strangers_out()
    assert os.environ["RAY_AUTH_TOKEN"] == TOKEN


@pytest.mark.slow
def test_a_local_cluster_needs_no_home_to_write_to(tmp_path: Path):
    (tmp_path / "file").write_text("")
    variables = {name: value for name, value in environment().items() if name != "RAY_AUTH_MODE"}
    script = [sys.executable, "-c", textwrap.dedent(COMMAND), "local"]
    home = {"HOME": str(tmp_path / "file" / "below")}
    done = subprocess.run(script, env=variables | home, capture_output=True, text=True, check=False, timeout=BOUND_S)
    assert (done.returncode, done.stderr) == (0, "")
