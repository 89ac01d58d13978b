"""Scoring a checkpoint on labelled images, its patches and the whole images that these make up."""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from operator import add
from typing import TYPE_CHECKING, Literal

import torch

from landslide_scale.datasets import EvaluationPatches, open_dataset
from landslide_scale.metrics import LabelledMap, MapScores
from landslide_scale.model.checkpoint import read_card, restore
from landslide_scale.parting import grouped, look, partition
from landslide_scale.training.epochs import Calibration, evaluate
from landslide_scale.training.mosaic import Mosaic

if TYPE_CHECKING:
    from landslide_scale.datasets.spec import DataSpec
    from landslide_scale.metrics import Confusion
    from landslide_scale.model.checkpoint import ModelCard
    from landslide_scale.training.spec import TrainSpec


@dataclass(frozen=True, kw_only=True)
class Assessment:
    """How a checkpoint did.

    Attributes:
        card: Of the checkpoint.
        images: How many were scored.
        confusion: Their pixels at the card's threshold; its `landslide` and `macro` are the scores.
        loss: Mean BCE + Dice per patch.
        maps: The same pixels as whole images: objects, borders, sizes and calibration.
    """

    card: ModelCard
    images: int
    confusion: Confusion
    loss: float
    maps: MapScores


def evaluate_checkpoint(
    checkpoint: str,
    data: DataSpec,
    train: TrainSpec,
    *,
    part: Literal["holdout", "all"] = "holdout",
    base_url: str | None = None,
    device: str | None = None,
) -> Assessment:
    """Score a checkpoint.

    Args:
        checkpoint: Path or fsspec URL.
        data: Images of the checkpoint's radiometry, with its bands.
        train: As it was trained: seed and fractions give the same holdout from the same images; patch, batch and
            precision the same numbers.
        part: ``all`` is for images the checkpoint never saw.
        base_url: Where its base weights are now; not read for a network that stands on none.
        device: As torch names it; by default a GPU where there is one.

    Raises:
        InvalidCheckpointError: It cannot be restored.
        InvalidDatasetError: The images cannot be used, or are of another radiometry.
    """
    card = read_card(checkpoint)
    dataset = open_dataset(data, card.model, card.inputs)
    looked = look(dataset)
    found = looked.found
    names = partition(found, data, grouped(dataset, looked, data), **train.shares).holdout if part == "holdout" else dataset.names
    net, _ = restore(checkpoint, base_url=base_url)
    calibration = Calibration(threshold=card.threshold, temperature=card.temperature, bias=card.bias)
    patches = EvaluationPatches.of(dataset, found, names, train.patch)
    scored: list[MapScores] = []

    def whole(_name: str, image: LabelledMap) -> None:
        scored.append(MapScores.of(image, threshold=card.threshold))

    judged = evaluate(
        net.to(device or ("cuda" if torch.cuda.is_available() else "cpu")),
        patches,
        batch=train.batch,
        precision=train.precision,
        calibration=calibration,
        seen=Mosaic(patches, found, calibration, whole),
    )
    maps = reduce(add, scored)
    return Assessment(card=card, images=len(names), confusion=judged.confusion, loss=judged.loss, maps=maps)
