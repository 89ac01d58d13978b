"""One epoch, one evaluation, and the loop around them: plain torch, in one process or under ``torch.distributed``.

N processes compute what one would at the same global batch: rank r takes every N-th image of it, and each image's
loss is divided by the number of images in the whole batch. Batch normalisation is over the whole batch too. One thing
depends on N: which values dropout drops (DeepLabV3+, PSPNet, CCNet).

Order, cuts and colours are functions of (seed, epoch, index) and dropout of (seed, epoch, rank), so a training that was
stopped and resumed goes on as if it had not been (bit for bit on CPU in float32).
"""

from __future__ import annotations

import inspect
import math
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from landslide_scale.errors import BrokenRunError, InvalidDatasetError
from landslide_scale.label_values import IGNORE
from landslide_scale.metrics import Confusion, LogitHistogram
from landslide_scale.model.core.batchnorm import has_batch_norm, share_batch_norm, weigh_images
from landslide_scale.model.core.precision import Precision, autocast
from landslide_scale.training.batches import Share, Workers, global_batches, shares, shuffled
from landslide_scale.training.losses import heads_loss, segmentation_loss

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from torch import Tensor

    from landslide_scale.datasets import Patches
    from landslide_scale.training.spec import CalibrationMethod, LossOver, TrainSpec

_AHEAD = 2
"""Batches read while the network works on one."""

_WARMUP = 0.05
_LARGEST_POWER = 700.0
"""Of e, that a float holds."""

_NO_BUFFERS: dict[str, Any] = (
    # torch 2.15 renamed it and warns of the old name, which is the only one older versions know.
    {"forward_sync_buffers": False}
    if "forward_sync_buffers" in inspect.signature(DistributedDataParallel).parameters
    else {"broadcast_buffers": False}
)


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
    """How logits become probabilities and these a mask: ``sigmoid((logit + bias) / temperature) >= threshold``.

    Attributes:
        threshold, temperature, bias: As above.
        prevalence: Share of landslide among the pixels it was fitted to, which a bias assumes; None where there were
            none.
    """

    threshold: float = 0.5
    temperature: float = 1.0
    bias: float = 0.0
    prevalence: float | None = None

    @classmethod
    def fitted(cls, histogram: LogitHistogram, method: CalibrationMethod | None = None) -> Calibration:
        """Temperature, or temperature and bias, of least cross-entropy; and the threshold of highest expected F1.

        The threshold is rounded down to four digits, so that logits exactly at the chosen bin edge, frequent in bf16,
        stay on its upper side in any arithmetic.

        Args:
            histogram: Of all pixels of the validation images, cut as `EvaluationPatches` does: ``landslide_focus``
                enriches training squares alone, so the share of landslide here is that of the data set. Whether it
                is also that of the ground, the data set's `facts` say where they can.
            method: ``platt`` fits a bias too; None is the temperature alone.
        """
        temperature, bias = histogram.fit_platt() if method == "platt" else (histogram.fit_temperature(), 0.0)
        odds = (histogram.best_logit(temperature, bias) + bias) / temperature
        probability = 1 / (1 + math.exp(min(-odds, _LARGEST_POWER)))
        threshold = min(max(math.floor(probability * 1e4), 1), 9999) / 1e4
        prevalence = None if math.isnan(histogram.prevalence) else histogram.prevalence
        return cls(threshold=threshold, temperature=temperature, bias=bias, prevalence=prevalence)

    @property
    def edge(self) -> float:
        """The logit from which a pixel counts as landslide."""
        return self.temperature * math.log(self.threshold / (1 - self.threshold)) - self.bias

    def probability(self, logits: Tensor) -> Tensor:
        """Float32 in [0, 1], of the shape of `logits`."""
        return torch.sigmoid((logits.float() + self.bias) / self.temperature)

    def mask(self, logits: Tensor) -> Tensor:
        """Bool, True where landslide, of the shape of `logits`."""
        return self.probability(logits) >= self.threshold


@dataclass(frozen=True, kw_only=True, eq=False)
class Evaluation:
    """What a network did on some patches, summed over all processes.

    Attributes:
        confusion: Pixels under the calibration asked for.
        histogram: Pixels by logit.
        loss: Mean over counted pixels of their patch's loss, or over patches; nan without any.
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
    seen: Callable[[Sequence[int], Tensor, Tensor], None] | None = None,
    loss_over: LossOver = "pixels",
) -> Evaluation:
    """Run a network over patches, each process over its part.

    Args:
        net: Gives logits (B, 1, P, P) for float32 (B, C, P, P); not wrapped for DDP.
        patches: What to score.
        batch: Patches at a time over all processes.
        precision: Of the forward pass.
        calibration: What makes a mask of logits; by default probability 0.5.
        threads: That read patches.
        seen: Given this process's patches as they come: their indices, logits (B, P, P) and labels uint8 (B, P, P).
        loss_over: What the loss is a mean over: with ``patches`` one of which a corner is counted weighs as a whole
            one.

    Raises:
        BrokenRunError: A logit is no number, or none that ends.
    """
    net.eval()
    workers, device = Workers.here(), _device(net)
    calibration = calibration or Calibration()
    confusion, histogram, loss, weight = Confusion(), LogitHistogram.empty(), 0.0, 0.0
    parts = (share for share in shares(range(len(patches)), batch, workers) if share.weight)
    for images, labels, share in _loaded(patches, 0, parts, device, threads):
        with autocast(precision, device.type):
            logits = net(images)
        if not logits.isfinite().all():
            raise BrokenRunError(
                "the network's logits are no numbers (NaN or infinite)",
                expected="weights that are",
                cure="Try a lower train.learning_rate.",
            )
        if seen is not None:
            seen(share.indices, logits[:, 0], labels)
        confusion += Confusion.of(calibration.mask(logits[:, 0]), labels)
        histogram += LogitHistogram.of(logits, labels)
        each, weights = segmentation_loss(logits, labels).double(), _weights(labels, loss_over)
        loss += float((each * weights).sum())
        weight += float(weights.sum())
    return _summed(workers, device, Evaluation(confusion=confusion, histogram=histogram, loss=loss), weight)


def _weights(labels: Tensor, loss_over: LossOver | None) -> Tensor:
    """Float64 (B,): how much each patch counts in a mean loss."""
    if loss_over == "patches":
        return torch.ones(len(labels), dtype=torch.float64, device=labels.device)
    return (labels != IGNORE).sum((1, 2)).double()


def _summed(workers: Workers, device: torch.device, mine: Evaluation, weight: float) -> Evaluation:
    """The evaluation of all processes, from one whose loss is a sum over this one's patches, of so much weight."""
    four = [mine.confusion.tp, mine.confusion.fp, mine.confusion.fn, mine.confusion.tn]
    counts = torch.from_numpy(np.concatenate((np.array(four, np.int64), mine.histogram.counts.ravel()))).to(device)
    counts = workers.total(counts).cpu()
    loss, whole = workers.total(torch.tensor([mine.loss, weight], dtype=torch.float64, device=device)).tolist()
    tp, fp, fn, tn = counts[:4].tolist()
    return Evaluation(
        confusion=Confusion(tp=tp, fp=fp, fn=fn, tn=tn),
        histogram=LogitHistogram(counts=counts[4:].reshape(mine.histogram.counts.shape).numpy()),
        loss=loss / whole if whole else math.nan,
    )


def _device(net: nn.Module) -> torch.device:
    return next(net.parameters()).device


def optimizer_for(net: nn.Module, spec: TrainSpec) -> torch.optim.AdamW:
    """AdamW over what is trainable; the fused kernel, which on CPU saves a pass over memory per tensor."""
    trainable = [
        (tensor, spec.decay == "all" or _is_matrix(module, name, tensor))
        for module in net.modules()
        for name, tensor in module.named_parameters(recurse=False)
        if tensor.requires_grad
    ]
    groups: list[dict[str, Any]] = [
        {"params": [tensor for tensor, decays in trainable if decays], "weight_decay": spec.weight_decay},
        {"params": [tensor for tensor, decays in trainable if not decays], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(
        [group for group in groups if group["params"]], lr=spec.learning_rate, betas=(0.9, spec.beta2), fused=True
    )


def _is_matrix(module: nn.Module, name: str, tensor: Tensor) -> bool:
    """Whether a tensor multiplies what comes in: no bias, normalisation, token or position."""
    return tensor.ndim > 1 and not isinstance(module, nn.Embedding) and "pos" not in name


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
    takes no part without prompts, hence ``find_unused_parameters``. Running statistics are not sent: batch
    normalisation, changed in place to see all workers' images, gives every worker the same.
    """
    if Workers.here().size == 1:
        return net
    share_batch_norm(net)
    return DistributedDataParallel(net, find_unused_parameters=True, gradient_as_bucket_view=True, **_NO_BUFFERS)


def train_epoch(
    net: nn.Module,
    optimizer: torch.optim.Optimizer,
    patches: Patches,
    *,
    spec: TrainSpec,
    epoch: int,
    threads: int = 2,
    after_step: Callable[[], None] = lambda: None,
) -> float:
    """Pass once over all patches.

    Args:
        net: As `distributed` gives it.
        optimizer: Over its trainable tensors.
        patches: To learn from.
        spec: Batch, seed, rate and precision.
        epoch: From 0.
        threads: That read patches.
        after_step: Called after each step.

    Returns:
        The mean loss over counted pixels, or over patches as `spec` says, over all processes; further heads of the
        network are in it.

    Raises:
        BrokenRunError: The loss or a gradient is no longer a number.
        InvalidDatasetError: One patch alone, from which batch normalisation learns nothing.
    """
    net.train()
    workers, device, least = Workers.here(), _device(net), _least_batch(net, len(patches))
    order = shuffled(len(patches), seed=spec.seed, epoch=epoch)
    steps = len(global_batches(order, spec.batch, least=least))
    parts = shares(order, spec.batch, workers, least=least)
    total = torch.zeros(2, dtype=torch.float64, device=device)  # of losses by weight, and of weights
    slopes = torch.zeros((), dtype=torch.float64, device=device)
    with _dropout_seeded(spec.seed, epoch, workers.rank, device):
        for step, (images, labels, share) in enumerate(_loaded(patches, epoch, parts, device, threads)):
            for group in optimizer.param_groups:
                group["lr"] = learning_rate(spec, epoch * steps + step, spec.epochs * steps)
            optimizer.zero_grad(set_to_none=True)
            weigh_images(net, share.weight if share.batch < workers.size else None)
            with autocast(spec.precision, device.type):
                logits = net(images)
            each = heads_loss(logits, labels)
            loss = each.sum() * share.weight
            # DDP takes the mean of the processes' gradients; the batch's mean is wanted.
            (loss * (workers.size / share.batch)).backward()  # type: ignore[no-untyped-call]
            slopes += torch.nn.utils.clip_grad_norm_(net.parameters(), spec.clip_norm)
            optimizer.step()
            after_step()
            weights = _weights(labels, spec.loss_over) * share.weight
            total += torch.stack(((each.detach() * weights).sum(), weights.sum()))
    losses, whole = workers.total(total).tolist()
    mean = losses / whole if whole else math.nan
    # Gradients too: after an epoch's last step no loss is taken any more.
    for what, value in (("loss", mean), ("gradient", slopes.item())):
        if not math.isfinite(value):
            raise BrokenRunError(f"the {what} of epoch {epoch + 1} is {value}", cure="Try a lower train.learning_rate.")
    return mean


def _least_batch(net: nn.Module, patches: int) -> int:
    """Two where there is batch normalisation: over a map of one pixel, one image has no variance.

    A last batch of one joins the batch before it, so that no image is left out.
    """
    least = 2 if has_batch_norm(net) else 1
    if patches < least:
        raise InvalidDatasetError(
            f"{patches} patches to train from",
            expected=f"{least} or more, for batch normalisation",
            cure="Lower train.holdout or train.validation, or add images.",
        )
    return least


@contextmanager
def _dropout_seeded(seed: int, epoch: int, rank: int, device: torch.device) -> Iterator[None]:
    """Random numbers of an epoch's dropout from (seed, epoch, rank); the global random state is left as it was."""
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else ()):
        drawn = int(np.random.default_rng((seed, epoch, rank, 1)).integers(2**63))
        torch.default_generator.manual_seed(drawn)
        if device.type == "cuda":
            torch.cuda.manual_seed(drawn)
        yield
