"""What a network does on patches: its scores, its logits, and the calibration that is fitted to them.

N processes compute what one would: each takes its part, and counts and losses are added up.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn

from landslide_scale.errors import BrokenRunError
from landslide_scale.label_values import IGNORE, LANDSLIDE
from landslide_scale.metrics import Confusion, LogitHistogram
from landslide_scale.metrics.logits import BINS, EDGES
from landslide_scale.model.core.precision import autocast
from landslide_scale.provenance import Precision
from landslide_scale.training.batches import Workers, loaded, shares
from landslide_scale.training.losses import patch_weights, segmentation_loss

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Tensor

    from landslide_scale.datasets import Patches
    from landslide_scale.training.spec import CalibrationMethod, LossOver

_LARGEST_POWER = 700.0
"""Of e, that a float holds."""


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """How logits become probabilities and these a mask: ``sigmoid((logit + bias) / temperature) >= threshold``.

    Attributes:
        threshold, temperature, bias: As above.
        prevalence: Share of landslide among the pixels it was fitted to, which a bias assumes; None where there were
            none.
    """

    threshold: float = 0.5
    temperature: float = 1.0
    bias: float = 0.0
    prevalence: float | None = None

    @classmethod
    def fitted(cls, histogram: LogitHistogram, method: CalibrationMethod | None = None) -> Calibration:
        """Temperature, or temperature and bias, of least cross-entropy; and the threshold of highest expected F1.

        The threshold is rounded down to four digits, so that logits exactly at the chosen bin edge, frequent in bf16,
        stay on its upper side in any arithmetic.

        Args:
            histogram: Of all pixels of the validation images, cut as `EvaluationPatches` does: ``landslide_focus``
                enriches training squares alone, so the share of landslide here is that of the data set. Whether it
                is also that of the ground, the data set's `facts` say where they can.
            method: ``platt`` fits a bias too; None is the temperature alone.
        """
        temperature, bias = histogram.fit_platt() if method == "platt" else (histogram.fit_temperature(), 0.0)
        odds = (histogram.best_logit(temperature, bias) + bias) / temperature
        probability = 1 / (1 + math.exp(min(-odds, _LARGEST_POWER)))
        threshold = min(max(math.floor(probability * 1e4), 1), 9999) / 1e4
        prevalence = None if math.isnan(histogram.prevalence) else histogram.prevalence
        return cls(threshold=threshold, temperature=temperature, bias=bias, prevalence=prevalence)

    @property
    def edge(self) -> float:
        """The logit from which a pixel counts as landslide."""
        return self.temperature * math.log(self.threshold / (1 - self.threshold)) - self.bias

    def probability(self, logits: Tensor) -> Tensor:
        """Float32 in [0, 1], of the shape of `logits`."""
        return torch.sigmoid((logits.float() + self.bias) / self.temperature)

    def mask(self, logits: Tensor) -> Tensor:
        """Bool, True where landslide, of the shape of `logits`."""
        return self.probability(logits) >= self.threshold


@lru_cache(maxsize=8)
def _edges(device: torch.device) -> Tensor:
    return torch.from_numpy(EDGES.astype(np.float32)).to(device)


def histogram_of(logits: Tensor, label: Tensor) -> LogitHistogram:
    """Count as :meth:`LogitHistogram.of` does, on the device that holds them: a GPU's logits stay there.

    Args:
        logits: Floating, none NaN, any shape.
        label: uint8 of the same number of elements; 255 ignored.
    """
    label, logits = label.reshape(-1), logits.reshape(-1).float()
    counted = label != IGNORE
    index = torch.bucketize(logits[counted], _edges(logits.device), right=True) - 1
    index += BINS * (label[counted] == LANDSLIDE).long()
    return LogitHistogram(counts=torch.bincount(index, minlength=2 * BINS).reshape(2, BINS).cpu().numpy())


@dataclass(frozen=True, kw_only=True, eq=False)
class Evaluation:
    """What a network did on some patches, summed over all processes.

    Attributes:
        confusion: Pixels under the calibration asked for.
        histogram: Pixels by logit.
        loss: Mean over counted pixels of their patch's loss, or over patches; nan without any.
    """

    confusion: Confusion
    histogram: LogitHistogram
    loss: float


@torch.inference_mode()
def evaluate(
    net: nn.Module,
    patches: Patches,
    *,
    batch: int,
    precision: Precision = "auto",
    calibration: Calibration | None = None,
    threads: int = 2,
    seen: Callable[[Sequence[int], Tensor, Tensor], None] | None = None,
    loss_over: LossOver = "pixels",
) -> Evaluation:
    """Run a network over patches, each process over its part.

    Args:
        net: Gives logits (B, 1, P, P) for float32 (B, C, P, P); not wrapped for DDP.
        patches: What to score.
        batch: Patches at a time over all processes.
        precision: Of the forward pass.
        calibration: What makes a mask of logits; by default probability 0.5.
        threads: That read patches.
        seen: Given this process's patches as they come: their indices, logits (B, P, P) and labels uint8 (B, P, P).
        loss_over: What the loss is a mean over: with ``patches`` one of which a corner is counted weighs as a whole
            one.

    Raises:
        BrokenRunError: A logit is no number, or none that ends.
    """
    net.eval()
    workers, device = Workers.here(), next(net.parameters()).device
    calibration = calibration or Calibration()
    confusion, histogram, loss, weight = Confusion(), LogitHistogram.empty(), 0.0, 0.0
    parts = (share for share in shares(range(len(patches)), batch, workers) if share.weight)
    for images, labels, share in loaded(patches, 0, parts, device, threads):
        with autocast(precision, device.type):
            logits = net(images)
        if not logits.isfinite().all():
            raise BrokenRunError(
                "the network's logits are no numbers (NaN or infinite)",
                expected="weights that are",
                cure="Try a lower train.learning_rate.",
            )
        if seen is not None:
            seen(share.indices, logits[:, 0], labels)
        confusion += Confusion.of(calibration.mask(logits[:, 0]), labels)
        histogram += histogram_of(logits, labels)
        each, weights = segmentation_loss(logits, labels).double(), patch_weights(labels, loss_over)
        loss += float((each * weights).sum())
        weight += float(weights.sum())
    return _summed(workers, device, Evaluation(confusion=confusion, histogram=histogram, loss=loss), weight)


def _summed(workers: Workers, device: torch.device, mine: Evaluation, weight: float) -> Evaluation:
    """The evaluation of all processes, from one whose loss is a sum over this one's patches, of so much weight."""
    four = [mine.confusion.tp, mine.confusion.fp, mine.confusion.fn, mine.confusion.tn]
    counts = torch.from_numpy(np.concatenate((np.array(four, np.int64), mine.histogram.counts.ravel()))).to(device)
    counts = workers.total(counts).cpu()
    loss, whole = workers.total(torch.tensor([mine.loss, weight], dtype=torch.float64, device=device)).tolist()
    tp, fp, fn, tn = counts[:4].tolist()
    return Evaluation(
        confusion=Confusion(tp=tp, fp=fp, fn=fn, tn=tn),
        histogram=LogitHistogram(counts=counts[4:].reshape(mine.histogram.counts.shape).numpy()),
        loss=loss / whole if whole else math.nan,
    )
