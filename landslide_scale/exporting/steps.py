"""Which products there are of a scan, in the order they are made in, and what makes each."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import shapely

from landslide_scale.change.ripening import RULE
from landslide_scale.errors import InvalidConfigError, InvalidInputError
from landslide_scale.exporting.bench import at_hand
from landslide_scale.exporting.comparison import compared_rasters, due, still_hidden
from landslide_scale.exporting.manifest import Manifest
from landslide_scale.exporting.product import Product, given, single
from landslide_scale.exporting.settings import ExportSettings
from landslide_scale.grid import Lattice
from landslide_scale.products import names
from landslide_scale.products.catalogue.written import catalogue
from landslide_scale.products.change.compared import Compared, Terrain
from landslide_scale.products.change.planes import CHANGE, RDNDVI, STATUS, planes, slopes, witnesses
from landslide_scale.products.change.settings import Change
from landslide_scale.products.landslide import GEOMETRY, Landslide
from landslide_scale.products.outlines.landslides import landslides
from landslide_scale.products.outlines.wanted import Wanted
from landslide_scale.products.page.comparison import Comparison
from landslide_scale.products.page.report import report
from landslide_scale.products.plane import Plane
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


def steps(of: Scanned, settings: ExportSettings, target: RunDirectory, terrain: Terrain | None = None) -> list[Product]:
    """All products, each after those it reads.

    Args:
        of: The scan.
        settings: What they depend on.
        target: Where those lie that others read.
        terrain: Slopes of its ground, for candidates; None where it has no elevation model.

    Raises:
        InvalidInputError: A layer of the user's has no such name, or cannot be read; layers cannot be compared.
        InvalidConfigError: There are no such layers to compare, or it cannot be done without.
    """
    threshold = _threshold(of, settings)
    wanted = Wanted(threshold=threshold, least_area_m2=settings.min_area_m2)
    shown = None if settings.change is None else _Shown.of(of, settings.change, wanted, terrain)
    layers = user_layers(parse(UserLayersConfig, {name: {"file": file} for name, file in settings.layers.items()}))
    more = [] if shown is None else shown.products
    of_map = [*_rasters(of), *more, _polygons(of, wanted, layers, shown), *_from_polygons(of, target)]
    listed = Product(
        name=names.CATALOGUE,
        kind="stac",
        make=given(partial(_catalogue, of, target, shown)),
        settings={} if shown is None else shown.settings,
        takes=tuple(product.name for product in of_map),
    )
    return [*of_map, listed, _report(of, target, threshold, shown)]


@dataclass(frozen=True, kw_only=True)
class _Shown:
    """Two layers that are compared.

    Attributes:
        compared: They.
        settings: What is made of them depends on.
    """

    compared: Compared
    settings: Mapping[str, Any]

    @classmethod
    def of(cls, of: Scanned, change: Change, wanted: Wanted, terrain: Terrain | None) -> _Shown:
        """Of a scan.

        Raises:
            InvalidConfigError: It has no such layers.
            InvalidInputError: They cannot be compared.
        """
        how = asdict(replace(change, earlier=None))
        return cls(
            compared=Compared(of=of, how=change, step=wanted.step, terrain=terrain),
            settings={"change": how | {"step": wanted.step, "slopes": terrain is not None}},
        )

    @cached_property
    def planes(self) -> tuple[Plane, ...]:
        return planes(self.compared)

    @property
    def products(self) -> list[Product]:
        return [*compared_rasters(self.compared, self.planes, self.settings), due(self.compared)]

    @property
    def said(self) -> dict[str, Any]:
        """What a file of polygons says of them."""
        of, how = self.compared.of, self.compared.how
        layers = {"before": of.windows[how.before].days, "after": of.windows[how.after].days}
        words = {"witnesses": witnesses(self.compared), "slopes": slopes(self.compared), "status": RULE}
        return {"change": {**layers, "loss": how.loss, "finished": how.finished, **words}, **_candidate(self.compared)}


def _candidate(compared: Compared) -> dict[str, Any]:
    if compared.learned:
        return {}
    return {
        "candidate": "every polygon is a candidate of vegetation loss: no network looked at it, and nothing here is a "
        "probability"
    }


def _threshold(of: Scanned, settings: ExportSettings) -> float | None:
    """Probability from which a pixel is landslide; None of a scan without a network.

    Raises:
        InvalidConfigError: A threshold was asked for there, or no layers to compare, without which it has no product.
    """
    if of.learned:
        return of.threshold if settings.threshold is None else settings.threshold
    if settings.threshold is not None:
        raise InvalidConfigError(
            f"{settings.threshold:g} for a scan without a network", expected="no threshold", key="--threshold"
        )
    if settings.change is None:
        raise InvalidConfigError(
            "a scan without a network, which has no probability",
            expected="two of its layers to compare: BEFORE,AFTER",
            key="--change",
        )
    return None


def _rasters(of: Scanned) -> Iterator[Product]:
    for lattice, extent in of.extents.items():
        for layer, window in enumerate(of.windows):
            for variable in (name for name in of.variables if of.learned or name != "probability"):
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


def _polygons(of: Scanned, wanted: Wanted, layers: Sequence[UserLayer], shown: _Shown | None) -> Product:
    return Product(
        name=names.POLYGONS,
        kind="vector",
        make=single(names.POLYGONS, partial(_write_polygons, of, wanted, layers, shown)),
        settings={
            **asdict(wanted),
            "layers": {layer.name: _sha256(layer) for layer in layers},
            **({} if shown is None else shown.settings),
        },
        pixels=_pixels(of),
    )


def _write_polygons(of: Scanned, wanted: Wanted, layers: Sequence[UserLayer], shown: _Shown | None, path: Path) -> None:
    left_out: dict[str, Mapping[str, Any]] = {}
    said = {
        **asdict(wanted),
        "left_out": left_out,
        "units_missing": len(of.missing),
        "layers": {layer.name: layer.said for layer in layers},
        **({} if shown is None else shown.said),
    }
    marks = None if shown is None else shown.compared
    asked = range(len(of.windows)) if shown is None else [shown.compared.how.after]

    def found() -> Iterator[Landslide]:
        for layer in asked:
            of_layer = landslides(of, layer, wanted, marks)
            yield from of_layer
            left_out[of.windows[layer].days] = asdict(of_layer.left_out)

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


def _catalogue(of: Scanned, target: RunDirectory, shown: _Shown | None) -> dict[str, bytes]:
    files = Manifest.read(target).of_cube(of.cube_sha256).of_kinds(("cog", "vector")).files
    return catalogue(of, files, planes=() if shown is None else shown.planes)


def _report(of: Scanned, target: RunDirectory, threshold: float | None, shown: _Shown | None) -> Product:
    asked = of if threshold is None else replace(of, said={**of.said, "threshold": threshold})

    def write(path: Path) -> None:
        with at_hand(target, names.POLYGONS, path.parent) as polygons:
            report(asked, _rows(polygons), path, None if shown is None else _comparison(shown))

    return Product(
        name=names.REPORT,
        kind="report",
        make=single(names.REPORT, write),
        settings={"threshold": threshold, **({} if shown is None else shown.settings)},
        needs=(names.POLYGONS,),
        pixels=_pixels(of),
    )


def _comparison(shown: _Shown) -> Comparison:
    """What the page says and shows of two layers."""
    of, how = shown.compared.of, shown.compared.how
    return Comparison(
        before=of.windows[how.before].days,
        after=of.windows[how.after].days,
        planes=tuple(plane for plane in shown.planes if plane.name in {RDNDVI, STATUS, CHANGE}),
        hidden=still_hidden(shown.compared),
        facts=(
            ("compared by", witnesses(shown.compared)),
            ("loss of vegetation", f"rdNDVI of {-how.loss:g} or less"),
            ("slopes", slopes(shown.compared)),
            ("low and high", RULE),
        ),
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
