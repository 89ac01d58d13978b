"""Made elevation models: any surface in tiles of a degree, or of any other raster, in the words of a real catalogue."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from helpers import scenes
from numpy.typing import NDArray

from landslide_scale.scene import Access
from landslide_scale.stac.dem import DemTile
from landslide_scale.stac.frozen import DEM, freeze
from landslide_scale.storage.rundir import RunDirectory

Field = NDArray[np.float64]
Surface = Callable[[Field, Field], Field]
"""Elevation in metres from longitude and latitude, or x and y."""

SECOND = 1 / 3600


def centres(west: float, north: float, width: float, height: float, shape: tuple[int, int]) -> tuple[Field, Field]:
    """X and y (H, W) of the pixel centres of a raster."""
    cols, rows = np.arange(shape[1]) + 0.5, np.arange(shape[0]) + 0.5
    return tuple(np.meshgrid(west + cols * width, north - rows * height))


def write(
    path: Path,
    values: NDArray[Any],
    *,
    west: float,
    north: float,
    width: float,
    height: float,
    epsg: int = 4326,
    **profile: object,
) -> str:
    """A GeoTIFF of (H, W) `values` whose upper left corner is given; `profile` is rasterio's."""
    path.parent.mkdir(parents=True, exist_ok=True)
    known: dict[str, object] = {"count": 1, "dtype": values.dtype, "crs": f"EPSG:{epsg}", "compress": "DEFLATE"}
    known |= {"transform": rasterio.Affine(width, 0, west, 0, -height, north)}
    known |= {"height": values.shape[0], "width": values.shape[1], "tiled": True, "blockxsize": 64, "blockysize": 64}
    with rasterio.open(path, "w", driver="GTiff", **(known | profile)) as target:
        target.write(values, 1)
    return str(path)


def raster(
    folder: Path,
    name: str,
    surface: Surface,
    shape: tuple[int, int],
    *,
    west: float,
    north: float,
    width: float,
    height: float,
    **more: object,
) -> DemTile:
    """A tile whose pixels hold `surface` at their centres, float32."""
    place = {"west": west, "north": north, "width": width, "height": height}
    values = surface(*centres(west, north, width, height, shape)).astype(np.float32)
    href = write(folder / f"{name}.tif", values, **place, **more)
    bounds = (west, north - height * shape[0], west + width * shape[1], north)
    return DemTile(id=name, bounds=bounds, href=href, access=Access(section="dem"))


def degree(
    folder: Path, west: int, south: int, surface: Surface, *, wide: float = 20 * SECOND, high: float = 20 * SECOND
) -> DemTile:
    """One degree as GLO-30 cuts it, in pixels of `wide` x `high` degrees.

    The first pixel's centre lies on the north-west corner, so that no pixel is in two tiles.
    """
    shape = (round(1 / high), round(1 / wide))
    name = f"made_{'S' if south < 0 else 'N'}{abs(south):02d}_{'W' if west < 0 else 'E'}{abs(west):03d}"
    corner = {"west": west - wide / 2, "north": south + 1 + high / 2, "width": wide, "height": high}
    return raster(folder, name, surface, shape, **corner)


def by_keys(values: NDArray[Any], rows: Field, cols: Field) -> Field:
    """Cubic convolution at points in rows and columns of a raster, by Keys' two polynomials of the distance."""

    def weight(distance: Field) -> Field:
        d = np.abs(distance)
        near, far = 1.5 * d**3 - 2.5 * d**2 + 1, -0.5 * d**3 + 2.5 * d**2 - 4 * d + 2
        return np.where(d < 1, near, np.where(d < 2, far, 0))

    row, col = np.floor(rows).astype(int), np.floor(cols).astype(int)
    around = [(row + down, col + right) for down in range(-1, 3) for right in range(-1, 3)]
    return np.sum([weight(rows - r) * weight(cols - c) * values[r, c] for r, c in around], axis=0)


COLLECTION = scenes.COLLECTION | {"id": "cop-dem-glo-30", "description": "Made elevations"}


def item(tile: DemTile, **properties: object) -> dict[str, Any]:
    """The STAC Item of a tile as Earth Search writes it: no clouds, no classes, one old date."""
    west, south, east, north = tile.bounds
    ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
    return {
        "type": "Feature",
        "stac_version": "1.0.0",
        "id": tile.id,
        "collection": COLLECTION["id"],
        "geometry": {"type": "Polygon", "coordinates": [ring]},
        "bbox": list(tile.bounds),
        "properties": {"datetime": "2021-04-22T00:00:00Z", "proj:epsg": 4326, "gsd": 30} | properties,
        "assets": {"data": {"href": tile.href, "roles": ["data"]}},
        "links": [],
    }


def kept(run: RunDirectory, tiles: Iterable[DemTile]) -> None:
    """Freeze the tiles in a run, as a scan that reads them does."""
    freeze(run, [item(tile) for tile in tiles], DEM)


RECORDED = {"dem": {"profile": "earth-search", "collection": None, "asset": None, "interpolation": "cubic"}}
"""What a run that was begun with an elevation model has among its settings."""
