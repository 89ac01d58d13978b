"""What every network here is: pixel values in, landslide logits out, and the tensors that training made."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import nn

from landslide_scale.errors import InvalidConfigError, InvalidInputError
from landslide_scale.model.core.stem import Normalise
from landslide_scale.model.core.tensors import load_exactly

if TYPE_CHECKING:
    from collections.abc import Mapping

    from landslide_scale.spec import InputSpec, ModelSpec


class Network(nn.Module, ABC):
    """From pixel values to landslide logits. Made by :func:`landslide_scale.model.build`.

    Args:
        spec: What the network is made of.
        inputs: How it scales pixel values, one mean and deviation for each of ``spec.bands``.

    Attributes:
        spec: As given.
        inputs: As given.
        stem: From the bands to the channels of the encoder, before patches are enlarged.

    Raises:
        InvalidConfigError: `inputs` has not one mean and deviation per band.
    """

    def __init__(self, spec: ModelSpec, inputs: InputSpec) -> None:
        super().__init__()
        if not len(inputs.mean) == len(inputs.std) == len(spec.bands):
            raise InvalidConfigError(
                f"{len(inputs.mean)} means and {len(inputs.std)} deviations",
                expected=f"one for each of {', '.join(spec.bands)}",
            )
        self.spec = spec
        self.inputs = inputs
        self.normalise = Normalise(inputs)
        self.stem: nn.Module = nn.Identity()

    @abstractmethod
    def logits(self, x: torch.Tensor) -> torch.Tensor:
        """Logits (B, 1, h, w), at any resolution, of normalised and enlarged patches (B, channels, H, W).

        In training, where a network has further heads that help to train it, theirs follow: (B, 1 + heads, h, w).
        """

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Predict landslide logits.

        Args:
            images: Float32 (B, C, H, W) in the units of ``inputs.radiometry``, bands as in ``spec.bands``, NaN where
                there is no data. ``H * spec.upsample`` and ``W * spec.upsample`` are multiples of ``spec.multiple``.

        Returns:
            Logits, float32 (B, 1, H, W); a positive one says landslide is the likelier. In training those of further
            heads follow as further channels.

        Raises:
            InvalidInputError: Another number of bands, or sides that are no such multiples.
        """
        self._check(images)
        x = self.stem(self.normalise(images))
        if self.spec.upsample > 1:
            x = F.interpolate(x, scale_factor=self.spec.upsample, mode="bilinear", align_corners=False)
        logits = self.logits(x).float()
        if logits.shape[2:] == images.shape[2:]:
            return logits
        return F.interpolate(logits, size=images.shape[2:], mode="bilinear", align_corners=False)

    def _check(self, images: torch.Tensor) -> None:
        _, c, h, w = images.shape
        if c != len(self.spec.bands):
            raise InvalidInputError(f"images of {c} bands", expected=", ".join(self.spec.bands))
        if h * self.spec.upsample % self.spec.multiple or w * self.spec.upsample % self.spec.multiple:
            raise InvalidInputError(
                f"a patch of {h} x {w} px, enlarged {self.spec.upsample} times",
                expected=f"sides that are multiples of {self.spec.multiple} once enlarged",
            )

    def trained_state(self) -> dict[str, torch.Tensor]:
        """What training changes, by name, and nothing else; the tensors share memory with the network.

        These are the trainable tensors, and the buffers kept beside them: the running statistics of a batch
        normalisation that is trained.
        """
        names = {f"{prefix}{name}" for prefix, module in self._trained() for name, _ in _held(module)}
        return {name: tensor.detach() for name, tensor in self.state_dict(keep_vars=True).items() if name in names}

    def _trained(self) -> list[tuple[str, nn.Module]]:
        """Modules that hold trainable tensors themselves, each with its name and a dot."""
        return [
            (f"{name}." if name else "", module)
            for name, module in self.named_modules()
            if any(tensor.requires_grad for tensor in module.parameters(recurse=False))
        ]

    def load_trained_state(self, state: Mapping[str, torch.Tensor]) -> None:
        """Copy trained tensors in.

        Raises:
            InvalidCheckpointError: Names the tensors that are missing, unexpected or of another shape.
        """
        load_exactly(self.trained_state(), state, what="the trained tensors")


def _held(module: nn.Module) -> list[tuple[str, torch.Tensor]]:
    """Trainable tensors and buffers of a module alone."""
    trainable = [(name, tensor) for name, tensor in module.named_parameters(recurse=False) if tensor.requires_grad]
    return trainable + list(module.named_buffers(recurse=False))


def parameter_counts(net: nn.Module) -> tuple[int, int]:
    """Numbers of (trainable, all) parameters."""
    sizes = [(tensor.numel(), tensor.requires_grad) for tensor in net.parameters()]
    return sum(size for size, trainable in sizes if trainable), sum(size for size, _ in sizes)


def counts_line(net: Network) -> str:
    """Trainable and all parameters in millions, as the paper's table 3 gives them."""
    trainable, total = parameter_counts(net)
    return f"{net.spec.name}: {trainable / 1e6:.2f} M of {total / 1e6:.2f} M parameters are trained"
