"""What reaches which boxes of pixels, many asked at once: a region's ground, and scenes of whatever system."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from datetime import UTC, datetime
from typing import Generic, TypeVar

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.geometry.base import BaseGeometry

from landslide_scale.grid import Block, Lattice, PixelBox, project
from landslide_scale.scene import Scene, Unused

S = TypeVar("S", Scene, Unused)

_UNSAID = datetime.min.replace(tzinfo=UTC)


class Outlines:
    """The outlines of boxes of pixels, in whatever system they are asked for; each is made once."""

    def __init__(self, lattice: Lattice, boxes: Sequence[PixelBox]) -> None:
        west, south, east, north = np.array([lattice.bounds(box) for box in boxes], np.float64).reshape(-1, 4).T
        self._epsg = lattice.zone.epsg
        self._known = {self._epsg: shapely.segmentize(shapely.box(west, south, east, north), (east - west) / 32)}

    def __len__(self) -> int:
        return len(self._known[self._epsg])

    def within(self, epsg: int) -> tuple[NDArray[np.int64], NDArray[np.object_]]:
        """Those that can be said in the system of that EPSG code: their numbers, and themselves."""
        if epsg not in self._known:
            self._known[epsg] = project(self._known[self._epsg], self._epsg, epsg)
        moved = self._known[epsg]
        sayable = np.flatnonzero(np.isfinite(shapely.bounds(moved)).all(axis=1))
        return sayable, moved[sayable]


class SceneIndex(Generic[S]):
    """Finds the scenes, used or not, whose rasters reach a box of pixels, whatever system they are published in."""

    def __init__(self, scenes: Sequence[S]) -> None:
        self._scenes: list[S] = sorted(scenes, key=lambda scene: (scene.sensed or _UNSAID, scene.tile, scene.id))
        codes = sorted({scene.epsg for scene in scenes})
        self._numbers = {
            code: np.array([number for number, scene in enumerate(self._scenes) if scene.epsg == code])
            for code in codes
        }
        self._trees = {
            code: shapely.STRtree([shapely.box(*self._scenes[number].bounds) for number in numbers])
            for code, numbers in self._numbers.items()
        }
        self._found: dict[bytes, tuple[S, ...]] = {}

    def reaching(self, boxes: Outlines) -> list[tuple[S, ...]]:
        """Scenes that meet each box, by sensing instant, tile and id; the same tuple where the same meet several."""
        which, scenes = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
        for code, tree in self._trees.items():
            sayable, moved = boxes.within(code)
            asked, met = tree.query(moved, predicate="intersects")
            which.append(sayable[asked])
            scenes.append(self._numbers[code][met])
        of_box, numbers = np.concatenate(which), np.concatenate(scenes)
        order = np.lexsort((numbers, of_box))
        ends = np.searchsorted(of_box[order], np.arange(len(boxes)), side="right")
        return [self._held(found) for found in np.split(numbers[order], ends)[:-1]]

    def _held(self, numbers: NDArray[np.int64]) -> tuple[S, ...]:
        key = numbers.tobytes()
        if key not in self._found:
            self._found[key] = tuple(self._scenes[number] for number in numbers)
        return self._found[key]


def rims(lattice: Lattice, blocks: Collection[Block], region: BaseGeometry) -> dict[Block, PixelBox | None]:
    """Of each block that is not all ground of a region (degrees), the smallest box around it; None without any.

    It is what of a block is read and predicted, larger by a few pixels. Where geometry fails, it is all of the block.
    """
    ground, found = lattice.ground(region), dict[Block, PixelBox | None]()
    shapely.prepare(ground)
    rows: dict[int, list[Block]] = defaultdict(list)
    for block in blocks:
        rows[block.row].append(block)
    for some in rows.values():
        bounds = np.array([lattice.bounds(lattice.box(block)) for block in some])
        whole = shapely.contains_properly(ground, shapely.box(*bounds.T))
        if whole.all():
            continue
        strip = _strip(ground, bounds, beside=lattice.resolution / 3)
        for number in np.flatnonzero(~whole):
            box = lattice.box(some[number])
            part = _common(strip, shapely.box(*bounds[number])).bounds
            found[some[number]] = None if np.isnan(part).any() else lattice.box_covering(part).intersection(box)
    return found


def _strip(ground: BaseGeometry, bounds: NDArray[np.float64], *, beside: float) -> BaseGeometry:
    """Ground along a row of boxes (N, 4), and so many metres `beside` it.

    Edges of ground that is drawn on the lattice lie on those of its boxes, where a clip gives too little, or what is
    not valid; so it is clipped where none lie.
    """
    lower, upper = bounds[:, :2].min(axis=0) - beside, bounds[:, 2:].max(axis=0) + beside
    strip = shapely.clip_by_rect(ground, *lower, *upper)
    return strip if strip.is_valid else shapely.make_valid(strip)


def _common(ground: BaseGeometry, box: BaseGeometry) -> BaseGeometry:
    """What of a box is ground; all of it where geometry fails, for this is what something is said to cost at most."""
    try:
        return shapely.intersection(ground, box)
    except shapely.errors.GEOSException:
        return box
