"""A made borderland to scan: both sides of 18 E, tiles that overlap, and a strip only the neighbour covers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from helpers import scenes
from numpy.typing import NDArray
from pyproj import Transformer

from landslide_scale.cards.card import ModelCard
from landslide_scale.cards.file import read_card
from landslide_scale.demo.satellite.stac_server import serve
from landslide_scale.model import build
from landslide_scale.model.checkpoint import random_weights, save
from landslide_scale.reading.raster import write_cog
from landslide_scale.spec import InputSpec, LandslideNetSpec, ModelSpec, Radiometry

BORDER = 18.0
NORTHING = 5_100_000
SIDE = 240
COLLECTION = scenes.COLLECTION | {"id": "made"}


@dataclass(frozen=True, kw_only=True)
class Tile:
    """A made scene: (SIDE, SIDE) numbers that differ from pixel to pixel, in steps that 8 bits hold exactly."""

    name: str
    epsg: int
    west: int
    north: int
    day: int
    salt: int

    @property
    def numbers(self) -> NDArray[np.uint16]:
        # Depends on the ground and the datatake alone: overlapping tiles of a datatake agree, as real ones do.
        rows = (NORTHING * 2 - self.north) // 10 + np.arange(SIDE)[:, None]
        cols = self.west // 10 + np.arange(SIDE)[None, :]
        return (40 * (1 + (rows * 7 + cols * 13 + self.salt) % 200)).astype(np.uint16)

    def scl(self, cloud: slice | None) -> NDArray[np.uint8]:
        classes = np.full((SIDE, SIDE), 4, np.uint8)
        if cloud is not None:
            classes[:, cloud] = 9
        return classes


def x_of_border(epsg: int) -> int:
    x, _ = Transformer.from_crs(4326, epsg, always_xy=True).transform(
        BORDER, Transformer.from_crs(32633, 4326, always_xy=True).transform(732_000, NORTHING)[1]
    )
    return round(x / 20) * 20


def write_item(folder: Path, tile: Tile, cloud: slice | None = None) -> dict[str, Any]:
    transform = (10.0, 0.0, float(tile.west), 0.0, -10.0, float(tile.north))
    bounds = (tile.west, tile.north - SIDE * 10, tile.west + SIDE * 10, tile.north)
    to_degrees = Transformer.from_crs(tile.epsg, 4326, always_xy=True)
    west, south, east, north = to_degrees.transform_bounds(*bounds, densify_pts=21)
    assets = {}
    for band, values in (("red", tile.numbers + 1000), ("scl", tile.scl(cloud))):
        path = folder / f"{tile.name}-{band}.tif"
        write_cog(path, values, epsg=tile.epsg, transform=transform, nodata=0)
        assets[band] = {"href": str(path), "proj:shape": [SIDE, SIDE], "proj:transform": list(transform)}
    stamp = f"202308{tile.day:02d}T100000"
    corners = [[west, south], [east, south], [east, north], [west, north], [west, south]]
    return {
        "type": "Feature",
        "stac_version": "1.0.0",
        "id": tile.name,
        "collection": "made",
        "geometry": {"type": "Polygon", "coordinates": [corners]},
        "bbox": [west, south, east, north],
        "properties": {
            "datetime": f"2023-08-{tile.day:02d}T10:00:07Z",
            "proj:epsg": tile.epsg,
            "grid:code": f"MGRS-{tile.epsg % 100}TWM",
            "s2:processing_baseline": "05.09",
            "s2:datatake_id": f"GS2A_{stamp}_040000_N05.09",
            "s2:datastrip_id": f"S2A_DS_{tile.name}",
            "s2:generation_time": f"2023-08-{tile.day:02d}T15:00:00Z",
            "eo:cloud_cover": 1.0,
        },
        "assets": assets,
        "links": [],
    }


def border_tiles() -> dict[str, Tile]:
    """Ground on both sides of 18 E: zone 34 has tiles of its own only from 600 m east of the border on."""
    west33, west34 = x_of_border(32633), x_of_border(32634)
    common = {"north": NORTHING + 1200}
    return {
        "a": Tile(name="a", epsg=32633, west=west33 - 2000, day=3, salt=0, **common),
        "b": Tile(name="b", epsg=32633, west=west33 - 800, day=3, salt=0, **common),
        "c": Tile(name="c", epsg=32634, west=west34 + 600, day=3, salt=0, **common),
        "d": Tile(name="d", epsg=32633, west=west33 - 2000, day=9, salt=91, **common),
    }


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """The borderland's scenes in `folder`, behind a real STAC API; the western half of the newer one is cloud."""
    tiles = border_tiles().items()
    items = [write_item(folder, tile, slice(0, 100) if name == "d" else None) for name, tile in tiles]
    with serve(items, [COLLECTION]) as url:
        yield url


def untrained(
    path: Path, bands: tuple[str, ...] = ("red",), radiometry: Radiometry = "boa", model: ModelSpec | None = None
) -> str:
    """A checkpoint of random weights, of LandslideNet or of `model` with its one band."""
    model = model or LandslideNetSpec(sam="vit_t", bands=bands, upsample=1)
    inputs = InputSpec.for_bands(radiometry, bands)
    card = ModelCard(model=model, inputs=inputs, base=random_weights(model, 0))
    save(str(path), build(model, inputs, base=None, seed=0), card)
    return str(path)


def configured(catalogue: tuple[str, Path], checkpoint: str, run: Path, **changes: object) -> dict[str, Any]:
    url, folder = catalogue
    settings = {
        "region": {"bbox": [BORDER - 0.02, 46.005, BORDER + 0.045, 46.02]},
        "windows": [{"start": "2023-08-01", "end": "2023-09-01"}],
        "catalog": {"url": url, "profile": "plain", "collection": "made", "allowed_roots": [str(folder)]},
        "grid": {"resolution": 10, "block": 96, "chunk": 32},
        "composite": {"method": "latest", "dilate_m": 0},
        "model": {"checkpoint": checkpoint},
        "predict": {"patch": 32, "halo": 4, "batch": 4, "precision": "float32"},
        "output": {"run": str(run)},
    }
    for section, values in changes.items():
        settings[section] = settings.get(section, {}) | values if isinstance(values, dict) else values
    return settings


def one_band_model(band: int = 0):
    """A stand-in for the network whose probability is one band's reflectance: an oracle for everything around it."""

    def load(url: str, **_: object):
        class OneBand(torch.nn.Module):
            def forward(self, images: torch.Tensor) -> torch.Tensor:
                return torch.logit(images[:, band : band + 1])

        return OneBand(), read_card(url)

    return load


def snapshot(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def assert_same_cubes(one: Path, two: Path) -> None:
    first, second = snapshot(one / "cube.zarr"), snapshot(two / "cube.zarr")
    assert first.keys() == second.keys()
    assert [name for name, content in first.items() if second[name] != content] == []
