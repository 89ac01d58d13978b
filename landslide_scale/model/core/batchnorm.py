"""Batch normalisation over the images of all workers, so that N of them compute what one would.

Ioffe and Szegedy 2015. Plain batch normalisation under DDP sees each worker's part alone: with two images per worker
another network is trained than with sixteen, and every worker keeps running statistics of its own.

Where a batch has fewer images than there are workers, those left without one take an image of another's along, to keep
the others company; :func:`weigh_images` keeps it out of the statistics.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
import torch.distributed as dist
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from landslide_scale.errors import InvalidConfigError

if TYPE_CHECKING:
    from torch import Tensor


def has_batch_norm(net: nn.Module) -> bool:
    """Whether any part of the network learns from the statistics of a batch."""
    return any(isinstance(module, _BatchNorm) for module in net.modules())


def share_batch_norm(net: nn.Module) -> None:
    """Make every batch normalisation of `net` see the whole batch of all workers, in place.

    On an accelerator by torch's own ``SyncBatchNorm``, which there is for no CPU; on a CPU, and for a batch in which
    images have weights, by the arithmetic of :class:`SharedBatchNorm`. Names and tensors stay, so that an optimiser and
    a checkpoint know no difference.

    Raises:
        InvalidConfigError: A batch normalisation that does more than normalise, as some encoders from timm have.
    """
    for parent in list(net.modules()):
        for name, module in list(parent.named_children()):
            if isinstance(module, _BatchNorm):
                setattr(parent, name, _shared(module))


def _shared(module: _BatchNorm) -> nn.Module:
    if type(module) is not nn.BatchNorm2d:
        raise InvalidConfigError(
            f"a {type(module).__name__} in the encoder, which several workers cannot share",
            expected="plain batch normalisation, as in the ResNet family",
            cure="Train with one worker, or choose another model.encoder.",
            key="compute.workers",
        )
    kind = SharedBatchNorm if module.weight.device.type == "cpu" else _SyncBatchNorm
    shared = kind(module.num_features, eps=module.eps, momentum=module.momentum)
    shared.weight, shared.bias = module.weight, module.bias
    for name, buffer in module.named_buffers():
        setattr(shared, name, buffer)
    return shared.train(module.training)


class SharedBatchNorm(nn.BatchNorm2d):
    """In training, batch normalisation by the mean and variance over the images of all workers.

    Every worker must call it with at least one image, in the same order of layers. Statistics are taken in float32. As
    torch does, it normalises by the biased variance and remembers the unbiased one.

    Attributes:
        images: Weight of this worker's images in the statistics, 1 or 0; None where all workers' count.
    """

    images: float | None = None

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 torch's name
        """Feature maps (B, C, H, W) to (B, C, H, W)."""
        if not self.training:
            return super().forward(input)
        return _normalised(self, input, 1.0 if self.images is None else self.images)


class _SyncBatchNorm(nn.SyncBatchNorm):
    """Torch's own, which knows no weights, and where there are some the same by :func:`_normalised`."""

    images: float | None = None

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 torch's name
        if self.images is None or not self.training:
            return super().forward(input)
        return _normalised(self, input, self.images)


def weigh_images(net: nn.Module, weight: float | None) -> None:
    """Say how this worker's next images count in the statistics of shared batch normalisation, in place.

    Every worker must say a weight, or none of them.

    Args:
        net: As :func:`share_batch_norm` made it.
        weight: 1, or 0 for an image that only keeps the others company; None where all workers' images count.
    """
    for module in net.modules():
        if isinstance(module, SharedBatchNorm | _SyncBatchNorm):
            module.images = weight


def _normalised(module: _BatchNorm, images: Tensor, weight: float) -> Tensor:
    """Feature maps normalised by the statistics of all workers' images, which are remembered."""
    x = images.float()
    sums = weight * torch.cat((x.sum((0, 2, 3)), x.new_tensor([x.numel() / x.shape[1]])))
    total, count = (everywhere := _sum_over_workers(sums))[:-1], everywhere[-1].detach()
    mean = total / count
    centred = x - mean[:, None, None]
    # The variance in a second pass: squares of large means would cost its digits.
    variance = _sum_over_workers(weight * centred.square().sum((0, 2, 3))) / count
    _remember(module, mean.detach(), (variance * count / (count - 1)).detach())
    scale = module.weight / torch.sqrt(variance + module.eps)
    return (centred * scale[:, None, None] + module.bias[:, None, None]).to(images.dtype)


def _remember(module: _BatchNorm, mean: Tensor, variance: Tensor) -> None:
    assert module.running_mean is not None  # noqa: S101 as `_shared` makes it
    assert module.running_var is not None  # noqa: S101
    assert module.num_batches_tracked is not None  # noqa: S101
    assert module.momentum is not None  # noqa: S101
    module.running_mean.lerp_(mean, module.momentum)
    module.running_var.lerp_(variance, module.momentum)
    module.num_batches_tracked.add_(1)


class _Sum(torch.autograd.Function):
    """The sum over all workers; its gradient is the sum of theirs, for what each of them has goes into all."""

    @staticmethod
    def forward(_: Any, mine: Tensor) -> Tensor:  # noqa: ANN401 torch's context
        total = mine.clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(_: Any, gradient: Tensor) -> Tensor:  # noqa: ANN401 torch's context
        total = gradient.clone()
        dist.all_reduce(total)
        return total


def _sum_over_workers(mine: Tensor) -> Tensor:
    total: Tensor = _Sum.apply(mine)
    return total
