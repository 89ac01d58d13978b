"""What a benchmark is asked to do: models by data sets by seeds, all trained with the same settings."""

from __future__ import annotations

import re
from collections.abc import Mapping

from pydantic import Field, model_validator

from landslide_scale.errors import InvalidConfigError
from landslide_scale.strictyaml import Section
from landslide_scale.training.settings import BaseWeightsConfig, DataField, ModelField, RunConfig, TrainCompute
from landslide_scale.training.spec import TrainSpec

_LABEL = r"^[A-Za-z0-9][A-Za-z0-9 +,.()_-]*$"


class BenchmarkConfig(Section):
    """One benchmark.

    Attributes:
        datasets: By the name they have in files and tables.
        models: By the label of their row.
        base_weights: Of the models that start from published weights, by label; the others start from random ones.
        seeds: One training of every model on every data set for each; a seed also draws the split.
        train: The same for all; its own `seed` is not used.
        compute: For each training.
        output: Where the run goes.
        examples: Rows of the comparison pictures.
    """

    datasets: Mapping[str, DataField] = Field(min_length=1)
    models: Mapping[str, ModelField] = Field(min_length=1)
    base_weights: Mapping[str, BaseWeightsConfig] = {}
    seeds: tuple[int, ...] = Field(default=(0, 1), min_length=1)
    train: TrainSpec = TrainSpec()
    compute: TrainCompute = TrainCompute()
    output: RunConfig
    examples: int = Field(default=5, ge=1, le=20)

    @model_validator(mode="after")
    def _consistent(self) -> BenchmarkConfig:
        if len(set(self.seeds)) != len(self.seeds) or min(self.seeds) < 0:
            raise InvalidConfigError(f"{list(self.seeds)}", expected="seeds of 0 or more, each once", key="seeds")
        if unknown := sorted(set(self.base_weights) - set(self.models)):
            raise InvalidConfigError(f"{unknown}", expected=f"of {list(self.models)}", key="base_weights")
        for key, labels in (("models", list(self.models)), ("datasets", list(self.datasets))):
            _check_labels(labels, key)
        return self


def _check_labels(labels: list[str], key: str) -> None:
    """Labels name folders: each must stay itself, and another, as a file name."""
    for label in labels:
        if not re.fullmatch(_LABEL, label):
            raise InvalidConfigError(f"{label!r}", expected="letters, digits, spaces and +,.()_- only", key=key)
    if len({slug(label) for label in labels}) != len(labels):
        raise InvalidConfigError(f"{labels}", expected="names that differ in letters or digits", key=key)


def slug(label: str) -> str:
    """A label as part of a file name."""
    return re.sub(r"[^a-z0-9]+", "-", label.lower()).strip("-")
