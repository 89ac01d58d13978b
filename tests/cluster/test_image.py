"""The image, as far as reading its recipe shows; nothing here can build it."""

from __future__ import annotations

import re
from fnmatch import fnmatch

import pytest
from helpers.manifests import CLUSTER, REPOSITORY

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


def test_compilers_stay_in_the_first_stage():
    first, last = stages()
    assert "build-essential" in installed(first)
    assert not set(COMPILERS) & installed(last)
    assert any(line.startswith("COPY --from=build ") for line in last)
    assert not any("pip install" in line for line in last)


def test_the_base_is_one_release_of_the_tested_python_and_one_of_debian():
    (base,) = (line.removeprefix("ARG BASE=") for line in LINES if line.startswith("ARG BASE="))
    found = re.fullmatch(r"python:(\d+)\.(\d+)\.\d+-slim-[a-z]+(@sha256:[0-9a-f]{64})?", base)
    assert found is not None
    assert "CPython {}.{}".format(*found.groups()[:2]) in (REPOSITORY / "constraints.txt").read_text()
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


def test_what_is_installed_beside_the_package_is_pinned():
    (said,) = (line for line in LINES if "pip install" in line)
    assert "PIP_CONSTRAINT=constraints.txt" in said
    extra = said.rpartition(" . ")[2].split()
    pins = {line.partition("==")[0] for line in (REPOSITORY / "constraints.txt").read_text().splitlines()}
    assert extra == ["boto3"]
    assert set(extra) <= pins
