"""Named models."""

from __future__ import annotations

from landslide_scale.spec import ModelSpec, TuningSpec

PAPER = ModelSpec(sam="vit_l", tuning=TuningSpec(width=44, sharing="shared"))
"""4.20 M of 312.48 M parameters trainable, the paper's table 3.

The width is inferred: the paper gives none. SAM ViT-L has 312,342,832 parameters and its decoder 4,058,340, which
leaves about 0.14 M for all tuning layers. No width fits that with matrices of its own for every block (2 gives
4.18 M trainable, 3 gives 4.23 M); a W_down and W_up that all blocks share do, with 44 channels (138,700).
"""

PER_BLOCK = ModelSpec(sam="vit_l", tuning=TuningSpec(width=64, sharing="per_block"))
"""The tuning layer as the paper draws it, with all three matrices in every block, at a width usual for adapters."""

PRESETS = {"paper": PAPER, "per_block": PER_BLOCK}
