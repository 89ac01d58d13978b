"""Weights averaged over the steps of a training, which no single step moves far."""

from __future__ import annotations

from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING, Any, Protocol

import torch

from landslide_scale.model.core.tensors import load_exactly

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from torch import Tensor, nn

_FIRST = 10
"""After n steps the old mean counts (1 + n) / (10 + n) at most, so that it forgets where it began; as TensorFlow's
``ExponentialMovingAverage`` does."""


def changing(net: nn.Module) -> dict[str, Tensor]:
    """What training may change, itself and no copy: trainable parameters, and buffers such as running means."""
    frozen = {name for name, tensor in net.named_parameters() if not tensor.requires_grad}
    return {name: tensor for name, tensor in net.state_dict().items() if name not in frozen}


class Averaging(Protocol):
    """What a training keeps beside its network, and shows instead of it to whoever judges it."""

    @property
    def state(self) -> Mapping[str, Any] | None:
        """From which to go on, as ``torch.load(weights_only=True)`` reads back."""

    def take(self) -> None:
        """Take in the network after a step."""

    def shown(self) -> AbstractContextManager[None]:
        """The network with what is kept in it for as long as the block takes."""


def averaging(net: nn.Module, keep: float, state: Mapping[str, Any] | None) -> Averaging:
    """The exponential mean of `net` with `keep`, from `state` on; with 0, the network itself."""
    return WeightAverage(net, keep, state=state) if keep else NoAverage()


class NoAverage:
    """The network as each step left it."""

    state = None

    def take(self) -> None:
        """Nothing to do."""

    def shown(self) -> AbstractContextManager[None]:
        """The network as it is."""
        return nullcontext()


class WeightAverage:
    """Exponential mean of a network's trained tensors over optimiser steps (Polyak and Juditsky 1992).

    Running statistics of a batch normalisation are averaged as weights are; what is counted is taken as it is. Where
    several processes train together, each comes to the same mean, for their networks are the same.

    Args:
        net: Whose tensors; not wrapped for DDP.
        keep: Share of the old mean that a step leaves, in (0, 1).
        state: Where to go on, as `state` gave it; None for the network as it is.

    Raises:
        InvalidCheckpointError: The state is of another network.
    """

    def __init__(self, net: nn.Module, keep: float, *, state: Mapping[str, Any] | None = None) -> None:
        self._net, self._keep = net, keep
        self._steps = state["steps"] if state else 0
        self._mean = {name: tensor.detach().clone() for name, tensor in changing(net).items()}
        if state:
            load_exactly(self._mean, state["mean"], what="the averaged tensors of the training's state")

    @property
    def state(self) -> dict[str, Any]:
        """``mean``: copies of the tensors on the CPU, by name; ``steps``: how many they have seen."""
        return {"mean": {name: tensor.cpu().clone() for name, tensor in self._mean.items()}, "steps": self._steps}

    @torch.no_grad()
    def take(self) -> None:
        """Take in the network after a step."""
        self._steps += 1
        keep = min(self._keep, (1 + self._steps) / (_FIRST + self._steps))
        for name, tensor in changing(self._net).items():
            mean = self._mean[name]
            if mean.is_floating_point():
                mean.lerp_(tensor, 1 - keep)
            else:
                mean.copy_(tensor)

    @contextmanager
    def shown(self) -> Iterator[None]:
        """The network with the mean in it for as long as the block takes."""
        own = {name: tensor.detach().clone() for name, tensor in changing(self._net).items()}
        load_exactly(changing(self._net), self._mean, what="the averaged tensors")
        try:
            yield
        finally:
            load_exactly(changing(self._net), own, what="the tensors of the last step")
