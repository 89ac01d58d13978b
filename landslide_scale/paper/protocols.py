"""A trained checkpoint under the paper's protocol and under stricter ones.

What each judges is said in :data:`landslide_scale.paper.tables.PROTOCOLS`, below every table.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from operator import add

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from landslide_scale.datasets import Dataset, EvaluationPatches, Kept, Sample, inspect, open_dataset
from landslide_scale.datasets.patches import cut, windows
from landslide_scale.datasets.spec import DataSpec
from landslide_scale.label_values import LANDSLIDE
from landslide_scale.metrics import LabelledMap, MapScores
from landslide_scale.model.checkpoint import ModelCard, restore
from landslide_scale.model.core.precision import Precision, autocast
from landslide_scale.paper.figures import shown
from landslide_scale.paper.tables import PAPER
from landslide_scale.paper.trials import Judged
from landslide_scale.storage.rundir import RunDirectory
from landslide_scale.training.epochs import Calibration, evaluate
from landslide_scale.training.job import FinetuneJob
from landslide_scale.training.run import CHECKPOINT

EXAMPLES = "examples.npz"
_NON_LANDSLIDE = "non-landslide/"


@dataclass(frozen=True, kw_only=True, eq=False)
class _Network:
    """A restored checkpoint, ready to look at whole images."""

    net: torch.nn.Module
    card: ModelCard
    patch: int
    batch: int
    precision: Precision
    device: str

    @property
    def calibration(self) -> Calibration:
        return Calibration(threshold=self.card.threshold, temperature=self.card.temperature, bias=self.card.bias)

    @torch.inference_mode()
    def logits(self, image: NDArray[np.float32]) -> torch.Tensor:
        """Of an image (C, H, W): float32 (H, W), window by window as in training."""
        height, width = image.shape[1:]
        places = windows(height, width, self.patch)
        blank = Sample(image=image, label=np.zeros((height, width), np.uint8))
        whole = torch.empty(height, width)
        for first in range(0, len(places), self.batch):
            some = places[first : first + self.batch]
            images = np.stack([cut(blank, place.y, place.x, self.patch).image for place in some])
            with autocast(self.precision, self.device):
                found = self.net(torch.from_numpy(images).to(self.device))[:, 0].float().cpu()
            for place, one in zip(some, found, strict=True):
                part = one[place.new_y - place.y : height - place.y, place.new_x - place.x : width - place.x]
                whole[place.new_y : place.y + self.patch, place.new_x : place.x + self.patch] = part
        return whole

    def probability(self, image: NDArray[np.float32], size: tuple[int, int]) -> NDArray[np.float32]:
        """Of landslide, float32 of `size`: logits are brought there bilinearly, labels never are."""
        logits = self.logits(image)[None, None]
        if logits.shape[2:] != size:
            logits = F.interpolate(logits, size=size, mode="bilinear", align_corners=False)
        found: NDArray[np.float32] = self.calibration.probability(logits[0, 0]).numpy()
        return found


def judge(job: FinetuneJob, examples: int) -> dict[str, Judged]:
    """Judge a finished training on its held-out images, and keep the masks of a few of them for pictures.

    Args:
        job: The training; its folder holds the checkpoint and the split.
        examples: How many images to keep, from the smallest share of landslide to the largest.

    Returns:
        What came of each protocol, by name.
    """
    folder = RunDirectory(job.output)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    net, card = restore(folder.at(CHECKPOINT), base_url=job.base_url)
    spec = job.train
    network = _Network(
        net=net.to(device).eval(), card=card, patch=spec.patch, batch=spec.batch, precision=spec.precision,
        device=device,
    )  # fmt: skip
    seen = Kept(open_dataset(job.data, card.model, card.inputs))
    held = json.loads(folder.read("split.json"))["holdout"]
    strict = _strict(network, job.data, seen, held)
    _keep_examples(folder, network, seen, _spread(seen, held, examples))
    return {PAPER: _paper(network, seen, held), **strict}


def _paper(network: _Network, seen: Dataset, held: Sequence[str]) -> Judged:
    """The held-out images without those of a non-landslide folder, as the network was trained on them."""
    names = [name for name in held if not name.startswith(_NON_LANDSLIDE)]
    judged = evaluate(
        network.net,
        EvaluationPatches.of(seen, inspect(seen), names, network.patch),
        batch=network.batch,
        precision=network.precision,
        calibration=network.calibration,
    )
    return Judged(images=len(names), confusion=judged.confusion)


def _strict(network: _Network, data: DataSpec, seen: Dataset, held: Sequence[str]) -> dict[str, Judged]:
    """At original size, without and with images that show no landslide."""
    original = _opened(replace(data, resize=None), network.card)
    judged = list(_each(network, seen, original, held))
    without = [maps for maps in judged if maps.confusion.tp + maps.confusion.fn]
    unseen = _untrained(data, network.card)
    if unseen is not None:
        names = [name for name in unseen.names if name.startswith(_NON_LANDSLIDE)]
        judged += _each(network, _opened(replace(data, non_landslide=True), network.card), unseen, names)
    return {name: Judged.of_maps(reduce(add, maps)) for name, maps in (("strict", without), ("strict-all", judged))}


def _opened(data: DataSpec, card: ModelCard) -> Dataset:
    return open_dataset(data, card.model, card.inputs)


def _untrained(data: DataSpec, card: ModelCard) -> Dataset | None:
    """Of Bijie trained on its landslide images alone, the set with the others too, at original size."""
    if data.kind != "bijie" or data.non_landslide:
        return None
    return _opened(replace(data, resize=None, non_landslide=True), card)


def _each(network: _Network, seen: Dataset, original: Dataset, names: Sequence[str]) -> Iterator[MapScores]:
    for name in names:
        sample = original.read(name)
        probability = network.probability(seen.read(name).image, sample.label.shape)
        image = LabelledMap(probability=probability, label=sample.truth, pixel_m2=sample.pixel_m2)
        yield MapScores.of(image, threshold=network.card.threshold)


def _spread(seen: Dataset, held: Sequence[str], count: int) -> list[str]:
    """Names at even steps through the held-out images that show a landslide, by its share of the image."""
    shares = [(float((seen.read(name).truth == LANDSLIDE).mean()), name) for name in held]
    ordered = [name for share, name in sorted(shares) if share]
    count = min(count, len(ordered))
    return [ordered[(2 * place + 1) * len(ordered) // (2 * count)] for place in range(count)]


def _keep_examples(folder: RunDirectory, network: _Network, seen: Dataset, names: Sequence[str]) -> None:
    content: dict[str, NDArray[np.generic]] = {"names": np.array(names)}
    for number, name in enumerate(names):
        sample = seen.read(name)
        content[f"image{number}"] = shown(sample.image, seen.bands)
        content[f"label{number}"] = sample.truth
        content[f"mask{number}"] = network.probability(sample.image, sample.label.shape) >= network.card.threshold
    packed = io.BytesIO()
    np.savez_compressed(packed, allow_pickle=False, **content)
    folder.write(EXAMPLES, packed.getvalue())
