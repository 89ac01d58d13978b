"""The layers of vector files, geometries alone, and which of them hold the polygons that are meant.

Regions, labels and whatever else names ground by a file is read here. Attributes are not read, so that their encodings,
dates and names do not matter, unless a condition asks for them: then GDAL judges it, and says which features meet it.
"""

from __future__ import annotations

import json
import os
import re
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import geopandas as gpd
import pyarrow.parquet
import pyogrio
import pyogrio.raw
from pyogrio.errors import DataLayerError, DataSourceError, FeatureError
from pyproj.exceptions import ProjError
from shapely.errors import ShapelyError

from landslide_scale.errors import InvalidRegionError
from landslide_scale.redaction import redacted
from landslide_scale.region.formats import FORMATS, only_documented, what_it_is
from landslide_scale.region.geojson import check_geojson
from landslide_scale.region.settings import LabelsConfig, RegionConfig
from landslide_scale.region.sources import PARQUET, vector_files

_BROKEN = (
    DataSourceError, DataLayerError, ShapelyError, ProjError,
    OSError, ValueError, LookupError, TypeError, RecursionError,
)  # fmt: skip
"""What GDAL, shapely, PROJ and pyarrow raise over damaged files."""


@dataclass(frozen=True, kw_only=True)
class Kind:
    """What geometries a file is read for.

    Attributes:
        one, name: As it is called, of one geometry and of all.
        types: Of the geometries that it is.
    """

    one: str
    name: str
    types: tuple[str, ...]


POLYGONS = Kind(one="a polygon", name="polygons", types=("Polygon", "MultiPolygon"))
LINES = Kind(one="a line", name="lines", types=("LineString", "MultiLineString"))

_COLLECTION = "GeometryCollection"
"""Counts as any kind, so that one with polygons in it is refused by name and not passed over."""

_FOLDERS = (".kml", ".kmz")
"""Their layers are folders, by which the places of one drawing are sorted."""

_ANY_BYTE = "ISO-8859-1"
"""An encoding in which every byte has a meaning: names of attributes are decoded though none is asked for."""

_ADVICE = re.compile(r"; It might help|\. Set [A-Z_]+ config option")
_CALL = re.compile(r"sqlite3_\w+\(.*\) failed: ")
_NO_SQL = re.compile(r"Invalid SQL query for layer .*", re.DOTALL)
_NO_DRIVER = "not recognized as being in a supported file format"
_SHOWN = 12


@dataclass(frozen=True, kw_only=True, eq=False)
class Layer:
    """One layer of a file.

    Attributes:
        name: Unique in its file.
        shapes: A GeoSeries with the layer's reference system, None where it is a table without geometries.
        folder: Whether it is a folder of one drawing.
        unfit: How many features did not meet the condition; `shapes` are without them.
        refusal: Why the condition means nothing in this layer; empty where it does.
    """

    name: str
    shapes: Any
    folder: bool
    unfit: int = 0
    refusal: str = ""

    @property
    def kinds(self) -> Counter[str]:
        """How many geometries of each kind, those that are empty or missing left out."""
        if self.shapes is None:
            return Counter()
        return Counter(self.shapes[~(self.shapes.isna() | self.shapes.is_empty)].geom_type.tolist())

    def holds(self, kind: Kind) -> bool:
        """Whether there are geometries of a kind in it."""
        return any(one in self.kinds for one in (*kind.types, _COLLECTION))

    def __str__(self) -> str:
        if self.shapes is None:
            return f"{self.name} (no geometries)"
        return f"{self.name} ({', '.join(f'{number} {kind}' for kind, number in self.kinds.items()) or 'empty'})"


def chosen_layers(
    config: RegionConfig | LabelsConfig, condition: str | None = None, kind: Kind = POLYGONS
) -> tuple[Layer, ...]:
    """The layer that is named; else the only one with polygons, or all folders of a KML that have some.

    A file of one layer gives it whatever it holds: what is wrong with it is told by feature.

    Args:
        config: The file.
        condition: On the attributes of features, as OGR SQL has it; those that do not meet it are left out.
        kind: Of geometries, where other than polygons are meant.

    Raises:
        InvalidRegionError: The file cannot be read, has no layer of that name, or several with polygons, or the
            condition means nothing in the one that was chosen, or is met by no feature of it.
    """
    layers = _chosen(config, layers_of(str(config.file), condition), kind)
    if condition is not None:
        _check_condition(condition, layers, redacted(str(config.file)))
    return layers


def _check_condition(condition: str, layers: Sequence[Layer], where: str) -> None:
    refusal = next((layer.refusal for layer in layers if layer.refusal), "")
    if refusal:
        raise InvalidRegionError(
            f"where {condition!r} ({refusal})",
            expected="a condition on its attributes, as \"event_date = '2018-09-06'\"",
            cure="Names with other characters than letters and digits, and text, stand in quotes: \"_class\" = 'a'.",
            file=where,
        )
    if not any(layer.shapes is not None and len(layer.shapes) for layer in layers):
        raise InvalidRegionError(
            f"where {condition!r} is met by none of {sum(layer.unfit for layer in layers)} features",
            expected="at least one",
            file=where,
        )


def _chosen(config: RegionConfig | LabelsConfig, layers: tuple[Layer, ...], kind: Kind) -> tuple[Layer, ...]:
    where = redacted(str(config.file))
    if config.layer:
        named = tuple(layer for layer in layers if layer.name == config.layer)
        if not named:
            raise InvalidRegionError(f"no layer {config.layer!r}", expected=f"one of {_listed(layers)}", file=where)
        return named
    with_geometries = [layer for layer in layers if layer.shapes is not None]
    fit = tuple(layer for layer in layers if layer.holds(kind))
    if len(fit) == 1 or (fit and all(layer.folder for layer in fit)):
        return fit
    if fit:
        raise InvalidRegionError(
            f"{len(fit)} layers with {kind.name}: {_listed(fit)}",
            expected="one, or the name of one",
            cure="Name it as layer beside file, or merge them.",
            file=where,
        )
    if not layers:
        raise InvalidRegionError("no layers", expected=f"a layer with {kind.name}", file=where)
    if len(with_geometries) > 1:
        raise InvalidRegionError(
            f"no {kind.name}, but {_listed(layers)}", expected=f"a layer with {kind.name}", file=where
        )
    return tuple(with_geometries or layers[:1])


def layers_of(url: str, condition: str | None = None) -> tuple[Layer, ...]:
    """All layers of a file, a folder or an archive of such files, each under a name of its own.

    Args:
        url: The file.
        condition: On attributes: features that do not meet it are left out of the layers in which it means something.

    Raises:
        InvalidRegionError: It cannot be read.
    """
    with vector_files(url) as files:
        found = [(path, layer) for path in files for layer in _read(path, url, condition)]
        root = os.path.commonpath([path.parent for path in files])
    twice = {name for name, count in Counter(layer.name for _, layer in found).items() if count > 1}
    return tuple(
        replace(
            layer,
            name=f"{path.relative_to(root)}/{layer.name}" if layer.name in twice else layer.name,
            folder=layer.folder and len(files) == 1,
        )
        for path, layer in found
    )


def _read(path: Path, url: str, condition: str | None) -> Iterator[Layer]:
    if "!" in str(path):
        raise InvalidRegionError("a path with '!', by which pyogrio parts archives", expected="one without", file=url)
    try:
        with warnings.catch_warnings():
            # GDAL warns of what it mends or passes over. What matters of it, geometries and system, is checked.
            warnings.simplefilter("ignore")
            yield from [_parquet(path, condition)] if path.suffix.lower() in PARQUET else _by_gdal(path, condition)
    except UnboundLocalError:  # pyogrio's, after a UnicodeDecodeError that it loses
        raise InvalidRegionError(
            "a reference system whose text is no UTF-8",
            expected="one that can be read",
            cure="Assign the system anew, for example in QGIS.",
            file=redacted(url),
        ) from None
    except _BROKEN as error:
        if isinstance(error, DataSourceError) and _NO_DRIVER in str(error) and (kind := what_it_is(path)):
            raise InvalidRegionError(
                f"{kind}, which is not read",
                expected=FORMATS,
                cure="Where you trust what made it, `ogr2ogr -f GPKG new.gpkg FILE` makes a GeoPackage of it.",
                file=redacted(url),
            ) from None
        raise InvalidRegionError(
            f"cannot be read ({_said(error, path)})",
            expected=f"a readable vector file, whole: {FORMATS}",
            file=redacted(url),
        ) from None


def _by_gdal(path: Path, condition: str | None) -> list[Layer]:
    only_documented()
    folder = path.suffix.lower() in _FOLDERS
    frames = [
        (name, pyogrio.read_dataframe(path, layer=number, columns=[], encoding=_ANY_BYTE, fid_as_index=True))
        for number, name in enumerate(_names(path))
    ]
    layers = [Layer(name=name, shapes=getattr(frame, "geometry", None), folder=folder) for name, frame in frames]
    for layer in layers:
        if layer.shapes is not None and layer.shapes.crs is not None:
            check_geojson(path, layer.shapes.crs.to_epsg())
    if condition is None:
        return layers
    return [_meeting(layer, path, number, condition) for number, layer in enumerate(layers)]


def _meeting(layer: Layer, path: Path, number: int, condition: str) -> Layer:
    """A layer without the features that do not meet a condition."""
    if layer.shapes is None:
        return layer
    try:
        # All columns: of those that are not asked for, some formats give GDAL nothing to compare.
        fids = pyogrio.raw.read(
            path, layer=number, where=condition, read_geometry=False, return_fids=True, datetime_as_string=True
        )[1]
    except (*_BROKEN, FeatureError) as error:
        columns = ", ".join(map(str, pyogrio.read_info(path, layer=number, encoding=_ANY_BYTE)["fields"]))
        said = _NO_SQL.sub("GDAL cannot make sense of it", _said(error, path))
        return replace(layer, refusal=f"{said}; its attributes: {columns or 'none'}")
    kept = layer.shapes[layer.shapes.index.isin(fids)]
    return replace(layer, shapes=kept, unfit=len(layer.shapes) - len(kept))


def _names(path: Path) -> list[str]:
    try:
        return [str(name) for name, _ in pyogrio.list_layers(path)]
    except UnicodeDecodeError:
        # Names in another encoding come from GeoJSON and from files whose layer is called as they are: one layer each.
        return [path.stem]


def _parquet(path: Path, condition: str | None) -> Layer:
    """The primary geometries of a GeoParquet file; GDAL's own driver for it is rarely built in."""
    metadata = pyarrow.parquet.read_schema(path).metadata or {}
    if b"geo" not in metadata:
        return Layer(name=path.stem, shapes=None, folder=False)
    column = json.loads(metadata[b"geo"])["primary_column"]
    refusal = "" if condition is None else "GeoParquet is not read by GDAL here: make a GeoPackage of it"
    shapes = gpd.read_parquet(path, columns=[column]).geometry
    return Layer(name=path.stem, shapes=shapes, folder=False, refusal=refusal)


def _said(error: Exception, path: Path) -> str:
    """What a library says, each thing once, without its own calls and advice, and with the file's name for ours."""
    said = _CALL.sub("", _ADVICE.split(str(error))[0]).replace(str(path), path.name)
    return "; ".join(dict.fromkeys(said.split("; ")))


def _listed(layers: Sequence[Layer]) -> str:
    shown = ", ".join(str(layer) for layer in layers[:_SHOWN])
    return shown + (f" and {len(layers) - _SHOWN} more" if len(layers) > _SHOWN else "")
