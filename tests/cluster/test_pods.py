"""Pods as a restricted namespace admits them, and who they are."""

from __future__ import annotations

import pytest
from helpers.manifests import Node, Pod, groups, of_kind, pods, quantity, ray_clusters

PODS = list(pods())
OURS = "landslide-scale:0.1.0"
LEAST = {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}}
WRITTEN = {"/tmp": "tmp", "/home/ray": "home"}  # noqa: S108 of a pod
ADMITTED = {"configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret"}


def restricted(pod: Pod) -> list[str]:
    """What the Pod Security Standard `restricted` has against a pod; empty for nothing."""
    found, spec = [], pod.spec
    whole = spec.get("securityContext", {})
    if not whole.get("runAsNonRoot") or whole.get("runAsUser") == 0:
        found.append("may run as root")
    if whole.get("seccompProfile", {}).get("type") not in {"RuntimeDefault", "Localhost"}:
        found.append("no seccomp profile")
    if {"hostNetwork", "hostPID", "hostIPC"} & set(spec):
        found.append("the host's namespaces")
    for container in (*spec["containers"], *spec.get("initContainers", ())):
        context = container.get("securityContext", {})
        if context.get("allowPrivilegeEscalation") is not False:
            found.append(f"{container['name']} may gain privileges")
        if context.get("capabilities") != {"drop": ["ALL"]}:
            found.append(f"{container['name']} keeps capabilities")
        if context.get("privileged") or any("hostPort" in port for port in container.get("ports", ())):
            found.append(f"{container['name']} has the host's")
    found += [f"volume {each['name']}" for each in spec.get("volumes", ()) if not set(each) - {"name"} <= ADMITTED]
    return found


@pytest.mark.parametrize("pod", PODS, ids=lambda pod: pod.where)
def test_a_restricted_namespace_admits_the_pod(pod: Pod):
    assert restricted(pod) == []


@pytest.mark.parametrize("name", ray_clusters())
def test_it_admits_what_kuberay_adds_of_its_own(name: str):
    """The autoscaler's container has what is said here; without it, none. Those that wait have the worker's."""
    context = ray_clusters()[name]["autoscalerOptions"]["securityContext"]
    assert context == LEAST


def mounted(mounts: list[Node]) -> dict[str, str]:
    """Volumes that are mounted to be written, by their path."""
    return {each["mountPath"]: each["name"] for each in mounts if not each.get("readOnly")}


@pytest.mark.parametrize("pod", PODS, ids=lambda pod: pod.where)
def test_a_pod_writes_nothing_but_what_is_mounted_for_it(pod: Pod):
    """KubeRay mounts /dev/shm beside it, and /tmp/ray on heads; its init container has its worker's mounts."""
    for container in pod.spec["containers"]:
        assert container["securityContext"] == LEAST
    if pod.first["image"] == OURS:
        assert mounted(pod.first["volumeMounts"]) == WRITTEN
        volumes = {each["name"]: each for each in pod.spec["volumes"]}
        assert all(volumes[name] == {"name": name, "emptyDir": {}} for name in WRITTEN.values())
    else:
        assert mounted(pod.first["volumeMounts"]) == {"/data": "data"}


@pytest.mark.parametrize("name", ray_clusters())
def test_the_autoscaler_writes_where_its_head_does(name: str):
    assert mounted(ray_clusters()[name]["autoscalerOptions"]["volumeMounts"]) == WRITTEN


def test_it_admits_the_submitter_of_every_job():
    """KubeRay's own submitter has no security context, and one in the head's pod (SidecarMode) cannot be given any."""
    jobs = [job["spec"] for job in of_kind("RayJob").values()]
    jobs += [job["spec"]["jobTemplate"] for job in of_kind("RayCronJob").values()]
    for job in jobs:
        assert job.get("submissionMode", "K8sJobMode") == "K8sJobMode"
        assert job["submitterPodTemplate"]["spec"]["restartPolicy"] == "Never"


def test_a_pod_that_is_not_restricted_is_found():
    bad = Pod(
        where="made",
        spec={
            "hostNetwork": True,
            "containers": [
                {"name": "a", "ports": [{"hostPort": 1}], "securityContext": {"capabilities": {"drop": []}}}
            ],
            "volumes": [{"name": "b", "hostPath": {"path": "/"}}],
        },
    )
    assert len(restricted(bad)) == 7


def test_every_pod_has_an_account_of_ours_and_only_heads_talk_to_kubernetes():
    accounts = {each["metadata"]["name"]: each for each in of_kind("ServiceAccount").values()}
    assert set(accounts) == {"landslide-head", "landslide-worker"}
    assert accounts["landslide-worker"]["automountServiceAccountToken"] is False
    for pod in PODS:
        if pod.first["image"] == OURS:
            who = "landslide-head" if pod.first["name"] == "ray-head" else "landslide-worker"
            assert pod.spec["serviceAccountName"] == who
        assert (pod.spec.get("automountServiceAccountToken") is False) == (pod.first["name"] != "ray-head")


def test_images_are_named_with_their_version():
    images = {container["image"] for pod in PODS for container in pod.spec["containers"]}
    assert OURS in images
    assert all(image.partition("@")[0].rpartition(":")[2][0].isdigit() for image in images)


@pytest.mark.parametrize("pod", PODS, ids=lambda pod: pod.where)
def test_memory_is_requested_as_it_is_limited(pod: Pod):
    """What is only limited may be promised to two pods; then Kubernetes ends one."""
    for container in pod.spec["containers"]:
        requests, limits = container["resources"]["requests"], container["resources"]["limits"]
        assert quantity(requests["cpu"]) <= quantity(limits["cpu"])
        if "ray" in container["name"] and "submitter" not in container["name"]:
            assert {key: requests[key] for key in limits} == limits


@pytest.mark.parametrize("name", ray_clusters())
def test_only_the_group_with_gpus_sees_any(name: str):
    """A container runtime that is NVIDIA's shows all GPUs of a machine to an image that asks for all."""
    for group, spec in groups(ray_clusters()[name]).items():
        container: Node = spec["template"]["spec"]["containers"][0]
        gpus = "nvidia.com/gpu" in container["resources"]["limits"]
        assert gpus == (group == "gpus")
        assert ({"name": "NVIDIA_VISIBLE_DEVICES", "value": "void"} in container.get("env", [])) == (not gpus)
