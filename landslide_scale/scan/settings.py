"""One strict YAML file per run: an unknown key, a wrong type or a wrong value is refused with its name."""

from __future__ import annotations

from typing import Annotated, Any, Literal, get_args

from pydantic import BeforeValidator, Discriminator, Field, model_validator

from landslide_scale.bands import BAND_NAMES, CLEAR_CLASSES, Scl
from landslide_scale.dataspec import DataSpec
from landslide_scale.errors import InvalidConfigError
from landslide_scale.redaction import redacted_values
from landslide_scale.scene import Window, utc
from landslide_scale.sources import CatalogConfig, DemConfig, check_terrain
from landslide_scale.spec import TERRAIN_BANDS, ConvName, ConvNetSpec, LandslideNetSpec, Radiometry, TrainSpec
from landslide_scale.strictyaml import Section, hidden_tag
from landslide_scale.strictyaml import load as load  # noqa: PLC0414 who asks for a section reads it from a file
from landslide_scale.strictyaml import parse as parse  # noqa: PLC0414 as load


def _window(value: object) -> object:
    """Dates as people write them (``2023-08-01`` is midnight UTC) to aware instants."""
    if not isinstance(value, dict) or set(value) != {"start", "end"}:
        raise InvalidConfigError(f"{value!r}", expected="{start: DATE, end: DATE}", key="windows")
    try:
        return Window(**{key: utc(text) for key, text in value.items()})
    except (TypeError, ValueError) as error:  # datetime's own: not a text, not a date
        raise InvalidConfigError(str(error), expected="an ISO date or instant", key="windows") from error


SceneClass = Annotated[int, Field(ge=Scl.DEFECTIVE, le=Scl.SNOW)]
WindowField = Annotated[Window, BeforeValidator(_window)]


class RegionConfig(Section):
    """Where: a bounding box in degrees (west, south, east, north; west > east crosses the antimeridian) or a file."""

    bbox: tuple[float, float, float, float] | None = None
    file: str | None = None
    layer: str | None = None

    @model_validator(mode="after")
    def _one(self) -> RegionConfig:
        if (self.bbox is None) == (self.file is None):
            raise InvalidConfigError("both or neither of bbox and file", expected="exactly one", key="region")
        return self


class GridConfig(Section):
    """The lattice.

    Attributes:
        resolution: Side of a pixel in whole metres.
        block: Side of a block in pixels: one block and window is one work unit and one Zarr shard.
        chunk: Side of a Zarr chunk in pixels; divides `block`.
        crs: EPSG code of one lattice for the whole region; by default every UTM zone has its own.
    """

    resolution: int = Field(default=10, ge=1, le=1000)
    block: int = Field(default=2048, ge=16, le=16384)
    chunk: int = Field(default=512, ge=16)
    crs: int | None = None

    @model_validator(mode="after")
    def _divides(self) -> GridConfig:
        if self.block % self.chunk:
            raise InvalidConfigError(
                f"block {self.block}, chunk {self.chunk}", expected="a chunk that divides the block", key="grid.chunk"
            )
        return self


_LEAST_CLEAR = {"median": 3, "latest": 1, "least_cloudy": 1}


class CompositeConfig(Section):
    """How the scenes of a window become one image.

    Attributes:
        method: ``median`` of the clear observations (with fewer than three, the latest), ``latest``, or
            ``least_cloudy``.
        clear: SCL classes that count as clear.
        dilate_m: Cloud, and cloud shadow, are grown by this many metres.
        min_clear: A pixel with fewer clear observations is not observed (reason ``too_few_clear``).
        max_clear: At most so many clear observations of a pixel are read, the newest ones; ``clear_count`` stops
            there. By default all are.
    """

    method: Literal["median", "latest", "least_cloudy"] = "median"
    clear: tuple[SceneClass, ...] = Field(default=tuple(int(known) for known in CLEAR_CLASSES), min_length=1)
    dilate_m: float = Field(default=100.0, ge=0, le=2000)
    min_clear: int = Field(default=1, ge=1, le=255)
    max_clear: int | None = Field(default=None, ge=1, le=255)

    @model_validator(mode="after")
    def _possible(self) -> CompositeConfig:
        least = max(self.min_clear, _LEAST_CLEAR[self.method])
        if self.max_clear is not None and self.max_clear < least:
            raise InvalidConfigError(
                f"max_clear {self.max_clear} with min_clear {self.min_clear} and method {self.method}",
                expected=f"at least {least}",
                cure="One or two observations have no median: see method latest.",
                key="composite.max_clear",
            )
        return self


class CheckpointConfig(Section):
    """The model to scan with.

    Attributes:
        checkpoint: Path or URL of a landslide_scale checkpoint.
        base_weights: Path or URL of the SAM weights it stands on, where they moved since.
        accept_radiometry: Go on although the checkpoint was trained on this other radiometry; every output says so.
    """

    checkpoint: str
    base_weights: str | None = None
    accept_radiometry: Radiometry | None = None


class PredictConfig(Section):
    """How the network passes over a block.

    Attributes:
        patch: Side of a patch in native pixels; by default 448 divided by the checkpoint's ``upsample``.
        halo: Pixels on each side of a patch that its neighbours predict with full context; even.
        batch: Patches per forward pass, always exactly this many.
        precision: ``auto`` is bf16 where the hardware computes it natively.
    """

    patch: int | None = Field(default=None, ge=16)
    halo: int = Field(default=16, ge=0)
    batch: int = Field(default=8, ge=1)
    precision: Literal["auto", "bf16", "float32"] = "auto"


class ScanCompute(Section):
    """What the scan takes of the cluster.

    Attributes:
        address: Ray cluster; by default the one of the job, else a local one.
        predictors: Actors that hold the model.
        gpus_per_predictor: 0 predicts on CPU.
        cpus_per_predictor: Also the number of torch threads.
        cpus_per_reader: Of one read task.
        attempts: Tries per work unit before it is recorded as failed.
        no_progress_s: Seconds without a finished unit after which the run gives up.
    """

    address: str | None = None
    predictors: int = Field(default=1, ge=1)
    gpus_per_predictor: float = Field(default=0, ge=0)
    cpus_per_predictor: float = Field(default=1, gt=0)
    cpus_per_reader: float = Field(default=0.5, gt=0)
    attempts: int = Field(default=3, ge=1)
    no_progress_s: float = Field(default=600, gt=0)


class CubeConfig(Section):
    """Where the run goes: a local path or fsspec URL, and whether shards are used (GDAL before 3.13 reads none)."""

    run: str
    sharded: bool = True


class ScanConfig(Section):
    """One region-wide scan."""

    region: RegionConfig
    windows: tuple[WindowField, ...] = Field(min_length=1)
    catalog: CatalogConfig = CatalogConfig()
    dem: DemConfig | None = None
    grid: GridConfig = GridConfig()
    composite: CompositeConfig = CompositeConfig()
    model: CheckpointConfig
    predict: PredictConfig = PredictConfig()
    compute: ScanCompute = ScanCompute()
    output: CubeConfig

    def settings(self) -> dict[str, Any]:
        """What the result depends on: all but where things are, and where it is computed.

        A resumed run uses its frozen scenes, and checkpoint and base weights are known by their SHA-256.
        """
        addresses = {"url", "allowed_hosts", "allowed_roots", "signer"}
        places: Any = {
            "compute": True,
            "output": {"run"},
            "catalog": addresses,
            "dem": addresses,
            "model": {"checkpoint", "base_weights"},
        }
        content: dict[str, Any] = redacted_values(self.model_dump(mode="json", exclude=places))
        # So that runs begun before there were these keys go on.
        if not self.catalog.assets:
            del content["catalog"]["assets"]
        for key, default in (("min_clear", 1), ("max_clear", None)):
            if content["composite"][key] == default:
                del content["composite"][key]
        if self.dem is None:
            del content["dem"]
        return content


class ChipsConfig(Section):
    """Label polygons and a catalogue to training chips.

    Attributes:
        region: Ground whose labels are complete: unlabelled ground inside it is background.
        labels: Polygons of landslides.
        dem: Where ``elevation`` and ``slope`` among the bands are from.
        bands: Channels of the chips.
        size: Side of a chip in pixels.
        directory: Where the chips go; must be empty or absent.
    """

    region: RegionConfig
    labels: RegionConfig
    windows: tuple[WindowField, ...] = Field(min_length=1)
    catalog: CatalogConfig = CatalogConfig()
    dem: DemConfig | None = None
    grid: GridConfig = GridConfig()
    composite: CompositeConfig = CompositeConfig()
    bands: tuple[str, ...] = ("red", "green", "blue")
    size: int = Field(default=224, ge=16)
    compute: ScanCompute = ScanCompute()
    directory: str

    @model_validator(mode="after")
    def _bands(self) -> ChipsConfig:
        known = (*BAND_NAMES, *TERRAIN_BANDS)
        unknown = [band for band in self.bands if band not in known]
        if unknown:
            raise InvalidConfigError(f"bands {unknown}", expected=f"of {', '.join(known)}", key="bands")
        check_terrain(self.bands, self.dem)
        return self


class BaseWeightsConfig(Section):
    """Official SAM weights, or ImageNet weights of a convolutional encoder, by path or URL, with their SHA-256."""

    url: str
    sha256: str = Field(pattern="^[0-9a-f]{64}$")


class TrainCompute(Section):
    """What fine-tuning takes of the cluster.

    Attributes:
        address: Ray cluster; by default the one of the job, else a local one.
        workers: DDP processes.
        gpu: One GPU per worker (nccl); otherwise CPU (gloo).
        cpus_per_worker: Also the number of torch threads.
        max_failures: Restarts from the last epoch before the run gives up.
        collective_timeout_s: After which a hanging all-reduce is an error.
    """

    address: str | None = None
    workers: int = Field(default=1, ge=1)
    gpu: bool = False
    cpus_per_worker: int = Field(default=1, ge=1)
    max_failures: int = Field(default=3, ge=0)
    collective_timeout_s: int = Field(default=600, ge=1)


class RunConfig(Section):
    """Where a run goes: a local path or fsspec URL."""

    run: str


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


class FinetuneConfig(Section):
    """One fine-tuning."""

    dataset: DataSpec
    model: ModelField = LandslideNetSpec()
    base_weights: BaseWeightsConfig | None = None
    train: TrainSpec = TrainSpec()
    compute: TrainCompute = TrainCompute()
    output: RunConfig
