"""One region-wide scan as a configuration file asks for it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field
from pydantic_core import to_jsonable_python

from landslide_scale.cube.settings import CubeConfig, GridConfig
from landslide_scale.imagery.settings import CompositeConfig
from landslide_scale.redaction import redacted_values
from landslide_scale.region.settings import RegionConfig
from landslide_scale.spec import Radiometry
from landslide_scale.stac.settings import CatalogConfig, DemConfig, WindowField
from landslide_scale.strictyaml import InputPath, Section

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
}
"""Keys, by section, that runs were begun without, and the value of each that does what was done then. It is left out of
what a run records, so that those runs are known again."""


class CheckpointConfig(Section):
    """The model to scan with.

    Attributes:
        checkpoint: Path or URL of a landslide_scale checkpoint.
        base_weights: Path or URL of the SAM weights it stands on, where they moved since.
        accept_radiometry: Go on although the checkpoint was trained on this other radiometry; every output says so.
        accept_resolution: Go on although it was trained on pixels of so many metres; every output says so.
    """

    checkpoint: InputPath
    base_weights: InputPath | None = None
    accept_radiometry: Radiometry | None = None
    accept_resolution: float | None = Field(default=None, gt=0)


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

        A resumed run uses its frozen scenes, and checkpoint and base weights are known by their SHA-256. Which scenes
        it is done without is kept with these, so that it may be given more of them.
        """
        addresses = {"url", "items", "allowed_hosts", "allowed_roots", "buckets", "signer"}
        places: Any = {
            "compute": True,
            "output": {"run"},
            "catalog": addresses | {"exclude", "max_bad"},
            "dem": addresses,
            "model": {"checkpoint", "base_weights"},
        }
        content: dict[str, Any] = redacted_values(self.model_dump(mode="json", exclude=places))
        for (section, key), before in BEFORE.items():
            if content[section] is not None and content[section][key] == to_jsonable_python(before):
                del content[section][key]
        if self.dem is None:
            del content["dem"]
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
            if section is not None and isinstance(known, dict) and key not in {*known, *section.model_fields_set}:
                changed = changed.model_copy(update={name: section.model_copy(update={key: before})})
        return changed
