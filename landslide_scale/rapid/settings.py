"""Rapid mapping as a configuration file asks for it."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Self

from pydantic import BeforeValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from landslide_scale.cube.settings import CubeConfig, GridConfig
from landslide_scale.errors import InvalidConfigError
from landslide_scale.events.event import check_id
from landslide_scale.events.settings import EventsConfig
from landslide_scale.imagery.settings import CompositeConfig, check_assets
from landslide_scale.products.change.settings import LEAST_SLOPE_DEG, LOSS
from landslide_scale.rapid.publication.settings import PublishConfig
from landslide_scale.region.settings import RegionConfig
from landslide_scale.scan.settings import ModelField, PredictConfig, ScanCompute
from landslide_scale.scene import utc
from landslide_scale.stac.settings import CatalogConfig, DemConfig
from landslide_scale.strictyaml import OutputPath, Section


def _instant(value: object) -> datetime:
    try:
        return value if isinstance(value, datetime) and value.tzinfo else utc(str(value))
    except ValueError:
        raise PydanticCustomError("instant", "an instant in UTC, as 2024-01-01T07:10:09Z") from None


Instant = Annotated[datetime, BeforeValidator(_instant)]


def _id(value: str) -> str:
    try:
        check_id(value)
    except InvalidConfigError as error:
        raise PydanticCustomError("id", "{said}", {"said": error.expected}) from None
    return value


class GivenConfig(Section):
    """An event that a person gives: a monsoon's night, a dam, a volcano; or an earthquake whose ground is known.

    Attributes:
        id: Its name here: letters, digits, ``-``, ``_`` and points.
        origin: The instant it happened, UTC; of a storm, when it began.
        region: Ground to be looked at.
        kind: A word for what it was.
        place: Where, in words.
    """

    id: str
    origin: Instant
    region: RegionConfig
    kind: str = "given"
    place: str = ""


class BeforeConfig(Section):
    """What the ground after an event is compared with.

    Attributes:
        season_days: Days from the event's day on, a year earlier: plants and sun were then as they are now.
        last_days: Days before the event, where the catalogue has nothing of a year earlier.
    """

    season_days: int = Field(default=60, ge=1, le=366)
    last_days: int = Field(default=90, ge=1, le=366)


class EndsConfig(Section):
    """When an event is looked at no longer.

    Attributes:
        looks: Ground that was seen clear so often since is seen often enough.
        share: Of the ground that is seen often enough, 0 to 1, at which an event ends.
        days: After the event at which it ends, however much is hidden still.
    """

    looks: int = Field(default=3, ge=1, le=20)
    share: float = Field(default=0.98, gt=0, le=1)
    days: float = Field(default=90, gt=0, le=1000)


class ComparisonConfig(Section):
    """How what was before and what is after are compared.

    Attributes:
        loss: Of vegetation, by rdNDVI (Scheip and Wegmann 2021), hundredths: so much below 0 is a loss.
        least_slope_deg: Without a network, candidates lie on ground at least as steep, where slopes are known.
    """

    loss: float = Field(default=LOSS, gt=0, le=327)
    least_slope_deg: float = Field(default=LEAST_SLOPE_DEG, ge=0, lt=90)


class RapidOutput(Section):
    """Where all of it goes.

    Attributes:
        run: Folder of the run: a path or fsspec URL; every machine must reach it.
        keep: Bands of the composites that are kept; ``red`` and ``nir`` among them, by which vegetation is told.
        sharded: As of a scan.
    """

    run: OutputPath
    keep: tuple[str, ...] = ("red", "green", "blue", "nir")
    sharded: bool = True

    def cube(self, run: str, base: str | None) -> CubeConfig:
        """The output of one of its scans."""
        return CubeConfig(run=run, keep=self.keep, sharded=self.sharded, base=base)


class RapidConfig(Section):
    """From an earthquake to a map, again with every pass of a satellite.

    Attributes:
        events: Which earthquakes are followed; none where events are only given.
        given: Events that a person gives.
        before: What the ground is compared with.
        ends: When an event is looked at no longer.
        every_s: Seconds from the begin of one cycle to that of the next, of a watch.
        catalog: Where the scenes are from.
        dem: Where elevations are from: for slopes of candidates, and a checkpoint with such a band.
        grid: The lattice of the cubes.
        composite: How the scenes of a window become one image.
        model: The model to scan with, or ``none``: then vegetation that was lost on slopes is told, and no probability.
        predict: How the network passes over a block.
        compute: What scans take of the cluster.
        comparison: How before and after are compared.
        publish: What is published, and who is told.
        output: Where all of it goes.
    """

    events: EventsConfig | None = EventsConfig()
    given: tuple[GivenConfig, ...] = ()
    before: BeforeConfig = BeforeConfig()
    ends: EndsConfig = EndsConfig()
    every_s: float = Field(default=900, ge=1)
    catalog: CatalogConfig = CatalogConfig()
    dem: DemConfig | None = None
    grid: GridConfig = GridConfig()
    composite: CompositeConfig = CompositeConfig()
    model: ModelField
    predict: PredictConfig = PredictConfig()
    compute: ScanCompute = ScanCompute()
    comparison: ComparisonConfig = ComparisonConfig()
    publish: PublishConfig = PublishConfig()
    output: RapidOutput

    @model_validator(mode="after")
    def _fits(self) -> Self:
        check_assets(self.composite, self.catalog)
        if self.events is None and not self.given:
            raise InvalidConfigError("neither", expected="a feed, or events that are given", key="events")
        if missing := [band for band in ("red", "nir") if band not in self.output.keep]:
            raise InvalidConfigError(
                f"bands {', '.join(self.output.keep) or 'none'}",
                expected=f"{' and '.join(missing)} among them: the loss of vegetation is told by them",
                key="output.keep",
            )
        names = [one.id for one in self.given]
        if len(set(names)) != len(names):
            raise InvalidConfigError(f"ids {', '.join(names)}", expected="each once", key="given")
        return self
