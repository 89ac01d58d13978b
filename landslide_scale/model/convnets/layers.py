"""What the published decoders are made of."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch.nn.functional as F
from torch import nn

if TYPE_CHECKING:
    from torch import Tensor


def convolution(channels: int, out: int, *, side: int = 3, rate: int = 1) -> nn.Sequential:
    """A convolution that keeps the sides of a map, its batch normalisation, and what is above zero of it.

    Args:
        channels: Of the maps that go in.
        out: Channels of those that come out.
        side: Of its kernel, odd.
        rate: Pixels from one tap to the next.
    """
    padding = rate * (side // 2)
    return nn.Sequential(
        nn.Conv2d(channels, out, kernel_size=side, padding=padding, dilation=rate, bias=False),
        nn.BatchNorm2d(out),
        nn.ReLU(inplace=True),
    )


def enlarged(x: Tensor, size: tuple[int, int]) -> Tensor:
    """A map (B, C, H, W) at another size (B, C, h, w), bilinearly, pixels being areas.

    Corner pixels are not put onto corners: over a map of n pixels that is a stretch by n / (n - 1), and what a network
    sees in the middle lands elsewhere at the borders.
    """
    return F.interpolate(x, size=size, mode="bilinear", align_corners=False)
