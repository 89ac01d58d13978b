"""Made scans of two windows with bands kept: what a rapid map compares."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from helpers.cubes import AFTER, BEFORE, Made, layer_of, made
from numpy.typing import NDArray

from landslide_scale.bands import Reason
from landslide_scale.cube.arrays import PROBABILITY_FILL, Layer
from landslide_scale.cube.reflectance import packed
from landslide_scale.grid import Lattice, PixelBox
from landslide_scale.products.scanned import Scanned, scanned
from landslide_scale.scan.plan import Place

KEPT = ("red", "green", "blue", "nir")
TWO = Made(windows=(BEFORE, AFTER), kept=KEPT)
FLOOR = 0.05
"""Reflectance of green and blue, everywhere."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Ground:
    """One layer of one zone, arrays (H, W).

    Attributes:
        probability: 0 to 1, NaN where not observed; looked at by no network where the scan has none.
        ndvi: Of the composite.
        looks: Clear observations.
    """

    probability: NDArray[np.float64]
    ndvi: NDArray[np.float64]
    looks: NDArray[np.uint8]
    unseen: Reason = Reason.CLOUD
    said: Mapping[str, Any] = field(default_factory=dict)

    def layer(self) -> Layer:
        held = layer_of(self.probability, looks=self.looks, unseen=self.unseen, **self.said)
        seen = np.isfinite(self.probability)
        red = 0.2 * (1 - self.ndvi)  # so that red and nir make 0.4
        known = {"red": red, "nir": 0.4 - red, "green": np.full(red.shape, FLOOR), "blue": np.full(red.shape, FLOOR)}
        bands = {name: packed(np.where(seen, known[name], np.nan).astype(np.float32)) for name in KEPT}
        return replace(held, bands=bands)


def without_network(layer: Layer) -> Layer:
    """As a scan without a network leaves it: composites, and no probability anywhere."""
    return replace(layer, probability=np.full(layer.probability.shape, PROBABILITY_FILL, np.uint8))


def two_layers(
    folder: Path,
    where: tuple[Lattice, PixelBox],
    layers: tuple[Layer, Layer],
    how: Made = TWO,
    *,
    failed: Callable[[Place], bool] = lambda _: False,
) -> Scanned:
    """A scan of one zone from one big array for each layer."""
    lattice, box = where

    def paint(place: Place) -> Layer | None:
        return None if failed(place) else cut(layers[place.layer], place.box.within(box))

    return scanned(made(folder, how.places({lattice: box}), paint, how))


def cut(layer: Layer, part: tuple[slice, slice]) -> Layer:
    """A part of a layer."""
    bands = {name: values[part] for name, values in layer.bands.items()}
    held = {name: values[part] for name, values in layer.arrays.items() if name not in bands}
    return Layer(**held, bands=bands)


LATTICE = TWO.lattice(33)
BOX = PixelBox(row_start=-510_000, row_stop=-509_952, col_start=48_000, col_stop=48_048)


def pair(seed: int = 0) -> tuple[Ground, Ground]:
    """Noise of all kinds on both sides."""
    rng = np.random.default_rng(seed)
    sides = []
    for _ in range(2):
        probability = rng.uniform(0, 1, BOX.shape) ** 2
        probability[rng.random(BOX.shape) < 0.2] = np.nan
        looks = rng.integers(1, 6, BOX.shape).astype(np.uint8)
        sides.append(Ground(probability=probability, ndvi=rng.uniform(-0.2, 0.9, BOX.shape), looks=looks))
    return sides[0], sides[1]
