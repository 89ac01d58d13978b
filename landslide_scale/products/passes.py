"""When the satellites pass next: each is back over the same ground, from the same orbit, after ten days."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import shapely
from shapely.geometry.base import BaseGeometry

from landslide_scale.errors import InvalidCatalogError
from landslide_scale.products.scanned import Scanned
from landslide_scale.region.polygons import area_km2
from landslide_scale.stac import identity
from landslide_scale.stac.frozen import SCENES, load_items
from landslide_scale.stac.items import Item, footprint, readable, sensed
from landslide_scale.stac.revisit import REPEAT_DAYS

_DEGREES = 1e-7
"""To which coordinates are written: a centimetre."""


@dataclass(frozen=True, kw_only=True)
class Pass:
    """What is known of one satellite on one orbit over a region.

    Attributes:
        satellite: ``S2A`` to ``S2D``; None where no Item says so.
        orbit: Relative one, 1 to 143; None where no Item says so.
        last: The newest day the run's Items have it, UTC.
    """

    satellite: str | None
    orbit: int | None
    last: date

    @property
    def due(self) -> date:
        """The day it passes next."""
        return self.last + timedelta(days=REPEAT_DAYS)


@dataclass(frozen=True, kw_only=True)
class HiddenTile:
    """Ground of one tile that was not observed yet.

    Attributes:
        tile: As ``33TWM``.
        geometry: That ground, degrees; where tiles overlap it is of each of them.
        passes: Over it, the next that is due first.
    """

    tile: str
    geometry: shapely.MultiPolygon
    passes: tuple[Pass, ...]

    @property
    def km2(self) -> float:
        """On the ellipsoid."""
        return area_km2(self.geometry)


def passes(of: Scanned) -> tuple[Pass, ...]:
    """The last passes over a run's region that its frozen Items tell of; none where it has no Items."""
    return passes_of(load_items(of.run), of.region) if of.run.exists(SCENES) else ()


def passes_of(items: Iterable[Item], region: BaseGeometry) -> tuple[Pass, ...]:
    """The last pass of each satellite on each orbit over a region (degrees), the next that is due first."""
    newest: dict[tuple[str | None, int | None], date] = {}
    for item in items:
        try:
            with readable(item):
                key, day = (identity.satellite(item), identity.relative_orbit(item)), sensed(item).date()
                over = footprint(item).intersects(region)
        except InvalidCatalogError:
            continue  # which the run says of it: it stands among those that are set aside
        if over:
            newest[key] = max(newest.get(key, day), day)
    found = [Pass(satellite=satellite, orbit=orbit, last=day) for (satellite, orbit), day in newest.items()]
    return tuple(sorted(found, key=lambda one: (one.last, one.satellite or "", one.orbit or 0)))


def hidden_tiles(of: Scanned, hidden: BaseGeometry) -> tuple[HiddenTile, ...]:
    """When ground that is hidden may be seen, tile by tile; of a run without Items, none.

    Args:
        of: The scan.
        hidden: What was not observed, degrees.
    """
    return hidden_tiles_of(load_items(of.run), hidden) if of.run.exists(SCENES) else ()


def hidden_tiles_of(items: Iterable[Item], hidden: BaseGeometry) -> tuple[HiddenTile, ...]:
    """The same of these Items, in the order of the tiles' names."""
    of_tile: dict[str, list[Item]] = defaultdict(list)
    for item in items:
        try:
            with readable(item):
                footprint(item)
                of_tile[identity.tile(item)].append(item)
        except InvalidCatalogError:
            continue  # as above
    found = []
    for tile in sorted(of_tile):
        ground = _polygons(
            shapely.intersection(
                shapely.union_all([shapely.make_valid(footprint(one)) for one in of_tile[tile]]), hidden
            )
        )
        if not ground.is_empty:
            found.append(HiddenTile(tile=tile, geometry=ground, passes=passes_of(of_tile[tile], ground)))
    return tuple(found)


def hidden_geojson(tiles: Sequence[HiddenTile]) -> bytes:
    """Tiles with hidden ground as GeoJSON (RFC 7946), a feature each: which pass is due first, and all others as text.

    A pass is due ten days after the last that is known; where that day has gone by, count on in tens of days.
    """
    features = [
        {
            "type": "Feature",
            "geometry": shapely.geometry.mapping(one.geometry),
            "properties": {
                "tile": one.tile,
                "hidden_km2": round(one.km2, 4),
                "due": one.passes[0].due.isoformat() if one.passes else None,
                "satellite": one.passes[0].satellite if one.passes else None,
                "orbit": one.passes[0].orbit if one.passes else None,
                "passes": "; ".join(map(pass_words, one.passes)),
            },
        }
        for one in tiles
    ]
    return (json.dumps({"type": "FeatureCollection", "features": features}, indent=1) + "\n").encode()


def pass_words(one: Pass) -> str:
    """A pass in words: satellite, orbit, the day it is due."""
    return f"{one.satellite or 'satellite not stated'} on orbit {one.orbit or 'not stated'}: {one.due}"


def _polygons(ground: BaseGeometry) -> shapely.MultiPolygon:
    exact = shapely.set_precision(ground, _DEGREES)
    parts = [part for part in shapely.get_parts(exact) if isinstance(part, shapely.Polygon) and not part.is_empty]
    return shapely.orient_polygons(shapely.MultiPolygon(parts))
