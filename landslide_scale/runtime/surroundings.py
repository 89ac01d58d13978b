"""What shells and other programs leave in the environment, and what of it would change pixels, places or bytes.

QGIS, PostGIS and conda's activation scripts set where PROJ's and GDAL's data and plugins are, for their own versions of
them; ours come with their data. Dozens of further variables, and a file in the home folder, change how GDAL, PROJ and
Zarr read and write. None of them is part of a run's settings, so none is heeded, in any process of a run: this is
called when the package is imported, before the libraries are. What says how to reach the network stays.
"""

from __future__ import annotations

from collections.abc import MutableMapping
from importlib.util import find_spec
from pathlib import Path

_SETTINGS = ("GDAL_", "OGR_", "OSR_", "GTIFF_", "CPL_", "VSI_", "PROJ_", "SHAPE_", "ZARR_ARRAY__", "CENTER_LONG")
"""How the names of variables begin that decide what is read or written."""

_KEPT = ("GDAL_HTTP", "GDAL_PROXY_AUTH", "GDAL_CURL_", "GDAL_CACHEMAX", "CPL_CURL_", "CPL_VSIL_CURL_USE_HEAD")
"""Proxies, certificates and credentials, and how much memory is used."""

_SAYING = ("CPL_DEBUG", "CPL_LOG")

_WITH_DATA = (("rasterio", "proj_data"), ("pyogrio", "proj_data"), ("pyproj", "proj_dir"))
_DATA = ("GDAL_DATA", "GDAL_DRIVER_PATH", "PROJ_DATA", "PROJ_LIB")
"""Needed where the libraries did not come with their data, but from a distribution that shares one set of it."""


_NO_FILE = ("GDAL_CONFIG_FILE", "")
"""Not the one in the home folder."""

_HELD_S = ("RAY_DATA_AUTOSCALING_REQUEST_EXPIRE_TIME_S", "30")
"""For how long Ray Data keeps what a pipeline had that asks for it no more; one that is at work asks every 10 s.

A pipeline that was killed is not told from one at work before that, and a scan that follows on its cluster finds no CPU
free: with Ray's own 180 s it stood still for three minutes.
"""

OURS = dict((_NO_FILE, _HELD_S))
"""Variables that are set here."""


def settle_libraries(environment: MutableMapping[str, str]) -> None:
    """Take out of an environment what would change how libraries read and write; have Ray let go of what is dead."""
    environment.setdefault(*_HELD_S)
    shared = () if _bring_their_data() else _DATA
    for name in list(environment):
        if name.startswith(_SETTINGS) and not name.startswith((*_KEPT, *_SAYING)) and name not in shared:
            del environment[name]
    environment.update([_NO_FILE])


def _bring_their_data() -> bool:
    return all(_has(library, folder) for library, folder in _WITH_DATA)


def _has(library: str, folder: str) -> bool:
    found = find_spec(library)
    places = found.submodule_search_locations if found is not None else None
    return any(Path(place, folder).is_dir() for place in places or ())
