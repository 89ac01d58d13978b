from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
import torch

from landslide_scale.errors import InvalidCheckpointError, InvalidConfigError, InvalidInputError
from landslide_scale.model import LandslideNet, autocast, build, parameter_counts, random_base
from landslide_scale.model.landslidenet.sam import sam_parts
from landslide_scale.model.presets import PAPER, PER_BLOCK, PRESETS
from landslide_scale.spec import InputSpec, LandslideNetSpec

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


def test_batch_equals_per_image(make_net: Callable[..., LandslideNet], images: Callable[..., torch.Tensor]):
    net, batch = make_net(tuned=True), images(3, 3, 64, 96)
    with torch.no_grad():
        one_by_one = torch.cat([net(image[None]) for image in batch])
        torch.testing.assert_close(net(batch), one_by_one, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("sides", [(16, 16), (48, 32), (64, 112), (240, 16)])
@pytest.mark.parametrize("upsample", [1, 2, 5])
def test_logits_have_the_size_of_the_patch(
    make_net: Callable[..., LandslideNet], images: Callable[..., torch.Tensor], sides: tuple[int, int], upsample: int
):
    with torch.no_grad():
        logits = make_net(upsample=upsample)(images(1, 3, *sides))
    assert (logits.shape, logits.dtype) == ((1, 1, *sides), torch.float32)


def test_enlarged_sides_alone_need_whole_tokens(
    make_net: Callable[..., LandslideNet], images: Callable[..., torch.Tensor]
):
    with torch.no_grad():
        assert make_net(upsample=4)(images(1, 3, 12, 20)).shape == (1, 1, 12, 20)
    with pytest.raises(InvalidInputError, match="10 x 20 px, enlarged 4 times"):
        make_net(upsample=4)(images(1, 3, 10, 20))


def test_other_number_of_bands_is_refused(make_net: Callable[..., LandslideNet], images: Callable[..., torch.Tensor]):
    with pytest.raises(InvalidInputError, match="4 bands; expected red, green, blue"):
        make_net()(images(1, 4, 16, 16))


def test_no_data_reads_as_the_band_mean_and_never_spreads(
    make_net: Callable[..., LandslideNet], images: Callable[..., torch.Tensor]
):
    net, batch = make_net(tuned=True), images(1, 3, 32, 32)
    hole, mean = batch.clone(), batch.clone()
    hole[..., :20, 5:] = float("nan")
    mean[..., :20, 5:] = (torch.tensor(net.inputs.mean) / net.inputs.gain).reshape(3, 1, 1)
    with torch.no_grad():
        torch.testing.assert_close(net(hole), net(mean), rtol=1e-4, atol=1e-5)
        assert net(torch.full_like(batch, float("nan"))).isfinite().all()


def test_extra_band_changes_nothing_before_training(
    make_net: Callable[..., LandslideNet], images: Callable[..., torch.Tensor]
):
    batch = images(1, 4, 32, 32)
    with torch.no_grad():
        four = make_net(bands=("nir", "red", "green", "blue"))(batch)
        torch.testing.assert_close(four, make_net()(batch[:, 1:]))


@pytest.mark.parametrize("sharing", ["shared", "per_block"])
def test_a_step_moves_tuning_and_decoder_and_nothing_else(
    make_net: Callable[..., LandslideNet], images: Callable[..., torch.Tensor], sharing: str
):
    net = make_net(sharing=sharing, tuned=True)
    before = {name: tensor.clone() for name, tensor in net.named_parameters()}
    net(images(2, 3, 32, 32)).square().mean().backward()
    torch.optim.AdamW((p for p in net.parameters() if p.requires_grad), lr=0.01).step()
    moved = {name for name, tensor in net.named_parameters() if not torch.equal(tensor, before[name])}
    assert {name.split(".")[0] for name in moved} == {"tuning", "mask_decoder"}
    assert {name for name in before if name.startswith("tuning.")} <= moved
    frozen = [tensor for name, tensor in net.named_parameters() if "encoder." in name]
    assert all(tensor.grad is None for tensor in frozen)


def test_trained_encoder_moves_too_but_never_the_prompts(
    make_net: Callable[..., LandslideNet], images: Callable[..., torch.Tensor]
):
    net = make_net(train_encoder=True, bands=("red", "green", "blue", "nir"))
    net(images(1, 4, 32, 32)).square().mean().backward()
    with_gradient = {name.split(".")[0] for name, tensor in net.named_parameters() if tensor.grad is not None}
    assert with_gradient == {"image_encoder", "mask_decoder", "tuning", "stem"}


def test_recomputed_gradients_are_the_same(make_net: Callable[..., LandslideNet], images: Callable[..., torch.Tensor]):
    gradients = []
    for recompute in (False, True):
        net = make_net(tuned=True, recompute=recompute)
        net(images(1, 3, 32, 32)).square().mean().backward()
        gradients.append({name: p.grad for name, p in net.named_parameters() if p.grad is not None})
    torch.testing.assert_close(gradients[0], gradients[1])


def test_bf16_gives_float32_logits_near_the_exact_ones(
    make_net: Callable[..., LandslideNet], images: Callable[..., torch.Tensor]
):
    net, batch = make_net(tuned=True), images(1, 3, 64, 64)
    with torch.no_grad():
        exact = net(batch)
        with autocast("bf16", "cpu"):
            rounded = net(batch)
    assert rounded.dtype == torch.float32
    assert (rounded - exact).abs().mean() < 0.03 * exact.abs().mean()


def test_trained_state_carries_a_network_over(
    make_net: Callable[..., LandslideNet], images: Callable[..., torch.Tensor]
):
    trained, fresh = make_net(tuned=True), make_net()
    fresh.load_trained_state({name: tensor.clone() for name, tensor in trained.trained_state().items()})
    with torch.no_grad():
        assert torch.equal(fresh(images(1, 3, 32, 32)), trained(images(1, 3, 32, 32)))
    assert not any("encoder." in name for name in trained.trained_state())


def test_wrong_trained_state_is_refused_by_name_and_changes_nothing(make_net: Callable[..., LandslideNet]):
    net = make_net()
    before = {name: tensor.clone() for name, tensor in net.trained_state().items()}
    state = {name: torch.ones_like(tensor) for name, tensor in before.items()}
    del state["tuning.down.0.bias"]
    state["tuning.up.0.bias"] = torch.ones(7)
    state["head.weight"] = torch.ones(1)
    with pytest.raises(InvalidCheckpointError) as refusal:
        net.load_trained_state(state)
    assert "missing: tuning.down.0.bias" in refusal.value.found
    assert "unexpected: head.weight" in refusal.value.found
    assert "of another shape: tuning.up.0.bias (7,) instead of (128,)" in refusal.value.found
    assert all(torch.equal(tensor, before[name]) for name, tensor in net.trained_state().items())


def test_same_seed_same_network_and_the_global_random_state_is_left_alone():
    spec = LandslideNetSpec(sam="vit_t")
    inputs = InputSpec.for_bands("boa", spec.bands)
    state = torch.random.get_rng_state()
    first, again, other = (build(spec, inputs, base=None, seed=seed).state_dict() for seed in (1, 1, 2))
    assert torch.equal(torch.random.get_rng_state(), state)
    assert all(torch.equal(tensor, again[name]) for name, tensor in first.items())
    assert not torch.equal(first["image_encoder.pos_embed"], other["image_encoder.pos_embed"])
    assert torch.equal(first["image_encoder.pos_embed"], random_base("vit_t", 1)["image_encoder.pos_embed"])


def test_base_weights_are_copied_not_shared(
    make_net: Callable[..., LandslideNet], tiny_base: Mapping[str, torch.Tensor]
):
    before = tiny_base["mask_decoder.iou_token.weight"].clone()
    with torch.no_grad():
        make_net().mask_decoder.iou_token.weight.add_(1)
    assert torch.equal(tiny_base["mask_decoder.iou_token.weight"], before)


def test_base_of_another_size_is_refused(tiny_base: Mapping[str, torch.Tensor]):
    spec = LandslideNetSpec(sam="vit_b")
    with pytest.raises(InvalidCheckpointError, match=r"vit_b base weights do not fit.* instead of \("):
        build(spec, InputSpec.for_bands("boa", spec.bands), base=tiny_base)


def test_statistics_of_other_bands_are_refused(tiny_base: Mapping[str, torch.Tensor]):
    with pytest.raises(InvalidConfigError, match="4 means"):
        build(
            LandslideNetSpec(sam="vit_t"),
            InputSpec.for_bands("boa", ("red", "green", "blue", "nir")),
            base=tiny_base,
        )


def counts(spec: LandslideNetSpec):
    with torch.device("meta"):
        inputs = InputSpec.for_bands("boa", spec.bands)
        return parameter_counts(LandslideNet(spec, inputs, sam=sam_parts(spec.sam), checkpoint_gradients=False))


def test_paper_preset_has_the_papers_counts():
    trainable, total = counts(PAPER)
    assert (f"{trainable / 1e6:.2f} M", f"{total / 1e6:.2f} M") == ("4.20 M", "312.48 M")
    assert total - (trainable - 4_058_340) == 312_342_832


def test_presets_are_named_and_the_per_block_one_is_larger():
    assert PRESETS == {"paper": PAPER, "per_block": PER_BLOCK}
    assert counts(PER_BLOCK)[0] > counts(PAPER)[0]


def test_model_imports_without_ray_or_geo_libraries():
    modules = "landslide_scale.model, landslide_scale.scan.patches.predict, landslide_scale.model.checkpoint"
    heavy = "{'pydantic', 'ray', 'rasterio', 'zarr', 'pyproj', 'shapely'}"
    code = f"import sys, {modules}; print(*sorted({heavy} & sys.modules.keys()))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == ""
