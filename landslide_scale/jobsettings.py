"""A fine-tuning's configuration as what the training side takes."""

from __future__ import annotations

from landslide_scale.config import FinetuneConfig
from landslide_scale.spec import DataKind, InputSpec, Radiometry
from landslide_scale.trainrun import FinetuneJob

_RADIOMETRY: dict[DataKind, Radiometry] = {"chips": "boa", "landslide4sense": "l4s", "bijie": "rgb8", "pairs": "rgb8"}


def finetune_job(config: FinetuneConfig) -> FinetuneJob:
    """The configuration as what the training side takes."""
    base = config.base_weights
    return FinetuneJob(
        data=config.dataset,
        model=config.model,
        inputs=InputSpec.for_bands(_RADIOMETRY[config.dataset.kind], config.model.bands),
        train=config.train,
        output=config.output.run,
        base_url=base.url if base else None,
        base_sha256=base.sha256 if base else None,
        **config.compute.model_dump(exclude={"address"}),
    )
