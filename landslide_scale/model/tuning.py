"""The tuning layers of LandslideNet: the "dynamic prompt" after every transformer block (paper, sections 2.2, 2.3)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch.nn.functional as F
from torch import Tensor, nn

if TYPE_CHECKING:
    from landslide_scale.spec import TuningSpec


class TuningLayers(nn.Module):
    """``y = x + W_up(GELU(W_tune(GELU(W_down x))))``, one layer for each transformer block.

    W_up and its bias start at zero, so that the untrained layers change nothing.

    Args:
        dim: Channels of the transformer.
        depth: Its blocks.
        spec: Width of the bottleneck and what the blocks share. The paper gives neither: see ``presets.PAPER``.
    """

    def __init__(self, *, dim: int, depth: int, spec: TuningSpec) -> None:
        super().__init__()
        ends = 1 if spec.sharing == "shared" else depth
        self.down = nn.ModuleList(nn.Linear(dim, spec.width) for _ in range(ends))
        self.tune = nn.ModuleList(nn.Linear(spec.width, spec.width) for _ in range(depth))
        self.up = nn.ModuleList(nn.Linear(spec.width, dim) for _ in range(ends))
        for tensor in self.up.parameters():
            nn.init.zeros_(tensor)

    def forward(self, x: Tensor, block: int) -> Tensor:
        """Tokens (B, H, W, C) as they leave transformer block number `block`, tuned: (B, H, W, C)."""
        end = block % len(self.down)
        y = F.gelu(self.down[end](x))
        y = F.gelu(self.tune[block](y))
        tuned: Tensor = x + self.up[end](y)
        return tuned
