"""What a trained network expects and finds, place by place: areas of its validation, pixels of its holdout."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from landslide_scale.label_values import IGNORE, LANDSLIDE
from landslide_scale.metrics import AreaRatio, Confusion
from landslide_scale.training.batches import Workers
from landslide_scale.training.evaluating import evaluate

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray
    from torch import Tensor, nn

    from landslide_scale.datasets import EvaluationPatches, Found
    from landslide_scale.training.evaluating import Calibration
    from landslide_scale.training.job import FinetuneJob, Prepared

_UNIT = 2**32
"""Probabilities are added up in whole numbers of 2^-32, so that no order of images or workers changes a sum."""


class PlaceAreas:
    """Takes windows as `evaluate` has seen them and adds up what is expected and what is true of each place.

    Args:
        patches: The windows.
        calibration: What makes probabilities of logits.
        device: Where the logits are.
    """

    def __init__(self, patches: EvaluationPatches, calibration: Calibration, device: torch.device) -> None:
        self._patches, self._calibration = patches, calibration
        self._rows = {name: row for row, name in enumerate(dict.fromkeys(name for name, _ in patches.items))}
        self._sums = torch.zeros((len(self._rows), 2), dtype=torch.int64, device=device)

    def __call__(self, indices: Sequence[int], logits: Tensor, labels: Tensor) -> None:
        """Add some windows.

        Args:
            indices: Of the patches.
            logits: Any floating dtype, (B, P, P).
            labels: uint8 (B, P, P); 255 where a pixel does not count.
        """
        units = (self._calibration.probability(logits).double() * _UNIT).round().long()
        expected = torch.where(labels == IGNORE, 0, units).sum((1, 2))
        true = (labels == LANDSLIDE).sum((1, 2))
        rows = [self._rows[self._patches.items[index][0]] for index in indices]
        self._sums.index_add_(0, torch.tensor(rows, device=self._sums.device), torch.stack((expected, true), 1))

    def by_place(
        self, found: Mapping[str, Found], groups: Mapping[str, str]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Expected and true area of each place, (N,) both, over all workers; every one of them must call it.

        Args:
            found: The images; areas are in m2 where that of every pixel is known, else in pixels.
            groups: The place of each.
        """
        sums = Workers.here().total(self._sums).cpu().numpy().astype(np.float64)
        sizes = [found[name].pixel_m2 for name in self._rows]
        known = [size for size in sizes if size is not None]
        sums *= np.array(known if len(known) == len(sizes) else [1.0] * len(sizes)).reshape(-1, 1)
        places = [groups[name] for name in self._rows]
        order = {place: row for row, place in enumerate(dict.fromkeys(places))}
        areas = np.zeros((len(order), 2))
        np.add.at(areas, [order[place] for place in places], sums)
        return areas[:, 0] / _UNIT, areas[:, 1]


class PlaceCounts:
    """Takes windows as `evaluate` has seen them and counts hits and misses of each place.

    Args:
        patches: The windows.
        calibration: What makes a mask of logits.
        device: Where the logits are.
    """

    def __init__(self, patches: EvaluationPatches, calibration: Calibration, device: torch.device) -> None:
        self._patches, self._calibration = patches, calibration
        self._rows = {name: row for row, name in enumerate(dict.fromkeys(name for name, _ in patches.items))}
        self._sums = torch.zeros((len(self._rows), 4), dtype=torch.int64, device=device)

    def __call__(self, indices: Sequence[int], logits: Tensor, labels: Tensor) -> None:
        """Add some windows: their numbers, logits (B, P, P) and labels uint8 (B, P, P)."""
        guess, truth, counted = self._calibration.mask(logits), labels == LANDSLIDE, labels != IGNORE
        cases = (guess & truth, guess & ~truth & counted, ~guess & truth, ~guess & ~truth & counted)
        rows = [self._rows[self._patches.items[index][0]] for index in indices]
        sums = torch.stack([case.sum((1, 2)) for case in cases], 1)
        self._sums.index_add_(0, torch.tensor(rows, device=self._sums.device), sums)

    def by_place(self, groups: Mapping[str, str]) -> dict[str, Confusion]:
        """Pixels of each place over all workers; every one of them must call it."""
        found: dict[str, Confusion] = {}
        for name, (tp, fp, fn, tn) in zip(self._rows, Workers.here().total(self._sums).tolist(), strict=True):
            place = groups[name]
            found[place] = found.get(place, Confusion()) + Confusion(tp=tp, fp=fp, fn=fn, tn=tn)
        return found


def area_ratio(
    net: nn.Module, calibration: Calibration, prepared: Prepared, job: FinetuneJob, *, threads: int = 2
) -> AreaRatio | None:
    """True over expected landslide area of the validation, resampled by place.

    Under ``torch.distributed`` every process calls it with the same arguments and returns the same.

    Args:
        net: At the epoch that is kept.
        calibration: Of that epoch.
        prepared: The data.
        job: How it was trained.
        threads: That read patches.
    """
    patches = prepared.validation(job, prepared.dataset)
    areas = PlaceAreas(patches, calibration, next(net.parameters()).device)
    evaluate(net, patches, batch=job.train.batch, precision=job.train.precision, threads=threads, seen=areas)
    return AreaRatio.resampled(*areas.by_place(prepared.found, prepared.groups))
