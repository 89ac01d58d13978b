from __future__ import annotations

import pytest
import torch
from torch.nn.functional import gelu

from landslide_scale.errors import InvalidConfigError
from landslide_scale.model.tuning import TuningLayers
from landslide_scale.spec import TuningSpec


def layers(sharing: str):
    return TuningLayers(dim=12, depth=3, spec=TuningSpec(width=4, sharing=sharing))


@pytest.mark.parametrize("sharing", ["shared", "per_block"])
def test_untrained_layers_change_nothing(sharing: str):
    x = torch.randn(2, 3, 3, 12)
    assert all(torch.equal(layers(sharing)(x, block), x) for block in range(3))


@pytest.mark.parametrize(("sharing", "end"), [("shared", 0), ("per_block", 2)])
def test_layer_is_the_papers_formula(sharing: str, end: int):
    tuning, x = layers(sharing), torch.randn(1, 2, 2, 12)
    for tensor in tuning.parameters():
        torch.nn.init.normal_(tensor)
    down, tune, up = tuning.down[end], tuning.tune[2], tuning.up[end]
    inner = gelu(x @ down.weight.T + down.bias)
    expected = x + gelu(inner @ tune.weight.T + tune.bias) @ up.weight.T + up.bias
    torch.testing.assert_close(tuning(x, 2), expected)


def test_shared_layers_hold_one_pair_of_ends():
    ends, middle = 12 * 4 + 4 + 4 * 12 + 12, 4 * 4 + 4
    count = {
        sharing: sum(tensor.numel() for tensor in layers(sharing).parameters()) for sharing in ("shared", "per_block")
    }
    assert count == {"shared": ends + 3 * middle, "per_block": 3 * (ends + middle)}


def test_width_is_at_least_one():
    with pytest.raises(InvalidConfigError, match="width 0"):
        TuningSpec(width=0)
