"""Which way of making probabilities and a mask of logits holds on images that it was not fitted to.

A small U-Net is trained on each of four data sets with each of three seeds. Everything is fitted to its validation part
and measured on its held-out part; seeds draw other parts. Pixels by logit are kept of every training, so that another
way of fitting costs no training more. Run it again and it goes on where it was.
"""

from __future__ import annotations

import argparse
import math
import statistics
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from PIL import Image
from scipy.special import expit, logit

from landslide_scale.datasets.spec import DataSpec
from landslide_scale.metrics import LogitHistogram
from landslide_scale.metrics.logits import CENTRES, EDGES
from landslide_scale.spec import ConvNetSpec, InputSpec
from landslide_scale.training.evaluating import Calibration, evaluate
from landslide_scale.training.fitting import fit, score
from landslide_scale.training.job import FinetuneJob, Prepared
from landslide_scale.training.spec import TrainSpec

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

PARTS = ("validation", "holdout")
BINS = 20
SIDE = 96


@dataclass(frozen=True, kw_only=True)
class Source:
    """One data set, and how a small network learns from it.

    Attributes:
        data: Where it is.
        train: As ``train`` of a configuration, beside what all share.
        bands: Of the network.
        radiometry: Of the images.
    """

    data: DataSpec
    train: Mapping[str, Any]
    bands: tuple[str, ...] = ("red", "green", "blue")
    radiometry: Any = "rgb8"


def sources(data: Path, chips: Path, folder: Path) -> dict[str, Source]:
    """The four data sets by name."""
    focus = {"landslide_focus": 0.75, "beta2": 0.95}
    return {
        "Bijie": Source(
            data=DataSpec(kind="bijie", path=str(data / "bijie"), resize=SIDE), train={"epochs": 6, "patch": SIDE}
        ),
        "Landslide4Sense, 20 images": Source(
            data=DataSpec(kind="pairs", path=str(_linked(data, folder))), train={"epochs": 40, "patch": 64}
        ),
        "demo's chips": Source(
            data=DataSpec(kind="chips", path=str(chips)),
            train={"epochs": 12, "patch": 56} | focus,
            bands=("nir", "red", "green"),
            radiometry="boa",
        ),
        "made squares": Source(
            data=DataSpec(kind="pairs", path=str(_squares(folder))), train={"epochs": 12, "patch": 64} | focus
        ),
    }


def _linked(data: Path, folder: Path) -> Path:
    """The sample of Landslide4Sense by the names that pairs have."""
    samples, pairs = data / "landslide4sense" / "rgb_samples", folder / "landslide4sense"
    for name, published in (("image", "image"), ("mask", "label")):
        (pairs / name).mkdir(parents=True, exist_ok=True)
        for file in sorted((samples / published).glob("*.png")):
            link = pairs / name / file.name.replace("mask", "image")
            if not link.exists():
                link.symlink_to(file.absolute())
    return pairs


def _squares(folder: Path) -> Path:
    """Bright squares, of which the label forgets every fourth, on noise with brighter stripes."""
    pairs, rng = folder / "squares", np.random.default_rng(0)
    for name in ("image", "mask"):
        (pairs / name).mkdir(parents=True, exist_ok=True)
    for number in range(60):
        image, mask = rng.normal(90, 25, (SIDE, SIDE, 3)), np.zeros((SIDE, SIDE), np.uint8)
        image[:, rng.integers(SIDE - 4) :][:, :4] += 60
        for square in range(rng.integers(5)):
            side = rng.integers(4, 14)
            row, col = rng.integers(0, SIDE - side, 2)
            image[row : row + side, col : col + side] += 45
            if square % 4 < 3:  # noqa: PLR2004
                mask[row : row + side, col : col + side] = 255
        Image.fromarray(image.clip(0, 255).astype(np.uint8)).save(pairs / "image" / f"{number}.png")
        Image.fromarray(mask).save(pairs / "mask" / f"{number}.png")
    return pairs


def trained(source: Source, seed: int) -> dict[str, LogitHistogram]:
    """Pixels by logit of the validation and the held-out part, by the best epoch of one training."""
    shared = {"batch": 8, "learning_rate": 1e-3, "schedule": "warmup_cosine", "statistics": "data", "seed": seed}
    job = FinetuneJob(
        data=source.data,
        model=ConvNetSpec(name="unet", encoder="resnet18", depth=3, bands=source.bands),
        inputs=InputSpec.for_bands(source.radiometry, source.bands),
        train=TrainSpec(**shared | {"validation": 0.2, "precision": "float32"} | dict(source.train)),
        output="nowhere",
    )
    prepared = Prepared.of(job)
    job = prepared.settled(job)
    net, parts = job.build(), prepared.parts(job)
    state = fit(net, parts, job.train, after_epoch=lambda state: print(state.epochs[-1].line, file=sys.stderr))
    held = score(net, state, parts, job.train)
    judged = evaluate(net, parts.validation, batch=8, precision="float32")
    return {"validation": judged.histogram, "holdout": held.histogram}


def counted_threshold(histogram: LogitHistogram, found: Calibration) -> Calibration:
    """The same probabilities, and the threshold of the highest F1 that was counted."""
    tp, fp = (histogram.counts[row][::-1].cumsum()[::-1] for row in (1, 0))
    f1 = 2 * tp / np.maximum(tp + fp + histogram.counts[1].sum(), 1)
    edge = float(EDGES[int(f1.argmax())])
    return _at(found, edge)


def _at(found: Calibration, edge: float) -> Calibration:
    threshold = min(max(float(expit((edge + found.bias) / found.temperature)), 1e-4), 0.9999)
    return Calibration(threshold=threshold, temperature=found.temperature, bias=found.bias)


def borrowed_threshold(histogram: LogitHistogram) -> Calibration:
    """The temperature's probabilities, and the threshold that temperature and bias would choose."""
    found, biased = (Calibration.fitted(histogram, method) for method in ("temperature", "platt"))
    return _at(found, biased.temperature * float(logit(biased.threshold)) - biased.bias)


WAYS: Mapping[str, Callable[[LogitHistogram], Calibration]] = {
    "temperature; threshold of expected F1": lambda seen: Calibration.fitted(seen, "temperature"),
    "temperature; threshold of counted F1": lambda seen: counted_threshold(seen, Calibration.fitted(seen)),
    "temperature; threshold of expected F1 under a bias": borrowed_threshold,
    "temperature and bias; threshold of expected F1": lambda seen: Calibration.fitted(seen, "platt"),
    "temperature and bias; threshold of counted F1": lambda seen: counted_threshold(
        seen, Calibration.fitted(seen, "platt")
    ),
}


def measured(found: Calibration, held: LogitHistogram) -> dict[str, float]:
    """F1, calibration error and expected over true area on held-out pixels, and the F1 of their own best threshold."""
    chance = expit((CENTRES + found.bias) / found.temperature)
    pixels, landslides = held.counts.sum(0), held.counts[1]
    which = np.minimum((chance * BINS).astype(int), BINS - 1)
    off = np.bincount(which, pixels * chance - landslides, BINS)
    tp, fp = (held.counts[row][::-1].cumsum()[::-1] for row in (1, 0))
    return {
        "f1": held.confusion(found.edge).landslide.f1,
        "error": float(np.abs(off).sum() / pixels.sum()),
        "area": float((pixels * chance).sum() / landslides.sum()),
        "best": float((2 * tp / np.maximum(tp + fp + landslides.sum(), 1)).max()),
    }


def rows(seen: Mapping[str, Sequence[Mapping[str, LogitHistogram]]]) -> Iterator[str]:
    """The table: means over seeds, and over all trainings."""
    yield "| way | data set | F1 | of at most | calibration error | expected over true area, each seed |"
    yield "|---|---|---|---|---|---|"
    for way, fitted in WAYS.items():
        every = []
        for name, trainings in seen.items():
            found = [measured(fitted(each["validation"]), each["holdout"]) for each in trainings]
            every += found
            areas = ", ".join(f"{each['area']:.2f}" for each in found)
            f1, best, error = (statistics.mean(each[key] for each in found) for key in ("f1", "best", "error"))
            yield f"| {way} | {name} | {f1:.3f} | {best:.3f} | {error:.4f} | {areas} |"
        f1, best, error = (statistics.mean(each[key] for each in every) for key in ("f1", "best", "error"))
        off = math.exp(statistics.mean(abs(math.log(each["area"])) for each in every))
        yield f"| {way} | **all** | **{f1:.3f}** | {best:.3f} | **{error:.4f}** | **off by a factor of {off:.2f}** |"


def main() -> None:
    """Train what has not been trained yet, and print the table of what there is."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder with bijie and landslide4sense/rgb_samples")
    parser.add_argument("--chips", type=Path, required=True, help="chips that a demo has left")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--folder", type=Path, default=Path("calibration"))
    parser.add_argument("--most", type=int, default=99, help="trainings in this call")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    asked.folder.mkdir(parents=True, exist_ok=True)
    seen: dict[str, list[dict[str, LogitHistogram]]] = {}
    for seed in asked.seeds:
        for name, source in sources(asked.data, asked.chips, asked.folder).items():
            kept = asked.folder / f"{name.split(',')[0].replace(' ', '-')}-{seed}.npz"
            if not kept.exists() and asked.most > 0:
                asked.most -= 1
                print(f"{name}, seed {seed}", file=sys.stderr)
                np.savez_compressed(kept, **{part: each.counts for part, each in trained(source, seed).items()})
            if kept.exists():
                with np.load(kept) as counts:
                    seen.setdefault(name, []).append({part: LogitHistogram(counts=counts[part]) for part in PARTS})
    print(f"torch {torch.__version__}, {sum(map(len, seen.values()))} trainings\n")
    print("\n".join(rows(seen)))


if __name__ == "__main__":
    main()
