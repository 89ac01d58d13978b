"""Criss-cross attention: every pixel attends to its row and its column (Huang et al. 2019, CCNet)."""

from __future__ import annotations

import torch
from torch import nn

_NARROWER = 8


class CrissCrossAttention(nn.Module):
    """``x + gamma * attention(x)`` over the H + W - 1 pixels that share a pixel's row or column.

    Gamma starts at zero, so that an untrained module changes nothing.

    Args:
        channels: C of the feature maps; queries and keys have an eighth of them.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.query = nn.Conv2d(channels, channels // _NARROWER, kernel_size=1)
        self.key = nn.Conv2d(channels, channels // _NARROWER, kernel_size=1)
        self.value = nn.Conv2d(channels, channels, kernel_size=1)
        self.gamma = nn.Parameter(torch.zeros(1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Feature maps (B, C, H, W) to (B, C, H, W)."""
        out: torch.Tensor = x + self.gamma * criss_cross(self.query(x), self.key(x), self.value(x))
        return out


def criss_cross(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
    """Attention of every pixel to its row and its column, by one softmax over both.

    A pixel lies in its column and in its row; the column's logit of it is masked out, so that it counts once.

    Args:
        query: (B, D, H, W), not scaled.
        key: (B, D, H, W).
        value: (B, C, H, W).

    Returns:
        (B, C, H, W).
    """
    h = query.shape[2]
    along_column = torch.einsum("bdhw,bdkw->bhwk", query, key)
    along_row = torch.einsum("bdhw,bdhk->bhwk", query, key)
    itself = torch.eye(h, dtype=torch.bool, device=query.device)[:, None, :]
    along_column = along_column.masked_fill(itself, -torch.inf)
    weights = torch.cat((along_column, along_row), dim=3).softmax(dim=3).to(value.dtype)
    from_column = torch.einsum("bhwk,bckw->bchw", weights[..., :h], value)
    return from_column + torch.einsum("bhwk,bchk->bchw", weights[..., h:], value)
