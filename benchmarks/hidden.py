"""What ``train.hidden`` does to a map beside ground that nobody saw.

The demo's network learns from the demo's chips, with nothing hidden from it and with parts of some squares hidden, once
for each seed. Held-out windows are then shown three ways: as they are, with a part of each hidden, and whole again but
scored on those pixels alone that lay beside what was hidden. Seeds draw weights, order and augmentation; the parts are
the same for all.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from scipy.ndimage import distance_transform_edt

from landslide_scale.datasets.patches import beyond_an_edge
from landslide_scale.datasets.sample import Sample
from landslide_scale.demo.recipe import HALO, RECIPES, finetune_settings
from landslide_scale.label_values import IGNORE
from landslide_scale.strictyaml import parse
from landslide_scale.training.evaluating import evaluate
from landslide_scale.training.fitting import fit, score
from landslide_scale.training.job import Prepared
from landslide_scale.training.settings import FinetuneConfig, finetune_job

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from landslide_scale.datasets.patches import Patches
    from landslide_scale.metrics import Confusion

EDGES = 4
"""Of every window, each another one."""
WAYS = ("as they are", "beside hidden ground", "the same pixels, nothing hidden")
KEYS = ("precision", "recall", "f1")


@dataclass(frozen=True, kw_only=True)
class Beside:
    """Held-out windows of which only pixels near an edge are counted.

    Attributes:
        windows: The windows.
        shown: Whether what lies beyond the edge is shown all the same.
    """

    windows: Patches
    shown: bool

    def __len__(self) -> int:
        return len(self.windows) * EDGES

    def read(self, epoch: int, index: int) -> Sample:
        """One window with one edge: counted is what lies nearer to the edge than the halo."""
        sample = self.windows.read(epoch, index // EDGES)
        hidden = beyond_an_edge(sample.label.shape[0], np.random.default_rng((9, index)))
        image, label = sample.image.copy(), sample.label.copy()
        label[hidden | (distance_transform_edt(~hidden) > HALO)] = IGNORE
        if not self.shown:
            image[:, hidden] = np.nan
        return Sample(image=image, label=label)


def trial(chips: Path, seed: int, hidden: float) -> dict[str, Any]:
    """One training, and its scores."""
    settings = finetune_settings(RECIPES["unet"], str(chips), "nowhere")
    settings["train"] |= {"seed": seed, "precision": "float32", "validation": 0.2, "holdout": 0.3, "hidden": hidden}
    job = finetune_job(parse(FinetuneConfig, settings))
    prepared = Prepared.of(job)
    job = prepared.settled(job)
    net, parts, begun = job.build(), prepared.parts(job), time.process_time()
    state = fit(net, parts, job.train, after_epoch=lambda state: print(state.epochs[-1].line, file=sys.stderr))
    seconds, calibration = time.process_time() - begun, state.best_epoch.calibration
    whole = score(net, state, parts, job.train).confusion

    def beside(*, shown: bool) -> Confusion:
        near = Beside(windows=parts.holdout, shown=shown)
        return evaluate(net, near, batch=8, precision="float32", calibration=calibration).confusion

    found = dict(zip(WAYS, (whole, beside(shown=False), beside(shown=True)), strict=True))
    scores = {way: {key: getattr(counted.landslide, key) for key in KEYS} for way, counted in found.items()}
    return {"seed": seed, "hidden": hidden, "seconds": seconds, "windows": len(parts.holdout), "scores": scores}


def table(results: Sequence[dict[str, Any]]) -> Iterator[str]:
    """Mean over seeds of each way, and each seed's F1."""
    yield "| `train.hidden` | held-out windows | precision | recall | F1 | F1 of each seed |"
    yield "|---|---|---|---|---|---|"
    for hidden in sorted({each["hidden"] for each in results}):
        for way in WAYS:
            of = [each["scores"][way] for each in results if each["hidden"] == hidden]
            means = " | ".join(f"{statistics.mean(one[key] for one in of):.3f}" for key in KEYS)
            seeds = ", ".join(f"{one['f1']:.3f}" for one in of)
            yield f"| {hidden} | {way} | {means} | {seeds} |"


def main() -> None:
    """Train what has no result yet, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--chips", type=Path, required=True, help="chips that a demo has left")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--hidden", type=float, nargs="+", default=[0.0, 0.3])
    parser.add_argument("--folder", type=Path, default=Path("hidden"))
    asked = parser.parse_args()
    torch.set_num_threads(1)
    asked.folder.mkdir(parents=True, exist_ok=True)
    results = []
    for seed in asked.seeds:
        for hidden in asked.hidden:
            kept = asked.folder / f"{seed}-{hidden}.json"
            if not kept.exists():
                kept.write_text(json.dumps(trial(asked.chips, seed, hidden)), encoding="utf-8")
            results.append(json.loads(kept.read_text("utf-8")))
    cpu = torch.backends.cpu.get_cpu_capability()
    print(f"torch {torch.__version__}, {cpu}, {results[0]['windows']} windows, {len(results)} trainings\n")
    print("\n".join(table(results)))


if __name__ == "__main__":
    main()
