"""How a network is trained, as one frozen value that imports with nothing but Python."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from landslide_scale.errors import InvalidConfigError

CalibrationMethod = Literal["temperature", "platt"]
LossOver = Literal["pixels", "patches"]
Decay = Literal["matrices", "all"]


@dataclass(frozen=True, kw_only=True)
class TrainSpec:
    """One training: AdamW with BCE + Dice, as in the paper.

    Attributes:
        epochs: Passes over the training part.
        batch: Global batch: images per optimiser step over all workers together.
        learning_rate: AdamW's, above 0.
        weight_decay: AdamW's, a share of each weight per step and rate.
        decay: What it is taken from: ``matrices`` and kernels alone, not biases, normalisations, tokens and positions;
            or ``all``, as trainings took it that were begun before there was this.
        patch: Side of the training square in native pixels; once enlarged by the model's ``upsample``, a multiple of
            16, of 32 for ``unet`` and of 8 for ``pspnet`` and ``ccnet``.
        seed: Of the initial weights, the order and the augmentation, and of the split where `split_seed` is None.
        split_seed: Of the split: with one that is given, trainings of several seeds learn from the same images and are
            chosen by and scored on the same.
        holdout: Fraction scored and never trained on (the paper's 30 %).
        validation: Fraction of the training part on which epoch, threshold and temperature are chosen.
        precision: ``auto`` is bf16 autocast where the hardware computes it natively, else float32.
        checkpoint_gradients: Recompute transformer blocks in the backward pass to save memory; LandslideNet's alone.
        schedule: ``constant`` is the paper's. ``warmup_cosine`` rises over the first 5 % of all steps and falls to 0
            along a half cosine: for an encoder trained from random weights, which a constant rate serves badly.
        landslide_focus: Share, 0 to 1, of training squares put over a landslide; 0 takes them anywhere, as the paper.
            Dice taken per image drives a fresh network to "nothing anywhere" where most squares hold no landslide.
        beta2: Of AdamW, in (0, 1): 0.95 forgets the wild first steps of a fresh network sooner.
        statistics: ``sam`` scales each band by SAM's published mean and deviation, as its pretrained encoder expects;
            they are ImageNet's too, so that they fit a convolutional encoder from there.
            ``data`` takes them from the training part's pixels: for an encoder from random weights, to which forest
            and bare ground in near infrared look alike under SAM's. Elevation and slope are measured either way. What
            was used is kept in the checkpoint.
        clip_norm: Gradients are scaled down to this norm over all tensors: early steps of a dice loss are wild.
        calibration: Fitted to the validation pixels after each epoch: ``temperature`` alone, or with a bias
            (``platt``), which makes the mean probability right where landslides are as frequent as there. None is
            ``platt`` where the images are known to be a fair share of ground, else ``temperature``.
        average: In [0, 1): where above 0, what is validated and kept is an exponential mean of the weights over the
            steps, of which each leaves this share (less over the first: (1 + n) / (10 + n) after n). Single steps of a
            short training differ, and which of them is best is chance; their mean does not. About 1 / (1 - average)
            steps count: choose it so that these are a few epochs at most.
        recolour: Factor, 0 to 5, on how far the colours of training squares are moved at random: with 1 each band by up
            to 10 % of itself and 3 % of white. It is for scenes of another day or sensor than the network has seen;
            where it will scan the very scenes it learns from, less keeps apart what only colour tells apart.
        loss_over: What the losses of an epoch are means over, of which the validation's chooses the epoch. ``pixels``:
            each patch weighs by its counted pixels. ``patches``: all weigh alike, also one of which a corner is counted
            or nothing. None is ``pixels``; a run begun before goes on by patches.
        hidden: Share, 0 to 1, of training squares of which 5 to 60 % are shown as if nobody had seen them, beyond an
            edge as coasts, clouds and swaths have. A scan's patches are like that wherever ground is hidden.
    """

    epochs: int = 20
    batch: int = 8
    learning_rate: float = 2e-4
    weight_decay: float = 0.01
    decay: Decay = "matrices"
    patch: int = 112
    seed: int = 0
    holdout: float = 0.3
    validation: float = 0.15
    precision: Literal["auto", "bf16", "float32"] = "auto"
    checkpoint_gradients: bool = False
    schedule: Literal["constant", "warmup_cosine"] = "constant"
    landslide_focus: float = 0.0
    beta2: float = 0.999
    statistics: Literal["sam", "data"] = "sam"
    clip_norm: float = 1.0
    calibration: CalibrationMethod | None = None
    average: float = 0.0
    recolour: float = 1.0
    split_seed: int | None = None
    loss_over: LossOver | None = None
    hidden: float = 0.0

    @property
    def shares(self) -> dict[str, Any]:
        """How images are parted: keywords of :func:`landslide_scale.parting.partition`."""
        seed = self.seed if self.split_seed is None else self.split_seed
        return {"seed": seed, "holdout": self.holdout, "validation": self.validation}

    @property
    def squares(self) -> dict[str, Any]:
        """What is cut out of them: keywords of :meth:`landslide_scale.datasets.TrainingPatches.of`."""
        return {
            "patch": self.patch,
            "seed": self.seed,
            "focus": self.landslide_focus,
            "recolour": self.recolour,
            "hidden": self.hidden,
        }

    @property
    def recorded(self) -> dict[str, Any]:
        """As the settings of a run say it, by which it is known again; a key that came later only where it is used."""
        said = asdict(self) | {"loss_over": self.loss_over or "pixels"}
        untouched = {
            "decay": "all",
            "average": 0.0,
            "recolour": 1.0,
            "split_seed": None,
            "loss_over": "patches",
            "hidden": 0.0,
        }
        return {key: value for key, value in said.items() if key not in untouched or value != untouched[key]}

    def calibrated_for(self, *, fair_share: bool | None) -> TrainSpec:
        """The same with its calibration settled, for images that are a fair share of ground, are none, or may be."""
        return self if self.calibration else replace(self, calibration="platt" if fair_share else "temperature")

    def __post_init__(self) -> None:
        for key in ("seed", "split_seed"):
            if (getattr(self, key) or 0) < 0:
                raise InvalidConfigError(str(getattr(self, key)), expected="0 or more", key=f"train.{key}")
        for key in ("epochs", "batch", "patch", "learning_rate", "clip_norm"):
            if getattr(self, key) <= 0:
                raise InvalidConfigError(str(getattr(self, key)), expected="more than 0", key=f"train.{key}")
        self._check_shares()
        if not 0 <= self.recolour <= 5:  # noqa: PLR2004 a gain of 50 %
            raise InvalidConfigError(str(self.recolour), expected="0 to 5", key="train.recolour")
        if not 0 <= self.average < 1:
            raise InvalidConfigError(str(self.average), expected="at least 0 and below 1", key="train.average")

    def _check_shares(self) -> None:
        for key in ("landslide_focus", "hidden"):
            if not 0 <= getattr(self, key) <= 1:
                raise InvalidConfigError(str(getattr(self, key)), expected="0 to 1", key=f"train.{key}")
        for key in ("holdout", "validation", "beta2"):
            if not 0 < getattr(self, key) < 1:
                raise InvalidConfigError(str(getattr(self, key)), expected="between 0 and 1", key=f"train.{key}")
