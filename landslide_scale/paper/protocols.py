"""A trained checkpoint under the paper's protocol and under stricter ones.

What each judges is said in :data:`landslide_scale.paper.tables.PROTOCOLS`, below every table.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from operator import add
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from landslide_scale.cards.card import ModelCard
from landslide_scale.datasets import Dataset, EvaluationPatches, Kept, Sample, inspect, open_dataset
from landslide_scale.datasets.patches import cut, windows
from landslide_scale.datasets.spec import DataSpec
from landslide_scale.judging.rivals import Rival, rivals
from landslide_scale.label_values import LANDSLIDE
from landslide_scale.metrics import Confusion, LabelledMap, MapScores
from landslide_scale.model.checkpoint import restore
from landslide_scale.model.core.precision import autocast
from landslide_scale.paper.figures import shown
from landslide_scale.paper.tables import AGREED, PAPER, PROTOCOLS, STRICT, STRICT_ALL
from landslide_scale.paper.trials import Judged, Judgement
from landslide_scale.parting import Overlap
from landslide_scale.parting.contested import Contested, without_contested
from landslide_scale.parting.recorded import read_parts, read_split
from landslide_scale.provenance import Precision
from landslide_scale.storage.rundir import RunDirectory
from landslide_scale.training.evaluating import Calibration, evaluate
from landslide_scale.training.job import FinetuneJob
from landslide_scale.training.places import PlaceCounts
from landslide_scale.training.run import CHECKPOINT

EXAMPLES = "examples.npz"
_NON_LANDSLIDE = "non-landslide/"
_OWN = "own"
"""Of the network, beside the names of its rivals."""


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


@dataclass(frozen=True, kw_only=True)
class _Ground:
    """What the training found of its images.

    Attributes:
        groups: The ground of those that share one with others.
        overlaps: Images that share pixels.
        contested: What their labels contradict each other on; None where the training did not look.
    """

    groups: Mapping[str, str]
    overlaps: tuple[Overlap, ...]
    contested: Contested | None

    @classmethod
    def read(cls, folder: RunDirectory) -> _Ground:
        """As its folder keeps it."""
        known = read_split(folder)
        ground = known.get("ground", known)  # beside the parts, in the first trainings that looked
        return cls(
            groups={name: names[0] for names in ground.get("groups", []) for name in names},
            overlaps=tuple(Overlap(**one) for one in ground.get("overlaps", [])),
            contested=Contested(**known["contested"]) if "contested" in known else None,
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class _Bench:
    """All that one training is judged with.

    Attributes:
        network: Its network.
        data: Its data set's settings.
        seen: The images as it was shown them.
        ground: What lies together among them.
        against: Maps that look at no image.
    """

    network: _Network
    data: DataSpec
    seen: Dataset
    ground: _Ground
    against: Mapping[str, Rival]

    def opened(self, **changes: Any) -> Dataset:  # noqa: ANN401 of a DataSpec
        """The data set with other settings."""
        return _opened(replace(self.data, **changes), self.network.card, self.ground)

    def place(self, name: str) -> str:
        """Of an image."""
        return self.ground.groups.get(name, self.seen.place(name))


def judge(job: FinetuneJob, examples: int) -> Judgement:
    """Judge a finished training on its held-out images, and keep the masks of a few of them for pictures.

    Args:
        job: The training; its folder holds the checkpoint and the split.
        examples: How many images to keep, from the smallest share of landslide to the largest.
    """
    folder = RunDirectory(job.output)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    net, card = restore(folder.at(CHECKPOINT), base_url=job.base_url)
    spec = job.train
    network = _Network(
        net=net.to(device).eval(), card=card, patch=spec.patch, batch=spec.batch, precision=spec.precision,
        device=device,
    )  # fmt: skip
    ground, parts = _Ground.read(folder), read_parts(folder)
    seen = Kept(_opened(job.data, card, ground))
    held = parts["holdout"]
    against = rivals(seen.read(name).truth for name in parts["train"])
    bench = _Bench(network=network, data=job.data, seen=seen, ground=ground, against=against)
    _keep_examples(folder, network, seen, _spread(seen, held, examples))
    found = {PAPER: _paper(bench, held), **_strict(bench, held)}
    return Judgement(
        protocols={protocol: by_name[_OWN] for protocol, by_name in found.items()},
        rivals={name: {protocol: by_name[name] for protocol, by_name in found.items()} for name in against},
        contested=ground.contested,
    )


def _paper(bench: _Bench, held: Sequence[str]) -> dict[str, Judged]:
    """The held-out images without those of a non-landslide folder, as the network was trained on them."""
    network, seen = bench.network, bench.seen
    names = [name for name in held if not name.startswith(_NON_LANDSLIDE)]
    patches = EvaluationPatches.of(seen, inspect(seen), names, network.patch)
    counts = PlaceCounts(patches, network.calibration, torch.device(network.device))
    judged = evaluate(
        network.net,
        patches,
        batch=network.batch,
        precision=network.precision,
        calibration=network.calibration,
        seen=counts,
    )
    groups = {name: bench.place(name) for name in names}
    found = {_OWN: Judged(images=len(names), confusion=judged.confusion, places=counts.by_place(groups))}
    for rival, each in bench.against.items():
        places: dict[str, Confusion] = {}
        for name in names:
            label = seen.read(name).truth
            guess = torch.from_numpy(each.probability(label.shape) >= each.threshold)
            one = Confusion.of(guess, torch.from_numpy(label))
            places[groups[name]] = places.get(groups[name], Confusion()) + one
        found[rival] = Judged(images=len(names), confusion=sum(places.values(), Confusion()), places=places)
    return found


@dataclass(frozen=True, kw_only=True, eq=False)
class _Image:
    """One image under a protocol: its place, and its scores by the network and by each rival."""

    place: str
    scores: Mapping[str, MapScores]

    @property
    def shows(self) -> bool:
        """Whether a landslide is in it."""
        confusion = self.scores[_OWN].confusion
        return bool(confusion.tp + confusion.fn)


def _strict(bench: _Bench, held: Sequence[str]) -> dict[str, dict[str, Judged]]:
    """At original size, without and with images that show no landslide; and with what is contested ignored."""
    contested, original = bench.ground.contested, bench.opened(resize=None)
    truths = {STRICT: original}
    if contested is not None and contested.pixels and bench.data.contested != "ignored":
        truths[AGREED] = without_contested(original, bench.ground.overlaps)
    judged = _each(bench, bench.seen, truths, held)
    found = {name: [image for image in images if image.shows] for name, images in judged.items()}
    found[STRICT_ALL] = [*judged[STRICT], *_unseen(bench)]
    order = [name for name in PROTOCOLS if name in found]
    return {name: {of: _summed(found[name], of) for of in (_OWN, *bench.against)} for name in order}


def _unseen(bench: _Bench) -> list[_Image]:
    """Of Bijie trained on its landslide images alone, the others, at original size."""
    if bench.data.kind != "bijie" or bench.data.non_landslide:
        return []
    original, shown_to_it = bench.opened(resize=None, non_landslide=True), bench.opened(non_landslide=True)
    names = [name for name in original.names if name.startswith(_NON_LANDSLIDE)]
    return _each(bench, shown_to_it, {STRICT: original}, names)[STRICT]


def _opened(data: DataSpec, card: ModelCard, ground: _Ground) -> Dataset:
    dataset = open_dataset(data, card.model, card.inputs)
    return without_contested(dataset, ground.overlaps) if data.contested == "ignored" else dataset


def _each(bench: _Bench, seen: Dataset, truths: Mapping[str, Dataset], names: Sequence[str]) -> dict[str, list[_Image]]:
    """Images under each truth, by its name; all truths are of one size, `seen` as the network is shown them."""
    found: dict[str, list[_Image]] = {truth: [] for truth in truths}
    for name in names:
        size = next(iter(truths.values())).read(name).label.shape
        guesses = {_OWN: (bench.network.probability(seen.read(name).image, size), bench.network.card.threshold)}
        guesses |= {rival: (each.probability(size), each.threshold) for rival, each in bench.against.items()}
        for truth, dataset in truths.items():
            sample = dataset.read(name)
            scores = {
                of: MapScores.of(
                    LabelledMap(probability=probability, label=sample.truth, pixel_m2=sample.pixel_m2),
                    threshold=threshold,
                )
                for of, (probability, threshold) in guesses.items()
            }
            found[truth].append(_Image(place=bench.place(name), scores=scores))
    return found


def _summed(images: Sequence[_Image], of: str) -> Judged:
    """All images together, by the network or by a rival."""
    places: dict[str, Confusion] = {}
    for image in images:
        places[image.place] = places.get(image.place, Confusion()) + image.scores[of].confusion
    return Judged.of_maps(reduce(add, (image.scores[of] for image in images)), places)


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
