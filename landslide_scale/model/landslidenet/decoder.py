"""SAM's mask decoder without prompts, for a batch of images.

segment_anything's own ``predict_masks`` repeats one image for many prompts and so assumes a batch of one. Here there
are many images and no prompt: the tuning layers stand in for it (paper, section 2.2).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F

from landslide_scale.model.landslidenet.attention import attention_of

if TYPE_CHECKING:
    from segment_anything.modeling import MaskDecoder, PromptEncoder, TwoWayTransformer
    from segment_anything.modeling.transformer import Attention, TwoWayAttentionBlock
    from torch import nn

_MASK_TOKEN = 0
"""Of SAM's four mask tokens the one meant for a single mask; the other three are for ambiguous prompts."""

_ROWS = 8


def decode(decoder: MaskDecoder, prompts: PromptEncoder, embeddings: torch.Tensor) -> torch.Tensor:
    """Predict mask logits.

    Args:
        decoder: segment_anything's mask decoder, of which only the weights and settings are used.
        prompts: Its prompt encoder, for the position encoding and the embedding that says "no mask given".
        embeddings: From the image encoder (B, 256, H, W), in tokens.

    Returns:
        Logits (B, 1, 4 H, 4 W).
    """
    b, c, h, w = embeddings.shape
    tokens = torch.cat((decoder.iou_token.weight, decoder.mask_tokens.weight)).expand(b, -1, -1)
    source = embeddings + prompts.no_mask_embed.weight.reshape(1, c, 1, 1)
    position = _sequence(_dense_position(prompts, (h, w)))
    tokens, source = _two_way(decoder.transformer, tokens, _sequence(source), position)

    upscaled = decoder.output_upscaling(source.transpose(1, 2).reshape(b, c, h, w))
    # Token 0 predicts the quality of the masks, which nothing here reads.
    mask_token = tokens[:, 1 + _MASK_TOKEN : 2 + _MASK_TOKEN]
    logits: torch.Tensor = _each(decoder.output_hypernetworks_mlps[_MASK_TOKEN], mask_token) @ upscaled.flatten(2)
    return logits.reshape(b, 1, *upscaled.shape[2:])


def _sequence(grid: torch.Tensor) -> torch.Tensor:
    """(B, C, H, W) as a sequence (B, H * W, C)."""
    return grid.flatten(2).transpose(1, 2)


def _dense_position(prompts: PromptEncoder, grid: tuple[int, int]) -> torch.Tensor:
    """Position encoding (1, 256, H, W), always in float32: bf16 cannot tell the phases of its sines apart."""
    device = prompts.no_mask_embed.weight.device
    with torch.autocast(device.type, enabled=False):
        encoding: torch.Tensor = prompts.pe_layer(grid)
    return encoding.unsqueeze(0)


def _two_way(
    transformer: TwoWayTransformer, tokens: torch.Tensor, image: torch.Tensor, position: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Let the output tokens and the image attend to each other.

    Args:
        transformer: segment_anything's two-way transformer.
        tokens: (B, 5, C); they are their own position encoding.
        image: (B, H * W, C).
        position: Of the image (1, H * W, C).

    Returns:
        Tokens (B, 5, C) and image (B, H * W, C).
    """
    queries = tokens
    for layer in transformer.layers:
        queries = _among_tokens(layer, queries, tokens)
        attended = _attend(layer.cross_attn_token_to_image, queries + tokens, image + position, image)
        queries = layer.norm2(queries + attended)
        queries = layer.norm3(queries + _each(layer.mlp, queries))
        attended = _attend(layer.cross_attn_image_to_token, image + position, queries + tokens, queries)
        image = layer.norm4(image + attended)
    attended = _attend(transformer.final_attn_token_to_image, queries + tokens, image + position, image)
    return transformer.norm_final_attn(queries + attended), image


def _among_tokens(layer: TwoWayAttentionBlock, queries: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
    """Self-attention of the tokens (B, 5, C); the first layer's replaces them, without position or skip."""
    if layer.skip_first_layer_pe:
        queries = _attend(layer.self_attn, queries, queries, queries)
    else:
        placed = queries + tokens
        queries = queries + _attend(layer.self_attn, placed, placed, queries)
    normed: torch.Tensor = layer.norm1(queries)
    return normed


def _attend(attention: Attention, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    """Attention of (B, N, C) to (B, M, C): (B, N, C)."""
    heads = attention.num_heads
    q, k, v = (
        _each(project, x).reshape(*x.shape[:2], heads, -1).transpose(1, 2)
        for project, x in ((attention.q_proj, q), (attention.k_proj, k), (attention.v_proj, v))
    )
    y = attention_of(q, k, v)
    return _each(attention.out_proj, y.transpose(1, 2).flatten(2))


def _each(layers: nn.Module, x: torch.Tensor) -> torch.Tensor:
    """Layers over every token on its own: (B, N, C) to (B, N, other C).

    N is filled up to a multiple of eight with zeros and cut again. On two threads MKL multiplies float32 matrices of
    5, 6, 7, 9, 10 or 11 rows (two images of five tokens, six masks) by rules that differ between rows, so that the
    last bits of an image would depend on its place in the batch (measured).
    """
    tokens = x.shape[1]
    out: torch.Tensor = layers(F.pad(x, (0, 0, 0, -tokens % _ROWS)))[:, :tokens]
    return out
