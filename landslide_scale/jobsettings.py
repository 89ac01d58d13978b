"""A fine-tuning's configuration as what the training side takes."""

from __future__ import annotations

from landslide_scale.config import FinetuneConfig
from landslide_scale.datasets import DataSpec
from landslide_scale.spec import InputSpec, Radiometry
from landslide_scale.trainrun import FinetuneJob


def finetune_job(config: FinetuneConfig) -> FinetuneJob:
    """The configuration as what the training side takes; chips are reflectance, pictures are 8-bit display values."""
    radiometry: Radiometry = "boa" if config.dataset.kind == "chips" else "rgb8"
    base = config.base_weights
    return FinetuneJob(
        data=DataSpec(**config.dataset.model_dump()),
        model=config.model,
        inputs=InputSpec.for_bands(radiometry, config.model.bands),
        train=config.train,
        output=config.output.run,
        base_url=base.url if base else None,
        base_sha256=base.sha256 if base else None,
        **config.compute.model_dump(exclude={"address"}),
    )
