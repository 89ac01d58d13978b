"""The scanned east against the truth, beside the best classifier that sees one pixel at a time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from landslide_scale.bands import Reason
from landslide_scale.cube import arrays
from landslide_scale.datasets import files_at
from landslide_scale.datasets.chips import open_chips
from landslide_scale.demo.baseline import PixelClassifier, best_pixel_classifier
from landslide_scale.demo.ground.truth import LANDSLIDE_PERCENT
from landslide_scale.demo.quicklook import save_quicklook
from landslide_scale.demo.score import MapScore, score_map
from landslide_scale.demo.world import World
from landslide_scale.grid import Lattice, PixelBox
from landslide_scale.imagery.observe import observe
from landslide_scale.label_values import IGNORE
from landslide_scale.metrics import Scores
from landslide_scale.reading.raster import read_classes
from landslide_scale.scan.layout import CUBE
from landslide_scale.scan.model import ScanModel
from landslide_scale.scan.plan import Plan
from landslide_scale.scan.prepared import prepare
from landslide_scale.scan.settings import ScanConfig
from landslide_scale.scan.survey import Survey
from landslide_scale.stac import items
from landslide_scale.storage.rundir import RunDirectory

_COLOURS = ("red", "green", "blue")


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Scores over the observed ground of the scanned region, old landslides and new ones alike.

    Attributes:
        network: Of the cube, at the checkpoint's threshold.
        pixels: Of the best per-pixel classifier on the same composites.
        classifier: That classifier.
    """

    network: MapScore
    pixels: MapScore
    classifier: PixelClassifier

    @property
    def landslide_km2(self) -> float:
        """What of the observed ground is landslide; pixels are 10 m."""
        return (self.network.confusion.tp + self.network.confusion.fn) * 1e-4

    def lines(self) -> list[str]:
        """As text."""
        own, rival = self.network.confusion.landslide, self.pixels.confusion.landslide
        method = f"best of {len(self.classifier.others)} per-pixel classifiers ({self.classifier.name})"
        lost = f"{self.network.unobserved:,} pixels were not observed, {self.network.unobserved_landslide:,} of them"
        return [
            f"east, landslide class     {_text(own)}   scanned cube",
            f"                          {_text(rival)}   {method}",
            f"landslide F1 {own.f1:.3f}, {own.f1 - rival.f1:+.3f} over the best per-pixel classifier; {lost} landslide",
        ]


@dataclass(frozen=True, kw_only=True)
class _Ground:
    """One zone's scanned ground: composite (C, H, W), probability, truth and the pixels to score (H, W)."""

    lattice: Lattice
    values: NDArray[np.float32]
    probability: NDArray[np.float32]
    percent: NDArray[np.uint8]
    inside: NDArray[np.bool_]


def compare(config: ScanConfig, world: World, classifier: PixelClassifier, picture: Path) -> Comparison:
    """Score the cube of a finished scan of the east, and write the picture of its larger zone.

    Args:
        config: Of the scan.
        world: That was scanned.
        classifier: Of pixels, for the bands of the network; it is shown the composites that the scan saw.
        picture: Where the picture goes.
    """
    prepared = prepare(config)
    model = prepared.model
    assert isinstance(model, ScanModel)  # noqa: S101 the demo scans with what it has trained
    found, bands, threshold = prepared.survey, model.bands, arrays.on_stored(model.card.threshold)
    network, pixels = MapScore(), MapScore()
    grounds = list(_grounds(config, found.plan, bands, world))
    for ground in grounds:
        network += score_map(ground.probability, ground.percent, ground.inside, threshold=threshold)
        rival = _by_pixel(classifier, ground)
        pixels += score_map(rival, ground.percent, ground.inside, threshold=classifier.threshold)
    largest = max(grounds, key=lambda ground: ground.inside.sum())
    _draw(largest, _seen(found, config, largest), picture, threshold)
    return Comparison(network=network, pixels=pixels, classifier=classifier)


def pixel_classifier(chips: Path, bands: tuple[str, ...]) -> PixelClassifier:
    """The best that sees one pixel at a time, trained on every labelled pixel of the west, chip by chip."""
    dataset = open_chips(files_at(str(chips)), bands=bands)
    images, labels, groups = [], [], []
    for number, name in enumerate(dataset.names):
        sample = dataset.read(name)
        counted = sample.label != IGNORE
        images.append(sample.image[:, counted].T)
        labels.append(sample.label[counted])
        groups.append(np.full(int(counted.sum()), number))
    return best_pixel_classifier(np.concatenate(images), np.concatenate(labels), np.concatenate(groups))


def _grounds(config: ScanConfig, plan: Plan, bands: tuple[str, ...], world: World) -> Iterator[_Ground]:
    for lattice, extent in plan.extents.items():
        slot = arrays.Slot(
            cube=RunDirectory(config.output.run).at(CUBE), lattice=lattice, extent=extent, box=extent, layer=0
        )
        layer = arrays.read(slot)
        observed = layer.reason == Reason.OBSERVED
        stored = np.where(observed, layer.probability * np.float32(arrays.PROBABILITY_SCALE), np.float32(np.nan))
        yield _Ground(
            lattice=lattice,
            values=_composite(plan, lattice, extent, bands, config),
            probability=stored.astype(np.float32),
            percent=np.maximum(read_classes(str(world.fraction(lattice.zone.epsg)), lattice, extent).values, 0),
            inside=layer.reason != Reason.NOT_SCANNED,
        )


def _seen(found: Survey, config: ScanConfig, ground: _Ground) -> NDArray[np.float32]:
    """Red, green and blue (3, H, W) of one zone, whichever bands the network took."""
    coloured = {scene.id: scene for scene in items.scenes(found.items, config.catalog, _COLOURS)}
    units = (
        replace(unit, scenes=tuple(coloured[scene.id] for scene in unit.scenes)) for unit in found.plan.units
    )  # fmt: skip
    plan = replace(found.plan, units=tuple(units))
    return _composite(plan, ground.lattice, found.plan.extents[ground.lattice], _COLOURS, config)


def _composite(
    plan: Plan, lattice: Lattice, extent: PixelBox, bands: tuple[str, ...], config: ScanConfig
) -> NDArray[np.float32]:
    """What the scan saw of a zone, block by block."""
    values = np.full((len(bands), *extent.shape), np.nan, np.float32)
    for unit in plan.units:
        if unit.lattice == lattice:
            image = observe(unit.scenes, lattice, unit.box, bands, config.composite)
            values[:, *unit.box.within(extent)] = image.values
    return values


def _by_pixel(classifier: PixelClassifier, ground: _Ground) -> NDArray[np.float32]:
    out = np.full(ground.probability.shape, np.nan, np.float32)
    seen = np.isfinite(ground.probability)
    out[seen] = classifier.predict(ground.values[:, seen].T)
    return out


def _draw(ground: _Ground, rgb: NDArray[np.float32], picture: Path, threshold: float) -> None:
    rows, cols = np.flatnonzero(ground.inside.any(axis=1)), np.flatnonzero(ground.inside.any(axis=0))
    cut = slice(rows[0], rows[-1] + 1), slice(cols[0], cols[-1] + 1)
    truth = ground.inside & (ground.percent >= LANDSLIDE_PERCENT) & (ground.percent <= 100)  # noqa: PLR2004 percent
    save_quicklook(
        picture,
        np.moveaxis(rgb[:, *cut], 0, -1),
        ground.probability[cut],
        threshold=threshold,
        truth=truth[cut],
    )


def _text(scores: Scores) -> str:
    parts: dict[str, Any] = {"P": scores.precision, "R": scores.recall, "F1": scores.f1, "IoU": scores.iou}
    return "  ".join(f"{name} {value:.3f}" for name, value in parts.items())
