"""What the code asks of Ray at the configurations for a cluster, and what nodes have: both sides are computed here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pytest
import yaml
from helpers.manifests import CLUSTER, REPOSITORY, groups, quantity, ray_clusters
from ray.autoscaler._private.kuberay.autoscaling_config import _derive_autoscaling_config_from_ray_cr

from landslide_scale.exporting.on_ray import CPUS as EXPORT_CPUS
from landslide_scale.grid import Lattice, PatchLattice, Zone
from landslide_scale.runtime.capacity import Need, check_there
from landslide_scale.scan.model import NETWORK_SIDE
from landslide_scale.scan.plan import reader_bytes
from landslide_scale.scan.settings import UNSAID, ScanConfig
from landslide_scale.strictyaml import load
from landslide_scale.training.settings import FinetuneConfig, finetune_job

GIB = 2**30
CONFIGS = REPOSITORY / "configs" / "cluster"

OWN_BYTES = 1.5 * GIB
"""What Ray's processes of a node take themselves: raylet, agents."""

OWN_HEAD_BYTES = 3 * GIB
"""Of a head also GCS and dashboard."""

NETWORK_BYTES = 4 * GIB
"""A process with a network on a GPU, of whose memory Ray is not told: torch with CUDA's libraries on the host's side,
the weights twice while they are loaded (SAM ViT-B is 0.35 GiB, ViT-H 2.4), and a unit."""

DRIVER_BYTES = 8 * GIB
"""Left to drivers on a head: their processes, and labelled images while a fine-tuning is prepared."""

KUBELET_BYTES = 1.3 * GIB
"""That Amazon's machines for Kubernetes keep from pods: 11 MiB for each of 58 pods, 255 and 100 MiB, and daemons."""

KUBELET_CPUS = 0.5
"""Likewise, with daemons."""

MACHINES = {"m6i.xlarge": (4, 16, 0), "r6i.2xlarge": (8, 64, 0), "g5.2xlarge": (8, 32, 1)}
"""CPU cores, GiB and GPUs of instance types (Amazon's pages of types)."""

POD_MACHINES = {"readers": "r6i.2xlarge", "gpus": "g5.2xlarge"}
"""The smallest machines that are meant for pods; README.md says so too."""


@dataclass(frozen=True, kw_only=True)
class NodeOf:
    """A node of a cluster: what its container or machine has in bytes, and what Ray is told of."""

    where: str
    group: str
    limit: float
    told: Mapping[str, float]
    store: float
    most: int


def kubernetes_nodes() -> list[NodeOf]:
    nodes = []
    for file, spec in ray_clusters().items():
        resource = {"metadata": {"name": "a", "namespace": "b"}, "spec": spec}
        derived = _derive_autoscaling_config_from_ray_cr(resource)["available_node_types"]
        for name, group in groups(spec).items():
            limits = group["template"]["spec"]["containers"][0]["resources"]["limits"]
            node = derived["headgroup" if name == "head" else name]
            nodes.append(
                NodeOf(
                    where=file,
                    group=name,
                    limit=quantity(limits["memory"]),
                    told=node["resources"],
                    store=float(group["rayStartParams"]["object-store-memory"]),
                    most=node["max_workers"],
                )
            )
    return nodes


def aws_nodes() -> list[NodeOf]:
    config = yaml.safe_load((CLUSTER / "aws.yaml").read_text())
    return [
        NodeOf(
            where="aws.yaml",
            group=name,
            limit=MACHINES[node["node_config"]["InstanceType"]][1] * GIB,
            told={key: value for key, value in node["resources"].items() if key != "object_store_memory"},
            store=node["resources"]["object_store_memory"],
            most=node.get("max_workers", 0),
        )
        for name, node in config["available_node_types"].items()
    ]


NODES = [*kubernetes_nodes(), *aws_nodes()]
IDS = [f"{node.where}-{node.group}" for node in NODES]


def scan_config() -> ScanConfig:
    return load(ScanConfig, CONFIGS / "scan.yaml")


def asked_by_reader(config: ScanConfig, bands: tuple[str, ...], upsample: int) -> int:
    """Bytes that a read task of a scan asks for; the zone is of no matter."""
    lattice = Lattice(
        zone=Zone.utm(45, southern=False, rule="published"), resolution=config.grid.resolution, block=config.grid.block
    )
    halo = UNSAID["halo"] if config.predict.halo is None else config.predict.halo
    patches = PatchLattice(patch=config.predict.patch or NETWORK_SIDE // upsample, halo=halo)
    return reader_bytes(lattice, patches, config.composite, bands, len(config.output.keep))


def reader() -> int:
    model = load(FinetuneConfig, CONFIGS / "finetune.yaml").model
    return asked_by_reader(scan_config(), model.bands, model.upsample)  # type: ignore[union-attr]


WIDEST = ("blue", "green", "red", "nir", "swir16", "swir22", "elevation", "slope")


@pytest.mark.parametrize("node", NODES, ids=IDS)
def test_what_ray_is_told_of_the_store_and_what_it_is_not_told_of_fit_into_the_memory_there_is(node: NodeOf):
    untold = OWN_HEAD_BYTES + DRIVER_BYTES if node.group == "head" else OWN_BYTES
    untold += NETWORK_BYTES if node.group == "gpus" else 0
    assert node.told["memory"] + node.store + untold <= node.limit


@pytest.mark.parametrize("node", [n for n in NODES if n.group == "readers"], ids=lambda n: n.where)
def test_read_tasks_take_the_cores_of_a_reader_before_its_memory_and_of_many_bands_half_of_them(node: NodeOf):
    compute = scan_config().compute
    cores = int(node.told["CPU"] / compute.cpus_per_reader)
    assert node.told["memory"] >= cores * reader()
    widest = asked_by_reader(scan_config(), WIDEST, 1)  # of a network that sees native pixels, and so more around
    assert node.told["memory"] // widest >= cores / 2


def placed(needs: tuple[Need, ...], node: NodeOf, who: str) -> bool:
    """Whether one of those fits on a node."""
    mine = [need for need in needs if need.who.startswith(who)]
    assert mine
    return all(node.told.get(need.kind, 0) >= need.amount for need in mine)


@pytest.mark.parametrize("where", ["raycluster.yaml", "rayjob_scan.yaml", "raycronjob_rapid.yaml", "aws.yaml"])
def test_a_scan_fits_on_what_a_cluster_may_grow_to(where: str):
    nodes = [node for node in NODES if node.where == where]
    compute = scan_config().compute
    needs = compute.needs(reader())
    grown: dict[str, float] = {}
    for node in nodes:
        for kind, amount in node.told.items():
            grown[kind] = grown.get(kind, 0) + amount * node.most
    check_there(needs, grown)
    by_group = {node.group: node for node in nodes}
    assert placed(needs, by_group["readers"], "a reader")
    assert placed(needs, by_group["gpus"], "a predictor")
    assert not placed(needs, by_group["head"], "a reader")
    beside = by_group["gpus"].told["CPU"] - compute.cpus_per_predictor  # a GPU's node reads for itself too
    assert beside >= compute.cpus_per_reader
    _, most = compute.pool
    assert most * compute.gpus_per_predictor <= grown["GPU"]


@pytest.mark.parametrize("where", ["raycluster.yaml", "rayjob_finetune.yaml", "aws.yaml"])
def test_a_fine_tuning_has_a_node_for_each_of_its_workers(where: str):
    job = finetune_job(load(FinetuneConfig, CONFIGS / "finetune.yaml"))
    (gpus,) = (node for node in NODES if node.where == where and node.group == "gpus")
    assert gpus.told["CPU"] >= job.cpus_per_worker
    assert gpus.told["GPU"] == 1
    assert gpus.most >= job.workers
    assert gpus.limit - gpus.store - OWN_BYTES >= NETWORK_BYTES + 8 * GIB  # and images beside the network


@pytest.mark.parametrize("where", ["raycluster.yaml", "aws.yaml"])
def test_products_have_a_node_and_some_memory_each(where: str):
    (readers,) = (node for node in NODES if node.where == where and node.group == "readers")
    assert readers.told["CPU"] >= EXPORT_CPUS
    assert (readers.limit - readers.store - OWN_BYTES) / (readers.told["CPU"] / EXPORT_CPUS) >= 4 * GIB


@pytest.mark.parametrize("node", kubernetes_nodes(), ids=lambda n: f"{n.where}-{n.group}")
def test_a_pod_fits_on_the_machine_that_is_meant_for_it(node: NodeOf):
    if node.group == "head":
        return  # no type of machine is meant: 2 CPU and 17 GiB with the autoscaler's container
    cores, memory, gpus = MACHINES[POD_MACHINES[node.group]]
    assert node.told["CPU"] <= cores - KUBELET_CPUS
    assert node.limit <= memory * GIB - KUBELET_BYTES
    assert node.told.get("GPU", 0) == gpus


@pytest.mark.parametrize("node", aws_nodes(), ids=lambda n: n.group)
def test_a_machine_has_what_its_node_is_said_to(node: NodeOf):
    config: dict[str, Any] = yaml.safe_load((CLUSTER / "aws.yaml").read_text())
    kind = config["available_node_types"][node.group]["node_config"]["InstanceType"]
    cores, _, gpus = MACHINES[kind]
    assert node.told["CPU"] <= cores
    assert node.told.get("GPU", 0) == gpus
    (shared,) = (option.removeprefix("--shm-size=") for option in config["docker"]["run_options"])
    assert node.store < int(shared.removesuffix("g")) * GIB


def test_memory_as_it_was_told_before_did_not_fit():
    """A reader of 32 GiB: Ray was told all of them, and its store took 30 % beside."""
    node = NodeOf(where="", group="readers", limit=32 * GIB, told={"memory": 32 * GIB}, store=0.3 * 32 * GIB, most=1)
    with pytest.raises(AssertionError):
        test_what_ray_is_told_of_the_store_and_what_it_is_not_told_of_fit_into_the_memory_there_is(node)
