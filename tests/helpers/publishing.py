"""Versions of a made event, published in this process or in one that may be killed."""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import shapely
from helpers.exporting import FORKS, exported
from helpers.watching import Step as Taken
from helpers.watching import Watch, steps

from landslide_scale.products.scanned import scanned
from landslide_scale.rapid.publication.monty import Subject, items
from landslide_scale.rapid.publication.publishing import Begun, Step, begin, publish, unfinished
from landslide_scale.rapid.publication.response import Producer, Stage
from landslide_scale.rapid.publication.summing import Said
from landslide_scale.rapid.publication.version import Difference, Figures, MadeOf, Version
from landslide_scale.storage.rundir import RunDirectory

FORKS.set_forkserver_preload(
    [
        "landslide_scale.exporting.run",
        "landslide_scale.rapid.publication.publishing",
        "landslide_scale.rapid.publication.monty",
    ]
)
"""Not this module: the server does not have the tests' own path, and would leave it out without a word."""

EVENT = "us6000made"
NOW = datetime(2023, 7, 21, 3, 4, 5, tzinfo=UTC)
SUBJECT = Subject(
    id=EVENT,
    ids=(EVENT, "ci6000made"),
    title="10 km N of Made",
    origin=datetime(2023, 7, 20, 1, 2, 3, tzinfo=UTC),
    lon=13.5,
    lat=46.3,
    kind="earthquake",
    magnitude=6.4,
    url="https://agency.example/events/us6000made",
    ground=shapely.box(13, 46, 14, 46.5),
    shakemap=("https://agency.example/shakemap/us6000made/4", "4"),
    largest_intensity=7.4,
)
FILES = {"landslides.parquet": b"polygons", "landslides.gpkg": b"file", "cog/EPSG_32633/probability.tif": b"raster"}
FIGURES = Figures(
    asked_km2=100.0,
    observed_km2=60.0,
    hidden_km2=40.0,
    landslides=7,
    landslide_km2=0.5,
    landslide_km2_range=(0.3, 0.8),
)
UNSEEN = Figures(asked_km2=100.0, observed_km2=0.0, hidden_km2=100.0)


def made_of(number: int = 1, **more: object) -> MadeOf:
    known: dict[str, object] = {
        "run": f"runs/{number:04d}",
        "cube_sha256": f"{number:064x}",
        "area_sha256": "a" * 64,
    }
    return MadeOf(**known | more)  # type: ignore[arg-type]


def write(files: Mapping[str, bytes], target: RunDirectory) -> None:
    """Products as a step that makes them again where they are not there whole."""
    for name, content in files.items():
        target.write(name, content)


@dataclass(frozen=True, kw_only=True)
class Made:
    """What a version is published from.

    Attributes:
        of: What it is made of.
        files: Its products, unless `run` is given.
        run: Folder of a made scan, whose products are exported.
        figures: What it says.
        stage: How far the response is.
    """

    of: MadeOf
    files: Mapping[str, bytes] = field(default_factory=lambda: FILES)
    run: str | None = None
    figures: Figures = FIGURES
    stage: Stage = field(default_factory=Stage)

    def steps(self) -> list[Step]:
        if self.run is None:
            return [Step(name="products", do=partial(write, self.files))]
        scan = RunDirectory(self.run)
        return [Step(name="products", do=lambda target: void(exported(scan, target)))]


def void(_: object) -> None: ...


def published(folder: RunDirectory, made: Made, now: datetime = NOW) -> Version | None:
    """A version made public as a cycle does it: what was begun is finished first."""
    begun = unfinished(folder) or begin(folder, EVENT, made.of, now)
    return None if begun is None else finished(folder, begun, made)


def finished(folder: RunDirectory, begun: Begun, made: Made) -> Version:
    change = None if begun.earlier is None else Difference(newly_observed_km2=10.0, new=("a", "b"))
    return publish(
        folder,
        begun,
        steps=made.steps(),
        said=lambda _: Said(figures=made.figures, difference=change),
        items=lambda version: items(version, SUBJECT, Producer(name="Made"), made.stage),
        event_state="observing",
    )


def of_scan(run: RunDirectory, number: int = 1) -> Made:
    """A version of a made scan's real products."""
    return Made(of=made_of(number, cube_sha256=scanned(run).cube_sha256), run=run.url)


def watched(folder: str, log: str, kill_at: int | None, made: Made) -> None:
    """What a process that may be killed runs."""
    Watch(folder=folder, log=log, kill_at=kill_at)
    published(RunDirectory(folder), made)


def on_s3(environment: dict[str, str], folder: str, made: Made) -> None:
    """The same, with its folder on a server that kills it."""
    os.environ.update(environment)
    published(RunDirectory(folder), made)


def in_a_process(folder: Path, log: Path, kill_at: int | None, made: Made) -> list[Taken]:
    """Publish in a process of its own, ended before step `kill_at`; the steps it took below the event's folder."""
    before = len(steps(log))
    process = FORKS.Process(target=watched, args=(str(folder), str(log), kill_at, made))
    process.start()
    process.join(120)
    assert process.exitcode in ({0} if kill_at is None else {0, -signal.SIGKILL}), process.exitcode
    return steps(log)[before:]
