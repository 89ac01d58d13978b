"""One fine-tuning as a configuration file asks for it, and as the training takes it."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, get_args

from pydantic import AfterValidator, Discriminator, Field

from landslide_scale.datasets.spec import DataKind, DataSpec
from landslide_scale.errors import InvalidConfigError
from landslide_scale.paths import input_place
from landslide_scale.spec import ConvName, ConvNetSpec, InputSpec, LandslideNetSpec, Radiometry
from landslide_scale.strictyaml import InputPath, OutputPath, Section, hidden_tag
from landslide_scale.training.job import FinetuneJob
from landslide_scale.training.spec import TrainSpec


class BaseWeightsConfig(Section):
    """Official SAM weights, or ImageNet weights of a convolutional encoder.

    Attributes:
        url: Path or URL of the file; an address is fetched once and kept in a cache.
        sha256: Of the file, as 64 hexadecimal digits in lower case; another file is refused.
    """

    url: InputPath
    sha256: str = Field(pattern="^[0-9a-f]{64}$", description="64 hexadecimal digits in lower case, as sha256sum says")


class TrainCompute(Section):
    """What fine-tuning takes of the cluster.

    Attributes:
        address: Ray cluster; by default the one of the job, else a local one.
        workers: DDP processes.
        gpu: Whether each has a GPU (nccl); otherwise they are on CPUs (gloo).
        cpus_per_worker: CPU cores of each, and its number of torch threads.
        wait_s: Seconds for which the workers' machines are waited for, on a cluster that may grow.
        max_failures: Restarts from the last epoch before the run gives up.
        collective_timeout_s: Seconds after which a hanging all-reduce is an error.
    """

    address: str | None = None
    workers: int = Field(default=1, ge=1)
    gpu: bool = False
    cpus_per_worker: int = Field(default=1, ge=1)
    wait_s: float = Field(default=3600, gt=0)
    max_failures: int = Field(default=3, ge=0)
    collective_timeout_s: int = Field(default=600, ge=1)


class RunConfig(Section):
    """Where a run goes.

    Attributes:
        run: Folder of the run: a local path or fsspec URL.
    """

    run: OutputPath


_MODEL_NAMES = ("landslidenet", *get_args(ConvName))
_LANDSLIDENET, _CONVNET = hidden_tag("landslidenet"), hidden_tag("convnet")


def _kind_of_model(value: object) -> str | None:
    """A model without a name is LandslideNet."""
    first, *_ = _MODEL_NAMES
    name = value.get("name", first) if isinstance(value, dict) else getattr(value, "name", None)
    if name not in _MODEL_NAMES:
        return None
    return _LANDSLIDENET.tag if name == first else _CONVNET.tag


ModelField = Annotated[
    Annotated[LandslideNetSpec, _LANDSLIDENET] | Annotated[ConvNetSpec, _CONVNET],
    Discriminator(
        _kind_of_model,
        custom_error_type="model_name",
        custom_error_message=f"a section whose name is one of {', '.join(_MODEL_NAMES)}",
    ),
]


def _located(data: DataSpec) -> DataSpec:
    """With a path as all are; the specification itself imports nothing that could say so."""
    try:
        return replace(data, path=input_place(data.path))
    except InvalidConfigError as error:
        raise error.at(key="dataset.path") from None


DataField = Annotated[DataSpec, AfterValidator(_located)]
"""A data set as a configuration gives it."""


class FinetuneConfig(Section):
    """One fine-tuning.

    Attributes:
        dataset: Labelled images to learn from.
        model: The network: LandslideNet, or by its name another.
        base_weights: What the network starts from; None: random weights, which a frozen encoder does not learn from.
        train: How it is trained.
        compute: What it takes of the cluster.
        output: Where the run goes.
    """

    dataset: DataField
    model: ModelField = LandslideNetSpec()
    base_weights: BaseWeightsConfig | None = None
    train: TrainSpec = TrainSpec()
    compute: TrainCompute = TrainCompute()
    output: RunConfig


_RADIOMETRY: dict[DataKind, Radiometry] = {"chips": "boa", "landslide4sense": "toa", "bijie": "rgb8", "pairs": "rgb8"}


def finetune_job(config: FinetuneConfig) -> FinetuneJob:
    """The configuration as what the training takes.

    Raises:
        InvalidConfigError: A value does not fit another.
    """
    base = config.base_weights
    return FinetuneJob(
        data=config.dataset,
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
