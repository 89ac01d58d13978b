from __future__ import annotations

from typing import TYPE_CHECKING, get_args

import pytest
import torch
from torchvision.models import resnet18, resnet34

from landslide_scale.errors import InvalidCheckpointError, InvalidConfigError, InvalidInputError
from landslide_scale.model import build, family, parameter_counts
from landslide_scale.model.weights import load_classifier
from landslide_scale.spec import ConvName, ConvNetSpec, InputSpec
from landslide_scale.storage.files import file_sha256

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from landslide_scale.model.convnets.network import ConvNet

NAMES = get_args(ConvName)
RGB = ("red", "green", "blue")


def net_of(name: str = "unet", *, base: object = None, seed: int = 1, **changes: object):
    spec = ConvNetSpec(name=name, **{"encoder": "resnet18", **changes})
    return build(spec, InputSpec.for_bands("boa", spec.bands), base=base, seed=seed)


@pytest.fixture(scope="module")
def nets() -> dict[str, ConvNet]:
    return {name: net_of(name).eval() for name in NAMES}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("multiples", [(1, 1), (2, 3)])
def test_logits_have_the_size_of_any_allowed_patch(
    nets: dict[str, ConvNet], images: Callable[..., torch.Tensor], name: str, multiples: tuple[int, int]
):
    net = nets[name]
    sides = [net.spec.multiple * multiple for multiple in multiples]
    batch = images(2, 3, *sides)
    batch[0, :, : sides[0] // 2] = float("nan")
    with torch.no_grad():
        logits = net(batch)
    assert (logits.shape, logits.dtype) == ((2, 1, *sides), torch.float32)
    assert logits.isfinite().all()
    with pytest.raises(InvalidInputError, match=f"multiples of {net.spec.multiple} once enlarged"):
        net(images(1, 3, sides[0], sides[1] + net.spec.multiple // 2))


@pytest.mark.parametrize("name", NAMES)
def test_an_image_does_not_depend_on_its_batch(
    nets: dict[str, ConvNet], images: Callable[..., torch.Tensor], name: str
):
    batch = images(3, 3, 64, 64)
    with torch.no_grad():
        together, turned = nets[name](batch), nets[name](batch.flip(0))
        alone = torch.cat([nets[name](image[None]) for image in batch])
    assert torch.equal(together, turned.flip(0))
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-5)


def test_enlarged_sides_alone_are_multiples(images: Callable[..., torch.Tensor]):
    net = net_of("unet", depth=3, upsample=4).eval()
    with torch.no_grad():
        assert net(images(1, 3, 6, 10)).shape == (1, 1, 6, 10)
    with pytest.raises(InvalidInputError, match="5 x 10 px, enlarged 4 times"):
        net(images(1, 3, 5, 10))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("depth", [3, 4, 5])
def test_everything_in_a_network_is_trained(images: Callable[..., torch.Tensor], name: str, depth: int):
    if name == "ccnet" and depth < 5:
        with pytest.raises(InvalidConfigError, match=f"model.depth: depth {depth}; expected 5 for ccnet"):
            net_of(name, depth=depth)
        return
    net = net_of(name, depth=depth)
    if name == "ccnet":
        torch.nn.init.ones_(net.net.attention.gamma)  # at zero it lets nothing back to queries, keys and values
    # Three images: PSPNet normalises means over whole maps, and two values are always 1 and -1 then.
    net(images(3, 3, 32, 64)).square().mean().backward()
    idle = {key for key, tensor in net.named_parameters() if tensor.grad is None or not tensor.grad.any()}
    assert not idle
    assert net.trained_state().keys() == net.state_dict().keys()


def test_unused_stages_are_not_counted():
    stages = parameter_counts(net_of(depth=5).net.encoder)[0] - parameter_counts(net_of(depth=4).net.encoder)[0]
    assert stages == sum(tensor.numel() for tensor in resnet18().layer4.parameters())
    with pytest.raises(InvalidConfigError, match="depth 4 with encoder mobilenet_v2; expected 5, or an encoder of the"):
        net_of(encoder="mobilenet_v2", depth=4)


@pytest.mark.parametrize(
    ("name", "encoder"), [("unet", "resnet19"), ("unet", "tu-nothing"), ("deeplabv3plus", "vgg11"), ("ccnet", "vgg11")]
)
def test_an_encoder_that_cannot_serve_is_refused(name: str, encoder: str):
    with pytest.raises(InvalidConfigError, match=f"model.encoder: encoder {encoder} for {name}"):
        net_of(name, encoder=encoder)


def test_gradients_cannot_be_recomputed():
    spec = ConvNetSpec(name="unet", encoder="resnet18")
    with pytest.raises(InvalidConfigError, match=r"train\.checkpoint_gradients: true with unet"):
        build(spec, InputSpec.for_bands("boa", RGB), base=None, checkpoint_gradients=True)


def test_same_seed_same_network_and_the_global_random_state_is_left_alone():
    state = torch.random.get_rng_state()
    first, again, other = (net_of(seed=seed).state_dict() for seed in (1, 1, 2))
    assert torch.equal(torch.random.get_rng_state(), state)
    assert all(torch.equal(tensor, again[name]) for name, tensor in first.items())
    assert not torch.equal(first["net.encoder.conv1.weight"], other["net.encoder.conv1.weight"])
    spec = ConvNetSpec(name="unet", encoder="resnet18")
    drawn = family(spec).random_base(spec, 1)
    assert all(torch.equal(tensor, first[f"net.encoder.{name}"]) for name, tensor in drawn.items())


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As torchvision publishes its classifiers; weights from a seed."""
    path = tmp_path_factory.mktemp("weights") / "resnet18.pth"
    with torch.random.fork_rng():
        torch.manual_seed(5)
        classifier = resnet18(weights=None)
        classifier.train()(torch.rand(2, 3, 64, 64))  # so that running statistics are of this file too
    torch.save(classifier.state_dict(), path)
    return path


@pytest.mark.parametrize("name", [name for name in NAMES if name != "ccnet"])
def test_a_published_classifier_is_the_start_of_the_encoder(published: Path, name: str):
    given = load_classifier(str(published), file_sha256(published))
    encoder, classifier = net_of(name, base=given).net.encoder.eval(), resnet18(weights=None).eval()
    classifier.load_state_dict(given)
    # In the same memory format, in which alone sums come out the same to the last bit.
    classifier.to(memory_format=torch.channels_last)
    x = torch.randn(1, 3, 64, 64).contiguous(memory_format=torch.channels_last)
    with torch.no_grad():
        stem = classifier.maxpool(classifier.relu(classifier.bn1(classifier.conv1(x))))
        expected = classifier.layer2(classifier.layer1(stem))
        assert torch.equal(encoder(x)[3], expected)
    assert all(torch.equal(tensor, given[key]) for key, tensor in encoder.state_dict().items())


def test_counters_and_stages_that_one_side_lacks_do_not_matter(published: Path):
    given = load_classifier(str(published), None)
    old = {key: tensor for key, tensor in given.items() if "num_batches_tracked" not in key}
    encoder = net_of(base=old, depth=3).net.encoder
    assert torch.equal(encoder.layer2[0].conv1.weight, given["layer2.0.conv1.weight"])


def test_other_bands_see_colours_as_before_and_are_not_squeezed_through_three(published: Path):
    given = load_classifier(str(published), None)
    bands = ("nir", "blue", "red", "swir16", "green")
    three, five = net_of(base=given).eval(), net_of(base=given, bands=bands).eval()
    x = torch.randn(1, 5, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(five.net.encoder(x)[2], three.net.encoder(x[:, [2, 4, 1]])[2], rtol=1e-4, atol=1e-5)
    assert five.net.encoder.conv1.weight.shape[1] == 5
    assert not five.net.encoder.conv1.weight[:, 0].any()


def test_a_published_classifier_of_three_first_convolutions_is_the_start_of_ccnet(published: Path):
    """By the names of the files that its authors start from; one of 7 x 7 is refused."""
    given = load_classifier(str(published), None)
    with pytest.raises(InvalidCheckpointError, match=r"resnet18 base weights do not fit: missing: conv1\.0\.weight"):
        net_of("ccnet", base=given)
    own = net_of("ccnet", seed=3).net.encoder.state_dict()
    names = {
        "conv1.0": "conv1",
        "conv1.1": "bn1",
        "conv1.3": "conv2",
        "conv1.4": "bn2",
        "conv1.6": "conv3",
        "bn1": "bn3",
    }
    theirs = {}
    for key, tensor in own.items():
        module, _, tail = key.rpartition(".")
        theirs[f"{names.get(module, module)}.{tail}"] = tensor
    assert "conv3.weight" in theirs
    found = net_of("ccnet", base=theirs | {"fc.weight": torch.zeros(1)}, seed=4).net.encoder.state_dict()
    assert all(torch.equal(tensor, own[key]) for key, tensor in found.items())


def test_weights_of_another_encoder_are_refused(tmp_path: Path):
    with pytest.raises(InvalidCheckpointError, match=r"resnet18 base weights do not fit: unexpected: layer1\.2\.bn1"):
        net_of(base=resnet34(weights=None).state_dict())
    with pytest.raises(InvalidCheckpointError, match=r"resnet18 base weights do not fit: missing: bn1\.bias"):
        net_of(base={"image_encoder.pos_embed": torch.zeros(1)})
    torch.save({"state_dict": {"conv1.weight": torch.zeros(1)}}, tmp_path / "nested.pth")
    with pytest.raises(InvalidCheckpointError, match=r"nested\.pth: dict that is no state dict of a classifier"):
        load_classifier(str(tmp_path / "nested.pth"), None)
