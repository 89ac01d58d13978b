"""Files as assets: what each is, how large, its hash, and of a raster what its numbers mean."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any, NamedTuple, Protocol

from pystac import Asset

from landslide_scale.bands import BAND_NAMES
from landslide_scale.cube.arrays import VARIABLES, Variable
from landslide_scale.cube.reflectance import variables
from landslide_scale.products.classes import REASONS, Shown
from landslide_scale.products.plane import Plane

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


class _Raster(NamedTuple):
    """What the numbers of a raster mean, and how its classes are shown."""

    variable: Variable
    classes: Mapping[int, Shown]


_CLASSES: Mapping[str, Mapping[int, Shown]] = {"reason": REASONS}
_RASTERS = {one.name: _Raster(one, _CLASSES.get(one.name, {})) for one in (*VARIABLES, *variables(BAND_NAMES))}


def assets(folder: str, products: Mapping[str, File], planes: Sequence[Plane] = ()) -> dict[str, Asset]:
    """The products below a folder as assets of an Item or a Collection that lies there, by name inside it.

    Args:
        folder: Below the folder of the products, with a slash at its end, or empty for that itself.
        products: All, by name below that.
        planes: What the numbers of rasters mean that are made of two layers.
    """
    known = _RASTERS | {one.name: _Raster(one.variable, one.classes) for one in planes}
    inside = {name.removeprefix(folder): file for name, file in sorted(products.items()) if name.startswith(folder)}
    return {name: _asset(name, file, known) for name, file in inside.items()}


def extensions(known: Mapping[str, Asset]) -> list[str]:
    """Addresses of the extensions whose fields these assets have."""
    fields = {field for asset in known.values() for field in asset.extra_fields}
    return [uri for prefix, uri in _EXTENSIONS.items() if any(field.startswith(prefix) for field in fields)]


def sha256_multihash(sha256: str) -> str:
    """A hash, hexadecimal, as ``file:checksum`` has it."""
    return _SHA256 + sha256


def _asset(name: str, file: File, known: Mapping[str, _Raster]) -> Asset:
    path = PurePosixPath(name)
    kind, raster = _KINDS.get(path.suffix, _OTHER), known.get(path.stem)
    said = {"file:size": file.bytes, "file:checksum": sha256_multihash(file.sha256)}
    if path.suffix == ".tif" and raster is not None:
        said |= _numbers(raster)
    title = None if raster is None else str(raster.variable.attributes["long_name"])
    return Asset(f"./{name}", title=title, media_type=kind.media, roles=list(kind.roles), extra_fields=said)


def _numbers(raster: _Raster) -> dict[str, Any]:
    """A raster's only band, in the words of STAC 1.1 and its extensions for rasters and classes."""
    said = raster.variable.attributes
    known: dict[str, Any] = {"data_type": raster.variable.dtype, "nodata": raster.variable.fill}
    if "units" in said:
        known |= {"unit": said["units"]}
    if "scale_factor" in said:
        known |= {"raster:scale": said["scale_factor"], "raster:offset": said.get("add_offset", 0)}
    if "flag_values" in said:
        names = dict(zip(said["flag_values"], str(said["flag_meanings"]).split(), strict=True))
        known |= {"classification:classes": [_class(code, name, raster.classes[code]) for code, name in names.items()]}
    elif raster.classes:
        shown = raster.classes.items()
        known |= {"classification:classes": [_class(code, f"bits_{code}", one) for code, one in shown]}
    return known


def _class(code: int, name: str, shown: Shown) -> dict[str, Any]:
    colour = "{:02X}{:02X}{:02X}".format(*shown.colour)
    return {"value": int(code), "name": name, "description": shown.words, "color_hint": colour}
