from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch
from segment_anything.modeling.image_encoder import Attention, Block

from landslide_scale.model.landslidenet.attention import attend, attention_of, block_forward

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import nn


@pytest.fixture
def tokens():
    def make(*shape: int):
        return torch.randn(shape, generator=torch.Generator().manual_seed(0))

    return make


def drawn(module: nn.Module):
    """The module with every tensor drawn at random: relative positions start at zero in segment_anything."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for tensor in module.parameters():
            tensor.normal_(std=0.2, generator=generator)
    return module


@pytest.mark.parametrize("grid", [(14, 14), (28, 28), (5, 9)], ids=["native", "larger", "oblong"])
def test_attention_equals_segment_anythings(tokens: Callable[..., torch.Tensor], grid: tuple[int, int]):
    attention = drawn(Attention(48, num_heads=3, use_rel_pos=True, input_size=(14, 14)))
    x = tokens(2, *grid, 48)
    torch.testing.assert_close(attend(attention, x), attention(x), rtol=1e-5, atol=1e-5)
    with torch.inference_mode():
        torch.testing.assert_close(attend(attention, x), attention(x), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("with_bias", [False, True])
@pytest.mark.parametrize(("n", "m"), [(6, 6), (5, 40), (40, 5)])
def test_learning_and_predicting_attend_alike(tokens: Callable[..., torch.Tensor], n: int, m: int, *, with_bias: bool):
    q, k, v = tokens(2, 3, n, 8), tokens(2, 3, m, 8).flip(0), tokens(2, 3, m, 8)
    bias = tokens(2, 3, n, m) if with_bias else None
    learning = attention_of(q.requires_grad_(), k, v, bias)
    with torch.inference_mode():
        predicting = attention_of(q, k, v, bias)
    torch.testing.assert_close(learning.detach(), predicting, rtol=1e-5, atol=1e-6)


def test_gradients_equal_too(tokens: Callable[..., torch.Tensor]):
    attention = drawn(Attention(48, num_heads=3, use_rel_pos=True, input_size=(7, 7)))
    x = tokens(1, 7, 7, 48).requires_grad_()
    found = torch.autograd.grad(attend(attention, x).square().sum(), [x, attention.rel_pos_h])
    expected = torch.autograd.grad(attention(x).square().sum(), [x, attention.rel_pos_h])
    for a, b in zip(found, expected, strict=True):
        assert ((a - b).abs().max() / b.abs().max()).item() < 1e-5


@pytest.mark.parametrize("window", [0, 7], ids=["global", "windows with padding"])
def test_block_equals_the_original(tokens: Callable[..., torch.Tensor], window: int):
    block = drawn(Block(48, 3, use_rel_pos=True, window_size=window, input_size=(10, 12)))
    x = tokens(2, 10, 12, 48)
    found, expected = block_forward(block, x), block(x)
    assert ((found - expected).abs().max() / expected.abs().max()).item() < 1e-5


def test_bf16_stays_near_float32(tokens: Callable[..., torch.Tensor]):
    attention = drawn(Attention(48, num_heads=3, use_rel_pos=True, input_size=(14, 14)))
    x = tokens(1, 14, 14, 48)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = attend(attention, x)
    expected = attention(x)
    assert found.dtype == torch.bfloat16
    assert ((found - expected).abs().mean() / expected.abs().mean()).item() < 0.03
