"""The machine: processor, memory and disks, as far as this process may use them."""

from __future__ import annotations

import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from landslide_scale.doctor.finding import Finding

GB = 1e9
LEAST_MEMORY = 5 * GB
"""The demo takes 3.9 GiB at most, a reader of full blocks 1.5 GB, SAM ViT-B some 3 GB in training."""

LEAST_SHARED = 2.2 * GB
"""A local run's object store is 2 GB."""

LEAST_DISK = 5 * GB
"""An environment takes about as much, a demo or small scan less."""

FULLEST = 0.95
"""Share of a disk from which on Ray takes no more objects."""

SHARED = "/dev/shm"  # noqa: S108 looked at, not written
OLDEST, NEWEST = (3, 11), (3, 13)
_FEATURES = ("avx2", "avx512f", "avx512_bf16", "amx_bf16", "asimd", "sve", "bf16")
_CGROUP = Path("/sys/fs/cgroup")
_UNLIMITED = 1 << 60


def machine() -> Iterator[Finding]:
    """Python, platform, processor, memory, shared memory and disks."""
    version = ".".join(str(part) for part in sys.version_info[:3])
    fits = OLDEST <= sys.version_info[:2] <= NEWEST
    yield Finding(
        what="Python",
        value=f"{platform.python_implementation()} {version}, {'an' if _in_environment() else 'no'} environment",
        cure="" if fits else "Make the environment with Python 3.11 to 3.13.",
    )
    yield Finding(what="platform", value=f"{platform.platform()}, {' '.join(platform.libc_ver()) or 'no glibc'}")
    yield Finding(what="processor", value=f"{_processor()}; {_features()}")
    yield _cores()
    yield _memory()
    yield _shared()
    yield _disk("temporary folder", Path(tempfile.gettempdir()))
    yield _disk("working folder", Path.cwd())


def _in_environment() -> bool:
    return sys.prefix != sys.base_prefix or "CONDA_PREFIX" in os.environ


def _proc(name: str) -> dict[str, str]:
    """Lines `key: value` of a file below /proc, the first of each key; nothing where there is no such file."""
    try:
        text = Path("/proc", name).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return {}
    pairs = [line.partition(":") for line in reversed(text.splitlines())]
    return {key.strip(): value.strip() for key, _, value in pairs}


def _processor() -> str:
    return _proc("cpuinfo").get("model name") or platform.processor() or platform.machine()


def _features() -> str:
    known = _proc("cpuinfo")
    there = (known.get("flags") or known.get("Features") or "").split()
    found = [name for name in _FEATURES if name in there]
    return " ".join(found) if there else "features not known"


def _cores() -> Finding:
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota, _, period = _limit("cpu.max").partition(" ")
    allowed = int(quota) / int(period) if quota.isdecimal() and period.isdecimal() else float(usable)
    limited = f", {allowed:g} by a limit of the container" if allowed < usable else ""
    return Finding(
        what="cores",
        value=f"{os.cpu_count()}, {usable} usable{limited}",
        cure="Ray counts all that are usable: set compute's cpus so that they fit the limit." if limited else "",
    )


def _limit(name: str) -> str:
    """A limit of this process's container, as the kernel has it; empty where there is none."""
    try:
        return (_CGROUP / name).read_text(encoding="ascii").strip()
    except OSError:
        return ""


def _memory() -> Finding:
    known = {key: int(value.split()[0]) * 1024 for key, value in _proc("meminfo").items() if value.endswith("kB")}
    total, free = known.get("MemTotal"), known.get("MemAvailable")
    if total is None or free is None:
        total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        free = total
    limit = _limit("memory.max")
    most = min(total, int(limit) if limit.isdecimal() else _UNLIMITED)
    of_container = f", {most / GB:.1f} GB by a limit of the container" if most < total else ""
    return Finding(
        what="memory",
        value=f"{total / GB:.1f} GB, {free / GB:.1f} GB available{of_container}",
        cure=""
        if min(most, free) >= LEAST_MEMORY
        else "The demo needs 5 GB; a scan as much as `plan` says, and less with a smaller grid.block.",
    )


def _shared() -> Finding:
    path = Path(SHARED)
    if not path.is_dir():
        return Finding(what=SHARED, value="not there: Ray takes the temporary folder")
    usage = shutil.disk_usage(path)
    cure = (
        "Ray's objects go to the temporary folder instead, which is slow: free it, or give a container more "
        "(--shm-size=3g)."
    )
    return Finding(
        what=SHARED,
        value=f"{usage.total / GB:.1f} GB, {usage.free / GB:.1f} GB free",
        cure=cure if usage.free < LEAST_SHARED else "",
    )


def _disk(what: str, path: Path) -> Finding:
    try:
        usage = shutil.disk_usage(path)
    except OSError as error:
        return Finding(what=what, value=f"{path}: {error.strerror}", cure="Work in a folder that is there.")
    writable = os.access(path, os.W_OK)
    full = usage.free < LEAST_DISK or usage.free < (1 - FULLEST) * usage.total
    cure = "" if writable else "It cannot be written to: take another (TMPDIR names the temporary one)."
    return Finding(
        what=what,
        value=f"{path}, {usage.total / GB:.0f} GB, {usage.free / GB:.1f} GB free",
        cure=cure or ("Make room: Ray stops taking objects on a disk that is 95 % full." if full else ""),
    )
