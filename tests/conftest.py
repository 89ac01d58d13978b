from __future__ import annotations

import os
import secrets
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from helpers.s3 import Proxy

# Ray opens ports on every interface: whoever does not know this token is sent away.
os.environ |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}

# Test runners share the machine: threads of several that wait for each other by spinning take minutes from all.
os.environ.setdefault("OMP_NUM_THREADS", "1")

settings.register_profile("repeatable", deadline=None, derandomize=True, database=None)
settings.load_profile("repeatable")

SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 below it by the name that pytest gives, as below /tmp
ROOM = 4 << 30

# Runs write and sync many small files: on a disk a third of the tests' time is waiting for it.
if SHARED_MEMORY.is_dir() and os.access(SHARED_MEMORY, os.W_OK) and shutil.disk_usage(SHARED_MEMORY).free > ROOM:
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(SHARED_MEMORY))

BESIDE_THE_REPOSITORY = Path(__file__).parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    root = Path(os.environ.get("LANDSLIDE_SCALE_DATA", BESIDE_THE_REPOSITORY))
    if not root.is_dir():
        pytest.skip(f"no real data at {root}; set LANDSLIDE_SCALE_DATA to its folder")
    return root


@pytest.fixture(scope="module")
def store() -> Iterator[Proxy]:
    """An S3 server with an empty bucket of that name, behind a proxy, and an environment that leads there."""
    from helpers.s3 import bucket  # noqa: PLC0415 s3fs, which most tests do without

    with pytest.MonkeyPatch.context() as patch, bucket(patch) as proxy:
        yield proxy


_watching: list[list[str]] = []


def _watch(event: str, arguments: tuple[object, ...]) -> None:
    """Note what a hostile case connects to: sockets of Python; those of libcurl meet the cases' own servers."""
    if _watching and event in {"socket.connect", "socket.sendto"} and isinstance(arguments[-1], tuple):
        _watching[-1].append(str(arguments[-1][0]))


sys.addaudithook(_watch)


@pytest.fixture(autouse=True)
def _nobody_else_is_asked(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fails a hostile case in which an address was asked that nobody named."""
    if request.node.get_closest_marker("hostile") is None:
        yield
        return
    asked: list[str] = []
    _watching.append(asked)
    try:
        yield
    finally:
        _watching.remove(asked)
    assert set(asked) <= {"127.0.0.1"}


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """How large the hostile corpus is of which this was a run, and what else tests say of their number."""
    ended = [
        (outcome, report.nodeid)
        for outcome in ("passed", "failed", "error", "skipped")
        for report in terminalreporter.stats.get(outcome, ())
        if "hostile" in getattr(report, "keywords", ()) and (outcome != "passed" or report.when == "call")
    ]
    if ended:
        passed = sum(outcome == "passed" for outcome, _ in ended)
        cases = len({name for _, name in ended})
        terminalreporter.write_line(f"hostile corpus: {passed} of {cases} cases held, on loopback alone")
    for report in terminalreporter.stats.get("passed", ()):
        for name, value in getattr(report, "user_properties", ()):
            terminalreporter.write_line(f"{name}: {value}")
