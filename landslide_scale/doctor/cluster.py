"""A Ray cluster, joined from a process of its own: Ray ends a process that it cannot join a cluster from."""

from __future__ import annotations

import json
import logging
import socket
import subprocess
import sys
from urllib.parse import urlsplit

import ray

from landslide_scale.doctor.finding import Finding
from landslide_scale.redaction import redacted

CONNECT_S = 5.0
JOIN_S = 60.0
_SAID = "joined: "


def ray_version() -> str:
    """Of Ray here, which a cluster must share."""
    return str(ray.__version__)


def cluster(address: str) -> Finding:
    """Whether a run could join the cluster at this address (``compute.address``)."""
    what, shown = "Ray cluster", redacted(address)
    if away := _away(address):
        return Finding(what=what, value=f"{shown}: {away}", cure=_cure(address), reached=False)
    command = [sys.executable, "-m", __name__, address]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=JOIN_S)  # noqa: S603
    except subprocess.TimeoutExpired:
        return Finding(what=what, value=f"{shown}: not joined in {JOIN_S:g} s", cure=_cure(address), reached=False)
    joined = [line.removeprefix(_SAID) for line in done.stdout.splitlines() if line.startswith(_SAID)]
    if joined:
        return Finding(what=what, value=f"{shown}: {_resources(json.loads(joined[0]))}")
    said = [line for line in done.stderr.splitlines() if line.strip()] or [f"exit code {done.returncode}"]
    return Finding(what=what, value=f"{shown}: {said[-1].strip()[:300]}", cure=_cure(address), reached=False)


def _away(address: str) -> str:
    """Why nothing answers at an address; empty where something does, or where it names no host."""
    parts = urlsplit(address if "://" in address else f"//{address}")
    try:
        if parts.hostname is None or parts.port is None:
            return ""
        socket.create_connection((parts.hostname, parts.port), CONNECT_S).close()
    except (OSError, ValueError) as error:
        return f"nothing answers ({error})"
    return ""


def _cure(address: str) -> str:
    if address.startswith(("http://", "https://")):
        return "That is where jobs are submitted (`ray job submit --address`); a run joins at HOST:6379."
    return (
        f"See that `ray start --head` runs there, that its port is open from here, that its Ray is {ray_version()} and "
        "its Python the same minor version, and that RAY_AUTH_MODE and the token are those of the cluster."
    )


def _resources(found: dict[str, float]) -> str:
    parts = [f"{found.get(name, 0):g} {what}" for name, what in (("nodes", "nodes"), ("CPU", "CPUs"), ("GPU", "GPUs"))]
    return f"{', '.join(parts)}, {found.get('object_store_memory', 0) / 1e9:.1f} GB for objects"


def _join(address: str) -> None:
    """Join, and say on standard output what there is."""
    ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
    found = {key: value for key, value in ray.cluster_resources().items() if ":" not in key}  # type: ignore[no-untyped-call]
    nodes = sum(bool(node["Alive"]) for node in ray.nodes())  # type: ignore[no-untyped-call]
    sys.stdout.write(f"{_SAID}{json.dumps(found | {'nodes': nodes})}\n")
    ray.shutdown()


if __name__ == "__main__":
    _join(sys.argv[1])
