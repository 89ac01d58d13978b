"""Files of regions and labels that are not what they are called: no other file is read by them, and no server asked."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import fsspec
import geopandas as gpd
import pyogrio
import pytest
import shapely
from helpers.hostile import World
from helpers.webserver import Answer

from landslide_scale.errors import InvalidRegionError, StorageAwayError
from landslide_scale.reading import asking
from landslide_scale.region import formats
from landslide_scale.region.drawn import draw
from landslide_scale.region.polygons import load
from landslide_scale.region.settings import LabelsConfig, RegionConfig
from landslide_scale.region.sources import vector_files
from landslide_scale.storage.absence import patient

pytestmark = pytest.mark.hostile

SQUARE = shapely.box(14, 46, 15, 47)


def victim(world: World) -> Path:
    """A good file of somebody else's, outside what was named."""
    path = world.root.parent / "victim.geojson"
    gpd.GeoDataFrame(geometry=[SQUARE], crs=4326).to_file(path)
    return path


def ogr_vrt(source: str, layer: str) -> str:
    return (
        f'<OGRVRTDataSource><OGRVRTLayer name="{layer}"><SrcDataSource>{source}</SrcDataSource>'
        f"<SrcLayer>{layer}</SrcLayer></OGRVRTLayer></OGRVRTDataSource>"
    )


def pipeline(source: str) -> str:
    return json.dumps(
        {"type": "gdal_streamed_alg", "command_line": f"gdal vector pipeline ! read {source} ! reproject"}
    )


STRANGE: dict[str, Callable[[World], str]] = {
    "OGR VRT of a local file": lambda w: ogr_vrt(str(victim(w)), "victim"),
    "OGR VRT behind a text": lambda w: "<!-- labels -->\n" + ogr_vrt(str(victim(w)), "victim"),
    "OGR VRT of a server": lambda w: ogr_vrt(f"/vsicurl/{w.canary.address}/a.geojson", "a"),
    "OGR VRT of a metadata service": lambda w: ogr_vrt(f"{w.canary.address}/latest/meta-data", "a"),
    "GDALG pipeline of a local file": lambda w: pipeline(str(victim(w))),
    "GDALG pipeline of a server": lambda w: pipeline(f"/vsicurl/{w.canary.address}/a.geojson"),
    "WFS description": lambda w: f"<OGRWFSDataSource><URL>{w.canary.address}/wfs</URL></OGRWFSDataSource>",
    "CSW description": lambda w: f"<OGRCSWDataSource><URL>{w.canary.address}/csw</URL></OGRCSWDataSource>",
    "OAPIF description": lambda w: f"<OGROAPIFDataSource><URL>{w.canary.address}/api</URL></OGROAPIFDataSource>",
    "GML with a schema elsewhere": lambda w: (
        '<gml:FeatureCollection xmlns:gml="http://www.opengis.net/gml" '
        f'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:schemaLocation="a {w.canary.address}/a.xsd"/>'
    ),
    "GPX": lambda _: '<gpx version="1.1" xmlns="http://www.topografix.com/GPX/1/1"/>',
    "SQL": lambda _: "CREATE TABLE a (x); ATTACH DATABASE '/etc/passwd' AS p;",
}


def test_the_good_file_is_read_so_that_refusals_mean_something(world: World):
    assert load(RegionConfig(file=str(victim(world)))).equals(SQUARE)
    url = world.serve("/good.geojson", Answer(content=victim(world).read_bytes()))
    assert load(RegionConfig(file=url)).equals(SQUARE)


@pytest.mark.parametrize("name", STRANGE)
@pytest.mark.parametrize("ending", [".geojson", ".gpkg", ".kml"])
def test_a_file_of_another_format_is_refused_whatever_it_is_called(world: World, name: str, ending: str):
    path = world.root / f"labels{ending}"
    path.write_text(STRANGE[name](world))
    for use in (lambda: load(RegionConfig(file=str(path))), lambda: draw(LabelsConfig(file=str(path)))):
        with pytest.raises(InvalidRegionError) as caught:
            use()
        assert caught.value.where["file"] == str(path)
        assert "GeoJSON, GeoPackage" in caught.value.expected


@pytest.mark.parametrize("name", ["OGR VRT of a local file", "GDALG pipeline of a server", "WFS description", "GPX"])
def test_what_it_is_instead_is_said(world: World, name: str):
    path = world.root / "labels.geojson"
    path.write_text(STRANGE[name](world))
    with pytest.raises(InvalidRegionError, match=r"which is not read; expected GeoJSON") as caught:
        load(RegionConfig(file=str(path)))
    assert name.split(maxsplit=1)[0] in caught.value.found or "WFS" in caught.value.found


@pytest.mark.parametrize("name", STRANGE)
def test_the_same_bytes_are_refused_wherever_they_are_fetched_from(world: World, name: str):
    content = STRANGE[name](world).encode()
    fsspec.filesystem("memory").pipe_file("/labels.geojson", content)
    for url in (world.serve("/labels.geojson", Answer(content=content)), "memory://labels.geojson"):
        with pytest.raises(InvalidRegionError):
            load(RegionConfig(file=url))


def test_a_folder_is_not_searched_for_formats_that_are_not_read(tmp_path: Path):
    for name in ("a.vrt", "a.gml", "a.gdbtable", "a.sqlite"):
        (tmp_path / name).write_text("x")
    with pytest.raises(InvalidRegionError, match="no vector file in it"), vector_files(str(tmp_path)):
        pass


def test_a_region_is_fetched_from_the_host_that_was_named_alone(world: World):
    for where in (f"{world.canary.address}/a.geojson", f"file://{victim(world)}"):
        url = world.serve("/moved.geojson", Answer.redirect(where))
        with pytest.raises(InvalidRegionError, match="redirect"):
            load(RegionConfig(file=url))


def test_a_server_that_is_busy_is_away_and_no_fault_of_the_file(world: World, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(asking, "ATTEMPTS", 2)
    url = world.serve("/a.geojson", Answer(status=503))
    with pytest.raises(StorageAwayError, match="503") as caught, patient(0):
        load(RegionConfig(file=f"{url}?sig=SECRET"))
    assert "SECRET" not in str(caught.value)
    assert world.front.count("/a.geojson") == 2


def test_a_body_without_end_is_left(world: World, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("landslide_scale.region.sources._MOST_FETCHED", 1000)
    url = world.serve("/a.geojson", Answer(content=b" " * 100_000))
    with pytest.raises(InvalidRegionError, match="more than 1,000 bytes"):
        load(RegionConfig(file=url))


NARROWED = """
import pyogrio
from landslide_scale.region import formats
assert "OGR_VRT" in pyogrio.list_drivers()
formats.only_documented()
print(sorted(set(pyogrio.list_drivers()) - formats.DRIVERS), pyogrio.get_gdal_config_option("GDAL_SKIP"))
"""


def test_gdal_is_left_with_the_documented_drivers_and_nothing_else_of_it_changes():
    ran = subprocess.run([sys.executable, "-c", NARROWED], capture_output=True, text=True, check=True)
    assert ran.stdout.split() == ["[]", "None"]
    formats.only_documented()
    assert set(pyogrio.list_drivers()) <= formats.DRIVERS
