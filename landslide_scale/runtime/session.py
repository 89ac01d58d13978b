"""The Ray cluster a run works on: the job's, the one asked for, or a local one for as long as the run takes."""

from __future__ import annotations

import logging
import os
import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import ray
from ray.data import DataContext
from ray.exceptions import RayTaskError

from landslide_scale.errors import LandslideScaleError
from landslide_scale.runtime.address import Wanted, wanted
from landslide_scale.runtime.capacity import Need, check_there
from landslide_scale.runtime.joining import joinable, lost, unstarted
from landslide_scale.runtime.stopping import Terminated, terminable

LOCAL_OBJECT_STORE = 2_000_000_000
"""Bytes; a local run holds a few blocks at a time."""


def settle_data() -> None:
    """How Ray Data runs here: quiet, for the run speaks through its own progress, and without losing rows."""
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    context = DataContext.get_current()
    context.enable_progress_bars = False
    context.max_errored_blocks = 0  # with -1 Ray drops rows silently when an actor dies
    # Ray Data's own error would be in the place of what a step raised, which is lost where it crosses processes.
    context.raise_original_map_exception = True


_LOCAL = threading.Event()
"""Set while the cluster of this process is its own local one."""


def check_machine(*needs: Need) -> None:
    """Refuse what our own local cluster cannot give: it never grows. One that was joined may, and is waited for.

    Raises:
        InvalidConfigError: Naming the key, and what there is.
    """
    if _LOCAL.is_set():
        check_there(needs, ray.cluster_resources())  # type: ignore[no-untyped-call]


@contextmanager
def session(address: str | None) -> Iterator[None]:
    """Connected to Ray.

    Args:
        address: Of a cluster. None: the cluster of the job this process is the driver of, or a caller's own
            connection, else a new local one, ended with the block.

    Raises:
        InvalidConfigError: The address is none of a cluster, or token or versions are others than the cluster's.
        ClusterAwayError: The cluster cannot be joined now, or a local one cannot be started.
    """
    if ray.is_initialized():
        yield
        return
    cluster = wanted(address)
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # a task without GPUs keeps the variables it has
    # Threads that spin while they wait starve each other where processes share few cores: ten times slower, measured.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    try:
        _start(cluster)
    except SystemExit as error:  # how Ray answers SIGTERM while it starts
        raise Terminated from error
    with terminable():  # again, for Ray answers SIGTERM itself from here on: with a trace of its own
        try:
            yield
        finally:
            _LOCAL.clear()
            ray.shutdown()


def _start(cluster: Wanted) -> None:
    start = partial(ray.init, log_to_driver=False, logging_level=logging.ERROR)
    address = "" if cluster.kind == "local" else joinable(cluster)
    try:
        if address:
            start(address=address)
            return
        _keep_strangers_out()
        # Named local: without it, Ray would join any cluster that was ever started on this machine.
        start(address="local", include_dashboard=False, object_store_memory=LOCAL_OBJECT_STORE)
    except Exception as error:  # noqa: BLE001 Ray raises plain ones where a node is late, and errors of any class
        ray.shutdown()
        raise (unstarted(error) if cluster.kind == "local" else lost(error, cluster)) from None
    _LOCAL.set()


def _keep_strangers_out() -> None:
    """Give a cluster of our own a token that its processes alone know: its ports are open on every interface.

    Where there is none yet, Ray (2.60) writes one to a file that umask may leave readable by all. One that is said in
    the environment or lies in that file is the user's, and holds as it is; so does `RAY_AUTH_MODE=disabled`.
    """
    said = os.environ.get("RAY_AUTH_TOKEN") or os.environ.get("RAY_AUTH_TOKEN_PATH")
    kept = os.path.expanduser("~/.ray/auth_token")  # noqa: PTH111 Path's fails for a user of a pod, who has no home
    if not said and not Path(kept).exists():
        os.environ["RAY_AUTH_TOKEN"] = secrets.token_hex(32)


def of_ours(error: BaseException | None) -> LandslideScaleError | None:
    """The error that a step raised on purpose, among those that Ray wrapped around it."""
    while error is not None:
        if isinstance(error, RayTaskError):  # of the class of its cause too, with the trace for its text
            error = error.cause
        elif isinstance(error, LandslideScaleError):
            return error
        else:
            error = error.__cause__
    return None


def last_line(error: BaseException) -> str:
    """What an error says in the end, without the traces that Ray carries before it."""
    return str(error).strip().rpartition("\n")[2]
