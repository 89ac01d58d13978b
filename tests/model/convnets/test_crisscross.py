from __future__ import annotations

import pytest
import torch

from landslide_scale.model.convnets.crisscross import CrissCrossAttention, criss_cross


def random(*shape: int, seed: int = 0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def brute_force(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor):
    """Pixel by pixel: softmax over the set of pixels in its row or column, in which it is once."""
    out = torch.zeros_like(value)
    b, _, h, w = query.shape
    for n in range(b):
        for y in range(h):
            for x in range(w):
                seen = sorted({(y, column) for column in range(w)} | {(row, x) for row in range(h)})
                assert len(seen) == h + w - 1
                logits = torch.stack([query[n, :, y, x] @ key[n, :, row, column] for row, column in seen])
                values = torch.stack([value[n, :, row, column] for row, column in seen])
                out[n, :, y, x] = logits.softmax(0) @ values
    return out


@pytest.mark.parametrize("sides", [(3, 5), (6, 6), (1, 4), (5, 1), (1, 1)])
def test_attention_equals_brute_force_along_row_and_column(sides: tuple[int, int]):
    query, key, value = random(2, 3, *sides), random(2, 3, *sides, seed=1), random(2, 4, *sides, seed=2)
    torch.testing.assert_close(criss_cross(query, key, value), brute_force(query, key, value), rtol=0, atol=1e-12)


def test_gradients_equal_brute_force_too():
    tensors = [random(1, 2, 4, 3, seed=seed).requires_grad_() for seed in range(3)]
    found = torch.autograd.grad(criss_cross(*tensors).square().sum(), tensors)
    expected = torch.autograd.grad(brute_force(*tensors).square().sum(), tensors)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-11)


def test_an_untrained_module_changes_nothing():
    x = random(1, 16, 4, 5).float()
    assert torch.equal(CrissCrossAttention(16)(x), x)


@pytest.mark.parametrize(("passes", "reached"), [(1, 4 + 5 - 1), (2, 4 * 5)])
def test_one_pass_sees_row_and_column_and_two_see_everything(passes: int, reached: int):
    torch.manual_seed(0)
    attention = CrissCrossAttention(16)
    torch.nn.init.ones_(attention.gamma)
    x = random(1, 16, 4, 5).float()
    changed = x.clone()
    changed[..., 2, 1] += 1
    for _ in range(passes):
        x, changed = attention(x), attention(changed)
    assert int((x != changed).any(1).sum()) == reached
