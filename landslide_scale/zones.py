"""Which ground each UTM zone owns, as rectangles of degrees.

The plain rule gives every zone its strip of six degrees. The published rule follows the Military Grid Reference System,
by which Sentinel-2 tiles are cut: zone 32 is widened over western Norway (32V), and over Svalbard zones 31, 33, 35 and
37 (31X to 37X) take the ground of 32, 34 and 36. NGA.STND.0037 (2014): Universal Grids and Grid Reference Systems,
section 2.3, figure 2.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.geometry.base import BaseGeometry

ZoneRule = Literal["published", "plain"]
"""``published``: a zone owns the ground whose tiles are published in it; ``plain``: its strip of six degrees."""

POLE = 90.1
"""Beyond the north pole, so that half-open latitudes hold it."""


@dataclass(frozen=True, kw_only=True, order=True)
class Rectangle:
    """Ground between two meridians and two parallels.

    Attributes:
        west, east: Degrees, ``west <= longitude < east``.
        south, north: Degrees, ``south <= latitude < north``.
    """

    west: float
    east: float
    south: float
    north: float

    @property
    def shape(self) -> BaseGeometry:
        """As a polygon in degrees."""
        return shapely.box(self.west, self.south, self.east, self.north)

    def holds(self, longitude: NDArray[np.float64], latitude: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Which points lie in it."""
        across = (longitude >= self.west) & (longitude < self.east)
        return np.asarray(across & (latitude >= self.south) & (latitude < self.north))


_Strips = Mapping[int, tuple[float, float] | None]

_V: _Strips = {31: (0.0, 3.0), 32: (3.0, 12.0)}
_X: _Strips = {31: (0.0, 9.0), 32: None, 33: (9.0, 21.0), 34: None, 35: (21.0, 33.0), 36: None, 37: (33.0, 42.0)}

_NORTHERN: Mapping[ZoneRule, tuple[tuple[float, float, _Strips], ...]] = {
    "plain": ((0.0, POLE, {}),),
    "published": ((0.0, 56.0, {}), (56.0, 64.0, _V), (64.0, 72.0, {}), (72.0, 84.0, _X), (84.0, POLE, {})),
}
"""Belts from south to north: their latitudes, and the longitudes of zones that have not their plain strip there."""


def utm_ground(number: int, *, southern: bool, rule: ZoneRule) -> tuple[Rectangle, ...]:
    """The ground of one zone and hemisphere, from south to north: disjoint, and together with all others' the globe."""
    plain = (6.0 * number - 186.0, 6.0 * number - 180.0)
    if southern:
        return (Rectangle(west=plain[0], east=plain[1], south=-90.0, north=0.0),)
    found: list[Rectangle] = []
    for south, north, strips in _NORTHERN[rule]:
        strip = strips.get(number, plain)
        if strip is None:
            continue
        west, east = strip
        if found and (found[-1].west, found[-1].east, found[-1].north) == (west, east, south):
            south = found.pop().south  # noqa: PLW2901 one rectangle where the belts do not differ
        found.append(Rectangle(west=west, east=east, south=south, north=north))
    return tuple(found)
