"""Named models."""

from __future__ import annotations

from landslide_scale.spec import ConvNetSpec, LandslideNetSpec, ModelSpec, TuningSpec

PAPER = LandslideNetSpec(sam="vit_l", tuning=TuningSpec(width=44, sharing="shared"))
"""4.20 M of 312.48 M parameters trainable, the paper's table 3.

The width is inferred: the paper gives none. SAM ViT-L has 312,342,832 parameters and its decoder 4,058,340, which
leaves about 0.14 M for all tuning layers. No width fits that with matrices of its own for every block (2 gives
4.18 M trainable, 3 gives 4.23 M); a W_down and W_up that all blocks share do, with 44 channels (138,700).
"""

PER_BLOCK = LandslideNetSpec(sam="vit_l", tuning=TuningSpec(width=64, sharing="per_block"))
"""The tuning layer as the paper draws it, with all three matrices in every block, at a width usual for adapters."""

PRESETS: dict[str, ModelSpec] = {"paper": PAPER, "per_block": PER_BLOCK}

TABLE_3: dict[str, ModelSpec] = {
    "ccnet": ConvNetSpec(name="ccnet", encoder="resnet101"),
    "deeplabv3plus": ConvNetSpec(name="deeplabv3plus", encoder="resnet50"),
    "unet": ConvNetSpec(name="unet", encoder="se_resnet152"),
    "pspnet": ConvNetSpec(name="pspnet", encoder="resnet50"),
    "landslidenet": PAPER,
}
"""The five models of the paper's table 3.

The paper names no encoders. Three of its counts are met to the last printed digit by one published design each, and
these are the designs here: CCNet as its authors' code builds it, on a ResNet-101 with a second head (71,268,931);
DeepLabV3+ with plain convolutions on ResNet-50 (40,347,041); PSPNet on ResNet-50, without a second head (46,582,337).
"""

GUESSED = frozenset({"unet"})
"""Models of table 3 whose design is a guess: none is known with the paper's 75.36 M parameters.

A UNet on se_resnet152 has 73.79 M, on resnet152 67.16 M; whatever is said of the paper's UNet is said of the former.
"""
