"""Documents for Kubernetes: against the fields there are, and against rules that an operator has beside them."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import yaml
from helpers.manifests import CLUSTER, MANIFESTS, Node, Pod, documents, groups, of_kind, pods, ray_clusters
from jsonschema import Draft202012Validator
from referencing import Registry
from referencing.jsonschema import DRAFT202012

SCHEMAS = Path(__file__).parent / "schemas"
KUBERNETES = json.loads((SCHEMAS / "kubernetes-v1.35.json").read_text())
RAY = yaml.safe_load((SCHEMAS / "ray.io-v1.yaml").read_text())
REGISTRY: Registry[Any] = Registry().with_resources(
    [("kubernetes", DRAFT202012.create_resource(KUBERNETES)), ("ray.io", DRAFT202012.create_resource(RAY))]
)
GROUPS = {"v1": "core.v1", "apps/v1": "apps.v1", "batch/v1": "batch.v1", "networking.k8s.io/v1": "networking.v1"}
CRDS = Path("kuberay")
"""Folder of the shared data with the operator's own definitions (ray.io_rayclusters.yaml and so on), where it is."""

ALL = [(path.name, document) for path in MANIFESTS for document in documents(path)]
NAMES = [f"{name} {document['kind']} {document['metadata']['name']}" for name, document in ALL]


def schema_of(document: Node) -> dict[str, str]:
    kind, api = document["kind"], document["apiVersion"]
    if api == "ray.io/v1":
        return {"$ref": f"ray.io#/$defs/{kind}"}
    return {"$ref": f"kubernetes#/$defs/api.{GROUPS[api]}.{kind}"}


def problems(document: Node) -> list[str]:
    """What a document has that there is not, or lacks; empty for none."""
    validator = Draft202012Validator(schema_of(document), registry=REGISTRY)
    return [f"{error.json_path}: {error.message[:300]}" for error in validator.iter_errors(document)]


@pytest.mark.parametrize(("file", "document"), ALL, ids=NAMES)
def test_a_document_has_the_fields_of_its_kind_and_no_others(file: str, document: Node):
    assert problems(document) == [], file


def mutated(name: str, change: Callable[[Any], None]) -> list[str]:
    document = copy.deepcopy(documents(CLUSTER / name)[0])
    change(document)
    return problems(document)


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("raycluster.yaml", lambda d: d["spec"].update(enableInTreeAutoscalin=True)),
        ("raycluster.yaml", lambda d: d["spec"]["headGroupSpec"].update(replicas=1)),
        ("raycluster.yaml", lambda d: d["spec"]["workerGroupSpecs"][0].pop("template")),
        ("raycluster.yaml", lambda d: d["spec"]["workerGroupSpecs"][0].update(replicas="1")),
        ("raycluster.yaml", lambda d: d["spec"]["headGroupSpec"]["rayStartParams"].update({"num-cpus": 0})),
        ("raycluster.yaml", lambda d: d["spec"]["headGroupSpec"]["template"]["spec"].update(serviceAcount="x")),
        ("rayjob_scan.yaml", lambda d: d["spec"].update(shutdownAfterJobFinish=True)),
        ("rayjob_scan.yaml", lambda d: d["spec"]["submitterPodTemplate"]["spec"]["containers"][0].update(cpu=1)),
        ("raycronjob_rapid.yaml", lambda d: d["spec"].update(timeZone="Etc/UTC")),  # of 1.7
        ("raycronjob_rapid.yaml", lambda d: d["spec"].update(concurrencyPolicy="Forbid")),  # a CronJob's
        ("raycronjob_rapid.yaml", lambda d: d["spec"]["jobTemplate"]["deletionStrategy"].update(deletionRules=[])),
        ("cronjob_rapid.yaml", lambda d: d["spec"].update(timezone="Etc/UTC")),
        ("cronjob_rapid.yaml", lambda d: d["spec"]["jobTemplate"]["spec"]["template"]["spec"].pop("containers")),
        ("redis.yaml", lambda d: d["spec"]["ports"][0].update(port="http")),
    ],
)
def test_a_field_that_there_is_not_or_of_another_type_is_found(name: str, change: Callable[[Any], None]):
    assert mutated(name, change)


@pytest.mark.parametrize(
    "document", [d for _, d in ALL if d["apiVersion"] == "ray.io/v1"], ids=lambda d: str(d["kind"])
)
def test_a_document_holds_against_the_operators_own_definition_where_that_is_at_hand(document: Node, shared_data: Path):
    file = shared_data / CRDS / f"ray.io_{document['kind'].lower()}s.yaml"
    if not file.is_file():
        pytest.skip(f"no definition of KubeRay's at {file}")
    crd = yaml.load(file.read_text(), getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506 both are safe
    served = next(each for each in crd["spec"]["versions"] if each["name"] == "v1")
    schema = refusing(served["schema"]["openAPIV3Schema"])
    schema["properties"]["metadata"] = {"type": "object"}
    assert [error.message[:300] for error in Draft202012Validator(schema).iter_errors(document)] == []


def refusing(node: Any) -> Any:  # noqa: ANN401 any part of a schema
    """A schema that refuses what it does not name."""
    if isinstance(node, list):
        return [refusing(each) for each in node]
    if not isinstance(node, dict):
        return node
    done = {key: refusing(value) for key, value in node.items()}
    named = isinstance(node.get("properties"), dict) and "type" in node
    if named and not node.get("x-kubernetes-preserve-unknown-fields"):
        done.setdefault("additionalProperties", False)
    return done


def test_all_is_in_one_namespace_that_admits_restricted_pods_only():
    (space,) = of_kind("Namespace").values()
    assert space["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    for _, document in ALL:
        if document["kind"] != "Namespace":
            assert document["metadata"]["namespace"] == space["metadata"]["name"]


def test_names_are_such_that_the_operator_need_not_shorten_them():
    """KubeRay 1.6: 53 characters for a cluster, 47 for a job, whose cluster has a suffix; a RayCronJob adds six."""
    limits = {"RayCluster": 53, "RayJob": 47, "RayCronJob": 41, "CronJob": 52}
    for kind, most in limits.items():
        for document in of_kind(kind).values():
            name = document["metadata"]["name"]
            assert re.fullmatch(r"[a-z]([-a-z0-9]*[a-z0-9])?", name)
            assert len(name) <= most


@pytest.mark.parametrize("name", ray_clusters())
def test_a_ray_cluster_grows_shrinks_and_demands_a_token(name: str):
    spec = ray_clusters()[name]
    assert spec["enableInTreeAutoscaling"] is True  # without it maxReplicas does nothing
    assert spec["autoscalerOptions"]["idleTimeoutSeconds"] > 0
    assert spec["authOptions"] == {"mode": "token"}
    assert spec["rayVersion"] == version("ray")
    for group in spec["workerGroupSpecs"]:
        assert group["minReplicas"] <= group["replicas"] <= group["maxReplicas"]
        assert group["maxReplicas"] > group["minReplicas"]


@pytest.mark.parametrize("name", ray_clusters())
def test_nothing_is_computed_on_the_head_and_its_dashboard_is_reached_by_submitters(name: str):
    head = ray_clusters()[name]["headGroupSpec"]
    assert head["rayStartParams"]["num-cpus"] == "0"
    assert "dashboard-host" not in head["rayStartParams"]  # KubeRay's default, all interfaces, behind NetworkPolicy
    assert head["serviceType"] == "ClusterIP"


def test_the_standing_cluster_outlives_its_head():
    (cluster,) = of_kind("RayCluster").values()
    kept = cluster["spec"]["gcsFaultToleranceOptions"]
    services = {
        f"{service['metadata']['name']}:{port['port']}"
        for service in of_kind("Service").values()
        for port in service["spec"]["ports"]
    }
    assert kept["redisAddress"] in services
    (store,) = of_kind("StatefulSet").values()
    (password,) = store["spec"]["template"]["spec"]["containers"][0]["env"]
    assert password["valueFrom"] == kept["redisPassword"]["valueFrom"]


def test_groups_of_one_name_have_the_same_pods_wherever_they_are():
    found: dict[str, list[Node]] = {}
    for spec in ray_clusters().values():
        for name, group in groups(spec).items():
            found.setdefault(name, []).append({key: group[key] for key in ("rayStartParams", "template")})
    assert set(found) == {"head", "readers", "gpus"}
    for name, alike in found.items():
        assert all(each == alike[0] for each in alike), name


def test_a_job_on_the_standing_cluster_names_it_and_a_submitter_finds_its_service_and_token():
    (cluster,) = of_kind("RayCluster").values()
    name = cluster["metadata"]["name"]
    on_it = [job["spec"] for job in of_kind("RayJob").values() if "clusterSelector" in job["spec"]]
    assert on_it
    for job in on_it:
        assert job["clusterSelector"] == {"ray.io/cluster": name}
        assert not job.get("backoffLimit")  # KubeRay refuses it there
    (cron,) = of_kind("CronJob").values()
    (container,) = cron["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"]
    assert f"http://{name}-head-svc:8265" in container["command"]
    token = next(each["valueFrom"]["secretKeyRef"] for each in container["env"] if each["name"] == "RAY_AUTH_TOKEN")
    assert token == {"name": name, "key": "auth_token"}


def test_no_two_cycles_of_rapid_mapping_are_at_work_at_once():
    (cron,) = of_kind("CronJob").values()
    assert cron["spec"]["concurrencyPolicy"] == "Forbid"
    (alpha,) = of_kind("RayCronJob").values()
    assert re.fullmatch(r"\d+ \* \* \* \*", alpha["spec"]["schedule"])  # each hour
    assert alpha["spec"]["jobTemplate"]["activeDeadlineSeconds"] < 3600
    assert not alpha["spec"]["jobTemplate"].get("backoffLimit")


def test_rules_of_deletion_stand_alone_and_end_the_cluster_first():
    """KubeRay refuses rules beside shutdownAfterJobFinishes, and an outcome that goes before its cluster."""
    (alpha,) = of_kind("RayCronJob").values()
    job = alpha["spec"]["jobTemplate"]
    assert "shutdownAfterJobFinishes" not in job
    assert "ttlSecondsAfterFinished" not in job
    when: dict[str, dict[str, int]] = {}
    for rule in job["deletionStrategy"]["deletionRules"]:
        outcome = next(value for key, value in rule["condition"].items() if key != "ttlSeconds")
        when.setdefault(outcome, {})[rule["policy"]] = rule["condition"].get("ttlSeconds", 0)
    assert set(when) == {"SUCCEEDED", "FAILED", "Failed"}
    assert all(each["DeleteCluster"] < each["DeleteSelf"] for each in when.values())


def test_a_document_says_no_secret():
    for path in MANIFESTS:
        text = path.read_text()
        assert "stringData" not in text
        assert not re.search(r"(?i)kind: Secret", text)


def test_every_job_starts_a_script_that_is_there():
    known = {path.name for path in (CLUSTER.parent / "jobs").iterdir()}
    named = {name for path in MANIFESTS for name in re.findall(r"/jobs/(\w+\.py)", path.read_text())}
    assert {"scan_region.py", "finetune.py", "export.py", "rapid_map.py"} == named <= known


@pytest.mark.parametrize("pod", list(pods()), ids=lambda pod: pod.where)
def test_an_image_that_is_not_our_own_is_named_by_its_digest(pod: Pod):
    for container in [*pod.spec["containers"], *pod.spec.get("initContainers", [])]:
        assert re.fullmatch(r"landslide-scale:[\d.]+|[\w./-]+:[\w.-]+@sha256:[0-9a-f]{64}", container["image"])
