"""Write every pod that a document of cluster/ states as a document of its own: checkers know no Ray clusters.

python tests/stated_pods.py FOLDER
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from helpers.manifests import Node, Pod, of_kind, pods

TOKEN, LIVE, READY = "CKV_K8S_38", "CKV_K8S_8", "CKV_K8S_9"
RAY = {LIVE: "KubeRay adds the probe", READY: "KubeRay adds the probe"}
SUBMITTER = {LIVE: "it ends with its job", READY: "nobody asks it"}
EXCEPTIONS: dict[str, dict[str, str]] = {
    "ray-head": RAY | {TOKEN: "the autoscaler beside it asks Kubernetes for pods"},
    "ray-worker": RAY,
    "ray-job-submitter": SUBMITTER,
    "submitter": SUBMITTER,
}
"""Checks of checkov that a kind of pod does not hold, and why."""


def document(pod: Pod, name: str) -> Node:
    """The pod alone, with its exceptions."""
    excepted = enumerate(EXCEPTIONS.get(pod.first["name"], {}).items())
    annotations = {f"checkov.io/skip{number}": f"{check}={why}" for number, (check, why) in excepted}
    metadata = {"name": name, "namespace": "landslides", "annotations": annotations}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": pod.spec}


def main(folder: Path) -> None:
    """Write them into a folder that is made, beside the policies that hold for them."""
    folder.mkdir(parents=True, exist_ok=True)
    stated = {f"pod-{number:02d}-{pod.first['name']}": pod for number, pod in enumerate(pods())}
    made = {name: document(pod, name) for name, pod in stated.items()}
    made |= {f"policy-{number}": each for number, each in enumerate(of_kind("NetworkPolicy").values())}
    for name, content in made.items():
        (folder / f"{name}.json").write_text(json.dumps(content, indent=2))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
