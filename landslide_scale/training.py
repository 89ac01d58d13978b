"""One epoch, one evaluation, and the loop around them: plain torch, in one process or under ``torch.distributed``.

N processes compute what one would at the same global batch: rank r takes every N-th image of it, and each image's
loss is divided by the number of images in the whole batch. Order, cuts and colours are functions of (seed, epoch,
index), so a training that was stopped and resumed goes on as if it had not been (bit for bit on CPU in float32).
"""

from __future__ import annotations

import inspect
import math
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel

from landslide_scale.errors import BrokenRunError
from landslide_scale.losses import segmentation_loss
from landslide_scale.metrics import Confusion, LogitHistogram
from landslide_scale.model.precision import Precision, autocast

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from torch import Tensor, nn

    from landslide_scale.datasets import Patches
    from landslide_scale.spec import TrainSpec

_AHEAD = 2
"""Batches read while the network works on one."""

_WARMUP = 0.05

_NO_BUFFERS: dict[str, Any] = (
    # torch 2.15 renamed it and warns of the old name, which is the only one older versions know.
    {"forward_sync_buffers": False}
    if "forward_sync_buffers" in inspect.signature(DistributedDataParallel).parameters
    else {"broadcast_buffers": False}
)


@dataclass(frozen=True, kw_only=True)
class Workers:
    """The place of this process among those that train together."""

    rank: int = 0
    size: int = 1

    @classmethod
    def here(cls) -> Workers:
        """As ``torch.distributed`` was initialised, or alone."""
        if not dist.is_initialized():
            return cls()
        return cls(rank=dist.get_rank(), size=dist.get_world_size())

    def total(self, values: Tensor) -> Tensor:
        """Sum over all processes; every one of them must call it."""
        if self.size > 1:
            dist.all_reduce(values)
        return values


@dataclass(frozen=True, kw_only=True)
class Share:
    """One process's part of a global batch.

    Attributes:
        indices: Of its patches; never empty.
        weight: 1, or 0 where the batch had none left for it and it only keeps the others company.
        batch: Patches in the global batch.
    """

    indices: tuple[int, ...]
    weight: float
    batch: int


def shares(order: Iterable[int], batch: int, workers: Workers) -> Iterator[Share]:
    """Cut an order into global batches, the last maybe smaller, and give this process's part of each."""
    order = tuple(order)
    for start in range(0, len(order), batch):
        whole = order[start : start + batch]
        mine = whole[workers.rank :: workers.size]
        yield Share(indices=mine or whole[:1], weight=float(bool(mine)), batch=len(whole))


def shuffled(count: int, *, seed: int, epoch: int) -> tuple[int, ...]:
    """The order of an epoch."""
    return tuple(np.random.default_rng((seed, epoch, 0)).permutation(count).tolist())


def _loaded(
    patches: Patches, epoch: int, parts: Iterable[Share], device: torch.device, threads: int
) -> Iterator[tuple[Tensor, Tensor, Share]]:
    """Images float32 (B, C, P, P) and labels uint8 (B, P, P) of each share, read ahead in threads."""
    with ThreadPoolExecutor(threads) as pool:
        ahead: deque[tuple[Share, list[Any]]] = deque()
        for share in parts:
            ahead.append((share, [pool.submit(patches.read, epoch, index) for index in share.indices]))
            if len(ahead) > _AHEAD:
                yield _stacked(*ahead.popleft(), device)
        while ahead:
            yield _stacked(*ahead.popleft(), device)


def _stacked(share: Share, reads: list[Any], device: torch.device) -> tuple[Tensor, Tensor, Share]:
    samples = [read.result() for read in reads]
    images = torch.from_numpy(np.stack([sample.image for sample in samples]))
    labels = torch.from_numpy(np.stack([sample.label for sample in samples]))
    return images.to(device), labels.to(device), share


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """How logits become probabilities and these a mask: ``sigmoid((logit + bias) / temperature) >= threshold``."""

    threshold: float = 0.5
    temperature: float = 1.0
    bias: float = 0.0

    @classmethod
    def fitted(cls, histogram: LogitHistogram) -> Calibration:
        """The temperature of least cross-entropy and, under it, the threshold of highest expected landslide F1.

        The threshold is rounded down to four digits, so that logits exactly at the chosen bin edge, frequent in bf16,
        stay on its upper side in any arithmetic.
        """
        temperature = histogram.fit_temperature()
        probability = 1 / (1 + math.exp(-histogram.best_logit(temperature) / temperature))
        threshold = min(max(math.floor(probability * 1e4), 1), 9999) / 1e4
        return cls(threshold=threshold, temperature=temperature)

    @property
    def edge(self) -> float:
        """The logit from which a pixel counts as landslide."""
        return self.temperature * math.log(self.threshold / (1 - self.threshold)) - self.bias

    def mask(self, logits: Tensor) -> Tensor:
        """Bool, True where landslide, of the shape of `logits`."""
        return torch.sigmoid((logits.float() + self.bias) / self.temperature) >= self.threshold


@dataclass(frozen=True, kw_only=True, eq=False)
class Evaluation:
    """What a network did on some patches, summed over all processes.

    Attributes:
        confusion: Pixels under the calibration asked for.
        histogram: Pixels by logit.
        loss: Mean over patches; nan without any.
    """

    confusion: Confusion
    histogram: LogitHistogram
    loss: float


@torch.inference_mode()
def evaluate(
    net: nn.Module,
    patches: Patches,
    *,
    batch: int,
    precision: Precision = "auto",
    calibration: Calibration | None = None,
    threads: int = 2,
) -> Evaluation:
    """Run a network over patches, each process over its part.

    Args:
        net: Gives logits (B, 1, P, P) for float32 (B, C, P, P); not wrapped for DDP.
        patches: What to score.
        batch: Patches at a time over all processes.
        precision: Of the forward pass.
        calibration: What makes a mask of logits; by default probability 0.5.
        threads: That read patches.
    """
    net.eval()
    workers, device = Workers.here(), _device(net)
    calibration = calibration or Calibration()
    confusion, histogram, loss = Confusion(), LogitHistogram.empty(), 0.0
    parts = (share for share in shares(range(len(patches)), batch, workers) if share.weight)
    for images, labels, _ in _loaded(patches, 0, parts, device, threads):
        with autocast(precision, device.type):
            logits = net(images)
        confusion += Confusion.of(calibration.mask(logits[:, 0]), labels)
        histogram += LogitHistogram.of(logits, labels)
        loss += float(segmentation_loss(logits, labels).double().sum())
    return _summed(workers, device, Evaluation(confusion=confusion, histogram=histogram, loss=loss), len(patches))


def _summed(workers: Workers, device: torch.device, mine: Evaluation, patches: int) -> Evaluation:
    """The evaluation of all processes, from one whose loss is a sum over this one's patches."""
    four = [mine.confusion.tp, mine.confusion.fp, mine.confusion.fn, mine.confusion.tn]
    counts = torch.from_numpy(np.concatenate((np.array(four, np.int64), mine.histogram.counts.ravel()))).to(device)
    counts = workers.total(counts).cpu()
    loss = workers.total(torch.tensor(mine.loss, dtype=torch.float64, device=device)).item()
    tp, fp, fn, tn = counts[:4].tolist()
    return Evaluation(
        confusion=Confusion(tp=tp, fp=fp, fn=fn, tn=tn),
        histogram=LogitHistogram(counts=counts[4:].reshape(mine.histogram.counts.shape).numpy()),
        loss=loss / patches if patches else math.nan,
    )


def _device(net: nn.Module) -> torch.device:
    return next(net.parameters()).device


def optimizer_for(net: nn.Module, spec: TrainSpec) -> torch.optim.AdamW:
    """AdamW over what is trainable; the fused kernel, which on CPU saves a pass over memory per tensor."""
    trainable = [tensor for tensor in net.parameters() if tensor.requires_grad]
    return torch.optim.AdamW(
        trainable, lr=spec.learning_rate, betas=(0.9, spec.beta2), weight_decay=spec.weight_decay, fused=True
    )


def learning_rate(spec: TrainSpec, step: int, steps: int) -> float:
    """The rate of step `step` (from 0) of `steps` in the whole training."""
    if spec.schedule == "constant":
        return spec.learning_rate
    warmup = max(1, round(_WARMUP * steps))
    if step < warmup:
        return spec.learning_rate * (step + 1) / warmup
    return spec.learning_rate * 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, steps - warmup)))


def distributed(net: nn.Module) -> nn.Module:
    """The network for training: wrapped for DDP where there are several processes.

    Only tensors that require a gradient are registered, so only those are sent. Some of SAM's decoder is trainable but
    takes no part without prompts, hence ``find_unused_parameters``.
    """
    if Workers.here().size == 1:
        return net
    return DistributedDataParallel(net, find_unused_parameters=True, gradient_as_bucket_view=True, **_NO_BUFFERS)


def train_epoch(
    net: nn.Module, optimizer: torch.optim.Optimizer, patches: Patches, *, spec: TrainSpec, epoch: int, threads: int = 2
) -> float:
    """Pass once over all patches.

    Args:
        net: As `distributed` gives it.
        optimizer: Over its trainable tensors.
        patches: To learn from.
        spec: Batch, seed, rate and precision.
        epoch: From 0.
        threads: That read patches.

    Returns:
        The mean loss per patch, over all processes.

    Raises:
        BrokenRunError: The loss is no longer a number.
    """
    net.train()
    workers, device = Workers.here(), _device(net)
    steps = math.ceil(len(patches) / spec.batch)
    parts = shares(shuffled(len(patches), seed=spec.seed, epoch=epoch), spec.batch, workers)
    total = torch.zeros((), dtype=torch.float64, device=device)
    for step, (images, labels, share) in enumerate(_loaded(patches, epoch, parts, device, threads)):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(spec, epoch * steps + step, spec.epochs * steps)
        optimizer.zero_grad(set_to_none=True)
        with autocast(spec.precision, device.type):
            logits = net(images)
        loss = segmentation_loss(logits, labels).sum() * share.weight
        # DDP takes the mean of the processes' gradients; the batch's mean is wanted.
        (loss * (workers.size / share.batch)).backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(net.parameters(), spec.clip_norm)
        optimizer.step()
        total += loss.detach()
    mean = workers.total(total).item() / len(patches)
    if not math.isfinite(mean):
        raise BrokenRunError(f"the loss of epoch {epoch + 1} is {mean}", cure="Try a lower train.learning_rate.")
    return mean
