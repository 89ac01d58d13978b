"""Which systems may be the one lattice of a region, by geodesics on the ellipsoid and not by projection formulae."""

from __future__ import annotations

import numpy as np
import pytest
import shapely
from pyproj import Geod, Transformer

from landslide_scale.errors import InvalidConfigError
from landslide_scale.region.metres import AREA_ERROR, LENGTH_ERROR, check_metres

GEOD = Geod(ellps="GRS80")
PLACES = {
    "Slovenia": (14.9, 46.0), "Bergen": (5.3, 60.4), "Lisbon": (-9.1, 38.7), "Cyprus": (33.0, 35.0),
    "Svalbard": (16.0, 78.0), "Nice": (7.2, 43.7), "Greenland": (-40.0, 70.0), "Peary Land": (-40.0, 82.0),
}  # fmt: skip
SYSTEMS = (3857, 3035, 3034, 2154, 3413, 32630, 32632, 32633, 4087, 6933)


def shown(epsg: int, longitude: float, latitude: float) -> tuple[float, float, float]:
    """How long 200 m of ground are in a system, shortest and longest over all directions, and how large 4 ha are."""
    azimuths = np.arange(0, 180, 3.0)
    ends = [
        GEOD.fwd(np.full(60, longitude), np.full(60, latitude), azimuths + back, np.full(60, 100.0))[:2]
        for back in (0, 180)
    ]
    (x0, y0), (x1, y1) = (Transformer.from_crs(4326, epsg, always_xy=True).transform(*end) for end in ends)
    lengths = np.hypot(x1 - x0, y1 - y0) / 200
    return float(lengths.min()), float(lengths.max()), float(lengths.min() * lengths.max())


@pytest.mark.parametrize("epsg", SYSTEMS)
@pytest.mark.parametrize("place", PLACES)
def test_a_system_whose_metres_are_not_the_grounds_is_refused_and_any_other_is_not(epsg: int, place: str):
    longitude, latitude = PLACES[place]
    region = shapely.box(longitude, latitude, longitude + 0.01, latitude + 0.01)
    least, most, area = shown(epsg, longitude + 0.005, latitude + 0.005)
    out = max(1 - least, most - 1) / LENGTH_ERROR, abs(area - 1) / AREA_ERROR
    assert not 0.97 < max(out) < 1.03  # too near to be a case
    if max(out) < 1:
        check_metres(epsg, region)
        return
    with pytest.raises(InvalidConfigError, match=f"EPSG:{epsg}") as caught:
        check_metres(epsg, region)
    assert caught.value.where["key"] == "grid.crs"


def test_the_cases_hold_both_kinds():
    refused = {
        (epsg, place)
        for epsg in SYSTEMS
        for place, (longitude, latitude) in PLACES.items()
        if (found := shown(epsg, longitude, latitude)) and (abs(found[2] - 1) > AREA_ERROR or found[1] > 1.02)
    }
    assert {(3857, "Bergen"), (3034, "Slovenia"), (4087, "Nice"), (6933, "Slovenia"), (3035, "Cyprus")} <= refused
    assert not {(3035, "Slovenia"), (3035, "Lisbon"), (2154, "Nice"), (32632, "Bergen"), (32633, "Bergen")} & refused


def test_scales_are_looked_at_all_over_a_region_and_not_at_its_corners_alone():
    # True at 70 N; within the ring, which stays within limits, metres are 3 % too short at the pole.
    around_the_pole = shapely.box(-180, 69.5, 180, 90) - shapely.box(-180, 69.9, 180, 89.99999)
    with pytest.raises(InvalidConfigError, match="EPSG:3413"):
        check_metres(3413, around_the_pole)
    inside = shapely.box(-180, 69.9, 180, 70.1)
    check_metres(3413, inside)
    long = shapely.box(3.0, 46.0, 24.0, 46.2)  # EPSG:32633 at its corners only
    with pytest.raises(InvalidConfigError, match="EPSG:32633"):
        check_metres(32633, long)


def test_a_system_that_cannot_show_the_region_is_refused_and_zones_need_no_check():
    check_metres(None, shapely.box(0, 60, 10, 70))
    with pytest.raises(InvalidConfigError, match="EPSG:32633"):
        check_metres(32633, shapely.box(104.0, -1.0, 106.0, 1.0))
