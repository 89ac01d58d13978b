"""One epoch of training: plain torch, in one process or under ``torch.distributed``.

N processes compute what one would at the same global batch: rank r takes every N-th image of it, and each image's
loss is divided by the number of images in the whole batch. Batch normalisation is over the whole batch too. One thing
depends on N: which values dropout drops (DeepLabV3+, PSPNet, CCNet).

Order, cuts and colours are functions of (seed, epoch, index) and dropout of (seed, epoch, rank), so a training that was
stopped and resumed goes on as if it had not been (bit for bit on CPU in float32).
"""

from __future__ import annotations

import inspect
import math
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from landslide_scale.errors import BrokenRunError, InvalidDatasetError
from landslide_scale.model.core.batchnorm import has_batch_norm, share_batch_norm, weigh_images
from landslide_scale.model.core.precision import autocast
from landslide_scale.training.batches import Workers, global_batches, loaded, shares, shuffled
from landslide_scale.training.losses import heads_loss, patch_weights

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from torch import Tensor

    from landslide_scale.datasets import Patches
    from landslide_scale.training.spec import TrainSpec

_WARMUP = 0.05

_NO_BUFFERS: dict[str, Any] = (
    # torch 2.15 renamed it and warns of the old name, which is the only one older versions know.
    {"forward_sync_buffers": False}
    if "forward_sync_buffers" in inspect.signature(DistributedDataParallel).parameters
    else {"broadcast_buffers": False}
)


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
    workers, device, least = Workers.here(), next(net.parameters()).device, _least_batch(net, len(patches))
    order = shuffled(len(patches), seed=spec.seed, epoch=epoch)
    steps = len(global_batches(order, spec.batch, least=least))
    parts = shares(order, spec.batch, workers, least=least)
    total = torch.zeros(2, dtype=torch.float64, device=device)  # of losses by weight, and of weights
    slopes = torch.zeros((), dtype=torch.float64, device=device)
    with _dropout_seeded(spec.seed, epoch, workers.rank, device):
        for step, (images, labels, share) in enumerate(loaded(patches, epoch, parts, device, threads)):
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
            weights = patch_weights(labels, spec.loss_over) * share.weight
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
