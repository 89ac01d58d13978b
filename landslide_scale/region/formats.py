"""The formats that vector files are read in, and no others.

GDAL asks every driver it has whether a file is its own, whatever the file's name: one called ``labels.geojson`` may be
a description by which GDAL reads another file, or asks a server of somebody's choice. So the drivers of all other
formats are taken away from pyogrio's GDAL before the first file is opened: none of those that are left follows what a
file says to another place. That holds for the whole process, because GDAL has one list of drivers; rasterio's GDAL is
another, and keeps its own.
"""

from __future__ import annotations

import functools
import re
from pathlib import Path

import pyogrio
import pyogrio._ogr  # has what makes GDAL go through its drivers anew

DRIVERS = frozenset({"ESRI Shapefile", "FlatGeobuf", "GPKG", "GeoJSON", "GeoJSONSeq", "KML", "LIBKML"})
"""As GDAL calls them. GeoParquet is read without GDAL."""

FORMATS = "GeoJSON, GeoPackage, Shapefile, FlatGeobuf, KML or GeoParquet"

_BEGINNING = 65_536

_KNOWN = (
    (rb"<OGRVRTDataSource", "an OGR VRT, which names other files"),
    (rb"<VRTDataset", "a VRT, which names other files"),
    (rb"gdal_streamed_alg", "a GDALG pipeline, which names other files"),
    (rb"<OGRWFSDataSource", "a description of a web service (WFS)"),
    (rb"<OGRWFSLayer|<wfs:WFS_Capabilities|<WFS_Capabilities", "an answer of a web service (WFS)"),
    (rb"<OGROAPIFDataSource|<csw:|<CSW", "a description of a web service"),
    (rb"opengis\.net/gml", "GML"),
    (rb"<gpx", "GPX"),
    (rb'"type"\s*:\s*"Topology"', "TopoJSON"),
    (rb'"esriGeometry', "Esri JSON"),
    (rb"\A\s*Version \d+", "MapInfo"),
    (rb"\ASQLite format 3\0", "an SQLite database that is no GeoPackage"),
)
_BY_ENDING = {".gdb": "a File Geodatabase", ".tab": "MapInfo", ".mif": "MapInfo", ".csv": "a table", ".dxf": "DXF"}


@functools.cache
def only_documented() -> None:
    """Take all drivers but :data:`DRIVERS` away from pyogrio's GDAL, for as long as this process lives.

    Raises:
        RuntimeError: GDAL kept one of them: nothing of a stranger may be opened with it.
    """
    skipped = pyogrio.get_gdal_config_option("GDAL_SKIP")
    pyogrio.set_gdal_config_options({"GDAL_SKIP": ",".join(sorted(set(pyogrio.list_drivers()) - DRIVERS))})
    try:
        pyogrio._ogr._register_drivers()  # noqa: SLF001 GDALAllRegister, which ends by dropping what GDAL_SKIP names
    finally:
        pyogrio.set_gdal_config_options({"GDAL_SKIP": skipped})
    if kept := set(pyogrio.list_drivers()) - DRIVERS:
        raise RuntimeError(f"pyogrio {pyogrio.__version__} keeps the drivers {sorted(kept)}")


def what_it_is(path: Path) -> str:
    """What a file seems to be that is in none of the formats; empty where nothing tells."""
    by_ending = _BY_ENDING.get(path.suffix.lower(), "")
    if by_ending or not path.is_file():
        return by_ending
    with path.open("rb") as file:
        beginning = file.read(_BEGINNING)
    return next((said for form, said in _KNOWN if re.search(form, beginning)), "")
