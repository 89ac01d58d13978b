"""One fine-tuning as a value: what is to be trained on what, and its data once opened, checked and split."""

from __future__ import annotations

import json
import math
import statistics
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from landslide_scale.cards.card import BaseWeights
from landslide_scale.cards.designs import as_kept
from landslide_scale.datasets import (
    EvaluationPatches,
    Kept,
    TrainingPatches,
    measured,
    measured_terrain,
    open_dataset,
)
from landslide_scale.datasets.spec import DataSpec
from landslide_scale.errors import InvalidConfigError, InvalidDatasetError
from landslide_scale.model import Network, build, family
from landslide_scale.model.checkpoint import random_weights
from landslide_scale.parting import Looked, Split, divided_landslides, grouped, look, partition
from landslide_scale.parting.contested import without_contested
from landslide_scale.parting.learned import parts_of
from landslide_scale.provenance import ImageFacts, ImageParts
from landslide_scale.redaction import redacted
from landslide_scale.runtime.capacity import Need, counted
from landslide_scale.spec import InputSpec, ModelSpec
from landslide_scale.training.fitting import Parts
from landslide_scale.training.spec import TrainSpec

if TYPE_CHECKING:
    from collections.abc import Mapping

    from landslide_scale.datasets import Dataset, Found


@dataclass(frozen=True, kw_only=True)
class FinetuneJob:
    """One fine-tuning.

    Attributes:
        data: Images and masks. Every machine must reach its path.
        model: The network.
        inputs: Scaling of its input; its radiometry is the data's. `Prepared.settled` measures it where asked to.
        train: How it is trained.
        output: Path or fsspec URL of the run's folder. Every machine must reach it.
        base_url: SAM weights in the official format, or for a convolutional network its encoder's as an ImageNet
            classifier; None for random ones from `train.seed`.
        base_sha256: Of that file.
        workers: DDP processes, at most `train.batch`.
        gpu: One GPU for each (nccl); else CPU (gloo).
        cpus_per_worker: Reserved for each, and its torch threads.
        wait_s: How long the workers' machines are waited for, on a cluster that may grow.
        max_failures: Restarts from the last epoch before the run gives up.
        collective_timeout_s: After which a hanging all-reduce is an error.
    """

    data: DataSpec
    model: ModelSpec
    inputs: InputSpec
    train: TrainSpec
    output: str
    base_url: str | None = None
    base_sha256: str | None = None
    workers: int = 1
    gpu: bool = False
    cpus_per_worker: int = 1
    wait_s: float = 3600
    max_failures: int = 3
    collective_timeout_s: int = 600

    def __post_init__(self) -> None:
        # Ray moves its workers to another working directory.
        object.__setattr__(self, "output", _absolute(self.output))
        object.__setattr__(self, "data", DataSpec(**vars(self.data) | {"path": _absolute(self.data.path)}))
        if (self.base_url is None) != (self.base_sha256 is None):
            raise InvalidConfigError("one of base_url and base_sha256", expected="both or neither", key="base_weights")
        if not 1 <= self.workers <= self.train.batch:
            raise InvalidConfigError(
                str(self.workers), expected=f"1 to {self.train.batch}, which is train.batch", key="compute.workers"
            )
        side, multiple = self.train.patch * self.model.upsample, self.model.multiple
        if side % multiple:
            raise InvalidConfigError(
                f"{self.train.patch} px, {side} once enlarged", expected=f"a multiple of {multiple}", key="train.patch"
            )
        if self.train.batch < self.model.least_batch:
            raise InvalidConfigError(
                f"{self.train.batch} with {self.model.name}",
                expected=f"{self.model.least_batch} or more, for its batch normalisation",
                key="train.batch",
            )

    @property
    def settings(self) -> dict[str, Any]:
        """What decides the result, as JSON; a resume must have the same. Workers and machines do not decide it."""
        base = None if self.base_url is None else {"url": redacted(self.base_url), "sha256": self.base_sha256}
        values = {
            "inputs": asdict(self.inputs),
            "train": self.train.recorded,
            "model": as_kept(self.model),
            "data": self.data.settings,
        }
        values["data"]["path"] = redacted(self.data.path)
        if not self.inputs.terrain:
            del values["inputs"]["terrain"]  # so that runs begun before there was this go on
        settings: dict[str, Any] = json.loads(json.dumps(values | {"base": base}))
        return settings

    @property
    def needs(self) -> tuple[Need, ...]:
        """What all workers take at once."""
        who, count = counted(self.workers, "worker"), self.workers
        cpus = count * self.cpus_per_worker
        each = Need(kind="CPU", amount=self.cpus_per_worker, key="compute.cpus_per_worker", who="a worker")
        needs = (each, Need(kind="CPU", amount=cpus, key="compute.workers", who=who))
        return (*needs, Need(kind="GPU", amount=count, key="compute.gpu", who=who)) if self.gpu else needs

    def build(self) -> Network:
        """The network before training, on the CPU."""
        base = None if self.base_url is None else family(self.model).load_base(self.base_url, self.base_sha256, None)
        gradients = self.train.checkpoint_gradients
        return build(self.model, self.inputs, base=base, seed=self.train.seed, checkpoint_gradients=gradients)

    def base(self) -> BaseWeights:
        """What the network stands on."""
        if self.base_url is None or self.base_sha256 is None:
            return random_weights(self.model, self.train.seed)
        return BaseWeights(source=self.base_url, sha256=self.base_sha256)


def _absolute(path: str) -> str:
    return path if "://" in path else str(Path(path).absolute())


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """Data that was opened, checked and split.

    Attributes:
        dataset: The images.
        looked: What opening them showed.
        split: The part of each.
        groups: The ground of each, by the first name of all that show it.
    """

    dataset: Dataset
    looked: Looked
    split: Split
    groups: Mapping[str, str]

    @property
    def divided_landslides(self) -> int:
        """How many pairs of neighbouring chips with one landslide are in different parts."""
        parts = {name: part for part, names in vars(self.split).items() for name in names}
        return divided_landslides(self.looked, parts)

    @property
    def found(self) -> Mapping[str, Found]:
        """What opening each showed."""
        return self.looked.found

    @property
    def image_parts(self) -> ImageParts:
        """What the checkpoint says of its images."""
        return parts_of(self.split, self.looked)

    @classmethod
    def of(cls, job: FinetuneJob) -> Prepared:
        """Open every image and mask, find what shows one ground, and split.

        Raises:
            InvalidDatasetError: Naming the file at fault.
        """
        dataset = open_dataset(job.data, job.model, job.inputs)
        looked = look(dataset)
        groups = grouped(dataset, looked, job.data)
        try:
            parts = partition(looked.found, job.data, groups, **job.train.shares)
        except InvalidDatasetError as error:
            raise error.at(file=redacted(job.data.path)) from error
        if job.data.contested == "ignored":
            dataset = without_contested(dataset, looked.overlaps)
        return cls(dataset=dataset, looked=looked, split=parts, groups=groups)

    @property
    def together(self) -> list[list[str]]:
        """Images of one ground, where there are several."""
        images: dict[str, list[str]] = {}
        for name, group in self.groups.items():
            images.setdefault(group, []).append(name)
        return [names for names in images.values() if len(names) > 1]

    @property
    def divided(self) -> int:
        """How many grounds there are in more than one part: none where parts are drawn by ground."""
        parts = vars(self.split).values()
        return sum(len({self.groups[name] for name in part}) for part in parts) - len(set(self.groups.values()))

    def settled(self, job: FinetuneJob) -> FinetuneJob:
        """The job with the scaling of its input as ``train.statistics`` asks for, and a calibration its images allow.

        Raises:
            InvalidDatasetError: The training part has no such statistics.
        """
        measure = measured_terrain if job.train.statistics == "sam" else measured
        train = job.train.calibrated_for(fair_share=self.dataset.facts.fair_share)
        return replace(job, inputs=measure(self.dataset, self.split.train, job.inputs), train=train)

    @property
    def trained_on(self) -> ImageFacts:
        """What the images are: at the median of the training part's resolutions, which resizing makes many of one."""
        areas = [self.found[name].pixel_m2 for name in self.split.train]
        metres = [math.sqrt(area) for area in areas if area is not None]
        known = round(statistics.median(metres), 6) if len(metres) == len(areas) else None
        return replace(self.dataset.facts, resolution=known)

    def validation(self, job: FinetuneJob, dataset: Dataset) -> EvaluationPatches:
        """Windows over the validation part."""
        return EvaluationPatches.of(dataset, self.found, self.split.validation, job.train.patch)

    def held_out(self, job: FinetuneJob, dataset: Dataset) -> EvaluationPatches:
        """Windows over the holdout."""
        return EvaluationPatches.of(dataset, self.found, self.split.holdout, job.train.patch)

    def parts(self, job: FinetuneJob) -> Parts:
        """Patches of each part of the split; images stay in this process's memory once read."""
        kept = Kept(self.dataset)
        return Parts(
            train=TrainingPatches.of(kept, self.found, self.split.train, **job.train.squares, inputs=job.inputs),
            validation=self.validation(job, kept),
            holdout=self.held_out(job, kept),
        )
