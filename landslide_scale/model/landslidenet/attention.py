"""SAM's transformer block over its own weights, with attention through ``scaled_dot_product_attention``.

segment_anything writes out the attention matrix and its softmax; here the decomposed relative position (Li et al.
2022, MViTv2) is handed to torch's kernel as an additive bias, wherever torch has one. Equal to the original in float32
to 1e-5 (tested).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from segment_anything.modeling.image_encoder import window_partition, window_unpartition

if TYPE_CHECKING:
    from segment_anything.modeling.image_encoder import Attention, Block


def block_forward(block: Block, x: torch.Tensor) -> torch.Tensor:
    """One transformer block of the image encoder: tokens (B, H, W, C) to tokens (B, H, W, C)."""
    x = x + attention_branch(block, x)
    return x + mlp_branch(block, x)


def attention_branch(block: Block, x: torch.Tensor) -> torch.Tensor:
    """What a block's attention adds to the tokens (B, H, W, C)."""
    y = block.norm1(x)
    if not block.window_size:
        return attend(block.attn, y)
    windows, padded = window_partition(y, block.window_size)
    joined: torch.Tensor = window_unpartition(attend(block.attn, windows), block.window_size, padded, x.shape[1:3])
    return joined


def mlp_branch(block: Block, x: torch.Tensor) -> torch.Tensor:
    """What a block's MLP adds to the tokens (B, H, W, C)."""
    out: torch.Tensor = block.mlp(block.norm2(x))
    return out


def attend(attention: Attention, x: torch.Tensor) -> torch.Tensor:
    """Multi-head self-attention with relative position: tokens (B, H, W, C) to tokens (B, H, W, C)."""
    b, h, w, c = x.shape
    heads = attention.num_heads
    qkv = attention.qkv(x).reshape(b, h * w, 3, heads, c // heads)
    q, k, v = qkv.permute(2, 0, 3, 1, 4).unbind(0)
    bias = position_bias(q, attention.rel_pos_h, attention.rel_pos_w, (h, w))
    y = attention_of(q, k, v, bias)
    out: torch.Tensor = attention.proj(y.transpose(1, 2).reshape(b, h, w, c))
    return out


def attention_of(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, bias: torch.Tensor | None = None) -> torch.Tensor:
    """Attention of (B, heads, N, C) to (B, heads, M, C): (B, heads, N, C).

    Learning on a CPU, the matrix is written out: torch has no kernel there whose backward takes a bias or spreads few
    keys over its threads, and a whole training step in bf16 took a third longer by what it has (``benchmarks/``).

    Args:
        q: Queries, not yet scaled.
        k: Keys.
        v: Values.
        bias: Added to the logits (B, heads, N, M), in the dtype of `q`.
    """
    if q.device.type != "cpu" or not torch.is_grad_enabled():
        return F.scaled_dot_product_attention(q, k, v, attn_mask=bias)
    shape, scale = (*q.shape[:-1], v.shape[-1]), q.shape[-1] ** -0.5
    q, k, v = (x.flatten(0, 1) for x in (q, k, v))
    if bias is None:
        logits = torch.bmm(q * scale, k.transpose(1, 2))
    else:
        logits = torch.baddbmm(bias.flatten(0, 1), q, k.transpose(1, 2), alpha=scale)
    return torch.bmm(logits.softmax(-1).to(v.dtype), v).reshape(shape)


def position_bias(
    q: torch.Tensor, rel_pos_h: torch.Tensor, rel_pos_w: torch.Tensor, grid: tuple[int, int]
) -> torch.Tensor:
    """What relative position adds to the attention logits: (B, heads, H * W, H * W), in the dtype of `q`.

    Args:
        q: Queries, not yet scaled: (B, heads, H * W, C).
        rel_pos_h: Relative positions along rows (2 * size - 1, C), resized where H is not their size.
        rel_pos_w: The same along columns.
        grid: (H, W).
    """
    h, w = grid
    rows = _between(h, rel_pos_h).to(q.dtype)
    columns = _between(w, rel_pos_w).to(q.dtype)
    q = q.reshape(*q.shape[:2], h, w, q.shape[3])
    along_rows = torch.einsum("bnhwc,hkc->bnhwk", q, rows)
    along_columns = torch.einsum("bnhwc,wkc->bnhwk", q, columns)
    bias = along_rows.unsqueeze(-1) + along_columns.unsqueeze(-2)
    return bias.reshape(*q.shape[:2], h * w, h * w)


def _between(size: int, table: torch.Tensor) -> torch.Tensor:
    """The relative position embedding of every pair of `size` positions: (size, size, C)."""
    length = 2 * size - 1
    if table.shape[0] != length:
        resized = F.interpolate(table.float().t().unsqueeze(0), size=length, mode="linear")
        table = resized.squeeze(0).t()
    place = torch.arange(size, device=table.device)
    return table[place[:, None] - place[None, :] + size - 1]
