"""Ground that is to be looked at: it grows with what is known, and never shrinks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

import shapely
from shapely.affinity import translate
from shapely.geometry.base import BaseGeometry

from landslide_scale.errors import InvalidRegionError
from landslide_scale.events.land import Land, land_km2
from landslide_scale.region.polygons import area_km2

AreaSource = Literal[
    "shakemap grid", "shakemap coverage", "shakemap contours", "magnitude-area relation", "given", "nothing"
]

_DIGITS = 3
"""Of an area in km2: the same where it is told as where it is made, so that what is read back tells the same."""

_TURN = 360.0
_GLOBE = shapely.box(-180, -90, 180, 90)


@dataclass(frozen=True, kw_only=True, eq=False)
class Area:
    """Ground to be looked at.

    Attributes:
        ground: Polygon or multipolygon in degrees, split at the antimeridian; empty where there is none.
        km2: On the ellipsoid.
        source: Where it is from; of ground that grew, of what was known last.
        shakemap_version: Which ShakeMap, as ``us 3``; None where it is from none.
        land_km2: Of it, land.
        land_source: What says what is land, in words.
    """

    ground: BaseGeometry
    km2: float
    source: AreaSource
    shakemap_version: str | None
    land_km2: float
    land_source: str

    def __post_init__(self) -> None:
        if not (self.ground.is_empty or (self.ground.is_valid and _GLOBE.covers(self.ground))):
            raise InvalidRegionError("ground that crosses itself or leaves the globe", expected="polygons in degrees")
        if self.source not in get_args(AreaSource):
            raise InvalidRegionError(f"source {self.source}", expected=", ".join(get_args(AreaSource)))

    def as_feature(self) -> dict[str, Any]:
        """As GeoJSON."""
        figures = {"km2": self.km2, "land_km2": self.land_km2, "land_source": self.land_source}
        return {
            "type": "Feature",
            "properties": {"source": self.source, "shakemap_version": self.shakemap_version} | figures,
            "geometry": shapely.geometry.mapping(self.ground),
        }

    @classmethod
    def from_feature(cls, feature: Mapping[str, Any]) -> Area:
        """What :meth:`as_feature` made.

        Raises:
            InvalidRegionError: It is something else.
        """
        try:
            return cls(ground=shapely.geometry.shape(feature["geometry"]), **feature["properties"])
        except (KeyError, TypeError, ValueError, AttributeError, shapely.errors.ShapelyError) as error:
            raise InvalidRegionError(f"{type(error).__name__}: {error}", expected="an area as it was written") from None


def area_of(ground: BaseGeometry, *, source: AreaSource, land: Land, shakemap_version: str | None = None) -> Area:
    """Ground with its figures.

    Args:
        ground: Polygons in degrees; longitudes may be of any turn.
        source: Where it is from.
        land: What says what is land.
        shakemap_version: Which ShakeMap it is from.
    """
    within = wrapped(ground)
    return Area(
        ground=within,
        km2=0.0 if within.is_empty else round(area_km2(within), _DIGITS),
        source=source,
        shakemap_version=shakemap_version,
        land_km2=round(land_km2(within, land), _DIGITS),
        land_source=land.source,
    )


def grown(earlier: Area | None, later: Area, land: Land) -> Area:
    """The ground of both, as the later knows it: what was to be looked at once stays so.

    Where the later adds nothing the ground is the earlier's to the last digit.
    """
    if earlier is None or earlier.ground.is_empty:
        return later
    if later.ground.is_empty or earlier.ground.covers(later.ground):
        return replace(earlier, source=later.source, shakemap_version=later.shakemap_version)
    return area_of(
        shapely.union(earlier.ground, later.ground),
        source=later.source,
        land=land,
        shakemap_version=later.shakemap_version,
    )


def wrapped(ground: BaseGeometry) -> BaseGeometry:
    """Ground within -180 to 180 degrees of such that may reach beyond; split at the antimeridian."""
    west, south, east, north = ground.bounds if not ground.is_empty else (0.0, 0.0, 0.0, 0.0)
    if max(abs(west), abs(east)) <= 180 and max(abs(south), abs(north)) <= 90:  # noqa: PLR2004 the globe's own
        return ground
    turns = [shapely.intersection(translate(ground, xoff=turn), _GLOBE) for turn in (-2 * _TURN, -_TURN, 0, _TURN)]
    parts = [part for one in turns for part in getattr(one, "geoms", [one]) if part.geom_type == "Polygon"]
    return shapely.union_all([part for part in parts if part.area > 0])
