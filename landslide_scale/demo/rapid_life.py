"""The life of an event in minutes: announced, mapped under clouds, mapped better with every pass, judged, ended.

Nothing here maps: cycles are those of ``landslide-scale rapid``, by a configuration file that stays beside the results.
Time is told to them, for the made passes were in August 2023.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from shlex import quote
from typing import Any

import geopandas as gpd
import yaml

from landslide_scale.cube.ledger import Ledger
from landslide_scale.demo.agency import EVENT_ID, Agency, agency
from landslide_scale.demo.change_score import ChangeScore, score_version
from landslide_scale.demo.ground.frame import Frame
from landslide_scale.demo.ground.losses import Losses
from landslide_scale.demo.ground.relief import COLLECTION as RELIEF
from landslide_scale.demo.ground.relief import write_relief
from landslide_scale.demo.rapid_recipe import LEAST_SLOPE_DEG, LIFE, LOSS, Followed, Moment, rapid_settings
from landslide_scale.demo.stages import Say, duration
from landslide_scale.demo.world import World, WorldSpec, make_world
from landslide_scale.errors import BrokenRunError
from landslide_scale.products import names
from landslide_scale.products.change.settings import Change
from landslide_scale.products.scanned import scanned
from landslide_scale.rapid.publication import verdicts
from landslide_scale.rapid.publication.history import HISTORY
from landslide_scale.rapid.publication.landslides import REJECTED, landslides_of
from landslide_scale.rapid.publication.pace import pace_lines, read_pace
from landslide_scale.rapid.publication.version import Version, read_latest, read_version
from landslide_scale.region.polygons import load as load_region
from landslide_scale.region.settings import RegionConfig
from landslide_scale.stac.dem import DemTile, tiles
from landslide_scale.stac.settings import DemConfig
from landslide_scale.storage.lease import held
from landslide_scale.storage.rundir import RunDirectory

SMALL = Frame(left=728_160, top=5_106_240, width_m=7_200, height_m=4_800)
"""Enough ground for a test: both zones, and two tiles."""

CONFIG = "rapid.yaml"

LEARNED = "network"
"""Folder of the network: that of `demo` has not seen what else loses its plants here."""

Cycle = Callable[[str, datetime], str]
"""One cycle of rapid mapping by a configuration file, as if it were that instant; what the event is at, in words."""

Checkpoint = Callable[[World], Path]
"""Gives a network that was trained on the west of a made world."""


@dataclass(frozen=True, kw_only=True)
class Told:
    """What came of one moment.

    Attributes:
        moment: Of the life.
        state: What the event was at then.
        version: That was published; None where nothing was.
        scanned, taken: Units of its scan that were looked at anew, and that were taken over from the one before.
        rejected: Landslides of the version that an analyst has rejected.
        seconds: From what appeared to the version.
        pace: What the version took by stage, and what 10,000 km2 would, in lines.
    """

    moment: Moment
    state: str
    version: Version | None
    scanned: int
    taken: int
    rejected: int
    seconds: float
    pace: tuple[str, ...]

    @property
    def line(self) -> str:
        """In one line."""
        when = f"{self.moment.at:%d %b %H:%M}, {self.moment.happens}"
        if self.version is None:
            return f"{when}: {self.state}; no version"
        one = self.version.figures
        share = one.observed_km2 / one.asked_km2
        found = f", {one.counted}" if one.counted else ""
        rejected = f", {self.rejected} rejected" if self.rejected else ""
        units = f"{self.scanned} units scanned, {self.taken} taken over" if self.scanned + self.taken else "no scan"
        return (
            f"v{self.version.number} ({when}): {share:.0%} of {one.asked_km2:.1f} km2 observed{found}{rejected}; "
            f"{units}; {self.state}; {self.seconds:.0f} s"
        )


@dataclass(frozen=True, kw_only=True)
class LifeResult:
    """What the life came to.

    Attributes:
        told: Of each moment, in order.
        score: Of the last version.
        folder: Of the event.
        verdict: Id of the landslide that the analyst rejected.
    """

    told: tuple[Told, ...]
    score: ChangeScore
    folder: Path
    verdict: str


def live(
    directory: Path,
    *,
    seed: int,
    progress: Say,
    cycle: Cycle,
    checkpoint: Checkpoint | None,
    frame: Frame | None = None,
    life: Sequence[Moment] = LIFE,
) -> LifeResult:
    """Live through the made event; the world and the network are found where they were made, the event is begun anew.

    Args:
        directory: Holds the world, the configuration, what the agency publishes, the catalogue and all results.
        seed: Of the world.
        progress: Given a line of text at every step.
        cycle: Looks once.
        checkpoint: Gives the network; None: candidates of vegetation loss are mapped.
        frame: The ground; by default that of the demo.
        life: What happens, and when it is looked at.

    Raises:
        LandslideScaleError: As cycles do.
        BrokenRunError: No version was published.
    """
    directory, ground = directory.resolve(), frame or Frame()
    began = time.monotonic()
    progress("A made world and a made earthquake: no score here is one of real ground.")
    progress("Beside landslides its plants are felled, burnt, harvested: as many as in a year, on both of its sides.")
    world = make_world(directory / "world", WorldSpec(frame=ground, seed=seed, losses=Losses()), progress=progress)
    relief = write_relief(directory / "relief", ground, seed)
    network = None if checkpoint is None else checkpoint(world)
    of = Followed(
        catalogue=directory / "catalogue",
        relief=relief,
        run=directory / f"rapid-{'none' if network is None else 'network'}",
        checkpoint=network,
    )
    for folder in (of.catalogue, of.run):
        shutil.rmtree(folder, ignore_errors=True)
    of.catalogue.mkdir(parents=True)
    with agency(directory / "agency") as publisher:
        config = directory / CONFIG
        config.write_text(yaml.safe_dump(rapid_settings(world, publisher, of), sort_keys=False), encoding="utf-8")
        event = _Life(world=world, agency=publisher, of=of, config=config, cycle=cycle)
        told = []
        for moment in life:
            told.append(event.at(moment))
            progress(told[-1].line)
    score = event.score(relief)
    result = LifeResult(told=tuple(told), score=score, folder=Path(event.folder.url), verdict=event.verdict)
    pace = next((one.pace for one in reversed(told) if one.scanned), ())  # of what an acquisition brought
    for line in (*score.lines(), *pace, *_end(result, time.monotonic() - began)):
        progress(line)
    return result


@dataclass(kw_only=True)
class _Life:
    """The event as it goes on."""

    world: World
    agency: Agency
    of: Followed
    config: Path
    cycle: Cycle
    verdict: str = ""

    @property
    def folder(self) -> RunDirectory:
        return RunDirectory(str(self.of.run / "events" / EVENT_ID))

    def at(self, moment: Moment) -> Told:
        """What happens at a moment, and the cycle after it."""
        before, runs = self._number(), self._runs()
        self._happens(moment)
        began = time.monotonic()
        state = self.cycle(str(self.config), moment.at)
        seconds, number = time.monotonic() - began, self._number()
        version = None if number == before else read_version(self.folder, number)
        of_units = [] if version is None or self._runs() == runs else self._taken(version)
        return Told(
            moment=moment,
            state=state,
            version=version,
            scanned=of_units.count(False),
            taken=of_units.count(True),
            rejected=0 if version is None else len(self._rejected(version)),
            seconds=seconds,
            pace=() if version is None else self._pace(version),
        )

    def _pace(self, version: Version) -> tuple[str, ...]:
        took = read_pace(self.folder)
        return () if took is None or took.version != version.number else tuple(pace_lines(took))

    def _happens(self, moment: Moment) -> None:
        region = load_region(RegionConfig(file=str(self.world.region("east"))))
        if moment.deed == "announce":
            self.agency.announce(region, moment.at)
        elif moment.deed == "shakemap":
            self.agency.publish_shakemap(region, moment.at)
        elif moment.deed == "verdict":
            self.verdict = self._reject(moment.at)
        for path in (self.world.directory / "items").glob("*.json"):
            _, tile, day, *_ = path.stem.split("_")
            if day in moment.days and (not moment.tiles or tile in moment.tiles):
                shutil.copy(path, self.of.catalogue)

    def _number(self) -> int:
        latest = read_latest(self.folder)
        return -1 if latest is None else latest.number

    def _runs(self) -> tuple[str, ...]:
        return tuple(self.folder.folders("runs"))

    def _taken(self, version: Version) -> list[bool]:
        """Of each unit of a version's scan, whether it was taken over."""
        records = Ledger(RunDirectory(self.folder.at(version.made_of.run))).records().values()
        return [bool(record.taken_from) for record in records]

    def _rejected(self, version: Version) -> list[str]:
        found = landslides_of(RunDirectory(self.folder.at(version.folder)))
        return [name for (_, name), one in found.items() if one.said.status == REJECTED]

    def _reject(self, now: datetime) -> str:
        """Bring in that an analyst rejects what is no landslide of the event: the largest such polygon; its id."""
        version = self._newest()
        copy = self.config.parent / "verdicts.geojson"
        content = json.loads(Path(self.folder.at(version.folder), names.GEOJSON).read_text(encoding="utf-8"))
        chosen = self._mistaken(version)
        for feature in content["features"]:
            if feature["properties"]["id"] == chosen:
                feature["properties"] |= {"status": REJECTED, "verdict": "no landslide", "reviewer": "made analyst"}
        copy.write_text(json.dumps(content), encoding="utf-8")
        with held(RunDirectory(str(self.of.run))):
            verdicts.bring_in(self.folder, str(copy), now)
        return chosen

    def _mistaken(self, version: Version) -> str:
        """The largest polygon that meets no scar of the event, or the largest of all."""
        drawn = gpd.read_parquet(Path(self.folder.at(version.folder), names.POLYGONS))
        scars = gpd.read_file(self.world.labels("east"))
        truth = scars[scars["age"] == "new"].union_all()
        apart = drawn[~drawn.intersects(truth)]
        chosen: str = (drawn if apart.empty else apart).sort_values("area_m2").iloc[-1]["id"]
        return chosen

    def _newest(self) -> Version:
        number = self._number()
        if number < 0:
            raise BrokenRunError("no version of the made event", expected="one", event=self.folder)
        return read_version(self.folder, number)

    def score(self, relief: Path) -> ChangeScore:
        """The newest version against the truth."""
        version = self._newest()
        of = scanned(RunDirectory(self.folder.at(version.made_of.run)))
        how = Change(before=0, after=1, loss=LOSS, least_slope_deg=LEAST_SLOPE_DEG)
        return score_version(of, Path(self.folder.at(version.folder)), self.world, _relief_tiles(relief), how)


def _relief_tiles(items: Path) -> list[DemTile]:
    found: list[Any] = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(items.glob("*.json"))]
    return tiles(found, DemConfig(profile="plain", collection=RELIEF, allowed_roots=(str(items.parent),)))


def _end(result: LifeResult, seconds: float) -> Iterator[str]:
    """What to open next."""
    last = max((one.version.number, one.rejected) for one in result.told if one.version is not None)
    stands = "still is rejected in" if last[1] else "is no polygon any more of"
    yield f"what the analyst rejected ({result.verdict}) {stands} version {last[0]}"
    yield f"{duration(seconds)} min"
    history = result.folder / HISTORY
    yield f"the versions, one after the other: {history}"
    yield f"  python -m webbrowser {quote(history.as_uri())}"
    yield f"by hand: landslide-scale rapid --status --config {quote(str(result.folder.parents[2] / CONFIG))}"
