"""What the report's map can show: pictures with a name and bounds, window by window."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from shapely.geometry.base import BaseGeometry

from landslide_scale.bands import Reason
from landslide_scale.products import names
from landslide_scale.products.page import pictures
from landslide_scale.products.page.colours import COVERAGE, PROBABILITY, over_ground
from landslide_scale.products.page.comparison import painter, words
from landslide_scale.products.page.composite import PICTURES, composite, kept
from landslide_scale.products.page.pictures import Levels, Picture
from landslide_scale.products.plane import Plane
from landslide_scale.products.scanned import Scanned


@dataclass(frozen=True, kw_only=True)
class MapLayer:
    """A picture on the map.

    Attributes:
        name: In words.
        window: Days of its window.
        picture: What is seen.
        opacity: At first, 0 to 1.
        shown: Whether it is seen at first, where its window is.
    """

    name: str
    window: str
    picture: Picture
    opacity: float
    shown: bool = True


@dataclass(frozen=True, kw_only=True)
class Pictured:
    """The pictures of a scan.

    Attributes:
        ground: What they show, degrees, in one piece.
        layers: Of each window, the lowest first.
        km2: Ground by reason, for each window.
        metres: Side of the ground that a pixel of the pictures shows.
        coarser_than: Side of the cube's own pixels; None where the pictures are as fine.
        full: Names of the rasters at full resolution, beside the page.
    """

    ground: BaseGeometry
    layers: tuple[MapLayer, ...]
    km2: tuple[Mapping[Reason, float], ...]
    metres: int
    coarser_than: int | None
    full: tuple[str, ...]


_ALONE, _OVER_A_PICTURE = 0.85, 0.45
"""How opaque the probability is at first."""


def pictured(of: Scanned, planes: Sequence[Plane] = ()) -> Pictured:
    """Every layer of a scan, as fine as one page holds, and what is made of two of them above the others."""
    at, seen = pictures.scale(of), kept(of)
    shades = over_ground(of.threshold) if of.learned else PROBABILITY
    found: list[tuple[str, str, float, Levels]] = []
    km2 = []
    for layer, window in enumerate(of.windows):
        one = pictures.drawn(of, layer, at, shades)
        km2.append(one.km2)
        found.append(("reason and coverage", window.days, 1.0, pictures.levels(one.coverage, COVERAGE, at.frame)))
        if seen is not None:
            found.append((seen, window.days, 1.0, composite(of, layer, at, PICTURES[seen])))
        if of.learned:
            drawn = pictures.levels(one.probability, shades, at.frame)
            found.append(("probability", window.days, _ALONE if seen is None else _OVER_A_PICTURE, drawn))
    ordinary = len(found)
    for plane in planes:
        paint, palette = painter(plane)
        drawn = pictures.levels(pictures.pictured_plane(of, plane, paint, at), palette, at.frame)
        found.append((words(plane), of.windows[plane.layer].days, _ALONE, drawn))
    level = pictures.finest([levels for *_, levels in found])
    metres = max(lattice.resolution for lattice in of.extents)
    return Pictured(
        ground=at.ground,
        layers=tuple(
            MapLayer(name=name, window=window, opacity=opacity, picture=levels[level], shown=number < ordinary)
            for number, (name, window, opacity, levels) in enumerate(found)
        ),
        km2=tuple(km2),
        metres=metres * at.factor * 2**level,
        coarser_than=metres if at.factor * 2**level > 1 else None,
        full=tuple(
            names.raster(lattice, window, name)
            for lattice in of.extents
            for window in of.windows
            for name in (("probability", "reason") if of.learned else ("reason",))
        ),
    )
