"""A ResNet that begins with three convolutions of 3 x 3 instead of one of 7 x 7, as CCNet's authors train it.

Szegedy et al. 2016 (Inception-v3) and the scene parsing networks of Zhao et al. 2017 begin so.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torch import nn

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

_NARROW, _WIDE = 64, 128

_PUBLISHED = {
    "conv1": "conv1.0",
    "bn1": "conv1.1",
    "conv2": "conv1.3",
    "bn2": "conv1.4",
    "conv3": "conv1.6",
    "bn3": "bn1",
}
"""Names in the files that such encoders are published in, and here."""


def deepen(encoder: Any, bands: int) -> None:  # noqa: ANN401 of an untyped library
    """Give a ResNet of segmentation-models-pytorch the other beginning, in place, with random weights.

    Args:
        encoder: Begins with ``conv1``, ``bn1`` and ``layer1``.
        bands: It takes.

    Raises:
        ValueError: It begins otherwise.
    """
    if not all(hasattr(encoder, name) for name in ("conv1", "bn1", "layer1", "_make_layer")):
        raise ValueError("not a ResNet that can begin with three convolutions")
    encoder.conv1 = nn.Sequential(
        _convolution(bands, _NARROW, stride=2),
        nn.BatchNorm2d(_NARROW),
        nn.ReLU(inplace=True),
        _convolution(_NARROW, _NARROW),
        nn.BatchNorm2d(_NARROW),
        nn.ReLU(inplace=True),
        _convolution(_NARROW, _WIDE),
    )
    encoder.bn1 = nn.BatchNorm2d(_WIDE)
    blocks = encoder.layer1
    encoder.inplanes = _WIDE
    encoder.layer1 = encoder._make_layer(type(blocks[0]), _NARROW, len(blocks))  # noqa: SLF001 torchvision's
    for module in encoder.layer1.modules():
        if isinstance(module, nn.Conv2d):
            _drawn(module)
    encoder._out_channels = [encoder.out_channels[0], _WIDE, *encoder.out_channels[2:]]  # noqa: SLF001


def _convolution(channels: int, out: int, *, stride: int = 1) -> nn.Conv2d:
    return _drawn(nn.Conv2d(channels, out, kernel_size=3, stride=stride, padding=1, bias=False))


def _drawn(convolution: nn.Conv2d) -> nn.Conv2d:
    """As torchvision draws the other convolutions of a ResNet (He et al. 2015)."""
    nn.init.kaiming_normal_(convolution.weight, mode="fan_out", nonlinearity="relu")
    return convolution


def named_here(given: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A published state dict of such an encoder by the names used here; what has no other name keeps its own."""
    if "conv3.weight" not in given:
        return dict(given)
    named = {}
    for key, tensor in given.items():
        module, _, tail = key.partition(".")
        named[f"{_PUBLISHED.get(module, module)}.{tail}"] = tensor
    return named
