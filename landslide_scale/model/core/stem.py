"""From pixel values in their own units to the three channels SAM's encoder takes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

if TYPE_CHECKING:
    from landslide_scale.spec import InputSpec

_COLOURS = ("red", "green", "blue")


class Normalise(nn.Module):
    """``(clip(x, low, high) * gain - mean) / std`` per band, and exactly 0, the band mean, where there is no data.

    Elevation and slope are not clamped, and their gain is 1.

    Holds no state of its own in a state dict: the card of a checkpoint says what it does.
    """

    low: torch.Tensor
    high: torch.Tensor
    gain: torch.Tensor
    mean: torch.Tensor
    std: torch.Tensor

    def __init__(self, inputs: InputSpec) -> None:
        super().__init__()
        low, high, gain = inputs.limits()
        held = {"low": low, "high": high, "gain": gain, "mean": inputs.mean, "std": inputs.std}
        for name, values in held.items():
            self.register_buffer(name, torch.tensor(values).reshape(-1, 1, 1), persistent=False)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Float32 images (B, C, H, W), NaN where there is no data, to network input (B, C, H, W) without NaN."""
        scaled = (images.clamp(self.low, self.high) * self.gain - self.mean) / self.std
        return scaled.masked_fill(images.isnan(), 0.0)


def stem(bands: tuple[str, ...]) -> nn.Module:
    """A module from (B, C, H, W) to (B, 3, H, W): nothing for three bands, else a trainable 1 x 1 convolution.

    It starts as :func:`mixing`.
    """
    if len(bands) == len(_COLOURS):
        return nn.Identity()
    convolution = nn.Conv2d(len(bands), len(_COLOURS), kernel_size=1)
    with torch.no_grad():
        convolution.weight.copy_(mixing(bands)[..., None, None])
        convolution.bias.zero_()  # type: ignore[union-attr]
    return convolution


def mixing(bands: tuple[str, ...]) -> torch.Tensor:
    """Weights (3, C) by which C bands stand in for the red, green and blue of pretrained weights.

    Three bands, whatever their names, stand in their order. Of any other number red, green and blue pass unchanged; a
    colour that `bands` lacks is the mean of all bands, so that no channel is empty.
    """
    if len(bands) == len(_COLOURS):
        return torch.eye(len(_COLOURS))
    return torch.stack([_mix(colour, bands) for colour in _COLOURS])


def _mix(colour: str, bands: tuple[str, ...]) -> torch.Tensor:
    """Weights (C) with which the bands make up one colour."""
    if colour not in bands:
        return torch.full((len(bands),), 1 / len(bands))
    return torch.tensor([float(band == colour) for band in bands])
