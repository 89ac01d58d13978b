"""One landslide's pixels in one zone."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache

import shapely
from shapely import MultiPolygon
from shapely.geometry.base import BaseGeometry

from landslide_scale.grid import Lattice, Zone
from landslide_scale.products.outlines.degrees import to_degrees
from landslide_scale.products.outlines.runs import Runs, box_of, canonical, outline
from landslide_scale.products.outlines.sweep import Component
from landslide_scale.products.outlines.tally import Tally
from landslide_scale.region.polygons import area_km2

_NEAR_BORDER = 2
"""Pixels around a part: what it can be joined to in another zone begins within them."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Part:
    """Connected pixels of one zone, none left out.

    Attributes:
        lattice: The zone.
        runs: Its pixels, canonical.
        tally: What they say.
    """

    lattice: Lattice
    runs: Runs
    tally: Tally

    @classmethod
    def of(cls, lattice: Lattice, component: Component) -> Part:
        """Of what a sweep found."""
        return cls(lattice=lattice, runs=canonical(component.runs), tally=component.tally)

    @property
    def key(self) -> tuple[int, int, int]:
        """EPSG code, row and column of its northernmost pixel, of several the westernmost: no two parts share it."""
        return self.lattice.zone.epsg, int(self.runs[0, 0]), int(self.runs[0, 1])

    @property
    def id(self) -> str:
        """The same as text: EPSG code, and x and y of that pixel's upper left corner in metres."""
        epsg, row, col = self.key
        x0, y0 = self.lattice.zone.origin
        return f"{epsg}-E{x0 + col * self.lattice.resolution}-N{y0 - row * self.lattice.resolution}"

    @property
    def nominal_m2(self) -> float:
        """Pixels times their side squared."""
        return float(self.tally.pixels * self.lattice.resolution**2)

    @cached_property
    def outline(self) -> MultiPolygon:
        """Exact, in columns and rows."""
        return outline(self.runs)

    @cached_property
    def ground(self) -> MultiPolygon:
        """The exact outline in degrees, in one piece."""
        return to_degrees(self.outline, self.lattice)

    @property
    def area_m2(self) -> float:
        """Of the exact outline on the ellipsoid."""
        return area_km2(self.ground) * 1e6

    @property
    def near_border(self) -> bool:
        """Whether it may reach ground that its zone does not own."""
        around = self.lattice.outline(box_of(self.runs).pad(_NEAR_BORDER))
        return not shapely.covers(_owned(self.lattice.zone), around)


@lru_cache(maxsize=64)
def _owned(zone: Zone) -> BaseGeometry:
    ground = shapely.union_all([rectangle.shape for rectangle in zone.ground])
    shapely.prepare(ground)
    return ground
