"""What is known of one zone and window: where it was observed, when, of which scenes, and its rasters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import shapely
from pystac import Item, Link
from pystac.extensions.projection import ProjectionExtension
from shapely.geometry.base import BaseGeometry

from landslide_scale.grid import Lattice
from landslide_scale.products import names
from landslide_scale.products.assets import File, assets, extensions
from landslide_scale.products.plane import Plane
from landslide_scale.products.scanned import Scanned
from landslide_scale.scan.plan import Place

ITEM = "item.json"
"""Name of an Item, in the folder of its rasters."""

OURS = "landslide_scale:"
"""How the names of properties begin that no extension has."""

_TITLES = {True: "Landslide probability", False: "Composite, without a probability"}

_DEGREES = 1e-7
"""To which coordinates are written: a centimetre."""


def item_name(lattice: Lattice, of: Scanned, layer: int) -> str:
    """Of the Item's file, below the folder of the products."""
    return names.raster(lattice, of.windows[layer], "any").rpartition("/")[0] + f"/{ITEM}"


def item(  # noqa: PLR0917 what an Item is made of
    of: Scanned,
    lattice: Lattice,
    layer: int,
    addresses: Mapping[str, str],
    products: Mapping[str, File],
    planes: Sequence[Plane] = (),
) -> Item:
    """The Item of a zone and window.

    Its footprint is the ground asked for in the blocks where anything was observed, and none where nothing was.

    Args:
        of: The scan.
        lattice: Of the zone.
        layer: Index of the window.
        addresses: Of the Items of scenes, by id, as far as known.
        products: All files, by name below the folder of the products.
        planes: Rasters that are made of two layers.
    """
    window, units = of.windows[layer], _units(of, lattice, layer)
    ground = footprint(of, lattice, units)
    folder = item_name(lattice, of, layer).removesuffix(ITEM)
    files, scenes = assets(folder, products, planes), _scenes(of, units)
    linked = [one for one in scenes if one in addresses]
    made = Item(
        id=f"{lattice.zone.group}_{names.days(window)}",
        geometry=None if ground is None else shapely.geometry.mapping(ground),
        bbox=None if ground is None else list(ground.bounds),
        datetime=None,
        start_datetime=window.start,
        end_datetime=window.until,
        properties={
            "title": f"{_TITLES[of.learned]}, {window.days}, {lattice.zone.group}",
            "gsd": lattice.resolution,
            f"{OURS}units": len(units),
            f"{OURS}units_missing": sum(not _is_done(of, place) for place in units),
            f"{OURS}scenes": len(scenes),
            f"{OURS}scenes_without_link": len(scenes) - len(linked),
        },
        stac_extensions=extensions(files),
        assets=files,
    )
    extent = of.extents[lattice]
    ProjectionExtension.ext(made, add_if_missing=True).apply(
        code=f"EPSG:{lattice.zone.epsg}",
        bbox=list(lattice.bounds(extent)),
        shape=list(extent.shape),
        transform=list(lattice.transform(extent)),
    )
    for one in linked:
        made.add_link(Link("derived_from", addresses[one], media_type="application/geo+json", title=one))
    return made


def footprint(of: Scanned, lattice: Lattice, units: list[Place]) -> BaseGeometry | None:
    """The ground asked for in those units where anything was observed, degrees, right-handed; None of nothing."""
    seen = [place for place in units if place.id in of.records and of.records[place.id].state == "written"]
    outlines = shapely.union_all([lattice.outline(place.box) for place in seen])
    ground = shapely.intersection(lattice.zone.clip(of.region), outlines)
    exact = shapely.set_precision(ground, _DEGREES)
    polygons = [part for part in getattr(exact, "geoms", [exact]) if isinstance(part, shapely.Polygon)]
    areas = shapely.union_all([part for part in polygons if not part.is_empty])
    return None if areas.is_empty else shapely.orient_polygons(areas)


def _units(of: Scanned, lattice: Lattice, layer: int) -> list[Place]:
    return [place for place in of.laid.places if place.lattice == lattice and place.layer == layer]


def _scenes(of: Scanned, units: list[Place]) -> list[str]:
    """Ids of the scenes used, in order."""
    records = [of.records[place.id] for place in units if _is_done(of, place)]
    return sorted({scene["id"] for record in records for scene in record.scenes if "quarantined" not in scene})


def _is_done(of: Scanned, place: Place) -> bool:
    return place.id in of.records and of.records[place.id].done
