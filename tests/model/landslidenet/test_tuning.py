from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pytest
import torch
from torch.nn.functional import conv2d, gelu

from landslide_scale.errors import InvalidConfigError
from landslide_scale.model import build
from landslide_scale.model.landslidenet.attention import attention_branch, block_forward
from landslide_scale.model.landslidenet.placement import tuned_block
from landslide_scale.model.landslidenet.projection import keep_variance
from landslide_scale.model.landslidenet.tuning import TuningLayers
from landslide_scale.spec import InputSpec, LandslideNetSpec, TuningSpec

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

STRUCTURES = ("mlp", "conv", "mixed")
PLACES = ("after", "inside", "parallel")


def layers(**changes: object):
    return TuningLayers(dim=12, depth=3, spec=TuningSpec(**{"width": 4, **changes}))


def drawn(tuning: TuningLayers):
    for tensor in tuning.parameters():
        torch.nn.init.normal_(tensor, std=0.3)
    return tuning


def net_with(base: Mapping[str, torch.Tensor], **changes: object):
    spec = LandslideNetSpec(sam="vit_t", upsample=1, tuning=TuningSpec(**{"width": 5, **changes}))
    return build(spec, InputSpec.for_bands("boa", spec.bands), base=base, seed=1).eval()


@pytest.mark.parametrize("structure", STRUCTURES)
@pytest.mark.parametrize("sharing", ["shared", "per_block"])
def test_untrained_layers_change_nothing(sharing: str, structure: str):
    x = torch.randn(2, 3, 3, 12)
    assert all(torch.equal(layers(sharing=sharing, structure=structure)(x, layer), x) for layer in range(3))


@pytest.mark.parametrize("skip", [True, False])
@pytest.mark.parametrize(("sharing", "end"), [("shared", 0), ("per_block", 2)])
def test_layer_is_the_papers_formula(sharing: str, end: int, *, skip: bool):
    tuning, x = drawn(layers(sharing=sharing, skip=skip)), torch.randn(1, 2, 2, 12)
    down, tune, up = tuning.down[end], tuning.tune[2], tuning.up[end]
    inner = gelu(x @ down.weight.T + down.bias)
    prompt = gelu(inner @ tune.weight.T + tune.bias) @ up.weight.T + up.bias
    torch.testing.assert_close(tuning(x, 2), x + prompt if skip else prompt)


@pytest.mark.parametrize(("structure", "ends"), [("conv", 3), ("mixed", 1)])
def test_convolutions_stand_where_the_structure_says(structure: str, ends: int):
    tuning, x = drawn(layers(structure=structure)), torch.randn(2, 4, 5, 12)
    y = x.permute(0, 3, 1, 2)
    for maps, last in ((tuning.down[0], False), (tuning.tune[1], False), (tuning.up[0], True)):
        kernel = maps.weight if maps.weight.ndim == 4 else maps.weight[..., None, None]
        y = conv2d(y, kernel, maps.bias, padding=kernel.shape[-1] // 2)
        y = y if last else gelu(y)
    torch.testing.assert_close(tuning(x, 1), x + y.permute(0, 2, 3, 1), rtol=1e-5, atol=1e-5)
    assert (tuning.down[0].weight[0, 0].numel(), tuning.tune[0].weight[0, 0].numel()) == (ends * ends, 9)


def test_shared_layers_hold_one_pair_of_ends():
    ends, middle = 12 * 4 + 4 + 4 * 12 + 12, 4 * 4 + 4
    count = {
        sharing: sum(tensor.numel() for tensor in layers(sharing=sharing).parameters())
        for sharing in ("shared", "per_block")
    }
    assert count == {"shared": ends + 3 * middle, "per_block": 3 * (ends + middle)}


@pytest.mark.parametrize("structure", STRUCTURES)
@pytest.mark.parametrize("place", PLACES)
def test_every_untrained_variant_with_a_skip_is_sam(
    tiny_base: Mapping[str, torch.Tensor], images: Callable[..., torch.Tensor], place: str, structure: str
):
    """The default is compared with segment_anything itself in ``test_equals_sam.py``."""
    batch = images(1, 3, 32, 48)
    with torch.no_grad():
        default = net_with(tiny_base)(batch)
        assert torch.equal(net_with(tiny_base, place=place, structure=structure)(batch), default)
        trained = net_with(tiny_base, place=place, structure=structure)
        drawn(trained.tuning)
        assert not torch.allclose(trained(batch), default)


@pytest.mark.parametrize("place", PLACES)
def test_places_are_what_they_say(tiny_base: Mapping[str, torch.Tensor], place: str):
    net, x = net_with(tiny_base, place=place, blocks=(2,)), torch.randn(1, 3, 4, 128)
    tuning, block = drawn(net.tuning), net.image_encoder.blocks[2]
    with torch.no_grad():
        left, attended = block_forward(block, x), attention_branch(block, x)
        halfway = x + attended + tuning.prompt(attended, 0)
        added = block.mlp(block.norm2(halfway))
        expected = {
            "after": left + tuning.prompt(left, 0),
            "parallel": left + tuning.prompt(x, 0),
            "inside": halfway + added + tuning.prompt(added, len(tuning.tune) - 1),
        }
        torch.testing.assert_close(tuned_block(block, tuning, 2, x), expected[place], rtol=1e-5, atol=1e-5)
        assert torch.equal(tuned_block(block, tuning, 1, x), left)


@pytest.mark.parametrize("structure", STRUCTURES)
@pytest.mark.parametrize("place", ["after", "inside"])
def test_without_skip_tokens_keep_their_scale_and_every_tensor_learns(
    tiny_base: Mapping[str, torch.Tensor], images: Callable[..., torch.Tensor], place: str, structure: str
):
    net = net_with(tiny_base, place=place, structure=structure, skip=False, width=32)
    x = torch.randn(1, 16, 16, 128, generator=torch.Generator().manual_seed(0))
    assert 0.5 < net.tuning(x, 0).square().mean().sqrt().item() < 2
    net(images(1, 3, 32, 48)).square().mean().backward()
    assert all(tensor.grad.abs().max() > 0 for tensor in net.tuning.parameters())


@pytest.mark.parametrize(("place", "count"), [("after", 2), ("inside", 4), ("parallel", 2)])
def test_only_the_chosen_blocks_are_tuned(place: str, count: int):
    tuning = layers(place=place, blocks=(2, 0))
    assert (len(tuning.tune), len(tuning.down)) == (count, 1)
    assert [tuning.first(block) for block in range(3)] == [0, None, count // 2]
    assert len(layers(place=place, blocks=(2, 0), sharing="per_block").down) == count


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"width": 0}, "width 0"),
        ({"place": "parallel", "skip": False}, "parallel without skip"),
        ({"blocks": ()}, "at least one, each once"),
        ({"blocks": (1, 1)}, "at least one, each once"),
        ({"blocks": (0, 3)}, r"blocks \[0, 3\]; expected of 0 to 2"),
        ({"blocks": (-1,)}, r"blocks \[-1\]; expected at least one, each once, of 0 to 63"),
    ],
)
def test_a_variant_that_cannot_be_is_refused(changes: dict[str, object], said: str):
    with pytest.raises(InvalidConfigError, match=said):
        layers(**changes)


def test_kept_variance_is_what_the_name_says():
    """Through a map with a GELU behind it, and through one without."""
    x = torch.randn(4000, 64, generator=torch.Generator().manual_seed(0))
    for then_gelu in (True, False):
        maps = torch.nn.Linear(64, 64)
        keep_variance(maps, then_gelu=then_gelu)
        y = maps(x)
        y = gelu(y) if then_gelu else y
        assert math.isclose(y.square().mean().item(), 1.0, rel_tol=0.25)
        assert maps.bias.abs().max() == 0
