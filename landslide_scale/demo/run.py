"""The demo: make a world, fine-tune on its labelled west, scan its unlabelled east, score. Offline, on two cores.

Every step is one of the product's own, through a configuration file that stays beside the results, so that each can
be run again by hand. A demo that was stopped goes on where it was.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from landslide_scale.datasets.chips import INDEX
from landslide_scale.demo.compare import Comparison, compare
from landslide_scale.demo.world import World, WorldSpec, catalog_server, make_world
from landslide_scale.labels.chips import make_chips
from landslide_scale.labels.engine import on_ray
from landslide_scale.labels.settings import ChipsConfig
from landslide_scale.runtime.session import session
from landslide_scale.scan.driver import ScanSummary
from landslide_scale.scan.pipeline.engine import scan
from landslide_scale.scan.rounds import Progress
from landslide_scale.scan.settings import ScanConfig
from landslide_scale.strictyaml import C, load
from landslide_scale.training.engine import finetune
from landslide_scale.training.settings import FinetuneConfig, finetune_job

BANDS = ("nir", "red", "green")
"""Colour infrared: what tells bare ground from plants, in the three channels SAM takes."""
CHIP = 112
"""Small, so that what is validated on is spread over the whole west. A quarter of such chips (25 of 97) hold no
landslide."""
TRAIN = {
    "epochs": 43,
    "batch": 8,
    "patch": 56,
    "learning_rate": 1e-3,
    "schedule": "warmup_cosine",
    "beta2": 0.95,
    "weight_decay": 0.1,
    "landslide_focus": 0.75,
    "statistics": "data",
    "holdout": 0.03,
    "validation": 0.1,
}
"""For an encoder from random weights and six minutes on two cores: small squares, many of them over landslides. The
others show the fields of the plains, which a network that only ever sees slopes takes for scars."""

Say = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class DemoResult:
    """What the demo came to.

    Attributes:
        comparison: Scores of the scanned east.
        quicklook: The picture.
        seconds: Of each step.
    """

    comparison: Comparison
    quicklook: Path
    seconds: Mapping[str, float]


def run_demo(directory: Path, *, seed: int, progress: Say) -> DemoResult:
    """Run or go on with the demo in `directory`.

    Args:
        directory: Holds the world, the configurations and all results.
        seed: Of the world.
        progress: Given a line of text at every step.

    Raises:
        LandslideScaleError: As its steps do.
    """
    directory = directory.resolve()
    watch = _Watch(progress)
    progress("A made world, and an encoder that starts from random weights: no score here is one of real ground.")
    with session(None):
        with watch("world"):
            world = make_world(directory / "world", WorldSpec(seed=seed), progress=progress)
        with catalog_server(world) as url:
            with watch("chips"):
                _chips(directory, world, url, progress)
            with watch("finetune"):
                _finetune(directory, progress)
            with watch("scan"):
                settings, summary = _scan(directory, world, url, progress)
            with watch("score"):
                comparison = compare(settings, world, directory / "chips", directory / "quicklook.png")
    for line in comparison.lines():
        progress(line)
    progress(f"{summary.area_line}; {comparison.landslide_km2:.2f} km2 of the observed ground are landslide")
    progress(f"picture: {directory / 'quicklook.png'}; cube: {directory / 'scan' / 'cube.zarr'}")
    progress("seconds: " + ", ".join(f"{step} {spent:.0f}" for step, spent in watch.seconds.items()))
    return DemoResult(comparison=comparison, quicklook=directory / "quicklook.png", seconds=dict(watch.seconds))


def _chips(directory: Path, world: World, url: str, progress: Say) -> None:
    settings = {
        "region": {"file": str(world.region("west"))},
        "labels": {"file": str(world.labels("west"))},
        **_common(world, url),
        "bands": list(BANDS),
        "size": CHIP,
        "directory": str(directory / "chips"),
    }
    wanted = _written(ChipsConfig, directory / "chips.yaml", settings)
    if (directory / "chips" / INDEX).exists():
        progress("found the chips")
        return
    made = make_chips(wanted, on_ray(wanted.compute, wanted.directory), resume=True, progress=progress)
    progress(f"{made.kept} chips, {made.landslide_pixels / made.pixels:.2%} of the observed pixels are landslide")


def _finetune(directory: Path, progress: Say) -> None:
    settings = {
        "dataset": {"kind": "chips", "path": str(directory / "chips")},
        "model": {"sam": "vit_t", "bands": list(BANDS), "upsample": 4, "train_encoder": True},
        "train": TRAIN,
        "compute": {"workers": 1, "cpus_per_worker": 2},
        "output": {"run": str(directory / "finetune")},
    }
    job = finetune_job(_written(FinetuneConfig, directory / "finetune.yaml", settings))
    finetune(job, resume=(directory / "finetune" / "run.json").exists(), progress=progress)


def _scan(directory: Path, world: World, url: str, progress: Say) -> tuple[ScanConfig, ScanSummary]:
    settings = {
        "region": {"file": str(world.region("east"))},
        **_common(world, url),
        "model": {"checkpoint": str(directory / "finetune" / "checkpoint.safetensors")},
        "predict": {"patch": TRAIN["patch"], "halo": 16},  # validated at this patch; so is its threshold
        "compute": {"predictors": 1, "cpus_per_predictor": 1},
        "output": {"run": str(directory / "scan")},
    }
    settings["grid"] = {"block": 512, "chunk": 256}
    wanted = _written(ScanConfig, directory / "scan.yaml", settings)

    def say(done: Progress) -> None:
        progress(f"{done.done}/{done.total} units, {done.km2:.0f} km2")

    summary = scan(wanted, resume=(directory / "scan" / "run.json").exists(), progress=say)
    return wanted, summary


def _common(world: World, url: str) -> dict[str, Any]:
    """What chips and scan share: so the network is trained on just what it will see."""
    window = {"start": world.after.start.isoformat(), "end": world.after.end.isoformat()}
    catalog = {
        "url": url,
        "profile": "plain",
        "collection": world.collection,
        "offset": "in_numbers",  # as ESA's are made
        "allowed_roots": [str(world.directory)],
    }
    return {"windows": [window], "catalog": catalog}


def _written(kind: type[C], path: Path, settings: Mapping[str, Any]) -> C:
    """The settings as a file, read back the way a user's would be."""
    path.write_text(yaml.safe_dump(dict(settings), sort_keys=False), encoding="utf-8")
    return load(kind, path)


class _Watch:
    """Times steps and announces them."""

    def __init__(self, progress: Say) -> None:
        self.seconds: dict[str, float] = {}
        self._progress = progress
        self._step, self._begun = "", 0.0

    def __call__(self, step: str) -> _Watch:
        self._step = step
        return self

    def __enter__(self) -> None:
        self._begun = time.monotonic()
        self._progress(f"== {self._step}")

    def __exit__(self, *_: object) -> None:
        self.seconds[self._step] = time.monotonic() - self._begun
