"""The convolutional networks the paper compares with: UNet, DeepLabV3+, PSPNet and CCNet, trained as a whole.

``design`` of a spec says how the last three are built. ``published`` is what their papers and authors describe. ``smp``
is what this package built before, of segmentation-models-pytorch's own decoders: it is kept as it was, rates, stretch
and all, because weights that were trained in it mean something in it alone; new networks have no use for it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from landslide_scale.errors import InvalidConfigError
from landslide_scale.model.convnets.ccnet import CCNet, OneHeadCCNet
from landslide_scale.model.convnets.deeplabv3plus import DeepLabV3Plus
from landslide_scale.model.convnets.deepstem import deepen
from landslide_scale.model.convnets.encoder import drop_unused_stages, load_encoder
from landslide_scale.model.convnets.pspnet import PSPNet
from landslide_scale.model.core.network import Network

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import nn

    from landslide_scale.spec import ConvNetSpec, InputSpec

_UNET_CHANNELS = (256, 128, 64, 32, 16)
_FINE, _COARSE = 8, 16
"""Output strides: the sides of the coarsest map are such a fraction of the patch's."""


class ConvNet(Network):
    """An encoder and decoder under ``net``, all of it trained.

    Batch normalisation keeps running statistics, which are part of the trained state. In training it sees the batch
    of all workers together (see ``batchnorm.py``).
    """

    spec: ConvNetSpec

    def __init__(self, spec: ConvNetSpec, inputs: InputSpec) -> None:
        super().__init__(spec, inputs)
        self.net = _network(spec)
        drop_unused_stages(self.net.get_submodule("encoder"), spec.encoder, spec.depth)
        # Convolutions are fastest with channels innermost: a UNet's training step took 0.57 s instead of 0.68 on a CPU.
        self.net.to(memory_format=torch.channels_last)

    def logits(self, x: torch.Tensor) -> torch.Tensor:
        """Logits (B, 1, h, w) of patches (B, C, H, W)."""
        logits: torch.Tensor = self.net(x.contiguous(memory_format=torch.channels_last))
        return logits


def shape(model: ConvNetSpec, inputs: InputSpec, *, checkpoint_gradients: bool = False) -> ConvNet:
    """A convolutional network on the device that torch makes tensors on now, its weights as torch draws them.

    Args:
        model: What it is made of.
        inputs: How it scales pixel values.
        checkpoint_gradients: Must be False: recomputing would update running statistics twice.

    Raises:
        InvalidConfigError: An encoder that does not exist, or that cannot serve this network.
    """
    if checkpoint_gradients:
        raise InvalidConfigError(
            f"true with {model.name}", expected="false but for landslidenet", key="train.checkpoint_gradients"
        )
    return ConvNet(model, inputs)


def build(
    model: ConvNetSpec,
    inputs: InputSpec,
    *,
    base: Mapping[str, torch.Tensor] | None,
    seed: int = 0,
    checkpoint_gradients: bool = False,
) -> ConvNet:
    """Build a convolutional network on the CPU; the global random state is left as it was.

    Args:
        model: What it is made of.
        inputs: How it scales pixel values, one mean and deviation for each of ``model.bands``.
        base: State dict of the encoder as a classifier, as torchvision publishes it (see :func:`load_encoder`); None
            for random weights.
        seed: Of all weights that `base` does not give.
        checkpoint_gradients: Must be False: recomputing would update running statistics twice.

    Raises:
        InvalidConfigError: An encoder that does not exist, or that cannot serve this network.
        InvalidCheckpointError: `base` is not of this encoder.
    """
    with torch.random.fork_rng(devices=()):
        torch.default_generator.manual_seed(seed)
        net = shape(model, inputs, checkpoint_gradients=checkpoint_gradients)
    if base is not None:
        load_encoder(net.net.get_submodule("encoder"), base, name=model.encoder, bands=model.bands)
    return net


def random_base(model: ConvNetSpec, seed: int) -> dict[str, torch.Tensor]:
    """The tensors of the encoder as :func:`build` draws them, the same for the same seed and version of torch."""
    with torch.random.fork_rng(devices=()):
        torch.default_generator.manual_seed(seed)
        encoder = _network(model).get_submodule("encoder")
    drop_unused_stages(encoder, model.encoder, model.depth)
    state: dict[str, torch.Tensor] = encoder.state_dict()
    return state


def _network(spec: ConvNetSpec) -> nn.Module:
    # Imported here because it takes five seconds, which a scan with LandslideNet need not wait for in every process.
    import segmentation_models_pytorch as smp  # type: ignore[import-untyped]  # noqa: PLC0415

    if spec.encoder not in smp.encoders.encoders:  # others it would look for on a hub, or in a folder that they name
        raise InvalidConfigError(
            f"encoder {spec.encoder} for {spec.name}",
            expected=f"one of segmentation-models-pytorch's own: {', '.join(sorted(smp.encoders.encoders))}",
            key="model.encoder",
        )
    try:
        return _MAKERS[spec.design][spec.name](smp, spec)
    except (KeyError, ValueError, RuntimeError) as error:
        raise InvalidConfigError(
            f"encoder {spec.encoder} for {spec.name} ({type(error).__name__}: {error})",
            expected="one that segmentation-models-pytorch knows and can use there",
            key="model.encoder",
        ) from error


def _common(spec: ConvNetSpec) -> dict[str, Any]:
    return {
        "encoder_name": spec.encoder,
        "encoder_depth": spec.depth,
        "encoder_weights": None,
        "in_channels": len(spec.bands),
        "classes": 1,
    }


def _unet(smp: Any, spec: ConvNetSpec) -> nn.Module:  # noqa: ANN401 an untyped library
    net: nn.Module = smp.Unet(**_common(spec), decoder_channels=_UNET_CHANNELS[-spec.depth :])
    return net


def _encoder(smp: Any, spec: ConvNetSpec, stride: int) -> Any:  # noqa: ANN401 an untyped library
    """Dilated so that its coarsest map is of that output stride."""
    return smp.encoders.get_encoder(
        spec.encoder, in_channels=len(spec.bands), depth=spec.depth, weights=None, output_stride=stride
    )


def _deeplabv3plus(smp: Any, spec: ConvNetSpec) -> nn.Module:  # noqa: ANN401 an untyped library
    encoder = _encoder(smp, spec, _COARSE)
    return DeepLabV3Plus(encoder, encoder.out_channels)


def _pspnet(smp: Any, spec: ConvNetSpec) -> nn.Module:  # noqa: ANN401 an untyped library
    encoder = _encoder(smp, spec, _FINE)
    return PSPNet(encoder, encoder.out_channels)


def _ccnet(smp: Any, spec: ConvNetSpec) -> nn.Module:  # noqa: ANN401 an untyped library
    encoder = _encoder(smp, spec, _FINE)
    deepen(encoder, len(spec.bands))
    return CCNet(encoder, encoder.out_channels)


def _smp_deeplabv3plus(smp: Any, spec: ConvNetSpec) -> nn.Module:  # noqa: ANN401 an untyped library
    net: nn.Module = smp.DeepLabV3Plus(**_common(spec), decoder_aspp_separable=False)
    return net


def _smp_pspnet(smp: Any, spec: ConvNetSpec) -> nn.Module:  # noqa: ANN401 an untyped library
    net: nn.Module = smp.PSPNet(**_common(spec), output_stride=_FINE, upsampling=_FINE)
    return net


def _smp_ccnet(smp: Any, spec: ConvNetSpec) -> nn.Module:  # noqa: ANN401 an untyped library
    encoder = _encoder(smp, spec, _FINE)
    return OneHeadCCNet(encoder, encoder.out_channels)


_MAKERS = {
    "published": {"unet": _unet, "deeplabv3plus": _deeplabv3plus, "pspnet": _pspnet, "ccnet": _ccnet},
    "smp": {"unet": _unet, "deeplabv3plus": _smp_deeplabv3plus, "pspnet": _smp_pspnet, "ccnet": _smp_ccnet},
}
