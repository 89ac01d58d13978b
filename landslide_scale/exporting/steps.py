"""Which products there are of a scan, in the order they are made in, and what makes each."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

import shapely

from landslide_scale.errors import InvalidConfigError, InvalidInputError
from landslide_scale.exporting.bench import at_hand
from landslide_scale.exporting.manifest import Manifest
from landslide_scale.exporting.product import Product, given, single
from landslide_scale.exporting.settings import ExportSettings
from landslide_scale.grid import Lattice
from landslide_scale.products import names
from landslide_scale.products.catalogue.written import catalogue
from landslide_scale.products.landslide import GEOMETRY, Landslide
from landslide_scale.products.outlines.landslides import landslides
from landslide_scale.products.outlines.wanted import Wanted
from landslide_scale.products.page.report import report
from landslide_scale.products.rasters.cog import write_raster
from landslide_scale.products.rasters.style import NAMES_ENDING, class_names, style
from landslide_scale.products.scanned import Scanned
from landslide_scale.products.vectors.geojson import write_geojson
from landslide_scale.products.vectors.geopackage import write_geopackage
from landslide_scale.products.vectors.geoparquet import parts, write_geoparquet
from landslide_scale.products.vectors.settings import UserLayersConfig
from landslide_scale.products.vectors.touching import touching
from landslide_scale.products.vectors.userlayers import UserLayer, user_layers
from landslide_scale.storage.rundir import RunDirectory
from landslide_scale.strictyaml import parse


def steps(of: Scanned, settings: ExportSettings, target: RunDirectory) -> list[Product]:
    """All products, each after those it reads.

    Args:
        of: The scan.
        settings: What they depend on.
        target: Where those lie that others read.

    Raises:
        InvalidInputError: A layer of the user's has no such name, or cannot be read.
    """
    if not of.predicted:
        _check_asked(settings)
        return _without_network(of, target)
    threshold = of.threshold if settings.threshold is None else settings.threshold
    wanted = Wanted(threshold=threshold, least_area_m2=settings.min_area_m2)
    layers = user_layers(parse(UserLayersConfig, {name: {"file": file} for name, file in settings.layers.items()}))
    of_map = [*_rasters(of), _polygons(of, wanted, layers), *_from_polygons(of, target)]
    return [*of_map, _listed(of, target, of_map), _report(of, target, threshold)]


def _check_asked(settings: ExportSettings) -> None:
    if settings.threshold is not None or settings.layers:
        raise InvalidConfigError(
            f"{'a threshold' if settings.threshold is not None else 'a layer'}, and {_NO_NETWORK}",
            expected="a scan with a checkpoint: there are no probabilities, and no polygons of them",
            key="--threshold" if settings.threshold is not None else "--layer",
        )


def _listed(of: Scanned, target: RunDirectory, of_map: Sequence[Product]) -> Product:
    return Product(
        name=names.CATALOGUE,
        kind="stac",
        make=given(partial(_catalogue, of, target)),
        takes=tuple(product.name for product in of_map),
    )


def _without_network(of: Scanned, target: RunDirectory) -> list[Product]:
    """What there is of a scan without a network; of what is made of probabilities, the reason why it is not."""
    rasters = [
        _not_made(raster.name, raster.kind) if raster.name.endswith(_PROBABILITY) else raster for raster in _rasters(of)
    ]
    vectors = [_not_made(name, "vector") for name in (names.POLYGONS, names.GEOPACKAGE, names.GEOJSON)]
    return [*rasters, *vectors, _listed(of, target, rasters), _not_made(names.REPORT, "report")]


_PROBABILITY = "/probability.tif"


def _not_made(name: str, kind: str) -> Product:
    return Product(name=name, kind=kind, make=partial(_said, f"{name}: it is made of probabilities, and {_NO_NETWORK}"))


_NO_NETWORK = "the scan was made without a network (model: none)"


def _said(why: str, _: Path) -> str:
    return why


def _rasters(of: Scanned) -> Iterator[Product]:
    for lattice, extent in of.extents.items():
        for layer, window in enumerate(of.windows):
            for variable in of.variables:
                yield Product(
                    name=names.raster(lattice, window, variable),
                    kind="cog",
                    make=partial(_raster, of, lattice, layer, variable),
                    pixels=extent.shape[0] * extent.shape[1],
                )


def _raster(of: Scanned, lattice: Lattice, layer: int, variable: str, folder: Path) -> str:
    """A raster, its style, and the names of its classes."""
    path = folder / names.raster(lattice, of.windows[layer], variable)
    write_raster(of, lattice, layer, variable, path)
    path.with_suffix(".qml").write_text(style(of, variable), encoding="utf-8")
    if (classes := class_names(variable)) is not None:
        path.with_name(path.name + NAMES_ENDING).write_text(classes, encoding="utf-8")
    return ""


def _polygons(of: Scanned, wanted: Wanted, layers: Sequence[UserLayer]) -> Product:
    return Product(
        name=names.POLYGONS,
        kind="vector",
        make=single(names.POLYGONS, partial(_write_polygons, of, wanted, layers)),
        settings={**asdict(wanted), "layers": {layer.name: _sha256(layer) for layer in layers}},
        pixels=_pixels(of),
    )


def _write_polygons(of: Scanned, wanted: Wanted, layers: Sequence[UserLayer], path: Path) -> None:
    left_out: dict[str, Mapping[str, Any]] = {}
    said = {
        **asdict(wanted),
        "left_out": left_out,
        "units_missing": len(of.missing),
        "layers": {layer.name: layer.said for layer in layers},
    }

    def found() -> Iterator[Landslide]:
        for layer, window in enumerate(of.windows):
            of_layer = landslides(of, layer, wanted)
            yield from of_layer
            left_out[window.days] = asdict(of_layer.left_out)

    write_geoparquet(touching(found(), layers), path, said)


def _from_polygons(of: Scanned, target: RunDirectory) -> list[Product]:
    def geopackage(path: Path) -> None:
        with at_hand(target, names.POLYGONS, path.parent) as polygons:
            write_geopackage(polygons, of, path)

    def geojson(folder: Path) -> str:
        with at_hand(target, names.POLYGONS, folder) as polygons:
            try:
                write_geojson(polygons, folder / names.GEOJSON)
            except InvalidInputError as error:  # too large to be loaded at once
                return str(error)
        return ""

    needs = (names.POLYGONS,)
    made = single(names.GEOPACKAGE, geopackage)
    return [
        Product(name=names.GEOPACKAGE, kind="vector", make=made, needs=needs, pixels=_pixels(of)),
        Product(name=names.GEOJSON, kind="vector", make=geojson, needs=needs),
    ]


def _catalogue(of: Scanned, target: RunDirectory) -> dict[str, bytes]:
    return catalogue(of, Manifest.read(target).of_cube(of.cube_sha256).of_kinds(("cog", "vector")).files)


def _report(of: Scanned, target: RunDirectory, threshold: float) -> Product:
    asked = replace(of, said={**of.said, "threshold": threshold})

    def write(path: Path) -> None:
        with at_hand(target, names.POLYGONS, path.parent) as polygons:
            report(asked, _rows(polygons), path)

    return Product(
        name=names.REPORT,
        kind="report",
        make=single(names.REPORT, write),
        settings={"threshold": threshold},
        needs=(names.POLYGONS,),
        pixels=_pixels(of),
    )


def _rows(polygons: Path) -> Iterator[dict[str, Any]]:
    for part in parts(polygons):
        for row in part.to_pylist():
            yield row | {GEOMETRY: shapely.from_wkb(row[GEOMETRY])}


def _pixels(of: Scanned) -> int:
    return len(of.windows) * sum(box.shape[0] * box.shape[1] for box in of.extents.values())


def _sha256(layer: UserLayer) -> str:
    digest = hashlib.sha256()
    for piece in shapely.to_wkb(layer.pieces):
        digest.update(piece)
    return digest.hexdigest()
