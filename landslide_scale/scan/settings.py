"""One region-wide scan as a configuration file asks for it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, model_validator
from pydantic_core import to_jsonable_python

from landslide_scale.costs.settings import PricesConfig
from landslide_scale.cube.settings import CubeConfig, GridConfig
from landslide_scale.errors import InvalidConfigError
from landslide_scale.imagery.settings import CompositeConfig, check_assets
from landslide_scale.reading.connections import CONNECTIONS
from landslide_scale.redaction import redacted_values
from landslide_scale.region.settings import RegionConfig
from landslide_scale.registry.settings import CheckpointPlace
from landslide_scale.runtime.capacity import Need, counted
from landslide_scale.spec import Radiometry
from landslide_scale.stac.settings import CatalogConfig, DemConfig, WindowField
from landslide_scale.strictyaml import InputPath, Section, hidden_tag

BEFORE: Mapping[tuple[str, str], Any] = {
    ("catalog", "assets"): {},
    ("catalog", "offset"): "profile",
    ("catalog", "filter"): None,
    ("catalog", "require"): "all",
    ("composite", "min_clear"): 1,
    ("composite", "max_clear"): None,
    ("composite", "processings"): "newest",
    ("model", "accept_resolution"): None,
    ("grid", "zones"): "plain",
    ("dem", "interpolation"): "bilinear",
    ("composite", "grow"): (3, 8, 9),  # though clear
    ("composite", "no_data"): "zeros",
    ("composite", "edge_m"): 0.0,
    ("composite", "decided_at"): "lattice",
    ("composite", "clear_share"): 0.8,  # of no effect there
    ("composite", "mask"): (),
    ("composite", "persistence"): None,
    ("output", "keep"): (),
}
"""Keys, by section, that runs were begun without, and the value of each that does what was done then. It is left out of
what a run records, so that those runs are known again."""


class CheckpointConfig(Section):
    """The model to scan with.

    Attributes:
        checkpoint: Path or URL of a checkpoint, as ``finetune`` writes it, or a name that ``models list`` lists;
            ``plan`` does without.
        base_weights: Path or URL of the SAM weights it stands on, where it was trained on published ones; not needed
            where the cache of every machine has them. Where the checkpoint says they were is not asked by itself.
        accept_radiometry: Go on although the checkpoint was trained on this other radiometry; every output says so.
        accept_resolution: Go on although it was trained on pixels of so many metres; every output says so.
    """

    checkpoint: CheckpointPlace | None = None
    base_weights: InputPath | None = None
    accept_radiometry: Radiometry | None = None
    accept_resolution: float | None = Field(default=None, gt=0)


_NONE, _CHECKPOINT = hidden_tag("none"), hidden_tag("checkpoint")

NONE: Literal["none"] = "none"
"""In place of a model: nothing is predicted."""


def _kind_of_model(value: object) -> str:
    return (_NONE if isinstance(value, str) else _CHECKPOINT).tag


_WITHOUT = "no network: what was seen is kept (output.keep), and no probability is made"

ModelField = Annotated[
    Annotated[CheckpointConfig, _CHECKPOINT] | Annotated[Literal["none"], Field(description=_WITHOUT), _NONE],
    Discriminator(_kind_of_model),
]


UNSAID: Mapping[str, Any] = {"halo": 16, "precision": "auto"}
"""Of ``predict``, what is done where neither configuration nor checkpoint say: as before checkpoints could say."""


class PredictConfig(Section):
    """How the network passes over a block.

    Attributes:
        patch: Side of a patch in native pixels; by default that at which the checkpoint's threshold and calibration
            were found, of a checkpoint that does not say 448 divided by its ``upsample``. Every output says of another.
        halo: Pixels on each side of a patch that its neighbours predict with full context; even. By default as the
            checkpoint says, else 16.
        batch: Patches per forward pass, always exactly this many.
        precision: ``auto`` is bf16 where the hardware computes it natively; by default as the checkpoint says, else
            ``auto``.
    """

    patch: int | None = Field(default=None, ge=16)
    halo: int | None = Field(default=None, ge=0)
    batch: int = Field(default=8, ge=1)
    precision: Literal["auto", "bf16", "float32"] | None = None


_NUMBER, _POOL = hidden_tag("number"), hidden_tag("pool")


def _kind_of_pool(value: object) -> str:
    return (_POOL if isinstance(value, dict | Section) else _NUMBER).tag


class PoolConfig(Section):
    """How many predictors there are.

    Attributes:
        least: So many are waited for.
        most: So many where the cluster has room, and there is work for them.
    """

    least: int = Field(default=1, ge=1)
    most: int = Field(ge=1)

    @model_validator(mode="after")
    def _in_order(self) -> PoolConfig:
        if self.least > self.most:
            raise InvalidConfigError(
                f"least {self.least}, most {self.most}", expected="least not above most", key="compute.predictors"
            )
        return self


class ScanCompute(Section):
    """What the scan takes of the cluster.

    Attributes:
        address: Ray cluster; by default the one of the job, else a local one.
        predictors: Actors that hold the model: so many, or ``least`` and ``most``.
        gpus_per_predictor: GPUs of each; 0 predicts on CPU.
        cpus_per_predictor: CPU cores of each, and its number of torch threads.
        cpus_per_reader: CPU cores of one read task.
        connections: To a host of scenes, that the readers of a node have at once; each has its share, one at least.
        attempts: Tries per work unit before it is recorded as failed; one that ends its process counts.
        no_progress_s: Seconds without a finished unit after which the run gives up, while a predictor is ready.
        predictors_within_s: Seconds without any predictor ready after which it does; a cluster may wait for machines.
        prices: What an hour of these costs, for ``plan --like``.
    """

    address: str | None = None
    predictors: Annotated[
        Annotated[int, Field(ge=1), _NUMBER] | Annotated[PoolConfig, _POOL], Discriminator(_kind_of_pool)
    ] = 1
    gpus_per_predictor: float = Field(default=0, ge=0)
    cpus_per_predictor: float = Field(default=1, gt=0)
    cpus_per_reader: float = Field(default=0.5, gt=0)
    connections: int = Field(default=CONNECTIONS, ge=1)
    attempts: int = Field(default=3, ge=1)
    no_progress_s: float = Field(default=600, gt=0)
    predictors_within_s: float = Field(default=86_400, gt=0)
    prices: PricesConfig | None = None

    @property
    def pool(self) -> tuple[int, int]:
        """The least and the most predictors."""
        if isinstance(self.predictors, int):
            return self.predictors, self.predictors
        return self.predictors.least, self.predictors.most

    def reader_needs(self, reader_bytes: float) -> tuple[Need, ...]:
        """What one reader takes, which needs so many bytes."""
        return (
            Need(kind="CPU", amount=self.cpus_per_reader, key="compute.cpus_per_reader", who="a reader"),
            Need(kind="memory", amount=reader_bytes, key="grid.block", who="a reader of such blocks"),
        )

    def needs(self, reader_bytes: float, *, predicted: bool = True) -> tuple[Need, ...]:
        """The least at which a scan goes on: its predictors, where it has any, and a reader and a writer beside them.

        Ray Data keeps for each step what one of it takes; to the last it gives none where nothing is left of the CPUs.
        """
        beside = 2 * self.cpus_per_reader
        if not predicted:
            both = Need(kind="CPU", amount=beside, key="compute.cpus_per_reader", who="a reader and a writer")
            return (*self.reader_needs(reader_bytes), both)
        count, _ = self.pool
        key = "compute.predictors" if isinstance(self.predictors, int) else "compute.predictors.least"
        cpus, gpus = self.cpus_per_predictor, self.gpus_per_predictor
        return (
            Need(kind="GPU", amount=gpus, key="compute.gpus_per_predictor", who="a predictor"),
            Need(kind="GPU", amount=count * gpus, key=key, who=counted(count, "predictor")),
            Need(kind="CPU", amount=cpus, key="compute.cpus_per_predictor", who="a predictor"),
            *self.reader_needs(reader_bytes),
            Need(
                kind="CPU",
                amount=count * cpus + beside,
                key=key,
                who=f"{counted(count, 'predictor')}, a reader and a writer",
            ),
        )


class ScanConfig(Section):
    """One region-wide scan.

    Attributes:
        region: Ground to scan.
        windows: Periods of time, each of which becomes a layer of the cube; half-open: the end is not part of it.
        catalog: Where the scenes are from.
        dem: Where ``elevation`` and ``slope`` are from, for a checkpoint with such a band.
        grid: The lattice of the cube.
        composite: How the scenes of a window become one image.
        model: The model to scan with; or ``none``: a scan without a network, which keeps what was seen and holds no
            probabilities.
        predict: How the network passes over a block.
        compute: What the scan takes of the cluster.
        output: Where the run goes.
    """

    region: RegionConfig
    windows: tuple[WindowField, ...] = Field(min_length=1)
    catalog: CatalogConfig = CatalogConfig()
    dem: DemConfig | None = None
    grid: GridConfig = GridConfig()
    composite: CompositeConfig = CompositeConfig()
    model: ModelField = CheckpointConfig()
    predict: PredictConfig = PredictConfig()
    compute: ScanCompute = ScanCompute()
    output: CubeConfig

    @model_validator(mode="after")
    def _windows_differ(self) -> ScanConfig:
        for number, window in enumerate(self.windows):
            if window in self.windows[:number]:
                raise InvalidConfigError(
                    f"{window.instants} twice", expected="windows each of which is another one", key="windows"
                )
        return self

    @model_validator(mode="after")
    def _assets(self) -> ScanConfig:
        check_assets(self.composite, self.catalog)
        return self

    def settings(self) -> dict[str, Any]:
        """What the result depends on: all but where things are, and where it is computed.

        A resumed run uses its frozen scenes, and checkpoint and base weights are known by their SHA-256. Which scenes
        it is done without is kept with these, so that it may be given more of them.
        """
        addresses = {"url", "items", "allowed_hosts", "allowed_roots", "buckets", "signer"}
        places: Any = {
            "compute": True,
            "output": {"run", "base"},
            "catalog": addresses | {"exclude", "max_bad"},
            "dem": addresses,
            "model": {"checkpoint", "base_weights"},
        }
        if self.model == NONE:
            places = {**{name: keys for name, keys in places.items() if name != "model"}, "predict": True}
        content: dict[str, Any] = redacted_values(self.model_dump(mode="json", exclude=places))
        for (section, key), before in BEFORE.items():
            if isinstance(content[section], dict) and content[section][key] == to_jsonable_python(before):
                del content[section][key]
        if self.dem is None:
            del content["dem"]
        if "predict" in content:
            content["predict"] |= {key: value for key, value in UNSAID.items() if content["predict"][key] is None}
        return content

    def as_begun(self, settings: object) -> ScanConfig:
        """The same scan under the rules that a run of these `settings` was begun under.

        A key that its settings do not have is one that came later: unless this configuration states it, it has the
        value that stands for what was done before.
        """
        if not isinstance(settings, dict):
            return self
        changed = self
        for (name, key), before in BEFORE.items():
            section = getattr(changed, name)
            known = settings.get(name)
            if (
                isinstance(section, Section)
                and isinstance(known, dict)
                and key not in {*known, *section.model_fields_set}
            ):
                changed = changed.model_copy(update={name: section.model_copy(update={key: before})})
        return changed
