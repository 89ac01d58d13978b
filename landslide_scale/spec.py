"""What a network is made of and how it takes pixel values, as frozen values.

Plain dataclasses, so that they import with nothing but Python and NumPy on a GPU machine, read from YAML
through ``training/settings.py`` and travel in a checkpoint's JSON metadata.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal

from landslide_scale.bands import TERRAIN_BANDS
from landslide_scale.errors import InvalidConfigError

SamSize = Literal["vit_t", "vit_b", "vit_l", "vit_h"]
ConvName = Literal["unet", "deeplabv3plus", "pspnet", "ccnet"]
ConvDesign = Literal["published", "smp"]
Radiometry = Literal["boa", "toa", "rgb8", "l4s"]

REFLECTANCE: tuple[Radiometry, ...] = ("boa", "toa")
"""Radiometries whose bands are reflectance, with elevation in metres and slope in degrees beside them."""

SAM_PIXEL_MEAN = (123.675, 116.28, 103.53)
SAM_PIXEL_STD = (58.395, 57.12, 57.375)
REFLECTANCE_WHITE = 0.40
"""Surface reflectance shown to SAM as 255; a limit of 0.30 would flatten bare scars (alpine red has its 99th
percentile at 0.31 to 0.36, desert at 0.42)."""

_TERRAIN_SCALE = {"elevation": (0.0, 1000.0), "slope": (0.0, 45.0)}
"""Mean and deviation of a network that no data was measured for: the size of mountains, so that numbers stay small."""

_L4S_HIGH = 8.0
_TOKEN = 16

WIDEST_TUNING = 1024
MOST_BLOCKS = 64
MOST_BANDS = 64
"""What no network of this package comes near; a checkpoint of somebody else may say any number."""

_LONGEST_NAME = 64

SMALLEST_SIDE = 16
"""Pixels, of an image or a patch."""


@dataclass(frozen=True, kw_only=True)
class TuningSpec:
    """The tuning layers: ``T(x) = W_up(GELU(W_tune(GELU(W_down x))))`` (paper, section 2.3), and where they sit.

    The defaults are the layer the paper ends up with. Its variants are named in section 2.3 without dimensions; kernel
    sizes and the exact places below are this package's reading.

    Attributes:
        structure: ``mlp``: all three W act on each token alone. ``conv``: all three are 3 x 3 convolutions over the
            grid of tokens. ``mixed``: W_tune is such a convolution, W_down and W_up act on each token alone.
        place: ``after``: the tokens x that leave a transformer block become ``x + T(x)``. ``inside``: two layers in
            each block, on what its attention and its MLP are about to add to the tokens: ``h`` becomes ``h + T(h)``.
            ``parallel``: ``T`` of what enters the block is added to what leaves it.
        skip: Whether ``x +`` is there; without it ``T(x)`` alone goes on. A parallel layer has no skip connection but
            the block itself, and so cannot lack it.
        sharing: ``per_block``: every layer has its three W. ``shared``: one W_down and W_up for all layers and a W_tune
            for each; the only arrangement that fits the paper's count of parameters.
        width: Channels of the bottleneck, 1 to 1024.
        blocks: Numbers, from 0, of the transformer blocks that are tuned; None for all.
    """

    structure: Literal["mlp", "conv", "mixed"] = "mlp"
    place: Literal["after", "inside", "parallel"] = "after"
    skip: bool = True
    sharing: Literal["per_block", "shared"] = "shared"
    width: int = 44
    blocks: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        if not 1 <= self.width <= WIDEST_TUNING:
            raise InvalidConfigError(
                f"tuning width {self.width}", expected=f"1 to {WIDEST_TUNING}", key="model.tuning.width"
            )
        if self.place == "parallel" and not self.skip:
            raise InvalidConfigError(
                "parallel without skip",
                expected="skip: true, for the block itself is what a parallel layer is added to",
                key="model.tuning.skip",
            )
        if self.blocks is not None and (
            not 1 <= len(self.blocks) <= MOST_BLOCKS
            or len(set(self.blocks)) != len(self.blocks)
            or not all(0 <= block < MOST_BLOCKS for block in self.blocks)
        ):
            raise InvalidConfigError(
                f"blocks {list(self.blocks[: 2 * MOST_BLOCKS])}",
                expected=f"at least one, each once, of 0 to {MOST_BLOCKS - 1}",
                key="model.tuning.blocks",
            )


@dataclass(frozen=True, kw_only=True)
class LandslideNetSpec:
    """One LandslideNet.

    Attributes:
        name: ``landslidenet``, as without a name.
        sam: Size of the Segment Anything model underneath; ``vit_t`` (dim 128, depth 6, 2 heads) has no official
            weights and serves the demo and the tests.
        tuning: The tuning layers.
        bands: Names of the input channels, in order; with other than three, a 1 x 1 stem maps them to three.
        upsample: Integer factor 1 to 8 by which a patch is enlarged before the encoder. SAM's decoder emits logits
            at a quarter of its input, so 4 gives logits at native resolution.
        train_encoder: Train the image encoder too. False is LandslideNet; True is for a start without weights.
    """

    name: Literal["landslidenet"] = "landslidenet"
    sam: SamSize = "vit_b"
    tuning: TuningSpec = field(default_factory=TuningSpec)
    bands: tuple[str, ...] = ("red", "green", "blue")
    upsample: int = 4
    train_encoder: bool = False

    def __post_init__(self) -> None:
        _check_input(self)

    @property
    def multiple(self) -> int:
        """Sides of a patch, once enlarged, are multiples of this: a token of SAM's encoder."""
        return _TOKEN

    @property
    def stands_on_base(self) -> bool:
        """Frozen base weights stay in the trained network: a checkpoint is restored on them."""
        return True

    @property
    def least_batch(self) -> int:
        """Images that a training step needs at least."""
        return 1


@dataclass(frozen=True, kw_only=True)
class ConvNetSpec:
    """One of the convolutional networks the paper compares with, trained as a whole.

    Attributes:
        name: ``unet`` (Ronneberger et al. 2015), ``deeplabv3plus`` (Chen et al. 2018), ``pspnet`` (Zhao et al. 2017) or
            ``ccnet`` (Huang et al. 2019).
        encoder: As segmentation-models-pytorch names it: ``resnet18``, ``resnet50``, ``se_resnet152``, ...; with
            ``ccnet`` a plain ResNet, which begins with three convolutions there.
        depth: Stages of the encoder that are used, each of which halves or keeps the sides: 3 to 5, with ``ccnet`` 5.
            Fewer than 5 need an encoder of the ResNet family.
        bands: Names of the input channels, in order; the encoder's first convolution takes all of them.
        upsample: Integer factor 1 to 8 by which a patch is enlarged before the encoder.
        design: ``published`` is as the papers have it. ``smp`` is as this package built all but ``unet`` before, for
            checkpoints of then, which say nothing of a design.
    """

    name: ConvName
    encoder: str = "resnet50"
    depth: int = 5
    bands: tuple[str, ...] = ("red", "green", "blue")
    upsample: int = 1
    design: ConvDesign = "published"

    def __post_init__(self) -> None:
        _check_input(self)
        least = 5 if self.name == "ccnet" else 3
        if not least <= self.depth <= 5:  # noqa: PLR2004
            raise InvalidConfigError(
                f"depth {self.depth}", expected="5 for ccnet" if self.name == "ccnet" else "3 to 5", key="model.depth"
            )

    @property
    def multiple(self) -> int:
        """Sides of a patch, once enlarged, are multiples of this: the coarsest map's pixel.

        PSPNet and CCNet keep maps of an eighth, DeepLabV3+ of a sixteenth; a UNet halves at every stage.
        """
        coarsest = {"unet": 32, "deeplabv3plus": 16, "pspnet": 8, "ccnet": 8}[self.name]
        return min(coarsest, 1 << self.depth)

    @property
    def stands_on_base(self) -> bool:
        """A checkpoint holds every tensor."""
        return False

    @property
    def least_batch(self) -> int:
        """Images that a training step needs at least: batch normalisation has no variance over one pixel of one."""
        return 2


ModelSpec = LandslideNetSpec | ConvNetSpec
"""What a model is made of; ``name`` tells which."""


def _check_input(model: ModelSpec) -> None:
    if not 1 <= model.upsample <= 8:  # noqa: PLR2004
        raise InvalidConfigError(f"upsample {model.upsample}", expected="1 to 8", key="model.upsample")
    if not 1 <= len(model.bands) <= MOST_BANDS or len(set(model.bands)) != len(model.bands):
        raise InvalidConfigError(
            f"bands {list(model.bands[: 2 * MOST_BANDS])}",
            expected=f"one to {MOST_BANDS} bands, each once",
            key="model.bands",
        )
    if not all(0 < len(band) <= _LONGEST_NAME for band in model.bands):
        raise InvalidConfigError(
            f"bands {[band[:_LONGEST_NAME] for band in model.bands]}",
            expected=f"names of 1 to {_LONGEST_NAME} characters",
            key="model.bands",
        )


@dataclass(frozen=True, kw_only=True)
class InputSpec:
    """How pixel values become network input: ``(clip(x, low, high) * gain - mean) / std``, per band.

    Pixels without data become exactly 0 after this, the band mean. Bands of `terrain` are neither clamped nor scaled by
    a gain, nor recoloured in training: ``(x - mean) / std``.

    Attributes:
        radiometry: ``boa`` surface reflectance (0 to 1), ``toa`` reflectance at the top of the atmosphere, ``rgb8``
            display values (0 to 255), ``l4s`` Landslide4Sense's values as they are stored, as networks were trained on
            them before they were taken back to ``toa``.
        low, high: Closed interval the values are clamped to.
        gain: Factor from values to SAM's 0 to 255 scale.
        mean, std: One per band, on the scaled values.
        terrain: Numbers, from 0, of the bands in metres and degrees.
    """

    radiometry: Radiometry
    low: float
    high: float
    gain: float
    mean: tuple[float, ...]
    std: tuple[float, ...]
    terrain: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        # One that is out of its range is out of it in every pixel: the network would be shown no number, or one alone.
        if not -math.inf < self.low < self.high < math.inf:
            raise _refused("low", f"low {self.low}, high {self.high}", "two numbers, low below high")
        if not 0 < self.gain < math.inf:
            raise _refused("gain", f"gain {self.gain}", "a number above 0")
        if not all(map(math.isfinite, self.mean)):
            raise _refused("mean", f"mean {list(self.mean)}", "a number for each band")
        if not all(0 < one < math.inf for one in self.std):
            raise _refused("std", f"std {list(self.std)}", "a number above 0 for each band")
        if not all(0 <= band < len(self.mean) for band in self.terrain):
            raise _refused("terrain", f"terrain {list(self.terrain)}", f"numbers of bands, 0 to {len(self.mean) - 1}")

    def limits(self) -> tuple[tuple[float, ...], tuple[float, ...], tuple[float, ...]]:
        """Low, high and gain of each band."""
        own, plain = (self.low, self.high, self.gain), (-math.inf, math.inf, 1.0)
        low, high, gain = zip(*(plain if band in self.terrain else own for band in range(len(self.mean))), strict=True)
        return low, high, gain

    @classmethod
    def for_bands(cls, radiometry: Radiometry, bands: tuple[str, ...]) -> InputSpec:
        """The published scaling: SAM's statistics for red, green, blue; the mean of the three for any other band.

        Landslide4Sense's stored values are around 1, which is shown as SAM's mean grey. Nothing is published for
        elevation and slope: a training measures them.
        """
        terrain = tuple(
            place for place, band in enumerate(bands) if band in TERRAIN_BANDS and radiometry in REFLECTANCE
        )
        known = dict(zip(("red", "green", "blue"), zip(SAM_PIXEL_MEAN, SAM_PIXEL_STD, strict=True), strict=True))
        other = (sum(SAM_PIXEL_MEAN) / 3, sum(SAM_PIXEL_STD) / 3)
        if terrain:
            known |= _TERRAIN_SCALE
        mean, std = zip(*(known.get(band, other) for band in bands), strict=True)
        low, high, gain = {
            "boa": (0.0, 1.0, 255 / REFLECTANCE_WHITE),
            "toa": (0.0, 1.0, 255 / REFLECTANCE_WHITE),
            "rgb8": (0.0, 255.0, 1.0),
            "l4s": (0.0, _L4S_HIGH, other[0]),
        }[radiometry]
        return cls(radiometry=radiometry, low=low, high=high, gain=gain, mean=mean, std=std, terrain=terrain)


def _refused(name: str, found: str, expected: str) -> InvalidConfigError:
    return InvalidConfigError(found, expected=expected, key=f"inputs.{name}")
