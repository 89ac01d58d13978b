"""CCNet: a dilated encoder and recurrent criss-cross attention (Huang et al. 2019, 2020).

As published but for the second head that helps to train the encoder's fourth stage: this package trains every network
by one loss over one output. That head has 4.7 M of the parameters the authors' own code comes to.
"""

from __future__ import annotations

import torch
from torch import nn

from landslide_scale.model.convnets.crisscross import CrissCrossAttention

_CHANNELS = 512
_RECURRENCE = 2
_DROPOUT = 0.1


class CCNet(nn.Module):
    """Logits at an eighth of the resolution.

    Args:
        encoder: Gives feature maps of all its stages, finest first; the last (B, `channels`, H / 8, W / 8) is used.
        channels: Of that last one.
    """

    def __init__(self, encoder: nn.Module, channels: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.reduce = _convolution(channels, _CHANNELS)
        self.attention = CrissCrossAttention(_CHANNELS)
        self.smooth = _convolution(_CHANNELS, _CHANNELS)
        self.join = nn.Sequential(_convolution(channels + _CHANNELS, _CHANNELS), nn.Dropout2d(_DROPOUT))
        self.head = nn.Conv2d(_CHANNELS, 1, kernel_size=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Patches (B, C, H, W) to logits (B, 1, H / 8, W / 8).

        One pass of the attention gathers a pixel's row and column; the second, with the same weights, the rows and
        columns of those, which is every pixel.
        """
        features = self.encoder(x)[-1]
        y = self.reduce(features)
        for _ in range(_RECURRENCE):
            y = self.attention(y)
        joined = self.join(torch.cat((features, self.smooth(y)), dim=1))
        logits: torch.Tensor = self.head(joined)
        return logits


def _convolution(channels: int, out: int) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(channels, out, kernel_size=3, padding=1, bias=False), nn.BatchNorm2d(out), nn.ReLU(inplace=True)
    )
