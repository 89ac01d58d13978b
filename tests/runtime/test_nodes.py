"""A local folder is accepted on a cluster of several nodes where each of them has it: tried, on two real ones."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import ray

from landslide_scale.errors import InvalidConfigError
from landslide_scale.runtime.nodes import at_once_here, check_on_every_node
from landslide_scale.runtime.session import session

pytestmark = pytest.mark.ray

RAY = Path(sys.executable).parent / "ray"
ALONE = ("unshare", "--user", "--map-root-user", "--mount", "bash", "-c")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def node(*command: str) -> Iterator[None]:
    environment = {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"}
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            yield
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(60)


@pytest.mark.slow
def test_a_folder_that_a_node_does_not_have_is_refused_and_one_that_all_have_is_not(tmp_path: Path):
    own, shared, address = tmp_path / "own", tmp_path / "shared", f"127.0.0.1:{free_port()}"
    own.mkdir()
    shared.mkdir()
    if subprocess.run([*ALONE, f"mount -t tmpfs none {own}"], check=False).returncode:
        pytest.skip("this machine lets nobody have a folder of their own")
    start = (
        f"{RAY} start --block --num-cpus=1 --object-store-memory=200000000 --dashboard-agent-listen-port={free_port()}"
    )
    head = f"{start} --head --port={address.rpartition(':')[2]} --include-dashboard=false --node-ip-address=127.0.0.1"
    second = f"mount -t tmpfs none {own} && exec {start.replace('listen-port=', 'listen-port=1')} --address={address}"
    with node("bash", "-c", f"exec {head}"), session_at(address), node(*ALONE, second):
        while len([one for one in ray.nodes() if one["Alive"]]) < 2:
            pass
        assert [at_once_here(cpus) for cpus in (0.25, 0.5, 1, 3)] == [4, 2, 1, 1], "of this node, and not of both"
        check_on_every_node(f"{shared}/a/run", key="output.run")
        check_on_every_node("s3://bucket/run", key="output.run")
        for place, why in (
            (f"{own}/run", r"1 of the cluster's 2 nodes do not have"),
            ("runs/a", "a cluster of 2 nodes"),
        ):
            with pytest.raises(InvalidConfigError, match=why):
                check_on_every_node(place, key="output.run")
    assert not list(own.iterdir()) + list(shared.iterdir())


@contextmanager
def session_at(address: str) -> Iterator[None]:
    """Once the head is up."""
    for _ in range(60):
        if subprocess.run([RAY, "status", "--address", address], check=False, capture_output=True).returncode == 0:
            break
    with session(address):
        yield
