"""What the checker of manifests is given: every pod, and no exception without its reason."""

from __future__ import annotations

import json
import re
from pathlib import Path

import stated_pods
from helpers.manifests import REPOSITORY, of_kind, pods

LINES = (REPOSITORY / ".checkov.yaml").read_text().partition("skip-check:\n")[2].splitlines()


def test_every_pod_and_every_policy_is_written_for_it(tmp_path: Path):
    stated_pods.main(tmp_path / "stated")
    written = [json.loads(path.read_text()) for path in sorted((tmp_path / "stated").iterdir())]
    specs = [each["spec"] for each in written if each["kind"] == "Pod"]
    assert specs == [dict(pod.spec) for pod in pods()]
    assert len(written) - len(specs) == len(of_kind("NetworkPolicy"))


def test_an_exception_for_one_kind_of_pod_is_for_one_that_there_is():
    assert set(stated_pods.EXCEPTIONS) <= {pod.first["name"] for pod in pods()}


def test_every_exception_has_its_reason():
    assert LINES
    assert all(re.fullmatch(r"  - CKV\w+ # \w.{10,}", line) for line in LINES)
    assert all(why for excepted in stated_pods.EXCEPTIONS.values() for why in excepted.values())


def test_it_is_run_by_ci():
    assert "make lint-manifests" in (REPOSITORY / ".ci" / "run").read_text()
