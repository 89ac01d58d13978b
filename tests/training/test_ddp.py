"""Real processes over gloo: two, three and four workers compute what one does."""

from __future__ import annotations

import socket
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch import nn

from landslide_scale.datasets import Found, Sample
from landslide_scale.errors import InvalidConfigError
from landslide_scale.model.core.batchnorm import share_batch_norm
from landslide_scale.training.evaluating import evaluate
from landslide_scale.training.fitting import Parts, fit, score
from landslide_scale.training.places import PlaceAreas
from landslide_scale.training.spec import TrainSpec

SPEC = TrainSpec(epochs=2, batch=4, patch=16, precision="float32", learning_rate=1e-3, average=0.5)


class Noise:
    """Patches of very different landslide fractions, so that a Dice pooled over a worker would show."""

    def __init__(self, count: int) -> None:
        self.count = count

    def __len__(self) -> int:
        return self.count

    @property
    def items(self) -> list[tuple[str, None]]:
        return [(f"image{index % 3}", None) for index in range(self.count)]

    @property
    def dataset(self) -> Noise:
        return self

    def place(self, name: str) -> str:
        return name

    def read(self, epoch: int, index: int) -> Sample:
        rng = np.random.default_rng((epoch, index))
        label = (rng.random((16, 16)) < index / self.count).astype(np.uint8)
        label[: index % 5] = 255
        return Sample(image=rng.normal(0, 1, (3, 16, 16)).astype(np.float32) + label, label=label)


class PartlyUnused(nn.Module):
    """As SAM's decoder without prompts: some of it is trainable and takes no part."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.frozen = nn.Conv2d(3, 6, 3, padding=1).requires_grad_(requires_grad=False)
        self.head = nn.Sequential(nn.GELU(), nn.Conv2d(6, 1, 3, padding=1))
        self.unused = nn.Linear(4, 4)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.head(self.frozen(images))
        return logits


class Normalised(nn.Module):
    """Batch normalisation over maps, and over the single pixel that DeepLabV3+ pools them to."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        # No biases, which batch normalisation takes out again: Adam would step along what is only rounding.
        self.maps = nn.Sequential(nn.Conv2d(3, 6, 3, padding=1, bias=False), nn.BatchNorm2d(6), nn.ReLU())
        self.pooled = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(6, 6, 1, bias=False), nn.BatchNorm2d(6))
        self.head = nn.Conv2d(6, 1, 3, padding=1)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        x = self.maps(images)
        logits: torch.Tensor = self.head(x * self.pooled(x).sigmoid())
        return logits


class Fixed(nn.Module):
    """The same in every process to the last bit."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(()))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return images[:, :1] * self.scale


NETS = {"unused": PartlyUnused, "normalised": Normalised}
MORE = (3, 4)


def train(out: str, net: nn.Module, count: int = 9) -> None:
    # 9 and 5 patches in batches of 4: last batches of one, which leaves the second of two workers without any; with
    # batch normalisation the ninth joins the second batch. 10 end in a batch of two, in which the third and the fourth
    # worker keep company only.
    parts = Parts(train=Noise(count), validation=Noise(5), holdout=Noise(5))
    state = fit(net, parts, SPEC)
    judged = score(net, state, parts, SPEC)
    losses = [(epoch.loss, epoch.validation_loss, epoch.validation_f1) for epoch in state.epochs]
    areas = PlaceAreas(parts.validation, state.best_epoch.calibration, torch.device("cpu"))
    evaluate(Fixed(), parts.validation, batch=4, precision="float32", seen=areas)
    found = {f"image{number}": Found(height=16, width=16, landslide=0, counted=0) for number in range(3)}
    said = [values.tolist() for values in areas.by_place(found, {name: name for name in found})]
    assert state.average is not None
    kept = {
        "trained": state.trained,
        "mean": state.average["mean"],
        "losses": losses,
        "confusion": vars(judged.confusion),
        "areas": said,
    }
    torch.save(kept, out)


def worker(rank: int, ports: dict[int, int], folder: str) -> None:
    torch.set_num_threads(1)
    for size, port in ports.items():
        if rank < size:
            dist.init_process_group("gloo", init_method=f"tcp://127.0.0.1:{port}", rank=rank, world_size=size)
            for name, make in NETS.items():
                train(f"{folder}/{name}-{size}-{rank}.pt", make())
            train(f"{folder}/short-{size}-{rank}.pt", Normalised(), 10)
            dist.destroy_process_group()


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    return port


def trained(folder: Path, *sizes: int) -> dict[str, dict]:
    mp.spawn(worker, args=({size: free_port() for size in sizes}, str(folder)), nprocs=max(sizes))
    return {path.stem: torch.load(path, weights_only=True) for path in folder.glob("*.pt")}


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict]:
    folder = tmp_path_factory.mktemp("alone")
    for name, make in NETS.items():
        train(f"{folder}/{name}-1-0.pt", make())
    train(f"{folder}/short-1-0.pt", Normalised(), 10)
    return {path.stem: torch.load(path, weights_only=True) for path in folder.glob("*.pt")}


@pytest.fixture(scope="module")
def results(alone: dict[str, dict], tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict]:
    """What one process and each of two found."""
    return alone | trained(tmp_path_factory.mktemp("two"), 2)


@pytest.fixture(scope="module")
def of_more(alone: dict[str, dict], tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict]:
    return alone | trained(tmp_path_factory.mktemp("more"), *MORE)


def assert_equal_to_one(results: dict[str, dict], name: str, kind: str, size: int) -> None:
    for rank in range(size):
        for key, tensor in results[f"{name}-1-0"][kind].items():
            torch.testing.assert_close(results[f"{name}-{size}-{rank}"][kind][key], tensor, atol=1e-5, rtol=1e-6)


@pytest.mark.parametrize("name", [*NETS, "short"])
@pytest.mark.parametrize("kind", ["trained", "mean"])
def test_parameters_and_running_statistics_and_their_means_equal_one_process(
    results: dict[str, dict], name: str, kind: str
):
    assert_equal_to_one(results, name, kind, 2)


@pytest.mark.slow
@pytest.mark.parametrize("size", MORE)
@pytest.mark.parametrize("name", [*NETS, "short"])
@pytest.mark.parametrize("kind", ["trained", "mean"])
def test_parameters_of_more_workers_equal_those_of_one_process(
    of_more: dict[str, dict], name: str, kind: str, size: int
):
    assert_equal_to_one(of_more, name, kind, size)


def test_batch_normalisation_is_the_same_in_every_worker_and_has_moved(results: dict[str, dict]):
    first, second = (results[f"normalised-2-{rank}"]["trained"] for rank in range(2))
    for key in ("maps.1.running_mean", "maps.1.running_var", "pooled.2.running_var"):
        assert torch.equal(first[key], second[key])
        assert not torch.allclose(first[key], Normalised().state_dict()[key], atol=1e-3)
    assert first["maps.1.num_batches_tracked"] == 4


def test_what_takes_no_part_stays(results: dict[str, dict]):
    alone = results["unused-1-0"]
    untouched = PartlyUnused()
    assert torch.equal(alone["trained"]["unused.weight"], untouched.unused.weight)
    assert not torch.allclose(alone["trained"]["head.1.weight"], untouched.head[1].weight, atol=1e-3)
    assert "frozen.weight" not in alone["trained"]


@pytest.mark.parametrize("name", NETS)
def test_losses_and_counts_equal_one_process(results: dict[str, dict], name: str):
    alone = results[f"{name}-1-0"]
    for rank in range(2):
        other = results[f"{name}-2-{rank}"]
        np.testing.assert_allclose(other["losses"], alone["losses"], atol=1e-4)
        assert sum(other["confusion"].values()) == sum(alone["confusion"].values())
        assert all(abs(other["confusion"][key] - count) <= 2 for key, count in alone["confusion"].items())
    assert results[f"{name}-2-0"]["losses"] == results[f"{name}-2-1"]["losses"]


def test_areas_by_place_are_those_of_one_process(results: dict[str, dict]):
    (expected, true), *others = (results[f"unused-{name}"]["areas"] for name in ("1-0", "2-0", "2-1"))
    assert min(expected) > 0
    assert true[1] > 0
    for other in others:
        assert other[0] == pytest.approx(expected, rel=1e-3)  # each training has a calibration of its own
        assert other[1] == true


def test_a_batch_normalisation_that_does_more_is_not_shared():
    class WithActivation(nn.BatchNorm2d):
        pass

    with pytest.raises(InvalidConfigError, match=r"compute\.workers: a WithActivation in the encoder"):
        share_batch_norm(nn.Sequential(WithActivation(3)))
