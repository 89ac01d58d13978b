"""What the report shows of two layers that are compared."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from landslide_scale.products.classes import Colour, Shown
from landslide_scale.products.page.colours import Palette, hexadecimal
from landslide_scale.products.passes import HiddenTile
from landslide_scale.products.plane import Plane, Stop

_SHADES = 64
_CODES = 256
_NOTHING: Colour = (0, 0, 0)


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Two layers of a scan.

    Attributes:
        before, after: Days of their windows.
        planes: Pictures of them, the lowest first.
        hidden: Tiles with ground that is still hidden.
        facts: Words and what they say.
    """

    before: str
    after: str
    planes: tuple[Plane, ...]
    hidden: tuple[HiddenTile, ...]
    facts: tuple[tuple[str, str], ...]

    @property
    def legends(self) -> list[tuple[str, list[tuple[str, str]]]]:
        """Of each picture, its name, and colours with what they say."""
        return [(words(plane), [(hexadecimal(colour), text) for colour, text in _said(plane)]) for plane in self.planes]


def words(plane: Plane) -> str:
    """A picture's name."""
    return {"rdndvi": "change of vegetation (rdNDVI)"}.get(plane.name, plane.name)


def painter(plane: Plane) -> tuple[Callable[[NDArray[Any]], NDArray[np.uint8]], Palette]:
    """What makes indexes of a plane's stored numbers, and the palette of these; 0 is transparent.

    Of classes all but the first are shown, by their code; of a ramp, the smaller number has the larger index, so that
    a loss is not lost where several pixels are one.
    """
    return _of_classes(plane) if plane.classes else _of_ramp(plane)


def _said(plane: Plane) -> list[tuple[Colour, str]]:
    shown: list[Shown] | list[Stop] = [one for code, one in plane.classes.items() if code] or list(plane.stops)
    return [(one.colour, one.words if isinstance(one, Shown) else one.label) for one in shown]


def _of_classes(plane: Plane) -> tuple[Callable[[NDArray[Any]], NDArray[np.uint8]], Palette]:
    codes = sorted(code for code in plane.classes if code)
    indexes = np.zeros(_CODES, np.uint8)
    indexes[codes] = np.arange(1, len(codes) + 1)
    palette = Palette(indexes=indexes, colours=(_NOTHING, *(plane.classes[code].colour for code in codes)))
    return lambda values: indexes[values], palette


def _of_ramp(plane: Plane) -> tuple[Callable[[NDArray[Any]], NDArray[np.uint8]], Palette]:
    scale = float(plane.variable.attributes.get("scale_factor", 1.0))
    at = np.array([stop.value for stop in plane.stops])
    shades = np.linspace(at[-1], at[0], _SHADES)
    parts = [np.interp(shades, at, [stop.colour[part] for stop in plane.stops]) for part in range(3)]
    colours = np.rint(np.stack(parts, axis=1)).astype(int).tolist()

    def paint(values: NDArray[Any]) -> NDArray[np.uint8]:
        share = (at[-1] - np.clip(values * scale, at[0], at[-1])) / (at[-1] - at[0])
        found = 1 + np.rint(share * (_SHADES - 1))
        return np.where(values == plane.variable.fill, 0, found).astype(np.uint8)

    known = tuple((int(red), int(green), int(blue)) for red, green, blue in colours)
    return paint, Palette(indexes=np.zeros(_CODES, np.uint8), colours=(_NOTHING, *known))
