"""What the page of cluster/ tells one to type is there, and does what it says, as far as that shows here."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from helpers.manifests import CLUSTER, REPOSITORY, documents, of_kind
from typer.core import TyperGroup
from typer.main import get_command

from landslide_scale.cli import app

PAGE = (CLUSTER / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```\n(.*?)```", PAGE, flags=re.DOTALL)


def test_every_file_of_the_folder_is_named_and_every_one_named_is_there():
    there = {path.name for path in CLUSTER.iterdir() if path.name != "README.md"}
    table = PAGE.partition("## Which file is what")[2].partition("\n\n**")[0]
    assert set(re.findall(r"`([\w.]+\.(?:yaml|in|lock)|Dockerfile)`", table)) == there
    named = set(re.findall(r"\b((?:configs/)?cluster/\w+\.yaml)", PAGE))
    assert [name for name in named if not (REPOSITORY / name).is_file()] == []
    jobs = set(re.findall(r"(\w+\.py)\b", PAGE)) - {"test_sizes.py"}
    assert [name for name in jobs if not (REPOSITORY / "jobs" / name).is_file()] == []


def test_every_command_of_ours_is_one():
    command = get_command(app)
    assert isinstance(command, TyperGroup)
    named = set(re.findall(r"\blandslide-scale ([a-z]+) ", "\n".join(BLOCKS)))
    assert {"chips"} <= named <= set(command.commands)


@pytest.mark.parametrize("block", BLOCKS)
def test_every_block_is_shell(block: str):
    subprocess.run(["bash", "-n"], input=block, text=True, check=True, timeout=20)


def test_the_line_that_puts_names_in_leaves_no_placeholder_and_changes_nothing_else(tmp_path: Path):
    line = next(block for block in BLOCKS if "sed -i" in block)
    line = line[line.index("sed -i") :]
    for folder in ("cluster", "configs/cluster"):
        shutil.copytree(REPOSITORY / folder, tmp_path / folder)
    registry = "123456789012.dkr.ecr.us-west-2.amazonaws.com/landslide-scale"
    lines = f"export REGISTRY={registry} BUCKET=landslides-of-mine\n{line}"
    subprocess.run(["bash", "-euc", lines], cwd=tmp_path, check=True, timeout=20)
    for path in (*(tmp_path / "cluster").glob("*.yaml"), *(tmp_path / "configs" / "cluster").glob("*.yaml")):
        text, before = path.read_text(), (REPOSITORY / path.relative_to(tmp_path)).read_text()
        found = text.replace(f"{registry}:0.1.0", "landslide-scale:0.1.0").replace("landslides-of-mine", "my-bucket")
        assert found.replace(registry.partition("/")[0], "my-registry") == before
        assert not re.search(r"my-(bucket|registry)\b(?! is yours)|[ \"]landslide-scale:0", text), path


def test_names_on_the_page_are_those_in_the_files():
    (space,) = of_kind("Namespace").values()
    assert set(re.findall(r"-n (\S+)", PAGE)) | set(re.findall(r"--namespace (\S+)", PAGE)) == {
        space["metadata"]["name"],
        "kuberay-operator",
    }
    (policy,) = (each for name, each in of_kind("NetworkPolicy").items() if "landslide-ray" in name)
    operator = policy["spec"]["ingress"][1]["from"][0]["namespaceSelector"]["matchLabels"]
    assert operator == {"kubernetes.io/metadata.name": "kuberay-operator"}
    (accounts,) = re.findall(r"for who in ([\w -]+);", PAGE)
    assert set(accounts.split()) == {each["metadata"]["name"] for each in of_kind("ServiceAccount").values()}
    text = "\n".join(path.read_text() for path in CLUSTER.glob("*.yaml"))
    for made in re.findall(r"create (?:configmap|secret generic) (\S+)", PAGE):
        assert f"name: {made}" in text


def test_the_operator_is_of_the_version_that_documents_are_held_against():
    (version,) = re.findall(r"--version (\S+)", PAGE)
    stated = (Path(__file__).parent / "schemas" / "ray.io-v1.yaml").read_text().splitlines()[0]
    assert f"KubeRay {version}'s" in stated
    assert documents(CLUSTER / "raycronjob_rapid.yaml")[0]["kind"] == "RayCronJob"
