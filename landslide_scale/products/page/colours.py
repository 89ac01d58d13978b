"""Colours of the report's pictures, told apart by colour-blind readers too.

A picture is an array of indexes, of which 0 is transparent and the larger of two is the one to be seen: so pictures of
any kind are made coarser, and of several zones, by the maximum.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from matplotlib import colormaps
from numpy.typing import NDArray

from landslide_scale.bands import Reason
from landslide_scale.cube.arrays import PROBABILITY_FILL, PROBABILITY_SCALE
from landslide_scale.products import classes
from landslide_scale.products.classes import Colour

_STEPS = round(1 / PROBABILITY_SCALE)
_INDEXES = 256


class Shown(NamedTuple):
    """How a reason is shown: its colour and its name in words."""

    reason: Reason
    colour: Colour
    words: str


_ASCENDING = (
    Reason.OBSERVED,
    Reason.NO_SCENE,
    Reason.NO_DATA,
    Reason.DEFECTIVE,
    Reason.UNCLASSIFIED,
    Reason.TOO_FEW_CLEAR,
    Reason.SNOW,
    Reason.TERRAIN_SHADOW,
    Reason.CLOUD_SHADOW,
    Reason.CLOUD,
    Reason.PERSISTENT,
)

REASONS = tuple(Shown(reason, *classes.REASONS[reason]) for reason in _ASCENDING)
"""Ascending: where a pixel of the picture holds ground of several, the last is shown, so that what is not observed is
not lost. What was not scanned is transparent."""


@dataclass(frozen=True, kw_only=True)
class Palette:
    """What each value of the cube is in a picture, and what is seen there.

    Attributes:
        indexes: (256,) uint8, index by the cube's value.
        colours: By index.
        alphas: How opaque they are, 0 to 255, by index; those that are not told are so wholly.
    """

    indexes: NDArray[np.uint8]
    colours: tuple[Colour, ...]
    alphas: tuple[int, ...] = (0,)


def _viridis() -> tuple[Colour, ...]:
    shades = np.rint(255 * colormaps["viridis"](np.linspace(0, 1, _STEPS + 1))[:, :3]).astype(int)
    return tuple((int(red), int(green), int(blue)) for red, green, blue in shades)


def _of_probability() -> Palette:
    indexes = np.zeros(_INDEXES, np.uint8)
    indexes[: _STEPS + 1] = np.arange(1, _STEPS + 2)
    indexes[PROBABILITY_FILL] = 0
    return Palette(indexes=indexes, colours=((0, 0, 0), *_viridis()))


def _of_reasons() -> Palette:
    indexes = np.zeros(_INDEXES, np.uint8)
    for index, shown in enumerate(REASONS, start=1):
        indexes[shown.reason] = index
    return Palette(indexes=indexes, colours=((0, 0, 0), *(shown.colour for shown in REASONS)))


PROBABILITY = _of_probability()
"""Steps of 0.004 in matplotlib's viridis, which grows lighter with the probability; fill is transparent."""


def over_ground(threshold: float) -> Palette:
    """The same to lie over a picture: clear up to half of the threshold, and from there more opaque up to it.

    So the style of the raster for QGIS has it.
    """
    steps = np.arange(_STEPS + 1)
    opaque = np.rint(255 * np.clip(2 * steps * PROBABILITY_SCALE / threshold - 1, 0, 1)).astype(int)
    indexes = PROBABILITY.indexes.copy()
    indexes[steps[opaque == 0]] = 0
    return Palette(indexes=indexes, colours=PROBABILITY.colours, alphas=(0, *opaque.tolist()))


COVERAGE = _of_reasons()
"""Reasons as `REASONS` has them."""


def hexadecimal(colour: Colour) -> str:
    """As a page writes it: ``#rrggbb``."""
    return "#{:02x}{:02x}{:02x}".format(*colour)


def legend(found: Iterable[int]) -> list[tuple[str, str]]:
    """Colour and words of the reasons among `found`."""
    present = set(found)
    return [(hexadecimal(shown.colour), shown.words) for shown in REASONS if shown.reason in present]
