"""Binary cross-entropy plus Dice, one value per image.

One value per image, so that a step's loss is a mean over the samples of the global batch however they are spread over
workers: Dice pooled over a batch would depend on which images share a worker.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

from landslide_scale.label_values import IGNORE, LANDSLIDE

if TYPE_CHECKING:
    from landslide_scale.training.spec import LossOver

_SMOOTH = 0.01
"""Added to both sides of the Dice ratio, as a share of the image's counted pixels (at least one pixel).

With the usual single pixel, once a fresh network says "nothing anywhere" in 56 px squares, an empty square pulls the
logits down twelve times as hard as a landslide of 60 pixels pulls its own up, and the network stays there; with a
hundredth of the square it is less than twice.
"""

_FURTHER = 0.4
"""Weight of each further head beside the one that is used: PSPNet's (Zhao et al. 2017) and CCNet's."""


def heads_loss(logits: Tensor, label: Tensor) -> Tensor:
    """What is learnt from: the loss of the head that is used, and 0.4 of that of each further one.

    Args:
        logits: Any floating dtype, (B, heads, H, W), the head that is used first.
        label: As for :func:`segmentation_loss`.

    Returns:
        As that does; with one head the same.
    """
    first, *further = (segmentation_loss(head, label) for head in torch.split(logits, 1, dim=1))
    return first + _FURTHER * sum(further) if further else first


def segmentation_loss(logits: Tensor, label: Tensor) -> Tensor:
    """BCE + Dice of each image, with equal weight, as the LandslideNet paper names them.

    BCE is the mean over the image's counted pixels. Dice is ``1 - (2 sum(p y) + s) / (sum(p) + sum(y) + s)`` over the
    same pixels, with ``p = sigmoid(logit)`` (the soft Dice of Milletari et al. 2016, without squares) and ``s`` a
    hundredth of them, at least 1.

    Args:
        logits: Any floating dtype, (B, 1, H, W).
        label: uint8 (B, H, W); 0 background, 1 landslide, 255 ignored.

    Returns:
        float32 (B,), or float64 for float64 logits; exactly 0 and without gradient for an image wholly ignored.
    """
    logits = logits.squeeze(1) if logits.dtype == torch.float64 else logits.squeeze(1).float()
    counted = (label != IGNORE).to(logits.dtype)
    target = (label == LANDSLIDE).to(logits.dtype)
    return _cross_entropy(logits, target, counted) + _dice(logits, target, counted)


def _cross_entropy(logits: Tensor, target: Tensor, counted: Tensor) -> Tensor:
    each = F.binary_cross_entropy_with_logits(logits, target, reduction="none") * counted
    return each.sum((1, 2)) / counted.sum((1, 2)).clamp(min=1)


def _dice(logits: Tensor, target: Tensor, counted: Tensor) -> Tensor:
    probability = torch.sigmoid(logits) * counted
    overlap = (probability * target).sum((1, 2))
    total = probability.sum((1, 2)) + target.sum((1, 2))
    smooth = (_SMOOTH * counted.sum((1, 2))).clamp(min=1)
    return 1 - (2 * overlap + smooth) / (total + smooth)


def patch_weights(labels: Tensor, loss_over: LossOver | None) -> Tensor:
    """Float64 (B,): how much each patch counts in a mean loss.

    Args:
        labels: uint8 (B, H, W); 255 is not counted.
        loss_over: ``patches``: all alike; else by their counted pixels.
    """
    if loss_over == "patches":
        return torch.ones(len(labels), dtype=torch.float64, device=labels.device)
    return (labels != IGNORE).sum((1, 2)).double()
