"""A fine-tuning's configuration as what the training side takes."""

from __future__ import annotations

import os
from dataclasses import replace

from landslide_scale.datasets.spec import DataKind, DataSpec
from landslide_scale.errors import InvalidConfigError
from landslide_scale.spec import InputSpec, Radiometry
from landslide_scale.training.run import FinetuneJob
from landslide_scale.training.settings import FinetuneConfig

_RADIOMETRY: dict[DataKind, Radiometry] = {"chips": "boa", "landslide4sense": "l4s", "bijie": "rgb8", "pairs": "rgb8"}


def finetune_job(config: FinetuneConfig) -> FinetuneJob:
    """The configuration as what the training side takes.

    Raises:
        InvalidConfigError: A value does not fit another, or the data set's path names a variable that is not set.
    """
    base = config.base_weights
    return FinetuneJob(
        data=_located(config.dataset),
        model=config.model,
        inputs=InputSpec.for_bands(_radiometry(config.dataset), config.model.bands),
        train=config.train,
        output=config.output.run,
        base_url=base.url if base else None,
        base_sha256=base.sha256 if base else None,
        **config.compute.model_dump(exclude={"address"}),
    )


def _radiometry(data: DataSpec) -> Radiometry:
    return data.radiometry or _RADIOMETRY[data.kind]


def _located(data: DataSpec) -> DataSpec:
    """With environment variables in its path (``$NAME``, ``${NAME}``) put in."""
    path = os.path.expandvars(data.path)
    if "$" in path:
        raise InvalidConfigError(
            data.path,
            expected="environment variables that are set",
            key="dataset.path",
            cure="Set it, or write the path.",
        )
    return replace(data, path=path)
