"""The cube's pixels as pictures: block by block into one coarse array for each zone, and from there onto the map."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from rasterio.crs import CRS
from rasterio.transform import Affine
from rasterio.warp import Resampling, reproject
from shapely.geometry.base import BaseGeometry

from landslide_scale.bands import Reason
from landslide_scale.cube.arrays import Layer
from landslide_scale.grid import Lattice, PixelBox
from landslide_scale.products.page.colours import COVERAGE, Palette
from landslide_scale.products.page.frame import Frame, framed, shown, turn
from landslide_scale.products.plane import Plane
from landslide_scale.products.scanned import Scanned
from landslide_scale.runtime.progress import gone_over

LARGEST_SIDE = 4096
"""Pixels of a picture; of a larger region several of the cube's pixels are one of the picture's."""

LARGEST_BYTES = 10_000_000
"""Of all pictures of the map as they stand in the page; beyond it they are made coarser again."""

Indexes = NDArray[np.uint8]
Levels = tuple["Picture", ...]
"""One picture, finest first, each with pixels of twice the side of the one before."""


@dataclass(frozen=True, kw_only=True)
class Picture:
    """A PNG and where it lies.

    Attributes:
        address: Data URI.
        frame: Its pixels on the ground.
    """

    address: str
    frame: Frame


@dataclass(frozen=True, kw_only=True)
class Drawn:
    """One layer of the cube, indexes (rows, columns) of a frame.

    Attributes:
        probability: Of the shades that were asked for.
        coverage: Of the palette of that name.
        km2: Ground by reason, counted on the cube's own pixels.
    """

    probability: Indexes
    coverage: Indexes
    km2: dict[Reason, float]


@dataclass(frozen=True, kw_only=True)
class Scale:
    """How coarse the pictures are.

    Attributes:
        ground: What they show, degrees, in one piece.
        frame: Of the finest.
        factor: Pixels of the cube along the side of one square of which the finest shows the largest.
    """

    ground: BaseGeometry
    frame: Frame
    factor: int


def scale(of: Scanned) -> Scale:
    """The finest pictures of a scan of which no side is longer than `LARGEST_SIDE`."""
    ground = shown(of.region, of.extents.items())
    turned = max(turn(lattice, box) for lattice, box in of.extents.items())
    metres = max(lattice.resolution for lattice in of.extents)
    factor = 1
    while max((frame := framed(ground, metres * factor, turned)).shape) > LARGEST_SIDE:
        factor *= 2
    return Scale(ground=ground, frame=frame, factor=factor)


def drawn(of: Scanned, layer: int, at: Scale, shades: Palette) -> Drawn:
    """One layer, its probability in these shades; memory is that of a few pictures and a block."""
    probability, coverage = (np.zeros(at.frame.shape, np.uint8) for _ in range(2))
    km2 = dict.fromkeys(Reason, 0.0)
    for lattice, extent in of.extents.items():
        coarse = coarse_box(extent, at.factor)
        zone = [np.zeros(coarse.shape, np.uint8) for _ in range(2)]
        for box, held in _blocks(of, lattice, layer):
            counts = np.bincount(held.reason.ravel(), minlength=len(Reason))
            for reason in Reason:
                km2[reason] += float(counts[reason]) * lattice.resolution**2 / 1e6
            palettes = ((shades, held.probability), (COVERAGE, held.reason))
            for whole, (palette, values) in zip(zone, palettes, strict=True):
                _keep_largest(whole, coarse, box, palette.indexes[values], at.factor)
        for picture, whole in zip((probability, coverage), zone, strict=True):
            np.maximum(picture, warped(whole, lattice, coarse, at), out=picture)
    return Drawn(probability=probability, coverage=coverage, km2=km2)


def pictured_plane(of: Scanned, plane: Plane, paint: Callable[[NDArray[Any]], Indexes], at: Scale) -> Indexes:
    """What is made of two layers, painted; of several pixels the largest index is shown."""
    picture = np.zeros(at.frame.shape, np.uint8)
    for lattice, extent in of.extents.items():
        coarse = coarse_box(extent, at.factor)
        zone = np.zeros(coarse.shape, np.uint8)
        for place in of.done:
            if place.lattice == lattice and place.layer == plane.layer:
                _keep_largest(zone, coarse, place.box, paint(plane.read(lattice, place.box)), at.factor)
        np.maximum(picture, warped(zone, lattice, coarse, at), out=picture)
    return picture


def coarse_box(extent: PixelBox, factor: int) -> PixelBox:
    """The squares of `factor` pixels of a lattice, of which the first lies at its origin, that hold a box."""
    return PixelBox(
        row_start=extent.row_start // factor,
        row_stop=-(-extent.row_stop // factor),
        col_start=extent.col_start // factor,
        col_stop=-(-extent.col_stop // factor),
    )


def levels(indexes: Indexes, palette: Palette, frame: Frame) -> Levels:
    """A picture as it is, and coarser ones down to a single pixel."""
    found = [Picture(address=png(indexes, palette), frame=frame)]
    while max(indexes.shape) > 1:
        rows, cols = indexes.shape
        padded = np.pad(indexes, ((0, rows % 2), (0, cols % 2)))
        indexes = padded.reshape(-(-rows // 2), 2, -(-cols // 2), 2).max(axis=(1, 3))
        frame = frame.coarser()
        found.append(Picture(address=png(indexes, palette), frame=frame))
    return tuple(found)


def finest(pictures: list[Levels]) -> int:
    """The finest level at which all pictures together are no larger than `LARGEST_BYTES`."""
    depth = min(map(len, pictures))
    sums = (sum(len(one[level].address) for one in pictures) for level in range(depth))
    return next((level for level, size in enumerate(sums) if size <= LARGEST_BYTES), depth - 1)


def png(indexes: Indexes, palette: Palette) -> str:
    """A picture of indexes as a data URI of a PNG with its palette."""
    image = Image.fromarray(indexes)
    image.putpalette([part for colour in palette.colours for part in colour])
    sink = io.BytesIO()
    image.save(sink, format="PNG", optimize=True, transparency=bytes(palette.alphas))
    return data_uri(sink.getvalue())


def data_uri(content: bytes) -> str:
    """A PNG as an address that holds it."""
    return f"data:image/png;base64,{base64.b64encode(content).decode()}"


def _blocks(of: Scanned, lattice: Lattice, layer: int) -> Iterator[tuple[PixelBox, Layer]]:
    for place in of.done:
        if place.lattice == lattice and place.layer == layer:
            yield place.box, of.read(lattice, place.box, layer)
            gone_over(lattice.block**2)


def _keep_largest(whole: Indexes, coarse: PixelBox, box: PixelBox, block: Indexes, factor: int) -> None:
    """Take a block into the array of its zone; squares lie on the lattice, and may be of several blocks."""
    rows = np.arange(box.row_start, box.row_stop) // factor
    cols = np.arange(box.col_start, box.col_stop) // factor
    first_rows, first_cols = (np.flatnonzero(np.diff(one, prepend=one[0] - 1)) for one in (rows, cols))
    largest = np.maximum.reduceat(np.maximum.reduceat(block, first_rows, axis=0), first_cols, axis=1)
    top, left = rows[0] - coarse.row_start, cols[0] - coarse.col_start
    part = whole[top : top + largest.shape[0], left : left + largest.shape[1]]
    np.maximum(part, largest, out=part)


def warped(whole: Indexes, lattice: Lattice, coarse: PixelBox, at: Scale) -> Indexes:
    """A zone's squares on the map, the nearest of them at each pixel; 0 is nothing."""
    squares = replace(lattice, resolution=lattice.resolution * at.factor)
    found = np.zeros(at.frame.shape, np.uint8)
    reproject(
        whole,
        found,
        src_transform=Affine(*squares.transform(coarse)),
        src_crs=CRS.from_epsg(lattice.zone.epsg),
        dst_transform=Affine(*at.frame.transform),
        dst_crs=at.frame.crs,
        resampling=Resampling.nearest,
        src_nodata=0,
        dst_nodata=0,
    )
    return found
