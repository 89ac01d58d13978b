"""How far the demo's score hangs on the training seed and on the number format.

The world and its chips are made once; each training, scan of the east and score is the demo's own, in one plain
process without Ray. What is chosen (epoch, calibration, threshold) is chosen in the west.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import time
from contextlib import contextmanager
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import torch

from landslide_scale.cube.record import Record
from landslide_scale.datasets.chips import INDEX
from landslide_scale.demo.compare import compare, pixel_classifier
from landslide_scale.demo.recipe import BANDS, RECIPES, ModelName, chips_settings, finetune_settings, scan_settings
from landslide_scale.demo.run import made_world
from landslide_scale.demo.world import catalog_server
from landslide_scale.labels.chips import make_chips
from landslide_scale.labels.making import make
from landslide_scale.labels.settings import ChipsConfig
from landslide_scale.model.checkpoint import restore
from landslide_scale.model.core.precision import native_bf16
from landslide_scale.scan import driver, work
from landslide_scale.scan.pipeline.predictor import Predictor
from landslide_scale.scan.rounds import Passes
from landslide_scale.scan.settings import ScanConfig
from landslide_scale.strictyaml import parse
from landslide_scale.training.fitting import fit, score
from landslide_scale.training.job import FinetuneJob, Prepared
from landslide_scale.training.places import PlaceCounts, area_ratio
from landslide_scale.training.run import CHECKPOINT, TrainRun
from landslide_scale.training.settings import FinetuneConfig, finetune_job

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from landslide_scale.labels.making import Task as ChipsTask
    from landslide_scale.scan.rounds import Belt, Stream
    from landslide_scale.scan.work import Row, Task


@contextmanager
def chips_here(task: ChipsTask) -> Iterator[Stream]:
    """Chips made one after the other."""

    def stream(rows: Sequence[Row]) -> Iterator[Record]:
        for row in rows:
            yield Record.from_json(make(row, task)["record"])

    yield stream


def scan_here(config: ScanConfig) -> driver.Engine:
    """Units read, predicted and written one after the other."""

    @contextmanager
    def carry(task: Task) -> Iterator[Belt]:
        load = partial(restore, config.model.checkpoint)
        predict = Predictor(load, patches=task.patches, settings=config.predict, device="cpu", threads=1)

        def stream(rows: Sequence[Row]) -> Iterator[Record]:
            for row in rows:
                yield Record.from_json(work.write(predict(work.read(row, task)), task)["record"])

        yield Passes(stream)

    return carry


def train_here(job: FinetuneJob) -> str:
    """The training without Ray Train; gives its checkpoint."""
    prepared = Prepared.of(job)
    job = prepared.settled(job)
    net, run, parts = job.build(), TrainRun(job, prepared.trained_on, prepared.image_parts), prepared.parts(job)
    run.begin(prepared, net, resume=True)
    state = fit(net, parts, job.train, after_epoch=lambda state: run.after_epoch(net, state), threads=1)
    calibration = state.best_epoch.calibration
    counts = PlaceCounts(prepared.held_out(job, prepared.dataset), calibration, torch.device("cpu"))
    judged = score(net, state, parts, job.train, threads=1, seen=counts)
    area = area_ratio(net, calibration, prepared, job, threads=1)
    run.complete(net, state, judged, area=area, places=counts.by_place(prepared.groups))
    return run.folder.at(CHECKPOINT)


classified = cache(pixel_classifier)
"""The same for every training: it is trained on the same chips."""


def trial(folder: Path, model: ModelName, seed: int, precision: str) -> dict[str, Any]:
    """One training, scan and score."""
    world, chips = made_world(folder / "world", seed=7, progress=print), folder / "chips"
    with catalog_server(world) as url:
        if not (chips / INDEX).exists():
            make_chips(parse(ChipsConfig, chips_settings(world, url, str(chips))), chips_here, resume=True)
        classifier = classified(chips, BANDS)
        own = folder / f"{model}-{seed}-{precision}"
        settings = finetune_settings(RECIPES[model], str(chips), str(own / "finetune"))
        settings["train"] |= {"seed": seed, "precision": precision}
        begun = time.process_time()
        checkpoint = train_here(finetune_job(parse(FinetuneConfig, settings)))
        trained = time.process_time()
        settings = scan_settings(world, url, checkpoint, str(own / "scan"))
        settings["predict"]["precision"] = precision
        config = parse(ScanConfig, settings)
        driver.begin(config, scan_here(config), resume=True, progress=lambda _: None)
        comparison = compare(config, world, classifier, own / "quicklook.png")
    return {
        "seed": seed,
        "precision": precision,
        "f1": comparison.network.confusion.landslide.f1,
        "rival": comparison.pixels.confusion.landslide.f1,
        "training_s": trained - begun,
        "rest_s": time.process_time() - trained,
    }


def table(results: Sequence[dict[str, Any]]) -> Iterator[str]:
    """The rows, and their spread."""
    yield "| seed | precision | landslide F1, east | over per-pixel | CPU s, training | CPU s, scan and score |"
    yield "|---|---|---|---|---|---|"
    for each in sorted(results, key=lambda each: (each["precision"], each["seed"])):
        over = each["f1"] - each["rival"]
        yield (
            f"| {each['seed']} | {each['precision']} | {each['f1']:.3f} | {over:+.3f} | {each['training_s']:.0f} | "
            f"{each['rest_s']:.0f} |"
        )
    found = [each["f1"] for each in results]
    yield f"\nF1 {min(found):.3f} to {max(found):.3f}, mean {statistics.mean(found):.3f}, per-pixel "
    yield f"{results[0]['rival']:.3f}; least {min(each['f1'] - each['rival'] for each in results):+.3f} over it."


def main() -> None:
    """Run what has no result yet, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", choices=get_args(ModelName), default="unet")
    parser.add_argument("--seeds", type=int, nargs="+", default=list(range(5)))
    parser.add_argument("--precisions", nargs="+", default=["float32", "bf16"])
    parser.add_argument("--folder", type=Path, default=Path("demo-seeds"))
    asked = parser.parse_args()
    torch.set_num_threads(1)
    results = []
    for seed in asked.seeds:
        for precision in asked.precisions:
            kept = asked.folder / f"{asked.model}-{seed}-{precision}.json"
            if not kept.exists():
                kept.parent.mkdir(parents=True, exist_ok=True)
                kept.write_text(json.dumps(trial(asked.folder, asked.model, seed, precision)), encoding="utf-8")
            results.append(json.loads(kept.read_text("utf-8")))
    isa = {name: os.environ.get(name) for name in ("ATEN_CPU_CAPABILITY", "ONEDNN_MAX_CPU_ISA")}
    print(f"torch {torch.__version__}, Python {platform.python_version()}, {isa}, bf16 native: {native_bf16('cpu')}\n")
    print("\n".join(table(results)))


if __name__ == "__main__":
    main()
