"""LandslideNet: Segment Anything with a frozen image encoder, tuning layers and a trainable decoder.

Yu et al. 2024, LandslideNet: Adaptive Vision Foundation Model for Landslide detection.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from landslide_scale.model.core.network import Network
from landslide_scale.model.core.stem import stem
from landslide_scale.model.core.tensors import load_exactly
from landslide_scale.model.landslidenet.decoder import decode
from landslide_scale.model.landslidenet.encoder import encode
from landslide_scale.model.landslidenet.sam import SHAPES, empty_parts, random_base, sam_parts
from landslide_scale.model.landslidenet.tuning import TuningLayers

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import nn

    from landslide_scale.spec import InputSpec, LandslideNetSpec


class LandslideNet(Network):
    """Segment Anything, tuned.

    Three of SAM's four mask tokens' heads and its quality head are trainable, as the paper counts them, but nothing
    reads them: they get no gradient, so DistributedDataParallel needs ``find_unused_parameters=True``.
    """

    spec: LandslideNetSpec

    def __init__(
        self, spec: LandslideNetSpec, inputs: InputSpec, *, sam: nn.ModuleDict, checkpoint_gradients: bool
    ) -> None:
        super().__init__(spec, inputs)
        self.checkpoint_gradients = checkpoint_gradients
        self.stem = stem(spec.bands)
        self.image_encoder = sam["image_encoder"].requires_grad_(spec.train_encoder)
        self.prompt_encoder = sam["prompt_encoder"].requires_grad_(requires_grad=False)
        self.mask_decoder = sam["mask_decoder"]
        shape = SHAPES[spec.sam]
        self.tuning = TuningLayers(dim=shape.dim, depth=shape.depth, spec=spec.tuning)

    def logits(self, x: torch.Tensor) -> torch.Tensor:
        """Logits (B, 1, H / 4, W / 4) of patches (B, 3, H, W)."""
        embeddings = encode(self.image_encoder, self.tuning, x, checkpoint_gradients=self.checkpoint_gradients)
        return decode(self.mask_decoder, self.prompt_encoder, embeddings)


def shape(model: LandslideNetSpec, inputs: InputSpec, *, checkpoint_gradients: bool = False) -> LandslideNet:
    """A LandslideNet on the device that torch makes tensors on now, its weights of no meaning."""
    return LandslideNet(model, inputs, sam=sam_parts(model.sam), checkpoint_gradients=checkpoint_gradients)


def build(
    model: LandslideNetSpec,
    inputs: InputSpec,
    *,
    base: Mapping[str, torch.Tensor] | None,
    seed: int = 0,
    checkpoint_gradients: bool = False,
) -> LandslideNet:
    """Build a LandslideNet on the CPU; the global random state is left as it was.

    Args:
        model: What it is made of.
        inputs: How it scales pixel values, one mean and deviation for each of ``model.bands``.
        base: A SAM state dict in the official format, copied; None for ``random_base(model.sam, seed)``.
        seed: Of the tuning layers, and of the base weights where there are none.
        checkpoint_gradients: Trade time for memory in training.

    Raises:
        InvalidConfigError: `inputs` has not one mean and deviation per band.
        InvalidCheckpointError: `base` is not a SAM of this size.
    """
    if base is None:
        base = random_base(model.sam, seed)
    sam = empty_parts(model.sam)
    load_exactly(sam.state_dict(), base, what=f"the {model.sam} base weights")
    with torch.random.fork_rng(devices=()):
        torch.default_generator.manual_seed(seed)
        return LandslideNet(model, inputs, sam=sam, checkpoint_gradients=checkpoint_gradients)
