"""One number for each pixel that is made of a cube and stored nowhere in it: what rasters, catalogue and page need."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from numpy.typing import NDArray

from landslide_scale.cube.arrays import Variable
from landslide_scale.grid import Lattice, PixelBox
from landslide_scale.products.classes import Colour, Shown

Read = Callable[[Lattice, PixelBox], NDArray[Any]]
"""Gives the pixels (H, W) of any box inside what the zone's group covers, as they are stored."""


class Stop(NamedTuple):
    """A colour of a ramp; between two of them it is interpolated."""

    value: float
    colour: Colour
    label: str
    alpha: int = 255


@dataclass(frozen=True, kw_only=True)
class Plane:
    """What is known of it.

    Attributes:
        variable: Name, dtype, fill, and what its numbers mean.
        layer: Index of the window that it is told of.
        read: Where its pixels come from.
        coarser: Which of four pixels is shown in their place at half the resolution.
        classes: How each code is shown; empty where it is no class.
        stops: A ramp, of what is no class, by the value that a stored number means.
        said: What is to be known of it besides, as texts by name.
    """

    variable: Variable
    layer: int
    read: Read
    coarser: Literal["largest", "smallest"]
    classes: Mapping[int, Shown] = field(default_factory=dict)
    stops: tuple[Stop, ...] = ()
    said: Mapping[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Of the variable, and of the raster."""
        return self.variable.name
