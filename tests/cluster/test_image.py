"""The image, as far as reading its recipe shows; nothing here can build it."""

from __future__ import annotations

import re
import sys
import tomllib
from fnmatch import fnmatch
from importlib.metadata import distribution

import pytest
from helpers.manifests import CLUSTER, REPOSITORY
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

LOCK = (CLUSTER / "requirements.lock").read_text(encoding="utf-8")
RECIPE = (CLUSTER / "Dockerfile").read_text(encoding="utf-8")
LINES = [line.strip() for line in re.sub(r"\\\n", " ", re.sub(r"(?m)^#.*\n", "", RECIPE)).splitlines() if line.strip()]
COMPILERS = ("build-essential", "gcc", "g++", "make", "cmake", "git")


def stages() -> list[list[str]]:
    found: list[list[str]] = []
    for line in LINES:
        if line.startswith("FROM "):
            found.append([])
        if found:
            found[-1].append(line)
    return found


def installed(stage: list[str]) -> set[str]:
    return {word for line in stage if "apt-get install" in line for word in line.split("install ", 1)[1].split()}


def test_nothing_is_compiled_and_nothing_fetched_into_the_last_stage_but_debians_packages():
    first, last = stages()
    assert installed(first) == set()
    assert not set(COMPILERS) & installed(last)
    assert any(line.startswith("COPY --from=build ") for line in last)
    assert not any("pip install" in line for line in last)


def test_every_file_of_a_package_is_installed_by_its_hash_and_the_package_itself_fetches_none():
    lock, own = (line for line in LINES if "pip install" in line)
    assert {"--require-hashes", "--no-deps", "--only-binary", "requirements.lock"} <= set(lock.split())
    assert {"--no-index", "--no-deps", "--no-build-isolation"} <= set(own.split())
    assert own.split()[-1] == "."
    copied = LINES[LINES.index(lock) - 1]
    assert copied == "COPY cluster/requirements.lock ./"


def pins(text: str) -> dict[str, str]:
    """Versions by name, as names are compared."""
    found = re.findall(r"(?m)^([\w.-]+)==([\w.+!]+)", text)
    return {canonicalize_name(name): version for name, version in found}


def test_the_lock_has_what_the_package_wants_in_the_versions_that_were_tested():
    locked, tested = pins(LOCK), pins((REPOSITORY / "constraints.txt").read_text())
    assert {name: version for name, version in locked.items() if tested.get(name) != version} == {}
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())
    beside = (CLUSTER / "requirements.in").read_text().splitlines()
    wanted = [*project["project"]["dependencies"], *(line.partition("#")[0] for line in beside)]
    wanted += project["build-system"]["requires"]
    names = {canonicalize_name(Requirement(line).name) for line in wanted if line.strip()}
    assert names <= set(locked)


@pytest.mark.skipif(
    sys.version_info[:2] != (3, 11), reason="the image has Python 3.11, and another wants other packages"
)
def test_all_that_what_is_locked_wants_is_locked_too():
    """By what the environment says that has the same versions; the image's own environment has no others to look at."""
    locked = set(pins(LOCK))
    for name in locked:
        for line in distribution(name).requires or ():
            wanted = Requirement(line)
            if wanted.marker is None or wanted.marker.evaluate({"extra": ""}):
                assert canonicalize_name(wanted.name) in locked, name


def test_the_lock_names_hashes_and_no_place():
    entries = re.split(r"(?m)^(?=[\w.-]+==)", LOCK)[1:]
    assert len(entries) == len(pins(LOCK))
    assert all(re.search(r"--hash=sha256:[0-9a-f]{64}\b", entry) for entry in entries)
    assert "://" not in LOCK
    assert "--index" not in LOCK
    assert len(LOCK) < 2**20


def test_the_lock_is_made_by_one_command():
    said = LOCK.splitlines()[1].lstrip("# ")
    assert said == "make lock"
    assert re.search(r"(?m)^lock: ", (REPOSITORY / "Makefile").read_text())


def test_the_base_is_one_build_of_one_release_of_the_tested_python_and_one_of_debian():
    (base,) = (line.removeprefix("ARG BASE=") for line in LINES if line.startswith("ARG BASE="))
    found = re.fullmatch(r"python:(\d+)\.(\d+)\.\d+-slim-[a-z]+@sha256:[0-9a-f]{64}", base)
    assert found is not None
    assert "CPython {}.{}".format(*found.groups()) in (REPOSITORY / "constraints.txt").read_text()
    assert [line for line in LINES if line.startswith("FROM ")] == ["FROM ${BASE} AS build", "FROM ${BASE}"]


def test_it_runs_as_the_user_that_pods_run_as():
    last = stages()[-1]
    assert "USER 1000:1000" in last
    assert any("--uid 1000" in line for line in last)
    after = last[last.index("USER 1000:1000") :]
    assert not any(line.startswith("RUN ") for line in after)


@pytest.mark.parametrize("name", ["openssh-client", "rsync", "libexpat1"])
def test_it_has_what_is_called_at_run_time(name: str):
    assert name in installed(stages()[-1])


def test_a_container_runtime_is_told_that_there_is_cuda_in_it():
    (said,) = (line for line in stages()[-1] if line.startswith("ENV "))
    assert dict(pair.split("=") for pair in said.removeprefix("ENV ").split()) == {
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_AUTH_MODE": "token",
        "NVIDIA_VISIBLE_DEVICES": "all",
        "NVIDIA_DRIVER_CAPABILITIES": "compute,utility",
    }


def test_what_is_copied_is_there_and_not_kept_out():
    kept = [line[1:] for line in (REPOSITORY / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    copied = [
        word for line in LINES if line.startswith("COPY ") and "--from" not in line for word in line.split()[1:-1]
    ]
    for name in copied:
        assert (REPOSITORY / name).exists()
        assert any(fnmatch(name.removeprefix("./"), pattern) for pattern in kept)
