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

Colour = tuple[int, int, int]

_STEPS = round(1 / PROBABILITY_SCALE)
_INDEXES = 256


class Shown(NamedTuple):
    """How a reason is shown: its colour and its name in words."""

    reason: Reason
    colour: Colour
    words: str


REASONS = (
    Shown(Reason.OBSERVED, (222, 222, 222), "observed"),
    Shown(Reason.NO_SCENE, (90, 90, 90), "no scene in the catalogue"),
    Shown(Reason.NO_DATA, (150, 150, 150), "no data"),
    Shown(Reason.DEFECTIVE, (0, 0, 0), "defective pixel"),
    Shown(Reason.UNCLASSIFIED, (204, 121, 167), "not classified"),
    Shown(Reason.TOO_FEW_CLEAR, (230, 159, 0), "seen clear too seldom"),
    Shown(Reason.SNOW, (240, 228, 66), "snow or ice"),
    Shown(Reason.TERRAIN_SHADOW, (213, 94, 0), "terrain shadow"),
    Shown(Reason.CLOUD_SHADOW, (0, 114, 178), "cloud shadow"),
    Shown(Reason.CLOUD, (86, 180, 233), "cloud"),
    Shown(Reason.PERSISTENT, (0, 158, 115), "bright on every date: bright ground, or cloud that stays"),
)
"""Ascending: where a pixel of the picture holds ground of several, the last is shown, so that what is not observed is
not lost. The colours are those of Okabe and Ito (2008), and greys. What was not scanned is transparent."""


@dataclass(frozen=True, kw_only=True)
class Palette:
    """What each value of the cube is in a picture, and what is seen there.

    Attributes:
        indexes: (256,) uint8, index by the cube's value.
        colours: By index, the first of them transparent.
    """

    indexes: NDArray[np.uint8]
    colours: tuple[Colour, ...]


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

COVERAGE = _of_reasons()
"""Reasons as `REASONS` has them."""


def hexadecimal(colour: Colour) -> str:
    """As a page writes it: ``#rrggbb``."""
    return "#{:02x}{:02x}{:02x}".format(*colour)


def legend(found: Iterable[int]) -> list[tuple[str, str]]:
    """Colour and words of the reasons among `found`."""
    present = set(found)
    return [(hexadecimal(shown.colour), shown.words) for shown in REASONS if shown.reason in present]
