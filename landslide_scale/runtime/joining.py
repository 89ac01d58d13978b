"""What is wrong with a Ray cluster that cannot be joined or started: from Ray's own words to one line of ours."""

from __future__ import annotations

import errno
import os
import re

from landslide_scale.errors import ClusterAwayError, InvalidConfigError, LandslideScaleError
from landslide_scale.runtime.address import Wanted, away, check_answers
from landslide_scale.runtime.trial import LIMIT_S, Trial, tried

_LINE = 300
_TOKEN = re.compile(r"InvalidAuthToken|Unauthenticated|AuthenticationError|[Tt]oken authentication is enabled")
_VERSIONS = re.compile(r"Version mismatch|started with:\s*Ray:", re.IGNORECASE)
_SOCKET = re.compile(r"AF_UNIX path length cannot exceed (\d+) bytes:? ?(\S*)")
_NOT_OURS = (errno.ENOENT, errno.ENOTDIR, errno.EACCES, errno.EPERM, errno.EROFS)
_NO_NODE = re.compile(r"No node info found|[Cc]an't find a node|find_node|no such node", re.IGNORECASE)


def joinable(cluster: Wanted) -> str:
    """The address of a cluster that was joined just now, within a bound, and can be again.

    Of several that run on a machine, Ray takes any for ``auto``.

    Raises:
        InvalidConfigError: It cannot, until something is changed: another address, token or version.
        ClusterAwayError: It cannot now.
    """
    if cluster.kind == "at":
        check_answers(cluster)
    trial = tried(cluster.address)
    if not trial.joined:
        raise _why(trial, cluster)
    return trial.joined


def _why(trial: Trial, cluster: Wanted) -> LandslideScaleError:
    said = f"{trial.error}\n{trial.log}"
    if _TOKEN.search(said):
        return InvalidConfigError(
            f"{cluster} and this process do not agree on a token "
            f"(RAY_AUTH_MODE is {os.environ.get('RAY_AUTH_MODE', 'not set')})",
            expected="the cluster's own mode and token",
            cure="Set RAY_AUTH_MODE, and RAY_AUTH_TOKEN or RAY_AUTH_TOKEN_PATH, as for its `ray start`.",
            key=cluster.key,
        )
    if _VERSIONS.search(said):
        return InvalidConfigError(
            f"{cluster} runs other versions ({_mismatch(trial.error)})",
            expected="the same Ray and Python on every machine",
            cure="Start cluster and run from one environment (cluster/Dockerfile has it).",
            key=cluster.key,
        )
    if trial.late:
        return away(f"{cluster} cannot be joined within {LIMIT_S:g} s", cluster)
    if _NO_NODE.search(trial.error):
        return away(f"{cluster} has no node on this machine", cluster)
    return away(f"{cluster} cannot be joined ({_first(said)})", cluster)


def lost(error: BaseException, cluster: Wanted) -> ClusterAwayError:
    """Why a cluster that could be joined a moment ago cannot be now."""
    return away(f"{cluster} is gone again ({_first(str(error))})", cluster)


def unstarted(error: BaseException) -> LandslideScaleError:
    """Why our own local cluster could not be started."""
    said = str(error)
    if too_long := _SOCKET.search(said):
        return InvalidConfigError(
            f"the path of Ray's sockets is longer than {too_long[1]} bytes ({too_long[2]})",
            expected="a short one",
            cure="Set RAY_TMPDIR to a short path on a local disk, as /tmp.",
            key="RAY_TMPDIR" if os.environ.get("RAY_TMPDIR") else "TMPDIR",
        )
    if isinstance(error, OSError) and error.errno in _NOT_OURS:
        return InvalidConfigError(
            f"Ray cannot write to {error.filename} ({error.strerror})",
            expected="folders that this process may write to",
            cure="Set RAY_TMPDIR to some.",
            key="RAY_TMPDIR",
        )
    return ClusterAwayError(
        f"a local Ray cluster cannot be started ({type(error).__name__}: {_first(said)})",
        expected="room in memory, in /dev/shm and below RAY_TMPDIR, and ports that are free",
        cure="Ray's logs are in session_latest/logs below its folder (/tmp/ray by default).",
    )


def _mismatch(text: str) -> str:
    """What Ray says of the versions of both sides, on one line."""
    found = re.findall(r"(Ray|Python): *([\w.+-]+)", text)
    half = len(found) // 2
    there, here = (", ".join(f"{name} {version}" for name, version in part) for part in (found[:half], found[half:]))
    return f"{there} there, {here} here" if half else _first(text)


def _first(text: str) -> str:
    """The first line that says something."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return (lines[0] if lines else "no reason given")[:_LINE]
