"""PSPNet: a dilated encoder and means over coarser and coarser parts of the map (Zhao et al. 2017)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

from landslide_scale.model.convnets.layers import convolution, enlarged

if TYPE_CHECKING:
    from collections.abc import Sequence

_BINS = (1, 2, 3, 6)
_CHANNELS = 512
_DROPOUT = 0.1


class PSPNet(nn.Module):
    """Logits at an eighth of the resolution.

    As published but for the second head that helps to train the encoder's fourth stage: by its count of parameters the
    network of the LandslideNet paper has none. With ResNet-50 and one class it has 46,582,337.

    Args:
        encoder: Gives feature maps of all its stages, finest first; the last (B, C, H / 8, W / 8) is used.
        channels: Of all of them.
    """

    def __init__(self, encoder: nn.Module, channels: Sequence[int]) -> None:
        super().__init__()
        last = channels[-1]
        self.encoder = encoder
        self.parts = nn.ModuleList(
            nn.Sequential(nn.AdaptiveAvgPool2d(bins), convolution(last, last // len(_BINS), side=1)) for bins in _BINS
        )
        self.join = nn.Sequential(convolution(2 * last, _CHANNELS), nn.Dropout2d(_DROPOUT))
        self.head = nn.Conv2d(_CHANNELS, 1, kernel_size=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Patches (B, C, H, W) to logits (B, 1, H / 8, W / 8)."""
        features = self.encoder(x)[-1]
        parts = [enlarged(part(features), features.shape[2:]) for part in self.parts]
        logits: torch.Tensor = self.head(self.join(torch.cat((features, *parts), dim=1)))
        return logits
