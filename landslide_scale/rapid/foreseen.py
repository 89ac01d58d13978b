"""What rapid mapping would scan now, and how long that may take by what it took here before. Nothing is written."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from landslide_scale.errors import LandslideScaleError
from landslide_scale.events.land import chosen_land
from landslide_scale.rapid.acquisitions import found_for
from landslide_scale.rapid.following import as_given
from landslide_scale.rapid.known import AREA, Followed, every, folder_of, load
from landslide_scale.rapid.mapping import asked_for, scan_config
from landslide_scale.rapid.publication.pace import TEN_THOUSAND_KM2, Took, read_pace
from landslide_scale.rapid.settings import RapidConfig
from landslide_scale.region.settings import RegionConfig
from landslide_scale.runtime.progress import duration
from landslide_scale.scan.model import fitting_model, observed_as
from landslide_scale.scan.prepared import Prepared, prepare
from landslide_scale.scan.settings import CheckpointConfig
from landslide_scale.storage.rundir import RunDirectory


@dataclass(frozen=True, kw_only=True)
class Expected:
    """What is to be done for an event.

    Attributes:
        known: The event, as it is known.
        scan: What would be scanned; None where nothing would.
        why: Why nothing would; empty where something would.
        took: How long a version took here; None where none was mapped yet.
    """

    known: Followed
    scan: Prepared | None
    why: str
    took: Took | None

    @property
    def title(self) -> str:
        """The event in one line."""
        event, area = self.known.event, self.known.area
        ground = "no ground yet" if area is None else f"{area.km2:,.0f} km2 by {area.source}"
        return f"{event.id}: {event.place or event.kind}, {event.origin:%Y-%m-%d %H:%M} UTC; {ground}"

    def seconds_lines(self) -> list[str]:
        """How long it may take, and what 10,000 km2 like it are; nothing of an event of which nothing is scanned."""
        if self.scan is None:
            return []
        survey, km2 = self.scan.survey, self.scan.survey.request.km2
        like = TEN_THOUSAND_KM2 / km2
        units, gigabytes = len(survey.plan.units) * like, survey.bytes_to_read * like / 1e9
        here = f"{units:,.0f} units, {gigabytes:,.1f} GB of pixels to read (uncompressed)"
        own = None if self.took is None else self.took.over(km2)
        other = None if self.took is None else self.took.over(TEN_THOUSAND_KM2)
        if self.took is None or own is None or other is None:
            return [f"10,000 km2 like it: {here}", "how long it takes is not known before a version was mapped here"]
        by = f"version {self.took.version} of {self.took.at:%Y-%m-%d %H:%M} UTC"
        whole = duration(sum(own.values()))
        return [
            f"expected: {whole} from the begin of a cycle, if nothing is taken over, at the rates of {by}",
            f"10,000 km2 like it: {here}, {duration(sum(other.values()))} at these rates",
        ]


def expected(config: RapidConfig, now: datetime) -> Iterator[Expected]:
    """What is to be done for each event that is followed or given, and is not over.

    Args:
        config: As for a cycle; its folder may not be there yet.
        now: UTC.

    Raises:
        InvalidInputError: The checkpoint is none, or does not fit what it would be shown, whatever there is to scan.
        RunConflictError: The folder holds something else.
    """
    if isinstance(config.model, CheckpointConfig):
        fitting_model(config.model, config.predict, observed_as(config.grid, config.composite, config.dem))
    root = RunDirectory(config.output.run)
    followed = list(every(root))
    rates, look = _rates([folder for folder, _ in followed]), _Look(config=config, now=now)
    most = max(rates.values(), key=lambda one: one.scanned_km2, default=None)
    for folder, known in followed:
        if not known.over:
            region = RegionConfig(file=folder.at(AREA)) if folder.exists(AREA) else None
            yield look.at(folder, known, region, rates.get(folder.url, most))
    land = chosen_land(None if config.events is None else config.events.land)
    for given in config.given:
        folder = folder_of(root, given.id)
        if load(folder) is None:
            yield look.at(folder, as_given(given, land, now), given.region, most)


def _rates(folders: list[RunDirectory]) -> dict[str, Took]:
    """How long the newest version of each event took of which something was scanned, by its folder."""
    return {folder.url: took for folder in folders if (took := read_pace(folder)) is not None and took.scanned_km2 > 0}


@dataclass(frozen=True, kw_only=True)
class _Look:
    """What a cycle would do at an instant."""

    config: RapidConfig
    now: datetime

    def at(self, folder: RunDirectory, known: Followed, region: RegionConfig | None, took: Took | None) -> Expected:
        """What it would for one event, whose ground is a region."""
        scan, why = None, f"{known.state}: {known.why}"
        if known.area is not None and region is not None:
            try:
                scan = self._scan(folder, known, region)
                why = "" if scan is not None else "nothing new was sensed: there is nothing to scan"
            except LandslideScaleError as error:
                why = str(error)
        return Expected(known=known, scan=scan, why=why, took=took)

    def _scan(self, folder: RunDirectory, known: Followed, region: RegionConfig) -> Prepared | None:
        """The scan that it would carry out; None where there is none, or it is done."""
        found = found_for(self.config, known, self.now)
        if found.after is None and known.asked is None:
            return None
        wanted = scan_config(self.config, folder, asked_for(known, found))
        run = RunDirectory(wanted.output.run)
        if run.exists("run.json") and run.claimed()["state"] == "complete":
            return None
        return prepare(wanted.model_copy(update={"region": region}))
