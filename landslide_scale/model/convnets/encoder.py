"""The encoders of the convolutional networks, and pretrained weights for them.

Encoders are segmentation-models-pytorch's, always without weights: with its own default it would download some.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

from landslide_scale.errors import InvalidConfigError
from landslide_scale.model.convnets.deepstem import named_here
from landslide_scale.model.core.stem import mixing
from landslide_scale.model.core.tensors import load_exactly

if TYPE_CHECKING:
    from collections.abc import Mapping

CLASSIFIERS = ("fc.", "last_linear.", "classifier.", "_fc.")
"""How names begin of the layer that tells ImageNet's classes apart, of torchvision, Cadene and others: not used."""

_DEEPEST = 5
_STAGES = ("layer1", "layer2", "layer3", "layer4")
"""Stages 2 to 5 of the ResNet family."""

_COUNTER = ".num_batches_tracked"


def drop_unused_stages(encoder: nn.Module, name: str, depth: int) -> None:
    """Remove the stages past `depth`, which would otherwise be counted and kept in checkpoints.

    Raises:
        InvalidConfigError: The encoder's stages are not known by name.
    """
    if depth == _DEEPEST:
        return
    if not all(hasattr(encoder, stage) for stage in _STAGES):
        raise InvalidConfigError(
            f"depth {depth} with encoder {name}",
            expected=f"{_DEEPEST}, or an encoder of the ResNet family",
            key="model.depth",
        )
    for stage in _STAGES[depth - 1 :]:
        setattr(encoder, stage, nn.Identity())


def load_encoder(encoder: nn.Module, given: Mapping[str, torch.Tensor], *, name: str, bands: tuple[str, ...]) -> None:
    """Copy published ImageNet weights into an encoder.

    The classifier (``fc.*`` in torchvision's files) is left out, and so are stages that the encoder has not. Where the
    bands are not three, the first convolution is what a 1 x 1 convolution by
    :func:`landslide_scale.model.core.stem.mixing` in front of it would make of it: red, green and blue are seen as
    before, and other bands start at zero.

    Args:
        encoder: Changed.
        given: State dict of the whole classification network, as torchvision publishes it.
        name: Of the encoder, for messages.
        bands: Of its first convolution.

    Raises:
        InvalidCheckpointError: The weights are not of this encoder.
    """
    own, given = encoder.state_dict(), named_here(given)
    present = tuple(f"{stage}." for stage in _STAGES if isinstance(getattr(encoder, stage, None), nn.Identity))
    kept = {key: tensor for key, tensor in given.items() if not key.startswith((*CLASSIFIERS, *present))}
    # Files from before torch counted batches lack the counters, which nothing here reads.
    counters = {key: tensor for key, tensor in own.items() if key.endswith(_COUNTER)}
    first = _first_convolution(encoder)
    if first in kept and kept[first].ndim == own[first].ndim and kept[first].shape[1] == mixing(bands).shape[0]:
        kept[first] = torch.einsum("okhw,kc->ochw", kept[first], mixing(bands))
    load_exactly(own, counters | kept, what=f"the {name} base weights")


def _first_convolution(encoder: nn.Module) -> str:
    """Name of the weights of the first convolution."""
    return next(f"{name}.weight" for name, module in encoder.named_modules() if isinstance(module, nn.Conv2d))
