"""CCNet: a dilated encoder and recurrent criss-cross attention (Huang et al. 2019, 2020)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

from landslide_scale.model.convnets.crisscross import CrissCrossAttention
from landslide_scale.model.convnets.layers import convolution

if TYPE_CHECKING:
    from collections.abc import Sequence

_CHANNELS = 512
_RECURRENCE = 2
_DROPOUT = 0.1


class OneHeadCCNet(nn.Module):
    """Logits at an eighth of the resolution, by one head; as this package built CCNet at first.

    Args:
        encoder: Gives feature maps of all its stages, finest first; the last (B, C, H / 8, W / 8) is used.
        channels: Of all of them.
    """

    def __init__(self, encoder: nn.Module, channels: Sequence[int]) -> None:
        super().__init__()
        last = channels[-1]
        self.encoder = encoder
        self.reduce = convolution(last, _CHANNELS)
        self.attention = CrissCrossAttention(_CHANNELS)
        self.smooth = convolution(_CHANNELS, _CHANNELS)
        self.join = nn.Sequential(convolution(last + _CHANNELS, _CHANNELS), nn.Dropout2d(_DROPOUT))
        self.head = nn.Conv2d(_CHANNELS, 1, kernel_size=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Patches (B, C, H, W) to logits (B, 1, H / 8, W / 8)."""
        return self._logits(self.encoder(x)[-1])

    def _logits(self, features: torch.Tensor) -> torch.Tensor:
        """Logits of the last feature map.

        One pass of the attention gathers a pixel's row and column; the second, with the same weights, the rows and
        columns of those, which is every pixel.
        """
        y = self.reduce(features)
        for _ in range(_RECURRENCE):
            y = self.attention(y)
        logits: torch.Tensor = self.head(self.join(torch.cat((features, self.smooth(y)), dim=1)))
        return logits


class CCNet(OneHeadCCNet):
    """As its authors published it: in training a second head tells from the encoder's fourth stage.

    With their ResNet-101, whose first convolution is three of 3 x 3, and one class it has 71,268,931 parameters.
    """

    def __init__(self, encoder: nn.Module, channels: Sequence[int]) -> None:
        super().__init__(encoder, channels)
        # Theirs has a bias more in front of its normalisation, which takes it out again.
        self.second = nn.Sequential(
            convolution(channels[-2], _CHANNELS), nn.Dropout2d(_DROPOUT), nn.Conv2d(_CHANNELS, 1, kernel_size=1)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Patches (B, C, H, W) to logits (B, 1, H / 8, W / 8); in training (B, 2, ...), the second head's last."""
        *_, fourth, last = self.encoder(x)
        logits = self._logits(last)
        return torch.cat((logits, self.second(fourth)), dim=1) if self.training else logits
