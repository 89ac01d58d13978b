"""Where tuning layers take part in a transformer block: after it, inside its branches, or parallel to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from landslide_scale.model.landslidenet.attention import attention_branch, block_forward, mlp_branch

if TYPE_CHECKING:
    import torch
    from segment_anything.modeling.image_encoder import Block

    from landslide_scale.model.landslidenet.tuning import TuningLayers


def tuned_block(block: Block, tuning: TuningLayers, number: int, x: torch.Tensor) -> torch.Tensor:
    """Tokens (B, H, W, C) through transformer block `number` and its tuning layers, if it has any."""
    layer = tuning.first(number)
    if layer is None:
        return block_forward(block, x)
    return _PLACES[tuning.spec.place](block, tuning, layer, x)


def _after(block: Block, tuning: TuningLayers, layer: int, x: torch.Tensor) -> torch.Tensor:
    tuned: torch.Tensor = tuning(block_forward(block, x), layer)
    return tuned


def _inside(block: Block, tuning: TuningLayers, layer: int, x: torch.Tensor) -> torch.Tensor:
    """A layer on each branch before it joins the tokens, as adapters are placed (Houlsby et al. 2019)."""
    x = x + tuning(attention_branch(block, x), layer)
    out: torch.Tensor = x + tuning(mlp_branch(block, x), layer + 1)
    return out


def _parallel(block: Block, tuning: TuningLayers, layer: int, x: torch.Tensor) -> torch.Tensor:
    return block_forward(block, x) + tuning.prompt(x, layer)


_PLACES = {"after": _after, "inside": _inside, "parallel": _parallel}
