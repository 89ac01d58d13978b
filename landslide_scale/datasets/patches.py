"""Squares the network sees: cut from images, padded, augmented; a function of (seed, epoch, index) and nothing else.

Nothing here resamples: flips, quarter turns and cuts move labels whole. Padding is NaN in the image and 255 in the
label, and whatever a pixel was labelled, it is ignored where its image has no data.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from landslide_scale.datasets.sample import Sample
from landslide_scale.label_values import IGNORE, LANDSLIDE, counting

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from landslide_scale.datasets.sample import Dataset, Found
    from landslide_scale.spec import InputSpec

_GAIN = 0.1
_BIAS = 0.03
"""Colour: each band times 1 +- 10 %, plus up to 3 % of what the network is shown as black to white."""

_WHITE = 255

_MOST_HIDDEN = 0.6
"""Of a square: enough is left to learn from."""

_LEAST_HIDDEN = 0.05

_BENDS = (4, 8)
"""Of a wavy edge: places across a square between which it is straight, fewest and most."""

_SWING = 0.15
"""How far a wavy edge leaves the straight one, of a square's side (standard deviation)."""


class Patches(Protocol):
    """A numbered list of patches of one size."""

    def __len__(self) -> int: ...

    def read(self, epoch: int, index: int) -> Sample:
        """Give one patch: image (C, P, P), label (P, P)."""
        ...


@dataclass(frozen=True, kw_only=True)
class Window:
    """A square of one image.

    Attributes:
        y, x: Its upper left pixel.
        new_y, new_x: First row and column that no window before this one counted.
    """

    y: int
    x: int
    new_y: int
    new_x: int


def windows(height: int, width: int, patch: int) -> tuple[Window, ...]:
    """Cover an image so that each pixel is counted once.

    The last window of a row or column moves inwards rather than being padded, and the pixels it shares with the one
    before are ignored in it; only an image smaller than a patch is padded.
    """
    return tuple(
        Window(y=y, x=x, new_y=new_y, new_x=new_x)
        for y, new_y in _starts(height, patch)
        for x, new_x in _starts(width, patch)
    )


def _starts(length: int, patch: int) -> Iterator[tuple[int, int]]:
    for new in range(0, length, patch):
        yield max(0, min(new, length - patch)), new


def cut(sample: Sample, y: int, x: int, patch: int) -> Sample:
    """Cut the square whose upper left pixel is (y, x), padded below and to the right where the image ends."""
    image = sample.image[:, y : y + patch, x : x + patch]
    label = sample.label[y : y + patch, x : x + patch]
    after = ((0, patch - label.shape[0]), (0, patch - label.shape[1]))
    image = np.pad(image, ((0, 0), *after), constant_values=np.nan)
    label = np.pad(label, after, constant_values=IGNORE)
    return Sample(image=image, label=counting(label, image))


@dataclass(frozen=True, kw_only=True)
class EvaluationPatches:
    """The windows of some images, always the same."""

    dataset: Dataset
    items: tuple[tuple[str, Window], ...]
    patch: int

    @classmethod
    def of(cls, dataset: Dataset, found: Mapping[str, Found], names: Sequence[str], patch: int) -> EvaluationPatches:
        """List the windows of the named images."""
        items = ((name, window) for name in names for window in windows(found[name].height, found[name].width, patch))
        return cls(dataset=dataset, items=tuple(items), patch=patch)

    def __len__(self) -> int:
        return len(self.items)

    def read(self, epoch: int, index: int) -> Sample:  # noqa: ARG002 (the same in every epoch)
        """Give one window, its label ignored where an earlier window counted it."""
        name, window = self.items[index]
        sample = cut(self.dataset.read(name), window.y, window.x, self.patch)
        sample.label[: window.new_y - window.y] = IGNORE
        sample.label[:, : window.new_x - window.x] = IGNORE
        return sample


@dataclass(frozen=True, kw_only=True)
class TrainingPatches:
    """Random squares of some images, turned, flipped and recoloured anew in every epoch.

    Attributes:
        dataset: Where the images are read.
        items: Names, each as often as patches are needed to cover its image.
        patch: Side of a square.
        seed: Of everything random, with epoch and index.
        white: What the network is shown as white, in the radiometry's units.
        terrain: Numbers of the bands that are no colours.
        focus: Share of the squares that are put over a landslide pixel, where their image has one.
        recolour: As `augment` takes it.
        hidden: Share of the squares of which a part is not shown, as if nobody had seen it.
    """

    dataset: Dataset
    items: tuple[str, ...]
    patch: int
    seed: int
    white: float
    focus: float
    recolour: float
    hidden: float = 0.0
    terrain: tuple[int, ...] = ()

    @classmethod
    def of(
        cls,
        dataset: Dataset,
        found: Mapping[str, Found],
        names: Sequence[str],
        *,
        patch: int,
        seed: int,
        focus: float,
        recolour: float,
        inputs: InputSpec,
        hidden: float = 0.0,
    ) -> TrainingPatches:
        """List the named images, larger ones several times."""
        times = {n: math.ceil(found[n].height / patch) * math.ceil(found[n].width / patch) for n in names}
        items = tuple(name for name in names for _ in range(times[name]))
        white = _WHITE / inputs.gain
        return cls(
            dataset=dataset,
            items=items,
            patch=patch,
            seed=seed,
            white=white,
            focus=focus,
            recolour=recolour,
            hidden=hidden,
            terrain=inputs.terrain,
        )

    def __len__(self) -> int:
        return len(self.items)

    def read(self, epoch: int, index: int) -> Sample:
        """Give one square, the same for the same seed, epoch and index."""
        rng = np.random.default_rng((self.seed, epoch, 1, index))
        sample = self.dataset.read(self.items[index])
        place = _focused if rng.random() < self.focus else _anywhere
        y, x = place(sample.truth, self.patch, rng)
        square = cut(sample, y, x, self.patch)
        square = augment(square, rng, white=self.white, recolour=self.recolour, terrain=self.terrain)
        # From numbers of its own: all else is drawn as it is without.
        drawn = np.random.default_rng((self.seed, epoch, 1, index, 1))
        return partly_hidden(square, drawn) if drawn.random() < self.hidden else square


def _anywhere(label: np.ndarray, patch: int, rng: np.random.Generator) -> tuple[int, int]:
    """Upper left pixel of a square, every one within the image as likely as another."""
    y, x = (int(rng.integers(max(side - patch, 0) + 1)) for side in label.shape)
    return y, x


def _focused(label: np.ndarray, patch: int, rng: np.random.Generator) -> tuple[int, int]:
    """Upper left pixel of a square over one landslide pixel, which lies anywhere in it; anywhere if there is none."""
    found = np.argwhere(label == LANDSLIDE)
    over = found[rng.integers(len(found))] if len(found) else rng.integers(label.shape)
    y, x = (
        int(np.clip(pixel - rng.integers(patch), 0, max(side - patch, 0)))
        for pixel, side in zip(over, label.shape, strict=True)
    )
    return y, x


def augment(
    sample: Sample, rng: np.random.Generator, *, white: float, recolour: float = 1.0, terrain: tuple[int, ...] = ()
) -> Sample:
    """Flip, turn by quarters and recolour a square.

    Args:
        sample: The square.
        rng: Source of the eight orientations and the colours; always drawn from equally often.
        white: What the network is shown as white, in the radiometry's units.
        recolour: Factor on how far colours are moved; with 0 they stay as they are.
        terrain: Numbers of the bands that keep their values: metres and degrees are no colours, and a slope is as
            steep whichever way it is turned.
    """
    flip, turns = bool(rng.integers(2)), int(rng.integers(4))
    bands = (sample.image.shape[0], 1, 1)
    gain = 1 + recolour * rng.uniform(-_GAIN, _GAIN, bands)
    bias = recolour * white * rng.uniform(-_BIAS, _BIAS, bands)
    gain[list(terrain)], bias[list(terrain)] = 1, 0
    image = _oriented(sample.image, flip=flip, turns=turns) * gain.astype(np.float32) + bias.astype(np.float32)
    return Sample(image=image, label=_oriented(sample.label, flip=flip, turns=turns))


def partly_hidden(sample: Sample, rng: np.random.Generator) -> Sample:
    """A square without what lies beyond an edge: NaN there, and ignored.

    Args:
        sample: The square (C, P, P).
        rng: Source of the edge: its direction, what it leaves, and whether it is straight or wavy, equally often.
    """
    image, label = sample.image.copy(), sample.label.copy()
    hidden = beyond_an_edge(label.shape[0], rng)
    image[:, hidden], label[hidden] = np.nan, IGNORE
    return Sample(image=image, label=label)


def beyond_an_edge(side: int, rng: np.random.Generator) -> np.ndarray:
    """The pixels (side, side) on one side of a straight or wavy line: 5 to 60 % of them."""
    turn, share = rng.uniform(0, 2 * np.pi), rng.uniform(_LEAST_HIDDEN, _MOST_HIDDEN)
    place = (np.arange(side) + 0.5) / side
    distance = np.cos(turn) * place[:, None] + np.sin(turn) * place[None, :]
    bends, swing = int(rng.integers(*_BENDS, endpoint=True)), _SWING * rng.integers(2)
    distance = distance + swing * _waves(rng.standard_normal((bends, bends)), place)
    return np.asarray(distance < np.quantile(distance, share))


def _waves(knots: np.ndarray, place: np.ndarray) -> np.ndarray:
    """A square field, linear between its knots (N, N), at places from 0 to 1 along both axes."""
    at = np.linspace(0, 1, len(knots))
    along = np.stack([np.interp(place, at, row) for row in knots])
    return np.stack([np.interp(place, at, column) for column in along.T], axis=1)


def _oriented(array: np.ndarray, *, flip: bool, turns: int) -> np.ndarray:
    array = array[..., ::-1] if flip else array
    return np.ascontiguousarray(np.rot90(array, turns, axes=(-2, -1)))
