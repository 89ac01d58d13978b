"""Segment Anything's parts in its four sizes, built from segment_anything's own classes.

Kirillov et al. 2023, Segment Anything. The official checkpoints are for images of 1024 px, 64 x 64 tokens.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import torch
from segment_anything.modeling import ImageEncoderViT, MaskDecoder, PromptEncoder, TwoWayTransformer
from torch import nn

if TYPE_CHECKING:
    from landslide_scale.spec import SamSize

TOKEN = 16
"""Side of a token in pixels of the encoder's input."""

EMBEDDING = 256
"""Channels between encoder and decoder."""

_IMAGE = 1024
_GRID = _IMAGE // TOKEN
_WINDOW = 14
_POSITION_STD = 0.02
_RATES = (1.2, 0.3)


@dataclass(frozen=True, kw_only=True)
class SamShape:
    """What tells one size of SAM from another; everything else is common to all.

    Attributes:
        dim: Channels of the image encoder.
        depth: Its transformer blocks.
        heads: Attention heads of each.
        global_blocks: The blocks that attend over the whole image; the others do so in windows of 14 x 14 tokens.
    """

    dim: int
    depth: int
    heads: int
    global_blocks: tuple[int, ...]


SHAPES: dict[SamSize, SamShape] = {
    "vit_t": SamShape(dim=128, depth=6, heads=2, global_blocks=(2, 5)),
    "vit_b": SamShape(dim=768, depth=12, heads=12, global_blocks=(2, 5, 8, 11)),
    "vit_l": SamShape(dim=1024, depth=24, heads=16, global_blocks=(5, 11, 17, 23)),
    "vit_h": SamShape(dim=1280, depth=32, heads=16, global_blocks=(7, 15, 23, 31)),
}


def sam_parts(size: SamSize) -> nn.ModuleDict:
    """SAM as ``image_encoder``, ``prompt_encoder`` and ``mask_decoder``, named as in the official checkpoints."""
    return _with_the_rest(_image_encoder(SHAPES[size]))


def empty_parts(size: SamSize) -> nn.ModuleDict:
    """The same on the CPU, its weights of no meaning; no time goes into drawing them.

    The encoder has nearly all of them. What is small is drawn: on the ``meta`` device its embeddings, and ``to_empty``
    of any module, would have torch import its compiler, which takes seconds. The global random state is left as it was.
    """
    with torch.random.fork_rng(devices=()):
        with torch.device("meta"):
            encoder = _image_encoder(SHAPES[size])
        held = {name: torch.empty(one.shape, dtype=one.dtype) for name, one in encoder.state_dict().items()}
        encoder.load_state_dict(held, assign=True)
        return _with_the_rest(encoder)


def _with_the_rest(encoder: nn.Module) -> nn.ModuleDict:
    return nn.ModuleDict(
        {
            "image_encoder": encoder,
            "prompt_encoder": PromptEncoder(
                embed_dim=EMBEDDING,
                image_embedding_size=(_GRID, _GRID),
                input_image_size=(_IMAGE, _IMAGE),
                mask_in_chans=16,
            ),
            "mask_decoder": _mask_decoder(),
        }
    )


def _image_encoder(shape: SamShape) -> nn.Module:
    encoder: nn.Module = ImageEncoderViT(
        img_size=_IMAGE,
        patch_size=TOKEN,
        embed_dim=shape.dim,
        depth=shape.depth,
        num_heads=shape.heads,
        mlp_ratio=4,
        norm_layer=partial(nn.LayerNorm, eps=1e-6),
        qkv_bias=True,
        use_rel_pos=True,
        window_size=_WINDOW,
        global_attn_indexes=shape.global_blocks,
        out_chans=EMBEDDING,
    )
    return encoder


def _mask_decoder() -> nn.Module:
    decoder: nn.Module = MaskDecoder(
        num_multimask_outputs=3,
        transformer=TwoWayTransformer(depth=2, embedding_dim=EMBEDDING, mlp_dim=2048, num_heads=8),
        transformer_dim=EMBEDDING,
        iou_head_depth=3,
        iou_head_hidden_dim=256,
    )
    return decoder


def random_base(size: SamSize, seed: int) -> dict[str, torch.Tensor]:
    """A SAM state dict of random weights in the official format, the same for the same seed and version of torch.

    The global random state is left as it was. Position embeddings, which segment_anything starts at zero because it
    only ever loads them, are drawn from a truncated normal of deviation 0.02, as is usual for a ViT. The heads of
    windowed blocks start by looking around themselves (see `_look_nearby`).
    """
    with torch.random.fork_rng(devices=()):
        # Not torch.manual_seed: that would reseed the accelerators too, which are not forked here.
        torch.default_generator.manual_seed(seed)
        parts = sam_parts(size)
        for name, tensor in parts["image_encoder"].named_parameters():
            if "pos" in name.rsplit(".", maxsplit=1)[-1]:
                nn.init.trunc_normal_(tensor, std=_POSITION_STD)
        for number, block in enumerate(parts["image_encoder"].get_submodule("blocks").children()):
            if number not in SHAPES[size].global_blocks:
                _look_nearby(block.get_submodule("attn"), SHAPES[size])
    state: dict[str, torch.Tensor] = parts.state_dict()
    return state


def _look_nearby(attention: nn.Module, shape: SamShape) -> None:
    """Let each head start with attention that falls off with distance, at a rate of its own.

    Far fewer images than SAM saw teach a ViT to compare a place with its surroundings when it starts by doing so
    (d'Ascoli et al. 2021, ConViT); on the demo's made world 200 steps then reach what took 300 to 400. A bias of the
    query along one direction meets a relative position that falls along it: the logit falls by `_RATES` per token of
    distance in rows plus columns, geometric from the first head to the last, before content adds its part.
    """
    width = shape.dim // shape.heads
    direction = torch.full((width,), width**-0.5)
    nearest, farthest = (math.log10(rate) for rate in _RATES)
    rates = torch.logspace(nearest, farthest, shape.heads)
    distance = torch.arange(1 - _WINDOW, _WINDOW).abs()
    with torch.no_grad():
        attention.get_parameter("qkv.bias")[: shape.dim] = (rates[:, None] * direction).flatten()
        for table in ("rel_pos_h", "rel_pos_w"):
            attention.get_parameter(table).sub_(distance[:, None] * direction)
