"""Which scenes are not used for what their Items say: orbit, satellite, tile, sun, and the share without data.

Filters are applied to what was frozen, which is the catalogue's whole answer. A condition that an Item does not state
is not met: whoever asks for a high sun does not mean scenes of which nobody knows it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from landslide_scale.stac import identity
from landslide_scale.stac.settings import SceneFilter

Item = Mapping[str, Any]

UNSTATED = "which it does not state"


def unmet(item: Item, conditions: SceneFilter | None) -> str:
    """The first condition that an Item does not meet, by its key; empty where it meets all.

    Raises:
        ValueError, TypeError, InvalidCatalogError: A property that is asked for has another form.
    """
    if conditions is None:
        return ""
    for key, stated in _STATED.items():
        wanted = getattr(conditions, key)
        if wanted is None:
            continue
        found = stated(item)
        if found is None:
            return f"catalog.filter.{key}, {UNSTATED}"
        if not _MET[key](found, wanted):
            return f"catalog.filter.{key}"
    return ""


def sun_elevation(item: Item) -> float | None:
    """Degrees above the horizon; None where it is not stated."""
    properties = item["properties"]
    elevation = _number(properties.get("view:sun_elevation"))
    zenith = _number(properties.get("s2:mean_solar_zenith"))
    return elevation if elevation is not None or zenith is None else 90 - zenith


def nodata_share(item: Item) -> float | None:
    """Percent of the tile's pixels that hold no data; None where it is not stated."""
    properties = item["properties"]
    for key in ("s2:nodata_pixel_percentage", "sentinel2:nodata_pixel_percentage"):
        if (share := _number(properties.get(key))) is not None:
            return share
    covered = _number(properties.get("sentinel:data_coverage"))
    statistics = properties.get("statistics")
    if covered is not None:
        return 100 - covered
    return _number(statistics.get("nodata")) if isinstance(statistics, Mapping) else None


def _number(value: Any) -> float | None:  # noqa: ANN401 JSON
    found = None if value is None else float(value)
    return found if found is None or math.isfinite(found) else None


_STATED: Mapping[str, Callable[[Item], Any]] = {
    "relative_orbits": identity.relative_orbit,
    "platforms": identity.satellite,
    "tiles": identity.tile,
    "min_sun_elevation": sun_elevation,
    "max_nodata": nodata_share,
}

_MET: Mapping[str, Callable[[Any, Any], bool]] = {
    "relative_orbits": lambda found, wanted: found in wanted,
    "platforms": lambda found, wanted: found in wanted,
    "tiles": lambda found, wanted: found in wanted,
    "min_sun_elevation": lambda found, wanted: found >= wanted,
    "max_nodata": lambda found, wanted: found <= wanted,
}
