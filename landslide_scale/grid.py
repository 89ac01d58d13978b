"""The fixed pixel lattices: zones, blocks and patches as integers on the ground.

A pixel (row, column) of a zone's lattice is the same ground in every run: its upper left corner lies at
``x = x0 + column * resolution``, ``y = y0 - row * resolution``, with the origin at (0, 0) in the north and
(0, 10 000 000) in the south, where Sentinel-2 tiles sit at 40 m modulo 60 m. Rows of northern ground are negative.
All intervals are half-open. The arithmetic is on integers, so it cannot drift with a block's position.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import TypeVar

import numpy as np
import pyproj
import shapely
import shapely.affinity
from numpy.typing import NDArray
from shapely.geometry.base import BaseGeometry

from landslide_scale.errors import InvalidConfigError
from landslide_scale.zones import POLE, Rectangle, ZoneRule, utm_ground

DENSIFY_DEGREES = 0.05
"""Edges of a region are cut at this length before projection: a 5 km chord leaves its curve by less than a metre."""


@dataclass(frozen=True, kw_only=True, order=True)
class Zone:
    """One projected lattice and the ground it owns, so that no ground is written twice.

    Attributes:
        epsg: The lattice's coordinate reference system, in metres.
        ground: The rectangles of degrees owned, disjoint.
    """

    epsg: int
    ground: tuple[Rectangle, ...]

    @classmethod
    def utm(cls, number: int, *, southern: bool, rule: ZoneRule = "published") -> Zone:
        """One zone and hemisphere, on the ground that `rule` gives it."""
        ground = utm_ground(number, southern=southern, rule=rule)
        return cls(epsg=(32700 if southern else 32600) + number, ground=ground)

    @classmethod
    def whole(cls, epsg: int) -> Zone:
        """One lattice for all ground, for ``grid.crs``."""
        try:
            crs = pyproj.CRS.from_epsg(epsg)
        except pyproj.exceptions.CRSError as error:
            raise InvalidConfigError(f"EPSG:{epsg}", expected="a known EPSG code", key="grid.crs") from error
        if not crs.is_projected or {axis.unit_name for axis in crs.axis_info[:2]} != {"metre"}:
            raise InvalidConfigError(f"EPSG:{epsg} ({crs.name})", expected="a projected CRS in metres", key="grid.crs")
        return cls(epsg=epsg, ground=(Rectangle(west=-180.0, east=180.1, south=-90.0, north=POLE),))

    @classmethod
    def utm_meeting(cls, region: BaseGeometry, rule: ZoneRule = "published") -> tuple[Zone, ...]:
        """All UTM zones whose ground meets `region` (longitude, latitude in degrees), by EPSG code."""
        return tuple(zone for zone in _utm_zones(rule) if zone.clip(region).area > 0)

    @property
    def group(self) -> str:
        """Name of the zone's Zarr group."""
        return f"EPSG_{self.epsg}"

    @property
    def origin(self) -> tuple[int, int]:
        """(x0, y0) of the lattice in metres."""
        return (0, 10_000_000) if 32700 < self.epsg <= 32760 else (0, 0)  # noqa: PLR2004 the southern UTM codes

    @property
    def middle(self) -> float:
        """Longitude halfway between the outermost meridians of its ground, degrees."""
        return (min(part.west for part in self.ground) + max(part.east for part in self.ground)) / 2

    def clip(self, region: BaseGeometry) -> BaseGeometry:
        """The part of `region` (degrees) on this zone's ground."""
        return shapely.intersection(region, _shape(self.ground))

    def owns(self, longitude: NDArray[np.float64], latitude: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Which points lie on this zone's ground."""
        return np.asarray(np.any([part.holds(longitude, latitude) for part in self.ground], axis=0))


@lru_cache(maxsize=256)
def _shape(ground: tuple[Rectangle, ...]) -> BaseGeometry:
    """Rectangles of degrees as one polygon."""
    return shapely.union_all([part.shape for part in ground])


@cache
def _utm_zones(rule: ZoneRule) -> tuple[Zone, ...]:
    """All UTM zones, by EPSG code."""
    return tuple(Zone.utm(number, southern=south, rule=rule) for south in (False, True) for number in range(1, 61))


@dataclass(frozen=True, kw_only=True, order=True)
class PixelBox:
    """Half-open rows and columns of a lattice."""

    row_start: int
    row_stop: int
    col_start: int
    col_stop: int

    @property
    def shape(self) -> tuple[int, int]:
        """(rows, columns)."""
        return self.row_stop - self.row_start, self.col_stop - self.col_start

    def pad(self, pixels: int) -> PixelBox:
        """Grown by `pixels` on all four sides."""
        return PixelBox(
            row_start=self.row_start - pixels,
            row_stop=self.row_stop + pixels,
            col_start=self.col_start - pixels,
            col_stop=self.col_stop + pixels,
        )

    def intersection(self, other: PixelBox) -> PixelBox | None:
        """The common pixels, or None."""
        box = PixelBox(
            row_start=max(self.row_start, other.row_start),
            row_stop=min(self.row_stop, other.row_stop),
            col_start=max(self.col_start, other.col_start),
            col_stop=min(self.col_stop, other.col_stop),
        )
        return box if min(box.shape) > 0 else None

    def around(self, mask: NDArray[np.bool_]) -> PixelBox | None:
        """The smallest box around the true pixels of a mask (H, W) over this one; None where there are none."""
        rows, cols = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        if not rows.size:
            return None
        return PixelBox(
            row_start=self.row_start + int(rows[0]),
            row_stop=self.row_start + int(rows[-1]) + 1,
            col_start=self.col_start + int(cols[0]),
            col_stop=self.col_start + int(cols[-1]) + 1,
        )

    def within(self, outer: PixelBox) -> tuple[slice, slice]:
        """Slices that cut this box out of an array covering `outer`."""
        rows = slice(self.row_start - outer.row_start, self.row_stop - outer.row_start)
        return rows, slice(self.col_start - outer.col_start, self.col_stop - outer.col_start)


@dataclass(frozen=True, kw_only=True, order=True, slots=True)
class Block:
    """Position of a block on its zone's lattice, in blocks."""

    row: int
    col: int


@dataclass(frozen=True, kw_only=True)
class Lattice:
    """One zone's pixels and blocks.

    Attributes:
        zone: Coordinate system, origin and owned ground.
        resolution: Side of a pixel in whole metres.
        block: Side of a block in pixels.
    """

    zone: Zone
    resolution: int
    block: int

    def box(self, block: Block) -> PixelBox:
        """The pixels of a block."""
        row, col = block.row * self.block, block.col * self.block
        return PixelBox(row_start=row, row_stop=row + self.block, col_start=col, col_stop=col + self.block)

    def transform(self, box: PixelBox) -> tuple[float, float, float, float, float, float]:
        """Affine (a, b, c, d, e, f) from (column, row) inside `box` to (x, y): pixel corners, metres."""
        x0, y0 = self.zone.origin
        west, north = x0 + box.col_start * self.resolution, y0 - box.row_start * self.resolution
        return (float(self.resolution), 0.0, float(west), 0.0, -float(self.resolution), float(north))

    def bounds(self, box: PixelBox) -> tuple[float, float, float, float]:
        """(west, south, east, north) of `box` in metres."""
        rows, cols = box.shape
        a, _, west, _, e, north = self.transform(box)
        return west, north + e * rows, west + a * cols, north

    def centres(self, box: PixelBox) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """X of each column (W,) and y of each row (H,), at pixel centres, metres."""
        x0, y0 = self.zone.origin
        cols = np.arange(box.col_start, box.col_stop, dtype=np.float64)
        rows = np.arange(box.row_start, box.row_stop, dtype=np.float64)
        return x0 + (cols + 0.5) * self.resolution, y0 - (rows + 0.5) * self.resolution

    def box_covering(self, bounds: tuple[float, float, float, float]) -> PixelBox:
        """The smallest box that holds (west, south, east, north) in metres."""
        x0, y0 = self.zone.origin
        west, south, east, north = bounds
        return PixelBox(
            row_start=math.floor((y0 - north) / self.resolution),
            row_stop=math.ceil((y0 - south) / self.resolution),
            col_start=math.floor((west - x0) / self.resolution),
            col_stop=math.ceil((east - x0) / self.resolution),
        )

    def ground(self, region: BaseGeometry) -> BaseGeometry:
        """`region` (degrees) on this zone's ground and a pixel around it, in metres; empty where there is none.

        Raises:
            InvalidConfigError: The zone's coordinate system cannot show all of the region (``grid.crs``).
        """
        ground = self.zone.clip(region)
        if ground.is_empty:
            return ground
        projected = project(shapely.segmentize(ground, DENSIFY_DEGREES), 4326, self.zone.epsg)
        if not np.isfinite(projected.bounds).all():
            raise InvalidConfigError(
                f"EPSG:{self.zone.epsg}", expected="a CRS that can show all of the region", key="grid.crs"
            )
        return projected.buffer(self.resolution)

    def blocks_meeting(self, region: BaseGeometry) -> Iterator[Block]:
        """Blocks that may hold pixels of `region` (degrees) on this zone's ground, row by row.

        A superset by less than a pixel: a block on the rim may turn out to hold no pixel centre; none is missed.

        Raises:
            InvalidConfigError: The zone's coordinate system cannot show all of the region (``grid.crs``).
        """
        ground = self.ground(region)
        if ground.is_empty:
            return
        shapely.prepare(ground)
        box = self.box_covering(ground.bounds)
        cols = np.arange(box.col_start // self.block, -(-box.col_stop // self.block))
        for row in range(box.row_start // self.block, -(-box.row_stop // self.block)):
            west, south, _, north = self.bounds(self.box(Block(row=row, col=0)))
            wests = west + cols * float(self.block * self.resolution)
            ends = np.full((2, len(cols)), [[south], [north]])
            boxes = shapely.box(wests, ends[0], wests + self.block * self.resolution, ends[1])
            for col in cols[shapely.intersects(ground, boxes)]:
                yield Block(row=row, col=int(col))

    def inside(self, box: PixelBox, region: BaseGeometry) -> NDArray[np.bool_]:
        """True (H, W) where a pixel's centre lies in `region` (degrees) on this zone's ground."""
        ground = self.zone.clip(region)
        shapely.prepare(ground)
        if ground.contains(self.outline(box)):
            return np.ones(box.shape, bool)
        x, y = np.meshgrid(*self.centres(box))
        longitude, latitude = transformer(self.zone.epsg, 4326).transform(x, y)
        found = self.zone.owns(longitude, latitude)
        found[found] = shapely.contains_xy(region, longitude[found], latitude[found])
        return found

    def outline(self, box: PixelBox) -> BaseGeometry:
        """The outline of `box` in degrees, in one piece: over the antimeridian, longitudes go on beyond 180.

        Of the turns of the globe it lies on the one nearest to the zone's ground. A box that holds a pole has none.
        """
        west, south, east, north = self.bounds(box)
        ring = shapely.segmentize(shapely.box(west, south, east, north), (east - west) / 32)
        centre, _ = transformer(self.zone.epsg, 4326).transform((west + east) / 2, (south + north) / 2)
        centre -= _turns(centre, self.zone.middle)

        def in_one_piece(points: NDArray[np.float64]) -> NDArray[np.float64]:
            return np.stack([points[:, 0] - _turns(points[:, 0], centre), points[:, 1]], axis=1)

        return shapely.transform(project(ring, self.zone.epsg, 4326), in_one_piece)


def _turns(longitude: NDArray[np.float64], centre: float) -> NDArray[np.float64]:
    """Degrees of the whole turns from about `centre` to a longitude; none where the CRS gives no longitude."""
    return 360 * np.nan_to_num(np.round((longitude - centre) / 360), posinf=0, neginf=0)


def turns(ground: BaseGeometry) -> list[BaseGeometry]:
    """Ground in degrees, and the same a whole turn of the globe to its west and to its east."""
    return [ground, *(shapely.affinity.translate(ground, by) for by in (-360, 360))]


@dataclass(frozen=True, kw_only=True)
class PatchLattice:
    """Where the network's squares lie on a zone's pixel lattice, and how neighbours are blended.

    Patch k starts at ``k * stride - halo`` on either axis, for every integer k, wherever blocks and regions begin: so
    the same ground is seen in the same patches by every run. Along an axis a patch has no weight in its outer
    halo / 2 pixels, a linear ramp over the next `halo`, and full weight inside; neighbours' weights sum to one.

    Attributes:
        patch: Side of a patch in pixels.
        halo: Pixels on each side that a neighbour predicts with full context; even, at most a third of `patch`.
    """

    patch: int
    halo: int

    def __post_init__(self) -> None:
        if self.halo % 2 or not 0 <= 3 * self.halo <= self.patch:
            raise InvalidConfigError(
                f"halo {self.halo} with patch {self.patch}",
                expected="an even halo of at most a third of the patch",
                key="predict.halo",
            )

    @property
    def stride(self) -> int:
        """Pixels between the starts of neighbouring patches."""
        return self.patch - 2 * self.halo

    def starts(self, first: int, stop: int) -> list[int]:
        """First pixels of all patches with some weight in ``[first, stop)``, ascending."""
        trusted = self.patch - self.halo // 2
        low = (first - trusted + self.halo) // self.stride + 1
        high = -(-(stop + self.halo // 2) // self.stride)
        return [k * self.stride - self.halo for k in range(low, high)]

    def weights(self) -> NDArray[np.float32]:
        """Weight of each pixel of a patch along one axis, (patch,) float32, 0 to 1."""
        half = np.minimum(np.arange(self.patch), np.arange(self.patch)[::-1]) + 0.5 - self.halo / 2
        return np.clip(half / max(self.halo, 1), 0, 1).astype(np.float32) if self.halo else np.ones(self.patch, "f4")

    def covering(self, box: PixelBox) -> PixelBox:
        """All pixels of the patches that have weight in `box`: what must be read to predict it."""
        rows, cols = self.starts(box.row_start, box.row_stop), self.starts(box.col_start, box.col_stop)
        return PixelBox(
            row_start=rows[0], row_stop=rows[-1] + self.patch, col_start=cols[0], col_stop=cols[-1] + self.patch
        )

    def count(self, box: PixelBox) -> int:
        """Patches needed to predict `box`."""
        return len(self.starts(box.row_start, box.row_stop)) * len(self.starts(box.col_start, box.col_stop))

    def repeats(self, side: int) -> float:
        """Patches that blocks of a side need, for each that all of them need: one over two blocks is needed twice."""
        blocks = self.stride // math.gcd(self.stride, side)  # then their places on this lattice begin anew
        along = sum(len(self.starts(block * side, (block + 1) * side)) for block in range(blocks))
        return (along * self.stride / (blocks * side)) ** 2


@lru_cache(maxsize=256)
def transformer(source: int, target: int) -> pyproj.Transformer:
    """Point transformer between two EPSG codes, x or longitude first."""
    return pyproj.Transformer.from_crs(source, target, always_xy=True)


Shape = TypeVar("Shape", BaseGeometry, "NDArray[np.object_]")
"""One geometry, or an array of some."""


def project(geometry: Shape, source: int, target: int) -> Shape:
    """`geometry` with its vertices moved from one EPSG code to another; edges stay as dense as they are."""

    def move(points: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.stack(transformer(source, target).transform(points[:, 0], points[:, 1]), axis=1)

    return shapely.transform(geometry, move)
