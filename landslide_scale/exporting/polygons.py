"""The polygons of a scan as a product, and what is written from them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import shapely

from landslide_scale.errors import InvalidInputError
from landslide_scale.exporting.bench import at_hand
from landslide_scale.exporting.inheriting import Inheriting
from landslide_scale.exporting.product import Product, single
from landslide_scale.exporting.shown import Shown
from landslide_scale.exporting.untouched import check_untouched
from landslide_scale.products import names
from landslide_scale.products.bits import FLAT_RULE
from landslide_scale.products.landslide import Landslide
from landslide_scale.products.outlines.landslides import landslides
from landslide_scale.products.outlines.wanted import Wanted
from landslide_scale.products.scanned import Scanned
from landslide_scale.products.terrain import Elevations
from landslide_scale.products.vectors.geojson import write_geojson
from landslide_scale.products.vectors.geopackage import write_geopackage
from landslide_scale.products.vectors.geoparquet import write_geoparquet
from landslide_scale.products.vectors.touching import touching
from landslide_scale.products.vectors.userlayers import UserLayer
from landslide_scale.stac.settings import DemConfig
from landslide_scale.storage.rundir import RunDirectory


@dataclass(frozen=True, kw_only=True)
class Polygons:
    """What polygons are drawn of, and by what.

    Attributes:
        of: The scan.
        wanted: From which probability on, and how large.
        layers: Ground of the user's, which they may touch.
        shown: Two layers that are compared; None where each is drawn by itself.
        inheriting: Whose ids and verdicts they have; None of a map that stands alone.
        dem: Where the run's elevation model may be read from, beside what its profile says.
    """

    of: Scanned
    wanted: Wanted
    layers: Sequence[UserLayer]
    shown: Shown | None
    inheriting: Inheriting | None
    dem: DemConfig | None

    @property
    def product(self) -> Product:
        """The step that draws them."""
        return Product(
            name=names.POLYGONS,
            kind="vector",
            make=single(names.POLYGONS, self.write),
            settings={
                **asdict(self.wanted),
                "layers": {layer.name: _sha256(layer) for layer in self.layers},
                **({} if self.shown is None else self.shown.settings),
                **({} if self.inheriting is None else {"heritage": self.inheriting.told}),
            },
            pixels=self.of.pixels // len(self.of.windows) * len(self._asked),
        )

    @property
    def _asked(self) -> Sequence[int]:
        """Indexes of the windows whose landslides are drawn."""
        return range(len(self.of.windows)) if self.shown is None else (self.shown.compared.how.after,)

    def write(self, path: Path) -> str:
        """Draw them, and write them as GeoParquet; what they lack of elevations."""
        elevations = Elevations(self.of, self.dem)
        said: dict[str, Any] = {
            **({"flat": FLAT_RULE} if elevations.wanted else {}),
            **asdict(self.wanted),
            "left_out": {},
            "units_missing": len(self.of.missing),
            "layers": {layer.name: layer.said for layer in self.layers},
            **({} if self.shown is None else self.shown.said),
        }
        them = touching(self._found(elevations, said), self.layers)
        if self.inheriting is None:
            write_geoparquet(them, path, said)
            return elevations.lacking
        said["known_again"] = self.inheriting.words
        with at_hand(self.inheriting.target, names.POLYGONS, path.parent) as earlier:
            write_geoparquet(them, path, said, self.inheriting.revision(earlier))
        return elevations.lacking

    def _found(self, elevations: Elevations, said: dict[str, Any]) -> Iterator[Landslide]:
        """All of them; what was left out of each layer, and what is lacking of elevations, is said with the last."""
        marks = None if self.shown is None else self.shown.compared
        for layer in self._asked:
            of_layer = landslides(self.of, layer, self.wanted, marks, elevations if elevations.wanted else None)
            yield from of_layer
            said["left_out"][self.of.windows[layer].days] = asdict(of_layer.left_out)
        if elevations.wanted:
            said["elevations"] = elevations.lacking or "of the run's own elevation model"


def from_polygons(of: Scanned, target: RunDirectory) -> list[Product]:
    """The polygons in other formats."""

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
    return [
        Product(
            name=names.GEOPACKAGE,
            kind="vector",
            make=single(names.GEOPACKAGE, geopackage),
            needs=needs,
            pixels=2 * of.pixels,  # for what was not observed, and for snow
            may_replace=partial(check_untouched, target),
        ),
        Product(name=names.GEOJSON, kind="vector", make=geojson, needs=needs),
    ]


def _sha256(layer: UserLayer) -> str:
    digest = hashlib.sha256()
    for piece in shapely.to_wkb(layer.pieces):
        digest.update(piece)
    return digest.hexdigest()
