"""Scoring a checkpoint on labelled images, its patches and the whole images that these make up.

What a checkpoint has seen is its own to say, and never today's settings': its card holds the hashes of its images.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import reduce
from operator import add
from typing import TYPE_CHECKING, Literal

import torch

from landslide_scale.cards.file import read_card
from landslide_scale.datasets import EvaluationPatches, open_dataset
from landslide_scale.errors import InvalidCheckpointError, InvalidDatasetError
from landslide_scale.judging.mosaic import Mosaic
from landslide_scale.judging.rivals import CONSTANT, rivals
from landslide_scale.label_values import counting
from landslide_scale.metrics import ByPlace, Confusion, LabelledMap, MapScores
from landslide_scale.model.checkpoint import restore
from landslide_scale.parting import grouped, look
from landslide_scale.parting.contested import Contested, without_contested
from landslide_scale.parting.learned import STANDINGS, Standing, named, standings
from landslide_scale.parting.recorded import SPLIT, read_parts
from landslide_scale.redaction import redacted
from landslide_scale.storage.rundir import RunDirectory
from landslide_scale.training.evaluating import Calibration, evaluate
from landslide_scale.training.run import CHECKPOINT

if TYPE_CHECKING:
    from collections.abc import Mapping

    from landslide_scale.cards.card import ModelCard
    from landslide_scale.datasets import Dataset
    from landslide_scale.datasets.spec import DataSpec
    from landslide_scale.judging.rivals import Rival
    from landslide_scale.parting import Looked
    from landslide_scale.training.spec import TrainSpec

Part = Literal["holdout", "all"]


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What the images of a data set are to a checkpoint.

    Attributes:
        standings: Of each image, by name; None where nobody says what the checkpoint has seen.
        by_name: Whether it was told by names alone, from the training's folder: then an image may have been replaced.
        learned: Of those held out, how many show ground that was learnt from or chosen by.
    """

    standings: Mapping[str, Standing] | None
    by_name: bool = False
    learned: int = 0

    def lines(self, part: Part, images: int) -> list[str]:
        """What is said of the images that are scored, before the scores."""
        if self.standings is None:
            return [f"{images} images; what this checkpoint learnt from is not known, so none is called held out"]
        counts = Counter(self.standings.values())
        others = ", ".join(f"{counts[one]} {one}" for one in STANDINGS if counts[one] and one != "held out")
        told = " (by their names: this checkpoint's card does not say)" if self.by_name else ""
        if part == "holdout":
            same = [f"{self.learned} of them show ground that was learnt from or chosen by"] if self.learned else []
            return [f"{images} held-out images{told}", *same, *([f"not scored: {others}"] if others else [])]
        if counts["not seen"] == images:
            return [f"{images} images of another place than it learnt from{told}"]
        held = f", {counts['held out']} held out" if counts["held out"] else ""
        return [f"{images} images{told}: {others}{held}. This is no score of ground that was kept from it"]


@dataclass(frozen=True, kw_only=True)
class Assessment:
    """How a checkpoint did.

    Attributes:
        card: Of the checkpoint.
        part: What was scored.
        images: How many.
        seen: What all images of the data set are to the checkpoint.
        confusion: Their pixels at the card's threshold; its `landslide` and `macro` are the scores.
        loss: Mean BCE + Dice per patch.
        maps: The same pixels as whole images: objects, borders, sizes and calibration.
        places: The same pixels by place, for intervals.
        rivals: What maps come to that look at no image, by name; without the constant map where no image that the
            checkpoint learnt from is at hand.
        agreed: The pixels once contested ones are ignored, and how many are contested; None where none is.
    """

    card: ModelCard
    part: Part
    images: int
    seen: Seen
    confusion: Confusion
    loss: float
    maps: MapScores
    places: ByPlace
    rivals: Mapping[str, Confusion]
    agreed: tuple[Confusion, Contested] | None = None

    @property
    def notes(self) -> list[str]:
        """What else is to be known of the scores."""
        lines = []
        if CONSTANT not in self.rivals:
            lines.append(f"  {CONSTANT}: not known, for no image that was learnt from is here")
        if self.agreed is not None:
            found, contested = self.agreed
            lines.append(f"  {contested.line}")
            lines.append(f"  with these ignored: landslide F1 {found.landslide.f1:.4f}, IoU {found.landslide.iou:.4f}")
        return lines

    @property
    def lines(self) -> list[str]:
        """What was scored, and what the checkpoint has seen of it."""
        first, *others = self.seen.lines(self.part, self.images)
        return [f"{first}, loss {self.loss:.4f}, threshold {self.card.threshold:.3f}", *others]


def evaluate_checkpoint(
    checkpoint: str,
    data: DataSpec,
    train: TrainSpec,
    *,
    part: Part = "holdout",
    base_url: str | None = None,
    device: str | None = None,
) -> Assessment:
    """Score a checkpoint.

    Args:
        checkpoint: Path or fsspec URL.
        data: Images of the checkpoint's radiometry, with its bands.
        train: Its patch, batch and precision: those of the training give the same numbers.
        part: ``holdout``: the images that the checkpoint says were kept from it, whatever today's settings would draw.
            ``all``: every image, of another place for example.
        base_url: Where its base weights are now; not read for a network that stands on none.
        device: As torch names it; by default a GPU where there is one.

    Raises:
        InvalidCheckpointError: It cannot be restored, or does not say which images it has seen and `part` asks.
        InvalidDatasetError: The images cannot be used, are of another radiometry, or none of them was held out.
    """
    card = read_card(checkpoint)
    dataset = open_dataset(data, card.model, card.inputs)
    looked = look(dataset)
    groups = grouped(dataset, looked, data)
    seen = _seen(checkpoint, card, looked, groups)
    names = dataset.names if part == "all" else _held_out(seen, checkpoint, data)
    net, _ = restore(checkpoint, base_url=base_url)
    calibration = Calibration(threshold=card.threshold, temperature=card.temperature, bias=card.bias)
    agreeing = without_contested(dataset, looked.overlaps)
    shown = agreeing if data.contested == "ignored" else dataset
    patches = EvaluationPatches.of(shown, looked.found, names, train.patch)
    scored = _Scored(card.threshold, groups, _rivals(seen, shown), agreeing if looked.contested.pixels else None)
    judged = evaluate(
        net.to(device or ("cuda" if torch.cuda.is_available() else "cpu")),
        patches,
        batch=train.batch,
        precision=train.precision,
        calibration=calibration,
        seen=Mosaic(patches, looked.found, calibration, scored),
    )
    return Assessment(
        card=card,
        part=part,
        images=len(names),
        seen=seen,
        confusion=judged.confusion,
        loss=judged.loss,
        maps=reduce(add, scored.maps),
        places=ByPlace.of([scored.places]),
        rivals=scored.rivals,
        agreed=(scored.agreed, looked.contested) if looked.contested.pixels else None,
    )


class _Scored:
    """Takes whole images as they are put together, and keeps their scores."""

    def __init__(
        self, threshold: float, groups: Mapping[str, str], rivals: Mapping[str, Rival], agreeing: Dataset | None
    ) -> None:
        self._threshold, self._groups, self._rivals, self._agreeing = threshold, groups, rivals, agreeing
        self.maps: list[MapScores] = []
        self.places: dict[str, Confusion] = {}
        self.rivals = dict.fromkeys(rivals, Confusion())
        self.agreed = Confusion()

    def __call__(self, name: str, image: LabelledMap) -> None:
        found = MapScores.of(image, threshold=self._threshold)
        self.maps.append(found)
        place = self._groups[name]
        self.places[place] = self.places.get(place, Confusion()) + found.confusion
        label = torch.from_numpy(counting(image.label, image.probability[None]))
        for rival, each in self._rivals.items():
            guess = each.probability(image.label.shape) >= each.threshold
            self.rivals[rival] += Confusion.of(torch.from_numpy(guess), label)
        if self._agreeing is not None:
            label = torch.from_numpy(self._agreeing.read(name).truth)
            self.agreed += Confusion.of(torch.from_numpy(image.probability >= self._threshold), label)


def _rivals(seen: Seen, dataset: Dataset) -> Mapping[str, Rival]:
    """Of the labels that the checkpoint learnt from, as far as they are here."""
    standings = seen.standings or {}
    return rivals(dataset.read(name).truth for name, one in standings.items() if one == "learnt from")


def _seen(checkpoint: str, card: ModelCard, looked: Looked, groups: Mapping[str, str]) -> Seen:
    """By the card; else by names, where the checkpoint lies in its training's folder."""
    folder, _, file = checkpoint.rpartition("/")
    if card.parts is not None:
        found, by_name = standings(card.parts, looked, groups), False
    elif file == CHECKPOINT and (run := RunDirectory(folder or ".")).exists(SPLIT):
        found, by_name = named(read_parts(run), looked, groups), True
    else:
        return Seen(standings=None)
    learned = {groups[name] for name, standing in found.items() if standing not in {"held out", "not seen"}}
    both = [name for name, standing in found.items() if standing == "held out" and groups[name] in learned]
    return Seen(standings=found, by_name=by_name, learned=len(both))


def _held_out(seen: Seen, checkpoint: str, data: DataSpec) -> tuple[str, ...]:
    every = "--all scores all images, and says of how many it is not known."
    if seen.standings is None:
        raise InvalidCheckpointError(
            "a card that does not say which images it learnt from",
            expected="hashes of its images, as trainings write them now, or the training's split.json beside it",
            cure=every,
            file=redacted(checkpoint),
        )
    names = tuple(sorted(name for name, standing in seen.standings.items() if standing == "held out"))
    if not names:
        counts = Counter(seen.standings.values())
        told = ", ".join(f"{counts[one]} {one}" for one in STANDINGS if counts[one])
        raise InvalidDatasetError(
            f"no image that this checkpoint was kept from: {told}",
            expected="images of its training's holdout",
            cure="--all scores data of another place.",
            file=redacted(data.path),
        )
    return names
