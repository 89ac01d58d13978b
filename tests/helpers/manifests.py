"""The documents of cluster/, as Kubernetes and KubeRay read them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

REPOSITORY = Path(__file__).parents[2]
CLUSTER = REPOSITORY / "cluster"
MANIFESTS = tuple(sorted(path for path in CLUSTER.glob("*.yaml") if not path.name.startswith("aws")))
"""All but what is AWS's own."""

Node = Mapping[str, Any]

_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

_UNITS = {"Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40, "m": 1e-3, "k": 1e3, "M": 1e6, "G": 1e9, "": 1}


@dataclass(frozen=True, kw_only=True)
class Pod:
    """A pod that a document asks for: a group of a Ray cluster, a submitter, or another's."""

    where: str
    spec: Node

    @property
    def first(self) -> Node:
        """Its container; of a Ray pod, Ray's."""
        found: Node = self.spec["containers"][0]
        return found


@cache
def documents(path: Path) -> tuple[Node, ...]:
    """Those of a file; read once, so copy what is to be changed."""
    return tuple(yaml.load_all(path.read_text(encoding="utf-8"), _Loader))


def of_kind(kind: str) -> dict[str, Node]:
    """Documents by file and name."""
    return {
        f"{path.name} {document['metadata']['name']}": document
        for path in MANIFESTS
        for document in documents(path)
        if document["kind"] == kind
    }


def ray_clusters() -> dict[str, Node]:
    """The specification of each Ray cluster, by the file that has it."""
    jobs = {name: job["spec"] for name, job in of_kind("RayJob").items()}
    jobs |= {name: job["spec"]["jobTemplate"] for name, job in of_kind("RayCronJob").items()}
    own = {name: job["rayClusterSpec"] for name, job in jobs.items() if "rayClusterSpec" in job}
    standing = {name: cluster["spec"] for name, cluster in of_kind("RayCluster").items()}
    return {name.partition(" ")[0]: spec for name, spec in (own | standing).items()}


def groups(cluster: Node) -> dict[str, Node]:
    """Head and worker groups of a Ray cluster, by name."""
    return {"head": cluster["headGroupSpec"]} | {group["groupName"]: group for group in cluster["workerGroupSpecs"]}


def pods() -> Iterator[Pod]:
    """Every pod that a document states the template of."""
    for path in MANIFESTS:
        for document in documents(path):
            yield from _pods(document, f"{path.name} {document['kind']}")


def _pods(node: Any, where: str) -> Iterator[Pod]:  # noqa: ANN401 any part of a document
    if isinstance(node, dict):
        if "containers" in node:
            yield Pod(where=where, spec=node)
        for key, value in node.items():
            yield from _pods(value, f"{where}.{key}")
    elif isinstance(node, list):
        for index, value in enumerate(node):
            yield from _pods(value, f"{where}[{index}]")


def quantity(written: str | float) -> float:
    """A quantity of Kubernetes as a number: bytes, or CPU cores."""
    text = str(written)
    number = text.rstrip("".join(set("".join(_UNITS))))
    return float(number) * _UNITS[text[len(number) :]]
