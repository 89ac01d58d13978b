"""A map of an event: one scan with a layer before it and one after, made of the newest acquisitions."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import shapely

from landslide_scale.bands import Reason
from landslide_scale.cube.ledger import Ledger
from landslide_scale.events.area import Area
from landslide_scale.products.change.settings import Change
from landslide_scale.products.heritage import Heritage
from landslide_scale.products.scanned import Scanned, scanned
from landslide_scale.rapid.acquisitions import Acquisitions
from landslide_scale.rapid.known import Asked, Followed
from landslide_scale.rapid.settings import RapidConfig
from landslide_scale.rapid.windows import last_before
from landslide_scale.region.settings import RegionConfig
from landslide_scale.scan.driver import Rank
from landslide_scale.scan.plan import Place
from landslide_scale.scan.settings import ScanConfig
from landslide_scale.scan.summary import ScanSummary
from landslide_scale.stac.settings import DemConfig
from landslide_scale.storage.rundir import RunDirectory

BEFORE, AFTER = 0, 1
"""Indexes of the layers of an event's cube."""

LAST_DAY = 1
"""Days before an event, of which the catalogue has nothing: a layer in which all is hidden."""


class Scan(Protocol):
    """Runs a scan, or what is left of it."""

    def __call__(self, config: ScanConfig, *, resume: bool, rank: Rank) -> ScanSummary:
        """See :func:`landslide_scale.scan.driver.begin`."""


class Making(Protocol):
    """How far an export is."""

    @property
    def current(self) -> str:
        """Name of the product that is being made; empty when all are."""


class Export(Protocol):
    """Makes products of a scan; see :func:`landslide_scale.exporting.run.export`."""

    def __call__(
        self,
        run: RunDirectory,
        *,
        to: str,
        change: Change,
        heritage: Heritage | None,
        dem: DemConfig | None,
        progress: Callable[[Making], None],
    ) -> object:
        """Make them, or those that are not there as they would be made."""


@dataclass(frozen=True, kw_only=True)
class Workers:
    """What does the heavy work of a cycle."""

    scan: Scan
    export: Export


@dataclass(frozen=True, kw_only=True)
class Scanning:
    """What one call of a scan did.

    Attributes:
        summary: How the scan stands.
        anew_km2: Ground of the units, of each layer, that this call has scanned, and not taken over.
    """

    summary: ScanSummary
    anew_km2: float


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


def carry_out(workers: Workers, config: RapidConfig, folder: RunDirectory, asked: Asked, rank: Rank) -> Scanning:
    """Scan an event's ground, or what is left of it.

    Raises:
        LandslideScaleError: As of a scan.
    """
    wanted = scan_config(config, folder, asked)
    run = RunDirectory(wanted.output.run)
    begun = run.exists("run.json")
    before = {name for name, one in Ledger(run).records().items() if one.done} if begun else set()
    summary = workers.scan(wanted, resume=begun, rank=rank)
    anew = [one for name, one in Ledger(run).records().items() if one.done and name not in before]
    return Scanning(summary=summary, anew_km2=sum(one.km2 for one in anew if not one.taken_from))


def asked_for(known: Followed, found: Acquisitions) -> Asked:
    """The scan of what is known now: the newest one, where that is of the same scenes and ground.

    Args:
        known: The event; its area is known.
        found: Its scenes; there is one since the event, or there was a scan before.
    """
    assert known.area is not None  # noqa: S101 who calls has looked
    sha256, before = area_sha256(known.area), known.asked
    if found.after is None or (before and (before.scenes, before.area_sha256) == (found.scenes, sha256)):
        assert before is not None  # noqa: S101 there is one where nothing was found
        return before
    return Asked(
        number=1 if before is None else before.number + 1,
        windows=(found.before or last_before(known.event.origin, LAST_DAY), found.after),
        scenes=found.scenes,
        area_sha256=sha256,
    )


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
