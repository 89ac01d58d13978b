"""The rasters of two layers, and what the version before knew of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import shapely

from landslide_scale.errors import BrokenRunError, InvalidInputError
from landslide_scale.exporting.bench import at_hand
from landslide_scale.exporting.product import Product, given
from landslide_scale.grid import Lattice, PixelBox
from landslide_scale.products import names
from landslide_scale.products.change.compared import Compared
from landslide_scale.products.change.planes import FIRST_DAY, earliest, planes
from landslide_scale.products.manifest import Manifest
from landslide_scale.products.passes import HiddenTile, hidden_geojson, hidden_tiles
from landslide_scale.products.plane import Plane
from landslide_scale.products.rasters.cog import write_plane
from landslide_scale.products.rasters.held import read_held
from landslide_scale.products.rasters.style import NAMES_ENDING, plane_class_names, plane_style
from landslide_scale.products.scanned import Scanned
from landslide_scale.products.vectors.coarse import not_observed
from landslide_scale.storage.files import file_sha256
from landslide_scale.storage.rundir import RunDirectory


@dataclass(frozen=True, kw_only=True)
class Earlier:
    """A raster of the version before.

    Attributes:
        folder: Of that version's products.
        name: Of the raster there.
        sha256: As that version's manifest says.
    """

    folder: RunDirectory
    name: str
    sha256: str


def compared_rasters(compared: Compared, layers: Sequence[Plane], settings: Mapping[str, Any]) -> Iterator[Product]:
    """A product for each raster and zone.

    Args:
        compared: The two layers.
        layers: What is shown of them.
        settings: What their bytes depend on.

    Raises:
        InvalidInputError: The version before is no folder of products, or has several first days of a zone.
    """
    of, earlier = compared.of, first_days(compared.how.earlier)
    for lattice, extent in of.extents.items():
        for plane in layers:
            held = earlier.get(lattice.zone.group) if plane.name == FIRST_DAY else None
            yield Product(
                name=names.raster(lattice, of.windows[plane.layer], plane.name),
                kind="cog",
                make=partial(_raster, compared, lattice, plane.name, held),
                settings={**settings, "earlier": held.sha256 if held else ""},
                pixels=extent.shape[0] * extent.shape[1],
            )


def first_days(folder: str | None) -> dict[str, Earlier]:
    """The first days that the version before knew of, by the zone's group; of the first version, none.

    Raises:
        InvalidInputError: It is no folder of products, or has several of a zone.
    """
    if folder is None:
        return {}
    place = RunDirectory(folder)
    files = Manifest.read(place).files
    if not files:
        raise InvalidInputError(
            f"no {names.MANIFEST} of products", expected="the products of the version before", run=place
        )
    found: dict[str, Earlier] = {}
    for name, known in files.items():
        top, _, rest = name.partition("/")
        group = rest.partition("/")[0]
        if top != "cog" or not name.endswith(f"/{FIRST_DAY}.tif"):
            continue
        if group in found:
            raise InvalidInputError(
                f"{found[group].name} and {name}", expected="one raster of first days for each zone", run=place
            )
        found[group] = Earlier(folder=place, name=name, sha256=known.sha256)
    return found


def due(compared: Compared) -> Product:
    """When ground that is hidden after may be seen, tile by tile."""
    return Product(
        name=names.DUE,
        kind="vector",
        make=given(lambda: {names.DUE: hidden_geojson(still_hidden(compared))}),
        settings={"layer": compared.how.after},
    )


def still_hidden(compared: Compared) -> tuple[HiddenTile, ...]:
    """Tiles with ground that was not observed in the layer after."""
    patches = not_observed(compared.of, [compared.how.after])
    return hidden_tiles(compared.of, shapely.union_all([patch.geometry for patch in patches]))


def _raster(compared: Compared, lattice: Lattice, name: str, held: Earlier | None, folder: Path) -> str:
    plane = next(one for one in planes(compared) if one.name == name)
    if held is None:
        return plane_raster(compared.of, lattice, plane, folder)
    with at_hand(held.folder, held.name, folder) as before:
        known = earliest(plane, partial(_before, _checked(before, held), plane))
        return plane_raster(compared.of, lattice, known, folder)


def plane_raster(of: Scanned, lattice: Lattice, plane: Plane, folder: Path) -> str:
    """A raster that is made of the cube, its style, and the names of its classes."""
    path = folder / names.raster(lattice, of.windows[plane.layer], plane.name)
    write_plane(of, lattice, plane, path)
    path.with_suffix(".qml").write_text(plane_style(plane), encoding="utf-8")
    if (classes := plane_class_names(plane)) is not None:
        path.with_name(path.name + NAMES_ENDING).write_text(classes, encoding="utf-8")
    return ""


def _before(path: Path, plane: Plane, lattice: Lattice, box: PixelBox) -> Any:  # noqa: ANN401 an array of its dtype
    return read_held(path, lattice, box, plane.variable.fill)


def _checked(path: Path, held: Earlier) -> Path:
    if (found := file_sha256(path)) != held.sha256:
        raise BrokenRunError(
            f"other bytes than were made (SHA-256 {found})",
            expected=held.sha256,
            cure="Verify the version before; without it, export again without naming it.",
            file=held.folder.at(held.name),
        )
    return path
