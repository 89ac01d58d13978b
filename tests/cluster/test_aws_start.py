"""The start lines of aws.yaml, as a new machine runs them: in an empty home, a head, and a worker that joins it."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from helpers.manifests import CLUSTER
from ray.autoscaler._private.monitor import BASE_READONLY_CONFIG

pytestmark = [pytest.mark.ray, pytest.mark.slow]

BIN = Path(sys.executable).parent
CONFIG: dict[str, Any] = yaml.safe_load((CLUSTER / "aws.yaml").read_text())
TOKEN = Path(".ray", "auth_token")
WAIT_S = 130


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def environment(home: Path, resources: Mapping[str, int]) -> dict[str, str]:
    """What Ray's updater runs the lines in: resources come as it gives them."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    return kept | {
        "HOME": str(home),
        "PATH": f"{BIN}:{os.environ['PATH']}",
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_HEAD_IP": "127.0.0.1",
        "RAY_OVERRIDE_RESOURCES": json.dumps(resources),
    }


def lines(role: str, port: int, options: str) -> str:
    """Those of a role, on ports of our own. `ray stop` is left out: it would end every cluster of this machine.

    Ray's updater runs each in a group of its own and goes on where that succeeds as a whole: a limit of open files that
    a machine does not allow is no failure.
    """
    first, *rest = CONFIG[f"{role}_start_ray_commands"]
    assert first == "ray stop"
    *before, start = rest
    moved = re.sub(r"(--port=|:)6379\b", rf"\g<1>{port}", start)
    assert moved != start
    all_of_them = [*before, f"{moved} --block --dashboard-agent-listen-port={free_port()} {options}"]
    return " && ".join(f"( {line} )" for line in all_of_them)


@contextmanager
def running(script: str, env: Mapping[str, str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A machine's lines until the block ends; then what they began, and nothing else, is ended."""
    with (
        log.open("wb") as output,
        subprocess.Popen(
            ["bash", "-c", script], env=env, stdout=output, stderr=output, start_new_session=True
        ) as process,
    ):
        try:
            yield process
        finally:
            os.killpg(process.pid, signal.SIGTERM)
            try:
                process.wait(60)
            finally:
                ended = False
                while not ended:  # what outlived its head, of the same group
                    try:
                        os.killpg(process.pid, signal.SIGKILL)
                    except ProcessLookupError:
                        ended = True
                    time.sleep(0.1)


@pytest.fixture
def folder() -> Iterator[Path]:
    """A short path: sockets lie in it."""
    made = Path(tempfile.mkdtemp(prefix="aws-", dir="/tmp"))
    yield made
    shutil.rmtree(made, ignore_errors=True)


def nodes(address: str, env: Mapping[str, str], log: Path, count: int) -> str:
    """What `ray status` says once there are so many nodes."""
    end = time.monotonic() + WAIT_S
    while time.monotonic() < end:
        told = status(address, env)
        if len(re.findall(r"node_[0-9a-f]{8}", told.stdout)) >= count:
            return told.stdout
        time.sleep(1)
    pytest.fail(f"no {count} nodes: {told.stdout}{told.stderr}{log.read_text()}")


def status(address: str, env: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    command = [str(BIN / "ray"), "status", "--address", address]
    return subprocess.run(command, env=env, capture_output=True, text=True, check=False, timeout=90)


def test_a_head_in_an_empty_home_makes_its_token_and_a_worker_with_it_joins(folder: Path):
    types, port = CONFIG["available_node_types"], free_port()
    homes = {role: folder / role for role in ("head", "worker", "stranger")}
    for home in homes.values():
        home.mkdir()
    (homes["head"] / "ray_bootstrap_config.yaml").write_text(
        yaml.safe_dump(BASE_READONLY_CONFIG)
    )  # `ray up` writes one
    head = environment(homes["head"], types["head"]["resources"])
    own = f"--node-ip-address=127.0.0.1 --dashboard-port={free_port()} --temp-dir={folder / 'r'}"
    with running(lines("head", port, own), head, folder / "head.log"):
        asking = head | {"RAY_AUTH_MODE": "token"}
        nodes(f"127.0.0.1:{port}", asking, folder / "head.log", 1)
        assert (homes["head"] / TOKEN).stat().st_size >= 32

        (homes["worker"] / TOKEN).parent.mkdir()
        shutil.copy(homes["head"] / TOKEN, homes["worker"] / TOKEN)  # as file_mounts has it
        small = types["readers"]["resources"] | {"object_store_memory": 100_000_000}
        worker = environment(homes["worker"], small)
        with running(lines("worker", port, ""), worker, folder / "worker.log"):
            told = nodes(f"127.0.0.1:{port}", asking, folder / "worker.log", 2)
        assert f"0.0/{small['CPU']:.1f} CPU" in told  # of the worker alone: the head has none
        assert status(f"127.0.0.1:{port}", environment(homes["stranger"], {})).returncode != 0


def test_without_a_token_a_machine_does_not_start(folder: Path):
    """What the lines were before; here a worker's, where no token was copied."""
    script = lines("worker", free_port(), "")
    told = subprocess.run(
        ["bash", "-c", script],
        env=environment(folder, {}),
        capture_output=True,
        text=True,
        check=False,
        timeout=WAIT_S,
    )
    assert told.returncode != 0
    assert "token" in (told.stdout + told.stderr)
