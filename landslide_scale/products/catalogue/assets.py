"""Files as assets: what each is, how large, its hash, and of a raster what its numbers mean."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any, NamedTuple, Protocol

from pystac import Asset

from landslide_scale.bands import BAND_NAMES, Reason
from landslide_scale.cube.arrays import VARIABLES, Variable
from landslide_scale.cube.reflectance import variables
from landslide_scale.products.classes import REASONS

_SHA256 = "1220"
"""How a multihash of SHA-256 begins: its code and its length, both in hexadecimal (multiformats.io/multihash)."""


class File(Protocol):
    """A product that was made."""

    @property
    def bytes(self) -> int:
        """Its size."""

    @property
    def sha256(self) -> str:
        """Hash of it, hexadecimal."""


class _Kind(NamedTuple):
    """What files of an ending are."""

    media: str | None
    roles: tuple[str, ...]


_COG = "image/tiff; application=geotiff; profile=cloud-optimized"
_KINDS = {
    ".tif": _Kind(_COG, ("data",)),
    ".qml": _Kind("application/xml", ("style",)),
    ".xml": _Kind("application/xml", ("metadata",)),
    ".gpkg": _Kind("application/geopackage+sqlite3", ("data",)),
    ".parquet": _Kind("application/vnd.apache.parquet", ("data",)),
    ".geojson": _Kind("application/geo+json", ("data",)),
    ".html": _Kind("text/html", ("overview",)),
}
_OTHER = _Kind(None, ("data",))
_EXTENSIONS = {
    "file:": "https://stac-extensions.github.io/file/v2.1.0/schema.json",
    "raster:": "https://stac-extensions.github.io/raster/v2.0.0/schema.json",
    "classification:": "https://stac-extensions.github.io/classification/v1.1.0/schema.json",
}
"""By how the names of their fields begin; pystac's own for rasters is that of STAC 1.0."""


_RASTERS = {one.name: one for one in (*VARIABLES, *variables(BAND_NAMES))}


def assets(folder: str, products: Mapping[str, File]) -> dict[str, Asset]:
    """The products below a folder as assets of an Item or a Collection that lies there, by name inside it.

    Args:
        folder: Below the folder of the products, with a slash at its end, or empty for that itself.
        products: All, by name below that.
    """
    inside = {name.removeprefix(folder): file for name, file in sorted(products.items()) if name.startswith(folder)}
    return {name: _asset(name, file) for name, file in inside.items()}


def extensions(known: Mapping[str, Asset]) -> list[str]:
    """Addresses of the extensions whose fields these assets have."""
    fields = {field for asset in known.values() for field in asset.extra_fields}
    return [uri for prefix, uri in _EXTENSIONS.items() if any(field.startswith(prefix) for field in fields)]


def sha256_multihash(sha256: str) -> str:
    """A hash, hexadecimal, as ``file:checksum`` has it."""
    return _SHA256 + sha256


def _asset(name: str, file: File) -> Asset:
    path = PurePosixPath(name)
    kind, variable = _KINDS.get(path.suffix, _OTHER), _RASTERS.get(path.stem)
    said = {"file:size": file.bytes, "file:checksum": sha256_multihash(file.sha256)}
    if path.suffix == ".tif" and variable is not None:
        said |= _numbers(variable)
    title = None if variable is None else str(variable.attributes["long_name"])
    return Asset(f"./{name}", title=title, media_type=kind.media, roles=list(kind.roles), extra_fields=said)


def _numbers(variable: Variable) -> dict[str, Any]:
    """A raster's only band, in the words of STAC 1.1 and its extensions for rasters and classes."""
    said, known = variable.attributes, {"data_type": variable.dtype, "nodata": variable.fill}
    if "units" in said:
        known |= {"unit": said["units"]}
    if "scale_factor" in said:
        known |= {"raster:scale": said["scale_factor"], "raster:offset": said.get("add_offset", 0)}
    if "flag_values" in said:
        known |= {"classification:classes": [_class(Reason(code)) for code in said["flag_values"]]}
    return known


def _class(reason: Reason) -> dict[str, Any]:
    shown = REASONS[reason]
    colour = "{:02X}{:02X}{:02X}".format(*shown.colour)
    return {"value": int(reason), "name": reason.name.lower(), "description": shown.words, "color_hint": colour}
