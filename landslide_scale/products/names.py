"""Where each product lies, below the folder of a run's products."""

from __future__ import annotations

from landslide_scale.grid import Lattice
from landslide_scale.scene import Window

FOLDER = "products"
"""Inside a run's folder, unless another place is asked for."""

MANIFEST = "products.json"
MAKING = ".making"
"""A folder among the products, as long as an export is at work that puts them on a local disk."""
POLYGONS = "landslides.parquet"
GEOPACKAGE = "landslides.gpkg"
GEOJSON = "landslides.geojson"
REPORT = "report.html"
DUE = "next_passes.geojson"
CATALOGUE = "collection.json"

KINDS = ("cog", "vector", "stac", "report")
"""What ``--only`` chooses from, in the order they are made in."""


def days(window: Window) -> str:
    """A window as part of a file's name."""
    years = f"_{window.years}years" if window.years > 1 else ""
    return f"{window.start:%Y%m%d}_{window.end:%Y%m%d}{years}"


def raster(lattice: Lattice, window: Window, name: str) -> str:
    """A raster of one variable, zone and window; its style is beside it with the ending ``.qml``."""
    return f"cog/{lattice.zone.group}/{days(window)}/{name}.tif"


def is_inside(name: str) -> bool:
    """Whether a name stays below the folder it is looked for in."""
    return all(part not in {"", ".", ".."} for part in name.split("/"))
