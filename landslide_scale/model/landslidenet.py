"""LandslideNet: Segment Anything with a frozen image encoder, tuning layers and a trainable decoder.

Yu et al. 2024, LandslideNet: Adaptive Vision Foundation Model for Landslide detection.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import nn

from landslide_scale.errors import InvalidConfigError, InvalidInputError
from landslide_scale.model.decoder import decode
from landslide_scale.model.encoder import encode
from landslide_scale.model.sam import SHAPES, TOKEN, random_base, sam_parts
from landslide_scale.model.stem import Normalise, stem
from landslide_scale.model.tensors import load_exactly
from landslide_scale.model.tuning import TuningLayers

if TYPE_CHECKING:
    from collections.abc import Mapping

    from landslide_scale.spec import InputSpec, ModelSpec


class LandslideNet(nn.Module):
    """From pixel values to landslide logits. Made by :func:`build`.

    Three of SAM's four mask tokens' heads and its quality head are trainable, as the paper counts them, but nothing
    reads them: they get no gradient, so DistributedDataParallel needs ``find_unused_parameters=True``.

    Attributes:
        spec: What the model is made of.
        inputs: How it scales pixel values.
    """

    def __init__(self, spec: ModelSpec, inputs: InputSpec, *, sam: nn.ModuleDict, checkpoint_gradients: bool) -> None:
        super().__init__()
        self.spec = spec
        self.inputs = inputs
        self.checkpoint_gradients = checkpoint_gradients
        self.normalise = Normalise(inputs)
        self.stem = stem(spec.bands)
        self.image_encoder = sam["image_encoder"].requires_grad_(spec.train_encoder)
        self.prompt_encoder = sam["prompt_encoder"].requires_grad_(requires_grad=False)
        self.mask_decoder = sam["mask_decoder"]
        shape = SHAPES[spec.sam]
        self.tuning = TuningLayers(dim=shape.dim, depth=shape.depth, spec=spec.tuning)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Predict landslide logits.

        Args:
            images: Float32 (B, C, H, W) in the units of ``inputs.radiometry``, bands as in ``spec.bands``, NaN where
                there is no data. ``H * spec.upsample`` and ``W * spec.upsample`` are multiples of 16.

        Returns:
            Logits, float32 (B, 1, H, W); a positive one says landslide is the likelier.

        Raises:
            InvalidInputError: Another number of bands, or sides that make no whole tokens.
        """
        self._check(images)
        x = self.stem(self.normalise(images))
        if self.spec.upsample > 1:
            x = F.interpolate(x, scale_factor=self.spec.upsample, mode="bilinear", align_corners=False)
        embeddings = encode(self.image_encoder, self.tuning, x, checkpoint_gradients=self.checkpoint_gradients)
        logits = decode(self.mask_decoder, self.prompt_encoder, embeddings).float()
        if logits.shape[2:] == images.shape[2:]:
            return logits
        return F.interpolate(logits, size=images.shape[2:], mode="bilinear", align_corners=False)

    def _check(self, images: torch.Tensor) -> None:
        _, c, h, w = images.shape
        if c != len(self.spec.bands):
            raise InvalidInputError(f"images of {c} bands", expected=", ".join(self.spec.bands))
        if h * self.spec.upsample % TOKEN or w * self.spec.upsample % TOKEN:
            raise InvalidInputError(
                f"a patch of {h} x {w} px, enlarged {self.spec.upsample} times",
                expected=f"sides that are multiples of {TOKEN} once enlarged",
            )

    def trained_state(self) -> dict[str, torch.Tensor]:
        """The trainable tensors by name, and no others; they share memory with the network."""
        return {name: tensor.detach() for name, tensor in self.named_parameters() if tensor.requires_grad}

    def load_trained_state(self, state: Mapping[str, torch.Tensor]) -> None:
        """Copy trained tensors in.

        Raises:
            InvalidCheckpointError: Names the tensors that are missing, unexpected or of another shape.
        """
        load_exactly(self.trained_state(), state, what="the trained tensors")


def build(
    model: ModelSpec,
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
    if not len(inputs.mean) == len(inputs.std) == len(model.bands):
        raise InvalidConfigError(
            f"{len(inputs.mean)} means and {len(inputs.std)} deviations",
            expected=f"one for each of {', '.join(model.bands)}",
        )
    if base is None:
        base = random_base(model.sam, seed)
    with torch.device("meta"):
        sam = sam_parts(model.sam)
    sam = sam.to_empty(device="cpu")
    load_exactly(sam.state_dict(), base, what=f"the {model.sam} base weights")
    with torch.random.fork_rng(devices=()):
        torch.default_generator.manual_seed(seed)
        return LandslideNet(model, inputs, sam=sam, checkpoint_gradients=checkpoint_gradients)


def parameter_counts(net: nn.Module) -> tuple[int, int]:
    """Numbers of (trainable, all) parameters."""
    sizes = [(tensor.numel(), tensor.requires_grad) for tensor in net.parameters()]
    return sum(size for size, trainable in sizes if trainable), sum(size for size, _ in sizes)
