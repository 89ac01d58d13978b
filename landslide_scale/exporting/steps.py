"""Which products there are of a scan, in the order they are made in, and what makes each."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import shapely

from landslide_scale.errors import InvalidConfigError
from landslide_scale.exporting.bench import at_hand
from landslide_scale.exporting.comparison import plane_raster
from landslide_scale.exporting.inheriting import Inheriting
from landslide_scale.exporting.polygons import Polygons, from_polygons
from landslide_scale.exporting.product import Product, given, single
from landslide_scale.exporting.settings import ExportSettings
from landslide_scale.exporting.shown import Shown, slopes_of
from landslide_scale.exporting.untouched import check_untouched
from landslide_scale.grid import Lattice
from landslide_scale.products import names
from landslide_scale.products.catalogue.written import catalogue
from landslide_scale.products.flags import FLAGS, flags
from landslide_scale.products.landslide import GEOMETRY
from landslide_scale.products.manifest import Manifest
from landslide_scale.products.outlines.wanted import Wanted
from landslide_scale.products.page.report import report
from landslide_scale.products.rasters.cog import write_raster
from landslide_scale.products.rasters.style import NAMES_ENDING, class_names, style
from landslide_scale.products.scanned import Scanned
from landslide_scale.products.vectors.geoparquet import parts
from landslide_scale.products.vectors.settings import UserLayersConfig
from landslide_scale.products.vectors.userlayers import user_layers
from landslide_scale.storage.rundir import RunDirectory
from landslide_scale.strictyaml import parse

_PROBABILITY = "probability"
_NO_NETWORK = "the scan was made without a network (model: none)"


def steps(of: Scanned, settings: ExportSettings, target: RunDirectory) -> list[Product]:
    """All products, each after those it reads.

    Args:
        of: The scan.
        settings: What they depend on.
        target: Where those lie that others read.

    Raises:
        InvalidInputError: A layer of the user's has no such name, or cannot be read; layers cannot be compared.
        InvalidConfigError: There are no such layers to compare, or a threshold where there is no probability.
    """
    threshold = _threshold(of, settings)
    if threshold is None and settings.change is None:
        _check_layers(settings)
        return _without_network(of, target)
    wanted = Wanted(threshold=threshold, least_area_m2=settings.min_area_m2)
    shown = None if settings.change is None else Shown.of(of, settings.change, wanted, slopes_of(of, settings.dem))
    drawn = Polygons(
        of=of,
        wanted=wanted,
        layers=user_layers(parse(UserLayersConfig, {name: {"file": file} for name, file in settings.layers.items()})),
        shown=shown,
        inheriting=None if settings.heritage is None else Inheriting.of(settings.heritage),
        dem=settings.dem,
    )
    more = list(_flags(of)) if shown is None else shown.products
    of_map = [*_rasters(of), *more, drawn.product, *from_polygons(of, target)]
    return [*of_map, _listed(of, target, of_map, shown), _report(of, target, threshold, shown)]


def _threshold(of: Scanned, settings: ExportSettings) -> float | None:
    """Probability from which a pixel is landslide; None of a scan without a network.

    Raises:
        InvalidConfigError: A threshold was asked for there.
    """
    if of.learned:
        return of.threshold if settings.threshold is None else settings.threshold
    if settings.threshold is not None:
        raise InvalidConfigError(
            f"{settings.threshold:g} for a scan without a network", expected="no threshold", key="--threshold"
        )
    return None


def _check_layers(settings: ExportSettings) -> None:
    if settings.layers:
        raise InvalidConfigError(
            f"a layer, and {_NO_NETWORK}",
            expected="polygons that it could be told of: --change BEFORE,AFTER compares two layers",
            key="--layer",
        )


def _without_network(of: Scanned, target: RunDirectory) -> list[Product]:
    """What there is of a scan without a network; of what is made of probabilities, the reason why it is not."""
    rasters = [*_rasters(of), *_flags(of)]
    package = replace(_not_made(names.GEOPACKAGE, "vector"), may_replace=partial(check_untouched, target))
    vectors = [_not_made(names.POLYGONS, "vector"), package, _not_made(names.GEOJSON, "vector")]
    return [*rasters, *vectors, _listed(of, target, rasters, None), _not_made(names.REPORT, "report")]


def _not_made(name: str, kind: str) -> Product:
    why = f"{name}: it is made of probabilities, and {_NO_NETWORK}; --change BEFORE,AFTER compares two of its layers"
    return Product(name=name, kind=kind, make=lambda _: why)


def _rasters(of: Scanned) -> Iterator[Product]:
    variables = [name for name in of.variables if of.learned or name != _PROBABILITY]
    return _each_raster(of, variables, _raster)


def _flags(of: Scanned) -> Iterator[Product]:
    """Exclusion and advisory, pixel by pixel; where two layers are compared, theirs stand for them."""
    return _each_raster(of, FLAGS, _flag)


def _each_raster(
    of: Scanned, variables: Sequence[str], make: Callable[[Scanned, Lattice, int, str, Path], str]
) -> Iterator[Product]:
    """One product for each zone, layer and variable."""
    for lattice, extent in of.extents.items():
        for layer, window in enumerate(of.windows):
            for variable in variables:
                yield Product(
                    name=names.raster(lattice, window, variable),
                    kind="cog",
                    make=partial(make, of, lattice, layer, variable),
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


def _flag(of: Scanned, lattice: Lattice, layer: int, name: str, folder: Path) -> str:
    plane = next(one for one in flags(of, layer) if one.name == name)
    return plane_raster(of, lattice, plane, folder)


def _listed(of: Scanned, target: RunDirectory, of_map: Sequence[Product], shown: Shown | None) -> Product:
    return Product(
        name=names.CATALOGUE,
        kind="stac",
        make=given(partial(_catalogue, of, target, shown)),
        settings={} if shown is None else shown.settings,
        takes=tuple(product.name for product in of_map),
    )


def _catalogue(of: Scanned, target: RunDirectory, shown: Shown | None) -> dict[str, bytes]:
    files = Manifest.read(target).of_cube(of.cube_sha256).of_kinds(("cog", "vector")).files
    return catalogue(
        of, files, planes=flags(of, 0) if shown is None else shown.planes
    )  # of any layer they mean the same


def _report(of: Scanned, target: RunDirectory, threshold: float | None, shown: Shown | None) -> Product:
    asked = of if threshold is None else replace(of, said={**of.said, "threshold": threshold})

    def write(path: Path) -> None:
        with at_hand(target, names.POLYGONS, path.parent) as polygons:
            report(asked, _rows(polygons), path, None if shown is None else shown.page)

    return Product(
        name=names.REPORT,
        kind="report",
        make=single(names.REPORT, write),
        settings={"threshold": threshold, **({} if shown is None else shown.settings)},
        needs=(names.POLYGONS,),
        pixels=of.pixels,
    )


def _rows(polygons: Path) -> Iterator[dict[str, Any]]:
    for part in parts(polygons):
        for row in part.to_pylist():
            yield row | {GEOMETRY: shapely.from_wkb(row[GEOMETRY])}
