"""When the satellites pass next: each is back over the same ground, from the same orbit, after ten days."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta

from shapely.geometry.base import BaseGeometry

from landslide_scale.errors import InvalidCatalogError
from landslide_scale.products.scanned import Scanned
from landslide_scale.stac import identity
from landslide_scale.stac.frozen import SCENES, load_items
from landslide_scale.stac.items import Item, footprint, readable, sensed
from landslide_scale.stac.revisit import REPEAT_DAYS


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
