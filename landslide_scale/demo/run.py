"""The demo: make a world, fine-tune on its labelled west, scan its unlabelled east, score. Offline, on two cores.

Every step is one of the product's own, through a configuration file that stays beside the results, so that each can
be run again by hand. A demo that was stopped goes on where it was.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from shlex import quote
from typing import Any

import yaml

from landslide_scale.datasets.chips import INDEX
from landslide_scale.demo.compare import Comparison, compare, pixel_classifier
from landslide_scale.demo.memory import Peak, watched
from landslide_scale.demo.recipe import BANDS, RECIPES, ModelName, chips_settings, finetune_settings, scan_settings
from landslide_scale.demo.satellite.passes import PASSES
from landslide_scale.demo.stages import Advance, Say, Stages, duration
from landslide_scale.demo.world import World, WorldSpec, catalog_server, make_world
from landslide_scale.labels.chips import make_chips
from landslide_scale.labels.engine import on_ray
from landslide_scale.labels.settings import ChipsConfig
from landslide_scale.products import names
from landslide_scale.runtime.session import session
from landslide_scale.scan.pipeline.engine import scan
from landslide_scale.scan.rounds import Progress
from landslide_scale.scan.settings import ScanConfig
from landslide_scale.scan.summary import ScanSummary
from landslide_scale.storage.rundir import RunDirectory
from landslide_scale.strictyaml import C, load
from landslide_scale.training.engine import finetune
from landslide_scale.training.settings import FinetuneConfig, finetune_job

_SECONDS = {"world": 25.0, "chips": 15.0, "finetune": 0.0, "scan": 35.0, "score": 25.0, "products": 15.0}
"""Of each stage beside the training, on two cores."""
_GIB = 1 << 30

Export = Callable[[RunDirectory, Advance], None]
"""Makes the products of a scan, and says how far it is."""


@dataclass(frozen=True, kw_only=True)
class DemoResult:
    """What the demo came to.

    Attributes:
        comparison: Scores of the scanned east.
        quicklook: The picture.
        seconds: Of each stage.
        memory: The most bytes that all its processes took together; None where the system does not say.
    """

    comparison: Comparison
    quicklook: Path
    seconds: Mapping[str, float]
    memory: int | None


@dataclass(frozen=True, kw_only=True)
class Places:
    """Where everything goes: what a network came to lies apart, so that another can be tried on the same world."""

    directory: Path
    model: ModelName

    @property
    def world(self) -> Path:
        """The made world."""
        return self.directory / "world"

    @property
    def chips(self) -> Path:
        """Of its west."""
        return self.directory / "chips"

    @property
    def finetune(self) -> Path:
        """The training."""
        return self.directory / f"finetune-{self.model}"

    @property
    def checkpoint(self) -> Path:
        """There once the training has ended."""
        return self.finetune / "checkpoint.safetensors"

    @property
    def scan(self) -> Path:
        """Of the east."""
        return self.directory / f"scan-{self.model}"

    @property
    def picture(self) -> Path:
        """Of the scores."""
        return self.directory / "quicklook.png"

    @property
    def products(self) -> Path:
        """Of the scan."""
        return self.scan / names.FOLDER


def run_demo(directory: Path, *, seed: int, progress: Say, export: Export, model: ModelName = "unet") -> DemoResult:
    """Run or go on with the demo in `directory`.

    Args:
        directory: Holds the world, the configurations and all results.
        seed: Of the world.
        progress: Given a line of text at every step.
        export: Makes the products of the scan.
        model: Which network is trained.

    Raises:
        LandslideScaleError: As its steps do.
    """
    places = Places(directory=directory.resolve(), model=model)
    stages = Stages(_SECONDS | {"finetune": RECIPES[model].seconds}, progress)
    progress("A made world, and a network that starts from random weights: no score here is one of real ground.")
    with watched() as peak:
        with stages.stage("world") as advance:
            world = made_world(places.world, seed=seed, progress=_counted(advance, 3 + len(_AFTER)))
        with session(None), catalog_server(world) as url:
            with stages.stage("chips") as advance:
                make_west_chips(places, world, url, advance)
            with stages.stage("finetune") as advance:
                train(places, advance)
            with stages.stage("scan") as advance:
                settings, summary = _scan(places, world, url, advance)
            with stages.stage("score") as advance:
                classifier = pixel_classifier(places.chips, BANDS)
                advance(0.4, f"{classifier.name} is the best of {len(classifier.others)} per-pixel classifiers")
                comparison = compare(settings, world, classifier, places.picture)
        with stages.stage("products") as advance:
            export(RunDirectory(str(places.scan)), advance)
    for line in (*comparison.lines(), *_end(places, summary, comparison, stages, peak)):
        progress(line)
    return DemoResult(comparison=comparison, quicklook=places.picture, seconds=dict(stages.seconds), memory=peak.most)


_AFTER = tuple(each for each in PASSES if each.after)


def made_world(directory: Path, *, seed: int, progress: Say) -> World:
    """The world as the demo sees it: what was sensed before the event takes no part, and is not made."""
    return make_world(directory, WorldSpec(seed=seed, passes=_AFTER), progress=progress)


def _counted(advance: Advance, lines: int) -> Say:
    """A step that says so many lines, each of which takes about as long as another."""
    said = count()
    return lambda text: advance(next(said) / lines, text)


def make_west_chips(places: Places, world: World, url: str, advance: Advance) -> None:
    """Cut the labelled west into chips, or find them."""
    wanted = _written(ChipsConfig, places.directory / "chips.yaml", chips_settings(world, url, str(places.chips)))
    if (places.chips / INDEX).exists():
        advance(1.0, "found the chips")
        return
    made = make_chips(
        wanted, on_ray(wanted.compute, wanted.directory), resume=True, progress=lambda text: advance(0.0, text)
    )
    advance(1.0, f"{made.kept}, of whose observed pixels {made.landslide_pixels / made.pixels:.2%} are landslide")


def train(places: Places, advance: Advance) -> None:
    """Train the network on the chips, or go on with it; what was finished is found."""
    settings = finetune_settings(RECIPES[places.model], str(places.chips), str(places.finetune))
    job = finetune_job(_written(FinetuneConfig, places.directory / f"{places.finetune.name}.yaml", settings))
    resume = (places.finetune / "run.json").exists()
    finetune(job, resume=resume, progress=_counted(advance, 1 + job.train.epochs))


def trained_in(place: Path, world: World, *, model: ModelName, progress: Say) -> Path:
    """A checkpoint that was trained on a world's west by the demo's recipe, or is found where it was.

    Args:
        place: Holds what comes of it.
        world: That is trained on.
        model: Which network.
        progress: Given a line of text at every step.

    Raises:
        LandslideScaleError: As training does.
    """
    places = Places(directory=place.resolve(), model=model)
    places.directory.mkdir(parents=True, exist_ok=True)
    stages = Stages({"chips": _SECONDS["chips"], "finetune": RECIPES[model].seconds}, progress)
    with session(None), catalog_server(world) as url:
        with stages.stage("chips") as advance:
            make_west_chips(places, world, url, advance)
        with stages.stage("finetune") as advance:
            train(places, advance)
    return places.checkpoint


def _scan(places: Places, world: World, url: str, advance: Advance) -> tuple[ScanConfig, ScanSummary]:
    settings = scan_settings(world, url, str(places.checkpoint), str(places.scan))
    wanted = _written(ScanConfig, places.directory / f"{places.scan.name}.yaml", settings)

    def say(done: Progress) -> None:
        advance(done.done / done.total, f"{done.done} of {done.total} blocks, {done.km2:.0f} km2")

    return wanted, scan(wanted, resume=(places.scan / "run.json").exists(), progress=say)


def _written(kind: type[C], path: Path, settings: Mapping[str, Any]) -> C:
    """The settings as a file, read back the way a user's would be."""
    path.write_text(yaml.safe_dump(dict(settings), sort_keys=False), encoding="utf-8")
    return load(kind, path)


def _end(places: Places, summary: ScanSummary, comparison: Comparison, stages: Stages, peak: Peak) -> Iterator[str]:
    """What it came to and took, and what to open next."""
    yield f"{summary.area_line}; {comparison.landslide_km2:.2f} km2 of the observed ground are landslide"
    yield f"picture: {places.picture}"
    yield f"report: {places.products / names.REPORT}"
    yield f"for QGIS: {places.products / names.GEOPACKAGE}"
    spent = ", ".join(f"{stage} {seconds:.0f}" for stage, seconds in stages.seconds.items())
    taken = "not known here" if peak.most is None else f"{peak.most / _GIB:.1f} GiB"
    yield f"{duration(stages.total)} min ({spent} s), peak memory {taken} over all processes"
    yield "Next:"
    yield from (f"  {line}" for line in next_commands(places.directory, places.scan))


def next_commands(directory: Path, run: Path) -> tuple[str, str, str]:
    """What is worth typing after the demo: its report, a map of what was scanned, and one's own ground."""
    return (
        f"python -m webbrowser {quote((run / names.FOLDER / names.REPORT).as_uri())}",
        f"landslide-scale status {quote(str(run))} --map {quote(str(directory / 'coverage.html'))}",
        "landslide-scale init scan --region YOUR_GROUND.geojson --out scan.yaml",
    )
