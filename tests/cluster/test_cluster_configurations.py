"""Configurations for a cluster: accepted whole by the models that read them, and each at home in a bucket."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from helpers.manifests import MANIFESTS, REPOSITORY

from landslide_scale.labels.settings import ChipsConfig
from landslide_scale.rapid.settings import RapidConfig
from landslide_scale.scan.settings import ScanConfig
from landslide_scale.strictyaml import load
from landslide_scale.training.settings import FinetuneConfig, finetune_job

CONFIGS = REPOSITORY / "configs" / "cluster"
KINDS: dict[str, Any] = {"scan": ScanConfig, "chips": ChipsConfig, "finetune": FinetuneConfig, "rapid": RapidConfig}
BUCKET = "s3://my-bucket/"


def loaded(name: str) -> Any:  # noqa: ANN401 a configuration of a kind that the name says
    return load(KINDS[name], CONFIGS / f"{name}.yaml")


def places(node: object) -> list[str]:
    """What in a configuration is a path or a URL of a file."""
    if isinstance(node, dict):
        return [place for value in node.values() for place in places(value)]
    if isinstance(node, list):
        return [place for value in node for place in places(value)]
    return [node] if isinstance(node, str) and "/" in node else []


def test_there_is_one_for_each_job():
    assert {path.stem for path in CONFIGS.glob("*.yaml")} == set(KINDS)


@pytest.mark.parametrize("name", KINDS)
def test_it_is_accepted_by_a_submitted_job_wherever_that_runs(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RAY_JOB_CONFIG_JSON_ENV_VAR", "{}")
    config = loaded(name)
    output = config.directory if isinstance(config, ChipsConfig) else config.output.run
    assert output == f"{BUCKET}landslides/{name}"


@pytest.mark.parametrize("name", KINDS)
def test_every_place_it_names_is_in_the_bucket(name: str):
    found = places(yaml.safe_load((CONFIGS / f"{name}.yaml").read_text()))
    assert found
    assert all(place.startswith(BUCKET) for place in found)


def test_one_leaves_what_the_next_one_takes():
    chips, finetune, scan = loaded("chips"), loaded("finetune"), loaded("scan")
    assert finetune.dataset.path == chips.directory
    assert scan.model.checkpoint == f"{finetune.output.run}/checkpoint.safetensors"
    assert scan.model.base_weights == finetune.base_weights.url  # a new machine's cache has none
    assert set(finetune.model.bands) == set(chips.bands)
    assert loaded("rapid").catalog.profile == scan.catalog.profile == chips.catalog.profile


def test_rapid_mapping_begins_before_anything_is_trained():
    """The network of the other files sees no near infrared, without which loss of vegetation is not told."""
    assert loaded("rapid").model == "none"
    assert {"red", "nir"} <= set(loaded("rapid").output.keep)


def test_the_network_is_that_of_the_plain_configuration_with_its_weights_from_the_bucket():
    """The same file, by its SHA-256, which no machine fetches from the internet."""
    plain = load(FinetuneConfig, REPOSITORY / "configs" / "finetune.yaml")
    ours = loaded("finetune")
    assert ours.base_weights.url.startswith(f"{BUCKET}weights/")
    assert ours.base_weights.url.rpartition("/")[2] == plain.base_weights.url.rpartition("/")[2]
    assert ours.base_weights.sha256 == plain.base_weights.sha256
    assert (ours.model, ours.train) == (plain.model, plain.train)
    assert finetune_job(ours).gpu


def test_jobs_name_configurations_that_are_mounted():
    named = {name for path in MANIFESTS for name in re.findall(r"/config/(\w+)\.yaml", path.read_text())}
    assert named == {"scan", "finetune", "rapid"}
    assert named <= {path.stem for path in CONFIGS.glob("*.yaml")}
