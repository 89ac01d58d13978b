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
    "pspnet": ConvNetSpec(name="pspnet", encoder="resnet101"),
    "landslidenet": PAPER,
}
"""The five models of the paper's table 3, each with the encoder that comes nearest to its count of parameters.

The paper names no encoders, so they are inferred from the counts; see ``TABLE_3_MILLIONS`` for both.
"""

TABLE_3_MILLIONS = {"ccnet": 71.27, "deeplabv3plus": 40.35, "unet": 75.36, "pspnet": 46.58, "landslidenet": 312.48}
"""Total parameters in the paper's table 3, in millions.

Ours: DeepLabV3+ 39.21 (2.8 % less), UNet 73.79 (2.1 % less; 67.16 with resnet152), PSPNet 48.80 (4.8 % more; with
the 3 x 3 convolution behind its pyramid that segmentation-models-pytorch makes 1 x 1, resnet50 would fit exactly),
CCNet 66.4 (6.8 % less: with the 4.7 million of the second head that ``ccnet.py`` leaves out it would fit).
"""
