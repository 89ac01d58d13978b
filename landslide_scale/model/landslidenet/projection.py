"""The maps W that a tuning layer is made of, over tokens (B, H, W, C)."""

from __future__ import annotations

import math

from torch import Tensor, nn

_KERNEL = 3


class TokenConvolution(nn.Conv2d):
    """A 3 x 3 convolution over the grid of tokens, zero beyond its border: (B, H, W, C) to (B, H, W, other C)."""

    def __init__(self, channels: int, out: int) -> None:
        super().__init__(channels, out, _KERNEL, padding=_KERNEL // 2)

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 torch's name
        """Tokens (B, H, W, C) to (B, H, W, other C)."""
        return super().forward(input.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)


def projection(channels: int, out: int, *, across: bool) -> nn.Module:
    """One W: `across` neighbouring tokens, or over each token alone."""
    return TokenConvolution(channels, out) if across else nn.Linear(channels, out)


def keep_variance(maps: nn.Module, *, then_gelu: bool) -> None:
    """Draw every W in `maps` so that tokens come out of it, and of a GELU behind it, with the variance they had.

    He et al. 2015, for ReLU; GELU lets nearly as much through. Biases are zero.
    """
    gain = math.sqrt(2) if then_gelu else 1.0
    for name, tensor in maps.named_parameters():
        if name.endswith("bias"):
            nn.init.zeros_(tensor)
        else:
            nn.init.normal_(tensor, std=gain / math.sqrt(tensor[0].numel()))
