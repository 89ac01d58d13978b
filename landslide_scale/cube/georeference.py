"""Where a zone's pixels lie, said in each of the ways that readers of Zarr look for.

CF's grid mapping, which xarray with rioxarray goes by, and the Zarr conventions ``proj`` and ``spatial``, version 0.1
(https://github.com/zarr-conventions/proj, https://github.com/zarr-conventions/spatial), which GDAL promises to read
from 3.13 on (not tried).
"""

from __future__ import annotations

from typing import Any

from pyproj import CRS

from landslide_scale.grid import Lattice, PixelBox

GRID_MAPPING = "spatial_ref"
"""The array that holds a group's coordinate system. Variables name it in `coordinates` too: by `grid_mapping` alone it
would be no coordinate of whoever opens the cube without options, and would be lost with the first selection."""

_CONVENTIONS = (
    ("proj", "f17cb550-5864-4468-aeb7-f3180cfb622f", "Coordinate reference system information for geospatial data"),
    ("spatial", "689b58e2-cf7b-45e0-9fff-9cfc0883d6b4", "Spatial coordinate information"),
)


def grid_mapping(lattice: Lattice, box: PixelBox) -> dict[str, Any]:
    """Attributes of `GRID_MAPPING`: CF's, and GDAL's affine transform (x of the corner first) as text."""
    a, b, c, d, e, f = lattice.transform(box)
    transform = " ".join(str(value) for value in (c, a, b, f, d, e))
    return {**CRS.from_epsg(lattice.zone.epsg).to_cf(), "GeoTransform": transform}


def of_group(lattice: Lattice, box: PixelBox) -> dict[str, Any]:
    """Attributes of a zone's group by the conventions ``proj`` and ``spatial``.

    ``spatial:dimensions``, which a group may leave out, is left to its arrays: over it a build of GDAL 3.13.3 ended the
    process that opened a cube whose metadata are consolidated.

    Args:
        lattice: Of the zone.
        box: The pixels that the group covers.

    Returns:
        Among them ``spatial:transform`` in affine order, (x, y) = (a col + b row + c, d col + e row + f), of the upper
        left corner of a pixel, not of its centre; ``spatial:bbox`` as west, south, east, north in metres.
    """
    return {
        "zarr_conventions": [_declared(*one) for one in _CONVENTIONS],
        "proj:code": f"EPSG:{lattice.zone.epsg}",
        "proj:wkt2": CRS.from_epsg(lattice.zone.epsg).to_wkt("WKT2_2019"),
        "spatial:transform": list(lattice.transform(box)),
        "spatial:bbox": list(lattice.bounds(box)),
        "spatial:shape": list(box.shape),
        "spatial:registration": "pixel",
    }


def of_array(lattice: Lattice, box: PixelBox) -> dict[str, Any]:
    """Attributes of an array (time, y, x) of that group: the same, its dimensions, and CF's."""
    return {
        "grid_mapping": GRID_MAPPING,
        "coordinates": GRID_MAPPING,
        **of_group(lattice, box),
        "spatial:dimensions": ["y", "x"],
    }


def _declared(name: str, uuid: str, description: str) -> dict[str, str]:
    """An entry of ``zarr_conventions``; the schemas ask for exactly these addresses."""
    return {
        "uuid": uuid,
        "schema_url": f"https://raw.githubusercontent.com/zarr-conventions/{name}/refs/tags/v0.1/schema.json",
        "spec_url": f"https://github.com/zarr-conventions/{name}/blob/v0.1/README.md",
        "name": name,
        "description": description,
    }
