"""SAM's image encoder with tuning layers, for any image whose sides are multiples of 16."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch.utils.checkpoint import checkpoint

from landslide_scale.model.landslidenet.placement import tuned_block

if TYPE_CHECKING:
    from segment_anything.modeling import ImageEncoderViT

    from landslide_scale.model.landslidenet.tuning import TuningLayers


def encode(
    encoder: ImageEncoderViT, tuning: TuningLayers, images: torch.Tensor, *, checkpoint_gradients: bool = False
) -> torch.Tensor:
    """Embed images.

    Args:
        encoder: segment_anything's image encoder, of which only the weights and settings are used.
        tuning: What takes part in the blocks.
        images: Normalised, float32 (B, 3, H, W), H and W multiples of 16.
        checkpoint_gradients: Recompute each block in the backward pass instead of keeping what it needs.

    Returns:
        Embeddings (B, 256, H / 16, W / 16).
    """
    x = encoder.patch_embed(images)
    x = x + position_embedding(encoder.pos_embed, x.shape[1:3])
    for number, block in enumerate(encoder.blocks):
        if checkpoint_gradients and torch.is_grad_enabled():
            x = checkpoint(tuned_block, block, tuning, number, x, use_reentrant=False)
        else:
            x = tuned_block(block, tuning, number, x)
    embeddings: torch.Tensor = encoder.neck(x.permute(0, 3, 1, 2))
    return embeddings


def position_embedding(native: torch.Tensor, grid: torch.Size | tuple[int, int]) -> torch.Tensor:
    """The absolute position embedding (1, H, W, C) resized to `grid`; itself where it has that size already.

    Antialiased, because a patch has fewer tokens than the 64 x 64 that SAM saw.
    """
    if native.shape[1:3] == tuple(grid):
        return native
    resized = F.interpolate(
        native.permute(0, 3, 1, 2), size=tuple(grid), mode="bicubic", align_corners=False, antialias=True
    )
    return resized.permute(0, 2, 3, 1)
