"""The networks of the paper's comparison as published, and as they were built before."""

from __future__ import annotations

import hashlib
import itertools
import json
from typing import TYPE_CHECKING, get_args

import pytest
import safetensors.torch
import segmentation_models_pytorch as smp
import torch
import torch.nn.functional as F
from torch import nn

from landslide_scale.cards.card import BaseWeights, ModelCard
from landslide_scale.cards.file import read_card
from landslide_scale.errors import InvalidConfigError
from landslide_scale.model import build, counts_line, parameter_counts, shape
from landslide_scale.model.checkpoint import restore, save
from landslide_scale.model.convnets.network import ConvNet
from landslide_scale.model.presets import GUESSED, TABLE_3
from landslide_scale.paper.published import SIZES
from landslide_scale.spec import ConvName, ConvNetSpec, InputSpec
from landslide_scale.training.losses import heads_loss, segmentation_loss

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

RGB = ("red", "green", "blue")
INPUTS = InputSpec.for_bands("boa", RGB)
SIDE, OBJECT = 128, 16
PLACES = list(itertools.product((16, 32, 80, 96), repeat=2))


def net_of(name: str, **changes: object) -> ConvNet:
    net = build(ConvNetSpec(name=name, **{"encoder": "resnet18", **changes}), INPUTS, base=None, seed=1)  # type: ignore[arg-type]
    assert isinstance(net, ConvNet)
    return net.eval()


@pytest.mark.parametrize(
    ("name", "total"), [("deeplabv3plus", 40_347_041), ("pspnet", 46_582_337), ("ccnet", 71_268_931)]
)
def test_three_counts_of_table_3_are_met_to_the_last_printed_digit(name: str, total: int):
    net = shape(TABLE_3[name], INPUTS)
    assert parameter_counts(net) == (total, total)
    assert f"{total / 1e6:.2f}" == f"{SIZES[name].total:.2f}"
    assert all(tensor.is_meta for tensor in net.parameters())


def test_the_unet_of_table_3_is_a_guess_and_called_one():
    assert {"unet"} == GUESSED
    off = parameter_counts(shape(TABLE_3["unet"], INPUTS))[1] / 1e6 - SIZES["unet"].total
    assert -2 < off < -1


@pytest.mark.parametrize("name", TABLE_3)
def test_a_shape_counts_what_is_built(name: str):
    spec = ConvNetSpec(name=name, encoder="resnet18") if name in get_args(ConvName) else TABLE_3[name]
    if name in get_args(ConvName):
        assert counts_line(shape(spec, INPUTS)) == counts_line(build(spec, INPUTS, base=None))
    else:
        assert counts_line(shape(spec, INPUTS)) == f"{name}: 4.20 M of 312.48 M parameters are trained"


def test_deeplabv3plus_has_the_rates_of_an_output_stride_of_16():
    net = net_of("deeplabv3plus").net
    rates = [module.dilation[0] for module in net.pyramid.modules() if isinstance(module, nn.Conv2d)]
    assert rates == [1, 6, 12, 18, 1, 1]
    assert net.encoder(torch.zeros(1, 3, SIDE, SIDE))[-1].shape[2:] == (SIDE // 16, SIDE // 16)


class Means(nn.Module):
    """An encoder that sees what is where and nothing else: means over ever larger squares."""

    def __init__(self, channels: list[int], sides: list[int]) -> None:
        super().__init__()
        self.out_channels, self.output_stride, self.sides = channels, max(sides), sides

    def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
        grey = x.mean(1, keepdim=True)
        return [
            F.avg_pool2d(grey, side).expand(-1, channels, -1, -1)
            for channels, side in zip(self.out_channels, self.sides, strict=True)
        ]


def only_enlarging(net: ConvNet) -> ConvNet:
    """With an encoder of means and kernels that look straight down: what is left is how maps are enlarged."""
    encoder = net.net.encoder
    sides = [SIDE // level.shape[2] for level in encoder(torch.zeros(1, 3, SIDE, SIDE))]
    net.net.encoder = Means(list(encoder.out_channels), sides)
    with torch.no_grad():
        for module in net.net.modules():
            if isinstance(module, nn.Conv2d):
                middle = module.kernel_size[0] // 2
                module.weight.zero_()[:, :, middle, middle] = 1 / module.weight.shape[1]
    return net


def offsets(net: ConvNet) -> torch.Tensor:
    """How far from an object's middle the middle of its logits is, in pixels, at 16 places (16, 2)."""
    blank = torch.full((1, 3, SIDE, SIDE), 0.25)
    away = torch.arange(SIDE) + 0.5
    found = []
    with torch.no_grad():
        ground = net(blank)[0, 0]
        for row, col in PLACES:
            image = blank.clone()
            image[..., row : row + OBJECT, col : col + OBJECT] = 0.4
            rise = net(image)[0, 0] - ground
            weight = rise.where(rise > rise.max() / 2, 0)
            middle = [(weight.sum(1 - axis) * away).sum() / weight.sum() for axis in (0, 1)]
            found.append([middle[0] - row - OBJECT / 2, middle[1] - col - OBJECT / 2])
    return torch.tensor(found)


@pytest.mark.parametrize("name", ["deeplabv3plus", "pspnet", "ccnet"])
def test_an_object_lands_where_it_is_at_16_places_of_the_patch(name: str):
    assert offsets(only_enlarging(net_of(name))).abs().max() < 0.5


@pytest.mark.parametrize("name", ["deeplabv3plus", "pspnet"])
def test_the_first_designs_stretched_and_are_kept_so(name: str):
    assert offsets(only_enlarging(net_of(name, design="smp"))).abs().max() > 1.5


NAMED = {
    "deeplabv3plus": "c7c1a751b0cfa8b681352720887e5db5065bd91f5982c1342a22f5f6f55a83b6",
    "pspnet": "4a14bb35421ba4a60ad23b399999fb85f5e22910a0ce1a73bcfa2de293a38f2b",
    "ccnet": "7ab401fcb3457accf79534005cbe15f2dc227d7ec695fa87c071841eac1b82cb",
}
"""SHA-256 of the names and shapes of the tensors of checkpoints from before there were designs."""


def names_and_shapes(path: Path) -> str:
    tensors = safetensors.torch.load_file(path)
    told = "\n".join(f"{name} {tuple(tensors[name].shape)}" for name in sorted(tensors))
    return hashlib.sha256(told.encode()).hexdigest()


@pytest.mark.parametrize("name", NAMED)
def test_a_card_that_names_no_design_is_of_the_first_one(
    name: str, tmp_path: Path, images: Callable[..., torch.Tensor]
):
    net, path = net_of(name, design="smp"), tmp_path / "old.safetensors"
    card = ModelCard(model=net.spec, inputs=INPUTS, base=BaseWeights(source="random:1", sha256="0"))
    save(str(path), net, card)
    assert names_and_shapes(path) == NAMED[name]
    with safetensors.safe_open(path, "pt") as file:
        stored = json.loads(file.metadata()["landslide_scale"])
    assert "design" not in stored["model"]
    restored, found = restore(str(path))
    assert found == card
    batch = images(1, 3, 64, 64)
    with torch.no_grad():
        assert torch.equal(restored.eval()(batch), net(batch))


@pytest.mark.parametrize("name", get_args(ConvName))
def test_a_card_of_now_names_its_design(name: str, tmp_path: Path):
    net, url = net_of(name), str(tmp_path / "new.safetensors")
    save(url, net, ModelCard(model=net.spec, inputs=INPUTS, base=BaseWeights(source="random:1", sha256="0")))
    assert b'\\"design\\": \\"published\\"' in (tmp_path / "new.safetensors").read_bytes()
    assert read_card(url).model == net.spec


def test_the_first_designs_are_those_of_segmentation_models_pytorch(images: Callable[..., torch.Tensor]):
    wanted = {
        "deeplabv3plus": smp.DeepLabV3Plus("resnet18", encoder_weights=None, decoder_aspp_separable=False),
        "pspnet": smp.PSPNet("resnet18", encoder_weights=None, encoder_depth=5, output_stride=8),
    }
    batch = images(1, 3, 64, 64)
    for name, theirs in wanted.items():
        net = net_of(name, design="smp")
        theirs.load_state_dict(net.net.state_dict())
        with torch.no_grad():
            torch.testing.assert_close(net(batch), theirs.eval()(net.normalise(batch)), rtol=1e-4, atol=1e-5)


def test_the_second_head_of_ccnet_tells_in_training_alone_and_weighs_two_fifths(images: Callable[..., torch.Tensor]):
    net, batch = net_of("ccnet"), images(2, 3, 32, 32)
    assert net(batch).shape == (2, 1, 32, 32)
    both = net.train()(batch)
    assert both.shape == (2, 2, 32, 32)
    label = (torch.arange(2 * 32 * 32).reshape(2, 32, 32) % 3 == 0).to(torch.uint8)
    first, second = (segmentation_loss(both[:, [head]], label) for head in (0, 1))
    torch.testing.assert_close(heads_loss(both, label), first + 0.4 * second)
    torch.testing.assert_close(heads_loss(both[:, :1], label), first)


def test_ccnet_needs_an_encoder_that_can_begin_with_three_convolutions():
    with pytest.raises(InvalidConfigError, match=r"model\.encoder: encoder se_resnet50 for ccnet"):
        net_of("ccnet", encoder="se_resnet50")
