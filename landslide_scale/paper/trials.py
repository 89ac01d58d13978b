"""One training of one model on one data set with one seed, and what it came to."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from landslide_scale.metrics import LEAST, Confusion, MapScores, SizeClass, nan_as_null
from landslide_scale.paper.settings import BenchmarkConfig, slug
from landslide_scale.parting.contested import Contested
from landslide_scale.training.job import FinetuneJob
from landslide_scale.training.settings import FinetuneConfig, RunConfig, finetune_job


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One training.

    Attributes:
        dataset, model: Their names in the configuration.
        seed: Of the split, the first weights, the order and the augmentation.
        job: The training.
    """

    dataset: str
    model: str
    seed: int
    job: FinetuneJob

    @property
    def name(self) -> str:
        """Of its folder."""
        return trial_name(self.dataset, self.model, self.seed)


def trial_name(dataset: str, model: str, seed: int) -> str:
    """Of a trial's folder, below ``trials`` in the run's."""
    return f"{slug(dataset)}-{slug(model)}-{seed}"


def trials(config: BenchmarkConfig) -> tuple[Trial, ...]:
    """All trainings of a benchmark: one seed of everything first, so that whole tables stand early."""
    return tuple(
        Trial(dataset=dataset, model=model, seed=seed, job=_job(config, dataset, model, seed))
        for seed in config.seeds
        for dataset in config.datasets
        for model in config.models
    )


def _job(config: BenchmarkConfig, dataset: str, model: str, seed: int) -> FinetuneJob:
    folder = f"{config.output.run.rstrip('/')}/trials/{trial_name(dataset, model, seed)}"
    return finetune_job(
        FinetuneConfig.model_construct(  # of what was read and checked: paths are expanded once
            dataset=config.datasets[dataset],
            model=config.models[model],
            base_weights=config.base_weights.get(model),
            train=replace(config.train, seed=seed),
            compute=config.compute,
            output=RunConfig.model_construct(run=folder),
        )
    )


@dataclass(frozen=True, kw_only=True)
class Judged:
    """A trained model under one protocol.

    Attributes:
        images: How many were judged.
        confusion: Their pixels, pooled.
        places: Their pixels by place; none of what was judged before they were kept.
        beyond: Scores by name that the paper has none of, 0 to 1 or nan; none under its own protocol, which cuts
            images into patches.
    """

    images: int
    confusion: Confusion
    places: Mapping[str, Confusion] = field(default_factory=dict)
    beyond: Mapping[str, float] = field(default_factory=dict)

    @classmethod
    def of_maps(cls, maps: MapScores, places: Mapping[str, Confusion]) -> Judged:
        """Of whole images, with their pixels by place."""
        scores = {
            "F1 within 1 px": maps.tolerant.scores.f1,
            "border F1": maps.boundary.scores.f1,
            "object P": maps.objects.matches.scores.precision,
            "object R": maps.objects.matches.scores.recall,
            "object F1": maps.objects.matches.scores.f1,
            "calibration error": maps.reliability.calibration_error(),
            f"calibration error from {LEAST}": maps.reliability.calibration_error(LEAST),
            "Brier skill": maps.reliability.brier_skill,
        }
        sizes = {_size(each): each.pixels.scores.f1 for each in maps.sizes or ()}
        return cls(images=maps.images, confusion=maps.confusion, places=places, beyond=scores | sizes)

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> Judged:
        """The inverse of ``nan_as_null(asdict(...))``."""
        beyond = {name: math.nan if score is None else score for name, score in plain["beyond"].items()}
        places = {place: Confusion(**found) for place, found in plain.get("places", {}).items()}
        return cls(images=plain["images"], confusion=Confusion(**plain["confusion"]), places=places, beyond=beyond)


def _size(each: SizeClass) -> str:
    if math.isinf(each.high_m2):
        return f"F1 from {each.low_m2:g} m2"
    return f"F1 {each.low_m2:g} to {each.high_m2:g} m2"


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """What came of judging a trained model.

    Attributes:
        protocols: Of the model, by the name of the protocol.
        rivals: The same of maps that look at no image, by their name.
        contested: What of its data set is contested; None where the training did not look.
    """

    protocols: Mapping[str, Judged]
    rivals: Mapping[str, Mapping[str, Judged]] = field(default_factory=dict)
    contested: Contested | None = None


@dataclass(frozen=True, kw_only=True)
class TrialResult:
    """What a trial came to.

    Attributes:
        dataset, model, seed: As of the trial.
        architecture: Its ``model.name``.
        kind: Of its data set.
        weights: What the encoder started from.
        trainable, total: Numbers of parameters.
        best: The epoch kept, from 1.
        judged: By the name of the protocol.
        rivals: The same of maps that look at no image, by their name; none of what was judged before there were any.
        contested: What of the data set is contested; None where nobody looked.
    """

    dataset: str
    model: str
    seed: int
    architecture: str
    kind: str
    weights: str
    trainable: int
    total: int
    best: int
    judged: Mapping[str, Judged]
    rivals: Mapping[str, Mapping[str, Judged]] = field(default_factory=dict)
    contested: Contested | None = None

    def to_plain(self) -> dict[str, Any]:
        """As JSON."""
        plain: dict[str, Any] = nan_as_null(asdict(self))
        return plain

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> TrialResult:
        """The inverse of `to_plain`."""
        rivals = {name: _judged(found) for name, found in plain.get("rivals", {}).items()}
        known = plain.get("contested")
        read = {
            "judged": _judged(plain["judged"]),
            "rivals": rivals,
            "contested": None if known is None else Contested(**known),
        }
        return cls(**dict(plain) | read)


def _judged(plain: Mapping[str, Any]) -> dict[str, Judged]:
    return {name: Judged.from_plain(found) for name, found in plain.items()}
