"""The composite as it was seen, where the cube keeps bands that make a picture."""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from landslide_scale.grid import Lattice, PixelBox
from landslide_scale.products.classes import white
from landslide_scale.products.page.pictures import Levels, Picture, Scale, coarse_box, data_uri, warped
from landslide_scale.products.scanned import Scanned

PICTURES = {"composite": ("red", "green", "blue"), "composite in false colour": ("nir", "red", "green")}
"""Bands shown as red, green and blue; in false colours plants are red. The first that are all kept are shown."""

_GAMMA = 0.65  # opens the dark forests
_LIGHTEST = 254
_COLOURS = 256

Values = NDArray[np.uint8]


def kept(of: Scanned) -> str | None:
    """Which of `PICTURES` the cube can give; None of most."""
    return next((name for name, bands in PICTURES.items() if set(bands) <= set(of.laid.bands)), None)


def composite(of: Scanned, layer: int, at: Scale, bands: tuple[str, str, str]) -> Levels:
    """One layer's composite of these bands, finest first.

    Of several pixels of the cube one is shown, that in the middle of the square: a picture to look at, not to measure.
    """
    whole = np.zeros((*at.frame.shape, len(bands)), np.uint8)
    for lattice, extent in of.extents.items():
        coarse = coarse_box(extent, at.factor)
        zone = np.zeros((*coarse.shape, len(bands)), np.uint8)
        for place in of.done:
            if place.lattice == lattice and place.layer == layer:
                _keep(zone, coarse, place.box, _shown(of, lattice, place.box, layer, bands), at.factor)
        for band in range(len(bands)):
            one = warped(np.ascontiguousarray(zone[..., band]), lattice, coarse, at)
            np.maximum(whole[..., band], one, out=whole[..., band])
    return _levels(whole, at)


def _shown(of: Scanned, lattice: Lattice, box: PixelBox, layer: int, bands: tuple[str, str, str]) -> Values:
    """(H, W, 3) from 1 on, as it is to be seen; 0 where a pixel was not observed."""
    held = of.read_reflectance(lattice, box, layer)
    reflectance = np.stack([held[band] for band in bands], axis=-1)
    full = np.array([white(band) for band in bands])
    light = 1 + np.rint(_LIGHTEST * np.clip(reflectance / full, 0, 1) ** _GAMMA)
    return np.where(np.isnan(reflectance).any(axis=-1, keepdims=True), 0, light).astype(np.uint8)


def _keep(zone: Values, coarse: PixelBox, box: PixelBox, block: Values, factor: int) -> None:
    """Take the middle pixel of each square of a block into the array of its zone."""
    rows, cols = np.arange(box.row_start, box.row_stop), np.arange(box.col_start, box.col_stop)
    some_rows, some_cols = (one[one % factor == factor // 2] for one in (rows, cols))
    taken = block[np.ix_(some_rows - box.row_start, some_cols - box.col_start)]
    zone[np.ix_(some_rows // factor - coarse.row_start, some_cols // factor - coarse.col_start)] = taken


def _levels(whole: Values, at: Scale) -> Levels:
    frame, found = at.frame, [Picture(address=_png(whole), frame=at.frame)]
    while max(whole.shape[:2]) > 1:
        whole, frame = whole[::2, ::2], frame.coarser()
        found.append(Picture(address=_png(whole), frame=frame))
    return tuple(found)


def _png(values: Values) -> str:
    """A picture of 256 colours of its own, one of them transparent."""
    opaque = np.where(values.any(axis=-1, keepdims=True), 255, 0).astype(np.uint8)
    image = Image.fromarray(np.concatenate([values, opaque], axis=-1))
    sink = io.BytesIO()
    image.quantize(_COLOURS, method=Image.Quantize.FASTOCTREE).save(sink, format="PNG", optimize=True)
    return data_uri(sink.getvalue())
