"""Who may reach whom, as the policies of the namespace say: they are added up here as Kubernetes does."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from typing import Any

import pytest
from helpers.manifests import Node, of_kind, pods, ray_clusters

POLICIES = [each["spec"] for each in of_kind("NetworkPolicy").values()]
OURS = {"kubernetes.io/metadata.name": "landslides"}
DNS = {"kubernetes.io/metadata.name": "kube-system"}
OPERATOR = {"kubernetes.io/metadata.name": "kuberay-operator"}


@dataclass(frozen=True, kw_only=True)
class Peer:
    """One end: a pod by its labels and those of its namespace, or an address outside."""

    labels: Mapping[str, str] = field(default_factory=dict)
    space: Mapping[str, str] = field(default_factory=lambda: OURS)
    address: str | None = None


HEAD = Peer(labels={"ray.io/cluster": "a", "ray.io/node-type": "head"})
WORKER = Peer(labels={"ray.io/cluster": "a", "ray.io/node-type": "worker"})
SUBMITTER = Peer(labels={"app": "landslide-submitter"})
REDIS = Peer(labels={"app": "landslide-redis"})
STRANGER = Peer(labels={"app": "something"})
ENDS = {"head": HEAD, "worker": WORKER, "submitter": SUBMITTER, "redis": REDIS, "stranger": STRANGER}


def selected(selector: Node, labels: Mapping[str, str]) -> bool:
    for rule in selector.get("matchExpressions", ()):
        value = labels.get(rule["key"])
        if value is None or (rule["operator"] == "In" and value not in rule["values"]):
            return False
        assert rule["operator"] in {"In", "Exists"}
    return all(labels.get(key) == value for key, value in selector.get("matchLabels", {}).items())


def among(peer: Peer, said: Node) -> bool:
    if "ipBlock" in said:
        if peer.address is None:
            return False
        blocks = [ip_network(each) for each in (said["ipBlock"]["cidr"], *said["ipBlock"].get("except", ()))]
        inside = [ip_address(peer.address) in block for block in blocks]
        return inside[0] and not any(inside[1:])
    if peer.address is not None:
        return False
    space = said.get("namespaceSelector")
    at_home = peer.space == OURS if space is None else selected(space, peer.space)
    return at_home and selected(said.get("podSelector", {}), peer.labels)


def side(policies: list[Any], kind: str, of: Peer, to: Peer, door: Node) -> bool:
    """Whether a pod's own policies of a kind (Ingress, Egress) let it speak with somebody; without any, they do."""
    mine = [each for each in policies if kind in each["policyTypes"] and selected(each["podSelector"], of.labels)]
    key = "from" if kind == "Ingress" else "to"
    return not mine or any(
        any(among(to, said) for said in rule[key]) and ("ports" not in rule or door in rule["ports"])
        for policy in mine
        for rule in policy.get(kind.lower(), ())
    )


def reaches(one: Peer, other: Peer, port: int, protocol: str = "TCP", policies: list[Any] | None = None) -> bool:
    """Whether a connection is let out at one end and in at the other, of those ends that are in the namespace."""
    rules = POLICIES if policies is None else policies
    door = {"port": port, "protocol": protocol}
    out = one.space != OURS or one.address is not None or side(rules, "Egress", one, other, door)
    into = other.space != OURS or other.address is not None or side(rules, "Ingress", other, one, door)
    return out and into


def at(address: str) -> Peer:
    return Peer(address=address)


@pytest.mark.parametrize("port", [6379, 8265, 10001, 30123])
def test_nodes_of_ray_speak_with_each_other(port: int):
    assert reaches(HEAD, WORKER, port)
    assert reaches(WORKER, HEAD, port)
    assert reaches(WORKER, WORKER, port)


def test_the_operator_asks_the_dashboard_and_nothing_else():
    operator = Peer(space=OPERATOR)
    assert reaches(operator, HEAD, 8265)
    assert not reaches(operator, HEAD, 6379)
    assert not reaches(operator, SUBMITTER, 8265)
    assert not reaches(Peer(space={"kubernetes.io/metadata.name": "default"}), HEAD, 8265)


def test_a_submitter_reaches_the_dashboard_and_names_and_nobody_else():
    assert reaches(SUBMITTER, HEAD, 8265)
    assert reaches(SUBMITTER, Peer(space=DNS), 53, "UDP")
    assert not reaches(SUBMITTER, HEAD, 6379)
    assert not reaches(SUBMITTER, REDIS, 6379)
    assert not reaches(SUBMITTER, at("52.218.182.1"), 443)
    assert not reaches(WORKER, SUBMITTER, 22)


def test_the_store_of_heads_asks_nobody_and_is_asked_by_ray_alone():
    assert reaches(HEAD, REDIS, 6379)
    assert not reaches(HEAD, REDIS, 22)
    assert not reaches(STRANGER, REDIS, 6379)
    for other in (HEAD, at("52.218.182.1"), at("10.1.2.3"), Peer(space=DNS)):
        assert not any(reaches(REDIS, other, port) for port in (53, 80, 443, 6379, 8265))


def test_what_has_no_policy_of_its_own_reaches_nobody():
    assert not any(reaches(STRANGER, other, 443) for other in (HEAD, at("52.218.182.1")))
    assert not reaches(Peer(space=DNS), STRANGER, 80)


@pytest.mark.parametrize("address", ["52.218.182.1", "2600:1fa0::1"])
@pytest.mark.parametrize("who", [HEAD, WORKER], ids=["head", "worker"])
def test_https_goes_out_to_the_internet_and_no_other_port_does(who: Peer, address: str):
    assert reaches(who, at(address), 443)
    assert not any(reaches(who, at(address), port) for port in (22, 53, 80, 6379, 8080))


@pytest.mark.parametrize(
    "address", ["10.1.2.3", "172.20.0.1", "192.168.1.1", "100.64.1.1", "169.254.1.1", "fd00::1", "fe80::1"]
)
def test_a_private_address_in_an_item_leads_a_worker_nowhere(address: str):
    assert not any(reaches(WORKER, at(address), port) for port in (22, 80, 443, 6443, 8265))


@pytest.mark.parametrize("address", ["169.254.169.254", "fd00:ec2::254"])
@pytest.mark.parametrize("who", ENDS)
def test_nobody_reaches_the_metadata_of_the_machine(who: str, address: str):
    for port in (53, 80, 443, 6443):
        assert not any(reaches(ENDS[who], at(address), port, protocol) for protocol in ("TCP", "UDP"))


@pytest.mark.parametrize("address", ["169.254.170.23", "fd00:ec2::23"])
def test_pods_of_ray_get_the_role_of_their_account(address: str):
    assert reaches(HEAD, at(address), 80)
    assert reaches(WORKER, at(address), 80)
    assert not reaches(SUBMITTER, at(address), 80)


@pytest.mark.parametrize("port", [443, 6443])
def test_a_head_asks_kubernetes_for_pods(port: int):
    assert reaches(HEAD, at("172.20.0.1"), port)
    assert not reaches(WORKER, at("172.20.0.1"), port)


@pytest.mark.parametrize("resolver", [Peer(space=DNS), at("169.254.20.10"), at("172.20.0.10"), at("10.100.0.10")])
def test_names_are_asked_for_wherever_a_cluster_has_its_resolver(resolver: Peer):
    for who in (HEAD, WORKER, SUBMITTER):
        assert reaches(who, resolver, 53, "UDP")
        assert reaches(who, resolver, 53, "TCP")


def test_every_pod_that_is_stated_here_is_one_that_a_policy_knows():
    """Pods of Ray clusters are labelled by KubeRay; submitters and the store have their labels from here."""
    templates = list(_templates([of_kind(kind) for kind in ("RayJob", "RayCronJob", "CronJob", "StatefulSet")]))
    labelled = [each["metadata"]["labels"]["app"] for each in templates if "metadata" in each]
    labelled = [each for each in labelled if each in {"landslide-submitter", "landslide-redis"}]
    of_ray = sum(1 + len(spec["workerGroupSpecs"]) for spec in ray_clusters().values())
    assert len(labelled) + of_ray == len(list(pods()))
    assert set(labelled) == {"landslide-submitter", "landslide-redis"}


def _templates(node: Any) -> Any:  # noqa: ANN401 any part of a document
    if isinstance(node, dict):
        if "containers" in node.get("spec", {}) and "labels" in node.get("metadata", {}):
            yield node
        for value in node.values():
            yield from _templates(value)
    elif isinstance(node, list):
        for value in node:
            yield from _templates(value)


def test_a_policy_that_opens_the_metadata_is_found():
    open_ = copy.deepcopy(POLICIES)
    for policy in open_:
        for rule in policy.get("egress", ()):
            for said in rule["to"]:
                said.get("ipBlock", {}).pop("except", None)
    assert reaches(WORKER, at("169.254.169.254"), 443, policies=open_)
    assert reaches(STRANGER, at("1.1.1.1"), 443, policies=[each for each in open_ if each["podSelector"]])
