"""A map of an event: one scan with a layer before it and one after, made of the newest acquisitions."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import shapely

from landslide_scale.bands import Reason
from landslide_scale.events.area import Area
from landslide_scale.products.change.settings import Change
from landslide_scale.products.heritage import Heritage
from landslide_scale.products.scanned import Scanned, scanned
from landslide_scale.rapid.known import Asked
from landslide_scale.rapid.settings import RapidConfig
from landslide_scale.region.settings import RegionConfig
from landslide_scale.scan.driver import Rank
from landslide_scale.scan.plan import Place
from landslide_scale.scan.settings import ScanConfig
from landslide_scale.scan.summary import ScanSummary
from landslide_scale.stac.settings import DemConfig
from landslide_scale.storage.rundir import RunDirectory

BEFORE, AFTER = 0, 1
"""Indexes of the layers of an event's cube."""


class Scan(Protocol):
    """Runs a scan, or what is left of it."""

    def __call__(self, config: ScanConfig, *, resume: bool, rank: Rank) -> ScanSummary:
        """See :func:`landslide_scale.scan.driver.begin`."""


class Export(Protocol):
    """Makes products of a scan; see :func:`landslide_scale.exporting.run.export`."""

    def __call__(
        self, run: RunDirectory, *, to: str, change: Change, heritage: Heritage | None, dem: DemConfig | None
    ) -> object:
        """Make them, or those that are not there as they would be made."""


@dataclass(frozen=True, kw_only=True)
class Workers:
    """What does the heavy work of a cycle."""

    scan: Scan
    export: Export


def area_sha256(area: Area) -> str:
    """Of the ground alone."""
    return hashlib.sha256(shapely.to_wkb(shapely.normalize(area.ground))).hexdigest()


def scan_config(config: RapidConfig, folder: RunDirectory, asked: Asked) -> ScanConfig:
    """The scan of an event's ground.

    Args:
        config: How it is scanned.
        folder: The event's.
        asked: Which scan.
    """
    earlier = (RunDirectory(folder.at(f"runs/{number:04d}")) for number in range(asked.number - 1, 0, -1))
    base = next((run.url for run in earlier if run.exists("units.parquet")), None)  # one may have been killed at once
    return ScanConfig(
        region=RegionConfig(file=folder.at(asked.region)),
        windows=asked.windows,
        catalog=config.catalog.model_copy(update={"require": "any"}),
        dem=config.dem,
        grid=config.grid,
        composite=config.composite,
        model=config.model,
        predict=config.predict,
        compute=config.compute,
        output=config.output.cube(folder.at(asked.folder), base),
    )


def carry_out(workers: Workers, config: RapidConfig, folder: RunDirectory, asked: Asked, rank: Rank) -> ScanSummary:
    """Scan an event's ground, or what is left of it.

    Raises:
        LandslideScaleError: As of a scan.
    """
    wanted = scan_config(config, folder, asked)
    return workers.scan(wanted, resume=RunDirectory(wanted.output.run).exists("run.json"), rank=rank)


def keep_ground(folder: RunDirectory, asked: Asked, area: Area) -> None:
    """Write down the ground of a scan: the area of its event may grow before it ends."""
    folder.write(asked.region, json.dumps(area.as_feature()).encode())


@dataclass(frozen=True, kw_only=True)
class Seen:
    """How much of an event's ground was seen since.

    Attributes:
        asked_km2: Scanned ground.
        observed_km2: Of it, seen clear after the event.
        often_km2: Of it, seen clear so often that nothing more is waited for.
        units_missing: How many units have failed.
    """

    asked_km2: float
    observed_km2: float
    often_km2: float
    units_missing: int


def seen(run: RunDirectory, looks: int) -> Seen:
    """What a scan of an event came to.

    Args:
        run: Its folder.
        looks: Clear observations after which ground is seen often enough.

    Raises:
        InvalidInputError: It has no unit yet.
        BrokenRunError: What is stored cannot be read.
    """
    of = scanned(run)
    after = [place for place in of.done if place.layer == AFTER]
    records = [of.records[place.id] for place in after]
    return Seen(
        asked_km2=sum(record.km2 for record in records),
        observed_km2=sum(record.km2 * record.clear_fraction for record in records),
        often_km2=sum(_often_km2(of, place, looks) for place in after),
        units_missing=len(of.missing),
    )


def _often_km2(of: Scanned, place: Place, looks: int) -> float:
    count = of.read_one(place.lattice, place.box, place.layer, "clear_count")
    reason = of.read_one(place.lattice, place.box, place.layer, "reason")
    often = (count >= looks) & (reason == Reason.OBSERVED)
    return float(often.sum() * place.lattice.resolution**2 / 1e6)


def asked_sha256(facts: Mapping[str, Any]) -> str:
    """Of what products are asked for by."""
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
