"""Ground shaken as grids have it: its area by arithmetic on the numbers of the file, its edge, its growth."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import shapely
from helpers.quakes import bell, feature, grid_xml, product
from helpers.webserver import Answer, Asked, site
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from landslide_scale.errors import FeedAwayError, InvalidFeedError, InvalidRegionError
from landslide_scale.events.area import Area, area_of, grown, wrapped
from landslide_scale.events.detail import Product, parse_detail
from landslide_scale.events.land import DrawnLand, coarse_land
from landslide_scale.events.shakemap import ShakingGrid, parse_coverage, parse_grid_xml
from landslide_scale.events.shaking import Shaking, read_shaking, shaking_of
from landslide_scale.region.polygons import area_km2
from landslide_scale.scene import Access

GRIDS = ("lomaprieta_grid.xml", "lomaprieta_gf_grid.xml")
ALL_LAND = DrawnLand(ground=shapely.box(-180, -90, 180, 90))
HERE = Access(hosts=("127.0.0.1",), named=("127.0.0.1",), section="events")

A_KM, FLATTENING = 6378.137, 1 / 298.257223563


def band_km2(south: float, north: float, wide: float) -> float:
    """Area between two parallels and two meridians on WGS84, by its integral in closed form (Snyder 1987, 3-12)."""
    e = math.sqrt(FLATTENING * (2 - FLATTENING))

    def q(latitude: float) -> float:
        s = math.sin(math.radians(latitude))
        return (1 - e**2) * (s / (1 - (e * s) ** 2) - math.log((1 - e * s) / (1 + e * s)) / (2 * e))

    return A_KM**2 * math.radians(wide) * (q(north) - q(south)) / 2


def cells_km2(text: str, least: float) -> float:
    """Area of the cells of a grid.xml shaken so or more, from its numbers as text, one line at a time."""
    said = dict(re.findall(r'(\w+)="([^"]*)"', re.search(r"<grid_specification[^>]*>", text)[0]))
    tall = (float(said["lat_max"]) - float(said["lat_min"])) / (int(said["nlat"]) - 1)
    wide = (float(said["lon_max"]) - float(said["lon_min"])) / (int(said["nlon"]) - 1)
    column = int(re.search(r'index="(\d+)" name="MMI"', text)[1]) - 1
    lines = text.partition("<grid_data>")[2].partition("</grid_data>")[0].split("\n")
    rows = [line.split() for line in lines if line.strip()]
    return sum(
        band_km2(float(row[1]) - tall / 2, float(row[1]) + tall / 2, wide)
        for row in rows
        if float(row[column]) >= least
    )


@pytest.mark.parametrize("least", [5.0, 6.0, 7.0])
@pytest.mark.parametrize("name", GRIDS)
def test_the_area_of_a_real_shakemap_is_that_of_its_cells(name: str, least: float, usgs: Path):
    content = (usgs / "shakemap" / name).read_bytes()
    expected = cells_km2(content.decode(), least)
    found = shaking_of(parse_grid_xml(content), source="shakemap grid", version="us 1", least_mmi=least, land=ALL_LAND)
    assert expected > 100
    assert found.area.km2 == pytest.approx(expected, rel=0.005)
    assert found.area.land_km2 == pytest.approx(found.area.km2)


def test_a_real_shakemap_at_the_coast_is_partly_land(usgs: Path):
    grid = parse_grid_xml((usgs / "shakemap" / GRIDS[0]).read_bytes())
    found = shaking_of(grid, source="shakemap grid", version="us 1", least_mmi=6.0, land=coarse_land())
    assert found.max_mmi == pytest.approx(8.72)
    assert found.max_mmi_on_land == pytest.approx(8.72)
    assert 0.7 * found.area.km2 < found.area.land_km2 < 0.9 * found.area.km2
    assert found.area.ground.covers(shapely.Point(-121.88, 37.04))  # the epicentre
    assert not found.area.ground.covers(shapely.Point(-119.5, 39.0))


def test_every_node_shaken_enough_is_in_the_ground_and_no_other():
    mmi = bell(40, 60)
    grid = parse_grid_xml(grid_xml(mmi, west=14.0, north=47.0))
    ground = grid.ground(6.0)
    lon, lat = np.meshgrid(grid.lon, grid.lat)
    np.testing.assert_array_equal(shapely.contains_xy(ground, lon, lat), np.round(mmi, 3) >= 6.0)


@pytest.mark.parametrize("east", [None, -179.0])
def test_ground_over_the_antimeridian_is_split_there_and_keeps_its_area(east: float | None):
    mmi = bell(41, 61)
    here, there = (
        parse_grid_xml(grid_xml(mmi, west=west, north=-16.0, east=last)) for west, last in ((10.0, None), (178.0, east))
    )
    plain = area_of(here.ground(6.0), source="shakemap grid", land=ALL_LAND)
    split = area_of(there.ground(6.0), source="shakemap grid", land=ALL_LAND)
    assert split.km2 == pytest.approx(plain.km2, rel=1e-8)
    assert [part.bounds[::2] for part in sorted(split.ground.geoms, key=lambda one: one.bounds)] == [
        (-180.0, pytest.approx(179.5 + 0.75 - 360, abs=0.8)), (pytest.approx(179.5 - 0.75, abs=0.8), 180.0),
    ]  # fmt: skip


def test_no_ground_is_shaken_enough_at_the_sea_alone():
    # The middle of the Pacific; no land within a thousand kilometres.
    grid = parse_grid_xml(grid_xml(bell(41, 61), west=-130.0, north=-30.0))
    found = shaking_of(grid, source="shakemap grid", version="us 1", least_mmi=6.0, land=coarse_land())
    assert (found.max_mmi_on_land, found.area.land_km2) == (0.0, 0.0)
    assert found.max_mmi == pytest.approx(8.0)
    assert found.area.km2 > 1000


def test_ground_that_nothing_shook_is_empty():
    found = shaking_of(
        parse_grid_xml(grid_xml(bell(9, 9, 5.0), west=14.0, north=47.0)),
        source="shakemap grid", version="us 1", least_mmi=6.0, land=coarse_land(),
    )  # fmt: skip
    assert found.area.ground.is_empty
    assert (found.area.km2, found.area.land_km2) == (0.0, 0.0)


@pytest.fixture(scope="session")
def real_grid(usgs: Path) -> ShakingGrid:
    """The middle of a real one."""
    grid = parse_grid_xml((usgs / "shakemap" / GRIDS[0]).read_bytes())
    top, left = 76, 120
    mmi = grid.mmi[top : top + 40, left : left + 40]
    north, west = float(grid.lat[top]), float(grid.lon[left])
    return ShakingGrid(mmi=mmi, west=west, north=north, dx=grid.dx, dy=grid.dy)


def versions(usgs: Path) -> list[Area]:
    """Ground of a real ShakeMap as it might have been told: too weak, moved, then as it was, then weaker again."""
    grid = parse_grid_xml((usgs / "shakemap" / GRIDS[0]).read_bytes())
    shifted = np.roll(grid.mmi, 12, axis=1)
    told = [grid.mmi - 1.5, shifted - 0.5, grid.mmi, grid.mmi - 2]
    return [
        area_of(
            ShakingGrid(mmi=mmi, west=grid.west, north=grid.north, dx=grid.dx, dy=grid.dy).ground(6.0),
            source="shakemap grid", land=coarse_land(), shakemap_version=f"us {number}",
        )
        for number, mmi in enumerate(told, 1)
    ]  # fmt: skip


def test_ground_grows_with_each_version_and_never_shrinks(usgs: Path):
    known: Area | None = None
    sizes = []
    for later in versions(usgs):
        before, known = known, grown(known, later, coarse_land())
        assert known.ground.buffer(1e-9).covers(later.ground)
        assert before is None or known.ground.buffer(1e-9).covers(before.ground)
        assert known.shakemap_version == later.shakemap_version
        assert known.km2 == pytest.approx(area_km2(known.ground))
        sizes.append(known.km2)
    assert sizes[0] < sizes[1] < sizes[2] == sizes[3]


def cells_of(mmi: NDArray[np.bool_], grid: ShakingGrid) -> float:
    """Area of the cells of some nodes, one row at a time."""
    return sum(
        band_km2(lat - grid.dy / 2, lat + grid.dy / 2, grid.dx) * int(row.sum())
        for lat, row in zip(grid.lat, mmi, strict=True)
    )


STEPS = st.integers(-10, 10)
CHANGES = st.lists(st.tuples(st.floats(-3, 1), STEPS, STEPS, st.floats(-0.02, 0.02)), min_size=2, max_size=5)
"""Of a ShakeMap's later versions: stronger or weaker, moved by some nodes, stronger to the east."""


@settings(max_examples=10)
@given(changes=CHANGES, least=st.sampled_from([5.0, 6.0, 7.0]))
def test_whatever_versions_say_the_ground_is_all_that_any_of_them_shook(
    changes: list[tuple[float, int, int, float]], least: float, real_grid: ShakingGrid
):
    """No event's own grids of several versions were kept: these are a real one, altered."""
    grid, known, shaken = real_grid, None, np.zeros(real_grid.mmi.shape, bool)
    sizes = [0.0]
    for number, (stronger, down, right, east) in enumerate(changes, 1):
        mmi = np.roll(grid.mmi, (down, right), (0, 1)) + stronger + east * np.arange(grid.mmi.shape[1])
        mmi = np.minimum(mmi, 10).astype(np.float32)
        told = ShakingGrid(mmi=mmi, west=grid.west, north=grid.north, dx=grid.dx, dy=grid.dy)
        later = area_of(told.ground(least), source="shakemap grid", land=ALL_LAND, shakemap_version=f"us {number}")
        known = grown(known, later, ALL_LAND)
        shaken |= mmi >= least
        assert known.km2 == pytest.approx(cells_of(shaken, grid), rel=0.005, abs=0.01)
        assert known.km2 >= sizes[-1] * (1 - 1e-9)
        sizes.append(known.km2)


def test_ground_grows_over_two_real_grids_of_one_earthquake_in_either_order(usgs: Path):
    """Loma Prieta as it was processed in 2014 and, on a smaller map, in 2020."""
    grids = [parse_grid_xml((usgs / "shakemap" / name).read_bytes()) for name in GRIDS]
    whole, small = (area_of(one.ground(6.0), source="shakemap grid", land=coarse_land()) for one in grids)
    assert small.km2 < whole.km2
    both = [grown(first, second, coarse_land()) for first, second in ((whole, small), (small, whole))]
    for found in both:
        assert found.ground.buffer(1e-9).covers(whole.ground)
        assert found.ground.buffer(1e-9).covers(small.ground)
        assert whole.km2 - 1e-3 <= found.km2 <= whole.km2 + small.km2
    assert both[0].km2 == pytest.approx(both[1].km2)


def test_ground_that_nothing_is_added_to_is_the_same_to_the_last_digit(usgs: Path):
    *_, strong, weak = versions(usgs)
    assert shapely.to_wkb(grown(strong, weak, coarse_land()).ground) == shapely.to_wkb(strong.ground)
    nothing = area_of(shapely.MultiPolygon(), source="nothing", land=coarse_land())
    assert grown(strong, nothing, coarse_land()).km2 == strong.km2
    assert grown(nothing, strong, coarse_land()) is strong


def test_an_area_is_written_and_read_back(usgs: Path):
    made = versions(usgs)[0]
    again = Area.from_feature(json.loads(json.dumps(made.as_feature())))
    assert again.ground.equals(made.ground)
    assert (again.source, again.shakemap_version, again.land_source) == ("shakemap grid", "us 1", made.land_source)
    assert again.km2 == pytest.approx(made.km2, abs=0.001)
    for broken in ({}, {"geometry": None, "properties": {}}, {"geometry": {"type": "Nothing"}, "properties": {}}):
        with pytest.raises(InvalidRegionError):
            Area.from_feature(broken)


def coverage(grid: ShakingGrid, *, listed: bool = False, upwards: bool = False) -> dict[str, Any]:
    lon, lat = grid.lon, grid.lat[::-1] if upwards else grid.lat
    mmi = grid.mmi[::-1] if upwards else grid.mmi
    axes = {
        name: {"values": list(map(float, places))}
        if listed
        else {"start": float(places[0]), "stop": float(places[-1]), "num": len(places)}
        for name, places in (("x", lon), ("y", lat))
    }
    values = [None if math.isnan(value) else float(value) for value in mmi.ravel()]
    ranges = {"MMI": {"type": "NdArray", "axisNames": ["y", "x"], "shape": list(mmi.shape), "values": values}}
    return {"type": "Coverage", "domain": {"type": "Domain", "axes": axes}, "ranges": ranges}


@pytest.mark.parametrize("listed", [False, True])
@pytest.mark.parametrize("upwards", [False, True])
def test_a_coverage_says_what_the_grid_says(listed: bool, upwards: bool):  # noqa: FBT001 two cases
    grid = parse_grid_xml(grid_xml(bell(30, 44), west=14.0, north=47.0))
    again = parse_coverage(json.dumps(coverage(grid, listed=listed, upwards=upwards)).encode())
    np.testing.assert_array_equal(again.mmi, grid.mmi)
    np.testing.assert_allclose(again.lon, grid.lon)
    np.testing.assert_allclose(again.lat, grid.lat)


def test_a_coverage_may_lack_values():
    grid = parse_grid_xml(grid_xml(bell(30, 44), west=14.0, north=47.0))
    said = coverage(grid)
    said["ranges"]["MMI"]["values"][0] = None
    assert math.isnan(parse_coverage(json.dumps(said).encode()).mmi[0, 0])


WHOLE = grid_xml(bell(12, 16), west=14.0, north=47.0).decode()
BROKEN = {
    "cut off": WHOLE[:-400],
    "a page": "<html><body>moved</body></html>",
    "nothing": "",
    "a number too few": WHOLE.replace("14.0000 47.0000 ", "14.0000 ", 1),
    "a word": WHOLE.replace("14.0000 47.0000", "14.0000 north", 1),
    "another order": WHOLE.replace('"LON"', '"X"').replace('"LAT"', '"LON"').replace('"X"', '"LAT"'),
    "no intensity": WHOLE.replace('name="MMI"', 'name="PGV"'),
    "no specification": WHOLE.replace("grid_specification", "other"),
    "another place": WHOLE.replace('lon_min="14', 'lon_min="13'),
    "huge": WHOLE.replace('nlon="16"', 'nlon="99999999999"'),
    "no such number": WHOLE.replace('nlat="12"', 'nlat="many"'),
    "beyond the pole": WHOLE.replace('lat_max="47', 'lat_max="147'),
    "an entity": WHOLE.replace("<shakemap_grid", '<!DOCTYPE a [<!ENTITY b "c">]>\n<shakemap_grid', 1),
    "an entity from outside": WHOLE.replace(
        "<shakemap_grid", '<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]>\n<shakemap_grid', 1
    ),
    "too strong": grid_xml(bell(12, 16, 99.0), west=14.0, north=47.0).decode(),
}  # fmt: skip


@pytest.mark.parametrize("said", BROKEN)
def test_what_is_no_grid_is_refused(said: str):
    assert BROKEN[said] != WHOLE
    with pytest.raises(InvalidFeedError):
        parse_grid_xml(BROKEN[said].encode())


@given(st.integers(0, len(WHOLE) - 1), st.sampled_from(list('<>&"/ 9x\x00')))
def test_a_grid_with_one_other_letter_is_read_or_refused(at: int, letter: str):
    for parse, content in ((parse_grid_xml, WHOLE), (parse_coverage, WHOLE)):
        try:
            parse((content[:at] + letter + content[at + 1 :]).encode())
        except InvalidFeedError:
            continue


@given(st.recursive(
    st.none() | st.floats() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(
        st.sampled_from(["domain", "axes", "x", "y", "start", "stop", "num", "values", "ranges", "MMI"]), inner
    ), max_leaves=20,
))  # fmt: skip
def test_any_coverage_is_read_or_refused(content: object):
    try:
        parse_coverage(json.dumps(content).encode())
    except InvalidFeedError:
        return


def shakemap(address: str, *names: str) -> Product:
    contents = {f"download/{name}": f"{address}/{name}" for name in names}
    detail = parse_detail(feature(products={"shakemap": [product("us", 1, 1000, contents=contents)]}))
    return detail.shakemap


def read(address: str, *names: str) -> Shaking:
    return read_shaking(shakemap(address, *names), HERE, least_mmi=6.0, land=ALL_LAND)


GRID = parse_grid_xml(WHOLE.encode())
FILES = {"/grid.xml": WHOLE.encode(), "/coverage_mmi_high_res.covjson": json.dumps(coverage(GRID)).encode()}


def serve(**instead: Answer) -> Any:  # noqa: ANN401 a context
    def answer(asked: Asked) -> Answer:
        name = asked.path.strip("/").partition(".")[0]
        return instead.get(name) or Answer(content=FILES[asked.path])

    return site(answer)


def test_the_grid_is_read_first_and_alone():
    with serve() as server:
        assert read(server.address, "coverage_mmi_high_res.covjson", "grid.xml").area.source == "shakemap grid"
        assert [one.path for one in server.asked] == ["/grid.xml"]


@pytest.mark.parametrize("bad", [Answer(content=b"<a>"), Answer(status=404), Answer(content=b"")])
def test_the_next_best_is_read_where_the_grid_is_no_use(bad: Answer):
    with serve(grid=bad) as server:
        found = read(server.address, "grid.xml", "coverage_mmi_high_res.covjson")
    assert (found.area.source, found.version) == ("shakemap coverage", "us 1")
    assert found.area.km2 == pytest.approx(area_km2(GRID.ground(6.0)))


@pytest.mark.usefixtures("at_once")
def test_a_grid_that_is_away_is_waited_for_and_not_replaced():
    with serve(grid=Answer(status=503)) as server, pytest.raises(FeedAwayError):
        read(server.address, "grid.xml", "coverage_mmi_high_res.covjson")


def test_a_shakemap_without_shaking_is_refused_by_all_that_is_wrong():
    with serve(grid=Answer(content=b"<a>")) as server:
        with pytest.raises(InvalidFeedError, match=r"grid\.xml: no grid"):
            read(server.address, "grid.xml")
        with pytest.raises(InvalidFeedError, match="no file with intensities"):
            read(server.address, "other.txt")


@given(st.floats(-180, 540), st.floats(-80, 80), st.floats(0.1, 60))
def test_ground_is_brought_onto_the_globe_whole(west: float, south: float, wide: float):
    box = shapely.box(west, south, west + wide, south + 5)
    found = wrapped(box)
    assert shapely.box(-180, -90, 180, 90).covers(found)
    assert found.area == pytest.approx(box.area, rel=1e-6)
