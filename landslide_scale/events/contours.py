"""Shaking as contours have it: what is left where a ShakeMap's grid cannot be read.

Contours are smoothed, some are degenerate, and those that leave the map are open at its edge. They are closed along the
edge, and each piece of ground between them is told by the contours of other levels that lie in it, and by its
neighbours: crossing a contour changes the side. Where that does not tell, they are refused.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.errors import ShapelyError
from shapely.geometry.base import BaseGeometry

from landslide_scale.errors import InvalidFeedError
from landslide_scale.events.feed import as_object
from landslide_scale.events.land import Land, land_km2

AT_THE_EDGE = 0.02
"""Degrees from the edge of the map within which an open contour is taken to leave it; about one node of a grid."""

_SLIVER = 1e-9
"""Square degrees; a degenerate contour goes back along itself."""

_HALF_TURN = 180.0

_CLEAR = 0.8
"""Share of the length of other contours in a piece of ground that has to speak for one side."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Contours:
    """Lines of equal shaking.

    Attributes:
        lines: Their parts by level (Modified Mercalli intensity), degrees.
        frame: Edge of the map: west, south, east, north.
    """

    lines: Mapping[float, tuple[BaseGeometry, ...]]
    frame: tuple[float, float, float, float]

    @property
    def max_mmi(self) -> float:
        """The highest level; the shaking was as strong at least."""
        return max(self.lines, default=0.0)

    def max_mmi_on(self, land: Land) -> float:
        """The highest level whose ground has land in it; 0 where none has."""
        over = (level for level in sorted(self.lines, reverse=True) if land_km2(self.ground(level), land) > 0)
        return next(over, 0.0)

    def ground(self, least_mmi: float) -> BaseGeometry:
        """Ground (degrees) within the contours of a level, or of the next one below where that was not drawn.

        Raises:
            InvalidFeedError: They do not say which side is shaken more.
        """
        if self.max_mmi < least_mmi:
            return shapely.MultiPolygon()
        drawn = [level for level in self.lines if level <= least_mmi]
        if not drawn:
            raise InvalidFeedError(
                f"contours from {min(self.lines):g} on", expected=f"one of {least_mmi:g} or less, to tell its ground"
            )
        level = max(drawn)
        pieces = self._pieces(level)
        sides = _spread(pieces, [self._side(piece, level) for piece in pieces])
        if None in sides:
            raise InvalidFeedError(
                f"contours of {level:g} that do not say which side is shaken more",
                expected="contours of other levels on either side, closed or open at the edge of the map",
            )
        return shapely.union_all([piece for piece, inside in zip(pieces, sides, strict=True) if inside])

    def _pieces(self, level: float) -> list[BaseGeometry]:
        """The map cut along the contours of a level."""
        edge = shapely.box(*self.frame).exterior
        cut = shapely.union_all([edge, *(self._to_edge(line) for line in self.lines[level])])
        return [piece for piece in shapely.polygonize([cut]).geoms if piece.area > _SLIVER]

    def _to_edge(self, line: BaseGeometry) -> BaseGeometry:
        """A contour that is closed, or whose ends lie on the edge of the map.

        Raises:
            InvalidFeedError: It ends within the map.
        """
        points = shapely.get_coordinates(line)
        if (points[0] == points[-1]).all():
            return line
        ends = [self._on_edge(points[0]), self._on_edge(points[-1])]
        if None not in ends:
            return shapely.LineString(np.concatenate([ends[:1], points, ends[1:]]))
        if np.abs(points[0] - points[-1]).max() <= AT_THE_EDGE:
            return shapely.LineString(np.concatenate([points, points[:1]]))
        raise InvalidFeedError(
            f"a contour that ends within the map, at {points[0].tolist()} and {points[-1].tolist()}",
            expected="contours that are closed, or open at the edge of the map",
        )

    def _on_edge(self, point: NDArray[np.float64]) -> tuple[float, float] | None:
        """The point of the edge beside a point; None where it is not near."""
        west, south, east, north = self.frame
        x, y = (float(value) for value in point)
        gaps = {
            (west, y): abs(x - west),
            (east, y): abs(x - east),
            (x, south): abs(y - south),
            (x, north): abs(y - north),
        }
        nearest = min(gaps, key=lambda place: gaps[place])
        return nearest if gaps[nearest] <= AT_THE_EDGE else None

    def _side(self, piece: BaseGeometry, level: float) -> bool | None:
        """Whether a piece is shaken more than `level`, as other contours in it say; None where none does clearly."""
        shapely.prepare(piece)
        said = {True: 0.0, False: 0.0}
        for other, lines in self.lines.items():
            if other != level:
                middles = [line.interpolate(0.5, normalized=True) for line in lines]
                said[other > level] += sum(
                    line.length for line, middle in zip(lines, middles, strict=True) if shapely.covers(piece, middle)
                )
        total = said[True] + said[False]
        more = said[True] > said[False]
        return more if total and said[more] >= _CLEAR * total else None


def _spread(pieces: Sequence[BaseGeometry], sides: Sequence[bool | None]) -> list[bool | None]:
    """Sides of all pieces: what is known goes on to neighbours, which lie on the other side of the contour between."""
    found = list(sides)
    beside = _neighbours(pieces)
    waiting = deque(number for number, side in enumerate(found) if side is not None)
    while waiting:
        number = waiting.popleft()
        for other in beside[number]:
            if found[other] is None:
                found[other] = not found[number]
                waiting.append(other)
    return found


def _neighbours(pieces: Sequence[BaseGeometry]) -> Mapping[int, list[int]]:
    """Pieces that share an edge of a contour; they are cut from one drawing, so that its segments are the same."""
    edges: dict[tuple[tuple[float, float], ...], list[int]] = defaultdict(list)
    for number, piece in enumerate(pieces):
        for ring in shapely.get_rings(piece):
            for start, end in pairwise(map(tuple, shapely.get_coordinates(ring))):
                edges[tuple(sorted((start, end)))].append(number)
    found: dict[int, list[int]] = defaultdict(list)
    for one, *others in edges.values():
        for other in others:
            found[one].append(other)
            found[other].append(one)
    return {number: sorted(set(near)) for number, near in found.items()} | {
        number: [] for number in range(len(pieces)) if number not in found
    }


def _frame(said: object, drawn: tuple[float, ...]) -> tuple[float, ...]:
    """Edge of the map: as the file has it where all lines lie in it, else the extent of the lines."""
    if not (isinstance(said, list) and len(said) == 4 and all(isinstance(value, int | float) for value in said)):  # noqa: PLR2004
        return drawn
    west, south, east, north = map(float, said)
    within = west <= drawn[0] and south <= drawn[1] and east >= drawn[2] and north >= drawn[3]
    return (west, south, east, north) if within else drawn


def _unfolded(lines: Mapping[float, list[BaseGeometry]]) -> Mapping[float, list[BaseGeometry]]:
    """Lines whose longitudes go on beyond 180 degrees: no map is half as wide as the globe, but for one that jumps."""
    if not any(lines.values()) or np.ptp(_extent(lines)[::2]) <= _HALF_TURN:
        return lines
    return {
        level: [shapely.transform(part, lambda xy: xy + (xy[:, :1] < 0) * (2 * _HALF_TURN, 0.0)) for part in parts]
        for level, parts in lines.items()
    }


def _extent(lines: Mapping[float, list[BaseGeometry]]) -> tuple[float, float, float, float]:
    west, south, east, north = shapely.GeometryCollection([part for parts in lines.values() for part in parts]).bounds
    return west, south, east, north


def parse_contours(content: bytes) -> Contours:
    """The contours of a ``cont_mmi.json``.

    Raises:
        InvalidFeedError: It is none.
    """
    said = as_object(content, "contours")
    lines: Mapping[float, list[BaseGeometry]] = defaultdict(list)
    try:
        for feature in said["features"]:
            level = float(feature["properties"]["value"])
            shape = shapely.geometry.shape(feature["geometry"])
            parts = [part for part in getattr(shape, "geoms", [shape]) if part.geom_type == "LineString"]
            lines[level].extend(part for part in parts if part.length > 0)
        lines = _unfolded(lines)
        drawn_within = _extent(lines)
        frame = _frame(said.get("bbox"), drawn_within)
    except (KeyError, TypeError, ValueError, OverflowError, AttributeError, ShapelyError) as error:
        raise InvalidFeedError(
            f"no contours ({type(error).__name__}: {str(error)[:200]})", expected="lines with a value, as GeoJSON"
        ) from None
    drawn = {level: tuple(parts) for level, parts in lines.items() if parts}
    if not drawn:
        return Contours(lines={}, frame=(0.0, 0.0, 0.0, 0.0))
    if not np.isfinite([*drawn, *frame]).all():
        raise InvalidFeedError(f"levels {sorted(drawn)} over {frame}", expected="numbers")
    if not (np.ptp(frame[::2]) <= 360 and max(-frame[1], frame[3]) <= 90):  # noqa: PLR2004
        raise InvalidFeedError(f"contours over {frame}", expected="degrees")
    west, south, east, north = frame
    return Contours(lines=drawn, frame=(west, south, east, north))
