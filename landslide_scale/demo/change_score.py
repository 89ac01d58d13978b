"""A version of the made event against the truth: what is new since the event, beside two plainer maps of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce
from operator import add
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.features import rasterize

from landslide_scale.bands import Reason
from landslide_scale.demo.ground.truth import LANDSLIDE_PERCENT, NO_TRUTH
from landslide_scale.demo.world import World
from landslide_scale.grid import Lattice, PixelBox
from landslide_scale.imagery.terrain import terrain
from landslide_scale.label_values import IGNORE, LANDSLIDE
from landslide_scale.metrics import Confusion
from landslide_scale.metrics.boundary import match_pixels
from landslide_scale.metrics.matches import Matches
from landslide_scale.products import names
from landslide_scale.products.change.compared import Compared
from landslide_scale.products.change.settings import Change
from landslide_scale.products.landslide import CHANGES
from landslide_scale.products.outlines.wanted import Wanted
from landslide_scale.products.scanned import Scanned
from landslide_scale.reading.raster import read_classes
from landslide_scale.stac.dem import DemTile

LARGE_M2 = 2000.0
"""Landslides larger than this are to be found."""

OVERLAPS = (20, 30)
"""Percent of an object's observed pixels, from which on (themselves included) it counts as met."""

_FOUND = 30
_HALF = 50
_WHOLE = 100

POLYGONS, SCAN, VEGETATION = "change polygons", "the scan alone", "rdNDVI with slope"

ONLY_AFTER = CHANGES[1]
"""Of a polygon of which nobody knows whether it is new."""

Ids = NDArray[np.int32]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True)
class Scored:
    """One map, over observed ground.

    Attributes:
        strict: Pixels.
        near: Pixels, within one of the other side.
    """

    strict: Confusion = field(default_factory=Confusion)
    near: Matches = field(default_factory=Matches)

    @classmethod
    def of(cls, predicted: Mask, label: NDArray[np.uint8]) -> Scored:
        """Of one zone: a map and its truth, (H, W)."""
        strict = Confusion.of(predicted, label)
        return cls(strict=strict, near=match_pixels(predicted, label, 1.0))

    def __add__(self, other: Scored) -> Scored:
        return Scored(strict=self.strict + other.strict, near=self.near + other.near)


@dataclass(frozen=True, kw_only=True)
class ChangeScore:
    """A version of the event against what the event made.

    Attributes:
        maps: By name; that of the scan alone is missing where no network was used.
        large: Landslides of the event above `LARGE_M2`, half or more of whose pixels were observed, and how many of
            them are found: 30 % of those pixels or more lie in polygons.
        polygons: How many are on observed ground.
        right: Of these, by percent: such of which so much or more is landslide of the event.
        old: Scars from before the event, half or more of whose pixels were observed; how many of them are reported as
            new (30 % of those pixels or more lie in polygons that are not of ground seen only after), by map.
    """

    maps: Mapping[str, Scored]
    large: tuple[int, int]
    polygons: int
    right: Mapping[int, int]
    old: Mapping[str, int]
    old_seen: int

    def lines(self) -> Iterator[str]:
        """As text."""
        yield "new landslides              P      R      F1     F1 within one pixel"
        for name, one in self.maps.items():
            of = one.strict.landslide
            yield f"  {name:<22} {of.precision:.3f}  {of.recall:.3f}  {of.f1:.3f}  {one.near.scores.f1:.3f}"
        large, found = self.large
        yield (
            f"landslides over {LARGE_M2:,.0f} m2 on observed ground: {found} of {large} found ({_share(found, large)})"
        )
        right = ", ".join(f"{_share(count, self.polygons)} at {percent} %" for percent, count in self.right.items())
        yield f"object precision of {self.polygons} polygons, by overlap: {right}"
        old = ", ".join(f"{count} by {name}" for name, count in self.old.items())
        yield f"of {self.old_seen} old scars on observed ground, reported as new: {old}"


def _share(part: int, whole: int) -> str:
    return f"{part / whole:.1%}" if whole else "none"


@dataclass(frozen=True, kw_only=True, eq=False)
class _Zone:
    """One zone's ground, arrays (H, W).

    Attributes:
        asked: Ground that was to be looked at, and of known truth.
        counted: Of it, observed after the event.
        label: 1 where half a pixel or more is landslide of the event; 255 where not counted.
        scars, polygons: Number of the scar or the polygon that a pixel's centre lies in, from 1; 0 outside.
        maps: By name.
    """

    asked: Mask
    counted: Mask
    label: NDArray[np.uint8]
    scars: Ids
    polygons: Ids
    maps: Mapping[str, Mask]


def score_version(of: Scanned, version: Path, world: World, relief: Sequence[DemTile], how: Change) -> ChangeScore:
    """Score a version's polygons, and the two maps beside them, on ground observed after the event.

    All polygons count as they were made: a verdict is the analyst's.

    Args:
        of: Its scan.
        version: Folder of the version.
        world: That was scanned.
        relief: Elevations of it, for the slope beside rdNDVI.
        how: The layers, and from which loss and slope on vegetation counts as lost.
    """
    scars, polygons = gpd.read_file(world.labels("east")), gpd.read_parquet(version / names.POLYGONS)
    drawn = (scars, polygons)
    compared = Compared(of=of, how=how, step=Wanted(threshold=of.threshold if of.learned else None).step)
    zones = [_zone(compared, lattice, box, world, relief, drawn=drawn) for lattice, box in of.extents.items()]
    maps = {name: reduce(add, (Scored.of(zone.maps[name], zone.label) for zone in zones)) for name in zones[0].maps}
    return ChangeScore(maps=maps, **_of_scars(zones, scars, polygons), **_of_polygons(zones, len(polygons)))


def _zone(
    compared: Compared,
    lattice: Lattice,
    box: PixelBox,
    world: World,
    relief: Sequence[DemTile],
    *,
    drawn: tuple[gpd.GeoDataFrame, gpd.GeoDataFrame],
) -> _Zone:
    known = compared.pixels(lattice, box)
    percent = read_classes(str(world.fraction(lattice.zone.epsg, new_only=True)), lattice, box).values
    asked = (known.after.reason != Reason.NOT_SCANNED) & (percent >= 0) & (percent != NO_TRUTH)
    counted = asked & (known.after.reason == Reason.OBSERVED)
    scars, polygons = (_burnt(one, lattice, box) for one in drawn)
    slope = terrain(("slope",), relief, lattice, box)["slope"]
    maps = {POLYGONS: polygons > 0, VEGETATION: known.lost & (slope >= compared.how.least_slope_deg)}
    if compared.learned:
        maps = {POLYGONS: maps[POLYGONS], SCAN: known.after.probability >= compared.step, VEGETATION: maps[VEGETATION]}
    return _Zone(
        asked=asked,
        counted=counted,
        label=np.where(counted, percent >= LANDSLIDE_PERCENT, IGNORE).astype(np.uint8),
        scars=scars,
        polygons=polygons,
        maps={name: mask & counted for name, mask in maps.items()},
    )


def _burnt(shapes: gpd.GeoDataFrame, lattice: Lattice, box: PixelBox) -> Ids:
    """(H, W) number of the row whose shape a pixel's centre lies in, from 1; 0 outside."""
    if shapes.empty:
        return np.zeros(box.shape, np.int32)
    here = shapes.geometry.to_crs(lattice.zone.epsg)
    numbered = [(shape, number) for number, shape in enumerate(here, start=1)]
    transform = rasterio.Affine(*lattice.transform(box))
    return np.asarray(rasterize(numbered, box.shape, transform=transform, dtype="int32"))


def _of_scars(zones: Sequence[_Zone], scars: gpd.GeoDataFrame, polygons: gpd.GeoDataFrame) -> dict[str, Any]:
    """What became of the scars that are there in truth."""

    def pixels(mask: Callable[[_Zone], Mask]) -> NDArray[np.int64]:
        return _pixels(zones, lambda zone: zone.scars[mask(zone)], len(scars))

    seen = pixels(lambda zone: zone.counted)
    in_view = (seen > 0) & (_WHOLE * seen >= _HALF * pixels(lambda zone: zone.asked))
    is_new = (scars["age"] == "new").to_numpy(bool)
    large = in_view & is_new & (scars["area_m2"] > LARGE_M2).to_numpy(bool)
    found = _met(pixels(lambda zone: zone.maps[POLYGONS]), seen, _FOUND)
    told_new = np.append(False, (polygons["change"] != ONLY_AFTER).to_numpy(bool))
    old = in_view & ~is_new
    told = {POLYGONS: _met(pixels(lambda zone: zone.maps[POLYGONS] & told_new[zone.polygons]), seen, _FOUND)}
    if SCAN in zones[0].maps:
        told[SCAN] = _met(pixels(lambda zone: zone.maps[SCAN]), seen, _FOUND)
    return {
        "large": (int(large.sum()), int((large & found).sum())),
        "old_seen": int(old.sum()),
        "old": {name: int((old & one).sum()) for name, one in told.items()},
    }


def _of_polygons(zones: Sequence[_Zone], count: int) -> dict[str, Any]:
    """What the polygons lie on."""
    size = _pixels(zones, lambda zone: zone.polygons[zone.counted], count)
    hit = _pixels(zones, lambda zone: zone.polygons[zone.label == LANDSLIDE], count)
    right = {percent: int(((size > 0) & _met(hit, size, percent)).sum()) for percent in OVERLAPS}
    return {"polygons": int((size > 0).sum()), "right": right}


def _pixels(zones: Sequence[_Zone], ids: Callable[[_Zone], Ids], count: int) -> NDArray[np.int64]:
    """(N,) how many pixels of each of so many numbers there are, over all zones; 0, which is none, is left out."""
    total = np.zeros(count + 1, np.int64)
    for zone in zones:
        total += np.bincount(ids(zone), minlength=count + 1)
    return total[1:]


def _met(shared: NDArray[np.int64], size: NDArray[np.int64], percent: int) -> Mask:
    return np.asarray(_WHOLE * shared >= percent * size)
