"""DeepLabV3+: atrous convolutions at several rates, and a decoder that looks at finer maps (Chen et al. 2018)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

from landslide_scale.model.convnets.layers import convolution, enlarged

if TYPE_CHECKING:
    from collections.abc import Sequence

_CHANNELS = 256
_RATES = (6, 12, 18)
"""At an output stride of 16 (section 4.1 there); the doubles of them are for a stride of 8. At 128 px a map has 8 x 8
pixels, of which rates of 12, 24 and 36 would see nearly nothing but padding."""

_FINE = 2
_FINE_CHANNELS = 48
_DROPOUT = 0.5


class DeepLabV3Plus(nn.Module):
    """Logits at a quarter of the resolution.

    All convolutions are plain ones, as in most implementations on a ResNet; the paper's own, on Xception, are depthwise
    separable. With ResNet-50 and one class it has 40,347,041 parameters.

    Args:
        encoder: Gives feature maps of all its stages, finest first; the one of a quarter and the last are used.
        channels: Of all of them.
    """

    def __init__(self, encoder: nn.Module, channels: Sequence[int]) -> None:
        super().__init__()
        self.encoder = encoder
        self.pyramid = _Pyramid(channels[-1])
        self.fine = convolution(channels[_FINE], _FINE_CHANNELS, side=1)
        self.join = nn.Sequential(convolution(_CHANNELS + _FINE_CHANNELS, _CHANNELS), convolution(_CHANNELS, _CHANNELS))
        self.head = nn.Conv2d(_CHANNELS, 1, kernel_size=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Patches (B, C, H, W) to logits (B, 1, H / 4, W / 4)."""
        features = self.encoder(x)
        fine = self.fine(features[_FINE])
        wide = enlarged(self.pyramid(features[-1]), fine.shape[2:])
        logits: torch.Tensor = self.head(self.join(torch.cat((wide, fine), dim=1)))
        return logits


class _Pyramid(nn.Module):
    """A map as it is, at three rates, and its mean: atrous spatial pyramid pooling (Chen et al. 2017)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.near = convolution(channels, _CHANNELS, side=1)
        self.wide = nn.ModuleList(convolution(channels, _CHANNELS, rate=rate) for rate in _RATES)
        self.whole = nn.Sequential(nn.AdaptiveAvgPool2d(1), convolution(channels, _CHANNELS, side=1))
        self.join = nn.Sequential(convolution((2 + len(_RATES)) * _CHANNELS, _CHANNELS, side=1), nn.Dropout(_DROPOUT))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        whole = self.whole(x).expand(-1, -1, *x.shape[2:])
        joined: torch.Tensor = self.join(torch.cat((self.near(x), *(wide(x) for wide in self.wide), whole), dim=1))
        return joined
