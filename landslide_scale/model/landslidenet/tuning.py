"""The tuning layers of LandslideNet, the "dynamic prompt" beside SAM's frozen blocks (paper, sections 2.2 and 2.3).

Where in a block they take part is in ``placement.py``; what one of their W is, in ``projection.py``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch.nn.functional as F
from torch import Tensor, nn

from landslide_scale.errors import InvalidConfigError
from landslide_scale.model.landslidenet.projection import keep_variance, projection

if TYPE_CHECKING:
    from landslide_scale.spec import TuningSpec


class TuningLayers(nn.Module):
    """``T(x) = W_up(GELU(W_tune(GELU(W_down x))))``, one layer for each place in each tuned transformer block.

    With a skip connection (and in parallel, where the block is one) W_up and its bias start at zero, so that the
    untrained layers change nothing. Without one that would wipe out every token, so all three W then start with random
    weights that keep the tokens' variance: the network is not SAM at the start, but every tensor gets a gradient.

    Args:
        dim: Channels of the transformer.
        depth: Its blocks.
        spec: Which variant. The paper gives neither width nor what blocks share: see ``presets.PAPER``.

    Raises:
        InvalidConfigError: A block to tune that the transformer does not have.
    """

    def __init__(self, *, dim: int, depth: int, spec: TuningSpec) -> None:
        super().__init__()
        self.spec = spec
        blocks = _blocks(spec, depth)
        per_block = 2 if spec.place == "inside" else 1
        self._first = {block: per_block * place for place, block in enumerate(blocks)}
        layers = per_block * len(blocks)
        ends = 1 if spec.sharing == "shared" else layers
        end, middle = spec.structure == "conv", spec.structure != "mlp"
        self.down = nn.ModuleList(projection(dim, spec.width, across=end) for _ in range(ends))
        self.tune = nn.ModuleList(projection(spec.width, spec.width, across=middle) for _ in range(layers))
        self.up = nn.ModuleList(projection(spec.width, dim, across=end) for _ in range(ends))
        if spec.skip:
            for tensor in self.up.parameters():
                nn.init.zeros_(tensor)
        else:
            for maps in (self.down, self.tune, self.up):
                keep_variance(maps, then_gelu=maps is not self.up)

    def first(self, block: int) -> int | None:
        """Number of the first tuning layer of a transformer block; None where it has none."""
        return self._first.get(block)

    def prompt(self, x: Tensor, layer: int) -> Tensor:
        """``T(x)`` by tuning layer number `layer`: tokens (B, H, W, C) to (B, H, W, C)."""
        end = layer % len(self.down)
        y = F.gelu(self.down[end](x))
        y = F.gelu(self.tune[layer](y))
        prompt: Tensor = self.up[end](y)
        return prompt

    def forward(self, x: Tensor, layer: int) -> Tensor:
        """``x + T(x)``, or ``T(x)`` without skip: tokens (B, H, W, C) to (B, H, W, C)."""
        prompt = self.prompt(x, layer)
        return x + prompt if self.spec.skip else prompt


def _blocks(spec: TuningSpec, depth: int) -> tuple[int, ...]:
    """Numbers of the blocks to tune, ascending."""
    blocks = tuple(range(depth)) if spec.blocks is None else tuple(sorted(spec.blocks))
    if blocks[0] < 0 or blocks[-1] >= depth:
        raise InvalidConfigError(
            f"blocks {list(blocks)}", expected=f"of 0 to {depth - 1}, the encoder's", key="model.tuning.blocks"
        )
    return blocks
