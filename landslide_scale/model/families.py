"""What differs between the kinds of networks before one is built: how they are built, and on which base weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from landslide_scale.model import weights
from landslide_scale.model.convnets import network as convnets
from landslide_scale.model.landslidenet import network as landslidenet
from landslide_scale.model.landslidenet import sam
from landslide_scale.spec import ConvNetSpec, LandslideNetSpec

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from landslide_scale.model.core.network import Network
    from landslide_scale.spec import InputSpec, ModelSpec


@dataclass(frozen=True, kw_only=True)
class Family:
    """One kind of network.

    Attributes:
        build: As :func:`build`, for specs of this kind.
        load_base: From URL, SHA-256 and cache to a state dict of base weights that could be of this kind.
        random_base: From spec and seed to the base weights that :func:`build` draws where it is given none.
        shape: From spec and scaling to the network without any memory for its tensors, to be looked at alone.
    """

    build: Callable[..., Network]
    load_base: Callable[[str, str | None, Path | None], Mapping[str, torch.Tensor]]
    random_base: Callable[[Any, int], Mapping[str, torch.Tensor]]
    shape: Callable[..., Network]


_FAMILIES: dict[type[ModelSpec], Family] = {
    LandslideNetSpec: Family(
        build=landslidenet.build,
        load_base=weights.load_base,
        random_base=lambda model, seed: sam.random_base(model.sam, seed),
        shape=landslidenet.shape,
    ),
    ConvNetSpec: Family(
        build=convnets.build,
        load_base=weights.load_classifier,
        random_base=convnets.random_base,
        shape=convnets.shape,
    ),
}


def family(model: ModelSpec) -> Family:
    """The kind of network that a spec describes."""
    return _FAMILIES[type(model)]


def build(
    model: ModelSpec,
    inputs: InputSpec,
    *,
    base: Mapping[str, torch.Tensor] | None,
    seed: int = 0,
    checkpoint_gradients: bool = False,
) -> Network:
    """Build a network on the CPU; the global random state is left as it was.

    Args:
        model: What it is made of.
        inputs: How it scales pixel values, one mean and deviation for each of ``model.bands``.
        base: Base weights in the format they are published in: a SAM state dict for LandslideNet, a classifier's for
            the convolutional networks' encoder. Copied; None for random ones from `seed`.
        seed: Of every tensor that `base` does not give.
        checkpoint_gradients: Trade time for memory in training; LandslideNet only.

    Raises:
        InvalidConfigError: `inputs` has not one mean and deviation per band, or the spec asks for parts that do not
            exist or fit.
        InvalidCheckpointError: `base` is of another network.
    """
    return family(model).build(model, inputs, base=base, seed=seed, checkpoint_gradients=checkpoint_gradients)


def shape(model: ModelSpec, inputs: InputSpec, *, checkpoint_gradients: bool = False) -> Network:
    """The network of a spec as it would be built, on torch's ``meta`` device: to be counted in a moment.

    Raises:
        InvalidConfigError: As for :func:`build`.
    """
    with torch.random.fork_rng(devices=()), torch.device("meta"):
        return family(model).shape(model, inputs, checkpoint_gradients=checkpoint_gradients)
