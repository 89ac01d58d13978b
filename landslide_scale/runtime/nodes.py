"""Machines of a cluster: whether each has the folder that a run writes into, and which is the driver's."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import ray
from ray.exceptions import RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from landslide_scale.errors import BrokenRunError, InvalidConfigError
from landslide_scale.paths import NODE_MARK, SHARED, is_relative
from landslide_scale.runtime.session import last_line

ANSWER_S = 120.0
"""In which a machine has to say what it sees; the first task on one starts a process."""

_SEEN_S = 5.0
"""In which a shared folder shows what was just written into it."""


def beside_the_driver() -> NodeAffinitySchedulingStrategy:
    """Where what a run cannot do without is kept: a node whose loss is the driver's."""
    return NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)


@cache
def at_once_here(cpus: float) -> int:
    """How many tasks of so many CPU cores the node of this process can have at work at once; one at least."""
    here = ray.get_runtime_context().get_node_id()
    has = next((node["Resources"].get("CPU", 0) for node in ray.nodes() if node["NodeID"] == here), 0)  # type: ignore[no-untyped-call]
    return max(1, int(has / cpus))


def check_on_every_node(place: str, *, key: str) -> None:
    """Make sure that all of a cluster's machines write where this one reads: each must see what is written here.

    A local path need not be said to be shared: it is tried. Machines that join the cluster later are not asked.

    Args:
        place: Path or URL of a folder, as the configuration has it; it need not exist.
        key: Of the configuration.

    Raises:
        InvalidConfigError: A machine does not have it, or it is relative and there are several.
        BrokenRunError: A machine does not answer.
    """
    nodes = [node for node in ray.nodes() if node["Alive"]]  # type: ignore[no-untyped-call]
    if "://" in place.removeprefix("file://") or len(nodes) == 1:
        return
    if is_relative(place):
        raise InvalidConfigError(f"{place}, on a cluster of {len(nodes)} nodes", expected=SHARED, key=key)
    without = _without(Path(place.removeprefix("file://")), nodes)
    if without:
        raise InvalidConfigError(
            f"{place}, which {len(without)} of the cluster's {len(nodes)} nodes do not have ({', '.join(without[:3])})",
            expected=SHARED,
            cure="What they write there would be lost.",
            key=key,
        )


def _without(path: Path, nodes: list[dict[str, Any]]) -> list[str]:
    """Addresses of the machines that do not see a file written at the folder, or where it will be."""
    look = ray.remote(num_cpus=0)(_sees)
    with _mark(path) as (mark, content):
        answers = [
            look.options(scheduling_strategy=NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)).remote(
                mark, content
            )
            for node in nodes
        ]
        try:
            seen = ray.get(answers, timeout=ANSWER_S)
        except RayError as error:
            raise BrokenRunError(
                f"not every node of the cluster says what it sees ({type(error).__name__}: {last_line(error)})",
                expected=f"an answer within {ANSWER_S:g} s",
                cure="Nothing was written; submit again (Ray may drop a package between two jobs of one folder; an edit"
                " in it makes a new one), or take the node out.",
            ) from None
    return [str(node["NodeManagerAddress"]) for node, sees in zip(nodes, seen, strict=True) if not sees]


@contextmanager
def _mark(path: Path) -> Iterator[tuple[str, bytes]]:
    """A file in the folder, or in the next one above it that there is, while the block takes; and what is in it."""
    there = next(folder for folder in (path, *path.parents) if folder.is_dir())
    mark, content = there / f"{NODE_MARK}{secrets.token_hex(8)}", secrets.token_bytes(16)
    try:
        mark.write_bytes(content)
    except OSError as error:
        raise InvalidConfigError(
            f"{there}, which cannot be written to ({error.strerror})", expected="a folder that can", key="output.run"
        ) from error
    try:
        yield str(mark), content
    finally:
        mark.unlink(missing_ok=True)


def _sees(mark: str, content: bytes) -> bool:
    end = time.monotonic() + _SEEN_S
    while True:
        try:
            if Path(mark).read_bytes() == content:
                return True
        except OSError:
            pass
        if time.monotonic() > end:
            return False
        time.sleep(0.2)
