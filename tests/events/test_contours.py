"""Contours are closed along the edge of the map and told by one another; those that say nothing are refused."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import shapely
from helpers.quakes import bell, grid_xml
from matplotlib.figure import Figure

from landslide_scale.errors import InvalidFeedError
from landslide_scale.events.area import area_of
from landslide_scale.events.contours import Contours, parse_contours
from landslide_scale.events.land import coarse_land
from landslide_scale.events.shakemap import ShakingGrid, parse_grid_xml
from landslide_scale.region.polygons import area_km2


def lines(levels: Mapping[float, list[list[tuple[float, float]]]], **more: Any) -> bytes:  # noqa: ANN401 JSON
    features = [
        {
            "type": "Feature",
            "properties": {"value": level},
            "geometry": {"type": "MultiLineString", "coordinates": parts},
        }
        for level, parts in levels.items()
    ]
    return json.dumps({"type": "FeatureCollection", "features": features} | more).encode()


def square(west: float, south: float, side: float) -> list[tuple[float, float]]:
    return [
        tuple(point) for point in shapely.get_coordinates(shapely.box(west, south, west + side, south + side)).tolist()
    ]


def drawn(grid: ShakingGrid, levels: list[float]) -> Contours:
    """Contours of a grid, as matplotlib draws them."""
    found = Figure().add_subplot().contour(grid.lon, grid.lat, grid.mmi, levels)
    parts = {
        float(level): [np.round(part, 6).tolist() for part in segments if len(part) > 1]
        for level, segments in zip(found.levels, found.allsegs, strict=True)
    }
    frame = [float(grid.lon[0]), float(grid.lat[-1]), float(grid.lon[-1]), float(grid.lat[0])]
    return parse_contours(lines(parts, bbox=frame))


@pytest.mark.parametrize("middle", [(30, 45), (0, 45), (30, 3), (59, 89), (30, 89)])
def test_the_ground_within_contours_is_that_of_the_grid(middle: tuple[int, int]):
    # Cut out of a larger one, so that the contours leave the map on one side, two, or none.
    whole = bell(240, 360, 8.6, 14.0)
    row, col = 120 - middle[0], 180 - middle[1]
    grid = parse_grid_xml(grid_xml(whole[row : row + 60, col : col + 90], west=14.0, north=47.0))
    found = drawn(grid, [4.5, 5, 5.5, 6, 6.5, 7, 7.5])
    for least in (5.0, 6.0, 7.0):
        inner = shapely.intersection(grid.ground(least), shapely.box(*found.frame))
        assert area_km2(found.ground(least)) == pytest.approx(area_km2(inner), rel=0.03)


def test_the_ground_within_contours_of_a_real_grid_is_that_of_the_grid(usgs: Path):
    grid = parse_grid_xml((usgs / "shakemap/lomaprieta_grid.xml").read_bytes())
    found = drawn(grid, [4, 4.5, 5, 5.5, 6, 6.5, 7, 7.5, 8])
    for least in (5.0, 6.0, 7.0):
        assert area_km2(found.ground(least)) == pytest.approx(area_km2(grid.ground(least)), rel=0.05)


def test_real_contours_whose_ground_leaves_the_map(usgs: Path):
    found = parse_contours((usgs / "shakemap/iscgem882673_hebgen1959_cont_mmi.json").read_bytes())
    sizes = [area_km2(found.ground(least)) for least in (3, 4, 5, 6, 7, 8)]
    assert sizes == sorted(sizes, reverse=True)
    for least in (3, 5, 6):
        assert found.ground(least).covers(shapely.Point(-111.3, 44.75))  # Hebgen Lake
    assert area_km2(found.ground(6)) == pytest.approx(8964, rel=0.01)  # as it was when it was looked at
    assert found.max_mmi_on(coarse_land()) == 8.0


def test_real_contours_at_sea_have_no_land_in_them(usgs: Path):
    found = parse_contours((usgs / "shakemap/us10004u1y_cont_mi.json").read_bytes())
    assert found.max_mmi == 9.5
    assert found.max_mmi_on(coarse_land()) == 2.5  # the publisher says 3.07
    assert found.ground(6).covers(shapely.Point(94.28, -4.91))
    assert area_km2(found.ground(6)) > 10_000


@pytest.mark.parametrize("written", ["beyond 180", "below -180", "from -180 to 180"])
def test_contours_over_the_antimeridian_are_those_of_elsewhere(written: str):
    whole = bell(60, 90, 8.6, 14.0)
    here = parse_grid_xml(grid_xml(whole, west=14.0, north=-14.0))
    there = {"beyond 180": 164.0, "below -180": 164.0 - 360, "from -180 to 180": 164.0}[written]
    levels = {5.0: [], 6.0: [], 7.0: []}
    plain = drawn(here, list(levels))
    for level, parts in plain.lines.items():
        for part in parts:
            moved = np.add(shapely.get_coordinates(part), (there, 0.0))
            if written == "from -180 to 180":
                moved[:, 0] -= 360 * (moved[:, 0] > 180)
            levels[level].append(moved.tolist())
    found = parse_contours(lines(levels)).ground(6.0)
    wanted = area_of(plain.ground(6.0), source="shakemap contours", land=coarse_land())
    split = area_of(found, source="shakemap contours", land=coarse_land())
    assert split.km2 == pytest.approx(wanted.km2, rel=1e-6)
    assert split.ground.bounds[::2] == (-180.0, 180.0)
    assert split.ground.covers(shapely.Point(179.99, -15.5))
    assert split.ground.covers(shapely.Point(-179.9, -15.5))


def test_a_hole_that_is_shaken_less_is_no_ground():
    found = parse_contours(
        lines({5: [square(1, 1, 8)], 6: [square(2, 2, 6), square(4, 4, 2)], 5.5: [square(4.5, 4.5, 1)]})
    )
    assert found.ground(6).equals(shapely.box(2, 2, 8, 8).difference(shapely.box(4, 4, 6, 6)))


def test_a_level_that_was_not_drawn_is_the_next_below():
    found = parse_contours(lines({5: [square(1, 1, 8)], 7: [square(2, 2, 6)]}, bbox=[0, 0, 10, 10]))
    assert found.ground(6).equals(shapely.box(1, 1, 9, 9))
    assert found.ground(7.5).is_empty
    with pytest.raises(InvalidFeedError, match="to tell its ground"):
        found.ground(4)


def test_contours_that_tell_nothing_of_their_sides_are_refused():
    with pytest.raises(InvalidFeedError, match="which side"):
        parse_contours(lines({6: [square(2, 2, 6)]}, bbox=[0, 0, 10, 10])).ground(6)


def test_a_contour_that_ends_within_the_map_is_refused():
    open_one = {6: [[(2, 2), (5, 2), (5, 5)]], 5: [square(1, 1, 8)], 7: [square(3, 2.5, 1)]}
    with pytest.raises(InvalidFeedError, match="ends within the map"):
        parse_contours(lines(open_one, bbox=[0, 0, 10, 10])).ground(6)


def test_degenerate_contours_do_no_harm():
    there_and_back = [(3.0, 3.0), (4.0, 3.0), (3.0, 3.0)]
    levels = {5: [square(1, 1, 8)], 6: [square(2, 2, 6), there_and_back, [(5, 5), (5, 5)]], 7: [square(4, 4, 2)]}
    assert parse_contours(lines(levels)).ground(6).equals(shapely.box(2, 2, 8, 8))


def test_a_map_without_contours_shook_no_ground():
    found = parse_contours(lines({}))
    assert (found.max_mmi, found.ground(6).is_empty) == (0.0, True)


@pytest.mark.parametrize(
    "content",
    [b"", b"{}", b'{"features": [1]}', lines({6: [[("a", 2), (3, 4)]]}), lines({6: [[(0, 95), (1, 95)]]}),
     lines({6: [[(0, 5), (700, 5)]]}), b'{"features": [{"properties": {"value": "x"}, "geometry": null}]}',
     lines({10**400: [[(0, 5), (7, 5), (0, 5)]]}), lines({6: [[(10**400, 5), (7, 5)]]}),
     lines({6: [[(0, 5), (7, 6), (0, 5)]]}, bbox=[0, 0, 10**400, 9])],
)  # fmt: skip
def test_what_is_no_contours_is_refused(content: bytes):
    with pytest.raises(InvalidFeedError):
        parse_contours(content)
